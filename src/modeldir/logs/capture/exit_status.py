"""How a process ended that is nobody's child here.

It knows what the kernel tells others than the parent: that a process is gone (by a handle, or by
its pid), and how, as long as it is a zombie, or from Linux 6.15 on afterwards. It refuses to guess.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import time

from modeldir.logs.logfile import VANISHED, ended

_REAPED_WITHIN = 1.0
"""Seconds for a training's parent to ask how it ended; only then the kernel tells others."""


class Training:
    """The process whose log this is: whether it is gone, and how it went."""

    def __init__(self, pid: int, noted: str) -> None:
        self.pid, self.noted = pid, noted
        self.handle: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an old kernel, or it is gone already
                self.handle = os.pidfd_open(pid)

    def is_gone(self) -> bool:
        if self.handle is not None:
            return _readable(self.handle)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return (self._stat() or " ").startswith("Z")

    def how_it_ended(self) -> str:
        status = self._wait_status()
        if status != 0 and self.noted.startswith("exception"):
            return self.noted
        if status is None:
            return self.noted or VANISHED
        return ended(status)

    def _wait_status(self) -> int | None:
        """What its parent is told by `wait`, if the kernel lets us know too."""
        deadline = time.monotonic() + _REAPED_WITHIN
        while time.monotonic() < deadline:
            state = self._stat()
            if state is not None and state.startswith("Z"):
                return int(state.rsplit(None, 1)[1])  # proc(5): exit_code, the last field
            if state is None:
                return self._told_by_handle()
            time.sleep(0.002)
        return None

    def _stat(self) -> str | None:
        """`/proc/PID/stat` from its state on; None once it is reaped, or where there is none."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b") ")[2].decode("ascii", "replace").strip()
        except OSError:
            return None

    def _told_by_handle(self) -> int | None:
        """Linux 6.15 and newer tell how a process ended to whoever has a handle of it.

        See PIDFD_GET_INFO in linux/pidfd.h: a mask of what is asked for, first; the status, last.
        """
        if self.handle is None:
            return None
        import fcntl  # noqa: PLC0415 - only where there are handles

        size, wanted = 64, 1 << 3  # PIDFD_INFO_EXIT
        request = (3 << 30) | (size << 16) | (0xFF << 8) | 11
        answer = bytearray(struct.pack("Q", wanted).ljust(size, b"\0"))
        try:
            fcntl.ioctl(self.handle, request, answer)
        except OSError:
            return None
        mask, status = struct.unpack_from("Q", answer)[0], struct.unpack_from("i", answer, 60)[0]
        return status if mask & wanted else None


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))
