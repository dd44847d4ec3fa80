"""Who works on a search, and requests to stop: through files alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from laboratory import wait_until
from modeldir._system import files, heartbeat
from modeldir.search import worker_registry


def test_a_worker_is_on_the_roster_while_it_works(tmp_path: Path) -> None:
    """It writes itself down, is seen alive, and takes its entry back."""
    assert worker_registry.workers(tmp_path) == []
    membership = worker_registry.register(tmp_path, 3)
    (member,) = worker_registry.workers(tmp_path)
    assert (member.token, member.pid, member.jobs) == (membership.token, os.getpid(), 3)
    assert member.alive is True
    membership.leave()
    membership.leave()
    assert worker_registry.workers(tmp_path) == []


def test_a_killed_worker_is_not_counted(tmp_path: Path) -> None:
    """Its entry stays; its identity says that it is dead. Half an entry is passed over."""
    code = "import pathlib; from modeldir.search import worker_registry as roster; "
    code += f"roster.register(pathlib.Path({str(tmp_path)!r}), 1)"
    subprocess.run([sys.executable, "-c", code], check=True)
    (tmp_path / ".modeldir/workers/half.json").write_text('{"token": "ha')
    assert len(list((tmp_path / ".modeldir/workers").iterdir())) == 2
    assert worker_registry.workers(tmp_path) == []


def test_a_worker_of_another_host_may_be_alive(tmp_path: Path) -> None:
    """What cannot be seen from here is asked too."""
    membership = worker_registry.register(tmp_path, 1)
    path = tmp_path / f".modeldir/workers/{membership.token}.json"
    entry = json.loads(path.read_text())
    entry["process"] |= {"host": "elsewhere", "machine": "m", "boot": "b"}
    files.write_json(path, entry | {"host": "elsewhere"})
    (member,) = worker_registry.workers(tmp_path)
    assert (member.host, member.alive) == ("elsewhere", None)


def far(folder: Path, token: str, **changes: object) -> Path:
    """The entry of a worker, made that of another host."""
    path = folder / f".modeldir/workers/{token}.json"
    entry = json.loads(path.read_text())
    entry["process"] |= {"host": "elsewhere", "machine": "m", "boot": "b"}
    files.write_json(path, entry | {"host": "elsewhere"} | changes)
    return path


def test_a_worker_of_another_host_is_known_by_its_heart(tmp_path: Path) -> None:
    """It lives while that moves, and is dead when it has stood still for long enough."""
    clock = [0.0]
    observer = heartbeat.Observer(lambda: clock[0])
    path = far(tmp_path, worker_registry.register(tmp_path, 1, job="abc_0").token)
    (member,) = worker_registry.workers(tmp_path, observer)
    assert (member.alive, member.job) == (None, "abc_0")
    assert 0 <= (member.heard or 0.0) < 60
    clock[0] += 10
    os.utime(path, ns=(1, 1))
    (member,) = worker_registry.workers(tmp_path, observer)
    assert member.alive is True
    for _ in range(12):
        clock[0] += 10
        found = worker_registry.workers(tmp_path, observer)
    assert found == []


def test_entries_of_dead_workers_do_not_stay_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of another host that is not heard of is taken away by those that beat; of this host
    one is when all of it was told; requests to stop go with those that they were for.
    """
    monkeypatch.setenv(heartbeat.VARIABLE, "0.02")
    ours, dead = worker_registry.register(tmp_path, 1), worker_registry.register(tmp_path, 1)
    worker_registry.ask_to_stop(tmp_path, worker_registry.workers(tmp_path), "wait")
    worker_registry.ask_to_stop(
        tmp_path, [m for m in worker_registry.workers(tmp_path) if m.token == dead.token], "now"
    )
    far(tmp_path, dead.token)
    observer, workers = heartbeat.Observer(), tmp_path / ".modeldir/workers"

    def is_alone() -> bool:
        ours.beat(observer)
        return [path.stem for path in workers.iterdir()] == [ours.token]

    wait_until(is_alone, "the other entry to go")
    code = "import pathlib; from modeldir.search import worker_registry as roster; "
    code += f"roster.register(pathlib.Path({str(tmp_path)!r}), 1)"
    subprocess.run([sys.executable, "-c", code], check=True)
    worker_registry.remove_dead(tmp_path, observer, told=())
    assert len(list(workers.iterdir())) == 2
    worker_registry.remove_dead(tmp_path, observer, told=worker_registry.killed_workers(tmp_path))
    assert [path.stem for path in workers.iterdir()] == [ours.token]
    (request,) = (tmp_path / ".modeldir/stops").iterdir()
    assert ours.token in json.loads(request.read_text())["workers"]
    ours.leave()
    worker_registry.remove_dead(tmp_path, observer, told=())
    assert list((tmp_path / ".modeldir/stops").iterdir()) == []


def test_the_job_of_a_worker_that_is_taken_away_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would tell any more that it had come up, and it would count for ever; one that
    was requeued is another worker's by then.
    """
    monkeypatch.setenv(heartbeat.VARIABLE, "0.02")
    ours = worker_registry.register(tmp_path, 1)
    gone, requeued = (worker_registry.register(tmp_path, 1, job=job) for job in ("abc_0", "abc_1"))
    worker_registry.register(tmp_path, 1, job="abc_1")
    dead = [far(tmp_path, each.token) for each in (gone, requeued)]
    observer = heartbeat.Observer()

    def are_gone() -> bool:
        ours.beat(observer)
        return not any(path.exists() for path in dead)

    wait_until(are_gone, "the entries of the dead to go")
    assert (worker_registry.job_end(tmp_path, "abc_0") or {}).get("why") == "its worker was killed"
    assert worker_registry.job_end(tmp_path, "abc_1") is None
    assert len(list((tmp_path / ".modeldir/workers").iterdir())) == 2


def test_who_was_taken_for_dead_writes_itself_down_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had only been stopped for long."""
    monkeypatch.setenv(heartbeat.VARIABLE, "0.02")
    ours = worker_registry.register(tmp_path, 1)
    (entry,) = (tmp_path / ".modeldir/workers").iterdir()
    before = entry.read_bytes()
    entry.unlink()

    def is_back() -> bool:
        ours.beat(heartbeat.Observer())
        return entry.exists()

    wait_until(is_back, "the entry")
    assert entry.read_bytes() == before


def test_a_request_to_stop_stays_while_a_job_that_it_names_may_come(tmp_path: Path) -> None:
    """It waits in a queue, and may do so for days; and comes again where its node died, or it was
    preempted: it must not work on then as if nobody had asked.
    """
    (tmp_path / ".modeldir/jobs").mkdir(parents=True)
    (tmp_path / ".modeldir/jobs/abc_0.json").write_text("{}")
    worker_registry.ask_to_stop(tmp_path, [], "wait", ["abc_0"])
    observer, stops = heartbeat.Observer(), tmp_path / ".modeldir/stops"
    worker_registry.remove_dead(tmp_path, observer, told=())
    assert len(list(stops.iterdir())) == 1
    job = worker_registry.register(tmp_path, 1, job="abc_0")
    assert (
        job.asked_to_stop(),
        worker_registry.register(tmp_path, 1, job="abc_1").asked_to_stop(),
    ) == (
        "wait",
        None,
    )
    there = {member.job: member.is_leaving for member in worker_registry.workers(tmp_path)}
    assert there == {"abc_0": True, "abc_1": False}
    job.leave()
    worker_registry.end_job(tmp_path, "abc_0", "its worker was killed")
    worker_registry.remove_dead(tmp_path, observer, told=())
    job = worker_registry.register(tmp_path, 1, job="abc_0")
    assert job.asked_to_stop() == "wait"
    assert worker_registry.job_end(tmp_path, "abc_0") is None
    job.leave()
    (tmp_path / ".modeldir/jobs/abc_0.json").unlink()
    worker_registry.remove_dead(tmp_path, observer, told=())
    assert list(stops.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "engine"),
    [
        ({"SLURM_JOB_ID": "7"}, "7"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"}, "7_0"),
        ({"LSB_JOBID": "7", "LSB_JOBINDEX": "0"}, "7"),
        ({"LSB_JOBID": "7", "LSB_JOBINDEX": "2"}, "7.2"),
        ({"PBS_JOBID": "7[2].server"}, "7[2].server"),
        ({"JOB_ID": "7", "SGE_TASK_ID": "undefined"}, "7"),
        ({"JOB_ID": "7", "SGE_TASK_ID": "2"}, "7.2"),
        ({}, None),
    ],
)
def test_a_job_has_the_name_that_its_engine_gave_it(
    tmp_path: Path, environment: dict[str, str], engine: str | None
) -> None:
    """As that one's own commands take it."""
    told = {"token": "abc_0"} | ({"id": engine} if engine else {})
    assert worker_registry.job_facts(tmp_path, "abc_0", environment) == told


def test_nobody_works_on_a_copy(tmp_path: Path) -> None:
    """It was copied while the original ran; a search that was only moved is the same."""
    folder = tmp_path / "search"
    folder.mkdir()
    membership = worker_registry.register(folder, 1)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert worker_registry.workers(copy) == []
    (member,) = worker_registry.workers(folder.rename(tmp_path / "moved"))
    assert member.token == membership.token


def test_a_request_is_for_those_it_names(tmp_path: Path) -> None:
    """Who joins later ignores it; the more urgent of two counts."""
    first, second = worker_registry.register(tmp_path, 1), worker_registry.register(tmp_path, 1)
    assert (first.asked_to_stop(), second.asked_to_stop()) == (None, None)
    members = [m for m in worker_registry.workers(tmp_path) if m.token == first.token]
    worker_registry.ask_to_stop(tmp_path, members, "wait")
    later = worker_registry.register(tmp_path, 1)
    told = [each.asked_to_stop() for each in (first, second, later)]
    assert told == ["wait", None, None]
    worker_registry.ask_to_stop(tmp_path, worker_registry.workers(tmp_path), "now")
    worker_registry.ask_to_stop(tmp_path, worker_registry.workers(tmp_path), "wait")
    assert [each.asked_to_stop() for each in (first, second, later)] == ["now"] * 3


def test_a_request_can_be_read_by_those_it_is_for(tmp_path: Path) -> None:
    """Also where whoever asks keeps his new files to himself."""
    membership = worker_registry.register(tmp_path, 1)
    before = os.umask(0o077)
    try:
        worker_registry.ask_to_stop(tmp_path, worker_registry.workers(tmp_path), "wait")
    finally:
        os.umask(before)
    stops = tmp_path / ".modeldir/stops"
    (request,) = stops.iterdir()
    assert (stops.stat().st_mode & 0o555, request.stat().st_mode & 0o444) == (0o555, 0o444)
    assert membership.asked_to_stop() == "wait"
