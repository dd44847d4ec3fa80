"""Times as people type them: `30m`, `1h30m`, `90`, in seconds.

It knows the units. It refuses to know what is limited.
"""

from __future__ import annotations

import re

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
EXAMPLES = "30m, 8h, 1h30m, 2d, or a number of seconds"


def parse_duration(text: str | float) -> float:
    """Seconds above 0.

    Raises:
        ValueError: for anything else; the message says how a time is written.

    >>> parse_duration("1h30m"), parse_duration("90"), parse_duration("0.5d"), parse_duration(20)
    (5400.0, 90.0, 43200.0, 20.0)
    """
    bare = str(text).strip().lower().replace(" ", "")
    if isinstance(text, bool):
        bare = ""
    if re.fullmatch(r"\d+(\.\d+)?", bare):
        seconds = float(bare)
    elif bare and not _PART.sub("", bare):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(bare))
    else:
        raise ValueError(f"{text!r} is no time: {EXAMPLES}")
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is no time above 0: {EXAMPLES}")
    return seconds
