"""A worker's stay in a job: how it ends, and whether the job should be started again.

It knows the job's token, and by which command its job manager starts it again. It refuses to start
it in vain: where nothing ended in the whole job, and no interrupted trial saved what it could go on
from, the next start would end as this one did, for ever.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system.shell import quoted_line
from modeldir.experiment import attempts
from modeldir.search import inheritance, worker_registry

if TYPE_CHECKING:
    from modeldir.search.search import Search

_PATIENCE = 60.0

_TOO_LONG = "its time was over: a trial needs more time than the job has"
_IN_VAIN = """\
not started again: nothing ended in this job, and no trial saved what it could go on from;
  a trial needs more time than the job has. Give the job more, or let the training save its weights
  and say how it goes on: {again} --resume '--restore_file last'"""


@dataclass(frozen=True)
class Job:
    """The job that a worker is: its launcher's token, and the words of the command that starts it
    again when its time is over.
    """

    token: str
    requeue: tuple[str, ...] = ()


class Tenure:
    """One stay. `tell` says something to the user."""

    def __init__(self, search: Search, job: Job | None, tell: Callable[[str], None]) -> None:
        self._search, self._job, self._tell = search, job, tell
        self._begun = self._gets_on = False
        self._saved: dict[Path, object] = {}  # as `_saved` was when each trial began
        self.is_over = False
        """Whether the job manager said that the time is nearly over."""
        self.was_asked = False
        """Whether `modeldir stop` asked it to leave: then the job does not come again."""

    @property
    def token(self) -> str | None:
        return None if self._job is None else self._job.token

    def facts(self) -> dict[str, Any]:
        """What a run file says of the job in which its trial runs."""
        if self._job is None:
            return {}
        return {"job": worker_registry.job_facts(self._search.path, self._job.token, os.environ)}

    def is_of_this_job(self, folder: Path) -> bool:
        """Whether what a folder's latest attempt runs in is this job: an earlier copy of it."""
        last = attempts.latest(folder) if self._job is not None else None
        told = last.record.get("job") if last is not None else None
        return isinstance(told, dict) and told.get("token") == self.token

    def begin(self, folder: Path) -> None:
        """A trial begins."""
        if self._job is not None:
            self._saved[folder] = _saved(folder)

    def notice(self, folder: Path, state: str) -> None:
        """A trial has ended, or was interrupted."""
        saved_before = self._saved.pop(folder, None)
        if self._job is None:
            return
        self._begun = True
        if state != attempts.INTERRUPTED:
            self._gets_on = True
        elif not self._gets_on and _saved(folder) != saved_before:
            self._gets_on = inheritance.resume_arguments(self._search.plan, folder) is not None

    def comes_again(self) -> bool:
        """Whether `end` will have the job started again, if its job manager does as it is told."""
        can = self._job is not None and bool(self._job.requeue)
        return can and self.is_over and not self.was_asked and not self._why_not()

    def end(self, why: str) -> None:
        """Have the job start again where its time is over and work is left; else write that it has
        ended, and why.
        """
        if self._job is None:
            return
        if self.is_over and not self.was_asked:
            why = self._start_again(self._job.requeue)
        if why:
            worker_registry.end_job(self._search.path, self._job.token, why)

    def _start_again(self, words: tuple[str, ...]) -> str:
        """Why the job is not started again; nothing where it is."""
        why = self._why_not()
        if why == _TOO_LONG:
            self._tell(_IN_VAIN.format(again=worker_registry.again(self._search.path)))
        if why or not words:
            return why or "its time was over"
        problem = _run(words, self._tell)
        if problem:
            self._tell(f"next: {worker_registry.again(self._search.path)}")
        return problem

    def _why_not(self) -> str:
        """Why the job should not be started again; nothing where it should."""
        if not self._search.scheduler.may_have_more(frozenset()):
            return "its time was over, and nothing was left to start"
        if not self._begun:
            return "its time was over before it could begin a trial"
        return "" if self._gets_on else _TOO_LONG


def _saved(folder: Path) -> object:
    """What changes when a training saves weights in its folder."""
    found = []
    for path in attempts.last_weights(folder):
        with contextlib.suppress(OSError):
            found.append((path.name, path.stat().st_mtime_ns))
    return found


def _run(words: tuple[str, ...], tell: Callable[[str], None]) -> str:
    """Run the command that starts a job again: what went wrong, nothing if all is well."""
    from modeldir.launchers.command import asked  # noqa: PLC0415 - once, at the end of a job's time

    line, answer = quoted_line(words), asked(words, _PATIENCE)
    if answer.code == 0:
        tell(f"the job is started again: {line}")
        return ""
    tell(f"the job is not started again: {line}: {answer.words}")
    return f"its time was over; {line}: {answer.words}"
