"""The scheduler: which trial runs next. Any worker may ask at any time, there is no master.

Workers and `Search.ask` call `next_trial`. New trials: `proposals.py`; which ended ones run again:
`retries.py`. The rule: a trial is made only by claiming its number (`Trials.claim`), so two workers
never make the same one, with or without the lock.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modeldir import samplers
from modeldir._system import files, heartbeat
from modeldir._system.file_stamps import stamp
from modeldir.errors import SearchError, SpaceError
from modeldir.experiment import attempts
from modeldir.experiment.attempts import HOME
from modeldir.metrics import file_patterns, objective
from modeldir.params.plain_values import SEED
from modeldir.search import inherited_weights, plan, proposals, pruner_orders, warm_start
from modeldir.search.observations import Observations
from modeldir.search.plan_file import PlanFile
from modeldir.search.retries import Retries
from modeldir.search.trial_record import PlannedTrial, TrialRecord, Turn
from modeldir.search.trials import Trials

_STARTS = frozenset({attempts.PENDING, attempts.INTERRUPTED})
"""The statuses of a trial that is there and would run."""
_PATIENCE, _SHORT_PATIENCE = 10.0, 0.25
"""Seconds to wait for the lock: at first, and after a wait that was in vain."""


class SearchLock:
    """The lock of a search, which spares workers useless work; none depends on it for safety."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._home = os.path.join(folder, HOME)
        self._patience = _PATIENCE
        self._has_home = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, or continue without it: workers take turns at what would be done twice."""
        if not self._has_home:
            Path(self._home).mkdir(parents=True, exist_ok=True)
            self._has_home = True
        with files.locked(os.path.join(self._home, "lock"), patience=self._patience) as got:
            # A host that died with the lock may hold it for ever: wait the full time only once.
            self._patience = _PATIENCE if got else _SHORT_PATIENCE
            yield


class Scheduler:
    """Chooses and makes the next trial of one search.

    `setting` returns what a trial's success depends on besides its hyperparameters, as it is now.
    """

    def __init__(
        self,
        plan_file: PlanFile,
        lock: SearchLock,
        setting: Callable[[], Mapping[str, Any]],
        observer: heartbeat.Observer,
    ) -> None:
        self._plan_file, self._lock = plan_file, lock
        self._setting, self._observer = setting, observer
        self.in_loop = False
        """Whether the trials run in a Python loop, whose body knows how to continue another's."""
        self.begin()

    def begin(self) -> None:
        """Start from the plan as it is now: with new trials, a new sampler and nothing chosen."""
        found = self._plan_file.plan
        names = (*found.space.domains, *([SEED] if found.repeats > 1 else []))
        self.trials = Trials(
            self._plan_file.folder,
            names,
            self._plan_file.ignored,
            decided=self._plan_file.configuration_of,
            observer=self._observer,
        )
        self.retries = Retries(found, self.trials, self._setting, self._plan_file.working_folder)
        self._observe()
        self._ends_checked = 0  # by `reached`
        self._reached: float | None = None
        self._ahead: Turn | None = None

    def _observe(self, known: Iterable[TrialRecord] = ()) -> None:
        """Make a sampler for the plan as it is now, and note all trials for it.

        Of `known` trials also those whose folders are gone: this worker does not make them again.
        """
        self.observations = Observations(
            self._plan_file.plan, self._plan_file.flat_base, self.trials, self._make_sampler
        )
        self._earlier: list[str] | None = None
        there = (*known, *self.trials, *self.trials.aside())
        for record in {record.number: record for record in there}.values():
            self.observations.add(record)

    def _make_sampler(self) -> samplers.Sampler:
        found = self._plan_file.plan
        try:
            return samplers.make(
                found.sampler, found.space, found.seed, found.objectives, **found.options
            )
        except SpaceError as error:
            raise SearchError(f"{self._plan_file.folder}: {error}") from None

    # -- The next trial ----------------------------------------------------------------------------

    def next_trial(self, busy: frozenset[int] = frozenset()) -> Turn | None:
        """Return the trial, none of the `busy` numbers, that should run next, its folder made."""
        if (ready := self._made_ahead()) is not None:
            return ready
        with self._lock.held():
            self.reload_if_changed()
            saw_all = self.trials.catch_up()
            turn = self._choose(busy)
            if turn is None and not saw_all:
                self.trials.refresh()
                turn = self._choose(busy)
            return turn

    def _choose(self, busy: frozenset[int]) -> Turn | None:
        """Choose a trial: interrupted or not run yet, then ended ones that run again, then a new
        one.

        Last come trials whose last attempts all brought down their supervisors, too.
        """
        self.tell_sampler()
        turn = (
            self._interrupted(busy)
            or self._ended(busy)
            or self._new()
            or self._interrupted(busy, deadly=True)
            or self._ended(busy)
        )
        if turn is not None:
            self.trials.folders.mend(turn.record)
        return turn

    def _interrupted(self, busy: frozenset[int], *, deadly: bool = False) -> Turn | None:
        for record in self.trials.statuses.unfinished():
            if record.number not in busy:
                status = self.trials.status(record)
                starts = status.state in _STARTS
                is_last = not deadly and self.retries.is_deadly(record, status.attempt)
                if starts and not is_last and self.trials.is_there(record):
                    return Turn(record, status.attempt + 1)
        return None

    def _ended(self, busy: frozenset[int]) -> Turn | None:
        for record in self.retries.due():
            if record.number not in busy and (turn := self.retries.once_more(record)) is not None:
                return turn
        return None

    def _new(self) -> Turn | None:
        while not proposals.is_enough(self._plan, self.observations):
            number = self.trials.next_number()
            new = proposals.propose(self._plan, self.observations, number)
            if new is None:
                return None
            parent, is_there = inherited_weights.parent_in(
                self._plan, self.trials, new.notes, in_loop=self.in_loop
            )
            if not is_there:
                return None
            record = self.trials.claim(
                new.configuration,
                self._plan_file.hyperparameters(new.configuration),
                told={**new.origin, **proposals.remarks(self._plan, new.notes)},
                numbered=self._plan.space.is_named_by_number,
                parent=parent,
            )
            if record is not None:
                self.tell_sampler()
                return Turn(record, 1)
            self.trials.refresh()
            self.tell_sampler()
        return None

    def make_ahead(self, busy: frozenset[int]) -> None:
        """Make the next trial before there is a place for it, unless another one is ready to run.

        This happens only where the next trial is the same however the running ones end. Otherwise a
        late choice is the better one.
        """
        found = self._plan
        if self.observations.learns or found.target is not None or found.max_retries:
            return
        with self._lock.held():
            if self._plan_file.has_changed():  # `next_trial` reports what is wrong with it, once
                return
            self.trials.catch_up()
            self.tell_sampler()
            if self._interrupted(busy) is None:
                self._ahead = self._new()

    def preview(self, most: int | None) -> list[PlannedTrial]:
        """Return the trials that would be made, at most `most`; this object is of no use then."""
        plan_file, observations = self._plan_file, self.observations
        numbered = self._plan.space.is_named_by_number
        number = self.trials.next_number()
        found: list[PlannedTrial] = []
        while len(found) != most and not proposals.is_enough(self._plan, observations):
            new = proposals.propose(self._plan, observations, number)
            if new is None:
                break
            name = self.trials.free_name(new.configuration, number, numbered=numbered)
            values = plan_file.hyperparameters(new.configuration)
            command = plan_file.command_for(name, values)
            found.append(PlannedTrial(number, name, new.configuration, command))
            observations.imagine(
                TrialRecord(number, name, new.configuration, values, "", notes=new.notes)
            )
            number += 1
        return found

    def _made_ahead(self) -> Turn | None:
        """Return the trial that `make_ahead` has made, if nothing has happened to it since."""
        turn, self._ahead = self._ahead, None
        if turn is None or self._plan_file.has_changed():
            return None
        return turn if self.trials.folders.is_as_made(turn.record) else None

    # -- The plan and the sampler ------------------------------------------------------------------

    @property
    def _plan(self) -> plan.Plan:
        return self._plan_file.plan

    def reload_if_changed(self) -> None:
        """Read the plan again if another command has changed it, which may happen at any time."""
        if self._plan_file.has_changed():
            self._reload()

    def _reload(self) -> None:
        self._plan_file.load({})
        self.begin()
        self.take_in_all()
        self._plan_file.check_base(self.trials)
        pruner_orders.fill_rungs(self._plan_file, self.trials)

    def take_in_all(self) -> None:
        self.trials.refresh()
        self.trials.adopt()
        self.tell_sampler()
        pruner_orders.note_removed(self._plan_file, self.trials)

    def tell_sampler(self) -> None:
        """Tell the sampler what has changed: first earlier experiments, then each trial."""
        if self._earlier is None:
            self._earlier = warm_start.tell_of_all(
                self._plan, self._plan_file.folder, self.observations
            )
        self.observations.tell()

    def earlier(self) -> list[str]:
        return list(self._earlier or ())

    def settle_metric(self, record: TrialRecord) -> tuple[str, objective.Direction] | None:
        """Choose the metric by what a trial wrote, if none is chosen; return a new choice."""
        if self._has_metric():
            return None
        chosen = objective.choose(list(self.trials.validation(record)))
        if chosen is None:
            return None
        name, direction = chosen
        with self._lock.held():
            self.reload_if_changed()  # else what others wrote into the plan would be lost
            while not self._has_metric():
                self._plan_file.amend({direction: name})
                if self._plan_file.write():
                    self._observe(self.observations.records())  # trials have values now
                    return chosen
                self._reload()
        return None

    def settle_source(self, origin: str) -> bool:
        """Keep in the plan which file trials leave their metrics in. False if that is known."""
        with self._lock.held():
            self.reload_if_changed()
            while not (self._plan.metrics or self._plan.metrics_from):
                self._plan_file.amend({"metrics_from": file_patterns.generalized(origin)})
                if self._plan_file.write():
                    return True
                self._reload()
        return False

    def _has_metric(self) -> bool:
        return self._plan.metric is not None

    # -- What is left ------------------------------------------------------------------------------

    def remaining(self) -> int | None:
        """Return how many trials the plan still lacks; None where it has no end."""
        total = plan.total(self._plan)
        if total is None:
            return None
        self.observations.add_new()  # others may have made some
        made = self.observations.counted - self.observations.imagined
        if plan.is_over(self._plan, len(made)) and not self._has_open():
            return 0
        elsewhere = self.observations.done_elsewhere() if self._plan.trials is None else 0
        return max(0, total - len(made) - elsewhere)

    def _has_open(self) -> bool:
        left = map(self.trials.status, self.trials.statuses.unfinished())
        return any(status.state in attempts.UNFINISHED for status in left)

    def pending(self) -> list[TrialRecord]:
        return [r for r in self.trials if self.trials.status(r).state in _STARTS]

    def left(self) -> int | None:
        """Return how many trials wait to be started, made or not; None if the plan has no end."""
        self.trials.refresh(make=False)
        remaining = self.remaining()
        again = {record.number for record in self.retries.due()}
        return None if remaining is None else remaining + len(self.pending()) + len(again)

    def may_have_more(self, busy: frozenset[int]) -> bool:
        """Whether `next_trial` could return a trial, as far as is known without making it."""
        self.trials.refresh(make=False)
        if self.remaining() != 0 or self.retries.due():
            return True
        left = [record for record in self.trials.statuses.unfinished() if record.number not in busy]
        return any(self.trials.status(record).state in _STARTS for record in left)

    def wishes(self) -> tuple[object, object]:
        """Return a value that changes with the plan and the claims, so with each wish of a user."""
        claims = os.path.join(self._plan_file.folder, HOME, "trials")
        return stamp(self._plan_file.file), stamp(claims)

    def reached(self) -> float | None:
        """Return the value by which any worker's trial has reached `target`, or None."""
        goal, metric = self._plan.target, self._plan.metric
        if goal is None or metric is None:
            return None
        self.trials.refresh(make=False)
        statuses = self.trials.statuses
        left = [r for r in statuses.unfinished() if statuses.status(r).state in attempts.RANKED]
        ended, self._ends_checked = statuses.ended_since(self._ends_checked)
        for record in [*left, *ended]:
            if statuses.status(record).state not in attempts.RANKED:
                continue
            value = self.trials.validation(record, keep=True).get(metric[0])
            if value is not None and objective.reaches(value, goal, metric[1]):
                self._reached = value
        return self._reached
