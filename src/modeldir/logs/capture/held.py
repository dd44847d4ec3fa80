"""Descriptors that are ours only as long as the script lets them be.

A script may close every descriptor that it finds (`os.closerange(3, 256)`, as daemons do); the next
file or connection that it opens then has a number that we hold. It knows what a descriptor was when
we got it. It refuses to know what it is for.
"""

from __future__ import annotations

import contextlib
import os


class Held:
    """An open descriptor, and what it was when it came to us."""

    def __init__(self, descriptor: int) -> None:
        self.number = descriptor
        self._was = _identity(descriptor)

    def is_there(self) -> bool:
        return self._was is not None and _identity(self.number) == self._was

    def close(self) -> None:
        """Close it, once, and only what is ours."""
        if self.is_there():
            with contextlib.suppress(OSError):  # a quota's late complaint
                os.close(self.number)
        self._was = None


def _identity(descriptor: int) -> tuple[int, int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_rdev
