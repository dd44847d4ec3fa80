"""Moments in time: ISO 8601 as files have it, and Unix time."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir._system.timestamps import unix_time, utc_now, utc_text


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_time_is_written_as_datetime_would_write_it(milliseconds: int) -> None:
    """In all years from 1 to 9999, to the millisecond."""
    text = utc_text(milliseconds / 1000)
    assert text == datetime.fromisoformat(text).isoformat(timespec="milliseconds")
    read = unix_time(text)
    assert read is not None
    assert abs(read - milliseconds / 1000) <= 0.0011


@pytest.mark.parametrize("unix", [253402300800.5, -62135596801, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(unix: float) -> None:
    """Milliseconds taken for seconds would be the year 50,000."""
    with pytest.raises(ValueError, match="no time"):
        utc_text(unix)


def test_now_is_written_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the user lives, so that folders of two machines can be compared."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    text = utc_now()
    read = unix_time(text)
    assert text.endswith("+00:00")
    assert read is not None
    assert abs(read - datetime.now(timezone.utc).timestamp()) < 5
