"""The trials that a search would make, for `modeldir search --dry-run`. Nothing is written.

`Search.look_ahead` calls `preview`. The search is of no use after that: its sampler has seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from modeldir import space
from modeldir.search import proposals
from modeldir.search.plan_file import PlanFile
from modeldir.search.scheduler import Scheduler
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import check_names


class PlannedTrial(NamedTuple):
    """A trial that would be made: its name, its configuration and the words of its command."""

    name: str
    point: Mapping[str, Any]
    command: tuple[str, ...]


def preview(plan_file: PlanFile, scheduler: Scheduler, most: int | None) -> list[PlannedTrial]:
    plan, trials, observations = plan_file.plan, scheduler.trials, scheduler.observations
    numbered = check_names(plan_file.folder, trials, fits=space.names_fit(plan.space))
    number = trials.next_number()
    found: list[PlannedTrial] = []
    while len(found) != most and not proposals.is_enough(plan, observations):
        new = proposals.propose(plan, observations, number)
        if new is None:
            break
        name = trials.free_name(new.point, number, numbered=numbered)
        hyperparameters = plan_file.hyperparameters(new.point)
        found.append(PlannedTrial(name, new.point, plan_file.command_for(name, hyperparameters)))
        observations.imagine(
            TrialRecord(number, name, new.point, hyperparameters, "", notes=new.notes)
        )
        number += 1
    return found
