"""Slots: what one trial gets, and independent searches that share what there is."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, kill, supervisor_of
from modeldir._system import cpus, processes
from modeldir.errors import SearchError
from modeldir.worker import slots
from modeldir.worker.leases import FOLDER_VARIABLE, Leases
from modeldir.worker.slots import Seat, Slots

TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb)
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with two GPUs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "list").write_text(TWO)
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ncat "{folder}/list"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{folder}{os.pathsep}{os.defpath}",
        FOLDER_VARIABLE: str(tmp_path / "runtime"),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without GPUs, where nothing can be leased."""
    return {"PATH": str(tmp_path), FOLDER_VARIABLE: "/proc/nowhere"}


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, whatever there is here."""
    monkeypatch.setattr(cpus, "usable", lambda: 8)


@contextlib.contextmanager
def seats(place: Slots, count: int = 99) -> Iterator[list[Seat]]:
    """As many seats as there are, at most `count`."""
    found: list[Seat] = []
    try:
        while len(found) < count and (seat := place.take()) is not None:
            found.append(seat)
        yield found
    finally:
        for seat in found:
            seat.release()


def gpus_of(found: list[Seat]) -> list[str]:
    return sorted(seat.variables["CUDA_VISIBLE_DEVICES"] for seat in found)


# -- Nothing said ----------------------------------------------------------------------------------


def test_one_slot_gets_what_it_would_have_without_modeldir(machine: dict[str, str]) -> None:
    """Not even nvidia-smi is asked; a script that uses all GPUs uses all GPUs."""
    place = Slots(1, environment={**machine, FOLDER_VARIABLE: "/proc/nowhere"})
    with seats(place, 1) as (seat,):
        assert (seat.variables, seat.facts, seat.leases) == ({}, {}, ())
    assert (place.count, place.notes) == (1, ())


def test_without_gpus_nothing_is_leased(bare: dict[str, str]) -> None:
    """A machine whose folder for leases is broken searches as ever."""
    place = Slots(3, environment=bare)
    with seats(place, 5) as found:
        assert [seat.leases for seat in found] == [()] * 5
        assert found[0].variables == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert place.count == 3


def test_the_users_wait_policy_stays(bare: dict[str, str]) -> None:
    with seats(Slots(3, environment={**bare, "OMP_WAIT_POLICY": "ACTIVE"}), 1) as (seat,):
        assert seat.variables == {}


# -- GPUs ------------------------------------------------------------------------------------------


def test_each_of_several_slots_gets_a_gpu(machine: dict[str, str]) -> None:
    place = Slots(2, environment=machine)
    with seats(place) as found:
        assert gpus_of(found) == ["0", "1"]
        assert sorted(seat.facts["gpus"] for seat in found) == [["0"], ["1"]]
        told = "waiting for a GPU of 2: 0, 1 in use; --gpus-per-trial 0 goes without"
        assert place.why == told
    assert Leases(machine).held() == {}


def test_more_slots_than_gpus_share_them(machine: dict[str, str]) -> None:
    place = Slots(5, environment=machine)
    with seats(place, 5) as found:
        assert gpus_of(found) == ["0", "0", "0", "1", "1"]
        assert {seat.facts["gpu_share"] for seat in found} == {1 / 3}


@pytest.mark.parametrize(
    ("jobs", "share", "count", "taken"),
    [
        ("auto", None, 2, ["0", "1"]),
        ("auto", 0.25, 8, ["0"] * 4 + ["1"] * 4),
        ("auto", 0.4, 4, ["0", "0", "1", "1"]),
        ("auto", 2, 1, ["0,1"]),
        (1, 1, 1, ["0", "1"]),
        (9, 1, 2, ["0", "1"]),
        (3, 0.5, 3, ["0", "0", "1", "1"]),
    ],
)
def test_gpus_per_trial_says_how_many_share(
    machine: dict[str, str],
    jobs: int | slots.Auto,
    share: float | None,
    count: int,
    taken: list[str],
) -> None:
    place = Slots(jobs, share, environment=machine)
    with seats(place) as found:
        assert (place.count, gpus_of(found)) == (count, taken)


def test_the_variable_of_the_user_bounds_it(machine: dict[str, str]) -> None:
    place = Slots("auto", 1, environment={**machine, "CUDA_VISIBLE_DEVICES": "1"})
    with seats(place) as found:
        assert gpus_of(found) == ["1"]


def test_none_can_be_said_too(machine: dict[str, str], eight: None) -> None:
    """The trials see none, wait for none, and are as many as the cores."""
    place = Slots("auto", 0, environment={**machine, FOLDER_VARIABLE: "/proc/nowhere"})
    with seats(place, 1) as (seat,):
        assert seat.variables["CUDA_VISIBLE_DEVICES"] == ""
        assert seat.leases == ()
    assert place.count == 8


def test_two_searches_share(machine: dict[str, str]) -> None:
    """Of different sizes, and one knows the GPU by its number and one by its identifier."""
    quarters = Slots(2, 0.25, environment={**machine, "CUDA_VISIBLE_DEVICES": "GPU-aaaa"})
    wholes = Slots(2, 1, environment=machine)
    with seats(quarters, 2) as found:
        with seats(wholes) as others:
            assert gpus_of(others) == ["1"]
        assert gpus_of(found) == ["GPU-aaaa"] * 2
    wholes.close()
    quarters.close()


def test_two_jobs_of_one_machine_do_not_wait_for_each_others_gpus(tmp_path: Path) -> None:
    """Each was given one, and calls it number 0: it is another one. Their places go with them."""
    runtime = tmp_path / "runtime"
    given = {"PATH": str(tmp_path), FOLDER_VARIABLE: str(runtime), "CUDA_VISIBLE_DEVICES": "0"}
    first, second = (Slots(1, 1.0, environment=given, own=token) for token in ("a_0", "a_1"))
    with seats(first) as one, seats(second) as two:
        assert [seat.variables["CUDA_VISIBLE_DEVICES"] for seat in (*one, *two)] == ["0", "0"]
        assert len(os.listdir(runtime)) == 2
    for each in (first, second):
        each.close()
    assert os.listdir(runtime) == []


def test_trials_of_one_job_share_its_gpus(tmp_path: Path) -> None:
    """As they would without a job: no more than there is."""
    runtime = tmp_path / "runtime"
    given = {"PATH": str(tmp_path), FOLDER_VARIABLE: str(runtime), "CUDA_VISIBLE_DEVICES": "2,3"}
    place = Slots(8, 0.5, environment=given, own="a_0")
    with seats(place) as found:
        told = sorted(seat.variables["CUDA_VISIBLE_DEVICES"] for seat in found)
    assert told == ["2", "2", "3", "3"]
    place.close()


def test_a_job_that_was_given_none_shares_the_machines(machine: dict[str, str]) -> None:
    """Where nobody says whose GPUs are whose, all who run there take turns."""
    with seats(Slots(2, 1.0, environment=machine, own="a_0")) as one:
        assert len(one) == 2
        with seats(Slots(2, 1.0, environment=machine, own="a_1")) as two:
            assert two == []


def test_the_place_of_a_job_that_was_killed_is_taken_away_later(tmp_path: Path) -> None:
    """By a later job, once nothing there is held."""
    runtime = tmp_path / "runtime"
    given = {"PATH": str(tmp_path), FOLDER_VARIABLE: str(runtime), "CUDA_VISIBLE_DEVICES": "0"}
    first = Slots(1, 1.0, environment=given, own="a_0")
    (old,) = runtime.iterdir()
    os.utime(old, (0, 0))
    with seats(first, 1) as one:
        assert len(one) == 1
        os.utime(old, (0, 0))
        Slots(1, 1.0, environment=given, own="a_1").close()
        assert old.exists()
    os.utime(old, (0, 0))
    Slots(1, 1.0, environment=given, own="a_1").close()
    assert not old.exists()


def test_a_seat_may_be_released_twice(machine: dict[str, str]) -> None:
    seat = Slots(1, 1, environment=machine).take()
    assert seat is not None
    with seat:
        assert len(seat.leases) == 1
        seat.release()
    assert Leases(machine).held() == {}


def test_a_folder_that_cannot_be_written_makes_it_wait(machine: dict[str, str]) -> None:
    """The disk may have room again; until then the user is told."""
    place = Slots(1, 1, environment=machine)
    lock = Path(machine[FOLDER_VARIABLE], "lock")
    lock.unlink()
    lock.symlink_to("/nowhere")  # as root may write everywhere, this stands for a full disk
    assert place.take() is None
    assert place.why.startswith("waiting: leases cannot be written (")
    lock.unlink()
    with seats(place) as found:
        assert len(found) == 2
        assert place.why == "waiting for a GPU of 2: 0, 1 in use"


def test_a_folder_that_is_no_longer_ours_is_an_error(machine: dict[str, str]) -> None:
    """Removed under a running search, and something else put in its place."""
    place = Slots(1, 1, environment=machine)
    runtime = Path(machine[FOLDER_VARIABLE])
    (runtime / "lock").unlink()
    runtime.rmdir()
    runtime.write_text("")
    with pytest.raises(SearchError, match="cannot be kept here"):
        place.take()


# -- Too much --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "share", "threads"),
    [
        (0, None, None),
        (1, 3, None),
        (1, 1.5, None),
        (1, -1, None),
        (1, float("nan"), None),
        (1, 1e-9, None),
        (1, None, 0),
    ],
)
def test_what_cannot_be_is_an_error_before_anything_is_started(
    machine: dict[str, str],
    snapshot: SnapshotAssertion,
    jobs: int,
    share: float | None,
    threads: int | None,
) -> None:
    with pytest.raises(SearchError) as caught:
        Slots(jobs, share, threads, environment=machine)
    assert str(caught.value) == snapshot


@pytest.mark.parametrize("variables", [{}, {"CUDA_VISIBLE_DEVICES": ""}])
def test_gpus_that_are_not_there_are_an_error(
    bare: dict[str, str], variables: dict[str, str], snapshot: SnapshotAssertion
) -> None:
    with pytest.raises(SearchError) as caught:
        Slots(1, 0.5, environment={**bare, **variables})
    assert str(caught.value) == snapshot


def test_leases_that_cannot_be_kept_are_an_error(machine: dict[str, str]) -> None:
    with pytest.raises(SearchError, match="cannot be kept here"):
        Slots(2, 1, environment={**machine, FOLDER_VARIABLE: "/proc/nowhere"})


def test_what_was_made_of_the_users_words_is_said(
    machine: dict[str, str], bare: dict[str, str], eight: None, snapshot: SnapshotAssertion
) -> None:
    words: list[tuple[int | slots.Auto, float | None]] = [
        (2, None), (5, None), (9, 1), (2, 1), ("auto", 0.25), ("auto", 2),
    ]  # fmt: skip
    said = [Slots(jobs, share, environment=machine).notes for jobs, share in words]
    assert [*said, Slots("auto", environment=bare).notes] == snapshot


def test_that_an_nvidia_smi_lists_none_is_said(machine: dict[str, str]) -> None:
    """Where trials would have got GPUs of their own: they may see all there are."""
    program = Path(machine["PATH"].split(os.pathsep)[0]) / "nvidia-smi"
    program.write_text("#!/bin/sh\necho no driver; exit 9\n")
    program.chmod(0o755)
    note = "no GPUs are handed out: nvidia-smi -L says: no driver"
    assert Slots(2, environment=machine).notes == (note,)
    assert Slots("auto", environment=machine).notes[0] == note
    assert Slots(2, 0, environment=machine).notes == Slots(1, environment=machine).notes == ()


# -- Threads ---------------------------------------------------------------------------------------


def test_threads_are_said_to_every_library_and_recorded(bare: dict[str, str]) -> None:
    with seats(Slots(1, threads=3, environment=bare), 1) as (seat,):
        assert set(seat.variables.values()) == {"3"}
        assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= set(seat.variables)
        assert seat.facts == {"threads": 3}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((3, "auto"), (3, 2)),
        (("auto", 3), (2, 3)),
        (("auto", "auto"), (8, 1)),
        ((99, "auto"), (99, 1)),
    ],
)
def test_cores_are_divided(
    bare: dict[str, str],
    eight: None,
    given: tuple[int | slots.Auto, int | slots.Auto],
    made: tuple[int, int],
) -> None:
    place = Slots(given[0], threads=given[1], environment=bare)
    assert (place.count, place.threads) == made


def test_that_divided_cores_may_change_bits_is_said(
    bare: dict[str, str], eight: None, snapshot: SnapshotAssertion
) -> None:
    assert Slots(3, threads="auto", environment=bare).notes == snapshot
    assert Slots(3, threads=2, environment=bare).notes == ()


# -- Ports -----------------------------------------------------------------------------------------


def test_a_trial_of_several_processes_gets_a_port_of_its_own(machine: dict[str, str]) -> None:
    place = Slots(1, 2, environment=machine)
    with seats(place) as (seat,):
        port = int(seat.variables["MASTER_PORT"])
        assert seat.variables["PET_MASTER_PORT"] == str(port)  # torchrun's
        assert seat.variables["MASTER_ADDR"] == "127.0.0.1"
        assert len(seat.leases) == 3
        assert f"port-{port}" in Leases(machine).held()


@pytest.mark.parametrize(
    "command", [("torchrun", "train.py"), ("python", "-m", "torch.distributed.run", "train.py"),
                ("/opt/bin/torchrun", "--nproc-per-node", "2", "train.py")],
)  # fmt: skip
def test_torchrun_gets_a_port_without_gpus(
    machine: dict[str, str], command: tuple[str, ...]
) -> None:
    environment = {**machine, "CUDA_VISIBLE_DEVICES": ""}
    place = Slots(20, environment=environment)
    found = [place.take(command) for _ in range(20)]
    ports = {seat.variables["MASTER_PORT"] for seat in found if seat}
    assert len(ports) == 20
    for seat in found:
        assert seat is not None
        seat.release()
    assert Leases(machine).held() == {}
    plain = place.take(("python", "train.py"))
    assert plain is not None
    assert "MASTER_PORT" not in plain.variables


def test_a_port_that_somebody_listens_on_is_not_given(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as one, socket.socket() as other:
        for found in (one, other):
            found.bind(("127.0.0.1", 0))
            found.listen()
        ports = [one.getsockname()[1], other.getsockname()[1]]
        monkeypatch.setattr(slots, "_PORTS", range(min(ports), min(ports) + 1))
        place = Slots(1, 2, environment=machine)
        assert place.take() is None
        assert "no port is free" in place.why
        assert Leases(machine).held() == {}  # and the GPUs were given back


def test_the_users_own_port_stays_where_one_trial_runs(machine: dict[str, str]) -> None:
    place = Slots(1, 2, environment={**machine, "MASTER_PORT": "1234"})
    with seats(place) as (seat,):
        assert "MASTER_PORT" not in seat.variables


# -- Independent searches --------------------------------------------------------------------------

SEARCH = """
import os, select, sys, time
from modeldir.worker.slots import ASK_AGAIN, Slots
from modeldir.worker.spawner import Spawner
from modeldir.worker.start_order import Start

root, jobs, share, total = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
trial = [sys.executable, "-S", "-E", os.path.join(os.path.dirname(root), "trial.py"), str(share)]
running, number = set(), 0
with Spawner() as spawner:
    place = Slots(jobs, share)
    open(root + ".asks", "w").close()
    while True:
        while len(running) < place.count and number < total:
            seat = place.take()
            if seat is None:
                break
            with seat:
                while True:  # those that a killed worker has begun are not begun again
                    folder = os.path.join(root, str(number))
                    number += 1
                    try:
                        os.mkdir(folder)
                    except FileExistsError:
                        continue
                    break
                start = Start(folder, 1, tuple(trial), root, variables=seat.variables)
                running.add(spawner.start(start, seat.leases))
        if not running and number >= total:
            break
        select.select([spawner.reports], [], [], ASK_AGAIN)
        for report in spawner.read():
            if report.what in ("ended", "gone", "taken"):
                running.discard(report.pid)
"""
"""A worker that knows only slots and supervisors; begun again it makes the trials that are left."""

TRIAL = """
import fcntl, os, sys, time

quarters = int(float(sys.argv[1]) * 4)
seen = os.environ["CUDA_VISIBLE_DEVICES"]
os.close(os.open(os.devnull, os.O_RDONLY))
got = []
for number in range(4):  # four quarters a GPU: held by this very process, freed by the kernel
    file = os.open(f"../gpu.{seen}.{number}", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        continue
    got.append(number)
    if len(got) == quarters:
        break
with open("../trials.log", "a") as log:
    log.write(f"{seen} {'fine' if len(got) == quarters else 'OVERLAP'} {os.getcwd()}\\n")
time.sleep(0.05)
"""


class Search:
    """One of several independent searches, each with a worker of its own."""

    def __init__(self, root: Path, machine: dict[str, str], *words: str) -> None:
        self.root, self.words = root, words
        root.mkdir()
        self.environment = {**os.environ, **machine}
        self.begin()

    def begin(self) -> None:
        self.worker = subprocess.Popen(
            [sys.executable, "-c", SEARCH, str(self.root), *self.words], env=self.environment
        )

    @property
    def is_over(self) -> bool:
        if self.worker.poll() not in (None, 0):
            self.begin()  # it was killed, or its spawner was: somebody says the same again
        return self.worker.returncode == 0

    def supervisors(self) -> list[int]:
        found = []
        for folder in self.root.iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AssertionError):
                record = (folder / "run.json").read_text()
                if '"status"' not in record:
                    found.append(supervisor_of(folder))
        return found


def lines(tmp_path: Path) -> list[list[str]]:
    log = tmp_path / "trials.log"
    return [line.split(" ", 2) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.skipif(not processes.LINUX, reason="kills by what /proc tells")
@pytest.mark.parametrize("shares", [("1", "1"), ("0.5", "0.25"), ("1", "0.25")])
def test_independent_searches_never_share_more_than_there_is(
    machine: dict[str, str], tmp_path: Path, shares: tuple[str, str]
) -> None:
    """While workers and supervisors are killed at random. Each trial holds a file for each quarter
    of its GPU and says so when somebody else has it.
    """
    chance = random.Random(230)
    (tmp_path / "trial.py").write_text(textwrap.dedent(TRIAL))
    searches = [
        Search(tmp_path / f"search-{number}", machine, "4", share, "30")
        for number, share in enumerate(shares)
    ]
    deadline = time.monotonic() + 3 * LIMIT
    kills = 0
    while False in [search.is_over for search in searches]:  # each is asked, and begun again
        assert time.monotonic() < deadline, f"{len(lines(tmp_path))} trials, {kills} kills"
        time.sleep(chance.uniform(0.05, 0.2))
        search = chance.choice(searches)
        found = search.supervisors()
        if kills < 30:
            with contextlib.suppress(ProcessLookupError):
                if chance.random() < 0.3 or not found:
                    search.worker.kill()
                    search.worker.wait()
                else:
                    kill(chance.choice(found))
                kills += 1
    found_lines = lines(tmp_path)
    assert [line for line in found_lines if line[1] != "fine"] == []
    assert {line[0] for line in found_lines} == {"0", "1"}
    assert {Path(line[2]).name for line in found_lines} == {"search-0", "search-1"}
    assert len(found_lines) > 30
    assert kills > 5
    shared = Leases(machine)
    deadline = time.monotonic() + LIMIT
    while shared.held():  # the last trials of killed workers
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [name for name in os.listdir(shared.folder) if name != "lock"] == []


def test_a_search_that_comes_later_gets_its_turn(machine: dict[str, str], tmp_path: Path) -> None:
    """The first has enough trials to keep both GPUs for ever; the second gets every other place,
    though it asks seldom and the first at the very moment when one is free.
    """
    (tmp_path / "trial.py").write_text(textwrap.dedent(TRIAL))
    first = Search(tmp_path / "search-0", machine, "2", "1", "100000")
    try:
        deadline = time.monotonic() + LIMIT
        while len(lines(tmp_path)) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second = Search(tmp_path / "search-1", machine, "2", "1", "6")
        while not (tmp_path / "search-1.asks").exists():
            time.sleep(0.001)
        before = len(lines(tmp_path))
        assert second.worker.wait(LIMIT) == 0
    finally:
        first.worker.kill()
        first.worker.wait()
    found = lines(tmp_path)
    assert all(line[1] == "fine" for line in found)
    whose = [Path(line[2]).name for line in found]
    last = len(whose) - whose[::-1].index("search-1")
    meanwhile = whose[before:last].count("search-0")
    assert meanwhile < 40, "the second got a place only when the first happened to look away"
