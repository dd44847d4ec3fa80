"""A report that is written again while trials end, for `modeldir watch --html`.

Writing must never slow down the machine: there are at least five seconds between two reports, and
writing takes at most 5 % of the time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from modeldir.errors import ModeldirError
from modeldir.results.report.report_file import write_report

SHORTEST_INTERVAL = 5.0
"""Seconds between two reports."""
LARGEST_SHARE = 0.05
"""Share of the time that writing may take: after a report of 4 s, the next one is 80 s later."""


class LiveReport:
    """A report of a folder that is kept up to date. It is written at once."""

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
        self._next = 0.0
        self._is_outdated = False
        self._write()

    def trial_ended(self) -> None:
        self._is_outdated = True

    def refresh(self, *, last: bool = False) -> None:
        """Write the report again if it is out of date and the time has come, or it is the `last`.

        A full disk does not end the watch: the error is kept in `problem`.
        """
        if not last and (not self._is_outdated or self._clock() < self._next):
            return
        try:
            self._write()
        except ModeldirError as error:
            self.problem = str(error)

    def _write(self) -> None:
        started = self._clock()
        self._is_outdated = False
        self._next = started + SHORTEST_INTERVAL
        write_report(self.folder, self.path)
        self.problem = None
        duration = self._clock() - started
        self._next = started + max(SHORTEST_INTERVAL, duration / LARGEST_SHARE)
