"""Say once, after a search's first trials, where metrics came from and what is wrong with them.

`end_reports.py` calls `trial_ended`. It prints the file that metrics were taken from, which goes
into the plan; a pattern to type, if there were no metrics but lines that look like some; and that
early stopping cannot work, because the script leaves no steps. The rule: only the first
trials are looked at, since each look reads files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modeldir._system import reading
from modeldir._system.shell import quoted
from modeldir.experiment import attempts, experiment, failure_classes
from modeldir.metrics import line_proposals, metric_files
from modeldir.monitor.summary import the_script
from modeldir.search import worker_registry
from modeldir.search.trial_record import TrialRecord
from modeldir.worker import worker_messages
from modeldir.worker.worker_log import WorkerLog

if TYPE_CHECKING:
    from modeldir.search.search import Search

_FIRST = 3
"""Trials with metrics that are looked at."""


class MetricReports:
    """Prints what a worker has to say about the metrics of its first trials."""

    def __init__(self, search: Search, log: WorkerLog) -> None:
        self._search, self._log = search, log
        self._left = _FIRST
        self._wants_proposal = self._wants_steps = True

    def trial_ended(self, record: TrialRecord, status: experiment.Status) -> None:
        """Look at the metrics of a trial that has ended."""
        if self._left <= 0:
            return
        is_lacking = status.failure == failure_classes.MISSING_METRIC
        if status.state not in attempts.WITH_METRICS and not is_lacking:
            return
        self._left -= 1
        if self._search.trials.validation(record) and not is_lacking:
            self._wants_proposal = False
            self._say_source(record, status)
            self._warn_of_lacking_steps(record, status)
        elif self._wants_proposal:
            self._wants_proposal = False
            self._propose(record)

    def _say_source(self, record: TrialRecord, status: experiment.Status) -> None:
        plan = self._search.plan
        if plan.metrics or plan.metrics_from:
            return
        folder = self._search.trials.path(record)
        origin = attempts.read(folder, status.attempt).record.get("metrics_from")
        if isinstance(origin, str) and origin and self._search.scheduler.settle_source(origin):
            name = plan.metric[0] if plan.metric else ""
            self._log.message(worker_messages.metrics_from(origin, name, steps_in(folder, name)))

    def _propose(self, record: TrialRecord) -> None:
        console = self._search.trials.path(record) / attempts.console_file()
        found = line_proposals.propose_for(console)
        if found is not None:
            again = worker_registry.resume_command(self._search.path)
            command = f"{again} --metrics {quoted(found.pattern)}"
            self._log.message(worker_messages.proposed_metrics(record.title, found.line, command))

    def _warn_of_lacking_steps(self, record: TrialRecord, status: experiment.Status) -> None:
        """Warn that no trial can be stopped early, if a trial shows its metric only once."""
        plan = self._search.plan
        is_whole = status.state == attempts.COMPLETED
        if not (self._wants_steps and plan.pruner and plan.metric and is_whole):
            return
        self._wants_steps = False
        folder = self._search.trials.path(record)
        judged = attempts.read(folder, status.attempt).record.get("steps")
        if isinstance(judged, int) and judged > 1:
            return
        if any(e.get("event") == attempts.PRUNES_ITSELF for e in attempts.read_events(folder)):
            return
        if steps_in(folder, plan.metric[0]) > 1:
            return
        script = the_script(plan.command)
        self._log.message(worker_messages.no_steps(script, plan.metric[0], plan.pruner.kind))


def steps_in(folder: object, metric: str) -> int:
    """Return how many steps `metrics.jsonl` has with a metric, at most 2; "" is any metric."""
    name = metric_files.without_split(metric)
    steps: set[float] = set()
    for index, line in enumerate(reading.lines(f"{folder}/{metric_files.METRICS_LINES}")):
        step, _, values = metric_files.logged_step(line, index)
        if not name or name in metric_files.validation_metrics(values):
            steps.add(step)
        if len(steps) > 1:
            break
    return len(steps)
