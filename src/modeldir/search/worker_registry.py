"""The registry of a search's workers, and the requests that they stop, as files.

A worker registers itself (`register`) in `.modeldir/workers/`, with the options it was started
with, and renews its heartbeat there (`Registration.beat`). It looks as often into
`.modeldir/stops/`. A request to stop names the workers and the jobs that it is for, so that workers
started later ignore it. A job is one worker that a launcher started; how its worker ended stands in
`.modeldir/jobs/TOKEN.end.json`. No signal is sent here: a worker may run on another host, or as
another user. The jobs themselves: `modeldir.launchers.launched_jobs`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modeldir._system import files, heartbeat, processes, reading, recorded_numbers, timestamps
from modeldir._system.shell import quoted_line
from modeldir.experiment import attempts
from modeldir.experiment.attempts import HOME

Urgency = Literal["wait", "now"]
"""`wait`: no new trials, the running ones continue to their end. `now`: they are interrupted."""


JOB = re.compile(r"[\w-][\w.-]{0,199}")
"""The form of a job's token, which is a part of files' names."""
_LAST = "last_worker.json"
_MINDED = 10
"""The number of other workers' entries that a worker looks at with each heartbeat."""
_KINDS = ("workers", "jobs")
"""The keys of a request to stop that hold tokens."""


@dataclass(frozen=True)
class RegisteredWorker:
    """A worker as it registered itself.

    `alive` is None where that cannot be seen from here and its heartbeat was not watched for long
    enough. `is_leaving`: it was asked to stop. `job` is the token of its job. `heard` is how many
    seconds ago it was last heard of, to be shown.
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


class Registration:
    """This worker's own entry, from `register` until `leave`."""

    def __init__(
        self, folder: Path, token: str, job: str | None = None, entry: bytes = b""
    ) -> None:
        self._folder, self.token, self.job = folder, token, job
        self._stops = folder / HOME / "stops"
        self._path = folder / HOME / "workers" / f"{token}.json"
        self._entry = entry
        self._heartbeat = heartbeat.Heartbeat(self._path)
        self._seen: tuple[int, int] | None = None
        self._urgency: Urgency | None = None
        self.asked_by = ""
        """The user who asked it to stop: user@host."""

    def asked_to_stop(self) -> Urgency | None:
        """Return the most urgent request to this worker. While there is none: one `stat`."""
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
        """Write the entry. On a full disk nobody can ask this worker to stop, but it works."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.publish(self._path, self._entry)

    def beat(self, observer: heartbeat.Observer) -> None:
        """Renew the heartbeat, if it is time to, and remove the entries of dead workers.

        Each worker looks at the few entries after its own, so that many workers do not all look at
        all. A worker that was suspended for so long that others removed its entry writes it again.
        """
        if self._heartbeat.wait() > 0:
            return
        if not self._heartbeat.beat() and not self._path.exists():
            self.write()
        if [path for path in self._next_ones() if _is_dead(path, observer)]:  # all were looked at
            remove_dead(self._folder, observer, ())

    def _next_ones(self) -> list[Path]:
        """Return the entries after this one, around the end of the list."""
        try:
            names = sorted(os.listdir(self._path.parent))
        except OSError:
            return []
        after = [name for name in names if name > self._path.name]
        others = [*after, *(name for name in names if name < self._path.name)]
        return [self._path.with_name(name) for name in others[:_MINDED]]

    def leave(self) -> None:
        """Remove the entry."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)


def register(
    folder: Path, jobs: int, options: Sequence[str] = (), *, job: str | None = None
) -> Registration:
    """Register this process as a worker of a search.

    Args:
        folder: the search's folder.
        jobs: how many trials it runs at a time.
        options: the options of its command line that say where trials run: `-j 2`.
        job: the token of its job.
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
        heartbeat.KEY: heartbeat.interval(),
        **({} if job is None else {"job": job}),
    }
    registration = Registration(folder, token, job, json.dumps(entry).encode())
    registration.write()
    if job is None:  # else the launcher has written them
        with contextlib.suppress(OSError):
            remember(folder, options)
    if job is not None:
        with contextlib.suppress(OSError):  # a requeued job has the same token
            os.unlink(_end_file(folder, job))
    return registration


def remember(folder: Path, options: Sequence[str]) -> None:
    """Write down with which options of its command line a search continues, for `resume_command`.

    Raises:
        OSError: when it cannot be written.
    """
    files.write_json(folder / HOME / _LAST, {"options": [*options]})


def resume_command(folder: Path) -> str:
    """Return the command that resumes a search as its last worker was started."""
    return quoted_line(["modeldir", "search", folder, *(options_of(folder) or [])])


def options_of(folder: Path) -> list[str] | None:
    """Return the options of a search's last worker; None where none ever worked."""
    options = reading.read_object(folder / HOME / _LAST).get("options")
    return [*map(str, options)] if isinstance(options, list) else None


def workers(folder: Path, observer: heartbeat.Observer | None = None) -> list[RegisteredWorker]:
    """Return the workers that are registered and may be alive, oldest first.

    In the copy of a running search nobody works: its entries are those of the original. `observer`
    looks at the heartbeats of workers on other hosts.
    """
    found = []
    inode = attempts.identity_of(folder).get("inode")
    stops = [*_objects(folder / HOME / "stops")]
    asked = {token for request in stops for kind in _KINDS for token in _named(request, kind)}
    for path, entry in _files(folder / HOME / "workers"):
        worker = _worker(path, entry, asked, observer)
        place = entry.get("folder")
        is_copy = isinstance(place, dict) and place.get("inode") != inode
        if worker is not None and worker.alive is not False and not is_copy:
            found.append(worker)
    return sorted(found, key=lambda worker: worker.started)


def killed_workers(folder: Path) -> set[processes.Process]:
    """Return this machine's workers that died without leaving; nothing was reported since."""
    entries = _objects(folder / HOME / "workers")
    known = filter(None, (processes.from_json(entry.get("process")) for entry in entries))
    return {worker for worker in known if processes.alive(worker) is False}


def remove_dead(
    folder: Path, observer: heartbeat.Observer, told: Collection[processes.Process]
) -> None:
    """Remove the entries of dead workers, and requests to stop that are for none.

    On this machine a dead worker's entry is removed once everything about it was `told`; that of
    another machine when its heartbeat stands still.
    """
    left, jobs_left, jobs_gone = set(), set(), set()
    for path, entry in _files(folder / HOME / "workers"):
        if processes.from_json(entry.get("process")) in told or _is_dead(path, observer):
            with contextlib.suppress(OSError):
                os.unlink(path)
            jobs_gone.add(_job_of(entry))
        else:
            left.add(entry.get("token"))
            jobs_left.add(_job_of(entry))
    # A job that was requeued has another worker by now.
    for job in filter(None, jobs_gone - jobs_left):
        if job_end(folder, job) is None:
            end_job(folder, job, "its worker was killed")
    for path, request in _files(folder / HOME / "stops"):
        workers, jobs = _named(request, "workers"), _named(request, "jobs")
        if left.isdisjoint(workers) and not any(_may_come(folder, job) for job in jobs):
            with contextlib.suppress(OSError):
                os.unlink(path)


def _is_dead(path: Path, observer: heartbeat.Observer) -> bool:
    """Whether an entry is that of another host's worker whose heartbeat stands still."""
    known = processes.from_json(reading.read_object(path).get("process"))
    return known is not None and processes.alive(known) is None and observer.look(path) is False


def _may_come(folder: Path, job: str) -> bool:
    """Whether a worker may start, or start again, under a job's token.

    Even where one has left or was killed: job managers start a job again that lost its node or was
    preempted.
    """
    return (folder / HOME / "jobs" / f"{job}.json").exists()


def ask_to_stop(
    folder: Path, asked: Sequence[RegisteredWorker], urgency: Urgency, jobs: Collection[str] = ()
) -> None:
    """Ask these workers to stop, and those that start as these jobs not to begin.

    Raises:
        OSError: when the request cannot be written.
    """
    request = {
        "workers": [worker.token for worker in asked],
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
    # The workers that are asked may be other users'.
    for each, readable in ((stops, 0o555), (path, 0o444)):
        with contextlib.suppress(OSError):
            os.chmod(each, stat.S_IMODE(os.stat(each).st_mode) | readable)
    with contextlib.suppress(OSError):
        os.utime(stops)  # a worker that looked in between could not read it yet


# -- Jobs ------------------------------------------------------------------------------------------

_ENGINES = (
    ("SLURM_ARRAY_JOB_ID", "_", "SLURM_ARRAY_TASK_ID"),
    ("SLURM_JOB_ID", "", ""),
    ("LSB_JOBID", ".", "LSB_JOBINDEX"),
    ("PBS_JOBID", "", ""),
    ("JOB_ID", ".", "SGE_TASK_ID"),
)
"""The variables by which job managers give a job its name; the more specific come first."""
_NO_TASK = ("", "0", "undefined")
"""The number of a task that LSF and GridEngine write where there are no tasks."""


def job_facts(folder: Path, token: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a run file says of its trial's job: launcher, token, engine's name."""
    launcher = reading.read_object(folder / HOME / "jobs" / f"{token}.json").get("launcher")
    engine = _engine_id(environment)
    told = {"launcher": launcher, "token": token, "id": engine}
    return {key: str(value) for key, value in told.items() if value}


def _engine_id(environment: Mapping[str, str]) -> str | None:
    """Return the name that the job manager gives this job."""
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
    """Return how a job's worker has left: `ended`, `why`; None while it has not, or was killed."""
    return reading.read_object(_end_file(folder, token)) or None


def job_left_at(folder: Path, token: str) -> float | None:
    """Return when a job's worker has left, as the file system has it; None while it has not."""
    with contextlib.suppress(OSError):
        return os.stat(_end_file(folder, token)).st_mtime
    return None


def jobs_of_the_dead(folder: Path) -> set[str]:
    """Return the tokens of jobs whose worker started, and died without leaving."""
    found = set()
    for path, entry in _files(folder / HOME / "workers"):
        worker = _worker(path, entry, (), None)
        if worker is not None and worker.job is not None and worker.alive is False:
            found.add(worker.job)
    return found


def jobs_asked_to_stop(folder: Path) -> set[str]:
    """Return the tokens of jobs whose worker was asked to stop, started or not."""
    requests = _objects(folder / HOME / "stops")
    return {token for request in requests for token in _named(request, "jobs")}


def _end_file(folder: Path, token: str) -> Path:
    return folder / HOME / "jobs" / f"{token}.end.json"


# -- Reading ---------------------------------------------------------------------------------------


def _user() -> str | None:
    from getpass import getuser  # noqa: PLC0415 - only for a request

    with contextlib.suppress(Exception):  # a container's number without a name: KeyError, OSError
        return getuser()
    return None


def _who(by: object) -> str:
    told = by if isinstance(by, dict) else {}
    return "@".join(str(told[key]) for key in ("user", "host") if told.get(key))


def _worker(
    path: Path,
    entry: dict[str, Any],
    asked: Collection[str],
    observer: heartbeat.Observer | None,
) -> RegisteredWorker | None:
    """Return the worker of an entry; None for an incomplete one."""
    pid = recorded_numbers.process_id(entry.get("pid"))
    jobs = recorded_numbers.integer(entry.get("jobs"))
    if pid is None or jobs is None:
        return None
    job = _job_of(entry)
    try:
        known = processes.from_json(entry.get("process"))
        alive = None if known is None else processes.alive(known)
        if alive is None and observer is not None:
            alive = observer.look(path)
        return RegisteredWorker(
            token=str(entry["token"]),
            host=str(entry["host"]),
            pid=pid,
            jobs=jobs,
            started=str(entry["started"]),
            alive=alive,
            is_leaving=entry["token"] in asked or job in asked,
            job=job,
            heard=heartbeat.seconds_since_beat(path)
            if heartbeat.recorded_interval(entry) is not None
            else None,
        )
    except (KeyError, TypeError):
        return None  # an incomplete entry, from a disk that was full


def _job_of(entry: Mapping[str, Any]) -> str | None:
    job = entry.get("job")
    return job if isinstance(job, str) and JOB.fullmatch(job) else None


def _named(request: Mapping[str, Any], kind: str) -> list[str]:
    """Return the tokens of workers, or of jobs, that a request to stop is for."""
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
            yield folder / name, reading.read_object(folder / name)


def _state(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino)
