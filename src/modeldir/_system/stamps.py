"""Whether a file has changed since it was read: what the file system says of it, and no more.

It refuses to read files.
"""

from __future__ import annotations

import os
from typing import TypeAlias

Stamp: TypeAlias = "tuple[int, int, int] | None"


def stamp(path: str | os.PathLike[str]) -> Stamp:
    """What changes when a file or a folder does; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class Seen:
    """Whether a file should be read again.

    A clock of the file system stands still for some milliseconds, so that two changes may bear one
    time: what has changed is read once more at the next look.
    """

    def __init__(self) -> None:
        self._stamp: object = "never read"
        self._again = False

    def changed(self, now: object) -> bool:
        """Whether to read, given the stamp that it bears now, or those of several files."""
        if now != self._stamp:
            self._stamp, self._again = now, True
            return True
        again, self._again = self._again, False
        return again
