"""Time commands side by side: interleaved rounds, medians, ratios to the first.

The machines that run this are shared and noisy, so no figure stands alone: in each round every
command runs once, in an order that turns from round to round, and what is reported is the median of
the ratios to the first command of the same round.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Contender:
    """A command to time. `prepare` makes what it needs, before the clock starts."""

    name: str
    command: Sequence[str]
    cwd: str | None = None
    prepare: Callable[[], None] | None = None
    check: Callable[[], None] | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def race(contenders: Sequence[Contender], rounds: int) -> None:
    """Run all contenders `rounds` times; fills in their wall and CPU seconds."""
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            wall, cpu = _timed(contender)
            contender.wall.append(wall)
            contender.cpu.append(cpu)


def _timed(contender: Contender) -> tuple[float, float]:
    if contender.prepare:
        contender.prepare()
    # As on a user's machine: what was imported once is kept compiled.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, began = _children(), time.perf_counter()
    subprocess.run(
        contender.command,
        cwd=contender.cwd,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - began
    if contender.check:
        contender.check()
    return wall, _children() - before


def _children() -> float:
    """CPU seconds of ended children. What outlives its parent for a moment is not counted."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(contenders: Sequence[Contender], per: int = 1, unit: str = "run") -> str:
    """A table in Markdown: median ms per unit, and the median ratio to the first contender."""
    first = contenders[0]
    lines = [
        f"| | ms / {unit} | x wall | x CPU |",
        "|---|---:|---:|---:|",
    ]
    for contender in contenders:
        wall = statistics.median(contender.wall) * 1000 / per
        ratios = [
            statistics.median(ours / theirs for ours, theirs in zip(mine, its, strict=True))
            for mine, its in ((contender.wall, first.wall), (contender.cpu, first.cpu))
        ]
        lines.append(f"| {contender.name} | {wall:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return "\n".join(lines)


def facts() -> str:
    """What the figures of one run stand on, as a table in Markdown."""
    rows = {
        "CPU": f"{_line_of('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": _line_of("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "folder": f"{tempfile.gettempdir()} ({_file_system(tempfile.gettempdir())})",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {name} | {what} |" for name, what in rows.items())]
    )


def _line_of(path: str, name: str) -> str:
    """What stands behind a name in one of the kernel's files."""
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _file_system(path: str) -> str:
    """The kind of the file system that a path is on, by the longest mount point above it."""
    best = ("", "unknown")
    with contextlib.suppress(OSError), open("/proc/mounts") as file:
        for line in file:
            _, mount, kind, *_ = line.split()
            if os.path.realpath(path).startswith(mount) and len(mount) >= len(best[0]):
                best = (mount, kind)
    return best[1]


def machine() -> str:
    """One line about where this ran."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {'.'.join(map(str, _version()))}"


def _version() -> tuple[int, ...]:
    import sys

    return sys.version_info[:3]
