"""The first points of a sampler that learns: quasi-random, or random where there are too many dims.

It knows no scores, and leaves it to the sampler whether a point is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldir.samplers import Proposal
from modeldir.samplers.sobol import Sobol, max_dims
from modeldir.samplers.taken import rng_for
from modeldir.space import draw

if TYPE_CHECKING:
    from modeldir.space import Space


class StartupSampler:
    """A point for each trial's number, whatever else there is."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._sobol = Sobol(space, seed) if len(space.dims) <= max_dims() else None

    def ask(self, number: int) -> Proposal | None:
        """The point, or None where it is not allowed: then chance decides."""
        if self._sobol is None:
            return Proposal(draw(self._space, rng_for(self._seed, number)))
        point = self._sobol.at(number)
        return Proposal(point) if self._space.allows(point) else None
