"""What must be true of a search whose workers were jobs that were killed, preempted and requeued.

It knows the run files of the trials, and the journal that `STEPS` keeps: one line for each step
that a training did. It refuses to know what befell the jobs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from modeldir._system import reading
from modeldir.experiment import attempts, experiment

STEPS = """\
import json, os, socket, sys, time
import modeldir

folder = sys.argv[sys.argv.index("--model_dir") + 1]


def journal(step, what):
    told = {"trial": os.path.basename(folder), "attempt": os.environ["MODELDIR_ATTEMPT"],
            "step": step, "what": what, "at": time.time(), "host": socket.gethostname()}
    data = (json.dumps(told) + "\\n").encode()
    descriptor = os.open("journal.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, data)
    os.close(descriptor)


with modeldir.start(folder) as run:
    state = run.restore()
    first = state["step"] + 1 if state else 0
    for step in range(first, 12):
        journal(step, "begin")
        time.sleep(0.1)
        while step == 4 and os.path.exists("hold"):
            time.sleep(0.02)
        run.log(step, accuracy=step * run.params.learning_rate)
        run.save_checkpoint({"step": step})
        journal(step, "saved")
"""
"""A training of twelve steps that goes on from its last one, and waits in its fifth for `hold`."""

STEPS_DONE = 12


@dataclass(frozen=True)
class Step:
    """A step that a training did, or began and did not save."""

    trial: str
    attempt: int
    number: int
    at: float
    saved: bool
    host: str


def journal(project: Path) -> list[Step]:
    """What the trainings did, in the order in which they did it."""
    return [
        Step(
            line["trial"],
            int(line["attempt"]),
            line["step"],
            line["at"],
            line["what"] == "saved",
            line["host"],
        )
        for line in reading.read_lines(project / "journal.jsonl")
    ]


def audit(search: Path, trials: int) -> list[str]:
    """What is not as it should be, in words, once all has ended: each trial ended once, in its last
    attempt, and no two attempts of it were there at the same time.
    """
    problems = []
    folders = [path for path in sorted(search.iterdir()) if (path / "trial.json").exists()]
    if len(folders) != trials:
        problems.append(f"{len(folders)} trials instead of {trials}")
    for folder in folders:
        runs = [attempts.read(folder, n) for n in attempts.numbers(os.listdir(folder))]
        ends = [run.end for run in runs]
        if experiment.status(folder).state not in (attempts.COMPLETED, attempts.PRUNED):
            problems.append(f"{folder.name} is {experiment.status(folder)}")
        if set(ends[:-1]) - {attempts.INTERRUPTED, None}:
            problems.append(f"{folder.name} ran again after it had ended: {ends}")
        problems += _overlaps(runs)
    return problems


def _overlaps(runs: list[attempts.Attempt]) -> list[str]:
    return [
        f"{before.folder.name}: attempt {after.number} began before {before.number} had ended"
        for before, after in pairwise(runs)
        if before.record.get("ended") and _time(before, "ended") > _time(after, "started")
    ]


def _time(run: attempts.Attempt, key: str) -> float:
    return datetime.fromisoformat(run.record[key]).timestamp()


def audit_steps(project: Path) -> list[str]:
    """What is wrong with the steps of trainings that were `STEPS`: each attempt goes on where the
    one before it had saved, after that one's last sign of life, and every step was saved once.
    """
    problems = []
    steps = journal(project)
    for trial in sorted({step.trial for step in steps}):
        mine = [step for step in steps if step.trial == trial]
        saved = [step.number for step in mine if step.saved]
        if saved != list(range(STEPS_DONE)):
            problems.append(f"{trial}: steps saved: {saved}")
        numbers = [step.attempt for step in mine]
        if numbers != sorted(numbers):
            problems.append(f"{trial}: attempts at the same time: {numbers}")
    return problems
