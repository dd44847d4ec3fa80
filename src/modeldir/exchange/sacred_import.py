"""Sacred's runs, as its FileStorageObserver leaves them: `config.json`, `run.json`, `metrics.json`.

It knows Sacred's statuses and times. It refuses to make objects of what its configuration may
describe (`py/object`): such a value stays what it is in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir._system.timestamps import unix_time
from modeldir.exchange.foreign_files import Problems, tolerant, values_in, walk
from modeldir.exchange.foreign_run import Foreign, together
from modeldir.experiment import attempts, failures
from modeldir.metrics import metrics

TOOL = "sacred"
_ENDS = {
    "COMPLETED": attempts.COMPLETED,
    "FAILED": attempts.FAILED,
    "INTERRUPTED": attempts.INTERRUPTED,
    "TIMEOUT": attempts.INTERRUPTED,
    "DIED": attempts.INTERRUPTED,
}


def recognizes(source: Path) -> bool:
    """Whether a run of Sacred's lies in or below a folder."""
    return any(_is_run(path, names) for path, _, names in walk(source, []))


def _is_run(path: Path, names: list[str]) -> bool:
    if not {"config.json", "run.json"} <= set(names):
        return False
    return {"heartbeat", "experiment", "status"} <= files.read_object(path / "run.json").keys()


def read(source: Path, problems: Problems) -> Iterator[Foreign]:
    """Its runs, in the order of the folders."""
    for path, _, names in walk(source, problems):
        if _is_run(path, names):
            yield from tolerant(problems, path, partial(_run, path, names, problems))


def _run(path: Path, names: list[str], problems: Problems) -> Foreign | None:
    hyperparameters = values_in(path / "config.json", problems)
    if hyperparameters is None:
        return None
    told = files.read_object(path / "run.json")
    about = told.get("experiment")
    title = about.get("name", "run") if isinstance(about, Mapping) else "run"
    started, ended = _time(told.get("start_time")), _time(told.get("stop_time"))
    trace = "".join(str(part) for part in told.get("fail_trace") or ())
    result = dict(metrics.numbers_in({"result": told.get("result")}))
    return Foreign(
        key=f"{TOOL}:{path}",
        name=f"{title}_{path.name}",
        source=path,
        hyperparameters=hyperparameters,
        lines=together(_points(path, names)),
        results={"best": result, "last": result},
        number=int(path.name) if path.name.isdigit() else None,
        point=_updates(told),
        status=_ENDS.get(str(told.get("status"))),
        open=told.get("status") == "RUNNING",
        last_line=failures.last_line(trace.encode("utf-8", "replace")),
        started=started,
        duration=ended - started if started is not None and ended is not None else None,
        log=path / "cout.txt" if "cout.txt" in names else None,
        facts={"status": told.get("status"), "result": told.get("result")},
    )


def _time(stamp: object) -> float | None:
    """Sacred's times are in UTC, and do not say so."""
    return unix_time(f"{stamp}Z") if isinstance(stamp, str) else None


def _updates(told: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = told.get("meta")
    updates = meta.get("config_updates") if isinstance(meta, Mapping) else None
    return updates if isinstance(updates, Mapping) else {}


def _points(path: Path, names: list[str]) -> Iterator[tuple[str, float, float | None, float]]:
    """Each value of `metrics.json`; names with dots (`val.accuracy`) are parts of a name."""
    told = files.read_object(path / "metrics.json") if "metrics.json" in names else {}
    for name, series in told.items():
        lists = (
            [series.get(k) for k in ("steps", "timestamps", "values")]
            if isinstance(series, Mapping)
            else []
        )
        if not all(isinstance(each, list) for each in lists):
            continue
        for step, time, value in zip(*lists, strict=False):
            if isinstance(step, (int, float)) and isinstance(value, (int, float)):
                yield name, float(step), _time(time), float(value)
