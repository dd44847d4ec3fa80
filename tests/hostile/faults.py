"""System calls that fail or take long, by a library that is loaded into every process (`shim.c`).

`failing_calls`, `no_hard_links` and `full_disk` are parts of the campaign. A C compiler builds the
library; `why_not` says whether there is one.
"""

from __future__ import annotations

import contextlib
import errno
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile.journal import Findings, judge, lines
from hostile.searches import SEARCH, HostileSearch

SOURCE = Path(__file__).with_name("shim.c")
ANYTHING = "*/experiments/search*"
"""The files of a search, of its trials and of modeldir's own folder there."""
CALLS = (
    ("write", errno.EIO), ("write", errno.ENOSPC), ("rename", errno.EIO), ("link", errno.EIO),
    ("create", errno.EIO), ("create", errno.ENOSPC), ("fsync", errno.EIO), ("unlink", errno.EIO),
    ("utime", errno.EIO), ("mkdir", errno.EIO), ("mkdir", errno.ENOSPC),
)  # fmt: skip
"""Each call that may fail, with the error."""
LEAVING = 10.0
"""Seconds in which a worker leaves that was asked to by TERM, on a busy machine."""


def why_not() -> str | None:
    """Return why no system call can be made to fail here; None if it can."""
    if not sys.platform.startswith("linux"):
        return "the library for failing system calls is for Linux"
    return None if shutil.which("gcc") else "no C compiler (gcc): make engines"


@dataclass(frozen=True)
class Rule:
    """Which call on which files (a glob for the whole path) is slow or fails. See `shim.c`."""

    call: str
    glob: str = ANYTHING
    error: int = 0
    probability: float = 1.0
    delay: float = 0.0
    limit: int = 1_000_000

    def __str__(self) -> str:
        milliseconds = round(self.delay * 1000)
        words = (self.call, self.glob, self.error, self.probability, milliseconds, self.limit)
        return " ".join(map(str, words))


class Faults:
    """The library, and the variables that load it with some rules; `log` has what failed.

    The calls by which `train.py` itself writes its metrics and its output never fail.
    """

    def __init__(self, home: Path, rules: Sequence[Rule]) -> None:
        self.library, self.log, self.switch = home / "shim.so", home / "faults.txt", home / "faulty"
        compiler = ["gcc", "-shared", "-fPIC", "-O2", "-o", str(self.library)]
        subprocess.run([*compiler, str(SOURCE), "-ldl"], check=True, capture_output=True)
        spared = [Rule(call, "*/metrics_*") for call in ("write", "create", "rename")]
        spared += [Rule("write", "*/console.log")]
        self.variables = {
            "LD_PRELOAD": str(self.library),
            "HOSTILE_RULES": "\n".join(map(str, [*spared, *rules])),
            "HOSTILE_LOG": str(self.log),
            "HOSTILE_SWITCH": str(self.switch),
        }
        self.on()

    def on(self) -> None:
        self.switch.touch()

    def off(self) -> None:
        self.switch.unlink()

    def count(self) -> int:
        """Return how many calls have failed."""
        return len(self.log.read_bytes().splitlines()) if self.log.exists() else 0


def no_hard_links(
    home: Path, delay: float, *, trials: int = 12, python: str = sys.executable
) -> Findings:
    """Search with two workers where there are no hard links, and calls take up to `delay` seconds.

    A new file is there, and empty, for that long. Neither does the file system have renames that
    replace nothing (`renameat2`), like SMB shares.
    """
    search = HostileSearch(home, trials, python=python)
    rules = [Rule("link", error=errno.EPERM), Rule("rename2", error=errno.EINVAL)]
    if delay:
        slow = ("create", "rename", "unlink", "mkdir")
        rules += [Rule(call, probability=0.3, delay=delay) for call in slow]
    faults = Faults(home, rules)
    places = [(search.backing, ())] * 2
    found = search.complete(places, variables=faults.variables)
    found.counts["links refused"] += faults.count()
    return found


def failing_calls(  # noqa: PLR0913 - what the campaign varies
    home: Path,
    seed: str,
    *,
    calls: Sequence[str] = (),
    trials: int = 20,
    rounds: int = 4,
    python: str = sys.executable,
) -> Findings:
    """Search while calls fail at random; then once more, undisturbed, to the end.

    In every second round a worker is asked to leave by TERM after a moment.

    Args:
        home: an empty folder.
        seed: decides how often each call fails, and when workers are asked to leave.
        calls: the calls that fail; by default some of all kinds.
        trials: how many there are.
        rounds: how often the search is run with failing calls.
        python: the interpreter that has modeldir.
    """
    chance = random.Random(seed)
    search = HostileSearch(home, trials, seconds=0.1, python=python)
    search.environment["MODELDIR_HEARTBEAT"] = (
        "0.05"  # else no heartbeat comes: utime is not called
    )
    # The first call fails for certain, so that a round in which chance spares all is no surprise.
    rules = [Rule(call, error=dict(CALLS)[call], limit=1) for call in calls]
    for call, error in CALLS:
        probability = 0.1 if calls else chance.choice((0, 0.05, 0.2))
        if call in calls or not calls:
            rules.append(Rule(call, error=error, probability=probability))
    faults = Faults(home, rules)
    found = Findings()
    for number in range(rounds):
        with search.started(search.backing, *SEARCH, variables=faults.variables) as worker:
            if number % 2:
                time.sleep(chance.uniform(0.3, 1.5))
                _leave(found, worker)
            else:
                _end(found, worker, 60)
    faults.off()
    with search.started(search.backing, *SEARCH) as worker:
        _end(found, worker, 60)
        if worker.returncode != 0:
            found.wrong("commands that failed", f"undisturbed: exit code {worker.returncode}")
    found.add(search.tracebacks())
    found.add(judge(home, search.search, search.values, files_failed=True))
    found.counts["calls that failed"] += faults.count()
    return found


def _end(found: Findings, worker: subprocess.Popen[bytes], patience: float) -> None:
    try:
        worker.wait(patience)
    except subprocess.TimeoutExpired:
        found.wrong("commands that failed", f"a search had no end within {patience:g} s")


def _leave(found: Findings, worker: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    worker.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(60)
    seconds = time.monotonic() - began
    if seconds > LEAVING:
        found.wrong("commands that failed", f"a worker left {seconds:.0f} s after TERM")


def full_disk(home: Path, *, python: str = sys.executable) -> Findings:
    """Fill the disk while two training runs last, ask the worker to leave, make room again.

    The worker must leave within seconds. What ended well is recorded as soon as there is room.
    """
    search = HostileSearch(home, 4, seconds=1.0, python=python)
    faults = Faults(home, [Rule("write", error=errno.ENOSPC), Rule("create", error=errno.ENOSPC)])
    faults.off()
    found = Findings()
    with search.started(search.backing, *SEARCH, variables=faults.variables) as worker:
        search.wait_for(2, "start")
        time.sleep(0.3)
        faults.on()
        search.wait_for(2, "end")
        time.sleep(1.0)
        _leave(found, worker)
    faults.off()
    with search.started(search.backing, *SEARCH) as worker:
        _end(found, worker, 120)
    found.add(search.tracebacks())
    found.add(judge(home, search.search, search.values, files_failed=True))
    again = len([line for line in lines(home) if line["what"] == "end"]) - len(search.values)
    if again:
        found.wrong("completed and run again", f"{again} training runs")
    found.counts["calls that failed"] += faults.count()
    return found
