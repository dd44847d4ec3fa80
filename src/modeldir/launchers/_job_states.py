"""Ask engines (Slurm, Ray, ...) how jobs are, seldom, and share the answers between processes.

`launched_jobs` calls `states`; the last answers are in `.modeldir/jobs/states.json`. The rule: an
engine that does not answer leaves its jobs unknown, and a job that has ended stays ended until it
is seen alive again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeldir import launchers
from modeldir._system import files, processes, reading, recorded_numbers, user_files
from modeldir._system.file_stamps import Stamp, stamp
from modeldir.launchers import JobRef, JobState, jobs_folder, trusted_commands
from modeldir.launchers._job_records import JobRecord
from modeldir.search import worker_registry

_FILE = "states.json"
_ASK_EVERY = 60.0
_ASK_AGAIN_AFTER = 5.0
"""Least seconds between two questions when files tell that the last answer is out of date."""
_AT_MOST_EVERY = 120.0
_BACKING_OFF = 1.5
_STARTING_TAKES = 600.0
"""Seconds after which a start counts as over, if the process that asked for it cannot be seen."""

UNKNOWN = JobState(None)
HAS_LEFT = JobState(True, "its worker has left")
"""A worker has left, and its engine was not asked since. The job ends, or is started again."""


def states(search: Path, records: Sequence[JobRecord], *, ask: bool) -> dict[str, JobState]:
    """Return what engines say about these jobs, by token. `ask`: they are asked now."""
    found: dict[str, JobState] = {}
    seldom: list[tuple[launchers.Launcher, list[JobRef]]] = []
    for launcher, jobs in by_launcher(search, records):
        if isinstance(launcher, JobState):
            found.update((job.token, launcher) for job in jobs)
        elif _ask_every(launcher) == 0:
            found.update(_ask(launcher, jobs))
        else:
            seldom.append((launcher, jobs))
    found.update(_shared(search, seldom, ask=ask) if seldom else {})
    return _without_early_ends(found, records)


def by_launcher(
    search: Path, records: Iterable[JobRecord]
) -> Iterator[tuple[launchers.Launcher | JobState, list[JobRef]]]:
    """Yield the jobs of each launcher with it, or with their state if it is not asked.

    A launcher is not asked if it cannot be made on this machine, or if it would use lines of the
    records that the user has not allowed.
    """
    groups: dict[tuple[str, str], list[JobRecord]] = {}
    for record in records:
        key = (record.ref.launcher, files.to_json(dict(record.options)))
        groups.setdefault(key, []).append(record)
    for (name, _), group in groups.items():
        refs = [record.ref for record in group]
        yield _launcher(search, name, group[0].options, refs), refs


def _launcher(
    search: Path, name: str, options: Mapping[str, Any], jobs: Sequence[JobRef]
) -> launchers.Launcher | JobState:
    if name not in launchers.NAMES and (refused := _refused(search, [*_as_line(options)])):
        return refused  # another package's launcher does not even see these options
    try:
        launcher = launchers.make(name, search, options)
    except Exception:  # noqa: BLE001 - it may be a user's own code
        return JobState(None, "its launcher is not installed")
    return _refused(search, lines_of(launcher, options, jobs)) or launcher


def _refused(search: Path, lines: Sequence[str]) -> JobState | None:
    missing = trusted_commands.not_allowed(search, lines)
    if not missing:
        return None
    return JobState(None, "not asked", to_allow=trusted_commands.command_to_allow(search, missing))


def lines_of(
    launcher: launchers.Launcher, options: Mapping[str, Any], jobs: Sequence[JobRef]
) -> list[str]:
    """Return the lines of records that a launcher would use to ask about these jobs."""
    lines = getattr(launcher, "lines", None)
    return [*(_as_line(options) if lines is None else lines(jobs))]


def _as_line(options: Mapping[str, Any]) -> Iterator[str]:
    if options:
        yield json.dumps(options, sort_keys=True)


def is_starting(record: JobRecord) -> bool:
    """Whether the process that asked for a job may still be starting it."""
    lives = None if record.by is None else processes.alive(record.by)
    if lives is None:
        return time.time() - record.asked < _STARTING_TAKES
    return lives


def forget_answers(search: Path) -> None:
    path = jobs_folder(search) / _FILE
    _own.pop(path, None)
    with contextlib.suppress(OSError):
        if _is_own(path):
            os.unlink(path)


def _shared(
    search: Path, groups: Sequence[tuple[launchers.Launcher, list[JobRef]]], *, ask: bool
) -> dict[str, JobState]:
    """Return the last answers, which all readers share; ask again if they are too old.

    A job that has ended is not asked after again, unless its launcher `revives` jobs, or its id was
    not known when it was looked for.
    """
    path = jobs_folder(search) / _FILE
    saved = _saved(path)
    known, tokens = saved.known, [job.token for _, jobs in groups for job in jobs]
    is_new = any(token not in known for token in tokens)
    alive = [token for token in tokens if known.get(token, UNKNOWN).alive]
    left = _left_since(search, path, alive)
    due_after = min(saved.every, _ASK_AGAIN_AFTER) if left else saved.every
    if not (ask or is_new or saved.age() >= due_after):
        return {**known, **dict.fromkeys(left, HAS_LEFT)}
    found: dict[str, JobState] = {}
    least = 0.0
    for launcher, jobs in groups:
        open_jobs = _open(launcher, jobs, known, ask=ask)
        if open_jobs:
            least = max(least, _ask_every(launcher))
            found.update(_ask_after(launcher, open_jobs, known))
    if not found:
        return known
    same = all(known.get(token) == state for token, state in found.items())
    every = min(_AT_MOST_EVERY, max(least, saved.every * _BACKING_OFF)) if same else least
    return _save(path, every, {**known, **found})


def _open(
    launcher: launchers.Launcher,
    jobs: Sequence[JobRef],
    known: Mapping[str, JobState],
    *,
    ask: bool,
) -> list[JobRef]:
    wanted = [job for job in jobs if known.get(job.token, UNKNOWN).alive is not False]
    again = [job for job in jobs if not job.job] if ask else []
    if getattr(launcher, "revives", False) and (wanted or ask):
        return [*jobs]
    return [*wanted, *(job for job in again if job not in wanted)]


def _ask_after(
    launcher: launchers.Launcher, jobs: Sequence[JobRef], known: Mapping[str, JobState]
) -> dict[str, JobState]:
    """Ask a launcher. A job that has ended stays so until it is seen alive: engines forget jobs."""
    found = _ask(launcher, jobs)
    for token in found:
        before = known.get(token, UNKNOWN)
        if before.alive is False and not found[token].alive:
            found[token] = before
    return found


def _ask(launcher: launchers.Launcher, jobs: Sequence[JobRef]) -> dict[str, JobState]:
    """Ask a launcher. If a custom one raises, its jobs are unknown, and the command continues."""
    try:
        return {job.token: state for job, state in launcher.states(jobs).items()}
    except Exception as error:  # noqa: BLE001 - it may be anybody's code
        failed = f"the launcher {launcher.name} failed: {type(error).__name__}: {error}"
        return {job.token: JobState(None, failed) for job in jobs}


def _ask_every(launcher: launchers.Launcher) -> float:
    return float(getattr(launcher, "ask_every", _ASK_EVERY))


def _left_since(search: Path, path: Path, tokens: Iterable[str]) -> list[str]:
    """Return the jobs whose workers have left since the engine may have listed them last."""
    try:
        asked = os.stat(path).st_mtime
    except OSError:
        return []
    late = asked - _ASK_AGAIN_AFTER
    return [token for token in tokens if (worker_registry.job_left_at(search, token) or 0.0) > late]


def _without_early_ends(
    found: Mapping[str, JobState], records: Sequence[JobRecord]
) -> dict[str, JobState]:
    """Return the answers, but a job that is being started is unknown where it is not listed yet."""
    early = {r.ref.token for r in records if not r.is_started and is_starting(r)}
    return {
        token: replace(state, alive=None) if token in early and state.alive is False else state
        for token, state in found.items()
    }


# -- Saved answers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _SavedAnswers:
    """Answers as a file of that `version` has them, made at `since` by our monotonic clock."""

    version: Stamp
    since: float
    every: float
    known: dict[str, JobState]

    def age(self) -> float:
        return time.monotonic() - self.since


_own: dict[Path, _SavedAnswers] = {}
"""The last answers that this process got, by file.

With them it need not trust a file server's clock. And where it may not write the file (a colleague
watches), it still does not ask each time.
"""
_ahead: dict[Path, float] = {}
"""How many seconds a file server's clock was ahead of this machine's at the last answers."""


def _saved(path: Path) -> _SavedAnswers:
    version, own = stamp(path), _own.get(path)
    if own is not None and own.version == version:
        return own
    value = reading.read_object(path)
    age = float("inf")  # a file from the future has another clock
    if version is not None:
        passed = time.time() + _ahead.get(path, 0.0) - version[0] / 1e9
        age = passed if passed > -1 else age
    every = value.get("every")
    every = recorded_numbers.seconds(every) or 0.0
    return _SavedAnswers(version, time.monotonic() - age, every, _states_in(value))


def _save(path: Path, every: float, known: dict[str, JobState]) -> dict[str, JobState]:
    """Save answers for all readers; for this process alone where the folder is not our own."""
    answers = {token: [s.alive, s.words, s.runs] for token, s in known.items()}
    with contextlib.suppress(OSError):
        if _is_own(path):
            files.write_json(path, {"every": every, "answers": answers})
            _ahead[path] = os.stat(path).st_mtime - time.time()
    _own[path] = _SavedAnswers(stamp(path), time.monotonic(), every, known)
    return dict(known)


def _is_own(path: Path) -> bool:
    """Whether the file's folder is this user's, and is reached through no link of the search.

    To watch a folder of another user writes nothing there: that user could put a link in between.
    """
    jobs = path.parent
    is_direct = files.link_among(jobs.parent.parent, jobs.parent.name) is None
    return is_direct and user_files.is_own(jobs)


def _states_in(value: Mapping[str, Any]) -> dict[str, JobState]:
    answers = value.get("answers")
    found: dict[str, JobState] = {}
    for token, answer in answers.items() if isinstance(answers, dict) else ():
        with contextlib.suppress(TypeError, ValueError):
            alive, words, runs = answer
            found[token] = JobState(alive, str(words), runs)
    return found
