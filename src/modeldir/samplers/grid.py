"""Grid search: every point of a finite space, in order, each once.

Points that are known already are passed over, so a grid that grows gets its new points alone. It
knows neither scores nor chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modeldir.params import equality
from modeldir.samplers import Objectives, Observation, Problem, Proposal
from modeldir.space import grid

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from modeldir.space import Space


class Grid:
    """All points, the last hyperparameter changing fastest.

    Raises:
        SpaceError: for a space without an end.
    """

    learns = False

    def __init__(self, space: Space, seed: int = 0, objectives: Objectives = ()) -> None:
        del seed, objectives  # taken because every sampler is made in one way
        self._points = grid(space)
        self._known: set[Hashable] = set()
        self._advance()

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        """Ranges: they have no end."""
        del objectives
        for name, domain in space.domains.items():
            if domain.values() is None:
                yield Problem(
                    f"{name}: a grid needs a list of values",
                    "give values, or use --sampler random",
                )

    def ask(self, number: int) -> Proposal | None:  # noqa: ARG002 - any trial gets the next
        """The first point that no trial has yet; None when each has one."""
        # What was told stays told, so the points before the next never need a second look.
        while self._key in self._known:
            self._advance()
        return None if self._next is None else Proposal(dict(self._next))

    def _advance(self) -> None:
        self._next = next(self._points, None)
        self._key = None if self._next is None else _key(self._next)

    def tell(self, observation: Observation) -> None:
        """A trial with this point is there, however it stands."""
        if observation.takes_its_point:
            self._known.add(_key(observation.point))


def _key(point: Mapping[str, Any]) -> Hashable:
    """Equal for points that are; a hash of their text would take ten times as long."""
    return frozenset([(name, equality.key(value)) for name, value in point.items()])
