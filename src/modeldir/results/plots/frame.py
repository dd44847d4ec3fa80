"""What a figure shows: the experiments as rows, their hyperparameters as axes, one metric.

It takes what the report computes: which axis is logarithmic, how important each hyperparameter is.
The repeats of a point are one row, with their mean and how they scatter. It refuses to draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir._system.text import cell_text
from modeldir._system.timestamps import unix_time
from modeldir.errors import ModeldirError, did_you_mean
from modeldir.experiment import attempts, repeats
from modeldir.metrics import metrics
from modeldir.params.plain_values import SEED
from modeldir.results.report import axis_scales, encoding
from modeldir.results.report.axis_scales import DeclaredRange
from modeldir.results.report.provenance import adaptive_samplers
from modeldir.search import importance as importances

if TYPE_CHECKING:
    from modeldir.results.experiment_tree import Found, Tree
    from modeldir.search.importance import Importance

_NOTHING = "Nothing was drawn."
_FEW = 12
"""Numbers beside texts are texts too, as long as there are no more values than this."""


@dataclass(frozen=True)
class Axis:
    """One hyperparameter: a value for each row, None where it has none. `options` are the values of
    one that is no number, in the order in which they stand.
    """

    name: str
    values: tuple[Any, ...]
    log: bool = False
    low: float | None = None
    high: float | None = None
    options: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        return not self.options

    def places(self) -> list[float]:
        """Where each row stands on the axis: numbers as they are, others by their place among the
        options; NaN where there is none.
        """
        if self.is_numeric:
            return [math.nan if value is None else float(value) for value in self.values]
        place = {option: float(index) for index, option in enumerate(self.options)}
        return [math.nan if value is None else place[value] for value in self.values]


@dataclass(frozen=True)
class Row:
    """A point: what it scored, None where it did not end well or has no finite value."""

    name: str
    value: float | None
    deviation: float | None = None
    number: int | None = None
    started: float | None = None
    is_failed: bool = False
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Frame:
    """All of it. `axes` are in the order of their importance; `unranked` are those beyond doubt
    without any: too few trials.
    """

    title: str
    metric: str
    way: metrics.Direction | None
    rows: tuple[Row, ...]
    axes: tuple[Axis, ...]
    shares: tuple[Importance, ...] = ()
    adaptive: tuple[str, ...] = ()
    labels: tuple[str, ...] = field(default=())

    @property
    def values(self) -> list[float]:
        """Of those that have one."""
        return [row.value for row in self.rows if row.value is not None]

    @property
    def ends(self) -> list[float]:
        """The values, and where they reach by their scatter over repeats."""
        known = [row for row in self.rows if row.value is not None]
        both = [(row.value or 0.0, row.deviation or 0.0) for row in known]
        return [end for value, by in both for end in ((value - by, value + by) if by else (value,))]

    @property
    def sign(self) -> float:
        """What a value is multiplied by, so that the best is the lowest."""
        return 1.0 if self.way == "minimize" else -1.0

    def best(self) -> int | None:
        """The place of the best row; None where no way says which."""
        known = [(row.value, row.number, i) for i, row in enumerate(self.rows)]
        return metrics.best_of(known, self.way) if self.way else None

    def axes_named(self, names: Sequence[str], most: int) -> list[Axis]:
        """The axes with these names, by default the most important.

        Raises:
            ModeldirError: for a name that does not vary; with the nearest.
        """
        by_name = {axis.name: axis for axis in self.axes}
        missing = [name for name in names if name not in by_name]
        if missing:
            known = list(by_name)
            problems = [
                (
                    f"{name!r} is no hyperparameter that varies",
                    did_you_mean(name, known) or f"there are {', '.join(known) or 'none'}",
                )
                for name in missing
            ]
            raise ModeldirError(f"{self.title} cannot be drawn:", problems, _NOTHING)
        return [by_name[name] for name in names] if names else list(self.axes[:most])


def read(tree: Tree, metric: str | None = None) -> Frame:
    """What is drawn of a tree.

    Raises:
        ModeldirError: when there is no experiment with such a metric.
    """
    title = tree.folder.resolve().name or str(tree.folder)
    name, way = _metric(tree, metric, title)
    found = tree.rows()
    rows = tuple(_row(each, name) for each in found)
    domains = axis_scales.declared_ranges(
        axis_scales.read_plans(dict.fromkeys(each.path.parent for each in tree.found))
    )
    axes = tuple(_axes(found, domains))
    scores = [row.value for row in rows]
    shares = importances.importances(
        {axis.name: _plain(axis.values) for axis in axes}, scores
    )  # the most important first
    by_name = {axis.name: axis for axis in axes}
    made = adaptive_samplers(_sampler(each) for each in found)
    ordered = tuple(by_name[share.name] for share in shares)
    return Frame(
        title, name, way, rows, ordered, tuple(shares), tuple(made), tuple(_labels(ordered))
    )


def _sampler(found: Found) -> str | None:
    told = files.read_object(found.path / "trial.json") if found.number is not None else {}
    sampler = told.get("sampler")
    return sampler if isinstance(sampler, str) else None


def _plain(values: Sequence[Any]) -> list[object]:
    return [str(value) if isinstance(value, (list, dict)) else value for value in values]


def _metric(tree: Tree, asked: str | None, title: str) -> tuple[str, metrics.Direction | None]:
    known = list(dict.fromkeys(name for each in tree.found for name in each.scores.development))
    if asked is not None and asked in known:
        return asked, dict(tree.objectives).get(asked) or metrics.direction(asked)
    if asked is None and tree.metric is not None:
        return tree.metric
    if not tree.found:
        problem, hint = "there is no experiment in it", "modeldir init PROJECT makes one"
    elif asked is not None:
        problem = f"no experiment has the metric {asked!r}"
        hint = did_you_mean(asked, known) or f"there are {', '.join(known) or 'none'}"
    elif known:
        problem, hint = "which metric?", f"--metric, one of {', '.join(known)}"
    else:
        problem, hint = "no experiment has a metric yet", f"modeldir show {quoted(tree.folder)}"
    raise ModeldirError(f"{title} cannot be drawn:", [(problem, hint)], _NOTHING)


def _row(found: Found, metric: str) -> Row:
    value = found.value(metric)
    members = found.counted()
    several = [each.scores.development.get(metric) for each in members]
    deviation = repeats.standard_deviation([each for each in several if each is not None])
    return Row(
        found.name,
        value if value is not None and math.isfinite(value) else None,
        deviation if deviation is not None and math.isfinite(deviation) else None,
        found.number,
        unix_time(found.status.started),
        found.status.state == attempts.FAILED or (value is not None and not math.isfinite(value)),
        tuple(each.path for each in (members or (found,))),
    )


def _axes(found: Sequence[Found], domains: Mapping[str, DeclaredRange]) -> Iterator[Axis]:
    """Each hyperparameter that varies; the seed tells nothing that is to be seen."""
    used = [each.used() or {} for each in found]
    for name in dict.fromkeys(name for values in used for name in values if name != SEED):
        values = [encoding.unmarked(each.get(name)) for each in used]
        if len({_text(value) for value in values}) > 1:
            yield _axis(name, values, domains.get(name, DeclaredRange()))


def _axis(name: str, values: Sequence[object], domain: DeclaredRange) -> Axis:
    there = [value for value in values if value is not None]
    numbers = [float(v) for v in there if encoding.is_number(v) and _fits(v)]  # type: ignore[arg-type]
    texts = {_text(value) for value in there}
    if len(numbers) == len(there) or (numbers and len(texts) > _FEW):
        kept = tuple(v if encoding.is_number(v) and _fits(v) else None for v in values)
        return Axis(
            name,
            kept,
            axis_scales.is_log_hyperparameter(numbers, domain),
            domain.low,
            domain.high,
        )
    order = [text for value in domain.options if (text := _text(value)) in texts]
    options = (*dict.fromkeys(order), *sorted(texts - {*order}))
    return Axis(name, tuple(None if v is None else _text(v) for v in values), options=options)


def _fits(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _text(value: object) -> str:
    return value if isinstance(value, str) else cell_text(value)


def _labels(axes: Sequence[Axis]) -> Iterator[str]:
    """Each row by its values: what a legend says."""
    for place in range(len(axes[0].values) if axes else 0):
        told = [f"{axis.name} {_short(axis.values[place])}" for axis in axes[:3]]
        yield ", ".join(told)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else encoding.short(_text(value), 20)
