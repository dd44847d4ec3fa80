"""Steps of scripts that know nothing of us, as they are found in what these write."""

from __future__ import annotations

import json
import os
from pathlib import Path

from modeldir.worker.early_stopping import Steps
from modeldir.worker.end_status import metric_file_stamps

LAST = "metrics_val_last_weights.json"


class Clock:
    """Looks at a folder, a second apart."""

    def __init__(self, folder: Path) -> None:
        self._steps = Steps(folder, metric_file_stamps(folder))
        self._now = 0.0

    def look(self) -> list[tuple[float, dict[str, float]]]:
        self._now += 1
        return self._steps.look(self._now)[0]


def written(folder: Path, text: str, name: str = LAST, age: int = 0) -> None:
    """Write a file in place, as CS230's `save_dict_to_json`, with a time of its own."""
    path = folder / name
    path.write_text(text)
    os.utime(path, ns=(0, (age + 1) * 1_000_000_000))


def test_a_file_that_is_rewritten_is_a_step_each_time(tmp_path: Path) -> None:
    """Counted from 1; that it was looked at in between says nothing."""
    clock = Clock(tmp_path)
    assert clock.look() == []
    for count in (1, 2, 3):
        written(tmp_path, json.dumps({"accuracy": count / 10}), age=count)
        assert clock.look() == [(count, {"accuracy": count / 10})]
        assert clock.look() == []


def test_a_step_is_called_what_it_calls_itself(tmp_path: Path) -> None:
    """By `epoch` or `step`; neither is a metric."""
    clock = Clock(tmp_path)
    written(tmp_path, '{"accuracy": 0.5, "epoch": 7}')
    assert clock.look() == [(7, {"accuracy": 0.5})]
    written(tmp_path, '{"accuracy": 0.5, "epoch": 12, "step": 400}', age=9)
    assert clock.look() == [(400, {"accuracy": 0.5})]


def test_the_same_metrics_again_are_another_step(tmp_path: Path) -> None:
    """A training may stand still; but one write that is seen in two states is one."""
    clock = Clock(tmp_path)
    for age in (1, 2):
        written(tmp_path, '{"accuracy": 0.5}', age=age)
        assert [step for step, _ in clock.look()] == [age]
    os.utime(tmp_path / LAST, ns=(0, 3_000_000_001))
    assert clock.look() == []


def test_half_a_file_is_looked_at_again(tmp_path: Path) -> None:
    """Nothing, then the whole; never a number that was cut."""
    clock = Clock(tmp_path)
    whole = '{"accuracy": 0.123456}'
    for end in range(len(whole)):
        written(tmp_path, whole[:end], age=end)
        assert clock.look() == []
    written(tmp_path, whole, age=50)
    assert clock.look() == [(1, {"accuracy": 0.123456})]


def test_half_a_file_is_looked_at_again_though_its_time_stands_still(tmp_path: Path) -> None:
    """The clock of a file system is coarse."""
    clock = Clock(tmp_path)
    written(tmp_path, '{"accuracy"')
    assert clock.look() == []
    written(tmp_path, '{"accuracy": 1}')
    assert clock.look() == [(1, {"accuracy": 1})]


def test_what_lay_there_before_is_no_step(tmp_path: Path) -> None:
    """An attempt that resumes finds the files of the last one."""
    written(tmp_path, '{"accuracy": 0.9}')
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "accuracy": 0.9}\n')
    clock = Clock(tmp_path)
    assert clock.look() == []
    written(tmp_path, '{"accuracy": 0.8}', age=5)
    assert clock.look() == [(1, {"accuracy": 0.8})]


def test_the_best_weights_and_other_splits_are_no_steps(tmp_path: Path) -> None:
    """They are written now and then, or are not ranked by."""
    clock = Clock(tmp_path)
    for name in ("metrics_val_best_weights.json", "metrics_test_last_weights.json"):
        written(tmp_path, '{"accuracy": 0.5}', name)
    assert clock.look() == []


def test_lines_that_are_appended_are_steps(tmp_path: Path) -> None:
    """Whole ones alone, several at once, with the numbers they have; else they are counted."""
    clock = Clock(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 0, "val/acc": 0.1, "train/acc": 0.9, "time": 5}\n{"epoch": 1, "v')
    assert clock.look() == [(0, {"acc": 0.1})]
    with path.open("a") as file:
        file.write('al/acc": 0.2}\n{"val/acc": 0.3}\nnoise\n')
    assert clock.look() == [(1, {"acc": 0.2}), (3, {"acc": 0.3})]
    path.write_text("")
    assert clock.look() == []
    path.write_text('{"val/acc": 0.4}\n')
    assert clock.look() == [(1, {"acc": 0.4})]


def test_the_first_place_that_has_metrics_is_read_from_then_on(tmp_path: Path) -> None:
    """Who writes both means the same step by both."""
    clock = Clock(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "accuracy": 0.1}\n')
    written(tmp_path, '{"accuracy": 0.1}')
    assert clock.look() == [(1, {"accuracy": 0.1})]
    assert clock.look() == []
    written(tmp_path, '{"accuracy": 0.2}', age=3)
    assert clock.look() == []


def test_lines_of_training_alone_leave_the_word_to_the_metric_files(tmp_path: Path) -> None:
    """The loss of each batch says nothing of the development set."""
    clock = Clock(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 100, "train/loss": 0.1}\n')
    written(tmp_path, '{"accuracy": 0.1}')
    assert clock.look() == [(1, {"accuracy": 0.1})]


def test_looks_are_as_frequent_as_steps_need(tmp_path: Path) -> None:
    """Several in the time of one step, and no more than two a second for long ones."""
    steps = Steps(tmp_path, {})
    now, wait = 0.0, 0.0
    for count in range(1, 20):
        now += 0.4
        written(tmp_path, json.dumps({"accuracy": count}), age=count)
        _, wait = steps.look(now)
    assert 0.4 / 10 < wait < 0.4 / 4
    for _ in range(100):
        now += wait
        _, wait = steps.look(now)
    assert wait == 0.5


def test_a_place_without_the_metric_leaves_the_word_to_the_next(tmp_path: Path) -> None:
    """Lines may hold the loss of each step, and the files the accuracy that ranks trials."""
    steps = Steps(tmp_path, {}, "val/accuracy")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    assert steps.look(1.0)[0] == []
    (tmp_path / LAST).write_text('{"accuracy": 0.7}')
    assert steps.look(2.0)[0] == [(1, {"accuracy": 0.7})]
