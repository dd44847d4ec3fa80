"""Moments in time: ISO 8601 in UTC, as modeldir's files have them, and Unix time.

Everything that records when something happened calls `utc_now`; readers call `unix_time`. The rule:
no `datetime` at the top, because it is slow to import and small processes record times, too.

For how long something took, or may take, see `durations`. Whether a file changed: `file_stamps`.
"""

from __future__ import annotations

import time

_EARLIEST, _LATEST = -62135596800.0, 253402300799.0
"""The years 1 to 9999. A larger number is no time: probably milliseconds taken for seconds."""


def unix_time(stamp: object) -> float | None:
    """Return the Unix time of an ISO 8601 text or of a number of seconds; None for anything else.

    >>> unix_time("1970-01-01T00:01:00Z"), unix_time(60), unix_time("soon")
    (60.0, 60.0, None)
    """
    if isinstance(stamp, (int, float)) and not isinstance(stamp, bool):
        return float(stamp) if abs(stamp) <= _LATEST else None
    if not isinstance(stamp, str):
        return None
    from datetime import datetime  # noqa: PLC0415 - slow to import, and often nothing has a time

    text = stamp[:-1] + "+00:00" if stamp.endswith("Z") else stamp  # Python 3.10 knows no Z
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def utc_text(unix: float) -> str:
    """Return a Unix time as ISO 8601 in UTC, to the millisecond.

    >>> utc_text(60)
    '1970-01-01T00:01:00.000+00:00'

    Raises:
        ValueError: outside of the years 1 to 9999.
    """
    if not _EARLIEST <= unix <= _LATEST + 1:
        raise ValueError(f"{unix} is no time in the years 1 to 9999")
    seconds, microseconds = divmod(round(unix * 1_000_000), 1_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text:0>19}.{microseconds // 1000:03d}+00:00"


def utc_now() -> str:
    """Return the present time as ISO 8601 in UTC, to the millisecond."""
    return utc_text(time.time())
