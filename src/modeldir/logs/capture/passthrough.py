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

from modeldir.logs.capture.buffer import Ring

STANDS = 10.0
"""Seconds without taking a byte after which a terminal is no longer waited for."""
_SAFE = 512
"""Bytes that do not block where `poll` says that there is room, on pipes and terminals alike."""


class Mirror:
    """Where output would have gone. What it has not taken yet waits in the ring."""

    def __init__(self, descriptor: int, ring: Ring) -> None:
        mode = os.fstat(descriptor).st_mode
        self._regular = stat.S_ISREG(mode)
        self._terminal = os.isatty(descriptor)
        self._own = False
        self.descriptor = descriptor if self._regular else self._reopened(descriptor)
        self._ring, self._words = ring, b""
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
        return not self.broken and (self._ring.behind or bool(self._words))

    @property
    def full(self) -> bool:
        """Whether the training has to wait for it."""
        return not self._ring.room and not self.stands

    @property
    def stands(self) -> bool:
        """Whether it is a terminal that has taken nothing for long."""
        return self._terminal and time.monotonic() - self._moved > STANDS

    def expect(self) -> None:
        """Bytes are about to be read; if it stands and there is no room, what waits is dropped."""
        if not self.behind:
            self._moved = time.monotonic()  # it could not have taken anything
        elif not self._ring.room and self.stands:
            self._dropped += self._ring.head - self._ring.taken
            self._ring.take_all()

    def say(self, words: bytes) -> None:
        """Write words of our own."""
        self._words += words
        self.push()

    def push(self) -> None:
        """Write what it takes without waiting."""
        try:
            while self.behind:
                self._write_some()
                self._moved = time.monotonic()
                if self._dropped:
                    self._words += (
                        f"\n[modeldir: {self._dropped} bytes are only in the log]\n".encode()
                    )
                    self._dropped = 0
                if not (self._own or self._regular) and not _writable(self.descriptor):
                    return
        except BlockingIOError:
            self._ring.intend(0)
        except OSError:  # closed, hung up, `| head -1`: the log goes on
            self.broken = True
        if self.broken:
            self._ring.take_all()

    def _write_some(self) -> None:
        if not (self._own or self._regular) and not _writable(self.descriptor):
            raise BlockingIOError
        if self._words:
            written = os.write(self.descriptor, self._words[: self._at_once])
            self._words = self._words[written:]
            return
        piece = self._ring.next()[: self._at_once]
        self._ring.intend(len(piece))
        self._ring.take(os.write(self.descriptor, piece))

    @property
    def _at_once(self) -> int | None:
        return None if self._own or self._regular else _SAFE


def _writable(descriptor: int) -> bool:
    return bool(select.select([], [descriptor], [], 0)[1])
