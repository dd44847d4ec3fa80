"""Pass output on to where it went before the capture: a terminal, a pipe or a file.

`log_writer` calls `push` after it has written to the log. Writing here never blocks it. A full pipe
makes the training process wait (`| gzip` must miss nothing), a stopped terminal does not.
"""

from __future__ import annotations

import os
import select
import stat
import time

from modeldir.logs.capture.buffer import RingBuffer

STOPPED_AFTER = 10.0
"""Seconds without taking a byte after which a terminal counts as stopped."""
_SAFE = 512
"""Bytes that a pipe or terminal takes without blocking if `select` calls it writable."""


class Passthrough:
    def __init__(self, descriptor: int, ring: RingBuffer) -> None:
        mode = os.fstat(descriptor).st_mode
        self._regular = stat.S_ISREG(mode)
        self._terminal = os.isatty(descriptor)
        self._nonblocking = False
        self.descriptor = descriptor if self._regular else self._reopened(descriptor)
        self._ring, self._message = ring, b""
        self._moved = time.monotonic()
        self._dropped = 0
        self.broken = False

    def _reopened(self, descriptor: int) -> int:
        """Open it again, non-blocking: the original is shared with the shell."""
        try:
            opened = os.open(
                f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            )
        except OSError:  # a socket, another user's terminal, no /proc
            return descriptor
        os.close(descriptor)
        self._nonblocking = True
        return opened

    @property
    def behind(self) -> bool:
        return not self.broken and (self._ring.behind or bool(self._message))

    @property
    def full(self) -> bool:
        return not self._ring.room and not self.stopped

    @property
    def stopped(self) -> bool:
        """Whether it is a terminal that has taken nothing for a long time."""
        return self._terminal and time.monotonic() - self._moved > STOPPED_AFTER

    def make_room(self) -> None:
        """Before bytes are read: drop the waiting ones if the terminal has stopped."""
        if not self.behind:
            self._moved = time.monotonic()  # there was nothing to take
        elif not self._ring.room and self.stopped:
            self._dropped += self._ring.head - self._ring.taken
            self._ring.take_all()

    def write_message(self, message: bytes) -> None:
        self._message += message
        self.push()

    def push(self) -> None:
        try:
            while self.behind:
                self._write_some()
                self._moved = time.monotonic()
                if self._dropped:
                    self._message += (
                        f"\n[modeldir: {self._dropped} bytes are only in the log]\n".encode()
                    )
                    self._dropped = 0
                if self._may_block and not _writable(self.descriptor):
                    return
        except BlockingIOError:
            self._ring.intend(0)
        except OSError:  # closed, hung up, `| head -1`: the log continues
            self.broken = True
        if self.broken:
            self._ring.take_all()

    def _write_some(self) -> None:
        if self._may_block and not _writable(self.descriptor):
            raise BlockingIOError
        most = _SAFE if self._may_block else None
        if self._message:
            written = os.write(self.descriptor, self._message[:most])
            self._message = self._message[written:]
            return
        piece = self._ring.next()[:most]
        self._ring.intend(len(piece))
        self._ring.take(os.write(self.descriptor, piece))

    @property
    def _may_block(self) -> bool:
        return not (self._nonblocking or self._regular)


def _writable(descriptor: int) -> bool:
    return bool(select.select([], [descriptor], [], 0)[1])
