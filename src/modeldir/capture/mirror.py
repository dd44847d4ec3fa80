"""Where a training's output would have gone, had nobody listened: terminal, pipe or file.

It knows what the other side has not taken yet, and never waits for it. It refuses to know what
passes. A terminal that stands still (Ctrl-S, a dead ssh) is not waited for either; a slow pipe is,
as it always was: nothing is kept from `| gzip`.
"""

from __future__ import annotations

import os
import select
import stat
import time

_FULL = 1 << 20
"""Bytes that a mirror may be behind before the training has to wait, as it would without us."""
STANDS = 10.0
"""Seconds without taking a byte after which a terminal is no longer waited for."""
_SAFE = 512
"""Bytes that do not block where `poll` says that there is room, on pipes and terminals alike."""


class Mirror:
    """Where output would have gone, and what it has not taken yet."""

    def __init__(self, descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        self._regular = stat.S_ISREG(mode)
        self._terminal = os.isatty(descriptor)
        self._own = False
        self.descriptor = descriptor if self._regular else self._reopened(descriptor)
        self._pending = bytearray()
        self._moved = time.monotonic()
        self._dropped = 0
        self.broken = False

    def _reopened(self, descriptor: int) -> int:
        """The same terminal or pipe in a description of our own: not to wait must be our affair
        alone. It is shared with the shell otherwise.
        """
        try:
            opened = os.open(
                f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            )
        except OSError:  # a socket, another user's terminal, no /proc
            return descriptor
        os.close(descriptor)
        self._own = True
        return opened

    @property
    def behind(self) -> bool:
        return bool(self._pending)

    @property
    def full(self) -> bool:
        """Whether the training has to wait for it."""
        return len(self._pending) > _FULL and not self.stands

    @property
    def stands(self) -> bool:
        """Whether it is a terminal that has taken nothing for long."""
        return self._terminal and time.monotonic() - self._moved > STANDS

    def put(self, data: bytes) -> None:
        if self.broken:
            return
        if not self._pending:
            self._moved = time.monotonic()  # it could not have taken anything
        elif len(self._pending) > _FULL and self.stands:
            self._dropped += len(self._pending)
            self._pending.clear()
        self._pending += data
        self.push()

    def push(self) -> None:
        """Write what it takes without waiting."""
        try:
            while self._pending:
                written = os.write(self.descriptor, self._next())
                del self._pending[:written]
                self._moved = time.monotonic()
                if self._dropped:
                    self._say_dropped()
                if not (self._own or self._regular) and not _writable(self.descriptor):
                    return
        except BlockingIOError:
            return
        except OSError:  # closed, hung up, `| head -1`: the log goes on
            self.broken = True
            self._pending.clear()

    def _next(self) -> bytes | bytearray:
        if self._own or self._regular:
            return self._pending
        if not _writable(self.descriptor):
            raise BlockingIOError
        return self._pending[:_SAFE]

    def _say_dropped(self) -> None:
        words = f"\n[modeldir: {self._dropped} bytes are only in the log]\n"
        self._dropped = 0
        self._pending[:0] = words.encode()


def _writable(descriptor: int) -> bool:
    return bool(select.select([], [descriptor], [], 0)[1])
