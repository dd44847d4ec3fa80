"""Remove terminal escape sequences (colors, titles, cursor movements) from printed text.

Everything that looks for words in a program's output calls `without_escapes`. The rule: its time
grows with the length of the output, whatever it is. The screen that results: `logs/screen`.
"""

from __future__ import annotations

import re

# A title (`ESC ]`) ends at the next ESC or line: else each of many is followed to the end.
_ESCAPES = re.compile(r"\x1b\[[0-?]{0,64}[ -/]{0,4}[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")


def without_escapes(output: str) -> str:
    r"""Return output without its escape sequences; an incomplete one stays.

    >>> without_escapes("\x1b[1;31merror\x1b[0m: \x1b]0;title\x07no file")
    'error: no file'
    """
    return _ESCAPES.sub("", output) if "\x1b" in output else output
