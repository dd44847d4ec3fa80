"""Experiments as two tables in files: one of trials, one of all their curves; CSV or Parquet.

It knows the columns and what they are made of. It refuses to round, to sort by a metric, or to
choose columns: programs read these files.

    trials    experiment, number, repeat, group, status, failure, reason, started, duration,
              then `params.NAME`, then `metrics.NAME` (`metrics.test/accuracy`)
    curves    experiment, step, time, metric, value: a line a number
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from modeldir._system.text import value_cell
from modeldir._system.timestamps import stamp
from modeldir.exchange.target import Place
from modeldir.exchange.trials import Gathered, Row
from modeldir.results.table import Column, Table
from modeldir.results.table_formats import to_csv
from modeldir.space import value_text

_CURVES = ("experiment", "step", "time", "metric", "value")
_FACTS = (
    "experiment", "number", "repeat", "group", "status", "failure", "reason", "started",
    "duration",
)  # fmt: skip
PARAMS = "params."
_WHOLE = 2**63


def write_csv(gathered: Gathered, place: Place) -> None:
    """`trials.csv` and `curves.csv`. A text that a spreadsheet would run as a formula gets an
    apostrophe before it.

    Raises:
        OSError: when they cannot be written.
    """
    columns = _trials(gathered)
    cells = {n: [*map(value_cell, v)] if n.startswith(PARAMS) else v for n, v in columns.items()}
    rows = zip(*cells.values(), strict=True)
    place.write("trials.csv", _csv(list(columns), rows))
    place.write("curves.csv", _csv(_CURVES, _curves(gathered)))


def write_parquet(gathered: Gathered, place: Place) -> None:
    """`trials.parquet` and `curves.parquet`, each column of one kind.

    Raises:
        OSError: when they cannot be written.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy, and nobody else needs it

    columns = {name: _column(values) for name, values in _trials(gathered).items()}
    place.write("trials.parquet", _parquet(pa.table(columns)))
    kinds = [("step", pa.float64()), ("time", pa.float64()), ("value", pa.float64())]
    texts = [("experiment", pa.string()), ("metric", pa.string())]
    schema = pa.schema(sorted([*kinds, *texts], key=lambda pair: _CURVES.index(pair[0])))
    lines = list(_curves(gathered))
    data = {name: [line[index] for line in lines] for index, name in enumerate(_CURVES)}
    place.write("curves.parquet", _parquet(pa.table(data, schema=schema)))


def _trials(gathered: Gathered) -> dict[str, list[Any]]:
    """Each column's values, in the order of the rows."""
    rows = gathered.rows
    facts = [_facts(row) for row in rows]
    columns: dict[str, list[Any]] = {name: [each[name] for each in facts] for name in _FACTS}
    for name in dict.fromkeys(name for row in rows for name in row.hyperparameters):
        columns[PARAMS + name] = [row.hyperparameters.get(name) for row in rows]
    numbers = [row.numbers() for row in rows]
    for name in gathered.metric_names():
        columns[f"metrics.{name}"] = [each.get(name) for each in numbers]
    return columns


def _facts(row: Row) -> dict[str, Any]:
    status = row.found.status
    return {
        "experiment": row.name,
        "number": row.found.number,
        "repeat": row.found.repeat,
        "group": row.group,
        "status": row.state,
        "failure": status.failure,
        "reason": status.reason,
        "started": stamp(row.begun) if status.started else None,
        "duration": status.duration,
    }


def _curves(gathered: Gathered) -> Iterator[tuple[str, float, float | None, str, float]]:
    for row in gathered.rows:
        for point in row.series():
            for name, value in point.values.items():
                yield row.name, point.step, point.time, name, value


# -- Files -----------------------------------------------------------------------------------------


def _csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    columns = tuple(Column(name, "text") for name in headers)
    return to_csv(Table(columns, tuple(map(tuple, rows)))).encode("utf-8", "backslashreplace")


def _column(values: list[Any]) -> Any:
    """A column of one kind: whole numbers, numbers, true and false, else text."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value is None or abs(value) < _WHOLE for value in values):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if v is None else _float(v) for v in values], pa.float64())
    return pa.array([None if v is None else _encodable(v) for v in values], pa.string())


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _encodable(value: Any) -> str:
    return value_text(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _parquet(table: Any) -> bytes:
    import pyarrow.parquet  # noqa: PLC0415 - heavy

    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()
