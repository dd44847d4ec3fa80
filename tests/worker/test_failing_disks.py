"""A disk that is full, read-only or faulty: said at once, and never a failure of the trial."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from laboratory import PLAIN, Project, read, wait_until
from modeldir._system import processes
from modeldir.experiment import experiment

FILLS = """\
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
place = parser.parse_args().model_dir
with open(os.path.join(place, "metrics_eval_best_weights.json"), "w") as file:
    file.write('{"accuracy": 0.5}')
filler = os.open("disk/filler", os.O_WRONLY | os.O_CREAT)
try:
    while os.path.exists("fill"):
        os.write(filler, bytes(4096))
except OSError:
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose experiments lie on a small disk of their own."""
    project = Project(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=64", "none", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("a small file system can be mounted here only by root")
    try:
        yield project
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


# -- Full ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_full_disk_is_said_and_the_worker_leaves_on_request(
    project: Project, number: signal.Signals
) -> None:
    """In the terminal, in `show` and in `watch`; the end is recorded when there is space."""
    project.write("train.py", FILLS)
    project.write("fill", "")
    project.params("disk/search", x=1)
    words = ("search", "disk/search", "x=1,2", "--no-check", "--", "python", "train.py")
    trial = project.path / "disk" / "search" / "x_1"
    with project.started_as(*words) as worker:
        assert worker.stdout is not None
        assert "the code is not kept" in worker.stdout.readline()
        assert worker.stdout.readline().startswith("Grid search: 2 trials")
        assert worker.stdout.readline().startswith("started")
        said = worker.stdout.readline()
        assert "trial 1 (x_1) has ended, but its end cannot be recorded: [Errno 28]" in said
        assert str(trial) in said
        assert "its disk is full" in project.modeldir("show", "disk/search").out
        assert "its disk is full" in project.modeldir("show", str(trial)).out
        with project.started_as("watch", "disk/search") as watching:
            assert watching.stdout is not None
            assert "its disk is full" in "".join(watching.stdout.readline() for _ in range(3))
        worker.send_signal(number)
        began = time.monotonic()
        assert worker.wait(20) == 130
        assert time.monotonic() - began < 5
        left = worker.stdout.read()
    assert "trial 1 (x_1) has ended, but its end is not recorded yet" in left
    # It has ended, so nobody waits for it or interrupts it.
    assert "Interrupting" not in left
    assert "waiting for" not in left
    supervisor = processes.from_json(read(trial / "run.json")["supervisor"])
    (project.path / "fill").unlink()
    (project.path / "disk" / "filler").unlink()
    wait_until(lambda: experiment.status(trial).state == "completed", "the end")
    assert supervisor is not None
    wait_until(lambda: not processes.alive(supervisor), "its supervisor's leave")
    done = project.modeldir(*words)
    assert done.code == 0, done.out
    assert project.trials("disk/search") == {"x_1": "completed", "x_2": "completed"}
    assert not (trial / "run.2.json").exists()


def test_modeldir_run_on_a_full_disk_leaves_on_ctrl_c(project: Project) -> None:
    """The end of a single run finds no room either."""
    project.write("train.py", FILLS)
    project.write("fill", "")
    project.params("disk/one", x=1)
    folder = project.path / "disk" / "one"
    with project.started_as("run", "disk/one", "--", "python", "train.py") as command:
        assert command.stdout is not None
        assert "its end cannot be recorded: [Errno 28]" in command.stdout.readline()
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 130
    (project.path / "disk" / "filler").unlink()
    wait_until(lambda: experiment.status(folder).state == "completed", "the end")


# -- Read-only -------------------------------------------------------------------------------------


def test_modeldir_run_on_a_read_only_disk_says_so_and_starts_nothing(project: Project) -> None:
    """With the path; nothing of a supervisor that was killed."""
    project.write("train.py", f"open('started', 'w')\n{PLAIN}")
    project.params("disk/one", x=1)
    remount = ["mount", "-o", "remount,ro", str(project.path / "disk")]
    subprocess.run(remount, check=True)
    done = project.modeldir("run", "disk/one", "--", "python", "train.py")
    assert (done.code, done.out) == (2, "")
    assert "disk/one: the run cannot be recorded: its disk is read-only" in done.err
    assert done.err.endswith("Nothing was started.\n")
    assert not (project.path / "started").exists()


# -- Faults of our own files -----------------------------------------------------------------------


def leave_files(project: Project, count: int) -> None:
    """Use up all files that the disk may have, but for so many."""
    filler = project.path / "disk" / "filler"
    filler.mkdir()
    for number in range(os.statvfs(filler).f_favail - count):
        (filler / str(number)).touch()


def test_an_output_file_that_cannot_be_opened_interrupts_the_run(tmp_path: Path) -> None:
    """Nothing ran, it is no failure of the script, and the same command runs it again."""
    project = Project(tmp_path)
    project.write("evaluate.py", "open('started', 'w')\n")
    project.params("one", x=1)
    console = tmp_path / "one" / "evaluate.console.log"
    console.mkdir()  # stands for a disk with a fault
    done = project.modeldir("run", "one", "--", "python", "evaluate.py")
    assert done.code == 130
    assert "the file for its output could not be opened: [Errno 21]" in done.err
    assert read(tmp_path / "one" / "evaluate.run.json")["status"] == "interrupted"
    assert not (tmp_path / "started").exists()
    console.rmdir()
    assert project.modeldir("run", "one", "--", "python", "evaluate.py").code == 0
    assert read(tmp_path / "one" / "evaluate.run.2.json")["status"] == "completed"


def test_a_folder_that_cannot_be_prepared_interrupts_the_run(tmp_path: Path) -> None:
    """What an earlier attempt left cannot be moved away: that is said, and nothing ran."""
    project = Project(tmp_path)
    project.write("train.py", f"open('started', 'a').write('x')\n{PLAIN}")
    project.params("one", learning_rate=1)
    words = ("run", "one", "--", "python", "train.py")
    assert project.modeldir(*words).code == 0
    (tmp_path / "one" / "attempts").write_text("a file in the place of the folder")
    done = project.modeldir(*words)
    assert done.code == 130
    assert "its folder could not be prepared: [Errno" in done.err
    assert read(tmp_path / "one" / "run.2.json")["status"] == "interrupted"
    (tmp_path / "one" / "attempts").unlink()
    assert project.modeldir(*words).code == 0
    assert (tmp_path / "started").read_text() == "xx"


def test_a_run_that_cannot_be_recorded_is_not_started(project: Project) -> None:
    """There is no room for the run file: the error says so, and nothing ran."""
    project.write("train.py", f"open('started', 'w')\n{PLAIN}")
    project.params("disk/one", x=1)
    leave_files(project, 0)
    done = project.modeldir("run", "disk/one", "--", "python", "train.py")
    assert done.code == 2
    assert "disk/one: the run cannot be recorded: [Errno 28]" in done.err
    assert not (project.path / "started").exists()


def test_printed_metrics_that_cannot_be_kept_interrupt_the_trial(tmp_path: Path) -> None:
    """The script printed them: that our file could not be written is no missing metric."""
    project = Project(tmp_path)
    project.write(
        "train.py",
        "import os, sys\n"
        "os.mkdir(os.path.join(sys.argv[-1], 'metrics_eval_last_weights.json'))\n"
        "print('acc: 0.5')\n",
    )
    done = project.searches("learning_rate=0.1", "--no-check", "--metrics", "acc: {accuracy}")
    assert done.code == 1
    record = read(project.search / "learning_rate_0.1" / "run.json")
    assert record["status"] == "interrupted"
    assert "its metrics could not be kept" in record["reason"]
