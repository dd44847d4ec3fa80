"""Durations as people type and read them: `30m`, `1h30m` or `90` (seconds), and `1h 30m`.

Options such as `--time-limit` call `parse_duration`, every table and message `duration_text`. The
rule: inside modeldir a duration is a number of seconds. Moments in time: `timestamps`.
"""

from __future__ import annotations

import math
import re

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = r"(\d+(?:\.\d+)?)([dhms])"
SHORT = 9.95
"""Durations below this many seconds are shown with one decimal."""
MINUTE, HOUR, DAY = 60, 3600, 86400
EXAMPLES = "30m, 8h, 1h30m, 2d, or a number of seconds"


def parse_duration(text: str | float) -> float:
    """Return the seconds of a duration as it is typed, above 0.

    Raises:
        ValueError: for anything else; the message shows examples.

    >>> parse_duration("1h30m"), parse_duration("90"), parse_duration("0.5d"), parse_duration(20)
    (5400.0, 90.0, 43200.0, 20.0)
    """
    bare = str(text).strip().lower().replace(" ", "")
    if isinstance(text, bool):
        bare = ""
    if re.fullmatch(r"\d+(\.\d+)?", bare):
        seconds = float(bare)
    elif bare and not re.sub(_PART, "", bare):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, bare))
    else:
        raise ValueError(f"{text!r} is no duration; write {EXAMPLES}")
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is not above 0; write {EXAMPLES}")
    return seconds


def duration_text(seconds: float) -> str:
    """Return a duration in at most two units.

    >>> duration_text(0.42), duration_text(75), duration_text(7380), duration_text(180000)
    ('0.4s', '1m 15s', '2h 03m', '2d 02h')
    """
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < SHORT:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d {whole % DAY // HOUR:02}h"
