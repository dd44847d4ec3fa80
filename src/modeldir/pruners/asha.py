"""Asynchronous successive halving: of those that reach a rung, the best share goes on.

It knows one trial's step and value, and the values at a rung. Li et al., "A System for Massively
Parallel Hyperparameter Tuning", MLSys 2020, in its stopping variant: who is not among the best
1/reduction_factor of all that have been at the rung *so far* ends there, for good; nobody waits for
others, and nothing has to be paused. (The algorithm 2 of the paper pauses trials instead and
promotes them later, which an unknown script cannot do.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldir.pruners._common import count_better, share_words, wrong_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modeldir.metrics.metrics import Direction
    from modeldir.pruners import Rungs


class Asha:
    """Rungs at min_step, min_step * reduction_factor, min_step * reduction_factor^2, ...

    With fewer than `reduction_factor` trials at a rung there is no best share of them: all go on.
    Equals are kept together. From `max_step` on nobody is stopped: all of the training is paid for.

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
        wrong_number(min_step=(min_step, 1), reduction_factor=(reduction_factor, 2))
        if max_step is not None:
            wrong_number(max_step=(max_step, min_step))
        self._rungs, self._direction = rungs, direction
        self._min_step, self._factor, self._max_step = min_step, reduction_factor, max_step
        self._judged = 0

    def should_prune(self, step: int, value: float) -> str | None:
        """Judge at the first step at or after a rung; of several rungs at once at the highest."""
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
        """The highest rung at or below a step; 0 where there is none."""
        if step < self._min_step:
            return 0
        rung = self._min_step
        while rung * self._factor <= step:
            if self._max_step is not None and rung * self._factor >= self._max_step:
                break
            rung *= self._factor
        return 0 if self._max_step is not None and rung >= self._max_step else rung

    def _siblings(self, values: Mapping[int, float]) -> Collection[float]:
        """The values at the rung with which this trial's is compared, its own among them."""
        return values.values()
