"""The first preloaded trials, until one of them has shown that forks of its libraries work.

A fork may hang on a lock that was held when it was forked, and then does nothing at all.
`policy.py` asks for such trials once a second, and ends them. A trial that is only slow is never
ended. Forks that crash are recognized by their last line: `experiment/failure_classes.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from modeldir._system import processes
from modeldir.experiment import attempts

_LOOK_EVERY = 1.0


class WatchedTrial:
    """A preloaded trial: what it had done when we last looked, and since when that is so."""

    def __init__(self, supervisor: int, folder: Path, since: float) -> None:
        self.supervisor, self.folder, self.since = supervisor, folder, since
        self.done: object = None

    def end(self) -> None:
        """Have it interrupted. A supervisor that itself hangs before it has begun is killed."""
        last = attempts.latest(self.folder)
        record = {} if last is None or last.end is not None else last.record
        recorded = processes.from_json(record.get("supervisor"))
        begun = recorded is not None and recorded.pid == self.supervisor and record.get("process")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.supervisor, signal.SIGTERM if begun else signal.SIGKILL)


class Probation:
    """The preloaded trials that run while none has ended well."""

    def __init__(self) -> None:
        self.is_over = False
        self._watched: dict[str, WatchedTrial] = {}  # by folder
        self._looked = 0.0

    def __bool__(self) -> bool:
        return bool(self._watched)

    def add(self, supervisor: int, folder: str, now: float) -> None:
        """Watch a trial that this supervisor runs."""
        if not self.is_over:
            self._watched[folder] = WatchedTrial(supervisor, Path(folder), now)

    def remove(self, folder: str) -> bool:
        """Stop watching a trial. Returns whether it was watched."""
        return self._watched.pop(folder, None) is not None

    def end(self) -> None:
        """Watch nothing any more: a trial has shown that forks work."""
        self.is_over = True
        self._watched.clear()

    def restart_clock(self, now: float) -> None:
        """Count from now: this worker was stopped, and so may the trials have been."""
        for watched in self._watched.values():
            watched.since = now

    def silent(self, now: float, silence: float) -> list[WatchedTrial]:
        """Return the trials that have done nothing for `silence` seconds.

        Looks once a second at most.
        """
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


def _done_by(watched: WatchedTrial) -> object:
    """Return what changes while a trial does anything: CPU time and the files that it writes."""
    ticks = processes.cpu_ticks(processes.descendants(watched.supervisor))
    with contextlib.suppress(OSError), os.scandir(watched.folder) as entries:
        return ticks, [(each.name, each.stat().st_size) for each in entries]
    return ticks, None
