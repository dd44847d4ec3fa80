"""Metrics that a script leaves in files or only prints, through the commands."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from laboratory import Project, read
from modeldir._system import reading

LEAVES = """\
import os, sys, time
rate, folder = float(sys.argv[1]), sys.argv[2]
os.makedirs(folder + "/logs/version_0")
with open(folder + "/logs/version_0/metrics.csv", "w", buffering=1) as file:
    file.write("epoch,step,train_loss,val_acc\\n")
    for epoch in range(6):
        step = 10 * epoch
        file.write(f"{epoch},{step},0.5,\\n{epoch},{step + 9},,{1 - rate - epoch / 10}\\n")
        deadline = time.time() + 60
        while os.path.exists(f"hold_{rate}") and epoch == 3 and time.time() < deadline:
            time.sleep(0.01)
"""

PRINTS = """\
import sys
for epoch in range(3):
    print(f"Epoch {epoch + 1}/3: val loss {float(sys.argv[1]) + epoch:.2f} ({epoch * 7.5}s)")
"""
READS = "Epoch {step}/3: val loss {val_loss}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("leaves.py", LEAVES)
    made.write("prints.py", PRINTS)
    return made


def test_a_search_takes_the_file_that_its_script_leaves(project: Project) -> None:
    """It says so once, keeps it in the plan, ranks by it, and writes each step."""
    done = project.searches(
        "learning_rate=0.1,0.2,0.3", "--no-check",
        command="python leaves.py {learning_rate} {out}",
    )  # fmt: skip
    assert done.code == 0, done.err
    told = "metrics: out/logs/version_0/metrics.csv, val_acc by step\n"
    assert done.out.count("metrics:") == 1
    assert told in done.out
    assert project.plan()["metrics_from"] == "out/logs/version_*/metrics.csv"
    assert project.plan()["maximize"] == "val_acc"
    folder = project.search / "learning_rate_0.1"
    assert read(folder / "run.json")["metrics_from"] == "out/logs/version_0/metrics.csv"
    assert read(folder / "metrics_eval_best_weights.json") == {"val_acc": 0.9}
    assert len(reading.read_lines(folder / "metrics.jsonl")) == 12
    assert "Best: experiments/search/learning_rate_0.1 (highest val_acc 0.9)" in done.out


def test_a_file_stops_a_trial_early(project: Project) -> None:
    """A trial is judged while it writes."""
    project.write("hold_0.9", "")
    done = project.searches(
        "learning_rate=0.1,0.9", "--maximize", "val_acc", "--no-check",
        "--pruner", "asha:min_step=9,reduction_factor=2",
        command="python leaves.py {learning_rate} {out}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert read(project.search / "learning_rate_0.9" / "run.json")["status"] == "pruned"
    assert "cannot stop trials early" not in done.out + done.err


def test_run_takes_a_file_too(project: Project) -> None:
    """It says which one at its end."""
    project.params("experiments/one", learning_rate=0.1)
    done = project.modeldir(
        "run", "experiments/one", "--", "python", "leaves.py", "{learning_rate}", "{out}"
    )
    assert done.code == 0, done.err
    assert "metrics: out/logs/version_0/metrics.csv\n" in done.err
    best = project.path / "experiments/one/metrics_eval_best_weights.json"
    assert read(best) == {"val_acc": 0.9}


def test_metrics_names_a_file_and_a_column(project: Project) -> None:
    """A column that is not there is a missing metric, with the pattern in the message."""
    done = project.searches(
        "learning_rate=0.1", "--metrics", "metrics.csv:train_loss",
        command="python leaves.py {learning_rate} {out}",
    )  # fmt: skip
    assert done.code == 0, done.err
    folder = project.search / "learning_rate_0.1"
    assert read(folder / "metrics_eval_last_weights.json") == {"train_loss": 0.5}
    other = project.modeldir(
        "run", "experiments/search/learning_rate_0.1", "--",
        "python", "leaves.py", "{learning_rate}", "{out}",
    )  # fmt: skip
    assert other.code == 0, other.err
    assert read(folder / "metrics_eval_last_weights.json") == {"train_loss": 0.5}
    wrong = project.modeldir("search", "experiments/search", "learning_rate=0.1,0.2",
                             "--metrics", "metrics.csv:acc")  # fmt: skip
    assert wrong.code == 1
    assert "left no metrics in a file like 'metrics.csv:acc'" in wrong.out + wrong.err


def test_lines_that_look_like_metrics_are_proposed_and_read_later(project: Project) -> None:
    """The command that the first trial proposes works, and no trial runs again."""
    done = project.searches(
        "learning_rate=0.1,0.2", "--no-check", command="python prints.py {learning_rate}"
    )
    assert done.code == 0, done.err
    assert done.out.count("has printed: Epoch 3/3: val loss 2.10 (15.0s)") == 1
    assert f"modeldir search experiments/search --metrics '{READS}'" in done.out
    again = project.modeldir("search", "experiments/search", "--metrics", READS)
    assert again.code == 0, again.err
    assert "metrics: read from 2 trials that had ended" in again.out
    assert "Best: experiments/search/learning_rate_0.1 (lowest val_loss 0.1)" in again.out
    for rate in (0.1, 0.2):
        folder = project.search / f"learning_rate_{rate}"
        assert not (folder / "run.2.json").exists()
        steps = [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")]
        assert steps == [1, 2, 3]


def test_a_wrong_pattern_is_corrected_without_training(project: Project) -> None:
    """Trials that failed with `missing-metric` are completed by the right one."""
    done = project.searches(
        "learning_rate=0.1,0.2", "--metrics", "loss: {loss}", "--no-check",
        command="python prints.py {learning_rate}",
    )  # fmt: skip
    assert done.code == 1
    assert set(project.trials().values()) == {"failed"}
    again = project.modeldir("search", "experiments/search", "--metrics", READS)
    assert again.code == 0, again.out + again.err
    assert set(project.trials().values()) == {"completed"}
    assert not list(project.search.glob("*/run.2.json"))


KILLED = """
import os, signal, sys
from modeldir.commands import main

left = int(sys.argv.pop(1))
replace = os.replace

def counted(source, target):
    global left
    if "learning_rate_" in str(target):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return replace(source, target)

os.replace = counted
sys.exit(main(sys.argv[1:]))
"""
"""A command that is killed before it replaces its n-th file in a trial's folder."""


@pytest.mark.parametrize("which", [1, 2, 3, 4, 5])
def test_reading_again_survives_a_kill(project: Project, which: int) -> None:
    """Killed between any two files, the next command reads the trial once more, whole."""
    project.searches(
        "learning_rate=0.1", "--metrics", "loss: {loss}", "--no-check",
        command="python prints.py {learning_rate}",
    )  # fmt: skip
    again = ("search", "experiments/search", "--metrics", READS)
    done = subprocess.run(
        [project.interpreter, "-c", KILLED, str(which), *again],
        cwd=project.path, env=project.environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert project.modeldir(*again).code == 0
    assert project.trials() == {"learning_rate_0.1": "completed"}
    folder = project.search / "learning_rate_0.1"
    assert read(folder / "metrics_eval_best_weights.json") == {"val_loss": 0.1}
    assert [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")] == [1, 2, 3]
    assert not list(folder.glob("run.2.json"))


def test_a_pattern_that_finds_nothing_later_takes_nothing_away(project: Project) -> None:
    """What the earlier one has found stays."""
    project.searches(
        "learning_rate=0.1", "--metrics", READS, command="python prints.py {learning_rate}"
    )
    again = project.modeldir("search", "experiments/search", "--metrics", "acc: {acc}")
    assert "1 trial that had ended printed or left nothing like --metrics" in again.out
    best = project.search / "learning_rate_0.1" / "metrics_eval_best_weights.json"
    assert read(best) == {"val_loss": 0.1}


def test_early_stopping_without_steps_is_a_warning(project: Project) -> None:
    """A metric that comes once, at the end, cannot be compared."""
    project.write("once.py", "import sys\nprint('acc', 1 - float(sys.argv[1]))\n")
    done = project.searches(
        "learning_rate=0.1,0.2", "--metrics", "acc {acc}", "--pruner", "asha", "--no-check",
        command="python once.py {learning_rate}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.count("warning: asha cannot stop trials early") == 1
