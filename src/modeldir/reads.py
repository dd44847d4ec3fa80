"""Which names a process has read of its run's params files, told to the run.

A search must never vary a hyperparameter that nobody reads; this is how it learns of it. The names
go as a line into the run's `events.jsonl`, when asked and at the end of the process. It knows the
variables `MODELDIR_RUN` and `MODELDIR_ATTEMPT`. It refuses to know what a hyperparameter is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from modeldir import files

if TYPE_CHECKING:
    from pathlib import Path


class _Names(set[str]):
    """The dotted names that were read of a file.

    In a child of the process that opened the file (a DataLoader's worker) a new name is told at
    once: such children leave without an end at which they could tell.
    """

    def __init__(self, folder: str | None) -> None:
        super().__init__()
        self._folder = folder
        self._pid = os.getpid()

    def add(self, name: str) -> None:
        if name not in self:
            super().add(name)
            if self._folder is not None and os.getpid() != self._pid:
                _tell(self._folder, [name])

    def __reduce__(self) -> tuple[type[set[str]], tuple[list[str]]]:
        return set, (list(self),)  # elsewhere it is a set of names and no more


@dataclass
class Reads:
    """The dotted names that were read of a file, and the folder of the run that wants to know."""

    folder: str | None = None
    pid: int = field(default_factory=os.getpid)
    reported: int = -1  # how many names the last report had

    def __post_init__(self) -> None:
        self.names: set[str] = _Names(self.folder)


_WATCHED: dict[str, Reads] = {}
"""By file. What a process has read is a fact of the process: it may open the file several times."""


def reads_of(path: Path) -> Reads:
    """Where to note what is read of a file: one place for all, if it lies in the run's folder."""
    _, _, folder = os.environ.get("MODELDIR_RUN", "").partition(":")
    if not folder or not files.same_file(path.parent, folder):
        return Reads()
    reads = _WATCHED.get(str(path))
    if reads is None or reads.pid != os.getpid():
        reads = _WATCHED[str(path)] = Reads(folder=folder)
        atexit.register(report, reads)
    return reads


def report(reads: Reads) -> None:
    """Add the names to the run's `events.jsonl`, if there are new ones and the process is ours."""
    names = sorted(reads.names)
    if reads.folder is None or reads.pid != os.getpid() or reads.reported == len(names):
        return
    reads.reported = len(names)
    _tell(reads.folder, names)


def _tell(folder: str, names: list[str]) -> None:
    event = {
        "attempt": int(os.environ.get("MODELDIR_ATTEMPT") or 1),
        "event": "params_read",
        "names": names,
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
    }
    with contextlib.suppress(OSError):  # a full disk must not end a training
        files.append_line(os.path.join(folder, "events.jsonl"), event)
