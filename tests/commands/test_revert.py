"""`modeldir revert`: the code of an experiment comes back, and nothing else is lost by it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from laboratory import Project, wait_until, without_rights
from repositories import git

FIRST = "experiments/first"
TRAIN = "import sys\nprint('first')\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository whose first experiment ran with `train.py`, `helper.py` and `pkg/net.py`."""
    made = Project(tmp_path / "project", TRAIN)
    made.write(".gitignore", "experiments/\n")
    made.write("helper.py", "a = 1\n")
    made.write("pkg/net.py", "b = 1\n")
    git(made.path, "init", "--quiet")
    git(made.path, "add", "train.py", ".gitignore", "pkg")
    git(made.path, "commit", "--quiet", "--message=first")
    run(made, FIRST)
    return made


def run(project: Project, folder: str) -> None:
    project.params(folder, learning_rate=0.1)
    said = project.modeldir("run", folder, "-q", "--", "python", "train.py")
    assert said.code == 0, said.err


def code(project: Project) -> dict[str, bytes]:
    """The files of the project, apart from git's and those of experiments."""
    return {
        str(path.relative_to(project.path)): path.read_bytes()
        for path in sorted(project.path.rglob("*"))
        if path.is_file() and not {".git", "experiments", "__pycache__"} & set(path.parts)
    }


def way_back(out: str) -> str:
    """The folder in `to get it back: modeldir revert FOLDER`."""
    (line,) = (each for each in out.splitlines() if "to get it back" in each)
    return line.rpartition(" revert ")[2]


def edit(project: Project) -> None:
    """Change a file, remove one, and write a new one; nothing of it is committed."""
    project.write("train.py", f"{TRAIN}print('edited')\n")
    (project.path / "helper.py").unlink(missing_ok=True)
    project.write("new.py", "c = 1\n")


# -- The usual case --------------------------------------------------------------------------------


def test_the_code_comes_back_and_the_edits_are_kept(project: Project) -> None:
    """Uncommitted edits, a removed file and a new one; the printed command brings them back."""
    first = code(project)
    edit(project)
    edited = code(project)
    said = project.modeldir("revert", FIRST)
    assert said.code == 0, said.err
    assert code(project) == first
    assert said.lines[2:5] == ["  new     helper.py", "  write   train.py", "  remove  new.py"]
    assert said.lines[-1].endswith(": 2 files written, 1 removed.")
    assert project.modeldir("revert", way_back(said.out)).code == 0
    assert code(project) == edited


def test_a_dry_run_lists_what_would_change_and_changes_nothing(project: Project) -> None:
    """Nothing is kept either: no file of the project or of the experiment is new or other."""
    edit(project)
    before = project.tree()
    said = project.modeldir("revert", FIRST, "--dry-run")
    assert said.lines[:3] == ["  new     helper.py", "  write   train.py", "  remove  new.py"]
    assert said.lines[-1].endswith("2 files written, 1 removed. Nothing was changed.")
    assert project.tree() == before


def test_code_that_is_there_already_is_left_as_it_is(project: Project) -> None:
    """No file is written, and no second snapshot is made."""
    before = project.tree()
    said = project.modeldir("revert", FIRST)
    assert (said.code, said.out) == (0, f"The code is already that of {FIRST}.\n")
    assert project.tree() == before


def test_a_trial_and_a_search_are_named_as_everywhere(project: Project) -> None:
    """`SEARCH 1` is a trial; a search is enough if all its trials ran the same code."""
    search = "experiments/search"
    script = project.write("train.py", "import sys\n")
    assert project.searches("learning_rate=0.1,0.2", "--no-check").code == 0
    script.write_text("import os\n")
    assert project.modeldir("revert", search).code == 0
    assert script.read_text() == "import sys\n"
    script.write_text("import os\n")
    assert project.searches("learning_rate=0.1,0.2,0.3", "--no-check").code == 0
    said = project.modeldir("revert", search)
    assert said.code == 2
    assert "ran 2 states of the code" in said.err
    assert project.modeldir("revert", search, "1").code == 0
    assert script.read_text() == "import sys\n"


def test_permissions_to_execute_come_back(project: Project) -> None:
    """A script that could be executed can be executed again; the content may be the same."""
    script = project.write("start.sh", "#!/bin/sh\n")
    script.chmod(0o755)
    run(project, "experiments/second")
    script.chmod(0o644)
    assert project.modeldir("revert", "experiments/second").code == 0
    assert os.access(script, os.X_OK)


def test_without_git_source_files_come_back(tmp_path: Path) -> None:
    """Text files and weights are no source files there: they are never touched."""
    project = Project(tmp_path / "plain", TRAIN)
    run(project, FIRST)
    edit_to = project.write("train.py", "import os\n")
    project.write("notes.txt", "mine")
    project.write("later.py", "")
    assert project.modeldir("revert", FIRST).code == 0
    assert edit_to.read_text() == TRAIN
    assert (project.path / "notes.txt").exists()
    assert not (project.path / "later.py").exists()


# -- What is never lost ----------------------------------------------------------------------------


def refused(project: Project, *words: str) -> str:
    """Revert, which has to change nothing; return the error."""
    before = code(project)
    said = project.modeldir("revert", FIRST, *words)
    assert said.code == 2, said.out
    assert said.err.endswith("Nothing was changed.\n")
    assert code(project) == before
    return said.err


def test_an_ignored_file_in_the_place_of_a_kept_one_is_not_written_over(project: Project) -> None:
    """Git ignores it now, so no snapshot holds what is in it."""
    project.write(".gitignore", "experiments/\nhelper.py\n")
    project.write("helper.py", "precious = 1\n")
    assert "helper.py is not kept as it is now" in refused(project)


def test_a_file_that_has_grown_over_1_mb_is_not_written_over(project: Project) -> None:
    """It is too large for a snapshot, so it has to be moved away first."""
    project.write("helper.py", "#" * (1 << 20) + "\n")
    error = refused(project)
    assert "helper.py is not kept as it is now: it is larger than 1 MB" in error
    assert "move helper.py away, then run this again" in error


def test_what_the_snapshot_left_out_is_neither_removed_nor_changed(project: Project) -> None:
    """A file was too large then and is small now; the output names it."""
    big = project.write("table.yaml", "#" * (1 << 20) + "\n")
    run(project, "experiments/second")
    big.write_text("small: 1\n")
    project.write("train.py", "import os\n")
    said = project.modeldir("revert", "experiments/second")
    assert said.code == 0, said.err
    assert big.read_text() == "small: 1\n"
    assert "table.yaml (the kept code lacks it: it is larger than 1 MB)" in said.out


def test_secrets_and_large_files_stay(project: Project) -> None:
    """They are in no snapshot: new ones are not removed, changed ones not changed back."""
    project.write(".env", "TOKEN=1")
    git(project.path, "add", ".env")
    run(project, "experiments/second")
    edit(project)
    project.write(".env", "TOKEN=2")
    project.write("key.pem", "private")
    project.write("big.py", "#" * (1 << 20) + "\n")
    said = project.modeldir("revert", "experiments/second")
    assert said.code == 0, said.err
    assert ".env (the kept code lacks it: its name is that of a secret)" in said.out
    left = code(project)
    assert left[".env"] == b"TOKEN=2"
    assert {"key.pem", "big.py"} <= left.keys()
    assert b"TOKEN" not in b"".join(
        path.read_bytes() for path in project.path.glob("experiments/*/.modeldir/code/*/files/**/*")
        if path.is_file()
    )  # fmt: skip


def test_data_and_files_of_experiments_stay(project: Project) -> None:
    """Also where git tracks the files of an experiment, which then are in the snapshot."""
    project.write(".gitignore", "")
    git(project.path, "add", "--force", f"{FIRST}/params.json")
    run(project, "experiments/second")
    project.params(FIRST, learning_rate=0.7)
    git(project.path, "add", "--force", "experiments/second/params.json")
    project.write("data/labels.csv", "1")
    said = project.modeldir("revert", "experiments/second")
    assert said.code == 0, said.err
    assert json.loads((project.path / FIRST / "params.json").read_text())["learning_rate"] == 0.7
    assert (project.path / "experiments/second/params.json").exists()
    assert (project.path / "data/labels.csv").exists()
    assert f"{FIRST}/params.json (it belongs to an experiment" in said.out


def test_links_are_not_followed_out_of_the_project(project: Project, tmp_path: Path) -> None:
    """Neither a link to a file nor one in the place of a folder; the message names both."""
    outside = tmp_path / "outside"
    shutil.move(project.path / "pkg", outside)
    (outside / "net.py").write_text("outside = 1\n")
    (project.path / "pkg").symlink_to(outside)
    (project.path / "helper.py").unlink()
    (project.path / "helper.py").symlink_to(outside / "net.py")
    error = refused(project)
    assert "pkg is a link, so pkg/net.py cannot be written" in error
    assert "helper.py is a link, and links are not kept" in error
    assert (outside / "net.py").read_text() == "outside = 1\n"


def test_a_folder_in_the_place_of_a_file(project: Project) -> None:
    """It gives way if all that is in it is kept, and not if anything else is."""
    (project.path / "helper.py").unlink()
    project.write("helper.py/inner.py", "d = 1\n")
    project.write("helper.py/notes.txt", "mine")
    error = refused(project)
    assert "helper.py is a folder now, and helper.py/notes.txt in it is not kept" in error
    (project.path / "helper.py/notes.txt").unlink()
    said = project.modeldir("revert", FIRST)
    assert said.code == 0, said.err
    assert (project.path / "helper.py").read_text() == "a = 1\n"
    assert project.modeldir("revert", way_back(said.out)).code == 0
    assert (project.path / "helper.py/inner.py").read_text() == "d = 1\n"


def test_a_file_in_the_place_of_a_folder(project: Project) -> None:
    """It gives way if it is kept: git tracks it. Any other file stays, and nothing changes."""
    shutil.rmtree(project.path / "pkg")
    project.write("pkg", "mine")
    assert "pkg is not a folder, and is not kept, so pkg/net.py cannot be written" in refused(
        project
    )
    git(project.path, "rm", "--quiet", "--cached", "-r", "pkg")
    git(project.path, "add", "pkg")
    assert project.modeldir("revert", FIRST).code == 0
    assert (project.path / "pkg/net.py").read_text() == "b = 1\n"


def test_read_only_files_are_replaced_and_stay_read_only(project: Project) -> None:
    """A file without the permission to write is replaced as a whole, like any other."""
    edit(project)
    script = project.path / "train.py"
    script.chmod(0o444)
    assert project.modeldir("revert", FIRST).code == 0
    assert script.read_text() == TRAIN
    assert script.stat().st_mode & 0o777 == 0o444


def test_a_read_only_folder_is_found_before_anything_changes(project: Project) -> None:
    """The message names it; the other files are not written either."""
    edit(project)
    project.write("pkg/net.py", "b = 2\n")
    (project.path / "pkg").chmod(0o555)
    words = [*without_rights(may_read=False), sys.executable, "-m", "modeldir", "revert", FIRST]
    try:
        done = subprocess.run(
            words, cwd=project.path, env=project.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    finally:
        (project.path / "pkg").chmod(0o755)
    assert done.returncode == 2
    assert "pkg cannot be written" in done.stderr
    assert "edited" in (project.path / "train.py").read_text()


def test_odd_names(project: Project) -> None:
    """A newline, a space, a leading dash, and bytes that are no UTF-8."""
    names = ["new\nline.py", "a b.py", "-r.py", os.fsdecode(b"\xff.py")]
    for name in names:
        project.write(name, "x = 1\n")
    run(project, "experiments/odd")
    for name in names[:2]:
        project.write(name, "x = 2\n")
    for name in names[2:]:
        (project.path / name).unlink()
    project.write("-n.py", "")
    said = project.modeldir("revert", "experiments/odd")
    assert said.code == 0, said.err
    assert all((project.path / name).read_text() == "x = 1\n" for name in names)
    assert not (project.path / "-n.py").exists()
    assert "  write   new\\nline.py" in said.lines


def test_submodules_are_left_alone(project: Project, tmp_path: Path) -> None:
    """Their files are in no snapshot; a file that now lies in one is not written there."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    (other / "lib.py").write_text("lib = 1\n")
    git(other, "add", "lib.py")
    git(other, "commit", "--quiet", "--message=lib")
    project.write("vendor/lib.py", "before = 1\n")
    run(project, "experiments/second")
    shutil.rmtree(project.path / "vendor")
    git(
        project.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
        str(other), "vendor",
    )  # fmt: skip
    (project.path / "vendor/lib.py").write_text("lib = 2\n")
    project.write("train.py", "import os\n")
    said = project.modeldir("revert", "experiments/second")
    assert said.code == 0, said.err
    assert (project.path / "vendor/lib.py").read_text() == "lib = 2\n"
    assert "vendor/lib.py (it belongs to an experiment" in said.out


# -- Which project ---------------------------------------------------------------------------------


def test_from_a_subfolder_the_whole_repository_is_meant(tmp_path: Path) -> None:
    """The experiment ran in `sub/`; the code beside that folder came from the repository too."""
    (tmp_path / "repository").mkdir()
    git(tmp_path / "repository", "init", "--quiet")
    project = Project(tmp_path / "repository" / "sub", TRAIN)
    shared = tmp_path / "repository" / "shared.py"
    shared.write_text("a = 1\n")
    run(project, FIRST)
    shared.write_text("a = 2\n")
    said = project.modeldir("revert", FIRST)
    assert said.code == 0, said.err
    assert shared.read_text() == "a = 1\n"
    assert f"in {tmp_path / 'repository'}: 1 file written" in said.lines[-1]


def test_the_code_of_another_project_is_refused(project: Project, tmp_path: Path) -> None:
    """From another project the message says where to go."""
    elsewhere = Project(tmp_path / "elsewhere", "import json\n")
    said = elsewhere.modeldir("revert", str(project.path / FIRST))
    assert said.code == 2
    assert f"first: cd {project.path}" in said.err
    assert (elsewhere.path / "train.py").read_text() == "import json\n"


def test_a_project_that_was_moved_is_the_same_project(project: Project, tmp_path: Path) -> None:
    """The snapshot names the old path, which is gone, and lies in the project."""
    edit(project)
    shutil.move(project.path, tmp_path / "moved")
    project.path = tmp_path / "moved"
    assert project.modeldir("revert", FIRST).code == 0
    assert (project.path / "train.py").read_text() == TRAIN


def test_a_snapshot_cannot_name_the_folder_that_it_is_written_to(
    project: Project, tmp_path: Path
) -> None:
    """A folder from somebody else names `/` or a home as its project: nothing is written there."""
    (manifest,) = project.path.glob(f"{FIRST}/.modeldir/code/*/manifest.json")
    record = json.loads(manifest.read_text())
    for root in ("/", str(tmp_path)):
        manifest.unlink()
        manifest.write_text(json.dumps({**record, "root": root}))
        said = project.modeldir("revert", FIRST)
        assert said.code == 2
        assert f"this is the code of {root}" in said.err
    assert not (tmp_path / "train.py").exists()


# -- What goes wrong -------------------------------------------------------------------------------


def test_a_damaged_snapshot_is_refused(project: Project) -> None:
    """Somebody has written into the kept code: it is no longer what ran."""
    (kept,) = project.path.glob(f"{FIRST}/.modeldir/code/*/files/train.py")
    kept.chmod(0o644)
    kept.write_text("other")
    edit(project)
    assert "files/train.py was changed" in refused(project)


def test_an_experiment_without_code_is_an_error(project: Project) -> None:
    """It never ran, or it is no folder."""
    project.params("experiments/plain", learning_rate=0.1)
    said = project.modeldir("revert", "experiments/plain")
    assert said.err == "error: experiments/plain has no kept code\nNothing was changed.\n"
    assert project.modeldir("revert", "experiments/none").code == 2


def test_if_the_present_code_cannot_be_kept_nothing_changes(project: Project) -> None:
    """The folder of snapshots cannot be written, so there would be no way back."""
    edit(project)
    kept = project.path / FIRST / ".modeldir" / "code"
    kept.chmod(0o555)
    words = [*without_rights(may_read=False), sys.executable, "-m", "modeldir", "revert", FIRST]
    try:
        done = subprocess.run(
            words, cwd=project.path, env=project.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    finally:
        kept.chmod(0o755)
    assert done.returncode == 2
    assert "the code as it is now cannot be kept: Permission denied" in done.stderr
    assert "edited" in (project.path / "train.py").read_text()


def test_a_deleted_working_tree_comes_back(project: Project) -> None:
    """All files are gone: there is nothing to keep, and all of them are written."""
    first = code(project)
    for path in project.path.glob("*.py"):
        path.unlink()
    shutil.rmtree(project.path / "pkg")
    said = project.modeldir("revert", FIRST)
    assert said.code == 0, said.err
    assert code(project) == first


def test_killed_at_any_moment_the_same_command_makes_it_whole(project: Project) -> None:
    """Each file is the old or the new one at any time, and the edits can be brought back."""
    for number in range(60):
        project.write(f"pkg/module_{number}.py", f"x = {number}\n")
    run(project, "experiments/many")
    wanted = code(project)
    chance, mixed = random.Random(3), 0
    for attempt in range(8):
        for number in range(60):
            project.write(f"pkg/module_{number}.py", f"x = {-number - attempt}\n")
        edit(project)
        edited = code(project)
        with project.started_as("revert", "experiments/many") as process:
            assert process.stdout is not None
            first = process.stdout.readline() + process.stdout.readline()
            wait_until(lambda: not (project.path / "new.py").exists(), "the first removal")
            time.sleep(chance.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
            process.wait()
        now = code(project)
        mixed += now not in (edited, wanted)
        known = {*edited.values(), *wanted.values()}
        assert {data for path, data in now.items() if ".tmp-" not in path} <= known
        assert project.modeldir("revert", "experiments/many").code == 0
        assert code(project) == wanted
        assert project.modeldir("revert", way_back(first)).code == 0
        assert code(project) == edited
    assert mixed
