"""Where a log may lie: its path, how it is opened, and why that cannot be.

It knows paths and what to type instead. It refuses to know what is written there.
"""

from __future__ import annotations

import contextlib
import os

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, did_you_mean


def of_rank(path: str, rank: int) -> str:
    """`train.log`; of the second rank `train.rank1.log`."""
    stem, ending = os.path.splitext(path)
    return f"{stem}.rank{rank}{ending}" if rank > 0 else path


def open_log(path: str) -> int:
    """A descriptor that appends to `path`. One above 2: where standard output is closed, C code
    would take the lowest free one for it.
    """
    low: list[int] = []
    try:
        while (descriptor := files.open_append(path)) <= 2:  # noqa: PLR2004 - standard error
            low.append(descriptor)
    except OSError as error:
        raise _cannot_open(path, error) from None
    finally:
        for each in low:
            os.close(each)
    return descriptor


def _cannot_open(path: str, error: OSError) -> FolderError:
    """Why a log cannot be written at `path`, and what to type."""
    folder = os.path.dirname(path) or "."
    first = f"{path or 'an empty path'} cannot be the log:"
    if os.path.isdir(path):
        inside = os.path.join(path, "train.log")
        problem, hint = f"{path} is a folder", f"name a file in it: set_logger({inside!r})"
        return FolderError(first, [(problem, hint)], state="")
    if os.path.exists(folder):
        reason = error.strerror or str(error)
        if not os.path.isdir(folder):
            reason = f"{folder} is a file, not a folder"
        return FolderError(first, [(reason, None)], state="")
    return FolderError(
        first,
        [(f"there is no folder {folder}", _near(folder))],
        state=f"If it is meant, make it first: mkdir -p {quoted(folder)}",
    )


def _near(folder: str) -> str | None:
    """A hint at a folder beside the missing one that it was probably meant to be."""
    parent, name = os.path.split(folder)
    with contextlib.suppress(OSError):
        return did_you_mean(
            name, [entry.name for entry in os.scandir(parent or ".") if entry.is_dir()]
        )
    return None
