"""The launcher of Slurm, against a real one: jobs are submitted, found, told of and cancelled."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines import Made, Slurm
from laboratory import wait_until
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, JobState, LauncherBusy, jobs_folder, new_tokens
from modeldir.launchers.slurm import SlurmLauncher

NAMES = ("search", "my \"first\" search's", "100% %a %j # $HOME `x`", "é; rm -rf *")
WAITS = 'import sys, time; print(sys.argv[1:], flush=True); time.sleep(600)'
SAYS = """\
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "folder": os.getcwd(), **os.environ}))
"""


@pytest.fixture
def search(tmp_path: Path) -> Path:
    folder = tmp_path / "my search"
    folder.mkdir()
    return folder


def waits() -> list[str]:
    """A worker that waits to be ended."""
    return [sys.executable, "-c", WAITS]


def started(launcher: SlurmLauncher, worker: Sequence[str], count: int) -> list[JobRef]:
    return list(launcher.start(worker, new_tokens(count)))


def output(search: Path, job: JobRef) -> Path:
    return jobs_folder(search) / f"{job.token}.out"


def wait_for_output(search: Path, jobs: Sequence[JobRef]) -> list[str]:
    """What each job has printed, once each has."""
    paths = [output(search, job) for job in jobs]
    wait_until(lambda: all(p.exists() and p.stat().st_size for p in paths), f"{paths}")
    return [path.read_text() for path in paths]


def test_workers_are_an_array(slurm: Slurm, search: Path) -> None:
    """Each worker is a member of one array, knows its token and how to come again, and prints into
    its own file; the queue tells of all of them, and one command ends them."""
    launcher = SlurmLauncher(search)
    jobs = started(launcher, waits(), 3)
    array = jobs[0].job.partition("_")[0]
    assert [job.job for job in jobs] == [f"{array}_{index}" for index in range(3)]
    slurm.wait_for("RUNNING", 3)
    for job, said in zip(jobs, wait_for_output(search, jobs), strict=True):
        assert said == f"{['--job', job.token, '--requeue', f'scontrol requeue {job.job}']}\n"
    found = launcher.states(jobs)
    assert {state.alive for state in found.values()} == {True}
    assert found[jobs[0]] == JobState(True, f"RUNNING on {slurm.node_of(jobs[0].job)}", runs=True)
    launcher.stop(jobs[:1])
    slurm.wait_for("CANCELLED")
    assert [launcher.states(jobs)[job].alive for job in jobs] == [False, True, True]
    launcher.stop(jobs)
    launcher.stop(jobs)
    slurm.wait_for("CANCELLED", 3)
