"""Supervisors and their spawner, with real processes: what runs is kept, ended and recorded."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from laboratory import LIMIT, kill, read, supervisor_of, wait_until
from modeldir._system import processes
from modeldir.errors import CommandError
from modeldir.experiment import attempts, experiment
from modeldir.experiment.attempts import console_file
from modeldir.worker import supervisor
from modeldir.worker.spawner import Spawner
from modeldir.worker.start_order import Start

pytestmark = pytest.mark.skipif(not processes.LINUX, reason="looks into /proc")

WORKER = """
import sys
from modeldir.worker.spawner import Spawner
from modeldir.worker.start_order import Start

with Spawner() as spawner:
    for line in sys.stdin:
        print(spawner.start(Start.from_json(line.encode())), flush=True)
"""
"""A worker in a process of its own: starts what it reads, a line each."""

ACCURACY = ("accuracy", "maximize")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment's folder."""
    path = tmp_path / "base_model"
    path.mkdir()
    (path / "params.json").write_text("{}")
    return path


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    """A spawner of this process, which has one for all tests."""
    with Spawner() as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_survives(tmp_path: Path) -> Iterator[None]:
    """After each test no process of any attempt is left, dead or alive."""
    yield
    left = processes_of(tmp_path)
    for pid in left:
        kill(pid)
    assert left == []


def processes_of(folder: Path) -> list[int]:
    """The living processes that run as an attempt in or below a folder, by their environment."""
    sign = f":{folder}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                environment = Path(f"/proc/{name}/environ").read_bytes()
                if sign in environment and processes.process(int(name)) is not None:
                    found.append(int(name))
    return found


def start_of(folder: Path, *command: str, **more: Any) -> Start:
    more = {"number": 1, "cwd": str(folder.parent), "grace": 0.2, **more}
    return Start(folder=str(folder), command=command, **more)


def shell(folder: Path, code: str, **more: Any) -> Start:
    return start_of(folder, "sh", "-c", code, **more)


def python(folder: Path, code: str, **more: Any) -> Start:
    return start_of(folder, sys.executable, "-c", textwrap.dedent(code), **more)


def reports(spawner: Spawner, pid: int, *last: str) -> list[str]:
    """What is heard of a supervisor, up to a last word: by default that it is free, or gone."""
    heard: list[str] = []
    deadline = time.monotonic() + LIMIT
    while set(last or ("free", "gone")).isdisjoint(heard):
        assert time.monotonic() < deadline, f"only {heard} was heard"
        select.select([spawner.reports], [], [], 1.0)
        heard += [report.what for report in spawner.read() if report.pid == pid]
    return heard


def run(spawner: Spawner, start: Start) -> dict[str, Any]:
    """Run an attempt to its end; what its run file says then."""
    assert reports(spawner, spawner.start(start)) == ["started", "ended", "free"]
    return dict(attempts.read(Path(start.folder), start.number, start.script).record)


def ended(spawner: Spawner, pid: int, folder: Path, number: int = 1) -> dict[str, Any]:
    reports(spawner, pid)
    return dict(attempts.read(folder, number).record)


def states(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each entry of a folder with what changes when it is written; reading changes nothing."""
    found = {entry.name: entry.stat() for entry in os.scandir(folder)}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in found.items()}


def printed(folder: Path) -> str:
    path = folder / "console.log"
    return path.read_text() if path.exists() else ""


def wait_for(folder: Path, text: str) -> None:
    wait_until(lambda: text in printed(folder), f"{text!r} in console.log")


def command_of(folder: Path, file: str = "run.json") -> int:
    """The pid of an attempt's command, which is recorded a moment after its start."""
    path = folder / file
    wait_until(lambda: path.exists() and read(path)["process"], "who the command is")
    return int(read(path)["process"]["pid"])


def output(code: str) -> str:
    """What a script prints, with every warning an error, and nothing else printed."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return done.stdout


class Worker:
    """A worker's process; `start` gives the pid of a supervisor."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, start: Start) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(start.to_json() + b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that a test may kill."""
    found = Worker()
    yield found
    found.close()


# -- What the command finds ------------------------------------------------------------------------


def test_a_command_runs_and_its_end_is_recorded(spawner: Spawner, folder: Path) -> None:
    """Who, what, where, how long and how: all in the run file, and the output beside it."""
    start = shell(folder, "echo to stdout; echo to stderr >&2", facts={"code": "abc"})
    record = run(spawner, start)
    assert printed(folder) == "to stdout\nto stderr\n"
    assert (record["status"], record["exit_code"], record["signal"]) == ("completed", 0, None)
    assert record["command"] == ["sh", "-c", "echo to stdout; echo to stderr >&2"]
    assert (record["cwd"], record["code"], record["resumes"]) == (start.cwd, "abc", False)
    assert 0 < record["duration"] < LIMIT
    assert record["max_rss_kib"] > 100
    assert record["started"] <= record["ended"]
    assert record["process"]["pid"] != record["supervisor"]["pid"]
    assert sorted(os.listdir(folder)) == ["console.log", "params.json", "run.json"]
    assert experiment.status(folder).state == "completed"


def test_a_command_finds_its_attempt_in_its_environment(spawner: Spawner, folder: Path) -> None:
    """The token and the folder, its number, what the worker adds; and output that is not held."""
    names = "$MODELDIR_RUN $MODELDIR_ATTEMPT [$MODELDIR_RESUME] $PYTHONUNBUFFERED $GPU $PWD"
    run(spawner, shell(folder, f'echo "{names}"', variables={"GPU": "3"}))
    token = read(folder / "run.json")["token"]
    assert printed(folder) == f"{token}:{folder} 1 [] 1 3 {folder.parent}\n"


def test_a_commands_descriptors_are_nowhere_and_the_console_itself(
    spawner: Spawner, folder: Path
) -> None:
    """Nothing to read, no pipe that could break, and nothing of the worker's held open."""
    code = """
        import json, os, sys
        facts = {
            "stdin": sys.stdin.read(),
            "open": [n for n in map(int, os.listdir("/proc/self/fd")) if 2 < n < 100],
            "flags": os.get_inheritable(0),
            "files": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
            "leads a group": os.getpgrp() == os.getpid(),
            "is in its supervisor's session": os.getsid(0) == os.getppid(),
        }
        os.write(1, json.dumps(facts).encode())
    """
    run(spawner, python(folder, code))
    found = json.loads(printed(folder))
    console = str(folder / "console.log")
    assert found["stdin"] == ""
    assert found["files"] == [os.devnull, console, console]
    assert len(found["open"]) == 1  # the listing itself
    assert found["leads a group"]
    assert found["is in its supervisor's session"]


def test_a_command_has_the_signals_of_a_new_process(spawner: Spawner, folder: Path) -> None:
    """Nothing blocked, and of the 31 classic signals none ignored: as a shell would start it.

    A signal above them may be ignored since long before us, by whoever started the tests.
    """
    run(spawner, shell(folder, "grep -E 'Sig(Blk|Ign)' /proc/self/status"))
    _, blocked, _, ignored = printed(folder).split()
    assert int(blocked, 16) == 0
    assert int(ignored, 16) & 0x7FFFFFFF == 0


def test_a_words_bytes_reach_the_command(spawner: Spawner, folder: Path) -> None:
    """Spaces, quotes, line ends, and bytes that are no text."""
    words = ["a b", "'", '"', "$HOME", "x\ny", os.fsdecode(b"\xe9"), ""]
    code = "import os, sys; os.write(1, b'|'.join(map(os.fsencode, sys.argv[1:])))"
    record = run(spawner, start_of(folder, sys.executable, "-c", code, *words))
    assert (folder / "console.log").read_bytes() == b"|".join(map(os.fsencode, words))
    assert record["command"][-len(words) :] == words


# -- How it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1, 2, 127, 255])
def test_an_exit_code_is_kept(spawner: Spawner, folder: Path, code: int) -> None:
    """Any but 0 is a failure, with the last words."""
    record = run(spawner, shell(folder, f"echo bad luck; exit {code}"))
    assert (record["status"], record["exit_code"]) == ("failed", code)
    assert (record["failure"], record["last_line"]) == ("error", "bad luck")


@pytest.mark.parametrize(
    ("name", "status"), [("SEGV", "failed"), ("KILL", "failed"), ("TERM", "interrupted")]
)
def test_a_death_by_signal_is_kept(spawner: Spawner, folder: Path, name: str, status: str) -> None:
    """Killed by somebody else, without a message of ours."""
    record = run(spawner, shell(folder, f"kill -{name} $$"))
    assert (record["status"], record["signal"]) == (status, f"SIG{name}")
    assert record["exit_code"] is None
    assert record["intent"] is None


def test_who_a_command_is_is_told_once_it_has_run_for_a_moment(
    spawner: Spawner, folder: Path
) -> None:
    """One that has ended by then has it with its end alone: that is one write less."""
    command = shell(folder, "cat run.json > seen; while test ! -e go; do sleep 0.01; done")
    spawner.start(replace(command, cwd=str(folder)))
    told = command_of(folder)
    (folder / "go").touch()
    wait_until(lambda: read(folder / "run.json")["status"])
    recorded = read(folder / "run.json")["process"]
    assert read(folder / "seen")["process"] in ({}, recorded)
    assert recorded["pid"] == told


@pytest.mark.parametrize("command", ["no-such-command", "/no/such/file", "."])
def test_a_command_that_cannot_be_started_is_a_failure(
    spawner: Spawner, folder: Path, command: str
) -> None:
    """An executable that vanished, or is none: the folder says so."""
    record = run(spawner, start_of(folder, command, "train.py"))
    assert (record["status"], record["exit_code"]) == ("failed", 127)
    assert record["last_line"].startswith(f"modeldir: cannot start {command!r}: [Errno")
    assert record["process"] is None


def test_a_file_that_lies_there_is_no_command(spawner: Spawner, folder: Path) -> None:
    """A bare name is looked for on the PATH alone, as a shell does."""
    script = folder.parent / "train.sh"
    script.write_text("#!/bin/sh\necho started\n")
    script.chmod(0o755)
    assert run(spawner, start_of(folder, "train.sh"))["exit_code"] == 127
    assert run(spawner, start_of(folder, "./train.sh", number=2))["exit_code"] == 0
    variables = {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    found = start_of(folder, "train.sh", number=3, variables=variables)
    assert run(spawner, found)["exit_code"] == 0


def test_a_working_folder_that_is_gone_is_a_failure(spawner: Spawner, folder: Path) -> None:
    """It is told like any failure: where the script's words would be."""
    record = run(spawner, shell(folder, "echo never", cwd=str(folder / "gone")))
    assert (record["status"], record["exit_code"]) == ("failed", 127)
    assert "No such file" in record["last_line"]
    assert "never\n" not in printed(folder)


def test_a_folder_that_is_gone_gets_no_attempt(spawner: Spawner, tmp_path: Path) -> None:
    """Nothing is run, and no folder is made for it."""
    start = shell(tmp_path / "gone", f"touch {tmp_path}/ran")
    heard = reports(spawner, spawner.start(start))
    assert heard == ["refused", "gone"]  # it could record nothing: it does not stay
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_removed_meanwhile_ends_without_a_trace(
    spawner: Spawner, folder: Path
) -> None:
    """`rm -rf` of a running trial: the command runs to its end, nothing is made again."""
    pid = spawner.start(shell(folder, f"echo ready; while [ -e {folder} ]; do sleep 0.01; done"))
    wait_for(folder, "ready")
    shutil.rmtree(folder)
    assert reports(spawner, pid)[-1] == "gone"
    assert not folder.exists()


def test_time_that_is_up_ends_it(spawner: Spawner, folder: Path) -> None:
    """A failure of its own class, though the command was ended by us."""
    record = run(spawner, shell(folder, "exec sleep 60", time_limit=0.2))
    assert (record["status"], record["failure"]) == ("failed", "time-limit")
    assert record["reason"] == record["last_line"] == "ran longer than 0.2 s"
    assert 0.2 <= record["duration"] < 5


def test_time_that_is_up_kills_what_ignores_term(spawner: Spawner, folder: Path) -> None:
    """The class is still the limit's, not that of the signal that was needed."""
    code = "trap '' TERM INT; while :; do sleep 0.05; done"
    record = run(spawner, shell(folder, code, time_limit=0.2, grace=0.2))
    assert (record["status"], record["failure"]) == ("failed", "time-limit")
    assert record["signal"] == "SIGKILL"
    assert record["duration"] >= 0.4


def test_time_that_is_up_leaves_no_grandchild(spawner: Spawner, folder: Path) -> None:
    """Those that ignore TERM, and those in sessions of their own, go with it."""
    code = (
        "(trap '' TERM; setsid sh -c 'sleep 60 & sleep 60' & while :; do sleep 0.05; done) & wait"
    )
    record = run(spawner, shell(folder, code, time_limit=0.3))
    assert (record["status"], record["failure"]) == ("failed", "time-limit")
    assert processes_of(folder) == []


def test_a_trial_that_uses_its_grace_well_still_ran_out_of_time(
    spawner: Spawner, folder: Path
) -> None:
    """It saves its weights on TERM and exits with 0."""
    code = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.02; done"
    record = run(spawner, shell(folder, code, time_limit=0.2, grace=30.0))
    assert (record["failure"], record["exit_code"]) == ("time-limit", 0)
    assert printed(folder).endswith("saved\n")


def test_a_limit_that_is_not_reached_changes_nothing(spawner: Spawner, folder: Path) -> None:
    record = run(spawner, shell(folder, "true", time_limit=60.0))
    assert (record["status"], record.get("intent")) == ("completed", None)


def test_a_stopped_trial_uses_up_its_time(spawner: Spawner, folder: Path) -> None:
    """It holds its GPU all the while; and stopped as it is, it can be ended."""
    record = run(spawner, shell(folder, "kill -STOP $$; sleep 60", time_limit=0.2))
    assert (record["status"], record["failure"]) == ("failed", "time-limit")


@pytest.mark.parametrize("late", [0.0, 3600.0])
def test_time_asleep_does_not_count(late: float) -> None:
    """A supervisor that is woken an hour late was stopped, like its trial, or in a frozen box."""
    times = iter([100.0, 101.0 + late, 102.0 + late])
    awake = supervisor._AwakeClock(lambda: next(times))
    awake.advance(1.0)
    assert 1.0 <= awake.now <= 1.0 + supervisor._LATE
    before = awake.now
    awake.advance(5.0)
    assert awake.now == before + 1.0


# -- Leases ----------------------------------------------------------------------------------------


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A locked file, as a worker has it that has just taken a GPU."""
    path = tmp_path / "lease"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield path, descriptor
    with contextlib.suppress(OSError):  # handed over
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody has a file locked."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_lease_is_held_while_the_attempt_lives(
    spawner: Spawner, folder: Path, lease: tuple[Path, int]
) -> None:
    """The worker needs its own no longer, and hears of the end when the lease is free."""
    path, descriptor = lease
    os.mkfifo(folder.parent / "fifo")
    pid = spawner.start(shell(folder, "echo ready; read x < fifo"), (descriptor,))
    os.close(descriptor)
    assert not is_free(path)
    wait_for(folder, "ready")
    assert not is_free(path)
    os.kill(pid, signal.SIGTERM)
    reports(spawner, pid, "ended")
    assert is_free(path)


@pytest.mark.parametrize("first", [False, True])
def test_a_supervisor_that_was_free_holds_the_lease_of_the_next(
    alone: Spawner, folder: Path, lease: tuple[Path, int], *, first: bool
) -> None:
    """By a socket instead of a fork; also when the attempt before had one of its own."""
    path, descriptor = lease
    with (folder.parent / "other").open("w") as other:
        pid = alone.start(shell(folder, "true"), (other.fileno(),) if first else ())
    reports(alone, pid, "free")
    assert alone.start(shell(folder, "exec sleep 60", number=2), (descriptor,)) == pid
    os.close(descriptor)
    assert not is_free(path)
    reports(alone, pid, "started")
    os.kill(pid, signal.SIGTERM)
    reports(alone, pid, "free")
    assert is_free(path)


def test_a_lease_outlives_the_worker(folder: Path, lease: tuple[Path, int]) -> None:
    """Killed, it leaves its trial running, and the trial its GPU."""
    path, descriptor = lease
    code = f"""
        import sys
        from modeldir.worker.spawner import Spawner
        from modeldir.worker.start_order import Start
        spawner = Spawner()
        print(spawner.start(Start.from_json(sys.stdin.readline().encode()), ({descriptor},)))
        sys.stdout.flush()
        sys.stdin.read()
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(descriptor,),
    )
    os.close(descriptor)
    assert worker.stdin
    worker.stdin.write(shell(folder, "echo ready; exec sleep 60").to_json() + b"\n")
    worker.stdin.flush()
    wait_for(folder, "ready")
    worker.kill()
    worker.communicate()
    assert not is_free(path)
    os.kill(supervisor_of(folder), signal.SIGTERM)
    wait_until(lambda: is_free(path), "the lease")


def test_a_killed_supervisors_lease_is_the_commands_until_that_is_gone(
    folder: Path, lease: tuple[Path, int]
) -> None:
    """The kernel closes its files before it tells its command to die: the GPU is in use still.

    What has left the command's session is ended too.
    """
    path, descriptor = lease
    with Spawner() as spawner:
        code = "setsid sleep 60 & echo $! > left; echo ready; wait"
        pid = spawner.start(shell(folder, code), (descriptor,))
        os.close(descriptor)
        wait_for(folder, "ready")
        left = int((folder.parent / "left").read_text())
        assert not is_free(path)
        kill(pid)
        wait_until(lambda: is_free(path), "the lease")
        assert processes.process(left) is None


def test_an_attempt_that_another_has_lets_go_of_its_lease(
    spawner: Spawner, folder: Path, lease: tuple[Path, int]
) -> None:
    path, descriptor = lease
    run(spawner, shell(folder, "true"))
    pid = spawner.start(shell(folder, "true"), (descriptor,))
    os.close(descriptor)
    reports(spawner, pid, "taken")
    assert is_free(path)


def test_no_other_process_keeps_a_lease(
    spawner: Spawner, tmp_path: Path, lease: tuple[Path, int]
) -> None:
    """Neither the spawner nor another attempt that runs when this one has ended."""
    path, descriptor = lease
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "fifo")
    first = spawner.start(shell(tmp_path / "first", "exec sleep 60"))
    second = spawner.start(shell(tmp_path / "second", "read x < fifo"), (descriptor,))
    third = spawner.start(shell(tmp_path / "third", "exec sleep 60"))
    os.close(descriptor)
    kill(second)
    reports(spawner, second, "gone")
    wait_until(lambda: is_free(path), "the lease")
    for pid in (first, third):
        os.kill(pid, signal.SIGTERM)
        reports(spawner, pid)


def test_many_leases_arrive(spawner: Spawner, folder: Path, tmp_path: Path) -> None:
    """Eight GPUs, and a port: the command has the very files."""
    files = [(tmp_path / f"lease-{number}").open("w") for number in range(9)]
    code = """
        import os
        for number in range(3, 99):
            try:
                print(os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
            except OSError:
                pass
    """
    pid = spawner.start(python(folder, code), tuple(file.fileno() for file in files))
    for file in files:
        file.close()
    reports(spawner, pid)
    assert sorted(printed(folder).split()) == [f"lease-{number}" for number in range(9)]


def test_a_lease_that_is_lost_on_the_way_starts_nothing(folder: Path) -> None:
    """A spawner that may open no more files must not start a command that holds nothing."""
    with Spawner() as spawner:
        resource.prlimit(spawner._pid, resource.RLIMIT_NOFILE, (7, 7))
        files = [(folder.parent / str(number)).open("w") for number in range(8)]
        with pytest.raises(CommandError):
            spawner.start(shell(folder, "touch ran"), tuple(file.fileno() for file in files))
        for file in files:
            file.close()
    assert not (folder.parent / "ran").exists()
    assert attempts.latest(folder) is None


# -- Being stopped ---------------------------------------------------------------------------------


def test_why_is_written_before_the_signal(spawner: Spawner, folder: Path) -> None:
    """A command that reads its run file on TERM finds the reason there already."""
    code = f"""
        import signal, sys, time

        def told(*_):
            print(open({str(folder / "run.json")!r}).read())
            sys.exit(0)

        signal.signal(signal.SIGTERM, told)
        print("ready", flush=True)
        time.sleep(60)
    """
    pid = spawner.start(python(folder, code, grace=30.0))
    wait_for(folder, "ready")
    os.kill(pid, signal.SIGTERM)
    record = ended(spawner, pid, folder)
    assert (record["status"], record["exit_code"]) == ("interrupted", 0)
    seen = json.loads(printed(folder).partition("ready\n")[2])
    assert seen["intent"] == record["intent"]
    assert (seen["intent"]["intent"], seen["intent"]["reason"]) == ("interrupted", "asked to stop")
    assert seen["status"] is None


def test_ctrl_c_reaches_the_script_as_ctrl_c(spawner: Spawner, folder: Path) -> None:
    """It may save its weights in its own `except KeyboardInterrupt`."""
    code = """
        import time
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("saved")
    """
    pid = spawner.start(python(folder, code, grace=30.0))
    wait_for(folder, "ready")
    os.kill(pid, signal.SIGINT)
    assert ended(spawner, pid, folder)["status"] == "interrupted"
    assert printed(folder) == "ready\nsaved\n"


def test_a_command_that_ignores_term_is_killed_after_a_grace(
    spawner: Spawner, folder: Path
) -> None:
    """First the polite way; what does not go then is made to."""
    pid = spawner.start(shell(folder, "trap '' TERM INT; echo ready; while :; do sleep 0.05; done"))
    wait_for(folder, "ready")
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    record = ended(spawner, pid, folder)
    assert 0.2 <= time.monotonic() - began < 10
    assert (record["status"], record["signal"]) == ("interrupted", "SIGKILL")


def test_the_third_time_it_is_killed_at_once(spawner: Spawner, folder: Path) -> None:
    """QUIT says: no grace, and none left of an earlier request."""
    code = "trap '' TERM INT; echo ready; while :; do sleep 0.05; done"
    pid = spawner.start(shell(folder, code, grace=60.0))
    wait_for(folder, "ready")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        os.kill(pid, number)
        time.sleep(0.01)
    record = ended(spawner, pid, folder)
    assert (record["status"], record["signal"]) == ("interrupted", "SIGKILL")
    assert record["reason"] == "asked to stop"


def test_a_stop_that_comes_too_early_is_not_lost(folder: Path) -> None:
    """Sent the moment that a supervisor is there, before it listens or its command lives."""
    for number in range(1, 9):
        with Spawner() as spawner:
            pid = spawner.start(shell(folder, "exec sleep 60", number=number, grace=20.0))
            os.kill(pid, signal.SIGTERM)
            record = ended(spawner, pid, folder, number)
        assert (record["status"], record["duration"] < 10) == ("interrupted", True)


def test_a_stop_between_two_attempts_runs_nothing(spawner: Spawner, folder: Path) -> None:
    """A supervisor that is about to take its next attempt either records it as interrupted or
    leaves without it: then nothing of it was begun.
    """
    for number in range(1, 16):
        pid = spawner.start(shell(folder, "exec sleep 60", number=number, grace=20.0))
        os.kill(pid, signal.SIGTERM)
        if "started" in reports(spawner, pid):
            assert attempts.read(folder, number).end == "interrupted"
        else:
            assert number not in attempts.numbers(os.listdir(folder))


def test_what_ended_by_itself_was_not_stopped(spawner: Spawner, folder: Path) -> None:
    """A stop that arrives when the command is already done must not cost its completion."""
    os.mkfifo(folder.parent / "fifo")
    pid = spawner.start(shell(folder, "echo ready; read line < fifo"))
    wait_for(folder, "ready")
    command = command_of(folder)
    os.kill(pid, signal.SIGSTOP)  # it will see the end of the command and the request at once
    (folder.parent / "fifo").write_text("go on\n")
    wait_until(lambda: processes.process(command) is None, "the command's end")
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGCONT)
    record = ended(spawner, pid, folder)
    assert (record["status"], record["intent"]) == ("completed", None)


def test_a_stopped_command_can_be_ended(spawner: Spawner, folder: Path) -> None:
    """`kill -STOP` of a training, then a stop: it must not hang for ever."""
    pid = spawner.start(shell(folder, "echo ready; kill -STOP $$"))
    wait_for(folder, "ready")
    os.kill(pid, signal.SIGTERM)
    assert ended(spawner, pid, folder)["status"] == "interrupted"


# -- What descends from it -------------------------------------------------------------------------


def test_no_descendant_is_left(spawner: Spawner, folder: Path) -> None:
    """Children in the background, in sessions of their own, and orphans of orphans."""
    code = "sleep 61 & setsid sleep 62 & (setsid sh -c 'sleep 63 & sleep 64' &); echo done"
    record = run(spawner, shell(folder, code))
    assert record["status"] == "completed"
    assert processes_of(folder) == []


def test_a_descendant_that_ignores_term_is_killed(spawner: Spawner, folder: Path) -> None:
    """It has two seconds, and the attempt's end is recorded after it is gone."""
    code = "(trap '' TERM; echo ready; while :; do sleep 0.05; done) & read x < fifo"
    os.mkfifo(folder.parent / "fifo")
    pid = spawner.start(shell(folder, code))
    wait_for(folder, "ready")
    (folder.parent / "fifo").write_text("\n")
    record = ended(spawner, pid, folder)
    assert record["status"] == "completed"
    assert 2 <= record["duration"] < 10
    assert processes_of(folder) == []


def test_what_a_descendant_prints_last_is_kept(spawner: Spawner, folder: Path) -> None:
    """It is told to go, and has a moment to say goodbye."""
    code = "(trap 'echo goodbye; exit' TERM; echo ready; while :; do sleep 0.02; done) & read x <f"
    os.mkfifo(folder.parent / "f")
    pid = spawner.start(shell(folder, code))
    wait_for(folder, "ready")
    (folder.parent / "f").write_text("\n")
    ended(spawner, pid, folder)
    assert printed(folder).endswith("goodbye\n")


def test_many_orphans_leave_no_zombie_while_it_runs(spawner: Spawner, folder: Path) -> None:
    """A training that makes thousands of orphans must not fill the process table."""
    code = "for i in 1 2 3 4 5 6 7 8 9; do (true & ) ; done; echo ready; read x < fifo"
    os.mkfifo(folder.parent / "fifo")
    pid = spawner.start(shell(folder, code))
    wait_for(folder, "ready")
    wait_until(lambda: len(processes.descendants(pid)) == 1, "one child and no zombie")
    (folder.parent / "fifo").write_text("\n")
    assert ended(spawner, pid, folder)["status"] == "completed"


# -- Who dies with whom ----------------------------------------------------------------------------


def test_the_command_goes_on_when_its_worker_is_killed(worker: Worker, folder: Path) -> None:
    """`kill -9` of the worker: the output is whole, and the end is recorded."""
    os.mkfifo(folder.parent / "fifo")
    code = "echo before; read x < fifo; for i in 1 2 3; do echo after $i; echo err >&2; done"
    supervisor = worker.start(shell(folder, code))
    wait_for(folder, "before")
    worker.kill()
    assert experiment.status(folder).state == "running"
    (folder.parent / "fifo").write_text("\n")
    wait_until(lambda: processes.process(supervisor) is None, "the supervisor's end")
    assert experiment.status(folder).state == "completed"
    assert printed(folder) == "before\n" + "".join(f"after {i}\nerr\n" for i in (1, 2, 3))


def test_a_ctrl_c_in_the_workers_terminal_does_not_reach_the_command(
    worker: Worker, folder: Path
) -> None:
    """Nor does a hang-up: sessions of their own keep a terminal's signals away."""
    os.mkfifo(folder.parent / "fifo")
    supervisor = worker.start(shell(folder, "echo ready; read x < fifo; echo done"))
    wait_for(folder, "ready")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, number)
    worker.process.wait()
    (folder.parent / "fifo").write_text("\n")
    wait_until(lambda: processes.process(supervisor) is None, "the supervisor's end")
    assert experiment.status(folder).state == "completed"


def test_a_bound_attempt_ends_when_its_worker_is_gone(worker: Worker, folder: Path) -> None:
    """Inside a cluster's job nothing may outlive the worker; it is recorded as interrupted."""
    supervisor = worker.start(shell(folder, "echo ready; exec sleep 60", bound=True))
    wait_for(folder, "ready")
    worker.kill()
    wait_until(lambda: processes.process(supervisor) is None, "the supervisor's end")
    status = experiment.status(folder)
    assert (status.state, status.reason) == ("interrupted", "the worker is gone")


def test_the_command_dies_with_its_supervisor(worker: Worker, folder: Path) -> None:
    """`kill -9` of the supervisor: nobody would keep the command, so it must not go on."""
    supervisor = worker.start(shell(folder, "echo ready; exec sleep 60"))
    wait_for(folder, "ready")
    command = command_of(folder)
    assert supervisor == supervisor_of(folder)
    kill(supervisor)
    wait_until(lambda: processes.process(command) is None, "the command's death")
    wait_until(lambda: experiment.status(folder).state == "interrupted", "the status")
    assert experiment.status(folder).reason == "it ended without recording how"


def test_kill_at_any_moment_runs_nothing_untracked(worker: Worker, folder: Path) -> None:
    """A supervisor killed while it begins: what ran has a run file, and nothing goes on."""
    for number in range(1, 21):
        pid = worker.start(shell(folder, f"echo {number} >> ran; exec sleep 60", number=number))
        time.sleep(0.0007 * number)
        kill(pid)
        wait_until(lambda: processes.process(pid) is None)  # noqa: B023 - called at once
    wait_until(lambda: processes_of(folder) == [], "the commands' deaths")
    ran = folder.parent / "ran"
    numbers = [int(line) for line in ran.read_text().split()] if ran.exists() else []
    assert set(numbers) <= set(attempts.numbers(os.listdir(folder)))
    assert experiment.status(folder).state in {"interrupted", "pending"}


# -- One attempt, one run --------------------------------------------------------------------------


def test_of_many_starts_of_an_attempt_one_runs(folder: Path) -> None:
    """Four workers are told the same: one command runs, the others touch nothing."""
    workers = [Worker() for _ in range(4)]
    code = 'echo "$MODELDIR_RUN" >> ran; sleep 0.05'
    for number in (1, 2, 3):
        pids = [worker.start(shell(folder, code, number=number)) for worker in workers]
        wait_until(lambda: attempts.read(folder, number).end is not None)  # noqa: B023 - at once
    for worker in workers:
        worker.close()
    for pid in pids:
        wait_until(lambda: processes.process(pid) is None)  # noqa: B023 - called at once
    ran = (folder.parent / "ran").read_text().splitlines()
    tokens = [attempts.read(folder, number).record["token"] for number in (1, 2, 3)]
    assert ran == [f"{token}:{folder}" for token in tokens]
    assert {attempts.read(folder, number).end for number in (1, 2, 3)} == {"completed"}


def test_a_start_that_is_said_again_touches_nothing(spawner: Spawner, folder: Path) -> None:
    """An attempt that is over, and one that runs: the late one leaves at once."""
    run(spawner, shell(folder, "echo once"))
    before = states(folder)
    heard = reports(spawner, spawner.start(shell(folder, f"touch {folder}/again")))
    assert heard == ["taken", "free"]
    assert states(folder) == before


def test_a_new_attempt_sets_aside_what_the_last_one_left(spawner: Spawner, folder: Path) -> None:
    """Output, metrics and all else go to `attempts/1`; nothing of it is there when it begins."""
    run(spawner, shell(folder, "echo one; echo 1 > base_model/weights; mkdir base_model/plots"))
    run(spawner, shell(folder, "ls base_model; echo two", number=2))
    assert printed(folder) == "attempts\nconsole.log\nparams.json\nrun.2.json\nrun.json\ntwo\n"
    aside = folder / "attempts" / "1"
    assert sorted(os.listdir(aside)) == ["console.log", "plots", "weights"]
    assert (aside / "console.log").read_text() == "one\n"


def test_the_folder_to_make_is_empty_in_each_attempt_that_begins_afresh(
    spawner: Spawner, folder: Path
) -> None:
    """An earlier attempt's is archived with its files; one that resumes finds it as it was left."""
    code = "ls -A base_model/out; touch base_model/out/$MODELDIR_ATTEMPT; exit 3"
    run(spawner, shell(folder, code, makes="out"))
    run(spawner, shell(folder, code, makes="out", number=2))
    assert printed(folder) == ""
    assert os.listdir(folder / "attempts" / "1" / "out") == ["1"]
    run(spawner, shell(folder, code, makes="out", number=3, resumes=True))
    assert printed(folder) == "2\n"
    run(spawner, shell(folder, code, makes="out", number=4))
    assert os.listdir(folder / "out") == ["4"]
    assert {*os.listdir(folder / "attempts" / "3" / "out")} == {"2", "3"}


def test_an_attempt_that_resumes_finds_everything_in_place(spawner: Spawner, folder: Path) -> None:
    """Its output goes on in the same file, and it knows that it resumes."""
    run(spawner, shell(folder, "echo one; echo 1 > base_model/last.npz; kill -TERM $$"))
    code = 'echo "$MODELDIR_ATTEMPT $MODELDIR_RESUME"; cat base_model/last.npz'
    record = run(spawner, shell(folder, code, number=2, resumes=True))
    assert printed(folder) == "one\n2 1\n1\n"
    assert (record["resumes"], record["status"]) == (True, "completed")
    assert not (folder / "attempts").exists()


def test_an_old_traceback_is_not_the_resumed_attempts(spawner: Spawner, folder: Path) -> None:
    """Of a file that two attempts share, each is judged by its own part."""
    run(spawner, python(folder, "raise ValueError('the old one')"))
    record = run(spawner, shell(folder, "exit 7", number=2, resumes=True))
    assert record["last_line"] == "exit code 7"


def test_another_script_leaves_the_training_alone(spawner: Spawner, folder: Path) -> None:
    """`evaluate.py` is recorded beside it: its own run file, its own output, nothing moved."""
    run(spawner, shell(folder, "echo trained"))
    attempts.add_event(folder, 1, "end", status="pruned")
    before = (folder / "run.json").read_bytes()
    record = run(spawner, shell(folder, "echo measured", script="evaluate", metric=ACCURACY))
    assert record["status"] == "completed"
    assert console_file("evaluate") == "evaluate.console.log"
    assert (folder / "evaluate.console.log").read_text() == "measured\n"
    assert printed(folder) == "trained\n"
    assert (folder / "run.json").read_bytes() == before
    assert experiment.status(folder).attempt == 1


# -- One supervisor, one attempt after another -----------------------------------------------------


@pytest.fixture
def alone() -> Iterator[Spawner]:
    """A spawner without any supervisor yet."""
    with Spawner() as found:
        yield found


def open_files(pid: int) -> list[str]:
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def test_one_supervisor_is_enough_for_one_attempt_after_another(
    alone: Spawner, folder: Path
) -> None:
    """It is free as soon as the end is told, though the disk has not answered yet."""
    pids = set()
    for number in range(1, 6):
        pids.add(alone.start(replace(shell(folder, "true"), number=number)))
        heard: list[str] = []
        while "ended" not in heard:
            select.select([alone.reports], [], [])
            heard += [report.what for report in alone.read()]
    assert len(pids) == 1


def test_attempts_of_one_supervisor_do_not_mix(alone: Spawner, tmp_path: Path) -> None:
    """Each has its own folder, token, output, variables and end; nothing piles up."""
    pids, descriptors = set(), set()
    for index in range(6):
        folder = tmp_path / str(index)
        folder.mkdir()
        code = f'echo "$MODELDIR_RUN $MINE"; exit {index}'
        variables = {"MINE": str(index)} if index % 2 else {}
        pid = alone.start(shell(folder, code, variables=variables))
        record = ended(alone, pid, folder)
        assert printed(folder) == f"{record['token']}:{folder} {variables.get('MINE', '')}\n"
        assert (record["exit_code"], record["supervisor"]["pid"]) == (index, pid)
        assert sorted(os.listdir(folder)) == ["console.log", "run.json"]
        pids.add(pid)
        # But for the folder's own: what is told may be on its way to the disk still.
        descriptors.add(sum(not path.startswith(str(folder)) for path in open_files(pid)))
    assert (len(pids), len(descriptors)) == (1, 1)


def test_why_one_was_stopped_says_nothing_of_the_next(alone: Spawner, folder: Path) -> None:
    """Neither the intent nor the coming KILL goes over to the next attempt."""
    pid = alone.start(shell(folder, "echo ready; exec sleep 60", grace=0.3))
    wait_for(folder, "ready")
    os.kill(pid, signal.SIGTERM)
    assert ended(alone, pid, folder)["status"] == "interrupted"
    record = run(alone, shell(folder, "sleep 0.5", number=2))
    assert (record["supervisor"]["pid"], record["intent"]) == (pid, None)
    assert record["status"] == "completed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_supervisor_that_is_free_may_go(
    alone: Spawner, folder: Path, number: signal.Signals
) -> None:
    """Asked to or killed: the next start gets another, though the worker has not heard of it."""
    for attempt in (1, 3):
        pid = run(alone, shell(folder, "true", number=attempt))["supervisor"]["pid"]
        os.kill(pid, number)
        wait_until(lambda: processes.process(pid) is None, "its end")  # noqa: B023 - called at once
        if attempt == 1:
            assert reports(alone, pid) == ["gone"]
        after = run(alone, shell(folder, "true", number=attempt + 1))
        assert (after["status"], after["supervisor"]["pid"] != pid) == ("completed", True)


def test_who_shows_what_is_printed_hears_at_once_that_it_begins(
    spawner: Spawner, folder: Path
) -> None:
    """Others a moment later, or with the end: of a supervisor that fails before only that."""
    pid = spawner.start(shell(folder, f"rm -r {folder}", is_shown=True))
    assert reports(spawner, pid) == ["started", "gone"]


def test_a_supervisor_that_met_an_error_takes_no_other(alone: Spawner, folder: Path) -> None:
    """While it lives its attempt does: one that could not record an end must leave."""
    pid = alone.start(shell(folder, f"rm -r {folder}"))
    assert reports(alone, pid) == ["gone"]
    folder.mkdir()
    record = run(alone, shell(folder, "true"))
    assert (record["status"], record["supervisor"]["pid"] != pid) == ("completed", True)


def test_the_second_command_dies_with_its_supervisor_too(folder: Path) -> None:
    """Not only the first that it runs."""
    with Spawner() as spawner:
        first = run(spawner, shell(folder, "true"))
        pid = spawner.start(shell(folder, "exec sleep 60", number=2))
        assert pid == first["supervisor"]["pid"]
        command = command_of(folder, "run.2.json")
        kill(pid)
        wait_until(lambda: processes.process(command) is None, "the command's death")
        assert reports(spawner, pid, "gone")
    assert experiment.status(folder).state == "interrupted"


# -- The metric that is needed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "failure"), [("0.9", None), ("NaN", "nan"), (None, "missing-metric")]
)
def test_a_needed_metric_decides(
    spawner: Spawner, folder: Path, value: str | None, failure: str | None
) -> None:
    """There and a number: completed; NaN or missing: a failure, though the exit code is 0."""
    write = f"echo '{{\"accuracy\": {value}}}' > base_model/metrics_eval_best_weights.json"
    record = run(spawner, shell(folder, write if value else "true", metric=ACCURACY))
    assert record.get("failure") == failure
    assert record["status"] == ("failed" if failure else "completed")


def test_a_metric_of_the_last_attempt_is_not_this_ones(spawner: Spawner, folder: Path) -> None:
    """Afresh it is set aside; resumed it counts, since the script goes on from it."""
    write = "echo '{\"accuracy\": 0.9}' > base_model/metrics_eval_best_weights.json"
    assert run(spawner, shell(folder, write, metric=ACCURACY))["status"] == "completed"
    resumed = shell(folder, "true", number=2, resumes=True, metric=ACCURACY)
    assert run(spawner, resumed)["status"] == "completed"
    assert (
        run(spawner, shell(folder, "true", number=3, metric=ACCURACY))["failure"]
        == "missing-metric"
    )


def test_metrics_that_are_only_printed_are_read(spawner: Spawner, folder: Path) -> None:
    """The best value of each counts, on whichever stream."""
    code = "echo 'val acc: 0.5'; echo 'val acc: 0.7' >&2; echo 'train acc: 1'"
    patterns = ("val acc: {accuracy}",)
    record = run(spawner, shell(folder, code, metric=ACCURACY, metrics=patterns))
    assert record["status"] == "completed"
    assert experiment.scores(folder).validation == {"accuracy": 0.7}


# -- A full disk -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An experiment's folder on a file system of 16 pages."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:  # noqa: PLW1510 - looked at here
        pytest.skip("a small file system can be mounted here only by root")
    try:
        folder = disk / "base_model"
        folder.mkdir()
        (folder / "params.json").write_text("{}")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_an_end_that_finds_no_room_is_recorded_when_there_is(
    spawner: Spawner, small_disk: Path
) -> None:
    """Nothing finished may be lost: the supervisor insists until the disk has room again."""
    folder = small_disk
    recorded = "until grep -q '\"process\": {$' run.json; do sleep 0.01; done"
    code = f"{recorded}; cat /dev/zero > filler; exit 5"
    pid = spawner.start(shell(folder, code, cwd=str(folder)))
    wait_until((folder / "filler").exists)
    command = command_of(folder)
    wait_until(lambda: processes.process(command) is None, "the command's end")
    time.sleep(0.1)
    assert attempts.read(folder, 1).end is None
    assert experiment.status(folder).state == "running"
    (folder / "filler").unlink()
    record = ended(spawner, pid, folder)
    assert (record["status"], record["exit_code"]) == ("failed", 5)


def test_who_runs_is_told_once_there_is_room_for_it(spawner: Spawner, small_disk: Path) -> None:
    """The disk has one page left, which the first form of the run file takes: there is none for the
    form that is to replace it.
    """
    folder = small_disk
    filler = folder.parent / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(filler, filler.stat().st_size - 4096)
    os.mkfifo(folder.parent.parent / "fifo")
    pid = spawner.start(shell(folder, "read x < ../../fifo; exit 5", cwd=str(folder)))
    wait_until((folder / "run.json").exists)
    time.sleep(0.5)  # it has been tried by now
    assert attempts.read(folder, 1).record["process"] == {}
    filler.unlink()
    wait_until(lambda: attempts.read(folder, 1).record["process"], "who runs")
    assert processes.process(command_of(folder)) is not None
    (folder.parent.parent / "fifo").write_text("\n")
    assert ended(spawner, pid, folder)["exit_code"] == 5


# -- The spawner -----------------------------------------------------------------------------------


def test_a_start_arrives_as_it_was_sent(folder: Path) -> None:
    """Every field, through the bytes between worker and spawner."""
    start = Start(
        folder=str(folder), number=3, command=("a", os.fsdecode(b"\xff")), cwd="/", script="x",
        resumes=True, variables={"A": "1"}, facts={"code": None}, metric=ACCURACY,
        metrics=("{a}",), time_limit=1.5, bound=True, grace=2.0,
    )  # fmt: skip
    assert Start.from_json(start.to_json()) == start


def test_many_attempts_run_at_once(spawner: Spawner, tmp_path: Path) -> None:
    """Twenty starts in a row, all running together, each in its own folder."""
    folders = [tmp_path / str(index) for index in range(20)]
    for path in folders:
        path.mkdir()
    pids = [spawner.start(shell(path, f"echo {path.name}; sleep 0.05")) for path in folders]
    left = set(pids)
    deadline = time.monotonic() + LIMIT
    while left and time.monotonic() < deadline:
        select.select([spawner.reports], [], [], 1.0)
        left -= {report.pid for report in spawner.read() if report.what == "free"}
    assert left == set()
    assert [printed(path) for path in folders] == [f"{path.name}\n" for path in folders]
    assert {experiment.status(path).state for path in folders} == {"completed"}


def test_nothing_is_left_when_a_spawner_is_closed(folder: Path) -> None:
    """No process, no zombie, no open descriptor."""
    code = f"""
        import os
        from modeldir._system import processes
        from modeldir.worker.spawner import Spawner
        from modeldir.worker.start_order import Start

        def held():
            return os.listdir("/proc/self/fd"), processes.descendants(os.getpid())

        before = held()
        for number in range(20):
            with Spawner() as spawner:
                if number % 2:
                    start = Start.from_json({shell(folder, "true").to_json()!r})
                    pid = spawner.start(start)
                    while not [r for r in spawner.read() if r.what == "free"]:
                        pass
                    assert pid in held()[1]
            assert held() == before, held()
        print("clean")
    """
    assert output(code) == "clean\n"


def test_a_worker_that_closes_its_spawner_leaves_its_trials_running(folder: Path) -> None:
    """Closing waits for the spawner alone: what runs goes on and is recorded."""
    os.mkfifo(folder.parent / "fifo")
    with Spawner() as spawner:
        pid = spawner.start(shell(folder, "echo ready; read x < fifo"))
        wait_for(folder, "ready")
    assert experiment.status(folder).state == "running"
    (folder.parent / "fifo").write_text("\n")
    wait_until(lambda: processes.process(pid) is None, "the supervisor's end")
    assert experiment.status(folder).state == "completed"


@pytest.mark.parametrize("threads", [0, 1])
def test_a_process_with_and_without_threads_can_spawn(folder: Path, threads: int) -> None:
    """Without, it forks; with, where a fork could hang, it starts a new interpreter."""
    code = f"""
        import threading
        from modeldir.worker.spawner import Spawner
        from modeldir.worker.start_order import Start

        done = threading.Event()
        for _ in range({threads}):
            threading.Thread(target=done.wait).start()
        with Spawner() as spawner:
            spawner.start(Start.from_json({shell(folder, "echo ready").to_json()!r}))
            reports = []
            while "free" not in reports:
                reports += [report.what for report in spawner.read()]
        done.set()
        print(reports)
    """
    assert output(code) == "['started', 'ended', 'free']\n"
    assert printed(folder) == "ready\n"


def test_two_spawners_of_one_process_can_be_closed_in_any_order() -> None:
    """The second must not hold the first one's ends open: that would hang, and bind too long."""
    code = """
        from modeldir.worker.spawner import Spawner
        first, second = Spawner(), Spawner()
        first.close()
        second.close()
        print("closed")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        timeout=LIMIT,
        check=True,
    )
    assert done.stdout == b"closed\n"


def test_a_bound_attempt_ends_though_another_spawner_lives(tmp_path: Path) -> None:
    """What was forked later holds no end of the lifeline."""
    folder = tmp_path / "base_model"
    folder.mkdir()
    start = shell(folder, "echo ready; exec sleep 60", bound=True)
    code = f"""
        import sys
        from modeldir.worker.spawner import Spawner
        from modeldir.worker.start_order import Start
        first, second = Spawner(), Spawner()
        first.start(Start.from_json({start.to_json()!r}))
        sys.stdin.readline()
        first.close()
        sys.stdin.readline()
        second.close()
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE)
    assert process.stdin
    wait_for(folder, "ready")
    process.stdin.write(b"\n")
    process.stdin.flush()
    wait_until(lambda: attempts.read(folder, 1).end == "interrupted", "its end")
    process.communicate(b"\n")


def test_a_child_that_the_worker_forks_does_not_keep_the_spawner(folder: Path) -> None:
    """A data loader's process has copies of all descriptors: closing must not wait for it."""
    code = """
        import os, time
        from modeldir.worker.spawner import Spawner
        spawner = Spawner()
        child = os.fork()
        if child == 0:
            time.sleep(60)
        spawner.close()
        os.kill(child, 9)
        os.waitpid(child, 0)
        print("closed")
    """
    assert output(code) == "closed\n"


def test_a_spawner_that_was_killed_is_an_error_and_no_hang(folder: Path) -> None:
    """The next start is told; what runs already is kept and recorded."""
    os.mkfifo(folder.parent / "fifo")
    with Spawner() as spawner:
        pid = spawner.start(shell(folder, "echo ready; read x < fifo"))
        wait_for(folder, "ready")
        kill(spawner._pid)
        with pytest.raises(CommandError, match="was killed"):
            spawner.start(shell(folder, "true", number=2))
    (folder.parent / "fifo").write_text("\n")
    wait_until(lambda: processes.process(pid) is None, "the supervisor's end")
    assert experiment.status(folder).state == "completed"


def test_a_pipe_of_the_worker_ends_with_it(folder: Path) -> None:
    """`modeldir search | tee log`: tee must not wait for trials that go on without the worker."""
    os.mkfifo(folder.parent / "fifo")
    started = shlex.quote(shell(folder, "echo ready; read x < fifo").to_json().decode())
    worker = f"{shlex.quote(sys.executable)} -c {shlex.quote(WORKER)}"
    piped = subprocess.Popen(f"echo {started} | {worker} | cat", shell=True, stdout=subprocess.PIPE)
    supervisor = int(piped.communicate(timeout=LIMIT)[0])
    wait_for(folder, "ready")
    assert experiment.status(folder).state == "running"
    (folder.parent / "fifo").write_text("\n")
    wait_until(lambda: processes.process(supervisor) is None, "the supervisor's end")


def test_reports_come_in_order_though_nobody_reads_for_long(
    spawner: Spawner, tmp_path: Path
) -> None:
    """A worker that is busy elsewhere hears all of it later, line by line."""
    heard: dict[int, list[str]] = {}
    for index in range(5):
        (tmp_path / str(index)).mkdir()
        heard[spawner.start(shell(tmp_path / str(index), "true"))] = []
    folders = [tmp_path / str(index) for index in range(5)]
    wait_until(lambda: all(experiment.status(path).duration for path in folders), "their ends")
    deadline = time.monotonic() + LIMIT
    while any("free" not in words for words in heard.values()) and time.monotonic() < deadline:
        for report in spawner.read():
            heard[report.pid].append(report.what)
    assert set(map(tuple, heard.values())) == {("started", "ended", "free")}


SLOW_DISK = """\
import os, stat, sys, time
from pathlib import Path
from modeldir.worker.spawner import Spawner
from modeldir.worker.start_order import Start

synced = os.path.abspath("synced")

def slow(descriptor):
    time.sleep(0.1)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        with open(synced, "a") as file:
            file.write("an end\\n")

os.fsync = slow
with Spawner() as spawner:
    for name in "abc":
        os.mkdir(name)
        pid = spawner.start(Start(os.path.abspath(name), 1, ("true",), os.getcwd()))
        while "free" not in [report.what for report in spawner.read()]:
            time.sleep(0.01)
        print(pid, len(open(synced).readlines()) if name > "a" else 0)
"""


def test_on_a_slow_disk_nothing_runs_while_an_end_is_put_there(tmp_path: Path) -> None:
    """Who waits for the disk does not hear that a command has ended: its duration would be wrong.
    One whose last end took long is free once the next is on the disk, and not before.
    """
    worker = [sys.executable, "-c", SLOW_DISK]
    told = subprocess.run(worker, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
    keepers, ends = zip(*map(str.split, told.stdout.splitlines()), strict=True)
    assert len(set(keepers)) == 1
    assert ends == ("0", "2", "3")
