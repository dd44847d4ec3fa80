"""Random search: draw each trial's configuration independently, from (seed, trial number).

So the number of workers, their order and restarts change nothing. It does not use values. Bergstra
and Bengio show that random search beats a grid of the same size if only some hyperparameters
matter: "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012. The drawing: `taken.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldir.samplers import Objectives, Observation, Proposal
from modeldir.samplers.taken import Taken

if TYPE_CHECKING:
    from modeldir.space import Space


class Random:
    """Random configurations, none twice."""

    learns = False

    def __init__(self, space: Space, seed: int, objectives: Objectives = ()) -> None:
        del objectives  # every sampler has this signature
        self._taken = Taken(space, seed)

    def ask(self, number: int) -> Proposal | None:
        """Propose a new configuration; return None if the search space is exhausted."""
        point = self._taken.drawn(number)
        return None if point is None else Proposal(point)

    def tell(self, observation: Observation) -> None:
        """Note that a trial has this configuration, whatever its status."""
        self._taken.add(observation)
