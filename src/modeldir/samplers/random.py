"""Random search: each trial's point drawn for itself, from (seed, trial number).

So it does not matter how many workers ask, in which order, or how often they are started again. It
knows no scores; that random points find more than a grid of as many, wherever only some of the
hyperparameters matter, is shown in Bergstra and Bengio, "Random Search for Hyper-Parameter
Optimization", JMLR 13, 2012.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldir.samplers import Objectives, Observation, Proposal
from modeldir.samplers.taken import Taken

if TYPE_CHECKING:
    from modeldir.space import Space


class Random:
    """Points by chance, no point twice."""

    learns = False

    def __init__(self, space: Space, seed: int, objectives: Objectives = ()) -> None:
        del objectives  # taken because every sampler is made in one way
        self._taken = Taken(space, seed)

    def ask(self, number: int) -> Proposal | None:
        """A point that no trial has yet; None when each point has one."""
        point = self._taken.drawn(number)
        return None if point is None else Proposal(point)

    def tell(self, observation: Observation) -> None:
        """A trial with this point is there, however it stands."""
        self._taken.add(observation)
