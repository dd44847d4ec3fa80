"""Heartbeats: tell whether a process on another host or in another container is still alive.

A process touches a file every 15 s: a supervisor its run file, a worker its entry in the registry.
Start at `Heartbeat`, the owner's side, and `Observer`, the other side. The rule: never conclude
anything from one look, because the clocks of hosts and file servers differ. An observer calls an
owner dead after it has seen the file unchanged for 120 s of its own clock, at several looks. An
owner that cannot touch its file for 90 s must stop its work before that.

For a process that can be seen from here, ask `processes.alive` instead. Modules that act on a dead
process: `search.worker_registry` and `experiment.liveness`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from modeldir._system import reading, recorded_numbers

INTERVAL = 15.0
"""Seconds between two heartbeats."""
BEATS_TO_DEATH = 8
BEATS_TO_GIVE_UP = 6
BEATS_TO_DOUBT = 3
VARIABLE = "MODELDIR_HEARTBEAT"
"""Another number of seconds between two heartbeats, for tests."""
KEY = "heartbeat"
"""Key under which an owner records the seconds between its heartbeats. Without it, it has none."""

_LATE = 5.0
"""A busy machine may look this many seconds late. A longer gap between looks proves nothing."""


def interval() -> float:
    """Return the seconds between two heartbeats of this process.

    >>> interval()
    15.0
    """
    if VARIABLE not in os.environ:
        return INTERVAL
    with contextlib.suppress(ValueError):
        seconds = float(os.environ[VARIABLE])
        if 0 < seconds <= INTERVAL:
            return seconds
    return INTERVAL


def now() -> float:
    """Return the owner's clock: it counts while the machine sleeps, like those of observers."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def beat(path: str | os.PathLike[str]) -> bool:
    """Touch a file of this process. Returns whether that was possible. Creates nothing."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


class Heartbeat:
    """The owner's side: when to touch the file next, and since when that was impossible.

    The file has just been written. `clock` is an argument so that tests need not wait.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Callable[[], float] = now) -> None:
        self.path = path
        self.interval = interval()
        self._clock = clock
        self._last = clock()
        self._time: int | None = None
        self._due = self._last + self.interval

    def wait(self) -> float:
        """Return the seconds until the next heartbeat; 0 or less if it is due."""
        return self._due - self._clock()

    def beat(self) -> bool:
        """Touch the file. Returns whether that was possible and has changed the file's time."""
        began = self._clock()
        done = beat(self.path) and self._has_moved()
        if done:
            self._last = self._clock()
        # Counted from the start: if a file server was away for long, it is asked again at once.
        self._due = began + self.interval
        return done

    def note_write(self) -> None:
        """Count a rewrite of the file as a heartbeat."""
        self._last = self._clock()

    def _has_moved(self) -> bool:
        """Whether the file's time differs from that after the last heartbeat.

        Some network drives report that they set a new time, and keep the old one.
        """
        before = self._time
        with contextlib.suppress(OSError):
            self._time = os.stat(self.path).st_mtime_ns
        return self._time != before

    @property
    def is_lost(self) -> bool:
        """Whether the last heartbeat is so long ago that others will soon call its owner dead."""
        return self._clock() - self._last >= BEATS_TO_GIVE_UP * self.interval


class _Watched:
    """The observer's knowledge of one file.

    `still` counts the seconds for which it was seen unchanged, `moved` is when it was seen to
    change.
    """

    def __init__(self, state: str, looked: float, moved: float | None = None) -> None:
        self.state = state
        self.looked = looked
        self.still = 0.0
        self.moved = moved


class Observer:
    """The other side: looks at files again and again, and so learns which owners are alive."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._known: dict[str, _Watched] = {}

    def look(self, path: str | os.PathLike[str]) -> bool | None:
        """Whether the owner of a file is alive.

        Returns:
            True if the file was seen to change within the last 3 heartbeats, False if it was seen
            unchanged for 8. None while neither is known, and if the file records no heartbeat. An
            incomplete file is watched as if its heartbeat came every `interval()` seconds.

        A worker with nothing else to do waits until it knows. Otherwise nobody would continue a
        trial whose worker has just died.
        """
        name = os.fspath(path)
        seen = _read(name)
        now = self.clock()
        known = self._known.get(name)
        if seen is None or known is None:
            if known is not None:  # the file cannot be read now: this time does not count
                known.looked = now
            elif seen is not None:
                self._known[name] = _Watched(seen[0], now)
            return None
        state, seconds = seen
        gap, known.looked = now - known.looked, now
        if state != known.state:
            self._known[name] = _Watched(state, now, moved=now)
            return None if seconds is None else True
        if seconds is None:
            return None
        # A long gap between two looks (a suspended observer, a file server that was away) must not
        # count as silence of the owner.
        known.still += min(gap, max(seconds, _LATE))
        if known.still >= BEATS_TO_DEATH * seconds:
            return False
        moved = known.moved is not None and now - known.moved < BEATS_TO_DOUBT * seconds
        return True if moved else None

    def has_watched(self, path: str | os.PathLike[str]) -> bool:
        """Return whether it has looked at a file."""
        return os.fspath(path) in self._known


def seconds_since_beat(path: str | os.PathLike[str]) -> float | None:
    """Return the seconds since the last heartbeat; None if the file cannot be read.

    The clocks of the file server and of this machine may differ, so the number may be shown, and
    decides only where minutes do not matter.
    """
    try:
        return max(0.0, time.time() - os.stat(path).st_mtime)
    except OSError:
        return None


def recorded_interval(record: object) -> float | None:
    """Return the seconds between two heartbeats that a record states; None if it has none."""
    seconds = record.get(KEY) if isinstance(record, dict) else None
    return recorded_numbers.seconds(seconds) or None


def _read(path: str) -> tuple[str, float | None] | None:
    """Return what changes with each heartbeat, and the seconds between two.

    The file is opened because a network file system asks its server then. For a `stat` it may not.
    """
    try:
        descriptor, status = reading.open_regular(path, reading.RECORD)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            data = file.readall()
    except OSError:
        return None
    record = None
    with contextlib.suppress(ValueError):
        record = reading.loads(data)
    # An incomplete file states no heartbeat, and its owner may have one.
    is_complete = isinstance(record, dict) and record
    seconds = recorded_interval(record) if is_complete else interval()
    return f"{status.st_mtime_ns}.{status.st_ino}.{status.st_size}", seconds
