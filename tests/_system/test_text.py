"""Text for people: its width in a terminal, and what a terminal would obey written out."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from modeldir._system.escaping import visible
from modeldir._system.text import cut, padded, text_width, wrapped


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("lr=0.1…", 7),
        ("größe", 5),
        ("日本語", 6),
        ("e\u0301", 1),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", 2),  # a family: three emoji, joined
        ("\U0001f44d\U0001f3fd", 2),  # a thumb with a skin tone
        ("1\ufe0f\u20e3", 2),  # a keycap
        ("\u1112\u1161\u11ab", 2),  # Hangul, decomposed: one syllable
        ("\U0001f1e9\U0001f1ea", 2),  # a flag
        ("日\x85", 6),  # written out as \x85
    ],
)
def test_a_text_is_as_wide_as_a_terminal_shows_it(text: str, width: int) -> None:
    """In columns, and `padded` fills up to a width."""
    assert text_width(text) == width
    assert text_width(padded(visible(text), 9, right=False)) == 9


@given(st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["C"])))
def test_common_letters_need_no_table(text: str) -> None:
    """The quick answer for Latin, Greek and Cyrillic is that of wcwidth."""
    assert text_width(text) == wcswidth(text)


def test_wcwidth_is_only_imported_for_a_text_that_needs_it() -> None:
    """Its import takes longer than a whole command of ours."""
    script = (
        "import sys; from modeldir._system.text import text_width\n"
        "text_width('größe…'); print('wcwidth' in sys.modules)\n"
        "text_width('日本'); print('wcwidth' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"True"]


def test_lines_are_wrapped_by_width_and_not_by_length() -> None:
    """Wide characters fill a line sooner."""
    assert wrapped("日本 日本 日本", 9) == ["日本 日本", "  日本"]


def test_a_long_text_is_cut_and_says_so() -> None:
    """With the length that it had."""
    assert cut("a" * 2000, 40) == "a" * 15 + "… (cut: 2,000 characters)"
    assert cut("short") == "short"
