"""Escape sequences go, everything else stays, and no text takes long."""

from __future__ import annotations

import pytest

from modeldir._system.escape_sequences import without_escapes


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2K\x1b[1Gbar", "bar"),
        ("\x1b[38:2::255:0:0mx", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;file\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;no end\nnext \x07", "\x1b]0;no end\nnext \x07"),
        ("cut \x1b[3", "cut \x1b[3"),
    ],
)
def test_sequences_are_removed(printed: str, shown: str) -> None:
    """Colors, cursor movements, titles and links; an incomplete one stays as it is."""
    assert without_escapes(printed) == shown


@pytest.mark.parametrize("part", ["\x1b]", "\x1b[", "\x1b]0;" + "a" * 100, "\x1b", "\x1b[0"])
def test_a_megabyte_of_incomplete_sequences_is_no_trap(part: str) -> None:
    """Its time is linear: a quadratic one would take hours, and the test's limit ends it."""
    text = part * (1_000_000 // len(part))
    assert without_escapes(text) == text
