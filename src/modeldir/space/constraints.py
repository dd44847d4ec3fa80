"""Constraints: what must hold for each point of a space, as it was written.

It knows which hyperparameters a constraint speaks of, and whether it holds. It refuses to compute:
expressions.py does, which is imported where a plan has a constraint. Few have one, and Python's
parser of itself takes two milliseconds to import.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modeldir.space.expressions import Expression


@dataclass(frozen=True)
class Constraint:
    """What must hold for each point, as it was written.

    A `lenient` one may be asked of what lacks values: a missing one equals `None`, is neither more
    nor less than anything, and computes to nothing.
    """

    text: str
    lenient: bool = field(default=False, repr=False)

    @cached_property
    def _expression(self) -> Expression:
        from modeldir.space.expressions import Expression  # noqa: PLC0415 - see above

        return Expression(self.text)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters that it speaks of, in order.

        Raises:
            ConstraintError: for a text that is none.
        """
        return self._expression.names()

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these hyperparameters. What has no number, as a division by zero,
        is not.

        Raises:
            ConstraintError: where kinds do not go together: a text and a number.
        """
        return self._expression.holds(values, lenient=self.lenient)
