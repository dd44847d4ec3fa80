"""What the training runs of a search say they did, compared with what the search recorded.

Start at `judge`. A run adds a line when it starts and one when it ends, outside of the hostile file
system (`tests/projects/hostile/train.py`). Nobody kills a run, so each must start once and end
once, except where the files of modeldir itself fail.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Findings:
    """What was counted, and each thing that is wrong, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.counts.update(other.counts)
        self.problems += other.problems

    def wrong(self, what: str, detail: str) -> None:
        """Count a problem; `what` is one of `WRONG`."""
        self.counts[what] += 1
        self.problems.append(f"{what}: {detail}")


WRONG = (
    "overlaps", "completed and run again", "started twice", "never ended", "made twice", "not run",
    "recorded wrongly", "commands that failed", "answers that were wrong",
)  # fmt: skip
"""The kinds of problems, in the order of the table."""


def lines(home: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal, oldest first."""
    path = home / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def attempts(search: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the run files of each trial, the earliest attempt first."""
    found = {}
    for folder in sorted(path.parent for path in search.glob("*/params.json")):
        paths = sorted(folder.glob("run*.json"), key=lambda path: int(f"0{path.name[4:-5]}"))
        found[folder.name] = [_record(path) for path in paths]
    return found


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        record = {"status": "torn"}
    assert isinstance(record, dict)
    return record


def judge(home: Path, search: Path, values: range, *, files_failed: bool = False) -> Findings:
    """Return what is wrong with a search that is complete.

    Args:
        home: the folder of the journal.
        search: the search's folder, not seen through a mount.
        values: the values of `x` that the search has to try, each once.
        files_failed: whether modeldir could not write some files. Then an attempt may be recorded
            as interrupted, and run again.
    """
    found = Findings()
    starts: dict[int, list[str]] = defaultdict(list)
    ends: dict[int, list[str]] = defaultdict(list)
    names: dict[int, set[str]] = defaultdict(set)
    for line in lines(home):
        x, run = line["x"], f"{line['trial']} on {line['host']}, attempt {line['attempt']}"
        names[x].add(line["trial"])
        if line["what"] == "overlap":
            found.wrong("overlaps", run)
        elif line["what"] == "end":
            ends[x].append(run)
        else:
            if starts[x] and not files_failed:
                what = "completed and run again" if ends[x] else "started twice"
                found.wrong(what, f"{run} after {(ends[x] or starts[x])[-1]}")
            starts[x].append(run)
    for x in values:
        if not starts[x]:
            found.wrong("not run", f"x={x}")
        elif not ends[x]:
            found.wrong("never ended", starts[x][-1])
        if len(names[x]) > 1:
            found.wrong("made twice", ", ".join(sorted(names[x])))
    for name, records in attempts(search).items():
        _judge_records(found, name, records, files_failed=files_failed)
    found.counts["training runs"] += sum(map(len, starts.values()))
    return found


def _judge_records(
    found: Findings, name: str, records: list[dict[str, Any]], *, files_failed: bool
) -> None:
    """Add what is wrong with the recorded attempts of one trial."""
    ends = [record.get("status") for record in records]
    keys = ("attempt", "status", "failure", "reason")
    if ends[-1:] != ["completed"] or (len(ends) > 1 and not files_failed) or "failed" in ends:
        facts = [{key: record.get(key) for key in keys} for record in records]
        found.wrong("recorded wrongly", f"{name}: {facts}")
    if "completed" in ends[:-1] and files_failed:
        found.wrong("completed and run again", f"{name}: {ends}")
