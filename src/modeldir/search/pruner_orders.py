"""Connect a search to its pruner: the orders of each trial, and the values at the rungs.

`Search` gives each trial its `Orders`, by which the pruner judges it in the trial's own process
(`modeldir.pruners.pruning_decision`). The scheduler keeps the rungs true.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from modeldir import pruners
from modeldir._system import files, reading
from modeldir.errors import MetricsError
from modeldir.experiment.attempts import HOME
from modeldir.metrics import metric_files
from modeldir.pruners import rungs
from modeldir.pruners.pruning_decision import Judge, Orders
from modeldir.search import inherited_weights, plan_trials
from modeldir.search.plan_file import PlanFile
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials


def orders_for(plan_file: PlanFile, trials: Trials, trial: TrialRecord) -> Orders | None:
    """Return by what a trial may be ended early; None where the plan has no pruner."""
    setting = plan_file.plan.pruner
    if setting is None:
        return None
    return Orders(
        kind=setting.kind,
        options=setting.options,
        rungs=str(files.absolute(_rungs(plan_file.folder))),
        trial=trial.number,
        metric=plan_file.plan.metric,
        judges=not trials.claims.is_spared(trial),
        begun=int((trial.parent or {}).get("step") or 0),
        ends=inherited_weights.ends(trials, trial) if pruners.replaces(setting) else (),
    )


def note_removed(plan_file: PlanFile, trials: Trials) -> None:
    """Compare no trial with one that was removed or has another base config for now."""
    if plan_file.plan.pruner is not None:
        foreign = plan_trials.foreign(plan_file.plan, plan_file.flat_base, trials)
        rungs.note_removed(_rungs(plan_file.folder), trials.gone() | foreign)


def fill_rungs(plan_file: PlanFile, trials: Trials) -> None:
    """Give a pruner that is new in this search the values of trials that ran without it."""
    setting = plan_file.plan.pruner
    if setting is None or pruners.replaces(setting):  # it compares only trials that still run
        return
    done = _rungs(plan_file.folder) / rungs.FILLED / setting.key
    if done.exists():  # the rungs themselves do not show it: they may have been filled half
        return
    for record in trials:
        orders = orders_for(plan_file, trials, record)
        lines = reading.read_lines(trials.path(record) / metric_files.METRICS_LINES)
        attempt = trials.status(record).attempt
        if orders is not None and lines:
            # `plan.check` reports a metric without a direction.
            with contextlib.suppress(MetricsError):
                Judge(replace(orders, judges=False), attempt, resumes=False).hear_again(lines)
    with contextlib.suppress(OSError):  # on a full disk the next worker fills them once more
        done.parent.mkdir(parents=True, exist_ok=True)
        files.make_empty(done)


def _rungs(folder: Path) -> Path:
    return folder / HOME / "rungs"
