"""Count the CPU time of all processes below this one, and end them.

The races in `side_by_side` and the benchmarks of logging and metrics use it: some tools start
helpers that outlive them. It adopts such orphans through a subreaper and reads /proc, so it needs
Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import time
from pathlib import Path

PATIENCE = 5.0  # with what outlives the process that was waited for


def adopt_orphans() -> None:
    """Adopt processes whose parent has ended, so that they are still counted."""
    set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise SystemExit("this needs a Linux that has PR_SET_CHILD_SUBREAPER")


def members() -> set[int]:
    """Return all processes below this one."""
    parents = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            stat = Path(f"/proc/{int(entry)}/stat").read_text()
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    below = {os.getpid()}
    while below:
        below = {pid for pid, parent in parents.items() if parent in below}
        found |= below
    return found


def waited(pid: int, limit: float) -> tuple[int, resource.struct_rusage] | None:
    """Wait for a child. Return its exit code and usage, or None if the time ran out."""
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], limit)[0]:
            return None
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process with all its threads; 0 if it has ended."""
    with contextlib.suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)  # the kernel's name for its CPU clock
    return 0.0


def bury(patience: float = PATIENCE) -> list[resource.struct_rusage]:
    """Wait for all children, adopted ones too, and kill those left after `patience` seconds.

    Returns:
        What each of them used, together with the processes it waited for itself.
    """
    deadline, used = time.monotonic() + patience, []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
            if pid:
                used.append(usage)
                continue
            time.sleep(0.01)
            if time.monotonic() > deadline:
                for left in members():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(left, signal.SIGKILL)
    return used
