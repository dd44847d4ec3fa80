"""What is imported ahead: a script finds it when, and as, it would have imported it itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

import modeldir
from modeldir.worker.preload import command_line, guards, imports
from preload_bench import Bench, assert_same

LIBRARIES = {
    "plain": "from plain_part import part\n",
    "plain_part": "import json\npart = 1\n",
    "lazy": "def later():\n    import plain\n    return plain\n",
    "busy": (
        "import atexit, logging, os, sys, warnings\n"
        "THREADS = os.environ.get('OMP_NUM_THREADS')\n"
        "os.environ.setdefault('BUSY', 'set by the library')\n"
        "warnings.filterwarnings('always', module='busy')\n"
        "warnings.warn('busy is old', FutureWarning)\n"
        "print('Hello from busy')\n"
        "os.write(2, b'C code speaks\\n')\n"
        "handler = logging.StreamHandler()\n"
        "atexit.register(print, 'busy leaves')\n"
    ),
    "broken": "import plain\nimport not_there\n",
    "threaded": (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True, name='sleeper').start()\n"
    ),
    "drawing": "import random\nlucky = random.random()\n",
    "signaling": "import signal\nsignal.signal(signal.SIGUSR1, print)\n",
    "taken": "import queue\n",
    "jax": "",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with libraries of our own, and without modeldir."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    for name, text in LIBRARIES.items():
        (site / f"{name}.py").write_text(text)
    return folder / "bin" / "python"


@pytest.fixture
def bench(tmp_path: Path, python: Path) -> Bench:
    folder = tmp_path / "project"
    folder.mkdir()
    return Bench(folder, python=str(python))


def test_modules_come_when_the_script_imports_them(bench: Bench) -> None:
    """`sys.modules` holds no library before, and what the library would have loaded after."""
    printed = bench.same(
        "import sys\n"
        "names = ('plain', 'plain_part', 'lazy')\n"
        "print([name in sys.modules for name in names])\n"
        "import lazy\n"
        "print([name in sys.modules for name in names])\n"
        "module = lazy.later()\n"
        "print([name in sys.modules for name in names], module.part, module.__spec__)\n"
        "print(module.__loader__ is module.__spec__.loader, type(module.__loader__).__name__)\n"
        "import importlib.util\n"
        "print(importlib.util.find_spec('plain').origin, importlib.util.find_spec('nothing'))\n"
        "importlib.reload(module)\n"
        "del sys.modules['plain']\n"
        "import plain\n"
        "print(plain is module, plain.part)\n"
    )
    assert printed.startswith("[False, False, False]\n[False, False, True]\n[True, True, True] 1 ")
    assert "False 1\n" in printed


def test_what_an_import_does_besides_is_done_then(bench: Bench) -> None:
    """Variables, filters, warnings, printed lines and exit handlers of a library."""
    bench.same(
        "import atexit, os, subprocess, sys, warnings\n"
        "print('before', os.environ.get('BUSY'), len(warnings.filters))\n"
        "import logging, busy\n"
        "atexit.register(print, 'the script leaves')\n"
        "print('after', os.environ['BUSY'], len(warnings.filters))\n"
        "warnings.warn('mine', DeprecationWarning)\n"
        "sys.stdout.flush()\n"
        "subprocess.run(['sh', '-c', 'echo $BUSY'])\n"
        "busy.handler.stream.write('to the log\\n')\n"
    )


def test_a_filter_set_before_hides_the_warning_of_an_import(bench: Bench) -> None:
    """As many scripts do in their first line: but a library's own filter, set later, wins."""
    printed = bench.same(
        "import warnings\nwarnings.filterwarnings('ignore')\nimport busy\n"
        "warnings.warn_explicit('shown', FutureWarning, 'f', 1, module='busy')\n"
        "warnings.warn('hidden', FutureWarning)\n"
    )
    assert ("shown" in printed, "hidden" in printed) == (True, False)


def test_libraries_are_loaded_under_the_variables_that_the_script_had_set(bench: Bench) -> None:
    """A thread count set in the first line is the library's, and a child's environment is new."""
    printed = bench.same(
        "import os\n"
        "print(os.environ.get('OMP_NUM_THREADS'), os.environ.pop('GONE', None))\n"
        "os.environ['OMP_NUM_THREADS'] = '3'\n"
        "import busy\n"
        "print(busy.THREADS)\n"
    )
    assert printed.startswith("None None\n")
    assert "\n3\n" in printed


def test_a_variable_by_trial_is_seen(bench: Bench) -> None:
    """One set to an argument is refused; one from a file starts that trial again, without
    preload.
    """
    bench.write("import os, sys\nos.environ['RUN'] = sys.argv[1] + '.log'\nimport busy\n")
    _, learned = bench.learn("experiments/a")
    told = guards.command_objection(bench.command("experiments/b"), learned)
    assert told == "the script sets RUN by its arguments before it imports libraries"
    bench.write(
        "import os, sys\n"
        "os.environ['OMP_NUM_THREADS'] = open(sys.argv[1]).read()\n"
        "import busy\n"
        "print(busy.THREADS, sys.argv)\n"
    )
    bench.write("1", "one.txt")
    bench.write("2", "two.txt")
    _, learned = bench.learn("one.txt")
    reply = bench.preloaded(learned, ("one.txt",), ("two.txt",))
    assert reply.plain == 1
    one, two = reply.runs
    assert_same(bench.plain("one.txt"), one, "as learned")
    assert_same(bench.plain("two.txt"), two, "begun again")


@pytest.mark.parametrize("folder", [".", "elsewhere"])
def test_a_module_of_the_scripts_that_came_since_is_found(bench: Bench, folder: str) -> None:
    """In its folder, or in one that it puts on the path: then it hides a library's, or what a
    library needs.
    """
    bench.write(
        "import pathlib, sys\n"
        "sys.path[:0] = ['elsewhere', pathlib.Path('nowhere')]\n"
        "import plain\n"
        "print(plain.part)\n"
    )
    (bench.folder / "elsewhere").mkdir()
    _, learned = bench.learn()
    assert bench.preloaded(learned, ()).plain == 0
    bench.write("part = 'of our own'\n", f"{folder}/plain_part.py")
    (run,) = bench.preloaded(learned, ()).runs
    assert "of our own" in run.printed
    assert_same(bench.plain(), run, "as it lies there now")


def test_a_log_that_begins_before_an_import_is_no_variable_of_the_trial(bench: Bench) -> None:
    """It tells the trial's children where the log is; what is imported after it is preloaded
    anyway.
    """
    bench.variables["PYTHONPATH"] = str(Path(modeldir.__file__).parents[1])
    bench.write(
        "import os, sys\nimport modeldir\n"
        "modeldir.set_logger(os.path.join(sys.argv[1], 'train.log'))\n"
        "import busy\nprint(busy.THREADS, 'MODELDIR_CAPTURED' in os.environ)\n"
    )
    for name in ("first", "second"):
        (bench.folder / "experiments" / name).mkdir(parents=True)
    plain, learned = bench.learn("experiments/first")
    assert "True" in plain.printed
    told = guards.command_objection(bench.command("experiments/second"), learned)
    assert told is None or "imports only" in told
    reply = bench.preloaded(learned, ("experiments/second",))
    assert reply.plain == 0
    assert "True" in reply.runs[0].printed


def test_a_variable_by_trial_is_told_where_it_is_too_late(bench: Bench) -> None:
    """A script that has printed is not begun again: it says that the variable has no effect."""
    bench.write(
        "import os, sys\n"
        "print('begun', flush=True)\n"
        "os.environ['OMP_NUM_THREADS'] = open('threads.txt').read()\n"
        "import busy\n"
    )
    bench.write("1", "threads.txt")
    _, learned = bench.learn()
    bench.write("2", "threads.txt")
    (run,) = bench.preloaded(learned, ()).runs
    assert run.printed.count("begun") == 1
    assert "modeldir: OMP_NUM_THREADS was changed before busy was imported" in run.printed


def test_a_question_whether_a_module_exists_is_no_import(bench: Bench) -> None:
    """What the script changes after it has asked, and before it imports, is the same each time."""
    bench.write(
        "import importlib.util, os, sys\n"
        "print('begun', importlib.util.find_spec('busy') is not None, flush=True)\n"
        "os.environ['PROJECT_ROOT'] = os.getcwd()\n"
        "import busy\n"
    )
    plain, learned = bench.learn()
    reply = bench.preloaded(learned, ())
    assert reply.plain == 0
    assert_same(plain, reply.runs[0], "forked")


def test_a_process_that_the_script_forks_does_not_begin_the_script_again(bench: Bench) -> None:
    """It has written nothing, but it is not the trial: it goes on, and says so."""
    bench.write(
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.environ['OMP_NUM_THREADS'] = '5'\n"
        "    import busy\n"
        "    os._exit(3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "import busy\n"
    )
    _, learned = bench.learn()
    reply = bench.preloaded(learned, ())
    assert reply.plain == 0
    assert reply.runs[0].printed.count("modeldir: OMP_NUM_THREADS was changed") == 1
    assert "\n3\n" in reply.runs[0].printed


def test_a_trial_with_other_threads_than_were_loaded_for_is_not_preloaded(bench: Bench) -> None:
    """Pools are made when a library is loaded: for this trial it is loaded anew."""
    bench.write("import busy\nprint(busy.THREADS)\n")
    _, learned = bench.learn()
    reply = bench.preloaded(learned, (), OMP_NUM_THREADS="7")
    assert reply.plain == 1
    assert "\n7\n" in reply.runs[0].printed


def test_numbers_that_an_import_draws_are_drawn(bench: Bench) -> None:
    """A script that seeds before such an import begins again, without preload; after it nobody
    can tell.
    """
    end = "import random\nrandom.seed(3)\nprint(random.random())\n"
    bench.same("import drawing\n" + end)
    bench.write(
        f"{end}import drawing\nprint(random.random(), drawing.lucky)\n".replace(
            "print(random.random())\n", "", 1
        )
    )
    _, learned = bench.learn()
    reply = bench.preloaded(learned, ())
    assert reply.plain == 1
    assert_same(bench.plain(), reply.runs[0], "begun again")


def test_an_import_that_fails_fails_again(bench: Bench) -> None:
    """A library that is not whole, one that is not there, and a module of the script's with an
    error: the script sees the same.
    """
    bench.write("import plain\n1 / 0\n", "mine.py")
    bench.same(
        "import traceback\n"
        "for name in ('broken', 'not_there', 'mine', 'plain'):\n"
        "    try:\n"
        "        print(__import__(name).__name__)\n"
        "    except Exception:\n"
        "        traceback.print_exc()\n"
        "import sys\n"
        "print(sorted({'broken', 'plain', 'mine'}.intersection(sys.modules)))\n"
    )


def test_a_path_that_the_script_changes_leads_where_it_would(bench: Bench) -> None:
    """Modules from a folder of its own are its own, imported anew in each trial."""
    bench.write("import plain\nplain.part += 1\nprint('mine', plain.part)\n", "lib/mine.py")
    bench.write("", "lib/space/inner.py")
    printed = bench.same(
        "import sys\nsys.path.insert(0, 'lib')\nimport mine, space.inner\nprint(space.__path__)\n"
    )
    assert "mine 2" in printed
    _, learned = bench.learn()
    assert {"mine", "space", "space.inner"} <= set(learned.own)
    assert {"plain", "plain_part"} <= set(learned.names)


def test_what_must_not_be_forked_is_refused(bench: Bench, snapshot: SnapshotAssertion) -> None:
    """Threads and signal handlers from an import, hidden names, known libraries."""
    bench.write("", "queue.py")
    told = {}
    for library in ("threaded", "signaling", "taken"):
        bench.write(f"import {library}\n")
        _, learned = bench.learn()
        told[library] = bench.preloaded(learned, ()).objection
    bench.write("import jax\n")
    _, learned = bench.learn()
    told["jax"] = guards.command_objection(bench.command(), learned)
    bench.write("import plain\n")
    _, learned = bench.learn()
    told["plain"] = guards.command_objection(bench.command(), learned)
    told["wrapper"] = guards.command_objection(("torchrun", "train.py"))
    assert told == snapshot


def test_a_report_without_its_beginning_is_none(tmp_path: Path) -> None:
    """The disk was full at first, and had room later; or in the midst of a line."""
    report = tmp_path / "report"
    for text in ("", "{'name': 'busy', 'origin': None}\n", "{'words': [\n", "1 2\n"):
        report.write_text(text)
        assert imports.ImportReport(str(report)).import_list() is None


def test_a_report_that_cannot_be_written_disturbs_nobody(bench: Bench) -> None:
    """On a full disk the script runs as ever, and nothing is learned."""
    bench.write("import busy\nprint('well')\n")
    plain = bench.plain()
    invocation = command_line.parse(bench.command())
    assert invocation is not None
    for report in ("/dev/full", "/nowhere/report"):
        done = subprocess.run(
            invocation.through_recorder(report),
            cwd=bench.folder,
            env=bench.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (plain.code, plain.printed)


def test_an_upgraded_library_makes_the_list_old(bench: Bench, python: Path) -> None:
    """By the times of the folders where libraries lie."""
    bench.write("import plain\n")
    _, learned = bench.learn()
    assert learned.is_current()
    (site,) = python.parent.parent.glob("lib/python3*/site-packages")
    (site / "another.py").write_text("")
    assert not learned.is_current()


def test_byte_code_is_no_installation(bench: Bench, python: Path) -> None:
    """A first import in an environment in which nothing was compiled leaves the list current."""
    (site,) = python.parent.parent.glob("lib/python3*/site-packages")
    shutil.rmtree(site / "__pycache__", ignore_errors=True)
    bench.variables["PYTHONDONTWRITEBYTECODE"] = ""
    bench.write("import plain\n")
    _, learned = bench.learn()
    assert [*(site / "__pycache__").glob("plain.*")]
    assert learned.is_current()


def test_a_list_may_grow(bench: Bench, tmp_path: Path) -> None:
    """What has been imported stays; what is new is imported; what is not complete says so."""
    bench.write(
        "import plain\nimport time\nopen('ready', 'w').close()\ntime.sleep(0.4)\nimport busy\n"
    )
    _, learned = bench.learn()
    assert learned.has_ended
    report = tmp_path / "report"
    lines = next(tmp_path.glob("project.report.*")).read_text().splitlines(keepends=True)
    report.write_text("".join(lines[:-2]) + lines[-2][:10])
    growing = imports.ImportReport(str(report))
    torn = growing.import_list()
    assert torn is not None
    assert not torn.has_ended
    assert torn.modules == learned.modules[: len(torn.modules)]
    assert growing.import_list() is None
    with report.open("a") as file:
        file.write(lines[-2][10:] + lines[-1])
    assert growing.import_list() == learned
    assert imports.ImportReport(str(tmp_path / "nothing")).import_list() is None
