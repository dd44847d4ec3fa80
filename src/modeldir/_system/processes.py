"""Identify processes, and find out whether one is still alive.

Attempts, workers and leases record a `Process` and ask `alive` later. A pid alone does not identify
a process: pids are reused, machines restart, and containers count their own. So a `Process` has the
host, its boot, the pid namespace, the pid, and the start in clock ticks since boot. The wall clock
does not matter, and a zombie is dead. The rule: a process that cannot be seen from here is unknown
(None), and unknown never counts as dead. For those there is `heartbeat`.

On Linux everything is read from /proc, elsewhere by psutil.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from modeldir._system.recorded_numbers import integer, process_id

LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True)
class Process:
    """A process. `started` is in clock ticks since boot, as in `proc(5)`, stat."""

    host: str
    machine: str
    boot: str
    pid_namespace: str
    pid: int
    started: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    def of(self, pid: int, started: int) -> Process:
        """Return another process of the same host, boot and namespace."""
        return Process(self.host, self.machine, self.boot, self.pid_namespace, pid, started)


def process(pid: int | None = None) -> Process | None:
    """Return the identity of a process on this host, by default our own; None if there is none."""
    pid = os.getpid() if pid is None else pid
    started = _started(pid)
    if started is None:
        return None
    return Process(host(), _machine(), _boot(), _pid_namespace(), pid, started)


def child(parent: Process, pid: int) -> Process | None:
    """Return the identity of a child of `parent`, which is this process. The child may be dead.

    It must not have been waited for. None if the system only shows living processes (not Linux).
    """
    fields = _fields(pid) if LINUX else None
    return None if fields is None else parent.of(pid, int(fields[19]))


def from_json(value: object) -> Process | None:
    """Return a recorded identity; None if the record is missing or broken."""
    if not isinstance(value, dict):
        return None
    pid, started = process_id(value.get("pid")), integer(value.get("started"), most=2**63)
    if pid is None or started is None:
        return None
    try:
        return Process(
            str(value["host"]),
            str(value["machine"]),
            str(value["boot"]),
            str(value["pid_namespace"]),
            pid,
            started,
        )
    except KeyError:
        return None


def alive(known: Process) -> bool | None:
    """Whether a recorded process is still alive; None if that cannot be seen from here.

    If this same machine has restarted since, the process is dead. On another host, or in another
    pid namespace, it is unknown.
    """
    if known.boot != _boot():
        rebooted = known.host == host() and known.machine == _machine()
        return False if rebooted else None
    if known.pid_namespace != _pid_namespace():
        return None
    return _started(known.pid) == known.started


def is_of_this_boot(known: Process) -> bool:
    """Whether a recorded process ran on this machine since its last start."""
    return known.boot == _boot()


def host() -> str:
    """Return this machine's name in the network."""
    if hasattr(os, "uname"):  # the same without `socket`, which is slow to import
        return os.uname().nodename
    import socket  # noqa: PLC0415 - needed on Windows only

    return socket.gethostname()


@functools.cache
def _boot() -> str:
    if LINUX:
        return _first_line("/proc/sys/kernel/random/boot_id")
    import psutil  # noqa: PLC0415 - only where there is no /proc

    return str(int(psutil.boot_time()))


@functools.cache
def _machine() -> str:
    """Return an id that distinguishes machines of the same name; empty if there is none."""
    return _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id")


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _started(pid: int) -> int | None:
    """Return a process's start in ticks since boot; None if it is dead, a zombie or unseen."""
    if not LINUX:
        return _started_elsewhere(pid)
    fields = _fields(pid)
    return None if fields is None or fields[0] in _DEAD else int(fields[19])


_DEAD = (b"Z", b"X", b"x")


def _fields(pid: int) -> list[bytes] | None:
    """Return the fields of /proc/PID/stat from the state on; None if there is no such process."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:  # one read returns it all; the command's name may contain any byte, even ")"
            return os.read(descriptor, 4096).rpartition(b")")[2].split()
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _started_elsewhere(pid: int) -> int | None:
    import psutil  # noqa: PLC0415 - only where there is no /proc

    try:
        found = psutil.Process(pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(found.create_time() * 100)
    except psutil.Error:
        return None


def _first_line(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
        return file.readline().strip()
    return ""


def age() -> float | None:
    """Return the seconds since the clock tick ended in which this process began; None if unknown.

    A file that is older was not written by this process.
    """
    started = _started(os.getpid())
    if not LINUX or started is None:
        return None
    # Not /proc/uptime: in some containers (lxcfs) it counts from the start of the container.
    began = (started + 1) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


def uptime() -> float | None:
    """Return the seconds since this machine started; None if unknown."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime(clock)


def belongs_to_owner_of(path: str | os.PathLike[str], pid: int) -> bool:
    """Whether a process runs as the user to whom a file belongs.

    A file may name any process. One that another user wrote must not get ours signaled.
    """
    try:
        owner = os.stat(path).st_uid
        return owner == (os.stat(f"/proc/{pid}").st_uid if LINUX else os.geteuid())
    except OSError:
        return False


def leader_with_word(word: str) -> Process | None:
    """Return the process that leads a session and whose command line has this word.

    If there are several, it is the oldest, because its forks have the same command line. Linux
    only; elsewhere None.
    """
    if not LINUX:
        return None
    wanted, found = os.fsencode(word), []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if wanted not in file.read().split(b"\0"):
                continue
            fields, known = _fields(pid), process(pid)
            if fields is not None and int(fields[3]) == pid and known is not None:
                found.append(known)
    return min(found, key=lambda known: known.started, default=None)


# -- What a supervisor needs from the kernel -------------------------------------------------------

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make descendants whose parent dies children of this process, from now on (Linux)."""
    if LINUX:
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@functools.cache
def _libc() -> Any:
    import ctypes  # noqa: PLC0415 - only the spawner and its children need it

    return ctypes.CDLL(None, use_errno=True)


def prepare() -> None:
    """Load what `adopt_orphans` needs, so that no fork has to load it."""
    if LINUX:
        _libc()


_STDERR = 2


def close_others(keep: tuple[int, ...]) -> None:
    """Close all descriptors but 0 to 2 and those in `keep`.

    An inherited pipe that stays open would keep its reader waiting.
    """
    for descriptor in _open_files():
        if descriptor > _STDERR and descriptor not in keep:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _open_files() -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(name) for name in os.listdir("/proc/self/fd" if LINUX else "/dev/fd")]
    return list(range(1024))


_OUT_OF_THE_WAY = 100


class Tether:
    """Have the kernel kill a group of processes when this process ends, however it ends.

    We keep one end of a pipe. The group inherits the other end, `descriptor`, which is set to
    signal the group when our end closes. A parent-death signal, prctl(2), would not do: only the
    child itself can ask for it before it executes the command, which takes a fork in Python.

    A group can be named only once its leader exists, so `fasten` is the one call that is left for
    that moment. Linux only; elsewhere nothing is sent. A program that closes all descriptors it
    finds escapes.
    """

    def __init__(self) -> None:
        import fcntl  # noqa: PLC0415 - not on Windows

        self.descriptor, self._ours = os.pipe()
        with contextlib.suppress(OSError):  # a high number, unless the limit does not allow it
            high = fcntl.fcntl(self.descriptor, fcntl.F_DUPFD, _OUT_OF_THE_WAY)
            os.close(self.descriptor)
            self.descriptor = high
        os.set_inheritable(self.descriptor, True)
        if LINUX:  # see fcntl(2), F_SETSIG
            import signal  # noqa: PLC0415 - not on Windows

            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)

    def fasten(self, group: int) -> None:
        """Kill this process group when our end closes, from now on.

        Its leader must exist. It need not lead the group yet.
        """
        if LINUX:
            import fcntl  # noqa: PLC0415 - not on Windows

            fcntl.fcntl(self.descriptor, fcntl.F_SETOWN, -group)
        self._close_inherited()

    def close(self) -> None:
        """Close both ends. The rest of the group is killed."""
        self._close_inherited()
        os.close(self._ours)

    def _close_inherited(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def descendants(pid: int) -> list[int]:
    """Return the pids of all descendants of a process, parents before children."""
    if not LINUX:
        import psutil  # noqa: PLC0415 - only where there is no /proc

        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return []
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children(waiting.pop())
        found += below
        waiting += below
    return found


def children(pid: int) -> list[int]:
    """Return the pids of a process's children (Linux; elsewhere none)."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += [int(child) for child in file.read().split()]
    return found


def cpu_ticks(pids: list[int]) -> int:
    """Return the CPU time of processes and of the children they have waited for, in clock ticks.

    Linux only; elsewhere 0.
    """
    known = filter(None, map(_fields, pids))
    return sum(int(ticks) for fields in known for ticks in fields[11:15])


_FORKED_ONLY = 0x40  # PF_FORKNOEXEC in Linux' sched.h


def has_executed(pid: int) -> bool:
    """Whether a process has executed a program since it was forked.

    The kernel also tells it about a dead process, until it is waited for. False if nothing tells:
    not on Linux, and in sandboxes without process flags.
    """
    fields = _fields(pid) if LINUX else None
    flags = 0 if fields is None else int(fields[6])
    return flags != 0 and not flags & _FORKED_ONLY


def session_left(leader: Process) -> list[int]:
    """Return the pids that are left in the session of a dead process (Linux; elsewhere none).

    A session's number is not reused while a member lives, so they belong to that session.
    """
    if not LINUX or (leader.boot, leader.pid_namespace) != (_boot(), _pid_namespace()):
        return []
    known = _fields(leader.pid)  # a zombie counts as dead, too
    if known is not None and (known[0] not in _DEAD or int(known[19]) != leader.started):
        return []
    members = []
    for name in os.listdir("/proc"):
        fields = _fields(int(name)) if name.isdigit() else None
        if fields is not None and int(fields[3]) == leader.pid and fields[0] not in _DEAD:
            members.append(int(name))
    return members
