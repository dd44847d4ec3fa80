"""Leases, with real processes: sums that hold, kernels that free, folders that are not ours."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laboratory import LIMIT, wait_until
from modeldir.errors import SearchError
from modeldir.worker import leases
from modeldir.worker.leases import FOLDER_VARIABLE, WHOLE, Claim, Leases, units

TWO = ("gpu-0", "gpu-1")

HOLDER = """
import sys, time
from modeldir.worker.leases import Claim, Leases
found = Leases().take(Claim(tuple(sys.argv[2:]), 1, int(sys.argv[1])))
print(",".join(found) if found else "none", flush=True)
sys.stdin.read()
"""
"""A process of its own that takes one lease and keeps it until its stdin ends."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {FOLDER_VARIABLE: str(tmp_path / "runtime")}


@pytest.fixture
def shared(environment: dict[str, str]) -> Leases:
    return Leases(environment)


class Holder:
    """Another process that holds a lease, or got none."""

    def __init__(self, environment: dict[str, str], amount: int, *names: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(amount), *names],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.got = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    found: list[Holder] = []
    yield found
    for holder in found:
        holder.kill()


def files_of(shared: Leases) -> list[str]:
    return sorted(name for name in os.listdir(shared.folder) if name != "lock")


def close(taken: dict[str, int] | None) -> None:
    assert taken is not None
    for descriptor in taken.values():
        os.close(descriptor)


# -- Sums ------------------------------------------------------------------------------------------


@given(st.integers(1, 900))
def test_n_shares_of_one_nth_fit_and_one_more_does_not(count: int) -> None:
    share = units(1 / count)
    assert count * share <= WHOLE < (count + 1) * share


def test_shares_of_different_sizes_never_exceed_the_whole(shared: Leases) -> None:
    """A half, a quarter and a third do not fit on one; a half, a quarter and a fifth do."""
    one = ("gpu-0",)
    half = shared.take(Claim(one, 1, units(0.5)))
    quarter = shared.take(Claim(one, 1, units(0.25)))
    assert shared.take(Claim(one, 1, units(1 / 3))) is None
    fifth = shared.take(Claim(one, 1, units(0.2)))
    assert shared.held() == {"gpu-0": 950_000}
    close(quarter)
    third = shared.take(Claim(one, 1, units(0.3)))
    assert third is not None
    for taken in (half, fifth, third):
        close(taken)
    assert shared.held() == {}


def test_several_are_taken_all_or_none(shared: Leases) -> None:
    first = shared.take(Claim(TWO, 1, WHOLE))
    assert shared.take(Claim(TWO, 2, WHOLE)) is None
    assert list(shared.held().values()) == [WHOLE]  # nothing was left behind by the attempt
    close(first)
    both = shared.take(Claim(TWO, 2, WHOLE))
    assert sorted(both or ()) == list(TWO)
    close(both)


def test_the_least_used_is_taken_first(shared: Leases) -> None:
    """Two halves go to two GPUs: side by side on one they would be slower."""
    first = shared.take(Claim(TWO, 1, units(0.5)))
    second = shared.take(Claim(TWO, 1, units(0.5)))
    assert sorted([*(first or ()), *(second or ())]) == list(TWO)
    close(first)
    close(second)


def test_the_first_that_is_free_is_taken(shared: Leases) -> None:
    first = shared.take_first(iter(["port-1", "port-2"]))
    second = shared.take_first(iter(["port-1", "port-2"]))
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == ("port-1", "port-2")
    assert shared.take_first(iter(["port-1", "port-2"])) is None
    os.close(first[1])
    os.close(second[1])


# -- Whose it is -----------------------------------------------------------------------------------


def test_another_process_holds_what_it_took(
    shared: Leases, environment: dict[str, str], holders: list[Holder]
) -> None:
    holders.append(Holder(environment, WHOLE, "gpu-0"))
    assert holders[0].got == "gpu-0"
    assert shared.take(Claim(("gpu-0",), 1, 1)) is None


def test_a_killed_holder_holds_nothing(
    shared: Leases, environment: dict[str, str], holders: list[Holder]
) -> None:
    """Nobody has to clean up: its file is removed by the next who looks."""
    holder = Holder(environment, WHOLE, "gpu-0")
    assert len(files_of(shared)) == 1
    holder.kill()
    assert shared.held() == {}
    assert files_of(shared) == []


def test_a_descriptor_that_was_handed_on_holds_it(shared: Leases) -> None:
    """The lock is the open file's: a child that has it keeps it when we are through."""
    taken = shared.take(Claim(("gpu-0",), 1, WHOLE))
    assert taken is not None
    child = subprocess.Popen(["sleep", "60"], pass_fds=tuple(taken.values()))
    try:
        close(taken)
        assert shared.held() == {"gpu-0": WHOLE}
    finally:
        child.kill()
        child.wait()
    assert shared.held() == {}


def test_what_is_let_go_is_free_though_a_copy_leaked(shared: Leases) -> None:
    """A process that the user's own program forked in a bad moment keeps no GPU for ever."""
    taken = shared.take(Claim(("gpu-0",), 1, WHOLE))
    assert taken is not None
    copy = os.dup(next(iter(taken.values())))
    leases.let_go(tuple(taken.values()))
    assert shared.held() == {}
    os.close(copy)


def test_two_that_try_at_once_never_get_more_than_there_is(environment: dict[str, str]) -> None:
    """Twelve processes want a third of one GPU at the same moment: three get it."""
    Leases(environment)

    several = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(units(1 / 3)), "gpu-0"],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(12)
    ]
    try:
        got = [process.stdout.readline().strip() for process in several if process.stdout]
    finally:
        for process in several:
            process.kill()
            process.communicate()
    assert sorted(got) == ["gpu-0"] * 3 + ["none"] * 9


# -- Turns -----------------------------------------------------------------------------------------


def test_who_waited_longer_goes_first(environment: dict[str, str]) -> None:
    """A search that has had a GPU all the time does not take it again before one that waits."""
    rich, poor = Leases(environment), Leases(environment)
    wanted = Claim(("gpu-0",), 1, WHOLE)
    mine = rich.take(wanted)
    assert poor.take(wanted) is None
    close(mine)
    assert rich.take(wanted) is None  # it is poor's turn
    theirs = poor.take(wanted)
    assert theirs is not None
    assert poor.take(wanted) is None
    close(theirs)
    assert poor.take(wanted) is None  # and now rich's
    mine = rich.take(wanted)
    close(mine)
    poor.stop_waiting()


def test_nobody_yields_where_there_is_room_for_both(environment: dict[str, str]) -> None:
    rich, poor = Leases(environment), Leases(environment)
    wanted = Claim(TWO, 1, WHOLE)
    first, second = rich.take(wanted), rich.take(wanted)
    assert poor.take(wanted) is None
    close(first)
    close(second)
    mine = rich.take(wanted)
    assert mine is not None
    close(poor.take(wanted))
    close(mine)


def test_nobody_yields_to_one_that_what_is_free_does_not_help(environment: dict[str, str]) -> None:
    """Who waits for two keeps no GPU idle while another runs for days on the second."""
    rich, poor = Leases(environment), Leases(environment)
    held = rich.take(Claim(("gpu-0",), 1, WHOLE))
    assert poor.take(Claim(TWO, 2, WHOLE)) is None
    mine = rich.take(Claim(TWO, 1, WHOLE))
    assert list(mine or ()) == ["gpu-1"]
    close(mine)
    close(held)
    poor.stop_waiting()


def test_one_that_stopped_asking_keeps_nobody_waiting(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, or at other things: its place is its own again when it asks again."""
    rich, poor = Leases(environment), Leases(environment)
    wanted = Claim(("gpu-0",), 1, WHOLE)
    mine = rich.take(wanted)
    assert poor.take(wanted) is None
    close(mine)
    monkeypatch.setattr(leases, "_FRESH", 0.0)
    mine = rich.take(wanted)
    assert mine is not None
    monkeypatch.undo()
    close(mine)
    assert poor.take(wanted) is not None or pytest.fail("its turn was lost")


def test_one_that_was_killed_while_waiting_is_forgotten(environment: dict[str, str]) -> None:
    shared = Leases(environment)
    mine = shared.take(Claim(("gpu-0",), 1, WHOLE))
    waiting = Holder(environment, WHOLE, "gpu-0")
    assert waiting.got == "none"
    assert any(name.startswith("waiting") for name in files_of(shared))
    waiting.kill()
    close(mine)
    close(shared.take(Claim(("gpu-0",), 1, WHOLE)))
    assert not any(name.startswith("waiting") for name in files_of(shared))


# -- Other users -----------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_two_users_may_share_by_a_folder_that_both_can_write(mode: int) -> None:
    """Each sees what the other holds; a killed one's file stays where the folder is sticky."""
    place = tempfile.mkdtemp(dir="/tmp")
    os.chmod(place, mode)
    environment = {FOLDER_VARIABLE: place}
    code = f"""
        import fcntl, json, os, sys
        sys.path[:0] = {sys.path!r}
        from modeldir.worker.leases import Claim, Leases
        whole, half = Claim(("gpu-0",), 1, 1), Claim(("gpu-1",), 1, 500000)
        os.setuid(65534)  # who may not read Python's own files here any more
        shared = Leases({environment!r})
        print(shared.held(), shared.take(whole), flush=True)
        taken = shared.take(half)
        print(list(taken), flush=True)
        sys.stdin.read()
    """
    try:
        shared = Leases(environment)
        mine = shared.take(Claim(("gpu-0",), 1, WHOLE))
        other = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout
        told = [other.stdout.readline().strip() for _ in range(2)]
        assert told == ["{'gpu-0': 1000000} None", "['gpu-1']"]
        assert shared.held() == {"gpu-0": WHOLE, "gpu-1": 500_000}
        other.kill()
        other.communicate()
        close(mine)
        assert shared.held() == {}
    finally:
        shutil.rmtree(place)


# -- The folder ------------------------------------------------------------------------------------


def test_the_folder_is_ours_alone(environment: dict[str, str]) -> None:
    mode = os.stat(Leases(environment).folder).st_mode
    assert stat.S_IMODE(mode) == 0o700


def test_by_default_it_depends_on_nothing_but_the_user() -> None:
    """A login, a scheduled job and a container's shell of one user meet in one folder."""
    found = Leases({"XDG_RUNTIME_DIR": "/nowhere", "TMPDIR": "/nowhere", "HOME": "/nowhere"})
    assert found.folder == f"/tmp/modeldir-{os.geteuid()}"


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What would be the default folder, for a user of our own making: none is there yet."""
    user = 4_000_000 + os.getpid()
    monkeypatch.setattr(os, "geteuid", lambda: user)
    path = Path(f"/tmp/modeldir-{user}")
    yield path
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(SearchError) as caught:
        Leases(environment)
    message = str(caught.value)
    assert message.endswith("Nothing was started.")
    assert FOLDER_VARIABLE in message
    return message.splitlines()[0]


def test_a_folder_of_somebody_else_is_refused(default: Path) -> None:
    """Anybody can make a folder in /tmp and wait for us to trust it."""
    default.mkdir(mode=0o777)
    assert refusal({}).endswith(f"it belongs to user {os.stat(default).st_uid}")


def test_a_link_in_the_folders_place_is_refused(default: Path, tmp_path: Path) -> None:
    default.symlink_to(tmp_path)
    assert refusal({}).endswith("it is not a folder")


def test_a_file_in_the_folders_place_is_refused(default: Path) -> None:
    default.write_text("")
    assert "File exists" in refusal({}) or "no folder" in refusal({})


def test_a_folder_that_others_may_enter_is_closed(tmp_path: Path) -> None:
    """It is ours, only its mode is not."""
    path = Path(Leases({}).folder)
    path.chmod(0o777)
    Leases({})
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "runtime").mkdir(mode=0o500)
    assert refusal(environment).endswith("it cannot be written")


def test_a_folder_that_cannot_be_made_is_refused(environment: dict[str, str]) -> None:
    assert refusal({FOLDER_VARIABLE: "/proc/nowhere"}).startswith("/proc/nowhere: ")


def test_a_file_system_without_locks_is_refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lets everybody have the lock would have every GPU shared."""
    monkeypatch.setattr(leases, "_is_held", lambda _: False)
    assert refusal(environment).endswith("file locks do not work there")


def test_a_full_folder_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """No room for the second of two leases: the first is given back."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=3", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no mount for us")
    try:
        shared = Leases({FOLDER_VARIABLE: str(place)})
        with pytest.raises(OSError, match="No space"):
            shared.take(Claim(TWO, 2, WHOLE))
        assert shared.held() == {}
        assert files_of(shared) == []
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_foreign_and_stale_files_count_nothing(shared: Leases) -> None:
    """Also those of a boot before, with a time in what is the future now."""
    folder = Path(shared.folder)
    for name in ("README", "lease", "lease+gpu-0", "lease+gpu-0+x+y", "other+gpu-0+1000000+z"):
        (folder / name).write_text("")
    for name in ("lease+gpu-0+1000000+aa", "waiting++1+bb"):
        (folder / name).write_text("{")
    taken = shared.take(Claim(("gpu-0",), 1, WHOLE))
    assert taken is not None
    assert len(files_of(shared)) == 6  # the foreign ones stay, the stale are gone
    close(taken)


def test_a_ticket_that_makes_no_sense_is_passed_over(shared: Leases) -> None:
    path = Path(shared.folder) / "waiting++1+cc"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    for text in ("", "{", "[]", '{"names": 1, "count": 1, "units": 1}', '{"names": ["gpu-0"]}'):
        path.write_text(text)
        os.utime(path, ns=(time.monotonic_ns(), time.monotonic_ns()))
        close(shared.take(Claim(("gpu-0",), 1, WHOLE)))
    os.close(descriptor)


def test_a_folder_that_was_removed_is_made_again(shared: Leases) -> None:
    shutil.rmtree(shared.folder)
    close(shared.take(Claim(("gpu-0",), 1, WHOLE)))


def test_a_lock_that_was_removed_while_held_lets_nobody_in_twice(
    shared: Leases, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for the removed file looks again, and sees the new one."""
    monkeypatch.setattr(leases, "_PATIENCE", 0.05)
    lock = Path(shared.folder) / "lock"
    with shared._locked() as fine:
        assert fine
        lock.unlink()
        lock.touch()
        with Leases(environment)._locked() as second:
            assert second  # another file: nobody has that
            assert Leases(environment).take(Claim(("gpu-0",), 1, WHOLE)) is None


def test_a_stopped_process_that_has_the_folder_makes_us_wait_and_no_more(
    shared: Leases, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_PATIENCE", 0.05)
    code = """
        import sys
        from modeldir.worker.leases import Leases
        with Leases()._locked():
            print("locked", flush=True)
            sys.stdin.read()
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "locked\n"
    holder.send_signal(signal.SIGSTOP)
    assert shared.take(Claim(("gpu-0",), 1, WHOLE)) is None
    holder.kill()
    holder.communicate(timeout=LIMIT)
    wait_until(lambda: shared.held() == {}, "the folder")
    close(shared.take(Claim(("gpu-0",), 1, WHOLE)))


def test_a_touched_lease_is_young(shared: Leases) -> None:
    """What nobody touches is cleaned from /tmp after some days, held or not."""
    taken = shared.take(Claim(("gpu-0",), 1, WHOLE))
    assert taken is not None
    path = Path(shared.folder, files_of(shared)[0])
    os.utime(path, (1, 1))
    leases.freshen(tuple(taken.values()))
    assert time.time() - path.stat().st_mtime < 60
    close(taken)
