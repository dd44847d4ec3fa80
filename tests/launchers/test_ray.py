"""Workers on a real Ray of two nodes: started, asked after, stopped, killed, and found again."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from laboratory import Project, Said, let_it_be_held, read, wait_until
from modeldir.experiment import attempts
from modeldir.launchers import JobRef, Launcher, new_tokens, output_of
from modeldir.launchers.ray import RayLauncher
from modeldir.testing import LauncherContract
from rays import Cluster, need_ray

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(1200)]

LONG = 240.0
"""Seconds after which what Ray should have done will never be."""

TRAIN = """\
import json, os, signal, sys, time

folder = sys.argv[sys.argv.index("--model_dir") + 1]
name, node = os.path.basename(folder), os.environ["NODE"]
with open(".started.txt", "a") as file:
    file.write(f"{name} {node} {' '.join(sys.argv[3:])}\\n")
with open(os.path.join(folder, "params.json")) as file:
    params = json.load(file)
last = os.path.join(folder, "last.weights")
begins = 0
if "--restore_file" in sys.argv and os.path.exists(last):
    with open(last) as file:
        begins = json.load(file)
for epoch in range(begins, 5):
    while os.path.exists("hold") and epoch == 3:
        time.sleep(0.01)
    with open(last + ".new", "w") as file:
        json.dump(epoch + 1, file)
    os.replace(last + ".new", last)
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 1 - params["learning_rate"]}, file)
with open(".ended.txt", "a") as file:
    file.write(f"{name} {node} {begins}\\n")
"""
"""A training of five epochs, which can go on from its last one, and waits in the fourth."""

LISTENS = """\
import os, signal, sys, time

def ends(*_):
    print("asked", flush=True)
    time.sleep(4)  # longer than Ray waits by itself
    print("ended well", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, ends)
print(sys.argv[1:], os.getcwd(), flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    need_ray()
    with contextlib.closing(Cluster()) as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Two nodes of Ray, both alive, and the token that opens it around us."""
    _cluster.start()
    for name, value in _cluster.access.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODELDIR_HEARTBEAT", _cluster.heartbeat)
    return _cluster


@pytest.fixture
def project(cluster: Cluster, tmp_path: Path) -> Project:
    """A project whose folder has an odd name, in a terminal that may use the cluster."""
    project = Project(tmp_path / 'Al\'s "digits" $HOME', TRAIN)
    project.environment.update(cluster.access, MODELDIR_HEARTBEAT=cluster.heartbeat)
    return project


def on_ray(project: Project, cluster: Cluster, *words: str) -> Said:
    """Type `modeldir search ... --on ray WORDS`; the terminal is gone as it returns."""
    on = ("--on", "ray", "--address", cluster.address, "--resume=--restore_file last")
    return project.searches(*on, *words, limit=LONG)


def rates(count: int) -> str:
    return "learning_rate=" + ",".join(f"{0.001 * (1 + at):.3f}" for at in range(count))


def wait_for_starts(project: Project, count: int) -> list[str]:
    wait_until(lambda: len(project.started) >= count, f"{count} starts", LONG)
    return project.started


def started(launcher: RayLauncher, *words: str, count: int = 1) -> list[JobRef]:
    return [*launcher.start([sys.executable, "-c", *words], new_tokens(count))]


def wait_for_state(launcher: RayLauncher, job: JobRef, words: str) -> None:
    wait_until(lambda: words in launcher.states([job])[job].words, words, LONG)


def said(search: Path, job: JobRef) -> str:
    path = output_of(search, job.token)
    return path.read_text() if path.exists() else ""


# -- The launcher ----------------------------------------------------------------------------------


class TestContract(LauncherContract):
    """What every launcher keeps, by real jobs."""

    patience = LONG
    stops_waiting = False

    @pytest.fixture(autouse=True)
    def _on(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def make(self, search: Path) -> Launcher:
        return RayLauncher(search, {"address": self.cluster.address, "cpus": 0.5})


def test_gpus_are_given_out_in_shares(project: Project, cluster: Cluster) -> None:
    """Two jobs of half a GPU each are told which; who asks for none is told nothing."""
    says = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'), flush=True)"
    told = []
    for gpus in (0.5, 1, 0):
        launcher = RayLauncher(project.search, {"address": cluster.address, "gpus": gpus})
        [job] = started(launcher, says)
        wait_for_state(launcher, job, "SUCCEEDED")
        told.append(said(project.search, job).strip())
    assert {told[0], told[1]} <= {"0", "1"}
    assert told[2] in ("all", "")


def test_a_worker_is_told_its_words_and_has_time_to_end(
    project: Project, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words and folder arrive as they are; TERM reaches it, not who keeps what it prints."""
    launcher = RayLauncher(project.search, {"address": cluster.address, "cpus": 0.5})
    monkeypatch.chdir(project.path)
    [job] = started(launcher, LISTENS, "a 'b\" $HOME")
    wait_until(lambda: said(project.search, job).endswith("\n"), "the worker's first words", LONG)
    told = str(["a 'b\" $HOME", "--job", job.token])
    assert said(project.search, job) == f"{told} {project.path}\n"
    state = launcher.states([job])[job]
    assert (state.alive, state.runs, state.words[:11]) == (True, True, "RUNNING on ")
    launcher.stop([job])
    wait_for_state(launcher, job, "STOPPED")
    assert said(project.search, job).splitlines()[1:] == ["asked", "ended well"]
    assert "ended well" in cluster.log(job.job)
    launcher.stop([job])
    assert launcher.states([job])[job].alive is False


def test_a_token_starts_one_worker_however_often_it_is_said(
    project: Project, cluster: Cluster
) -> None:
    """Ray takes an id once: saying it again finds the job that is there."""
    launcher = RayLauncher(project.search, {"address": cluster.address, "cpus": 0.5})
    words, tokens = [sys.executable, "-c", "print('once')"], new_tokens(2)
    first = [*launcher.start(words, tokens)]
    assert [*launcher.start(words, tokens)] == first
    for job in first:
        wait_for_state(launcher, job, "SUCCEEDED")
        assert said(project.search, job) == "once\n"
    assert sum(job in cluster.jobs() for job in (ref.job for ref in first)) == 2
    assert launcher.states([JobRef("ray", "", tokens[0])]).popitem()[1].words == "SUCCEEDED"


def test_a_job_for_which_there_is_no_place_waits_and_says_so(
    project: Project, cluster: Cluster
) -> None:
    """More CPUs than any node has: it is alive and does not run; watch says what it waits for."""
    told = on_ray(project, cluster, "--cpus", "99", rates(2))
    assert told.code == 0, told.err
    with project.started_as("watch", "experiments/search") as watch:
        assert watch.stdout is not None
        seen = watch.stdout.readline() + watch.stdout.readline()
    assert "1 worker waits: PENDING (waits for 99 CPUs)" in seen
    stopped = project.modeldir("stop", "experiments/search", limit=LONG)
    assert stopped.code == 0, stopped.err
    assert project.started == []


def test_who_has_no_token_or_a_wrong_one_is_told(project: Project, cluster: Cluster) -> None:
    """Nothing is started, nothing is recorded, and it says where the token belongs."""
    project.environment["HOME"] = str(project.path)
    project.environment["RAY_AUTH_TOKEN"] = ""
    told = on_ray(project, cluster, rates(2))
    assert told.code != 0
    assert "needs a token, and none was found" in told.err
    project.environment["RAY_AUTH_TOKEN"] = "another"
    told = on_ray(project, cluster, rates(2))
    assert told.code != 0
    assert "does not accept this token" in told.err
    assert [*(project.search / ".modeldir" / "jobs").glob("*_0.json")] == []


def test_auto_finds_the_cluster_of_the_environment(
    project: Project, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAY_ADDRESS may be the head's own address: Ray's client finds its dashboard from that."""
    monkeypatch.setenv("RAY_ADDRESS", cluster.head)
    launcher = RayLauncher(project.search, {"cpus": 0.5})
    [job] = started(launcher, "print('found')")
    wait_for_state(launcher, job, "SUCCEEDED")
    assert job.job in cluster.jobs()


# -- What Ray does to workers ----------------------------------------------------------------------


def test_a_worker_whose_ray_is_killed_ends_with_its_trials(
    project: Project, cluster: Cluster
) -> None:
    """Ray's own process for a job is killed: the worker dies, its trials are interrupted, not lost;
    said again, one more worker takes them from where they were.
    """
    project.hold()
    assert on_ray(project, cluster, rates(2), "-j", "2", "--no-check").code == 0
    names = [line.split()[0] for line in wait_for_starts(project, 2)]
    wait_until(lambda: all(last_epoch(project, name) == 3 for name in names), "three epochs", LONG)
    [job] = running_jobs(project, cluster)
    assert subprocess.run(["kill", "-9", str(supervisor_of(job))], check=False).returncode == 0
    wait_until(lambda: set(project.trials().values()) == {"interrupted"}, "interruptions", LONG)
    # It says RUNNING for a moment more, and what runs is not started again.
    wait_until(lambda: not running_jobs(project, cluster), "Ray to notice", LONG)
    project.release()
    again = on_ray(project, cluster, "-j", "2", "--no-check")
    assert again.code == 0, again.err
    wait_until(lambda: len(project.ended) == 2, "both ends", LONG)
    wait_until(lambda: set(project.trials().values()) == {"completed"}, "completed", LONG)
    assert {line.split()[-1] for line in project.ended} == {"3"}  # from their last weights


def test_a_node_that_dies_gives_its_trials_to_the_other(project: Project, cluster: Cluster) -> None:
    """Four workers on two nodes; one node's power fails: the others take what ran there, from its
    last weights, and each trial ends once.
    """
    project.hold()
    assert (
        on_ray(project, cluster, rates(6), "--workers", "4", "--cpus", "2", "--no-check").code == 0
    )
    wait_for_starts(project, 4)
    where = {line.split()[0]: line.split()[1] for line in project.started}
    assert Counter(where.values()) == {"head": 2, "second": 2}
    wait_until(lambda: all(last_epoch(project, name) == 3 for name in where), "three epochs", LONG)
    cluster.kill("second")
    project.release()
    wait_until(lambda: len(project.ended) >= 6, "six ends", LONG)
    wait_until(lambda: set(project.trials().values()) == {"completed"}, "completed", LONG)
    begins = {line.split()[0]: line.split()[2] for line in project.ended}
    assert len(project.ended) == 6
    lost = {name for name, node in where.items() if node == "second"}
    assert {begins[name] for name in lost} == {"3"}
    assert {begins[name] for name in set(begins) - lost} == {"0"}


# -- The whole of it -------------------------------------------------------------------------------


def test_other_processes_find_the_jobs_and_end_them(project: Project, cluster: Cluster) -> None:
    """Said again only what is missing is submitted; `modeldir stop` ends workers that run, and has
    those that still wait leave as soon as they come.
    """
    project.hold()
    first = on_ray(project, cluster, rates(8), "--workers", "2", "--cpus", "2", "--no-check")
    assert first.code == 0, first.err
    wait_for_starts(project, 2)
    again = on_ray(project, cluster, "--workers", "3", "--cpus", "2", "--no-check")
    assert again.code == 0, again.err
    wait_for_starts(project, 3)
    assert len(jobs_of(project, cluster)) == 3
    assert on_ray(project, cluster, "--workers", "4", "--cpus", "99").code == 0
    assert Counter(jobs_of(project, cluster).values()) == {"RUNNING": 3, "PENDING": 1}
    stopped = project.modeldir("stop", "experiments/search", "--now", limit=LONG)
    assert stopped.code == 0, stopped.err
    wait_until(lambda: "RUNNING" not in jobs_of(project, cluster).values(), "their ends", LONG)
    assert Counter(project.trials().values()) == {"interrupted": 3}
    assert len(project.started) == 3


def test_a_search_of_forty_trials_outlives_its_terminal_and_a_node(
    cluster: Cluster, tmp_path: Path
) -> None:
    """ASHA on the digits, by four workers on two nodes; the terminal is gone, a node dies and comes
    back, what is missing is submitted again: each trial ends once, from its own last weights.
    """
    project = digits(tmp_path / 'Al\'s "digits" $HOME', cluster)
    words = ("--workers", "4", "--cpus", "2", "--seed", "1")
    asha = ("learning_rate=log_uniform:1e-4,1e-1", "--trials", "40", "--pruner", "asha")
    project.hold()
    assert on_ray(project, cluster, *asha, *words).code == 0
    wait_until(lambda: len(running_jobs(project, cluster)) == 4, "all workers to run", LONG)
    project.release()
    wait_until(lambda: len(ended(project)) >= 6, "six ends", LONG)
    table = project.modeldir("synthesize", "experiments/search", limit=LONG)
    assert table.code == 0, table.err
    assert "accuracy" in (project.search / "results.md").read_text()
    cluster.kill("second")
    project.hold()  # else the two that are left may have run all trials before it is back
    wait_until(lambda: lost_jobs(project, cluster) == 2, "Ray to notice both", LONG)
    cluster.start()
    again = on_ray(project, cluster, *words)
    assert again.code == 0, again.err
    assert "2 workers submitted" in again.out
    project.release()
    wait_until(lambda: len(ended(project)) == 40, "forty ends", 3 * LONG)
    wait_until(lambda: not running_jobs(project, cluster), "all workers to leave", LONG)
    assert len(jobs_of(project, cluster)) == 6
    assert set(project.trials().values()) <= {"completed", "pruned"}
    for folder in project.search.glob("*/"):
        if (folder / "trial.json").exists():
            assert_trained_once(folder)


def digits(folder: Path, cluster: Cluster) -> Project:
    """The project that `modeldir init` makes, with an empty search in it; whose trainings do not
    begin while they are held.
    """
    project = Project(folder)
    project.environment.update(cluster.access, MODELDIR_HEARTBEAT=cluster.heartbeat)
    made = project.modeldir("init", "made")
    assert made.code == 0, made.err
    shutil.copytree(folder / "made", folder, dirs_exist_ok=True)
    let_it_be_held(folder / "train.py")
    project.params("experiments/search", **read(folder / "made/experiments/base_model/params.json"))
    return project


def ended(project: Project) -> list[str]:
    ends = {"completed", "pruned"}
    return [name for name, state in project.trials().items() if state in ends]


def assert_trained_once(folder: Path) -> None:
    """One attempt came to an end; each before it was interrupted, and what it had was kept."""
    last = attempts.latest(folder)
    assert last is not None
    runs = [attempts.read(folder, number) for number in range(1, last.number + 1)]
    ends = [run.end for run in runs if run is not None]
    assert ends[-1] in ("completed", "pruned")
    assert set(ends[:-1]) <= {"interrupted", None}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert sorted(set(steps)) == [*range(len(set(steps)))]
    assert len(steps) - len(set(steps)) <= len(ends) - 1  # at most the epoch that was cut off


def jobs_of(project: Project, cluster: Cluster) -> dict[str, str]:
    """How Ray says that each job of this project is, by id."""
    names = (path.name for path in (project.search / ".modeldir" / "jobs").glob("*.ray.json"))
    mine = {f"modeldir-{name.removesuffix('.ray.json')}" for name in names}
    return {name: str(job["status"]) for name, job in cluster.jobs().items() if name in mine}


def running_jobs(project: Project, cluster: Cluster) -> list[str]:
    """The ids of this project's jobs that run."""
    return [name for name, state in jobs_of(project, cluster).items() if state == "RUNNING"]


def lost_jobs(project: Project, cluster: Cluster) -> int:
    """How many of this project's jobs have failed."""
    return [*jobs_of(project, cluster).values()].count("FAILED")


def supervisor_of(job: str) -> int:
    """The pid of Ray's own process for a job: its worker's parent."""
    token = job.removeprefix("modeldir-").encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            title = Path(f"/proc/{parent}/cmdline").read_bytes()
            if b"worker" in words and token in words and title.startswith(b"ray::JobSupervisor"):
                return parent
    raise AssertionError(f"no process of Ray's minds {job}")


def last_epoch(project: Project, name: str) -> int:
    path = project.search / name / "last.weights"
    return int(path.read_text()) if path.exists() else 0
