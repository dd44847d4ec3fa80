"""The configurations that a search config wants tried first, whatever the sampler.

`search` asks the `Queue` before the sampler. It stores nothing: a new queue that gets the same
trials by `tell` continues where the old one stopped.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from modeldir.params import equality
from modeldir.params.plain_values import canonical_hash
from modeldir.space.grids import fill
from modeldir.space.space import Space

QUEUE = "try"
"""The name in `trial.json` in place of a sampler's name."""


class Queue:
    """The configurations to try first, each once; what one leaves out is drawn from the seed."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._waiting = {canonical_hash(point): point for point in space.first}
        # By their names, then by the values of these: there may be thousands.
        self._found: dict[tuple[str, ...], dict[Hashable, list[str]]] = {}
        for key, point in self._waiting.items():
            names = tuple(sorted(point))
            self._found.setdefault(names, {}).setdefault(_values(point, names), []).append(key)

    def ask(self) -> dict[str, Any] | None:
        """Return the first configuration without a trial, or None. Asking changes nothing."""
        if not self._waiting:
            return None
        import random  # noqa: PLC0415 - slow to import, and rarely needed

        for key, point in self._waiting.items():
            chance = random.Random(f"{self._seed}:point:{key}")  # noqa: S311 - no secret
            if (whole := fill(self._space, point, chance)) is not None:
                return whole
        return None

    def tell(self, point: Mapping[str, Any]) -> None:
        """Note that a trial has this configuration, whatever its status."""
        for names, waiting in self._found.items():
            if all(name in point for name in names):
                for key in waiting.pop(_values(point, names), ()):
                    del self._waiting[key]


def _values(point: Mapping[str, Any], names: tuple[str, ...]) -> Hashable:
    return equality.key([point[name] for name in names])
