"""Which workers of a search were placed, and how they are: jobs, and the files that tell of them.

It knows the records in `.modeldir/jobs/`: one a job, written *before* its launcher is asked, so
that a job whose start was cut short is looked for, and not started again. It refuses to know any
engine (launchers do), and asks them seldom: what the files say of a job needs no question.

Start at `place`, which starts what is missing, and at `placed`, which tells what is there (`Jobs`
to who looks again and again).

| file in `.modeldir/jobs/` | holds |
|---|---|
| `TOKEN.json` | a job: its launcher and that one's options, its id there, the worker's words |
| `round.N.json` | who won the right to place the jobs of round N: a link decides |
| `states.json` | what the engines answered last: several readers share one question |
| `TOKEN.end.json` | written by the worker as it leaves: see roster.py |
| `TOKEN.out` | what the job printed, where its launcher could say where that goes |
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeldir import launchers
from modeldir._system import files, heartbeat, processes, timestamps
from modeldir._system.stamps import Seen, stamp
from modeldir._system.timestamps import unix_time
from modeldir.errors import CommandError
from modeldir.experiment import attempts
from modeldir.launchers import JobRef, JobState, jobs_folder
from modeldir.search import worker_registry

_FORMAT = 1
_ROUND = re.compile(r"round\.(\d+)\.json")
_STATES = "states.json"
_ASK_EVERY = 60.0
_SOON = 5.0
"""Seconds between two questions at least, where the files tell that an answer is out of date."""
_AT_MOST_EVERY = 120.0
_BACKING_OFF = 1.5
_UNKNOWN = JobState(None)
_HAS_LEFT = JobState(True, "its worker has left")
"""A worker has left, and its engine was not asked since: the job ends, or is started again."""
_PLACING_TAKES = 600.0
"""Seconds after which nobody is placing a job any more, where that cannot be seen."""
_SHOWN_LINES = 5
_SHOWN_WORDS = 3


@dataclass(frozen=True)
class Placed:
    """A worker that was placed as a job, and how it is.

    `state` is what is known from files and the engine together. `member` is the worker as it wrote
    itself down, once it is up. `why`: how it ended, where it did, in words; `is_leaving`: it was
    asked to stop, or will be gone as soon as it comes up. `came_up`: its worker has, as far as any
    file tells.
    """

    ref: JobRef
    state: JobState
    member: worker_registry.Member | None = None
    why: str = ""
    is_leaving: bool = False
    came_up: bool = False

    @property
    def name(self) -> str:
        """What people call it: the engine's id, or our token while that is not known."""
        return self.ref.job or self.ref.token

    @property
    def counts(self) -> bool:
        """Whether it is, or may be, a worker that takes trials."""
        return self.state.alive is not False and not self.is_leaving


@dataclass(frozen=True)
class _Record:
    """A job as it was written down."""

    ref: JobRef
    options: Mapping[str, Any]
    by: processes.Process | None
    asked: float
    is_started: bool


# -- Starting --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What placing came to: the workers that were `there` and those that were `started`.

    `problem` says why some of the `missing` were not started; None where all were.
    """

    there: tuple[Placed, ...]
    started: tuple[JobRef, ...] = ()
    missing: int = 0
    problem: CommandError | None = None


def place(
    launcher: launchers.Launcher,
    options: Mapping[str, Any],
    search: Path,
    worker: Sequence[str],
    wanted: Callable[[Sequence[Placed]], int],
) -> Outcome:
    """Start the workers that are missing: `wanted` says how many, given those that are there.

    Several may say this at the same time: a link decides whose turn it is, and the others look
    again at what is there by then.

    Raises:
        OSError: when the search's folder cannot be written.
    """
    jobs_folder(search).mkdir(parents=True, exist_ok=True)
    while True:
        number = _last_round(search)
        there = tuple(placed(search, ask=True))
        count = wanted(there)
        if count <= 0:
            return Outcome(there)
        tokens = launchers.new_tokens(count)
        _write_records(
            search,
            [JobRef(launcher.name, "", token) for token in tokens],
            {"options": dict(options), "worker": list(worker), "round": number + 1},
        )
        base = {"base": tokens[0].rpartition("_")[0], "time": timestamps.utc_now()}
        path = jobs_folder(search) / f"round.{number + 1}.json"
        if files.publish(path, files.to_json(base).encode()):
            break
        _forget(search, tokens)
    started: list[JobRef] = []
    try:
        for ref in launcher.start(worker, tokens):
            _fill_in(search, ref)
            started.append(ref)
    except CommandError as error:
        _forget(search, tokens[len(started) :])
        return Outcome(there, tuple(started), count, error)
    return Outcome(there, tuple(started), count)


def _write_records(search: Path, jobs: Iterable[JobRef], facts: Mapping[str, Any]) -> None:
    me = processes.process()
    who = {
        "asked": timestamps.utc_now(),
        "by": me.to_json() if me else None,
        "folder": attempts.identity_of(search),
    }
    for job in jobs:
        record = {"format": _FORMAT, **job.to_json(), **facts, **who}
        files.write_json(_record_of(search, job.token), record)


def _fill_in(search: Path, ref: JobRef) -> None:
    """The job was started: by which id it is known."""
    path = _record_of(search, ref.token)
    found = files.read_object(path)
    files.write_json(path, {**found, **ref.to_json(), "started": timestamps.utc_now()})


def _forget(search: Path, tokens: Iterable[str]) -> None:
    """Of these nothing was started."""
    for token in tokens:
        with contextlib.suppress(OSError):
            os.unlink(_record_of(search, token))


def _record_of(search: Path, token: str) -> Path:
    return jobs_folder(search) / f"{token}.json"


def _names(search: Path) -> list[str]:
    try:
        return os.listdir(jobs_folder(search))
    except OSError:
        return []


def _last_round(search: Path) -> int:
    found = filter(None, map(_ROUND.fullmatch, _names(search)))
    return max((int(each[1]) for each in found), default=0)


# -- What is there ---------------------------------------------------------------------------------


def placed(search: Path, *, ask: bool = False) -> list[Placed]:
    """The workers that were placed for a search, in the order of their start, and how they are.

    `ask`: engines are asked now; by default not more often than they want to be (see `Launcher`),
    whoever else has asked. One that does not answer leaves its jobs unknown.
    """
    return Jobs(search).look(ask=ask)


class Jobs:
    """The workers that were placed for a search, looked at again and again: see `placed`. What was
    written down of them is read again when their folder has changed: there may be thousands.
    `observer` looks at the hearts of workers on other hosts.
    """

    def __init__(self, search: Path, observer: heartbeat.Observer | None = None) -> None:
        self._search, self._observer = search, observer
        self._seen = Seen()
        self._records: list[_Record] = []
        self._ends: dict[str, Mapping[str, Any]] = {}

    def look(self, *, ask: bool = False) -> list[Placed]:
        """They, and how they are now."""
        if self._seen.changed(stamp(jobs_folder(self._search))):
            self._records = [*_records(self._search)]
            self._ends = dict(_ends(self._search, self._records))
        if not self._records:
            return []
        there = _Files(self._search, self._observer, self._ends)
        open_ones = [each for each in self._records if there.needs(each.ref)]
        answers = _answers(self._search, open_ones, ask=ask)
        return [there.merged(each, answers.get(each.ref.token, _UNKNOWN)) for each in self._records]


def _ends(search: Path, records: Iterable[_Record]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for record in records:
        end = worker_registry.job_end(search, record.ref.token)
        if end is not None:
            yield record.ref.token, end


def _records(search: Path) -> Iterable[_Record]:
    """The jobs of all rounds that were won, in the order of their start. Those in a copy of a
    search are the original's: nobody counts them there, and nobody cancels them from there.
    """
    inode = attempts.identity_of(search).get("inode")
    won: dict[int, str | None] = {}
    found: list[tuple[int, int, _Record]] = []
    for name in _names(search):
        token = name.removesuffix(".json")
        if not launchers.TOKEN.fullmatch(token) or not name.endswith(".json"):
            continue
        facts = files.read_object(_record_of(search, token))
        ref, number = launchers.from_json(facts), facts.get("round")
        place = facts.get("folder")
        is_copy = isinstance(place, dict) and place.get("inode") != inode
        if ref is None or not isinstance(number, int) or is_copy:
            continue
        if number not in won:
            won[number] = _winner(search, number)
        base, _, index = token.rpartition("_")
        if won[number] == base or (won[number] is None and "started" in facts):
            found.append((number, int(index), _record(ref, facts)))
    return [record for *_, record in sorted(found, key=lambda each: each[:2])]


def _winner(search: Path, number: int) -> str | None:
    """Whose jobs a round's are. None where a power failure cut its file short: then those count
    that were started.
    """
    base = files.read_object(jobs_folder(search) / f"round.{number}.json").get("base")
    return None if base is None else str(base)


def _record(ref: JobRef, facts: Mapping[str, Any]) -> _Record:

    options = facts.get("options")
    return _Record(
        ref,
        options if isinstance(options, dict) else {},
        processes.from_json(facts.get("by")),
        unix_time(facts.get("asked")) or 0.0,
        "started" in facts,
    )


class _Files:
    """What the files say of a search's jobs: workers that live, ends, requests to stop."""

    def __init__(
        self,
        search: Path,
        observer: heartbeat.Observer | None,
        ends: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._ends = ends
        there = worker_registry.members(search, observer)
        self._members = {each.job: each for each in there if each.job}
        self._killed = worker_registry.jobs_of_the_dead(search)
        self._stopped = worker_registry.jobs_asked_to_stop(search)

    def needs(self, ref: JobRef) -> bool:
        """Whether an engine has to be asked: of a worker that is seen to live it has no say."""
        member = self._members.get(ref.token)
        return member is None or member.alive is not True

    def merged(self, record: _Record, answer: JobState) -> Placed:
        """A job as files and engine tell together."""
        ref = record.ref
        member, end = self._members.get(ref.token), self._ends.get(ref.token)
        is_leaving = ref.token in self._stopped or (member is not None and member.is_leaving)
        came_up = member is not None or end is not None or ref.token in self._killed
        if member is not None and member.alive:
            answer = JobState(True, answer.words, runs=True)
        elif answer.alive is None and not record.is_started and _is_being_placed(record):
            answer = JobState(None, "it is being submitted")
        elif answer.alive is None and member is None and came_up:
            answer = JobState(False, answer.words)  # it left, or was killed: files say so
        why = self._why(ref, answer, end) if answer.alive is False else ""
        return Placed(ref, answer, member, why, is_leaving, came_up)

    def _why(self, ref: JobRef, answer: JobState, end: Mapping[str, Any] | None) -> str:
        if end is not None:
            return str(end.get("why") or "it left")
        if ref.token in self._killed:
            return "its worker was killed"
        if ref.token in self._stopped:
            return "it was stopped before it began"
        return answer.words or "it ended before its worker came up"


def _is_being_placed(record: _Record) -> bool:
    """Whether whoever asked for a job may still be about it."""
    lives = None if record.by is None else processes.alive(record.by)
    if lives is None:
        return time.time() - record.asked < _PLACING_TAKES
    return lives


def last_words(search: Path, ref: JobRef) -> list[str]:
    """The last lines that a job printed, where that is known."""
    said = files.tail(launchers.output_of(search, ref.token)).decode(errors="replace")
    return [line for line in said.splitlines() if line.strip()][-_SHOWN_LINES:]


def summary(search: Path, jobs: Sequence[Placed]) -> Workers:
    """Jobs, counted; and what the last ones said whose worker never came up."""
    alive = [each for each in jobs if each.state.alive]
    runs = [each for each in alive if each.member is not None or each.state.runs]
    idle = [each for each in alive if each.member is None and not each.state.runs]
    left = [each for each in idle if each.state == _HAS_LEFT]
    waits = [each for each in idle if each.state != _HAS_LEFT]
    unknown = [each for each in jobs if each.state.alive is None]
    last = jobs[-1].ref.token.rpartition("_")[0] if jobs else ""
    never = [
        each
        for each in jobs
        if each.ref.token.startswith(last)
        and not (each.came_up or each.is_leaving or each.state.alive is not False)
    ]
    said = last_words(search, never[0].ref) if never else []
    return Workers(
        len(runs),
        len(waits),
        len(left),
        len(unknown),
        len(never),
        waits=_differing(waits),
        unknown=_differing(unknown),
        ended=said[-1] if said else _differing(never),
        output=launchers.output_of(search, never[0].ref.token) if said else None,
    )


def _differing(jobs: Sequence[Placed]) -> str:
    """What engines say of jobs, each word once, and not too much of it."""
    words = [*dict.fromkeys(each.state.words for each in jobs if each.state.words)]
    return "; ".join([*words[:_SHOWN_WORDS], *(["..."] if len(words) > _SHOWN_WORDS else [])])


# -- Asking ----------------------------------------------------------------------------------------


def _answers(search: Path, records: Sequence[_Record], *, ask: bool) -> dict[str, JobState]:
    """What engines say of these jobs, by token."""
    found: dict[str, JobState] = {}
    seldom: list[tuple[launchers.Launcher, list[JobRef]]] = []
    for launcher, jobs in _by_launcher(search, records):
        if launcher is None:
            found.update((job.token, JobState(None, "its launcher is not here")) for job in jobs)
        elif _ask_every(launcher) == 0:
            found.update(_states(launcher, jobs))
        else:
            seldom.append((launcher, jobs))
    found.update(_shared(search, seldom, ask=ask) if seldom else {})
    return _without_haste(found, records)


def _shared(
    search: Path, groups: Sequence[tuple[launchers.Launcher, list[JobRef]]], *, ask: bool
) -> dict[str, JobState]:
    """The last answers, which all readers share; asked for again where they are too old. That a job
    has ended is final, and nobody asks after it again; but where its launcher `revives` jobs, or
    its id was not known when it was looked for, it is looked for along with others.
    """
    path = jobs_folder(search) / _STATES
    kept = _kept(path)
    known, tokens = kept.known, [job.token for _, jobs in groups for job in jobs]
    is_new = any(token not in known for token in tokens)
    alive = [token for token in tokens if known.get(token, _UNKNOWN).alive]
    left = _left_since(search, path, alive)
    if not (ask or is_new or kept.age() >= (min(kept.every, _SOON) if left else kept.every)):
        return {**known, **dict.fromkeys(left, _HAS_LEFT)}
    found: dict[str, JobState] = {}
    least = 0.0
    for launcher, jobs in groups:
        open_ones = _open(launcher, jobs, known, ask=ask)
        if open_ones:
            least = max(least, _ask_every(launcher))
            found.update(_heard(launcher, open_ones, known))
    if not found:
        return known
    same = all(known.get(token) == state for token, state in found.items())
    every = min(_AT_MOST_EVERY, max(least, kept.every * _BACKING_OFF)) if same else least
    return _keep(path, every, {**known, **found})


def _open(
    launcher: launchers.Launcher,
    jobs: Sequence[JobRef],
    known: Mapping[str, JobState],
    *,
    ask: bool,
) -> list[JobRef]:
    """The jobs of a launcher that are to be asked after."""
    wanted = [job for job in jobs if known.get(job.token, _UNKNOWN).alive is not False]
    again = [job for job in jobs if not job.job] if ask else []
    if getattr(launcher, "revives", False) and (wanted or ask):
        return [*jobs]
    return [*wanted, *(job for job in again if job not in wanted)]


def _heard(
    launcher: launchers.Launcher, jobs: Sequence[JobRef], known: Mapping[str, JobState]
) -> dict[str, JobState]:
    """What a launcher says of jobs, by token. One that has ended stays so until it is seen alive:
    engines forget, and do not always answer.
    """
    found = _states(launcher, jobs)
    for token in found:
        before = known.get(token, _UNKNOWN)
        if before.alive is False and not found[token].alive:
            found[token] = before
    return found


def _states(launcher: launchers.Launcher, jobs: Sequence[JobRef]) -> dict[str, JobState]:
    """What a launcher says of jobs, by token. Of one that fails, which none of ours does, nothing
    is known: a user's own must not keep him from looking and stopping.
    """
    try:
        return {job.token: state for job, state in launcher.states(jobs).items()}
    except Exception as error:  # noqa: BLE001 - it may be anybody's code
        failed = f"the launcher {launcher.name} failed: {type(error).__name__}: {error}"
        return {job.token: JobState(None, failed) for job in jobs}


@dataclass(frozen=True)
class _Kept:
    """Answers as they were kept in a file of that `version`, `since` when by our own clock."""

    version: tuple[int, int] | None
    since: float
    every: float
    known: dict[str, JobState]

    def age(self) -> float:
        return time.monotonic() - self.since


_own: dict[Path, _Kept] = {}
"""What this process was answered last. It need not trust the clock of a file server then, and knows
it where it may not write: a colleague who watches must not ask at each look.
"""
_ahead: dict[Path, float] = {}
"""By how many seconds a file server's clock is ahead of ours, as the last answer was written."""


def _kept(path: Path) -> _Kept:
    """The last answers: our own, if nobody has written others since."""
    version, own = _version(path), _own.get(path)
    if own is not None and own.version == version:
        return own
    value = files.read_object(path)
    age = float("inf")  # a file from the future is of another clock
    if version is not None:
        told = time.time() + _ahead.get(path, 0.0) - version[0] / 1e9
        age = told if told > -1 else age
    return _Kept(version, time.monotonic() - age, _seconds(value.get("every")), _states_of(value))


def _keep(path: Path, every: float, known: dict[str, JobState]) -> dict[str, JobState]:
    """Keep answers for all readers; in somebody else's folder for ourselves."""
    answers = {token: [s.alive, s.words, s.runs] for token, s in known.items()}
    with contextlib.suppress(OSError):
        files.write_json(path, {"every": every, "answers": answers})
        _ahead[path] = os.stat(path).st_mtime - time.time()
    _own[path] = _Kept(_version(path), time.monotonic(), every, known)
    return dict(known)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino)


def _left_since(search: Path, path: Path, tokens: Iterable[str]) -> list[str]:
    """The jobs whose workers have left since the last answers, or just before them, when a job may
    still have been about to end: they are over, or are going to come again.
    """
    try:
        asked = os.stat(path).st_mtime
    except OSError:
        return []
    late = asked - _SOON
    return [token for token in tokens if (worker_registry.job_left_at(search, token) or 0.0) > late]


def _ask_every(launcher: launchers.Launcher) -> float:
    return float(getattr(launcher, "ask_every", _ASK_EVERY))


def _without_haste(
    found: Mapping[str, JobState], records: Sequence[_Record]
) -> dict[str, JobState]:
    """Answers, but that a job has ended which somebody is about to start: it is not there yet."""
    early = {r.ref.token for r in records if not r.is_started and _is_being_placed(r)}
    return {
        token: replace(state, alive=None) if token in early and state.alive is False else state
        for token, state in found.items()
    }


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _states_of(kept: Mapping[str, Any]) -> dict[str, JobState]:
    answers = kept.get("answers")
    found: dict[str, JobState] = {}
    for token, said in answers.items() if isinstance(answers, dict) else ():
        with contextlib.suppress(TypeError, ValueError):
            alive, words, runs = said
            found[token] = JobState(alive, str(words), runs)
    return found


def _by_launcher(
    search: Path, records: Iterable[_Record]
) -> Iterable[tuple[launchers.Launcher | None, list[JobRef]]]:
    """The jobs of each launcher, and it; None where it cannot be had here."""
    groups: dict[tuple[str, str], list[_Record]] = {}
    for record in records:
        key = (record.ref.launcher, files.to_json(dict(record.options)))
        groups.setdefault(key, []).append(record)
    for (name, _), group in groups.items():
        launcher: launchers.Launcher | None = None
        with contextlib.suppress(Exception):  # anybody's code: it is told as not here
            launcher = launchers.make(name, search, group[0].options)
        yield launcher, [record.ref for record in group]


# -- Stopping --------------------------------------------------------------------------------------


def cancel(search: Path, jobs: Sequence[JobRef]) -> list[str]:
    """Have engines end these jobs. Returns what could not be done, in words."""
    wanted = {job.token for job in jobs}
    problems: list[str] = []
    for launcher, refs in _by_launcher(
        search, [each for each in _records(search) if each.ref.token in wanted]
    ):
        if launcher is None:
            problems.append(f"the launcher {refs[0].launcher} is not here: {_ids(refs)}")
            continue
        try:
            launcher.stop(refs)
        except CommandError as error:
            problems.append(str(error))
        except Exception as error:  # noqa: BLE001 - it may be anybody's code
            problems.append(f"the launcher {launcher.name}: {type(error).__name__}: {error}")
    _own.pop(jobs_folder(search) / _STATES, None)
    with contextlib.suppress(OSError):  # the next who looks asks
        os.unlink(jobs_folder(search) / _STATES)
    return problems


def _ids(refs: Sequence[JobRef]) -> str:
    return ", ".join(ref.job or ref.token for ref in refs)


@dataclass(frozen=True)
class Workers:
    """The workers that were placed as jobs: how many run, wait, have left while their jobs may not
    have ended, are unknown, and how many of the last placed ended without having come up; with what
    engines say of them.

    `ended` is the last line that such a one printed, `output` where the rest is.
    """

    run: int = 0
    wait: int = 0
    left: int = 0
    unseen: int = 0
    never: int = 0
    waits: str = ""
    unknown: str = ""
    ended: str = ""
    output: Path | None = None

    @property
    def are_there(self) -> bool:
        """Whether one is, or may be, there."""
        return bool(self.run or self.wait or self.left or self.unseen)


def workers_text(workers: Workers) -> Iterator[str]:
    """The workers that were placed, in a line; and one for those that never came up.

    >>> [*workers_text(Workers(run=3, wait=1, waits="PENDING (Resources)"))]
    ['4 workers: 3 run, 1 waits: PENDING (Resources)']
    """
    total = workers.run + workers.wait + workers.left + workers.unseen
    kinds = (
        (workers.run, "runs", "run", ""),
        (workers.wait, "waits", "wait", workers.waits),
        (workers.left, "has left, its job ends", "have left, their jobs end", ""),
        (workers.unseen, "is unknown", "are unknown", workers.unknown),
    )
    told = [
        f"{count} {one if count == 1 else many}{f': {words}' if words else ''}"
        for count, one, many, words in kinds
        if count
    ]
    if total:
        what = "1 worker" if total == 1 else f"{total} workers"
        all_alike = len(told) == 1
        yield f"{what} {told[0].partition(' ')[2]}" if all_alike else f"{what}: {', '.join(told)}"
    if workers.never:
        what = "1 job" if workers.never == 1 else f"{workers.never} jobs"
        words = f": {workers.ended}" if workers.ended else ""
        yield f"{what} ended before a worker came up{words}"
        if workers.output is not None:
            yield f"  all it printed: {workers.output}"
