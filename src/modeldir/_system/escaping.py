"""Makes text from files harmless on a terminal and in JSON: control and misleading characters.

Tables, `show`, messages call `visible`; `log` calls `without_misleading`. Text from a folder passes
one of these before it reaches a terminal. Widths and wrapping: `text.py`.
"""

from __future__ import annotations

import re
import unicodedata


def visible(text: str) -> str:
    r"""Return the string with everything that a terminal would not show written out (`\x1b`, `\n`).

    These are control characters, line separators, marks that reorder text, and lone surrogates.
    """
    if text.isprintable():  # nearly always, and quick
        return text
    return "".join(char if _is_harmless(char) else _written_out(char) for char in text)


_MISLEADING = re.compile("[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\udc80-\udc9f]")
"""8-bit controls, also as bytes that are no UTF-8, and marks that reorder text."""


def without_misleading(text: str) -> str:
    r"""Return printed output with 8-bit controls and marks that reorder text written out.

    Everything else stays: colors, tabs, and bytes in another encoding.

    >>> without_misleading("loss\u202e 1.0\x9b2J"), without_misleading("\x1b[1mbold\x1b[0m")
    ('loss\\u202e 1.0\\x9b2J', '\x1b[1mbold\x1b[0m')
    """
    return text if text.isascii() else _MISLEADING.sub(_as_code, text)


def in_json(text: str) -> str:
    r"""Return JSON with the same characters as JSON's own escapes: it has the same value.

    >>> in_json('"loss\u202e"')
    '"loss\\u202e"'
    """
    if text.isascii():
        return text
    return _MISLEADING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can encode a string: an argument of other bytes has lone surrogates."""
    return not re.search("[\ud800-\udfff]", text)


def _as_code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code & 0xFF:02x}" if code < 0x100 or code >= 0xDC80 else f"\\u{code:04x}"  # noqa: PLR2004


def _is_harmless(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


_JOINERS = frozenset("\u200c\u200d")
"""Joiners have no width, but Persian, Hindi and some emoji are written with them."""
