"""`modeldir demo`: the whole of modeldir by its own commands, from the first file to the tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modeldir import commands
from modeldir.commands import templates
from modeldir.commands.demo import next_steps, with_this_python

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

SOURCE = Path(commands.__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type commands in, and no active environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def demo(*options: str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Type `modeldir demo ...`, with options for the interpreter itself."""
    return subprocess.run(
        [sys.executable, *options, "-m", "modeldir", "demo", *words],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_demo_shows_all_and_goes_on(here: Path, snapshot: SnapshotAssertion) -> None:
    """Both tables, good accuracy, in an environment that is not active; again, it runs nothing."""
    first = demo()
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr
    typed = [line for line in first.stdout.splitlines() if line.startswith("$ ")]
    assert typed == snapshot(name="typed")
    assert "3 experiments by validation accuracy" in first.stdout
    assert "30 experiments by validation accuracy" in first.stdout
    found = re.search(r"Best: experiments/random/\S+ \(highest accuracy ([0-9.]+)", first.stdout)
    assert found is not None
    assert float(found[1]) > 0.95
    runs = sorted(here.rglob("run*.json"))
    assert len(runs) == 1 + 3 + 30
    second = demo()
    assert second.returncode == 0, second.stdout[-2000:] + second.stderr
    assert "The base model is trained" in second.stdout
    assert sorted(here.rglob("run*.json")) == runs


def test_a_folder_that_holds_something_else_is_left_alone(here: Path) -> None:
    """It may also be the demo of an older version. The command that it prints works."""
    (here / "taken").mkdir()
    (here / "taken" / "thesis.tex").write_text("")
    (here / "taken_2").mkdir()
    done = demo(words=("taken",))
    assert done.returncode == 2
    assert done.stderr == (
        "error: taken is not empty and holds no demo of this version of modeldir:\n"
        "  start the demo in a new folder: modeldir demo taken_3\n"
        "Nothing was started.\n"
    )
    assert os.listdir("taken") == ["thesis.tex"]


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_demo_in_a_folder_without_a_name_offers_one(folder: str, here: Path) -> None:
    """The new folder lies beside the one that was named."""
    (here / "held" / "inside").mkdir(parents=True)
    os.chdir(here / "held" / "inside")
    (here / "held" / "inside" / "file").write_text("")
    done = demo(words=(folder,))
    free = str(Path(folder).resolve()) + "_2"
    assert done.stderr.splitlines()[1].endswith(f"new folder: modeldir demo {free}")


def test_a_step_that_fails_ends_the_demo(here: Path) -> None:
    """The output has the step's error, how to resume, and how to start again elsewhere."""
    templates.copy("minimal", "demo")
    (here / "demo" / "train.py").write_text("raise SystemExit('written by an older version')")
    done = demo(words=("demo",))
    assert done.returncode != 0
    assert "written by an older version" in done.stdout + done.stderr
    last = [line for line in done.stdout.splitlines() if not line.startswith("  source ")][-4:]
    assert last == [
        "The demo stopped there. To resume:",
        "  modeldir demo demo",
        "If it stops there again, start the demo in a new folder:",
        "  modeldir demo demo_2",
    ]


def test_a_missing_package_is_told_before_anything_is_made(here: Path) -> None:
    """With the line that installs it for this very Python."""
    done = demo("-S")
    assert done.returncode == 2
    assert done.stderr == (
        "error: The demo needs numpy, tqdm:\n"
        f"  {sys.executable} -m pip install numpy tqdm\n"
        "Nothing was started.\n"
    )
    assert os.listdir(here) == []


def test_there_is_no_demo_of_an_unknown_template(
    here: Path, snapshot: SnapshotAssertion, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that was probably meant is offered."""
    assert commands.main(["demo", "--template", "visoin"]) == 2
    assert capsys.readouterr().err == snapshot
    assert os.listdir(here) == []


def test_programs_become_those_of_this_python() -> None:
    """Only where a program stands: a folder may be named python."""
    words = ["modeldir", "run", "python", "--", "python", "train.py"]
    ours = [sys.executable, "-m", "modeldir", "run", "python", "--", sys.executable, "train.py"]
    assert with_this_python(words) == ours


def test_the_end_says_where_everything_lies(here: Path, snapshot: SnapshotAssertion) -> None:
    """And the commands can be copied as they stand."""
    lines = next_steps(Path("my demo")).splitlines()
    lines = [line for line in lines if not line.startswith("  source ")]
    assert "\n".join(lines).replace(str(here), "HERE") == snapshot
