"""How many processor cores this process may use: what it is bound to, and its cgroups' quota; and
by which variables libraries are told how many to use.

It refuses to guess from what the machine has: in a container or a cluster's job that is not ours.
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
"""By which libraries are told how many cores to use: read when they are loaded, and never again."""


def usable(root: str = "/") -> int:
    """The cores that this process may keep busy; at least 1. `root`: where /proc and /sys lie."""
    try:
        bound = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        bound = os.cpu_count() or 1
    return max(1, int(min([bound, *_quotas(root)])))


def _quotas(root: str) -> list[float]:
    """The limits, in cores, of our cgroups and of all above them (cgroups(7), both versions)."""
    found = []
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        mount = os.path.join(root, "sys/fs/cgroup", controllers)
        if controllers and "cpu" not in controllers.split(","):
            continue
        while True:
            here = os.path.join(mount, path.lstrip("/"))
            found += _quota_of_2(here) if not controllers else _quota_of_1(here)
            if path.strip("/") in ("", ".."):
                break
            path = os.path.dirname(path.rstrip("/"))
    return found


def _quota_of_2(folder: str) -> list[float]:
    limit, _, period = _text(os.path.join(folder, "cpu.max")).strip().partition(" ")
    return [int(limit) / int(period)] if limit.isdigit() and period.isdigit() else []


def _quota_of_1(folder: str) -> list[float]:
    limit = _text(os.path.join(folder, "cpu.cfs_quota_us")).strip()
    period = _text(os.path.join(folder, "cpu.cfs_period_us")).strip()
    return [int(limit) / int(period)] if limit.isdigit() and period.isdigit() else []


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""
