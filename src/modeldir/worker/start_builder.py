"""From a search's turn to the `Start` that a supervisor runs: command, environment, facts.

`worker.py` calls `StartBuilder.build` for each attempt, after it has a seat for it. How an
interrupted trial resumes, and with which weights a child of another trial begins, is decided here;
whether it is that trial's turn at all: `search/search.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import processes
from modeldir._system.version import __version__
from modeldir.experiment import attempts, liveness, trial_labels
from modeldir.metrics import objective
from modeldir.pruners import pruning_decision
from modeldir.search import inherited_weights, placeholders, resuming
from modeldir.search.trial_record import TrialRecord, Turn
from modeldir.worker import worker_messages
from modeldir.worker.cluster_job import JobSession
from modeldir.worker.slots import Seat
from modeldir.worker.start_order import Start

if TYPE_CHECKING:
    from modeldir.search.search import Search
    from modeldir.worker.worker_log import WorkerLog


class StartBuilder:
    """Makes the starts of one worker. `bound`: no trial may outlive the worker."""

    def __init__(self, search: Search, log: WorkerLog, job: JobSession, *, bound: bool) -> None:
        self._search, self._log, self._job, self._bound = search, log, job, bound
        self._has_noted_checkpoint = False
        me = processes.process()
        self._worker = me.to_json() if me else None

    def build(
        self,
        turn: Turn,
        last: attempts.Attempt | None,
        seat: Seat,
        variables: Mapping[str, str],
        *,
        doubt: bool,
    ) -> Start:
        """Return the start of the attempt whose turn it is, in a seat.

        `last` is the trial's attempt before this one, and `doubt` says that only a
        heartbeat tells that it is dead. `variables` are added to the trial's environment.
        """
        search, record = self._search, turn.record
        folder = search.trials.path(record)
        extra = self._how_to_resume(record, folder, last)
        inherits = self._inherited(record) if extra is None and record.parent else ()
        if inherits:
            typed = search.plan_file.typed_folder(record.name)
            weights = os.path.basename(inherits[0])
            words, values = search.plan.resume, record.hyperparameters
            project = str(search.working_folder())
            extra = resuming.arguments_for(words, typed, values, weights, project)
        metric = search.plan.metric
        ranked = {objective.RANKED_VARIABLE: f"{metric[1]}:{metric[0]}"} if metric else {}
        orders = search.judged_by(record)
        if orders is not None and extra is None:  # the weights of its parent are gone
            orders = replace(orders, begun=0)
        judged = {pruning_decision.VARIABLE: orders.to_text()} if orders else {}
        return Start(
            folder=os.path.abspath(folder),
            number=turn.attempt,
            command=(*search.command_for(record), *(extra or ())),
            cwd=os.path.abspath(folder)
            if search.plan.run_in_trial
            else str(search.working_folder()),
            resumes=extra is not None,
            makes=placeholders.made_by(search.plan.command or ""),
            inherits=inherits,
            variables={**self.variables, **ranked, **judged, **variables, **seat.variables},
            facts={
                "worker": self._worker,
                **search.setting(),
                "commit": search.commit(),
                **search.kept(),
                "modeldir": __version__,
                **inherited_weights.lineage(search.trials, record),
                **seat.facts,
                **self._job.facts(),
            },
            metric=metric,
            metrics=search.plan.metrics,
            metrics_from=search.plan.metrics_from,
            pruner=orders.to_text() if orders else None,
            time_limit=search.plan.trial_time_limit,
            bound=self._bound,
            doubt=doubt,
        )

    @property
    def variables(self) -> dict[str, str]:
        """The variables of all trials: one that runs in its own folder finds the project's code."""
        if not self._search.plan.run_in_trial:
            return {}
        project, known = str(self._search.working_folder()), os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, (project, known)))}

    def is_in_doubt(self, record: TrialRecord, last: attempts.Attempt | None) -> bool:
        """Return whether only a heartbeat tells that an attempt is dead."""
        if last is None or last.end is not None:
            return False
        if liveness.is_alive(last) is False:
            return attempts.is_in_doubt(last)
        self._log.message(worker_messages.taking_over(record.title, liveness.host_of(last)))
        return True

    def _how_to_resume(
        self, record: TrialRecord, folder: Path, last: attempts.Attempt | None
    ) -> tuple[str, ...] | None:
        """Return the arguments with which an attempt resumes; None if it begins afresh.

        A trial resumes only after an interruption, or if it was pruned and is to continue after
        all. A failed trial that runs again begins afresh.
        """
        last = attempts.last_started(last)
        if last is None:
            return None
        spared = last.end == attempts.PRUNED and self._search.trials.claims.is_spared(record)
        if last.end not in (None, attempts.INTERRUPTED) and not spared:
            return None
        typed = self._search.plan_file.typed_folder(record.name)
        how = resuming.resuming(
            self._search.plan,
            folder,
            typed,
            record.hyperparameters,
            str(self._search.working_folder()),
        )
        if spared and how.found is None:
            return None
        self._report(record, how)
        return how.arguments

    def _report(self, record: TrialRecord, how: resuming.Resuming) -> None:
        """Print from where a trial resumes; if it begins afresh, why."""
        is_told = bool(self._search.plan.resume) or self._search.plan.resumes_itself
        if is_told:
            self._log.message(worker_messages.resumes(record.title, how))
        elif how.arguments is None and how.found is not None and not self._has_noted_checkpoint:
            self._has_noted_checkpoint = True
            self._log.message(worker_messages.checkpoint_unused(record.title, how.found))

    def _inherited(self, record: TrialRecord) -> tuple[str, ...]:
        """Return the last weights of the trial's parent, with which the trial begins."""
        parent = inherited_weights.parent_of(self._search.trials, record)
        found = attempts.last_weights(parent) if parent is not None else []
        if record.parent is not None and not found:
            number, name = record.parent["number"], record.parent["name"]
            named = trial_labels.title(number, name)
            self._log.message(worker_messages.weights_are_gone(record.title, named))
        return tuple(map(os.path.abspath, found))
