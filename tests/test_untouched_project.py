"""A CS230-style project that knows nothing of modeldir: used as it is, without one edit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from laboratory import Project, Said, read

SOURCE = Path(__file__).parent / "projects" / "cs230_untouched"
SEARCH = "experiments/learning_rate"
RATES = "learning_rate=1.0,0.1,0.01"
TRIALS = ("learning_rate_0.01", "learning_rate_0.1", "learning_rate_1.0")


class Untouched(Project):
    """A fresh copy of the project."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "unused")
        self.path = path / "project"
        shutil.copytree(SOURCE, self.path, ignore=shutil.ignore_patterns("__pycache__"))
        self.search = self.path / SEARCH

    def python(self, *words: str) -> Said:
        """Type `python WORDS`, as its own README would have it."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.stdout, done.stderr, done.returncode)

    def finds(self, *words: str) -> Said:
        """Type `modeldir search experiments/learning_rate WORDS -- python train.py ...`."""
        command = ("python", "train.py", "--data_dir", "data")
        return self.modeldir("search", SEARCH, *words, "--", *command)


@pytest.fixture
def project(tmp_path: Path) -> Untouched:
    return Untouched(tmp_path)


def sources() -> dict[str, bytes]:
    return {
        str(path.relative_to(SOURCE)): path.read_bytes()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_project_knows_nothing_of_modeldir() -> None:
    """Or all that follows would prove nothing."""
    scripts = [text for name, text in sources().items() if name.endswith(".py")]
    assert len(scripts) == 8
    assert not any(b"modeldir" in text for text in scripts)


def test_it_is_searched_and_synthesized_without_one_edit(project: Untouched) -> None:
    """Two slots, relative paths, imports of its own, tqdm's bars, its own metrics file."""
    done = project.finds(RATES, "-j", "2")
    assert (done.code, done.err) == (0, "")
    assert project.trials(SEARCH) == dict.fromkeys(TRIALS, "completed")
    for name in TRIALS:
        folder = project.search / name
        rate = float(name.rpartition("_")[2])
        assert read(folder / "params.json") == {
            **read(project.search / "params.json"),
            "learning_rate": rate,
        }
        assert (folder / "train.log").read_text().count("Epoch ") == 5
        console = (folder / "console.log").read_text()
        assert "Epoch 5/5" in console
        assert "100%|" in console
        assert (folder / "best.pth.tar").exists()
        assert 0 < read(folder / "metrics_val_best_weights.json")["accuracy"] <= 1
    assert {name: (project.path / name).read_bytes() for name in sources()} == sources()

    best = project.modeldir("best", SEARCH)
    assert best.out == f"{SEARCH}/learning_rate_1.0\n"
    table = project.modeldir("synthesize", SEARCH, "--format", "json")
    assert table.code == 0, table.err
    rows = json.loads(table.out)
    rates = [row["learning_rate"] for row in rows]
    assert sorted(rates) == [0.01, 0.1, 1.0]
    assert rates[0] == 1.0
    accuracies = [row["accuracy"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert "batch_size" not in rows[0]


def test_its_own_scripts_work_on_the_tree_that_modeldir_left(project: Untouched) -> None:
    """synthesize_results.py and evaluate.py find what they have always found."""
    project.finds(RATES, "-j", "2")
    table = project.python("synthesize_results.py", "--parent_dir", SEARCH)
    assert table.code == 0, table.err
    assert [line.split()[1] for line in table.lines[2:]] == [f"{SEARCH}/{name}" for name in TRIALS]
    best = project.modeldir("best", SEARCH).out.strip()
    assert project.python("evaluate.py", "--model_dir", best).code == 0
    assert "accuracy" in read(project.path / best / "metrics_test_best.json")
    done = project.modeldir("run", best, "--", "python", "evaluate.py", "--restore_file", "last")
    assert done.code == 0, done.err
    assert project.trials(SEARCH)["learning_rate_1.0"] == "completed"
    assert read(project.path / best / "evaluate.run.json")["status"] == "completed"


def test_modeldir_goes_on_with_the_tree_that_its_own_script_left(project: Untouched) -> None:
    """Trials without a record are known by their hyperparameters, and are never run again."""
    assert project.python("search_hyperparams.py").code == 0
    names = ("learning_rate_0.1", "learning_rate_0.01", "learning_rate_0.001")
    logs = {name: (project.search / name / "train.log").read_bytes() for name in names}
    found = project.modeldir("synthesize", SEARCH, "--format", "json")
    assert len(json.loads(found.out)) == 3
    done = project.finds(RATES)
    assert done.code == 0, done.err
    assert project.trials(SEARCH) == {
        **dict.fromkeys(names, "untracked"),
        "learning_rate_1.0": "completed",
    }
    assert {name: (project.search / name / "train.log").read_bytes() for name in names} == logs
    assert f"Best: {SEARCH}/learning_rate_1.0" in done.out
    assert len(json.loads(project.modeldir("synthesize", SEARCH, "--format", "json").out)) == 4


def test_a_run_and_a_failure_of_it_are_kept(project: Untouched) -> None:
    """Modeldir run: its log, its exit code, the last line of its traceback."""
    base = project.path / "experiments/base_model"
    done = project.modeldir("run", "experiments/base_model", "--", "python", "train.py")
    assert done.code == 0
    assert "Epoch 5/5" in done.out
    assert "Epoch 5/5" in (base / "train.log").read_text()
    done = project.modeldir(
        "run", "experiments/base_model", "--", "python", "train.py", "--data_dir", "nowhere"
    )
    assert done.code == 1
    record = read(base / "run.2.json")
    assert record["last_line"].startswith("FileNotFoundError")
    assert (base / "attempts/1/best.pth.tar").exists()


def test_an_interrupted_trial_goes_on_from_its_own_weights(project: Untouched) -> None:
    """Its --restore_file is enough: `--resume '--restore_file last'`."""
    project.finds("learning_rate=0.1", "--resume", "--restore_file last")
    folder = project.search / "learning_rate_0.1"
    record = {**read(folder / "run.json"), "status": "interrupted"}
    (folder / "run.json").write_text(json.dumps(record))
    done = project.modeldir("search", SEARCH)
    assert done.code == 0, done.out
    assert (
        f"Restoring from {SEARCH}/learning_rate_0.1/last.pth.tar"
        in (folder / "train.log").read_text()
    )
    assert read(folder / "run.2.json")["command"][-2:] == ["--restore_file", "last"]
    assert not (folder / "attempts").exists()
