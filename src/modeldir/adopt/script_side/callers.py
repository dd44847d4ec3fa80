"""Tell whether options are asked by the user's script, by a library, or by a launcher.

`argparse_options.py` asks: `torchrun` and many libraries use argparse for themselves.
"""

from __future__ import annotations

import os
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_own_code(path: str) -> bool:
    """Whether a file belongs to the user, and not to Python or an installed package."""
    if path.startswith("<"):
        return False
    path = os.path.abspath(path)
    library = sysconfig.get_paths()
    installed = (library["stdlib"], library["platstdlib"], library["scripts"])
    if path.startswith((_HERE, *(f"{folder}{os.sep}" for folder in installed))):
        return False
    return not any(each in path for each in _PACKAGES)


def first_own(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's own code."""
    return next((each for each in frames(frame) if is_own_code(each.f_code.co_filename)), None)


def is_launcher() -> bool:
    """Whether this process only starts a script: `torchrun train.py`, `accelerate launch -m x`.

    Called where no code of the user is running.
    """
    return any(word.endswith(".py") or word == "-m" for word in sys.argv[1:])
