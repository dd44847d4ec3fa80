"""The first configurations of a sampler that learns, before there is anything to learn from.

They are quasi-random, or random if `sobol.py` has too few dimensions. The caller (`_optuna.py`)
checks whether a trial already has the configuration.
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
    """Propose a configuration that depends only on the seed and the trial's number."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._sobol = Sobol(space, seed) if len(space.dims) <= max_dims() else None

    def ask(self, number: int) -> Proposal | None:
        """Propose a configuration; return None if a constraint forbids the Sobol point."""
        if self._sobol is None:
            return Proposal(draw(self._space, rng_for(self._seed, number)))
        point = self._sobol.at(number)
        return Proposal(point) if self._space.allows(point) else None
