"""Descriptors captured: everything that a process and its children print, whoever is killed."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

from laboratory import wait_until
from logbook import HEAD, LOG_WRITERS, ends, log_writers_of, texts, train
from modeldir.logs.capture import descriptors
from terminals import Terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")


@pytest.fixture(autouse=True)
def _mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MARK", f"mark:{tmp_path}")


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# -- Everything ------------------------------------------------------------------------------------


def test_output_below_python_is_in_the_file(tmp_path: Path) -> None:
    """Of C code, children, `os.write`, the original stream objects: each line once, in order."""
    source = """
        import ctypes, subprocess
        print("python")
        libc = ctypes.CDLL(None)
        libc.puts(b"from C")
        libc.fflush(None)
        os.system("echo from a shell")
        subprocess.run(["echo", "from a child"])
        os.write(1, b"by descriptor\\n")
        print("to the original", file=sys.__stdout__, flush=True)
        subprocess.run(["sh", "-c", "echo its errors >&2"])
    """
    done = train(tmp_path, source)
    expected = ["python", "from C", "from a shell", "from a child", "by descriptor"]
    expected += ["to the original", "its errors"]
    assert done.stdout.splitlines() == expected
    assert texts(tmp_path / "train.log") == expected


def test_c_output_that_was_not_flushed_survives_a_kill(tmp_path: Path) -> None:
    """On a pipe C would keep lines to itself; here each is written when it ends."""
    source = """
        import ctypes
        ctypes.CDLL(None).puts(b"from C")
        os.kill(os.getpid(), 9)
    """
    assert train(tmp_path, source).returncode == -signal.SIGKILL
    assert texts(tmp_path / "train.log") == ["from C"]


def test_a_crash_with_faulthandler_is_in_the_file(tmp_path: Path) -> None:
    """A segmentation fault leaves what `faulthandler` says of it."""
    source = "print('before')\nimport ctypes; ctypes.string_at(0)"
    done = train(tmp_path, source, before="import faulthandler; faulthandler.enable()")
    assert done.returncode == -signal.SIGSEGV
    kept = texts(tmp_path / "train.log")
    assert kept[0] == "before"
    assert "Fatal Python error: Segmentation fault" in kept
    assert kept == done.stdout.splitlines()


def test_c_code_that_prints_much_while_python_is_locked_does_not_hang(tmp_path: Path) -> None:
    """3 MB from C code that holds the interpreter's lock: what reads it needs no lock."""
    source = """
        import ctypes
        ctypes.PyDLL(None).printf(b"%s\\n", b"x" * 3_000_000)
        ctypes.PyDLL(None).fflush(None)
    """
    done = train(tmp_path, source)
    assert done.returncode == 0
    assert "".join(texts(tmp_path / "train.log")) == "x" * 3_000_000


def test_a_child_that_outlives_the_training_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """The training's end does not wait for it, and its later lines are in the file all the same."""
    source = """
        import subprocess
        wait = "while ! test -e go; do sleep 0.02; done"
        subprocess.Popen(["sh", "-c", f"{wait}; echo late; echo > x"])
        print("end of the script")
    """
    with open(os.devnull, "w") as nowhere:  # as always, the reader of a pipe waits for the child
        done = train(tmp_path, source, stdout=nowhere)
    assert done.returncode == 0
    assert texts(tmp_path / "train.log") == ["end of the script"]
    (tmp_path / "go").touch()
    wait_until((tmp_path / "x").exists)
    wait_until(lambda: texts(tmp_path / "train.log") == ["end of the script", "late"])


def test_forked_children_write_each_line_once(tmp_path: Path) -> None:
    """Children by `os.fork` and multiprocessing, with prints and records."""
    source = """
        import multiprocessing
        def work(n):
            print("pool", n)
            logging.info("pool record %d", n)
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
    expected = [line for n in range(4) for line in (f"child {n}", f"record {n}")]
    expected += [line for n in range(20) for line in (f"pool {n}", f"pool record {n}")]
    assert sorted(texts(tmp_path / "train.log")) == sorted(expected)
    assert ends(tmp_path / "train.log") == ["clean"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_started_children_that_run_the_script_again_double_nothing(
    tmp_path: Path, method: str
) -> None:
    """A script's set_logger runs in each child again; each line is there once, and one session."""
    source = f"""
        import multiprocessing
        def work(n):
            print("child", n)
            logging.info("record %d", n)
        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                pool.map(work, range(6))
            print("end")
    """
    done = train(tmp_path, source)
    assert done.returncode == 0
    expected = [line for n in range(6) for line in (f"child {n}", f"record {n}")]
    assert sorted(texts(tmp_path / "train.log")) == sorted([*expected, "end"])
    assert len(ends(tmp_path / "train.log")) == 1


def test_a_child_may_have_a_log_of_its_own(tmp_path: Path) -> None:
    """`evaluate.py`, started by `train.py`, logs to its own file, and into its parent's as well."""
    (tmp_path / "evaluate.py").write_text(HEAD + "\nset_logger('evaluate.log')\nprint('evaluated')")
    train(tmp_path, "import subprocess\nsubprocess.run([sys.executable, 'evaluate.py'])")
    wait_until(lambda: ends(tmp_path / "evaluate.log"))
    assert texts(tmp_path / "evaluate.log") == ["evaluated"]
    assert texts(tmp_path / "train.log") == ["evaluated"]


def test_ranks_write_files_of_their_own(tmp_path: Path) -> None:
    """Under torchrun all ranks name one file; rank 0 gets it, the others theirs."""
    script = tmp_path / "train.py"
    script.write_text(HEAD + "\nset_logger('train.log')\nprint('rank', os.environ['RANK'])")
    ranks = [
        subprocess.Popen(
            [sys.executable, script.name],
            cwd=tmp_path,
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "3"},
            stdout=subprocess.DEVNULL,
        )
        for rank in range(3)
    ]
    assert [rank.wait(30) for rank in ranks] == [0, 0, 0]
    for rank, name in enumerate(("train.log", "train.rank1.log", "train.rank2.log")):
        wait_until(lambda name=name: ends(tmp_path / name))  # type: ignore[misc]
        assert texts(tmp_path / name) == [f"rank {rank}"]


def test_a_line_of_50_mb_is_kept_in_pieces(tmp_path: Path) -> None:
    """A line without an end fills no memory; its pieces are marked, and none is lost."""
    source = """
        for _ in range(50): sys.stdout.write("x" * 1_000_000)
        print()
        print("after")
    """
    with open(os.devnull, "w") as nowhere:
        train(tmp_path, source, stdout=nowhere)
    kept = texts(tmp_path / "train.log")
    assert kept[-1] == "after"
    assert sum(map(len, kept[:-1])) == 50_000_000
    with (tmp_path / "train.log").open() as file:
        marks = {line[23] for line in file if not line.startswith("#")}
    assert marks == {" ", "+"}


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 stay unchanged; characters cut in two are joined."""
    source = r"""
        os.write(1, "caf\u00e9 \U0001f600".encode()[:7]); time.sleep(0.1)
        os.write(1, "caf\u00e9 \U0001f600".encode()[7:] + b"\n")
        os.write(1, b"latin1 \xe9\xff\n")
    """
    script = tmp_path / "train.py"
    script.write_text(HEAD + "\nset_logger('train.log')\n" + textwrap.dedent(source))
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, stdout=subprocess.PIPE, check=True, timeout=60
    )
    assert done.stdout == "café 😀\n".encode() + b"latin1 \xe9\xff\n"
    wait_until(lambda: b"# end" in (tmp_path / "train.log").read_bytes())
    lines = (tmp_path / "train.log").read_bytes().splitlines()
    assert [line[24:] for line in lines[1:-1]] == ["café 😀".encode(), b"latin1 \xe9\xff"]


def test_outputs_that_lead_to_two_files_stay_apart(tmp_path: Path) -> None:
    """`> out 2> err`: each file has its own lines, the log has both."""
    with open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
        train(tmp_path, "print('o')\nlogging.info('e')", stdout=out, stderr=err)
    assert (tmp_path / "out").read_text() == "o\n"
    assert (tmp_path / "err").read_text() == "e\n"
    assert sorted(texts(tmp_path / "train.log")) == ["e", "o"]


def test_output_that_already_goes_to_the_file_is_not_doubled(tmp_path: Path) -> None:
    """`python train.py > train.log 2>&1` with the log at the same path has each line once."""
    with (tmp_path / "train.log").open("a") as file:
        done = train(tmp_path, "print('line')\nlogging.info('record')", stdout=file, stderr=file)
    assert done.returncode == 0
    assert texts(tmp_path / "train.log") == ["line", "record"]


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
def test_closed_outputs_lead_into_the_file(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """Under `>&-` and `2>&-` nothing raises, and what is printed there is in the file."""
    source = """
        print("line")
        print("error", file=sys.stderr)
        logging.info("record")
        os.system("echo child")
    """
    settings: dict[str, Any] = {"stdout": None, "stderr": None} if 1 in closed else {}
    done = train(tmp_path, source, preexec_fn=lambda: [*map(os.close, closed)], **settings)
    assert done.returncode == 0
    assert sorted(texts(tmp_path / "train.log")) == ["child", "error", "line", "record"]


# -- A terminal ------------------------------------------------------------------------------------


ABOUT = """
import shutil
print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty())
print(os.get_terminal_size(1), shutil.get_terminal_size(), sys.stdout.encoding)
print("\\x1b[32mgreen\\x1b[0m\\ttab")
os.system("stty size; tput colors")
"""


def test_a_terminal_is_as_it_was(tmp_path: Path) -> None:
    """The script sees the same terminal, and the terminal shows the same bytes."""
    shown = []
    for log in (False, True):
        terminal = Terminal(tmp_path, ABOUT, log=log)
        assert terminal.end() == 0
        shown.append(terminal.shown)
    assert shown[1] == shown[0]
    assert b"True True True" in shown[0]
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log")[2] == "green\ttab"


def test_the_debugger_and_its_arrow_keys_work(tmp_path: Path) -> None:
    """`breakpoint()`: a line typed before comes back by the arrow key, and its answer is logged."""
    terminal = Terminal(tmp_path, "value = 6\nbreakpoint()\nprint('went on')")
    terminal.read_until("(Pdb)")
    terminal.type("p value * 7\n")
    terminal.read_until("42")
    terminal.type("\x1b[A0\n")  # the line again, and a 0 behind it
    terminal.read_until("420")
    terminal.type("c\n")
    assert terminal.end() == 0
    assert b"went on" in terminal.shown
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert "420" in texts(tmp_path / "train.log")


def test_what_is_asked_is_shown_before_it_is_answered(tmp_path: Path) -> None:
    """`input` shows its question, takes the answer, and the password is nowhere."""
    source = "import getpass\nprint('hi ' + input('name? '))\nlen(getpass.getpass('secret? '))"
    terminal = Terminal(tmp_path, source)
    terminal.read_until("name? ")
    terminal.type("Ada\n")
    terminal.read_until("secret? ")
    terminal.type("hunter2\n")
    assert terminal.end() == 0
    assert b"hi Ada" in terminal.shown
    assert b"hunter2" not in terminal.shown
    assert "hunter2" not in (tmp_path / "train.log").read_text()


def test_a_changed_window_is_noticed(tmp_path: Path) -> None:
    """The width that a progress bar asks for follows the real terminal's."""
    source = """
        print("start")
        while os.get_terminal_size(1).columns != 57: time.sleep(0.02)
        print("narrow")
    """
    terminal = Terminal(tmp_path, source)
    terminal.read_until("start")
    fcntl.ioctl(terminal.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 57, 0, 0))
    terminal.read_until("narrow")
    assert terminal.end() == 0


def test_ctrl_c_reaches_the_script_alone(tmp_path: Path) -> None:
    """The interrupt's traceback is shown and kept; the log says what it was."""
    terminal = Terminal(tmp_path, "print('training', flush=True)\ntime.sleep(60)")
    terminal.read_until("training")
    terminal.type("\x03")
    assert os.waitstatus_to_exitcode(terminal.end()) == -signal.SIGINT
    assert b"KeyboardInterrupt" in terminal.shown
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert ends(tmp_path / "train.log") == ["exception KeyboardInterrupt"]
    assert "KeyboardInterrupt" in texts(tmp_path / "train.log")


def test_a_terminal_that_hangs_up_ends_only_what_it_would_end(tmp_path: Path) -> None:
    """A script that ignores the hang-up (nohup) continues to print into the file."""
    source = """
        import signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        print("ready", flush=True)
        while not os.path.exists("gone"): time.sleep(0.02)
        for n in range(3): print("still", n)
        os.system("echo child")
    """
    terminal = Terminal(tmp_path, source)
    terminal.read_until("ready")
    os.close(terminal.ours)
    (tmp_path / "gone").touch()
    assert os.waitpid(terminal.pid, 0)[1] == 0
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == ["ready", "still 0", "still 1", "still 2", "child"]


@linux
def test_a_terminal_that_stands_still_does_not_stop_the_log(tmp_path: Path) -> None:
    """Nobody reads the terminal (Ctrl-S): hundreds of kilobytes later the script still runs."""
    source = """
        for n in range(20_000): print("line", n)
        open("done", "w").close()
    """
    terminal = Terminal(tmp_path, source)
    wait_until((tmp_path / "done").exists)
    assert terminal.end() == 0
    assert terminal.shown.count(b"line") == 20_000  # and in the end it has everything
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == [f"line {n}" for n in range(20_000)]


def test_a_progress_bar_of_a_terminal_is_one_line_of_the_file(tmp_path: Path) -> None:
    """Tqdm sees a terminal and draws there; the file gets the last state."""
    source = """
        from tqdm import tqdm
        for _ in tqdm(range(200), mininterval=0, desc="epoch"): pass
        print("done")
    """
    terminal = Terminal(tmp_path, source)
    assert terminal.end() == 0
    assert terminal.shown.count(b"\r") > 100
    wait_until(lambda: ends(tmp_path / "train.log"))
    bar, last = texts(tmp_path / "train.log")
    assert bar.startswith("epoch: 100%|")
    assert last == "done"


def test_a_bar_that_takes_long_leaves_a_snapshot_now_and_then(tmp_path: Path) -> None:
    """A reader of the file sees how far the bar is."""
    source = """
        set_logger("train.log").close()
        set_logger("train.log", progress_every=0.2)
        for n in range(8):
            sys.stderr.write(f"\\rstep {n}/8"); sys.stderr.flush(); time.sleep(0.1)
        sys.stderr.write("\\n")
    """
    train(tmp_path, source)
    lines = [line[23:] for line in (tmp_path / "train.log").read_text().splitlines()]
    snapshots = [line for line in lines if line.startswith("~step")]
    assert 1 <= len(snapshots) <= 4
    assert {" step 7/8", "~step 7/8"} & {*lines}


# -- Somebody is killed ----------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [False, True])
def test_a_kill_loses_nothing(tmp_path: Path, terminal: bool) -> None:  # noqa: FBT001
    """After SIGKILL every line that print had returned from is in the file."""
    source = "for i in range(5000): print(i); logging.info('r%d', i)\nos.kill(os.getpid(), 9)"
    if terminal:
        script = Terminal(tmp_path, source)
        assert os.waitstatus_to_exitcode(script.end()) == -signal.SIGKILL
        wait_until(lambda: ends(tmp_path / "train.log"))
    else:
        assert train(tmp_path, source).returncode == -signal.SIGKILL
    expected = [line for n in range(5000) for line in (str(n), f"r{n}")]
    assert texts(tmp_path / "train.log") == expected


@linux
@pytest.mark.parametrize("terminal", [False, True])
def test_the_log_writer_s_death_is_survived(tmp_path: Path, terminal: bool) -> None:  # noqa: FBT001
    """Killed again and again at 500 lines a second: no line is lost, no print fails."""
    source = (
        LOG_WRITERS
        + """
        for n in range(500):
            print("line", n)
            if n in (100, 300):
                os.kill(log_writer(), 9)
            time.sleep(0.002)
    """
    )
    if terminal:
        script = Terminal(tmp_path, source)
        assert script.end() == 0, script.shown
        wait_until(lambda: ends(tmp_path / "train.log"))
    else:
        done = train(tmp_path, source)
        assert (done.returncode, done.stdout.count("line")) == (0, 500)
    assert texts(tmp_path / "train.log") == [f"line {n}" for n in range(500)]
    assert ends(tmp_path / "train.log") == ["clean"]
    assert "was killed" in (tmp_path / "train.log").read_text()


@linux
def test_after_the_third_death_the_file_takes_the_output(tmp_path: Path) -> None:
    """All log writers are killed: the output goes straight into the file, without a terminal."""
    source = (
        LOG_WRITERS
        + """
        for n in range(400):
            print("line", n)
            if n % 50 == 25:
                for found in log_writers(): os.kill(found, 9)
            time.sleep(0.002)
        os.system("echo child")
    """
    )
    with open(os.devnull, "w") as nowhere:
        (tmp_path / "train.py").write_text(
            HEAD + "\nset_logger('train.log')\n" + textwrap.dedent(source)
        )
        done = subprocess.run(
            [sys.executable, "train.py"], cwd=tmp_path, stdout=nowhere, check=False, timeout=60
        )
    assert done.returncode == 0
    kept = re.findall(r"line \d+|child", (tmp_path / "train.log").read_text())
    assert kept == [*(f"line {n}" for n in range(400)), "child"]


@linux
def test_a_log_writer_that_dies_while_the_script_is_blocked_is_replaced(tmp_path: Path) -> None:
    """The pipe is full and nobody reads: the signal interrupts the very print that waits."""
    source = (
        LOG_WRITERS
        + """
        found = log_writer()
        os.kill(found, 19)  # it stands still, the pipe fills
        import threading
        threading.Timer(0.5, os.kill, (found, 9)).start()
        for n in range(30_000): print("line", n, "x" * 40)
    """
    )
    done = train(tmp_path, source)
    assert (done.returncode, done.stdout.count("line")) == (0, 30_000)
    assert len(texts(tmp_path / "train.log")) == 30_000


@linux
def test_a_log_set_by_a_thread_survives_its_log_writer_too(tmp_path: Path) -> None:
    """Signals are the main thread's; elsewhere a thread watches."""
    source = (
        LOG_WRITERS
        + """
        thread = threading.Thread(target=set_logger, args=("other.log",))
        thread.start(); thread.join()
        print("before")
        time.sleep(0.3)
        os.kill(log_writer(), 9)
        time.sleep(0.3)
        print("after")
    """
    )
    (tmp_path / "train.py").write_text(HEAD + textwrap.dedent(source))
    subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: ends(tmp_path / "other.log"))
    assert texts(tmp_path / "other.log") == ["before", "after"]


@linux
def test_nothing_is_left_over(tmp_path: Path) -> None:
    """No log writer, zombie, descriptor in a child, or child to wait for is left."""
    source = (
        LOG_WRITERS
        + """
        import subprocess
        assert log_writer()
        listed = subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True).stdout
        assert set(listed.split()) <= {"0", "1", "2", "3"}, listed
        try: os.waitpid(-1, os.WNOHANG)
        except ChildProcessError: print("no child")
        assert threading.active_count() == 1
    """
    )
    done = train(tmp_path, source)
    assert (done.returncode, done.stdout) == (0, "no child\n")
    mark = f"mark:{tmp_path}".encode()
    wait_until(lambda: not list(log_writers_of(mark)))


# -- Places in which it cannot be done -------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a full device")
def test_a_full_disk_ends_nothing(tmp_path: Path) -> None:
    """If the log cannot be written, the terminal has everything and one message."""
    device = "stat.S_IFCHR | 0o666, os.makedev(1, 7)"
    before = f"import stat; os.mknod('train.log', {device})"
    done = train(tmp_path, "for i in range(100): print(i)", before=before)
    notices = [line for line in done.stdout.splitlines() if not line.isdigit()]
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == [*map(str, range(100))]
    told = f"modeldir: {tmp_path}/train.log cannot be written (No space left on device)."
    assert notices == [
        f"{told} The training run continues; lines are missing in the file until it can be written."
    ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_under_the_output_ends_nothing(tmp_path: Path) -> None:
    """`> out.txt` on a full disk: the exit code is 0, the log has the lines."""
    with open("/dev/full", "w") as full:
        done = train(tmp_path, "print('line')", stdout=full, stderr=None)
    assert done.returncode == 0
    assert texts(tmp_path / "train.log") == ["line"]


def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    """Under `| head -1` the training run continues quietly, and the file has everything."""
    reading, writing = os.pipe()
    os.close(reading)
    source = "for i in range(5000): print(i)\nlogging.info('end')"
    done = train(tmp_path, source, stdout=writing, together=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "end\n")
    kept = texts(tmp_path / "train.log")
    assert [line for line in kept if line != "end"] == [*map(str, range(5000))]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_without_room_for_a_process_python_s_own_output_is_kept(tmp_path: Path) -> None:
    """No process can be started: a warning, and what Python prints is in the file."""
    before = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
    """
    done = train(tmp_path, "print('line')", before=before)
    assert done.returncode == 0
    assert "has only what Python prints" in done.stdout
    assert texts(tmp_path / "train.log")[-1] == "line"


def test_other_ways_may_be_asked_for(tmp_path: Path) -> None:
    """By Python's streams only, straight into the file, not at all; and nothing else."""
    source = """
        for way in ("sys", "file", "off"):
            with set_logger(f"{way}.log", capture=way):
                print("printed")
                logging.info("logged")
                os.system("echo child")
        try: set_logger("x.log", capture="tee")
        except ValueError as error: print(error)
    """
    done = train(tmp_path, source)
    assert done.stdout.splitlines() == [
        *("printed", "logged", "child") * 2,
        "capture is one of auto, fd, sys, file, off, not 'tee'",
    ]
    assert texts(tmp_path / "sys.log") == ["printed", "logged"]
    assert (tmp_path / "file.log").read_text() == "printed\nlogged\nchild\n"
    assert (tmp_path / "off.log").read_text() == ""


def test_a_log_may_be_without_times(tmp_path: Path) -> None:
    """`stamp=False` keeps each line as it was printed."""
    train(
        tmp_path,
        "with set_logger('bare.log', stamp=False):\n    print('a')\n    os.system('echo b')",
    )
    lines = (tmp_path / "bare.log").read_text().splitlines()
    assert lines[1:-1] == ["a", "b"]


def test_closing_puts_the_descriptors_back(tmp_path: Path) -> None:
    """After `close` descriptors lead where they led, signals and hooks are as before."""
    source = """
        import signal
        def state():
            return (os.fstat(1), os.fstat(2), sys.excepthook, signal.getsignal(signal.SIGURG),
                    logging.root.handlers[:], logging.root.level, sorted(os.listdir("/dev/fd")))
        log.close()
        before = state()
        for n in range(3):
            with set_logger(f"{n}.log"):
                os.system(f"echo {n}")
        assert [a[:3] for a in state()[:2]] == [b[:3] for b in before[:2]]
        assert state()[2:] == before[2:], (state(), before)
        print("outside")
    """
    done = train(tmp_path, "log = set_logger('train.log')\n" + textwrap.dedent(source))
    assert (done.returncode, done.stdout.splitlines()) == (0, ["0", "1", "2", "outside"])
    for n in range(3):
        wait_until(lambda n=n: ends(tmp_path / f"{n}.log"))  # type: ignore[misc]
        assert texts(tmp_path / f"{n}.log") == [str(n)]


def test_many_logs_one_after_another_are_kept_by_one_process(tmp_path: Path) -> None:
    """A loop over trials moves the log from folder to folder: each has its own lines."""
    source = """
        for n in range(20):
            set_logger(f"{n}.log")
            print("trial", n)
            os.system(f"echo child {n}")
    """
    train(tmp_path, source)
    wait_until(lambda: ends(tmp_path / "19.log"))
    for n in range(20):
        assert texts(tmp_path / f"{n}.log") == [f"trial {n}", f"child {n}"]
        assert ends(tmp_path / f"{n}.log") == ["clean" if n == 19 else "closed"]


def test_two_trainings_may_write_one_file(tmp_path: Path) -> None:
    """Each line whole and once; the second says that it is not alone."""
    (tmp_path / "train.py").write_text(
        HEAD
        + textwrap.dedent("""
        set_logger("train.log")
        open(sys.argv[1], "w").close()
        while not (os.path.exists("a") and os.path.exists("b")): time.sleep(0.01)
        for n in range(2000): print(sys.argv[1] * 50, n)
        """)
    )
    both = [
        subprocess.Popen(
            [sys.executable, "train.py", name], cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        for name in "ab"
    ]
    assert [one.wait(60) for one in both] == [0, 0]
    wait_until(lambda: len(ends(tmp_path / "train.log")) == 2)
    expected = [f"{name * 50} {n}" for name in "ab" for n in range(2000)]
    assert sorted(texts(tmp_path / "train.log")) == sorted(expected)
    heads = [
        line
        for line in (tmp_path / "train.log").read_text().splitlines()
        if line.startswith("# modeldir-log")
    ]
    assert sum(line.endswith("beside another process") for line in heads) == 1


def test_a_fork_among_printing_threads_does_not_hang(tmp_path: Path) -> None:
    """Children forked while other threads print can print themselves."""
    source = """
        over = False
        def chatter():
            while not over: os.write(1, b"chatter\\n")
        threads = [threading.Thread(target=chatter) for _ in range(2)]
        for thread in threads: thread.start()
        for n in range(60):
            if (child := os.fork()) == 0:
                os.write(1, f"child {n}\\n".encode())
                os._exit(0)
            os.waitpid(child, 0)
        over = True
        for thread in threads: thread.join()
    """
    before = "import warnings; warnings.simplefilter('ignore')"
    done = train(tmp_path, source, before=before, stdout=subprocess.DEVNULL)
    assert done.returncode == 0
    kept = [line for line in texts(tmp_path / "train.log") if line != "chatter"]
    assert kept == [f"child {n}" for n in range(60)]


def test_what_cannot_be_captured_changes_nothing(tmp_path: Path) -> None:
    """If no log writer can be started, descriptors are as they were and none is left open."""
    source = f"""
        import sys
        sys.path.insert(0, {str(Path(descriptors.__file__).parent.parent.parent)!r})
        from modeldir._system import files
        from modeldir.logs.capture import descriptors
        from modeldir.logs.logfile import LogSettings
        sys.executable = ""
        file = files.open_append("x.log")
        before = sorted(os.listdir("/dev/fd"))
        settings = LogSettings("x.log", "", 30.0, stamp=True, torn=False)
        try: descriptors.Capture(file, settings, print)
        except descriptors.Unavailable as error: print(error)
        assert sorted(os.listdir("/dev/fd")) == before
    """
    done = train(tmp_path, "set_logger('train.log').close()\n" + textwrap.dedent(source))
    assert (done.returncode, done.stdout) == (0, "there is no Python interpreter to start\n")


def test_the_module_is_light_to_import() -> None:
    """Modules that are needed only with a log are imported only then."""
    code = (
        "import modeldir.logs.logger, sys; "
        "sys.exit(bool({'logging', 'subprocess', 'ctypes'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# -- Found by trying to break it -------------------------------------------------------------------


@pytest.mark.parametrize("argv", ["sys.argv", "['x' * 3_000_000]"], ids=["short", "3 MB"])
@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
def test_where_no_log_writer_starts_the_terminal_keeps_its_output(
    tmp_path: Path, program: str, argv: str
) -> None:
    """`sys.executable` is no Python: a notice, nothing waits, both places have every line."""
    before = f"sys.executable = {program!r}\nsys.argv = {argv}"
    source = "print('one')\ntime.sleep(0.3)\nlogging.info('two')\nos.system('echo child')"
    done = train(tmp_path, source, before=before)
    assert done.returncode == 0
    shown = [line for line in done.stdout.splitlines() if not line.startswith("modeldir: ")]
    assert shown == ["one", "two", "child"]
    assert "has only what Python prints" in done.stdout
    kept = [line for line in texts(tmp_path / "train.log") if not line.startswith("modeldir: ")]
    assert kept[:2] == ["one", "two"]
    assert ends(tmp_path / "train.log") == ["ended"]


def test_descriptors_that_the_script_closed_are_not_ours_any_more(tmp_path: Path) -> None:
    """After `os.closerange` files and connections have our numbers: nobody writes or closes them.

    What is printed is in the file all the same.
    """
    source = """
        import socket
        from modeldir.logs import Log
        print("one", flush=True)
        os.closerange(3, 256)
        files = [open(f"x{n}", "w") for n in range(30)]
        pairs = [socket.socketpair() for _ in range(10)]
        print("two")
        logging.info("three")
        Log.current.close()
        print("four")
        for file in files: file.write("x"); file.close()
        for left, right in pairs: left.sendall(b"l"); right.sendall(b"r")
        for left, right in pairs: print(left.recv(9) + right.recv(9))
    """
    done = train(tmp_path, source)
    expected = ["one", "two", "three", "four", *["b'rl'"] * 10]
    assert (done.returncode, done.stdout.splitlines()) == (0, expected)
    assert [(tmp_path / f"x{n}").read_text() for n in range(30)] == ["x"] * 30
    assert texts(tmp_path / "train.log")[:4] == expected[:4]


@linux
def test_a_daemon_that_closes_everything_may_set_its_log_again(tmp_path: Path) -> None:
    """Forked twice, all descriptors closed, output to nowhere: its own lines are in the file."""
    source = """
        print("parent")
        if os.fork(): os._exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
        os.closerange(0, 256)
        os.open(os.devnull, os.O_RDWR); os.dup2(0, 1); os.dup2(0, 2)
        set_logger("train.log")
        print("daemon")
        logging.info("its record")
        os.system("echo its child")
    """
    train(tmp_path, source)
    wait_until(lambda: len(ends(tmp_path / "train.log")) == 2)
    kept = texts(tmp_path / "train.log")  # by two processes: each in its own order
    assert [line for line in kept if line != "parent"] == ["daemon", "its record", "its child"]
    assert kept.count("parent") == 1


def test_a_program_in_the_training_s_place_goes_on_in_its_log(tmp_path: Path) -> None:
    """`os.execv` of the script itself: one session, each line once."""
    source = """
        print("started", len(sys.argv))
        if len(sys.argv) == 1: os.execv(sys.executable, [sys.executable, "train.py", "again"])
    """
    done = train(tmp_path, source, before="sys.stdout.reconfigure(line_buffering=True)")
    assert done.stdout.splitlines() == ["started 1", "started 2"]
    assert texts(tmp_path / "train.log") == ["started 1", "started 2"]
    assert ends(tmp_path / "train.log") == ["clean"]


@linux
def test_a_terminal_that_stands_still_for_long_is_given_up(tmp_path: Path) -> None:
    """Megabytes after Ctrl-S the training run continues; later the terminal shows what it lacks."""
    source = """
        for n in range(40_000): print(n, "x" * 90)
        open("done", "w").close()
    """
    terminal = Terminal(tmp_path, source)
    wait_until((tmp_path / "done").exists, limit=40)
    assert terminal.end() == 0
    assert b"bytes are only in the log]" in terminal.shown
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == [f"{n} {'x' * 90}" for n in range(40_000)]


def test_a_pipe_whose_reader_is_slow_gets_everything(tmp_path: Path) -> None:
    """`| (sleep 4; cat)`: what the reader had not taken when the training ended still comes."""
    (tmp_path / "train.py").write_text(
        HEAD + "\nset_logger('train.log')\nfor n in range(6000): print(n, 'x' * 90)"
    )
    command = f"{sys.executable} train.py | (sleep 4; cat)"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    expected = [f"{n} {'x' * 90}" for n in range(6000)]
    assert done.stdout.splitlines() == expected
    assert texts(tmp_path / "train.log") == expected


@linux
def test_a_log_writer_that_stood_still_goes_on(tmp_path: Path) -> None:
    """Stopped for a while (a debugger, a frozen group), then let go: no line is lost or doubled."""
    source = (
        LOG_WRITERS
        + """
        import signal
        print("before")
        while b"before" not in open("train.log", "rb").read(): time.sleep(0.01)
        for found in log_writers(): os.kill(found, signal.SIGSTOP)
        for n in range(200): print("line", n)
        for found in log_writers(): os.kill(found, signal.SIGCONT)
    """
    )
    done = train(tmp_path, source)
    expected = ["before", *(f"line {n}" for n in range(200))]
    assert done.stdout.splitlines() == expected
    assert texts(tmp_path / "train.log") == expected


@linux
def test_a_log_writer_whose_training_closed_its_outputs_is_idle(tmp_path: Path) -> None:
    """Nobody can print any more: it waits for the end without asking the processor."""
    source = (
        LOG_WRITERS
        + """
        print("before", flush=True)
        while b"before" not in open("train.log", "rb").read(): time.sleep(0.01)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1); os.dup2(null, 2)
        def ticks():
            with open(f"/proc/{log_writer()}/stat") as file:
                return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))
        time.sleep(0.2)
        before = ticks()
        time.sleep(1.0)
        with open("ticks", "w") as file: file.write(str(ticks() - before))
    """
    )
    train(tmp_path, source)
    assert int((tmp_path / "ticks").read_text()) < 20  # of a hundred: it would take nearly all
    assert ends(tmp_path / "train.log") == ["clean"]


def test_threads_may_print_and_close_at_once(tmp_path: Path) -> None:
    """Three threads close the log while four print: all come to their end, no line is torn."""
    source = """
        from modeldir.logs import Log
        def tell(n):
            for number in range(500): print(f"{n} {number}\\n", end="")
        threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
        threads += [threading.Thread(target=Log.current.close) for _ in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print("done")
    """
    done = train(tmp_path, source)
    shown = done.stdout.splitlines()
    assert (done.returncode, shown[-1]) == (0, "done")
    assert sorted(shown[:-1]) == sorted(f"{n} {number}" for n in range(4) for number in range(500))


@linux
def test_a_hundred_logs_opened_and_closed_leave_nothing(tmp_path: Path) -> None:
    """No descriptor, no process is left of them."""
    source = (
        LOG_WRITERS
        + """
        from modeldir.logs import Log
        Log.current.close()
        before = sorted(os.listdir("/dev/fd"))
        for n in range(100):
            with set_logger("other.log"): print(n)
        assert sorted(os.listdir("/dev/fd")) == before
        for _ in range(200):
            if not log_writers(): break
            time.sleep(0.02)
        assert not log_writers(), log_writers()
    """
    )
    done = train(tmp_path, source)
    assert (done.returncode, done.stdout.split()) == (0, [str(n) for n in range(100)])
    assert texts(tmp_path / "other.log") == [str(n) for n in range(100)]


@linux
def test_an_event_loop_outlives_the_log_writer(tmp_path: Path) -> None:
    """Asyncio has a wakeup descriptor for signals; the log writer's death disturbs no task."""
    source = (
        LOG_WRITERS
        + """
        import asyncio
        async def tell(name):
            for n in range(50):
                print(name, n)
                await asyncio.sleep(0.005)
        async def main():
            tasks = [asyncio.create_task(tell(name)) for name in "ab"]
            await asyncio.sleep(0.1)
            for found in log_writers(): os.kill(found, 9)
            child = await asyncio.create_subprocess_exec("echo", "child")
            await asyncio.gather(child.wait(), *tasks)
        asyncio.run(main())
    """
    )
    done = train(tmp_path, source)
    expected = sorted(["child", *(f"{name} {n}" for name in "ab" for n in range(50))])
    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, expected)
    assert sorted(texts(tmp_path / "train.log")) == expected


@pytest.mark.parametrize("way", ["stdin", "-c", "-m", "zip"])
def test_however_a_script_is_started(tmp_path: Path, way: str) -> None:
    """As text on the input, on the command line, as a module, out of an archive."""
    text = HEAD + "\nset_logger('train.log')\nprint('line')\nos.system('echo child')\n"
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "train.py").write_text(text)
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("__main__.py", text)
    words = {"stdin": ["-"], "-c": ["-c", text], "-m": ["-m", "package.train"]}
    done = subprocess.run(
        [sys.executable, *words.get(way, ["train.zip"])],
        cwd=tmp_path, input=text if way == "stdin" else None, stdout=subprocess.PIPE, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["line", "child"]
    wait_until(lambda: ends(tmp_path / "train.log") == ["clean"])
    assert texts(tmp_path / "train.log") == ["line", "child"]


@linux
@pytest.mark.parametrize("room", [7, 8, 9, 10, 11, 12, 13, 14, 15])
def test_without_descriptors_python_s_own_output_is_kept(tmp_path: Path, room: int) -> None:
    """With few descriptors or none left there is at most a warning, and we leave none open."""
    before = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (ROOM, ROOM))
    """
    source = "print('line')\nos.close(os.open(os.devnull, os.O_RDONLY))"
    done = train(tmp_path, source, before=before.replace("ROOM", str(room)))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "line"
    assert texts(tmp_path / "train.log") == ["line"]


@linux
def test_with_no_descriptor_at_all_the_training_goes_on(tmp_path: Path) -> None:
    """The log gets the last descriptor: a warning says that nothing is kept; nothing raises."""
    text = """
        import ctypes, fcntl, json, resource, socket, subprocess
        from modeldir import set_logger
        from modeldir.logs.capture import choose_method, logging_setup, methods, streams
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
        set_logger("train.log")
        print("line")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-2].endswith("cannot be kept (Too many open files)")
    assert done.stdout.splitlines()[-1] == "line"


def test_a_folder_renamed_and_a_file_removed_meanwhile(tmp_path: Path) -> None:
    """The log keeps the open file, not its name: lines reach that file, and nothing raises."""
    source = """
        os.rename("train.log", "moved.log")
        print("after the move")
        os.chdir("/")
        set_logger(os.path.join(here, "train.log"))
        print("in a new file")
    """
    done = train(tmp_path, source, before="here = os.getcwd()")
    assert done.returncode == 0
    assert texts(tmp_path / "moved.log") == ["after the move"]
    assert texts(tmp_path / "train.log") == ["in a new file"]


@pytest.mark.parametrize("argv", ["[__import__('pathlib').Path('x'), 3]", "['x' * 100_000]"])
def test_arguments_of_any_kind(tmp_path: Path, argv: str) -> None:
    """A script may have put anything into `sys.argv`, or have a very long one: no error."""
    assert train(tmp_path, "print('line')", before=f"sys.argv = {argv}").returncode == 0
    head = (tmp_path / "train.log").read_text().splitlines()[0]
    assert "argv=[" in head
    assert len(head) < 5000
    assert texts(tmp_path / "train.log") == ["line"]


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    """Line ends, quotes and per cents in the folder's and the file's name: one first line."""
    folder = tmp_path / 'new\nline "%s" ü'
    folder.mkdir()
    source = """
        set_logger("o'th\\n%er.log")
        print("line")
    """
    assert train(folder, source).returncode == 0
    wait_until(lambda: ends(folder / "o'th\n%er.log"))
    assert texts(folder / "o'th\n%er.log") == ["line"]
    assert texts(folder / "train.log") == []


def test_threads_that_set_the_log_at_once_set_one(tmp_path: Path) -> None:
    """The first time and again, the same file and others: one session at a time, each line once."""
    before = """
        def at_once(paths):
            barrier = threading.Barrier(len(paths))
            def go(path): barrier.wait(); set_logger(path)
            threads = [threading.Thread(target=go, args=(path,)) for path in paths]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        sys.setswitchinterval(1e-6)
        at_once(["train.log"] * 8)
    """
    source = """
        print("printed"); logging.info("logged")
        at_once([f"{n}.log" for n in range(4)] * 4)
        set_logger("last.log")
        print("in the last"); os.system("echo child")
    """
    done = train(tmp_path, source, before=before)
    assert done.stdout.splitlines() == ["printed", "logged", "in the last", "child"]
    assert texts(tmp_path / "train.log") == ["printed", "logged"]
    wait_until(lambda: ends(tmp_path / "last.log"))
    assert texts(tmp_path / "last.log") == ["in the last", "child"]
    assert len(ends(tmp_path / "train.log")) == 1
    for n in range(4):
        assert texts(tmp_path / f"{n}.log") == []
        assert {*ends(tmp_path / f"{n}.log")} == {"closed"}
