"""Which trials that have ended run once more, and which ones must wait until the others have run.

The scheduler asks. A trial runs again when the user wants it (`modeldir retry`), when the plan's
`retries` allow it, or when it failed and the code, the command or the environment has changed, as
when a module that it lacked was installed (`missing_modules.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modeldir._system.timestamps import unix_time
from modeldir.experiment import attempts, experiment, failure_classes
from modeldir.search import missing_modules, trial_command
from modeldir.search.plan import Plan
from modeldir.search.trial_record import TrialRecord, Turn
from modeldir.search.trials import Trials

_DEADLY = 3
"""After this number of attempts in a row without an end, a trial waits until all others have run.
"""


class Retries:
    """The trials of a plan that have ended and run again."""

    def __init__(
        self,
        plan: Plan,
        trials: Trials,
        setting: Callable[[], Mapping[str, Any]],
        working_folder: Callable[[], Path],
    ) -> None:
        self._plan, self._trials, self._setting = plan, trials, setting
        self._working_folder = working_folder
        self._settings: dict[int, tuple[int, dict[str, Any]]] = {}  # of failed attempts
        self._installed: dict[str, float | None] = {}  # packages that failed attempts lacked

    def due(self) -> list[TrialRecord]:
        """Return the trials that should run once more, first those that the user wants."""
        failed = self._trials.statuses.failed()
        again = (record for record in failed if self.deserves_another(record))
        return [*self._trials.wanted_again(), *again]

    def deserves_another(self, record: TrialRecord) -> bool:
        return self._may_retry(record) or self._code_changed(record)

    def once_more(self, record: TrialRecord) -> Turn | None:
        """Return a further attempt of an ended trial, unless another worker makes it already."""
        known = self._trials.status(record)
        self._trials.statuses.forget(record)
        # It may run elsewhere by now.
        observer = self._trials.statuses.observer
        status = experiment.status(self._trials.path(record), observer=observer)
        live = status.state in {attempts.RUNNING, attempts.PENDING}
        return None if live or status.attempt != known.attempt else Turn(record, known.attempt + 1)

    def is_deadly(self, record: TrialRecord, last: int) -> bool:
        """Whether a trial's last attempts all have no end: their supervisors were killed, too.

        A trial that brings down its host each time must not do so to every worker before the others
        have run.
        """
        if last < _DEADLY:
            return False
        folder, latest = self._trials.path(record), range(last - _DEADLY + 1, last + 1)
        return all(attempts.read(folder, number).end is None for number in latest)

    def failed_unchanged(self) -> list[TrialRecord]:
        """Return the trials that have failed, and for which nothing has changed since."""
        failed = [r for r in self._trials if self._trials.status(r).state == attempts.FAILED]
        return [record for record in failed if not self._code_changed(record)]

    def _may_retry(self, record: TrialRecord) -> bool:
        if not self._plan.max_retries:
            return False
        folder, last = self._trials.path(record), self._trials.status(record).attempt
        ends = [attempts.read(folder, number).end for number in range(1, last + 1)]
        return ends.count(attempts.FAILED) <= self._plan.max_retries

    def _code_changed(self, record: TrialRecord) -> bool:
        """Whether a trial failed with code, a command or an environment that are not today's."""
        status = self._trials.status(record)
        if status.state != attempts.FAILED or status.failure not in failure_classes.FIXED_BY_CODE:
            return False
        now = self._setting()
        attempt, then = self._settings.get(record.number, (0, {}))
        if attempt != status.attempt:  # read once: each choice of a trial asks for all that failed
            run = attempts.read(self._trials.path(record), status.attempt).record
            then = {name: run[name] for name in now if name in run}
            if self._was_installed(run):
                then["packages"] = run["last_line"]
            self._settings[record.number] = status.attempt, then
        return any(then[name] != now.get(name) for name in then)

    def _was_installed(self, run: Mapping[str, Any]) -> bool:
        """Whether a package that a failed attempt lacked was installed after its end."""
        package, ended = (
            missing_modules.lacked_by(run.get("last_line")),
            unix_time(run.get("ended")),
        )
        if package is None or ended is None or self._plan.command is None:
            return False
        if package not in self._installed:  # asked once: an interpreter has to start
            words = trial_command.words_of(self._plan.command)
            now = missing_modules.installed_at(package, words, self._working_folder())
            self._installed[package] = now
        return (self._installed[package] or 0.0) > ended
