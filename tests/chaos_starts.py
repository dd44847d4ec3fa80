"""Kill what starts a trial within milliseconds of the start, then run the command again and count.

    python tests/chaos_starts.py --kills 200 --seed 7

A round is one small search. It kills any combination of the trial's supervisor, the spawner that
forked the supervisor, and the worker, at a random moment around a start. Then the same command runs
until the search is complete. The trainings keep a journal of their own, and each holds a lock of
its trial, so an overlap is seen whatever modeldir records. `chaos.py` kills longer searches at any
moment. Start at `kill_starts`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from libraries import environment_with_libraries, site_of

ROLES = ("supervisor", "spawner", "worker")
COMBINATIONS = tuple(
    chosen for count in (1, 2, 3) for chosen in itertools.combinations(ROLES, count)
)
KINDS = ("plain", "forked")
WINDOW = 0.020
"""Seconds around a start within which the kill falls."""
TRIALS = 3
_PATIENCE = 60.0
_MEMORY = 150_000_000
"""Bytes that the imports take, as those of PyTorch do: a fork of them takes some milliseconds."""

TRAIN = '''\
"""Journals its begin and its end; holds a lock of its trial; has a child, as a data loader has."""

import argparse, fcntl, json, os, signal, sys, time
import heavy, ballast

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
place = parser.parse_args().model_dir
parent = os.getppid()
journal = os.open(os.environ["STARTS_JOURNAL"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(what, pid):
    with open(f"/proc/{pid}/stat") as file:
        began = file.read().rpartition(")")[2].split()[19]
    line = {"what": what, "trial": place, "pid": pid, "began": began}
    os.write(journal, json.dumps(line).encode() + b"\\n")


# Not in the folder, whose files the next attempt moves away.
lock = os.open(os.environ["STARTS_JOURNAL"] + "." + os.path.basename(place), os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    note("overlap", os.getpid())
note("begin", os.getpid())
child = os.fork()
if child == 0:
    time.sleep(600)
    os._exit(0)
note("child", child)
with open(os.path.join(place, "params.json")) as file:
    x = json.load(file)["x"]
time.sleep(0.7)
with open(os.path.join(place, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 1 / x}, file)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
note("end" if os.getppid() == parent else "orphan", os.getpid())
'''


@dataclass
class Found:
    """What the rounds of one kind came to."""

    kills: Counter[str] = field(default_factory=Counter)
    forked: int = 0
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Found) -> None:
        self.kills += other.kills
        self.forked += other.forked
        self.problems += other.problems
        self.counts += other.counts


class Round:
    """One search, one kill near the start of one of its trials, and what became of it."""

    def __init__(self, place: Path, kind: str, seed: str) -> None:
        self.random = random.Random(seed)
        self.kind, self.seed = kind, seed
        self.place = place / f"{kind}-{seed}"
        self.search = self.place / "search"
        self.journal = self.place / "journal.jsonl"
        options = ["--no-preload"] if kind == "plain" else []
        values = ",".join(map(str, range(1, TRIALS + 1)))
        train = [str(place / "env" / "bin" / "python"), str(place / "train.py")]
        modeldir = [sys.executable, "-m", "modeldir"]
        self.command = [*modeldir, "search", str(self.search), f"x={values}", *options]
        self.command += ["--no-check", "--", *train]
        self.environment = {
            **os.environ,
            "STARTS_JOURNAL": str(self.journal),
            "XDG_CACHE_HOME": str(place / "cache"),
        }

    def begin(self) -> subprocess.Popen[bytes]:
        """Start the search's command."""
        with open(self.place / "output", "ab") as output:
            return subprocess.Popen(
                self.command,
                cwd=self.place.parent,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, chosen: tuple[str, ...]) -> Found:
        """Run the search, kill the chosen processes, run it to its end, and count."""
        self.search.mkdir(parents=True)
        (self.search / "params.json").write_text('{"x": 1}')
        found = Found()
        worker = self.begin()
        pids = self._wait_for_a_start(worker)
        if pids is None:
            found.problems.append(f"{self.seed}: no trial began")
        else:
            time.sleep(self.random.random() * WINDOW * self.random.choice((0, 0.1, 1)))
            for role in chosen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pids[role], signal.SIGKILL)
            found.kills["+".join(chosen)] += 1
        code = worker.wait(_PATIENCE)
        again = 0
        while code != 0 and again < 6:
            again += 1
            code = self.begin().wait(_PATIENCE)
        if code != 0:
            found.problems.append(f"{self.seed}: exit code {code} after {again} more commands")
        self._count(found)
        if not found.problems and not any(found.counts[each] for each in MUST_BE_NONE):
            shutil.rmtree(self.place)
        return found

    def _wait_for_a_start(self, worker: subprocess.Popen[bytes]) -> dict[str, int] | None:
        """Wait until a trial begins. Returns the pids to choose from.

        It begins when its run file is there, or when its supervisor has a child.
        """
        wanted, needs_child = self.random.choice((1, 2)), self.random.random() < 0.5
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and worker.poll() is None:
            records = sorted(self.search.glob("*/run.json"))
            if len(records) >= wanted:
                with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                    supervisor = json.loads(records[-1].read_text())["supervisor"]["pid"]
                    if needs_child:
                        _wait_for_child(supervisor)
                    spawner = int(_stat(supervisor)[1])
                    return {"supervisor": supervisor, "spawner": spawner, "worker": worker.pid}
            time.sleep(0.0005)
        return None

    def _lines(self) -> list[dict[str, str]]:
        try:
            return [json.loads(line) for line in self.journal.read_text().splitlines()]
        except (OSError, ValueError):
            return []

    def _count(self, found: Found) -> None:
        lines = self._lines()
        found.counts += Counter(line["what"] for line in lines)
        for line in lines:
            if line["what"] in {"begin", "child"} and _lives(int(line["pid"]), line["began"]):
                found.counts["left behind"] += 1
                found.problems.append(f"{self.seed}: {line['what']} {line['pid']} was never ended")
                os.kill(int(line["pid"]), signal.SIGKILL)
        records = [json.loads(path.read_text()) for path in self.search.glob("*/run*.json")]
        found.forked += sum(bool(record.get("preloaded")) for record in records)
        ends = Counter(record["status"] for record in records)
        if ends["completed"] != TRIALS or ends["failed"]:
            found.counts["wrong record"] += 1
            found.problems.append(f"{self.seed}: {dict(ends)}")


MUST_BE_NONE = ("overlap", "orphan", "left behind", "wrong record")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _wait_for_child(pid: int) -> None:
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:
        if Path(f"/proc/{pid}/task/{pid}/children").read_text():
            return


def _lives(pid: int, began: str) -> bool:
    with contextlib.suppress(OSError):
        stat = _stat(pid)
        return stat[19] == began and stat[0] not in {"Z", "X"}
    return False


def kill_starts(
    place: Path,
    kind: str,
    kills: int,
    seed: str,
    side_by_side: int = 2,
) -> Found:
    """Kill at the start of a trial `kills` times, each combination equally often.

    Args:
        place: an empty folder.
        kind: without preload or forked.
        kills: how many rounds.
        seed: repeats what is chosen, not the microsecond of it.
        side_by_side: how many rounds run at once.
    """
    place.mkdir(parents=True, exist_ok=True)
    environment_with_libraries(place / "env")
    memory = _MEMORY if kind == "forked" else 0
    (site_of(place / "env") / "ballast.py").write_text(f"BALLAST = b'x' * {memory}\n")
    (place / "train.py").write_text(TRAIN)
    if kind == "forked":  # what the script imports is recorded once, so each round forks at once
        warm_up = Round(place, kind, "first")
        warm_up.search.mkdir(parents=True)
        (warm_up.search / "params.json").write_text('{"x": 1}')
        warm_up.begin().wait(_PATIENCE)
    total = Found()

    def one(number: int) -> Found:
        chosen = COMBINATIONS[number % len(COMBINATIONS)]
        return Round(place, kind, f"{seed}.{number}").run(chosen)

    with ThreadPoolExecutor(side_by_side) as pool:
        for found in pool.map(one, range(kills)):
            total.add(found)
    return total


def report(kind: str, found: Found) -> str:
    """Return a line that a reader can compare between two versions."""
    counts = ", ".join(f"{name} {found.counts[name]}" for name in ("begin", "end", *MUST_BE_NONE))
    kills = sum(found.kills.values())
    return f"{kind}: {kills} kills, {found.forked} forked attempts; {counts}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=70, help="of each kind")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--kinds", default=",".join(KINDS))
    arguments = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="starts-") as folder:
        for kind in arguments.kinds.split(","):
            found = kill_starts(Path(folder, kind), kind, arguments.kills, arguments.seed)
            print(report(kind, found), flush=True)
            for problem in found.problems[:10]:
                print(f"  {problem}")
            bad += len(found.problems) + sum(found.counts[name] for name in MUST_BE_NONE)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
