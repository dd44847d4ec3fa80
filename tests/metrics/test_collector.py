"""Metrics that a script only prints, collected into the files of `run.log`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modeldir._system import reading
from modeldir.metrics.collector import collector_for
from modeldir.metrics.metric_files import read_metrics
from modeldir.metrics.recorder import Recorder

EPOCHS = "epoch {step}: acc {accuracy}"


class Output:
    """A folder with an output that grows."""

    def __init__(self, folder: Path, *patterns: str, resumes: bool = False) -> None:
        self.folder, self.console = folder, folder / "console.log"
        since = self.console.stat().st_size if self.console.exists() else 0
        self.collector = collector_for(folder, self.console, since, patterns, None, resumes=resumes)

    def prints(self, text: str | bytes) -> list[dict[str, object]]:
        """Print, look, and return all lines that are in `metrics.jsonl` now."""
        with self.console.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        self.collector.look()
        return self.steps()

    def steps(self) -> list[dict[str, object]]:
        lines = reading.read_lines(self.folder / "metrics.jsonl")
        return [{name: value for name, value in line.items() if name != "time"} for line in lines]

    def last(self) -> dict[str, float]:
        return read_metrics(self.folder / "metrics_eval_last_weights.json")

    def best(self) -> dict[str, float]:
        return read_metrics(self.folder / "metrics_eval_best_weights.json")


def test_each_printed_step_is_kept_with_the_last_and_the_best(tmp_path: Path) -> None:
    """As if the script had called `run.log`."""
    output = Output(tmp_path, EPOCHS)
    output.prints("begin\nepoch 1: acc 0.5\nepoch 2: acc 0.9\nepo")
    assert output.steps() == [{"step": 1, "accuracy": 0.5}, {"step": 2, "accuracy": 0.9}]
    assert output.prints("ch 3: acc 0.7\n")[2:] == [{"step": 3, "accuracy": 0.7}]
    assert (output.last(), output.best()) == ({"accuracy": 0.7}, {"accuracy": 0.9})


def test_steps_are_counted_if_no_pattern_has_one(tmp_path: Path) -> None:
    """A line whose metric the step already has begins the next step; others belong to it."""
    output = Output(tmp_path, "loss: {loss}", "acc: {acc}")
    assert output.prints("loss: 2\nacc: 0.1\nloss: 1\nacc: 0.2\n") == [
        {"step": 1, "loss": 2.0},
        {"step": 1, "acc": 0.1},
        {"step": 2, "loss": 1.0},
        {"step": 2, "acc": 0.2},
    ]
    assert output.best() == output.last() == {"loss": 1.0, "acc": 0.2}


def test_a_line_of_its_own_may_say_the_step(tmp_path: Path) -> None:
    """A later line that repeats a metric of that step sums up, and replaces nothing."""
    output = Output(tmp_path, "Epoch {epoch}/3", "acc: {acc}")
    output.prints("Epoch 1/3\nacc: 0.5\nEpoch 2/3\nacc: 0.4\nover all, acc: 0.5\n")
    assert output.steps() == [{"step": 1, "acc": 0.5}, {"step": 2, "acc": 0.4}]
    assert output.last() == {"acc": 0.4}


def test_a_best_line_after_the_last_epoch_is_not_the_last_epoch(tmp_path: Path) -> None:
    """It repeats what was printed before."""
    output = Output(tmp_path, "val_acc={val_acc}")
    output.prints("val_acc=0.9\nval_acc=0.8\nbest val_acc=0.9\nBest: val_acc=0.9\n")
    assert output.last() == {"val_acc": 0.8}
    assert output.best() == {"val_acc": 0.9}


def test_an_attempt_that_resumes_counts_on_and_keeps_the_best(tmp_path: Path) -> None:
    """What an earlier attempt has printed is not read again."""
    Output(tmp_path, "acc: {acc}").prints("acc: 0.9\nacc: 0.5\n")
    output = Output(tmp_path, "acc: {acc}", resumes=True)
    assert output.prints("acc: 0.7\n")[2:] == [{"step": 3, "acc": 0.7}]
    assert (output.last(), output.best()) == ({"acc": 0.7}, {"acc": 0.9})


def test_a_line_without_an_end_counts_at_the_end(tmp_path: Path) -> None:
    """A progress bar is one line; its last state counts."""
    output = Output(tmp_path, "acc: {acc}")
    assert output.prints("acc: 0.1\racc: 0.2\racc: 0.3") == []
    assert output.collector.finish()
    assert output.steps() == [{"step": 1, "acc": 0.3}]


def test_a_line_of_10_mb_costs_nothing_and_hides_nothing(tmp_path: Path) -> None:
    """Neither the lines after it nor a progress bar's last state are lost."""
    output = Output(tmp_path, EPOCHS)
    with output.console.open("wb") as file:
        file.write(b"epoch 1: acc 0.5 " + b"x" * 10_000_000 + b"\repoch 2: acc 0.25\n")
        file.write(b"epoch 3: acc 0.75\n")
    assert output.collector.finish()
    assert output.steps() == [{"step": 2, "accuracy": 0.25}, {"step": 3, "accuracy": 0.75}]


def test_nan_and_bytes_that_are_no_text_are_no_obstacle(tmp_path: Path) -> None:
    """A diverged epoch is a step; the best before it stays."""
    output = Output(tmp_path, "loss {loss}")
    output.prints(b"\xff\xfe loss 0.5\n\0\nloss nan\n")
    assert output.steps() == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": "nan"}]
    assert output.best() == {"loss": 0.5}


def test_a_failing_disk_loses_no_step(tmp_path: Path) -> None:
    """A look goes on, the end says it, and the next try writes everything."""
    if os.geteuid() == 0 and not hasattr(os, "O_NOFOLLOW"):
        pytest.skip("nothing refuses root here")
    output = Output(tmp_path, EPOCHS)
    (tmp_path / "metrics.jsonl").mkdir()
    output.prints("epoch 1: acc 0.5\n")
    with pytest.raises(OSError, match="directory"):
        output.collector.finish()
    (tmp_path / "metrics.jsonl").rmdir()
    assert output.collector.finish()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["accuracy"] == 0.5
    assert output.best() == {"accuracy": 0.5}


def test_a_script_that_logs_itself_is_left_alone(tmp_path: Path) -> None:
    """Its own steps are not mixed with printed ones; the output says so once."""
    output = Output(tmp_path, EPOCHS)
    own = Recorder(tmp_path, None)
    for step in (1, 2, 3):
        own.record(step, {"accuracy": step / 4})
        output.prints(f"epoch {step}: acc 0.5\n")
    own.close()
    assert output.collector.finish()
    assert [line["accuracy"] for line in output.steps()] == [0.25, 0.5, 0.75]
    assert output.last() == {"accuracy": 0.75}
    assert output.console.read_text().count("logs its metrics itself") == 1
