"""Times as people type them."""

from __future__ import annotations

import pytest

from modeldir._system.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("2d", 172800), ("90", 90), ("0.5s", 0.5),
     (45, 45), (1.5, 1.5), (" 1H 30M ", 5400)],
)  # fmt: skip
def test_times_are_read(text: str | float, seconds: float) -> None:
    """With units, without, in capitals, with spaces."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "0", "0h", "5 weeks", "1h30", "nan", "inf", True]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """With the ways in which one may be written."""
    with pytest.raises(ValueError, match=r"(is no duration|is not above 0).*30m, 8h, 1h30m"):
        parse_duration(text)
