"""The lines of `metrics.jsonl`: the quick way writes what the long one does, nothing is lost."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeldir._system import reading
from modeldir.metrics import metric_files
from modeldir.metrics.jsonl_writer import MetricsWriter

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the lines."""
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def lines(path: Path) -> Iterator[MetricsWriter]:
    """Lines of which the first, which always goes the long way, is written."""
    opened = MetricsWriter(path)
    opened.add(0, {"loss": 1.0})
    yield opened
    opened.close()


def newest(path: Path) -> bytes:
    """The last line, without its time."""
    line = path.read_bytes().splitlines()[-1]
    stamp = json.loads(line)["time"]
    assert len(stamp) == len("2026-11-25T21:00:00.000+00:00")
    return line.replace(stamp.encode(), b"now")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), FINITE, max_size=4), st.integers())
def test_the_quick_way_writes_what_json_would(
    path: Path, lines: MetricsWriter, values: Mapping[str, float], step: int
) -> None:
    """Whatever the names and the numbers, byte for byte, and the long way does so too."""
    written = json.dumps({"step": step, "time": "now", **values}).encode()
    if lines.add_floats(step, values) is not None:
        assert newest(path) == written
    else:
        assert not {"step", "time"}.isdisjoint(values)
    lines.add(step, values)
    if "time" not in values:
        assert newest(path) == written


@pytest.mark.parametrize(
    "value",
    [1, True, math.nan, math.inf, -math.inf, np.float64(0.5), np.float32(0.5), "0.5", None,
     {"deep": 0.5}],
)  # fmt: skip
def test_all_but_finite_floats_go_the_long_way(
    lines: MetricsWriter, path: Path, value: Any
) -> None:
    """Alone and among others; nothing is written of them."""
    before = path.read_bytes()
    assert lines.add_floats(1, {"loss": value}) is None
    assert lines.add_floats(1, {"accuracy": 0.5, "loss": value}) is None
    assert path.read_bytes() == before


def test_names_and_steps_of_other_kinds_go_the_long_way(lines: MetricsWriter, path: Path) -> None:
    """JSON's rules apply to names that it turns into strings, and to a metric named "time"."""
    odd: Any
    before = path.read_bytes()
    for odd in ({3: 0.5}, {"time": 0.5}, {"loss": 0.5, "step": 0.5}):
        assert lines.add_floats(1, odd) is None
    for odd in (1.0, True, np.int64(1), "1"):
        assert lines.add_floats(odd, {"loss": 0.5}) is None
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", [np.int64(3), np.arange(4)[3], np.array(3), 3])
def test_a_step_may_come_from_an_array(lines: MetricsWriter, path: Path, step: Any) -> None:
    """A step counted by NumPy gives the same line as an int."""
    if lines.add_floats(step, {"loss": 0.5}) is None:
        lines.add(step, {"loss": 0.5})
    assert newest(path) == b'{"step": 3, "time": "now", "loss": 0.5}'


def test_it_says_which_names_count(lines: MetricsWriter) -> None:
    """As `metric_files.validation_metrics` says of the same names, in its order."""
    for names in (["train/loss"], ["loss"], ["loss", "train/loss", "val/loss", "f1"], []):
        values = {name: place / 8 for place, name in enumerate(names)}
        for _ in range(2):  # with a form that is new, and one that is known
            meant = lines.add_floats(1, values)
            assert meant is not None
            assert {
                name: values[as_given] for name, as_given in meant
            } == metric_files.validation_metrics(values)


def test_ever_new_names_fill_no_memory(lines: MetricsWriter, path: Path) -> None:
    """A name for each step: all lines are there, and few forms are kept."""
    for step in range(1, 1001):
        lines.add_floats(step, {f"layer_{step}/norm": 0.5})
    assert len(reading.read_lines(path)) == 1001
    assert len(lines._formats) <= 256


def test_a_line_cut_at_any_byte_swallows_no_other(tmp_path: Path) -> None:
    """As a kill may leave it: what was whole is read, and so is all that the next attempt adds."""
    whole = b'{"step": 1, "time": "now", "loss": 0.5}\n'
    for cut in range(len(whole) + 1):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(whole + whole[:cut])
        lines = MetricsWriter(path)
        lines.add(2, {"loss": 0.25})
        assert lines.add_floats(3, {"loss": 0.125}) is not None
        lines.close()
        there = [1, 1] if cut >= len(whole) - 1 else [1]
        assert [line["step"] for line in reading.read_lines(path)] == [*there, 2, 3]


@pytest.mark.parametrize("values", [{"loss": 0.5}, {"loss": 1}], ids=["quick", "long"])
def test_a_line_that_a_full_disk_cuts_is_an_error(path: Path, values: Mapping[str, Any]) -> None:
    """The caller gets the error, and when there is space again, the next line is complete."""
    code = """
        import resource, sys
        from modeldir.metrics.jsonl_writer import MetricsWriter
        path, values = sys.argv[1], eval(sys.argv[2])
        def log(step):
            if lines.add_floats(step, values) is None:
                lines.add(step, values)
        lines = MetricsWriter(path)
        log(1)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
        try:
            log(2)
        except OSError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        log(3)
        log(4)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path), repr(dict(values))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(path) in done.stdout
    assert [line["step"] for line in reading.read_lines(path)] == [1, 3, 4]
