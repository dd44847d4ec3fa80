"""Placing workers: what is missing is started once, whatever is said, killed or refused."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laboratory import Project, wait_until
from modeldir._system import files, processes, reading
from modeldir.launchers import JobState, jobs_folder, output_of
from modeldir.launchers.command import CommandLauncher
from modeldir.launchers.launched_jobs import (
    JobWatcher,
    LaunchedJob,
    LaunchResult,
    cancel,
    launch_missing,
    read_jobs,
)
from modeldir.launchers.worker_counts import WorkerCounts, count_workers, worker_lines
from modeldir.search import worker_registry
from modeldir.testing import FakeLauncher

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

SIX = "learning_rate=0.1,0.2,0.3,0.4,0.5,0.6"

MANAGER = """\
#!/bin/sh
# A job manager in a folder, $QUEUE: submit WORDS, list, cancel ID. Nothing runs what waits there.
cd "${QUEUE:?}" || exit 9
[ -e away ] && { echo "the manager is away" >&2; exit 1; }
case $1 in
submit)
    shift
    waiting=$(ls | grep -c job)
    [ -e refuse ] && [ "$waiting" -ge "$(cat refuse)" ] && { echo "the queue is full"; exit 1; }
    number=1; until mkdir "job$number" 2>/dev/null; do number=$((number + 1)); done
    printf '%s\\n' "$@" > "job$number/words"
    [ -e kill ] && kill -9 $PPID
    echo "job $number"
    ;;
list)
    echo asked >> asked
    for job in job*; do [ -e "$job" ] && echo "${job#job} PENDING $(tail -n 1 "$job/words")"; done
    exit 0
    ;;
cancel) rm -r "job$2" ;;
esac
"""


class Queue:
    """The folder of a job manager, in a project: what waits there, and how it behaves."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.path / "queue of 'mine'"
        self.path.mkdir()
        project.write("manager", MANAGER).chmod(0o755)
        project.environment["QUEUE"] = str(self.path)
        self.manager = shlex.quote(str(project.path / "manager"))

    @property
    def jobs(self) -> list[Path]:
        return sorted(self.path.glob("job*"))

    def run(self, job: Path) -> int:
        """Run a job's worker, here and to its end."""
        words = (job / "words").read_text().splitlines()
        done = subprocess.run(
            words,
            cwd=self.project.path,
            env=self.project.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        for path in (job / "words", job):
            path.unlink() if path.is_file() else path.rmdir()
        return done.returncode

    def options(self, *, asks: bool = True, cancels: bool = True) -> list[str]:
        words = ["--on", "command", "--submit", f"{self.manager} submit {{worker}}"]
        words += ["--status", f"{self.manager} list"] if asks else []
        return [*words, *(["--cancel", f"{self.manager} cancel {{job}}"] if cancels else [])]

    def search(
        self, *words: str, domain: str = SIX, asks: bool = True, cancels: bool = True
    ) -> tuple[list[str], str, int]:
        """Say the search; returns what it printed, without what differs, what it complained of, and
        its exit code.
        """
        options = self.options(asks=asks, cancels=cancels)
        said = self.project.searches(domain, *options, *words)
        return self.plain(said.out).splitlines(), self.plain(said.err), said.code

    def plain(self, text: str) -> str:
        """A text without what differs from run to run."""
        text = text.replace(str(self.project.path), "PROJECT")
        for path in [*jobs_folder(self.project.search).glob("*_*")]:
            text = text.replace(path.name.partition(".")[0], "TOKEN")
        return text


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose training knows nothing of modeldir."""
    return Project(tmp_path)


@pytest.fixture
def queue(project: Project) -> Queue:
    return Queue(project)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that offers `--on fake`; returns the folder that it is installed in."""
    installed = tmp_path / "site-packages"
    (installed / "fake-1.0.dist-info").mkdir(parents=True)
    (installed / "fake-1.0.dist-info/METADATA").write_text("Name: fake\nVersion: 1.0\n")
    (installed / "fake-1.0.dist-info/entry_points.txt").write_text(
        "[modeldir.launchers]\nfake = modeldir.testing:FakeLauncher\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    return installed


def states(search: Path) -> list[tuple[bool | None, str]]:
    there = read_jobs(search)
    return [(each.state.alive, each.why or each.state.words) for each in there]


# -- What is missing -------------------------------------------------------------------------------


def test_what_is_missing_is_started(queue: Queue, snapshot: SnapshotAssertion) -> None:
    """Said again it starts none; after one has ended, that one; and it says what there is."""
    said = [queue.search("--workers", "2"), queue.search("--workers", "2")]
    assert len(queue.jobs) == 2
    assert queue.run(queue.jobs[0]) == 0
    said.append(queue.search("--workers", "2", domain="learning_rate=0.7"))
    assert len(queue.jobs) == 2
    assert said == snapshot
    assert set(queue.project.trials().values()) == {"completed"}


def test_where_nothing_is_left_none_is_started(queue: Queue) -> None:
    """A worker would come up, find nothing, and leave."""
    queue.search()
    queue.run(queue.jobs[0])
    lines, _, code = queue.search("--workers", "4")
    assert (lines[-2], code) == ("none was started: nothing is left to run", 0)
    assert queue.jobs == []


def test_several_that_ask_at_once_start_what_is_missing_once(queue: Queue) -> None:
    """Five commands, for three workers: three jobs."""
    queue.project.searches(SIX, "--dry-run")
    words = ["search", "experiments/search", SIX, *queue.options(), "--workers", "3"]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "modeldir", *words, "--", "python", "train.py"],
            cwd=queue.project.path,
            env=queue.project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(5)
    ]
    said = [each.communicate()[0].decode() for each in running]
    assert [each.returncode for each in running] == [0] * 5, said
    assert len(queue.jobs) == 3, said


def test_a_round_that_was_lost_counts_for_nothing(project: Project, fake: Path) -> None:
    """Whoever is too late takes its records back, and looks again at what is there."""
    late: list[Sequence[LaunchedJob]] = []

    def wanted(there: Sequence[LaunchedJob]) -> int:
        late.append(there)
        if len(late) == 1:  # somebody else is quicker
            launch_missing(FakeLauncher(project.search), {}, project.search, ["work"], lambda _: 2)
        return 3 - len(there)

    outcome = launch_missing(FakeLauncher(project.search), {}, project.search, ["work"], wanted)
    assert [len(there) for there in late] == [0, 2]
    assert len(outcome.started) == 1
    assert len(read_jobs(project.search)) == 3


def test_who_looks_again_sees_what_was_placed_and_what_has_ended_since(
    project: Project, fake: Path
) -> None:
    """What the files say is read again once their folder has changed."""
    launcher = FakeLauncher(project.search)
    jobs = JobWatcher(project.search)
    assert jobs.read() == []
    launch_missing(launcher, {}, project.search, ["work"], lambda _: 2)
    first, _ = jobs.read()
    assert [each.state.alive for each in jobs.read()] == [True, True]
    worker_registry.end_job(project.search, first.ref.token, "nothing was left to start")
    assert [each.came_up for each in jobs.read()] == [True, False]
    launch_missing(launcher, {}, project.search, ["work"], lambda _: 1)
    assert len(jobs.read()) == 3


@pytest.mark.parametrize("left", [b"", b'{"base": "6f'], ids=["empty", "half"])
def test_jobs_count_though_the_file_of_their_round_is_broken(
    project: Project, fake: Path, left: bytes
) -> None:
    """A power failure may leave it empty: those that were started are there all the same, and
    others are not started beside them.
    """
    launcher = FakeLauncher(project.search)
    launch_missing(launcher, {}, project.search, ["work"], lambda _: 2)
    (jobs_folder(project.search) / "round.1.json").write_bytes(left)
    assert states(project.search) == [(True, "waits")] * 2
    again = launch_missing(launcher, {}, project.search, ["work"], lambda there: 3 - len(there))
    assert len(again.started) == 1
    assert len(read_jobs(project.search)) == 3


# -- What goes wrong while workers are placed ------------------------------------------------------


def test_a_submit_that_fails_leaves_those_before_it(
    queue: Queue, snapshot: SnapshotAssertion
) -> None:
    """They count, the others are forgotten, and the same command starts what is missing."""
    (queue.path / "refuse").write_text("2")
    said = [queue.search("--workers", "5")]
    assert [alive for alive, _ in states(queue.project.search)] == [None, None]
    said.append(queue.search("--workers", "5"))
    (queue.path / "refuse").unlink()
    said.append(queue.search("--workers", "5"))
    assert said == snapshot
    assert len(queue.jobs) == 5


def test_who_waits_though_some_were_refused_waits_for_the_others(queue: Queue) -> None:
    """It is said what was refused; those that were taken do all that is to be done."""
    (queue.path / "refuse").write_text("1")
    words = ("search", "experiments/search", SIX, *queue.options(), "--workers", "3", "--wait")
    with queue.project.started_as(*words, "--", "python", "train.py") as waits:
        assert waits.stdout is not None
        told = iter(waits.stdout.readline, "")
        assert any(line.startswith("worker 2 of 3 was not started: ") for line in told)
        assert queue.run(queue.jobs[0]) == 0
        assert "6 of 6" in waits.stdout.read()
        assert waits.wait() == 0


def test_what_was_refused_is_not_named_as_the_way_to_go_on(queue: Queue) -> None:
    """`next:` keeps to the options of the last placing that started something."""
    queue.search("--workers", "2", "-j", "2")
    before = worker_registry.options_of(queue.project.search)
    (queue.path / "refuse").write_text("1")
    _, err, code = queue.search("--workers", "4", "-j", "3")
    assert code == 2
    assert "fix that, and run the command again" in err
    assert worker_registry.options_of(queue.project.search) == before


@pytest.mark.parametrize("asks", [True, False])
def test_a_kill_between_submit_and_record_leads_to_no_second_worker(
    queue: Queue,
    asks: bool,  # noqa: FBT001 - a case
    snapshot: SnapshotAssertion,
) -> None:
    """Where the list names tokens it is found; else it is unknown, counts, and one is told so."""
    (queue.path / "kill").touch()
    assert queue.search("--workers", "1", asks=asks)[2] == -9
    (queue.path / "kill").unlink()
    assert len(queue.jobs) == 1
    again = queue.search("--workers", "1", asks=asks)
    assert again == snapshot
    assert len(queue.jobs) == 1
    assert queue.run(queue.jobs[0]) == 0
    assert set(queue.project.trials().values()) == {"completed"}


def test_those_that_a_kill_left_unknown_are_given_up_by_stop(
    queue: Queue, snapshot: SnapshotAssertion
) -> None:
    """From then on they count no more; and if one comes up all the same it leaves at once."""
    (queue.path / "kill").touch()
    queue.search("--workers", "2", asks=False, cancels=False)
    (queue.path / "kill").unlink()
    stopped = queue.project.modeldir("stop", "experiments/search")
    assert queue.plain(stopped.out) == snapshot
    assert stopped.code == 0
    lines, _, _ = queue.search("--workers", "1", asks=False, cancels=False)
    assert len(queue.jobs) == 2, lines
    queue.run(queue.jobs[0])
    assert queue.project.started == []
    queue.run(queue.jobs[0])
    assert len(queue.project.started) == 6


def test_while_somebody_places_its_jobs_are_not_taken_for_gone(
    project: Project, fake: Path
) -> None:
    """The engine does not know them yet."""
    launcher = FakeLauncher(project.search)

    class Slow(FakeLauncher):
        def start(self, worker: Sequence[str], tokens: Sequence[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202
            for job in launcher.start(worker, tokens):
                seen.append([each.state.alive for each in read_jobs(project.search)])
                yield job

    seen: list[list[bool | None]] = []
    launch_missing(Slow(project.search), {}, project.search, ["work"], lambda _: 2)
    assert seen == [[True, None], [True, True]]


# -- How jobs are ----------------------------------------------------------------------------------


def test_an_engine_is_asked_once_for_all_readers(queue: Queue) -> None:
    """However many look, and however often, the answer is kept; placing asks anew."""
    queue.search("--workers", "3")
    asked = queue.path / "asked"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUEUE", str(queue.path))
        for _ in range(5):
            assert [each.state.alive for each in read_jobs(queue.project.search)] == [True] * 3
    first = asked.read_text().count("asked")
    assert first == 1
    queue.search("--workers", "3")
    assert asked.read_text().count("asked") == 2


def test_questions_become_rarer_while_nothing_changes(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From once a minute to once in two; a change brings the minute back."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    queue.search("--workers", "1")
    kept = jobs_folder(queue.project.search) / "states.json"
    every = []
    for _ in range(4):
        read_jobs(queue.project.search, ask=True)
        every.append(reading.read_object(kept)["every"])
    assert every == [60.0, 90.0, 120.0, 120.0]
    os.utime(kept, (0, 0))
    queue.jobs[0].rename(queue.path / "gone")
    [gone] = read_jobs(queue.project.search)
    assert gone.state.alive is False
    assert reading.read_object(kept)["every"] == 60.0


def test_that_a_worker_has_left_is_news_for_which_its_engine_is_asked(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sooner than else, since the job is over, or comes again: until then it counts."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    queue.search("--workers", "1")
    [job] = read_jobs(queue.project.search)
    kept = jobs_folder(queue.project.search) / "states.json"
    worker_registry.end_job(queue.project.search, job.ref.token, "asked to stop by a signal")
    assert states(queue.project.search) == [(True, "its worker has left")]
    there = count_workers(queue.project.search, read_jobs(queue.project.search))
    assert [*worker_lines(there)] == ["1 worker has left, its job ends"]
    now = os.stat(kept).st_mtime
    os.utime(kept, (now - 10, now - 10))
    assert states(queue.project.search)[0][1].startswith("PENDING")  # it was preempted
    queue.jobs[0].rename(queue.path / "gone")
    os.utime(kept, (now - 10, now - 10))
    assert states(queue.project.search) == [(False, "asked to stop by a signal")]


def test_a_job_that_an_admin_purged_has_ended(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine does not know it any more: it is not counted, and started again."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    queue.search("--workers", "2")
    (queue.jobs[0] / "words").unlink()
    queue.jobs[0].rmdir()
    queue.search("--workers", "2")
    assert len(queue.jobs) == 2


def test_a_job_that_ended_and_comes_again_counts(
    project: Project, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator requeues it: that it had ended is not the last word where a launcher revives."""
    monkeypatch.setattr(FakeLauncher, "ask_every", 60.0)
    launcher = FakeLauncher(project.search)
    launch_missing(launcher, {}, project.search, ["work"], lambda _: 2)
    first, _ = read_jobs(project.search, ask=True)
    launcher.stop([first.ref])
    assert [each.state.alive for each in read_jobs(project.search, ask=True)] == [
        False,
        True,
    ]
    queued = project.search / ".modeldir/fake_queue" / f"{first.ref.token}.json"
    files.write_json(queued, {**reading.read_object(queued), "state": "waits"})
    monkeypatch.setattr(FakeLauncher, "revives", True, raising=False)
    assert [each.counts for each in read_jobs(project.search, ask=True)] == [
        True,
        True,
    ]


def test_a_job_that_is_found_late_counts(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who placed it was killed, and its submit came through only after somebody had looked."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    (queue.path / "kill").touch()
    queue.search("--workers", "1")
    queue.jobs[0].rename(queue.path / "late")
    [job] = read_jobs(queue.project.search, ask=True)
    kept = jobs_folder(queue.project.search) / "states.json"
    files.write_json(kept, {"every": 60.0, "answers": {job.ref.token: [False, "", None]}})
    (queue.path / "late").rename(queue.path / "job1")
    assert [each.counts for each in read_jobs(queue.project.search, ask=True)] == [True]


def test_jobs_in_a_copy_of_a_search_are_the_originals(queue: Queue) -> None:
    """None counts there, and to stop the copy cancels none of the original's."""
    queue.search("--workers", "2")
    copy = queue.project.path / "experiments/copy"
    shutil.copytree(queue.project.search, copy)
    assert read_jobs(copy) == []
    stopped = queue.project.modeldir("stop", "experiments/copy")
    assert stopped.out.startswith(
        "No worker is running. To resume: modeldir search experiments/copy"
    ), stopped.out
    assert len(queue.jobs) == 2


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_a_file_server_with_another_clock_is_no_reason_to_ask_at_each_look(
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    ahead: float,
) -> None:
    """Its clock is two hours off: who looks each second asks once a minute all the same."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    queue.search("--workers", "1")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - ahead)
    for _ in range(5):
        read_jobs(queue.project.search)
    kept = jobs_folder(queue.project.search) / "states.json"
    files.write_json(kept, reading.read_object(kept))  # another reader was answered meanwhile
    for _ in range(5):
        read_jobs(queue.project.search)
    assert (queue.path / "asked").read_text().count("asked") == 1


def test_who_may_not_write_the_answers_does_not_ask_at_each_look(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague who watches keeps them for himself."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    queue.search("--workers", "1")
    (jobs_folder(queue.project.search) / "states.json").mkdir()  # also root may not write it
    looks = [states(queue.project.search) for _ in range(5)]
    assert all(alive for [(alive, _)] in looks), looks
    assert (queue.path / "asked").read_text().count("asked") == 1


def test_a_launcher_that_raises_leaves_its_jobs_unknown(
    project: Project, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's own may do anything: one can still look, and ask the workers to stop."""

    def fails(*_: object) -> None:
        raise KeyError("JOBID")

    launch_missing(FakeLauncher(project.search), {}, project.search, ["work"], lambda _: 1)
    monkeypatch.setattr(FakeLauncher, "states", fails)
    monkeypatch.setattr(FakeLauncher, "stop", fails)
    [job] = read_jobs(project.search, ask=True)
    assert job.state == JobState(None, "the launcher fake failed: KeyError: 'JOBID'")
    assert cancel(project.search, [job.ref]) == ["the launcher fake: KeyError: 'JOBID'"]
    monkeypatch.setattr(FakeLauncher, "__init__", fails)
    assert states(project.search) == [(None, "its launcher is not installed")]


def test_an_engine_that_is_away_leaves_jobs_unknown(
    queue: Queue, snapshot: SnapshotAssertion
) -> None:
    """Unknown is not dead: they count, and what the engine said is told."""
    queue.search("--workers", "2")
    (queue.path / "away").touch()
    assert queue.search("--workers", "2") == snapshot
    (queue.path / "away").unlink()
    assert len(queue.jobs) == 2


def test_a_job_that_never_came_up_is_told_with_what_it_printed(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """Such as a shell that does not find the interpreter on its node."""
    monkeypatch.setenv("QUEUE", str(queue.path))
    queue.search("--workers", "1")
    [job] = read_jobs(queue.project.search)
    output_of(queue.project.search, job.ref.token).write_text("bash: python: command not found\n")
    queue.jobs[0].rename(queue.path / "gone")
    [job] = read_jobs(queue.project.search, ask=True)
    assert (job.state.alive, job.came_up) == (False, False)
    workers = count_workers(queue.project.search, [job])
    assert queue.plain("\n".join(worker_lines(workers))) == snapshot
    watched = queue.project.modeldir("watch", "experiments/search")
    assert watched.code == 0  # nobody will come: it does not wait for ever
    assert "1 job ended before a worker started: bash: python: command not found" in watched.out
    lines, _, _ = queue.search("--workers", "1")
    assert "1 job ended before a worker started: bash: python: command not found" in lines
    assert len(queue.jobs) == 1


def test_a_worker_that_was_killed_is_seen_by_the_files(queue: Queue) -> None:
    """Where no engine can be asked, its entry without a living process says so."""
    queue.project.hold()
    queue.search("--workers", "1", asks=False)
    words = (queue.jobs[0] / "words").read_text().splitlines()
    worker = subprocess.Popen(
        words, cwd=queue.project.path, env=queue.project.environment, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: states(queue.project.search) == [(True, "")], "the worker")
    worker.kill()
    worker.wait()
    assert states(queue.project.search) == [(False, "its worker was killed")]
    queue.project.release()
    queue.search("--workers", "1", asks=False)
    queue.run(queue.jobs[1])
    ended = {each.why for each in read_jobs(queue.project.search)}
    assert ended == {"its worker was killed", "nothing was left to start"}


def test_a_launcher_that_is_gone_leaves_its_jobs_unknown(project: Project, fake: Path) -> None:
    """Its package was taken out: nobody can ask."""
    launch_missing(FakeLauncher(project.search), {}, project.search, ["work"], lambda _: 1)
    assert states(project.search) == [(True, "waits")]
    (fake / "fake-1.0.dist-info/entry_points.txt").write_text("")
    assert states(project.search) == [(None, "its launcher is not installed")]


def test_workers_are_told_in_a_line(snapshot: SnapshotAssertion) -> None:
    """How many run, wait, are unknown, and what engines say of them."""
    said = [
        [*worker_lines(each)]
        for each in (
            WorkerCounts(run=3, wait=1, waits="PENDING (Resources)"),
            WorkerCounts(run=1),
            WorkerCounts(wait=2, unseen=1, waits="PD", unknown="squeue did not answer in 120 s"),
            WorkerCounts(run=1, never=2, ended="no such module", output=Path("jobs/a.out")),
            WorkerCounts(never=1),
            WorkerCounts(left=2),
            WorkerCounts(run=1, left=1),
            WorkerCounts(),
        )
    ]
    assert said == snapshot


# -- The command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "--on slrum",
        "--on command --workers 0 --detach --address auto --gpus 1 -j many --time-limit soon",
        "--wait",
        "--detach --wait --one-job-per-trial --submit x",
        "--on command --submit 'qsub {worker}' --one-job-per-trial -j 2 --sampler random",
        "--on local --workers 2 --cpus 1",
    ],
    ids=["unknown", "much", "wait", "here", "per-trial", "local"],
)
def test_what_makes_no_sense_is_told_at_once(
    project: Project, words: str, snapshot: SnapshotAssertion
) -> None:
    """All of it, before anything is started."""
    domain = "learning_rate=log_uniform:0.001,0.1" if "random" in words else SIX
    said = project.searches(domain, *shlex.split(words))
    assert said.code == 2
    assert said.err == snapshot
    assert not jobs_folder(project.search).exists()


def test_a_line_break_in_a_name_is_refused(queue: Queue) -> None:
    """Jobs' scripts have lines."""
    odd = queue.project.params("experiments/two\nlines", learning_rate=0.1).parent
    said = queue.project.modeldir("search", str(odd), SIX, *queue.options(), "--", "python", "t.py")
    assert said.code == 2
    assert "line break" in said.err
    assert queue.jobs == []
    here = queue.project.path / "odd\nfolder"
    here.mkdir()
    words = ["search", str(queue.project.search), SIX, *queue.options(), "--", "python", "t.py"]
    said = queue.project.modeldir(*words, cwd=here)
    assert (said.code, "line break" in said.err, queue.jobs) == (2, True, [])


def test_settings_of_the_project_are_used(queue: Queue) -> None:
    """`[submit]` in modeldir.toml; the command line wins; the next command needs not say it."""
    lines = f"submit = '''{queue.manager} submit {{worker}}'''\nstatus = 'false'\n"
    queue.project.write("modeldir.toml", f"[submit]\n{lines}")
    said = queue.project.searches(
        SIX, "--on", "command", "--status", f"{queue.manager} list", "--workers", "2"
    )
    assert said.code == 0, said.err
    assert len(queue.jobs) == 2
    options = reading.read_object(next(jobs_folder(queue.project.search).glob("*_0.json")))[
        "options"
    ]
    assert options == {
        "submit": f"{queue.manager} submit {{worker}}",
        "status": f"{queue.manager} list",
    }


def test_a_package_s_launcher_has_its_table(project: Project, fake: Path) -> None:
    """By its name; what it does not know it refuses."""
    project.environment["PYTHONPATH"] = str(fake)
    project.write("modeldir.toml", "[fake]\nroom = 2\n")
    said = project.searches(SIX, "--on", "fake", "--workers", "3")
    assert said.code == 2
    assert "the queue is full: 2 jobs" in said.err
    assert "this is temporary" in said.err
    launcher = FakeLauncher(project.search)
    assert len(launcher.waiting()) == 2
    project.write("modeldir.toml", "[fake]\nrooms = 2\n")
    said = project.searches(SIX, "--on", "fake")
    assert "did you mean 'room'?" in said.err


def test_a_job_for_each_trial(queue: Queue, snapshot: SnapshotAssertion) -> None:
    """As many as there are trials to come, no more than --workers at a time; each runs one."""
    said = [queue.search("--one-job-per-trial", "--workers", "4")]
    assert len(queue.jobs) == 4
    queue.run(queue.jobs[0])
    assert len(queue.project.ended) == 1
    said.append(queue.search("--one-job-per-trial", "--workers", "4"))
    assert len(queue.jobs) == 4
    said.append(queue.search("--one-job-per-trial"))
    assert len(queue.jobs) == 5
    for job in queue.jobs:
        queue.run(job)
    assert len(queue.project.ended) == 6
    said.append(queue.search("--one-job-per-trial"))
    assert said == snapshot


def test_how_to_go_on_names_the_options_of_the_placing(queue: Queue) -> None:
    """A worker in a job does not know them: who placed it has written them down."""
    queue.project.write("fail.learning_rate_0.1", "")
    queue.search("--workers", "2", "-j", "2", "--no-check")
    assert queue.run(queue.jobs[0]) == 1
    again = shlex.split(worker_registry.resume_command(queue.project.search))
    expected = ["modeldir", "search", str(queue.project.search), *queue.options()]
    assert again == [*expected, "--workers", "2", "-j", "2", "--no-check"]


def test_local_workers_are_placed_likewise(project: Project) -> None:
    """Two in the background here; said again none; watch tells of them; stop ends them."""
    project.hold()
    words = (SIX, "--on", "local", "--workers", "2", "--no-check")
    assert project.searches(*words).code == 0
    project.wait_for_starts(2)
    members = worker_registry.workers(project.search)
    assert len(members) == 2
    said = project.searches(*words)
    assert said.lines[0] == "already there: 2 workers run"
    states_of = {each.state for each in read_jobs(project.search)}
    assert states_of == {JobState(True, "", runs=True)}
    with project.started_as("watch", "experiments/search") as watch:
        assert watch.stdout is not None
        lines = [watch.stdout.readline() for _ in range(2)]
    assert lines[1] == "2 workers run\n"
    assert project.modeldir("stop", "experiments/search", "--now").code == 0
    wait_until(lambda: worker_registry.workers(project.search) == [], "their end")
    wait_until(lambda: {alive for alive, _ in states(project.search)} == {False}, "it to be seen")
    assert all("asked to stop by" in why for _, why in states(project.search))


def test_who_waits_is_shown_the_end(project: Project) -> None:
    """`--wait` watches what was placed until all has ended; its exit code says how."""
    words = (SIX, "--on", "local", "--workers", "2", "--wait")
    said = project.searches(*words)
    assert said.code == 0, said.err
    assert "6 of 6" in said.out
    project.write("fail.learning_rate_0.7", "")
    said = project.searches("learning_rate=0.7", *words[1:])
    assert said.code == 1
    assert "it diverged" in said.out


def test_after_nothing_but_failures_the_way_on_is_to_run_them_again(project: Project) -> None:
    """A table of failures tells nothing."""
    project.write("fail.learning_rate_0.7", "")
    said = project.searches("learning_rate=0.7", "--on", "local", "--workers", "1", "--wait")
    assert said.code == 1
    again = "modeldir search experiments/search --on local --workers 1"
    assert said.lines[-1] == f"next: modeldir retry experiments/search   then: {again}"


def test_a_dry_run_counts_the_workers(project: Project) -> None:
    """So many trials run at a time: what it says of the time goes by it."""
    said = project.searches(SIX, "--on", "local", "--workers", "3", "-j", "2", "--dry-run")
    assert "each by, 6 at a time:" in said.lines


def test_a_dry_run_refuses_what_the_search_would(project: Project) -> None:
    """What was typed wrongly is told before the day on which it counts. The GPUs are those of
    another machine: nobody asks for them here.
    """
    slurm = ("--on", "slurm", "--workers", "2", "--gpus-per-trial", "8")
    wrong = project.searches(SIX, *slurm, "--sbatch", "--array=3", "--dry-run")
    assert wrong.code == 2
    assert "array: cannot be set here" in wrong.err
    said = project.searches(SIX, *slurm, "-j", "3", "--sbatch", "--time=60", "--dry-run")
    assert said.code == 0, said.err
    assert "each by, 6 at a time:" in said.lines


def test_a_dry_run_shows_the_script_of_slurm(project: Project) -> None:
    """The very one that would be submitted, where there is no Slurm, too; a job for each trial."""
    slurm = ("--on", "slurm", "--one-job-per-trial", "--sbatch", "--time=60")
    assert "each by, 6 at a time:" in project.searches(SIX, *slurm, "--dry-run").lines
    said = project.searches(SIX, *slurm, "--workers", "2", "--dry-run")
    assert said.code == 0, said.err
    assert "each by, 2 at a time:" in said.lines
    assert "a job for each trial on slurm, minus those already there, submitted by:" in said.lines
    for line in ("#!/bin/bash", "#SBATCH --array=0-5%2", "#SBATCH --time=60"):
        assert f"  {line}" in said.lines
    assert said.lines[-1] == "Nothing was started."
    assert not jobs_folder(project.search).exists()


def test_a_dry_run_shows_the_line_that_submits(queue: Queue, snapshot: SnapshotAssertion) -> None:
    """Quoted as a shell has it, so that it can be tried by hand."""
    said, _, code = queue.search("--workers", "3", "--dry-run", domain="learning_rate=0.1,0.2")
    shown = "\n".join(said).replace(sys.executable, "PYTHON")
    assert shown == snapshot
    assert code == 0
    assert queue.jobs == []


def test_who_works_here_is_told_that_workers_were_elsewhere(queue: Queue) -> None:
    """Without `--on` the search goes on here, perhaps on a login node."""
    queue.search("--workers", "1")
    said = queue.project.searches(SIX)
    assert said.code == 0, said.err
    assert said.lines[0].startswith("note: earlier workers ran elsewhere")
    assert said.lines[1].startswith(
        "  to run there: modeldir search experiments/search --on command "
    )


def test_jobs_that_wait_are_canceled_and_workers_are_asked(
    queue: Queue, snapshot: SnapshotAssertion
) -> None:
    """`modeldir stop`: a worker that is up leaves by itself, a job that is not is its engine's."""
    queue.project.hold()
    queue.search("--workers", "2")
    words = (queue.jobs[0] / "words").read_text().splitlines()
    with subprocess.Popen(
        words, cwd=queue.project.path, env=queue.project.environment, stdout=subprocess.DEVNULL
    ) as worker:
        queue.project.wait_for_starts(1)
        said = queue.project.modeldir("stop", "experiments/search", "--now")
        assert worker.wait() == 0  # it left as it was asked, which is no failure of a job
    assert said.code == 0
    assert (
        queue.plain(said.out).replace(str(worker.pid), "PID").replace(processes.host(), "HOST")
        == snapshot
    )
    assert [path.name for path in queue.jobs] == ["job1"]  # the one that ran: nothing removes it


def test_a_job_that_waits_again_is_canceled_though_its_last_worker_is_written_down(
    project: Project, fake: Path
) -> None:
    """That one died with its node, which nobody sees from here; asking it would be no stop."""
    project.write("experiments/search/search.json", "{}")
    launch_missing(FakeLauncher(project.search), {}, project.search, ["work"], lambda _: 1)
    [job] = read_jobs(project.search)
    member = worker_registry.register(project.search, 1, job=job.ref.token)
    path = project.search / ".modeldir/workers" / f"{member.token}.json"
    entry = reading.read_object(path)
    entry["process"] |= {"host": "n1", "boot": "another"}
    files.write_json(path, entry)
    said = project.modeldir("stop", "experiments/search", PYTHONPATH=str(fake))
    assert f"canceled: job {job.ref.job}" in said.out, said.out + said.err
    [stopped] = read_jobs(project.search)
    assert stopped.state.alive is False


def test_an_outcome_without_jobs_is_told(project: Project) -> None:
    """`place` returns values: what there was, what was started, why not all."""
    outcome = launch_missing(
        CommandLauncher(project.search, {"submit": "false {worker}"}),
        {"submit": "false {worker}"},
        project.search,
        ["work"],
        lambda _: 2,
    )
    assert isinstance(outcome, LaunchResult)
    assert (outcome.started, outcome.missing) == ((), 2)
    assert "exit code 1" in str(outcome.problem)
    assert read_jobs(project.search) == []
