"""One experiment folder, read: the quick way and the full readers say the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from modeldir._system import timestamps
from modeldir.errors import MetricsError, ParamsError
from modeldir.experiment import fast_json
from modeldir.experiment.reader import read
from modeldir.metrics import metric_files
from modeldir.params import plain_values

EVAL = "metrics_eval_best_weights.json"
PARAMS = (
    '{"learning_rate": 0.1, "seed": 1}', '{"learning_rate": 1e-3}\n', "{}",
    '{"layers": [1, {"a": 2}], "name": "a:b"}', '{"a": true, "b": null, "c": [{}]}',
    '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 2}}', '{"a": NaN}', '{"a": [Infinity]}',
    '{"a": 1e999}', '{"a": "\\u0041"}', '{"a": "\\ud83d"}', '{"a\\"": "b\\\\"}', "", "{", "[1]",
    "\ufeff{}", '{"a": 1} x', " {}", '{"a": 1}\n\n', "nonsense", '{"a": 1' + "0" * 5000 + "}",
    '{"a": ' + "[" * 101 + "]" * 101 + "}", '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
)  # fmt: skip
METRICS = (
    '{"accuracy": 0.5, "loss": 1}', '{"accuracy": NaN}', '{"accuracy": 9007199254740993}',
    '{"accuracy": "0.5", "loss": 2}', '{"loss": true}', '{"a": {"b": 1}}', "", "{", "[]", "{}",
    '{"loss": 1e999}', '{"loss": 1}\n', "\xff", '{"loss": [1]}',
)  # fmt: skip


@pytest.mark.parametrize("text", PARAMS)
def test_hyperparameters_are_what_the_full_reader_finds(tmp_path: Path, text: str) -> None:
    """The quick reader returns the same values or leaves the file to the full one."""
    path = tmp_path / "params.json"
    path.write_text(text)
    quick = fast_json.read_params(str(path))
    full: dict[str, Any] | None = None
    problems: tuple[str, ...] = ()
    try:
        full = plain_values.load_file(path)
    except ParamsError as error:
        problems = (str(error).partition("\n")[0],)
    record = read(tmp_path)
    assert quick is None or repr(quick) == repr(full)
    assert repr(record.hyperparameters) == repr(full)
    assert record.problems == problems


@pytest.mark.parametrize("text", METRICS)
def test_metrics_are_what_the_full_reader_finds(tmp_path: Path, text: str) -> None:
    """A file that cannot be read has no values and is one problem."""
    path = tmp_path / EVAL
    path.write_bytes(text.encode("latin-1"))
    quick = fast_json.read_metrics(str(path))
    try:
        full = metric_files.read_metrics(path)
    except MetricsError:
        assert quick is None
        record = read(tmp_path)
        assert record.scores.validation == {}
        assert len(record.problems) == 1
        assert str(path) in record.problems[0]
    else:
        assert quick is None or repr(quick) == repr(full)
        assert repr(dict(read(tmp_path).scores.best)) == repr(full)


def test_a_large_file_is_read_whole(tmp_path: Path) -> None:
    """A first piece may be less than a file."""
    values = {f"name_{number}": number for number in range(2000)}
    (tmp_path / "params.json").write_text(json.dumps(values))
    assert read(tmp_path).hyperparameters == values


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """It may have been put there since the folder was listed."""
    os.mkfifo(tmp_path / EVAL)
    assert read(tmp_path, [EVAL]).scores.validation == {}


def test_a_trial_says_its_number_and_its_configuration(tmp_path: Path) -> None:
    """What a search writes into `trial.json`; values of other types count as missing."""
    (tmp_path / "params.json").write_text('{"a": 1, "b": 2}')
    trial = {"number": 7, "repeat": 2, "configuration": {"a": 1}, "note": "why"}
    (tmp_path / "trial.json").write_text(json.dumps(trial))
    record = read(tmp_path)
    expected = (7, 2, frozenset({"a"}), "why")
    assert (record.number, record.repeat, record.active, record.note) == expected
    (tmp_path / "trial.json").write_text('{"number": "7", "configuration": [], "note": 1}')
    record = read(tmp_path)
    assert (record.number, record.repeat, record.active, record.note) == (None, None, None, None)


def test_the_metrics_of_one_file_may_replace_the_others(tmp_path: Path) -> None:
    """`--metrics FILE` ranks by the file of that name."""
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / EVAL).write_text('{"accuracy": 0.5}')
    (tmp_path / "mine.json").write_text('{"score": 3}')
    assert read(tmp_path, metrics_file="mine.json").scores.validation == {"score": 3}
    assert read(tmp_path, metrics_file="other.json").scores.validation == {}


def test_a_row_is_of_one_moment(tmp_path: Path) -> None:
    """A trial that ends between the listing of its folder and its reading has its last metrics."""
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"attempt": 1}')
    listed = os.listdir(tmp_path)
    (tmp_path / EVAL).write_text('{"accuracy": 0.5}')
    ended = {"attempt": 1, "status": "completed", "ended": timestamps.utc_now()}
    (tmp_path / "run.json").write_text(json.dumps(ended))
    record = read(tmp_path, listed)
    assert (record.status.state, record.scores.best) == ("completed", {"accuracy": 0.5})


def test_metrics_that_move_meanwhile_are_looked_for_again(tmp_path: Path) -> None:
    """A row never has the status of one attempt and the gap that the next one has left."""
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"attempt": 1, "status": "completed"}')
    (tmp_path / "run.2.json").write_text('{"attempt": 2, "status": "failed"}')
    record = read(tmp_path, ["params.json", "run.json", EVAL])  # as it was a moment before
    assert (record.status.state, record.status.attempt, record.problems) == ("failed", 2, ())


def test_a_small_record_that_nests_deep_is_none(tmp_path: Path) -> None:
    """The quick way has the bounds of the full one: later code goes through the values."""
    (tmp_path / "params.json").write_text("{}")
    for name in ("run.json", "trial.json"):
        path = tmp_path / name
        path.write_text('{"a":' * 500 + "1" + "}" * 500)
        assert fast_json.read_object(str(path)) == {}
        path.write_text('{"reason": "\\ud800"}')
        assert fast_json.read_object(str(path)) == {"reason": "\ufffd"}


def test_metrics_lines_that_are_too_many_are_a_problem(tmp_path: Path) -> None:
    """They are not read, so curves and steps are missing: a line says which file and why."""
    lines = tmp_path / metric_files.METRICS_LINES
    lines.write_text('{"step": 1, "loss": 0.5}\n')
    assert read(tmp_path).problems == ()
    os.truncate(lines, (256 << 20) + 1)
    large = "it has 256.0 MB, but a file of metrics lines may have at most 256 MB"
    assert read(tmp_path).problems == (f"{lines}: cannot be read: {large}",)
