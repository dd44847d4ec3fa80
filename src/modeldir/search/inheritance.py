"""Trials that begin with another's weights: whose, at which step, and whether they can go on.

Population-based training makes such trials, and `modeldir retry --set` of pruned ones. It knows
what `trial.json` and run files say of a parent. It refuses to copy weights: who starts the trial
does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir.errors import SearchError
from modeldir.experiment import attempts, experiment
from modeldir.search.plan import Plan
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials


def parent_of(trials: Trials, trial: TrialRecord) -> Path | None:
    """The folder of the trial with whose weights this one begins; None where it has none."""
    if trial.parent is None:
        return None
    number = trial.parent.get("number")
    known = next((each for each in trials if each.number == number), None)
    return None if known is None else trials.path(known)


def lineage(trials: Trials, trial: TrialRecord) -> dict[str, Any]:
    """What a run file says of the trial with whose weights this one begins: also at which step that
    is by now.
    """
    folder = parent_of(trials, trial)
    if folder is None or trial.parent is None:
        return {}
    step = experiment.last_step(folder).get("step", trial.parent.get("step"))
    return {"parent": {**trial.parent, "step": step}}


def ends(trials: Trials, trial: TrialRecord) -> tuple[int, ...]:
    """The steps at which a training is over: what it was told, and where others have ended."""
    found = {experiment.planned_steps(trial.hyperparameters)}
    done = [
        experiment.last_step(trials.path(record)).get("step")
        for record in trials
        if trials.status(record).state == attempts.COMPLETED
    ]
    found.add(max((step for step in done if isinstance(step, int)), default=None))
    return tuple(sorted(step for step in found if step is not None))


def as_parent(trials: Trials, record: TrialRecord) -> dict[str, Any]:
    """What `trial.json` says of a trial with whose last weights another begins."""
    step = experiment.last_step(trials.path(record)).get("step")
    return {"number": record.number, "name": record.name, "step": step}


def resume_arguments(plan: Plan, folder: Path) -> tuple[str, ...] | None:
    """The arguments with which a trial goes on from what lies in its folder; None where it can only
    begin afresh, as far as is known.
    """
    if plan.resume and experiment.has_weights(folder):
        return plan.resume
    told = attempts.read_events(folder)
    return () if any(event.get("event") == "can_resume" for event in told) else None


def continue_arguments(plan: Plan, folder: Path) -> tuple[str, ...] | None:
    """As `resume_arguments`, for a trial that has ended: without weights it begins afresh."""
    way = resume_arguments(plan, folder)
    return way if way or attempts.last_weights(folder) else None


def parent_in(
    plan: Plan, trials: Trials, notes: Mapping[str, Any], *, in_loop: bool
) -> tuple[dict[str, Any] | None, bool]:
    """The trial with whose last weights a proposed one begins, if it has one; and false where that
    has saved none yet, or is at the end of its training. The body of a loop in Python knows how to
    go on, a script may not.

    Raises:
        SearchError: when its script leaves no weights, or cannot go on from them.
    """
    told = notes.get("parent")
    if not isinstance(told, Mapping):
        return None, True
    record = trials[told["number"]]
    folder = trials.path(record)
    if attempts.last_weights(folder) and (in_loop or resume_arguments(plan, folder) is not None):
        if told.get("ended") or trials.status(record).state == attempts.COMPLETED:
            return None, False  # its copy would find no step left to train
        return {"number": record.number, "name": record.name, "step": told.get("step")}, True
    if trials.status(record).state == attempts.RUNNING:
        return None, False
    raise SearchError(
        f"{trials.folder}: {plan.sampler} has trials go on from other trials' weights, and "
        f"{record.name} left none that its script could go on from\n"
        "  let the script save them as last.* (run.save_checkpoint does), and begin with\n"
        "  run.restore(); or say how it goes on: --resume '--restore_file last'"
    )
