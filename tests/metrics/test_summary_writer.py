"""The files of the last and the best metrics: at once as a rule, and never behind for long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from functools import partial
from pathlib import Path

import pytest

from laboratory import wait_until
from modeldir._system import reading
from modeldir.errors import MetricsError
from modeldir.metrics import metric_files, summary_writer
from modeldir.metrics.summary_writer import BURST, SummaryFiles

MANY = BURST + 30


def last(folder: Path) -> dict[str, float]:
    return reading.read_object(folder / metric_files.EVAL_LAST)


def best(folder: Path) -> dict[str, float]:
    return reading.read_object(folder / metric_files.EVAL_BEST)


def is_there(folder: Path, both: dict[str, float]) -> bool:
    return best(folder) == last(folder) == both


def helpers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "modeldir-metrics"]


def hurry(scores: SummaryFiles, count: int = MANY) -> None:
    """Put more than are written at once; the best is the second."""
    for step in range(1, count + 1):
        scores.update({"step": step}, best=step <= 2)


def test_a_few_are_written_at_once(tmp_path: Path) -> None:
    """A script that logs once an epoch needs no thread, and its files are never late."""
    scores = SummaryFiles(tmp_path)
    for step in range(1, BURST + 1):
        scores.update({"loss": float(step)}, best=step % 2 == 0)
        assert last(tmp_path) == {"loss": step}
        assert best(tmp_path) == ({"loss": step // 2 * 2} if step > 1 else {})
    assert not helpers()


def test_of_many_the_last_is_there_soon_without_a_further_call(tmp_path: Path) -> None:
    """If a script logs fast and then trains for an hour, the files have its last metrics."""
    hurry(SummaryFiles(tmp_path))
    wait_until(lambda: last(tmp_path) == {"step": MANY})
    assert best(tmp_path) == {"step": 2}
    wait_until(lambda: not helpers())


def test_who_helps_is_there_once_and_leaves(tmp_path: Path) -> None:
    """Again and again: never two at a time, and what is put while one leaves is written too."""
    scores = SummaryFiles(tmp_path)
    for number in range(4):
        hurry(scores)
        assert len(helpers()) <= 1
        scores.update({"number": number}, best=True)
        wait_until(partial(is_there, tmp_path, {"number": number}))
        wait_until(lambda: not helpers())


def test_flush_waits_for_nothing(tmp_path: Path) -> None:
    """After saving weights, and at the end, the files are up to date."""
    scores = SummaryFiles(tmp_path)
    hurry(scores)
    scores.flush()
    assert last(tmp_path) == {"step": MANY}
    assert best(tmp_path) == {"step": 2}


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "raise ValueError"])
def test_a_process_that_ends_without_a_word_has_written_them(tmp_path: Path, end: str) -> None:
    """No `with`, nothing closed, and nobody waited: what the table reads is what was logged."""
    code = f"""
        import sys
        from pathlib import Path
        from modeldir.metrics import summary_writer as summary_files
        summary_files.PAUSE = 1000.0  # the helper comes too late
        scores = summary_files.SummaryFiles(Path(sys.argv[1]))
        for step in range({MANY}):
            scores.update({{"step": step}}, best=True)
        {end}
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    subprocess.run(command, timeout=60, check=False, stderr=subprocess.DEVNULL)
    assert is_there(tmp_path, {"step": MANY - 1})


def test_who_is_through_is_not_kept(tmp_path: Path) -> None:
    """A process with thousands of training runs does not keep all that they have logged."""
    scores = SummaryFiles(tmp_path)
    hurry(scores)
    gone = weakref.ref(scores)
    del scores
    wait_until(lambda: gone() is None)
    assert last(tmp_path) == {"step": MANY}


def test_where_no_thread_is_to_be_had_they_are_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of processes must not end a training run."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    hurry(SummaryFiles(tmp_path))
    assert last(tmp_path) == {"step": MANY}
    assert best(tmp_path) == {"step": 2}


def test_what_was_noted_long_ago_is_nobody_elses(tmp_path: Path) -> None:
    """Fast, then calm, then a disk that is full for a moment: the end still has the last word."""
    scores = SummaryFiles(tmp_path)
    hurry(scores)
    wait_until(lambda: not helpers())
    wait_until(lambda: time.monotonic() - scores._since > 3 * summary_writer.PAUSE)
    scores.update({"step": 98}, best=True)  # written at once
    kept = (tmp_path / metric_files.EVAL_BEST).rename(tmp_path / "kept.json")
    (tmp_path / metric_files.EVAL_BEST).mkdir()
    with pytest.raises(MetricsError, match="cannot be written"):
        scores.update({"step": 99}, best=True)
    (tmp_path / metric_files.EVAL_BEST).rmdir()
    kept.rename(tmp_path / metric_files.EVAL_BEST)
    scores.flush()
    assert is_there(tmp_path, {"step": 99})


def test_what_the_script_wrote_itself_stays(tmp_path: Path) -> None:
    """Its own last word on the best weights is not overwritten by what was logged before."""
    scores = SummaryFiles(tmp_path)
    hurry(scores)
    scores.update({"step": 99}, best=True)
    with scores._lock:  # not in the very moment in which it is replaced
        metric_files.save_metrics({"accuracy": 0.9}, tmp_path / metric_files.EVAL_BEST)
    scores.flush()
    wait_until(lambda: not helpers())
    assert best(tmp_path) == {"accuracy": 0.9}
    assert last(tmp_path) == {"step": 99}


def test_an_error_is_told_to_who_logs(tmp_path: Path) -> None:
    """A disk that is full while nobody waits: the next call says so, and later ones write again."""
    scores = SummaryFiles(tmp_path)
    hurry(scores)
    scores.flush()
    (tmp_path / metric_files.EVAL_LAST).unlink()
    (tmp_path / metric_files.EVAL_LAST).mkdir()
    with pytest.raises(MetricsError, match="cannot be written"):
        hurry(scores, 10**9)
    (tmp_path / metric_files.EVAL_LAST).rmdir()
    wait_until(lambda: not helpers())
    scores.update({"step": 1}, best=False)
    wait_until(lambda: last(tmp_path) == {"step": 1})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_its_own_and_waits_for_nobody(tmp_path: Path) -> None:
    """The helper stayed with the parent, perhaps with the lock in its hand."""
    code = """
        import os, sys, time
        from pathlib import Path
        from modeldir.metrics.summary_writer import BURST, SummaryFiles
        scores = SummaryFiles(Path(sys.argv[1]))
        for step in range(BURST + 30):
            scores.update({"parent": step}, best=True)
        scores._lock.acquire()
        child = os.fork()
        if child == 0:
            scores.flush()
            for step in range(BURST + 30):
                scores.update({"child": step}, best=False)
            scores.flush()
            os._exit(0)
        os.waitpid(child, 0)
        print((Path(sys.argv[1]) / "metrics_eval_last_weights.json").read_text())
        os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {"child": BURST + 29}
    assert "child" not in best(tmp_path)
