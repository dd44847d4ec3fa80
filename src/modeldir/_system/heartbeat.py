"""Whether somebody lives whom one cannot see: on another host, or in another container.

A heart is the time of a file that its owner touches every 15 s: a run file of its supervisor, an
entry of its worker. This module knows how to touch and how to look. It refuses to know what a heart
belongs to, and to conclude anything from one look: clocks of hosts and of file servers differ, so
whoever wants to call somebody dead has to see the heart still for 120 s of his own clock, at
several looks. Whoever cannot touch it for 90 s has to end what he runs before that.

Where a look at a process can tell (processes.py), hearts are not asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable

EVERY = 15.0
"""Seconds between two beats."""
BEATS_TO_DEATH = 8
BEATS_TO_GIVE_UP = 6
BEATS_TO_DOUBT = 3
LOST_AFTER = EVERY * BEATS_TO_DEATH
"""Seconds for which a heart has to stand still, seen by one observer, before its owner is dead."""
VARIABLE = "MODELDIR_HEART"
"""Another number of seconds between two beats, for tests."""
KEY = "heart"
"""Under which an owner records the seconds between its beats. Without it nothing beats."""

_LATE = 5.0
"""Seconds by which a busy machine may look late; a longer gap between two looks says nothing."""


def every() -> float:
    """Seconds between two of our own beats.

    >>> every()
    15.0
    """
    if VARIABLE not in os.environ:
        return EVERY
    with contextlib.suppress(ValueError):
        told = float(os.environ[VARIABLE])
        if 0 < told <= EVERY:
            return told
    return EVERY


def now() -> float:
    """The clock by which an owner beats: it goes on while the machine sleeps, as others' do."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def beat(path: str | os.PathLike[str]) -> bool:
    """Touch a file of our own; false where that cannot be done. Nothing is made."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


class Heart:
    """An owner's own heart: when to beat next, and since when it could not.

    Its file has been written just now; `clock` is an argument so that tests need not wait.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Callable[[], float] = now) -> None:
        self.path = path
        self.every = every()
        self._clock = clock
        self._beaten = clock()
        self._time: int | None = None
        self._due = self._beaten + self.every

    def wait(self) -> float:
        """Seconds until the next beat; none or less: it is due."""
        return self._due - self._clock()

    def beat(self) -> bool:
        """Touch the file; whether that could be done, and can be seen."""
        began = self._clock()
        done = beat(self.path) and self._has_moved()
        if done:
            self._beaten = self._clock()
        # By when it began: a file server that was away for long is asked again at once.
        self._due = began + self.every
        return done

    def note(self) -> None:
        """The file was written anew just now: that is a beat too."""
        self._beaten = self._clock()

    def _has_moved(self) -> bool:
        """Whether the file has another time than after the last beat: some file systems that are
        no disks (drives over the web) say yes to a new time, and keep the old one.
        """
        before = self._time
        with contextlib.suppress(OSError):
            self._time = os.stat(self.path).st_mtime_ns
        return self._time != before

    @property
    def is_lost(self) -> bool:
        """Whether it could not beat for so long that others will soon take its owner for dead."""
        return self._clock() - self._beaten >= BEATS_TO_GIVE_UP * self.every


class _Watched:
    """What one observer knows of one heart. `still`: seconds for which it was seen not to move;
    `moved`: when it was seen to.
    """

    def __init__(self, sight: str, looked: float, moved: float | None = None) -> None:
        self.sight = sight
        self.looked = looked
        self.still = 0.0
        self.moved = moved


class Observer:
    """One who looks at hearts again and again, and so comes to know which of them beat."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._known: dict[str, _Watched] = {}

    def look(self, path: str | os.PathLike[str]) -> bool | None:
        """Whether the owner of a file lives: true if its heart was seen to move in the last 3
        beats, false if it was seen still for 8; None while neither is known, and where no heart was
        recorded. A worker that has nothing else to do waits until it knows: one that died a moment
        ago would else be nobody's.
        """
        name = os.fspath(path)
        seen = _seen(name)
        now = self.clock()
        known = self._known.get(name)
        if seen is None or known is None:
            if known is not None:  # it cannot be read now: this time does not count
                known.looked = now
            elif seen is not None:
                self._known[name] = _Watched(seen[0], now)
            return None
        sight, pace = seen
        gap, known.looked = now - known.looked, now
        if sight != known.sight:
            self._known[name] = _Watched(sight, now, moved=now)
            return None if pace is None else True
        if pace is None:
            return None
        # What this observer slept through, or a file server that was away, is nobody's silence.
        known.still += min(gap, max(pace, _LATE))
        if known.still >= BEATS_TO_DEATH * pace:
            return False
        moved = known.moved is not None and now - known.moved < BEATS_TO_DOUBT * pace
        return True if moved else None

    def sight(self, path: str | os.PathLike[str]) -> str | None:
        """What was last seen of a heart; a later `sight_of` that differs says that it has moved."""
        known = self._known.get(os.fspath(path))
        return None if known is None else known.sight


def sight_of(path: str | os.PathLike[str]) -> str | None:
    """What changes with each beat; None where the file cannot be read."""
    seen = _seen(os.fspath(path))
    return None if seen is None else seen[0]


def silence(path: str | os.PathLike[str]) -> float | None:
    """Seconds since a heart's last beat by the clocks of the file and of this machine, which may
    differ: to be shown, never to be judged by. None where the file cannot be read.
    """
    try:
        return max(0.0, time.time() - os.stat(path).st_mtime)
    except OSError:
        return None


def recorded(value: object) -> float | None:
    """The seconds between two beats, as a run file or an entry has it; None: it has no heart."""
    pace = value.get(KEY) if isinstance(value, dict) else None
    if isinstance(pace, bool) or not isinstance(pace, int | float) or not pace > 0:
        return None
    return float(pace)


def _seen(path: str) -> tuple[str, float | None] | None:
    """What changes with each beat, and the seconds between two.

    The file is opened: a network file system asks its server then, and may not for a `stat`.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read()
    except OSError:
        return None
    pace = None
    with contextlib.suppress(ValueError):
        pace = recorded(json.loads(data))
    return f"{status.st_mtime_ns}.{status.st_ino}.{status.st_size}", pace
