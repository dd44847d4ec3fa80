"""A search looked at again and again: what is told, what happened meanwhile, and what is read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from laboratory import wait_until
from modeldir._system import disks, heartbeat, processes
from modeldir.commands import main
from modeldir.experiment import attempts, experiment
from modeldir.monitor.experiment import ExperimentMonitor
from modeldir.monitor.live_lines import Shape, experiment_lines
from modeldir.monitor.search import SearchMonitor
from modeldir.monitor.snapshots import Event, TimeLeft
from modeldir.search import worker_registry
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials

BASE = {"learning_rate": 0.5, "batch_size": 16, "num_epochs": 3}
PLAN = {"space": {"learning_rate": [0.1, 0.01, 0.001]}, "maximize": "accuracy"}
EVAL = "metrics_eval_best_weights.json"
BEGAN = "2026-11-24T10:00:00.000+00:00"
BEGAN_S = 1_795_514_400.0


class Made:
    """A search's folder, made as the search and its workers make it."""

    def __init__(self, folder: Path, plan: Mapping[str, Any] | None = PLAN) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "params.json").write_text(json.dumps(BASE))
        if plan is not None:
            (folder / "search.json").write_text(json.dumps(plan))
        self.trials = Trials(folder, ("learning_rate",))
        self._attempts: dict[str, attempts.Attempt] = {}

    def trial(self, value: float) -> TrialRecord:
        self.trials.refresh()
        record = self.trials.claim({"learning_rate": value}, {**BASE, "learning_rate": value})
        assert record is not None
        return record

    def begin(self, record: TrialRecord, number: int = 1, keeper: object = None) -> None:
        """An attempt that runs as long as we do, or as `keeper` does."""
        me = processes.process()
        assert me is not None
        facts = {"supervisor": keeper or me.to_json(), "process": None}
        attempt = attempts.begin(self.trials.path(record), number, facts)
        assert attempt is not None
        self._attempts[record.name] = attempts.rewrite(attempt, {"started": BEGAN})

    def end(self, record: TrialRecord, status: str = "completed", **values: Any) -> None:
        if "accuracy" in values:
            scores = {"accuracy": values.pop("accuracy")}
            (self.trials.path(record) / EVAL).write_text(json.dumps(scores))
        attempt = self._attempts[record.name]
        attempts.rewrite(attempt, {"status": status, "duration": 60.0, **values})

    def log(self, record: TrialRecord, step: int, **values: float) -> None:
        with open(self.trials.path(record) / "metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "search")


def dead() -> dict[str, Any]:
    """The identity of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = processes.process(process.pid)
        assert known is not None
        process.communicate(b"\n")
    return known.to_json()


# -- How it stands ---------------------------------------------------------------------------------


def test_a_search_that_runs(made: Made) -> None:
    """What runs with its values, step, metric and age; the best; how far; how long."""
    one, two = made.trial(0.1), made.trial(0.01)
    made.begin(one)
    made.end(one, accuracy=0.75)
    made.begin(two)
    made.log(two, 0, accuracy=0.5)
    made.log(two, 1, accuracy=0.625)
    standing = SearchMonitor(made.folder, now=lambda: BEGAN_S + 45).update()
    (row,) = standing.running
    assert (row.name, row.number, row.step, row.value) == ("learning_rate_0.01", 2, 1, 0.625)
    assert (row.curve, row.age, row.values["learning_rate"]) == ((0.5, 0.625), 45.0, 0.01)
    assert standing.varied == ("learning_rate",)
    assert standing.best == ("trial 1 (learning_rate_0.1)", 0.75)
    assert (standing.ended, standing.total, standing.remaining) == (1, 3, 1)
    assert standing.time_left == TimeLeft(75.0, sure=True)
    assert not standing.is_over


def test_slots_of_all_workers_count(made: Made) -> None:
    """One who joins makes it sooner over."""
    one = made.trial(0.1)
    made.begin(one)
    made.end(one, accuracy=0.75)
    made.begin(made.trial(0.01))
    overview = SearchMonitor(made.folder, now=lambda: BEGAN_S)
    assert overview.update().time_left == TimeLeft(120.0, sure=True)
    worker_registry.register(made.folder, 2)
    assert overview.update().time_left == TimeLeft(60.0, sure=True)


def test_a_search_that_has_not_begun_is_not_over(made: Made) -> None:
    """Its worker may wait in a job manager's queue."""
    standing = SearchMonitor(made.folder).update()
    assert (standing.is_over, standing.total, dict(standing.states)) == (False, 3, {})


def test_a_search_without_a_plan_is_told_by_its_folders(tmp_path: Path) -> None:
    """As CS230's own script leaves it: what varies is what differs."""
    made = Made(tmp_path / "search", plan=None)
    for value in (0.1, 0.2):
        folder = made.folder / f"learning_rate_{value}"
        folder.mkdir()
        (folder / "params.json").write_text(json.dumps({**BASE, "learning_rate": value}))
        (folder / EVAL).write_text(json.dumps({"accuracy": value}))
    standing = SearchMonitor(made.folder).update()
    assert (standing.varied, standing.total) == (("learning_rate",), None)
    assert standing.best == ("trial 2 (learning_rate_0.2)", 0.2)
    assert standing.is_over


def test_trials_that_nobody_records_are_read_as_they_are_written(tmp_path: Path) -> None:
    """CS230's own loop: no run file, and one metric file that is written in place."""
    made = Made(tmp_path / "cs230", plan=None)
    path = made.folder / "a" / EVAL
    path.parent.mkdir()
    (path.parent / "params.json").write_text(json.dumps(BASE))
    overview = SearchMonitor(made.folder)
    for value in (0.5, 0.75):
        path.write_text(json.dumps({"accuracy": value}))
        assert overview.update().best == ("trial 1 (a)", value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"space": {"nope": [1]}}', '{"trials": "x"}'])
def test_a_plan_that_cannot_be_read_is_told(made: Made, text: str) -> None:
    """The trials are there all the same, and nothing is made up of how many will come."""
    made.begin(made.trial(0.1))
    (made.folder / "search.json").write_text(text)
    standing = SearchMonitor(made.folder).update()
    assert standing.problem
    assert len(standing.running) == 1
    assert (standing.total, standing.time_left) == (None, None)


def test_without_a_metric_in_the_plan_it_is_chosen(tmp_path: Path) -> None:
    """By what completed trials have, before that by what the running ones log."""
    made = Made(tmp_path / "search", {"space": {"learning_rate": [0.1, 0.01]}})
    one = made.trial(0.1)
    made.begin(one)
    overview = SearchMonitor(made.folder)
    assert overview.update().metric is None
    made.log(one, 0, **{"val/loss": 2.0, "train/loss": 1.0})
    standing = overview.update()
    assert standing.metric == ("loss", "minimize")
    assert standing.running[0].value == 2.0


def test_a_growing_plan_grows_the_count(made: Made) -> None:
    """`search.json` is read again when it changes."""
    overview = SearchMonitor(made.folder)
    assert overview.update().total == 3
    space = {"learning_rate": [0.1, 0.01, 0.001, 1.0]}
    (made.folder / "search.json").write_text(json.dumps({**PLAN, "space": space}))
    assert overview.update().total == 4


# -- What happens ----------------------------------------------------------------------------------


def test_news_between_looks(made: Made) -> None:
    """Starts and ends, each once, with the words of the worker; nothing of how it stood first."""
    one, two = made.trial(0.1), made.trial(0.01)
    made.begin(one)
    overview = SearchMonitor(made.folder)
    overview.update()
    assert overview.take_events() == []
    made.end(one, accuracy=0.75)
    made.begin(two)
    overview.update()
    overview.update()
    assert overview.take_events() == [
        Event("learning_rate_0.1", "completed", "accuracy 0.75  1m 00s", number=1),
        Event("learning_rate_0.01", "running", number=2),
    ]
    made.end(two, "failed", failure="error", last_line="ValueError: nan")
    three = made.trial(0.001)
    made.begin(three)
    made.end(three, "interrupted", reason="asked to stop")
    overview.update()
    assert overview.take_events() == [
        Event("learning_rate_0.01", "failed", "ValueError: nan  1m 00s", number=2),
        Event("learning_rate_0.001", "running", number=3),
        Event("learning_rate_0.001", "interrupted", "asked to stop  1m 00s", number=3),
    ]


def test_a_failed_trial_that_runs_again_is_seen(made: Made) -> None:
    """An end is final only until somebody runs it once more."""
    one = made.trial(0.1)
    made.begin(one)
    made.end(one, "failed", failure="error")
    overview = SearchMonitor(made.folder)
    overview.update()
    made.begin(one, 2)
    assert len(overview.update().running) == 1
    assert overview.take_events() == [Event("learning_rate_0.1", "running", number=1)]


def test_a_trial_that_died_without_a_word_is_interrupted(made: Made) -> None:
    """No file tells it: its process is asked for, now and then."""
    one = made.trial(0.1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        keeper = processes.process(process.pid)
        assert keeper is not None
        made.begin(one, keeper=keeper.to_json())
        overview = SearchMonitor(made.folder)
        assert len(overview.update().running) == 1
        process.communicate(b"\n")
    standings = [overview.update() for _ in range(7)]
    assert dict(standings[-1].states) == {"interrupted": 1}
    assert [news.state for news in overview.take_events()] == ["interrupted"]


def test_a_trial_that_was_removed_never_happened(made: Made) -> None:
    """By hand, while it was looked at."""
    one, two = made.trial(0.1), made.trial(0.01)
    for record in (one, two):
        made.begin(record)
        made.end(record, accuracy=0.5)
    overview = SearchMonitor(made.folder)
    assert overview.update().ended == 2
    shutil.rmtree(made.trials.path(two))
    assert overview.update().ended == 1


def test_a_folder_without_a_claim_is_a_trial_once_it_has_hyperparameters(made: Made) -> None:
    """Copied in, or made by another script: also if it was empty when it was first seen."""
    folder = made.folder / "by_hand"
    folder.mkdir()
    overview = SearchMonitor(made.folder)
    assert sum(overview.update().states.values()) == 0
    (folder / "params.json").write_text(json.dumps({**BASE, "learning_rate": 0.1}))
    assert sum(overview.update().states.values()) == 1


# -- When it is over -------------------------------------------------------------------------------


def test_between_two_trials_a_search_is_not_over(made: Made) -> None:
    """While its worker lives another trial may begin; when it is gone, nobody works on it."""
    one = made.trial(0.1)
    made.begin(one)
    made.end(one, accuracy=0.5)
    member = worker_registry.register(made.folder, 1)
    overview = SearchMonitor(made.folder)
    standing = overview.update()
    assert (standing.worker, standing.is_over) == (True, False)
    member.leave()
    standing = overview.update()
    assert (standing.worker, standing.is_over, standing.remaining) == (False, True, 2)


def test_a_worker_that_was_killed_is_no_worker(made: Made) -> None:
    """Its entry is still there; its process is not."""
    one = made.trial(0.1)
    made.begin(one)
    made.end(one, accuracy=0.5)
    member = worker_registry.register(made.folder, 1)
    entry = made.folder / ".modeldir/workers" / f"{member.token}.json"
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "process": dead()}))
    assert SearchMonitor(made.folder).update().is_over


def test_a_worker_on_another_host_may_live(made: Made) -> None:
    """Unknown is never taken for dead; but where nothing is left to do it is over."""
    records = [made.trial(value) for value in (0.1, 0.01, 0.001)]
    for record in records[:2]:
        made.begin(record)
        made.end(record, accuracy=0.5)
    member = worker_registry.register(made.folder, 1)
    entry = made.folder / ".modeldir/workers" / f"{member.token}.json"
    far = {**dead(), "host": "far", "boot": "another", "machine": "another"}
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "process": far}))
    overview = SearchMonitor(made.folder)
    standing = overview.update()
    assert (standing.worker, standing.is_over) == (None, False)
    made.begin(records[2])
    made.end(records[2], accuracy=0.5)
    assert overview.update().is_over


def test_a_search_on_other_hosts_is_over_when_nobody_there_is_heard_of(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While their heartbeats move it is not, though trials are left; nor is it before that is
    known.
    """
    monkeypatch.setenv(heartbeat.VARIABLE, "0.1")
    one, two = made.trial(0.1), made.trial(0.01)
    made.begin(one)
    made.end(one, accuracy=0.5)
    far = {**dead(), "host": "far", "boot": "another", "machine": "another"}
    member = worker_registry.register(made.folder, 1)
    entry = made.folder / ".modeldir/workers" / f"{member.token}.json"
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "process": far}))
    attempt = attempts.begin(made.folder / two.name, 1, {"supervisor": far, "process": far})
    assert attempt is not None
    overview = SearchMonitor(made.folder)
    first = overview.update()
    assert (first.states["running"], first.is_over) == (1, False)

    def beats(path: Path) -> bool:
        heartbeat.beat(path)
        return overview.update().worker is True

    def is_interrupted() -> bool:
        heartbeat.beat(entry)
        return overview.update().states.get("interrupted") == 1

    wait_until(is_interrupted, "the trial's death to be seen")
    wait_until(lambda: beats(entry), "the worker's heartbeat to be seen")
    assert not overview.update().is_over
    wait_until(lambda: overview.update().is_over, "the worker's death to be seen")


def test_show_counts_trials_as_who_watches_does(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though it reads each trial once, with the table: also those that no table has, such as one
    that was claimed and has no hyperparameters yet; none that was removed, or is another search's.
    """
    for value, status in ((0.1, "completed"), (0.2, "failed"), (0.3, "pruned")):
        record = made.trial(value)
        made.begin(record)
        made.end(record, status, accuracy=value)
    made.begin(made.trial(0.4))
    made.begin(made.trial(0.5), keeper=dead())
    (made.trials.path(made.trial(0.6)) / "train.log").write_text("by hand\n")
    bare, removed = made.trial(0.7), made.trial(0.8)
    (made.trials.path(bare) / "params.json").unlink()
    shutil.rmtree(made.trials.path(removed))
    other = Made(made.folder / "other")
    other.begin(other.trial(0.9))
    (made.folder / "copied").mkdir()
    (made.folder / "copied" / "params.json").write_text(json.dumps({**BASE, "learning_rate": 7.0}))
    states = SearchMonitor(made.folder).update().states
    assert states == {
        "completed": 1, "failed": 1, "pruned": 1, "running": 1, "interrupted": 1, "untracked": 1,
        "pending": 2,
    }  # fmt: skip
    assert main(["show", str(made.folder)]) == 0
    (line,) = (each for each in capsys.readouterr().out.splitlines() if each.startswith("trials"))
    order = [*attempts.ENDS, "running", "pending", "untracked"]
    counts = ", ".join(f"{states[state]} {state}" for state in order)
    assert line.split(maxsplit=1)[1] == f"{counts}, 2 remaining"


def test_show_says_that_the_goal_is_reached(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """By the trials of this search alone, as its workers see it."""
    (made.folder / "search.json").write_text(json.dumps({**PLAN, "target": 0.75}))
    one = made.trial(0.1)
    made.begin(one)
    made.end(one, accuracy=0.75)
    assert SearchMonitor(made.folder).update().goal == 0.75
    main(["show", str(made.folder)])
    assert "1 completed, 2 not started: target 0.75 is reached" in capsys.readouterr().out


# -- What it costs ---------------------------------------------------------------------------------


def test_finished_trials_are_read_once(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand trials a look reads those that run, and only asks when others changed."""
    for index in range(60):
        record = made.trial(1 + index)
        made.begin(record)
        made.end(record, accuracy=0.5)
    made.begin(made.trial(0.1))
    overview = SearchMonitor(made.folder)
    for _ in range(4):  # what has just changed is read twice, finished ones in turn
        overview.update()
    read: list[str] = []
    real = experiment.status

    def status(folder: Path, **settings: Any) -> experiment.Status:
        read.append(folder.name)
        return real(folder, **settings)

    monkeypatch.setattr(experiment, "status", status)
    for _ in range(10):
        overview.update()
    assert set(read) <= {"learning_rate_0.1"}
    assert len(read) <= 3


def test_looking_writes_nothing(made: Made) -> None:
    """Also where it may not: on somebody else's folder."""
    made.begin(made.trial(0.1))
    (made.folder / "by_hand").mkdir()
    (made.folder / "by_hand/params.json").write_text(json.dumps(BASE))

    def tree() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in sorted(made.folder.rglob("*"))}

    before = tree()
    overview = SearchMonitor(made.folder)
    for _ in range(3):
        overview.update()
    assert tree() == before


def test_a_folder_that_is_gone_is_no_error(made: Made) -> None:
    """Removed, or on a file system that was unmounted."""
    made.begin(made.trial(0.1))
    overview = SearchMonitor(made.folder)
    overview.update()
    shutil.rmtree(made.folder)
    assert overview.update().running == ()


# -- One experiment --------------------------------------------------------------------------------


def test_one_experiment_that_runs(made: Made) -> None:
    """Its metrics, those of training last, and the lines that it printed last."""
    one = made.trial(0.1)
    folder = made.trials.path(one)
    made.begin(one)
    (folder / "console.log").write_text("a\n\x1b[31mb\x1b[0m\n 10%\r 20%\r 30%\nlast", newline="")
    solo = ExperimentMonitor(folder, lines=3, now=lambda: BEGAN_S + 5)
    solo.update()
    made.log(one, 4, **{"train/loss": 1.0, "accuracy": 0.5})
    alone = solo.update()
    assert [name for name, _, _ in alone.metrics] == ["accuracy", "train/loss"]
    assert (alone.step, alone.age, alone.is_over) == (4, 5.0, False)
    assert alone.lines == ("b", " 30%", "last")
    made.end(one, accuracy=0.75)
    assert solo.update().is_over
    assert solo.take_events() == [
        Event("learning_rate_0.1", "step", "4  accuracy 0.5  train/loss 1"),
        Event("learning_rate_0.1", "completed", "accuracy 0.75  1m 00s"),
    ]


def test_a_running_experiment_on_a_full_disk(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end could not be recorded, which the user can still mend; an ended one has its end."""
    one = made.trial(0.1)
    made.begin(one)
    solo = ExperimentMonitor(made.trials.path(one))
    assert solo.update().problem is None
    monkeypatch.setattr(disks, "trouble", lambda _: disks.FULL)
    alone = solo.update()
    assert alone.problem == "warning: its disk is full: its end cannot be recorded"
    assert alone.problem in [line.text for line in experiment_lines(alone, Shape(80, 24))]
    made.end(one, accuracy=0.75)
    assert solo.update().problem is None


def test_an_experiment_that_begins_while_it_is_watched(made: Made) -> None:
    """And one that runs again: each attempt is told."""
    one = made.trial(0.1)
    solo = ExperimentMonitor(made.trials.path(one))
    assert not solo.update().is_over
    made.begin(one)
    solo.update()
    made.end(one, "failed", failure="error", last_line="no")
    solo.update()
    made.begin(one, 2)
    assert not solo.update().is_over
    states = [news.state for news in solo.take_events()]
    assert states == ["running", "failed", "running"]


def test_an_experiment_that_nobody_recorded(tmp_path: Path) -> None:
    """A plain `python train.py` of somebody's: what lies there is told, and nothing waited for."""
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / "train.log").write_bytes(b"epoch 1\nepoch 2 \xff\n")
    os.utime(tmp_path / "train.log")
    alone = ExperimentMonitor(tmp_path).update()
    assert alone.is_over
    assert alone.lines == ("epoch 1", "epoch 2 \ufffd")
