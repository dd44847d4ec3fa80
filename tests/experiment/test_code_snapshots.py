"""The code that a training run used is kept: complete, once per state, without secrets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modeldir.experiment import code_files, code_snapshots
from modeldir.experiment.code_snapshots import Keeper, Snapshot
from repositories import git


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two modules, a configuration, data, weights, a secret and an experiment."""
    path = tmp_path / "project"
    for name, text in {
        "train.py": "print(1)\n",
        "model/net.py": "width = 4\n",
        "config.yaml": "a: 1\n",
        "data/build.py": "",
        "model.pt": "weights",
        ".env": "TOKEN=1",
        "secrets.yaml": "password: 1",
        "experiments/base_model/params.json": "{}",
        "runs/lr/search.json": "{}",
        "runs/lr/train.py": "",
        "__pycache__/train.py": "",
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a search."""
    return tmp_path / "store"


def kept(project: Path, store: Path) -> Snapshot:
    name = Keeper(project, store).keep()
    assert name is not None
    found = code_snapshots.find(store, name)
    assert found is not None
    assert not found.damaged()
    return found


def states(store: Path) -> list[str]:
    return sorted(os.listdir(store / ".modeldir" / "code"))


def test_source_files_are_kept_as_they_are(project: Path, store: Path) -> None:
    """Code and configuration, without data, weights, secrets, experiments and caches."""
    found = kept(project, store)
    assert sorted(found.digests) == ["config.yaml", "model/net.py", "train.py"]
    assert found.path_of("train.py").read_text() == "print(1)\n"
    assert dict(found.left_out) == {"secrets.yaml": "its name is that of a secret"}


def test_in_a_repository_git_says_what_is_code(project: Path, store: Path) -> None:
    """Tracked files of any kind, uncommitted edits, and new source files that are not ignored."""
    (project / "labels.txt").write_text("a b\n")
    (project / ".gitignore").write_text("local.py\n")
    (project / "local.py").write_text("")
    git(project, "init", "--quiet")
    git(project, "add", "train.py", "labels.txt", ".gitignore", ".env")
    git(project, "commit", "--quiet", "--message=first")
    (project / "train.py").write_text("edited = 1\n")
    (project / "new.py").write_text("new = 1\n")
    found = kept(project, store)
    assert sorted(found.digests) == [
        ".gitignore", "config.yaml", "labels.txt", "model/net.py", "new.py", "train.py",
    ]  # fmt: skip
    assert found.path_of("train.py").read_text() == "edited = 1\n"
    assert set(dict(found.left_out)) == {".env", "secrets.yaml"}


def test_from_a_subfolder_the_whole_repository_is_kept(project: Path, store: Path) -> None:
    """A script in `examples/` imports what lies beside that folder."""
    git(project, "init", "--quiet")
    found = kept(project / "model", store)
    assert found.root == str(project)
    assert "train.py" in found.digests


def test_kept_code_that_git_tracks_is_not_kept_again(project: Path) -> None:
    """After `git add` of an experiment with its copy of the code, the state is the same one."""
    git(project, "init", "-q")
    git(project, "add", "train.py")
    store = project / "runs/lr"
    first = kept(project, store)
    git(project, "add", "-f", "runs/lr/.modeldir")
    again = kept(project, store)
    assert again.digests == first.digests
    assert len(states(store)) == 1


def test_one_state_is_one_copy(project: Path, store: Path) -> None:
    """However often and by however many processes it is kept."""
    names = {Keeper(project, store).keep() for _ in range(5)}
    assert states(store) == [*names]


def test_states_share_the_files_that_are_the_same(project: Path, store: Path) -> None:
    """An edit of one file costs one file."""
    keeper = Keeper(project, store)
    one = keeper.keep()
    (project / "train.py").write_text("print(2)\n")
    two = keeper.keep()
    assert one is not None
    assert two is not None
    assert one != two
    first, second = (code_snapshots.read(store / ".modeldir/code" / each) for each in (one, two))
    assert first is not None
    assert second is not None
    assert first.path_of("train.py").read_text() == "print(1)\n"
    assert second.path_of("train.py").read_text() == "print(2)\n"
    assert first.path_of("config.yaml").samefile(second.path_of("config.yaml"))


def test_an_edit_of_the_same_size_and_time_is_seen(project: Path, store: Path) -> None:
    """The clock of a file system advances in steps, and an edit may come right after a look."""
    keeper = Keeper(project, store)
    names = set()
    for number in range(4):
        (project / "train.py").write_text(f"print({number})\n")
        now = time.time()
        os.utime(project / "train.py", (now, 1 + int(now)))
        names.add(keeper.keep())
    assert len(names) == 4


def test_the_permission_to_execute_is_part_of_the_state(project: Path, store: Path) -> None:
    """A script that cannot be executed is another program."""
    keeper = Keeper(project, store)
    one = keeper.keep()
    (project / "train.py").chmod(0o755)
    two = keeper.keep()
    assert one != two
    found = code_snapshots.find(store, two or "")
    assert found is not None
    assert os.access(found.path_of("train.py"), os.X_OK)


def test_large_files_are_left_out_and_named(project: Path, store: Path) -> None:
    """A file over 1 MB is data; the note says which files the snapshot lacks, once."""
    (project / "big.yaml").write_bytes(b"a" * (code_files.LARGEST + 1))
    keeper = Keeper(project, store)
    keeper.keep()
    assert "big.yaml (it is larger than 1 MB)" in (keeper.note() or "")
    again = Keeper(project, store)
    again.keep()
    assert again.note() is None


def test_a_tree_without_end_is_not_walked(
    project: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home folder with thousands of source files is not kept, and that is said."""
    for module in (code_files, code_snapshots):
        monkeypatch.setattr(module, "MOST_FILES", 2)
    keeper = Keeper(project, store)
    assert keeper.keep() is None
    assert "more than 2 source files" in (keeper.note() or "")


def test_a_store_that_cannot_be_written_stops_nothing(project: Path, store: Path) -> None:
    """The run goes on without its snapshot, and the note gives the reason."""
    store.write_text("a file where the folder should be")
    keeper = Keeper(project, store)
    assert keeper.keep() is None
    assert "the code is not kept: Not a directory" in (keeper.note() or "")


def test_a_nearly_full_disk_is_left_to_the_training_run(
    project: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy would take the room that the weights need; it is not begun, and that is said."""
    free = shutil.disk_usage(project)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    keeper = Keeper(project, store)
    assert keeper.keep() is None
    assert "the code is not kept: less than 64 MB would be left on the disk" in (
        keeper.note() or ""
    )
    assert states(store) == []


def test_a_folder_without_source_files_has_no_snapshot(tmp_path: Path, store: Path) -> None:
    """A command that is no script has nothing to keep, and nothing is said."""
    (tmp_path / "empty").mkdir()
    keeper = Keeper(tmp_path / "empty", store)
    assert keeper.keep() is None
    assert keeper.note() is None
    assert not store.exists()


def test_files_of_odd_names_are_kept(project: Path, store: Path) -> None:
    """Spaces, newlines, a leading dash, and bytes that are no UTF-8."""
    names = ["a b.py", "new\nline.py", "-r.py", os.fsdecode(b"\xff.py")]
    for name in names:
        (project / name).write_text(name.encode("utf-8", "surrogateescape").hex())
    git(project, "init", "--quiet")
    found = kept(project, store)
    assert set(names) <= set(found.digests)


def test_links_are_not_followed(project: Path, store: Path, tmp_path: Path) -> None:
    """A link could lead to any file of the user."""
    (tmp_path / "private.py").write_text("")
    (project / "link.py").symlink_to(tmp_path / "private.py")
    (project / "folder").symlink_to(tmp_path)
    git(project, "init", "--quiet")
    git(project, "add", "link.py")
    assert not {"link.py", "folder/private.py"} & set(kept(project, store).digests)


def test_a_link_in_the_place_of_a_tracked_folder_is_not_followed(
    project: Path, store: Path, tmp_path: Path
) -> None:
    """Git still lists the files that were in the folder, and their names lead elsewhere."""
    git(project, "init", "--quiet")
    git(project, "add", "model/net.py")
    (project / "model").rename(tmp_path / "elsewhere")
    (project / "model").symlink_to(tmp_path / "elsewhere")
    assert "model/net.py" not in kept(project, store).digests


def test_a_manifest_cannot_lead_out_of_its_folder(project: Path, store: Path) -> None:
    """A folder from somebody else may name any path."""
    found = kept(project, store)
    manifest = found.folder / "manifest.json"
    for path in ("../../../x.py", "a/../../x.py", "/x.py", ".", "", ".git/hooks/pre-commit"):
        manifest.unlink()
        manifest.write_text(json.dumps({"files": {path: ""}, "root": "/"}))
        assert code_snapshots.read(found.folder) is None, path
    assert code_snapshots.find(store, "../../../../") is None


def test_damage_is_seen(project: Path, store: Path) -> None:
    """A kept file that somebody changed or removed is named."""
    found = kept(project, store)
    found.path_of("train.py").chmod(0o644)
    found.path_of("train.py").write_text("other")
    found.path_of("config.yaml").unlink()
    assert sorted(found.damaged()) == ["config.yaml", "train.py"]


def test_a_kill_leaves_a_whole_snapshot_or_none(project: Path, store: Path) -> None:
    """Killed at any moment, the next process finds nothing half-made under a name."""
    for number in range(300):
        (project / f"module_{number}.py").write_text(f"x = {number}\n")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from modeldir.experiment.code_snapshots import Keeper\n"
        "print('ready', flush=True)\nKeeper(Path(sys.argv[1]), Path(sys.argv[2])).keep()\n"
    )
    for delay in (0.001, 0.005, 0.01, 0.02, 0.04):
        with subprocess.Popen(
            [sys.executable, "-c", program, project, store], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        for name in states(store) if store.exists() else []:
            found = code_snapshots.read(store / ".modeldir/code" / name)
            assert name.startswith(".new-") or (found is not None and not found.damaged())
    assert len(kept(project, store).digests) == 303


def test_two_at_once_make_one(project: Path, store: Path) -> None:
    """Workers on several hosts keep the same state at the same moment."""
    for number in range(100):
        (project / f"module_{number}.py").write_text(f"x = {number}\n")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from modeldir.experiment.code_snapshots import Keeper\n"
        "print(Keeper(Path(sys.argv[1]), Path(sys.argv[2])).keep())\n"
    )
    command = [sys.executable, "-c", program, str(project), str(store)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    names = {each.communicate()[0].strip() for each in processes}
    assert [each.returncode for each in processes] == [0] * 4
    assert [*names] == states(store)
    assert not kept(project, store).damaged()
