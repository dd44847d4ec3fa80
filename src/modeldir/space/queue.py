"""The points that a plan wants tried first, whatever the sampler.

It knows which of them a trial is at, told by the trials that are there. It refuses to keep that: a
queue made anew and told the same trials goes on where the other stopped.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from modeldir.params import canonical_hash
from modeldir.space.domains import same
from modeldir.space.grids import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modeldir.space.shape import Space

QUEUE = "points"
"""What a trial's `trial.json` says in the place of a sampler's name."""


class Queue:
    """The plan's points in their order, each once. What a point leaves out is drawn for it, from
    the seed and the point alone: neither its place nor the trial's number changes it.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._waiting = {canonical_hash(point): point for point in space.points}

    def ask(self) -> dict[str, Any] | None:
        """The first point at which no trial is; None when each has one. Asking changes nothing."""
        for key, point in self._waiting.items():
            chance = random.Random(f"{self._seed}:point:{key}")  # noqa: S311 - no secret
            if (whole := fill(self._space, point, chance)) is not None:
                return whole
        return None

    def tell(self, point: Mapping[str, Any]) -> None:
        """A trial is at this point, however it stands."""
        done = [key for key, waiting in self._waiting.items() if _is_at(point, waiting)]
        for key in done:
            del self._waiting[key]


def _is_at(point: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a trial's point has all the values that were wanted."""
    return all(name in point and same(point[name], value) for name, value in wanted.items())
