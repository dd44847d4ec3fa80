"""Grid search: propose every configuration of a finite search space, in order, each once.

It skips known configurations, so a grid that grows gets only its new ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from modeldir.samplers import Objectives, Observation, Problem, Proposal
from modeldir.samplers.used_configurations import point_key
from modeldir.space import Space, grid


class Grid:
    """All configurations. The last hyperparameter changes fastest."""

    learns = False

    def __init__(self, space: Space, seed: int = 0, objectives: Objectives = ()) -> None:
        del seed, objectives  # every sampler has this signature
        self._points = grid(space)
        self._known: set[Hashable] = set()
        self._advance()

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        del objectives
        for name, domain in space.domains.items():
            if domain.values() is None:
                yield Problem(
                    f"{name}: a grid needs a list of values",
                    "give values, or use --sampler random",
                )

    def ask(self, number: int) -> Proposal | None:  # noqa: ARG002 - every trial gets the next
        # Known configurations stay known, so the search never has to start at the first again.
        while self._key in self._known:
            self._advance()
        return None if self._next is None else Proposal(dict(self._next))

    def _advance(self) -> None:
        self._next = next(self._points, None)
        self._key = None if self._next is None else point_key(self._next)

    def tell(self, observation: Observation) -> None:
        if observation.takes_its_configuration:
            self._known.add(point_key(observation.configuration))
