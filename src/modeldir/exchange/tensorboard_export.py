"""Experiments as TensorBoard's event files, with the table of its HParams plugin.

It knows which tags TensorBoard shows where. It refuses to know how event files are written
(`tfevents` does), and needs no TensorBoard.

    OUT/events...              the columns of HParams
    OUT/TRIAL/events...        hyperparameters, how it ended, each metric by step
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modeldir.exchange import tfevents
from modeldir.exchange.target import Place
from modeldir.exchange.trials import Gathered, Row
from modeldir.experiment import attempts
from modeldir.space import value_text

LONGEST = 1000
"""Characters of a text among hyperparameters: HParams shows each in a cell."""

_ENDS = {attempts.COMPLETED: tfevents.SUCCESS, attempts.FAILED: tfevents.FAILURE}


def write(gathered: Gathered, place: Place) -> None:
    """All of it. What lies there as it should is left alone.

    Raises:
        OSError: when it cannot be written.
    """
    time = min((row.begun for row in gathered.rows), default=0.0)
    columns = tfevents.plugin(time, tfevents.EXPERIMENT, _columns(gathered))
    place.write(tfevents.OURS, tfevents.header(time) + columns)
    for row in gathered.rows:
        place.write(f"{row.name}/{tfevents.OURS}", b"".join(_records(row)))


def _columns(gathered: Gathered) -> bytes:
    """The hyperparameters that vary, and the metrics that count."""
    names = gathered.varied() or list(
        dict.fromkeys(name for row in gathered.rows for name in row.hyperparameters)
    )
    kinds = {
        name: _kind([row.hyperparameters.get(name) for row in gathered.rows]) for name in names
    }
    tags = {_tag(name): name for name in gathered.metric_names()}
    return tfevents.experiment(gathered.folder.resolve().name, kinds, tags)


def _kind(values: list[Any]) -> type:
    kinds = {type(_plain(value)) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else str


def _plain(value: Any) -> bool | float | str:
    """A hyperparameter as HParams can have it: true or false, a number, a text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return str(value)
    text = value_text(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _tag(name: str) -> str:
    """`accuracy` is a series, `best/accuracy` the value that counts; `test/accuracy` is one."""
    return name if name.startswith(("test/", "train/", "last/")) else f"{tfevents.BEST}/{name}"


def _records(row: Row) -> Iterator[bytes]:
    yield tfevents.header(row.begun)
    values = {key: _plain(value) for key, value in row.hyperparameters.items()}
    start = tfevents.session_start(values, row.group, row.begun, str(row.found.path.absolute()))
    yield tfevents.plugin(row.begun, tfevents.SESSION_START, start)
    last = 0.0
    for point in row.series():
        last = max(last, point.step)
        time = row.begun if point.time is None else point.time
        yield tfevents.scalars(time, int(point.step), point.values)
    final = {_tag(name): value for name, value in row.numbers().items()}
    if final:
        yield tfevents.scalars(row.ended, int(last), final)
    end = tfevents.session_end(_ENDS.get(row.state, tfevents.UNKNOWN), row.ended)
    yield tfevents.plugin(row.ended, tfevents.SESSION_END, end)
