"""The configurations that trials already have, and random draws among the others.

Samplers use `Taken` so that no configuration runs twice in one search. `point_key` says which
configurations are equal. `rng_for` makes the random numbers for a trial.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping
from hashlib import sha256
from typing import Any

from modeldir.params import equality
from modeldir.samplers import Observation
from modeldir.space import Space, draw, grid, size

TRIES = 100
"""The number of draws for a new configuration before listing the remaining ones."""


def point_key(point: Mapping[str, Any]) -> Hashable:
    """Return a key that is equal for equal configurations, faster than their canonical hash."""
    return frozenset([(name, equality.key(value)) for name, value in point.items()])


class Taken:
    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._size = size(space)
        self._taken: set[Hashable] = set()

    def add(self, observation: Observation) -> None:
        """Note that a trial has this configuration, whatever its status."""
        # Configurations outside the space must not count: `is_exhausted` compares with its size.
        if observation.takes_its_configuration and self._space.contains(observation.configuration):
            self._taken.add(point_key(observation.configuration))

    def __contains__(self, point: Mapping[str, Any]) -> bool:
        return point_key(point) in self._taken

    @property
    def is_exhausted(self) -> bool:
        return self._size is not None and len(self._taken) >= self._size

    def drawn(self, number: int) -> dict[str, Any] | None:
        if self.is_exhausted:
            return None
        for again in range(TRIES):
            point = draw(self._space, rng_for(self._seed, number, again))
            if point not in self:
                return point
        return self._draw_remaining(number)

    def _draw_remaining(self, number: int) -> dict[str, Any] | None:
        """Draw one of the last configurations of a finite space, which draws rarely hit."""
        if self._size is None:  # a range so narrow that all its rounded values have trials
            return None
        rest = [point for point in grid(self._space) if point not in self]
        fraction = rng_for(self._seed, number, TRIES).random()
        return rest[int(fraction * len(rest))] if rest else None


def rng_for(seed: int, number: int, again: int = 0) -> random.Random:
    """Return the random number generator for one trial, and for each further attempt.

    With (seed, number), neither the number of workers nor their order nor a restart changes a draw.
    """
    stream = f"{seed}:{number}:{again}" if again else f"{seed}:{number}"
    return random.Random(stream)  # noqa: S311 - not for security


def seed_for(seed: int, number: int, again: int = 0) -> int:
    """Return a 32-bit seed for one trial and attempt, for libraries that need an integer."""
    digest = sha256(f"{seed}:{number}:{again}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
