"""Metrics in the files that a script leaves: found without asking, read while they grow."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modeldir._system import reading
from modeldir.errors import MetricsError
from modeldir.metrics import file_patterns, left_files, tfevents
from modeldir.metrics.collector import collector_for
from modeldir.metrics.file_patterns import FilePattern
from modeldir.metrics.file_watch import FileWatch
from modeldir.metrics.metric_files import read_metrics
from modeldir.metrics.objective import Ranked
from modeldir.metrics.recorder import Recorder


class Trial:
    """A folder in which a script leaves files, and what was collected from them."""

    def __init__(self, folder: Path, ranked: Ranked | None = None, **more: Any) -> None:
        self.folder = folder
        self.watch = FileWatch(folder, os.fspath(folder / "console.log"), ranked, **more)

    def writes(self, name: str, text: str | bytes, mode: str = "wb") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return path

    def appends(self, name: str, text: str | bytes) -> Path:
        return self.writes(name, text, "ab")

    def ends(self) -> list[dict[str, Any]]:
        while self.watch.catch_up():
            pass
        self.watch.finish()
        return self.steps()

    def steps(self) -> list[dict[str, Any]]:
        lines = reading.read_lines(self.folder / "metrics.jsonl")
        return [{name: value for name, value in line.items() if name != "time"} for line in lines]

    def best(self) -> dict[str, float]:
        return read_metrics(self.folder / "metrics_eval_best_weights.json")

    def last(self) -> dict[str, float]:
        return read_metrics(self.folder / "metrics_eval_last_weights.json")


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def looks_until(trial: Trial, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, trial.steps()
        time.sleep(trial.watch.look())


LIGHTNING = "lightning_logs/version_0/metrics.csv"


def test_lightnings_csv_is_read_while_it_grows(trial: Trial) -> None:
    """A half-written line is waited for; a file with more columns, written anew, repeats no row."""
    trial.writes(LIGHTNING, "epoch,step,train_loss\n0,9,0.5\n0,1")
    looks_until(trial, lambda: len(trial.steps()) == 1)
    trial.appends(LIGHTNING, "9,0.4\n")
    looks_until(trial, lambda: len(trial.steps()) == 2)
    trial.writes(LIGHTNING, "epoch,step,train_loss,val_acc\n0,9,0.5,\n0,19,0.4,\n0,19,,0.75\n")
    assert trial.ends() == [
        {"step": 9, "train_loss": 0.5},
        {"step": 19, "train_loss": 0.4},
        {"step": 19, "val_acc": 0.75},
    ]
    assert trial.best() == trial.last() == {"val_acc": 0.75}
    assert (trial.watch.origin, trial.watch.pattern) == (
        LIGHTNING, "lightning_logs/version_*/metrics.csv"
    )  # fmt: skip


def test_kerass_logger_ranks_by_the_validation_set(trial: Trial) -> None:
    """`CSVLogger("training.log")` counts epochs from 0; `loss` beside `val_loss` is no result."""
    trial.writes("training.log", "epoch,accuracy,loss,val_accuracy,val_loss\n"
                 "0,0.9,0.1,0.5,2.0\n1,0.95,0.05,0.7,1.0\n2,0.99,0.01,0.6,3.0\n")  # fmt: skip
    assert [line["step"] for line in trial.ends()] == [0, 1, 2]
    assert trial.best() == {"val_accuracy": 0.7, "val_loss": 1.0}
    assert trial.last() == {"val_accuracy": 0.6, "val_loss": 3.0}


def test_hugging_faces_checkpoints_are_one_history(trial: Trial) -> None:
    """Each has all steps so far, and old ones are deleted; times and rates are no results."""
    first = [{"epoch": 1.0, "step": 10, "loss": 0.9, "learning_rate": 1e-4, "grad_norm": 2.0},
             {"epoch": 1.0, "step": 10, "eval_loss": 0.8, "eval_accuracy": 0.5,
              "eval_runtime": 1.5, "eval_samples_per_second": 100.0}]  # fmt: skip
    second = {"epoch": 2.0, "step": 20, "eval_loss": 0.7, "eval_accuracy": 0.4}
    trial.writes("checkpoint-10/trainer_state.json", json.dumps({"log_history": first}))
    looks_until(trial, lambda: len(trial.steps()) == 2)
    whole = json.dumps({"log_history": [*first, second], "global_step": 20})
    trial.writes("checkpoint-20/trainer_state.json", whole)
    (trial.folder / "checkpoint-10/trainer_state.json").unlink()
    trial.writes("trainer_state.json", whole)
    trial.writes("all_results.json", json.dumps({"epoch": 2.0, "eval_loss": 0.7}))
    assert [line["step"] for line in trial.ends()] == [10, 10, 20]
    assert trial.best() == {"eval_loss": 0.8, "eval_accuracy": 0.5}
    assert trial.last() == {"eval_loss": 0.7, "eval_accuracy": 0.4}


def test_only_the_newest_of_hugging_faces_checkpoints_is_read(trial: Trial) -> None:
    """It has all steps of the others, of which there may be many, of many megabytes."""
    steps = [{"step": step, "eval_loss": 1 / step} for step in (10, 20, 30)]
    for count in (1, 2, 3):
        path = f"checkpoint-{count}/trainer_state.json"
        trial.writes(path, json.dumps({"log_history": steps[:count]}))
        os.utime(trial.folder / path, (count, count))
    wrong = json.dumps({"log_history": [{"step": 5, "eval_loss": 0.0}]})
    trial.writes("checkpoint-0/trainer_state.json", wrong)
    os.utime(trial.folder / "checkpoint-0/trainer_state.json", (0, 0))
    assert [line["step"] for line in trial.ends()] == [10, 20, 30]


@pytest.mark.parametrize("name", ["out/all_results.json", "eval_results.json"])
def test_hugging_faces_results_alone_are_one_step(trial: Trial, name: str) -> None:
    """A script that evaluates once has no other file."""
    trial.writes(name, json.dumps({"epoch": 3.0, "eval_f1": 0.5, "eval_runtime": 2.0}))
    assert trial.ends() == [{"step": 3, "eval_f1": 0.5, "eval_runtime": 2.0}]
    assert trial.best() == {"eval_f1": 0.5}


def test_the_summary_of_an_offline_wandb_run(trial: Trial) -> None:
    """Its own entries and the sizes of pictures are no metrics."""
    summary = {"_step": 7, "_runtime": 3.5, "_timestamp": 1.7e9, "val/acc": 0.5,
               "image": {"_type": "image-file", "size": 100}, "_wandb": {"runtime": 3}}  # fmt: skip
    trial.writes("wandb/offline-run-20261203_1-abc/files/wandb-summary.json", json.dumps(summary))
    assert trial.ends() == [{"step": 7, "val/acc": 0.5}]
    assert trial.best() == {"acc": 0.5}
    assert trial.watch.pattern == "wandb/offline-run-*/files/wandb-summary.json"


def test_json_lines_with_a_step(trial: Trial) -> None:
    """Lines of other kinds, without a step, are skipped."""
    lines = [{"event": "begin", "step": 0}, {"step": 1, "val": {"acc": 0.5}}, {"lr": 0.1},
             {"step": 2, "val": {"acc": "nan"}, "seconds": 3}]  # fmt: skip
    trial.writes("out/log.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
    assert trial.ends() == [{"step": 1, "val/acc": 0.5}, {"step": 2, "val/acc": "nan"}]
    assert trial.best() == {"acc": 0.5}


def events(*steps: tuple[int, dict[str, float]]) -> bytes:
    records = [tfevents.scalars(1000.0 + step, step, values) for step, values in steps]
    return tfevents.header(1000.0) + b"".join(records)


def test_event_files_are_read_while_they_grow(trial: Trial) -> None:
    """A torn record is waited for, another file of the same writer continues the first."""
    name = "runs/Dec03_10-00-00_host/events.out.tfevents.1.host.1.0"
    whole = events((1, {"loss": 0.5, "epoch": 1.0}), (2, {"Accuracy/val": 0.5}))
    trial.writes(name, whole[:-5])
    looks_until(trial, lambda: len(trial.steps()) == 1)
    trial.appends(name, whole[-5:])
    looks_until(trial, lambda: len(trial.steps()) == 2)
    rotated = events((3, {"Accuracy/val": 0.75, "Accuracy/test": 1.0}))
    trial.writes(name.replace("1.0", "1.1"), rotated)
    assert trial.ends() == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "val/Accuracy": 0.5},
        {"step": 3, "val/Accuracy": 0.75, "test/Accuracy": 1.0},
    ]
    assert trial.best() == {"Accuracy": 0.75}
    assert trial.watch.pattern == "*tfevents*"


def test_several_writers_of_events(trial: Trial) -> None:
    """Keras' folders are splits; a nested folder stands before its tags; hyperparameters do not."""
    trial.writes("logs/train/events.out.tfevents.1", events((0, {"epoch_loss": 0.1})))
    trial.writes("logs/validation/events.out.tfevents.2", events((0, {"epoch_loss": 0.9})))
    trial.writes("tb/events.out.tfevents.3", events((0, {"reward": 1.0})))
    trial.writes("tb/extra_a/events.out.tfevents.4", events((0, {"reward": 2.0})))
    start = tfevents.session_start({"lr": 0.1}, "a", 1000.0, "a")
    plugin = tfevents.plugin(1000.0, tfevents.SESSION_START, start)
    results = plugin + events((0, {"hparam/accuracy": 0.5}))
    trial.writes("tb/1000.5/events.out.tfevents.5", results)
    found = {name for line in trial.ends() for name in line}
    assert found == {"step", "train/epoch_loss", "val/epoch_loss", "reward", "extra_a/reward"}


def test_a_large_event_is_skipped(trial: Trial) -> None:
    """Pictures and histograms are not parsed, and hide no scalar behind them."""
    picture = tfevents.record(b"\x00" * 3_000_000)
    trial.writes("events.out.tfevents.1", events((1, {"loss": 2.0})) + picture
                 + tfevents.scalars(1000.0, 2, {"loss": 1.0}))  # fmt: skip
    assert trial.ends() == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]


def test_the_file_that_ranks_is_taken_of_several(tmp_path: Path) -> None:
    """By the metric to rank by, then by steps; one that comes later replaces a worse one."""
    trial = Trial(tmp_path, ("val_acc", "maximize"))
    trial.writes("positions.csv", "step,x,y\n1,2,3\n")
    looks_until(trial, lambda: trial.steps() == [{"step": 1, "x": 2.0, "y": 3.0}])
    trial.writes("out/metrics.csv", "epoch,val_acc\n1,0.5\n2,0.25\n")
    assert trial.ends() == [{"step": 1, "val_acc": 0.5}, {"step": 2, "val_acc": 0.25}]
    assert trial.best() == {"val_acc": 0.5}
    assert trial.watch.origin == "out/metrics.csv"


def test_the_file_of_an_earlier_trial_is_preferred(tmp_path: Path) -> None:
    """All trials of a search rank by the same file."""
    trial = Trial(tmp_path, preferred="b_*.csv")
    trial.writes("metrics.csv", "step,val_acc\n1,0.5\n")
    trial.writes("b_1.csv", "step,val_acc\n1,0.25\n")
    assert trial.ends() == [{"step": 1, "val_acc": 0.25}]


def test_what_the_script_logs_itself_wins(trial: Trial) -> None:
    """Neither its steps nor its results are mixed with those of a file."""
    own = Recorder(trial.folder, None)
    trial.writes("metrics.csv", "step,accuracy\n1,0.1\n")
    own.record(1, {"accuracy": 0.5})
    own.close()
    trial.watch.look()
    assert [line["accuracy"] for line in trial.ends()] == [0.5]
    assert not trial.watch.has_found or trial.watch.origin == ""


def test_a_result_that_the_script_writes_is_kept(trial: Trial) -> None:
    """The steps of a file are there beside it, for curves."""
    trial.writes("metrics.csv", "step,accuracy\n1,0.1\n")
    looks_until(trial, lambda: len(trial.steps()) == 1)
    trial.writes("metrics_eval_best_weights.json", '{"accuracy": 0.9}')
    trial.appends("metrics.csv", "2,0.2\n")
    assert [line["accuracy"] for line in trial.ends()] == [0.1, 0.2]
    assert trial.best() == {"accuracy": 0.9}


def test_files_that_were_there_before_do_not_count(tmp_path: Path) -> None:
    """Of a file that is continued, only the new rows do; of one with more columns likewise."""
    before = Trial(tmp_path)
    before.writes("old.csv", "step,acc\n1,0.9\n")
    before.writes("log.csv", "step,acc\n1,0.5\n")
    before.writes("runs/a/events.out.tfevents.1", events((1, {"acc": 0.5})))
    trial = Trial(tmp_path)
    trial.writes("log.csv", "step,acc,val_acc\n1,0.5,\n2,0.75,0.25\n")
    assert trial.ends() == [{"step": 2, "acc": 0.75, "val_acc": 0.25}]


def test_an_attempt_that_resumes_continues_the_steps(tmp_path: Path) -> None:
    """Lightning begins another version of its file; the best of both attempts counts."""
    first = Trial(tmp_path)
    first.writes(LIGHTNING, "epoch,step,val_acc\n0,9,0.9\n")
    first.ends()
    second = Trial(tmp_path, resumes=True)
    second.writes(LIGHTNING.replace("0", "1"), "epoch,step,val_acc\n1,19,0.5\n")
    assert [line["step"] for line in second.ends()] == [9, 19]
    assert (second.best(), second.last()) == ({"val_acc": 0.9}, {"val_acc": 0.5})


def test_a_rotated_file_is_read_again(trial: Trial) -> None:
    """Its new rows begin at another step."""
    trial.writes("log.csv", "step,loss\n1,4\n2,3\n3,2.5\n")
    looks_until(trial, lambda: len(trial.steps()) == 3)
    trial.writes("log.csv", "step,loss\n4,2\n")
    assert [line["loss"] for line in trial.ends()] == [4.0, 3.0, 2.5, 2.0]


NO_METRICS = {
    "no step": "loss,acc\n1,2\n",
    "no number": "step,name\n1,a\n",
    "binary": os.urandom(5000),
    "utf-16": "step,acc\n1,0.5\n".encode("utf-16"),
    "empty": "",
    "no line": b"step,acc," * 1_000_000,
    "zeros": b"\0" * 100_000,
    "deep": b'{"step": 1, "a": ' + b"[" * 100_000 + b"\n",
    "quotes": b'step,acc\n1,"' + b"," * 500_000 + b"\n",
}


@pytest.mark.parametrize("content", NO_METRICS.values(), ids=NO_METRICS)
def test_a_file_without_metrics_is_left_alone(trial: Trial, content: str | bytes) -> None:
    """Whatever it holds, nothing fails, and nothing is written."""
    trial.writes("metrics.csv", content)
    trial.writes("out/log.jsonl", content)
    trial.writes("out/trainer_state.json", content)
    trial.writes("out/all_results.json", content)
    trial.writes("out/events.out.tfevents.1", content)
    trial.watch.look()
    assert trial.ends() == []
    assert not (trial.folder / "metrics_eval_best_weights.json").exists()


def test_hostile_names_are_no_obstacle(trial: Trial) -> None:
    """A folder or a pipe in the place of a file, a link in a circle, a link that leads nowhere."""
    (trial.folder / "metrics.csv").mkdir()
    os.mkfifo(trial.folder / "trainer_state.json")
    os.mkfifo(trial.folder / "events.out.tfevents.1")
    os.mkfifo(trial.folder / "log.csv")
    (trial.folder / "circle").symlink_to(trial.folder)
    (trial.folder / "gone.csv").symlink_to(trial.folder / "nowhere")
    trial.writes("metrics.csv/a\nb.csv", "step,acc\n1,0.5\n")
    assert trial.ends() == [{"step": 1, "acc": 0.5}]


def test_odd_tables_are_read(trial: Trial) -> None:
    """Of two columns with one name the first counts; padded cells, a comment sign, short rows."""
    trial.writes(
        "results.csv", "#  epoch;  acc; acc ;note\n 1; 0.5;0.9;a;extra\n\n2;nan\nx;y\n 3;inf"
    )
    assert trial.ends() == [{"step": 1, "acc": 0.5}, {"step": 2, "acc": "nan"}]
    assert trial.best() == {"acc": 0.5}


def test_a_table_of_millions_of_rows_is_read_up_to_a_limit(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory and time stay bounded: one call reads a megabyte."""
    monkeypatch.setattr("modeldir.metrics.file_readers.MOST_ROWS", 1000)
    with trial.writes("log.csv", "step,acc\n").open("ab") as file:
        for _ in range(100):
            file.write(b"1,0.5\n" * 10_000)
    assert len(trial.ends()) == 1000


def test_a_tree_of_many_folders_is_not_searched_whole(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk enters few folders, outer ones first, and no experiment."""
    monkeypatch.setattr(left_files, "_MOST_FOLDERS", 5)
    for index in range(20):
        trial.writes(f"data/{index:02}/table.csv", "step,acc\n1,0.1\n")
    trial.writes("metrics.csv", "step,acc\n1,0.5\n")
    trial.writes("child/run.json", "{}")
    trial.writes("child/metrics.csv", "step,val_acc\n1,0.9\n")
    assert trial.ends() == [{"step": 1, "acc": 0.5}]


def test_steps_that_are_too_many_for_a_file_are_left_out_with_one_warning(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays readable and has no gaps, and the best metrics are those of all steps."""
    monkeypatch.setattr(reading, "LINES", reading.Kind("a file of metrics lines", 500))
    console = trial.writes("console.log", "begins\n")
    trial.writes("metrics.csv", "step,acc\n1,0.1\n")
    looks_until(trial, lambda: len(trial.steps()) == 1)
    assert b"warning" not in console.read_bytes()
    trial.appends("metrics.csv", "".join(f"{step},0.2\n" for step in range(2, 50)))
    looks_until(trial, lambda: b"warning" in console.read_bytes())
    trial.appends("metrics.csv", "50,0.5\n")
    looks_until(trial, lambda: trial.best() == {"acc": 0.5})
    trial.appends("metrics.csv", "51,0.4\n")
    assert trial.ends() == [{"step": 1, "acc": 0.1}]
    assert (trial.best(), trial.last()) == ({"acc": 0.5}, {"acc": 0.4})
    lines = console.read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("modeldir: warning: metrics.jsonl has reached")


@pytest.mark.parametrize("name", ["metrics.csv", "z/history.csv", "wandb-summary.json"])
def test_many_other_tables_hide_no_usual_name(name: str, trial: Trial) -> None:
    """Also if they were there and read long before."""
    for index in range(300):
        trial.writes(f"a_{index:03}.csv", "x,y\n1,2\n")
    trial.watch.look()
    trial.writes(name, '{"acc": 0.5}' if name.endswith("json") else "step,acc\n1,0.5\n")
    trial.ends()
    assert trial.best() == {"acc": 0.5}


def test_many_other_tables_do_not_hide_the_file_of_an_earlier_trial(tmp_path: Path) -> None:
    """What it had its metrics in is looked for, whatever its name."""
    trial = Trial(tmp_path, preferred="zz.csv")
    for index in range(300):
        trial.writes(f"a_{index:03}.csv", "x,y\n1,2\n")
    trial.writes("zz.csv", "step,acc\n1,0.5\n")
    assert trial.ends() == [{"step": 1, "acc": 0.5}]


def test_many_files_in_a_folder_hide_no_usual_name(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures, e.g., count as files that are looked at."""
    monkeypatch.setattr(left_files, "_MOST_FILES", 20)
    for index in range(30):
        trial.writes(f"a_{index:03}.png", "")
    trial.writes("metrics.csv", "step,acc\n1,0.5\n")
    assert trial.ends() == [{"step": 1, "acc": 0.5}]


def named(folder: Path, *patterns: str) -> list[dict[str, Any]]:
    """Return the steps that `--metrics` finds in a folder whose attempt has ended."""
    collector = collector_for(folder, folder / "console.log", 0, patterns, None, is_live=False)
    collector.finish()
    return reading.read_lines(folder / "metrics.jsonl")


def test_a_named_file_and_column(trial: Trial) -> None:
    """It needs no step column; a name matches in any folder; `*` stands for any text."""
    trial.writes("logs/v_3/scores.csv", "lr,acc,f1\n0.1,0.5,0.25\n0.1,0.75,0.125\n")
    expected = [{"step": 1, "acc": 0.5}, {"step": 2, "acc": 0.75}]
    assert named(trial.folder, "scores.csv:acc") == expected
    (trial.folder / "metrics.jsonl").unlink()
    assert named(trial.folder, "logs/*/scores.csv:acc") == expected
    assert trial.best() == {"acc": 0.75}


def test_a_named_json_file(trial: Trial) -> None:
    """A nested value is named by dots or slashes."""
    trial.writes("out/stats.json", '{\n "final": {"acc": 0.5},\n "n": 3\n}')
    assert named(trial.folder, "stats.json:final.acc") == [{"step": 1, "final.acc": 0.5}]


def test_a_printed_line_and_a_file_together(trial: Trial) -> None:
    """Each adds its steps."""
    trial.writes("console.log", "epoch 1: acc 0.5\n")
    trial.writes("log.csv", "step,f1\n1,0.25\n")
    found = named(trial.folder, "epoch {step}: acc {accuracy}", "log.csv:f1")
    assert [{name: v for name, v in line.items() if name != "step"} for line in found] == [
        {"accuracy": 0.5}, {"f1": 0.25}
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", ["loss", "/tmp/log.csv", "../log.csv", "val acc: 0.5", ""])
def test_a_pattern_that_is_no_file_and_no_line_is_refused(pattern: str) -> None:
    """The error says how each is written."""
    with pytest.raises(MetricsError, match="--metrics"):
        file_patterns.check([pattern])


def test_patterns_match_paths(tmp_path: Path) -> None:
    """With a slash the whole path, without one the name."""
    assert FilePattern("metrics.csv").matches("a/b/metrics.csv")
    assert FilePattern("./a/*.csv:acc").matches("a/b.csv")
    assert not FilePattern("a/metrics.csv").matches("b/a/metrics.csv")
