"""Commands that look at a search while its trials start and end, compared with the journal.

Start at `polled`. An answer is wrong if it tells less than was so when the command began, or more
than was so when it ended; or if a completed row has no metric.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hostile import faults
from hostile.journal import Findings, judge, lines
from hostile.searches import SEARCH, HostileSearch

ORDER = {"pending": 0, "running": 1, "completed": 2}
"""The statuses that a trial has here, in their order."""
UNTRUE = {"failed", "interrupted", "pruned", "untracked"}
"""The statuses that no trial has here."""
FOLDER = "experiments/search"


def polled(
    home: Path, *, trials: int = 40, seconds: float = 0.2, python: str = sys.executable
) -> Findings:
    """Run a search, and ask for its table, its best trial and its summary until it is complete.

    If there is a C compiler, the commands open each run file late: a trial can end between the
    moment at which its folder is listed and the one at which its run file is read.
    """
    search = HostileSearch(home, trials, seconds=seconds, python=python)
    variables: dict[str, str] = {}
    if faults.why_not() is None:
        slow = faults.Rule("open", "*/x_*/run*.json", delay=0.02)
        variables = faults.Faults(home, [slow]).variables
    poll = Poll(search, variables)
    with search.started(search.backing, *SEARCH) as worker:
        search.wait_for(1, "start")
        while worker.poll() is None:
            poll.table()
            poll.best()
            poll.summary()
    poll.table()
    poll.best()
    poll.summary()
    found = poll.found
    found.add(judge(home, search.search, search.values))
    return found


class Poll:
    """What was answered so far: `statuses` has the latest status of each trial."""

    def __init__(self, search: HostileSearch, variables: dict[str, str]) -> None:
        self.search, self.found = search, Findings()
        self.environment = {**search.environment, **variables}
        self.statuses: dict[str, str] = {}

    def table(self) -> None:
        """Ask for the table; compare each row."""
        started, ended, text = self._asked("synthesize", FOLDER, "--format", "json")
        rows: list[dict[str, Any]] = json.loads(text) if text else []
        statuses = {row["experiment"]: row["status"] for row in rows}
        for name in self.statuses.keys() - statuses.keys():
            self._wrong(f"{name} is missing from the table")
        for row in rows:
            name, status = row["experiment"], row["status"]
            rank, before = ORDER.get(status, -1), self.statuses.get(name, "pending")
            if rank < ORDER[before]:
                self._wrong(f"{name} was {before} and is {status}")
            if status == "pending" and name in started:
                self._wrong(f"{name} had started and is pending")
            if status == "completed" and name not in ended:
                self._wrong(f"{name} is completed before its end")
            if status == "completed" and row.get("accuracy") != row["x"] / 100:
                self._wrong(f"{name} is completed with accuracy {row.get('accuracy')}")
            if rank >= 0:
                self.statuses[name] = status

    def best(self) -> None:
        """Ask for the best trial: it is at least as good as those of which the table knew."""
        done = [value_of(name) for name, status in self.statuses.items() if status == "completed"]
        _, ended, text = self._asked("best", FOLDER)
        if not text:
            if done:
                self._wrong("there is no best trial")
            return
        name = text.strip().rpartition("/")[2]
        if name not in ended:
            self._wrong(f"{name} is the best before its end")
        if done and value_of(name) < max(done):
            self._wrong(f"x_{max(done)} was completed and {name} is the best")

    def summary(self) -> None:
        """Ask for the search itself: its line `trials` counts each status."""
        done = sum(status == "completed" for status in self.statuses.values())
        _, ended, text = self._asked("show", FOLDER)
        text = next((line for line in text.splitlines() if line.startswith("trials ")), "")
        counts = {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", text)}
        for status in counts.keys() & UNTRUE:
            self._wrong(f"{counts[status]} trials are {status}")
        completed = counts.get("completed", 0)
        if not done <= completed <= len(ended):
            self._wrong(f"{completed} are completed, which is not in {done} to {len(ended)}")

    def _asked(self, *words: str) -> tuple[set[str], set[str], str]:
        """Run a command; return what had started before it, what has ended, and its output."""
        started = self._trials("start")
        done = subprocess.run(
            [self.search.python, "-m", "modeldir", *words],
            cwd=self.search.backing,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.found.counts[f"answers of {words[0]}"] += 1
        if "Traceback" in done.stderr or done.returncode > 1:
            self.found.wrong("commands that failed", f"{words[0]}: {done.stderr}")
        return started, self._trials("end"), done.stdout

    def _trials(self, what: str) -> set[str]:
        return {line["trial"] for line in lines(self.search.home) if line["what"] == what}

    def _wrong(self, what: str) -> None:
        self.found.wrong("answers that were wrong", what)


def value_of(name: str) -> int:
    """Return the value of `x` of a trial, from its name.

    >>> value_of("x_12")
    12
    """
    return int(name.removeprefix("x_"))
