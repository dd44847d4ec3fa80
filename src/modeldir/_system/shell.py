"""Quote paths and commands for messages, as a person types them in bash or zsh.

Every message with a command to copy calls `quoted`. The rule: only for messages. A line that
modeldir itself gives to a shell is quoted with `shlex`, because that shell may not be bash.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path


def quoted(word: Path | str) -> str:
    r"""Return a word as it is typed in a shell; control characters are written as bash reads them.

    >>> print(quoted("my runs/a"), quoted("a\x1b[2J"), quoted(Path("-x")))
    'my runs/a' $'a\x1b[2J' ./-x
    """
    text = no_option(str(word)) if isinstance(word, Path) else word
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_in_bash, text))}'"


def no_option(path: str) -> str:
    """Return a path that no program takes for an option: `./-x` for `-x`."""
    return f"./{path}" if path.startswith("-") else path


def quoted_line(words: Iterable[Path | str]) -> str:
    r"""Return a command as it is typed in a shell.

    >>> print(quoted_line(["modeldir", "search", "my\nruns"]))
    modeldir search $'my\x0aruns'
    """
    return " ".join(map(quoted, words))


def command_line(words: Iterable[str]) -> str:
    """Return words as a line that `shlex.split` reads again; placeholders stay as they are typed.

    >>> print(command_line(["python", "train.py", "--lr", "{lr}", "--tag", "{a} b"]))
    python train.py --lr {lr} --tag '{a} b'
    """
    placed = re.compile(r"(?a)[\w@%+=:./-]*\{[\w.:/-]+\}[\w@%+=:./-]*")
    return " ".join(word if placed.fullmatch(word) else shlex.quote(word) for word in words)


def _in_bash(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    return char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
