"""Who works on a search, and what they are asked: from anywhere that sees the folder.

A worker writes down who it is in `.modeldir/workers/`, and with which options it was started, for
whoever says how to go on, and touches that entry now and then (hearts.py). It looks as often into
`.modeldir/stops/`. A request to stop names the workers and the jobs that it is for, so that whoever
comes later ignores it. A job is one worker that a launcher placed; how its worker ended stands in
`.modeldir/jobs/TOKEN.end.json`. This module knows those files. It refuses to signal anybody: a
worker may run on another host, or as another user.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modeldir._system import files, heartbeat, processes, timestamps
from modeldir._system.shell import quoted_line
from modeldir.experiment import attempts
from modeldir.experiment.attempts import HOME

Urgency = Literal["wait", "now"]
"""`wait`: no new trials, the running ones go on to their end. `now`: they are interrupted."""


_LAST = "last_worker.json"
_MINDED = 10
"""Entries of others at which a worker looks at each beat."""
_KINDS = ("workers", "jobs")
"""What a request to stop may name, by token."""


@dataclass(frozen=True)
class Member:
    """A worker as it wrote itself down. `alive` is None where that cannot be seen from here, and
    its heart was not looked at for long enough; `is_leaving`: it was asked to stop. `job` is the
    token of the job that it is; `heard`: seconds since it was last heard of, to be shown.
    """

    token: str
    host: str
    pid: int
    jobs: int
    started: str
    alive: bool | None
    is_leaving: bool = False
    job: str | None = None
    heard: float | None = None


class Membership:
    """This worker's own entry, from `join` on until `leave`."""

    def __init__(
        self, folder: Path, token: str, job: str | None = None, entry: bytes = b""
    ) -> None:
        self._folder, self.token, self.job = folder, token, job
        self._stops = folder / HOME / "stops"
        self._path = folder / HOME / "workers" / f"{token}.json"
        self._entry = entry
        self._heart = heartbeat.Heart(self._path)
        self._seen: tuple[int, int] | None = None
        self._urgency: Urgency | None = None
        self.asked_by = ""
        """Who asked it to stop: user@host."""

    def asked_to_stop(self) -> Urgency | None:
        """What was asked of this worker, the most urgent of it. While nothing is: one `stat`."""
        state = _state(self._stops)
        if state is not None and state != self._seen:
            self._seen = state
            for request in _objects(self._stops):
                named = {token for kind in _KINDS for token in _named(request, kind)}
                if not named.isdisjoint((self.token, self.job)) and self._urgency != "now":
                    self._urgency = "now" if request.get("now") else "wait"
                    self.asked_by = _who(request.get("by"))
        return self._urgency

    def write(self) -> None:
        """Write the entry. On a full disk nobody can ask this worker to stop; it works."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.publish(self._path, self._entry)

    def beat(self, observer: heartbeat.Observer) -> None:
        """Say that this worker lives, if it is time to, and take away entries of others that do
        not: each worker minds the few after it, so that many do not all look at all. Who was
        stopped for so long that others took its own away writes it again.
        """
        if self._heart.wait() > 0:
            return
        if not self._heart.beat() and not self._path.exists():
            self.write()
        if [path for path in self._next_ones() if _is_dead(path, observer)]:  # all were looked at
            tidy(self._folder, observer, ())

    def _next_ones(self) -> list[Path]:
        try:
            names = sorted(os.listdir(self._path.parent))
        except OSError:
            return []
        after = [name for name in names if name > self._path.name]
        others = [*after, *(name for name in names if name < self._path.name)]
        return [self._path.with_name(name) for name in others[:_MINDED]]

    def leave(self) -> None:
        """Take the entry back."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)


def join(
    folder: Path, jobs: int, options: Sequence[str] = (), *, job: str | None = None
) -> Membership:
    """Write down that this process works on a search. `options` are those of its command line that
    say where trials run: `-j 2`; `job` is the token of the job that it is.
    """
    token = os.urandom(8).hex()
    me = processes.process()
    entry = {
        "token": token,
        "process": me.to_json() if me else None,
        "host": processes.host(),
        "pid": os.getpid(),
        "jobs": jobs,
        "folder": attempts.identity_of(folder),
        "started": timestamps.utc_now(),
        heartbeat.KEY: heartbeat.every(),
        **({} if job is None else {"job": job}),
    }
    membership = Membership(folder, token, job, json.dumps(entry).encode())
    membership.write()
    if job is None:  # else who placed it has said how
        with contextlib.suppress(OSError):
            remember(folder, options)
    if job is not None:
        with contextlib.suppress(OSError):  # it comes again under its token, when it is requeued
            os.unlink(_end_file(folder, job))
    return membership


def remember(folder: Path, options: Sequence[str]) -> None:
    """Write down with which options of its command line a search goes on, for `again`.

    Raises:
        OSError: when it cannot be written.
    """
    files.write_json(folder / HOME / _LAST, {"options": [*options]})


def again(folder: Path) -> str:
    """The line to type that goes on with a search, as its last worker was started, or placed."""
    return quoted_line(["modeldir", "search", str(folder), *(options_of(folder) or [])])


def options_of(folder: Path) -> list[str] | None:
    """With which options of its command line a search's last worker was started, or placed; None
    where nobody ever worked.
    """
    options = files.read_object(folder / HOME / _LAST).get("options")
    return [*map(str, options)] if isinstance(options, list) else None


def members(folder: Path, observer: heartbeat.Observer | None = None) -> list[Member]:
    """The workers that wrote themselves down and may be alive, oldest first. In a copy of a search
    that runs nobody works: its entries speak of the original. `observer` looks at the hearts of
    those on other hosts.
    """
    found = []
    inode = attempts.identity_of(folder).get("inode")
    stops = [*_objects(folder / HOME / "stops")]
    asked = {token for request in stops for kind in _KINDS for token in _named(request, kind)}
    for path, entry in _files(folder / HOME / "workers"):
        member = _member(path, entry, asked, observer)
        place = entry.get("folder")
        is_copy = isinstance(place, dict) and place.get("inode") != inode
        if member is not None and member.alive is not False and not is_copy:
            found.append(member)
    return sorted(found, key=lambda member: member.started)


def killed(folder: Path) -> set[processes.Process]:
    """The workers of this machine that are dead and did not leave: nothing was told since."""
    entries = _objects(folder / HOME / "workers")
    known = filter(None, (processes.from_json(entry.get("process")) for entry in entries))
    return {worker for worker in known if processes.alive(worker) is False}


def tidy(folder: Path, observer: heartbeat.Observer, told: Collection[processes.Process]) -> None:
    """Take away the entries of dead workers: of this machine those of which all was `told`, of
    others those whose hearts stand still. And the requests to stop that are for nobody any more.
    """
    left, jobs_left, jobs_gone = set(), set(), set()
    for path, entry in _files(folder / HOME / "workers"):
        if processes.from_json(entry.get("process")) in told or _is_dead(path, observer):
            with contextlib.suppress(OSError):
                os.unlink(path)
            jobs_gone.add(entry.get("job"))
        else:
            left.add(entry.get("token"))
            jobs_left.add(entry.get("job"))
    for job in filter(None, jobs_gone - jobs_left):  # one that was requeued is another's by now
        if job_end(folder, job) is None:
            end_job(folder, job, "its worker was killed")
    for path, request in _files(folder / HOME / "stops"):
        workers, jobs = _named(request, "workers"), _named(request, "jobs")
        if left.isdisjoint(workers) and not any(_may_come(folder, job) for job in jobs):
            with contextlib.suppress(OSError):
                os.unlink(path)


def _is_dead(path: Path, observer: heartbeat.Observer) -> bool:
    """Whether an entry is that of a worker of another host whose heart stands still."""
    known = processes.from_json(files.read_object(path).get("process"))
    return known is not None and processes.alive(known) is None and observer.look(path) is False


def _may_come(folder: Path, job: str) -> bool:
    """Whether a worker may come up, or again, under a job's token. That one has left, or was
    killed, says nothing: job managers start again what lost its node, or was preempted.
    """
    return (folder / HOME / "jobs" / f"{job}.json").exists()


def ask_to_stop(
    folder: Path, asked: Sequence[Member], urgency: Urgency, jobs: Collection[str] = ()
) -> None:
    """Ask these workers to stop, and those that come up as these jobs not to begin.

    Raises:
        OSError: when the request cannot be written.
    """
    request = {
        "workers": [member.token for member in asked],
        "jobs": sorted(jobs),
        "now": urgency == "now",
        "by": {"user": _user(), "host": processes.host(), "pid": os.getpid()},
        "time": timestamps.utc_now(),
        "token": os.urandom(8).hex(),
    }
    stops = folder / HOME / "stops"
    stops.mkdir(parents=True, exist_ok=True)
    path = stops / f"{request['token']}.json"
    files.publish(path, json.dumps(request).encode())
    for each, readable in ((stops, 0o555), (path, 0o444)):  # by those who are asked, other users
        with contextlib.suppress(OSError):
            os.chmod(each, stat.S_IMODE(os.stat(each).st_mode) | readable)
    with contextlib.suppress(OSError):
        os.utime(stops)  # one that looked in between could not read it yet: let it look again


# -- Jobs ------------------------------------------------------------------------------------------

_ENGINES = (
    ("SLURM_ARRAY_JOB_ID", "_", "SLURM_ARRAY_TASK_ID"),
    ("SLURM_JOB_ID", "", ""),
    ("LSB_JOBID", ".", "LSB_JOBINDEX"),
    ("PBS_JOBID", "", ""),
    ("JOB_ID", ".", "SGE_TASK_ID"),
)
"""The variables by which job managers tell a job its own name there; the more special first."""
_NO_TASK = ("", "0", "undefined")
"""What LSF and GridEngine write for the number of a task where there are none."""


def job_facts(folder: Path, token: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a run file says of the job in which its trial ran: whose it is, and its name there."""
    launcher = files.read_object(folder / HOME / "jobs" / f"{token}.json").get("launcher")
    engine = _engine_id(environment)
    told = {"launcher": launcher, "token": token, "id": engine}
    return {key: str(value) for key, value in told.items() if value}


def _engine_id(environment: Mapping[str, str]) -> str | None:
    for name, between, task in _ENGINES:
        if name in environment:
            number = environment.get(task, "")
            is_slurm = name.startswith("SLURM")  # whose first task is 0
            has_task = number != "" if is_slurm else number not in _NO_TASK
            if is_slurm and task and not has_task:
                continue
            return environment[name] + (f"{between}{number}" if has_task else "")
    return None


def end_job(folder: Path, token: str, why: str) -> None:
    """Write down that a job's worker has left, and why."""
    with contextlib.suppress(OSError):
        path = _end_file(folder, token)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, {"ended": timestamps.utc_now(), "why": why})


def job_end(folder: Path, token: str) -> dict[str, Any] | None:
    """How a job's worker has left: `ended`, `why`; None while it has not, or was killed."""
    return files.read_object(_end_file(folder, token)) or None


def job_left_at(folder: Path, token: str) -> float | None:
    """When a job's worker has left, as the file system has it; None while it has not."""
    with contextlib.suppress(OSError):
        return os.stat(_end_file(folder, token)).st_mtime
    return None


def jobs_of_the_dead(folder: Path) -> set[str]:
    """The tokens of jobs whose worker came up, and died without leaving."""
    found = set()
    for path, entry in _files(folder / HOME / "workers"):
        member = _member(path, entry, (), None)
        if member is not None and member.job is not None and member.alive is False:
            found.add(member.job)
    return found


def jobs_asked_to_stop(folder: Path) -> set[str]:
    """The tokens of jobs whose worker was asked to stop, come up or not."""
    requests = _objects(folder / HOME / "stops")
    return {token for request in requests for token in _named(request, "jobs")}


def _end_file(folder: Path, token: str) -> Path:
    return folder / HOME / "jobs" / f"{token}.end.json"


# -- Reading ---------------------------------------------------------------------------------------


def _user() -> str | None:
    from getpass import getuser  # noqa: PLC0415 - only who asks somebody

    with contextlib.suppress(Exception):  # a container's number without a name: KeyError, OSError
        return getuser()
    return None


def _who(by: object) -> str:
    told = by if isinstance(by, dict) else {}
    return "@".join(str(told[key]) for key in ("user", "host") if told.get(key))


def _member(
    path: Path,
    entry: dict[str, Any],
    asked: Collection[str],
    observer: heartbeat.Observer | None,
) -> Member | None:
    try:
        known = processes.from_json(entry.get("process"))
        alive = None if known is None else processes.alive(known)
        if alive is None and observer is not None:
            alive = observer.look(path)
        return Member(
            token=str(entry["token"]),
            host=str(entry["host"]),
            pid=int(entry["pid"]),
            jobs=int(entry["jobs"]),
            started=str(entry["started"]),
            alive=alive,
            is_leaving=entry["token"] in asked or entry.get("job") in asked,
            job=entry.get("job"),
            heard=heartbeat.silence(path) if heartbeat.recorded(entry) is not None else None,
        )
    except (KeyError, TypeError, ValueError):
        return None  # half an entry, from a disk that was full


def _named(request: Mapping[str, Any], kind: str) -> list[str]:
    """The workers, or the jobs, that a request to stop is for."""
    told = request.get(kind)
    return [*map(str, told)] if isinstance(told, list) else []


def _objects(folder: Path) -> Iterator[dict[str, Any]]:
    return (value for _, value in _files(folder))


def _files(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if name.endswith(".json") and not files.is_temporary(name):
            yield folder / name, files.read_object(folder / name)


def _state(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino)
