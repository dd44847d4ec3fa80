"""Checks before a search starts or continues: its folder, its metric, its base config, its code.

`Search.prepare` and `PlanFile` call them; each says what a user has changed between two commands,
and which command helps. The plan itself is checked in `plan_check.py`. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import SearchError
from modeldir.experiment import attempts, experiment, failure_classes
from modeldir.metrics.metric_names import did_you_mean
from modeldir.params import plain_values
from modeldir.search import plan_trials

if TYPE_CHECKING:
    from modeldir.search.plan import Plan
    from modeldir.search.trials import Trials


def check_home(folder: Path) -> None:
    """Refuse a folder whose `.modeldir`, or a folder in it, is a link: nothing is written there."""
    link = files.link_among(folder, attempts.HOME)
    if link is not None:
        raise SearchError(
            f"{link} is a link, and nothing is written through links\n  rm {quoted(link)}",
            state="Nothing was started.",
        )


def check_untrained(folder: Path) -> None:
    if attempts.latest(folder) is None and not experiment.has_metrics(folder):
        return
    there, apart = quoted(folder), quoted(Path(f"{folder}_search"))
    raise SearchError(
        f"{folder} is a trained experiment, but a search needs its own folder.\n"
        f"  modeldir new {apart} --from {there}\n  modeldir search {apart} ...",
        state="Nothing was started.",
    )


def check_metric(folder: Path, named: Iterable[str], trials: Trials) -> None:
    """Refuse a metric that was named now and that no completed trial has."""
    named = list(named)
    known: set[str] = set()
    for record in trials if named else ():
        if trials.status(record).state == attempts.COMPLETED:
            known |= {*trials.validation(record)}
    problems = [
        (
            f"{name}: no completed trial has this metric",
            did_you_mean(name, sorted(known)) or f"they have {', '.join(sorted(known))}",
        )
        for name in named
        if known and name not in known
    ]
    if problems:
        raise SearchError(f"{folder} cannot be ranked:", problems)


def failed_by_name(folder: Path, plan: Plan, trials: Trials) -> list[str]:
    """Count the trials that failed for want of a metric, and have the one that is named now."""
    names = [name for name, _ in plan.objectives]
    count = 0
    for record in trials if names else ():
        if trials.status(record).failure == failure_classes.MISSING_METRIC:
            found = trials.validation(record)
            count += all(name in found for name in names)
    if not count:
        return []
    those = "1 trial has" if count == 1 else f"{count} trials have"
    named, again = " and ".join(names), f"modeldir retry {quoted(folder)}"
    return [f"note: {those} {named}, but failed: another metric is missing; to run again: {again}"]


def check_base(
    folder: Path, plan: Plan, now: Mapping[str, Any], trials: Trials, *, accept_new_base: bool
) -> list[str]:
    """Refuse a changed base config: by their names, trials of two of them look comparable.

    With `accept_new_base` the change is only reported.
    """
    made = [record for record in trials if record.retry_of is None]
    newest = max(made, key=lambda record: record.number, default=None)
    if newest is None:
        return []
    before = plain_values.flatten(newest.hyperparameters)
    changed = [
        (f"{name}: {before.get(name, 'none')} -> {now.get(name, 'none')}", None)
        for name in plan_trials.differences(plan, now, before)
        if name not in newest.configuration  # an earlier plan may have varied it
    ]
    if not changed:
        return []
    if accept_new_base:
        words = "; ".join(problem for problem, _ in changed)
        return [f"base config changed ({words}); new trials use the new one"]
    raise SearchError(
        f"{folder}: the base config changed since its trials were made:",
        changed,
        state="To continue with the new base config beside the old trials:\n"
        f"  modeldir search {quoted(folder)} --accept-new-base\n"
        "To keep them apart, search in a new folder:\n"
        f"  modeldir new {quoted(Path(f'{folder}_2'))} --from {quoted(folder)}\n"
        "Nothing was started.",
    )


def code_has_changed(trials: Trials, code: Callable[[], str | None]) -> list[str]:
    """Note that the code has changed since trials were made; this stops nothing."""
    for record in reversed(list(trials)):
        then = trials.status(record).code
        if then is not None:
            changed = then != code()
            return ["note: the code has changed since trials were made"] if changed else []
    return []
