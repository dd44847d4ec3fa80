"""A report that is written again as trials end, while somebody watches.

It knows when that is due: not more often than every few seconds, and never so often that it takes a
noticeable part of the machine's time. It refuses to know who watches.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from modeldir.errors import ModeldirError
from modeldir.results.report import write_report

LEAST = 5.0
"""Seconds between two writings."""
SHARE = 0.05
"""Of the time that may go into writing: where one takes 4 s, the next is 80 s later."""


class Kept:
    """A report of a folder at a path; `look` after each look at the folder.

    Raises:
        FolderError: when it cannot be written even once.
    """

    def __init__(
        self,
        folder: Path,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.path = Path(path)
        self.problem: str | None = None
        self._clock = clock
        self._due = 0.0
        self._stale = False
        self._write()

    def ended(self) -> None:
        """A trial has ended: what was written is out of date."""
        self._stale = True

    def look(self, *, last: bool = False) -> None:
        """Write again if there is something new and it is time; at the `last` look in any case.

        A disk that is full for a while ends no watching: `problem` says so.
        """
        if not last and (not self._stale or self._clock() < self._due):
            return
        try:
            self._write()
        except ModeldirError as error:
            self.problem = str(error)

    def _write(self) -> None:
        began = self._clock()
        self._stale = False
        self._due = began + LEAST
        write_report(self.folder, self.path)
        self.problem = None
        took = self._clock() - began
        self._due = began + max(LEAST, took / SHARE)
