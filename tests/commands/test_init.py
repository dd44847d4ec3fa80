"""`modeldir init`: projects to start from, whole, and what to type next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modeldir import commands
from modeldir.commands import templates
from modeldir.commands.init import missing_packages, next_steps

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

SOURCE = Path(commands.__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type commands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_pip(text: str) -> str:
    """The text without the line that depends on what is installed here."""
    return "\n".join(line for line in text.splitlines() if " pip install " not in line)


@pytest.mark.parametrize("template", ["minimal", "vision"])
def test_a_project_is_made(
    template: str, snapshot: SnapshotAssertion, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that the README speaks of lies there, and the end says what to type."""
    assert commands.main(["init", "my project", "--template", template]) == 0
    made = sorted(str(path) for path in Path("my project").rglob("*") if path.is_file())
    assert made == snapshot(name="files")
    assert without_pip(capsys.readouterr().out) == snapshot(name="told")
    for name in ("base_model", "learning_rate"):
        params = json.loads(Path(f"my project/experiments/{name}/params.json").read_text())
        assert {"learning_rate", "num_epochs", "seed"} <= params.keys()


def test_the_template_is_minimal_unless_said() -> None:
    """The default needs nothing but NumPy and a progress bar."""
    assert commands.main(["init", "p"]) == 0
    assert Path("p/requirements.txt").read_text().split() == ["numpy", "tqdm"]


def test_a_project_in_this_folder_needs_no_cd(capsys: pytest.CaptureFixture[str]) -> None:
    """`modeldir init .` fills an empty folder."""
    assert commands.main(["init", "."]) == 0
    assert Path("train.py").is_file()
    assert "cd " not in capsys.readouterr().out


def test_a_folder_in_use_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is copied into a folder that holds something."""
    Path("p").mkdir()
    Path("p/train.py").write_text("mine")
    assert commands.main(["init", "p"]) == 2
    assert "p is not empty" in capsys.readouterr().err
    assert os.listdir("p") == ["train.py"]
    assert Path("p/train.py").read_text() == "mine"


def test_an_unknown_template_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the name that was probably meant."""
    assert commands.main(["init", "p", "--template", "minimial"]) == 2
    assert "did you mean 'minimal'?" in capsys.readouterr().err
    assert not Path("p").exists()


def test_packages_that_are_not_there_are_named() -> None:
    """A Python without site-packages has none of them; what it has is not asked for."""
    script = "from modeldir.commands.init import next_steps; print(next_steps('p', 'minimal', 14))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "  python -m pip install numpy tqdm\n" in done.stdout


@pytest.mark.parametrize("template", templates.names())
def test_what_is_missing_is_as_pip_takes_it(template: str) -> None:
    """Whatever is installed here, only lines of the template's requirements are named."""
    listed = (
        SOURCE / "modeldir" / "commands" / "templates" / template / "requirements.txt"
    ).read_text()
    assert set(missing_packages(template)) < set(listed.splitlines())
    assert "modeldir" not in missing_packages(template)


def test_a_name_with_spaces_is_quoted() -> None:
    """The commands can be copied as they stand."""
    assert "  cd 'my digits'\n" in next_steps(Path("my digits"), "minimal", 14)
