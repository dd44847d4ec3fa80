"""Find out when a process that is not our child has ended, and how: the log's last line.

`log_writer` calls `WatchedProcess`. The kernel tells how a process ended only while it is a zombie,
and from Linux 6.15 on also later. Else the line says `ended` or `vanished`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time

from modeldir.logs.capture.channels import is_readable
from modeldir.logs.logfile import VANISHED, exit_text

_REAPED_WITHIN = 1.0
"""Seconds in which the parent usually calls `wait`. Only then does the kernel tell others."""


class WatchedProcess:
    """The process whose log this is; `noted` is how it said that it would end, or empty."""

    def __init__(self, pid: int, noted: str) -> None:
        self.pid, self.noted = pid, noted
        self.handle: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an old kernel, or it is gone already
                self.handle = os.pidfd_open(pid)

    def is_gone(self) -> bool:
        if self.handle is not None:
            return is_readable(self.handle)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return (self._stat() or " ").startswith("Z")

    def exit_status(self) -> str:
        status = self._wait_status()
        if status != 0 and self.noted.startswith("exception"):
            return self.noted
        if status is None:
            return self.noted or VANISHED
        return exit_text(status)

    def _wait_status(self) -> int | None:
        """Return the status that its parent gets from `wait`; None if the kernel does not tell."""
        deadline = time.monotonic() + _REAPED_WITHIN
        while time.monotonic() < deadline:
            state = self._stat()
            if state is not None and state.startswith("Z"):
                return int(state.rsplit(None, 1)[1])  # proc(5): exit_code, the last field
            if state is None:
                return self._status_by_handle()
            time.sleep(0.002)
        return None

    def _stat(self) -> str | None:
        """Read `/proc/PID/stat` from the state on; None once it is reaped or without `/proc`."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b") ")[2].decode("ascii", "replace").strip()
        except OSError:
            return None

    def _status_by_handle(self) -> int | None:
        """Ask with PIDFD_GET_INFO of Linux 6.15 (linux/pidfd.h: mask first, status last)."""
        if self.handle is None:
            return None
        import fcntl  # noqa: PLC0415 - not everywhere available

        size, wanted = 64, 1 << 3  # PIDFD_INFO_EXIT
        request = (3 << 30) | (size << 16) | (0xFF << 8) | 11
        answer = bytearray(struct.pack("Q", wanted).ljust(size, b"\0"))
        try:
            fcntl.ioctl(self.handle, request, answer)
        except OSError:
            return None
        mask, status = struct.unpack_from("Q", answer)[0], struct.unpack_from("i", answer, 60)[0]
        return status if mask & wanted else None
