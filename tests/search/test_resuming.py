"""Resuming: which arguments an interrupted trial gets, and from which checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from laboratory import LIMIT, Project, read, wait_until
from modeldir.search.resuming import Resuming, resuming
from modeldir.search.search import Search
from modeldir.worker.worker_messages import checkpoint_unused

NESTED = """\
import os, sys, time

folder = sys.argv[sys.argv.index("--model_dir") + 1]
weights = os.path.join(folder, "checkpoints", "last.ckpt")
name, epoch = os.path.basename(folder), 0
place = sys.argv[sys.argv.index("--ckpt") + 1] if "--ckpt" in sys.argv else ""
if "--look" in sys.argv and os.path.exists(weights):
    place = weights
if place:
    with open(place) as file:
        epoch = int(file.read())
with open(".started.txt", "a") as file:
    file.write(f"{name} {epoch}\\n")
os.makedirs(os.path.dirname(weights), exist_ok=True)
while epoch < 4:
    epoch += 1
    with open(weights + ".new", "w") as file:
        file.write(str(epoch))
    os.replace(weights + ".new", weights)
    while epoch == 2 and os.path.exists("hold"):
        time.sleep(0.005)
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    file.write('{"accuracy": 0.5}')
"""
"""A training of 4 epochs that saves as Lightning does, below its folder."""


def how(tmp_path: Path, resume: str | None, *names: str) -> Resuming:
    project = Project(tmp_path)
    search = Search(project.search, {"learning_rate": [0.1, 0.2]}, resume=resume)
    folder = project.search / "learning_rate_0.1"
    for name in names:
        project.write(f"experiments/search/learning_rate_0.1/{name}", "weights")
    return resuming(search.plan, folder, "runs/a", {"learning_rate": 0.1}, "/a b")


LAST = "checkpoints/last.ckpt"


@pytest.mark.parametrize(
    ("resume", "names", "expected"),
    [
        ("--ckpt {checkpoint}", [LAST], Resuming(("--ckpt", f"runs/a/{LAST}"), LAST)),
        ("--ckpt={checkpoint}", [LAST], Resuming((f"--ckpt=runs/a/{LAST}",), LAST)),
        ("--ckpt {checkpoint}", [], Resuming(None)),
        (f"--ckpt {{model_dir}}/{LAST}", [LAST], Resuming(("--ckpt", f"runs/a/{LAST}"), LAST)),
        (f"--ckpt {{model_dir}}/{LAST}", ["last.pt"], Resuming(None, "last.pt", LAST)),
        (
            "--ckpt {out}/state",
            ["out/state"],
            Resuming(("--ckpt", "runs/a/out/state"), "out/state"),
        ),
        (
            "ckpt={model_dir}/checkpoint-*",
            ["checkpoint-9/trainer_state.json", "checkpoint-10/trainer_state.json"],
            Resuming(("ckpt=runs/a/checkpoint-10",), "checkpoint-10"),
        ),
        ("--restore_file last", [LAST], Resuming(("--restore_file", "last"), LAST)),
        ("--data {project}/x", [LAST], Resuming(("--data", "/a b/x"), LAST)),
        ("--dir {model_dir}", [LAST], Resuming(("--dir", "runs/a"), LAST)),
        ("--restore_file last", [], Resuming(None)),
        ("itself", [], Resuming(())),
        ("itself", [LAST], Resuming((), LAST)),
        (None, [LAST], Resuming(None, LAST)),
    ],
)
def test_the_arguments_name_what_is_there(
    tmp_path: Path, resume: str | None, names: list[str], expected: Resuming
) -> None:
    """Placeholders are filled in; a path in the trial's folder has to be there."""
    assert how(tmp_path, resume, *names) == expected


@pytest.mark.parametrize(
    ("resume", "name", "arguments"),
    [
        ("--ckpt {checkpoint}", "epoch=1-auc[0.5].ckpt", ("--ckpt", "epoch=1-auc[0.5].ckpt")),
        ("--ckpt {model_dir}/*.ckpt", "a[1].ckpt", ("--ckpt", "a[1].ckpt")),
        ("--ckpt {model_dir}/**.ckpt", "a.ckpt", None),
    ],
)
def test_signs_of_patterns_in_names_are_names(
    tmp_path: Path, resume: str, name: str, arguments: tuple[str, str] | None
) -> None:
    """A checkpoint is found whatever its name; a pattern that means nothing finds none."""
    found = how(tmp_path, resume, name).arguments
    assert (found and (found[0], Path(found[1]).name)) == arguments


def interrupted(tmp_path: Path, *options: str, command: str = "python train.py") -> Project:
    """A search whose first trial was killed after its second epoch, with all that ran it."""
    project = Project(tmp_path, NESTED)
    project.hold()
    words = ("search", "experiments/search", "learning_rate=0.1", *options, "--", *command.split())
    weights = project.search / "learning_rate_0.1" / LAST
    with project.started_as(*words) as worker:
        wait_until(lambda: weights.exists() and weights.read_text() == "2")
        assert project.modeldir("stop", "experiments/search", "--now").code == 0
        worker.wait(LIMIT)
    project.release()
    return project


@pytest.mark.parametrize(
    ("options", "command", "line"),
    [
        (("--resume", "--ckpt {checkpoint}"), "python train.py", f"resumes from {LAST}"),
        (("--resume", f"--ckpt {{model_dir}}/{LAST}"), "python train.py", f"resumes from {LAST}"),
        (
            ("--resume", f"--ckpt {{project}}/experiments/search/learning_rate_0.1/{LAST}"),
            "python train.py",
            f"resumes from {LAST}",
        ),
        (("--resumes-itself",), "python train.py --look", f"resumes from {LAST}"),
    ],
)
def test_an_interrupted_trial_resumes_from_below_its_folder(
    tmp_path: Path, options: tuple[str, ...], command: str, line: str
) -> None:
    """It trains its last two epochs, and the search says from where it resumes."""
    project = interrupted(tmp_path, *options, command=command)
    done = project.searches(command=command)
    assert done.code == 0
    assert f"trial 1 (learning_rate_0.1) {line}" in done.out
    assert project.started == ["learning_rate_0.1 0", "learning_rate_0.1 2"]
    assert not (project.search / "learning_rate_0.1/attempts").exists()


def test_a_checkpoint_that_is_not_used_is_named(tmp_path: Path) -> None:
    """It begins afresh, what it saved is moved away, and the line to add is printed."""
    project = interrupted(tmp_path)
    done = project.searches()
    assert f"starts from the beginning, and its checkpoint {LAST} is not used" in done.out
    assert "add: --resume '--OPTION {checkpoint}'" in done.out
    assert "--ckpt_path" not in done.out  # the script has no such option
    assert project.started == ["learning_rate_0.1 0"] * 2
    assert (project.search / "learning_rate_0.1/attempts/1" / LAST).read_text() == "2"


def test_a_checkpoint_of_a_run_names_the_call_that_loads_it() -> None:
    """NumPy's files are those of `run.save_checkpoint`, others are a framework's."""
    call = "call run.restore() before its loop"
    assert call in checkpoint_unused("trial 1", "last.npz")
    assert call not in checkpoint_unused("trial 1", LAST)


def test_a_placeholder_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    """At the start, and not when the first trial was interrupted."""
    project = Project(tmp_path)
    done = project.searches("learning_rate=0.1,0.2", "--resume", "--ckpt {chekpoint}")
    assert done.code == 2
    assert "{chekpoint}: no such hyperparameter" in done.err
    assert "did you mean 'checkpoint'?" in done.err
    assert project.started == []
    project.searches("learning_rate=0.1,0.2", "--resumes-itself")
    assert read(project.search / "search.json")["resume"] == "itself"
