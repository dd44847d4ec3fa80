"""Streams of Python, listened to where descriptors cannot be captured: pytest, notebooks."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from logbook import texts
from modeldir.logs.logger import set_logger


def test_the_stream_stays_what_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`isatty`, `encoding`, `fileno` and `buffer` are the stream's own."""
    before = (sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.buffer)
    with set_logger(tmp_path / "train.log"):
        now = (sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.buffer)
        assert now == before
        print("captured below")
    assert capfd.readouterr().out == "captured below\n"


def test_pytest_s_own_capture_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under capsys each line is once in the capture and once in the file."""
    with set_logger(tmp_path / "train.log"):
        print("a")
        logging.info("b")  # noqa: LOG015
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("a\n", "b\n")
    assert texts(tmp_path / "train.log") == ["a", "b"]


def test_streams_exchanged_in_between_are_found_by_the_next_call(tmp_path: Path) -> None:
    """If `sys.stdout` was replaced (a new cell, a new test), a second call captures the new one."""
    log = set_logger(tmp_path / "train.log")
    for word in ("one", "two"):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert set_logger(tmp_path / "train.log") is log
            print(word)
        assert out.getvalue() == word + "\n"
    log.close()
    assert texts(tmp_path / "train.log") == ["one", "two"]


class Slotted:
    """A stream that lets nothing be replaced."""

    __slots__ = ("got",)

    def __init__(self) -> None:
        self.got: list[str] = []

    def write(self, text: str) -> int:
        self.got.append(text)
        return len(text)


def test_a_stream_that_cannot_be_changed_gets_a_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object with `write` alone works, and is back in its place afterwards."""
    stream = Slotted()
    monkeypatch.setattr(sys, "stdout", stream)
    with set_logger(tmp_path / "train.log"):
        print("a")
        assert getattr(sys.stdout, "got", None) is stream.got  # asked through
        assert isinstance(sys.stdout, io.TextIOBase)
        assert not hasattr(sys.stdout, "fileno")
    assert getattr(sys, "stdout", None) is stream
    assert stream.got == ["a", "\n"]
    assert texts(tmp_path / "train.log") == ["a"]


def test_a_write_that_is_replaced_per_cell_is_outlived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPython replaces `write` for each cell and restores it after; the log continues."""
    notebook = io.StringIO()
    monkeypatch.setattr(sys, "stdout", notebook)
    for cell in range(3):
        stream, original = sys.stdout, sys.stdout.write
        stream.write = lambda text, original=original: original(text)  # type: ignore[method-assign]
        if cell == 0:
            log = set_logger(tmp_path / "train.log")
        print("cell", cell)
        stream.write = original  # type: ignore[method-assign]
    log.close()
    assert notebook.getvalue() == "cell 0\ncell 1\ncell 2\n"
    assert texts(tmp_path / "train.log") == ["cell 0", "cell 1", "cell 2"]


def test_a_styled_handler_under_a_stand_in_shows_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a notebook whose handler holds the older stream a record is not shown twice."""
    notebook = io.StringIO()
    notebook.write = notebook.write  # type: ignore[method-assign] # as IPython does
    monkeypatch.setattr(sys, "stderr", notebook)
    handler = logging.StreamHandler()
    logging.root.addHandler(handler)
    with set_logger(tmp_path / "train.log"):
        logging.info("once")  # noqa: LOG015
    logging.root.removeHandler(handler)
    assert notebook.getvalue() == "once\n"
    assert texts(tmp_path / "train.log") == ["once"]


@pytest.mark.parametrize("stream", [None, "closed"])
def test_streams_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str | None
) -> None:
    """Without a console (None), or with closed streams, the file has everything."""
    closed = io.StringIO()
    closed.close()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None if stream is None else closed)
    with set_logger(tmp_path / "train.log"):
        print("out")
        print("err", file=sys.stderr)
        logging.info("record")  # noqa: LOG015
        sys.stdout.flush()
    assert sys.stdout is (None if stream is None else closed)
    assert texts(tmp_path / "train.log") == ["out", "err", "record"]


def test_one_object_for_both_streams_is_heard_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sys.stderr = sys.stdout` doubles nothing."""
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    with set_logger(tmp_path / "train.log"):
        print("out")
        print("err", file=sys.stderr)
    assert texts(tmp_path / "train.log") == ["out", "err"]


def test_threads_that_print_at_once_never_tear_a_line(tmp_path: Path) -> None:
    """Eight threads, text and end of line written apart: each line whole and once."""

    def work(number: int) -> None:
        for step in range(200):
            print(number, step, "x" * 50)

    sys.setswitchinterval(1e-5)
    try:
        with set_logger(tmp_path / "train.log"):
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(0.005)
    expected = [f"{number} {step} {'x' * 50}" for number in range(8) for step in range(200)]
    assert sorted(texts(tmp_path / "train.log")) == sorted(expected)


def in_a_thread(*writes: str) -> None:
    """Write to standard error, piece by piece, from another thread."""
    thread = threading.Thread(target=lambda: [sys.stderr.write(text) for text in writes])
    thread.start()
    thread.join()


def test_a_line_beside_a_thread_s_bar_stays_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While one thread draws a bar another's line is its own, and the bar ends as one line."""
    with set_logger(tmp_path / "train.log"):
        sys.stderr.write("\r10%")
        in_a_thread("\x1b[31mfrom\x1b[0m", " a thread", "\n")
        sys.stderr.write("\r100%")
        sys.stderr.write("\n")
    assert texts(tmp_path / "train.log") == ["from a thread", "100%"]


def test_a_bar_that_two_threads_draw_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A monitor thread redraws a bar, a worker's bar moves the cursor: no line is added."""
    with set_logger(tmp_path / "train.log"):
        sys.stderr.write("\r10%")
        in_a_thread("\r20%")
        in_a_thread("\n", "\rworker 50%", "\x1b[A")
        sys.stderr.write("\r100%")
        in_a_thread("\n", "\rworker 99%", "\x1b[A")
        sys.stderr.write("\n")
        sys.stderr.write("\x1b[2K")
        print("plain", file=sys.stderr)
    assert texts(tmp_path / "train.log") == ["100%", "plain"]


def test_a_finished_bar_is_kept_once_anything_else_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar on one stream does not wait until that stream speaks again."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with set_logger(tmp_path / "train.log"):
        sys.stderr.write("\r 50%\r100%\n")
        for n in range(3):
            now[0] += 0.5
            print("line", n)
        kept = texts(tmp_path / "train.log")
    assert sorted(kept) == ["100%", "line 0", "line 1", "line 2"]
    assert kept.index("100%") < 2


def test_what_is_typed_to_ipython_is_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In IPython's terminal Python's streams are listened to: it redraws its prompt per key."""
    shell = SimpleNamespace(get_ipython=object)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    with capsys.disabled():
        log = set_logger(tmp_path / "train.log")
        assert type(log._method).__name__ == "StreamCapture"
        log.close()
