"""Real scripts of each framework, with the lines of its integration: exact pruning, resume.

`integrated/` in `projects/frameworks` holds the scripts of `untouched/` with those lines.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import engines
from laboratory import Project, kill, read, wait_until
from modeldir._system import processes, reading
from modeldir.metrics import metric_files

pytestmark = [pytest.mark.slow, pytest.mark.frameworks, pytest.mark.timeout(600)]

SCRIPTS = Path(__file__).parents[1] / "projects" / "frameworks"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "frameworks.md"
LIMIT = 300.0


@dataclass(frozen=True)
class Framework:
    """A script: what it imports, its options, a good and a poor value, and where it saves."""

    package: str
    searched: str
    options: str
    steps: range
    metric: str
    saved: str

    @property
    def command(self) -> str:
        return f"python train.py {{flags}} {self.options}"


FRAMEWORKS = {
    "huggingface": Framework(
        "transformers",
        "learning_rate=0.02,0.000001",
        "--output_dir {out} --eval_strategy epoch --save_strategy epoch --num_train_epochs 6"
        " --per_device_train_batch_size 64 --per_device_eval_batch_size 240"
        " --report_to none --use_cpu",
        range(1, 7),
        "eval_accuracy",
        "out/checkpoint-*/trainer_state.json",
    ),
    "keras": Framework(
        "keras", "lr=0.1,0.0001", "--out {model_dir} --epochs 120",
        range(120), "val_accuracy", "backup/training_metadata.json",
    ),
    "lightgbm": Framework(
        "lightgbm", "learning_rate=0.05,0.0001", "--rounds 300",
        range(1, 301), "multi_logloss", "last_model.txt",
    ),
    "lightning": Framework(
        "lightning", "lr=0.3,0.0001", "--default_root_dir {model_dir} --max_epochs 16",
        range(16), "val_acc", "lightning_logs/version_0/checkpoints/last.ckpt",
    ),
    "sklearn": Framework(
        "sklearn", "gamma=0.001,1.0", "--folds 25", range(1, 26), "accuracy", "last.npz"
    ),
    "xgboost": Framework(
        "xgboost", "eta=0.05,0.0001", "--rounds 300", range(300), "mlogloss", "last_model.ubj"
    ),
}  # fmt: skip


def project(path: Path, name: str, variant: str = "integrated") -> Project:
    """A project with one of the scripts, if its framework is installed."""
    engines.need_framework(FRAMEWORKS[name].package, "sklearn")
    key, _, values = FRAMEWORKS[name].searched.partition("=")
    made = Project(path, (SCRIPTS / variant / f"{name}.py").read_text())
    made.environment["OMP_NUM_THREADS"] = "1"  # threads that wait for each other take minutes
    made.params("experiments/search", **{key: float(values.partition(",")[0])})
    return made


def logged(folder: Path) -> list[int]:
    """The steps of a trial's validation metrics, in the order in which they were logged."""
    lines = reading.read_lines(folder / metric_files.METRICS_LINES)
    steps = [metric_files.logged_step(line, 0) for line in lines]
    return [int(each.step) for each in steps if metric_files.validation_metrics(each.values)]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_it_takes_a_few_lines(name: str) -> None:
    """A script needs one import and two or three changed lines; the guide shows each of them."""
    untouched = (SCRIPTS / "untouched" / f"{name}.py").read_text().splitlines()
    integrated = (SCRIPTS / "integrated" / f"{name}.py").read_text().splitlines()
    compared = list(difflib.ndiff(untouched, integrated))
    new = [line[2:].strip() for line in compared if line.startswith("+ ")]
    assert 1 <= len(new) <= 4
    shown = re.sub(r"\s+", "", PAGE.read_text())
    calls = {call for line in new for call in re.findall(r"[\w.]+=?\w+\(\)", line)}
    assert [line for line in new if "import" in line and re.sub(r"\s", "", line) not in shown] == []
    assert [call for call in calls if call not in shown] == []


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_outside_modeldir_the_script_runs_as_before(name: str, tmp_path: Path) -> None:
    """The lines of an integration do nothing in a script that the user starts alone."""
    alone = project(tmp_path, name)
    options = re.sub(r"(epochs|rounds|folds) \d+", r"\1 2", FRAMEWORKS[name].options)
    options = options.replace("{out}", "out").replace("{model_dir}", ".")
    subprocess.run(
        [sys.executable, "train.py", *options.split()],
        cwd=tmp_path,
        env=alone.environment,
        check=True,
        capture_output=True,
    )
    assert not list(tmp_path.rglob("run.json"))
    assert not list(tmp_path.rglob("metrics.jsonl"))
    assert not list(tmp_path.rglob("last_model.*"))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_killed_resumed_ranked_and_pruned(name: str, tmp_path: Path) -> None:
    """After `kill -9` of everything the first trial continues; the second ends at its rung."""
    framework, place = FRAMEWORKS[name], project(tmp_path, name)
    good, poor = (
        place.search / f"{framework.searched.partition('=')[0]}_{value}"
        for value in framework.searched.partition("=")[2].replace("0.000001", "1e-06").split(",")
    )
    words = ["search", "experiments/search", framework.searched]
    words += ["--pruner", "asha:min_step=2,reduction_factor=2", "--"]
    with place.started_as(*words, *framework.command.split()) as worker:
        wait_until(
            lambda: (
                worker.poll() is not None
                or (len(logged(good)) >= 3 and list(good.glob(framework.saved)))
            ),
            "three steps and a saved model",
            LIMIT,
        )
        victims = [worker.pid, *processes.descendants(worker.pid)]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)
    before = logged(good)
    assert before[-1] < framework.steps[-1], "it was too quick to be killed"
    done = place.modeldir("search", "experiments/search", limit=LIMIT)
    assert done.code == 0, done.out + done.err

    assert read(good / "run.2.json")["resumes"] is True
    steps = logged(good)
    assert steps.count(framework.steps[0]) == 1, "it began again"
    assert sorted(set(steps)) == list(framework.steps)
    assert place.trials() == {good.name: "completed", poor.name: "pruned"}
    assert logged(poor)[-1] == 2
    assert place.modeldir("best", "experiments/search").out.split()[0] == (
        f"experiments/search/{good.name}"
    )
    table = place.modeldir("results", "experiments/search").out
    assert framework.metric in table
