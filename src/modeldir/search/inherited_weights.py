"""Trials that begin with another trial's last weights.

Population-based training makes such trials, and `modeldir retry --set`. The scheduler asks
`parent_in`, the worker asks `parent_of`. The process that starts the trial copies the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir.errors import SearchError
from modeldir.experiment import attempts, experiment, saved_weights
from modeldir.search import resuming
from modeldir.search.plan import Plan
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials


def parent_of(trials: Trials, trial: TrialRecord) -> Path | None:
    """Return the folder of the trial with whose weights this one begins; None where it has none."""
    if trial.parent is None:
        return None
    number = trial.parent.get("number")
    known = next((each for each in trials if each.number == number), None)
    return None if known is None else trials.path(known)


def lineage(trials: Trials, trial: TrialRecord) -> dict[str, Any]:
    """Return what a run file says of a trial's parent: also at which step the parent is by now."""
    folder = parent_of(trials, trial)
    if folder is None or trial.parent is None:
        return {}
    step = experiment.last_step(folder).get("step", trial.parent.get("step"))
    return {"parent": {**trial.parent, "step": step}}


def ends(trials: Trials, trial: TrialRecord) -> tuple[int, ...]:
    """Return the steps at which a training run is over: its planned end, and where others ended."""
    found = {experiment.planned_steps(trial.hyperparameters)}
    done = [
        experiment.last_step(trials.path(record)).get("step")
        for record in trials
        if trials.status(record).state == attempts.COMPLETED
    ]
    found.add(max((step for step in done if isinstance(step, int)), default=None))
    return tuple(sorted(step for step in found if step is not None))


def as_parent(trials: Trials, record: TrialRecord) -> dict[str, Any]:
    """Return what `trial.json` says of a trial with whose last weights another begins."""
    step = experiment.last_step(trials.path(record)).get("step")
    return {"number": record.number, "name": record.name, "step": step}


def can_continue(plan: Plan, folder: Path) -> bool:
    """Return whether a trial that has ended can train on: without weights it begins afresh."""
    has_weights = saved_weights.newest_checkpoint(folder) is not None
    return has_weights and resuming.can_resume(plan, folder)


def parent_in(
    plan: Plan, trials: Trials, notes: Mapping[str, Any], *, in_loop: bool
) -> tuple[dict[str, Any] | None, bool]:
    """Return the parent of a proposed trial, if it has one, and whether it is ready.

    It is not ready where it has saved no weights yet, or is at its end. The body of
    a Python loop knows how to continue, a script may not: then the search is refused.
    """
    parent = notes.get("parent")
    if not isinstance(parent, Mapping):
        return None, True
    record = trials[parent["number"]]
    folder = trials.path(record)
    if attempts.last_weights(folder) and (in_loop or resuming.can_resume(plan, folder)):
        if parent.get("ended") or trials.status(record).state == attempts.COMPLETED:
            return None, False  # its copy would find no step left to train
        return {"number": record.number, "name": record.name, "step": parent.get("step")}, True
    if trials.status(record).state == attempts.RUNNING:
        return None, False
    raise SearchError(
        f"{trials.folder}: {plan.sampler} starts trials from the weights of other trials, but "
        f"{record.name} saved none that its script can load\n"
        "  save them as last.* (run.save_checkpoint does) and load them with run.restore(),\n"
        "  or name the script's arguments: --resume '--restore_file last'"
    )
