"""Provenance: one name for one state of the code, and none where none is sure."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modeldir._system import files, reading
from modeldir.experiment import environments, provenance
from modeldir.experiment.environments import packages
from modeldir.experiment.provenance import code_hash, git_commit
from repositories import git


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: two modules, a package, data and experiments beside them."""
    path = tmp_path / "project"
    for name, text in {
        "train.py": "print(1)\n",
        "model/net.py": "width = 4\n",
        "notes.md": "hello",
        "experiments/base_model/params.json": "{}",
        "data/build.py": "",
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


@pytest.fixture
def repository(project: Path) -> Path:
    """The project, committed once on a branch."""
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", "train.py")
    git(project, "commit", "--quiet", "--message=first")
    return project


# -- The code's hash -------------------------------------------------------------------------------


def test_the_same_code_elsewhere_has_the_same_hash(project: Path, tmp_path: Path) -> None:
    """A project that was moved is the same project."""
    before = code_hash(project)
    assert before is not None
    assert len(before) == 16
    project.rename(tmp_path / "moved")
    assert code_hash(tmp_path / "moved") == before


@pytest.mark.parametrize("name", ["train.py", "model/net.py", "model/new.py"])
def test_a_change_of_the_code_changes_the_hash(project: Path, name: str) -> None:
    """Changed or added, at any depth."""
    before = code_hash(project)
    (project / name).write_text("changed = 1\n")
    assert code_hash(project) != before


def test_a_name_is_part_of_the_code(project: Path) -> None:
    """Two files that swap their contents are another program."""
    before = code_hash(project)
    (project / "train.py").write_text("width = 4\n")
    (project / "model" / "net.py").write_text("print(1)\n")
    assert code_hash(project) != before


@pytest.mark.parametrize(
    "name",
    [
        "notes.md",
        "data/build.py",
        "experiments/search/patch.py",
        "runs/7/params.json",
        "runs/7/copy.py",
        ".cache/x.py",
        "__pycache__/x.py",
        "env/lib/site.py",
        "env/lib/python3.11/site-packages/x.py",
    ],
)
def test_what_is_not_the_projects_code_changes_nothing(project: Path, name: str) -> None:
    """Notes, data, experiments, caches and environments come and go while trials run."""
    for made in ("env/pyvenv.cfg", "runs/7/params.json"):
        (project / made).parent.mkdir(parents=True, exist_ok=True)
        (project / made).write_text("{}")
    before = code_hash(project)
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("changed = 2\n")
    assert code_hash(project) == before


def _edit_unseen(file: Path) -> None:
    """In its place, as long as it was, with the time that it had: no `stat` of it shows that."""
    was = file.stat()
    with file.open("r+") as text:
        text.write("print(2)\n")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def _replace(file: Path) -> None:
    (file.parent / "new").write_text("print(3)\n")
    (file.parent / "new").replace(file)


@pytest.mark.parametrize(
    "change",
    [_edit_unseen, _replace, Path.unlink, lambda file: (file.parent / "new.py").touch(),
     lambda file: file.rename(file.parent / "other.py"), lambda file: file.write_text("")],
)  # fmt: skip
def test_what_is_known_of_files_never_hides_a_change(
    project: Path, change: Callable[[Path], object]
) -> None:
    """However soon it comes, and also when it is taken back."""
    known: provenance.Digests = {}
    before = code_hash(project, known)
    assert before == code_hash(project, known) == code_hash(project)
    change(project / "train.py")
    after = code_hash(project, known)
    assert after == code_hash(project) != before
    for name in ("new.py", "other.py"):
        (project / name).unlink(missing_ok=True)
    (project / "train.py").write_text("print(1)\n")
    assert code_hash(project, known) == before


def test_files_that_did_not_change_are_not_hashed_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search looks once a second, and a project has hundreds."""
    known: provenance.Digests = {}
    before = code_hash(project, known)
    hashed: list[bytes] = []

    real = hashlib.sha256

    def sha256(text: bytes = b"") -> Any:
        hashed.append(text)
        return real(text)

    monkeypatch.setattr(hashlib, "sha256", sha256)
    assert code_hash(project, known) == before
    (project / "train.py").write_text("print(2)\n")
    assert code_hash(project, known) != before
    assert hashed == [b"", b"", b"print(2)\n"]


def test_a_folder_without_code_has_no_hash(tmp_path: Path) -> None:
    """Nothing is not the same as an empty file."""
    assert code_hash(tmp_path) is None
    assert code_hash(tmp_path / "none") is None


def test_a_home_folder_is_not_hashed_for_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a limit there is no hash, rather than one of a part."""
    monkeypatch.setattr(provenance, "MOST_FILES", 3)
    for index in range(5):
        (tmp_path / str(index)).mkdir()
        (tmp_path / str(index) / "a.py").write_text("")
    assert code_hash(tmp_path) is None


def test_a_name_that_is_no_utf8_is_hashed_too(tmp_path: Path) -> None:
    """Linux's names are bytes."""
    (tmp_path / os.fsdecode(b"mod\xe8le.py")).write_text("")
    assert code_hash(tmp_path) is not None


def test_a_link_that_leads_back_ends(project: Path) -> None:
    """A folder that links to itself is not walked for ever."""
    (project / "again").symlink_to(project)
    assert code_hash(project) is not None


# -- The commit ------------------------------------------------------------------------------------


def test_the_commit_is_the_one_that_git_names(repository: Path) -> None:
    """From the project's folder and from any below it."""
    head = git(repository, "rev-parse", "HEAD")
    assert git_commit(repository) == git_commit(repository / "model") == head


def test_a_packed_branch_is_read(repository: Path) -> None:
    """After `git gc` the branch has no file of its own."""
    git(repository, "pack-refs", "--all", "--prune")
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD")


def test_a_detached_head_is_read(repository: Path) -> None:
    """As a CI job checks it out."""
    git(repository, "checkout", "--quiet", "--detach")
    assert git_commit(repository) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("packed", [False, True])
def test_a_worktree_is_read(repository: Path, tmp_path: Path, packed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Its `.git` is a file that leads elsewhere, and its branch lies in the common folder."""
    git(repository, "worktree", "add", "--quiet", "-b", "feature/x", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "--quiet", "--allow-empty", "--message=second")
    if packed:
        git(repository, "pack-refs", "--all", "--prune")
    head = git(tmp_path / "tree", "rev-parse", "HEAD")
    assert git_commit(tmp_path / "tree") == head != git_commit(repository)


def test_a_repository_with_reftables_is_read(project: Path) -> None:
    """Its branches are in binary tables, and `.git/HEAD` names none of them."""
    try:
        git(project, "init", "--quiet", "--ref-format=reftable")
    except subprocess.CalledProcessError:
        pytest.skip("this git has no reftables")
    git(project, "commit", "--quiet", "--allow-empty", "--message=first")
    assert git_commit(project) == git(project, "rev-parse", "HEAD")


def test_without_git_there_is_no_commit(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A machine without git runs everything else, and prints nothing about it."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_commit(repository) is None
    assert capfd.readouterr() == ("", "")


def test_the_environment_cannot_name_another_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git hook sets GIT_DIR for all that it starts."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    commit = git_commit(repository)
    monkeypatch.delenv("GIT_DIR")
    assert commit == git(repository, "rev-parse", "HEAD")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_a_repository_of_another_user_is_read(repository: Path) -> None:
    """In a container, the project often belongs to a user outside of it."""
    head = git(repository, "rev-parse", "HEAD")
    os.chown(repository, 1234, 1234)
    os.chown(repository / ".git", 1234, 1234)
    assert git_commit(repository) == head


def test_no_commit_is_none(tmp_path: Path) -> None:
    """No repository, one without a commit, and a `.git` that is broken."""
    assert git_commit(Path("/proc")) is None
    git(tmp_path, "init", "--quiet")
    assert git_commit(tmp_path) is None
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / ".git").write_text("\xff")
    assert git_commit(tmp_path / "broken") is None


# -- The machine -----------------------------------------------------------------------------------


def test_packages_are_those_that_python_has() -> None:
    """Each by the name that is the same for all who install it, with its version, sorted."""
    from importlib.metadata import version

    found = packages()
    assert found["pytest"] == version("pytest")
    assert found["ruamel-yaml"] == version("ruamel.yaml")
    assert found["pytest-xdist"] == version("pytest-xdist")
    assert list(found) == sorted(found)


def test_an_environment_that_is_not_there_has_no_packages(tmp_path: Path) -> None:
    """And an empty one has none either."""
    assert packages(str(tmp_path)) == packages(str(tmp_path / "none")) == {}


def test_the_environment_can_be_written(tmp_path: Path) -> None:
    """It holds what JSON can, and says which interpreter this is."""
    files.write_json(tmp_path / "environment.json", environments.environment(None, tmp_path))
    found = reading.read_object(tmp_path / "environment.json")
    assert found["executable"] == sys.executable
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
