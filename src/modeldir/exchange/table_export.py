"""Export experiments as two tables, one of trials and one of curves, in CSV or Parquet.

`exporting.export` calls `write_csv` and `write_parquet`. Programs read these files, so nothing is
rounded, sorted by a metric, or left out.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from modeldir._system.text import value_cell
from modeldir._system.timestamps import utc_text
from modeldir.exchange.export_data import ExportData, ExportedExperiment
from modeldir.exchange.export_folder import ExportFolder
from modeldir.results.table import Column, Table
from modeldir.results.table_formats import to_csv
from modeldir.space import value_text

_CURVE_COLUMNS = ("experiment", "step", "time", "metric", "value")
_PARAMS = "params."


def write_csv(data: ExportData, out: ExportFolder) -> None:
    """Write `trials.csv` and `curves.csv`. A spreadsheet must not run a string as a formula."""
    columns = _trial_columns(data)
    cells = {n: [*map(value_cell, v)] if n.startswith(_PARAMS) else v for n, v in columns.items()}
    rows = zip(*cells.values(), strict=True)
    out.write("trials.csv", _csv(list(columns), rows))
    out.write("curves.csv", _csv(_CURVE_COLUMNS, _curve_rows(data)))


def write_parquet(data: ExportData, out: ExportFolder) -> None:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only Parquet needs it

    columns = {name: _typed_column(values) for name, values in _trial_columns(data).items()}
    out.write("trials.parquet", _parquet(pa.table(columns)))
    types = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.float64())
    schema = pa.schema(list(zip(_CURVE_COLUMNS, types, strict=True)))
    rows = list(_curve_rows(data))
    curves = {name: [row[index] for row in rows] for index, name in enumerate(_CURVE_COLUMNS)}
    out.write("curves.parquet", _parquet(pa.table(curves, schema=schema)))


def _trial_columns(data: ExportData) -> dict[str, list[Any]]:
    facts = [_facts(each) for each in data.experiments]
    columns: dict[str, list[Any]] = {name: [each[name] for each in facts] for name in facts[0]}
    for name in dict.fromkeys(name for each in data.experiments for name in each.hyperparameters):
        columns[_PARAMS + name] = [each.hyperparameters.get(name) for each in data.experiments]
    finals = [each.final_metrics() for each in data.experiments]
    for name in data.metric_names():
        columns[f"metrics.{name}"] = [each.get(name) for each in finals]
    return columns


def _facts(experiment: ExportedExperiment) -> dict[str, Any]:
    status = experiment.found.status
    return {
        "experiment": experiment.name,
        "number": experiment.found.number,
        "repeat": experiment.found.repeat,
        "group": experiment.group,
        "status": experiment.status,
        "failure": status.failure,
        "reason": status.reason,
        "started": utc_text(experiment.started) if status.started else None,
        "duration": status.duration,
    }


def _curve_rows(data: ExportData) -> Iterator[tuple[str, float, float | None, str, float]]:
    for each in data.experiments:
        for logged in each.curve():
            for name, value in logged.values.items():
                yield each.name, logged.step, logged.time, name, value


def _csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    columns = tuple(Column(name, "text") for name in headers)
    return to_csv(Table(columns, tuple(map(tuple, rows)))).encode("utf-8", "backslashreplace")


def _typed_column(values: list[Any]) -> Any:
    """Return a column of booleans, integers or floats, or of strings if the types differ."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only Parquet needs it

    types = {type(value) for value in values if value is not None}
    if types == {bool}:
        return pa.array(values, pa.bool_())
    if types == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if types and types <= {int, float}:
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
    import pyarrow.parquet  # noqa: PLC0415 - heavy, and only Parquet needs it

    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()
