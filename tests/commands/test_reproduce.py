"""`modeldir reproduce`: an experiment runs again from its kept code, and is compared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from laboratory import Project

FIRST = "experiments/first"
TRAIN = """\
import argparse, json, os
import helper
from modeldir import save_metrics

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--data", default="data")
args = parser.parse_args()
value = helper.a * args.learning_rate + float(open(os.path.join(args.data, "x.dat")).read())
with open(os.path.join(args.model_dir, "metrics.jsonl"), "w") as file:
    for step in range(3):
        line = {"step": step, "time": os.getpid(), "loss": value / (step + 1)}
        file.write(json.dumps(line) + "\\n")
with open(os.path.join(args.model_dir, "metrics_eval_last_weights.json"), "w") as file:
    json.dump({"loss": value}, file)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without git, with code in two files, data beside it, and one finished run."""
    made = Project(tmp_path / "project", TRAIN)
    made.write("helper.py", "a = 1\n")
    made.write("data/x.dat", "0.25")
    made.params(FIRST, learning_rate=0.1)
    said = made.modeldir("run", FIRST, "-q", "--", "python", "train.py")
    assert said.code == 0, said.err
    return made


def test_an_experiment_is_the_same_after_its_code_was_edited_and_removed(project: Project) -> None:
    """The metrics are the same bit for bit without the project's code, and nothing changes."""
    os.remove(project.path / "helper.py")
    project.write("train.py", "raise SystemExit(3)\n")
    before = (project.path / FIRST / "run.json").read_bytes()
    said = project.modeldir("reproduce", FIRST, "-q")
    assert said.code == 0, said.err
    assert "linked from the project: data\n" in said.err
    assert said.out == "same bit for bit: 1 metrics, 3 lines of metrics.jsonl\n"
    assert (project.path / FIRST / "run.json").read_bytes() == before
    assert (project.path / "train.py").read_text() == "raise SystemExit(3)\n"


def test_the_first_value_that_differs_is_named(project: Project) -> None:
    """With other data the command prints metric, step and both values, and exits with 1."""
    project.write("data/x.dat", "1.25")
    said = project.modeldir("reproduce", FIRST, "-q")
    assert said.code == 1
    first = said.out.splitlines()[0]
    assert first == "differs first in loss at step 0: 0.35 in the original, 1.35 now"
    assert "may explain it: " in said.out


def test_a_trial_with_flags_is_reproduced(project: Project) -> None:
    """A trial of a search whose command has {flags} and {model_dir} runs with its own values."""
    project.params("experiments/s", learning_rate=0.1)
    said = project.modeldir(
        "search", "experiments/s", "learning_rate=0.1,0.3", "--",
        "python", "train.py", "--model_dir", "{model_dir}", "{flags}",
    )  # fmt: skip
    assert said.code == 0, said.err
    project.write("helper.py", "a = 2\n")
    said = project.modeldir("reproduce", "experiments/s", "2", "-q", "--into", "again")
    assert (said.code, said.out.partition(":")[0]) == (0, "same bit for bit"), said.err + said.out


def test_absolute_paths_lead_into_the_copy(project: Project) -> None:
    """A command with absolute paths of the project writes nothing into the original."""
    folder = project.path / "experiments/second"
    project.params("experiments/second", learning_rate=0.2)
    said = project.modeldir(
        "run", str(folder), "-q", "--", "python", str(project.path / "train.py"),
        "--model_dir={model_dir}", "--data", str(project.path / "data"),
    )  # fmt: skip
    assert said.code == 0, said.err
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    project.write("train.py", "raise SystemExit(3)\n")
    said = project.modeldir("reproduce", "experiments/second", "-q", "--into", "again")
    assert said.code == 0, said.err
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_damaged_snapshot_and_a_folder_in_use_are_refused(project: Project) -> None:
    """Nothing runs from code that was changed, from none at all, or into a folder with files."""
    said = project.modeldir("reproduce", FIRST, "--into", "data")
    assert said.code == 2
    assert "is not an empty folder" in said.err
    (kept,) = (project.path / FIRST / ".modeldir/code").glob("*/files/helper.py")
    kept.chmod(0o644)
    kept.write_text("a = 3\n")
    said = project.modeldir("reproduce", FIRST, "--into", "again")
    assert said.code == 2
    assert "helper.py is missing or was changed" in said.err
    shutil.rmtree(project.path / FIRST / ".modeldir")
    said = project.modeldir("reproduce", FIRST, "--into", "again")
    assert (said.code, "has no kept code" in said.err) == (2, True)
    assert not (project.path / "again").exists()


def test_a_failed_experiment_and_a_missing_script_are_refused(project: Project) -> None:
    """Only a completed experiment has a result, and its script must be in the kept code."""
    file = project.path / FIRST / "run.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"command": ["python", "other.py", "--model_dir", FIRST]}))
    said = project.modeldir("reproduce", FIRST)
    assert (said.code, "other.py is not in the kept code" in said.err) == (2, True)
    file.write_text(json.dumps(record | {"status": "failed", "exit_code": 1}))
    said = project.modeldir("reproduce", FIRST)
    assert said.code == 2
    assert "only a completed experiment can be reproduced" in said.err


def test_a_manifest_that_leads_out_of_the_folder_is_refused(project: Project) -> None:
    """A path with `..` in a manifest, which anybody may have written, is never laid out."""
    (manifest,) = (project.path / FIRST / ".modeldir/code").glob("*/manifest.json")
    record = json.loads(manifest.read_text())
    record["files"]["../../evil.py"] = record["files"]["helper.py"]
    manifest.chmod(0o644)
    manifest.write_text(json.dumps(record))
    said = project.modeldir("reproduce", FIRST, "--into", "again")
    assert (said.code, "has no kept code" in said.err) == (2, True)


@pytest.mark.parametrize("below", ["first", "group/first"])
def test_results_that_git_tracks_stay_as_they_are(project: Project, below: str) -> None:
    """With params.json and results in git the run neither finds nor writes the original's."""
    folder = f"experiments/{below}"
    if below != "first":
        project.params(folder, learning_rate=0.1)
        assert project.modeldir("run", folder, "-q", "--", "python", "train.py").code == 0
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=project.path, check=True)
    said = project.modeldir("run", folder, "-q", "--", "python", "train.py")
    assert said.code == 0, said.err
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in (project.path / "experiments").rglob("*")
        if path.is_file()
    }
    for into in ("again", "third"):
        said = project.modeldir("reproduce", folder, "-q", "--into", into)
        assert said.code == 0, said.err
        assert not [each for each in (project.path / into / "experiments").rglob("*")
                    if each.is_symlink()]  # fmt: skip
    now = (project.path / "experiments").rglob("*")
    assert {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in now if path.is_file()
    } == before


def test_a_command_that_names_another_experiment_is_refused(project: Project) -> None:
    """An experiment that was moved from outside the project never writes to where it was."""
    outside = project.path.parent / "elsewhere"
    project.params(str(outside), learning_rate=0.1)
    file = project.path / FIRST / "run.json"
    record = json.loads(file.read_text())
    record["command"] = ["python", "train.py", str(outside)]
    file.write_text(json.dumps(record))
    said = project.modeldir("reproduce", FIRST, "--into", "again")
    assert (said.code, "names another experiment" in said.err) == (2, True), said.err
    assert not (project.path / "again").exists()
