"""Workers: slots, Ctrl-C, `kill -9` of anything at any moment, several workers at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, PLAIN, THREE, Project, kill, read, supervisor_of, wait_until
from modeldir._system import processes
from modeldir.experiment import attempts, liveness
from modeldir.experiment.experiment import status
from modeldir.monitor.progress import PlainProgress, ShownTrial
from modeldir.search.trial_record import Turn
from modeldir.worker.end_reports import EndReports
from modeldir.worker.runnable_search import Search
from modeldir.worker.spawner import Spawner
from modeldir.worker.worker import Worker
from modeldir.worker.worker_limits import Limits, StopRules
from modeldir.worker.worker_log import WorkerLog

SIX = ("learning_rate=0.1,0.2,0.3,0.4,0.5,0.6",)
SEARCH = ("search", "experiments/search", *SIX, "--no-check")
TRAIN = ("--", "python", "train.py")

STUBBORN = PLAIN.replace(
    "import json, os, sys, time",
    "import json, os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
)
"""A training that does not end by TERM."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def numbers(project: Project) -> list[int]:
    """The numbers of all trials, one for each folder."""
    return sorted(read(path)["number"] for path in project.search.glob("*/trial.json"))


def output(worker: subprocess.Popen[str]) -> str:
    """All that a worker in the background printed, once it has ended."""
    assert worker.stdout is not None
    return worker.stdout.read()


def told(log: Path, words: str) -> bool:
    return words in log.read_text()


def all_recorded(project: Project) -> bool:
    """Whether every attempt that began has its end recorded."""
    return "running" not in project.trials().values()


# -- kill -9 ---------------------------------------------------------------------------------------


def test_killing_the_worker_loses_nothing_and_runs_nothing_twice(project: Project) -> None:
    """Kill -9 in trial 2 of 6: what ran is recorded, the same command finishes, each ran once."""
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        wait_until(lambda: len(project.ended) >= 1, "the first trial")
        project.hold()
        wait_until(lambda: len(project.started) >= len(project.ended) + 2, "two running ones")
        kill(worker.pid)
        worker.wait()
        running = [name for name, state in project.trials().items() if state == "running"]
        assert running
        begun = len(project.started)
        project.release()
        wait_until(lambda: all_recorded(project), "the recorded ends")
    assert len(project.started) == begun < 6
    assert all(project.trials()[name] == "completed" for name in running)
    done = project.modeldir("search", "experiments/search", "-j", "2")
    assert done.code == 0, done.out
    assert list(project.trials().values()) == ["completed"] * 6
    assert len(project.started) == len(set(project.started)) == 6
    assert sorted(project.ended) == sorted(project.started)
    assert not list(project.search.glob("*/run.2.json"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_workers_killed_at_any_moment_run_each_trial_once(project: Project, seed: int) -> None:
    """Killed again and again while trials are claimed, made, started and recorded."""
    chance = random.Random(seed)
    values = ",".join(str(value / 100) for value in range(1, 31))
    words = ("search", "experiments/search", f"learning_rate={values}", "--no-check", "-j", "3")
    for _ in range(8):
        with project.started_as(*words, *TRAIN) as worker:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(0.15 + 0.3 * chance.random())
            worker.kill()
    done = project.modeldir(*words, *TRAIN)
    assert done.code == 0, done.out
    assert list(project.trials().values()) == ["completed"] * 30
    assert len(project.ended) == len(set(project.ended)) == 30
    assert sorted(project.started) == sorted(project.ended)
    assert len(numbers(project)) == len(set(numbers(project)))


def test_trials_of_a_killed_worker_are_waited_for_and_take_slots(project: Project) -> None:
    """The next worker finds them alive: it starts no second copy and no more than its slots."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as first:
        project.wait_for_starts(2)
        kill(first.pid)
        first.wait()
        with project.started_as(*SEARCH, "-j", "2", *TRAIN) as second:
            log = project.search / "search.log"
            wait_until(
                lambda: log.read_text().count("by an earlier worker; waiting for it") == 2,
                "both found",
            )
            assert len(project.started) == 2
            project.release()
            assert second.wait(30) == 0
            text = output(second)
    assert text.splitlines()[-2].startswith("6 completed. Best: ")
    assert len(project.started) == len(set(project.started)) == 6


def test_a_copy_of_a_running_search_runs_its_trial_and_leaves_the_original_alone(
    project: Project,
) -> None:
    """`cp -r` while a trial runs: in the copy it was interrupted; in the original it runs on."""
    project.hold()
    words = ("learning_rate=0.1", "--no-check", *TRAIN)
    with project.started_as("search", "experiments/search", *words) as original:
        project.wait_for_starts(1)
        copy = project.path / "experiments" / "copy"
        shutil.copytree(project.search, copy)
        with project.started_as("search", "experiments/copy", *words) as other:
            project.wait_for_starts(2)
            project.release()
            assert other.wait(30) == 0
        assert original.wait(30) == 0
    assert project.trials() == {"learning_rate_0.1": "completed"}
    assert status(project.search / "learning_rate_0.1").attempt == 1
    assert status(copy / "learning_rate_0.1").attempt == 2


def test_a_torn_run_file_is_read_again_before_its_trial_runs_twice(project: Project) -> None:
    """A network file system shows half of it for a while: the worker waits until it is whole."""
    words = ("search", "experiments/search", "learning_rate=0.1", *TRAIN)
    assert project.modeldir(*words).code == 0
    run_file = project.search / "learning_rate_0.1" / "run.json"
    whole = run_file.read_bytes()
    run_file.write_bytes(whole[:100])
    with project.started_as(*words) as worker:
        log = project.search / "search.log"
        wait_until(lambda: "its run file is incomplete" in log.read_text(), "the doubt")
        run_file.write_bytes(whole)
        assert worker.wait(30) == 0
    assert project.started == ["learning_rate_0.1"]
    assert project.trials() == {"learning_rate_0.1": "completed"}


def test_a_run_file_that_stays_torn_keeps_no_trial_for_ever(project: Project) -> None:
    """A power cut left it: it is watched like another host's, then its trial runs again."""
    words = ("search", "experiments/search", "learning_rate=0.1,0.2", "--no-check", *TRAIN)
    assert project.modeldir(*words).code == 0
    for name in ("learning_rate_0.1", "learning_rate_0.2"):
        (project.search / name / "run.json").write_bytes(b"")
    (project.search / "learning_rate_0.1" / "metrics_eval_best_weights.json").unlink()
    assert project.modeldir(*words, MODELDIR_HEARTBEAT="0.1").code == 0
    assert project.started.count("learning_rate_0.1") == 2
    assert project.started.count("learning_rate_0.2") == 1
    assert project.trials() == {"learning_rate_0.1": "completed", "learning_rate_0.2": "running"}


def test_a_killed_supervisor_takes_its_trial_along_and_it_runs_again(project: Project) -> None:
    """The command dies with its supervisor; the worker sees it and starts the trial afresh."""
    project.hold()
    with project.started_as(
        "search", "experiments/search", "learning_rate=0.1", "--no-check", *TRAIN
    ) as worker:
        project.wait_for_starts(1)
        folder = project.search / "learning_rate_0.1"
        command = liveness.command_process(attempts.read(folder, 1))
        kill(supervisor_of(folder))
        project.wait_for_starts(2)
        assert command is not None
        assert processes.alive(command) is False
        project.release()
        assert worker.wait(30) == 0
        text = output(worker)
    assert "interrupted   1  learning_rate_0.1" in text
    assert text.splitlines()[-2].startswith("1 completed. Best: ")
    assert read(folder / "run.2.json")["status"] == "completed"
    assert project.ended == ["learning_rate_0.1"]


def test_a_trial_that_keeps_being_interrupted_is_left_behind_and_that_is_no_success(
    project: Project,
) -> None:
    """One worker starts it twice; the next command may try again."""
    project.write(
        "train.py",
        "import os, signal\n"
        "open('.started.txt', 'a').write('x\\n')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n",
    )
    for runs in (2, 4):
        done = project.searches("learning_rate=0.1", "--no-check")
        assert done.code == 1
        assert len(project.started) == runs
    assert project.trials() == {"learning_rate_0.1": "interrupted"}


def test_a_killed_spawner_is_not_missed(project: Project) -> None:
    """The supervisors that are there run all the others."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        spawner, *_ = processes.descendants(worker.pid)
        kill(spawner)
        project.release()
        assert worker.wait(30) == 0
    assert len(project.started) == len(set(project.started)) == 6
    assert all_recorded(project)


def test_where_no_supervisor_can_be_made_the_worker_ends_with_words(project: Project) -> None:
    """Nothing is lost, and exit code 0 is not claimed."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        spawner, *_ = processes.descendants(worker.pid)
        kill(spawner)
        running = [name for name, status in project.trials().items() if status == "running"]
        kill(supervisor_of(project.search / running[0]))
        assert worker.wait(30) == 2
        project.release()
        text = output(worker)
    assert "The process that starts commands was killed" in text
    assert "Traceback" not in text
    wait_until(lambda: all_recorded(project), "the recorded ends")
    assert project.modeldir("search", "experiments/search").code == 0
    assert len(project.ended) == len(set(project.ended)) == 6


def test_a_supervisor_killed_after_the_spawner_is_missed(project: Project) -> None:
    """Nobody tells of its death any more, and another supervisor lives on, free: who runs on such
    a machine must not wait for ever.
    """
    project.write("train.py", PLAIN.replace('exists("hold")', 'exists("hold." + name)'))
    project.write("hold.learning_rate_0.1", "")
    words = ("search", "experiments/search", "learning_rate=0.1,0.2", "--no-check", "-j", "2")
    with project.started_as(*words, *TRAIN) as worker:
        folder = project.search / "learning_rate_0.1"
        wait_until(lambda: project.trials().get("learning_rate_0.2") == "completed")
        wait_until(lambda: project.trials()[folder.name] == "running")
        spawner, *_ = processes.descendants(worker.pid)
        wait_until(lambda: attempts.read(folder, 1).record["process"], "the command's identity")
        command = processes.from_json(attempts.read(folder, 1).record["process"])
        assert command is not None
        kill(spawner)
        kill(supervisor_of(folder))
        wait_until(lambda: processes.alive(command) is False, "the command's death")
        (project.path / "hold.learning_rate_0.1").unlink()
        assert worker.wait(30) in (0, 2)  # the one that is free by then runs it once more
    assert project.modeldir("search", "experiments/search").code == 0
    assert set(project.trials().values()) == {"completed"}
    assert project.ended.count("learning_rate_0.1") == 1


def test_children_that_a_killed_supervisor_left_are_ended_before_the_next_attempt(
    project: Project,
) -> None:
    """Data loaders of a dead attempt would write into the folder of the new one."""
    project.write(
        "train.py",
        "import os, sys, time\n"
        "open('.started.txt', 'a').write('x\\n')\n"
        "if os.environ['MODELDIR_ATTEMPT'] == '1':\n"
        "    if os.fork() == 0:\n"
        "        open('child.txt', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n",
    )
    with project.started_as(
        "search", "experiments/search", "learning_rate=0.1", "--no-check", *TRAIN
    ) as worker:
        wait_until(lambda: project.lines("child.txt"), "the child")
        child = processes.process(int(project.lines("child.txt")[0]))
        assert child is not None
        kill(supervisor_of(project.search / "learning_rate_0.1"))
        assert worker.wait(30) == 0
        assert processes.alive(child) is False


def test_killing_a_worker_of_a_job_ends_its_trials(project: Project) -> None:
    """Inside a cluster's job nothing may outlive it: `modeldir worker` ties trials to itself."""
    project.searches(*SIX, "--dry-run")
    project.write(
        "experiments/search/search.json",
        json.dumps({"space": {"learning_rate": [0.1, 0.2]}, "command": "python train.py"}),
    )
    project.hold()
    with project.started_as("worker", "experiments/search", "-j", "2", "--no-check") as worker:
        project.wait_for_starts(2)
        kill(worker.pid)
        worker.wait()
        wait_until(lambda: all_recorded(project), "the recorded ends")
    assert list(project.trials().values()) == ["interrupted"] * 2
    folder = project.search / "learning_rate_0.1"
    assert read(folder / "run.json")["reason"] == "the worker is gone"
    project.release()
    assert project.modeldir("worker", "experiments/search", "--no-check").code == 0
    assert list(project.trials().values()) == ["completed"] * 2


# -- Ctrl-C ----------------------------------------------------------------------------------------


def test_one_ctrl_c_starts_no_new_trials_and_waits(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """It says which trials it waits for, and the same command goes on afterwards."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        names = sorted(project.wait_for_starts(2))
        worker.send_signal(signal.SIGINT)
        log = project.search / "search.log"
        wait_until(lambda: "Stopping" in log.read_text(), "the answer")
        assert worker.poll() is None
        project.release()
        assert worker.wait(30) == 130
        text = output(worker)
    assert (
        "Stopping: no new trials start; waiting for trial 1 (learning_rate_0.1), "
        "trial 2 (learning_rate_0.2) to finish." in text
    )
    assert text.splitlines()[-2:] == snapshot
    assert sorted(project.started) == names
    assert list(project.trials().values()) == ["completed"] * 2
    assert project.modeldir("search", "experiments/search").code == 0
    assert len(project.started) == len(set(project.started)) == 6


def test_a_trial_made_ahead_waits_for_the_next_command(project: Project) -> None:
    """Made while the others run, once one went well; who stops the search leaves it, to be run."""
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        wait_until(lambda: project.ended, "the first trial")
        project.hold()
        wait_until(lambda: "pending" in project.trials().values(), "a trial made ahead")
        worker.send_signal(signal.SIGINT)
        wait_until(partial(told, project.search / "search.log", "Stopping"), "the answer")
        project.release()
        assert worker.wait(30) == 130
        text = output(worker)
    states = [*project.trials().values()]
    assert states.count("pending") == 1
    assert f"{6 - states.count('completed')} not started. Best: " in text
    assert project.modeldir("search", "experiments/search").code == 0
    assert len(project.started) == len(set(project.started)) == 6
    assert numbers(project) == [1, 2, 3, 4, 5, 6]


def test_nothing_is_made_ahead_before_a_trial_went_well(project: Project) -> None:
    """Who mends the script after the first failures finds no trial that he has not seen begin."""
    project.write("train.py", "raise SystemExit('broken')")
    assert project.modeldir(*SEARCH, "-j", "2", *TRAIN).code == 1
    assert "pending" not in project.trials().values()


def test_a_second_ctrl_c_ends_the_running_trials(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """They are recorded as interrupted, and the next command runs them again."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        worker.send_signal(signal.SIGINT)
        wait_until(partial(told, project.search / "search.log", "Stopping"), "the answer")
        worker.send_signal(signal.SIGINT)
        assert worker.wait(30) == 130
        text = output(worker)
    assert "Interrupting trial 1 (learning_rate_0.1), trial 2 (learning_rate_0.2)" in text
    assert text.splitlines()[-2:] == snapshot
    assert list(project.trials().values()) == ["interrupted"] * 2
    record = read(project.search / "learning_rate_0.1/run.json")
    assert (record["signal"], record["intent"]["reason"]) == ("SIGTERM", "asked to stop")
    project.release()
    assert project.modeldir("search", "experiments/search").code == 0
    assert sorted(project.ended) == sorted(set(project.started))
    assert len(project.ended) == 6


def test_a_third_ctrl_c_kills(tmp_path: Path) -> None:
    """A training that ignores TERM ends too, at once, and counts as interrupted."""
    project = Project(tmp_path, STUBBORN)
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        log = project.search / "search.log"
        for words in ("Stopping", "Interrupting", "Killing"):
            worker.send_signal(signal.SIGINT)
            wait_until(partial(told, log, words), words)
        assert worker.wait(8) == 130  # sooner than any grace
    assert list(project.trials().values()) == ["interrupted"] * 2
    assert read(project.search / "learning_rate_0.1/run.json")["signal"] == "SIGKILL"


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_trials(project: Project) -> None:
    """A terminal signals its whole foreground group: trials are in sessions of their own."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        os.killpg(worker.pid, signal.SIGINT)
        log = project.search / "search.log"
        wait_until(lambda: "Stopping" in log.read_text(), "the answer")
        project.release()
        assert worker.wait(30) == 130
    assert list(project.trials().values()) == ["completed"] * 2


# -- Several at once -------------------------------------------------------------------------------


def test_two_workers_share_a_search(project: Project) -> None:
    """Each trial runs once, no number is used twice, both end well."""
    values = ",".join(str(value / 100) for value in range(1, 25))
    words = ("search", "experiments/search", f"learning_rate={values}", "--no-check", "-j", "2")
    with project.started_as(*words, *TRAIN) as one, project.started_as(*words, *TRAIN) as two:
        assert (one.wait(60), two.wait(60)) == (0, 0)
    assert list(project.trials().values()) == ["completed"] * 24
    assert len(project.started) == len(set(project.started)) == 24
    assert numbers(project) == list(range(1, 25))
    assert not list(project.search.glob("*/run.2.json"))
    assert not list(project.search.glob("*/attempts"))


def test_of_two_who_have_the_same_turn_one_runs_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn names the attempt: who comes late finds it taken, and starts no second one."""
    monkeypatch.chdir(project.path)
    Search(project.search, {"learning_rate": [0.1, 0.2]}).prepare("python train.py")
    searches = [Search(project.search), Search(project.search)]
    for search in searches:
        search.prepare()
    turns = [search.scheduler.next_trial() for search in searches]
    assert turns[0] == turns[1]
    turn = turns[1]
    assert turn is not None
    assert project.modeldir("search", "experiments/search").code == 0
    late = Worker(searches[1], 1, PlainProgress(None))
    seat = late.slots.take()
    assert seat is not None
    with Spawner() as spawner:
        late._start(spawner, turn, seat)
        select.select([spawner.reports], [], [], LIMIT)
        assert [report.what for report in spawner.read()][:1] == ["taken"]
    assert project.started == ["learning_rate_0.1", "learning_rate_0.2"]
    assert not (project.search / "learning_rate_0.1/run.2.json").exists()


def test_a_trial_that_another_was_faster_to_take_does_not_count(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that may start one trial (a job for each) and finds it taken starts another."""
    monkeypatch.chdir(project.path)
    first = Search(project.search, {"learning_rate": [0.1, 0.2]})
    first.prepare("python train.py")
    stale = [first.scheduler.next_trial()]
    assert project.modeldir("worker", "experiments/search", "--trials", "1").code == 0
    assert project.started == ["learning_rate_0.1"]

    late = Search(project.search)
    next_trial = late.scheduler.next_trial

    def next_or_stale(busy: frozenset[int] = frozenset()) -> Turn | None:
        return stale.pop() if stale else next_trial(busy)

    monkeypatch.setattr(late.scheduler, "next_trial", next_or_stale)
    worker = Worker(late, 1, PlainProgress(None), check_first=False, limits=Limits(trials=1))
    worker.run(None, typed=False)
    assert project.started == ["learning_rate_0.1", "learning_rate_0.2"]


def test_a_worker_counts_what_others_still_run(project: Project) -> None:
    """It ends when nothing is left for it, and says that the search is not over."""
    project.hold()
    words = ("search", "experiments/search", "learning_rate=0.1", "--no-check", *TRAIN)
    with project.started_as(*words) as first:
        project.wait_for_starts(1)
        done = project.modeldir("search", "experiments/search")
        assert done.code == 0
        assert "1 still running in other workers" in done.out
        project.release()
        assert first.wait(30) == 0
    assert len(project.started) == 1


# -- While it runs ---------------------------------------------------------------------------------


def test_a_plan_grows_while_a_worker_runs(project: Project) -> None:
    """It reads search.json again, also when it had already started all that there was."""
    project.hold()
    words = ("search", "experiments/search", "learning_rate=0.1", "--no-check", "-j", "2", *TRAIN)
    with project.started_as(*words) as worker:
        project.wait_for_starts(1)
        plan = {**project.plan(), "space": {"learning_rate": [0.1, 0.01]}}
        project.write("experiments/search/search.json", json.dumps(plan))
        project.release()
        assert worker.wait(30) == 0
    assert sorted(project.ended) == ["learning_rate_0.01", "learning_rate_0.1"]


def test_a_plan_broken_while_a_worker_runs_lets_the_running_trials_end(project: Project) -> None:
    """No new trials; the message is the one that the command would have given."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        project.write("experiments/search/search.json", '{"space": {]}')
        project.release()
        assert worker.wait(30) == 2
        text = output(worker)
    assert "2 completed" in text
    assert "search.json, line 1, column 12" in text
    assert "Nothing was started" not in text
    assert "Traceback" not in text
    assert len(project.started) == 2


def test_a_base_changed_while_a_worker_runs_stops_the_search_at_the_next_reading(
    project: Project,
) -> None:
    """Else the whole grid would begin again with the new base, and nobody had asked for that."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        project.params("experiments/search", learning_rate=0.5, batch_size=99)
        project.write("experiments/search/search.json", json.dumps({**project.plan(), "seed": 1}))
        project.release()
        assert worker.wait(30) == 2
        text = output(worker)
    assert "batch_size: 16 -> 99" in text
    assert len(project.started) == 2


def test_a_trial_removed_while_it_runs_does_not_hold_up_the_others(project: Project) -> None:
    """Nobody can record its end; the rest of the search is done."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        shutil.rmtree(project.search / "learning_rate_0.1")
        project.release()
        assert worker.wait(30) in (0, 1)
        text = output(worker)
    assert "Traceback" not in text
    assert len(project.trials()) == 5
    assert set(project.trials().values()) == {"completed"}


def test_a_renamed_trial_is_not_made_again_when_the_plan_is_read_again(project: Project) -> None:
    """A worker that reads the plan again looks at the folders again too."""
    project.searches("learning_rate=0.1,0.2", "--no-check")
    (project.search / "learning_rate_0.1").rename(project.search / "best so far")
    project.hold()
    words = ("search", "experiments/search", "learning_rate=0.3", "--no-check", *TRAIN)
    with project.started_as(*words) as worker:
        project.wait_for_starts(3)
        plan = {**project.plan(), "space": {"learning_rate": [0.1, 0.2, 0.3, 0.4]}}
        project.write("experiments/search/search.json", json.dumps(plan))
        project.release()
        assert worker.wait(30) == 0
    assert project.started == [f"learning_rate_0.{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("seconds", "how", "times"),
    [(700, "", 1), (500, "", 0), (700, "the plan", 0), (700, "the script", 0)],
)
def test_a_long_trial_that_cannot_resume_is_warned_of_once(
    project: Project, seconds: float, how: str, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no warning if the plan has `--resume`, or the script saves by our helpers."""
    resume = ("--resume", "--restore_file last") if how == "the plan" else ()
    project.searches("learning_rate=0.1", "--no-check", *resume)
    if how == "the script":
        attempts.add_event(project.search / "learning_rate_0.1", 1, "can_resume")
    search = Search(project.search)
    search.trials.refresh()
    (record,) = search.trials
    log = WorkerLog(search.path, PlainProgress(sys.stdout))
    reports = EndReports(search, log, StopRules(search, Limits(), log, running=()))
    status = replace(search.trials.status(record), duration=seconds)
    for _ in range(2):
        reports.trial_ended(record, status, ShownTrial(record.name, search.trials.path(record), 0))
    told = capsys.readouterr().out
    assert told.count("an interrupted trial starts again from the beginning") == times


def test_a_reader_that_goes_away_does_not_end_the_search(project: Project) -> None:
    """`modeldir search ... | head -1`: the trials run all the same."""
    line = f"{sys.executable} -m modeldir {' '.join(SEARCH)} {' '.join(TRAIN)} | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Grid search: 6 trials, one at a time.\n", "")
    assert list(project.trials().values()) == ["completed"] * 6


def test_nothing_of_a_worker_is_inherited_by_the_trials(project: Project) -> None:
    """A trial must not hold our pipe, our lock or our descriptors open."""
    project.write(
        "train.py",
        "import json, os, sys\n"
        "with open(sys.argv[2] + '/fds.json', 'w') as file:\n"
        "    json.dump(sorted(fd for fd in os.listdir('/proc/self/fd') if int(fd) < 100), file)\n"
        "assert os.read(0, 1) == b''\n",
    )
    assert project.searches(*THREE).code == 0
    seen = {path.read_text() for path in project.search.glob("*/fds.json")}
    assert seen == {'["0", "1", "2", "3", "4"]'}  # 3 and 4: the file being written, the listing


def test_what_ended_while_no_worker_lived_is_told_once(project: Project) -> None:
    """By the next one, in its output and in the log; what the dead one told itself is not."""
    project.hold()
    with project.started_as(*SEARCH, "-j", "2", *TRAIN) as worker:
        project.wait_for_starts(2)
        (project.path / "fail.learning_rate_0.2").touch()
        worker.kill()
        worker.wait()
    project.release()
    names = ("learning_rate_0.1", "learning_rate_0.2")
    ends = {"completed", "failed"}
    wait_until(lambda: {project.trials()[name] for name in names} == ends, "two ends")
    project.hold()
    with project.started_as("search", "experiments/search", "--no-check", "-j", "2") as worker:
        project.wait_for_starts(4)
        worker.kill()
        said = output(worker)
        worker.wait()
    assert said.splitlines()[0].startswith("Resuming grid search: 2 of 6 trials done (1 failed), 2")
    assert said.splitlines()[1].startswith("completed     1  learning_rate_0.1  accuracy 0.9  ")
    assert "\nfailed        2  learning_rate_0.2  ValueError" in said
    assert told(project.search / "search.log", "completed 1  learning_rate_0.1  accuracy 0.9")
    project.release()
    done = project.modeldir("search", "experiments/search", "--no-check")
    assert "completed     1  learning_rate_0.1 " not in done.out
    assert "failed        2  learning_rate_0.2 " not in done.out
    assert "completed     3  learning_rate_0.3 " in done.out


def test_a_search_log_tells_what_happened_and_when(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """For who comes back the next morning."""
    project.write("fail.learning_rate_0.01", "")
    project.searches(*THREE)
    lines = (project.search / "search.log").read_text().splitlines()
    assert all(line[:4].isdigit() and line[10] == "T" for line in lines)
    words = [line.partition(" ")[2] for line in lines]
    assert words[0].endswith(", -j 1")
    assert [word.partition("  0.")[0].rstrip() for word in words[1:]] == snapshot


def test_the_status_of_a_running_trial_is_computed_from_its_processes(project: Project) -> None:
    """While it runs its folder says running; nothing was written for that."""
    project.hold()
    words = ("search", "experiments/search", "learning_rate=0.1", "--no-check", *TRAIN)
    with project.started_as(*words) as worker:
        project.wait_for_starts(1)
        folder = project.search / "learning_rate_0.1"
        assert status(folder).state == "running"
        shutil.copytree(folder, project.search / "copy")
        assert status(project.search / "copy").state == "interrupted"
        shutil.rmtree(project.search / "copy")
        project.release()
        assert worker.wait(30) == 0
    assert status(folder).state == "completed"
