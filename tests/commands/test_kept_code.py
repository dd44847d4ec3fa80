"""The kept code in commands: what `show --code` lists, `diff` compares and tables name."""

from __future__ import annotations

from pathlib import Path

import pytest

from laboratory import Project

SEARCH = ("learning_rate=0.1,0.2", "--no-check")
HERE = "experiments/search"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def edited(project: Project) -> Project:
    """A search whose third trial ran after an edit, with a new file."""
    assert project.searches(*SEARCH).code == 0
    project.write("helper.py", "x = 1\n")
    path = project.path / "train.py"
    path.write_text(f"{path.read_text()}# edited\n")
    assert project.searches("learning_rate=0.1,0.2,0.3", "--no-check").code == 0
    return project


def test_a_search_keeps_each_state_of_its_code_once(edited: Project) -> None:
    """Three trials of two states are two folders; the trials' own folders hold no code."""
    states = list((edited.path / HERE / ".modeldir" / "code").iterdir())
    assert len(states) == 2
    assert not list((edited.path / HERE).glob("learning_rate*/.modeldir"))


def test_diff_shows_the_code_beside_the_values(edited: Project) -> None:
    """Each file that differs with its lines, an uncommitted edit and a new file too."""
    said = edited.modeldir("diff", HERE, "1", "3")
    assert "code: 2 files differ" in said.lines
    assert "  helper.py  new  +1 -0" in said.lines
    assert "  train.py   changed  +1 -0" in said.lines
    assert "+# edited" in said.lines
    assert "code: " not in "".join(edited.modeldir("diff", HERE, "1", "2").lines)


def test_a_long_difference_ends_with_the_command_for_all_of_it(project: Project) -> None:
    """It runs as printed: the kept code is plain files."""
    assert project.searches(*SEARCH).code == 0
    project.write("long.py", "".join(f"x{number} = 0\n" for number in range(500)))
    assert project.searches("learning_rate=0.1,0.2,0.3", "--no-check").code == 0
    last = project.modeldir("diff", HERE, "1", "3").lines[-1]
    assert last.startswith("... 443 more lines: diff -ru experiments/search/.modeldir/code/")


def test_tables_name_the_files_that_changed(edited: Project) -> None:
    """Metrics of different code are not comparable, so the table says where it differs."""
    note = f"the code differs between experiments in helper.py, train.py: modeldir diff {HERE} 1 3"
    assert note in edited.modeldir("results", HERE).lines


def test_show_lists_the_code_that_a_trial_ran(edited: Project) -> None:
    """Its files with sizes, and where they lie; `show` alone names the state."""
    said = edited.modeldir("show", HERE, "1", "--code")
    assert [line.split()[-1] for line in said.lines[2:]] == ["train.py"]
    assert "kept in experiments/search/.modeldir/code/" in said.lines[0]
    assert any(
        "(list its files: --code)" in line for line in edited.modeldir("show", HERE, "3").lines
    )


def test_code_that_was_not_kept_is_an_error_that_says_so(edited: Project) -> None:
    """A search has many trials, and an experiment that never ran has no code."""
    said = edited.modeldir("show", HERE, "--code")
    assert said.code == 2
    assert f"modeldir show {HERE} 1 --code" in said.err
    edited.params("experiments/plain", learning_rate=0.1)
    said = edited.modeldir("show", "experiments/plain", "--code")
    assert said.err == "error: experiments/plain has no kept code\n"


def test_a_changed_copy_is_named(edited: Project) -> None:
    """Somebody has written into the kept files: `show --code` marks them."""
    for path in (edited.path / HERE / ".modeldir" / "code").glob("*/files/train.py"):
        path.chmod(0o644)
        path.write_text("other")
    said = edited.modeldir("show", HERE, "1", "--code")
    assert any(line.endswith("train.py  (damaged)") for line in said.lines)


def test_removed_trials_find_their_code(edited: Project) -> None:
    """`modeldir remove` moves a trial's folder; its code stays in its search."""
    edited.modeldir("remove", HERE, "1")
    (folder,) = (edited.path / HERE / ".modeldir" / "aside").glob("*/*")
    said = edited.modeldir("show", str(folder), "--code")
    assert [line.split()[-1] for line in said.lines[2:]] == ["train.py"], said.err
