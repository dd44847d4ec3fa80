"""What a search is after: the metrics that it ranks by, one or several.

It knows how `maximize` and `minimize` are written, and which of some results no other beats in all
metrics (the Pareto front). It refuses to know where the values come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from modeldir.metrics import metrics
from modeldir.metrics.metrics import Direction

_T = TypeVar("_T")

Objectives: TypeAlias = tuple[tuple[str, Direction], ...]
"""Metrics with their directions; those to maximize first."""

_WAYS: tuple[Direction, Direction] = ("maximize", "minimize")


def objectives(raw: Mapping[str, Any]) -> Objectives:
    """The metrics that a plan names, with their directions; those that make no sense left out."""
    return tuple((name, way) for way in _WAYS for name in names(raw.get(way)))


def names(written: object) -> tuple[str, ...]:
    """The names in one of the two keys: a text, or a list of texts."""
    listed = written if isinstance(written, (list, tuple)) else [written]
    return tuple(dict.fromkeys(name for name in listed if isinstance(name, str) and name))


def written(given: Sequence[str] | str | None) -> str | list[str] | None:
    """Names as `search.json` has them: one alone as a text."""
    found = names(given)
    return None if not found else found[0] if len(found) == 1 else list(found)


def problems(raw: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """What is wrong with the two keys, of which each is a text or a list already."""
    for way in _WAYS:
        value = raw.get(way)
        if isinstance(value, list) and not all(isinstance(name, str) and name for name in value):
            yield f"{way}: got {value!r}", f'expected metrics\' names: "{way}": ["accuracy", "f1"]'
    both = {*names(raw.get("maximize"))} & {*names(raw.get("minimize"))}
    for name in sorted(both):
        yield f"{name}: to be maximized and minimized at once", "keep one of them"


def said(found: Objectives) -> str:
    """Metrics in words: "accuracy and loss"."""
    return " and ".join(name for name, _ in found)


def options(found: Objectives) -> str:
    """How one of several metrics is chosen on the command line."""
    return ", or ".join(f"--{way} {name}" for name, way in found)


def front(scored: Iterable[tuple[Sequence[float | None], _T]], found: Objectives) -> list[_T]:
    """Of some results those that no other beats: as good in all metrics, and better in one.

    What lacks a value, or has NaN, is beaten by all. Equals stay together.
    """
    signs = [-1.0 if way == "maximize" else 1.0 for _, way in found]
    whole: list[tuple[tuple[float, ...], _T]] = []
    for values, each in scored:
        if len(values) == len(signs) and not any(v is None or math.isnan(v) for v in values):
            whole.append((tuple(s * (v or 0.0) for s, v in zip(signs, values, strict=True)), each))
    chosen: list[tuple[tuple[float, ...], _T]] = []
    best: list[tuple[float, ...]] = []
    # In this order a result can be beaten by an earlier one alone.
    for costs, each in sorted(whole, key=lambda pair: pair[0]):
        if not any(_beats(other, costs) for other in best):
            chosen.append((costs, each))
            if costs not in best[-1:]:
                best.append(costs)
    return [each for _, each in chosen]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


Ranked: TypeAlias = "tuple[str, metrics.Direction]"
