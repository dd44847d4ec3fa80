"""A worker inside a cluster's job: how its stay ends, and whether the job is started again.

`worker.py` has one `JobSession`, also when it runs in no job: then all methods do nothing. When the
job's time is over, the session runs the command that the launcher gave it to start the job again.
It must never do so in vain: if nothing ended in the whole job, and no interrupted trial saved
weights to resume from, the next job would end like this one, for ever. Submitting jobs:
`launchers/`; which jobs exist: `launchers/launched_jobs.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system.shell import quoted_line
from modeldir.experiment import attempts, saved_weights
from modeldir.search import resuming, worker_registry

if TYPE_CHECKING:
    from modeldir.search.search import Search

_PATIENCE = 60.0

_TOO_LONG = "its time was over: a trial needs more time than the job has"
_IN_VAIN = """\
not started again: no trial ended in this job, and none saved weights to resume from;
  a trial needs more time than the job has. Give the job more time, or let the script save its
  weights and add how it resumes: {again} --resume '--restore_file last'"""


@dataclass(frozen=True)
class Job:
    """The job that a worker is.

    `token` is the launcher's name for it; `requeue` is the command that starts the job again when
    its time is over.
    """

    token: str
    requeue: tuple[str, ...] = ()


class JobSession:
    """One worker's stay in a job. `message` prints something for the user."""

    def __init__(self, search: Search, job: Job | None, message: Callable[[str], None]) -> None:
        self._search, self._job, self._message = search, job, message
        self._has_run_trials = self._makes_progress = False
        self._saved_before: dict[Path, object] = {}  # `_saved` as each trial began, by folder
        self.time_is_up = False
        """Whether the job manager has signaled that the job's time is nearly over."""
        self.stop_requested = False
        """Whether `modeldir stop` asked the worker to leave: then the job is not started again."""

    @property
    def token(self) -> str | None:
        return None if self._job is None else self._job.token

    def facts(self) -> dict[str, Any]:
        """Return what a run file records about the job in which its trial runs."""
        if self._job is None:
            return {}
        return {"job": worker_registry.job_facts(self._search.path, self._job.token, os.environ)}

    def started(self, folder: Path) -> bool:
        """Whether an earlier copy of this job started the folder's latest attempt."""
        last = attempts.latest(folder) if self._job is not None else None
        job = last.record.get("job") if last is not None else None
        return isinstance(job, dict) and job.get("token") == self.token

    def trial_started(self, folder: Path) -> None:
        if self._job is not None:
            self._saved_before[folder] = _saved(folder)

    def trial_ended(self, folder: Path, state: str) -> None:
        """Note a trial that has ended, or was interrupted."""
        saved_before = self._saved_before.pop(folder, None)
        if self._job is None:
            return
        self._has_run_trials = True
        if state != attempts.INTERRUPTED:
            self._makes_progress = True
        elif not self._makes_progress and _saved(folder) != saved_before:
            self._makes_progress = resuming.can_resume(self._search.plan, folder)

    def comes_again(self) -> bool:
        """Whether `end` will start the job again, if its job manager obeys."""
        can = self._job is not None and bool(self._job.requeue)
        return can and self.time_is_up and not self.stop_requested and not self._why_not()

    def end(self, why: str) -> None:
        """Start the job again if its time is over and work is left; else record why it ended."""
        if self._job is None:
            return
        if self.time_is_up and not self.stop_requested:
            why = self._start_again(self._job.requeue)
        if why:
            worker_registry.end_job(self._search.path, self._job.token, why)

    def _start_again(self, words: tuple[str, ...]) -> str:
        """Start the job again. Returns why that did not happen, or an empty string."""
        why = self._why_not()
        if why == _TOO_LONG:
            self._message(_IN_VAIN.format(again=worker_registry.resume_command(self._search.path)))
        if why or not words:
            return why or "its time was over"
        problem = _run(words, self._message)
        if problem:
            self._message(f"next: {worker_registry.resume_command(self._search.path)}")
        return problem

    def _why_not(self) -> str:
        """Return why the job should not be started again, or an empty string if it should."""
        if not self._search.scheduler.may_have_more(frozenset()):
            return "its time was over, and nothing was left to start"
        if not self._has_run_trials:
            return "its time was over before it could begin a trial"
        return "" if self._makes_progress else _TOO_LONG


def _saved(folder: Path) -> object:
    """Return something that changes when a training run saves weights in its folder."""
    path = saved_weights.newest_checkpoint(folder)
    with contextlib.suppress(OSError):
        return None if path is None else (path, path.stat().st_mtime_ns)
    return None


def _run(words: tuple[str, ...], message: Callable[[str], None]) -> str:
    """Run the command that starts a job again. Returns what went wrong, or an empty string."""
    from modeldir.launchers.command import asked  # noqa: PLC0415 - once, at the end of a job's time

    line, answer = quoted_line(words), asked(words, _PATIENCE)
    if answer.code == 0:
        message(f"the job is started again: {line}")
        return ""
    message(f"the job is not started again: {line}: {answer.words}")
    return f"its time was over; {line}: {answer.words}"
