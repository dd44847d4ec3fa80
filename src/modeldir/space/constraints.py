"""Constraints: what must hold for each configuration of a space.

`space` and `results.filters` (`--where`) use it. Python's own parser takes two milliseconds to
import, so `expressions`, which evaluates a constraint, is imported only when needed.
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
        """The hyperparameters that it contains, in order."""
        return self._expression.names()

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it is true for these hyperparameters; a division by zero is not."""
        return self._expression.holds(values, lenient=self.lenient)
