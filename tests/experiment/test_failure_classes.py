"""Failures: the one line of a long log that says what went wrong, and its class."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from modeldir.experiment.error_lines import error_line, last_printed
from modeldir.experiment.failure_classes import (
    ERROR,
    OUT_OF_MEMORY,
    failure_class,
    masked,
)


def died(code: str) -> bytes:
    """Return the output of a real script that dies."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 1
    return done.stdout


# -- Alike -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ValueError: width=300 is too much", "ValueError: width=4e5 is too much", True),
        ("ValueError: width=300 is too much", "KeyError: width=300 is too much", False),
        ("ValueError: width=300 is too much", "ValueError: depth=300 is too much", False),
        ("KeyError: 'a b'", 'KeyError: "c"', True),
        ("no 'lr' in x/lr_0.1/params.json; why?", "no 'lr' in /y/lr_1/params.json; why?", True),
        ("shape (3, -1.5e-3)", "shape (-40, 2)", True),
        ("it's one thing", "it's another thing", False),
    ],
)
def test_what_differs_by_the_trial_s_own_words_is_alike(one: str, other: str, alike: bool) -> None:  # noqa: FBT001
    """Numbers, paths and quoted values are the trial's; the exception and what it says are not."""
    assert (masked(one) == masked(other)) == alike


def test_a_trial_s_name_is_its_own() -> None:
    """Also where it has no number in it."""
    assert masked("bad: optimizer_adam", "optimizer_adam") == masked("bad: b", "b")


# -- The line --------------------------------------------------------------------------------------


def test_a_traceback_of_this_python_ends_in_its_exception() -> None:
    """Also with frames of functions, and with lines printed before."""
    output = died("""
        print("epoch 1")
        def train():
            raise ValueError("it diverged")
        train()
    """)
    assert error_line(output) == "ValueError: it diverged"


def test_of_chained_exceptions_the_one_that_ended_it_counts() -> None:
    """The cause is printed first; what the script died of comes last."""
    output = died("""
        try:
            {}["lr"]
        except KeyError as error:
            raise RuntimeError("no learning rate") from error
    """)
    assert error_line(output) == "RuntimeError: no learning rate"


def test_of_a_message_of_many_lines_the_first_is_shown() -> None:
    """The lines after it are details."""
    assert error_line(died("raise ValueError('shapes differ\\n  (3, 4)\\n  (4, 3)')")) == (
        "ValueError: shapes differ"
    )


def test_a_syntax_error_is_told() -> None:
    """Its traceback has a marker line, and no frame of a function."""
    output = died("exec(compile('lr = = 1', 'train.py', 'exec'))")
    assert error_line(output) == "SyntaxError: invalid syntax"


def test_words_after_a_traceback_do_not_hide_it() -> None:
    """A logger, a progress bar or a wrapper may still speak when all is over."""
    output = b"Traceback (most recent call last):\n  File 't.py', line 1\nKeyError: 1\nwandb: bye\n"
    assert error_line(output) == "KeyError: 1"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (b"", None),
        (b"\n  \n", None),
        (b"train.py: error: no data\n\n", "train.py: error: no data"),
        (b"Segmentation fault", "Segmentation fault"),
        (b"Traceback (most recent call last):\n", "Traceback (most recent call last):"),
        (b"Traceback (most recent call last):\n  File 't.py', line 1\n", "File 't.py', line 1"),
        (b" 10%|#   |\r 50%|##  |\r\x1b[31mdead\x1b[0m\n", "dead"),
        (b"2025-01-01 10:00:00,123 ERROR the disk is full\n", "the disk is full"),
        (b"\xff\xfe broken bytes \xff", "\ufffd\ufffd broken bytes \ufffd"),
    ],
)
def test_without_a_whole_traceback_the_last_words_are_shown(
    output: bytes, line: str | None
) -> None:
    """Usage errors, crashes, torn tracebacks, colors, bars, stamps, broken text, nothing."""
    assert error_line(output) == line


def test_a_traceback_through_our_log_is_found() -> None:
    """In `train.log` its first line has the time and the level before it."""
    log = (
        b"2025-01-01 10:00:00,123 INFO epoch 1\n"
        b"2025-01-01 10:00:01,123 ERROR Traceback (most recent call last):\n"
        b"2025-01-01 10:00:01,123 ERROR   File 't.py', line 1, in <module>\n"
        b"2025-01-01 10:00:01,123 ERROR ZeroDivisionError: division by zero\n"
    )
    assert error_line(log) == "ZeroDivisionError: division by zero"


def test_windows_line_ends_are_line_ends() -> None:
    """A carriage return before a line end is no progress bar that wiped the line."""
    output = b"Traceback (most recent call last):\r\n  File 't.py', line 1\r\nKeyError: 1\r\n"
    assert error_line(output) == "KeyError: 1"
    assert last_printed(b"epoch 1\r\nepoch 2\r\n") == "epoch 2"


TORCHRUN = b"""\
epoch 1
[rank1]: Traceback (most recent call last):
[rank1]:   File "/home/me/train.py", line 9, in <module>
[rank1]:     y = model(x)
[rank1]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has
W1125 10:00:00.123000 7 torch/distributed/elastic/multiprocessing/api.py:897] Sending process 9
E1125 10:00:00.456000 7 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1)
Traceback (most recent call last):
  File "/home/me/.venv/bin/torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
------------------------------------------------------------
"""


def test_of_several_processes_the_one_that_failed_is_heard() -> None:
    """Not what started it, and that says at last that a rank has failed."""
    line = error_line(TORCHRUN)
    assert line is not None
    assert line.startswith("torch.OutOfMemoryError: CUDA out of memory.")
    assert failure_class(line) == OUT_OF_MEMORY
    alone = TORCHRUN[TORCHRUN.index(b"\nTraceback") :]
    assert error_line(alone) == "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"
    output = died("""
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "{}['lr']"], check=True)
    """)
    assert error_line(output) == "KeyError: 'lr'"


LAUNCHER = b"""\
Traceback (most recent call last):
  File "/home/me/.venv/bin/torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
------------------------------------------------------------
  exitcode  : -11 (pid: 4711)
"""
STAMP = b"E1203 10:00:00.456000 7 torch/distributed/elastic/multiprocessing/api.py:869] failed\n"


def test_a_rank_without_a_traceback_is_heard_too() -> None:
    """It refused an option, or crashed: torchrun's own words come last and say neither."""
    usage = b"usage: train.py [-h]\ntrain.py: error: unrecognized arguments: --model_dir\n"
    assert error_line(usage + STAMP + LAUNCHER) == (
        "train.py: error: unrecognized arguments: --model_dir"
    )
    crash = LAUNCHER + b"  traceback : Signal 11 (SIGSEGV) received by PID 4711\n"
    assert error_line(b"epoch 1\n" + STAMP + crash) == "Signal 11 (SIGSEGV) received"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            (
                "Could not override 'lrr'.\nTo append to your config use +lrr=1\n"
                "Key 'lrr' is not in struct\n    full_key: lrr\n    object_type=dict\n\n"
                "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"
            ),
            "Could not override 'lrr'.",
        ),
        (
            (
                "no viable alternative at input '[1'\nSee https://hydra.cc/docs for details\n\n"
                "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"
            ),
            "no viable alternative at input '[1'",
        ),
        (
            (
                "FATAL Flags parsing error: flag --lr=-1: -1.0 is not a non-negative number\n"
                "Pass --helpshort or --helpfull to see help on flags.\n"
            ),
            "FATAL Flags parsing error: flag --lr=-1: -1.0 is not a non-negative number",
        ),
        (
            (
                "F1203 06:28:02.340517 140222977604480 train.py:5] lr 9.0 is too high\n"
                "Fatal Python error: Aborted\n\nCurrent thread 0x00007f (most recent call first):\n"
                '  File "train.py", line 5 in main\n'
            ),
            "lr 9.0 is too high",
        ),
        (
            (
                "Usage: train.py [OPTIONS]\nTry 'train.py --help' for help.\n"
                "╭─ Error ──────────────────────────╮\n│ Invalid value for '--lr': 'abc'  │\n"
                "│ is not a number                  │\n╰──────────────────────────────────╯\n"
            ),
            "Invalid value for '--lr': 'abc' is not a number",
        ),
        (
            (
                'usage: train.py [--a.d D]\nerror: Parser key "a.d":\n'
                "  Expected a <class 'int'>. Got value: abc\n"
            ),
            "error: Parser key \"a.d\": Expected a <class 'int'>. Got value: abc",
        ),
        (
            (
                "epoch 1\nterminate called after throwing an instance of 'std::runtime_error'\n"
                "  what():  bad learning rate\nbash: line 1:  6528 Aborted      ./train\n"
            ),
            "std::runtime_error: bad learning rate",
        ),
        (
            (
                "train: c.cpp:5: int main(): Assertion `n < 0' failed.\n"
                "bash: line 1:  6531 Aborted                 ./train a\n"
            ),
            "train: c.cpp:5: int main(): Assertion `n < 0' failed.",
        ),
        (
            "epoch 1\nbash: line 1:  6534 Segmentation fault      ./train\n",
            "bash: line 1:  6534 Segmentation fault      ./train",
        ),
        (
            (
                "thread 'main' panicked at src/main.rs:3:5:\nno data\n"
                "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
            ),
            "thread 'main' panicked at src/main.rs:3:5: no data",
        ),
        (
            (
                "no data in /data\n"
                "modeldir: ROOT was changed before torch was imported, unlike in the first trial: "
                "this may have no effect on torch (--no-preload avoids that)\n"
            ),
            "no data in /data",
        ),
        ("usage: none\nerror: 0.25\nno data in /data\n", "no data in /data"),
    ],
)
def test_what_is_wrong_goes_before_what_is_printed_after_it(output: str, line: str) -> None:
    """Hydra, absl, Typer, jsonargparse, crashed programs: a hint, or the shell's word, is last."""
    assert error_line(output.encode()) == line


def test_a_message_that_begins_on_the_next_line_belongs_to_its_exception() -> None:
    """Hydra's `instantiate` raises such errors."""
    output = died(
        "raise RuntimeError('Error in call to target X:\\nTypeError(1)\\nfull_key: model')"
    )
    assert error_line(output) == "RuntimeError: Error in call to target X: TypeError(1)"


def test_tracebacks_that_were_printed_into_each_other_have_an_exception() -> None:
    """Two ranks that fail at once."""
    mixed = (
        b"Traceback (most recent call last):\nTraceback (most recent call last):\n"
        b"  File 't.py', line 1\n  File 't.py', line 1\nKeyError: 1\nKeyError: 1\n"
    )
    assert error_line(mixed) == "KeyError: 1"


def test_a_line_that_never_ends_is_cut() -> None:
    """A tensor in a message must not fill the table."""
    assert len(error_line(b"ValueError: " + b"9" * 100_000) or "") == 300


def test_the_last_printed_line_is_what_a_terminal_shows() -> None:
    """For a progress bar it is the last state."""
    assert last_printed(b"epoch 1\nloss 0.5\rloss 0.4\rloss 0.3") == "loss 0.3"
    assert last_printed(b"\n\n") is None


# -- Its class -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "torch.OutOfMemoryError: HIP out of memory.",
        "MemoryError",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB for an array",
        "RuntimeError: CUDA error: out of memory",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory",
        "OSError: [Errno 12] Cannot allocate memory",
    ],
)
def test_memory_that_ran_out_is_told_from_a_fault(line: str) -> None:
    """The words of the usual libraries; a smaller batch would help, another run would not."""
    assert failure_class(line) == OUT_OF_MEMORY


@pytest.mark.parametrize("line", [None, "", "KeyError: 'memory'", "ValueError: memory_size < 1"])
def test_all_else_is_an_error(line: str | None) -> None:
    """The word memory alone says nothing."""
    assert failure_class(line) == ERROR
