"""The process that forks supervisors: small, single-threaded, and nothing else.

A worker makes a `Spawner` before anything else, when it has no threads, no locks and no heavy
imports: a child forked from a process with threads can wait for ever on a lock that no thread holds
any more (of 200 such children 200 hung). The `Spawner` sends each `Start` to a free supervisor, or
to the spawner, which forks a new one and returns its pid and a socket to it. A spawner that has
imported what a script imports: `preload/spawner.py`. How a supervisor works: `supervisor.py`.

When the worker is gone the supervisors continue, and the spawner exits with the last of them. If
the worker was killed, the spawner does one thing for it: it resets the terminal.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import struct
import time
from dataclasses import dataclass
from typing import NoReturn, Protocol

from modeldir._system import processes
from modeldir.errors import CommandError
from modeldir.worker.start_order import Order, Start, receive_order, send_order
from modeldir.worker.supervisor import REQUESTS, Preloaded, rehearse, supervise

_PID = struct.Struct("!I")
_NEW, BYE = b"!", b"."
_RESET = b"\x1b[J\x1b[?25h\x1b[?7h"
"""Undoes what a killed live view (`monitor/live_screen.py`) leaves, even below a shell's new
prompt:
clears all below the cursor, shows the cursor again, and lets long lines wrap.
"""
_PATIENCE = 1.0
_KILLED = """\
The process that starts commands was killed; running trials continue and are recorded.
  run the same command again"""


@dataclass(frozen=True)
class Report:
    """A message about a supervisor.

    `started`: its command runs; reported a moment later, or with the end. `taken`: another worker
    has the attempt. `lost`: another worker has taken the attempt over, since its heartbeat was late
    for too long. `refused`: the attempt could not be recorded, so nothing was started. `stuck`: the
    command has ended, but its end cannot be recorded yet. `ended`: the end is recorded. `free`: it
    can run another. `gone`: it has exited.

    `why`: the error, for `refused` and `stuck`.
    """

    what: str
    pid: int
    why: str = ""


class Spawner:
    """A worker's side of its spawner. `reports` is a descriptor to select on for reading.

    Args:
        terminal: the device in which the worker will redraw lines, if it will.
    """

    def __init__(self, terminal: str | None = None) -> None:
        ours, theirs = socket.socketpair()
        self.reports, reports_end = os.pipe()
        lifeline, self._life = os.pipe()
        ends = (theirs.fileno(), reports_end, lifeline)
        self._pid = self._make(ends, (ours.fileno(), self.reports, self._life), terminal)
        theirs.close()
        os.close(reports_end)
        os.close(lifeline)
        os.set_blocking(self.reports, False)
        self._socket = ours
        self._pending = b""
        self._supervisors: dict[int, socket.socket] = {}
        self._free: set[int] = set()
        self.is_over = False

    def _make(self, ends: tuple[int, int, int], ours: tuple[int, ...], terminal: str | None) -> int:
        """Start the process, which keeps the `ends` and closes `ours`. Returns its pid."""
        make = _executed if _has_threads() else _forked
        return make(ends, ours, terminal)

    @property
    def line(self) -> int:
        """A descriptor that becomes readable when the spawner was killed.

        Its supervisors continue, and report. But nothing reports a supervisor that dies any more:
        the worker has to look itself.
        """
        return self._socket.fileno()

    def start(self, start: Start, leases: tuple[int, ...] = ()) -> int:
        """Have a free supervisor run an attempt, or a new one. Returns its pid.

        Args:
            start: the attempt.
            leases: descriptors of locked files, which the supervisor holds while the attempt
                lives. When this returns it has its own copies, and the caller closes these.

        Raises:
            CommandError: the spawner was killed.
        """
        order = Order(start, leases)
        while self._free:
            pid = self._free.pop()
            with contextlib.suppress(OSError):  # it has exited meanwhile
                send_order(self._supervisors[pid], order)
                return pid
        try:
            self._socket.sendall(_NEW)
            send_order(self._socket, order)
            answer, descriptors, _, _ = socket.recv_fds(self._socket, _PID.size, 1)
        except ConnectionError:
            answer = b""
        if len(answer) < _PID.size:
            raise CommandError(_KILLED)
        pid = int(_PID.unpack(answer)[0])
        for (
            descriptor
        ) in descriptors:  # none, where we may open no more files: then it is used once
            self._supervisors[pid] = socket.socket(fileno=descriptor)
        return pid

    def read(self) -> list[Report]:
        """Return the reports that have come in; never waits."""
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self.reports, 65536)  # what does not fit into it wakes us again
            self._pending += piece
            if not piece:  # the spawner was killed, and its supervisors have exited too
                self.is_over = True
        *lines, self._pending = self._pending.split(b"\n")
        reports = [_report(line) for line in lines]
        for report in reports:
            if report.what == "free" and report.pid in self._supervisors:
                self._free.add(report.pid)
            elif report.what == "gone":
                self._free.discard(report.pid)
                if (channel := self._supervisors.pop(report.pid, None)) is not None:
                    channel.close()
        return reports

    def retire(self) -> None:
        """Start nothing more with these supervisors: each exits when it is free."""
        for channel in self._supervisors.values():
            _shut(channel)
        self._supervisors.clear()
        self._free.clear()

    def close(self) -> None:
        """Let the spawner exit. Supervisors with a running trial continue, unless it is bound."""
        with contextlib.suppress(OSError):
            self._socket.sendall(BYE)
        self.retire()
        _shut(self._socket)
        os.close(self._life)
        all_left = self._wait_for_the_last()
        os.close(self.reports)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0 if all_left else os.WNOHANG)

    def _wait_for_the_last(self) -> bool:
        """Wait until the spawner and the free supervisors have exited; false if some still run."""
        deadline = time.monotonic() + _PATIENCE
        os.set_blocking(self.reports, True)
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self.reports], [], [], left)
            if ready and not os.read(self.reports, 65536):
                return True
        return False

    def __enter__(self) -> Spawner:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shut(channel: socket.socket) -> None:
    with contextlib.suppress(OSError):  # a process that was forked meanwhile may hold it too
        channel.shutdown(socket.SHUT_RDWR)
    channel.close()


def _forked(ends: tuple[int, int, int], ours: tuple[int, ...], terminal: str | None) -> int:
    """Make the spawner as a fork of this process: nothing has to be imported again."""
    rehearse()
    gc.freeze()  # the children touch fewer pages of what is shared
    pid = os.fork()
    if pid == 0:
        for descriptor in ours:
            os.close(descriptor)
        _serve(*ends, terminal)
    gc.unfreeze()
    return pid


def _executed(ends: tuple[int, int, int], ours: tuple[int, ...], terminal: str | None) -> int:  # noqa: ARG001 - as _forked
    """Make the spawner as a new interpreter: this process has threads, so no fork is safe."""
    import subprocess  # noqa: PLC0415 - only for the loop in a user's own process
    import sys  # noqa: PLC0415

    code = f"from modeldir.worker.spawner import serve; serve{(*ends, terminal)}"
    child = subprocess.Popen([sys.executable, "-c", code], pass_fds=ends)
    child.returncode = 0  # `close` waits for it by its pid; this object has nothing to warn of
    return child.pid


def _has_threads() -> bool:
    if not processes.LINUX:
        import threading  # noqa: PLC0415

        return threading.active_count() > 1
    return len(os.listdir("/proc/self/task")) > 1


def _report(line: bytes) -> Report:
    what, _, rest = line.decode("utf-8", "replace").partition(" ")
    pid, _, why = rest.partition(" ")
    return Report(what, int(pid), why)


# -- The spawner's own side ------------------------------------------------------------------------


class Importer(Preloaded, Protocol):
    """The part of a spawner that imports ahead for the trials (`preload/spawner.py`)."""

    def answer(self, channel: socket.socket, wanted: bytes) -> bool:
        """Do what the worker asks for; false if that is nothing to be imported."""


def serve(
    channel: int,
    reports: int,
    lifeline: int,
    terminal: str | None = None,
    importer: Importer | None = None,
) -> NoReturn:
    """Be the spawner in a new interpreter, with inherited descriptors."""
    for descriptor in (channel, reports, lifeline):
        os.set_inheritable(descriptor, False)  # inherited by us, but by nobody further
    rehearse()
    if importer is None:  # else it does so after each import
        gc.freeze()
    _serve(channel, reports, lifeline, terminal, importer)


def _serve(
    channel: int,
    reports: int,
    lifeline: int,
    terminal: str | None,
    importer: Importer | None = None,
) -> NoReturn:
    """Fork a supervisor for each request until the worker is gone. Never returns."""
    try:
        os.setsid()  # a terminal's Ctrl-C is the worker's business
        processes.adopt_orphans()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):  # a pipe from the worker must end with the worker
            os.dup2(nowhere, descriptor)
        processes.close_others(
            (channel, reports, lifeline)
        )  # so that another spawner of the worker can end, too
        # Blocked, not ignored: a signal to a supervisor that does not listen yet must not be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
        _loop(socket.socket(fileno=channel), reports, lifeline, terminal, importer)
    finally:
        os._exit(0)


def _loop(
    channel: socket.socket,
    reports: int,
    lifeline: int,
    terminal: str | None,
    importer: Importer | None,
) -> None:
    wake, wake_end = os.pipe()
    for descriptor in (wake, wake_end):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    supervisors: set[int] = set()
    while True:
        ready, _, _ = select.select([channel.fileno(), wake], [], [])
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 512)
            _reap(reports, supervisors)
        if channel.fileno() in ready:
            wanted = channel.recv(len(_NEW))
            if importer is not None and importer.answer(channel, wanted):
                continue
            order = receive_order(channel) if wanted == _NEW else None
            if order is None:
                if wanted != BYE and terminal is not None:
                    _reset_terminal(terminal)
                break
            pid, supervisor = _new_supervisor(order, reports, lifeline, importer)
            supervisors.add(pid)
            for descriptor in order.leases:
                os.close(descriptor)
            with supervisor:
                socket.send_fds(channel, [_PID.pack(pid)], [supervisor.fileno()])
    _reap(
        reports, supervisors, 0
    )  # each ends with its trial; on some systems init does not collect them


def _reset_terminal(terminal: str) -> None:
    """Reset the terminal. It is opened only now: an open terminal keeps a login alive."""
    with contextlib.suppress(OSError):  # its window was closed
        descriptor = os.open(terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        with contextlib.closing(os.fdopen(descriptor, "wb", buffering=0)) as device:
            device.write(_RESET)


def _new_supervisor(
    order: Order, reports: int, lifeline: int, importer: Importer | None
) -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        supervise(order, reports, lifeline, theirs, importer)
    theirs.close()
    return pid, ours


def _reap(reports: int, supervisors: set[int], how: int = os.WNOHANG) -> None:
    """Collect supervisors that have exited, and end what a killed one leaves to us.

    With `how` 0 it waits for all of them.
    """
    with contextlib.suppress(ChildProcessError):
        while pid := os.waitpid(-1, how)[0]:
            was_ours = pid in supervisors
            supervisors.discard(pid)
            _end_orphans(supervisors)
            if was_ours:
                with contextlib.suppress(OSError):
                    os.write(reports, f"gone {pid}\n".encode())


def _end_orphans(supervisors: set[int]) -> None:
    """End the processes that a dead supervisor has left.

    The kernel has already ended what was tethered to it, but not a process that has left its group,
    nor a command that it was about to start. Each one that dies brings us here again.
    """
    for orphan in set(processes.children(os.getpid())).difference(supervisors):
        for pid in (orphan, *processes.descendants(orphan)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
