"""Import Sacred runs of the FileStorageObserver: `config.json`, `run.json`, `metrics.json`.

`importing` calls `recognizes` and `read`. A configuration may describe Python objects
(`py/object`). They are never created: such a value stays the JSON that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir._system.timestamps import unix_time
from modeldir.exchange.foreign_files import Problems, load_values, read_or_report, walk
from modeldir.exchange.foreign_run import ForeignRun, LoggedValue, lines_by_step
from modeldir.experiment import attempts, error_lines
from modeldir.metrics import metric_files

_STATUSES = {
    "COMPLETED": attempts.COMPLETED,
    "FAILED": attempts.FAILED,
    "INTERRUPTED": attempts.INTERRUPTED,
    "TIMEOUT": attempts.INTERRUPTED,
    "DIED": attempts.INTERRUPTED,
}


def recognizes(source: Path) -> bool:
    return any(_is_run(path, names) for path, _, names in walk(source, []))


def _is_run(path: Path, names: list[str]) -> bool:
    if not {"config.json", "run.json"} <= set(names):
        return False
    return {"heartbeat", "experiment", "status"} <= reading.read_object(path / "run.json").keys()


def read(source: Path, problems: Problems) -> Iterator[ForeignRun]:
    for path, _, names in walk(source, problems):
        if _is_run(path, names):
            yield from read_or_report(problems, path, partial(_run, path, names, problems))


def _run(path: Path, names: list[str], problems: Problems) -> ForeignRun | None:
    hyperparameters = load_values(path / "config.json", problems)
    if hyperparameters is None:
        return None
    run = reading.read_object(path / "run.json")
    experiment = run.get("experiment")
    title = experiment.get("name", "run") if isinstance(experiment, Mapping) else "run"
    started, ended = _time(run.get("start_time")), _time(run.get("stop_time"))
    trace = "".join(map(str, run.get("fail_trace") or ()))
    result = dict(metric_files.numbers_in({"result": run.get("result")}))
    return ForeignRun(
        key=f"sacred:{path}",
        name=f"{title}_{path.name}",
        source=path,
        hyperparameters=hyperparameters,
        lines=lines_by_step(_logged_values(path, names)),
        results={"best": result, "last": result},
        number=int(path.name) if path.name.isdigit() else None,
        configuration=_config_updates(run),
        status=_STATUSES.get(str(run.get("status"))),
        unfinished=run.get("status") == "RUNNING",
        last_line=error_lines.error_line(trace.encode("utf-8", "replace")),
        started=started,
        duration=ended - started if started is not None and ended is not None else None,
        log=path / "cout.txt" if "cout.txt" in names else None,
        facts={"status": run.get("status"), "result": run.get("result")},
    )


def _time(stamp: object) -> float | None:
    """Convert a time of Sacred, which is in UTC but has no time zone."""
    return unix_time(f"{stamp}Z") if isinstance(stamp, str) else None


def _config_updates(run: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = run.get("meta")
    updates = meta.get("config_updates") if isinstance(meta, Mapping) else None
    return updates if isinstance(updates, Mapping) else {}


def _logged_values(path: Path, names: list[str]) -> Iterator[LoggedValue]:
    """Yield each value of `metrics.json`; a series has a list of steps, of times and of values."""
    content = reading.read_object(path / "metrics.json") if "metrics.json" in names else {}
    for name, series in content.items():
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
