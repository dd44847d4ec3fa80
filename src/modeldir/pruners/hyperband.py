"""Hyperband: successive halving with several first rungs, for when early values say little.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18, 2018,
each bracket as ASHA's stopping variant. A trial's number decides its bracket.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from modeldir.metrics.objective import Direction
from modeldir.pruners import Rungs
from modeldir.pruners._common import check_integers
from modeldir.pruners.asha import Asha

BRACKETS = 3
"""Number of brackets if `max_step` is not given."""


class Hyperband(Asha):
    """Bracket b has its first rung at min_step * reduction_factor^b.

    As many brackets as fit below `max_step` (the paper's s_max + 1), with the paper's shares of the
    trials. Without `max_step` there are three.

    Raises:
        ValueError: for a step below 1, or a factor below 2.
    """

    def __init__(
        self,
        rungs: Rungs,
        direction: Direction,
        *,
        min_step: int = 1,
        reduction_factor: int = 3,
        max_step: int | None = None,
    ) -> None:
        check_integers(min_step=(min_step, 1), reduction_factor=(reduction_factor, 2))
        self._order = order(brackets(min_step, reduction_factor, max_step), reduction_factor)
        self._bracket = self._bracket_of(rungs.number)
        first = min_step * reduction_factor**self._bracket
        if max_step is not None:
            check_integers(max_step=(max_step, min_step))
            first = min(first, max_step)  # the last bracket: never stopped
        super().__init__(
            rungs,
            direction,
            min_step=first,
            reduction_factor=reduction_factor,
            max_step=max_step,
        )

    def _bracket_of(self, number: int) -> int:
        return self._order[(number - 1) % len(self._order)]

    def _siblings(self, values: Mapping[int, float]) -> Collection[float]:
        length = len(self._order)
        counts = [self._bracket_of(number) == self._bracket for number in range(length)]
        return [value for number, value in values.items() if counts[number % length]]


def brackets(min_step: int, factor: int, max_step: int | None) -> int:
    if max_step is None:
        return BRACKETS
    count, rung = 1, min_step
    while rung * factor <= max_step:
        count, rung = count + 1, rung * factor
    return count


def order(count: int, factor: int) -> tuple[int, ...]:
    """Return the brackets of successive trials, to be repeated.

    Each bracket occurs as often as it has trials in one round of Hyperband, which is ceil((s_max +
    1) / (s + 1) * eta^s). They are evenly mixed, so that a search of any length has trials in all
    of them.
    """
    sizes = [
        math.ceil(count / (s + 1) * factor**s) for s in reversed(range(count))
    ]  # the paper counts s from the bracket that stops no trial
    turns = [
        ((turn + 0.5) / size, bracket) for bracket, size in enumerate(sizes) for turn in range(size)
    ]
    return tuple(bracket for _, bracket in sorted(turns))
