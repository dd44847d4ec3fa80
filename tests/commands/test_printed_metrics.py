"""`--metrics` with printed lines, through the commands: curves, pruned rows, `modeldir run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from laboratory import Project, read
from modeldir._system import reading

EPOCHS = "epoch {step}: acc {accuracy}"

PRINTS = """\
import os, sys, time
rate = float(sys.argv[1])
for epoch in range(1, 6):
    print(f"epoch {epoch}: acc {1 - rate - 1 / (epoch + 1):.4f}", flush=True)
    time.sleep(0.2)
    while os.path.exists(f"hold_{rate}") and epoch == 3:
        time.sleep(0.01)
print("best acc 0.99")
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("prints.py", PRINTS)
    return made


def steps(folder: Path) -> list[tuple[int, float]]:
    lines = reading.read_lines(folder / "metrics.jsonl")
    return [(line["step"], line["accuracy"]) for line in lines]


def test_a_pruned_trial_keeps_what_it_printed(project: Project) -> None:
    """Its row has the metric, and `retry --pruned` finds it."""
    project.write("hold_0.9", "")
    done = project.searches(
        "learning_rate=0.1,0.9", "--metrics", EPOCHS, "--maximize", "accuracy", "--no-check",
        "--pruner", "asha:min_step=2,reduction_factor=2",
        command="python prints.py {learning_rate}",
    )  # fmt: skip
    assert done.code == 0, done.err
    pruned = project.search / "learning_rate_0.9"
    assert read(pruned / "run.json")["status"] == "pruned"
    assert steps(pruned)[:2] == [(1, -0.4), (2, -0.2333)]
    assert read(pruned / "metrics_eval_best_weights.json")["accuracy"] == steps(pruned)[-1][1]
    full = project.search / "learning_rate_0.1"
    assert read(full / "metrics_eval_last_weights.json") == {"accuracy": 0.7333}
    retried = project.modeldir("retry", "experiments/search", "--pruned", "--top", "1")
    assert "learning_rate_0.9" in retried.out + retried.err


def test_a_metric_that_is_printed_once_prunes_nothing(project: Project) -> None:
    """A trial that is fully trained is complete, however bad its result is."""
    project.write("once.py", "import sys, time\nprint('acc', 1 - float(sys.argv[1]), flush=True)\n"
                  "time.sleep(0.3)\n")  # fmt: skip
    done = project.searches(
        "learning_rate=0.1,0.5,0.9", "--metrics", "acc {accuracy}", "--maximize", "accuracy",
        "--pruner", "asha", "--no-check", command="python once.py {learning_rate}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert set(project.trials().values()) == {"completed"}


def test_several_patterns_are_kept_in_the_plan(project: Project) -> None:
    """In their order; `modeldir show` lists them."""
    lines = ("Epoch 1/2", "loss 0.5", "Epoch 2/2", "loss 0.7")
    project.write("two.py", "".join(f"print({line!r})\n" for line in lines))
    done = project.searches(
        "learning_rate=0.1", "--metrics", "Epoch {epoch}/2", "--metrics", "loss {loss}",
        command="python two.py {learning_rate}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert project.plan()["metrics"] == ["Epoch {epoch}/2", "loss {loss}"]
    assert "Best: experiments/search/learning_rate_0.1 (lowest loss 0.5)" in done.out
    shown = project.modeldir("show", "experiments/search").out
    assert "'Epoch {epoch}/2'" in shown
    assert "'loss {loss}'" in shown


def test_run_takes_the_lines_of_the_project(project: Project) -> None:
    """`metrics` in `modeldir.toml` counts for a single run as for a search."""
    project.write("modeldir.toml", f"metrics = {json.dumps(EPOCHS)}\n")
    project.params("experiments/one", learning_rate=0.1)
    done = project.modeldir(
        "run", "experiments/one", "--", "python", "prints.py", "{learning_rate}"
    )
    assert done.code == 0, done.err
    folder = project.path / "experiments/one"
    assert [step for step, _ in steps(folder)] == [1, 2, 3, 4, 5]
    assert read(folder / "metrics_eval_best_weights.json") == {"accuracy": 0.7333}
