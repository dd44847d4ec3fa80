"""Describe in words which configurations fail: out of memory, NaN, or too slow.

`worker/end_reports.py` prints it once, when several trials have failed so. The rule: name a border
only if it separates all failed trials from all completed ones. How samplers avoid them:
`samplers/_optuna.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modeldir.experiment import attempts
from modeldir.params import plain_values
from modeldir.samplers import INFEASIBLE

if TYPE_CHECKING:
    from modeldir.search.search import Search

ENOUGH = 3
"""Failed trials of one class after which a border is worth a line."""

_WORDS = {
    "out-of-memory": "ran out of memory",
    "nan": "had NaN as their metric",
    "time-limit": "took longer than the time limit",
}


def describe(search: Search, failure: str) -> str | None:
    """Return a sentence on the trials that failed with this class; None if there are few.

    It says whether the sampler avoids such configurations: those that learn from values do.
    """
    if failure not in INFEASIBLE:
        return None
    failed: list[Mapping[str, Any]] = []
    well: list[Mapping[str, Any]] = []
    for record in search.trials:
        status = search.trials.status(record)
        flat = plain_values.flatten(record.hyperparameters)
        if status.state == attempts.FAILED and status.failure == failure:
            failed.append(flat)
        elif status.state in attempts.WITH_METRICS:
            well.append(flat)
    if len(failed) < ENOUGH:
        return None
    border = _border(search.plan.space.order, failed, well)
    where = f", all with {border}" if border else ""
    avoids = ": the sampler now avoids that region" if search.plan.sampler in _AVOIDING else ""
    return f"note: {len(failed)} trials {_WORDS[failure]}{where}{avoids}"


_AVOIDING = frozenset({"tpe", "gp", "nsga2"})


def _border(
    names: Sequence[str], failed: Sequence[Mapping[str, Any]], well: Sequence[Mapping[str, Any]]
) -> str | None:
    """Return the condition on one hyperparameter that all failed trials meet, and no other."""
    if not well:
        return None
    for name in names:
        ours = [each[name] for each in failed if name in each]
        others = [each[name] for each in well if name in each]
        if len(ours) < len(failed) or not others:
            continue
        if _are_numbers(ours) and _are_numbers(others):
            if min(ours) > max(others):
                return f"{name} >= {min(ours):.6g}"
            if max(ours) < min(others):
                return f"{name} <= {max(ours):.6g}"
        elif all(each == ours[0] for each in ours) and ours[0] not in others:
            return f"{name} = {ours[0]}"
    return None


def _are_numbers(values: Sequence[object]) -> bool:
    return all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)
