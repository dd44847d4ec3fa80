"""Time commands side by side: interleaved rounds, medians, ratios to the first command.

Most benchmarks call `race` and then `report`. The machines are shared and noisy, so no figure
stands alone: each round runs every command once, in an order that rotates, and the result is the
median of the ratios to the first command of the same round. CPU time is that of all processes that
a command started, also of those that outlive it for some seconds (`process_tree`).
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
    """A command to time.

    `prepare` makes what it needs before the clock starts, and `check` verifies that it did its
    work. A `guest` may fail or exceed its `limit`: it is reported, and the others continue. A slow
    command has fewer rounds (`most`) or does less per run (its time is divided by `units`).
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
    """A contender failed, was too slow, or did not do its work."""


def race(contenders: Sequence[Contender], rounds: int) -> None:
    """Run all contenders `rounds` times and record their wall time, CPU time and memory in KiB."""
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
    """Return wall seconds, CPU seconds of all started processes, and peak memory."""
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
    """Return a Markdown table of medians, ratios to the first contender, memory; then failures."""
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
    """Return the median of the ratios of the rounds that both have."""
    return statistics.median(ours / theirs for ours, theirs in zip(mine, its, strict=False))


def left_out(contenders: Sequence[Contender]) -> list[str]:
    """Return a line for each contender that failed, after an empty one."""
    broken = [f"Left out: {each.name} ({each.broken})" for each in contenders if each.broken]
    return ["", *broken] if broken else []


def facts() -> str:
    """Return facts about the machine as a Markdown table."""
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
    """Return the value of a name in a file of the kernel."""
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _file_system(path: str) -> str:
    """Return the type of the file system that holds a path."""
    best = ("", "unknown")
    with contextlib.suppress(OSError), open("/proc/mounts") as file:
        for line in file:
            _, mount, kind, *_ = line.split()
            if os.path.realpath(path).startswith(mount) and len(mount) >= len(best[0]):
                best = (mount, kind)
    return best[1]


def machine() -> str:
    """Return one line about the machine."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, Python {'.'.join(map(str, _version()))}"


def _version() -> tuple[int, ...]:
    import sys

    return sys.version_info[:3]
