"""A trial's start: whatever is killed meanwhile, the trial never runs twice at once.

`docs/contributing/architecture.md`, "A trial's start, window by window", has the argument.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaos_starts
from laboratory import Project, kill, read, supervisor_of, wait_until
from modeldir._system import processes
from modeldir.experiment import attempts, experiment, liveness

linux = pytest.mark.skipif(not processes.LINUX, reason="what only Linux's kernel offers")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# -- The gate of a forked start --------------------------------------------------------------------

FORK = """\
import os, signal, sys
from modeldir._system.processes import Tether
from modeldir.worker.preload.child import Command, fork_command
from modeldir.worker.preload.imports import PreloadedModules

when, folder = sys.argv[1:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def fasten(pid):
    print(pid, flush=True)
    if when == "before":
        die()
    tether.fasten(pid)
    if when == "behind":
        die()

os.setsid()
tether = Tether()
output = os.open("output", os.O_WRONLY | os.O_CREAT)
words = ("sh", "-c", "echo ran >> ran; exec sleep 60")
command = Command(words, folder, dict(os.environ), output, (tether.descriptor,))
pid = fork_command(command, PreloadedModules(), fasten)
if when == "after":
    die()
os.waitpid(pid, 0)
"""


@linux
@pytest.mark.parametrize(
    ("when", "may_run"), [("before", False), ("behind", False), ("after", True)]
)
def test_a_fork_whose_supervisor_dies_at_the_gate_runs_nothing(
    tmp_path: Path, when: str, *, may_run: bool
) -> None:
    """Before the tether and behind it the child leaves; after the gate the kernel ends it."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", FORK, when, str(tmp_path)], cwd=tmp_path, stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    supervisor.wait()
    supervisor.stdout.close()
    wait_until(lambda: processes.process(child) is None, "the child's end", 10)
    assert may_run or not (tmp_path / "ran").exists()


# -- Orphans ---------------------------------------------------------------------------------------

UNTETHERED = """\
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
place = parser.parse_args().model_dir
os.closerange(3, 1000)  # the tether, too
if os.path.exists("orphan"):
    os.unlink("orphan")
    child = os.fork()
    if child == 0:
        time.sleep(600)
    with open("pids", "w") as file:
        file.write(f"{os.getpid()} {child}")
    time.sleep(600)
with open(os.path.join(place, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 0.5}, file)
"""


@contextlib.contextmanager
def orphans(project: Project, *, command_lives: bool) -> Iterator[tuple[Path, list[int]]]:
    """A trial whose worker, spawner and supervisor were killed, and what of it still runs."""
    project.write("train.py", UNTETHERED)
    project.write("orphan", "")
    words = ("search", "experiments/search", "learning_rate=0.1", "--no-check", "--no-preload")
    with project.started_as(*words, "--", "python", "train.py") as worker:
        wait_until(lambda: len((project.path / "pids").read_text().split()) == 2
                   if (project.path / "pids").exists() else False, "the pids")  # fmt: skip
        folder = project.search / "learning_rate_0.1"
        supervisor = supervisor_of(folder)
        stat = Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()
        for pid in (worker.pid, int(stat[1]), supervisor):
            kill(pid)
    command, child = map(int, (project.path / "pids").read_text().split())
    left = [child]
    if command_lives:
        left.append(command)
    else:
        kill(command)
        wait_until(lambda: processes.process(command) is None, "its end")
    try:
        assert all(map(processes.process, left))
        yield folder, left
    finally:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)


@linux
@pytest.mark.parametrize("command_lives", [True, False])
def test_the_next_search_ends_an_orphan_before_it_runs_the_trial_again(
    project: Project, *, command_lives: bool
) -> None:
    """The command, or children that it left (data loaders): by its supervisor's session."""
    with orphans(project, command_lives=command_lives) as (folder, left):
        assert experiment.status(folder).state == "running"
        done = project.searches("learning_rate=0.1", "--no-check", "--no-preload")
        assert done.code == 0, done.out
        assert not any(map(processes.process, left))
        assert read(folder / "run.2.json")["status"] == "completed"


@linux
def test_the_next_run_ends_an_orphan_too(project: Project) -> None:
    """`modeldir run` in a folder whose trial has an orphan."""
    with orphans(project, command_lives=True) as (folder, left):
        done = project.modeldir("run", str(folder), "--", "python", "train.py")
        assert done.code == 0, done.err
        assert not any(map(processes.process, left))
        assert experiment.status(folder).state == "completed"


@linux
def test_modeldir_stop_ends_an_orphan(project: Project) -> None:
    """With `--now`, as it ends the trials of a killed worker; no supervisor is left to ask."""
    with orphans(project, command_lives=True) as (folder, left):
        done = project.modeldir("stop", "experiments/search", "--now")
        assert f"stopped: trial 1 ({folder.name})" in done.out
        assert not any(map(processes.process, left))
        assert experiment.status(folder).state == "interrupted"


@linux
def test_an_orphan_without_a_recorded_process_counts_as_running(tmp_path: Path) -> None:
    """Its supervisor was killed in the first moment: the session tells that something runs."""
    (tmp_path / "params.json").write_text("{}")
    supervisor = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert supervisor.stdout is not None
    left = int(supervisor.stdout.readline())
    known = processes.process(supervisor.pid)
    assert known is not None
    attempt = attempts.begin(tmp_path, 1, {"supervisor": known.to_json(), "process": {}})
    assert attempt is not None
    assert not liveness.kill_orphans(attempt)  # its supervisor lives
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert liveness.is_alive(attempt)
    command = liveness.command_process(attempt)
    assert command is not None
    assert command.pid == left
    assert liveness.kill_orphans(attempt)
    assert processes.process(left) is None
    assert liveness.is_alive(attempt) is False


@linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", chaos_starts.KINDS)
def test_no_kill_at_a_start_makes_two_attempts_run_at_once(tmp_path: Path, kind: str) -> None:
    """Each combination of supervisor, spawner and worker, around the start of a trial."""
    found = chaos_starts.kill_starts(tmp_path / kind, kind, len(chaos_starts.COMBINATIONS), "test")
    assert not found.problems
    assert not any(found.counts[each] for each in chaos_starts.MUST_BE_NONE)
    assert sum(found.kills.values()) == len(chaos_starts.COMBINATIONS)
    assert (found.forked > 0) == (kind == "forked")
