"""The columns of the page: metrics, times, hyperparameters and facts such as the host.

`page_data` calls `columns` once. A column holds a value for each experiment, in the order of the
tree, and says what its axis looks like. Columns are much smaller than rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from modeldir._system.text import Marked
from modeldir.experiment import experiment
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow
from modeldir.results.report import encoding
from modeldir.results.report.axis_scales import (
    DeclaredRange,
    is_log_hyperparameter,
    looks_logarithmic,
)
from modeldir.results.report.encoding import Json
from modeldir.results.report.provenance import Origin
from modeldir.results.table_columns import direction_of

Labels: TypeAlias = "Mapping[tuple[str, str], str]"
"""The label of each column, by kind and name: a hyperparameter may have a metric's name."""

_Column: TypeAlias = "tuple[str, str, dict[str, Json]]"

DIRECTIONS = {"maximize": "max", "minimize": "min"}
"""How the page calls the two directions."""


def columns(
    tree: Tree,
    origins: Sequence[Origin],
    ranges: Mapping[str, DeclaredRange],
    hyperparameters: Sequence[Mapping[str, object]],
) -> tuple[list[Json], Labels]:
    made = [
        *_metric_columns(tree),
        *_hyperparameter_columns(hyperparameters, ranges),
        *_fact_columns(tree.experiments, origins),
    ]
    labels = encoding.labels([name for _, name, _ in made])
    encoded = [
        {"name": label, "kind": kind, **content, "varies": _varies(content)}
        for label, (kind, _, content) in zip(labels, made, strict=True)
    ]
    keys = [(kind, name) for kind, name, _ in made]
    return encoded, dict(zip(keys, labels, strict=True))


def _varies(content: Mapping[str, Json]) -> bool:
    """Return whether a column has two different values, or one that is missing somewhere."""
    if "dict" in content:
        return len(set(content["i"])) > 1
    values = content["v"]
    return any(each != values[0] for each in values)


def _metric_columns(tree: Tree) -> Iterator[_Column]:
    yield from _metrics(tree, "metric", "", lambda scores: scores.validation)
    yield from _metrics(tree, "other", "test ", lambda scores: scores.test)
    yield from _metrics(tree, "other", "train ", lambda scores: scores.train)
    durations = [each.status.duration for each in tree.experiments]
    if any(each is not None for each in durations):
        yield "time", "duration", {"v": encoding.numbers(durations), "log": _is_log(durations)}


def _metrics(
    tree: Tree,
    kind: str,
    prefix: str,
    of_split: Callable[[experiment.Scores], Mapping[str, float]],
) -> Iterator[_Column]:
    values = [of_split(each.scores) for each in tree.experiments]
    ranked = dict(tree.objectives)
    names = dict.fromkeys(name for each in values for name in each)
    for name in [*filter(names.__contains__, ranked), *(n for n in names if n not in ranked)]:
        column = [each.get(name) for each in values]
        direction = direction_of(tree, name)
        content = {
            "v": encoding.numbers(column),
            "log": _is_log(column),
            "dir": DIRECTIONS[direction] if direction else None,
        }
        yield kind, prefix + name, content


def _is_log(column: Sequence[float | None]) -> bool:
    return looks_logarithmic([value for value in column if value is not None])


def _hyperparameter_columns(
    used: Sequence[Mapping[str, object]], ranges: Mapping[str, DeclaredRange]
) -> Iterator[_Column]:
    for name in dict.fromkeys(name for values in used for name in values):
        values = [each.get(name) for each in used]
        declared = ranges.get(name, DeclaredRange())
        content = encoding.column(values, declared.options)
        if "v" in content:
            known = [each for each in content["v"] if encoding.is_number(each)]
            content |= {"log": is_log_hyperparameter(known, declared)}
            if declared.low is not None and declared.high is not None:
                low, high = encoding.number(declared.low), encoding.number(declared.high)
                content |= {"low": low, "high": high}
        if marked := [i for i, value in enumerate(values) if isinstance(value, Marked)]:
            content |= {"marked": marked}
        yield "hyper", name, content


def _fact_columns(found: Sequence[ExperimentRow], origins: Sequence[Origin]) -> Iterator[_Column]:
    for name, values, fewest in (
        ("failure", [each.status.failure for each in found], 1),
        ("note", [each.note for each in found], 1),
        ("code", [each.text("code") for each in origins], 2),
        ("machine", [each.host for each in origins], 2),
        ("sampler", [each.sampler for each in origins], 2),
    ):
        if len({value for value in values if value is not None}) >= fewest:
            yield "fact", name, encoding.categories(values)
