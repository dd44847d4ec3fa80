"""What the next trial is to be, and whether there is one.

It knows the order: a repeat that a point lacks, the plan's own points, then what the sampler
proposes. It refuses to claim a number and to make a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modeldir import space
from modeldir.params.plain_values import SEED
from modeldir.search.observations import Telling
from modeldir.search.plan import Plan


@dataclass(frozen=True)
class Following:
    """What the next trial is to be: its values, what `trial.json` says, what its sampler notes."""

    point: dict[str, Any]
    told: Mapping[str, Any]
    notes: Mapping[str, Any]


def following(plan: Plan, telling: Telling, queue: space.Queue, number: int) -> Following | None:
    """What the trial of this number is to be: a repeat that a point lacks; else the plan's own
    points come first, and then what the sampler proposes. None where that has no more.
    """
    told: dict[str, Any] = {"sampler": plan.sampler, "seed": plan.seed}
    lacking = telling.missing_repeat()
    if lacking is not None:
        return _repeat(plan, *lacking, told)
    queued = queue.ask()
    if queued is not None:
        return _first_of(plan, queued, {**told, "sampler": space.QUEUE}, {})
    proposal = telling.sampler.ask(number)
    if proposal is None:
        return None
    return _first_of(plan, proposal.point, told, proposal.notes)


def is_enough(plan: Plan, telling: Telling) -> bool:
    """Whether the plan has as many points as it wants, each with all its repeats."""
    if plan.trials is None or telling.missing_repeat() is not None:
        return False
    return telling.count() >= plan.trials


def _first_of(
    plan: Plan, point: Mapping[str, Any], told: Mapping[str, Any], notes: Mapping[str, Any]
) -> Following:
    """The first trial at a point."""
    if plan.repeats <= 1:
        return Following(dict(point), told, notes)
    return replace(_repeat(plan, point, plan.seeds[0], told), notes=notes)


def _repeat(plan: Plan, point: Mapping[str, Any], seed: int, told: Mapping[str, Any]) -> Following:
    number = plan.seeds.index(seed) + 1
    return Following({**point, SEED: seed}, {**told, "repeat": number}, {})
