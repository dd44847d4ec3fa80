"""Real scripts of each framework without one changed line: searched, ranked, stopped early.

Their metrics come from the files that the framework writes, or from the lines that it prints.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import engines
from laboratory import Project, kill, read, supervisor_of, wait_until
from modeldir._system import processes

pytestmark = [pytest.mark.slow, pytest.mark.frameworks, pytest.mark.timeout(600)]

SCRIPTS = Path(__file__).parents[1] / "projects" / "frameworks" / "untouched"
LIMIT = 300.0


@dataclass(frozen=True)
class Script:
    """A script: what it imports, its options, a good and a poor value, where its metrics are."""

    package: str
    searched: str
    options: str
    metric: str
    printed: str = ""
    has_steps: bool = True
    rung: int = 2


UNTOUCHED = {
    "huggingface": Script(
        "transformers",
        "learning_rate=0.02,0.000001",
        "--output_dir {out} --eval_strategy epoch --save_strategy epoch --num_train_epochs 12"
        " --per_device_train_batch_size 64 --per_device_eval_batch_size 240"
        " --report_to none --use_cpu",
        "eval_accuracy",
        rung=15,  # the first validation, by optimizer steps
    ),
    "keras": Script("keras", "lr=0.1,0.0001", "--out {out} --epochs 120", "val_accuracy"),
    "lightning": Script(
        "lightning", "lr=0.3,0.0001", "--default_root_dir {out} --max_epochs 60", "val_acc",
        rung=23,  # the first validation, by optimizer steps
    ),
    "tensorboard": Script(
        "tensorboard", "lr=0.3,0.0001", "--logdir {out} --epochs 200", "acc"
    ),
    "jax_mlp": Script(
        "jax", "step_size=0.1,0.00001", "--num_epochs 150", "val_accuracy",
        r"Epoch {step} in|Test set accuracy {val_accuracy}",
    ),
    "lightgbm": Script(
        "lightgbm", "learning_rate=0.05,0.0001", "--rounds 800", "val_logloss",
        "[{step}]\tvalid_0's multi_logloss: {val_logloss}",
    ),
    "sklearn": Script(
        "sklearn", "gamma=0.001,1.0", "--folds 5", "accuracy", "accuracy: {accuracy}",
        has_steps=False,
    ),
    "xgboost": Script(
        "xgboost", "eta=0.05,0.0001", "--rounds 800", "val_mlogloss",
        "[{step}]\ttrain-mlogloss:{train_mlogloss}\tval-mlogloss:{val_mlogloss}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTOUCHED)
def test_killed_ranked_and_stopped_early(name: str, tmp_path: Path) -> None:
    """After `kill -9` of everything the same command ends the search; the poor trial is pruned."""
    script = UNTOUCHED[name]
    engines.need_framework(script.package, "sklearn")
    text = (SCRIPTS / f"{name}.py").read_text()
    assert "modeldir" not in text
    key, _, values = script.searched.partition("=")
    place = Project(tmp_path, text)
    place.environment["OMP_NUM_THREADS"] = "1"
    place.params("experiments/search", **{key: float(values.partition(",")[0])})
    good, poor = (f"{key}_{float(value)}" for value in values.split(","))
    options = [word for line in script.printed.split("|") if line for word in ("--metrics", line)]
    words = ["search", "experiments/search", script.searched, *options]
    words += ["--pruner", "asha:min_step=2,reduction_factor=2"] if script.has_steps else []
    command = f"python train.py {{flags}} {script.options}"
    begun = place.search / good / ("metrics.jsonl" if script.has_steps else "run.json")
    with place.started_as(*words, "--", *command.split()) as worker:
        wait_until(lambda: worker.poll() is not None or begun.exists(), "the first trial", LIMIT)
        victims = [worker.pid, *processes.descendants(worker.pid), supervisor_of(begun.parent)]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)
    wait_until(lambda: place.trials()[good] == "interrupted", "the end of the first trial")
    done = place.modeldir("search", "experiments/search", limit=LIMIT)
    assert done.code == 0, done.out + done.err
    assert read(place.search / good / "run.2.json")["status"] == "completed"
    assert place.trials() == {
        good: "completed",
        poor: "pruned" if script.has_steps else "completed",
    }
    if script.has_steps:
        assert re.search(
            rf"^pruned .*{re.escape(poor)}.* at step {script.rung}: ", done.out, re.MULTILINE
        )
    best = place.modeldir("best", "experiments/search").out
    assert best.split()[0] == f"experiments/search/{good}"
    assert script.metric in place.modeldir("results", "experiments/search").out
