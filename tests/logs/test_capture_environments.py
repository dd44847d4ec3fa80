"""The log in real environments: shells, cron, debuggers, torchrun, a machine at its limits.

Most cases are failures that users of other tools have reported;
docs/contributing/hostile-cases.md lists them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from laboratory import wait_until, without_rights
from logbook import HEAD, LOG_WRITERS, ends, texts, train
from terminals import Terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
with_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")


@pytest.fixture(autouse=True)
def _mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MARK", f"mark:{tmp_path}")


def write(folder: Path, source: str) -> None:
    (folder / "train.py").write_text(HEAD + "\nset_logger('train.log')\n" + textwrap.dedent(source))


# -- Shells, and what starts a script without one --------------------------------------------------

LITTLE = "print('line'); logging.info('record'); os.system('echo child')"


@pytest.mark.parametrize(
    "command",
    [
        "{python} train.py < /dev/null",
        "{python} train.py <&-",
        "{python} train.py <&- 2>&1 | cat",
        "setsid {python} train.py < /dev/null 2>&1 | cat",
        "env -i PATH=/usr/bin:/bin {python} train.py < /dev/null",
        "nohup {python} train.py",
        "(trap '' HUP INT QUIT TERM; exec {python} train.py)",
        "ulimit -c 0; umask 0777; {python} train.py",
    ],
)
def test_however_a_shell_starts_it(tmp_path: Path, command: str) -> None:
    """Without input, with a closed one, without a session's terminal or environment, as by cron."""
    write(tmp_path, LITTLE)
    script = command.format(python=sys.executable)
    done = subprocess.run(
        script, shell=True, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-3:] == ["line", "record", "child"]
    (tmp_path / "train.log").chmod(0o600)
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == ["line", "record", "child"]
    assert ends(tmp_path / "train.log") in (["clean"], ["ended"])


def test_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    """The terminal is gone, `nohup.out` and the log have everything."""
    source = """
        print("ready", flush=True)
        while not os.path.exists("gone"): time.sleep(0.02)
        print("still here")
        os.system("echo child")
    """
    terminal = Terminal(tmp_path, source, command=["nohup", sys.executable, "train.py"])
    wait_until(lambda: "ready" in _text(tmp_path / "nohup.out"))
    os.close(terminal.ours)
    (tmp_path / "gone").touch()
    assert os.waitpid(terminal.pid, 0)[1] == 0
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == ["ready", "still here", "child"]
    assert (tmp_path / "nohup.out").read_text().splitlines()[-3:] == texts(tmp_path / "train.log")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_hang_up_that_nobody_ignores_is_told(tmp_path: Path) -> None:
    """The terminal's end ends the script, as ever; the log says by what."""
    terminal = Terminal(tmp_path, "print('training', flush=True)\ntime.sleep(60)")
    terminal.read_until("training")
    os.close(terminal.ours)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == -signal.SIGHUP
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == ["training"]
    (end,) = ends(tmp_path / "train.log")
    assert end == "signal SIGHUP" or end.startswith("vanished")  # of an old kernel


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with jobs")
def test_a_script_may_be_stopped_and_brought_back(tmp_path: Path) -> None:
    """Ctrl-Z, then `fg`: what is printed afterwards is in the terminal and in the log."""
    source = """
        print("ready", flush=True)
        while not os.path.exists("go"): time.sleep(0.02)
        print("went", "on", sys.stdout.isatty())
    """
    terminal = Terminal(tmp_path, source, command=["bash", "--norc", "--noprofile", "-i"])
    terminal.type(f"{sys.executable} train.py\n")
    terminal.read_until("ready")
    terminal.type("\x1a")
    terminal.read_until("Stopped")
    (tmp_path / "go").touch()
    terminal.type("fg\n")
    terminal.read_until("went on True")
    terminal.type("exit\n")
    assert terminal.end() == 0
    wait_until(lambda: ends(tmp_path / "train.log"))
    assert texts(tmp_path / "train.log") == ["ready", "went on True"]


@pytest.mark.parametrize("in_terminal", [False, True], ids=["pipe", "terminal"])
def test_the_prompt_comes_behind_the_output(tmp_path: Path, in_terminal: bool) -> None:  # noqa: FBT001
    """Twelve times: what is shown after the script has ended comes after what it printed."""
    source = "for n in range(200): print('line', n)"
    command = (
        f"for n in 1 2 3 4 5 6 7 8 9 10 11 12; do {sys.executable} train.py; echo PROMPT; done"
    )
    if in_terminal:
        terminal = Terminal(tmp_path, source, command=["sh", "-c", command])
        assert terminal.end() == 0
        shown = terminal.shown.decode()
    else:
        write(tmp_path, source)
        shown = subprocess.run(
            command, shell=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    assert shown.splitlines() == [*(f"line {n}" for n in range(200)), "PROMPT"] * 12


# -- Debuggers and shells of Python ----------------------------------------------------------------


def test_a_script_under_pdb(tmp_path: Path) -> None:
    """`python -m pdb train.py`: breakpoints and commands work, and the script comes to its end."""
    command = [sys.executable, "-m", "pdb", "train.py"]
    terminal = Terminal(tmp_path, "value = 6\nprint('line')", command=command)
    terminal.read_until("(Pdb)")
    terminal.type("b 6\nc\n")
    terminal.read_until("Breakpoint 1")
    terminal.read_until("value = 6")
    terminal.type("n\n")
    terminal.type("p value * 7\n")
    terminal.read_until("42")
    terminal.type("c\n")
    terminal.read_until("restarted")
    terminal.type("q\n")
    assert terminal.end() == 0
    wait_until(lambda: ends(tmp_path / "train.log"))
    kept = texts(tmp_path / "train.log")
    assert kept.count("line") == 1
    assert "42" in kept


@pytest.mark.skipif(find_spec("debugpy") is None, reason="debugpy is not installed")
@pytest.mark.parametrize("first", [True, False])
def test_a_script_that_listens_for_a_debugger(tmp_path: Path, first: bool) -> None:  # noqa: FBT001
    """Debugpy's own processes and threads, begun before the log or after it, disturb nothing."""
    listen = "import debugpy\ndebugpy.listen(('127.0.0.1', 0))\n"
    done = train(
        tmp_path,
        ("" if first else listen) + LITTLE,
        before=listen if first else "",
        env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-3:] == ["line", "record", "child"]
    assert texts(tmp_path / "train.log")[-3:] == ["line", "record", "child"]


@pytest.mark.skipif(find_spec("IPython") is None, reason="IPython is not installed")
def test_lines_typed_to_ipython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a real one: what its lines print is kept, what is typed is not."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    options = ["--simple-prompt", "--no-banner", "--colors=nocolor", "--quick"]
    terminal = Terminal(tmp_path, "", command=[sys.executable, "-m", "IPython", *options])
    terminal.read_until("In [1]:")
    terminal.type(
        "import logging; from modeldir import set_logger; log = set_logger('train.log')\n"
    )
    terminal.read_until("In [2]:")
    terminal.type("print('pri' + 'nted'); logging.info('log' + 'ged')\n")
    terminal.read_until("logged")
    terminal.read_until("In [3]:")
    terminal.type("1/0\n")
    terminal.read_until("ZeroDivisionError")
    terminal.type("exit()\n")
    terminal.end()
    kept = [line for line in texts(tmp_path / "train.log") if line]
    assert kept[:2] == ["printed", "logged"]
    assert not any("'pri'" in line for line in kept)
    assert any("ZeroDivisionError" in line for line in kept)


# -- Processes, threads, workers -------------------------------------------------------------------


def test_forks_among_threads_that_print(tmp_path: Path) -> None:
    """Four threads print 200 lines each while children are forked: each line once, whole."""
    source = """
        def tell(n):
            for number in range(200): print(f"thread {n} {number}\\n", end="")
        threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        for n in range(20):
            if (child := os.fork()) == 0:
                os.write(1, f"child {n}\\n".encode())
                os._exit(0)
            os.waitpid(child, 0)
        for thread in threads: thread.join()
    """
    done = train(tmp_path, source, before="warnings.simplefilter('ignore')")
    assert done.returncode == 0
    expected = [f"thread {n} {number}" for n in range(4) for number in range(200)]
    expected += [f"child {n}" for n in range(20)]
    assert sorted(texts(tmp_path / "train.log")) == sorted(expected)
    assert sorted(done.stdout.splitlines()) == sorted(expected)


@with_torch
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_workers_of_a_data_loader(tmp_path: Path, method: str) -> None:
    """The log has their prints and records once, however the workers are started."""
    source = f"""
        import torch.utils.data
        class Data(torch.utils.data.Dataset):
            def __len__(self): return 6
            def __getitem__(self, n):
                print("item", n)
                logging.info("record %d", n)
                return n
        if __name__ == "__main__":
            loader = torch.utils.data.DataLoader(
                Data(), num_workers=2, multiprocessing_context="{method}")
            print("sum", sum(int(batch) for batch in loader))
    """
    assert train(tmp_path, source).returncode == 0
    expected = [line for n in range(6) for line in (f"item {n}", f"record {n}")]
    assert sorted(texts(tmp_path / "train.log")) == sorted([*expected, "sum 15"])
    assert len(ends(tmp_path / "train.log")) == 1


@with_torch
def test_torchrun_s_ranks_have_a_file_each(tmp_path: Path) -> None:
    """Four ranks by the real launcher, all with the same path."""
    write(tmp_path, "print('rank', os.environ['RANK'])")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "4", "train.py"]
    subprocess.run(launcher, cwd=tmp_path, capture_output=True, check=True, timeout=100)
    for rank in range(4):
        path = tmp_path / ("train.log" if rank == 0 else f"train.rank{rank}.log")
        wait_until(lambda path=path: ends(path))  # type: ignore[misc]
        assert texts(path) == [f"rank {rank}"]


@linux
def test_who_is_killed_with_its_log_writer_loses_the_last_moment(tmp_path: Path) -> None:
    """In one blow, at 500 lines a second: whole lines up to then; `modeldir log` says so."""
    source = (
        LOG_WRITERS
        + """
        found = log_writer()
        for n in range(300):
            print("line", n)
            time.sleep(0.002)
        os.system(f"kill -9 {found} {os.getpid()}")
    """
    )
    write(tmp_path, source)
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    kept = texts(tmp_path / "train.log")
    assert kept == [f"line {n}" for n in range(len(kept))]
    assert len(kept) >= 290
    assert ends(tmp_path / "train.log") == []
    command = [sys.executable, "-m", "modeldir", "log", "."]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1].endswith(kept[-1])
    assert "is cut off: its process was killed" in told.stderr


def test_a_bar_that_is_killed_is_kept_as_it_stood(tmp_path: Path) -> None:
    """SIGKILL at 57 %: that state is the log's last line, marked as one that never ended."""
    source = "bar = tqdm(total=100, mininterval=0)\nbar.update(57)\nos.kill(os.getpid(), 9)"
    train(tmp_path, source, before="from tqdm import tqdm")
    (bar,) = texts(tmp_path / "train.log")
    assert bar.strip().startswith("57%|")
    assert any(
        line[23] == "|" for line in _text(tmp_path / "train.log").splitlines() if line[0] != "#"
    )


# -- Much, and nothing -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_lines(tmp_path: Path) -> None:
    """All of them, in order, in both places."""
    with open(tmp_path / "out", "w") as out:
        train(tmp_path, "for n in range(1_000_000): print(n)", stdout=out)
    expected = [str(n) for n in range(1_000_000)]
    assert (tmp_path / "out").read_text().splitlines() == expected
    assert texts(tmp_path / "train.log") == expected


def test_a_script_that_prints_nothing(tmp_path: Path) -> None:
    """The log has its first and its last line."""
    assert train(tmp_path, "").stdout == ""
    assert texts(tmp_path / "train.log") == []
    assert len((tmp_path / "train.log").read_text().splitlines()) == 2


# -- The file, the disk, the clock -----------------------------------------------------------------


def test_a_log_that_is_removed_meanwhile(tmp_path: Path) -> None:
    """Nothing raises; the same path, set again, is a new file, which has what comes then."""
    source = """
        print("one", flush=True)
        os.unlink("train.log")
        print("nowhere")
        set_logger("train.log")
        print("two")
    """
    done = train(tmp_path, source)
    assert (done.returncode, done.stdout.split()) == (0, ["one", "nowhere", "two"])
    assert texts(tmp_path / "train.log") == ["two"]


def test_a_read_only_disk_is_told(tmp_path: Path, read_only: Path) -> None:
    """Our error names it, and an earlier log continues."""
    source = f"""
        for name in ("old.log", "new.log"):
            try: set_logger({str(read_only)!r} + "/" + name)
            except Exception as error: print(type(error).__name__, error)
        print("goes on")
    """
    train(tmp_path, source)
    kept = texts(tmp_path / "train.log")
    assert [line for line in kept if "Read-only" in line] == ["  Read-only file system"] * 2
    assert kept[0] == f"FolderError {read_only}/old.log cannot be the log:"
    assert kept[-1] == "goes on"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)]
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("a file system can be mounted here only by root")
    (path / "old.log").touch()
    subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


@linux
def test_without_room_for_one_more_process(tmp_path: Path) -> None:
    """A user's limit of processes is reached: a warning, and what Python prints is kept."""
    write(tmp_path, "print('line')\nlogging.info('record')")
    command = [*without_rights(may_read=True), "prlimit", "--nproc=1:1", sys.executable, "train.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert "has only what Python prints (no process can be started" in done.stdout
    kept = texts(tmp_path / "train.log")
    assert [line for line in kept if not line.startswith("modeldir: ")] == ["line", "record"]
    assert ends(tmp_path / "train.log") == ["ended"]


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """By its mode: the error says so, before anything is captured."""
    (tmp_path / "locked").mkdir(mode=0o555)
    script = "from modeldir import set_logger\nset_logger('locked/train.log')"
    done = subprocess.run(
        [*without_rights(may_read=False), sys.executable, "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "locked/train.log cannot be the log:\n  Permission denied" in done.stderr


def test_another_time_zone_amid_a_run(tmp_path: Path) -> None:
    """A script may set its own: the log's times stay in one zone, so that they are in order."""
    source = """
        for zone in ("Pacific/Kiritimati", "Pacific/Midway", "UTC"):
            os.environ["TZ"] = zone
            time.tzset()
            print(zone)
            time.sleep(0.01)
    """
    train(tmp_path, source)
    lines = (tmp_path / "train.log").read_text().splitlines()[1:-1]
    assert lines == sorted(lines)
    zones = ["Pacific/Kiritimati", "Pacific/Midway", "UTC"]
    assert [line[24:] for line in lines] == zones
    here = time.mktime(time.strptime(lines[0][:19], "%Y-%m-%d %H:%M:%S"))
    assert abs(here - time.time()) < 120
