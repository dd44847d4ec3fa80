"""Which trials a plan counts as its own, and at which of its points they lie.

It knows a plan and hyperparameters, and refuses to know how a trial stands. A trial of another base
(a value that the search does not decide is not as it is now) is none of the plan's; of a search
with repeats, `seed` is such a value only where it is none of the plan's seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.search.plan import Plan

if TYPE_CHECKING:
    from modeldir.search.trial_record import TrialRecord


def differences(plan: Plan, base: Mapping[str, Any], flat: Mapping[str, Any]) -> list[str]:
    """What the search does not decide, and what is in a trial not as it is in the base now."""
    return [
        name
        for name in {**flat, **base}
        if name not in plan.space.domains
        and flat.get(name) != base.get(name)
        and not (name == SEED and plan.repeats > 1 and flat.get(SEED) in plan.seeds)
    ]


def point_of(plan: Plan, base: Mapping[str, Any], flat: Mapping[str, Any]) -> dict[str, Any] | None:
    """The point at which flat hyperparameters lie, in the space or not; None where they have not
    all its names, or are of another base.
    """
    point = plan.space.decided(flat)
    return None if point is None or differences(plan, base, flat) else point


def is_of_plan(plan: Plan, base: Mapping[str, Any], flat: Mapping[str, Any]) -> bool:
    """Whether a trial with these hyperparameters is one of those that a plan counts."""
    point = point_of(plan, base, flat)
    return point is not None and plan.space.contains(point)


def foreign(plan: Plan, base: Mapping[str, Any], trials: Iterable[TrialRecord]) -> set[int]:
    """The numbers of trials that are of another base than a plan's."""
    flat = ((each.number, plain_values.flatten(each.hyperparameters)) for each in trials)
    return {number for number, each in flat if point_of(plan, base, each) is None}
