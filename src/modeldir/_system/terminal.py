"""Where standard output and messages go: whether that is a terminal, and how wide it is.

It refuses to know what is printed there.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

DECIMALS = 4
"""Of metrics, where a terminal, a page or a paper shows them."""

_USUAL = 80


def decimals_here() -> int | None:
    """The decimals of metrics where standard output goes: few in a terminal, elsewhere all."""
    return None if sys.stdout is None or not sys.stdout.isatty() else DECIMALS


def width_here() -> int:
    """The columns of the terminal, or what `COLUMNS` says; 80 where there are none. It is
    `shutil.get_terminal_size`, without what that module imports.
    """
    return _width_of(sys.__stdout__)


def width_of_lines() -> int | None:
    """The same; None where standard output goes to a file or a program, which get whole lines."""
    return None if decimals_here() is None else width_here()


def width_of_messages() -> int | None:
    """The same of the terminal to which standard error goes; None where it goes to none."""
    try:
        return _width_of(sys.stderr) if sys.stderr.isatty() else None
    except (AttributeError, ValueError):  # there is none, it is closed
        return None


def _width_of(stream: TextIO | None) -> int:
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL  # type: ignore[union-attr] # caught
    except (AttributeError, ValueError, OSError):  # there is none, it is closed, it is a file
        return _USUAL
