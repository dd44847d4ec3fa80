"""Read Slurm's queue: the output of `squeue -h -r -t all -o FORMAT`.

`slurm` calls `Queue.state`. Never guess: with a state that is not listed here (of a newer Slurm), a
job is neither alive nor dead, but unknown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from modeldir.launchers import JobRef, JobState

FORMAT = "%i|%T|%N|%r|%j"  # the name comes last, because it may contain anything

_ENDED = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL",
    "OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT",
})  # fmt: skip
_WAITS = frozenset({
    "CONFIGURING", "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
})  # fmt: skip
_RUNS = frozenset({
    "COMPLETING", "EXPEDITING", "RESIZING", "RUNNING", "SIGNALING", "STAGE_OUT", "STOPPED",
    "SUSPENDED", "UPDATE_DB",
})  # fmt: skip


_FOR_EVER = re.compile(
    r"PartitionTimeLimit|DependencyNeverSatisfied|(Assoc|QOS)Max\w+PerJob(Limit)?|QOSMin\w+"
)
"""Reasons that do not go away by waiting."""


class Queue:
    def __init__(self, text: str) -> None:
        self.by_number: dict[str, _Line] = {}
        self.by_token: dict[str, _Line] = {}
        self._arrays: list[_Line] = []
        for line in filter(None, map(_line, text.splitlines())):
            self._add(line)

    def _add(self, line: _Line) -> None:
        if "[" in line.job:  # several jobs of an array in one line
            self._arrays.append(line)
            return
        known = self.by_number.get(line.job)
        if known is None or known.state.alive is False:
            self.by_number[line.job] = line
            if line.token:
                self.by_token[line.token] = line

    def state(self, job: JobRef, owner: int) -> JobState:
        """Return a job's state, if the queue shows it. Another user's jobs may be hidden.

        A number alone does not identify a job: a cluster that was set up again, or has used all
        numbers, gives it to another one.
        """
        line = self._line_of(job)
        if line is not None:
            return line.state
        if owner != os.geteuid():
            return JobState(None, "not in the queue that you can see")
        return JobState(alive=False)

    def number_of(self, job: JobRef) -> str | None:
        """Return the number under which a job is in the queue; None if it is not there."""
        line = self._line_of(job)
        if line is None:
            return None
        return line.job if line.token == job.token else job.job

    def _line_of(self, job: JobRef) -> _Line | None:
        line = self.by_token.get(job.token)
        if line is not None:
            return line
        array, base = job.job.partition("_")[0], job.token.partition("_")[0]
        for shown in self._arrays:
            if shown.job.startswith(f"{array}_[") and shown.base == base:
                return shown
        return None


@dataclass(frozen=True)
class _Line:
    job: str
    base: str | None
    token: str | None
    state: JobState


_NAME = re.compile(r"-([0-9a-f]{16})(?:\+(\d+))?$")


def _line(text: str) -> _Line | None:
    parts = text.split("|", 4)
    if len(parts) <= 4 or not parts[0][:1].isdecimal():  # noqa: PLR2004 - the fields of FORMAT
        return None
    job, word, nodes, reason, name = (part.strip() for part in parts)
    named, index = _NAME.search(name), job.partition("_")[2]
    base, token = named[1] if named else None, None
    if named and (index.isdecimal() or not index):
        token = f"{named[1]}_{int(named[2] or 0) + int(index or 0)}"
    return _Line(job, base, token, _state(word, nodes, reason))


def _state(word: str, nodes: str, reason: str) -> JobState:
    """Return a job's state by Slurm's word for it; unknown for a word that is not listed."""
    first = word.split(maxsplit=1)[0].rstrip("+") if word else ""
    reasons = f" ({reason})" if reason not in ("", "None", "(null)") else ""
    place = f" on {nodes}" if nodes else ""
    if first in _ENDED:
        return JobState(alive=False, words=word + place + reasons)
    if first in _WAITS:
        stuck = ": with these options it never starts" if _FOR_EVER.fullmatch(reason) else ""
        return JobState(alive=True, words=word + reasons + stuck, runs=False)
    if first in _RUNS:
        return JobState(alive=True, words=word + place + reasons, runs=True)
    return JobState(None, word + place + reasons)
