"""A running training, read as it grows: only what is new, and whatever lies there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modeldir._system.file_stamps import Seen, stamp
from modeldir.experiment import experiment
from modeldir.experiment.experiment import Scores
from modeldir.metrics.metric_files import validation_value
from modeldir.monitor.experiment import MOST_KEPT, LiveTraining


def add(folder: Path, *lines: object) -> None:
    """Lines of metrics, as `run.log` adds them."""
    with open(folder / "metrics.jsonl", "a") as file:
        file.writelines(
            (line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines
        )


def test_steps_come_as_they_are_written(tmp_path: Path) -> None:
    """Each look tells of the latest step, and of all there were."""
    seen = LiveTraining(tmp_path)
    seen.update()
    assert (seen.step, seen.value("accuracy"), seen.curve("accuracy")) == (None, None, ())
    add(tmp_path, {"step": 0, "accuracy": 0.5})
    seen.update()
    add(tmp_path, {"step": 1, "accuracy": 0.75, "train/loss": 2}, {"step": 2, "accuracy": 0.875})
    seen.update()
    assert (seen.step, seen.value("accuracy")) == (2, 0.875)
    assert seen.curve("accuracy") == (0.5, 0.75, 0.875)


def test_only_new_lines_are_read(tmp_path: Path) -> None:
    """Lines that were read before are not read again, whatever becomes of them."""
    seen = LiveTraining(tmp_path)
    add(tmp_path, {"step": 0, "accuracy": 0.5})
    seen.update()
    with open(tmp_path / "metrics.jsonl", "r+") as file:
        file.write('{"step": 9')
    seen.update()
    add(tmp_path, {"step": 1, "accuracy": 0.75})
    seen.update()
    assert seen.step == 1
    assert seen.curve("accuracy") == (0.5, 0.75)


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    """What a writer has not finished is no step, and is read whole once it is."""
    seen = LiveTraining(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 1}\n{"step": 1, "lo')
    seen.update()
    assert (seen.step, seen.value("loss")) == (0, 1)
    path.write_text('{"step": 0, "loss": 1}\n{"step": 1, "loss": 0.5}\n')
    seen.update()
    assert (seen.step, seen.value("loss")) == (1, 0.5)


@pytest.mark.parametrize(
    "line",
    ["", "not JSON", "[]", "null", "7", '"text"', "[" * 2000, '{"step": 9}', '{"note": "x"}',
     '{"loss": true}', "\x00\xff\x1b[31m"],
)  # fmt: skip
def test_lines_that_are_no_metrics_are_passed_over(tmp_path: Path, line: str) -> None:
    """Whatever a script writes there, the metrics before it and after it count."""
    add(tmp_path, {"step": 1, "loss": 0.5}, line, {"step": 2, "loss": 0.25})
    seen = LiveTraining(tmp_path)
    seen.update()
    assert seen.curve("loss") == (0.5, 0.25)
    assert seen.step == 2


def test_a_new_attempt_begins_anew(tmp_path: Path) -> None:
    """Its file is another; nothing of the old one's curve is told, also while there is none."""
    seen = LiveTraining(tmp_path)
    add(tmp_path, *({"step": step, "loss": 9} for step in range(5)))
    seen.update()
    os.rename(tmp_path / "metrics.jsonl", tmp_path / "old")
    seen.update()
    assert (seen.step, seen.curve("loss")) == (None, ())
    add(tmp_path, {"step": 0, "loss": 1})
    seen.update()
    assert (seen.step, seen.curve("loss")) == (0, (1,))


def test_a_file_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    """A script that opens it for writing a second time."""
    seen = LiveTraining(tmp_path)
    add(tmp_path, *({"step": step, "loss": 9} for step in range(5)))
    seen.update()
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "loss": 1}\n')
    seen.update()
    assert seen.curve("loss") == (1,)


def test_a_long_training_is_kept_short(tmp_path: Path) -> None:
    """Its curve keeps its ends and its shape, not its every step."""
    seen = LiveTraining(tmp_path)
    for begin in range(0, 10_000, 100):
        add(tmp_path, *({"step": n, "loss": n} for n in range(begin, begin + 100)))
        seen.update()
    curve = seen.curve("loss")
    assert len(curve) <= MOST_KEPT
    assert curve[0] == 0
    assert curve[-1] == 9_999
    assert list(curve) == sorted(curve)


def test_of_very_much_only_the_end_is_read(tmp_path: Path) -> None:
    """A watcher that comes late to a file of many megabytes, or to one that grows too fast."""
    add(tmp_path, *({"step": n, "loss": n, "note": "x" * 500} for n in range(20_000)))
    seen = LiveTraining(tmp_path)
    seen.update()
    assert seen.step == 19_999
    assert seen.curve("loss")[0] == 0  # but for the line with which it began
    assert 2 < len(seen.curve("loss")) <= MOST_KEPT
    add(tmp_path, {"step": 20_000, "loss": 1})
    seen.update()
    assert seen.curve("loss")[-1] == 1


def test_metric_files_alone_make_a_curve(tmp_path: Path) -> None:
    """CS230's own scripts replace one file an epoch, and write no lines."""
    seen = LiveTraining(tmp_path)
    for value in (0.5, 0.75):
        (tmp_path / "new").write_text(json.dumps({"accuracy": value}))
        os.replace(tmp_path / "new", tmp_path / "metrics_val_last_weights.json")
        seen.update()
        seen.update()
    assert seen.curve("accuracy") == (0.5, 0.75)


def test_metric_files_that_are_written_in_place_make_a_curve(tmp_path: Path) -> None:
    """CS230's `save_dict_to_json` opens the file for writing: the folder itself does not change."""
    seen = LiveTraining(tmp_path)
    path = tmp_path / "metrics_val_best_weights.json"
    for value in ("0.5", "0.75", "0.625"):
        for text in ("", '{"accu', f'{{"accuracy": {value}}}'):  # as a reader may find it
            path.write_text(text)
            seen.update()
        seen.update()
    assert seen.curve("accuracy") == (0.5, 0.75, 0.625)


def test_metric_files_are_read_when_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at every look."""
    (tmp_path / "metrics_val_best_weights.json").write_text('{"accuracy": 0.5}')
    read: list[Path] = []

    def scores(folder: Path) -> Scores:
        read.append(folder)
        return Scores()

    monkeypatch.setattr(experiment, "scores", scores)
    seen = LiveTraining(tmp_path)
    for _ in range(9):
        seen.update()
    assert len(read) == 2  # the second for a clock that stands still


def test_without_metrics_the_last_printed_line_is_told(tmp_path: Path) -> None:
    """As a terminal would show it; once there are metrics it is not read any more."""
    seen = LiveTraining(tmp_path)
    (tmp_path / "console.log").write_text("loading\nepoch 1: 10%\repoch 1: 20%", newline="")
    seen.update()
    assert seen.last_line == "epoch 1: 20%"
    add(tmp_path, {"step": 0, "loss": 1})
    seen.update()
    (tmp_path / "console.log").write_text("something else\n")
    seen.update()
    assert seen.last_line == "epoch 1: 20%"


def test_the_development_split_goes_before_a_bare_name() -> None:
    """Beside `val/accuracy` a bare `accuracy` is training's; the plan ranks by `accuracy`."""
    assert validation_value({"accuracy": 0.9, "val/accuracy": 0.8}, "accuracy") == 0.8
    assert validation_value({"accuracy": 0.9, "eval/accuracy": 0.7}, "accuracy") == 0.7
    assert validation_value({"accuracy": 0.9, "test/accuracy": 0.1}, "accuracy") == 0.9
    assert validation_value({"val_acc": 0.6}, "val_acc") == 0.6
    assert validation_value({"loss": 0.6}, "accuracy") is None


def test_two_changes_of_one_time_are_both_seen(tmp_path: Path) -> None:
    """A file system's clock stands still for milliseconds: what has changed is read twice."""
    path = tmp_path / "file"
    path.write_text("a")
    seen = Seen()
    assert [seen.changed(stamp(path)) for _ in range(4)] == [True, True, False, False]
    path.write_text("longer")
    assert [seen.changed(stamp(path)) for _ in range(3)] == [True, True, False]
    path.unlink()
    assert [seen.changed(stamp(path)) for _ in range(3)] == [True, True, False]


def test_a_folder_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """Removed by hand while it was looked at."""
    folder = tmp_path / "trial"
    folder.mkdir()
    add(folder, {"step": 0, "loss": 1})
    seen = LiveTraining(folder)
    seen.update()
    (folder / "metrics.jsonl").unlink()
    folder.rmdir()
    seen.update()
    assert seen.value("loss") is None
