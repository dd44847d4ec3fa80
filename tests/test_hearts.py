"""Hearts: who cannot be seen is dead only when his heart stood still for long, under one's eyes.

Other hosts are real here: pid namespaces with names of their own, whose processes nobody outside
sees, and which can be cut off as a whole.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from laboratory import (
    SAVING,
    Project,
    all_on_host,
    kill_host,
    read,
    wait_until,
)
from modeldir import attempts, files, hearts, processes
from modeldir.experiment import status

PACE = "0.5"
"""Seconds between two beats here: a host is dead after 4."""
RESUME = ("--resume", "--restore_file last", "--no-pilot")
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
    project.environment[hearts.VARIABLE] = PACE
    return project


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """A file with a heart that beats every 15 s."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps({hearts.KEY: 15.0}))
    return path


# -- Looking ---------------------------------------------------------------------------------------


def looks(
    observer: hearts.Observer, clock: Clock, path: Path, count: int, gap: float
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
    observer = hearts.Observer(clock)
    assert observer.look(owned) is None
    assert looks(observer, clock, owned, 11, 10.0) == [None] * 11
    assert looks(observer, clock, owned, 2, 10.0) == [False, False]


def test_a_heart_that_was_seen_to_move_lives_until_it_was_still_for_long(owned: Path) -> None:
    """Each beat begins the count anew; one that had been given up lives again."""
    clock = Clock()
    observer = hearts.Observer(clock)
    observer.look(owned)
    clock.passes(110)
    os.utime(owned, ns=(1, 1))
    assert observer.look(owned) is True
    assert looks(observer, clock, owned, 11, 10.0) == [True] * 11
    assert looks(observer, clock, owned, 2, 10.0)[-1] is False
    os.utime(owned, ns=(2, 2))
    assert observer.look(owned) is True


def test_what_an_observer_slept_through_is_nobodys_silence(owned: Path) -> None:
    """It was stopped, or the file server was away, for both of them: a gap counts as one beat."""
    clock = Clock()
    observer = hearts.Observer(clock)
    observer.look(owned)
    assert looks(observer, clock, owned, 7, 3600.0) == [None] * 7
    assert looks(observer, clock, owned, 1, 3600.0) == [False]


def test_what_moved_long_ago_is_not_known_to_live_now(owned: Path) -> None:
    """Who looks only now and then has to look on before he believes it."""
    clock = Clock()
    observer = hearts.Observer(clock)
    observer.look(owned)
    os.utime(owned, ns=(1, 1))
    assert looks(observer, clock, owned, 1, 15.0) == [True]
    assert looks(observer, clock, owned, 1, 3600.0) == [None]


@pytest.mark.parametrize(
    "data", ["", "{}", '{"heart": 0}', '{"heart": "often"}', '{"heart": true}']
)
def test_what_has_no_heart_is_never_dead(tmp_path: Path, data: str) -> None:
    """Run files of older versions, and of scripts that ran without a supervisor."""
    clock, path = Clock(), tmp_path / "run.json"
    path.write_text(data)
    observer = hearts.Observer(clock)
    assert set(looks(observer, clock, path, 50, 10.0)) == {None}
    path.unlink()
    assert set(looks(observer, clock, path, 50, 10.0)) == {None}
    assert (hearts.silence(path), hearts.sight_of(path)) == (None, None)


def test_an_owner_that_cannot_beat_gives_up_before_others_give_it_up(owned: Path) -> None:
    """After 6 beats of 8; what can be touched again is not lost."""
    clock = Clock()
    heart = hearts.Heart(owned, clock)
    assert heart.wait() == 15.0
    clock.passes(15)
    assert (heart.wait(), heart.beat(), heart.wait()) == (0.0, True, 15.0)
    data = owned.read_bytes()
    owned.unlink()
    clock.passes(89)
    assert (heart.beat(), heart.is_lost) == (False, False)
    clock.passes(1)
    assert (heart.beat(), heart.is_lost) == (False, True)
    owned.write_bytes(data)
    assert (heart.beat(), heart.is_lost) == (True, False)
    assert hearts.BEATS_TO_GIVE_UP < hearts.BEATS_TO_DEATH


@pytest.mark.parametrize(
    ("told", "found"), [("0.2", 0.2), ("", 15.0), ("-1", 15.0), ("x", 15.0), ("60", 15.0)]
)
def test_only_a_quicker_heart_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, told: str, found: float
) -> None:
    """Whoever reads a slower one would take a live owner of today's version for dead."""
    monkeypatch.setenv(hearts.VARIABLE, told)
    assert hearts.every() == found


# -- Two hosts -------------------------------------------------------------------------------------


def ends(folder: Path) -> list[str | None]:
    """The recorded end of each attempt, in order."""
    numbers = attempts.numbers(os.listdir(folder))
    return [attempts.read(folder, number).end for number in numbers]


def run_of(folder: Path, number: int = 1) -> dict[str, Any]:
    return read(folder / attempts.run_file(number))


def pid_of(folder: Path, whose: str) -> int:
    """A pid as the first attempt's run file has it: as it is on its host."""
    return int(run_of(folder)[whose]["pid"])


def begun(folder: Path, number: int = 1) -> bool:
    """Whether an attempt's command has been started."""
    path = folder / attempts.run_file(number)
    return path.exists() and bool(run_of(folder, number)["process"])


def epoch(folder: Path) -> int:
    """How far the weights in a folder are."""
    return int((files.read_bytes(folder / "last.ckpt") or b"0").strip() or 0)


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
        assert (now.reason or "").startswith("on n1, heard of 0.")
        kill_host(far)
        far.wait()
        project.release()
        done = project.searches(*ONE[2:-3])
    assert done.code == 0, done.out
    assert "is on n1, heard of" in done.out
    assert "taking over learning_rate_0.1: nothing was heard of n1" in done.out
    assert ends(folder) == [None, "completed"]
    assert project.started == ["learning_rate_0.1 0", "learning_rate_0.1 2"]
    assert project.ended == ["learning_rate_0.1"]
    assert run_of(folder, 2)["resumes"] is True


def test_a_trial_that_runs_on_another_host_is_left_alone_and_takes_no_slot(
    project: Project,
) -> None:
    """The worker here runs the others, sees that one's heart move, and leaves it be."""
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
        assert "1 running in other workers" in done.out
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
        with project.started_as("work", "experiments/search", host="n2") as second:
            wait_until(lambda: begun(folder, 2), "the second attempt")
            before = (folder / "run.json").read_bytes()
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            wait_until(lambda: processes.alive(command) is False, "the end of the first copy")
            project.release()
            assert far.wait(30) == 0, output(far)
            assert second.wait(30) == 0, output(second)
            assert "another worker has taken it over; ended here" in output(far)
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
        work = ("work", "experiments/search")
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
        assert "waiting to see whether it still does, for 2 minutes at most" in refused.err
        assert "is running: attempt 1" in refused.err
        kill_host(far)
        far.wait()
        project.release()
        done = project.modeldir(*run)
    assert done.code == 0, done.err
    assert ends(folder) == [None, "completed"]
    assert (folder / "attempts/1/console.log").exists()
    assert project.ended == ["base_model"]
