"""The stopping half of population-based training (PBT): the worst members stop.

Jaderberg et al., "Population Based Training of Neural Networks", 2017, with truncation selection.
The sampler (`samplers.pbt`) proposes new members. No member waits for others: for a member that is
behind, its latest value counts, and for one that is ahead, its value at this step.
"""

from __future__ import annotations

from modeldir.metrics.objective import Direction
from modeldir.pruners import Rungs
from modeldir.pruners._common import check_integers, count_better

_LEFT = 0
"""A rung that is no step. Members record there that they were stopped, or have come back."""
_IS_OUT, _IS_BACK = 1.0, 0.0
_BEHIND = 8
"""Members that are further behind, in intervals, do not count: they may have been interrupted."""


class BottomQuantile:
    """Rungs at each multiple of `interval`.

    Raises:
        ValueError: for an interval below 1, or a quantile outside of 0 to 1/2.
    """

    replaces = True
    """A new trial replaces each stopped one, so only the members that are left count."""

    def __init__(
        self, rungs: Rungs, direction: Direction, *, interval: int = 1, quantile: float = 0.25
    ) -> None:
        check_integers(interval=(interval, 1))
        if not 0 < quantile <= 0.5:  # noqa: PLR2004 - or one could be in the bottom and the top
            raise ValueError(f"quantile: got {quantile!r}, expected a number in (0, 0.5]")
        self._rungs, self._direction = rungs, direction
        self._interval, self._quantile = interval, quantile
        self._judged = 0
        self._has_left: bool | None = None

    def should_prune(self, step: int, value: float) -> str | None:
        rung = step // self._interval * self._interval
        if rung <= self._judged:
            return None
        self._judged = rung
        self._come_back()
        if self._rungs.passed(rung):
            return None
        values = self._population(rung, value)
        bottom = int(len(values) * self._quantile)
        better = count_better(values.values(), value, self._direction)
        if better < len(values) - bottom:
            return None
        self._has_left = True
        self._rungs.record(_LEFT, _IS_OUT)
        return f"among the worst {bottom} of {len(values)} in the population"

    def _come_back(self) -> None:
        """Record that this member is back. It was killed while it was stopped, or is continued."""
        if self._has_left is None:
            before = self._rungs.values(_LEFT).get(self._rungs.number)
            self._has_left = before is not None and before != _IS_BACK
        if self._has_left:
            self._has_left = False
            self._rungs.record(_LEFT, _IS_BACK)

    def _population(self, rung: int, value: float) -> dict[int, float]:
        found = dict(self._rungs.record(rung, value))
        lowest = max(0, rung - _BEHIND * self._interval)
        for lower in range(rung - self._interval, lowest, -self._interval):
            found = {**self._rungs.values(lower), **found}
        for number, word in self._rungs.values(_LEFT).items():
            if word != _IS_BACK:
                found.pop(number, None)
        return {**found, self._rungs.number: value}
