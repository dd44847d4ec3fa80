"""Time commands side by side: interleaved rounds, medians, ratios to the first.

The machines that run this are shared and noisy, so no figure stands alone: in each round every
command runs once, in an order that turns from round to round, and what is reported is the median of
the ratios to the first command of the same round. CPU is that of all processes that a command has
started, also of those that outlive it for some seconds.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import process_tree


@dataclass
class Contender:
    """A command to time. `prepare` makes what it needs, before the clock starts; `check` says
    whether it did its work.

    A guest may break or take longer than its `limit`: that is told, and the others go on. What is
    slow has fewer rounds than the others (`most`) or less to do (`units`, by which its seconds are
    divided).
    """

    name: str
    command: Sequence[str]
    cwd: str | None = None
    prepare: Callable[[], None] | None = None
    check: Callable[[], None] | None = None
    guest: bool = False
    limit: float = 300.0
    most: int | None = None
    units: int = 1
    broken: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


class DidNotWork(Exception):
    """A contender broke, was too slow, or did not do what it was to do."""


def race(contenders: Sequence[Contender], rounds: int) -> None:
    """Run all contenders `rounds` times; fills in their wall and CPU seconds, and peaks in KiB."""
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            if contender.broken or number >= (contender.most or rounds):
                continue
            try:
                wall, cpu, memory = _timed(contender)
            except DidNotWork as problem:
                if not contender.guest:
                    raise SystemExit(f"{contender.name}: {problem}") from None
                contender.broken = str(problem)
                continue
            contender.wall.append(wall)
            contender.cpu.append(cpu)
            contender.memory.append(memory)


def _timed(contender: Contender) -> tuple[float, float, int]:
    """Seconds from start to end, and of CPU of all that it started, also of what outlives it."""
    if contender.prepare:
        contender.prepare()
    # As on a user's machine: what was imported once is kept compiled.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process_tree.adopt_orphans()
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            contender.command,
            cwd=contender.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        ended = process_tree.waited(process.pid, contender.limit)
        wall = time.perf_counter() - began
        outlived = process_tree.bury(process_tree.PATIENCE if ended else 0.0)
        process.returncode = ended[0] if ended else -signal.SIGKILL
        said.seek(0)
        words = said.read().decode(errors="replace").split("\n")
    if not ended:
        raise DidNotWork(f"{contender.limit:g} seconds were not enough")
    if process.returncode:
        last = next((line.strip() for line in reversed(words) if line.strip()), "it said nothing")
        raise DidNotWork(f"exit code {process.returncode}: {last[:200]}")
    if contender.check:
        contender.check()
    used = [ended[1], *outlived]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    return wall, cpu, max(each.ru_maxrss for each in used)


def report(contenders: Sequence[Contender], unit: str = "run") -> str:
    """A table in Markdown: median ms per unit, the median ratios to the first contender, CPU in ms,
    and the largest process in MB. Who broke is named below it.
    """
    first = contenders[0]
    lines = [
        f"| | ms / {unit} | x wall | CPU ms / {unit} | x CPU | peak MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for contender in contenders:
        if contender.broken:
            continue
        cells = [contender.name]
        for mine, its in ((contender.wall, first.wall), (contender.cpu, first.cpu)):
            each = [seconds * 1000 / contender.units for seconds in mine]
            theirs = [seconds * 1000 / first.units for seconds in its]
            cells += [f"{statistics.median(each):.1f}", f"{ratio(each, theirs):.2f}"]
        lines.append(f"| {' | '.join(cells)} | {max(contender.memory) / 1024:.0f} |")
    return "\n".join([*lines, *left_out(contenders)])


def ratio(mine: Sequence[float], its: Sequence[float]) -> float:
    """The median of the ratios round by round, over the rounds that both had."""
    return statistics.median(ours / theirs for ours, theirs in zip(mine, its, strict=False))


def left_out(contenders: Sequence[Contender]) -> list[str]:
    """A line for each that broke, after an empty one."""
    broken = [f"Left out: {each.name} ({each.broken})" for each in contenders if each.broken]
    return ["", *broken] if broken else []


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
