"""Grid search: every point of a finite space, in order, each once.

Points that are known already are passed over, so a grid that grows gets its new points alone. It
knows neither scores nor chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modeldir.params import canonical_hash
from modeldir.space import grid

if TYPE_CHECKING:
    from modeldir.samplers import Observation
    from modeldir.space import Space


class Grid:
    """All points, the last hyperparameter changing fastest.

    Raises:
        SpaceError: for a space without an end.
    """

    def __init__(self, space: Space) -> None:
        self._points = grid(space)
        self._told: set[str] = set()
        self._go_on()

    def ask(self, number: int) -> dict[str, Any] | None:  # noqa: ARG002 - any trial gets the next
        """The first point that no trial has yet; None when each has one."""
        # What was told stays told, so the points before the next never need a second look.
        while self._hash in self._told:
            self._go_on()
        return None if self._next is None else dict(self._next)

    def _go_on(self) -> None:
        self._next = next(self._points, None)
        self._hash = None if self._next is None else canonical_hash(self._next)

    def tell(self, observation: Observation) -> None:
        """A trial with this point is there, however it stands."""
        self._told.add(canonical_hash(observation.point))
