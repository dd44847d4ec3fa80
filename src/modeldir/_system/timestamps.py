"""Points in time as files have them, and as Unix time.

It knows ISO 8601 and seconds since 1970. It refuses to know what happened then.
"""

from __future__ import annotations

_LATEST = 253402300799.0
"""The last second of the year 9999: later is no time, but milliseconds taken for seconds."""


def unix_time(stamp: object) -> float | None:
    """Unix time of a text in ISO 8601 or of a number of seconds; None for anything else.

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


def stamp(unix: float) -> str:
    """Unix time as ISO 8601 in UTC, to the millisecond, as all files of modeldir have it.

    >>> stamp(60)
    '1970-01-01T00:01:00.000+00:00'
    """
    from datetime import datetime, timezone  # noqa: PLC0415 - as above

    return datetime.fromtimestamp(unix, timezone.utc).isoformat(timespec="milliseconds")
