"""The points at which no trial is to be made any more, and what is left beside them.

Every sampler needs this: no set of hyperparameters is run twice in one search. It knows points and
chance, and no scores. A point is known by its values: in any order, 1 and 1.0 are one value.
"""

from __future__ import annotations

import random
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from modeldir.params import equality
from modeldir.space import draw, grid, size

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from modeldir.samplers import Observation
    from modeldir.space import Space


TRIES = 100
"""So many draws for a point that no trial has yet, before looking for what is left."""


class Taken:
    """The points that are taken, and draws beside them."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._size = size(space)
        self._taken: set[Hashable] = set()

    def add(self, observation: Observation) -> None:
        """A trial with this point is there, however it stands."""
        # Others say nothing about how many are left.
        if observation.takes_its_point and self._space.contains(observation.point):
            self._taken.add(_values(observation.point))

    def __contains__(self, point: Mapping[str, Any]) -> bool:
        return _values(point) in self._taken

    @property
    def is_exhausted(self) -> bool:
        """Whether each point has a trial."""
        return self._size is not None and len(self._taken) >= self._size

    def drawn(self, number: int) -> dict[str, Any] | None:
        """A point by chance that no trial has yet; None when each point has one."""
        if self.is_exhausted:
            return None
        for again in range(TRIES):
            point = draw(self._space, rng_for(self._seed, number, again))
            if point not in self:
                return point
        return self._draw_remaining(number)

    def _draw_remaining(self, number: int) -> dict[str, Any] | None:
        """For the last points of a finite space, which draws would hardly ever meet."""
        if self._size is None:  # a range so narrow that its rounded values are used up
            return None
        rest = [point for point in grid(self._space) if point not in self]
        place = rng_for(self._seed, number, TRIES).random()
        return rest[int(place * len(rest))] if rest else None


def _values(point: Mapping[str, Any]) -> Hashable:
    """What is equal for equal points. Not their hash, which takes three times as long, and is for
    what is written down.
    """
    return frozenset([(name, equality.key(value)) for name, value in point.items()])


def rng_for(seed: int, number: int, again: int = 0) -> random.Random:
    """The chance of one trial, and of the tries for it after the first.

    One seed for every restart would propose the same points over and over; by (seed, number) it
    does not matter how many workers ask, in which order, and how often they are started again.
    """
    stream = f"{seed}:{number}:{again}" if again else f"{seed}:{number}"
    return random.Random(stream)  # noqa: S311 - nobody is kept from guessing it


def seed_for(seed: int, number: int, again: int = 0) -> int:
    """The same as a whole number of 32 bits, for libraries that want one."""
    digest = sha256(f"{seed}:{number}:{again}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
