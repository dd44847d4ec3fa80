"""Random search: each trial's point drawn for itself, from (seed, trial number).

So it does not matter how many workers ask, in which order, or how often they are started again. It
knows no scores; that random points find more than a grid of as many, wherever only some of the
hyperparameters matter, is shown in Bergstra and Bengio, "Random Search for Hyper-Parameter
Optimization", JMLR 13, 2012.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from modeldir.params import canonical_hash
from modeldir.space import draw, grid, size

if TYPE_CHECKING:
    from modeldir.samplers import Observation
    from modeldir.space import Space

TRIES = 100
"""So many draws for a point that no trial has yet, before looking for what is left."""


class Random:
    """Points by chance, no point twice."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._size = size(space)
        self._told: set[str] = set()

    def ask(self, number: int) -> dict[str, Any] | None:
        """A point that no trial has yet; None when each point has one."""
        if self._size is not None and len(self._told) >= self._size:
            return None
        for again in range(TRIES):
            point = draw(self._space, self._chance(number, again))
            if canonical_hash(point) not in self._told:
                return point
        return self._one_of_the_rest(number)

    def tell(self, observation: Observation) -> None:
        """A trial with this point is there, however it stands."""
        if self._space.contains(observation.point):  # others say nothing about how many are left
            self._told.add(canonical_hash(observation.point))

    def _chance(self, number: int, again: int) -> random.Random:
        stream = f"{self._seed}:{number}:{again}" if again else f"{self._seed}:{number}"
        return random.Random(stream)  # noqa: S311 - nobody is kept from guessing it

    def _one_of_the_rest(self, number: int) -> dict[str, Any] | None:
        """For the last points of a finite space, which draws would hardly ever meet."""
        if self._size is None:  # a range so narrow that its rounded values are used up
            return None
        rest = [point for point in grid(self._space) if canonical_hash(point) not in self._told]
        return rest[int(self._chance(number, TRIES).random() * len(rest))] if rest else None
