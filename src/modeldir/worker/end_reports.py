"""The reports of a worker when a trial ends, and when the search does.

`worker.py` calls it. How an attempt ended was decided by its supervisor (`end_status.py`); the
lines come from `monitor/snapshots.py` and `monitor/summary.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from modeldir._system import processes
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts, experiment
from modeldir.monitor import progress
from modeldir.monitor.snapshots import result_text
from modeldir.monitor.summary import WorkerOutcome, how_failed, summary
from modeldir.search import infeasible_region, worker_registry
from modeldir.search.trial_record import TrialRecord
from modeldir.worker import running_trials, worker_messages
from modeldir.worker.cluster_job import JobSession
from modeldir.worker.metric_reports import MetricReports
from modeldir.worker.shared_outputs import SharedOutputs
from modeldir.worker.worker_limits import StopRules
from modeldir.worker.worker_log import WorkerLog, noted_ends

if TYPE_CHECKING:
    from modeldir.search.search import Search

_LONG = 600.0
"""Seconds of a trial after which it matters whether an interrupted trial can resume."""

_FIRST = 5
"""Completed trials after which the working folder is looked at: of two that ran at the same moment
it cannot be known whether both wrote a file.
"""


class EndReports:
    def __init__(self, search: Search, log: WorkerLog, rules: StopRules) -> None:
        self._search, self._log, self._rules = search, log, rules
        self._outputs: SharedOutputs | None = SharedOutputs(search.working_folder())
        self._metrics = MetricReports(search, log)
        self._has_warned = self._has_asked = False
        self._errors: set[tuple[str, str]] = set()
        self._described: set[str | None] = set()

    def trial_ended(
        self, record: TrialRecord, status: experiment.Status, shown: progress.ShownTrial
    ) -> None:
        self._report(record, status, shown)
        self._rules.check_failures(status)
        self._describe_region(status)
        if status.state in attempts.WITH_METRICS and self._search.plan.metric is None:
            self._settle_metric(record)
        self._metrics.trial_ended(record, status)
        if status.state == attempts.COMPLETED:
            self._rules.check_target()
            self._warn_of_long_trials(record, status)
            self._warn_of_shared_outputs()

    def _describe_region(self, status: experiment.Status) -> None:
        """Print once which configurations fail, e.g. run out of memory."""
        failure = status.failure if status.state == attempts.FAILED else None
        if failure is None or failure in self._described:
            return
        found = infeasible_region.describe(self._search, failure)
        if found is not None:
            self._described.add(failure)
            self._log.message(found)

    def report_unseen(self) -> set[processes.Process]:
        """Report the trials that ended after their worker was killed. Returns those workers."""
        search = self._search
        killed = worker_registry.killed_workers(search.path)
        noted = noted_ends(search.path) if killed else {}
        for record in search.trials if killed else ():
            status = search.trials.status(record)
            folder = search.trials.path(record)
            last = attempts.read(folder, status.attempt) if status.attempt else None
            if last is None or last.end is None or running_trials.worker_of(last) not in killed:
                continue
            if noted.get(record.number, "") < str(last.record.get("ended")):
                shown = progress.ShownTrial(record.name, folder, 0.0, record.number)
                self._report(record, status, shown)
                if status.state == attempts.COMPLETED and search.plan.metric is None:
                    self._settle_metric(record)
        return killed

    def summarize(self, job: JobSession, *, stopped: bool) -> WorkerOutcome:
        """Print the summary of the search, and return how this worker's part of it ended."""
        rules, trials = self._rules, self._search.trials
        outcome = WorkerOutcome(
            Counter(rules.ended.values()),
            tuple(name for name, state in rules.ended.items() if state == attempts.FAILED),
            None if rules.problem is None else rules.problem.without_state(),
            stopped=stopped,
            limited=rules.is_limited,
            same_error=rules.same_error,
            elsewhere=_count(attempts.RUNNING, map(trials.status, trials.statuses.unfinished())),
            failed_in_all=_count(attempts.FAILED, map(trials.status, trials)),
            comes_again=job.comes_again(),
            as_asked=job.token is not None and job.stop_requested,
        )
        self._log.result(summary(self._search, outcome))
        return outcome

    def why_left(self, registration: worker_registry.Registration, urgency: int) -> str:
        if self._rules.problem is not None:
            return self._rules.problem.summary
        if urgency:
            by = registration.asked_by
            return f"asked to stop by {by}" if by else "asked to stop by a signal"
        if self._rules.reason is not None:
            return self._rules.reason
        if self._rules.has_started_all:
            return "it has started as many trials as it may"
        return "nothing was left to start"

    def _report(
        self, record: TrialRecord, status: experiment.Status, shown: progress.ShownTrial
    ) -> None:
        why = status.reason if status.state == attempts.PRUNED else None
        if status.state == attempts.PENDING:
            why = worker_messages.NOTHING_RECORDED
        scores = self._search.trials.validation(record)
        words = result_text(status, scores, self._search.plan.metric, why)
        brief = words
        if status.state == attempts.FAILED:
            error = how_failed(self._search, record)
            if error in self._errors:
                brief = result_text(status, scores, None, worker_messages.SAME_ERROR)
            self._errors.add(error)
        self._log.ended(shown, status.state, words, shown=brief)

    def _settle_metric(self, record: TrialRecord) -> None:
        try:
            chosen = self._search.scheduler.settle_metric(record)
        except (ModeldirError, OSError) as error:
            self._rules.stop_for(error)
            return
        if chosen is not None:
            self._log.detail(worker_messages.ranking_by(*chosen))
            return
        names = [*self._search.trials.validation(record)]
        if names and not self._has_asked and self._search.plan.metric is None:
            self._has_asked = True
            self._log.message(worker_messages.not_ranked(names, self._search.path))

    def _warn_of_long_trials(self, record: TrialRecord, status: experiment.Status) -> None:
        """Warn once of a long trial that cannot resume: an interruption may cost a night."""
        if self._has_warned or (status.duration or 0) < _LONG:
            return
        self._has_warned = True
        events = attempts.read_events(self._search.trials.path(record))
        can_resume = any(event.get("event") == "can_resume" for event in events)
        plan = self._search.plan
        if not plan.resume and not plan.resumes_itself and not can_resume:
            self._log.message(worker_messages.long_trial(record.title, status.duration or 0))

    def _warn_of_shared_outputs(self) -> None:
        """Warn of files that the first trials of a search write into the working folder."""
        if self._outputs is None:
            return
        trials, folder = self._search.trials, self._search.working_folder()
        ours = list(self._rules.ended.values()).count(attempts.COMPLETED)
        completed = _count(attempts.COMPLETED, map(trials.status, trials))
        if ours > _FIRST or completed > ours:  # another worker, or an earlier one, has said it
            self._outputs = None
            return
        written, overwritten = self._outputs.trial_completed()
        if written:
            self._log.message(worker_messages.written_beside(written, folder))
        if overwritten:
            self._outputs = None
            self._log.message(worker_messages.overwritten(overwritten, folder))


def _count(state: str, statuses: Iterable[experiment.Status]) -> int:
    return sum(status.state == state for status in statuses)
