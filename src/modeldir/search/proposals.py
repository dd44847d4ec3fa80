"""Propose the next new trial. The scheduler calls `propose`, and claims a number for the result.

The order: a repeat that a configuration lacks, the configurations that the plan tries first, then
the sampler's proposal. Nothing here writes, so `Scheduler.preview` can ask, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modeldir import space
from modeldir.params.plain_values import SEED
from modeldir.search.observations import Observations
from modeldir.search.plan import Plan


@dataclass(frozen=True)
class NewTrial:
    """A trial that should be made: its configuration, its `origin` and its sampler's notes."""

    configuration: dict[str, Any]
    origin: Mapping[str, Any]
    notes: Mapping[str, Any]


def propose(plan: Plan, observations: Observations, number: int) -> NewTrial | None:
    """Return what the trial of this number is to be; None where nothing is left to propose."""
    origin: dict[str, Any] = {"sampler": plan.sampler, "seed": plan.seed}
    missing = observations.missing_repeat()
    if missing is not None:
        return _repeat(plan, *missing, origin)
    first = observations.queue.ask()
    if first is not None:
        return _first_repeat(plan, first, {**origin, "sampler": space.QUEUE}, {})
    proposal = observations.sampler.ask(number)
    if proposal is None:
        return None
    return _first_repeat(plan, proposal.configuration, origin, proposal.notes)


def is_enough(plan: Plan, observations: Observations) -> bool:
    if plan.trials is None or observations.missing_repeat() is not None:
        return False
    return observations.count() >= plan.trials


def remarks(plan: Plan, notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else `trial.json` says: the notes of the sampler and of the user."""
    found = {"notes": notes, "note": plan.note}
    return {name: value for name, value in found.items() if value}


def _first_repeat(
    plan: Plan, point: Mapping[str, Any], origin: Mapping[str, Any], notes: Mapping[str, Any]
) -> NewTrial:
    if plan.repeats <= 1:
        return NewTrial(dict(point), origin, notes)
    return replace(_repeat(plan, point, plan.seeds[0], origin), notes=notes)


def _repeat(plan: Plan, point: Mapping[str, Any], seed: int, origin: Mapping[str, Any]) -> NewTrial:
    number = plan.seeds.index(seed) + 1
    return NewTrial({**point, SEED: seed}, {**origin, "repeat": number}, {})
