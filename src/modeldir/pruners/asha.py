"""Asynchronous successive halving (ASHA): the best share of the trials at a rung continues.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in its stopping
variant: no trial waits for others, and none is paused. Algorithm 2 of the paper pauses trials and
promotes them later, which an unknown script cannot do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from modeldir.metrics.objective import Direction
from modeldir.pruners import Rungs
from modeldir.pruners._common import check_integers, count_better, share_words


class Asha:
    """Rungs at min_step, min_step * reduction_factor, min_step * reduction_factor^2, ...

    With fewer than `reduction_factor` trials at a rung, all continue. Trials with equal values
    stop or continue together. No trial is stopped from `max_step` on, because it is done.

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
        if max_step is not None:
            check_integers(max_step=(max_step, min_step))
        self._rungs, self._direction = rungs, direction
        self._min_step, self._factor, self._max_step = min_step, reduction_factor, max_step
        self._judged = 0

    def should_prune(self, step: int, value: float) -> str | None:
        """Decide at the first step at or after a rung; after several rungs, at the highest."""
        rung = self._rung_at(step)
        if rung <= self._judged:
            return None
        self._judged = rung
        if self._rungs.passed(rung):
            return None
        values = self._siblings(self._rungs.record(rung, value))
        better = count_better(values, value, self._direction)
        # The paper's top_k(rung, |rung| / eta).
        if len(values) < self._factor or better < len(values) // self._factor:
            return None
        return f"not among the best {share_words(self._factor)} of {len(values)}"

    def _rung_at(self, step: int) -> int:
        """Return the highest rung at or below a step; 0 if there is none."""
        if step < self._min_step:
            return 0
        rung = self._min_step
        while rung * self._factor <= step:
            if self._max_step is not None and rung * self._factor >= self._max_step:
                break
            rung *= self._factor
        return 0 if self._max_step is not None and rung >= self._max_step else rung

    def _siblings(self, values: Mapping[int, float]) -> Collection[float]:
        """Return the values at the rung to compare with, including this trial's."""
        return values.values()
