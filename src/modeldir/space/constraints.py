"""Constraints: what must hold for each configuration of a space.

`space` and `results.filters` (`--where`) use it. Start at `Constraint`. Python's own parser takes
two milliseconds to import and few searches have a constraint, so `expressions`, which evaluates it,
is imported only when needed.
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
    """A condition that must hold for each configuration, as it was written.

    A `lenient` one may be applied to rows that lack values. A missing value equals `None`, is
    neither more nor less than anything, and any computation with it is missing too.
    """

    text: str
    lenient: bool = field(default=False, repr=False)

    @cached_property
    def _expression(self) -> Expression:
        from modeldir.space.expressions import Expression  # noqa: PLC0415 - see above

        return Expression(self.text)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters that it contains, in order.

        Raises:
            ConstraintError: if it cannot be read.
        """
        return self._expression.names()

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it is true for these hyperparameters.

        An expression without a value, such as a division by zero, is not true.

        Raises:
            ConstraintError: if types do not match: a string and a number.
        """
        return self._expression.holds(values, lenient=self.lenient)
