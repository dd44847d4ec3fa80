"""Ray Tune's trials: each folder with `params.json` and `result.json`, which has a result a line.

It knows which of a result's numbers Ray adds itself, and where the state of a whole experiment is
told in JSON. It refuses to load the pickles that lie beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir._system.timestamps import unix_time
from modeldir.exchange.foreign_files import Problems, tolerant, values_in, walk
from modeldir.exchange.foreign_run import Foreign, metric_name
from modeldir.experiment import attempts, failures
from modeldir.metrics import metrics

TOOL = "ray"
_RESULT = "result.json"
_ADDED = frozenset({
    "training_iteration", "time_total_s", "time_this_iter_s", "time_since_restore", "timestamp",
    "iterations_since_restore", "done", "trial_id", "date", "hostname", "node_ip", "pid", "config",
    "experiment_tag", "experiment_id", "episodes_total", "timesteps_total",
    "timesteps_since_restore", "warmup_time", "checkpoint_dir_name", "should_checkpoint", "auto",
})  # fmt: skip
_ENDS = {"TERMINATED": attempts.COMPLETED, "ERROR": attempts.FAILED}


def recognizes(source: Path) -> bool:
    """Whether a trial of Ray's lies in or below a folder."""
    return any({"params.json", _RESULT} <= set(names) for _, _, names in walk(source, []))


def read(source: Path, problems: Problems) -> Iterator[Foreign]:
    """Its trials, in the order of the folders."""
    states: dict[str, str] = {}
    for path, _, names in walk(source, problems):
        for name in names:
            if name.startswith("experiment_state") and name.endswith(".json"):
                states.update(_states(path / name))
        if {"params.json", _RESULT} <= set(names):
            yield from tolerant(problems, path, partial(_run, path, names, states, problems))


def _states(path: Path) -> dict[str, str]:
    """The status of each trial by its id: a list of texts that are JSON, in JSON."""
    told = files.read_object(path).get("trial_data")
    found = {}
    for entry in told if isinstance(told, list) else ():
        text = entry[0] if isinstance(entry, list) and entry else entry
        try:
            trial = json.loads(text) if isinstance(text, str) else text
            found[str(trial["trial_id"])] = str(trial["status"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _run(
    path: Path, names: list[str], states: Mapping[str, str], problems: Problems
) -> Foreign | None:
    hyperparameters = values_in(path / "params.json", problems)
    if hyperparameters is None:
        return None
    results = files.read_lines(path / _RESULT)
    last: Mapping[str, Any] = results[-1] if results else {}
    key = str(last.get("trial_id") or path.name)
    times = [time for each in results if (time := unix_time(each.get("timestamp"))) is not None]
    total = last.get("time_total_s")
    total = float(total) if isinstance(total, (int, float)) else None
    trace = (files.read_bytes(path / "error.txt") or b"").strip()
    status = attempts.FAILED if trace else _ENDS.get(states.get(key, ""))
    if status is None and last.get("done") is True:
        status = attempts.COMPLETED
    return Foreign(
        key=f"{TOOL}:{path.parent.name}:{key}",
        name=path.name,
        source=path,
        hyperparameters=hyperparameters,
        lines=[_line(each, place) for place, each in enumerate(results, 1)],
        status=status,
        open=status is None,
        last_line=failures.last_line(trace),
        started=times[-1] - total if times and total is not None else None,
        duration=total,
        log=path / "stdout" if "stdout" in names else None,
        facts={"trial_id": key, "status": states.get(key), "experiment": path.parent.name},
    )


def _line(result: Mapping[str, Any], place: int) -> dict[str, float]:
    kept = {name: value for name, value in result.items() if name not in _ADDED}
    numbers = {metric_name(name): value for name, value in metrics.numbers_in(kept)}
    step = result.get("training_iteration")
    line: dict[str, float] = {"step": step if isinstance(step, int) else place}
    time = unix_time(result.get("timestamp"))
    return {**line, **({} if time is None else {"time": time}), **numbers}
