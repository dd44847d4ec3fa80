"""The median rule: stop a trial whose best value is worse than the median of the others' averages.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2. In the
paper the others are the completed trials. Here, as in Ray Tune, they are all that reached this
step, or else the first of many parallel trials would all run to their end.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from modeldir.metrics.objective import Direction, better
from modeldir.pruners import Rungs
from modeldir.pruners._common import check_integers, count_better


class Median:
    """Each step is a rung, from `min_step` on, once `warmup_trials` others have been there.

    Beyond step 100 every tenth is, beyond 1,000 every hundredth, and so on.

    Raises:
        ValueError: for a step or a number of trials below 1.
    """

    def __init__(
        self, rungs: Rungs, direction: Direction, *, min_step: int = 1, warmup_trials: int = 5
    ) -> None:
        check_integers(min_step=(min_step, 1), warmup_trials=(warmup_trials, 1))
        self._rungs, self._direction = rungs, direction
        self._min_step, self._warmup = min_step, warmup_trials
        self._judged = 0
        self._best = math.nan
        self._total, self._count = 0.0, 0

    def should_prune(self, step: int, value: float) -> str | None:
        self._total, self._count = self._total + value, self._count + 1
        if better(value, self._best, self._direction):
            self._best = value
        rung = rung_at(step)
        if step < self._min_step or rung <= self._judged:
            return None
        self._judged = rung
        if self._rungs.passed(rung):
            return None
        values = dict(self._rungs.record(rung, self._total / self._count))
        values.pop(self._rungs.number, None)
        if len(values) < self._warmup or not self._median_is_better(values.values()):
            return None
        return f"its best so far, {self._best:.6g}, is worse than the median of {len(values)}"

    def _median_is_better(self, others: Collection[float]) -> bool:
        """Whether the median is strictly better than this trial's best value, without sorting."""
        better_ones = count_better(others, self._best, self._direction)
        half = len(others) / 2
        if better_ones != half:
            return better_ones > half
        # If as many are better as are not, the median is the middle of the two nearest values.
        worst, best = (min, max) if self._direction == "maximize" else (max, min)
        above = worst(each for each in others if better(each, self._best, self._direction))
        rest = [
            each
            for each in others
            if not (better(each, self._best, self._direction) or math.isnan(each))
        ]
        return bool(rest) and better((above + best(rest)) / 2, self._best, self._direction)


def rung_at(step: int) -> int:
    """Return the highest rung at or below a step: about 90 rungs for each power of ten."""
    spacing: int = 10 ** max(0, len(str(step)) - 2)
    return step // spacing * spacing
