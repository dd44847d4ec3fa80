"""Log records: shown once, whoever set up logging, before or after."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from logbook import texts, train
from modeldir.logs.capture.logging_setup import LoggingSetup

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


def test_tools_that_write_to_an_older_stream_object_are_heard(tmp_path: Path) -> None:
    """A library that got `sys.stderr` earlier (e.g. loguru) is in the file too."""
    train(tmp_path, "older.write('held since before\\n')", before="older = sys.stderr")
    assert texts(tmp_path / "train.log") == ["held since before"]


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())
def test_whoever_configured_logging_first(tmp_path: Path, setup: str) -> None:
    """Each line is once in the terminal and once in the file, as the terminal has it."""
    done = train(tmp_path, "logging.getLogger('net').info('hello')\nprint('printed')", before=setup)
    assert done.stdout.count("hello") == 1
    kept = texts(tmp_path / "train.log")
    assert [line.rstrip() for line in kept] == [
        line.rstrip() for line in done.stdout.splitlines() if "early" not in line
    ]
    assert kept[-1] == "printed"


INSTALLED = {
    "absl": """
        from absl import logging as absl_logging
        absl_logging.set_verbosity("info")
        absl_logging.info("hello")
    """,
    "absl, its handler": """
        from absl import logging as absl_logging
        absl_logging.use_absl_handler()
        absl_logging.set_verbosity("info")
        absl_logging.info("hello")
    """,
    "loguru": "from loguru import logger; logger.info('hello')",
    "hydra": """
        import hydra
        sys.argv[1:] = ["hydra.run.dir=outputs"]
        @hydra.main(version_base=None)
        def main(config): logging.getLogger("net").info("hello")
        main()
    """,
    "hydra, its file": """
        import hydra
        sys.argv[1:] = ["hydra.run.dir=."]
        @hydra.main(version_base=None)
        def main(config):
            set_logger("train.log")  # Hydra has just opened it, too
            logging.getLogger("net").info("hello")
        main()
    """,
    "lightning": """
        import lightning
        logging.getLogger("lightning.pytorch.utilities.rank_zero").info("hello")
        logging.getLogger("lightning.fabric").info("and this")
    """,
}


@pytest.mark.parametrize("first", [True, False], ids=["before the log", "after it"])
@pytest.mark.parametrize("name", INSTALLED)
def test_real_libraries(tmp_path: Path, name: str, first: bool) -> None:  # noqa: FBT001
    """Each line once in the terminal and once in the file, whichever is imported first."""
    module = name.partition(",")[0]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    before = f"import {module}" + (", absl.logging" if module == "absl" else "")
    done = train(tmp_path, INSTALLED[name], before=before if first else "")
    assert done.returncode == 0
    assert done.stdout.count("hello") == 1
    assert texts(tmp_path / "train.log") == done.stdout.splitlines()


def test_a_handler_that_writes_to_the_log_itself_rests(tmp_path: Path) -> None:
    """As CS230's own `set_logger`, called as well: each record is there once; it is back after."""
    before = """
        for handler in (logging.FileHandler("train.log"), logging.StreamHandler()):
            handler.setFormatter(logging.Formatter("own: %(message)s"))
            logging.root.addHandler(handler)
        logging.root.setLevel("INFO")
        handlers = logging.root.handlers[:]
    """
    source = """
        logging.info("once")
        set_logger("other.log").close()
        assert sorted(map(id, logging.root.handlers)) == sorted(map(id, handlers))
        logging.info("by itself")
    """
    done = train(tmp_path, source, before=before)
    assert done.stdout.splitlines() == ["own: once", "own: by itself"]
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line[24:] for line in lines if line[0] == "2"] == ["own: once"]
    assert [line for line in lines if line[0] not in "2#"] == ["own: by itself"]


def test_a_format_that_somebody_chose_stays(tmp_path: Path) -> None:
    """The terminal of who styled it looks as before; the file has it so too."""
    done = train(tmp_path, "logging.info('hello')", before=SETUPS["basicConfig with a format"])
    assert done.stdout == ">> hello\n"
    assert texts(tmp_path / "train.log") == [">> hello"]


@pytest.mark.parametrize(
    ("later", "shown"),
    [
        (
            "logging.basicConfig(format='>> %(message)s', level='INFO', force=True)",
            [">> hello"],
        ),
        ("logging.root.addHandler(logging.StreamHandler())", ["hello"]),
        ("logging.basicConfig(format='>> %(message)s')", ["hello"]),  # as ever: the second is idle
        ("logging.root.addHandler(logging.NullHandler())", ["hello"]),
        ("logging.root.addHandler(logging.FileHandler('other.log'))", ["hello"]),
        ("logging.root.setLevel('WARNING')", []),
        ("import io; logging.root.addHandler(logging.StreamHandler(io.StringIO()))", ["hello"]),
        (
            "import logging.handlers as h, queue\nlogging.root.addHandler(h.MemoryHandler(10))",
            ["hello"],
        ),
    ],
)
def test_whoever_configures_logging_afterwards(
    tmp_path: Path, later: str, shown: list[str]
) -> None:
    """A configuration that comes later doubles nothing."""
    done = train(tmp_path, f"{later}\nlogging.getLogger('net').info('hello')")
    assert done.stdout.splitlines() == shown
    assert texts(tmp_path / "train.log") == shown


def test_a_queue_whose_listener_prints_shows_each_record_once(tmp_path: Path) -> None:
    """A QueueHandler hands records to a thread; they are not shown a second time."""
    before = """
        import logging.handlers, queue
        records = queue.Queue()
        listener = logging.handlers.QueueListener(records, logging.StreamHandler())
        logging.root.addHandler(logging.handlers.QueueHandler(records))
    """
    source = "listener.start()\nlogging.info('hello')\nlistener.stop()"
    assert train(tmp_path, source, before=before).stdout == "hello\n"
    assert texts(tmp_path / "train.log") == ["hello"]


def test_a_handler_that_shows_only_errors_leaves_the_rest_to_us(tmp_path: Path) -> None:
    """Below another handler's level the message is shown by ours, above by the other."""
    before = SETUPS["a handler above our level"]
    done = train(tmp_path, "logging.info('fine')\nlogging.error('bad')", before=before)
    assert done.stdout == "fine\nbad\n"


def test_a_record_that_its_own_logger_has_shown_is_not_shown_again(tmp_path: Path) -> None:
    """A library's logger, such as Lightning's, has a handler and passes records to the root logger.

    Our handler prints the records that the other leaves out, by its level or a filter.
    """
    source = """
        own = logging.getLogger("library"); own.setLevel("INFO")
        handler = logging.StreamHandler(); own.addHandler(handler)
        handler.setFormatter(logging.Formatter("[own] %(message)s"))
        logging.getLogger("library.part.inner").info("once")
        logging.getLogger("library").info("once more")
        logging.getLogger("other").info("by ours")
        handler.setLevel("ERROR")
        logging.getLogger("library.part.inner").info("below its level")
        handler.setLevel("INFO")
        handler.addFilter(lambda record: False)
        logging.getLogger("library.part.inner").info("filtered")
        class Sent(logging.Handler):
            def emit(self, record): pass
        logging.getLogger("remote").addHandler(Sent())
        logging.getLogger("remote").info("sent away")
    """
    done = train(tmp_path, source)
    expected = ["[own] once", "[own] once more", "by ours", "below its level", "filtered"]
    expected += ["sent away"]
    assert done.stdout.splitlines() == expected
    assert texts(tmp_path / "train.log") == expected


def test_closing_gives_logging_back(tmp_path: Path) -> None:
    """Handlers and the level are as before; a level that somebody set since stays."""
    before = (list(logging.root.handlers), logging.root.level)
    records = LoggingSetup(logging.DEBUG)
    assert (list(logging.root.handlers), logging.root.level) != before
    records.release()
    assert (list(logging.root.handlers), logging.root.level) == before
    records = LoggingSetup(logging.DEBUG)
    logging.root.setLevel(logging.ERROR)
    records.release()
    assert logging.root.level == logging.ERROR
    logging.root.setLevel(before[1])


def test_a_process_without_a_console_logs_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """If `sys.stderr` is None (pythonw), a record raises nothing."""
    monkeypatch.setattr(sys, "stderr", None)
    records = LoggingSetup(logging.INFO)
    logging.getLogger("net").info("hello")
    records.release()


def test_a_signal_handler_may_log(tmp_path: Path) -> None:
    """A handler that logs while a print is under way neither hangs nor loses a record."""
    source = """
        import signal
        count = 0
        def handler(*_):
            global count
            count += 1
            logging.info("<tick>")
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for i in range(3000): print("line", i, file=sys.stderr)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(count)
    """
    done = train(tmp_path, source)
    assert done.returncode == 0
    kept = "".join(texts(tmp_path / "train.log")[:-1])
    assert kept.count("<tick>") == int(done.stdout.splitlines()[-1]) > 0
    assert kept.replace("<tick>", "") == "".join(f"line {n}" for n in range(3000))
