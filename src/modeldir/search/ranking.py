"""The results of a search: the best trial, the Pareto front, and advice.

`Search.results` reads the trials once; ask the `Results` for `best`, `front` and `advice`. The
trials that count are those that completed and those that ran without modeldir; a configuration with
repeats counts by its mean. The evidence behind each sentence of advice: `advice.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import reading
from modeldir.experiment import attempts, discovery, repeats
from modeldir.metrics import objective
from modeldir.search import plan as plans
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials

if TYPE_CHECKING:
    from modeldir.search.advice import Tried
    from modeldir.search.finished_experiments import FinishedExperiment


@dataclass(frozen=True)
class Best:
    """The best trial of a search: where it is, the metric it was ranked by and its value."""

    path: Path
    metric: str
    value: float


@dataclass(frozen=True)
class ScoredTrial:
    """A trial that counts, with its validation metrics."""

    part: repeats.Repeat
    record: TrialRecord
    scores: Mapping[str, float]


def metric_of(
    plan: plans.Plan, trials: Trials, reused: Sequence[FinishedExperiment]
) -> tuple[str, objective.Direction] | None:
    """Return the metric to rank by: the plan's, else one that the first trial with metrics has."""
    if plan.metric is not None:
        return plan.metric
    for record in trials:
        found = trials.validation(record)
        if found:
            return objective.choose(list(found))
    return objective.choose(list(reused[0].values)) if reused else None


@dataclass(frozen=True)
class Results:
    """The trials of a search that count, each read once.

    `reused` are the experiments of other folders that count as done.
    """

    plan: plans.Plan
    trials: Trials
    counted: Sequence[ScoredTrial]
    reused: Sequence[FinishedExperiment]

    @classmethod
    def read(
        cls, plan: plans.Plan, trials: Trials, reused: Sequence[FinishedExperiment]
    ) -> Results:
        """Read what the trials' folders hold now."""
        return cls(plan, trials, [*_counted(trials)], reused)

    def metric(self) -> objective.Ranked | None:
        """Return the metric to rank by; None if no metric has a direction."""
        return metric_of(self.plan, self.trials, self.reused)

    def best(self) -> Best | None:
        """Return the best trial; of repeats the best one, with their mean as its value.

        None where no trial counts, and where the plan ranks by several metrics: see `front`.
        """
        metric = self.metric()
        if metric is None or len(self.plan.objectives) > 1:
            return None
        name, direction = metric
        found: list[tuple[repeats.Repeat, float, int | None, Best]] = []
        for row in self.reused:
            if name in row.values:
                part = repeats.Repeat(str(row.path.parent), row.hyperparameters, None)
                found.append((part, row.values[name], None, Best(row.path, name, row.values[name])))
        for each in self.counted:
            value, path = each.scores.get(name), self.trials.path(each.record)
            if value is not None:
                found.append((each.part, value, each.record.number, Best(path, name, value)))
        first = repeats.best(found, direction)
        return None if first is None else replace(first[0], value=first[1])

    def front(self) -> list[Path]:
        """Return the trials that no other beats in all metrics of the plan (the Pareto front).

        They are ordered by number; the first repeat stands for its configuration. Reused
        experiments come last.
        """
        objectives = self.plan.objectives
        scored: list[tuple[list[float | None], tuple[float, Path]]] = [
            (
                [_mean(name, several) for name, _ in objectives],
                (several[0].record.number, self.trials.path(several[0].record)),
            )
            for several in self.by_configuration()
        ]
        scored += [
            ([row.values.get(name) for name, _ in objectives], (math.inf, row.path))
            for row in self.reused
        ]
        return [path for _, path in sorted(objective.pareto_front(scored, tuple(objectives)))]

    def advice(self) -> list[str]:
        """Return at most three sentences on what the search has shown; none without evidence.

        There is none for a confirmation, which has a sharper test of its own.
        """
        from modeldir.search.advice import advice  # noqa: PLC0415 - only at the end of a search

        ranked, folder = self.plan.objectives, self.trials.folder
        if len(ranked) != 1 or (folder / discovery.CONFIRM).exists():
            return []
        written = reading.read_object(folder / plans.FILE)
        return advice(self._tried(ranked[0][0]), ranked[0], written)

    def by_configuration(self) -> list[list[ScoredTrial]]:
        """Return the trials that count, the repeats of each configuration together."""
        groups = repeats.groups([each.part for each in self.counted])
        return [[self.counted[place] for place in places] for places in groups]

    def _tried(self, name: str) -> list[Tried]:
        """Return the configurations that have a metric, each with its mean over repeats."""
        from modeldir.search.advice import Tried  # noqa: PLC0415 - only at the end of a search

        found = []
        for several in self.by_configuration():
            mean, record = _mean(name, several), several[0].record
            if mean is not None:
                spread = repeats.standard_deviation([each.scores[name] for each in several])
                called = repeats.group_name([each.record.name for each in several])
                found.append(
                    Tried(called, record.number, record.configuration, mean, spread, len(several))
                )
        return found


def _counted(trials: Trials) -> Iterator[ScoredTrial]:
    """Yield the trials that count, with their metrics."""
    for record in trials:
        if trials.status(record).state in attempts.RANKED:
            found = trials.validation(record)
            part = repeats.Repeat("", record.hyperparameters, record.repeat)
            yield ScoredTrial(part, record, found)


def _mean(name: str, several: Sequence[ScoredTrial]) -> float | None:
    """Return the mean of a metric; None where one of the trials lacks it."""
    values = [each.scores.get(name) for each in several]
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if len(numbers) == len(values) else None
