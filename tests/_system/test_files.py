"""Files: a reader meets the old bytes or the new ones, and of many who claim exactly one wins."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laboratory import wait_until
from modeldir._system import files, reading

if TYPE_CHECKING:
    from collections.abc import Iterator


def python(code: str, *words: str, **settings: Any) -> subprocess.Popen[Any]:
    """An interpreter that runs a piece of code."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *words], **settings)


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if files.is_temporary(name)]


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that nobody has by default, for the length of a test."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("a small file system can be mounted here only by root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def refuse(*_: object, **__: object) -> NoReturn:
    """Stands for `os.link` on a file system that has no hard links."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def fill(folder: Path) -> None:
    """Write until nothing more fits."""
    with open(folder / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


# -- Reading ---------------------------------------------------------------------------------------


# -- Whole files -----------------------------------------------------------------------------------


def test_json_is_written_as_people_write_it(tmp_path: Path) -> None:
    """Four spaces, the order kept, letters as letters, a line end at the end."""
    files.write_json(tmp_path / "a.json", {"b": [1], "ä": None})
    assert (tmp_path / "a.json").read_text("utf-8") == (
        '{\n    "b": [\n        1\n    ],\n    "ä": null\n}\n'
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused_and_the_old_file_stays(
    tmp_path: Path, number: float
) -> None:
    """`NaN` in a file would be read by Python alone."""
    path = tmp_path / "a.json"
    files.write_json(path, {"loss": 1})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": number})
    assert reading.read_json(path) == {"loss": 1}
    assert leftovers(tmp_path) == []


def test_a_path_that_is_no_utf8_is_kept_and_comes_back(tmp_path: Path) -> None:
    """Linux's names are bytes: a folder named in Latin-1 must not end a run with an exception."""
    name = os.fsdecode(b"exp\xe9riences\\")
    files.write_json(tmp_path / "run.json", {"cwd": name})
    files.append_line(tmp_path / "events.jsonl", {"cwd": name})
    (tmp_path / "run.json").read_bytes().decode("utf-8")
    assert reading.read_object(tmp_path / "run.json") == {"cwd": name}
    assert reading.read_lines(tmp_path / "events.jsonl") == [{"cwd": name}]


def test_a_new_file_gets_the_mode_of_the_umask(tmp_path: Path, umask: None) -> None:
    """A group that shares a folder sees what the user's umask says, not a temporary file's 0600."""
    files.write_json(tmp_path / "a.json", {})
    files.publish(tmp_path / "b.json", b"{}")
    files.append_line(tmp_path / "c.jsonl", {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"a.json": 0o640, "b.json": 0o640, "c.jsonl": 0o640}


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o444])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, umask: None, mode: int) -> None:
    """What a user made private, or shared, stays so when it is replaced."""
    path = tmp_path / "params.json"
    path.write_text("{}")
    path.chmod(mode)
    files.write_json(path, {"a": 1}, durable=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert reading.read_json(path) == {"a": 1}


@pytest.mark.parametrize("target", ["shared.json", "nowhere.json"])
def test_nothing_is_written_through_a_link(tmp_path: Path, target: str) -> None:
    """A file takes the link's place; lines are not appended, and no file is made at its end."""
    (tmp_path / "shared.json").write_text("{}")
    link = tmp_path / "params.json"
    link.symlink_to(target)
    for write in (files.append_line, lambda path, _: files.open_append(path)):
        with pytest.raises(OSError, match="it is a link"):
            write(link, {"a": 1})
    with pytest.raises(OSError, match="it is a link"):
        files.make_empty(link)
    files.write_json(link, {"a": 1}, durable=True)
    assert not link.is_symlink()
    assert json.loads(link.read_text()) == {"a": 1}
    assert (tmp_path / "shared.json").read_text() == "{}"
    assert not (tmp_path / "nowhere.json").exists()


def test_a_link_to_a_device_is_left_alone(tmp_path: Path) -> None:
    """`-o /dev/stdout` must not replace the link in /dev."""
    for target in ("/dev/null", "/proc/self/fd/0", "/proc/self/cmdline"):
        link = tmp_path / target.replace("/", "_")
        link.symlink_to(target)
        with pytest.raises(OSError, match="Not a regular file"):
            files.write_json(link, {})
        assert link.is_symlink()


def test_a_name_of_the_longest_kind_can_be_written(tmp_path: Path) -> None:
    """The temporary name must not grow with the file's: 255 bytes are all there are."""
    path = tmp_path / ("n" * 250 + ".json")
    files.write_json(path, {"a": 1})
    assert files.publish(tmp_path / ("m" * 255), b"x")
    assert reading.read_json(path) == {"a": 1}


def test_a_file_in_the_folder_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name is a path too."""
    monkeypatch.chdir(tmp_path)
    files.write_json("a.json", {"a": 1}, durable=True)
    assert files.publish("b.json", b"x")
    files.make_durable("b.json")
    assert sorted(os.listdir()) == ["a.json", "b.json"]


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """`save("/dev/null")` by root would break the machine; a pipe's reader would wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="regular") as caught:
        files.write_json(pipe, {})
    assert caught.value.filename == str(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert leftovers(tmp_path) == []


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """The error is the one that Python gives, and nothing is left beside the folder."""
    (tmp_path / "run.json").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write_json(tmp_path / "run.json", {})
    assert leftovers(tmp_path) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """No folder is made by the way: a mistyped path must not become an experiment."""
    for write in (files.write_json, files.append_line):
        with pytest.raises(FileNotFoundError):
            write(tmp_path / "none" / "a.json", {})
    with pytest.raises(FileNotFoundError):
        files.publish(tmp_path / "none" / "a.json", b"x")


def test_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """Twelve writers killed at random: what lies there is always one whole version."""
    path = tmp_path / "run.json"
    files.write_json(path, {"version": -1, "filler": ""})
    code = """
        import sys
        from modeldir._system import files, reading
        print("ready", flush=True)
        for version in range(10**9):
            filler = str(version % 10) * (200_000 if version % 2 else 10)
            files.write_json(sys.argv[1], {"version": version, "filler": filler})
    """
    chance = random.Random(230)
    versions = set()
    for _ in range(12):
        writer = python(code, str(path), stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(chance.uniform(0.001, 0.03))
        writer.kill()
        writer.wait()
        writer.stdout.close()
        found = json.loads(path.read_text())
        assert set(found["filler"]) <= {str(found["version"] % 10)}
        assert len(found["filler"]) == (200_000 if found["version"] % 2 else 10)
        versions.add(found["version"])
    assert max(versions) > 0


def test_a_reader_never_meets_a_part(tmp_path: Path) -> None:
    """While a file is replaced over and over, every look at it finds a whole version."""
    path = tmp_path / "metrics.json"
    files.write_json(path, {"version": 0, "filler": "0" * 50_000})
    done = threading.Event()
    broken = []

    def look() -> None:
        while not done.is_set():
            found = reading.read_json(path)
            if found is None or set(found["filler"]) != {str(found["version"] % 10)}:
                broken.append(found)

    reader = threading.Thread(target=look)
    reader.start()
    for version in range(150):
        files.write_json(path, {"version": version, "filler": str(version % 10) * 50_000})
    done.set()
    reader.join()
    assert broken == []


def test_a_full_disk_leaves_the_old_file_whole(small_disk: Path) -> None:
    """The error is told, the old version stays, and no temporary file keeps the disk full."""
    path = small_disk / "run.json"
    files.write_json(path, {"status": None})
    fill(small_disk)
    for durable in (False, True):
        with pytest.raises(OSError, match="No space") as caught:
            files.write_json(path, {"status": "completed", "filler": "x" * 8192}, durable=durable)
        assert caught.value.errno == errno.ENOSPC
    assert reading.read_json(path) == {"status": None}
    assert leftovers(small_disk) == []


def test_a_line_that_does_not_fit_is_told_and_the_next_one_is_whole(small_disk: Path) -> None:
    """A disk takes half a line in silence: that must be an error, and must not tear the next."""
    path = small_disk / "events.jsonl"
    files.append_line(path, {"event": "first"})
    fill(small_disk)
    with pytest.raises(OSError, match="No space"):
        files.append_line(path, {"event": "x" * 10_000})
    (small_disk / "filler").unlink()
    files.append_line(path, {"event": "last"})
    assert reading.read_lines(path) == [{"event": "first"}, {"event": "last"}]


def test_a_claim_on_a_full_disk_is_nobodys(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a claim would keep the name from everybody for ever, with links and without."""
    fill(small_disk)
    claim = small_disk / "000001.json"
    for refused in (False, True):
        with monkeypatch.context() as patch:
            if refused:
                patch.setattr(os, "link", refuse)
            with pytest.raises(OSError, match="No space"):
                files.publish(claim, b"x" * 10_000)
    (small_disk / "filler").unlink()
    assert files.publish(claim, b"x" * 10_000)
    assert os.listdir(small_disk) == ["000001.json"]


# -- Claims ----------------------------------------------------------------------------------------


NO_LINKS = """
import errno, os

def refuse(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")

os.link = refuse
"""

NO_RENAME = (
    NO_LINKS
    + """
from modeldir._system import files

files._rename_if_free = lambda *_: False
"""
)

CLAIM = """
import os, sys, time
from modeldir._system import files, reading

me, folder = sys.argv[1:]
print("ready", flush=True)
began = float(sys.stdin.readline())
for number in range(50):
    while time.monotonic() < began + 0.003 * number:  # all try for a number at the same moment
        pass
    if files.publish(os.path.join(folder, f"{number:06d}.json"), me.encode()):
        print(number, flush=True)
"""


WAYS = pytest.mark.parametrize(
    "before", ["", NO_LINKS, NO_RENAME], ids=["link", "rename", "rename under a lock"]
)
"""The ways to publish, by what the file system offers."""


@WAYS
def test_of_many_processes_exactly_one_gets_each_number(tmp_path: Path, before: str) -> None:
    """Eight processes, fifty numbers, all at once: each number has one winner, and its bytes."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    claimants = [python(before + CLAIM, str(me), str(tmp_path), **pipes) for me in range(8)]
    for claimant in claimants:
        assert claimant.stdout
        assert claimant.stdout.readline() == "ready\n"
    began = time.monotonic() + 0.01
    for claimant in claimants:
        assert claimant.stdin
        claimant.stdin.write(f"{began}\n")
        claimant.stdin.flush()
    won = [claimant.communicate()[0].split() for claimant in claimants]
    assert Counter(int(n) for numbers in won for n in numbers) == dict.fromkeys(range(50), 1)
    for me, numbers in enumerate(won):
        for number in numbers:
            assert (tmp_path / f"{int(number):06d}.json").read_text() == str(me)
    assert leftovers(tmp_path) == []


SLOW = """
import os, sys, time

write = os.write

def slow_write(descriptor, data):
    done = write(descriptor, bytes(data)[: len(data) // 2 + 1])
    time.sleep(0.1)
    return done

os.write = slow_write
files.publish(sys.argv[1], b"0123456789")
"""


@WAYS
def test_a_published_file_is_complete_before_it_is_visible(tmp_path: Path, before: str) -> None:
    """The file system takes its time between creating a file and writing it: no reader sees that.

    A worker that saw an empty run file took its trial for dead, and ran it a second time.
    """
    path, seen = tmp_path / "run.json", set()
    with python(f"{before}\nfrom modeldir._system import files\n{SLOW}", str(path)) as writer:
        while writer.poll() is None:
            seen.add(reading.read_bytes(path))
    assert writer.returncode == 0
    assert seen <= {None, b"0123456789"}
    assert path.read_bytes() == b"0123456789"
    assert leftovers(tmp_path) == []


KILLED = """
import os, signal, sys
from modeldir._system import files

rename = os.rename

def kill_at_last(source, target):
    if target == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)

os.rename = kill_at_last
files.publish(sys.argv[1], b"the dead one's")
"""


def test_a_process_killed_with_the_lock_keeps_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was visible of what it published; the others wait, remove the lock and go on."""
    path = tmp_path / "run.json"
    with python(NO_RENAME + KILLED, str(path)) as writer:
        pass
    assert writer.returncode == -signal.SIGKILL
    assert not path.exists()
    assert any((tmp_path / name).is_dir() for name in leftovers(tmp_path))
    monkeypatch.setattr(files, "_LOCK_PATIENCE", 0.3)
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(files, "_rename_if_free", lambda *_: False)
    began = time.monotonic()
    assert files.publish(path, b"one")
    assert time.monotonic() - began >= 0.3
    assert not files.publish(path, b"two")
    assert path.read_bytes() == b"one"
    assert not any((tmp_path / name).is_dir() for name in leftovers(tmp_path))


STOPPED = """
import os, signal, sys
from modeldir._system import files

rename = os.rename

def stop_first(source, target):
    if target == sys.argv[1] and not stopped:
        stopped.append(1)
        os.kill(os.getpid(), signal.SIGSTOP)
    rename(source, target)

stopped = []
os.rename = stop_first
print(files.publish(sys.argv[1], b"the slow one's"))
"""


def test_a_process_stopped_with_the_lock_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped at its rename for longer than others wait: it has lost, and says so."""
    path = tmp_path / "run.json"
    monkeypatch.setattr(files, "_LOCK_PATIENCE", 0.3)
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(files, "_rename_if_free", lambda *_: False)
    slow = python(NO_RENAME + STOPPED, str(path), stdout=subprocess.PIPE, text=True)
    try:
        assert os.waitid(os.P_PID, slow.pid, os.WSTOPPED | os.WNOWAIT) is not None
        assert files.publish(path, b"the quick one's")
    finally:
        slow.send_signal(signal.SIGCONT)
    assert slow.communicate()[0] == "False\n"
    assert path.read_bytes() == b"the quick one's"
    assert leftovers(tmp_path) == []


def test_a_name_once_published_is_taken(tmp_path: Path) -> None:
    """The first bytes stay, and the loser leaves nothing behind."""
    assert files.publish(tmp_path / "run.json", b"one")
    assert not files.publish(tmp_path / "run.json", b"two")
    assert (tmp_path / "run.json").read_bytes() == b"one"
    assert leftovers(tmp_path) == []


def test_a_link_to_nowhere_takes_a_name_too(tmp_path: Path) -> None:
    """What cannot be opened is still somebody's."""
    (tmp_path / "run.json").symlink_to("nowhere")
    assert not files.publish(tmp_path / "run.json", b"mine")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("code", sorted(files.NO_LINKS))
def test_where_there_are_no_links_a_claim_is_still_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A mounted share answers a link with one of these: then a rename decides."""

    def refuse_by(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse_by)
    assert files.publish(tmp_path / "run.json", b"one")
    assert not files.publish(tmp_path / "run.json", b"two")
    assert (tmp_path / "run.json").read_bytes() == b"one"


@pytest.mark.parametrize("error", [FileExistsError(errno.EEXIST, ""), OSError(errno.EIO, "lost")])
def test_a_network_that_loses_its_answer_does_not_lose_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """NFS may say that a link failed which it has made: whose bytes are there has won."""
    real = os.link

    def link_and_fail(source: str, target: str) -> NoReturn:
        with contextlib.suppress(FileExistsError):
            real(source, target)
        raise error

    monkeypatch.setattr(os, "link", link_and_fail)
    assert files.publish(tmp_path / "run.json", b"mine")
    if isinstance(error, FileExistsError):
        assert not files.publish(tmp_path / "run.json", b"another's")


def test_an_error_that_says_nothing_of_links_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails is no share without links: to create the file then would be a guess."""

    def fail(*_: object) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        files.publish(tmp_path / "run.json", b"mine")
    assert os.listdir(tmp_path) == []


# -- Lines -----------------------------------------------------------------------------------------


def test_a_torn_line_swallows_nothing(tmp_path: Path) -> None:
    """A line of a killed writer is passed over; the one after it is whole."""
    path = tmp_path / "metrics.jsonl"
    files.append_line(path, {"step": 1})
    with open(path, "ab") as file:
        file.write(b'{"step": 2, "acc')
    assert reading.read_lines(path) == [{"step": 1}]
    files.append_line(path, {"step": 3})
    files.append_line(path, {"step": 4})
    assert [line["step"] for line in reading.read_lines(path)] == [1, 3, 4]


def test_lines_of_others_are_passed_over(tmp_path: Path) -> None:
    """Blank lines, lists, zeros of a lost page, and what is no text."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'\n[1]\n\x00\x00\n{"a": 1}\n\xff\n"a"\n{"b": 2}')
    assert reading.read_lines(path) == [{"a": 1}, {"b": 2}]


def test_line_ends_inside_a_value_stay_inside(tmp_path: Path) -> None:
    """Whatever a value holds, a line is one line."""
    value = {"text": "a\nb\rc\u2028d\x85e\x0b"}
    files.append_line(tmp_path / "a.jsonl", value)
    files.append_line(tmp_path / "a.jsonl", {"next": 1})
    assert reading.read_lines(tmp_path / "a.jsonl") == [value, {"next": 1}]


def test_lines_of_several_writers_do_not_mix(tmp_path: Path) -> None:
    """Four processes append to one file at once: every line arrives, and whole."""
    code = """
        import sys
        from modeldir._system import files, reading
        for step in range(200):
            files.append_line(sys.argv[1], {"writer": sys.argv[2], "step": step, "f": "x" * 300})
    """
    path = tmp_path / "events.jsonl"
    writers = [python(code, str(path), str(me)) for me in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    found = Counter((line["writer"], line["step"]) for line in reading.read_lines(path))
    assert found == dict.fromkeys([(str(me), step) for me in range(4) for step in range(200)], 1)


def test_a_device_that_is_full_is_an_error() -> None:
    """A line that went nowhere is not said to be written."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space"):
        files.append_line("/dev/full", {"a": 1})


# -- Locks -----------------------------------------------------------------------------------------


def test_a_lock_keeps_others_out_only_as_long_as_they_have_patience(tmp_path: Path) -> None:
    """Whoever cannot get it goes on without: correctness never needs it."""
    lock = tmp_path / "lock"
    with files.locked(lock) as mine:
        assert mine
        with files.locked(lock, patience=0.02) as theirs:
            assert not theirs
    with files.locked(lock, patience=0.0) as again:
        assert again


def test_a_lock_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    """A read-only or missing folder makes slower, not impossible."""
    with files.locked(tmp_path / "none" / "lock") as mine:
        assert not mine


@pytest.mark.parametrize("said", [errno.ENOLCK, errno.EACCES, errno.EIO])
def test_a_file_system_without_locks_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: int
) -> None:
    """It neither fails nor waits longer than it may. EACCES is a network's word for taken."""

    def flock(*_: object) -> None:
        raise OSError(said, os.strerror(said))

    monkeypatch.setattr(fcntl, "flock", flock)
    with files.locked(tmp_path / "lock", patience=0.02) as mine:
        assert not mine
    with open(tmp_path / "search.log", "w") as log:
        assert files.hold(log.fileno()) is (said != errno.EACCES)


def test_the_kernel_frees_the_lock_of_the_dead(tmp_path: Path) -> None:
    """A holder that is killed keeps nobody waiting."""
    code = """
        import sys, time
        from modeldir._system import files, reading
        with files.locked(sys.argv[1]):
            print("held", flush=True)
            time.sleep(60)
    """
    holder = python(code, str(tmp_path / "lock"), stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    with files.locked(tmp_path / "lock", patience=0.0) as mine:
        assert not mine
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with files.locked(tmp_path / "lock", patience=0.0) as mine:
        assert mine


def test_an_open_file_is_held_by_one(tmp_path: Path) -> None:
    """`hold` says whether nobody else has it, and lets go when the file is closed."""
    with open(tmp_path / "search.log", "w") as first:
        assert files.hold(first.fileno())
        with open(tmp_path / "search.log") as second:
            assert not files.hold(second.fileno())
    with open(tmp_path / "search.log") as third:
        assert files.hold(third.fileno())


# -- Paths -----------------------------------------------------------------------------------------


def test_the_same_file_by_two_names(tmp_path: Path) -> None:
    """Links and dots lead to the same folder; what is not there is the same as nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert files.same_file(tmp_path / "a" / ".." / "b", tmp_path / "a")
    assert not files.same_file(tmp_path / "a", tmp_path)
    assert not files.same_file(tmp_path / "none", tmp_path / "none")


def test_absolute_keeps_links_as_the_user_wrote_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that a user typed through a link is shown through that link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert files.absolute("link/../link/x") == tmp_path / "link" / "x"


def test_waiting_is_not_needed_for_a_reader_to_see_a_write(tmp_path: Path) -> None:
    """Another process sees a published file at once, whole."""
    code = (
        "import sys; from modeldir._system import files; files.publish(sys.argv[1], b'x' * 100_000)"
    )
    writer = python(code, str(tmp_path / "claim"))
    wait_until((tmp_path / "claim").exists)
    assert (tmp_path / "claim").stat().st_size == 100_000
    assert writer.wait() == 0


# -- JSON's own look -------------------------------------------------------------------------------

_KEYS = st.text() | st.integers() | st.booleans() | st.none()
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner) | st.tuples(inner, inner),
)


@given(_VALUES)
def test_json_looks_as_the_standard_library_indents_it(value: object) -> None:
    """Written faster, and to the byte the same."""
    expected = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False)
    assert files.to_json(value) == expected.encode("utf-8", "backslashreplace").decode() + "\n"
