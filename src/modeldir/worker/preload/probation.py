"""The first trials that begin as forks, until one has shown that forks of its libraries work.

It knows that one does nothing at all: then it may hang on a lock that was held when it was forked.
It refuses to judge one that is slow, and to end anything unasked.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from modeldir._system import processes
from modeldir.experiment import attempts

_LOOK_EVERY = 1.0


class Watched:
    """A warm trial that nothing has been heard of: what it had done when we last looked, and when
    that changed.
    """

    def __init__(self, supervisor: int, folder: Path, since: float) -> None:
        self.supervisor, self.folder, self.since = supervisor, folder, since
        self.done: object = None

    def end(self) -> None:
        """Have it interrupted. A supervisor that hangs itself, before it has begun, is killed."""
        last = attempts.latest(self.folder)
        record = {} if last is None or last.end is not None else last.record
        keeper = processes.from_json(record.get("supervisor"))
        begun = keeper is not None and keeper.pid == self.supervisor and record.get("process")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.supervisor, signal.SIGTERM if begun else signal.SIGKILL)


class Unproven:
    """Those that run, while none has come to an end."""

    def __init__(self) -> None:
        self.is_over = False
        self._watched: dict[str, Watched] = {}  # by folder
        self._looked = 0.0

    def __bool__(self) -> bool:
        return bool(self._watched)

    def began(self, supervisor: int, folder: str, now: float) -> None:
        """One was given to this supervisor."""
        if not self.is_over:
            self._watched[folder] = Watched(supervisor, Path(folder), now)

    def forget(self, folder: str) -> bool:
        """One is no longer there; whether it was one of these."""
        return self._watched.pop(folder, None) is not None

    def prove(self) -> None:
        """One came to an end: forks work."""
        self.is_over = True
        self._watched.clear()

    def begin_anew(self, now: float) -> None:
        """Count from now: who looks was stopped, and they may have been, too."""
        for watched in self._watched.values():
            watched.since = now

    def silent(self, now: float, silence: float) -> list[Watched]:
        """Those that have done nothing for so many seconds. Looked for once a second at most."""
        if not self._watched or now < self._looked + _LOOK_EVERY:
            return []
        self._looked = now
        found = []
        for path, watched in list(self._watched.items()):
            if processes.process(watched.supervisor) is None:
                del self._watched[path]
                continue
            done = _done_by(watched)
            if done != watched.done:
                watched.done, watched.since = done, now
            if now - watched.since >= silence:
                found.append(watched)
        return found


def _done_by(watched: Watched) -> object:
    """What changes while an attempt does anything: the time of its processes, what it writes."""
    ticks = processes.cpu_ticks(processes.descendants(watched.supervisor))
    with contextlib.suppress(OSError), os.scandir(watched.folder) as entries:
        return ticks, [(each.name, each.stat().st_size) for each in entries]
    return ticks, None
