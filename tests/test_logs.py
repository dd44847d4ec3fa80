"""The log: what is printed, logged, warned or died of, once in the terminal, once in the file."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import FolderError
from modeldir.logs import Log, set_logger
from modeldir.rows import ODD, Rows, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

PREFIX = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")

HEAD = """
import logging, os, sys, threading, time, warnings
from modeldir import set_logger
"""


def texts(path: Path) -> list[str]:
    """What a log file says, without the times; each line must have one, of 24 characters."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert all(PREFIX.match(line[:24]) for line in lines), lines
    return [line[24:] for line in lines]


def train(
    folder: Path, source: str, *, before: str = "", **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run a script, in a process of its own, that logs to `folder`/train.log."""
    script = folder / "train.py"
    script.write_text(
        HEAD + textwrap.dedent(before) + "\nset_logger('train.log')\n" + textwrap.dedent(source)
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": ""}
    settings = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": environment,
        **settings,
    }
    return subprocess.run(
        [sys.executable, script.name], cwd=folder, text=True, timeout=60, check=False, **settings
    )


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """No test leaves a log, a level or a handler to the next one."""
    yield
    if Log.current is not None:
        Log.current.close()


# -- What is in the file, and in the terminal ------------------------------------------------------


def test_a_record_is_bare_in_the_terminal_and_has_time_and_level_in_the_file(
    tmp_path: Path,
) -> None:
    """`logging.info` shows the message alone; the file says when and how serious."""
    done = train(tmp_path, "logging.info('epoch %d', 3)\nlogging.getLogger('net').error('bad')")
    assert (done.stdout, done.stderr) == ("", "epoch 3\nbad\n")
    assert texts(tmp_path / "train.log") == ["INFO epoch 3", "ERROR bad"]


def test_prints_reach_both(tmp_path: Path) -> None:
    """What is printed to either stream is in the terminal unchanged and in the file with a time."""
    done = train(
        tmp_path, "print('a', 1, sep='-')\nprint('b', file=sys.stderr)\nprint()\nprint('ü€😀')"
    )
    assert (done.stdout, done.stderr) == ("a-1\n\nü€😀\n", "b\n")
    assert texts(tmp_path / "train.log") == ["a-1", "b", "", "ü€😀"]


def test_several_lines_at_once_each_have_the_prefix(tmp_path: Path) -> None:
    """A message or a print of several lines keeps the fixed prefix on each (`cut -c25-`)."""
    train(tmp_path, "logging.info('one\\ntwo')\nprint('three\\nfour')")
    assert texts(tmp_path / "train.log") == ["INFO one", "two", "three", "four"]


def test_the_prefix_is_the_time_of_the_record(tmp_path: Path) -> None:
    """The time in the file is the record's own, to the millisecond, in local time."""
    with set_logger(tmp_path / "train.log"):
        record = logging.makeLogRecord({"msg": "then", "levelno": 20, "levelname": "INFO"})
        record.created = 1795467890.0625
        logging.getLogger().handle(record)
    expected = time.strftime("%Y-%m-%d %H:%M:%S,062 INFO then\n", time.localtime(1795467890))
    assert (tmp_path / "train.log").read_text() == expected


def test_warnings_are_in_the_file(tmp_path: Path) -> None:
    """A warning is shown once and kept once."""
    done = train(tmp_path, "warnings.warn('learning rate is high')")
    assert done.stderr.count("UserWarning: learning rate is high") == 1
    assert texts(tmp_path / "train.log") == done.stderr.splitlines()


def test_an_uncaught_exception_leaves_its_traceback(tmp_path: Path) -> None:
    """The file ends with the traceback that the terminal shows; the exit code is Python's."""
    done = train(tmp_path, "def epoch():\n    return 1 / 0\nprint('start', end='')\nepoch()")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert texts(tmp_path / "train.log") == [*done.stderr.splitlines(), "start"]


def test_a_thread_s_exception_leaves_its_traceback(tmp_path: Path) -> None:
    """A thread that dies of an exception says so in the file."""
    done = train(tmp_path, "t = threading.Thread(target=lambda: {}['x']); t.start(); t.join()")
    assert done.returncode == 0
    assert "KeyError: 'x'" in texts(tmp_path / "train.log")
    assert texts(tmp_path / "train.log") == done.stderr.splitlines()


def test_last_words_are_kept(tmp_path: Path) -> None:
    """What `sys.exit` says, an exit handler prints and an unfinished line are in the file."""
    before = "import atexit\natexit.register(lambda: print('from atexit'))"
    done = train(tmp_path, "print('no end', end='')\nsys.exit('no data')", before=before)
    assert (done.returncode, done.stderr) == (1, "no data\n")
    assert texts(tmp_path / "train.log") == ["no data", "no end", "from atexit"]


def test_output_while_python_shuts_down_makes_no_noise(tmp_path: Path) -> None:
    """An object that prints when it dies with the interpreter does not raise anything."""
    done = train(
        tmp_path, "class A:\n    def __del__(self):\n        print('gone')\nkept = A()\nprint('x')"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("x\ngone\n", "", 0)
    assert texts(tmp_path / "train.log")[0] == "x"


def test_a_logger_that_does_not_propagate_is_kept_as_it_prints(tmp_path: Path) -> None:
    """A library with a handler of its own is in the file in its own words, once."""
    before = """
        own = logging.getLogger("own"); own.propagate = False; own.setLevel("INFO")
        handler = logging.StreamHandler(); own.addHandler(handler)
        handler.setFormatter(logging.Formatter("[own] %(message)s"))
        silent = logging.getLogger("silent"); silent.propagate = False
        silent.addHandler(logging.NullHandler())
    """
    done = train(tmp_path, "own.info('hello')\nsilent.warning('never shown')", before=before)
    assert done.stderr == "[own] hello\n"
    assert texts(tmp_path / "train.log") == ["[own] hello"]


def test_a_record_that_cannot_be_formatted_ends_nothing(tmp_path: Path) -> None:
    """A wrong number of arguments is reported as logging does, and the file still has the line."""
    done = train(tmp_path, "logging.info('%d of %d', 1)\nprint('on')")
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert "not enough arguments for format string" in done.stderr
    assert texts(tmp_path / "train.log")[0] == "INFO '%d of %d' % (1,) cannot be formatted"


def test_an_exception_that_is_logged_has_its_traceback_once(tmp_path: Path) -> None:
    """`logging.exception` writes message and traceback, in both places once."""
    done = train(tmp_path, "try:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed')")
    assert texts(tmp_path / "train.log") == ["ERROR failed", *done.stderr.splitlines()[1:]]
    assert done.stderr.count("KeyError: 'x'") == 1


# -- Whoever configured logging --------------------------------------------------------------------

SETUPS = {
    "nobody": "",
    "a bare basicConfig": "logging.basicConfig()",
    "a library's early warning": "logging.warning('early')",
    "basicConfig with a format": "logging.basicConfig(format='>> %(message)s', level='INFO')",
    "basicConfig to stdout": "logging.basicConfig(stream=sys.stdout, level='DEBUG')",
    "a file only": "logging.basicConfig(filename='other.log')",
    "a handler above our level": """
        handler = logging.StreamHandler(); handler.setLevel("ERROR")
        logging.root.addHandler(handler)
    """,
    "rich": """
        from rich.logging import RichHandler
        logging.basicConfig(handlers=[RichHandler()], format="%(message)s", level="INFO")
    """,
    "a handler that is no StreamHandler": """
        class Handler(logging.Handler):  # as absl's
            def emit(self, record):
                sys.stderr.write("I1123 " + self.format(record) + "\\n")
        logging.root.addHandler(Handler())
    """,
    "a handler on a child and on the root": """
        logging.basicConfig(format="root %(message)s", level="INFO")
        logging.getLogger("net").addHandler(logging.NullHandler())
    """,
}


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())
def test_whoever_configured_logging_first(tmp_path: Path, setup: str) -> None:
    """Each line is once in the terminal and once, with its level, in the file."""
    done = train(tmp_path, "logging.getLogger('net').info('hello')\nprint('printed')", before=setup)
    assert (done.stdout + done.stderr).count("hello") == 1
    assert texts(tmp_path / "train.log") == ["INFO hello", "printed"]


@pytest.mark.parametrize("name", ["a bare basicConfig", "a library's early warning"])
def test_a_format_that_nobody_chose_is_left_out(tmp_path: Path, name: str) -> None:
    """`INFO:root:` of an accidental basicConfig gives way to the message alone."""
    done = train(tmp_path, "logging.info('hello')", before=SETUPS[name])
    assert done.stderr.splitlines()[-1] == "hello"


def test_a_format_that_somebody_chose_stays(tmp_path: Path) -> None:
    """The terminal of who styled it looks as before; only the file is added."""
    done = train(tmp_path, "logging.info('hello')", before=SETUPS["basicConfig with a format"])
    assert done.stderr == ">> hello\n"


@pytest.mark.parametrize(
    "later",
    [
        "logging.basicConfig(format='>> %(message)s', level='INFO', force=True)",
        "logging.root.handlers.clear()",
        "logging.root.addHandler(logging.StreamHandler())",
        "import logging.config as c; c.dictConfig({'version': 1, 'root': {'level': 'INFO'}})",
    ],
)
def test_whoever_configures_logging_afterwards(tmp_path: Path, later: str) -> None:
    """A configuration that comes later takes nothing away and doubles nothing."""
    done = train(tmp_path, f"{later}\nlogging.getLogger('net').info('hello')")
    assert (done.stdout + done.stderr).count("hello") == 1
    assert texts(tmp_path / "train.log") == ["INFO hello"]


def test_tools_that_write_to_an_older_stream_object_are_heard(tmp_path: Path) -> None:
    """Who took `sys.stderr` before (loguru, a library's handler) is in the file too."""
    train(tmp_path, "older.write('held since before\\n')", before="older = sys.stderr")
    assert texts(tmp_path / "train.log") == ["held since before"]


# -- Which level -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("DEBUG", ["DEBUG d", "INFO i", "WARNING w"]),
        ("warning", ["WARNING w"]),
        (30, ["WARNING w"]),
    ],
)
def test_the_level_can_be_chosen(tmp_path: Path, level: str | int, kept: list[str]) -> None:
    """Records below the level are left out, whether it is a name or a number."""
    with set_logger(tmp_path / "train.log", level):
        logging.debug("d")  # noqa: LOG015 - what scripts do
        logging.info("i")  # noqa: LOG015
        logging.warning("w")  # noqa: LOG015
    assert texts(tmp_path / "train.log") == kept


def test_a_chattier_logger_does_not_pass_the_level(tmp_path: Path) -> None:
    """A library that sets its own logger to DEBUG does not fill the file."""
    chatty = logging.getLogger("chatty")
    chatty.setLevel("DEBUG")
    with set_logger(tmp_path / "train.log"):
        chatty.debug("noise")
        chatty.info("news")
    assert texts(tmp_path / "train.log") == ["INFO news"]


def test_an_unknown_level_is_refused(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """A mistyped level names the right one, and no file is made."""
    with pytest.raises(ValueError, match="log level") as caught:
        set_logger(tmp_path / "train.log", "INOF")
    assert str(caught.value) == snapshot
    assert not (tmp_path / "train.log").exists()


# -- Again, elsewhere, and the end -----------------------------------------------------------------


def test_another_path_moves_the_log(tmp_path: Path) -> None:
    """The first file keeps all its lines, also an unfinished one; the next go to the second."""
    first = set_logger(tmp_path / "a.log")
    print("one")
    print("unfinished", end="")
    second = set_logger(tmp_path / "b.log")
    print("two")
    logging.info("three")  # noqa: LOG015
    first.close()
    print("four")
    second.close()
    print("five")
    assert texts(tmp_path / "a.log") == ["one", "unfinished"]
    assert texts(tmp_path / "b.log") == ["two", "INFO three", "four"]


def test_the_same_path_gives_the_same_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is spelled, the same file is the same log, and no line is doubled."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    log = set_logger("real/train.log")
    for spelling in (tmp_path / "real/train.log", "./real/../real/train.log", "link/train.log"):
        assert set_logger(spelling, "DEBUG") is log
    print("once")
    logging.debug("also once")  # noqa: LOG015
    assert texts(log.path) == ["once", "DEBUG also once"]
    assert log.path == tmp_path / "real/train.log"


def test_a_file_that_was_moved_away_is_another_file(tmp_path: Path) -> None:
    """After the file went to attempts/1, the same path is opened anew, the old file closed."""
    set_logger(tmp_path / "train.log")
    print("first attempt")
    (tmp_path / "train.log").rename(tmp_path / "older.log")
    set_logger(tmp_path / "train.log")
    print("second attempt")
    assert texts(tmp_path / "older.log") == ["first attempt"]
    assert texts(tmp_path / "train.log") == ["second attempt"]


def test_closing_puts_everything_back(tmp_path: Path) -> None:
    """Streams, hooks, handlers, levels and logging itself are as before."""

    def state() -> tuple[object, ...]:
        return (
            sys.stdout, sys.stdout.write, sys.stdout.flush, sys.stderr, sys.stderr.write,
            sys.excepthook, threading.excepthook, warnings.showwarning,
            list(logging.root.handlers), logging.root.level, logging.Logger.callHandlers,
        )  # fmt: skip

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logging.root.addHandler(handler)
    before = state()
    log = set_logger(tmp_path / "train.log", "DEBUG")
    assert state() != before
    log.close()
    log.close()
    assert sorted(map(repr, state()[8])) == sorted(map(repr, before[8]))  # type: ignore[call-overload]
    assert state()[:8] + state()[9:] == before[:8] + before[9:]
    assert Log.current is None
    logging.root.removeHandler(handler)


def test_closing_brings_back_no_handler_that_was_replaced_since(tmp_path: Path) -> None:
    """After `basicConfig(force=True)` the accidental handler of before stays away."""
    source = """
        log = set_logger("train.log")
        logging.basicConfig(format=">> %(message)s", force=True)
        log.close()
        logging.warning("after")
    """
    done = train(tmp_path, source, before=SETUPS["a bare basicConfig"])
    assert done.stderr == ">> after\n"


def test_an_error_that_leaves_the_with_block_is_in_the_file(tmp_path: Path) -> None:
    """The traceback, which Python prints after the log was closed, is kept all the same."""
    with pytest.raises(ZeroDivisionError), set_logger(tmp_path / "train.log"):
        print("epoch 1", 1 / 0)
    kept = texts(tmp_path / "train.log")
    assert kept[0] == "Traceback (most recent call last):"
    assert kept[-1] == "ZeroDivisionError: division by zero"


def test_a_plain_exit_from_the_with_block_says_nothing(tmp_path: Path) -> None:
    """`sys.exit(3)` is no error to report."""
    with pytest.raises(SystemExit), set_logger(tmp_path / "train.log"):
        sys.exit(3)
    assert texts(tmp_path / "train.log") == []


def test_an_earlier_log_goes_on_if_the_next_cannot_be_opened(tmp_path: Path) -> None:
    """A mistyped second path is an error, and loses nothing."""
    set_logger(tmp_path / "train.log")
    with pytest.raises(FolderError):
        set_logger(tmp_path / "nowhere/train.log")
    print("still here")
    assert texts(tmp_path / "train.log") == ["still here"]


def test_lines_are_added_after_a_torn_one(tmp_path: Path) -> None:
    """An earlier attempt's lines stay; one that a kill left torn does not swallow the next."""
    old = "2026-11-23 20:47:01,123 whole\n2026-11-23 20:47:01,124 to"
    (tmp_path / "train.log").write_text(old)
    with set_logger(tmp_path / "train.log"):
        print("new")
    assert texts(tmp_path / "train.log") == ["whole", "to", "new"]


# -- Paths that cannot be written ------------------------------------------------------------------


def test_a_missing_folder_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """A mistyped folder is named with the nearest one and the command that makes it."""
    (tmp_path / "experiments/base_model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FolderError) as caught:
        set_logger("experiments/base_modle/train.log")
    assert str(caught.value) == snapshot
    assert not (tmp_path / "experiments/base_modle").exists()


def test_other_paths_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """A folder given as the file, a file given as the folder, a whole tree that is not there."""
    (tmp_path / "base model").mkdir()
    (tmp_path / "params.json").touch()
    monkeypatch.chdir(tmp_path)
    messages = []
    for path in ("base model", "params.json/train.log", "new model/x/train.log", ""):
        with pytest.raises(FolderError) as caught:
            set_logger(path)
        messages.append(str(caught.value))
    assert "\n\n".join(messages) == snapshot


# -- Progress bars and other drawing ---------------------------------------------------------------


def test_a_progress_bar_is_one_line(tmp_path: Path) -> None:
    """Of tqdm's bar the last state is kept, without what erases and moves."""
    done = train(
        tmp_path,
        "for i in tqdm(range(300), mininterval=0, desc='epoch 1'): pass\nprint('done')",
        before="from tqdm import tqdm",
    )
    assert done.stderr.count("it/s") > 100
    kept = texts(tmp_path / "train.log")
    assert len(kept) == 2
    assert kept[0].startswith("epoch 1: 100%|")
    assert "300/300" in kept[0]
    assert kept[1] == "done"


def test_a_bar_that_is_killed_by_an_exception_is_kept_as_it_stood(tmp_path: Path) -> None:
    """The last state of an unfinished bar is in the file, after a failure too."""
    train(
        tmp_path,
        "bar = tqdm(total=100, mininterval=0)\nbar.update(57)\nos.environ['NO_SUCH']",
        before="from tqdm import tqdm",
    )
    kept = "\n".join(texts(tmp_path / "train.log"))
    assert "57%|" in kept
    assert "KeyError: 'NO_SUCH'" in kept


def test_nested_bars_leave_few_lines(tmp_path: Path) -> None:
    """Nested bars, one of them wiped, and lines written between, leave what a person can read."""
    source = """
        for epoch in tqdm(range(3), desc="epochs", mininterval=0):
            for step in tqdm(range(200), desc="steps", mininterval=0, leave=False):
                pass
            tqdm.write(f"epoch {epoch} done")
    """
    train(tmp_path, source, before="from tqdm import tqdm")
    kept = texts(tmp_path / "train.log")
    assert [line for line in kept if line.endswith("done")] == [f"epoch {n} done" for n in range(3)]
    assert kept[-1].startswith("epochs: 100%|")
    assert len(kept) <= 10


@pytest.mark.parametrize(
    ("drawn", "left"),
    [
        ("1/3\r2/3\r3/3\n", ["3/3"]),
        ("long text\rshort\n", ["shorttext"]),
        ("long text\rshort\x1b[K\n", ["short"]),
        ("50%\b\b\b75%\n", ["75%"]),
        ("\x1b[1;31mred\x1b[0m and \x1b]8;;http://x\x1b\\link\x1b]8;;\x07\n", ["red and link"]),
        ("dos line\r\n", ["dos line"]),
        ("a\tb\n", ["a\tb"]),
        ("bell\x07 null\x00 \x1b(B\x9b\n", ["bell null "]),
        ("gone\r    \rkept\n", ["kept"]),
        ("wiped\r\x1b[2K\nnext\n", ["next"]),
        ("a\nb\n\x1b[2Ac\n", ["a", "b", "c"]),
        ("\x1b[?25lx\x1b[3Gy\x1b[1Dz\n", ["x z"]),
    ],
)
def test_what_drawing_leaves(drawn: str, left: list[str]) -> None:
    """Carriage returns, backspaces and cursor moves leave what a terminal would show."""
    rows = Rows()
    assert rows.feed(drawn) + rows.drain() == left


@given(st.text(st.sampled_from("ab \t\n\r\b\x1b[]2AKm;\x07\x00ü😀")), st.lists(st.integers(0, 40)))
def test_drawing_does_not_depend_on_how_it_is_cut_into_writes(text: str, cuts: list[int]) -> None:
    """In pieces or whole, the same lines are left, and never a control character."""
    whole, pieces = Rows(), Rows()
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    left = [line for a, b in pairwise(edges) for line in pieces.feed(text[a:b])]
    assert left + pieces.drain() == whole.feed(text) + whole.drain()
    assert not any(ODD.search(line) for line in left)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n")))
def test_plain_text_is_kept_as_it_is(text: str) -> None:
    """Without control characters, lines are only split where they end."""
    assert rendered(text) == text.split("\n")
    assert Rows().feed(text + "\n") == text.split("\n")


def test_a_line_that_never_ends_does_not_fill_memory(tmp_path: Path) -> None:
    """Dots without an end of line are cut now and then, and none is lost."""
    with set_logger(tmp_path / "train.log"):
        for _ in range(70_000):
            sys.stdout.write(".")
    kept = texts(tmp_path / "train.log")
    assert len(kept) == 2
    assert "".join(kept) == "." * 70_000


def test_a_long_line_stays_whole(tmp_path: Path) -> None:
    """One print of a megabyte is one line."""
    with set_logger(tmp_path / "train.log"):
        print("x" * 1_000_000)
        print("after")
    assert texts(tmp_path / "train.log") == ["x" * 1_000_000, "after"]


# -- Streams of all kinds --------------------------------------------------------------------------


def test_the_stream_stays_what_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`isatty`, `encoding`, `fileno` and `buffer` are the stream's own."""
    before = (sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.buffer)
    with set_logger(tmp_path / "train.log"):
        now = (sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.buffer)
        assert now == before
        print("captured below")
    assert capfd.readouterr().out == "captured below\n"


def test_a_terminal_stays_a_terminal(tmp_path: Path) -> None:
    """In a real pseudo-terminal the script sees one, and colours reach it but not the file."""
    ours, theirs = os.openpty()
    train(tmp_path, "print(f'\\x1b[32m{sys.stdout.isatty()}\\x1b[0m')", stdout=theirs)
    os.close(theirs)
    assert os.read(ours, 1000) == b"\x1b[32mTrue\x1b[0m\r\n"
    os.close(ours)
    assert texts(tmp_path / "train.log") == ["True"]


def test_pytest_s_own_capture_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under capsys each line is once in the capture and once in the file."""
    with set_logger(tmp_path / "train.log"):
        print("a")
        logging.info("b")  # noqa: LOG015
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("a\n", "b\n")
    assert texts(tmp_path / "train.log") == ["a", "INFO b"]


def test_streams_exchanged_in_between_are_found_by_the_next_call(tmp_path: Path) -> None:
    """Where `sys.stdout` was replaced (a new cell, a new test), the same path listens again."""
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
    """IPython replaces `write` for each cell and puts it back after; the log goes on."""
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
    assert texts(tmp_path / "train.log") == ["INFO once"]


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
    assert texts(tmp_path / "train.log") == ["out", "err", "INFO record"]


def test_one_object_for_both_streams_is_heard_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sys.stderr = sys.stdout` doubles nothing."""
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    with set_logger(tmp_path / "train.log"):
        print("out")
        print("err", file=sys.stderr)
    assert texts(tmp_path / "train.log") == ["out", "err"]


def test_a_closed_descriptor_is_not_taken_by_the_log(tmp_path: Path) -> None:
    """Under `>&-` the log must not become descriptor 1, into which C code would write raw."""
    source = """
        try: os.write(1, b"raw")
        except OSError: print("line")
        logging.info("record")
    """
    done = train(tmp_path, source, stdout=None, preexec_fn=lambda: os.close(1))
    assert done.stderr == "record\n"
    assert texts(tmp_path / "train.log") == ["line", "INFO record"]


def test_output_that_already_goes_to_the_file_is_not_doubled(tmp_path: Path) -> None:
    """`python train.py > train.log 2>&1` with the log at the same path has each line once."""
    with (tmp_path / "train.log").open("a") as file:
        done = train(tmp_path, "print('line')\nlogging.info('record')", stdout=file, stderr=file)
    assert done.returncode == 0
    assert texts(tmp_path / "train.log") == ["line", "INFO record"]


def test_under_a_supervisor_both_files_have_everything_once(tmp_path: Path) -> None:
    """With descriptors 1 and 2 at console.log, train.log has all lines, and neither doubles one."""
    source = "print('line')\nlogging.info('record')\nwarnings.warn('careful')\n1/0"
    environment = {**os.environ, "MODELDIR_RUN": f"token:{tmp_path}", "PYTHONUNBUFFERED": "1"}
    with (tmp_path / "console.log").open("a") as file:
        train(tmp_path, source, stdout=file, stderr=file, env=environment)
    console = (tmp_path / "console.log").read_text().splitlines()
    assert console[:2] == ["line", "record"]
    assert console[-1] == "ZeroDivisionError: division by zero"
    assert texts(tmp_path / "train.log") == [console[0], "INFO record", *console[2:]]


# -- Never the end of a training -------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_ends_nothing(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """Where the log cannot be written the terminal has everything, and one notice."""
    done = train(
        tmp_path, "for i in range(100): print(i)", before="os.symlink('/dev/full', 'train.log')"
    )
    assert (done.returncode, done.stdout.splitlines()) == (0, [str(n) for n in range(100)])
    assert done.stderr == snapshot


def test_a_disk_that_has_room_again_says_what_is_missing(tmp_path: Path) -> None:
    """The file goes on when it can be written again, and tells how many lines are not there."""
    source = """
        import resource
        print("before")
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))
        for i in range(3): print("lost", i)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        print("after")
    """
    done = train(tmp_path, source)
    assert (done.returncode, done.stdout.count("lost")) == (0, 3)
    kept = (tmp_path / "train.log").read_text().splitlines()
    assert [line[24:] for line in kept if PREFIX.match(line)][-2:] == [
        "modeldir: 3 lines are missing here",
        "after",
    ]


@pytest.mark.parametrize("before", ["", "sys.stdout.write = sys.stdout.write"])
def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path, before: str) -> None:
    """Under `| head -1` the training goes on to its end, quietly, and the file has everything."""
    reading, writing = os.pipe()
    os.close(reading)
    source = "for i in range(5000): print(i)\nlogging.info('end')"
    done = train(tmp_path, source, before=before, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "end\n")
    kept = texts(tmp_path / "train.log")
    notices = [line for line in kept if line.startswith("modeldir: stdout cannot be written")]
    assert len(notices) == 1
    assert [line for line in kept if line not in notices] == [*map(str, range(5000)), "INFO end"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_under_the_output_ends_nothing(tmp_path: Path) -> None:
    """`> out.txt` on a full disk: the exit code is 0, the log has the lines."""
    with open("/dev/full", "w") as full:
        done = train(tmp_path, "print('line')", stdout=full)
    assert (done.returncode, done.stderr) == (0, "")
    assert texts(tmp_path / "train.log")[0] == "line"


def test_what_the_script_does_wrong_is_still_its_error(tmp_path: Path) -> None:
    """Text that the terminal cannot encode raises as it always did; the file has it."""
    done = train(
        tmp_path, "sys.stdout.write('ü\\n')", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 1
    assert "UnicodeEncodeError" in done.stderr
    assert texts(tmp_path / "train.log")[0] == "ü"


def test_half_characters_do_not_break_the_file(tmp_path: Path) -> None:
    """A lone surrogate (from a file name in another encoding) is written as its number."""
    train(tmp_path, """logging.info("caf\\udce9")""")  # elsewhere: pytest's own report breaks on it
    assert texts(tmp_path / "train.log") == ["INFO caf\\udce9"]


# -- Kills, forks, threads -------------------------------------------------------------------------


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    """After SIGKILL every line that print had returned from is in the file."""
    source = """
        for i in range(2000): print(i); logging.info("r%d", i)
        os.kill(os.getpid(), 9)
    """
    done = train(tmp_path, source)
    assert done.returncode == -signal.SIGKILL
    expected = [line for n in range(2000) for line in (str(n), f"INFO r{n}")]
    assert texts(tmp_path / "train.log") == expected


def test_forked_children_write_each_line_once(tmp_path: Path) -> None:
    """Children by `os.fork` and multiprocessing; their parent's unfinished line stays its own."""
    source = """
        import multiprocessing
        def work(n):
            print("pool", n)
            logging.info("pool record %d", n)
        print("unfinished", end="", flush=True)
        for n in range(4):
            if os.fork() == 0:
                print("child", n)
                logging.info("record %d", n)
                sys.exit(0)
        for n in range(4): os.wait()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(work, range(20))
    """
    assert train(tmp_path, source).returncode == 0
    kept = texts(tmp_path / "train.log")
    expected = ["unfinished"]
    expected += [line for n in range(4) for line in (f"child {n}", f"INFO record {n}")]
    expected += [line for n in range(20) for line in (f"pool {n}", f"INFO pool record {n}")]
    assert sorted(kept) == sorted(expected)


def test_spawned_children_that_run_the_script_again_double_nothing(tmp_path: Path) -> None:
    """Under spawn a script's set_logger runs in each child; each line is there once."""
    source = """
        import multiprocessing
        def work(n):
            print("child", n)
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                pool.map(work, range(6))
            print("end")
    """
    done = train(tmp_path, source)
    assert done.returncode == 0
    assert sorted(texts(tmp_path / "train.log")) == [*(f"child {n}" for n in range(6)), "end"]


def test_a_fork_among_printing_threads_does_not_hang(tmp_path: Path) -> None:
    """A child forked while another thread holds the log's lock can print."""
    source = """
        over = False
        def chatter():
            while not over: print("chatter " * 20)
        threads = [threading.Thread(target=chatter) for _ in range(2)]
        for thread in threads: thread.start()
        for n in range(60):
            if (child := os.fork()) == 0:
                print("child", n)
                os._exit(0)
            os.waitpid(child, 0)
        over = True
        for thread in threads: thread.join()
    """
    # Unbuffered: Python's own lock of a buffered stdout may not be free in such a child.
    done = train(
        tmp_path, source, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.DEVNULL
    )
    assert done.returncode == 0
    kept = [line for line in texts(tmp_path / "train.log") if line.startswith("child")]
    assert kept == [f"child {n}" for n in range(60)]


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
    assert texts(tmp_path / "train.log") == ["20%", "100%", "plain"]


def test_a_record_that_a_handler_logs_is_shown_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handler that prints a record and logs another one hides neither."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "root":
                sys.stderr.write(f"styled {record.getMessage()}\n")
                logging.getLogger("inner").info("inner")

    handler = Handler()
    logging.root.addHandler(handler)
    with set_logger(tmp_path / "train.log"):
        logging.info("outer")  # noqa: LOG015
    logging.root.removeHandler(handler)
    assert capsys.readouterr().err == "styled outer\ninner\n"
    assert texts(tmp_path / "train.log") == ["INFO outer", "INFO inner"]


def test_a_signal_handler_may_print(tmp_path: Path) -> None:
    """A handler that prints while a print is under way neither hangs nor loses a line."""
    source = """
        import signal
        count = 0
        def handler(*_):
            global count
            count += 1
            logging.info("tick")
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for i in range(3000): print("line", i, file=sys.stderr)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(count)
    """
    done = train(tmp_path, source)
    assert done.returncode == 0
    kept = texts(tmp_path / "train.log")
    assert [line for line in kept if line.startswith("line")] == [f"line {n}" for n in range(3000)]
    assert kept.count("INFO tick") == int(done.stdout) > 0


# -- Cost ------------------------------------------------------------------------------------------


def test_the_module_is_light_to_import() -> None:
    """`logging` itself is only imported when a log is set."""
    code = "import modeldir.logs, sys; sys.exit('logging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
