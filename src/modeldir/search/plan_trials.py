"""Membership: which trials a plan counts as its own, and what configuration each has.

The rule: a trial with another base config (a value that the search does not vary is not as it is
now) is not one of the plan's. With repeats, `seed` may be any of the plan's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modeldir.params import plain_values
from modeldir.params.plain_values import SEED

if TYPE_CHECKING:
    from modeldir.search.plan import Plan
    from modeldir.search.trial_record import TrialRecord


def differences(plan: Plan, base: Mapping[str, Any], flat: Mapping[str, Any]) -> list[str]:
    """Return the names that the search does not vary, and whose values differ from the base's."""
    return [
        name
        for name in {**flat, **base}
        if name not in plan.space.domains
        and flat.get(name) != base.get(name)
        and not (name == SEED and plan.repeats > 1 and flat.get(SEED) in plan.seeds)
    ]


def point_of(plan: Plan, base: Mapping[str, Any], flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the configuration of flat hyperparameters, whether or not the space contains it.

    None where they lack one of its names, or have another base config.
    """
    point = plan.space.decided(flat)
    return None if point is None or differences(plan, base, flat) else point


def is_of_plan(plan: Plan, base: Mapping[str, Any], flat: Mapping[str, Any]) -> bool:
    """Whether a trial with these hyperparameters is one of those that a plan counts."""
    point = point_of(plan, base, flat)
    return point is not None and plan.space.contains(point)


def foreign(plan: Plan, base: Mapping[str, Any], trials: Iterable[TrialRecord]) -> set[int]:
    """Return the numbers of trials that have another base config than the plan's."""
    flat = ((each.number, plain_values.flatten(each.hyperparameters)) for each in trials)
    return {number for number, each in flat if point_of(plan, base, each) is None}
