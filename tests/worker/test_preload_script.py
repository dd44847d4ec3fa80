"""A script as the main program of a fork: without preload, through learning and preloaded nobody
can tell.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from modeldir.worker.preload import command_line, guards, imports
from preload_bench import Bench, assert_same


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "a project, größer"
    folder.mkdir()
    return Bench(folder)


def test_a_script_finds_its_surroundings_as_after_a_plain_start(bench: Bench) -> None:
    """Words, files, folders, descriptors, signals, group and streams are what they would be."""
    printed = bench.same(
        "import fcntl, os, signal, sys\n"
        "print(fcntl.fcntl(0, fcntl.F_GETFL), fcntl.fcntl(1, fcntl.F_GETFL))\n"
        "print(sys.argv, sys.orig_argv, sys.path, sys.flags, sys.executable)\n"
        "print(__name__, __file__, __spec__, __package__, __cached__, list(globals()))\n"
        "print(type(__loader__).__name__, __loader__.path)\n"
        "print(sys.modules['__main__'].__dict__ is globals())\n"
        "print(sorted(os.environ.items()), os.getcwd(), os.listdir('/proc/self/fd'))\n"
        "print({n: signal.getsignal(n) for n in signal.valid_signals()})\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        "print(os.getpid() == os.getpgrp())\n"
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
        pytest.param(
            "sys.stdout = open('/dev/full', 'w'); print('x' * 10)",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13),
                reason="Python tells there by which line it was destroyed, which is one of ours",
            ),
        ),
        "sys.stdout = sys.stderr = Tee(); print('copied')",
        "sys.stdout = sys.stderr = Tee(); f()",
        "del Tee.flush; sys.stderr = Tee()",
        "sys.stdout.detach()",
    ],
)
def test_however_a_script_ends_it_ends_so_preloaded(bench: Bench, ending: str) -> None:
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
        "class Tee:\n"
        "    def write(self, text): return os.write(1, text.encode())\n"
        "    def flush(self): pass\n"
        "print('begun', flush=True)\n" + ending + "\n",
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


def test_a_daemon_thread_that_is_about_to_end_may_do_so(bench: Bench) -> None:
    """As while an interpreter takes its libraries down; one that goes on is not waited for."""
    bench.write(
        "import os, threading, time\n"
        "over = threading.Event()\n"
        "def last():\n"
        "    over.wait()\n"
        "    for _ in range(5): time.sleep(0)\n"
        "    os.write(1, b'it has ended')\n"
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "threading.Thread(target=last, daemon=True).start()\n"
        "over.set()\n"
    )
    _, learned = bench.learn()
    (run,) = bench.preloaded(learned, ()).runs
    assert (run.printed, run.code) == ("it has ended", 0)


def test_a_daemon_thread_that_is_about_to_begin_is_not_waited_for(bench: Bench) -> None:
    """Whoever started it was cut off in the midst of that: it cannot be joined."""
    bench.same(
        "import threading\n"
        "thread = threading.Thread(target=print, daemon=True)\n"
        "threading._limbo[thread] = thread\n"
        "print('the last line')\n"
    )


def test_a_command_that_is_no_plain_script_is_refused() -> None:
    """Wrappers, code on the command line, folders and interactive runs stay without preload."""
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
        assert command_line.parse(command) is None
        assert guards.command_objection(command)


def test_what_was_learned_can_be_kept(bench: Bench) -> None:
    """It is the same after it was written and read; other people's files are no list."""
    bench.write("import json, helper\n")
    bench.write("", "helper.py")
    _, learned = bench.learn()
    assert imports.ImportList.from_json(json.loads(json.dumps(learned.to_json()))) == learned
    assert "json.decoder" in learned.names
    assert learned.own == ("helper",)
    assert learned.has_ended
    assert learned.is_current()
    nonsense: object
    for nonsense in (None, 3, {}, {"modules": []}, {"modules": [["a"]]}):
        assert imports.ImportList.from_json(nonsense) is None


@pytest.mark.parametrize(
    "flags",
    [
        ("-u",),
        ("-O",),
        ("-OO", "-W", "error"),
        ("-Werror::DeprecationWarning", "-X", "utf8"),
        ("-P",) if sys.version_info >= (3, 11) else ("-s",),
        ("-I",),
        ("-E", "-s", "-B"),
        ("-X", "faulthandler"),
        ("-bb", "-Xdev"),
    ],
)
def test_options_of_the_interpreter_hold(bench: Bench, flags: tuple[str, ...]) -> None:
    """Assertions, doc strings, warnings, the path, encodings: as they were asked for."""
    bench.flags = flags
    bench.write("", "beside.py")
    bench.same(
        "import faulthandler, os, sys, warnings\n"
        "def f():\n    'a doc string'\n"
        "print(sys.flags, sys.warnoptions, sys._xoptions, sys.orig_argv, sys.path, f.__doc__)\n"
        "print(len(warnings.filters), __debug__, sys.stdout.encoding, faulthandler.is_enabled())\n"
        "try:\n    import beside\nexcept ImportError as error:\n    print(error)\n"
        "try:\n    assert False\nexcept AssertionError:\n    print('asserted')\n"
        "warnings.warn('old', DeprecationWarning)\n"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYTHONUNBUFFERED", ""),
        ("PYTHONIOENCODING", "latin-1:replace"),
        ("PYTHONUTF8", "1"),
        ("LC_ALL", "C"),
        ("PYTHONWARNINGS", "ignore"),
        ("PYTHONFAULTHANDLER", "1"),
        ("PYTHONPATH", "more:/nowhere"),
    ],
)
def test_variables_of_the_interpreter_hold(bench: Bench, variable: str, value: str) -> None:
    """Buffering, encodings, warnings, the path."""
    bench.variables[variable] = value
    bench.write("print('from more')\n", "more/extra.py")
    bench.same(
        "import os, sys, warnings\n"
        "print([(s.encoding, s.errors, s.line_buffering, s.write_through)\n"
        "       for s in (sys.stdin, sys.stdout, sys.stderr)])\n"
        "print('größer?'.encode('ascii', 'replace'), sys.path, type(sys.stdout.buffer).__name__)\n"
        "print('first to stdout')\n"
        "sys.stderr.write('then to stderr')\n"
        "warnings.warn('told')\n"
        "try:\n    import extra\nexcept ImportError:\n    pass\n"
    )


@pytest.mark.parametrize(
    "script",
    [
        "def f(:\n    pass\n",
        "print('a')\n  print('b')\n",
        "\ufeffprint('a mark at the beginning', __doc__)\n",
        "# -*- coding: latin-1 -*-\nprint(ascii('gr\u00f6\u00dfer'))\n",
        "'''A doc string.'''\nfrom __future__ import annotations\nprint(__doc__, annotations)\n",
        "x: int = 1\nprint(__annotations__)\n",
        "",
    ],
)
def test_odd_sources_are_read_as_python_reads_them(bench: Bench, script: str) -> None:
    """Errors in the syntax, marks, other encodings, doc strings, nothing at all."""
    bench.same(script)


def test_a_script_that_is_a_link_or_lies_elsewhere(bench: Bench) -> None:
    """The first folder of the path is that of the file that the link leads to."""
    bench.write("", "far/away/beside.py")
    bench.write(
        "import sys, beside\nprint(sys.argv, __file__, sys.path[0])\n1 / 0\n", "far/away/real.py"
    )
    (bench.folder / "link.py").symlink_to("far/away/real.py")
    for script in ("link.py", "./link.py", "far/../link.py", "far/away/real.py"):
        bench.script = script
        assert_same(*bench.thrice("a b")[::2], script)


def test_a_script_that_is_not_there(bench: Bench) -> None:
    """Python's own words, and its exit code 2; and so for one that is no text."""
    bench.write("")
    _, learned = bench.learn()
    bench.write("print(1)\0", "binary.py")
    for script, code in (("missing.py", 2), ("binary.py", 1)):
        bench.script = script
        reply = bench.preloaded(learned, ())
        plain = bench.plain()
        assert_same(plain, reply.runs[0], "preloaded")
        assert_same(plain, bench.run_through_learning(), "through learning")
        assert (plain.code, reply.plain) == (code, 1)


def test_a_module_is_run_as_python_m_runs_it(bench: Bench) -> None:
    """With its package, and with the traceback through runpy."""
    bench.write("", "pack/__init__.py")
    bench.write("value = 3\n", "pack/other.py")
    text = (
        "import sys\nfrom .other import value\n"
        "print(sys.argv, sys.path[0], __name__, __package__, __spec__.name, __file__, value)\n"
    )
    bench.write(text + "1 / 0\n", "pack/fails.py")
    bench.write(text, "pack/main.py")
    for module in ("pack.main", "pack.fails", "pack.missing", "pack"):
        bench.is_module, bench.script = True, module
        plain, first, preloaded = bench.thrice("--word")
        assert_same(plain, first, f"{module} through learning")
        assert_same(plain, preloaded, f"{module} preloaded")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_that_a_script_starts_find_its_classes(bench: Bench, method: str) -> None:
    """Pools of each kind, pickles of classes in `__main__`, sources, other programs, logs."""
    bench.same(
        "import inspect, logging, multiprocessing, pickle, subprocess, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "class Point:\n"
        "    def __init__(self, x): self.x = x\n"
        "def square(point):\n"
        "    assert multiprocessing.current_process().name != 'MainProcess'\n"
        "    return Point(point.x ** 2)\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context('{method}')\n"
        "    with context.Pool(2) as pool:\n"
        "        print([p.x for p in pool.map(square, [Point(2), Point(3)])])\n"
        "    with ProcessPoolExecutor(2, mp_context=context) as pool:\n"
        "        print([p.x for p in pool.map(square, [Point(4)])])\n"
        "    print(pickle.loads(pickle.dumps(Point(1))).x, pickle.dumps(square))\n"
        "    print(inspect.getsource(Point), inspect.getfile(square), inspect.getmodule(Point))\n"
        "    logging.basicConfig(level='INFO', format='%(module)s %(lineno)d %(message)s')\n"
        "    logging.info('told')\n"
        "    code = 'import sys, os; print(sys.path[1:], os.listdir(\"/proc/self/fd\"))'\n"
        "    subprocess.run([sys.executable, '-c', code], check=True)\n"
        "    print(multiprocessing.active_children(), multiprocessing.parent_process())\n"
    )


def test_a_debugging_script_sees_itself(bench: Bench) -> None:
    """Warnings and logs name the script's lines; a hook or a trace of its own is its own."""
    bench.same(
        "import faulthandler, logging, os, sys, traceback, warnings\n"
        "def f(level): warnings.warn(f'level {level}', stacklevel=level)\n"
        "f(1)\nf(2)\n"
        "logging.warning('%s', 'told'); logging.getLogger('x').error('failed', exc_info=True)\n"
        "print(traceback.format_exc())\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    print(traceback.format_exc())\n"
        "import threading\n"
        "thread = threading.Thread(target=lambda: 1 / 0, name='T'); thread.start(); thread.join()\n"
        "print(threading.current_thread() is threading.main_thread(), threading.active_count())\n"
        "import sqlite3, ssl, asyncio, decimal\n"
        "print(sqlite3.connect(':memory:').execute('select 1').fetchall())\n"
        "async def main(): return await asyncio.sleep(0.01, 'slept')\n"
        "print(asyncio.run(main()), ssl.create_default_context().verify_mode)\n"
        "print(decimal.Decimal(1) / 3)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    sys.exit('the child leaves')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )


def test_random_numbers_that_nobody_seeded_are_new_in_each_trial(bench: Bench) -> None:
    """As in new processes: of Python, and of NumPy in both kinds."""
    bench.write(
        "import random, tempfile, uuid\nimport numpy as np\n"
        "print(random.random(), np.random.rand(), np.random.default_rng().random(), uuid.uuid4(),\n"
        "      tempfile.mktemp(), sep='\\n')\n"
    )
    _, learned = bench.learn()
    one, two = bench.preloaded(learned, (), ()).runs
    assert one.code == two.code == 0
    assert not set(one.printed.splitlines()).intersection(two.printed.splitlines())


def test_a_script_finds_modeldir_as_new(bench: Bench) -> None:
    """What supervises it was imported by another: its state is not the script's."""
    printed = bench.same(
        "import sys\n"
        "print([name for name in sys.modules if name.startswith('modeldir')])\n"
        "import modeldir\n"
        "print(sorted(name for name in sys.modules if name.startswith('modeldir')))\n"
        "print(modeldir.Params({'a': 1}).a, modeldir.__spec__.name)\n"
    )
    assert printed.startswith("[]\n['modeldir'")
