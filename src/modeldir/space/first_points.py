"""The points that a plan wants tried first, whatever the sampler.

It knows which of them a trial is at, told by the trials that are there. It refuses to keep that: a
queue made anew and told the same trials goes on where the other stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modeldir.params import equality
from modeldir.params.plain_values import canonical_hash
from modeldir.space.grids import fill

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from modeldir.space.space import Space

QUEUE = "points"
"""What a trial's `trial.json` says in the place of a sampler's name."""


class Queue:
    """The plan's points in their order, each once. What a point leaves out is drawn for it, from
    the seed and the point alone: neither its place nor the trial's number changes it.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._waiting = {canonical_hash(point): point for point in space.points}
        # By the names that they say, and the values of these: there may be thousands of points.
        self._found: dict[tuple[str, ...], dict[Hashable, list[str]]] = {}
        for key, point in self._waiting.items():
            names = tuple(sorted(point))
            self._found.setdefault(names, {}).setdefault(_values(point, names), []).append(key)

    def ask(self) -> dict[str, Any] | None:
        """The first point at which no trial is; None when each has one. Asking changes nothing."""
        if not self._waiting:
            return None
        import random  # noqa: PLC0415 - slow to import, and most plans name no points

        for key, point in self._waiting.items():
            chance = random.Random(f"{self._seed}:point:{key}")  # noqa: S311 - no secret
            if (whole := fill(self._space, point, chance)) is not None:
                return whole
        return None

    def tell(self, point: Mapping[str, Any]) -> None:
        """A trial is at this point, however it stands."""
        for names, waiting in self._found.items():
            if all(name in point for name in names):
                for key in waiting.pop(_values(point, names), ()):
                    del self._waiting[key]


def _values(point: Mapping[str, Any], names: tuple[str, ...]) -> Hashable:
    return equality.key([point[name] for name in names])
