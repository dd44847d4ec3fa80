"""Why a worker starts no more trials: a limit, a reached target, failures, or an error.

`worker.py` asks before each start, and calls `trial_ended` for each end. Requests to stop that come
from outside are in `signals.py`. A rule only stops new trials: those that run are never ended here
(a trial that exceeds its own time limit: `supervisor.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modeldir.errors import ModeldirError, SearchError
from modeldir.experiment import attempts, failure_classes
from modeldir.experiment.experiment import Status
from modeldir.worker import worker_messages

if TYPE_CHECKING:
    from modeldir.search.search import Search
    from modeldir.worker.worker_log import WorkerLog

_FIRST_FAILURES = 3
"""A search whose first trials all fail with the same error stops after this many."""


@dataclass(frozen=True)
class Limits:
    """When a worker starts no more trials.

    `time` is in seconds since the worker began, `failures` and `trials` count failed and started
    trials of this worker. None: no limit.
    """

    time: float | None = None
    failures: int | None = None
    trials: int | None = None


class StopRules:
    """Whether one worker may start another trial.

    Args:
        running: the worker's running trials; only their number is used.
    """

    def __init__(self, search: Search, limits: Limits, log: WorkerLog, running: Sized) -> None:
        self._search, self._limits, self._log, self._running = search, limits, log, running
        self._began = time.monotonic()
        self._ignores_first_failures = False
        self.started = 0
        """How many trials this worker has started."""
        self.ended: dict[str, str] = {}
        """How trials ended, by name: a trial that ran twice counts once."""
        self.problem: ModeldirError | None = None
        """An error that the user has to fix."""
        self.reason: str | None = None
        """Why no more trials are started, although nothing is wrong."""
        self.same_error: int | None = None
        """How many trials failed with the same error, if that is why no more are started."""
        self.is_limited = False
        """Whether the next command starts more trials nevertheless."""

    def begin(self) -> None:
        """Look at what earlier workers left; the summary says if they have reached the target."""
        self.check_target(tell=self._log.note)
        # The first failures stopped this search before, and the user ran it again all the same.
        self._ignores_first_failures = (
            len(self._search.scheduler.retries.failed_unchanged()) >= _FIRST_FAILURES
        )

    @property
    def has_started_all(self) -> bool:
        return self._limits.trials is not None and self.started >= self._limits.trials

    @property
    def are_limited(self) -> bool:
        """Whether the user set any limit."""
        return self._limits != Limits()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be started, as far as is known."""
        return self.problem is not None or self.reason is not None or self.has_started_all

    def check_time(self) -> bool:
        """Whether there is time left; the first time that there is none, print it."""
        limit = self._limits.time
        if limit is None or time.monotonic() < self._began + limit:
            return True
        self.stop(worker_messages.TIME_LIMIT_REACHED)
        return False

    def check_target(self, *, tell: Callable[[str], None] | None = None) -> None:
        """Stop once a trial, also one of another worker, has reached the search's target."""
        reached, plan = self._search.scheduler.reached(), self._search.plan
        if reached is not None and plan.metric is not None:
            why = worker_messages.target_reached(plan.metric[0], reached, plan.target)
            self.stop(why, limited=False, tell=tell)

    def check_failures(self, status: Status) -> None:
        """Stop a search whose first trials all fail with the same error: so would the others."""
        if status.state != attempts.FAILED:
            return
        count = Counter(self.ended.values())[attempts.FAILED]
        if self._limits.failures is not None and count >= self._limits.failures:
            self.stop(worker_messages.too_many_failures(count))
        elif (
            count == _FIRST_FAILURES
            and not self._ignores_first_failures
            and self._all_have_same_error()
        ):
            line = status.last_line or status.reason or "no output"
            self.same_error = count
            self.stop(worker_messages.same_error(count, line))

    def stop(
        self, why: str, *, limited: bool = True, tell: Callable[[str], None] | None = None
    ) -> None:
        """Start no more. Not `limited`: the next command would not start more either."""
        if self.reason is None and self.problem is None:
            self.reason, self.is_limited = why, limited
            running = len(self._running)
            if not running and self.same_error is not None:  # the summary says so at once
                tell = self._log.note
            more = worker_messages.still_running(running) if running else ""
            (tell or self._log.message)(why + more)

    def stop_for(self, error: ModeldirError | OSError) -> None:
        """Start no more: the user has to fix something. Running trials continue."""
        if isinstance(error, OSError):
            error = SearchError(worker_messages.cannot_write(self._search.path, error.strerror))
        self.problem = error

    def _all_have_same_error(self) -> bool:
        """Whether all trials that ended here failed with one error, and no trial ever went well."""
        found = {r.name: self._search.trials.status(r) for r in self._search.trials}
        alike = {
            failure_classes.error_key(found[name].failure, found[name].last_line)
            for name, state in self.ended.items()
            if state == attempts.FAILED and name in found
        }
        is_well = any(status.state in attempts.WITH_METRICS for status in found.values())
        return len(alike) == 1 and not is_well
