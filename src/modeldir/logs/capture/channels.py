"""Channels of a capture, and descriptors that the script may take away. `descriptors` makes them.

A script may close every descriptor that it finds (as daemons do), and its next file gets a number
that we hold. Never write to or close one before `OwnedDescriptor.is_ours` has compared it.
"""

from __future__ import annotations

import contextlib
import os
import select

from modeldir.logs.capture import buffer

_LOWEST = 10
"""The lowest number of our descriptors. C code and shells expect low numbers for what they open."""


class OwnedDescriptor:
    """An open descriptor, and the file that it was when we got it."""

    def __init__(self, descriptor: int) -> None:
        self.number = descriptor
        self._was = _identity(descriptor)

    def is_ours(self) -> bool:
        """Return whether the descriptor is still the file that we opened."""
        return self._was is not None and _identity(self.number) == self._was

    def close(self) -> None:
        """Close the descriptor once, and only if it is still ours."""
        if self.is_ours():
            with contextlib.suppress(OSError):  # an exceeded quota is reported late
                os.close(self.number)
        self._was = None


def _identity(descriptor: int) -> tuple[int, int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_rdev


class Channel:
    """A pipe or a pseudo-terminal, from `entrance` (the script) to `source` (the log writer)."""

    def __init__(self, descriptor: int, passthrough: int | None, *, into_file: bool) -> None:
        self.descriptors = [descriptor]
        self.passthrough, self.into_file = passthrough, into_file
        self.terminal = passthrough is not None and os.isatty(passthrough)
        source, entrance = _pseudo_terminal(passthrough) if self.terminal else os.pipe()  # type: ignore[arg-type] # not None
        try:
            self.source = OwnedDescriptor(moved_up(source))
        except OSError:
            os.close(entrance)
            raise
        try:
            self.entrance = OwnedDescriptor(moved_up(entrance))
        except OSError:
            self.source.close()
            raise
        if not self.terminal:
            _widen(self.source.number)
        memory = buffer.create()
        self.ring = None if memory is None else OwnedDescriptor(moved_up(memory))

    def rest(self) -> bytes:
        pieces: list[bytes] = []
        if self.source.is_ours():
            os.set_blocking(self.source.number, False)
            with contextlib.suppress(OSError):
                while data := os.read(self.source.number, 65536):
                    pieces.append(data)
        return b"".join(pieces)


def _widen(pipe: int) -> None:
    """Enlarge a pipe, so that printing need not wait while the log writer is busy."""
    import fcntl  # noqa: PLC0415 - not on Windows

    with contextlib.suppress(AttributeError, OSError):  # Linux only, with a limit per user
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _pseudo_terminal(original: int) -> tuple[int, int]:
    """Open a terminal like the original; only the original one translates output."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - as above

    source, entrance = os.openpty()
    with contextlib.suppress(termios.error, OSError):
        attributes = termios.tcgetattr(original)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~(termios.ECHO | termios.ECHONL)
        termios.tcsetattr(entrance, termios.TCSANOW, attributes)
        size = fcntl.ioctl(original, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(entrance, termios.TIOCSWINSZ, size)
    return source, entrance


def moved_up(descriptor: int) -> int:
    """Return the descriptor under a high number, closed in programs that are started."""
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    finally:
        os.close(descriptor)


def is_readable(descriptor: int, seconds: float = 0.0) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
