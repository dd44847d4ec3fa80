"""Helpers that several pruners share: compare values, word a share, check options.

The rule: NaN is worse than any number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from modeldir.metrics.objective import Direction

_SHARES = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 10: "tenth"}
_SHARES |= {6: "sixth part", 7: "seventh part", 8: "eighth part", 9: "ninth part"}


def count_better(values: Iterable[float], value: float, direction: Direction) -> int:
    """Count the values that are strictly better than `value`; NaN is the worst."""
    if math.isnan(value):
        return sum(not math.isnan(each) for each in values)
    if direction == "maximize":
        return len([None for each in values if each > value])
    return len([None for each in values if each < value])


def share_words(factor: int) -> str:
    """Return "one of `factor`" in words: third, seventh part."""
    return _SHARES.get(factor, f"{factor}th part")


class WrongOptionsError(ValueError):
    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def check_integers(**bounds: tuple[object, int]) -> None:
    """Check that each option is an integer and not below its minimum, given as (value, minimum)."""
    problems = [
        f"{name}: got {value!r}, expected an integer, {least} or more"
        for name, (value, least) in bounds.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < least
    ]
    if problems:
        raise WrongOptionsError(*problems)
