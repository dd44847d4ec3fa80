"""Measure a decision to stop early among many siblings, and what watching a script costs.

    python benchmarks/pruners/bench.py [--siblings 100,1000,10000] [--decisions 200] [--seconds 20]

A decision is all that `run.log` does beyond recording: write a value for the rung, read those of
all siblings, compare. It is timed in a folder as a search leaves it: complete, with a line that a
killed process left torn, with one host's values and with those of four. Watching is timed as the
supervisor's CPU while an untouched script trains, with and without a pruner.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import machine

from modeldir import pruners
from modeldir.pruners import Setting
from modeldir.pruners.rungs import RungFiles, note_removed

RUNG = 27
SETTINGS = {
    "asha": Setting("asha", {"min_step": RUNG}),
    "hyperband": Setting("hyperband"),
    "median": Setting("median", {"min_step": RUNG}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--siblings", default="100,1000,10000")
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--quick", action="store_true", help="half a minute: fewer decisions")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.decisions, arguments.seconds = 40, 5.0
    print(f"{machine()}, {arguments.decisions} decisions each\n")
    print("| siblings | pruner | hosts | CPU, median ms | CPU, 95 % within | wall, median ms |")
    print("|---:|---|---|---:|---:|---:|")
    for siblings in map(int, arguments.siblings.split(",")):
        for kind in SETTINGS:
            for hosts in (1, 4):
                show(siblings, kind, f"{hosts}", timed(siblings, kind, hosts, arguments.decisions))
        torn = timed(siblings, "asha", 1, arguments.decisions, torn=True)
        show(siblings, "asha", "1, a line torn", torn)
    print("\n| a step takes | pruner | CPU of the supervisor, % of one core |")
    print("|---:|---|---:|")
    for step in (0.05, 1.0, 10.0):
        for pruner in (None, "asha:min_step=100000"):
            share = watched(step, pruner, arguments.seconds)
            print(f"| {step:g} s | {'none' if pruner is None else 'asha'} | {100 * share:.2f} |")


def show(siblings: int, kind: str, hosts: str, times: list[tuple[float, float]]) -> None:
    used = sorted(cpu for cpu, _ in times)
    wall = statistics.median(wall for _, wall in times)
    figures = (statistics.median(used), used[int(0.95 * len(used))], wall)
    words = " | ".join(f"{1000 * seconds:.2f}" for seconds in figures)
    print(f"| {siblings} | {kind} | {hosts} | {words} |")


def timed(
    siblings: int, kind: str, hosts: int, decisions: int, *, torn: bool = False
) -> list[tuple[float, float]]:
    """Return the CPU and wall seconds of each decision; trials come one after the other."""
    chance = random.Random(5)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / ".modeldir" / "rungs" / SETTINGS[kind].key
        fill(folder, siblings, hosts, chance)
        if torn:
            with next(folder.glob(f"accuracy/{RUNG}/*")).open("ab") as file:
                file.write(b"7 1 0.93 AAAAAAAHAAA")
        note_removed(folder.parent, set(range(1, 20)))
        return [decision(folder, kind, siblings + n, chance) for n in range(1, decisions + 1)]


def fill(folder: Path, siblings: int, hosts: int, chance: random.Random) -> None:
    """Write what siblings on several hosts leave."""
    here = os.uname().nodename
    for host in range(hosts):
        for number in range(1 + host, siblings + 1, hosts):
            name = f"{here}-{host}.txt" if host else None
            leave(folder, name, number, chance.random())


def leave(folder: Path, name: str | None, number: int, value: float) -> None:
    rungs = RungFiles(folder, "accuracy", number)
    if name is not None:
        rungs._file = name  # noqa: SLF001 - as if it ran on another host
    rungs._append(RUNG, value)  # noqa: SLF001 - nothing has to be read for it


def decision(folder: Path, kind: str, number: int, chance: random.Random) -> tuple[float, float]:
    pruner = pruners.make(
        SETTINGS[kind], RungFiles(folder, "accuracy", number), "maximize"
    )  # once an attempt
    value = chance.random()
    began, used = time.perf_counter(), time.thread_time()
    pruner.should_prune(RUNG, value)
    return time.thread_time() - used, time.perf_counter() - began


SCRIPT = """\
import json, sys, time
folder = sys.argv[-1]
end = time.monotonic() + {seconds}
step = 0
while time.monotonic() < end:
    time.sleep(min({step}, max(0, end - time.monotonic())))
    step += 1
    with open(folder + "/metrics_val_last_weights.json", "w") as file:
        json.dump({{"accuracy": step / 1e6, "loss": 1.0}}, file)
with open(folder + "/metrics_val_best_weights.json", "w") as file:
    json.dump({{"accuracy": step / 1e6, "loss": 1.0}}, file)
"""


def watched(step: float, pruner: str | None, seconds: float) -> float:
    """Return the share of a core that the supervisor takes, after its first second."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "search"
        folder.mkdir()
        (folder / "params.json").write_text('{"learning_rate": 0.1}')
        (Path(home) / "train.py").write_text(SCRIPT.format(step=step, seconds=seconds))
        words = [sys.executable, "-m", "modeldir", "search", "search", "learning_rate=0.1"]
        words += ["--pruner", pruner] if pruner else []
        words += ["--", sys.executable, "train.py"]
        search = subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL)
        run = folder / "learning_rate_0.1" / "run.json"
        wait_for(lambda: run.exists() and '"pid"' in run.read_text().partition('"cwd"')[2])
        pid = int(
            run.read_text().partition('"supervisor"')[2].partition('"pid": ')[2].split(",")[0]
        )
        time.sleep(1.0)
        before, since = cpu(pid), time.monotonic()
        time.sleep(seconds - 3.0)
        share = (cpu(pid) - before) / (time.monotonic() - since)
        search.wait()
        return share


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.02)


if __name__ == "__main__":
    main()
