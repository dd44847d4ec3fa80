"""The project's settings: where they are found, and the errors for mistakes in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modeldir.errors import ParamsError
from modeldir.experiment import project_settings

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    """In the folder itself or above it; in none, there are no settings."""
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert project_settings.find(inner) is None
    assert project_settings.settings(inner) == {}
    (tmp_path / "modeldir.toml").write_text('ignore = ["num_workers"]\n')
    assert project_settings.find(inner) == tmp_path / "modeldir.toml"
    assert project_settings.ignored(inner) == {"num_workers"}
    (tmp_path / "a/modeldir.toml").write_text('command = "python train.py"\n')
    assert project_settings.settings(inner) == {"command": "python train.py"}
    assert project_settings.ignored(inner) == frozenset()


def test_above_a_repository_lies_somebody_elses(tmp_path: Path) -> None:
    """A file in the home folder says nothing about a project that is a repository."""
    inner = tmp_path / "project/experiments"
    inner.mkdir(parents=True)
    (tmp_path / "modeldir.toml").write_text("ignore = []\n")
    assert project_settings.find(inner) == tmp_path / "modeldir.toml"
    (tmp_path / "project/.git").write_text("gitdir: elsewhere\n")  # a worktree has a file
    assert project_settings.find(inner) is None


def test_all_mistakes_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """Settings that there are not, with the nearest; values of the wrong kind."""
    monkeypatch.chdir(tmp_path)
    wrong = 'ignroe = ["a"]\ncommand = 3\nignore = "num_workers"\nx = 1\n[lab]\n'
    Path("modeldir.toml").write_text(wrong)
    with pytest.raises(ParamsError) as caught:
        project_settings.settings(".")
    assert str(caught.value).replace(str(tmp_path), "PROJECT") == snapshot


def test_a_broken_file_is_placed(tmp_path: Path) -> None:
    """As any params file."""
    (tmp_path / "modeldir.toml").write_text("ignore = [\n")
    with pytest.raises(ParamsError, match=r"modeldir\.toml"):
        project_settings.settings(tmp_path)
