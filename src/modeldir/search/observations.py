"""The observations of a search: what its sampler knows of each trial's configuration and metrics.

The scheduler adds trials as they come to be known, and calls `Observations.tell` before it chooses.
Only trials that are new, or had not ended, are read again; a sampler for which values do not matter
hears of each trial once, and no metrics are read for it. Which trials count: `plan_trials.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from modeldir import samplers
from modeldir.experiment import attempts, experiment
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.samplers import Observation, Sampler
from modeldir.search.finished_experiments import FinishedExperiment
from modeldir.search.plan import Plan
from modeldir.search.plan_trials import point_of
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials
from modeldir.space import Queue

_STATUS_OF = {attempts.INTERRUPTED: attempts.PENDING, attempts.UNTRACKED: attempts.COMPLETED}


class Configuration:
    """A configuration and its trials; with repeats there is one trial for each seed.

    `elsewhere` are the seeds that other folders have, `told` is the sampler's observation of it.
    """

    def __init__(self, point: Mapping[str, Any]) -> None:
        self.values = point
        self.members: dict[int, TrialRecord] = {}
        self.seeds: set[object] = set()
        self.elsewhere: set[object] = set()
        self.told: Observation | None = None

    @property
    def first(self) -> TrialRecord:
        """The trial that was made for the sampler's proposal."""
        return self.members[min(self.members)]


class Observations:
    """The configurations that a plan's trials have, told to a sampler as they change."""

    def __init__(
        self,
        plan: Plan,
        base: Mapping[str, Any],
        trials: Trials,
        make: Callable[[], Sampler],
    ) -> None:
        self._plan, self._base, self._trials = plan, base, trials
        self._make = make
        self.queue = Queue(plan.space, plan.seed)
        """The configurations that the plan tries first, and that have no trial yet."""
        self._configurations: dict[str, Configuration] = {}
        self._key_of: dict[int, str] = {}
        self._open: set[str] = set()
        self.counted: set[int] = set()
        """The numbers of the trials that the plan counts."""
        self.imagined: set[int] = set()
        """The numbers of those that were only imagined."""

    @cached_property
    def sampler(self) -> Sampler:
        """The sampler, made when first needed: to show a search, its packages need not be there."""
        return self._make()

    @cached_property
    def learns(self) -> bool:
        """Whether the next trial may depend on how the others have ended."""
        return samplers.learns(self.sampler) or self._plan.repeats > 1

    @cached_property
    def _follows(self) -> bool:
        return samplers.follows(self.sampler)

    # -- Adding ------------------------------------------------------------------------------------

    def add(self, record: TrialRecord) -> Configuration | None:
        flat = plain_values.flatten(record.hyperparameters)
        point = point_of(self._plan, self._base, flat)
        if point is None:
            return None
        if self._plan.space.contains(point):
            self.counted.add(record.number)
        key = self._key(point, record.number)
        configuration = self._configurations.setdefault(key, Configuration(point))
        configuration.members[record.number] = record
        configuration.seeds.add(flat.get(SEED))
        self._key_of[record.number] = key
        self._open.add(key)
        self.queue.tell(point)
        return configuration

    def add_new(self) -> None:
        for record in self._trials.take_news():
            self.add(record)

    def imagine(self, record: TrialRecord) -> None:
        """Count a trial that would be made, and tell the sampler of it; its folder is not read."""
        configuration = self.add(record)
        self._open.clear()
        self.imagined.add(record.number)
        if configuration is not None and len(configuration.members) == 1:
            point, notes = configuration.values, dict(record.notes)
            self.sampler.tell(Observation(record.number, point, attempts.PENDING, {}, notes))

    def warm_start(self, row: FinishedExperiment) -> bool:
        """Tell the sampler of another folder's experiment; False where it is outside the space."""
        point = self._plan.space.decided(row.flat)
        if point is None or not self._plan.space.contains(point):
            return False
        self.sampler.tell(Observation(None, point, attempts.COMPLETED, self._of_plan(row.values)))
        return True

    def reuse(self, row: FinishedExperiment) -> bool:
        """Count another folder's experiment as done; False where it is not one of the plan's."""
        point = point_of(self._plan, self._base, row.flat)
        if point is None or not self._plan.space.contains(point):
            return False
        key = self._key(point, None)
        configuration = self._configurations.setdefault(key, Configuration(point))
        configuration.seeds.add(row.flat.get(SEED))
        configuration.elsewhere.add(row.flat.get(SEED))
        self.queue.tell(point)
        values, notes = self._of_plan(row.values), {"reused": str(row.path)}
        self.sampler.tell(Observation(None, point, attempts.COMPLETED, values, notes))
        return True

    def _key(self, point: Mapping[str, Any], number: int | None) -> str:
        if self._plan.repeats > 1 or number is None:
            return plain_values.canonical_hash(point)
        return str(number)

    # -- Counting ----------------------------------------------------------------------------------

    def records(self) -> list[TrialRecord]:
        every = self._configurations.values()
        return [record for each in every for record in each.members.values()]

    def configurations(self) -> list[Configuration]:
        every = self._configurations.values()
        counted = (each for each in every if each.members.keys() & self.counted)
        return sorted(counted, key=lambda each: min(each.members))

    def count(self) -> int:
        return len(self.configurations()) if self._plan.repeats > 1 else len(self.counted)

    def done_elsewhere(self) -> int:
        """Return how many of a grid's trials other folders have, so that none is made for them."""
        every = self._configurations.values()
        if self._plan.repeats > 1:
            return sum(len(each.elsewhere) for each in every)
        reused = [each for each in every if each.elsewhere]
        if not reused:
            return 0
        here = {plain_values.canonical_hash(each.values) for each in self.configurations()}
        return sum(plain_values.canonical_hash(each.values) not in here for each in reused)

    def missing_repeat(self) -> tuple[Mapping[str, Any], int] | None:
        """Return the first configuration that lacks a repeat, and its seed; None if none does."""
        if self._plan.repeats <= 1:
            return None
        only_elsewhere = (each for each in self._configurations.values() if not each.members)
        for each in (*self.configurations(), *only_elsewhere):
            for seed in self._plan.seeds:
                if seed not in each.seeds:
                    return each.values, seed
        return None

    # -- Telling the sampler -----------------------------------------------------------------------

    def tell(self) -> None:
        self.add_new()
        due, self._open = self._open, set()
        if self.learns:
            numbers = (record.number for record in self._trials.statuses.unfinished())
            due |= {self._key_of[n] for n in numbers if n in self._key_of}
        for key in sorted(due, key=lambda key: min(self._configurations[key].members)):
            configuration = self._configurations[key]
            now, is_settled = self._observed(configuration)
            if not is_settled:
                self._open.add(key)
            if now != configuration.told:
                configuration.told = now
                self.sampler.tell(now)

    def _observed(self, configuration: Configuration) -> tuple[Observation, bool]:
        """Return the observation of a configuration, and whether it stays so until the next trial.

        A configuration that only waits for its next repeat need not be read again meanwhile.
        """
        first, point = configuration.first, configuration.values
        notes = dict(first.notes)
        if not self.learns:
            return Observation(first.number, point, attempts.PENDING, {}, notes), True
        seen = [self._seen(record) for record in configuration.members.values()]
        notes |= next((more for _, _, more in seen if more), {})
        status = self._status(configuration, [state for state, _, _ in seen])
        is_settled = all(state in attempts.FINAL for state, _, _ in seen)
        failure = self._failure(configuration) if status == attempts.FAILED else None
        observed = Observation(first.number, point, status, self._mean(seen), notes, failure)
        return observed, is_settled

    def _failure(self, configuration: Configuration) -> str | None:
        """Return the class of the first failure among a configuration's trials."""
        known = (each for each in configuration.members.values() if self._trials.knows(each))
        found = (self._trials.status(each).failure for each in known)
        return next((each for each in found if each is not None), None)

    def _seen(self, record: TrialRecord) -> tuple[str, Mapping[str, float], Mapping[str, Any]]:
        """Return a trial's status and metrics, and its step where it was pruned or is followed."""
        if not self._trials.knows(record):  # removed: its configuration stays taken
            return attempts.FAILED, {}, {}
        state = self._trials.status(record).state
        is_open = state in attempts.UNFINISHED
        if is_open and not (self._follows and state == attempts.RUNNING):
            return _STATUS_OF.get(state, state), {}, {}
        folder = self._trials.path(record)
        if is_open:
            scores = experiment.scores(folder).last
        else:
            scores = self._trials.validation(record, keep=True)
        values = self._of_plan(scores)
        step: Mapping[str, Any] = {}
        if state == attempts.PRUNED or self._follows:
            last = experiment.last_step(folder)
            values = values or self._of_plan(last)
            step = {"step": last["step"]} if isinstance(last.get("step"), int) else {}
        if self._follows and (end := experiment.planned_steps(record.hyperparameters)) is not None:
            step = {**step, "end": end}
        return _STATUS_OF.get(state, state), values, step

    def _of_plan(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Keep the plan's metrics, without NaN."""
        return {
            name: values[name]
            for name, _ in self._plan.objectives
            if isinstance(values.get(name), (int, float)) and not math.isnan(values[name])
        }

    def _status(self, configuration: Configuration, states: list[str]) -> str:
        """Return the status of a configuration, which has not ended before all its repeats have."""
        for state in (attempts.RUNNING, attempts.PENDING):
            if state in states:
                return state
        if self._plan.repeats > 1 and not configuration.seeds.issuperset(self._plan.seeds):
            return attempts.RUNNING
        return next((state for state in attempts.FINAL if state in states), attempts.PENDING)

    def _mean(
        self, seen: list[tuple[str, Mapping[str, float], Mapping[str, Any]]]
    ) -> dict[str, float]:
        complete = [values for state, values, _ in seen if state == attempts.COMPLETED and values]
        complete = complete or [values for _, values, _ in seen if values]
        names = [name for name, _ in self._plan.objectives if all(name in v for v in complete)]
        count = len(complete)
        return {name: math.fsum(v[name] for v in complete) / count for name in names if count}
