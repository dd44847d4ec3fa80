"""Paths and commands as a person types them in a shell: in what we say, never in what we run.

A folder may be called anything. What a terminal would obey is written out as bash and zsh read it;
a line that we give to a shell ourselves may meet another one, and is made by `shlex`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path


def quoted(word: Path | str) -> str:
    r"""A word as it is typed in a shell; what a terminal would obey is written out, for bash.

    >>> print(quoted("my runs/a"), quoted("a\x1b[2J"))
    'my runs/a' $'a\x1b[2J'
    """
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_in_bash, text))}'"


def quoted_line(words: Iterable[Path | str]) -> str:
    r"""A command as it is typed in a shell.

    >>> print(quoted_line(["modeldir", "search", "my\nruns"]))
    modeldir search $'my\x0aruns'
    """
    return " ".join(map(quoted, words))


def _in_bash(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    return char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
