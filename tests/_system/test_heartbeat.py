"""Heartbeats: who cannot be seen is dead only when his heartbeat stood still for long, under
one's eyes.

Other hosts are real here: pid namespaces with names of their own, whose processes nobody outside
sees, and which can be cut off as a whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import (
    PLAIN,
    SAVING,
    Project,
    all_on_host,
    kill_host,
    read,
    wait_until,
)
from modeldir._system import files, heartbeat, processes, reading
from modeldir.experiment import attempts
from modeldir.experiment.experiment import status
from modeldir.search import worker_registry
from modeldir.worker.spawner import Spawner
from modeldir.worker.start_order import Start

PACE = "1"
"""Seconds between two beats where trials run: a host is dead after 8, and one that stalls for less
on a busy machine is not.
"""
QUICK = "0.5"
"""The same where one supervisor is tested, and nobody takes it for dead."""
RESUME = ("--resume", "--restore_file last", "--no-check")
ONE = ("search", "experiments/search", "learning_rate=0.1", *RESUME, "--", "python", "train.py")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time

    def passes(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose processes beat quickly."""
    project = Project(tmp_path, SAVING)
    project.environment[heartbeat.VARIABLE] = PACE
    return project


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """A file with a heartbeat that moves every 15 s."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps({heartbeat.KEY: 15.0}))
    return path


# -- Looking ---------------------------------------------------------------------------------------


def looks(
    observer: heartbeat.Observer, clock: Clock, path: Path, count: int, gap: float
) -> list[bool | None]:
    """What an observer finds at several looks."""
    found = []
    for _ in range(count):
        clock.passes(gap)
        found.append(observer.look(path))
    return found


def test_a_heart_that_stands_still_for_8_beats_is_dead_and_nothing_less_is(owned: Path) -> None:
    """Seen by one observer, at many looks, by its own clock."""
    clock = Clock()
    observer = heartbeat.Observer(clock)
    assert observer.look(owned) is None
    assert looks(observer, clock, owned, 11, 10.0) == [None] * 11
    assert looks(observer, clock, owned, 2, 10.0) == [False, False]


def test_a_heart_that_was_seen_to_move_is_in_doubt_after_3_beats(owned: Path) -> None:
    """And dead after 8. Each beat begins the count anew; one that was given up lives again."""
    clock = Clock()
    observer = heartbeat.Observer(clock)
    observer.look(owned)
    clock.passes(110)
    os.utime(owned, ns=(1, 1))
    assert observer.look(owned) is True
    assert looks(observer, clock, owned, 11, 10.0) == [True] * 4 + [None] * 7
    assert looks(observer, clock, owned, 2, 10.0)[-1] is False
    os.utime(owned, ns=(2, 2))
    assert observer.look(owned) is True


def test_what_an_observer_slept_through_is_nobodys_silence(owned: Path) -> None:
    """It was stopped, or the file server was away, for both of them: a gap counts as one beat."""
    clock = Clock()
    observer = heartbeat.Observer(clock)
    observer.look(owned)
    assert looks(observer, clock, owned, 7, 3600.0) == [None] * 7
    assert looks(observer, clock, owned, 1, 3600.0) == [False]


def test_what_moved_long_ago_is_not_known_to_live_now(owned: Path) -> None:
    """Who looks only now and then has to look on before he believes it."""
    clock = Clock()
    observer = heartbeat.Observer(clock)
    observer.look(owned)
    os.utime(owned, ns=(1, 1))
    assert looks(observer, clock, owned, 1, 15.0) == [True]
    assert looks(observer, clock, owned, 1, 3600.0) == [None]


@pytest.mark.parametrize("data", [b"", b'{"heartbeat": 15.0, "sta', b"\0\0", b"null"])
def test_an_incomplete_file_is_watched_as_one_with_a_heart(tmp_path: Path, data: bytes) -> None:
    """It may be complete a moment later; only if it stays as it is for 120 s is its owner dead."""
    clock, path = Clock(), tmp_path / "run.json"
    path.write_bytes(data)
    observer = heartbeat.Observer(clock)
    assert looks(observer, clock, path, 12, 10.0) == [None] * 12
    os.utime(path, ns=(1, 1))
    assert observer.look(path) is True
    assert looks(observer, clock, path, 12, 10.0)[-1] is False


@pytest.mark.parametrize("data", ['{"token": "a"}', '{"heartbeat": 0}', '{"heartbeat": true}'])
def test_what_has_no_heart_is_never_dead(tmp_path: Path, data: str) -> None:
    """Run files of older versions, and of scripts that ran without a supervisor."""
    clock, path = Clock(), tmp_path / "run.json"
    path.write_text(data)
    observer = heartbeat.Observer(clock)
    assert set(looks(observer, clock, path, 50, 10.0)) == {None}
    path.unlink()
    assert set(looks(observer, clock, path, 50, 10.0)) == {None}
    assert heartbeat.seconds_since_beat(path) is None


def test_an_owner_that_cannot_beat_gives_up_before_others_give_it_up(owned: Path) -> None:
    """After 6 beats of 8; what can be touched again is not lost."""
    clock = Clock()
    owner = heartbeat.Heartbeat(owned, clock)
    assert owner.wait() == 15.0
    clock.passes(15)
    assert (owner.wait(), owner.beat(), owner.wait()) == (0.0, True, 15.0)
    data = owned.read_bytes()
    owned.unlink()
    clock.passes(89)
    assert (owner.beat(), owner.is_lost) == (False, False)
    clock.passes(1)
    assert (owner.beat(), owner.is_lost) == (False, True)
    owned.write_bytes(data)
    assert (owner.beat(), owner.is_lost) == (True, False)
    assert heartbeat.BEATS_TO_GIVE_UP < heartbeat.BEATS_TO_DEATH


@pytest.mark.parametrize(
    ("told", "found"), [("0.2", 0.2), ("", 15.0), ("-1", 15.0), ("x", 15.0), ("60", 15.0)]
)
def test_only_a_quicker_heart_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, told: str, found: float
) -> None:
    """Whoever reads a slower one would take a live owner of today's version for dead."""
    monkeypatch.setenv(heartbeat.VARIABLE, told)
    assert heartbeat.interval() == found


# -- Two hosts -------------------------------------------------------------------------------------


def ends(folder: Path) -> list[str | None]:
    """The recorded end of each attempt, in order."""
    numbers = attempts.numbers(os.listdir(folder))
    return [attempts.read(folder, number).end for number in numbers]


def run_of(folder: Path, number: int = 1) -> dict[str, Any]:
    return read(folder / attempts.run_file(number))


def pid_of(folder: Path, whose: str) -> int:
    """A pid as the first attempt's run file has it: as it is on its host."""
    wait_until(lambda: run_of(folder)[whose], f"the record of the {whose}")
    return int(run_of(folder)[whose]["pid"])


def begun(folder: Path, number: int = 1) -> bool:
    """Whether an attempt's command has been started."""
    path = folder / attempts.run_file(number)
    return path.exists() and bool(run_of(folder, number)["process"])


def epoch(folder: Path) -> int:
    """How far the weights in a folder are."""
    return int((reading.read_bytes(folder / "last.ckpt") or b"0").strip() or 0)


def test_a_host_that_dies_loses_its_trial_to_another_which_goes_on_from_its_weights(
    project: Project,
) -> None:
    """Its power is cut: nothing is recorded. A worker here waits until it knows, and takes over."""
    project.hold()
    folder = project.search / "learning_rate_0.1"
    with project.started_as(*ONE, host="n1") as far:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        assert run_of(folder)["supervisor"]["host"] == "n1"
        now = status(folder)
        assert (now.state, now.in_doubt) == ("running", True)
        assert (now.reason or "").startswith("on n1, last heartbeat 0.")
        kill_host(far)
        far.wait()
        project.release()
        done = project.searches(*ONE[2:-3])
    assert done.code == 0, done.out
    assert "is on n1, last heartbeat" in done.out
    assert "taking over trial 1 (learning_rate_0.1): nothing was heard from n1" in done.out
    assert ends(folder) == [None, "completed"]
    assert project.started == ["learning_rate_0.1 0", "learning_rate_0.1 2"]
    assert project.ended == ["learning_rate_0.1"]
    assert run_of(folder, 2)["resumes"] is True


def test_a_trial_that_runs_on_another_host_is_left_alone_and_takes_no_slot(
    project: Project,
) -> None:
    """The worker here runs the others, sees that one's heartbeat move, and leaves it be."""
    project.hold()
    folder = project.search / "learning_rate_0.1"
    with project.started_as(*ONE, host="n1") as far:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        command = all_on_host(far)[pid_of(folder, "process")]
        os.kill(command, signal.SIGSTOP)  # it is only slow
        project.release()
        values = "learning_rate=0.1,0.2,0.3"
        done = project.searches(values, *RESUME)
        assert done.code == 0, done.out
        assert "1 still running in other workers" in done.out
        assert project.trials() == {
            "learning_rate_0.1": "running",
            "learning_rate_0.2": "completed",
            "learning_rate_0.3": "completed",
        }
        os.kill(command, signal.SIGCONT)
        wait_until(lambda: status(folder).state == "completed", "the end there")
    assert ends(folder) == ["completed"]
    assert sorted(project.ended) == ["learning_rate_0.1", "learning_rate_0.2", "learning_rate_0.3"]


@pytest.mark.parametrize("whole", [True, False], ids=["the whole host", "the supervisor"])
def test_who_was_stopped_for_too_long_ends_its_copy_and_writes_nothing_more(
    project: Project, *, whole: bool
) -> None:
    """It is taken over meanwhile, and finds the later attempt when it goes on: one end, no mixture.

    The other worker is on a host of its own: it cannot see, and end, what runs on the first.
    """
    project.hold()
    folder = project.search / "learning_rate_0.1"
    with project.started_as(*ONE, host="n1") as far:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        there = all_on_host(far)
        supervisor = there[pid_of(folder, "supervisor")]
        command = processes.process(there[pid_of(folder, "process")])
        assert command is not None
        stopped = list(there.values()) if whole else [supervisor]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        with project.started_as("worker", "experiments/search", host="n2") as second:
            wait_until(lambda: begun(folder, 2), "the second attempt")
            before = (folder / "run.json").read_bytes()
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):  # the first to go on ends others
                    os.kill(pid, signal.SIGCONT)
            wait_until(lambda: processes.alive(command) is False, "the end of the first copy")
            project.release()
            assert far.wait(30) == 0, output(far)
            assert second.wait(30) == 0, output(second)
            assert "another worker has taken this trial over, so it was ended here" in output(far)
    assert ends(folder) == [None, "completed"]
    assert (folder / "run.json").read_bytes() == before
    assert project.ended == ["learning_rate_0.1"]
    assert (folder / "console.log").read_text().count("trained") == 1


def output(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.read()


def test_of_two_who_take_over_at_once_one_does(project: Project) -> None:
    """The link of the next attempt's run file decides."""
    project.hold()
    folder = project.search / "learning_rate_0.1"
    with project.started_as(*ONE, host="n1") as far:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        kill_host(far)
        far.wait()
        project.release()
        work = ("worker", "experiments/search")
        with (
            project.started_as(*work) as first,
            project.started_as(*work, host="n2") as second,
        ):
            assert {first.wait(30), second.wait(30)} == {0}
    assert ends(folder) == [None, "completed"]
    assert project.started == ["learning_rate_0.1 0", "learning_rate_0.1 2"]


def test_run_waits_to_see_whether_another_host_still_runs_there(project: Project) -> None:
    """It is refused while that one lives, and takes over when it is dead."""
    project.hold()
    project.params("experiments/base_model", learning_rate=0.1)
    folder = project.path / "experiments/base_model"
    run = ("run", "experiments/base_model", "--", "python", "train.py")
    with project.started_as(*run, host="n1") as far:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        refused = project.modeldir(*run)
        assert refused.code == 2, refused.err
        assert "waiting up to 2 minutes to see whether it still runs" in refused.err
        assert "is running: attempt 1" in refused.err
        kill_host(far)
        far.wait()
        project.release()
        done = project.modeldir(*run)
    assert done.code == 0, done.err
    assert ends(folder) == [None, "completed"]
    assert (folder / "attempts/1/console.log").exists()
    assert project.ended == ["base_model"]


# -- Just in time ----------------------------------------------------------------------------------


def elsewhere(folder: Path) -> attempts.Attempt:
    """An attempt of a supervisor on a host that nobody here can see."""
    me = processes.process()
    assert me is not None
    far = {**me.to_json(), "host": "far", "boot": "another", "machine": "another"}
    attempt = attempts.begin(folder, 1, {"supervisor": far, "process": far})
    assert attempt is not None
    return attempt


def taking_over(folder: Path, number: int = 2) -> Start:
    """The start of a later attempt, by a worker that believes that the first is dead."""
    (folder.parent / "train.sh").write_text("echo second >> ran.txt\n")
    command = ("sh", str(folder.parent / "train.sh"))
    return Start(str(folder), number, command, str(folder.parent), doubt=True)


def reports_of(spawner: Spawner, start: Start, meanwhile: Callable[[], object]) -> list[str]:
    """What a supervisor reports of a start, until it is free; `meanwhile` is called on and on."""
    spawner.start(start)
    heard: list[str] = []

    def is_free() -> bool:
        meanwhile()
        heard.extend(report.what for report in spawner.read())
        return "free" in heard

    wait_until(is_free, "the supervisor")
    return heard


@pytest.fixture
def spawner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spawner]:
    """A spawner whose supervisors beat quickly."""
    monkeypatch.setenv(heartbeat.VARIABLE, QUICK)
    with Spawner() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, spawner: Spawner) -> Path:
    """An experiment's folder."""
    path = tmp_path / "base_model"
    path.mkdir()
    (path / "params.json").write_text("{}")
    return path


@pytest.mark.parametrize("beats", [True, False], ids=["it was seen to beat", "it was not"])
def test_the_owner_before_is_waited_for_and_its_end_counts(
    spawner: Spawner, folder: Path, *, beats: bool
) -> None:
    """It was given up, lived after all, and came to its end. Through a cache no beat may be seen.
    The later attempt is taken back, and nothing runs a second time.
    """
    first = elsewhere(folder)
    if beats:
        heartbeat.beat(first.path)
    heard = reports_of(spawner, taking_over(folder), lambda: ends_once_outdone(first, by=2))
    assert heard == ["taken", "free"]
    assert (ends(folder), os.listdir(folder.parent)) == (["completed"], ["base_model", "train.sh"])


def ends_once_outdone(first: attempts.Attempt, by: int) -> None:
    """Record the end of an attempt once a later one has begun."""
    later = first.folder / attempts.run_file(by)
    if later.exists() and attempts.read(first.folder, 1).end is None:
        attempts.rewrite(first, {"status": "completed"})


def test_one_that_does_not_come_to_an_end_is_outdone(spawner: Spawner, folder: Path) -> None:
    """After two beats it has found the later attempt, or will before it writes anything."""
    first = elsewhere(folder)
    heartbeat.beat(first.path)
    heard = reports_of(spawner, taking_over(folder), lambda: None)
    assert heard == ["started", "ended", "free"]
    assert ends(folder) == [None, "completed"]
    assert (folder.parent / "ran.txt").read_text() == "second\n"


def dead_in_doubt(folder: Path) -> attempts.Attempt:
    """Begin a second attempt that was killed while it waited for the first."""
    me = processes.process()
    assert me is not None
    dead = {**me.to_json(), "started": 1}
    facts = {"supervisor": dead, "process": None, attempts.DOUBT: True}
    second = attempts.begin(folder, 2, facts)
    assert second is not None
    return second


def test_the_doubt_of_an_attempt_that_was_killed_is_the_next_ones(
    spawner: Spawner, folder: Path
) -> None:
    """The first may live although nothing is left of the second: the third waits for it too."""
    first = elsewhere(folder)
    assert attempts.is_in_doubt(dead_in_doubt(folder))
    heard = reports_of(spawner, taking_over(folder, 3), lambda: ends_once_outdone(first, by=3))
    assert (heard, ends(folder)) == (["taken", "free"], ["completed", None])


def test_an_attempt_that_was_killed_in_doubt_is_as_if_it_had_not_begun(folder: Path) -> None:
    """The end that the one before it records is the trial's, whose next attempt is the third."""
    first = elsewhere(folder)
    dead_in_doubt(folder)
    assert (status(folder).state, status(folder).attempt) == ("interrupted", 2)
    attempts.rewrite(first, {"status": "completed"})
    assert (status(folder).state, status(folder).attempt) == ("completed", 2)


def test_a_command_does_not_start_where_a_later_attempt_has_begun_meanwhile(
    spawner: Spawner, folder: Path
) -> None:
    """The disk held its supervisor up between its run file and the command, as a FIFO does here."""
    os.mkfifo(folder / "console.log")
    command = ("sh", "-c", f"echo ran > {folder.parent}/ran.txt")
    spawner.start(Start(str(folder), 1, command, str(folder.parent), resumes=True))
    wait_until((folder / "run.json").exists, "the first attempt")
    assert attempts.begin(folder, 2, {"process": {}}) is not None
    time.sleep(2 * float(QUICK))
    with open(folder / "console.log", "rb"):
        heard: list[str] = []

        def is_over() -> bool:
            heard.extend(report.what for report in spawner.read())
            return "gone" in heard

        wait_until(is_over, "the supervisor's end")
    assert "lost" in heard
    assert not (folder.parent / "ran.txt").exists()


def test_what_cannot_beat_ends_its_command_and_says_why(spawner: Spawner, folder: Path) -> None:
    """Others will soon take it for dead; nobody may find two copies then."""
    command = ("sh", "-c", "echo began; sleep 60")
    spawner.start(Start(str(folder), 1, command, str(folder.parent)))
    console = folder / "console.log"
    wait_until(lambda: console.exists() and console.read_text() == "began\n", "its beginning")
    wait_until(lambda: begun(folder), "its record")
    (folder / "run.json").rename(folder / "hidden")  # as if the file server had gone
    wait_until((folder / "run.json").exists, "what is written again at the end")
    wait_until(lambda: attempts.read(folder, 1).end is not None, "the end")
    record = run_of(folder)
    assert (record["status"], record["reason"]) == (
        "interrupted",
        "its folder could not be written for 3 s",
    )
    assert console.read_text() == (
        "began\nmodeldir: this run is stopped: its folder could not be written for 3 s, "
        "so others may start it again\n"
    )


@pytest.mark.parametrize("touched", [True, False], ids=["it keeps the old time", "it says no"])
def test_where_a_file_cannot_be_touched_it_is_written_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, touched: bool
) -> None:
    """Drives over the web: a training there is not ended because of that."""
    monkeypatch.setattr(heartbeat, "beat", lambda _: touched)
    with Spawner() as own:  # forked from here
        seen = set()

        def look() -> None:
            with contextlib.suppress(FileNotFoundError):
                seen.add((folder / "run.json").stat().st_mtime_ns)

        command = ("sh", "-c", "sleep 5")
        start = Start(str(folder), 1, command, str(folder.parent))
        assert reports_of(own, start, look) == ["started", "ended", "free"]
    assert (run_of(folder)["status"], len(seen) > 4) == ("completed", True)


def test_a_later_attempt_ends_the_command_of_an_earlier_one(spawner: Spawner, folder: Path) -> None:
    """Whoever made it: the earlier supervisor finds it at its next beat, and touches nothing."""
    command = ("sh", "-c", "trap '' TERM; echo began; sleep 60")
    spawner.start(Start(str(folder), 1, command, str(folder.parent)))
    wait_until(lambda: begun(folder), "its record")
    known = processes.from_json(run_of(folder)["process"])
    assert known is not None
    before = (folder / "run.json").read_bytes()
    assert attempts.begin(folder, 2, {"process": None}) is not None
    heard: list[str] = []

    def is_gone() -> bool:
        heard.extend(report.what for report in spawner.read())
        return "gone" in heard

    wait_until(is_gone, "the supervisor's end")
    assert heard == ["started", "lost", "gone"]
    assert processes.alive(known) is False
    assert (folder / "run.json").read_bytes() == before


def test_a_trial_shorter_than_a_beat_is_not_touched(folder: Path) -> None:
    """Its heartbeat costs nothing but the word in the run file."""
    with Spawner() as own:
        start = Start(str(folder), 1, ("true",), str(folder.parent))
        assert reports_of(own, start, lambda: None) == ["started", "ended", "free"]
    assert run_of(folder)["heartbeat"] == float(QUICK)


# -- Jobs ------------------------------------------------------------------------------------------

JOB = ("worker", "experiments/search", "--job", "abc_0", "--no-check")


def end_of_job(project: Project) -> str | None:
    told = worker_registry.job_end(project.search, "abc_0")
    return None if told is None else str(told["why"])


def planned(project: Project, *values: float, **settings: str) -> None:
    """A search that has its plan, and no trial yet; said to go on from its weights."""
    told = {"command": "python train.py", "cwd": "../..", "resume": "--restore_file last"}
    plan = {"space": {"learning_rate": [*values]}, **told, **settings}
    files.write_json(project.search / "search.json", plan)


def test_a_job_writes_its_end_and_comes_again_under_its_token(project: Project) -> None:
    """Its trials say which job they ran in, also by its name there; while it runs it has no end."""
    planned(project, 0.1)
    project.write("experiments/search/.modeldir/jobs/abc_0.json", '{"launcher": "slurm"}')
    worker_registry.end_job(project.search, "abc_0", "an earlier time")
    project.hold()
    engine = {"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "11", "SLURM_ARRAY_TASK_ID": "0"}
    with project.started_as(*JOB, **engine) as worker:
        folder = project.search / "learning_rate_0.1"
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        (member,) = worker_registry.workers(project.search)
        assert (member.job, member.alive) == ("abc_0", True)
        assert member.heard is not None
        assert end_of_job(project) is None
        project.release()
        assert worker.wait(30) == 0, output(worker)
    assert run_of(folder)["job"] == {"launcher": "slurm", "token": "abc_0", "id": "11_0"}
    assert end_of_job(project) == "nothing was left to start"


def test_a_job_whose_time_is_over_is_started_again_where_that_helps(project: Project) -> None:
    """Its trial saved weights that it can go on from: it is interrupted, and the line is run."""
    planned(project, 0.1)
    project.hold()
    folder = project.search / "learning_rate_0.1"
    again = ("--requeue", "sh -c 'echo $0 > again.txt' 'a b'")
    with project.started_as(*JOB, *again) as worker:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait(30) == 130
        said = output(worker)
    assert "The time of this job is nearly over." in said
    assert said.splitlines()[-1].startswith("the job is started again: sh -c ")
    assert "next:" not in said  # there is nothing to type
    assert (project.path / "again.txt").read_text() == "a b\n"
    assert end_of_job(project) is None
    assert ends(folder) == ["interrupted"]


@pytest.mark.parametrize("script", [PLAIN, SAVING], ids=["it saves nothing", "nothing new"])
def test_a_job_is_not_started_again_in_vain_for_ever(
    project: Project, script: str, snapshot: SnapshotAssertion
) -> None:
    """A trial that needs more time than the job has would never come to its end."""
    project.write("train.py", script)
    planned(project, 0.1)
    project.hold()
    folder = project.search / "learning_rate_0.1"
    again = ("--requeue", "touch again.txt")
    if script == SAVING:  # an earlier job came so far
        with project.started_as(*JOB, *again) as worker:
            wait_until(lambda: epoch(folder) == 2, "the second epoch")
            worker.send_signal(signal.SIGUSR1)
            assert worker.wait(30) == 130
        (project.path / "again.txt").unlink()
        project.write("train.py", STANDING_STILL)
    count = len(project.started)
    with project.started_as(*JOB, *again) as worker:
        project.wait_for_starts(count + 1)
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait(30) == 130
        said = output(worker)
    assert not (project.path / "again.txt").exists()
    assert end_of_job(project) == "its time was over: a trial needs more time than the job has"
    assert said[said.index("not started again") :].partition("\nnext:")[0] == snapshot


STANDING_STILL = """\
import os, time

with open(".started.txt", "a") as file:
    file.write("again\\n")
while os.path.exists("hold"):
    time.sleep(0.005)
"""
"""A training that does not come as far as its next weights."""


@pytest.mark.parametrize("line", ["false", "there-is-no-such-program"])
def test_a_line_that_fails_is_told_and_is_the_jobs_end(project: Project, line: str) -> None:
    """Then nobody starts it again by itself."""
    planned(project, 0.1)
    project.hold()
    with project.started_as(*JOB, "--requeue", line) as worker:
        wait_until(lambda: epoch(project.search / "learning_rate_0.1") == 2, "the second epoch")
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait(30) == 130
        said = output(worker)
    assert f"the job is not started again: {line}: " in said
    assert said.splitlines()[-1].startswith("next: modeldir search experiments/search")
    assert (end_of_job(project) or "").startswith(f"its time was over; {line}: ")


def test_a_job_that_was_started_twice_stays_until_its_first_copy_has_ended(
    project: Project,
) -> None:
    """Its job manager lost sight of a node, and ends the first copy once it sees that node again:
    there has to be somebody who takes over then.
    """
    planned(project, 0.1)
    project.hold()
    folder = project.search / "learning_rate_0.1"
    with project.started_as(*JOB, host="n1") as first:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        with project.started_as(*JOB) as second:
            log = project.search / ".modeldir"
            told = "is run by an earlier copy of this job"
            wait_until(
                lambda: any(told in path.read_text() for path in log.glob("search.*.log")), told
            )
            keeper = next(iter(worker_registry.workers(project.search)))
            os.kill(all_on_host(first)[keeper.pid], signal.SIGTERM)
            wait_until(lambda: len(project.started) == 2, "the second start")
            project.release()
            assert second.wait(30) == 0, output(second)
    assert ends(folder) == ["interrupted", "completed"]
    assert project.ended == ["learning_rate_0.1"]


def test_a_job_that_was_asked_to_stop_while_it_waited_does_not_begin(project: Project) -> None:
    """The request named its token; who comes later under another one does not mind it."""
    planned(project, 0.1)
    project.write("experiments/search/.modeldir/jobs/abc_0.json", '{"launcher": "slurm"}')
    worker_registry.ask_to_stop(project.search, [], "wait", ["abc_0"])
    stopped = project.modeldir(*JOB)
    assert stopped.code == 0, stopped.out  # no failure, of which its engine would send mails
    assert "`modeldir stop` asked this worker to stop" in stopped.out
    assert (project.started, (end_of_job(project) or "")[:18]) == ([], "asked to stop by r"[:18])
    assert project.modeldir("worker", "experiments/search", "--job", "abc_1").code == 0
    assert len(project.started) == 1


def test_a_job_that_was_asked_to_stop_does_not_come_again_when_its_time_is_over(
    project: Project,
) -> None:
    """Its trial trains on after the request, until the notice of the time limit ends it."""
    planned(project, 0.1)
    project.hold()
    folder = project.search / "learning_rate_0.1"
    with project.started_as(*JOB, "--requeue", "touch again.txt") as worker:
        wait_until(lambda: epoch(folder) == 2, "the second epoch")
        assert project.modeldir("stop", "experiments/search").code == 0
        log = project.search / "search.log"
        wait_until(
            lambda: "asked this worker to stop" in log.read_text(), "the request to be heeded"
        )
        worker.send_signal(signal.SIGUSR1)
        assert worker.wait(30) == 0, output(worker)
    assert not (project.path / "again.txt").exists()
    assert (end_of_job(project) or "").startswith("asked to stop by ")
    assert ends(folder) == ["interrupted"]


def test_a_worker_starts_no_more_trials_than_it_may(project: Project) -> None:
    """One job for each trial: the next ones are other jobs'."""
    planned(project, 0.1, 0.2, 0.3)
    done = project.modeldir(*JOB, "--trials", "1")
    assert done.code == 0, done.out
    assert len(project.started) == 1
    assert end_of_job(project) == "it has started as many trials as it may"


@pytest.mark.parametrize(
    "words",
    [
        ("--trials", "0"),
        ("--requeue", "true"),
        ("--job", "../up"),
        ("--job", "a", "--requeue", "scontrol 'requeue"),
    ],
)
def test_what_makes_no_sense_of_a_job_is_refused(
    project: Project, snapshot: SnapshotAssertion, words: tuple[str, ...]
) -> None:
    """Before anything starts."""
    planned(project, 0.1)
    said = project.modeldir("worker", "experiments/search", *words)
    assert said.code == 2
    assert said.err == snapshot


# -- Again and again -------------------------------------------------------------------------------

ALONE = SAVING.replace(
    'epoch = 0\nif "--restore',
    'import fcntl\nlock = open(name + ".lock", "a")\ntry:\n'
    "    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    'except OSError:\n    open("overlap." + name, "w").close()\n'
    'epoch = 0\nif "--restore',
).replace("    os.replace(", "    time.sleep(0.05)\n    os.replace(")
"""A training that tells when another copy of it runs at the same moment, on whatever host."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_hosts_that_die_again_and_again_lose_no_trial_and_run_none_beside_itself(
    project: Project, seed: int
) -> None:
    """Several work on one search, and are cut off at any moment; each trial ends once."""
    chance = random.Random(seed)
    values = [value / 100 for value in range(1, 41)]  # more than end before the last host dies
    project.write("train.py", ALONE)
    planned(project, *values)
    work = ("worker", "experiments/search", "-j", "2", "--no-check")
    for _ in range(3):
        with (
            project.started_as(*work, host="n1") as first,
            project.started_as(*work, host="n2") as second,
        ):
            for host in chance.sample([first, second], 2):
                project.wait_for_starts(len(project.started) + 1)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    host.wait(0.4 * chance.random())
                kill_host(host)
    done = project.modeldir(*work, limit=120)
    assert done.code == 0, done.out
    assert list(project.path.glob("overlap.*")) == []
    folders = [path.parent for path in project.search.glob("*/trial.json")]
    assert len(folders) == len(values)
    for folder in folders:
        *before, last = ends(folder)
        assert (set(before) <= {None, "interrupted"}, last) == (True, "completed"), folder
        starts = [
            int(line.split()[1]) for line in project.started if line.split()[0] == folder.name
        ]
        assert starts == sorted(starts), f"{folder} lost epochs"
