"""Which trials a search has, and how many its plan lacks; read again only when it has changed.

The monitor and `modeldir show` call `Inventory.refresh`. It shows trials that no claim names, too.
Nothing here locks or writes. Statuses: `modeldir.monitor.search`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir import space
from modeldir._system import escaping, files, heartbeat
from modeldir._system.file_stamps import Seen, stamp
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts, experiment, project_settings
from modeldir.experiment import repeats as repeated
from modeldir.experiment.attempts import HOME
from modeldir.metrics import objective
from modeldir.metrics.objective import Ranked
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.search import base_config, plan, plan_check, plan_trials
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials


@dataclass(frozen=True)
class PresentTrial:
    record: TrialRecord
    folder: Path
    flat: Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    space: space.Space = field(default_factory=lambda: space.Space({}))
    total: int | None = None
    metric: Ranked | None = None
    target: float | None = None
    ignore: frozenset[str] = frozenset()
    base: Mapping[str, Any] = field(default_factory=dict)
    checked: plan.Plan | None = None
    problem: str | None = None

    def goal(self, best: tuple[str, float] | None) -> float | None:
        """Return the plan's `target`, once the best trial has reached it."""
        if self.target is None or self.metric is None or best is None:
            return None
        return self.target if objective.reaches(best[1], self.target, self.metric[1]) else None

    def best(
        self,
        trials: Iterable[tuple[TrialRecord, str, Mapping[str, float]]],
        metric: Ranked | None,
    ) -> tuple[str, float] | None:
        """Return the best trial's title and its value; None where several metrics count."""
        if metric is None or (self.checked is not None and len(self.checked.objectives) > 1):
            return None
        name, direction = metric
        candidates = []
        for record, state, validation in trials:
            value = validation.get(name) if state in attempts.RANKED else None
            if value is not None:
                part = repeated.Repeat("", record.hyperparameters, record.repeat)
                candidates.append((part, value, record.number, record.title))
        return repeated.best(candidates, direction)


class Inventory:
    """The trials of a search and its plan; CS230's folders of trials have none."""

    def __init__(self, folder: Path, observer: heartbeat.Observer | None = None) -> None:
        self.folder = folder
        self.plan = Planned()
        self.there: Mapping[int, PresentTrial] = {}
        self._observer = observer or heartbeat.Observer()
        self._trials = Trials(self.folder, (), observer=self._observer)
        self._counted = 0
        self._strangers: frozenset[tuple[str, bool]] = frozenset()
        self._seen = {name: Seen() for name in ("plan", "base", "claims", "folder")}

    def refresh(self) -> bool:
        """Read what has changed; return whether there may be other trials now."""
        anew = self._changed("plan", plan.FILE) | self._changed("base", self._base_name())
        if anew:
            self.plan = self._read_plan()
            self._begin_again()
        claims = self._changed("claims", f"{HOME}/trials")
        beside = self._changed("folder", ".")
        if claims or beside:
            self._trials.refresh(make=False)
        if (beside or self._strangers) and self._find_strangers() != self._strangers:
            self._begin_again()
            anew = True
        if anew or claims or beside:
            self._know()
            return True
        return False

    def remaining(self, states: Iterable[str]) -> int | None:
        """Return how many trials the plan lacks, given all statuses; None where it has no end."""
        if self.plan.total is None:
            return None
        checked = self.plan.checked
        is_over = checked is not None and plan.is_over(checked, self._counted, to_run=False)
        if is_over and attempts.UNFINISHED.isdisjoint(states):
            return 0
        return max(0, self.plan.total - self._counted)

    def wanted_again(self) -> int:
        return len(self._trials.wanted_again())

    def problems(self) -> list[str]:
        """Return what is wrong with the plan, and the claims that are left out, a line each."""
        plan = self.plan.problem
        return [*([] if plan is None else [plan]), *self._trials.claims.problems.values()]

    def _changed(self, what: str, name: str) -> bool:
        return self._seen[what].changed(stamp(os.path.join(self.folder, name))) if name else False

    def _base_name(self) -> str:
        found = experiment.params_file(self.folder)
        return found.name if found else ""

    def _read_plan(self) -> Planned:
        if not (self.folder / plan.FILE).exists():
            return Planned()
        try:
            raw = plan.read_plan(self.folder)
            base = base_config.load_base(self.folder, raw)
            cwd = raw.get("cwd")
            home = files.absolute(self.folder) / cwd if isinstance(cwd, str) else Path.cwd()
            project = project_settings.settings(Path(os.path.normpath(home)))
            checked = plan_check.check(
                raw, base, str(self.folder / plan.FILE), project, to_run=False
            )
        except (ModeldirError, OSError) as error:
            return Planned(problem=_in_a_line(error))
        ignore = project.get("ignore", ())
        total = plan.total(checked)
        flat = plain_values.flatten(base)
        ranked = (checked.metric, checked.target)
        problem = None
        if checked.reuse and checked.trials is None and total is not None:
            from modeldir.search import finished_experiments  # noqa: PLC0415 - only for `reuse`

            try:
                total -= len(finished_experiments.reused(self.folder))
            except ModeldirError as error:
                problem = _in_a_line(error)
        return Planned(checked.space, total, *ranked, frozenset(ignore), flat, checked, problem)

    def _begin_again(self) -> None:
        repeats = self.plan.checked is not None and self.plan.checked.repeats > 1
        names = (*self.plan.space.domains, *([SEED] if repeats else []))
        for _ in range(3):
            before = stamp(self.folder / HOME / "trials")
            decided = self.plan.space.decided if names else None
            self._trials = Trials(
                self.folder, names, self.plan.ignore, decided=decided, observer=self._observer
            )
            self._trials.refresh(make=False)
            self._trials.adopt(claim=False)
            # A trial that was claimed meanwhile may look like one without a claim.
            if stamp(self.folder / HOME / "trials") == before:
                break
        self._strangers = self._find_strangers()

    def _find_strangers(self) -> frozenset[tuple[str, bool]]:
        """Return the folders that are no trials, each with whether it holds hyperparameters."""
        known = {record.name for record in self._trials}
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each in entries if each.name not in known and each.is_dir()]
        except OSError:
            return frozenset()
        return frozenset(
            (name, experiment.params_file(self.folder / name) is not None)
            for name in names
            if name[0] != "." and name != "attempts"
        )

    def _know(self) -> None:
        self.there = {each.record.number: each for each in self._found()}
        aside = (plain_values.flatten(record.hyperparameters) for record in self._trials.aside())
        flats = (*(each.flat for each in self.there.values()), *aside)
        checked, base = self.plan.checked, self.plan.base
        self._counted = (
            sum(plan_trials.is_of_plan(checked, base, flat) for flat in flats) if checked else 0
        )

    def _found(self) -> Iterator[PresentTrial]:
        for record in list(self._trials):
            folder = self._trials.path(record)
            if os.path.isdir(folder) or self._trials.is_there(record):
                known = self.there.get(record.number)
                same = known is not None and known.record == record
                flat = (
                    known.flat if known and same else plain_values.flatten(record.hyperparameters)
                )
                yield PresentTrial(record, folder, flat)


def _in_a_line(error: ModeldirError | OSError) -> str:
    if not isinstance(error, ModeldirError):
        return str(error)
    whats = "; ".join(each.what for each in error.problems)
    return escaping.visible(f"{error.summary} {whats}".rstrip())
