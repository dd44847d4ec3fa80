"""The launcher of Slurm, against a real one: jobs are submitted, found, told of and canceled."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines import Made, Slurm
from laboratory import until_refused, wait_until
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, JobState, LauncherBusy, jobs_folder, new_tokens
from modeldir.launchers.slurm import SlurmLauncher

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

NAMES = ("search", 'my "first" search\'s', "100% %a %j # $HOME `x`", "é; rm -rf *")
WAITS = "import sys, time; print(sys.argv[1:], flush=True); time.sleep(600)"
SAYS = """\
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "folder": os.getcwd(), **os.environ}))
"""
FIVE_JOBS = """\
taken = 0
function slurm_job_submit(job, partitions, user)
    local first, last = string.match(job.array_inx or "0-0", "(%d+)-(%d+)")
    local count = tonumber(last) - tonumber(first) + 1
    if taken + count > 5 then
        slurm.log_user("QOSMaxSubmitJobPerUserLimit")
        return 2050 -- ESLURM_ACCOUNTING_POLICY, as limits in Slurm's database end
    end
    taken = taken + count
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, user)
    return slurm.SUCCESS
end
return slurm.SUCCESS
"""
"""A site's policy: five jobs in all."""


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

    def said() -> list[str]:
        return [path.read_text() if path.exists() else "" for path in paths]

    wait_until(lambda: all(text.endswith("\n") for text in said()), f"{paths}")
    return said()


def test_workers_are_an_array(slurm: Slurm, search: Path) -> None:
    """Each worker is a member of one array, knows its token and how to come again, and prints into
    its own file; the queue tells of all of them, and one command ends them.
    """
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
    wait_until(
        lambda: [launcher.states(jobs)[job].alive for job in jobs] == [False, True, True],
        "the one that was stopped to end",
    )
    launcher.stop(jobs)
    launcher.stop(jobs)
    slurm.wait_for("CANCELLED", 3)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_folders_may_be_odd(
    slurm: Slurm, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search's folder, the folder that jobs run in and the worker's words arrive as they are,
    and the output lies where it is looked for.
    """
    search = tmp_path / name
    search.mkdir()
    monkeypatch.chdir(search)
    words = ["a b", "'\"", "$HOME", "%a", "x\\y"]
    launcher = SlurmLauncher(search)
    jobs = started(launcher, [sys.executable, "-c", SAYS, *words], 1)
    [said] = wait_for_output(search, jobs)
    told = json.loads(said)
    assert told["words"][: len(words)] == words
    assert told["folder"] == str(search)


def test_a_folder_that_slurm_cannot_name_is_refused(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """With a backslash in its name Slurm would write the output of all jobs into one odd file."""
    with pytest.raises(CommandError) as refused:
        SlurmLauncher(tmp_path / "back\\slash")
    assert str(refused.value).replace(str(tmp_path), "/home/ana") == snapshot


def test_nothing_of_an_outer_job_reaches_a_job(slurm: Slurm, search: Path, tmp_path: Path) -> None:
    """A search that is said inside a job (of an array, with a GPU) submits jobs that know nothing
    of that one; all else of its environment reaches them.
    """
    jobs = new_tokens(1)
    call = (
        "import sys; from pathlib import Path; from modeldir.launchers.slurm import SlurmLauncher\n"
        "search, token, *worker = sys.argv[1:]\n"
        "print(*SlurmLauncher(Path(search)).start(worker, [token]))"
    )
    words = [sys.executable, "-c", call, str(search), jobs[0], sys.executable, "-c", SAYS]
    slurm.run(
        "sbatch", "--array=7-7", "--job-name=outer", f"--output={tmp_path}/outer",
        "--cpus-per-task=2", f"--wrap={shlex.join(words)}",
        CUDA_VISIBLE_DEVICES="5", SBATCH_TIMELIMIT="77", FOR_THE_JOB="yes",
    )  # fmt: skip
    [said] = wait_for_output(search, [JobRef("slurm", "", jobs[0])])
    told = json.loads(said)
    assert told["SLURM_ARRAY_TASK_ID"] == "0"
    assert told["SLURM_JOB_NAME"] == f"my_search-{jobs[0][:-2]}"
    assert told["FOR_THE_JOB"] == "yes"
    assert "SLURM_CPUS_PER_TASK" not in told
    assert "CUDA_VISIBLE_DEVICES" not in told
    number = told["SLURM_ARRAY_JOB_ID"] + "_0"
    assert slurm.run("squeue", "-h", "-r", "-t", "all", "-j", number, "-o", "%l") == "1:17:00"


def test_what_the_user_says_wins(slurm: Slurm, search: Path) -> None:
    """Options from the project's file are in the script, the command line wins over them, and both
    over variables that a site may set; setup lines run before the worker.
    """
    options = {
        "setup": ["export GREETING='hello  there'", "cd /"],
        "time": "5",
        "comment": 'a "quoted" comment',
        "cpus_per_task": 2,
        "exclusive": False,
        "sbatch": "-t 3:00 --nice=7",
    }
    os.environ.update(SBATCH_TIMELIMIT="99", SBATCH_JOB_NAME="site", SBATCH_WAIT="1")
    try:
        jobs = started(SlurmLauncher(search, options), [sys.executable, "-c", SAYS], 1)
    finally:
        for name in ("SBATCH_TIMELIMIT", "SBATCH_JOB_NAME", "SBATCH_WAIT"):
            del os.environ[name]
    [said] = wait_for_output(search, jobs)
    told = json.loads(said)
    assert (told["GREETING"], told["folder"]) == ("hello  there", "/")
    assert told["SLURM_CPUS_PER_TASK"] == "2"
    shown = slurm.run("scontrol", "show", "job", jobs[0].job)
    assert 'Comment=a "quoted" comment' in shown
    assert "TimeLimit=00:03:00" in shown
    assert "JobName=my_search-" in shown
    assert "Nice=7" in shown


def test_a_job_whose_number_was_lost_is_found(slurm: Slurm, search: Path) -> None:
    """Whoever was killed between sbatch's answer and writing it down finds the job by its token."""
    launcher = SlurmLauncher(search)
    jobs = started(launcher, waits(), 2)
    slurm.wait_for("RUNNING", 2)
    lost = [JobRef("slurm", "", job.token) for job in jobs]
    never = JobRef("slurm", "", new_tokens(1)[0])
    found = launcher.states([*lost, never])
    assert [found[job].runs for job in lost] == [True, True]
    assert found[never] == JobState(alive=False)
    launcher.stop([lost[1], never])
    slurm.wait_for("CANCELLED")
    wait_until(  # for a moment it is still COMPLETING
        lambda: [launcher.states(jobs)[job].alive for job in jobs] == [True, False], "its end"
    )


def test_waiting_jobs_are_told_of_and_stopped(slurm: Slurm, search: Path) -> None:
    """A job that waits says why, one that is held too, and both may be stopped before they run."""
    launcher = SlurmLauncher(search, {"sbatch": "--cpus-per-task=4 --nodelist=n1"})
    jobs = started(launcher, waits(), 3)
    slurm.wait_for("RUNNING")
    slurm.run("scontrol", "hold", jobs[2].job)
    waits_for_place = JobState(True, "PENDING (Resources)", runs=False)
    wait_until(lambda: launcher.states(jobs)[jobs[1]] == waits_for_place, "a reason")
    held = "PENDING (JobHeld"  # by a user, or by root
    wait_until(lambda: launcher.states(jobs)[jobs[2]].words.startswith(held), "the other reason")
    launcher.stop(jobs[1:])
    assert [launcher.states(jobs)[job].alive for job in jobs] == [True, False, False]


def test_at_most_so_many_run_at_once(slurm: Slurm, search: Path) -> None:
    """With one job a trial the site's scheduler is told how many may run at the same time."""
    jobs = started(SlurmLauncher(search, {"at_once": 2}), waits(), 5)
    slurm.wait_for("RUNNING", 2)
    wait_until(
        lambda: (
            slurm.run("squeue", "-h", "-r", "-t", "PD", "-o", "%r").split()
            == ["JobArrayTaskLimit"] * 3
        ),
        "the limit as the reason",
    )
    assert len(slurm.wait_for("RUNNING", 2)) == 2
    assert len(jobs) == 5


@pytest.fixture(scope="module")
def small(slurms: Made) -> Slurm:
    """A site that allows arrays of three, and five jobs in all."""
    return slurms("MaxArraySize=3", policy=FIVE_JOBS)


def test_arrays_are_cut_to_what_the_site_allows(
    small: Slurm, search: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """Seven workers, where arrays may have three members and a user five jobs: what fits is taken,
    each with its own token and output, found by number or by name; the rest is said to wait.
    """
    for name, value in small.environment.items():
        monkeypatch.setenv(name, value)
    launcher, tokens = SlurmLauncher(search), new_tokens(7)
    jobs, error = until_refused(launcher.start(waits(), tokens))
    assert str(error) == snapshot
    assert [job.token for job in jobs] == tokens[:5]
    assert len(small.queue()) == len({job.job for job in jobs}) == 5
    for job, said in zip(jobs, wait_for_output(search, jobs), strict=True):
        assert f"'{job.token}'" in said
        assert f"requeue {job.job}'" in said
    assert all(state.runs for state in launcher.states(jobs).values())
    lost = [JobRef("slurm", "", job.token) for job in jobs]
    assert all(state.runs for state in launcher.states(lost).values())
    launcher.stop(lost)
    small.wait_for("CANCELLED", 5)


def test_a_site_without_arrays(slurms: Made, search: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where arrays are switched off each worker is a job by itself."""
    site = slurms("MaxArraySize=0", nodes=1)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    launcher = SlurmLauncher(search)
    jobs = started(launcher, waits(), 2)
    for job, said in zip(jobs, wait_for_output(search, jobs), strict=True):
        assert said == f"{['--job', job.token, '--requeue', f'scontrol requeue {job.job}']}\n"
    lost = [JobRef("slurm", "", job.token) for job in jobs]
    assert all(state.runs for state in launcher.states([*jobs, *lost]).values())


def test_sbatch_refuses_in_its_own_words(
    slurm: Slurm, search: Path, snapshot: SnapshotAssertion
) -> None:
    """A partition that is not there: what sbatch says is what the user reads, and nothing runs."""
    launcher = SlurmLauncher(search, {"partition": "gpus"})
    before = slurm.queue()
    with pytest.raises(CommandError) as refused:
        started(launcher, waits(), 2)
    assert not isinstance(refused.value, LauncherBusy)
    assert str(refused.value) == snapshot
    assert slurm.queue() == before


@pytest.mark.slow
def test_the_controller_is_away(slurm: Slurm, search: Path) -> None:
    """While it is, nothing is known and nothing is started, and both are said; afterwards the jobs
    are there.
    """
    launcher = SlurmLauncher(search)
    jobs = started(launcher, waits(), 1)
    slurm.wait_until_saved(jobs[0].job)
    slurm.kill("slurmctld.pid")
    assert launcher.states(jobs)[jobs[0]].alive is None
    with pytest.raises(LauncherBusy, match=r"Slurm does not answer:\n.*Unable to contact"):
        started(launcher, waits(), 1)
    slurm.up()
    wait_until(lambda: launcher.states(jobs)[jobs[0]].runs, "the controller")
