"""The stopping half of population-based training: the worst members of the population end.

It knows one trial's step and value, and those of the population at a rung. Jaderberg et al.,
"Population Based Training of Neural Networks", 2017, with truncation selection: every `interval`
steps a member that is in the bottom `quantile` ends there; the sampler (samplers/pbt.py) proposes
who takes its place, with the weights of one of the top. Nobody waits for others, as in the paper:
of those that are behind the latest value counts, of those that are ahead the one at this step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldir.pruners._common import count_better, wrong_number

if TYPE_CHECKING:
    from modeldir.metrics.metrics import Direction
    from modeldir.pruners import Rungs


_LEFT = 0
"""A rung that is no step: there members say that they are stopped, or that they are back."""
_IS_OUT, _IS_BACK = 1.0, 0.0
_BEHIND = 8
"""Members that are more intervals behind do not count: they may have been interrupted."""


class BottomQuantile:
    """Rungs at each multiple of `interval`.

    Raises:
        ValueError: for an interval below 1, or a quantile outside of 0 to 1/2.
    """

    replaces = True
    """Who is stopped makes room for another, so only those count that are still there."""

    def __init__(
        self, rungs: Rungs, direction: Direction, *, interval: int = 1, quantile: float = 0.25
    ) -> None:
        wrong_number(interval=(interval, 1))
        if not 0 < quantile <= 0.5:  # noqa: PLR2004 - else one could be at the bottom and the top
            raise ValueError(f"quantile: got {quantile!r}, expected a number in (0, 0.5]")
        self._rungs, self._direction = rungs, direction
        self._interval, self._quantile = interval, quantile
        self._judged = 0
        self._has_left: bool | None = None

    def should_prune(self, step: int, value: float) -> str | None:
        """Judge at the first step at or after a multiple of the interval."""
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
        """Be a member again: it was killed in the moment it was stopped, or is continued."""
        if self._has_left is None:
            before = self._rungs.values(_LEFT).get(self._rungs.number)
            self._has_left = before is not None and before != _IS_BACK
        if self._has_left:
            self._has_left = False
            self._rungs.record(_LEFT, _IS_BACK)

    def _population(self, rung: int, value: float) -> dict[int, float]:
        """The values of the members that were not stopped, this one's among them."""
        found = dict(self._rungs.record(rung, value))
        lowest = max(0, rung - _BEHIND * self._interval)
        for lower in range(rung - self._interval, lowest, -self._interval):
            found = {**self._rungs.values(lower), **found}
        for number, word in self._rungs.values(_LEFT).items():
            if word != _IS_BACK:
                found.pop(number, None)
        return {**found, self._rungs.number: value}
