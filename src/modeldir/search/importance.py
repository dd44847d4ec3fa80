"""Hyperparameter importance: how much of a metric each one explains, and how sure that is.

Omega squared: the share of the metric's variance between groups of trials with similar values,
beyond chance (Hays, Statistics, 1963), with the interval of a jackknife. It costs one pass and no
package: fANOVA, which sees pairs too, took 26 s at 1,000 trials.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modeldir.params import equality
from modeldir.search.statistics import quantile

METHOD = (
    "share of the variance of the metric's ranks that one hyperparameter explains by itself "
    "(omega squared, up to 16 groups); 95 % interval by a jackknife"
)
FEWEST = 10
"""Trials that must have a hyperparameter before anything is reported about it."""
PER_GROUP = 5
FEWEST_PARTS = 4
"""The smallest number of groups of a range: with fewer an optimum inside it would not show."""
GROUPS = 16
PARTS = 20
_BOTH_SIDES_95 = 0.975

Sums: TypeAlias = "list[list[float]]"


@dataclass(frozen=True)
class Importance:
    """The importance of one hyperparameter: `share` is from 0 to 1, or None for too few trials."""

    name: str
    share: float | None
    low: float = 0.0
    high: float = 1.0
    count: int = 0

    @property
    def interval(self) -> tuple[float | None, float, float]:
        return self.share, self.low, self.high


def importances(
    columns: Mapping[str, Sequence[object]], metric: Sequence[float | None]
) -> list[Importance]:
    """Return each hyperparameter, the most important first, those with too few trials last.

    A name with many values has up to 16 groups of equally many neighbors. The metric is replaced by
    its ranks, so that a diverged run is the last one and not a million times worse. A sampler that
    learns does not spread its trials evenly: callers must say among which trials a share was
    measured.
    """
    found = [importance(name, values, metric) for name, values in columns.items()]
    return sorted(found, key=lambda each: (each.share is None, -(each.share or 0.0)))


def importance(name: str, values: Sequence[object], metric: Sequence[float | None]) -> Importance:
    pairs = [
        (value, score)
        for value, score in zip(values, metric, strict=True)
        if value is not None and score is not None and score == score  # noqa: PLR0124 - NaN
    ]
    count = len(pairs)
    groups = _groups([value for value, _ in pairs]) if count >= FEWEST else []
    if len(set(groups)) < 2:  # noqa: PLR2004 - nothing lies between one group
        return Importance(name, None, count=count)
    share, error = _jackknife(groups, ranks([score for _, score in pairs]))
    reach = quantile(_BOTH_SIDES_95, min(PARTS, count) - 1) * error
    return Importance(name, share, max(0.0, share - reach), min(1.0, share + reach), count)


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 0 to 1; equal values share theirs.

    >>> ranks([5.0, 1.0, 5.0, 9.0])
    [0.5, 0.0, 0.5, 1.0]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    placed = [0.0] * len(values)
    start, last = 0, max(1, len(values) - 1)
    for stop in range(1, len(order) + 1):
        if stop == len(order) or values[order[stop]] != values[order[start]]:
            for place in order[start:stop]:
                placed[place] = (start + stop - 1) / 2 / last
            start = stop
    return placed


def _groups(values: Sequence[object]) -> list[int]:
    """Return the group of each value; one group for all where groups would be too small."""
    most = min(GROUPS, len(values) // PER_GROUP)
    counts: dict[Hashable, int] = {}
    keys = [equality.key(value) for value in values]
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    if len(counts) <= most:
        number = {key: place for place, key in enumerate(counts)}
        return [number[key] for key in keys]
    if all(isinstance(value, (int, float)) for value in values):
        if most < FEWEST_PARTS:
            return [0] * len(values)
        return [min(most - 1, int(each * most)) for each in ranks([_float(v) for v in values])]
    if len(counts) > len(values) // 2:  # nearly each trial has another string
        return [0] * len(values)
    frequent = sorted(counts, key=counts.__getitem__, reverse=True)[: most - 1]
    place_of = {key: place for place, key in enumerate(frequent)}
    return [place_of.get(key, most - 1) for key in keys]


def _float(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
    return number if number == number else math.inf  # noqa: PLR0124 - NaN cannot be sorted


def _jackknife(groups: Sequence[int], scores: Sequence[float]) -> tuple[float, float]:
    """Return the share and its standard error, by leaving out each of 20 random parts in turn.

    Sums by part and group make that as cheap as one pass.
    """
    parts = min(PARTS, len(scores))
    number = max(groups) + 1
    sums: list[Sums] = [[[0.0, 0.0, 0.0] for _ in range(number)] for _ in range(parts)]
    import random  # noqa: PLC0415 - slow to import, and a search has to be large for it

    order = list(range(len(scores)))
    random.Random(0).shuffle(order)  # noqa: S311 - the same trials give the same report
    for place, row in enumerate(order):
        cell, score = sums[place % parts][groups[row]], scores[row]
        cell[0] += 1
        cell[1] += score
        cell[2] += score * score
    whole = [_added(part[group] for part in sums) for group in range(number)]
    left = [omega_squared(map(_without, whole, part)) for part in sums]
    mean = math.fsum(left) / parts
    spread = math.fsum((each - mean) ** 2 for each in left)
    return max(0.0, omega_squared(whole)), math.sqrt((parts - 1) / parts * spread)


def _added(cells: Iterable[Sequence[float]]) -> list[float]:
    return [math.fsum(each) for each in zip(*cells, strict=True)]


def _without(whole: Sequence[float], part: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(whole, part, strict=True)]


def omega_squared(groups: Iterable[Sequence[float]]) -> float:
    """Return omega squared of groups given as (count, sum, sum of squares).

    It is (SSB - dfb * MSW) / (SST + MSW), and below 0 where the groups differ less than by chance.

    >>> round(omega_squared([(3, 3, 3.02), (3, 6, 12.02)]), 3)
    0.961
    """
    kept = [each for each in groups if each[0] > 0.5]  # noqa: PLR2004 - counts are whole
    count, total, squares = _added(kept) if kept else (0.0, 0.0, 0.0)
    inner, outer = count - len(kept), len(kept) - 1
    if inner <= 0 or outer <= 0:
        return 0.0
    base = total * total / count
    between = math.fsum(each[1] ** 2 / each[0] for each in kept) - base
    within = max(0.0, squares - base - between) / inner
    whole = squares - base + within
    return (between - outer * within) / whole if whole > 0 else 0.0
