"""Searches on a real Slurm of two nodes, and what befalls their jobs there."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from engines import Made, Slurm
from jobs_audit import STEPS, audit, audit_steps, journal
from laboratory import Project, Said, let_it_be_held, wait_until
from modeldir._system import heartbeat
from modeldir.experiment import attempts, experiment
from modeldir.search import worker_registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TRIALS = "learning_rate=0.1,0.2,0.3,0.4"
LONG = 100.0
"""Seconds within which Slurm notices, waits, and starts again."""


class Search:
    """A project whose training goes on from its last step, searched by workers on Slurm."""

    def __init__(self, path: Path, slurm: Slurm) -> None:
        self.slurm = slurm
        self.project = Project(path, STEPS)
        self.project.environment.update(slurm.environment_for(self.project.environment))
        self.project.environment["MODELDIR_HEARTBEAT"] = "1"
        self.path = self.project.search
        self._observer = heartbeat.Observer()

    def states(self) -> list[str]:
        """How the trials are, by their heartbeats where they run on another host than this."""
        folders = [path.parent for path in sorted(self.path.glob("*/trial.json"))]
        return [experiment.status(each, observer=self._observer).state for each in folders]

    def say(self, *words: str, workers: int = 1, limit: float = 60) -> Said:
        """Type `modeldir search ... --on slurm`."""
        said = self.project.modeldir(
            "search", "experiments/search", *words, "--on", "slurm", "--workers", str(workers),
            "--no-check", "--", "python", "train.py", limit=limit,
        )  # fmt: skip
        assert said.code == 0, said.err
        return said

    def steps(self, number: int = 4) -> set[str]:
        """The trials that have begun a step: by default the one in which they wait."""
        return {step.trial for step in journal(self.project.path) if step.number == number}

    def wait_for_steps(self, count: int, number: int = 4) -> None:
        """Wait until so many trials are in a step."""
        wait_until(lambda: len(self.steps(number)) >= count, f"{count} trials in a step", LONG)

    def wait_for_end(self, trials: int = 4, limit: float = LONG) -> None:
        """Wait until all trials have ended, and find them in order."""
        self.wait_for_states({"completed": trials}, limit)
        assert audit(self.path, trials) == []
        assert audit_steps(self.project.path) == []

    def wait_for_states(self, wanted: dict[str, int], limit: float = LONG) -> None:
        def are() -> bool:
            states = self.states()
            return all(states.count(state) >= count for state, count in wanted.items())

        self._wait_until(are, f"{wanted}", limit)

    def _wait_until(self, happened: Callable[[], object], what: str, limit: float = LONG) -> None:
        try:
            wait_until(happened, what, limit)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from None

    def wait_for_interruptions(self, count: int = 1) -> None:
        """Wait until so many trials were interrupted, whatever became of them since: one that was
        may be taken by the next worker at once.
        """

        def was_interrupted(folder: Path) -> bool:
            last = attempts.latest(folder)
            again = last is not None and last.number > 1
            status = experiment.status(folder, observer=self._observer)
            return again or status.state == attempts.INTERRUPTED

        def interrupted() -> int:
            return sum(was_interrupted(path.parent) for path in self.path.glob("*/trial.json"))

        self._wait_until(lambda: interrupted() >= count, f"{count} interrupted")

    def told(self) -> str:
        """All there is to know when something went wrong."""
        jobs = sorted((self.path / ".modeldir" / "jobs").glob("*.out"))
        printed = "\n".join(f"== {path.name}\n{path.read_text()}" for path in jobs)
        return f"{self.states()}\n{self.slurm.queue()}\n{printed}"


Searching = Callable[[Slurm], Search]


@pytest.fixture
def search(slurm: Slurm, tmp_path: Path) -> Search:
    return Search(tmp_path, slurm)


def test_a_search_of_digits(slurm: Slurm, tmp_path: Path) -> None:
    """Forty trials with early stopping by four workers, and nothing of ours stays: not the shell,
    no process outside the nodes. One job is canceled, one requeued, the controller is killed and
    comes back; said again, the one that is missing is started. The table is read meanwhile.
    """
    project = Project(tmp_path)
    project.environment.update(MODELDIR_HEARTBEAT="1")
    assert project.modeldir("init", "my digits").code == 0
    shutil.copytree(tmp_path / "my digits", tmp_path, dirs_exist_ok=True)
    let_it_be_held(tmp_path / "train.py")  # else all may have ended before what shall befall them
    folder = 'experiments/it\'s "asha"'
    project.params(folder, **{**BASE, "num_epochs": 6})
    words = [
        "search", folder, "learning_rate=log_uniform:1e-4,1e-1", "hidden_units=16,32,64",
        "--sampler", "random", "--trials", "40", "--pruner", "asha", "--maximize", "accuracy",
        "--on", "slurm", "--workers", "4",
    ]  # fmt: skip
    said = project.modeldir(*words, "--", "python", "train.py", "--data_dir", "data", limit=60)
    assert said.code == 0, said.err
    array = slurm.wait_for("RUNNING", 4)[0].partition("_")[0]
    assert f"4 workers submitted: jobs {array}_0, {array}_1, {array}_2, {array}_3" in said.out
    assert _processes_outside_nodes(slurm, folder) == []
    states = project.trials

    def ended() -> int:
        return sum(state in ("completed", "pruned") for state in states(folder).values())

    wait_until(lambda: ended() >= 3, "some trials", 60)
    project.hold()
    slurm.run("scancel", f"{array}_1")
    slurm.run("scontrol", "requeue", f"{array}_2")
    table = project.modeldir("synthesize", folder, limit=60)
    assert table.code == 0, table.err
    assert "accuracy" in table.out
    slurm.wait_until_saved(f"{array}_0")
    slurm.kill("slurmctld.pid")
    before = ended()
    project.release()
    wait_until(lambda: ended() > before, "a trial without a controller", 60)
    project.hold()
    slurm.up()
    slurm.wait_for("CANCELLED")
    again = project.modeldir(*words, limit=60)
    assert again.code == 0, again.err
    assert "1 worker submitted" in again.out
    project.release()
    watched = project.modeldir("watch", folder, limit=100)
    assert watched.code == 0, watched.err
    assert audit(tmp_path / folder, 40) == []
    assert "4 running" not in project.modeldir("synthesize", folder, limit=60).out


BASE = {
    "model_version": "multilayer_perceptron",
    "learning_rate": 0.01,
    "batch_size": 32,
    "hidden_units": 64,
    "seed": 230,
}


def _processes_outside_nodes(slurm: Slurm, folder: str) -> list[str]:
    """The processes of a search that are not in a node's own namespace."""
    if not slurm.nodes_are_hosts:
        return []
    mine = os.readlink("/proc/self/ns/pid")
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace")
            if folder in words and os.readlink(path / "ns" / "pid") == mine:
                found.append(words)
        except OSError:
            continue
    return found


def test_a_job_is_preempted_and_comes_again(slurms: Made, tmp_path: Path) -> None:
    """A job of higher rank takes its node: its trial is interrupted, the job waits in the queue and
    goes on with the same trial from its last step.
    """
    slurm = slurms(PREEMPTING, nodes=1)
    search = Search(tmp_path, slurm)
    search.project.hold()
    search.say(TRIALS, "--sbatch", "--partition=low")
    search.wait_for_steps(1)
    [job] = slurm.wait_for("RUNNING")
    left = tmp_path / "left"
    waits = f"until [ -e {left} ]; do sleep 0.1; done"
    slurm.run("sbatch", "--partition=high", "--exclusive", "--output=/dev/null", f"--wrap={waits}")
    search.wait_for_interruptions()
    slurm.wait_for("PENDING")
    left.touch()
    search.project.release()
    search.wait_for_end()
    assert set(slurm.queue()) >= {job}
    assert [step.attempt for step in journal(tmp_path) if step.number == 5][0] == 2  # noqa: RUF015


PREEMPTING = """\
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=low Nodes=ALL PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=high Nodes=ALL PriorityTier=9 MaxTime=INFINITE State=UP
"""


def test_the_time_limit_in_the_middle_of_a_trial(search: Search) -> None:
    """Near the job's time limit its trial is interrupted and the job requeued by the worker itself:
    it comes again under its number and goes on with the trial from its last step.
    """
    # Slurm looks every 30 s, and signals who will be late by its next look: so after 15 s or more.
    search.project.write(
        "modeldir.toml",
        '[slurm]\ntime = 1\nsignal = "B:USR1@15"\nsetup = ["echo set up", "cd ."]\n',
    )
    search.project.hold()
    search.say(TRIALS)
    search.wait_for_steps(1)
    [job] = search.slurm.wait_for("RUNNING")
    search.wait_for_interruptions()
    search.project.release()
    search.wait_for_end()
    assert search.slurm.run("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%i") == job
    [printed] = [path.read_text() for path in (search.path / ".modeldir" / "jobs").glob("*.out")]
    assert printed.count("set up\n") >= 2  # again, where the machine was too slow for the rest
    assert "DUE TO JOB REQUEUE" in printed
    assert "DUE TO TIME LIMIT" not in printed


def test_slurm_starts_a_job_twice(search: Search) -> None:
    """A node that Slurm has lost sight of runs on: its job is started again on the other one. Both
    copies live, and each trial is run by one of them; when the node is back its copy is ended, and
    the other takes over what that left.
    """
    slurm = search.slurm
    search.project.hold()
    search.say(TRIALS)
    search.wait_for_steps(1)
    [job] = slurm.wait_for("RUNNING")
    node = slurm.node_of(job)
    slurm.kill(f"{node}.slurmd")
    other = {"n1": "n2", "n2": "n1"}[node]
    wait_until(lambda: slurm.node_of(job) == other, "the second start", LONG)
    search.wait_for_steps(2)
    hosts = {step.trial: step.host for step in journal(search.project.path)}
    if slurm.nodes_are_hosts:
        assert sorted(hosts.values()) == ["n1", "n2"]
    slurm.up()
    search.wait_for_interruptions()
    search.project.release()
    search.wait_for_end()


def test_a_node_dies(search: Search) -> None:
    """All that ran there is gone without a word. Slurm starts the job again on the other node, and
    once the trial's heartbeat has stood still for long enough it goes on there from its last step.
    """
    slurm = search.slurm
    if not slurm.nodes_are_hosts:
        pytest.skip("nodes are no hosts of their own here: only root may make namespaces")
    search.project.hold()
    search.say(TRIALS)
    search.wait_for_steps(1)
    [job] = slurm.wait_for("RUNNING")
    slurm.kill(f"{slurm.node_of(job)}.node")
    search.project.release()
    search.wait_for_end()
    first = min(search.steps())
    assert len({s.host for s in journal(search.project.path) if s.trial == first}) == 2


def test_only_what_is_missing_is_started(search: Search) -> None:
    """Said again, live workers count, also those that wait; `modeldir stop` ends all of them, and
    what had begun is interrupted.
    """
    slurm = search.slurm
    search.project.hold()
    slow, before = ("--sbatch", "--cpus-per-task=4"), slurm.queue()
    search.say(TRIALS, *slow, workers=3)
    search.wait_for_steps(2)
    assert "already there: 3 workers: 2 run, 1 waits" in search.say(*slow, workers=3).out
    assert "2 workers submitted" in search.say(*slow, workers=5).out
    assert len(slurm.live()) == 5
    stopped = search.project.modeldir("stop", "experiments/search", "--now", limit=60)
    assert stopped.code == 0, stopped.err
    wait_until(lambda: not slurm.live(), "an empty queue", 60)
    search.wait_for_states({"interrupted": 2})
    # Of those that ran none has failed: they did as was asked.
    words = Counter(word for job, word in slurm.queue().items() if job not in before)
    assert words["COMPLETED"] >= 2
    assert words["FAILED"] == 0, words
    assert worker_registry.workers(search.path) == []


def test_one_job_for_each_trial(search: Search) -> None:
    """Where a site wants that: an array with a job a trial, two of them at a time, and one may be
    canceled by itself; said again, its trial gets another job.
    """
    slurm = search.slurm
    search.project.hold()
    said = search.say(TRIALS, "--one-job-per-trial", workers=2)
    assert said.lines[-3].startswith("4 jobs submitted: "), said.out
    assert said.lines[-2] == "  each for one trial, at most 2 at a time"
    search.wait_for_steps(2)
    jobs = slurm.wait_for("RUNNING", 2)
    assert len(slurm.live()) == 4
    slurm.run("scancel", jobs[0])
    search.wait_for_interruptions()
    search.project.release()
    wait_until(lambda: not slurm.live(), "an empty queue", 60)
    assert search.states().count("completed") >= 3
    search.say("--one-job-per-trial", workers=2)
    search.wait_for_end()
