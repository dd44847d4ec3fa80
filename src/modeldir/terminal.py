"""Where standard output goes: whether that is a terminal, and how wide it is.

It refuses to know what is printed there.
"""

from __future__ import annotations

import sys

DECIMALS = 4
"""Of metrics, where a terminal, a page or a paper shows them."""


def decimals_here() -> int | None:
    """The decimals of metrics where standard output goes: few in a terminal, elsewhere all."""
    return None if sys.stdout is None or not sys.stdout.isatty() else DECIMALS


def width_here() -> int:
    """The columns of the terminal; without one what the environment says, else 80."""
    import shutil  # noqa: PLC0415 - slow to import, and few tables go to a terminal

    return shutil.get_terminal_size().columns
