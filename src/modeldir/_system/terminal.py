"""Whether standard output and error are terminals, and how wide these are.

Commands and tables call it to choose between short lines for people and whole lines for programs.
The rule: output to a file or a pipe is never cut. The width of a string: `text.text_width`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` is slow to import
if TYPE_CHECKING:
    from typing import TextIO

DECIMALS = 4
"""Decimals of metrics in a terminal, on a page and in a figure."""

_USUAL = 80


def decimals_here() -> int | None:
    """Return the decimals of metrics for standard output: few in a terminal, else None (all)."""
    return None if sys.stdout is None or not sys.stdout.isatty() else DECIMALS


def width_here() -> int:
    """Return the columns of the terminal, or what `COLUMNS` says; 80 without a terminal.

    The same as `shutil.get_terminal_size`, but `shutil` is slow to import.
    """
    return _width_of(sys.__stdout__)


def width_of_lines() -> int | None:
    """Return the same; None if standard output is a file or a pipe, which gets whole lines."""
    return None if decimals_here() is None else width_here()


def width_of_messages() -> int | None:
    """Return the same for standard error; None if that is no terminal."""
    try:
        return _width_of(sys.stderr) if sys.stderr.isatty() else None
    except (AttributeError, ValueError):  # no standard error, or it is closed
        return None


def _width_of(stream: TextIO | None) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL  # type: ignore[union-attr] # caught
    except (AttributeError, ValueError, OSError):  # no stream, a closed one, or a file
        return _USUAL
