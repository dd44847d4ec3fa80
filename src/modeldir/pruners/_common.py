"""What the pruners have in common: who is better, and which options make no sense.

It refuses to know steps and rungs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modeldir.metrics.metrics import Direction

_SHARES = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 10: "tenth"}


def count_better(values: Iterable[float], value: float, direction: Direction) -> int:
    """How many are strictly better than a value; NaN is the worst there is.

    >>> count_better([0.9, 0.8, float("nan")], 0.8, "maximize")
    1
    """
    if math.isnan(value):
        return sum(not math.isnan(each) for each in values)
    if direction == "maximize":
        return len([None for each in values if each > value])
    return len([None for each in values if each < value])


def share_words(factor: int) -> str:
    """One in so many, in words.

    >>> share_words(3), share_words(7)
    ('third', 'seventh part')
    """
    ordinals = {6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth"}
    return _SHARES.get(factor) or f"{ordinals.get(factor, f'{factor}th')} part"


def wrong_number(**bounds: tuple[object, int]) -> None:
    """Refuse options that are no whole number, or below the least that makes sense.

    Raises:
        ValueError: listing all of them.
    """
    problems = [
        f"{name}: got {value!r}, expected a whole number, {least} or more"
        for name, (value, least) in bounds.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < least
    ]
    if problems:
        raise ValueError("\n".join(problems))
