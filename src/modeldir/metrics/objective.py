"""The metrics that a search ranks by, one or several, and the Pareto front.

`search/plan` reads them from the keys `maximize` and `minimize` of `search.json`, and `results` and
`commands` rank by them. Start reading at `objectives`. Whether one value is better than another is
decided in `metrics`, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from modeldir.errors import Problem
from modeldir.metrics.metrics import Direction

_T = TypeVar("_T")

Objectives: TypeAlias = tuple[tuple[str, Direction], ...]
"""Metrics with their directions; those to maximize come first."""

Ranked: TypeAlias = tuple[str, Direction]
"""The metric that is ranked by, with its direction."""

_DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")


def objectives(raw: Mapping[str, Any]) -> Objectives:
    """Return the metrics that `search.json` names, with directions, without invalid entries."""
    return tuple((name, key) for key in _DIRECTIONS for name in names(raw.get(key)))


def names(value: object) -> tuple[str, ...]:
    """Return the names in one of the two keys, which holds a string or a list of strings."""
    listed = value if isinstance(value, (list, tuple)) else [value]
    return tuple(dict.fromkeys(name for name in listed if isinstance(name, str) and name))


def to_json(given: Sequence[str] | str | None) -> str | list[str] | None:
    """Return names as `search.json` has them: a string for one, a list for several."""
    found = names(given)
    return None if not found else found[0] if len(found) == 1 else list(found)


def problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the two keys, each a string or a list, with a hint."""
    for key in _DIRECTIONS:
        value = raw.get(key)
        if isinstance(value, list) and not all(isinstance(name, str) and name for name in value):
            hint = f'expected metrics\' names: "{key}": ["accuracy", "f1"]'
            yield Problem(f"{key}: got {value!r}", hint)
    both = {*names(raw.get("maximize"))} & {*names(raw.get("minimize"))}
    for name in sorted(both):
        yield Problem(f"{name}: to be maximized and minimized at once", "keep one of them")


def describe(metrics: Objectives) -> str:
    """Return the metrics' names as text: "accuracy and loss"."""
    return " and ".join(name for name, _ in metrics)


def command_options(metrics: Objectives) -> str:
    """Return the options that choose one of several metrics on the command line."""
    return ", or ".join(f"--{direction} {name}" for name, direction in metrics)


def pareto_front(
    scored: Iterable[tuple[Sequence[float | None], _T]], metrics: Objectives
) -> list[_T]:
    """Return the results that no other result beats: as good in all metrics, and better in one.

    A result with a missing value or NaN is left out. Equal results stay together.
    """
    signs = [-1.0 if direction == "maximize" else 1.0 for _, direction in metrics]
    complete: list[tuple[tuple[float, ...], _T]] = []
    for values, each in scored:
        if len(values) == len(signs) and not any(v is None or math.isnan(v) for v in values):
            complete.append(
                (tuple(s * (v or 0.0) for s, v in zip(signs, values, strict=True)), each)
            )
    chosen: list[tuple[tuple[float, ...], _T]] = []
    best: list[tuple[float, ...]] = []
    # In this order only an earlier result can beat a result.
    for costs, each in sorted(complete, key=lambda pair: pair[0]):
        if not any(_beats(other, costs) for other in best):
            chosen.append((costs, each))
            if costs not in best[-1:]:
                best.append(costs)
    return [each for _, each in chosen]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
