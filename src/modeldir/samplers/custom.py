"""Check a custom sampler: no configuration twice, and none outside the search space.

`samplers.make` wraps each sampler that is not built in. An exception in it becomes an error that
names the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from modeldir.errors import SpaceError
from modeldir.samplers import Observation, Proposal, Sampler
from modeldir.samplers.used_configurations import Taken
from modeldir.space import Space

_T = TypeVar("_T")

_FRAMES = 3
"""How many of the last lines of the sampler's traceback an error shows."""


class CheckedSampler:
    def __init__(self, sampler: Sampler, space: Space, seed: int, name: str) -> None:
        self._sampler, self._space, self._name = sampler, space, name
        self._taken = Taken(space, seed)
        self.learns = bool(getattr(sampler, "learns", True))
        self.follows = bool(getattr(sampler, "follows", False))

    def ask(self, number: int) -> Proposal | None:
        """Return its proposal, or a random configuration if a trial has the proposed one."""
        proposal: Any = self._call(f"in ask({number})", lambda: self._sampler.ask(number))
        if proposal is None:
            return None
        if not isinstance(proposal, Proposal):
            found = f"a {type(proposal).__name__}: {proposal!r:.80}"
            problem = f"{self._name}: ask({number}) returned {found}"
            hint = 'return modeldir.samplers.Proposal({"learning_rate": 0.1}), or None for no more'
            raise SpaceError("The sampler made no proposal:", [(problem, hint)])
        if not self._space.contains(proposal.configuration):
            problem = f"{self._name} proposed {proposal.configuration} for trial {number}"
            hint = "propose exactly the active hyperparameters, each within its range"
            raise SpaceError("The sampler left the space:", [(problem, hint)])
        if proposal.configuration not in self._taken:
            return proposal
        point = self._taken.drawn(number)
        return None if point is None else Proposal(point)

    def tell(self, observation: Observation) -> None:
        self._taken.add(observation)
        which = (
            "another folder's row" if observation.number is None else f"trial {observation.number}"
        )
        self._call(f"in tell, of {which}", lambda: self._sampler.tell(observation))

    def _call(self, where: str, function: Callable[[], _T]) -> _T:
        try:
            return function()
        except Exception as error:
            import traceback  # noqa: PLC0415 - only for an error

            # The first two frames are this function and the lambda.
            frames = traceback.extract_tb(error.__traceback__)[2:][-_FRAMES:]
            lines = [
                f"{each.filename}:{each.lineno}, in {each.name}: {each.line}" for each in frames
            ]
            problem = f"{self._name} broke {where}: {type(error).__name__}: {error}"
            hint = "\n    ".join([*lines, "fix the sampler, then run the same command again"])
            raise SpaceError("The sampler failed:", [(problem, hint)]) from error
