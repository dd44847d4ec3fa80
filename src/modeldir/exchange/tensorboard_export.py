"""Export experiments as TensorBoard event files, with the table of the HParams plugin.

`exporting.export` calls `write`. TensorBoard does not have to be installed: `tfevents` writes one
file for the columns of HParams, and one in a folder for each trial.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modeldir.exchange.export_data import ExportData, ExportedExperiment
from modeldir.exchange.export_folder import ExportFolder
from modeldir.experiment import attempts
from modeldir.metrics import tfevents
from modeldir.space import value_text

_LONGEST_STRING = 1000
"""Characters of a hyperparameter: HParams shows each in a table cell."""

_STATUSES = {attempts.COMPLETED: tfevents.SUCCESS, attempts.FAILED: tfevents.FAILURE}


def write(data: ExportData, out: ExportFolder) -> None:
    time = min((each.started for each in data.experiments), default=0.0)
    columns = tfevents.plugin(time, tfevents.EXPERIMENT, _columns(data))
    out.write(tfevents.FILE_NAME, tfevents.header(time) + columns)
    for each in data.experiments:
        out.write(f"{each.name}/{tfevents.FILE_NAME}", b"".join(_records(each)))


def _columns(data: ExportData) -> bytes:
    """Return the columns of HParams: the varying hyperparameters and the final metrics."""
    experiments = data.experiments
    names = data.varying() or dict.fromkeys(n for each in experiments for n in each.hyperparameters)
    types = {n: _type([each.hyperparameters.get(n) for each in experiments]) for n in names}
    tags = {_tag(name): name for name in data.metric_names()}
    return tfevents.experiment(data.folder.resolve().name, types, tags)


def _type(values: list[Any]) -> type:
    types = {type(_hparam(value)) for value in values if value is not None}
    return types.pop() if len(types) == 1 else str


def _hparam(value: Any) -> tfevents.HParam:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return str(value)
    text = value_text(value)
    return text if len(text) <= _LONGEST_STRING else text[: _LONGEST_STRING - 1] + "…"


def _tag(name: str) -> str:
    """Return the tag of a final metric; the curve of `accuracy` has the tag `accuracy` already."""
    return name if name.startswith(("test/", "train/", "last/")) else f"{tfevents.BEST}/{name}"


def _records(experiment: ExportedExperiment) -> Iterator[bytes]:
    started, ended = experiment.started, experiment.ended
    path = str(experiment.found.path.absolute())
    yield tfevents.header(started)
    values = {name: _hparam(value) for name, value in experiment.hyperparameters.items()}
    start = tfevents.session_start(values, experiment.group, started, path)
    yield tfevents.plugin(started, tfevents.SESSION_START, start)
    last = 0.0
    for logged in experiment.curve():
        last = max(last, logged.step)
        time = started if logged.time is None else logged.time
        yield tfevents.scalars(time, int(logged.step), logged.values)
    final = {_tag(name): value for name, value in experiment.final_metrics().items()}
    if final:
        yield tfevents.scalars(ended, int(last), final)
    end = tfevents.session_end(_STATUSES.get(experiment.status, tfevents.UNKNOWN), ended)
    yield tfevents.plugin(ended, tfevents.SESSION_END, end)
