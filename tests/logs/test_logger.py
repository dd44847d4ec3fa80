"""The log: what is printed, logged, warned or died of, once in the terminal, once in the file."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logbook import ends, texts, train
from modeldir.errors import FolderError
from modeldir.logs.logger import Log, set_logger

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


# -- What is in the file, and in the terminal ------------------------------------------------------


def test_a_record_is_shown_bare_and_kept_with_its_time(tmp_path: Path) -> None:
    """`logging.info` shows the message alone; other levels are named; the file adds the time."""
    done = train(tmp_path, "logging.info('epoch %d', 3)\nlogging.getLogger('net').error('bad')")
    assert done.stdout == "epoch 3\nERROR: bad\n"
    assert texts(tmp_path / "train.log") == ["epoch 3", "ERROR: bad"]


def test_prints_and_records_go_where_they_went(tmp_path: Path) -> None:
    """Prints to the output, records to the error output, both unchanged, both in the file."""
    source = "print('a', 1, sep='-')\nprint('b', file=sys.stderr)\nprint()\nprint('ü€😀')"
    done = train(tmp_path, source + "\nlogging.info('c')", together=False)
    assert (done.stdout, done.stderr) == ("a-1\n\nü€😀\n", "b\nc\n")
    assert sorted(texts(tmp_path / "train.log")) == ["", "a-1", "b", "c", "ü€😀"]


def test_the_order_of_prints_and_records_is_kept(tmp_path: Path) -> None:
    """If both outputs lead to one place, as in a terminal, the file has their order."""
    done = train(tmp_path, "for n in range(50):\n    print('p', n)\n    logging.info('r %d', n)")
    expected = [line for n in range(50) for line in (f"p {n}", f"r {n}")]
    assert done.stdout.splitlines() == expected
    assert texts(tmp_path / "train.log") == expected


def test_several_lines_at_once_each_have_the_prefix(tmp_path: Path) -> None:
    """A message or a print of several lines keeps the fixed prefix on each (`cut -c25-`)."""
    train(tmp_path, "logging.info('one\\ntwo')\nprint('three\\nfour')")
    assert texts(tmp_path / "train.log") == ["one", "two", "three", "four"]


def test_the_first_and_the_last_line_say_what_ran_and_how_it_ended(tmp_path: Path) -> None:
    """They name the process that wrote the log, and how it ended."""
    train(tmp_path, "print('x')")
    first, _, last = (tmp_path / "train.log").read_text().splitlines()
    found = re.fullmatch(
        r"# modeldir-log v1 (\S+) pid=(\d+) host=\S+ argv=\[\"train.py\"\] cwd=(.+) rank=0", first
    )
    assert found is not None
    assert found[3] == str(tmp_path)
    assert re.fullmatch(rf"# end \S+ pid={found[2]} clean", last)
    for stamp in (found[1], last.split()[2]):
        assert abs(datetime.fromisoformat(stamp).timestamp() - time.time()) < 60


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("", "clean"),
        ("sys.exit(3)", "exit 3"),
        ("sys.exit('no data')", "exit 1"),
        ("1/0", "exception ZeroDivisionError"),
        ("raise KeyboardInterrupt", "exception KeyboardInterrupt"),
        ("os.kill(os.getpid(), 9)", "signal SIGKILL"),
        ("os.abort()", "signal SIGABRT"),
        ("os._exit(4)", "exit 4"),
        ("os.kill(os.getpid(), 15)", "signal SIGTERM"),
    ],
)
def test_every_end_is_told(tmp_path: Path, source: str, how: str) -> None:
    """Clean, by an exception, with a code, by a signal; nothing printed before is lost."""
    train(tmp_path, f"print('before')\n{source}")
    assert texts(tmp_path / "train.log")[0] == "before"
    if _kernel_tells() or how.startswith("exception"):
        assert ends(tmp_path / "train.log") == [how]
    else:  # an old kernel tells nobody but the parent
        assert ends(tmp_path / "train.log")[0] in {how, "ended", VANISHED}


VANISHED = "vanished (killed, crashed or left by os._exit)"


def _kernel_tells() -> bool:
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return sys.platform == "linux" and release is not None and (
        (int(release[1]), int(release[2])) >= (6, 15)
    )  # fmt: skip


def test_warnings_are_in_the_file(tmp_path: Path) -> None:
    """A warning is shown once and kept once."""
    done = train(tmp_path, "warnings.warn('learning rate is high')")
    assert done.stdout.count("UserWarning: learning rate is high") == 1
    assert texts(tmp_path / "train.log") == done.stdout.splitlines()


def test_an_uncaught_exception_leaves_its_traceback(tmp_path: Path) -> None:
    """The file has the traceback that the terminal shows; the exit code is Python's."""
    done = train(tmp_path, "def epoch():\n    return 1 / 0\nprint('start')\nepoch()")
    assert done.returncode == 1
    assert done.stdout.endswith("ZeroDivisionError: division by zero\n")
    assert texts(tmp_path / "train.log") == done.stdout.splitlines()


def test_a_thread_s_exception_leaves_its_traceback(tmp_path: Path) -> None:
    """A thread that dies of an exception says so in the file."""
    done = train(tmp_path, "t = threading.Thread(target=lambda: {}['x']); t.start(); t.join()")
    assert done.returncode == 0
    assert "KeyError: 'x'" in texts(tmp_path / "train.log")
    assert texts(tmp_path / "train.log") == done.stdout.splitlines()


def test_last_words_are_kept(tmp_path: Path) -> None:
    """The file has the prints of an exit handler and a dying object, and an unfinished line."""
    before = """
        import atexit
        atexit.register(lambda: print('from atexit'))
        class A:
            def __del__(self): print('gone')
        kept = A()
    """
    done = train(tmp_path, "print('no end', end='')", before=before)
    assert (done.returncode, done.stdout) == (0, "no endfrom atexit\ngone\n")
    kept = texts(tmp_path / "train.log")
    assert "".join(kept) == "no endfrom atexitgone"
    assert kept[-1] == "gone"


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
    assert done.stdout == "[own] hello\n"
    assert texts(tmp_path / "train.log") == ["[own] hello"]


def test_a_record_that_cannot_be_formatted_ends_nothing(tmp_path: Path) -> None:
    """A wrong number of arguments is reported as logging does, with the message, in both."""
    done = train(tmp_path, "logging.info('%d of %d', 1)\nprint('on')")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "on")
    assert "not enough arguments for format string" in done.stdout
    assert texts(tmp_path / "train.log") == done.stdout.splitlines()


def test_an_exception_that_is_logged_has_its_traceback_once(tmp_path: Path) -> None:
    """`logging.exception` writes message and traceback, in both places once."""
    done = train(tmp_path, "try:\n    {}['x']\nexcept KeyError:\n    logging.exception('failed')")
    assert texts(tmp_path / "train.log") == done.stdout.splitlines()
    assert done.stdout.startswith("ERROR: failed\nTraceback")
    assert done.stdout.count("KeyError: 'x'") == 1


# -- Which level -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("DEBUG", ["DEBUG: d", "i", "WARNING: w"]),
        ("warning", ["WARNING: w"]),
        (30, ["WARNING: w"]),
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
    assert texts(tmp_path / "train.log") == ["news"]


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
    assert texts(tmp_path / "b.log") == ["two", "three", "four"]


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
    assert texts(log.path) == ["once", "DEBUG: also once"]
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
    done = train(tmp_path, source, before="logging.basicConfig()")
    assert done.stdout == ">> after\n"


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
    """The file has the last state of tqdm's bar, without escape sequences."""
    done = train(
        tmp_path,
        "for i in tqdm(range(300), mininterval=0, desc='epoch 1'): pass\nprint('done')",
        before="from tqdm import tqdm",
    )
    assert done.stdout.count("it/s") > 100
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
