"""The trials of a search by what they scored: the best, and with several metrics the Pareto front.

It knows which trials count (those that have completed, and what nobody recorded), and that of a
point with repeats the mean does. It refuses to know what is searched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modeldir.experiment import attempts, experiment, repeats
from modeldir.metrics import objective
from modeldir.metrics.metrics import Direction
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials

if TYPE_CHECKING:
    from modeldir.search.advice import Tried

RANKED = frozenset({attempts.COMPLETED, attempts.UNRECORDED})


class Row(Protocol):
    """An experiment of another folder that counts as done here."""

    @property
    def path(self) -> Path: ...

    @property
    def hyperparameters(self) -> Mapping[str, Any]: ...

    @property
    def values(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Best:
    """The best trial of a search: where it is, the metric it was ranked by and its value."""

    path: Path
    metric: str
    value: float


@dataclass(frozen=True)
class Counted:
    """A trial that counts, with its development metrics."""

    part: repeats.Repeat
    record: TrialRecord
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Results:
    """The trials of a search that count, each read once, for who asks several things of them.

    `others` are the experiments of other folders that count as done.
    """

    trials: Trials
    counted: Sequence[Counted]
    others: Sequence[Row] = ()

    @classmethod
    def read(cls, trials: Trials, others: Sequence[Row] = ()) -> Results:
        """What the trials' folders hold now."""
        return cls(trials, [*_counted(trials)], others)

    def best(self, metric: tuple[str, Direction]) -> Best | None:
        """The best trial by a metric: of repeats the best one, with their mean as its value."""
        name, direction = metric
        found: list[tuple[repeats.Repeat, float, int | None, Best]] = []
        for row in self.others:
            if name in row.values:
                part = repeats.Repeat(str(row.path.parent), row.hyperparameters, None)
                found.append((part, row.values[name], None, Best(row.path, name, row.values[name])))
        for each in self.counted:
            value, path = each.scores.get(name), self.trials.path(each.record)
            if value is not None:
                found.append((each.part, value, each.record.number, Best(path, name, value)))
        first = repeats.best(found, direction)
        return None if first is None else replace(first[0], value=first[1])

    def by_point(self) -> list[list[Counted]]:
        """The trials that count, a point's repeats together."""
        groups = repeats.groups([each.part for each in self.counted])
        return [[self.counted[place] for place in places] for places in groups]

    def tried(self, name: str) -> list[Tried]:
        """The points that count and have a metric, each with its mean over repeats."""
        from modeldir.search.advice import Tried  # noqa: PLC0415 - at the end alone

        found = []
        for several in self.by_point():
            mean, record = _mean(name, several), several[0].record
            if mean is not None:
                spread = repeats.deviation([each.scores[name] for each in several])
                called = repeats.name_of([each.record.name for each in several])
                found.append(Tried(called, record.number, record.point, mean, spread, len(several)))
        return found

    def front(self, objectives: Sequence[tuple[str, Direction]]) -> list[Path]:
        """The trials that no other beats in all metrics, by number; of repeats the first. After
        them those of the `others`.
        """
        scored: list[tuple[list[float | None], tuple[float, Path]]] = [
            (
                [_mean(name, several) for name, _ in objectives],
                (several[0].record.number, self.trials.path(several[0].record)),
            )
            for several in self.by_point()
        ]
        scored += [
            ([row.values.get(name) for name, _ in objectives], (math.inf, row.path))
            for row in self.others
        ]
        return [path for _, path in sorted(objective.front(scored, tuple(objectives)))]


def _counted(trials: Trials) -> Iterator[Counted]:
    for record in trials:
        if trials.status(record).state in RANKED:
            found = experiment.scores(trials.path(record)).development
            yield Counted(repeats.Repeat("", record.hyperparameters, record.repeat), record, found)


def _mean(name: str, several: Sequence[Counted]) -> float | None:
    """The mean of a metric; None where one of them lacks it."""
    values = [each.scores.get(name) for each in several]
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if len(numbers) == len(values) else None
