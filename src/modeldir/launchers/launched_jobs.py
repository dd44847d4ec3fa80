"""The workers of a search that were launched as jobs: start the missing ones, see how all are.

`modeldir search --workers`, `stop` and `watch` call `launch_missing` and `read_jobs`. The rule: a
job is recorded (`_job_records`) *before* its launcher is asked, so that a job whose start was cut
short is looked for and not started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir import launchers
from modeldir._system import files, heartbeat, reading, timestamps
from modeldir._system.file_stamps import Seen, stamp
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, JobState, _job_states, jobs_folder
from modeldir.launchers._job_records import (
    JobRecord,
    last_round,
    read_records,
    record_started,
    remove_records,
    round_file,
    write_records,
)
from modeldir.launchers.trusted_commands import allow
from modeldir.search import worker_registry

_SHOWN_LINES = 5


@dataclass(frozen=True)
class LaunchedJob:
    """A worker that was launched as a job, and how it is.

    `state` is what files and the engine tell together, `member` the worker's own entry in the
    registry. `is_leaving`: it was asked to stop. `came_up`: some file shows that its worker has
    run.
    """

    ref: JobRef
    state: JobState
    member: worker_registry.RegisteredWorker | None = None
    why: str = ""
    is_leaving: bool = False
    came_up: bool = False

    @property
    def name(self) -> str:
        """Its name for people: the engine's id, or the token while that is not known."""
        return self.ref.job or self.ref.token

    @property
    def counts(self) -> bool:
        return self.state.alive is not False and not self.is_leaving


@dataclass(frozen=True)
class LaunchResult:
    """The result of `launch_missing`; `problem` says why some `missing` were not started."""

    there: tuple[LaunchedJob, ...]
    started: tuple[JobRef, ...] = ()
    missing: int = 0
    problem: CommandError | None = None


def launch_missing(
    launcher: launchers.Launcher,
    options: Mapping[str, Any],
    search: Path,
    worker: Sequence[str],
    wanted: Callable[[Sequence[LaunchedJob]], int],
) -> LaunchResult:
    """Start the workers that are missing: `wanted` returns how many, given those that are there.

    Of several processes one wins the round; the others look again at what is there by then.
    """
    jobs_folder(search).mkdir(parents=True, exist_ok=True)
    while True:
        number = last_round(search) + 1
        there = tuple(read_jobs(search, ask=True))
        count = wanted(there)
        if count <= 0:
            return LaunchResult(there)
        tokens = launchers.new_tokens(count)
        write_records(
            search,
            [JobRef(launcher.name, "", token) for token in tokens],
            {"options": dict(options), "worker": list(worker), "round": number},
        )
        base = {"base": tokens[0].rpartition("_")[0], "time": timestamps.utc_now()}
        if files.publish(round_file(search, number), files.to_json(base).encode()):
            break
        remove_records(search, tokens)
    started: list[JobRef] = []
    allow(search, _job_states.lines_of(launcher, options, []))
    try:
        for ref in launcher.start(worker, tokens):
            record_started(search, ref)
            if not started:  # now the launcher also knows the address that it has found
                allow(search, _job_states.lines_of(launcher, options, [ref]))
            started.append(ref)
    except CommandError as error:
        remove_records(search, tokens[len(started) :])
        return LaunchResult(there, tuple(started), count, error)
    return LaunchResult(there, tuple(started), count)


def read_jobs(search: Path, *, ask: bool = False) -> list[LaunchedJob]:
    """Return the workers that were launched for a search, in the order of their start.

    `ask`: engines are asked now, else at most as often as their launcher wants, whoever asked last.
    """
    return JobWatcher(search).read(ask=ask)


class JobWatcher:
    """Reads the launched workers of a search again and again: see `read_jobs`.

    Records are only read again when their folder has changed, since there may be thousands.
    """

    def __init__(self, search: Path, observer: heartbeat.Observer | None = None) -> None:
        self._search, self._observer = search, observer
        self._seen = Seen()
        self._records: list[JobRecord] = []
        self._ends: dict[str, Mapping[str, Any]] = {}

    def read(self, *, ask: bool = False) -> list[LaunchedJob]:
        if self._seen.changed(stamp(jobs_folder(self._search))):
            self._records = read_records(self._search)
            self._ends = dict(_ends(self._search, self._records))
        if not self._records:
            return []
        known = _FromFiles(self._search, self._observer, self._ends)
        open_jobs = [each for each in self._records if known.needs_answer(each.ref)]
        answers = _job_states.states(self._search, open_jobs, ask=ask)
        return [
            known.merged(each, answers.get(each.ref.token, _job_states.UNKNOWN))
            for each in self._records
        ]


def _ends(search: Path, records: Iterable[JobRecord]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for record in records:
        end = worker_registry.job_end(search, record.ref.token)
        if end is not None:
            yield record.ref.token, end


class _FromFiles:
    """The state of a search's jobs from files: living workers, ends, requests to stop."""

    def __init__(
        self,
        search: Path,
        observer: heartbeat.Observer | None,
        ends: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._ends = ends
        members = worker_registry.workers(search, observer)
        self._members = {each.job: each for each in members if each.job}
        self._killed = worker_registry.jobs_of_the_dead(search)
        self._stopped = worker_registry.jobs_asked_to_stop(search)

    def needs_answer(self, ref: JobRef) -> bool:
        """Whether an engine has to be asked; not about a worker that is seen to live."""
        member = self._members.get(ref.token)
        return member is None or member.alive is not True

    def merged(self, record: JobRecord, answer: JobState) -> LaunchedJob:
        ref = record.ref
        member, end = self._members.get(ref.token), self._ends.get(ref.token)
        is_leaving = ref.token in self._stopped or (member is not None and member.is_leaving)
        came_up = member is not None or end is not None or ref.token in self._killed
        if member is not None and member.alive:
            answer = JobState(True, answer.words, runs=True)
        elif answer.alive is None and not record.is_started and _job_states.is_starting(record):
            answer = JobState(None, "it is being submitted")
        elif answer.alive is None and member is None and came_up:
            answer = JobState(False, answer.words)  # files show that it left, or was killed
        why = self._why(ref, answer, end) if answer.alive is False else ""
        return LaunchedJob(ref, answer, member, why, is_leaving, came_up)

    def _why(self, ref: JobRef, answer: JobState, end: Mapping[str, Any] | None) -> str:
        if end is not None:
            return str(end.get("why") or "it left")
        if ref.token in self._killed:
            return "its worker was killed"
        if ref.token in self._stopped:
            return "it was stopped before it started"
        return answer.words or "it ended before its worker started"


def last_lines(search: Path, ref: JobRef) -> list[str]:
    text = reading.tail(launchers.output_of(search, ref.token)).decode(errors="replace")
    return [line for line in text.splitlines() if line.strip()][-_SHOWN_LINES:]


def cancel(search: Path, jobs: Sequence[JobRef]) -> list[str]:
    """Ask the engines to end these jobs. Returns a message for each that could not be ended."""
    wanted = {job.token for job in jobs}
    records = [each for each in read_records(search) if each.ref.token in wanted]
    problems: list[str] = []
    for launcher, refs in _job_states.by_launcher(search, records):
        if isinstance(launcher, JobState):
            ids = ", ".join(ref.job or ref.token for ref in refs)
            allow_by = launcher.to_allow.replace("watch", "stop", 1)
            why = f"what {refs[0].launcher} would run comes from the folder: {ids}\n  {allow_by}"
            here = f"the launcher {refs[0].launcher} is not here: {ids}"
            problems.append(why if launcher.to_allow else here)
            continue
        try:
            launcher.stop(refs)
        except CommandError as error:
            problems.append(str(error))
        except Exception as error:  # noqa: BLE001 - it may be anybody's code
            problems.append(f"the launcher {launcher.name}: {type(error).__name__}: {error}")
    _job_states.forget_answers(search)
    return problems
