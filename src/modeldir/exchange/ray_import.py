"""Import Ray Tune trials: folders with `params.json` and `result.json`, one result per line.

`importing` calls `recognizes` and `read`. The status comes from the state of the whole experiment.
Ray's pickles are never loaded, and the numbers that Ray adds to every result are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir._system.timestamps import unix_time
from modeldir.exchange.foreign_files import Problems, load_values, read_or_report, walk
from modeldir.exchange.foreign_run import ForeignRun, metric_name
from modeldir.experiment import attempts, error_lines
from modeldir.metrics import metric_files

_RESULT = "result.json"
_ADDED_BY_RAY = frozenset({
    "training_iteration", "time_total_s", "time_this_iter_s", "time_since_restore", "timestamp",
    "iterations_since_restore", "done", "trial_id", "date", "hostname", "node_ip", "pid", "config",
    "experiment_tag", "experiment_id", "episodes_total", "timesteps_total",
    "timesteps_since_restore", "warmup_time", "checkpoint_dir_name", "should_checkpoint", "auto",
})  # fmt: skip
_STATUSES = {"TERMINATED": attempts.COMPLETED, "ERROR": attempts.FAILED}


def recognizes(source: Path) -> bool:
    return any({"params.json", _RESULT} <= set(names) for _, _, names in walk(source, []))


def read(source: Path, problems: Problems) -> Iterator[ForeignRun]:
    statuses: dict[str, str] = {}
    for path, _, names in walk(source, problems):
        for name in names:
            if name.startswith("experiment_state") and name.endswith(".json"):
                statuses.update(_trial_statuses(path / name))
        if {"params.json", _RESULT} <= set(names):
            read = partial(_run, path, names, statuses, problems)
            yield from read_or_report(problems, path, read)


def _trial_statuses(path: Path) -> dict[str, str]:
    """Return each trial's status by its id, from a JSON list of strings that are JSON again."""
    trials = reading.read_object(path).get("trial_data")
    statuses = {}
    for entry in trials if isinstance(trials, list) else ():
        text = entry[0] if isinstance(entry, list) and entry else entry
        try:
            trial = json.loads(text) if isinstance(text, str) else text
            statuses[str(trial["trial_id"])] = str(trial["status"])
        except (ValueError, KeyError, TypeError):
            continue
    return statuses


def _run(
    path: Path, names: list[str], statuses: Mapping[str, str], problems: Problems
) -> ForeignRun | None:
    hyperparameters = load_values(path / "params.json", problems)
    if hyperparameters is None:
        return None
    results = reading.read_lines(path / _RESULT, reading.FOREIGN)
    last: Mapping[str, Any] = results[-1] if results else {}
    key = str(last.get("trial_id") or path.name)
    times = [time for each in results if (time := unix_time(each.get("timestamp"))) is not None]
    total = last.get("time_total_s")
    total = float(total) if isinstance(total, (int, float)) else None
    trace = (reading.read_bytes(path / "error.txt") or b"").strip()
    status = attempts.FAILED if trace else _STATUSES.get(statuses.get(key, ""))
    if status is None and last.get("done") is True:
        status = attempts.COMPLETED
    return ForeignRun(
        key=f"ray:{path.parent.name}:{key}",
        name=path.name,
        source=path,
        hyperparameters=hyperparameters,
        lines=[_line(each, number) for number, each in enumerate(results, 1)],
        status=status,
        unfinished=status is None,
        last_line=error_lines.error_line(trace),
        started=times[-1] - total if times and total is not None else None,
        duration=total,
        log=path / "stdout" if "stdout" in names else None,
        facts={"trial_id": key, "status": statuses.get(key), "experiment": path.parent.name},
    )


def _line(result: Mapping[str, Any], number: int) -> dict[str, float]:
    own = {name: value for name, value in result.items() if name not in _ADDED_BY_RAY}
    values = {metric_name(name): value for name, value in metric_files.numbers_in(own)}
    step = result.get("training_iteration")
    line: dict[str, float] = {"step": step if isinstance(step, int) else number}
    time = unix_time(result.get("timestamp"))
    return {**line, **({} if time is None else {"time": time}), **values}
