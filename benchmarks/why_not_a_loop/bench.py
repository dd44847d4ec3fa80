"""Measure what a loop loses: CS230's loop, a language model's loop and modeldir, on one script.

    python benchmarks/why_not_a_loop/bench.py [--quick] [--only killed,slurm]

Each case does to all three what happens to real searches: the command is killed, the machine
restarts, it is started twice, some or all trials fail, a Slurm job is requeued. The training script
keeps a journal of what really ran. The numbers are counted from the journal and from the folders.
`--quick` leaves out Slurm, which otherwise is a real one, started by tests/engines/slurm_up.sh.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EPOCHS = 5
RATES = (0.5, 0.3, 0.1, 0.05, 0.03, 0.01, 0.003, 0.001)
LIMIT = 120.0
DIR = "experiments/learning_rate"
LOOPS = {"loop": "CS230's loop", "agent": "an agent's loop", "modeldir": "modeldir"}


@dataclass
class Project:
    """A project folder for one case and one of the three tools."""

    tool: str
    folder: Path
    rates: tuple[float, ...] = RATES
    terminals: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        search = self.folder / DIR
        search.mkdir(parents=True)
        (self.folder / "data").mkdir()
        for name in ("train.py", "loop.py", "agent_loop.py"):
            shutil.copy(HERE / name, self.folder)
        (self.folder / "data/digits.txt").write_text("0123456789")
        base = {"learning_rate": 0.01, "num_epochs": EPOCHS, "epoch_seconds": 0.2}
        (search / "params.json").write_text(json.dumps({**base, "loading_seconds": 0.2}))

    @property
    def words(self) -> list[str]:
        """The command that a user types, once more after each mishap."""
        rates = [str(rate) for rate in self.rates]
        if self.tool != "modeldir":
            script = "loop.py" if self.tool == "loop" else "agent_loop.py"
            return [sys.executable, script, "--learning_rates", *rates]
        search = [
            sys.executable,
            "-m",
            "modeldir",
            "search",
            DIR,
            "learning_rate=" + ",".join(rates),
        ]
        return [
            *search,
            "-j",
            "2",
            "--resume",
            "--restore_file last",
            "--",
            sys.executable,
            "train.py",
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "JOURNAL": str(self.folder / "journal.jsonl")}

    def start(self) -> subprocess.Popen[bytes]:
        """Type the command in a new terminal."""
        process = subprocess.Popen(
            self.words, cwd=self.folder, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.terminals.append(process)
        return process

    def run(self) -> None:
        """Type the command, and wait until it has ended."""
        self.start().wait(LIMIT)

    def settle(self) -> None:
        """Wait until no process of the project is left."""
        for process in self.terminals:
            process.wait(LIMIT)
        until(lambda: not self.pids(), "end of all processes")

    def pids(self) -> list[int]:
        """All processes that have this project's journal in their environment."""
        mark = f"JOURNAL={self.folder / 'journal.jsonl'}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_zombie = b") Z" in (path / "stat").read_bytes()
                if not is_zombie and mark in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
        return found

    def journal(self) -> list[dict[str, Any]]:
        path = self.folder / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def has_come_to(self, trial: int, epoch: int) -> bool:
        """Whether the n-th trial that was started has finished an epoch."""
        lines = self.journal()
        order = list(dict.fromkeys(line["trial"] for line in lines))
        return any(
            line["epoch"] == epoch and order.index(line["trial"]) == trial - 1
            for line in lines
            if line["event"] == "epoch"
        )

    def results(self) -> int:
        """Count the trials that are known to be complete and have the metrics of the last epoch."""
        count = 0
        for rate in self.rates:
            path = self.folder / DIR / f"learning_rate_{rate}/metrics_eval_best_weights.json"
            with contextlib.suppress(OSError, ValueError):
                count += json.loads(path.read_text())["epoch"] == EPOCHS
        return count


@dataclass
class Counts:
    """What a case has cost, counted from a journal."""

    completed_again: int
    epochs_again: int
    twice_at_once: int
    lines_lost: int
    lines: int
    starts: int


def counts(project: Project) -> Counts:
    """Count from a project's journal and log files what was lost or done again."""
    lines = project.journal()
    runs: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        runs.setdefault(line["token"], []).append(line)
    by_trial: dict[str, list[tuple[float, float, bool]]] = {}
    for run in runs.values():
        span = (run[0]["time"], run[-1]["time"], run[-1]["event"] == "end")
        by_trial.setdefault(run[0]["trial"], []).append(span)
    again = twice = 0
    for spans in by_trial.values():
        spans.sort()
        again += sum(one[2] and one[1] < two[0] for one in spans[:1] for two in spans[1:2])
        twice += any(one[1] > two[0] for one, two in itertools.pairwise(spans))
    epochs = [(line["trial"], line["epoch"]) for line in lines if line["event"] == "epoch"]
    kept = "".join(
        path.read_text(errors="replace")
        for path in (project.folder / DIR).rglob("*.log")
        if path.name != "search.log"
    )
    printed = [
        f"{line['token']} epoch {line['epoch']}:" for line in lines if line["event"] == "epoch"
    ]
    return Counts(
        completed_again=again,
        epochs_again=len(epochs) - len(set(epochs)),
        twice_at_once=twice,
        lines_lost=sum(words not in kept for words in printed),
        lines=len(printed),
        starts=len(runs),
    )


def until(holds: Callable[[], bool], what: str, limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit:.0f} s")
        time.sleep(0.02)


Row = dict[str, str]
"""One column of a table: what was counted for one tool, by the row's name."""


def common(project: Project) -> Row:
    found = counts(project)
    return {
        "finished trials that ran again": str(found.completed_again),
        "epochs trained again": str(found.epochs_again),
        "trials with two processes at once in one folder": str(found.twice_at_once),
        "printed lines that are in no file": f"{found.lines_lost} of {found.lines}",
    }


def killed(project: Project) -> Row:
    """Kill -9 of the command in the fourth trial; then the same command again."""
    process = project.start()
    until(lambda: project.has_come_to(4, 2), "the fourth trial")
    process.kill()
    process.wait()
    time.sleep(3)  # longer than a trial
    morning = f"{project.results()} of {len(project.rates)}"
    project.run()
    project.settle()
    return {"trials with a result in the morning": morning, **common(project)}


def at_once(project: Project) -> Row:
    """Kill -9 of the command in the fourth trial; the same command again at once."""
    process = project.start()
    until(lambda: project.has_come_to(4, 2), "the fourth trial")
    process.kill()
    process.wait()
    project.run()
    project.settle()
    return {
        "trials with a result": f"{project.results()} of {len(project.rates)}",
        **common(project),
    }


def power(project: Project) -> Row:
    """All is killed at once in the fourth trial, as by a power cut; the same command again."""
    project.start()
    until(lambda: project.has_come_to(4, 2), "the fourth trial")
    while pids := project.pids():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in project.terminals:
            process.poll()
    project.run()
    project.settle()
    return {
        "trials with a result": f"{project.results()} of {len(project.rates)}",
        **common(project),
    }


def two(project: Project) -> Row:
    """The same command in two terminals, at the same time."""
    began = time.monotonic()
    project.start()
    project.start()
    project.settle()
    took = time.monotonic() - began
    return {
        "trials with a result": f"{project.results()} of {len(project.rates)}",
        **common(project),
        "seconds": f"{took:.0f}",
    }


def one_fails(project: Project) -> Row:
    """The third configuration fails: what one command leaves."""
    project.run()
    project.settle()
    return {
        "trials that could succeed, and have a result": f"{project.results()} of 7",
        "trials started": str(counts(project).starts),
    }


def all_fail(project: Project) -> Row:
    """The data is missing, so every trial fails; then it is there, and the same command again."""
    data = project.folder / "data/digits.txt"
    data.rename(data.with_name("elsewhere.txt"))
    project.run()
    project.settle()
    first = counts(project).starts
    data.with_name("elsewhere.txt").rename(data)
    project.run()
    project.settle()
    second = project.results()
    if project.tool == "modeldir":  # as its message says
        subprocess.run(
            [sys.executable, "-m", "modeldir", "retry", DIR],
            cwd=project.folder, env=project.environment, capture_output=True, check=True,
        )  # fmt: skip
        project.run()
        project.settle()
    count = len(project.rates)
    return {
        "trials started before the command stopped": f"{first} of {count}",
        "trials with a result after the fix and the same command": f"{second} of {count}",
        "the same, after `modeldir retry` too": f"{project.results()} of {count}",
    }


def on_slurm(project: Project) -> Row:
    """A job is requeued in the fourth trial, on a cluster of two nodes."""
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    from engines import Slurm  # needs pytest, unlike the other cases

    with tempfile.TemporaryDirectory(prefix="sl") as place:
        cluster = Slurm(Path(place), nodes=2)
        cluster.up()
        try:
            return _on(cluster, project)
        finally:
            cluster.down()


def _on(cluster: Any, project: Project) -> Row:
    variables = {**project.environment, **cluster.environment}
    began = time.monotonic()
    if project.tool == "modeldir":
        words = project.words
        words[words.index("-j") : words.index("-j") + 2] = ["--on", "slurm", "--workers", "2"]
        command = words
    else:
        line = shlex.join(project.words)
        command = [
            "sbatch",
            "--requeue",
            "--output",
            str(project.folder / "job.out"),
            "--wrap",
            line,
        ]
    done = subprocess.run(
        command, cwd=project.folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    until(lambda: project.has_come_to(4, 2), "the fourth trial")
    job = cluster.live()[0]
    cluster.run("scontrol", "requeue", job)
    until(lambda: not cluster.live(), "end of all jobs", 300)
    took = time.monotonic() - began
    return {
        "trials with a result": f"{project.results()} of {len(project.rates)}",
        **common(project),
        "nodes used": "2 of 2" if project.tool == "modeldir" else "1 of 2",
        "seconds": f"{took:.0f}",
    }


KILL = "`kill -9` of the command in the fourth trial"
CASES: dict[str, tuple[str, Callable[[Project], Row]]] = {
    "killed": (f"{KILL}, nothing for a while, then the same command again", killed),
    "at_once": (f"{KILL}, then the same command at once", at_once),
    "power": ("All processes die at once in the fourth trial, then the same command again", power),
    "two": ("The same command in two terminals at the same time", two),
    "one_fails": ("The third of eight configurations fails", one_fails),
    "all_fail": ("The data is missing, so all trials fail; then the same command again", all_fail),
    "slurm": ("A Slurm job on a cluster of two nodes is requeued in the fourth trial", on_slurm),
}


def tables(names: list[str]) -> Iterator[str]:
    """Run the cases, and write a Markdown table for each."""
    for name in names:
        title, case = CASES[name]
        columns: dict[str, Row] = {}
        for tool in LOOPS:
            with tempfile.TemporaryDirectory(prefix="loop") as place:
                rates = (0.5, 0.3, 10.0, *RATES[3:]) if name == "one_fails" else RATES
                columns[tool] = case(Project(tool, Path(place) / "project", rates))
        yield f"**{title}**\n"
        yield "| | " + " | ".join(LOOPS.values()) + " |"
        yield "|---|" + "---:|" * len(LOOPS)
        for row in columns["modeldir"]:
            yield f"| {row} | " + " | ".join(columns[tool][row] for tool in LOOPS) + " |"
        yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without Slurm")
    parser.add_argument("--only", help="cases, with commas between them: " + ", ".join(CASES))
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(CASES)
    if arguments.quick and "slurm" in names:
        names.remove("slurm")
    for line in tables(names):
        print(line, flush=True)


if __name__ == "__main__":
    main()
