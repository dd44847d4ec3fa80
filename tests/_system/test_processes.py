"""Processes: a pid names nobody, and the unknown is never taken for dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from laboratory import wait_until
from modeldir._system import processes
from modeldir._system.processes import Process, alive, from_json, process

linux = pytest.mark.skipif(not processes.LINUX, reason="what only Linux's kernel offers")


def me() -> Process:
    found = process()
    assert found is not None
    return found


def python(code: str, *words: str, **settings: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *words], **settings)


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    return process(pid) is None


# -- Identity --------------------------------------------------------------------------------------


def test_we_are_alive_and_stay_who_we_are() -> None:
    """The same process is the same at every look, and its record says so too."""
    assert process() == process(os.getpid()) == from_json(json.loads(json.dumps(me().to_json())))
    assert alive(me()) is True


def test_a_process_is_dead_once_it_has_ended() -> None:
    """Ended and waited for: nobody has that pid and start any more."""
    child = sleeper()
    known = process(child.pid)
    assert known is not None
    assert alive(known) is True
    child.kill()
    child.wait()
    assert alive(known) is False
    assert process(child.pid) is None


def test_a_zombie_is_dead() -> None:
    """It has a pid and an entry, and will never do anything again."""
    child = sleeper()
    known = process(child.pid)
    assert known is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert os.path.exists(f"/proc/{child.pid}") or not processes.LINUX
    assert alive(known) is False
    assert process(child.pid) is None
    child.wait()


def test_a_pid_that_was_used_again_is_somebody_else() -> None:
    """Our own pid with another start is not us."""
    assert alive(replace(me(), started=me().started - 1)) is False


def test_a_stopped_process_is_alive() -> None:
    """Ctrl-Z is not the end: the folder is still held."""
    child = sleeper()
    known = process(child.pid)
    assert known is not None
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert alive(known) is True
    child.kill()
    child.wait()


def test_after_a_reboot_of_this_machine_it_is_dead() -> None:
    """The same pid, the same start, another boot: whoever that was is gone."""
    assert alive(replace(me(), boot="another")) is False


def test_on_another_host_it_is_unknown() -> None:
    """Also where two machines have the same name: neither dead nor alive, since nobody can see."""
    assert alive(replace(me(), boot="another", host="elsewhere")) is None
    assert alive(replace(me(), boot="another", machine="another")) is None


def test_a_host_that_was_renamed_still_knows_its_processes() -> None:
    """DHCP gives laptops new names: the boot says whose process it is."""
    assert alive(replace(me(), host="yesterday")) is True
    assert processes.is_of_this_boot(replace(me(), host="yesterday"))


def test_in_another_pid_namespace_it_is_unknown() -> None:
    """A container numbers its own processes: our pid 12 is not its pid 12."""
    assert alive(replace(me(), pid_namespace="pid:[1]")) is None


@linux
def test_a_process_in_a_real_container_is_unknown() -> None:
    """A child namespace's process is not taken for the one that has its number here."""
    code = """
        import json
        from modeldir._system.processes import process
        print(json.dumps(process().to_json()), flush=True)
        input()
    """
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c"]
    inside = subprocess.Popen(
        [*command, textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    said = inside.stdout.readline() if inside.stdout else b""
    known = from_json(json.loads(said)) if said else None
    answer = alive(known) if known else None
    inside.communicate(b"\n")
    if known is None:
        pytest.skip("no namespace may be made here")
    assert known.boot == me().boot
    assert known.pid < 10
    assert answer is None


@pytest.mark.parametrize(
    "value",
    [None, {}, [], "12", {"pid": 12}, {**Process("h", "m", "b", "n", 1, 2).to_json(), "pid": "x"}],
)
def test_a_broken_record_names_nobody(value: object) -> None:
    """A torn or foreign run file is no process and no exception."""
    assert from_json(value) is None


def test_a_record_of_a_later_version_is_read() -> None:
    """Keys may be added: they are passed over."""
    assert from_json({**me().to_json(), "cgroup": "/"}) == me()


@linux
def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    """A command called `a) Z 1 (b` does not make its process look like a zombie."""
    odd = tmp_path / "a) Z 1 ("
    odd.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(odd), "60"])
    wait_until(lambda: b") Z 1" in Path(f"/proc/{child.pid}/stat").read_bytes())
    known = process(child.pid)
    assert known is not None
    assert alive(known) is True
    child.kill()
    child.wait()


@linux
def test_age_counts_from_our_own_start() -> None:
    """Never more than the time since it was started, so that no older file is taken for its own."""
    began = time.monotonic()
    code = (
        "from modeldir._system.processes import age; "
        "print(age(), flush=True); input(); print(age())"
    )
    child = python(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    young = float(child.stdout.readline())
    assert 0.0 < young < time.monotonic() - began
    old = float(child.communicate(b"\n")[0])
    assert young < old < time.monotonic() - began


# -- Descendants -----------------------------------------------------------------------------------


def test_descendants_are_all_of_them_and_nobody_else() -> None:
    """Children and theirs, parents first; not our own children beside them."""
    beside = sleeper()
    family = subprocess.Popen(
        ["sh", "-c", "sleep 60 & sh -c 'sleep 60 & echo $$ $!; wait' & wait"],
        stdout=subprocess.PIPE,
    )
    assert family.stdout
    inner, leaf = (int(word) for word in family.stdout.readline().split())
    found = processes.descendants(family.pid)
    assert len(found) == 3
    assert found.index(inner) < found.index(leaf)
    assert beside.pid not in found
    for pid in (*found, family.pid, beside.pid):
        os.kill(pid, signal.SIGKILL)
    family.wait()
    beside.wait()
    family.stdout.close()
    assert processes.descendants(family.pid) == []


@linux
def test_an_orphan_comes_to_the_one_who_adopts() -> None:
    """A grandchild whose parent died, in a session of its own, is still found."""
    code = """
        import os, subprocess
        from modeldir._system import processes
        processes.adopt_orphans()
        subprocess.run(["sh", "-c", "setsid sleep 60 & echo"], stdout=subprocess.DEVNULL)
        found = processes.descendants(os.getpid())
        print(len(found))
        for pid in found:
            os.kill(pid, 9)
    """
    child = python(code, stdout=subprocess.PIPE)
    assert child.communicate()[0] == b"1\n"


@linux
def test_a_tethered_group_dies_with_the_process_that_holds_it() -> None:
    """By the kernel: nobody has to be left to see to it. Its children in the group as well."""
    code = """
        import os, subprocess, time
        from modeldir._system import processes
        tether = processes.Tether()
        os.set_inheritable(tether.descriptor, True)
        child = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; exec sleep 60"],
            start_new_session=True, close_fds=False)
        tether.fasten(child.pid)
        os.write(1, b"%d\\n" % child.pid)
        time.sleep(60)
    """
    parent = python(code, stdout=subprocess.PIPE)
    assert parent.stdout
    family = sorted(int(parent.stdout.readline()) for _ in range(2))
    assert not any(map(is_gone, family))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for pid in family:
        wait_until(lambda pid=pid: is_gone(pid), "its death")  # type: ignore[misc] # the loop's


# -- What a dead leader left -----------------------------------------------------------------------


@linux
def test_what_a_dead_leader_left_in_its_session_is_found() -> None:
    """The workers of a training that was killed still run: they are told by its session."""
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; exec sleep 60"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert leader.stdout
    left = int(leader.stdout.readline())
    known = process(leader.pid)
    assert known is not None
    assert processes.session_left(known) == []  # the leader lives: it may end them itself
    leader.kill()
    leader.wait()
    assert processes.session_left(known) == [left]
    assert processes.session_left(replace(known, boot="another")) == []
    assert processes.session_left(replace(known, pid_namespace="pid:[1]")) == []
    os.kill(left, signal.SIGKILL)
    leader.stdout.close()
    wait_until(lambda: is_gone(left), "its end")


@linux
@pytest.mark.parametrize("executes", [False, True])
def test_the_kernel_knows_who_has_executed_a_program(*, executes: bool) -> None:
    """Of one that lives and of one that is dead, until somebody waits for it."""
    act = "os.execv('/bin/cat', ['cat'])" if executes else "os.read(0, 1)"
    code = f"""
import os, sys
from modeldir._system import processes
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    os.dup2(reading, 0)
    os.close(reading)
    os.close(writing)
    {act}
    os._exit(0)
os.close(reading)
while {executes} and not processes.has_executed(pid):
    pass
print(processes.has_executed(pid))
os.close(writing)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(processes.has_executed(pid))
os.waitpid(pid, 0)
print(processes.has_executed(pid))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [str(executes), str(executes), "False"]
