"""Trials of several processes, by a real `torchrun` and a real `accelerate launch`, with gloo."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

import engines
from laboratory import Project, kill, read, wait_until
from modeldir._system import processes, reading
from modeldir.metrics import metric_files

pytestmark = [pytest.mark.slow, pytest.mark.frameworks, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
LIMIT = 300.0
EPOCHS = 800
SCRIPTS = {
    "torchrun": ROOT / "docs_src/how_to/ddp_train.py",
    "accelerate": ROOT / "tests/projects/frameworks/accelerate.py",
}
COMMANDS = {
    "torchrun": "torchrun --nproc-per-node 2 train.py {flags} --model_dir {model_dir}",
    "accelerate": "accelerate launch --multi_gpu --num_processes 2 --main_process_port 0"
    " train.py {flags} --model_dir {model_dir}",
}


@pytest.fixture(params=SCRIPTS)
def launcher(request: pytest.FixtureRequest) -> str:
    engines.need_framework("torch", "accelerate")
    return str(request.param)


@pytest.fixture
def project(launcher: str, tmp_path: Path) -> Project:
    """A project whose training has two processes."""
    made = Project(tmp_path, SCRIPTS[launcher].read_text())
    made.environment["OMP_NUM_THREADS"] = "1"
    made.params("experiments/search", lr=0.1, epochs=EPOCHS)
    return made


def processes_of(folder: Path) -> dict[int, dict[str, str]]:
    """The living processes of a trial, each with its environment."""
    found = {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            data = Path(f"/proc/{name}/environ").read_bytes() if name.isdigit() else b""
            pairs = (pair.partition(b"=") for pair in data.split(b"\0"))
            variables = {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}
            if variables.get("MODELDIR_RUN", "").partition(":")[2].endswith(str(folder)):
                found[int(name)] = variables
    return found


def ranks_of(folder: Path) -> dict[int, dict[str, str]]:
    """The ranks among them, without the process that writes the log of rank 0."""
    found = {}
    for pid, variables in processes_of(folder).items():
        with contextlib.suppress(OSError):
            if "RANK" in variables and b"train.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found[pid] = variables
    return found


def steps(folder: Path) -> list[int]:
    lines = reading.read_lines(folder / metric_files.METRICS_LINES)
    return [int(line["step"]) for line in lines]


def test_two_trials_at_once_have_ports_of_their_own(project: Project, launcher: str) -> None:
    """Each trial has two ranks, one port, and one writer for each file."""
    words = ["search", "experiments/search", "lr=0.1,0.01", "-j", "2", "--"]
    folders = [project.search / f"lr_{value}" for value in ("0.1", "0.01")]
    with project.started_as(*words, *COMMANDS[launcher].split()) as worker:
        wait_until(
            lambda: worker.poll() is not None or all(map(steps, folders)), "both trials", LIMIT
        )
        ranks = [ranks_of(folder) for folder in folders]
        assert [len(each) for each in ranks] == [2, 2]
        ports = [{its["MASTER_PORT"] for its in each.values()} for each in ranks]
        assert len(ports[0]) == len(ports[1]) == 1
        assert ports[0] != ports[1]
        assert worker.wait(LIMIT) == 0
    for folder in folders:
        assert steps(folder) == list(range(1, EPOCHS + 1))
        assert read(folder / "run.json")["status"] == "completed"
        assert [path.name for path in folder.glob("train*.log")] == ["train.log"]


def test_a_pruned_trial_leaves_no_rank(project: Project, launcher: str) -> None:
    """The poor trial ends, with both of its ranks, and the search goes on to its end."""
    words = ["lr=0.1,0.000001", "--pruner", "asha:min_step=4,reduction_factor=2"]
    done = project.searches(*words, command=COMMANDS[launcher], limit=LIMIT)
    assert done.code == 0, done.out + done.err
    assert project.trials() == {"lr_0.1": "completed", "lr_1e-06": "pruned"}
    assert steps(project.search / "lr_1e-06")[-1] < EPOCHS
    assert processes_of(project.search / "lr_1e-06") == {}


def test_stop_ends_all_ranks_and_the_trial_resumes(project: Project, launcher: str) -> None:
    """`stop --now` leaves no process; the same command continues from the last weights."""
    words = ["search", "experiments/search", "lr=0.1", "--"]
    folder = project.search / "lr_0.1"
    with project.started_as(*words, *COMMANDS[launcher].split()) as worker:
        wait_until(lambda: worker.poll() is not None or len(steps(folder)) > 3, "steps", LIMIT)
        assert len(ranks_of(folder)) == 2
        assert project.modeldir("stop", "experiments/search", "--now", limit=LIMIT).code == 0
        worker.wait(LIMIT)
        wait_until(lambda: not processes_of(folder), "the end of all its processes")
    assert steps(folder)[-1] < EPOCHS
    done = project.modeldir("search", "experiments/search", limit=LIMIT)
    assert done.code == 0, done.out + done.err
    assert steps(folder).count(1) == 1
    assert sorted(set(steps(folder))) == list(range(1, EPOCHS + 1))


def test_ranks_that_were_left_alone_are_ended(project: Project, launcher: str) -> None:
    """After `kill -9` of all but the ranks, the same command ends these before it continues."""
    words = ["search", "experiments/search", "lr=0.1", "--"]
    folder = project.search / "lr_0.1"
    with project.started_as(*words, *COMMANDS[launcher].split()) as worker:
        wait_until(lambda: worker.poll() is not None or len(steps(folder)) > 3, "steps", LIMIT)
        ranks = ranks_of(folder)
        assert len(ranks) == 2
        for pid in {worker.pid, *processes.descendants(worker.pid)} - ranks.keys():
            with contextlib.suppress(ProcessLookupError):
                kill(pid)
    done = project.modeldir("search", "experiments/search", limit=LIMIT)
    assert done.code == 0, done.out + done.err
    assert read(folder / "run.2.json")["status"] == "completed"
    assert steps(folder).count(1) == 1
    assert sorted(set(steps(folder))) == list(range(1, EPOCHS + 1))
    assert processes_of(folder) == {}
