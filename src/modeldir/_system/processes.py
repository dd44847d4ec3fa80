"""Who a process is, and whether it still lives.

It knows that a pid alone names nobody: pids are used again, machines start again, containers number
their own. A process is known by the host, its boot, the pid namespace, the pid and the start in
clock ticks since boot; the wall clock has no say, and a zombie is dead. It refuses to guess: for a
process it cannot see it answers None, and unknown is never taken for dead.

On Linux everything is read from /proc; elsewhere psutil tells.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True)
class Process:
    """One process of one boot of one host. `started`: clock ticks since boot (proc(5), stat)."""

    host: str
    machine: str
    boot: str
    pid_namespace: str
    pid: int
    started: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    def of(self, pid: int, started: int) -> Process:
        """Another process of the same host, boot and namespace."""
        return Process(self.host, self.machine, self.boot, self.pid_namespace, pid, started)


def process(pid: int | None = None) -> Process | None:
    """The identity of a process of this host (by default our own); None if there is none."""
    pid = os.getpid() if pid is None else pid
    started = _started(pid)
    if started is None:
        return None
    return Process(host(), _machine(), _boot(), _pid_namespace(), pid, started)


def child(parent: Process, pid: int) -> Process | None:
    """The identity of a child of ours (`parent`) that was not waited for: it may be dead. None
    where only a live one could be told (not Linux).
    """
    fields = _fields(pid) if LINUX else None
    return None if fields is None else parent.of(pid, int(fields[19]))


def from_json(value: object) -> Process | None:
    """A recorded identity, or None where the record is missing or broken."""
    if not isinstance(value, dict):
        return None
    try:
        return Process(
            str(value["host"]),
            str(value["machine"]),
            str(value["boot"]),
            str(value["pid_namespace"]),
            int(value["pid"]),
            int(value["started"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def alive(known: Process) -> bool | None:
    """Whether a recorded process still lives; None where that cannot be seen from here.

    Another boot of this same machine means dead. Another host, or a namespace that is not ours,
    means unknown.
    """
    if known.boot != _boot():
        rebooted = known.host == host() and known.machine == _machine()
        return False if rebooted else None
    if known.pid_namespace != _pid_namespace():
        return None
    return _started(known.pid) == known.started


def is_of_this_boot(known: Process) -> bool:
    """Whether a recorded process ran on this machine, since it was last started."""
    return known.boot == _boot()


def host() -> str:
    """This machine's name, as the network knows it."""
    if hasattr(os, "uname"):  # the same, without `socket`, which takes longer than all of this
        return os.uname().nodename
    import socket  # noqa: PLC0415 - not on Windows alone

    return socket.gethostname()


@functools.cache
def _boot() -> str:
    if LINUX:
        return _first_line("/proc/sys/kernel/random/boot_id")
    import psutil  # noqa: PLC0415 - only where there is no /proc

    return str(int(psutil.boot_time()))


@functools.cache
def _machine() -> str:
    """What tells two machines of the same name apart; empty where nothing does."""
    return _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id")


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _started(pid: int) -> int | None:
    """The start of a process in ticks since boot; None if it is dead, a zombie or unseen."""
    if not LINUX:
        return _started_elsewhere(pid)
    fields = _fields(pid)
    return None if fields is None or fields[0] in _DEAD else int(fields[19])


_DEAD = (b"Z", b"X", b"x")


def _fields(pid: int) -> list[bytes] | None:
    """What /proc tells of a process, from its state on (proc(5), stat); None if there is none."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:  # it is one read, always; the command's name may hold any byte, ")" too
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
    """Seconds since the end of the clock tick in which this process began: what is older than that
    was not made by it. None where that cannot be told.
    """
    started = _started(os.getpid())
    if not LINUX or started is None:
        return None
    # Not /proc/uptime: where containers have their own (lxcfs), that one counts from their start.
    began = (started + 1) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


def uptime() -> float | None:
    """Seconds since this machine started; None where that cannot be told."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime(clock)


def leader_with_word(word: str) -> Process | None:
    """The process that leads a session and whose command line has this word; of several the oldest:
    what it forked looks like it (Linux; elsewhere none is found).
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
    """From now on descendants whose parent dies become children of this process (Linux)."""
    if LINUX:
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@functools.cache
def _libc() -> Any:
    import ctypes  # noqa: PLC0415 - wanted by the spawner and its children alone

    return ctypes.CDLL(None, use_errno=True)


def prepare() -> None:
    """Load what `adopt_orphans` needs, so that no fork has to."""
    if LINUX:
        _libc()


_STDERR = 2


def close_others(keep: tuple[int, ...]) -> None:
    """Close all descriptors but 0 to 2 and those to keep: one inherited keeps somebody waiting."""
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
    """A group of processes that the kernel kills when this process is no more.

    One end of a pipe is ours; the other one, `descriptor`, is inherited by who is tethered, and is
    told to signal his group when ours closes, as it does however we end. (A parent-death signal,
    prctl(2), can only be asked for by the child itself, before it becomes the command: that takes a
    fork in Python.) Linux; elsewhere nothing is sent. Who closes all descriptors that he finds gets
    rid of it.
    """

    def __init__(self) -> None:
        import fcntl  # noqa: PLC0415 - not on Windows

        self.descriptor, self._ours = os.pipe()
        with contextlib.suppress(OSError):  # out of the way; where so many are not allowed, here
            high = fcntl.fcntl(self.descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
            os.close(self.descriptor)
            self.descriptor = high

    def fasten(self, group: int) -> None:
        """From now on our end is that of this process group too. See fcntl(2), F_SETSIG."""
        if LINUX:
            import fcntl  # noqa: PLC0415 - not on Windows
            import signal  # noqa: PLC0415 - as above

            fcntl.fcntl(self.descriptor, fcntl.F_SETOWN, -group)
            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)
        self._let_go_of_theirs()

    def close(self) -> None:
        """Let go; what is left of the group is killed."""
        self._let_go_of_theirs()
        os.close(self._ours)

    def _let_go_of_theirs(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def descendants(pid: int) -> list[int]:
    """The pids of all that descend from a process, parents before children (Linux; else psutil)."""
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
    """The pids of a process' children (Linux; elsewhere none are found)."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += [int(child) for child in file.read().split()]
    return found


def cpu_ticks(pids: list[int]) -> int:
    """The processor time that processes have used so far, with that of the children which they have
    waited for, in clock ticks (Linux; elsewhere 0).
    """
    known = filter(None, map(_fields, pids))
    return sum(int(ticks) for fields in known for ticks in fields[11:15])


_FORKED_ONLY = 0x40  # PF_FORKNOEXEC in Linux' sched.h


def has_executed(pid: int) -> bool:
    """Whether a process has executed a program since it was forked; the kernel knows it of one that
    is dead, too, until it is waited for. False where nothing tells (not Linux; sandboxes that have
    no flags at all).
    """
    fields = _fields(pid) if LINUX else None
    flags = 0 if fields is None else int(fields[6])
    return flags != 0 and not flags & _FORKED_ONLY


def leads_a_session(pid: int) -> bool:
    """Whether a process began a session; false where there is none."""
    with contextlib.suppress(OSError):
        return os.getsid(pid) == pid
    return False


def session_left(leader: Process) -> list[int]:
    """The processes left in the session that a dead process led (Linux; elsewhere none are found).

    A session's number is not used again while a member lives, so with the leader gone its members
    are nobody else's.
    """
    if not LINUX or (leader.boot, leader.pid_namespace) != (_boot(), _pid_namespace()):
        return []
    known = _fields(leader.pid)  # a zombie that nobody has collected is gone all the same
    if known is not None and (known[0] not in _DEAD or int(known[19]) != leader.started):
        return []
    members = []
    for name in os.listdir("/proc"):
        fields = _fields(int(name)) if name.isdigit() else None
        if fields is not None and int(fields[3]) == leader.pid and fields[0] not in _DEAD:
            members.append(int(name))
    return members
