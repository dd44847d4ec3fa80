"""The statistics of the tables: ranks, bootstrap intervals, Wilcoxon's test, Holm's correction.

The unit is the task: seeds within one are averaged first, since ten seeds on one task say nothing
about another task. (Figures of a single task resample its seeds.) Chance is fixed, so that the same
results give the same tables.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% interval."""

    mean: float
    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def draws(units: int, resamples: int) -> list[list[int]]:
    """Return bootstrap samples of the units 0..n-1, the same for each number of units."""
    rng = random.Random(230)
    return [[int(rng.random() * units) for _ in range(units)] for _ in range(resamples)]


def interval(values: Sequence[float], samples: Sequence[Sequence[int]]) -> Interval:
    """Return the mean with its percentile bootstrap interval."""
    means = sorted(mean([values[unit] for unit in sample]) for sample in samples)
    return Interval(mean(values), *quantiles(means))


def quantiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the values that leave out 2.5% at both ends of sorted values."""
    cut = round(len(ordered) * 0.025)
    return ordered[cut], ordered[-1 - cut]


def ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Return the ranks: 1 is the smallest value; equal values share the mean of their ranks."""
    ordered = sorted(values.values())
    first = {value: ordered.index(value) for value in ordered}
    return {name: first[value] + (ordered.count(value) + 1) / 2 for name, value in values.items()}


def wilcoxon(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of the signed-rank test (Wilcoxon, 1945), without zeros."""
    there = [difference for difference in differences if difference]
    if not there:
        return 1.0
    by_size = ranks({str(i): abs(difference) for i, difference in enumerate(there)})
    sizes = [by_size[str(i)] for i in range(len(there))]
    total = sum(sizes)
    positive = sum(size for size, d in zip(sizes, there, strict=True) if d > 0)
    seen = min(positive, total - positive)
    sums: dict[float, int] = {0.0: 1}  # of all 2^n ways to give signs, how many give which sum
    for size in sizes:
        grown = dict(sums)
        for old, count in sums.items():
            grown[old + size] = grown.get(old + size, 0) + count
        sums = grown
    extreme = sum(count for value, count in sums.items() if value <= seen + 1e-9)
    return min(1.0, 2 * extreme / 2 ** len(there))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for several comparisons (Holm, 1979)."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    factors = (len(ordered) - place for place in range(len(ordered)))
    raised = [p_values[name] * factor for name, factor in zip(ordered, factors, strict=True)]
    return {
        name: min(1.0, value)
        for name, value in zip(ordered, itertools.accumulate(raised, max), strict=True)
    }
