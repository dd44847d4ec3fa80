"""The records of launched jobs: one file a job in `.modeldir/jobs/` (docs/reference/files.md).

`launched_jobs` writes a record *before* it asks a launcher, so that a job whose start was cut short
is found again instead of started twice. The rule: only records of rounds that somebody won count,
and only in the folder that they were written for, not in a copy.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, processes, reading, recorded_numbers, timestamps
from modeldir.experiment import attempts
from modeldir.launchers import TOKEN, JobRef, from_json, jobs_folder

_FORMAT = 1
_ROUND = re.compile(r"round\.(\d+)\.json")


@dataclass(frozen=True)
class JobRecord:
    """A job as its file has it; `by` is the process that asked for it, at the Unix time `asked`."""

    ref: JobRef
    options: Mapping[str, Any]
    by: processes.Process | None
    asked: float
    is_started: bool


def record_file(search: Path, token: str) -> Path:
    return jobs_folder(search) / f"{token}.json"


def round_file(search: Path, number: int) -> Path:
    return jobs_folder(search) / f"round.{number}.json"


def write_records(search: Path, jobs: Iterable[JobRef], facts: Mapping[str, Any]) -> None:
    me = processes.process()
    who = {
        "asked": timestamps.utc_now(),
        "by": me.to_json() if me else None,
        "folder": attempts.identity_of(search),
    }
    for job in jobs:
        record = {"format": _FORMAT, **job.to_json(), **facts, **who}
        files.write_json(record_file(search, job.token), record)


def record_started(search: Path, ref: JobRef) -> None:
    path = record_file(search, ref.token)
    found = reading.read_object(path)
    files.write_json(path, {**found, **ref.to_json(), "started": timestamps.utc_now()})


def remove_records(search: Path, tokens: Iterable[str]) -> None:
    for token in tokens:
        with contextlib.suppress(OSError):
            os.unlink(record_file(search, token))


def last_round(search: Path) -> int:
    found = filter(None, map(_ROUND.fullmatch, _names(search)))
    return max((int(each[1]) for each in found), default=0)


def read_records(search: Path) -> list[JobRecord]:
    """Return the jobs of all rounds that were won, in the order of their start.

    In a copy of a search they are left out: a command there must neither count nor cancel them.
    """
    inode = attempts.identity_of(search).get("inode")
    winners: dict[int, str | None] = {}
    found: list[tuple[int, int, JobRecord]] = []
    for name in _names(search):
        token = name.removesuffix(".json")
        if not TOKEN.fullmatch(token) or not name.endswith(".json"):
            continue
        facts = reading.read_object(record_file(search, token))
        ref, number = from_json(facts), recorded_numbers.integer(facts.get("round"))
        folder = facts.get("folder")
        is_here = isinstance(folder, dict) and folder.get("inode") == inode
        if ref is None or ref.token != token or number is None or not is_here:
            continue
        if number not in winners:
            winners[number] = _winner(search, number)
        base, _, index = token.rpartition("_")
        if winners[number] == base or (winners[number] is None and "started" in facts):
            found.append((number, int(index), _record(ref, facts)))
    return [record for *_, record in sorted(found, key=lambda each: each[:2])]


def _winner(search: Path, number: int) -> str | None:
    """Return the base of the tokens that won a round.

    None if a power failure cut the round's file short. Then the jobs count that were started.
    """
    base = reading.read_object(round_file(search, number)).get("base")
    return None if base is None else str(base)


def _record(ref: JobRef, facts: Mapping[str, Any]) -> JobRecord:
    options = facts.get("options")
    return JobRecord(
        ref,
        options if isinstance(options, dict) else {},
        processes.from_json(facts.get("by")),
        timestamps.unix_time(facts.get("asked")) or 0.0,
        "started" in facts,
    )


def _names(search: Path) -> list[str]:
    try:
        return os.listdir(jobs_folder(search))
    except OSError:
        return []
