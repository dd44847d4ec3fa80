"""A script as the main program of a fork: cold, through learning and warm nobody can tell."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from modeldir.warm import guards, imports, invocations
from warmth import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "a project, größer"
    folder.mkdir()
    return Bench(folder)


def test_a_script_finds_its_surroundings_as_after_a_cold_start(bench: Bench) -> None:
    """Words, files, folders, descriptors, signals, session and streams are what they would be."""
    printed = bench.same(
        "import os, signal, sys\n"
        "print(sys.argv, sys.orig_argv, sys.path, sys.flags, sys.executable)\n"
        "print(__name__, __file__, __spec__, __package__, __cached__, list(globals()))\n"
        "print(type(__loader__).__name__, __loader__.path)\n"
        "print(sys.modules['__main__'].__dict__ is globals())\n"
        "print(sorted(os.environ.items()), os.getcwd(), os.listdir('/proc/self/fd'))\n"
        "print({n: signal.getsignal(n) for n in signal.valid_signals()})\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        "print(os.getpid() == os.getpgrp() == os.getsid(0))\n"
        "for s in (sys.stdin, sys.stdout, sys.stderr):\n"
        "    print(s, s.errors, s.line_buffering, s.write_through, type(s.buffer), s.name)\n"
        "    print(os.readlink(f'/proc/self/fd/{s.fileno()}').startswith('/dev/null'))\n",
        "--model_dir",
        "exp/a b",
    )
    assert "'--model_dir', 'exp/a b'" in printed


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit()",
        "sys.exit(3)",
        "sys.exit(-1)",
        "sys.exit(2**40 + 3)",
        "sys.exit('a message, größer')",
        "sys.exit(('a', 'tuple'))",
        "raise SystemExit(True)",
        "os._exit(5)",
        "os.abort()",
        "os.kill(os.getpid(), 15)",
        "raise KeyboardInterrupt",
        "os.kill(os.getpid(), 2); import time; time.sleep(30)",
        "f()",
        "1/0",
        "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "sys.excepthook = lambda *a: print('hook', a[0], a[2].tb_lineno); f()",
        "sys.excepthook = lambda *a: 1 / 0; f()",
        "sys.excepthook = lambda *a: sys.exit(7); f()",
        "sys.stderr = None; f()",
        "sys.stdout = None; sys.stderr = open('/dev/null', 'w'); f()",
        "sys.stdout.close()",
        "sys.stdout = open('/dev/full', 'w'); print('x' * 10)",
    ],
)
def test_however_a_script_ends_it_ends_so_warm(bench: Bench, ending: str) -> None:
    """Exit codes, messages, signals and the text of what nobody caught are the same."""
    if "ExceptionGroup" in ending and sys.version_info < (3, 11):
        pytest.skip("Python 3.11 has these")
    bench.same(
        "import os, sys\n"
        "def f():\n"
        "    try:\n"
        "        raise KeyError('first')\n"
        "    except KeyError:\n"
        "        raise ValueError('second')\n"
        "print('begun')\n" + ending + "\n",
    )


def test_what_a_script_left_unfinished_is_finished(bench: Bench) -> None:
    """Threads are joined, handlers called, prints written, open files closed, objects destroyed."""
    bench.write("open_file = open('out/other.txt', 'w')\nopen_file.write('too')\n", "other.py")
    printed = bench.same(
        "import atexit, os, sys, threading, time\n"
        "os.makedirs('out', exist_ok=True)\n"
        "class Loud:\n"
        "    def __init__(self, name): self.name = name\n"
        "    def __del__(self): print('destroyed', self.name)\n"
        "def later():\n"
        "    time.sleep(0.1)\n"
        "    print('the thread is over')\n"
        "file = open('out/left_open.txt', 'w')\n"
        "file.write('written' * 3)\n"
        "cycle = [Loud('in a cycle')]\n"
        "cycle.append(cycle)\n"
        "plain = Loud('plain')\n"
        "_private = Loud('private')\n"
        "import other\n"
        "atexit.register(print, 'first registered, last called')\n"
        "atexit.register(lambda: 1 / 0)\n"
        "threading.Thread(target=later).start()\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True)\n"
        "sys.stdout.write('no newline at the end')\n",
    )
    assert "the thread is over" in printed


def test_a_command_that_is_no_plain_script_is_refused() -> None:
    """Wrappers, code on the command line, folders and interactive runs stay cold."""
    for command in (
        [],
        ["torchrun", "train.py"],
        ["python", "-c", "pass"],
        ["python", "-i", "train.py"],
        ["python", "-", "train.py"],
        ["python", "folder"],
        ["python"],
        ["sh", "train.sh"],
    ):
        assert invocations.parse(command) is None
        assert guards.refusal(command)


def test_what_was_learned_can_be_kept(bench: Bench) -> None:
    """It is the same after it was written and read; other people's files are no list."""
    bench.write("import json, helper\n")
    bench.write("", "helper.py")
    _, learned = bench.learn()
    assert imports.Learned.from_json(json.loads(json.dumps(learned.to_json()))) == learned
    assert "json.decoder" in learned.names
    assert learned.own == ("helper",)
    assert learned.has_ended
    assert learned.is_current()
    nonsense: object
    for nonsense in (None, 3, {}, {"modules": []}, {"modules": [["a"]]}):
        assert imports.Learned.from_json(nonsense) is None
