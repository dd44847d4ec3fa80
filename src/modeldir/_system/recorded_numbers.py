"""Numbers as files record them: which of them can be a process, a count or a duration.

Every reader of a run file, a claim or an entry of a registry checks its numbers here, because
anybody may have written the file. The rule: a number that cannot be what it stands for is no value.
Then nobody computes with 10 ** 400, which no float can hold. For moments, see `timestamps`.
"""

from __future__ import annotations

_EXACT = 2**53
_LARGEST_PID = 2**31 - 1
_LONGEST = 1e10
"""Three centuries in seconds."""


def integer(value: object, least: int = 0, most: int = _EXACT) -> int | None:
    """Return an integer from `least` to `most`; None for anything else.

    >>> integer(3), integer(True), integer(3.0), integer(-1), integer(10**400)
    (3, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if least <= value <= most else None


def process_id(value: object) -> int | None:
    """Return the number of a process; None for anything else.

    >>> process_id(1), process_id(0), process_id("1")
    (1, None, None)
    """
    return integer(value, 1, _LARGEST_PID)


def seconds(value: object) -> float | None:
    """Return a duration in seconds; None for anything that cannot be one.

    >>> seconds(1.5), seconds(-1), seconds(1e300), seconds(float("nan"))
    (1.5, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 <= value <= _LONGEST else None
