"""Random search: draw each trial's configuration independently, from (seed, trial number).

So the number of workers, their order and restarts change nothing. Bergstra and Bengio, "Random
Search for Hyper-Parameter Optimization", JMLR 13, 2012.
"""

from __future__ import annotations

from modeldir.samplers import Objectives, Observation, Proposal
from modeldir.samplers.used_configurations import Taken
from modeldir.space import Space


class Random:
    """Random configurations, none twice."""

    learns = False

    def __init__(self, space: Space, seed: int, objectives: Objectives = ()) -> None:
        del objectives  # every sampler has this signature
        self._taken = Taken(space, seed)

    def ask(self, number: int) -> Proposal | None:
        point = self._taken.drawn(number)
        return None if point is None else Proposal(point)

    def tell(self, observation: Observation) -> None:
        self._taken.add(observation)
