"""The trial that records what a script imports, and how long that took.

The first trial of a search runs through `import_recorder.py`, which appends to a report file.
`policy.py` starts a `Recording` for it and reads on while it runs. It decides what to
do with the list, which is an `imports.ImportList`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import files, processes
from modeldir.experiment.attempts import HOME
from modeldir.worker.preload.command_line import parse
from modeldir.worker.preload.imports import ImportList, ImportReport

if TYPE_CHECKING:
    from modeldir.worker.start_order import Start

_OLD = 86400.0
"""Seconds after which a report file is that of a worker that was killed."""
_QUIET = (0.5, 5.0)
"""Seconds without a further import, at least and at most, after which a script has its imports."""


class Recording:
    """A trial that records its imports.

    `is_void`: something was installed meanwhile, so the list is of no use.
    """

    def __init__(self, search: Path, start: Start, clock: Callable[[], float]) -> None:
        # A random name: workers on two hosts may have one host name and one process id.
        name = f"imports.{os.urandom(8).hex()}"
        self._path = str(files.absolute(search) / HOME / name)
        self._report = ImportReport(self._path)
        self._clock = clock
        self._began = self._grew = clock()
        self.folder = start.folder
        self.supervisor = 0
        self.imports: ImportList | None = None
        self.is_void = False

    def of(self, start: Start, core: Sequence[str]) -> Start:
        """Return the start of the trial, whose command is `core`, through the recorder."""
        invocation = parse(core)
        assert invocation is not None  # its script is the one of the search
        return replace(start, by=invocation.through_recorder(self._path))

    def read(self) -> ImportList | None:
        """Return the list so far; None if there is nothing new."""
        imports = self._report.import_list()
        self.imports = imports or self.imports
        return imports

    def note_growth(self) -> None:
        self._grew = self._clock()

    @property
    def has_died(self) -> bool:
        """Whether its supervisor is gone without a word."""
        return bool(self.supervisor) and processes.process(self.supervisor) is None

    @property
    def has_settled(self) -> bool:
        """Whether the script seems to have imported all that it needs."""
        return has_settled(self._began, self._grew, self._clock())

    @property
    def is_quiet(self) -> bool:
        return self._clock() - self._grew > _QUIET[1]

    @property
    def seconds(self) -> tuple[float, float]:
        """How long it imported, and how long it has run."""
        return self._grew - self._began, self._clock() - self._began

    def remove(self) -> None:
        _remove(self._path)


def has_settled(began: float, grew: float, now: float) -> bool:
    """Whether a script whose list grew last at `grew` seems to have imported all that it needs."""
    least, most = _QUIET
    return now - grew >= min(most, max(least, 0.2 * (grew - began)))


def remove_old(home: Path) -> None:
    """Remove reports that killed workers have left. By age: those of other hosts are not seen."""
    for path in home.glob("imports.*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD:
                _remove(str(path))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
