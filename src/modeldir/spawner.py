"""The process that forks supervisors: small, single-threaded, and nothing else.

It knows how to fork. A worker makes it first thing, before any thread, lock or heavy import, since
a child forked from a threaded process can hang for ever on a lock that nobody holds any more
(forked from a threaded parent, 200 of 200 children hung). It refuses to know what runs: it passes a
`Start` on to a new supervisor and tells its pid.

When the worker is gone the spawner leaves, and the supervisors go on without either.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import struct
from dataclasses import dataclass
from typing import NoReturn

from modeldir import processes
from modeldir.errors import CommandError
from modeldir.supervisor import REQUESTS, Start, close_others, rehearse, supervise

_SIZE = struct.Struct("!I")
_KILLED = """\
The process that starts commands was killed; what runs goes on and is recorded.
  say the same command again"""


@dataclass(frozen=True)
class Report:
    """What happened to a supervisor: `started`, `taken` (somebody else has the attempt), `ended`
    (the end is recorded), `gone` (its process is no more).
    """

    what: str
    pid: int


class Spawner:
    """A worker's side of its spawner. `reports` is a descriptor to select on for reading."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.reports, reports_end = os.pipe()
        lifeline, self._life = os.pipe()
        ends = (theirs.fileno(), reports_end, lifeline)
        make = _executed if _has_threads() else _forked
        self._pid = make(ends, (ours.fileno(), self.reports, self._life))
        theirs.close()
        os.close(reports_end)
        os.close(lifeline)
        os.set_blocking(self.reports, False)
        self._socket = ours
        self._pending = b""

    def start(self, start: Start) -> int:
        """Fork a supervisor for an attempt; returns the supervisor's pid.

        Raises:
            CommandError: when somebody killed the spawner.
        """
        data = start.to_json()
        try:
            self._socket.sendall(_SIZE.pack(len(data)) + data)
            (pid,) = _SIZE.unpack(_receive(self._socket, _SIZE.size))
        except ConnectionError:
            raise CommandError(_KILLED) from None
        return int(pid)

    def read(self) -> list[Report]:
        """The reports that have come in; never waits."""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.reports, 65536):
                self._pending += piece
        *lines, self._pending = self._pending.split(b"\n")
        return [_report(line) for line in lines]

    def close(self) -> None:
        """Let the spawner leave. Supervisors that still run go on (unless they are bound)."""
        with contextlib.suppress(OSError):  # a process that was forked meanwhile may have it too
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._life)
        os.close(self.reports)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def __enter__(self) -> Spawner:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _forked(ends: tuple[int, int, int], ours: tuple[int, ...]) -> int:
    """The spawner as a fork of this process: nothing has to be imported again."""
    rehearse()
    gc.collect()
    gc.freeze()  # the children touch fewer pages of what is shared
    pid = os.fork()
    if pid == 0:
        for descriptor in ours:
            os.close(descriptor)
        _serve(*ends)
    gc.unfreeze()
    return pid


def _executed(ends: tuple[int, int, int], ours: tuple[int, ...]) -> int:  # noqa: ARG001 - as _forked
    """The spawner as a new interpreter, for a user's process that has threads: no fork is safe."""
    import subprocess  # noqa: PLC0415 - only for the loop in a user's own process
    import sys  # noqa: PLC0415

    code = f"from modeldir.spawner import serve; serve{ends}"
    child = subprocess.Popen([sys.executable, "-c", code], pass_fds=ends)
    child.returncode = 0  # `close` waits for it by its pid; this object has nothing to warn of
    return child.pid


def _has_threads() -> bool:
    if not processes.LINUX:
        import threading  # noqa: PLC0415

        return threading.active_count() > 1
    return len(os.listdir("/proc/self/task")) > 1


def _report(line: bytes) -> Report:
    what, _, pid = line.decode("ascii").partition(" ")
    return Report(what, int(pid))


def _receive(channel: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes.

    Raises:
        ConnectionError: when the other side is gone.
    """
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise ConnectionError("the spawner is gone")
        data += piece
    return data


# -- The spawner's own side ------------------------------------------------------------------------


def serve(channel: int, reports: int, lifeline: int) -> NoReturn:
    """Be the spawner in an interpreter of its own, with inherited descriptors."""
    rehearse()
    gc.freeze()
    _serve(channel, reports, lifeline)


def _serve(channel: int, reports: int, lifeline: int) -> NoReturn:
    """Fork a supervisor for each request until the worker is gone. Never returns."""
    try:
        os.setsid()  # a terminal's Ctrl-C is the worker's business
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):  # a pipe from the worker must end when the worker does
            os.dup2(nowhere, descriptor)
        close_others((channel, reports, lifeline))  # and so must another spawner of it
        # Not ignored: one that comes for a supervisor before it listens must not be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
        _loop(socket.socket(fileno=channel), reports, lifeline)
    finally:
        os._exit(0)


def _loop(channel: socket.socket, reports: int, lifeline: int) -> None:
    wake, wake_end = os.pipe()
    for descriptor in (wake, wake_end):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([channel.fileno(), wake], [], [])
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 512)
            _reap(reports)
        if channel.fileno() in ready:
            try:
                (size,) = _SIZE.unpack(_receive(channel, _SIZE.size))
                start = Start.from_json(_receive(channel, size))
            except ConnectionError:
                return
            pid = os.fork()
            if pid == 0:
                gc.disable()  # a supervisor makes little; a collection would copy many pages
                signal.set_wakeup_fd(-1)
                supervise(start, reports, lifeline)
            channel.sendall(_SIZE.pack(pid))


def _reap(reports: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            with contextlib.suppress(OSError):
                os.write(reports, f"gone {pid}\n".encode())
