"""The projects to start from: copied whole or not at all, and right as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from syrupy.assertion import SnapshotAssertion

from modeldir._system import files
from modeldir.commands import templates
from modeldir.errors import FolderError, ModeldirError

SHAPE = {
    ".gitignore", "README.md", "data/README.md", "data/digits.npz", "evaluate.py",
    "experiments/base_model/params.json", "experiments/learning_rate/params.json",
    "model/__init__.py", "model/data_loader.py", "model/net.py", "requirements.txt",
    "search_hyperparams.py", "synthesize_results.py", "train.py",
}  # fmt: skip


def all_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    templates.copy("minimal", tmp_path / "my project")
    return tmp_path / "my project"


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False
    )


# -- Copying ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", templates.names())
def test_project_has_the_shape(tmp_path: Path, template: str) -> None:
    """Each project has the files of CS230's, the hidden ones too, and the data."""
    made = templates.copy(template, tmp_path / "new" / "project")
    assert all_files(tmp_path / "new" / "project") == SHAPE
    assert {str(path.relative_to(tmp_path / "new" / "project")) for path in made} == SHAPE


def test_empty_folder_is_used(tmp_path: Path) -> None:
    """A folder that is there and empty becomes the project."""
    templates.copy("minimal", tmp_path)
    assert all_files(tmp_path) == SHAPE


def test_what_python_compiled_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches that an installer made beside the templates are not copied."""
    shelf = tmp_path / "shelf"
    templates.copy("minimal", shelf / "minimal")
    (shelf / "minimal/model/__pycache__").mkdir()
    (shelf / "minimal/model/__pycache__/net.cpython-311.pyc").touch()
    for name in ("digits.npz", "DIGITS.md"):
        (shelf / name).touch()
    monkeypatch.setattr(templates, "_HERE", shelf)
    templates.copy("minimal", tmp_path / "project")
    assert all_files(tmp_path / "project") == SHAPE


def test_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """A name that is no template, a folder in use and a file are refused with what to do."""
    monkeypatch.chdir(tmp_path)
    for name in ("used/a.txt", "used/b.txt", "used/c.txt", "used/d.txt"):
        files_folder = Path(name).parent
        files_folder.mkdir(exist_ok=True)
        Path(name).touch()
    texts = []
    for template, target, kind in (
        ("minimul", "project", ModeldirError),
        ("tensorflow", "project", ModeldirError),
        ("minimal", "used", FolderError),
        ("minimal", "used/a.txt", FolderError),
    ):
        with pytest.raises(kind) as caught:
            templates.copy(template, target)
        texts.append(str(caught.value))
    assert "\n\n".join(texts) == snapshot
    assert all_files(tmp_path) == {"used/a.txt", "used/b.txt", "used/c.txt", "used/d.txt"}


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_half_copied_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool, error: BaseException
) -> None:
    """When copying ends in the middle, all of it is taken back, and nothing else."""
    target = tmp_path / "new" / "project"
    if there:
        target.mkdir(parents=True)
    write = files.write_bytes

    def fails_at_the_net(path: os.PathLike[str], data: bytes) -> None:
        if Path(path).name == "net.py":
            raise error
        write(path, data)

    monkeypatch.setattr(files, "write_bytes", fails_at_the_net)
    with pytest.raises(FolderError if isinstance(error, OSError) else KeyboardInterrupt):
        templates.copy("minimal", target)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == (["new", "new/project"] if there else [])


def test_git_keeps_what_was_written(project: Path) -> None:
    """Of the experiments, git keeps hyperparameters, plans and tables, and no weights or logs."""
    experiments = project / "experiments/learning_rate"
    (experiments / "learning_rate_0.1").mkdir()
    for name in ("search.json", "results.md", "results.csv", "learning_rate_0.1/params.json",
                 "learning_rate_0.1/train.log", "learning_rate_0.1/best.npz"):  # fmt: skip
        (experiments / name).touch()
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "add", "--all"], cwd=project, check=True)
    listed = subprocess.run(
        ["git", "ls-files"], cwd=project, check=True, capture_output=True, text=True
    )
    assert set(listed.stdout.splitlines()) - SHAPE == {
        "experiments/learning_rate/search.json",
        "experiments/learning_rate/results.md",
        "experiments/learning_rate/learning_rate_0.1/params.json",
    }


# -- The data --------------------------------------------------------------------------------------


def test_digits() -> None:
    """The data are the 1,797 images of the UCI test set, with its number of each digit."""
    with np.load(Path(templates.__file__).parent / "digits.npz", allow_pickle=False) as digits:
        images, labels = digits["images"], digits["labels"]
    assert images.shape == (1797, 8, 8)
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert (images.min(), images.max()) == (0, 16)
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == counts


def test_splits_never_mix(project: Path) -> None:
    """Train, validation and test are 1197, 300 and 300 images, and together all of them once."""
    script = """
import numpy as np
from model.data_loader import fetch_data
data = fetch_data(["train", "val", "test"], "data")
print([len(labels) for _, labels in data.values()])
together = np.concatenate([images for images, _ in data.values()])
whole = np.load("data/digits.npz")["images"].reshape(-1, 64) / 16
print(np.array_equal(together[np.lexsort(together.T)], whole[np.lexsort(whole.T)]))
"""
    assert python(project, "-c", script).stdout.split("\n") == ["[1197, 300, 300]", "True", ""]


# -- The scripts -----------------------------------------------------------------------------------


def test_train_and_evaluate(project: Path) -> None:
    """The base model trains as the README says, and evaluate.py measures its best weights."""
    trained = python(project, "train.py")
    assert trained.returncode == 0, trained.stderr
    base = project / "experiments/base_model"
    best = json.loads((base / "metrics_eval_best_weights.json").read_text())
    assert best["accuracy"] > 0.95
    assert (base / "metrics_eval_last_weights.json").exists()
    evaluated = python(project, "evaluate.py")
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads((base / "metrics_test_best.json").read_text())["accuracy"] > 0.95


def test_restored_training_is_the_same(project: Path) -> None:
    """A training that goes on after epoch 3 ends with the weights of one that never stopped."""
    base = project / "experiments/base_model"
    part = project / "experiments/part"
    part.mkdir()
    whole = (base / "params.json").read_text()
    (part / "params.json").write_text(whole.replace('"num_epochs": 10', '"num_epochs": 3'))
    assert python(project, "train.py").returncode == 0
    assert python(project, "train.py", "--model_dir", str(part)).returncode == 0
    (part / "params.json").write_text(whole)
    restored = python(project, "train.py", "--model_dir", str(part), "--restore_file", "last")
    assert "Going on after epoch 3" in restored.stderr
    with np.load(base / "last.npz") as expected, np.load(part / "last.npz") as found:
        assert expected.files == found.files
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_unknown_model(project: Path) -> None:
    """An unknown model_version is an error that names the known ones."""
    params = project / "experiments/base_model/params.json"
    params.write_text(params.read_text().replace("multilayer_perceptron", "resnet"))
    assert python(project, "train.py").stderr.splitlines()[-1] == (
        "ValueError: model_version 'resnet' is not in model/net.py: baseline, multilayer_perceptron"
    )
