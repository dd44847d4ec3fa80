"""`start(params=...)` and runs in no `with`: what a plain script gets for one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import modeldir
from laboratory import Project, read, wait_until
from modeldir.errors import ParamsError

ARGPARSE = """\
import argparse, sys
import modeldir
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--out", default="runs/a")
parser.set_defaults(func=print)
args = parser.parse_args()
run = modeldir.start(args.out, params=vars(args))
for epoch in range(1, args.epochs + 1):
    run.log(epoch, accuracy=1 - args.lr - 0.1 / epoch)
"""


def train(cwd: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, without a supervisor."""
    (cwd / "plain.py").write_text(code)
    return subprocess.run(
        [sys.executable, "plain.py", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the script below, whose trials record metrics by `start(params=...)`."""
    project = Project(tmp_path / "project")
    project.write("plain.py", SEARCHED)
    return project


def status(folder: Path, number: int = 1) -> Any:
    return read(folder / ("run.json" if number == 1 else f"run.{number}.json"))["status"]


def test_a_plain_script_makes_its_own_experiment(tmp_path: Path) -> None:
    """Folder, params.json, metrics and end; functions and the folder itself are no params."""
    done = train(tmp_path, ARGPARSE)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/a"
    assert read(folder / "params.json") == {"lr": 0.1, "epochs": 3}
    assert status(folder) == "completed"
    assert read(folder / "metrics_eval_last_weights.json")["accuracy"] == pytest.approx(
        0.8667, 0.01
    )


def test_other_values_keep_the_earlier_ones(tmp_path: Path) -> None:
    """A rerun with another value replaces params.json; the earlier run keeps its own."""
    train(tmp_path, ARGPARSE)
    done = train(tmp_path, ARGPARSE, "--lr", "0.2")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/a"
    assert read(folder / "params.json")["lr"] == 0.2
    assert read(folder / "attempts/1/params.json")["lr"] == 0.1
    assert status(folder, 2) == "completed"


@pytest.mark.parametrize(
    ("end", "state", "line"),
    [
        ('raise ValueError("bad batch")', "failed", "ValueError: bad batch"),
        ("sys.exit(3)", "failed", "SystemExit: 3"),
        ("sys.exit()", "completed", None),
        ("raise KeyboardInterrupt", "interrupted", None),
        ("import os; os.fork() or sys.exit(1)", "completed", None),
        ("run.close(); sys.exit(1)", "completed", None),
        (
            "sys.excepthook = lambda *error: None\nraise ValueError('bad batch')",
            "failed",
            "ValueError: bad batch",
        ),
        (
            "from threading import Thread\nThread(target=sys.exit, args=[1]).start()",
            "completed",
            None,
        ),
    ],
)
def test_the_end_of_the_process_ends_the_run(
    tmp_path: Path, end: str, state: str, line: str | None
) -> None:
    """An exception or an exit code is recorded, also if the script shows exceptions itself; those
    of a forked child, of a thread, and after the run's end are not.
    """
    train(tmp_path, f"{ARGPARSE}{end}\n")
    record = read(tmp_path / "runs/a/run.json")
    assert (record["status"], record.get("last_line")) == (state, line)


def test_a_cell_that_starts_again_ends_the_earlier_run(tmp_path: Path) -> None:
    """In one process, a second start in a folder takes it over."""
    code = """\
import modeldir
for rate in (0.1, 0.2):
    run = modeldir.start("runs/a", {"rate": rate})
    run.log(1, loss=rate)
"""
    assert train(tmp_path, code).returncode == 0
    assert [status(tmp_path / "runs/a", number) for number in (1, 2)] == [
        "interrupted",
        "completed",
    ]


def test_values_that_json_lacks_start_nothing(tmp_path: Path) -> None:
    """All of them are named, and no folder is made."""
    with pytest.raises(ParamsError) as caught:
        modeldir.start(tmp_path / "a", params={"rate": float("nan"), "net": {"loss": object()}})
    assert "rate: " in str(caught.value)
    assert "net.loss: " in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_a_trial_is_not_changed_by_hand(tmp_path: Path) -> None:
    """The values of a trial are the search's, also when the script is started without it; what is
    in the folder stays, and a name that the search lacks is no problem.
    """
    (tmp_path / "params.json").write_text('{"lr": 0.1}')
    (tmp_path / "trial.json").write_text("{}")
    (tmp_path / "metrics_eval_best_weights.json").write_text('{"accuracy": 0.9}')
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ParamsError, match=r"has lr 0.1, and this script runs with 0.2"):
        modeldir.start(tmp_path, params={"lr": 0.2})
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with modeldir.start(tmp_path, params={"lr": 0.1, "workers": 2}) as run:
        assert (run.params.lr, run.params.workers) == (0.1, 2)
    assert read(tmp_path / "params.json") == {"lr": 0.1}


def test_a_nested_name_is_added_to_the_file(tmp_path: Path) -> None:
    """Sections that the file lacks are made."""
    for given in ({"lr": 0.1}, {"lr": 0.1, "net": {"depth": 3, "sizes": [1, 2]}}):
        with modeldir.start(tmp_path / "a", params=given) as run:
            assert run.params.dict == given
    assert read(tmp_path / "a/params.json") == given


def test_what_is_no_mapping_is_an_error(tmp_path: Path) -> None:
    """The message names what was given."""
    with pytest.raises(ParamsError, match="params: expected a mapping or vars"):
        modeldir.start(tmp_path / "a", params="params.json")


def test_two_first_starts_at_once_leave_the_values_of_the_run(tmp_path: Path) -> None:
    """One of several processes runs in the folder, and params.json has what that one used."""
    code = f"{ARGPARSE}import os, time\nwhile not os.path.exists('stop'): time.sleep(0.02)\n"
    (tmp_path / "plain.py").write_text(code)
    rates = [0.1, 0.2, 0.3, 0.4]
    several = [
        subprocess.Popen(
            [sys.executable, "plain.py", "--lr", str(rate)],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for rate in rates
    ]
    wait_until(lambda: sum(each.poll() is None for each in several) == 1, "one that runs")
    (tmp_path / "stop").touch()
    (winner,) = (rate for rate, each in zip(rates, several, strict=True) if each.wait(60) == 0)
    assert read(tmp_path / "runs/a/params.json")["lr"] == winner


SEARCHED = """\
import argparse
import modeldir
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=6)
args = parser.parse_args()
run = modeldir.start(args.model_dir, params=vars(args))
for epoch in range(1, args.epochs + 1):
    run.log(epoch, accuracy=1 - args.lr - 0.1 / epoch)
print("trained to the end")
"""


def test_a_search_whose_command_passes_nothing_on_fails_with_what_to_type(project: Project) -> None:
    """Otherwise all trials would train with the script's default, under different names."""
    project.params("experiments/search", lr=0.1)
    project.params("experiments/passed", lr=0.1)
    done = project.modeldir(
        "search", "experiments/search", "lr=0.2,0.3", "--", sys.executable, "plain.py",
        "--model_dir", "{model_dir}",
    )  # fmt: skip
    assert "params.json has lr 0.2, and this script runs with 0.1" in done.out + done.err
    passed = project.modeldir(
        "search", "experiments/passed", "lr=0.2,0.3", "--", sys.executable,
        "plain.py", "--model_dir", "{model_dir}", "--lr", "{lr}",
    )  # fmt: skip
    assert passed.code == 0, passed.out + passed.err
    assert "2 completed" in passed.out


def test_a_pruned_trial_is_pruned_without_a_with(project: Project) -> None:
    """The exception that ends the script is recorded as the pruner's, without a traceback."""
    project.params("experiments/search", lr=0.1, epochs=6)
    done = project.modeldir(
        "search", "experiments/search", "lr=0.1,0.2,0.3,0.4,0.5,0.9", "--pruner", "median",
        "--", sys.executable, "plain.py", "--model_dir", "{model_dir}", "--lr", "{lr}",
        "--epochs", "{epochs}",
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    folder = project.search / "lr_0.9"
    assert status(folder) == "pruned"
    console = (folder / "console.log").read_text()
    assert "Traceback" not in console
    assert "trained to the end" not in console
