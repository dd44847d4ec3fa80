"""Run every sampler and every pruner on real training: the vision project, by the command line.

    python benchmarks/vision/bench.py [--only tpe,asha] [--folder DIR] [--jobs 2]

It makes the project (`modeldir init PROJECT --template vision`: a small convolutional network in
PyTorch, real digits) and searches it once with each sampler (6 trials of 2 epochs) and once with
each pruner (9 trials of 6 epochs, by `random`). Few trials cannot show which is better
(docs/contributing/search-quality.md does); they show that each runs, learns and ends as it should.
The results are read with modeldir and checked: exit code 0, as many trials as requested, no
configuration twice (by its canonical hash), each trial completed or pruned, nothing running. `tpe`
and `gp` start with the points of `sobol` and must have left them (after three trials here instead
of ten; populations are small too).

Needs PyTorch: make .venv/.vision. Each process has one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import machine

from modeldir import Experiment
from modeldir.params.plain_values import canonical_hash

BASE = "experiments/base_model"
SPACE = [
    "learning_rate=log_uniform:1e-4,1e-1",
    "dropout_rate=uniform:0,0.5",
    "num_channels=log_int:4,16",
]
WEIGHTS_FIT = SPACE[:2]  # pbt copies weights: none of its names may change their shapes
GRID = ["learning_rate=0.1,0.01,0.001", "dropout_rate=0.2,0.5"]
ACCURACY = ["--maximize", "accuracy"]


@dataclass(frozen=True)
class Case:
    """A search: the name of its row, its options, and its expected result."""

    name: str
    words: list[str]
    trials: int = 6
    epochs: int = 2
    domains: tuple[str, ...] = tuple(SPACE)
    jobs: int | None = None
    prunes: bool = False

    def command(self, folder: str, jobs: int) -> list[str]:
        count = [] if self.name == "grid" else ["--trials", str(self.trials)]
        search = [sys.executable, "-m", "modeldir", "search", folder, *self.domains, *self.words]
        training = [sys.executable, "train.py", "--data_dir", "data"]
        return [*search, *count, "-j", str(self.jobs or jobs), "--", *training]


def by_sampler(name: str, *words: str, **given) -> Case:
    return Case(name.partition(":")[0], ["--sampler", name, *(words or ACCURACY)], **given)


def by_pruner(name: str) -> Case:
    words = ["--sampler", "random", "--pruner", name, *ACCURACY]
    return Case(name.partition(":")[0], words, trials=9, epochs=6, prunes=True)


CASES = (
    by_sampler("grid", domains=tuple(GRID)),
    by_sampler("random"),
    by_sampler("sobol"),
    by_sampler("auto"),
    by_sampler("tpe:startup=3"),
    by_sampler("gp:startup=3"),
    by_sampler("cmaes:population=3"),
    by_sampler("nsga2:population=3", "--maximize", "accuracy", "--minimize", "loss"),
    replace(
        by_sampler("pbt:population=3,quantile=0.34,interval=2", "--no-check", *ACCURACY),
        domains=tuple(WEIGHTS_FIT),
        epochs=20,
        jobs=3,
        prunes=True,
    ),
    by_pruner("asha"),
    by_pruner("hyperband"),
    by_pruner("median:warmup_trials=3"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of rows, with commas")
    parser.add_argument("--folder", help="make the project here, and leave it (default: nowhere)")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time (pbt: 3)")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else [case.name for case in CASES]
    if unknown := [name for name in wanted if name not in {case.name for case in CASES}]:
        parser.error(f"no such row: {', '.join(unknown)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    place = contextlib.nullcontext(arguments.folder) if arguments.folder else scratch()
    with place as parent:
        project = Path(parent) / "digits"
        modeldir("init", str(project), "--template", "vision")
        print(f"The vision project, -j {arguments.jobs}; {machine()}\n")
        print("| | trials | completed | pruned | epochs | of | best accuracy | seconds |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for case in CASES:
            if case.name in wanted:
                print(row(case, project, arguments.jobs), flush=True)


def scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="modeldir-vision-")


def row(case: Case, project: Path, jobs: int) -> str:
    """Search, read the results, check them, and return a row of the table."""
    name = f"experiments/{case.name}"
    folder = project / name
    modeldir("new", name, "--from", BASE, f"num_epochs={case.epochs}", cwd=project)
    began = time.perf_counter()
    done = subprocess.run(
        case.command(name, jobs), cwd=project, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{case.name}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    rows = json.loads(modeldir("synthesize", name, "--format", "json", cwd=project))
    states = [each["status"] for each in rows]
    trials = [Experiment(folder / each["experiment"]) for each in rows]
    checked(case, states, trials)
    epochs = sum(len((each.path / "metrics.jsonl").read_text().splitlines()) for each in trials)
    best = max(each["accuracy"] for each in rows if each["status"] == "completed")
    cells = [
        f"`{case.name}`{chosen(folder)}", len(rows), states.count("completed"),
        states.count("pruned"), epochs, len(rows) * case.epochs, f"{best:.3f}", f"{seconds:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def checked(case: Case, states: list[str], trials: list[Experiment]) -> None:
    """Raise AssertionError unless the search has the expected result."""
    if case.name == "pbt":
        records = [json.loads((each.path / "trial.json").read_text()) for each in trials]
        parents = [record.get("parent") for record in records]
        assert any(parents), "pbt: no trial began with another's weights"
        asked = 3 + sum(map(bool, parents))  # a member stopped at the end is not replaced
        assert asked <= case.trials
    else:
        asked = case.trials
    assert len(trials) == asked, f"{case.name}: {len(trials)} trials, not {asked}"
    allowed = {"completed", "pruned"} if case.prunes else {"completed"}
    assert set(states) <= allowed, f"{case.name}: {states}"
    assert {each.status().state for each in trials} <= allowed, f"{case.name}: it runs on"
    hashes = {canonical_hash(each.params()) for each in trials}
    assert len(hashes) == len(trials), f"{case.name}: {len(trials) - len(hashes)} twice"
    if case.prunes:
        assert "pruned" in states, f"{case.name}: nothing was pruned"
    beside = trials[0].path.parents[1] / "sobol"
    if case.name in {"tpe", "gp"} and beside.is_dir():  # not so with --only
        known = [Experiment(each.parent) for each in beside.glob("*/params.json")]
        start = {canonical_hash(each.params()) for each in known}
        assert hashes - start, f"{case.name}: it learned nothing, its points are those of sobol"


def chosen(folder: Path) -> str:
    """Return the sampler that `auto` chose, from the search config."""
    plan = json.loads((folder / "search.json").read_text())
    return f" ({plan['auto']['sampler']})" if "auto" in plan else ""


def modeldir(*words: str, cwd: Path | None = None) -> str:
    command = [sys.executable, "-m", "modeldir", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"modeldir {' '.join(words)}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
