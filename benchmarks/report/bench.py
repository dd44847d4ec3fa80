"""Measure the report: to make, to open, to brush; beside other tools' pages of the same trials.

    python benchmarks/report/bench.py [--counts 1000,10000] [--rounds 3] [--without-peers]

The made-up trials of eight hyperparameters (tests/forest.py) are opened by file:// in headless
Chromium without a GPU, each time with a new profile. CPU is that of all Chromium processes,
including their start (the row "about:blank" shows how much that is), until they have been idle for
a second. The rounds go through all pages in turn, and the least of them is reported. A brush is a
real drag of the pointer along an axis: the time is from a move to the frame in which everything
visible is drawn again, and the CPU is that of the page's thread for one move.

The pages do not show the same: HiPlot has parallel coordinates and a table, the plotly page
parallel coordinates, eight slices and a table; the report has these and all the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import peers
from side_by_side import machine

HERE = Path(__file__).parent

PACKAGES = ("hiplot", "plotly")
NEEDED = ("selenium", "pytest")
QUIET = 1.0
LIMIT = 180.0


@dataclass
class Page:
    """A page and its measurements."""

    name: str
    path: Path | None
    made: float = 0.0
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    brush: list[tuple[float, float]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default="1000,10000")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="1,000 trials, once")
    parser.add_argument("--without-peers", action="store_true")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.counts = "1000" if arguments.quick else arguments.counts
    there: dict[str, str] = {}
    print(machine())
    if not arguments.without_peers:
        there, left_out = peers.installed(PACKAGES)
        print(peers.told(there, left_out))
    for count in map(int, arguments.counts.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            measure(count, Path(folder), list(there), arguments.rounds)


def measure(count: int, folder: Path, others: list[str], rounds: int) -> None:
    from forest import grow

    grow(folder / "search", count)
    pages = [
        Page("about:blank", None),
        made("modeldir", folder),
        *(made(n, folder) for n in others),
    ]
    for _ in range(rounds):
        for page in pages:
            open_once(page, folder)
    print(f"\n{count:,} trials\n")
    print("| page | MB | to make, CPU s | to open, CPU s | quiet after, s | brush, ms | CPU ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for page in pages:
        size = "" if page.path is None else f"{page.path.stat().st_size / 1e6:.2f}"
        brush = ["", ""]
        if page.brush:
            brush = [
                f"{1000 * statistics.median(each):.0f}" for each in zip(*page.brush, strict=True)
            ]
        making = f"{page.made:.1f}" if page.made else ""
        print(
            f"| {page.name} | {size} | {making} | {min(page.cpu):.2f} | {min(page.wall):.2f}"
            f" | {brush[0]} | {brush[1]} |",
            flush=True,
        )


def made(name: str, folder: Path) -> Page:
    """Make a page in a process of its own."""
    path = folder / f"{name}.html"
    python = sys.executable if name == "modeldir" else str(peers.PYTHON)
    before = os.times()
    subprocess.run([python, HERE / "make_page.py", name, folder / "search", path], check=True)
    after = os.times()
    used = after.children_user + after.children_system
    return Page(name, path, used - before.children_user - before.children_system)


def open_once(page: Page, folder: Path) -> None:
    from browsers import chromium

    profile = Path(tempfile.mkdtemp(dir=folder))
    with chromium(profile, wait=False) as reader:
        reader.size(1500, 1000)
        pid = reader.driver.service.process.pid
        began = time.monotonic()
        reader.driver.get(page.path.as_uri() if page.path else "about:blank")
        quiet, used = until_quiet(pid)
        page.wall.append(quiet - began)
        page.cpu.append(used)
        if page.name == "modeldir":
            page.brush += brushed(reader)


def until_quiet(pid: int) -> tuple[float, float]:
    """Wait until a browser is idle. Return the time and the CPU seconds it used."""
    used, since = of_tree(pid), time.monotonic()
    limit = since + LIMIT
    while since + QUIET > time.monotonic() < limit:
        time.sleep(0.05)
        now = of_tree(pid)
        if now - used > 0.015:
            used, since = now, time.monotonic()
    return since, used


def of_tree(pid: int) -> float:
    """Return the CPU seconds of a process and all below it."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                parents[int(name)] = int(fields[1])
                ticks[int(name)] = sum(map(int, fields[11:15]))
    total, below = 0, {pid}
    grown = True
    while grown:
        more = {each for each, parent in parents.items() if parent in below} - below
        below |= more
        grown = bool(more)
    total = sum(ticks.get(each, 0) for each in below - {pid})
    return total / os.sysconf("SC_CLK_TCK")


WATCH = """
window.brushed = []; let began = 0;
const moved = (event) => { if (event.buttons) began ||= performance.now(); };
addEventListener("pointermove", moved, true);
new MutationObserver(() => {
  if (document.documentElement.dataset.busy === "false" && began) {
    window.brushed.push(performance.now() - began); began = 0;
  }
}).observe(document.documentElement, { attributes: true, attributeFilter: ["data-busy"] });
"""
MOVES = 10


def brushed(reader: object) -> list[tuple[float, float]]:
    """Return for each move of a drag the seconds until the frame, and the CPU seconds."""
    command = reader.driver.execute_cdp_cmd
    reader.js(WATCH)
    reader.js("document.getElementById('parallel').scrollIntoView({block: 'center'})")
    reader.settle()
    x, y = reader.js(
        "const box = document.getElementById('parallel').getBoundingClientRect();"
        "return [box.x + 46, box.y + 80]"
    )
    command("Performance.enable", {"timeDomain": "threadTicks"})

    def thread() -> float:
        found = command("Performance.getMetrics", {})["metrics"]
        return next(each["value"] for each in found if each["name"] == "ThreadTime")

    def mouse(kind: str, down: float) -> None:
        where = {"type": kind, "x": x, "y": y + down, "button": "left", "buttons": 1}
        command("Input.dispatchMouseEvent", {**where, "clickCount": 1})
        reader.settle()

    mouse("mousePressed", 0)
    before = thread()
    for move in range(1, MOVES + 1):
        mouse("mouseMoved", 16 * move)
    used = (thread() - before) / MOVES
    mouse("mouseReleased", 16 * MOVES)
    return [(each / 1000, used) for each in reader.js("return window.brushed")]


if __name__ == "__main__":
    main()
