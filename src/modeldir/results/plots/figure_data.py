"""The data of a figure: rows (experiments), axes (hyperparameters) and one metric.

`kinds` calls `read`, and every kind draws the `FigureData`. Repeats of one configuration are one
row. Scales and importances are computed as for the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir._system.shell import quoted
from modeldir._system.timestamps import unix_time
from modeldir.errors import ModeldirError, did_you_mean
from modeldir.experiment import attempts, repeats
from modeldir.metrics import metric_names, objective
from modeldir.params.plain_values import SEED
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow
from modeldir.results.report import axis_scales, encoding
from modeldir.results.report.axis_scales import DeclaredRange
from modeldir.results.report.provenance import adaptive_samplers
from modeldir.search import importance
from modeldir.search.importance import Importance

_STATE = "Nothing was drawn."
_MOST_CATEGORIES = 12
"""Numbers and strings together are categories if there are at most this many values."""
_LARGEST = 1e100
"""No axis shows larger numbers: differences and ratios of such numbers overflow in matplotlib."""


@dataclass(frozen=True)
class FigureAxis:
    """One hyperparameter with a value for each row; `categories` if they are no numbers."""

    name: str
    values: tuple[Any, ...]
    log: bool = False
    categories: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        return not self.categories

    def positions(self) -> list[float]:
        """Return each row's position: its number, or the index of its category; NaN without one."""
        if self.is_numeric:
            numbers = [None if value is None else drawable(value) for value in self.values]
            return [math.nan if number is None else number for number in numbers]
        index = {category: float(i) for i, category in enumerate(self.categories)}
        return [math.nan if value is None else index[value] for value in self.values]


@dataclass(frozen=True)
class FigureRow:
    """A configuration and its value, None if it did not end well or no axis can show its value."""

    name: str
    value: float | None
    deviation: float | None = None
    number: int | None = None
    started: float | None = None
    is_failed: bool = False
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FigureData:
    """All data of a figure; the most important hyperparameters come first."""

    title: str
    metric: str
    direction: objective.Direction | None
    rows: tuple[FigureRow, ...]
    axes: tuple[FigureAxis, ...]
    importances: tuple[Importance, ...] = ()
    adaptive: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def values(self) -> list[float]:
        return [row.value for row in self.rows if row.value is not None]

    @property
    def values_with_deviations(self) -> list[float]:
        """The values; for repeats both ends of the standard deviation."""
        known = [row for row in self.rows if row.value is not None]
        pairs = [(row.value or 0.0, row.deviation or 0.0) for row in known]
        return [end for value, d in pairs for end in ((value - d, value + d) if d else (value,))]

    @property
    def sign(self) -> float:
        return 1.0 if self.direction == "minimize" else -1.0

    def best(self) -> int | None:
        """Return the index of the best row, None if the metric has no direction."""
        known = [(row.value, row.number, i) for i, row in enumerate(self.rows)]
        return objective.best_of(known, self.direction) if self.direction else None

    def axes_named(self, names: Sequence[str], most: int) -> list[FigureAxis]:
        """Return the axes with these names, by default the most important, at most `most`."""
        by_name = {axis.name: axis for axis in self.axes}
        known = ", ".join(by_name) or "none"
        problems: list[tuple[str, str | None]] = [
            (
                f"no hyperparameter {name!r} varies in these experiments",
                did_you_mean(name, list(by_name)) or f"these vary: {known}",
            )
            for name in names
            if name not in by_name
        ]
        if problems:
            raise self.error(*problems)
        self.check_values()
        if not self.axes:
            raise self.error(("no hyperparameter varies", None))
        return [by_name[name] for name in names] if names else list(self.axes[:most])

    def check_values(self) -> None:
        if not self.values:
            raise self.error((f"no experiment that ended well has {self.metric!r}", None))

    def error(self, *problems: tuple[str, str | None]) -> ModeldirError:
        return ModeldirError(f"{self.title} cannot be drawn:", problems, _STATE)


def drawable(value: Any) -> float | None:
    """Return a number as an axis can show it; None if it is not finite or too large."""
    try:
        number = float(value)
    except OverflowError:
        return None
    if not abs(number) <= _LARGEST:
        return None
    return number if abs(number) >= 1 / _LARGEST else 0.0


def read(tree: Tree, metric: str | None = None) -> FigureData:
    title = tree.folder.resolve().name or str(tree.folder)
    name, direction = _metric(tree, metric, title)
    found = tree.rows()
    rows = tuple(_row(each, name) for each in found)
    searches = dict.fromkeys(each.path.parent for each in tree.experiments)
    ranges = axis_scales.declared_ranges(axis_scales.read_plans(searches))
    axes = {axis.name: axis for axis in _axes(found, ranges)}
    columns = {name: axis.values for name, axis in axes.items()}
    importances = tuple(importance.importances(columns, [row.value for row in rows]))
    ordered = tuple(axes[each.name] for each in importances)
    adaptive = tuple(adaptive_samplers(_sampler(each) for each in found))
    labels = tuple(_labels(ordered))
    return FigureData(title, name, direction, rows, ordered, importances, adaptive, labels)


def _sampler(found: ExperimentRow) -> str | None:
    trial = reading.read_object(found.path / "trial.json") if found.number is not None else {}
    sampler = trial.get("sampler")
    return sampler if isinstance(sampler, str) else None


def _metric(tree: Tree, wanted: str | None, title: str) -> tuple[str, objective.Direction | None]:
    known = list(
        dict.fromkeys(name for each in tree.experiments for name in each.scores.validation)
    )
    if wanted is not None and wanted in known:
        return wanted, dict(tree.objectives).get(wanted) or metric_names.direction(wanted)
    if wanted is None and tree.metric is not None:
        return tree.metric
    if not tree.experiments:
        problem, hint = "there is no experiment in it", "modeldir init PROJECT makes one"
    elif wanted is not None:
        problem = f"no experiment has the metric {wanted!r}"
        hint = did_you_mean(wanted, known) or f"there are {', '.join(known) or 'none'}"
    elif known:
        problem, hint = "which metric?", f"--metric, one of {', '.join(known)}"
    else:
        problem, hint = "no experiment has a metric yet", f"modeldir show {quoted(tree.folder)}"
    raise ModeldirError(f"{title} cannot be drawn:", [(problem, hint)], _STATE)


def _row(found: ExperimentRow, metric: str) -> FigureRow:
    value = found.value(metric)
    members = found.counted()
    values = [each.scores.validation.get(metric) for each in members]
    deviation = repeats.standard_deviation([each for each in values if each is not None])
    shown = None if value is None else drawable(value)
    return FigureRow(
        found.name,
        shown,
        None if deviation is None else drawable(deviation),
        found.number,
        unix_time(found.status.started),
        found.status.state == attempts.FAILED or (value is not None and shown is None),
        tuple(each.path for each in (members or (found,))),
    )


def _axes(
    found: Sequence[ExperimentRow], ranges: Mapping[str, DeclaredRange]
) -> Iterator[FigureAxis]:
    used = [each.used() or {} for each in found]
    for name in dict.fromkeys(name for values in used for name in values if name != SEED):
        values = [encoding.unmarked(each.get(name)) for each in used]
        if len({encoding.text(value) for value in values}) > 1:
            yield _axis(name, values, ranges.get(name, DeclaredRange()))


def _axis(name: str, values: Sequence[object], declared: DeclaredRange) -> FigureAxis:
    known = [value for value in values if value is not None]
    numbers = [n for v in known if encoding.is_number(v) and (n := drawable(v)) is not None]
    texts = {encoding.text(value) for value in known}
    if len(numbers) == len(known) or (numbers and len(texts) > _MOST_CATEGORIES):
        kept = tuple(
            v if encoding.is_number(v) and drawable(v) is not None else None for v in values
        )
        return FigureAxis(name, kept, axis_scales.is_log_hyperparameter(numbers, declared))
    order = [text for value in declared.options if (text := encoding.text(value)) in texts]
    categories = (*dict.fromkeys(order), *sorted(texts - {*order}))
    return FigureAxis(
        name, tuple(None if v is None else encoding.text(v) for v in values), categories=categories
    )


def _labels(axes: Sequence[FigureAxis]) -> Iterator[str]:
    for index in range(len(axes[0].values) if axes else 0):
        yield ", ".join(f"{axis.name} {_short(axis.values[index])}" for axis in axes[:3])


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else encoding.short(encoding.text(value), 20)
