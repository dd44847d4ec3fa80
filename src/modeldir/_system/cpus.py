"""How many CPU cores this process may use, and the variables that limit the threads of libraries.

`worker.slots` calls `usable` to choose how many trials run in parallel. The rule: never the number
of cores of the machine. In a container or a cluster job, only some of them may be used: those of
the CPU affinity and of the cgroup quotas.
"""

from __future__ import annotations

import contextlib
import os

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Limit the threads of numerical libraries, which read them once, when they are loaded."""


def usable(root: str = "/") -> int:
    """Return how many cores this process may use, at least 1. `root` has /proc and /sys."""
    try:
        bound = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        bound = os.cpu_count() or 1
    return max(1, int(min([bound, *_quotas(root)])))


def _quotas(root: str) -> list[float]:
    """Return the limits, in cores, of our cgroups and all above them: cgroups(7), both versions."""
    found = []
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        mount = os.path.join(root, "sys/fs/cgroup", controllers)
        if controllers and "cpu" not in controllers.split(","):
            continue
        while True:
            here = os.path.join(mount, path.lstrip("/"))
            found += _quota_v1(here) if controllers else _quota_v2(here)
            if path.strip("/") in ("", ".."):
                break
            path = os.path.dirname(path.rstrip("/"))
    return found


def _quota_v2(folder: str) -> list[float]:
    limit, _, period = _text(os.path.join(folder, "cpu.max")).strip().partition(" ")
    return [int(limit) / int(period)] if limit.isdigit() and period.isdigit() else []


def _quota_v1(folder: str) -> list[float]:
    limit = _text(os.path.join(folder, "cpu.cfs_quota_us")).strip()
    period = _text(os.path.join(folder, "cpu.cfs_period_us")).strip()
    return [int(limit) / int(period)] if limit.isdigit() and period.isdigit() else []


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""
