"""Whether a file has changed since it was read, by its time, size and inode.

Readers that look at a file again and again keep a `Seen` and give it a `stamp`. The rule: after a
change, read twice, because two changes may have the same time. Times as text: `timestamps`.
"""

from __future__ import annotations

import os
import stat
from typing import TypeAlias

Stamp: TypeAlias = "tuple[int, int, int] | None"


def stamp(path: str | os.PathLike[str]) -> Stamp:
    """Return what changes when a file or folder does; None if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def size_of(path: str | os.PathLike[str]) -> int:
    """Return the size of a regular file; 0 for anything else."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


class Seen:
    """Whether a file should be read again.

    The clock of a file system advances in steps of some milliseconds, so two changes may have the
    same time. Therefore a file that has changed is read once more at the next look.
    """

    def __init__(self) -> None:
        self._stamp: object = "never read"
        self._again = False

    def changed(self, now: object) -> bool:
        """Whether to read, given the present stamp of a file, or those of several files."""
        if now != self._stamp:
            self._stamp, self._again = now, True
            return True
        again, self._again = self._again, False
        return again
