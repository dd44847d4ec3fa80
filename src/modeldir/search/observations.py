"""What a search tells its sampler: each trial's place, how it stands and what it has scored.

It knows which trials are a plan's, which of them are repeats of one point, and what has changed
since it last told. It refuses to propose points and to make trials.

Only what may have changed is looked at: trials that are new, and those that had not ended. A
sampler for which values do not matter is told of each trial once, and no metrics are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from modeldir import samplers
from modeldir.experiment import attempts, experiment
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.samplers import Observation, Sampler
from modeldir.search.membership import point_of
from modeldir.search.other_folders import Row
from modeldir.search.plan import Plan
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials
from modeldir.space import Queue

_AS_TOLD = {attempts.INTERRUPTED: attempts.WAITING, attempts.UNRECORDED: attempts.COMPLETED}


class Point:
    """A point of the plan, and what was made at it: its trials, by seed where it has repeats.

    `seeds` are those that have a trial, here or elsewhere; `elsewhere` those that other folders
    have.
    """

    def __init__(self, point: Mapping[str, Any]) -> None:
        self.point = point
        self.members: dict[int, TrialRecord] = {}
        self.seeds: set[object] = set()
        self.elsewhere: set[object] = set()
        self.told: Observation | None = None

    @property
    def first(self) -> TrialRecord:
        """The trial that was made for the sampler's proposal."""
        return self.members[min(self.members)]


class Telling:
    """The points at which a plan's trials are, told to a sampler as they change."""

    def __init__(
        self,
        plan: Plan,
        base: Mapping[str, Any],
        trials: Trials,
        make: Callable[[], Sampler],
        queue: Queue,
    ) -> None:
        self._plan, self._base, self._trials = plan, base, trials
        self._make, self._queue = make, queue
        self._points: dict[str, Point] = {}
        self._key_of: dict[int, str] = {}
        self._open: set[str] = set()
        self.within: set[int] = set()
        """The numbers of the trials that the plan counts."""
        self.imagined: set[int] = set()
        """Of these, the trials that were only imagined."""

    @cached_property
    def sampler(self) -> Sampler:
        """Who is told. It is made when it is first needed: who only looks at a search, or retries a
        trial, need not have the packages that it needs.
        """
        return self._make()

    @cached_property
    def learns(self) -> bool:
        """Whether what the next trial is may hang on how the others have ended."""
        return samplers.learns(self.sampler) or self._plan.repeats > 1

    @cached_property
    def _follows(self) -> bool:
        return samplers.follows(self.sampler)

    # -- What there is -----------------------------------------------------------------------------

    def take(self, record: TrialRecord) -> Point | None:
        """Learn of a trial. One of another base is none of the plan's."""
        flat = plain_values.flatten(record.hyperparameters)
        place = point_of(self._plan, self._base, flat)
        if place is None:
            return None
        if self._plan.space.contains(place):
            self.within.add(record.number)
        key = self._key(place, record.number)
        point = self._points.setdefault(key, Point(place))
        point.members[record.number] = record
        point.seeds.add(flat.get(SEED))
        self._key_of[record.number] = key
        self._open.add(key)
        self._queue.tell(place)
        return point

    def imagine(self, record: TrialRecord) -> None:
        """Count a trial that would be made, without looking for it."""
        point = self.take(record)
        self._open.clear()
        self.imagined.add(record.number)
        if point is not None and len(point.members) == 1:
            notes = dict(record.notes)
            told = Observation(record.number, point.point, attempts.WAITING, {}, notes)
            self.sampler.tell(told)

    def teach(self, row: Row) -> bool:
        """Tell of another folder's experiment; false where it lies outside the space."""
        point = self._plan.space.decided(row.flat)
        if point is None or not self._plan.space.contains(point):
            return False
        self.sampler.tell(Observation(None, point, attempts.COMPLETED, self._of_plan(row.values)))
        return True

    def reuse(self, row: Row) -> bool:
        """Count another folder's experiment as done; false where it is none of the plan's."""
        place = point_of(self._plan, self._base, row.flat)
        if place is None or not self._plan.space.contains(place):
            return False
        point = self._points.setdefault(self._key(place, None), Point(place))
        point.seeds.add(row.flat.get(SEED))
        point.elsewhere.add(row.flat.get(SEED))
        self._queue.tell(place)
        values, notes = self._of_plan(row.values), {"reused": str(row.path)}
        self.sampler.tell(Observation(None, place, attempts.COMPLETED, values, notes))
        return True

    def _key(self, point: Mapping[str, Any], number: int | None) -> str:
        """Repeats are one point; else each trial stands for itself."""
        if self._plan.repeats > 1 or number is None:
            return plain_values.canonical_hash(point)
        return str(number)

    def records(self) -> list[TrialRecord]:
        """All trials that were taken, also those whose folders are gone since."""
        return [record for each in self._points.values() for record in each.members.values()]

    def points(self) -> list[Point]:
        """The plan's points that trials were made at, in the order of their first trials."""
        there = (each for each in self._points.values() if each.members.keys() & self.within)
        return sorted(there, key=lambda each: min(each.members))

    def count(self) -> int:
        """How many points the plan has: with repeats each counts once."""
        return len(self.points()) if self._plan.repeats > 1 else len(self.within)

    def done_elsewhere(self) -> int:
        """How many of a grid's trials need not be made, since other folders have them."""
        if self._plan.repeats > 1:
            return sum(len(each.elsewhere) for each in self._points.values())
        reused = [each for each in self._points.values() if each.elsewhere]
        if not reused:
            return 0
        here = {plain_values.canonical_hash(each.point) for each in self.points()}
        return sum(plain_values.canonical_hash(each.point) not in here for each in reused)

    def missing_repeat(self) -> tuple[Mapping[str, Any], int] | None:
        """The first point that lacks a repeat, and its seed; None where each has all of them."""
        if self._plan.repeats <= 1:
            return None
        begun = [*self.points(), *(each for each in self._points.values() if not each.members)]
        for each in begun:
            for seed in self._plan.seeds:
                if seed not in each.seeds:
                    return each.point, seed
        return None

    # -- Telling -----------------------------------------------------------------------------------

    def learn(self) -> None:
        """Learn of the trials that came to be known since."""
        for record in self._trials.take_news():
            self.take(record)

    def tell(self) -> None:
        """Tell the sampler what is new."""
        self.learn()
        due, self._open = self._open, set()
        if self.learns:
            due |= {self._key_of[n] for n in self._unfinished() if n in self._key_of}
        for key in sorted(due, key=lambda key: min(self._points[key].members)):
            point = self._points[key]
            now, is_settled = self._observed(point)
            if not is_settled:
                self._open.add(key)
            if now != point.told:
                point.told = now
                self.sampler.tell(now)

    def _unfinished(self) -> Iterator[int]:
        return (record.number for record in self._trials.unfinished())

    def _observed(self, point: Point) -> tuple[Observation, bool]:
        """A point as it stands, and whether that stays so until it gets another trial: one that
        only waits for its next repeat need not be read again meanwhile.
        """
        number, notes = point.first.number, dict(point.first.notes)
        if not self.learns:
            return Observation(number, point.point, attempts.WAITING, {}, notes), True
        seen = [self._seen(record) for record in point.members.values()]
        notes |= next((more for _, _, more in seen if more), {})
        status = self._together(point, [state for state, _, _ in seen])
        is_settled = all(state in attempts.FINAL for state, _, _ in seen)
        return Observation(number, point.point, status, self._mean(seen), notes), is_settled

    def _seen(self, record: TrialRecord) -> tuple[str, Mapping[str, float], Mapping[str, Any]]:
        if not self._trials.knows(record):  # removed: it teaches nothing, and its point stays taken
            return attempts.FAILED, {}, {}
        state = self._trials.status(record).state
        is_open = state in attempts.OPEN
        if is_open and not (self._follows and state == attempts.RUNNING):
            return _AS_TOLD.get(state, state), {}, {}
        folder = self._trials.path(record)
        scores = experiment.scores(folder)
        values = self._of_plan(scores.last if is_open else scores.development)
        step: Mapping[str, Any] = {}
        if state == attempts.PRUNED or self._follows:
            last = experiment.last_step(folder)
            values = values or self._of_plan(last)
            step = {"step": last["step"]} if isinstance(last.get("step"), int) else {}
        if self._follows and (end := experiment.planned_end(record.hyperparameters)) is not None:
            step = {**step, "end": end}
        return _AS_TOLD.get(state, state), values, step

    def _of_plan(self, values: Mapping[str, Any]) -> dict[str, float]:
        """The plan's metrics, without NaN."""
        return {
            name: values[name]
            for name, _ in self._plan.objectives
            if isinstance(values.get(name), (int, float)) and not math.isnan(values[name])
        }

    def _together(self, point: Point, states: list[str]) -> str:
        """How a point stands: not ended before all its repeats have."""
        for state in (attempts.RUNNING, attempts.WAITING):
            if state in states:
                return state
        if self._plan.repeats > 1 and not point.seeds.issuperset(self._plan.seeds):
            return attempts.RUNNING
        return next((state for state in attempts.FINAL if state in states), attempts.WAITING)

    def _mean(
        self, seen: list[tuple[str, Mapping[str, float], Mapping[str, Any]]]
    ) -> dict[str, float]:
        """The metrics of a point: the mean over the repeats that have completed, if some have."""
        whole = [values for state, values, _ in seen if state == attempts.COMPLETED and values]
        whole = whole or [values for _, values, _ in seen if values]
        names = [name for name, _ in self._plan.objectives if all(name in v for v in whole)]
        return {name: math.fsum(v[name] for v in whole) / len(whole) for name in names if whole}
