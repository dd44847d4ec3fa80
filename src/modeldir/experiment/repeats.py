"""Repeats of a point, with one seed each, as one row: mean, standard deviation, count.

It knows which experiments are repeats of each other: those of one search that differ in `seed`
alone, where the search has made them so. It refuses to know where they were read from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from modeldir.experiment import attempts
from modeldir.experiment.experiment import Scores, Status
from modeldir.metrics import metrics
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED

_T = TypeVar("_T")


@dataclass(frozen=True)
class Repeat:
    """What of an experiment decides whether it is a repeat, and of what."""

    parent: str
    hyperparameters: Mapping[str, Any] | None
    repeat: int | None


def groups(found: Sequence[Repeat]) -> list[list[int]]:
    """The places of experiments that belong together, each group in the order of its first."""
    if all(each.repeat is None for each in found):
        return [[place] for place in range(len(found))]
    together: dict[object, list[int]] = {}
    for place, each in enumerate(found):
        together.setdefault(_key(each, place), []).append(place)
    made: list[list[int]] = []
    for places in together.values():
        one = any(found[place].repeat is not None for place in places)
        made += [places] if one else [[place] for place in places]
    return sorted(made)


def _key(each: Repeat, place: int) -> object:
    if each.hyperparameters is None or SEED not in each.hyperparameters:
        return place
    others = {name: value for name, value in each.hyperparameters.items() if name != SEED}
    return each.parent, plain_values.canonical_hash(others)


def group_name(names: Sequence[str], over: Sequence[str] = (SEED,)) -> str:
    """What a group is called: what its names have in common but for the seed, or for whatever else
    it is `over`; else the first.

    >>> group_name(["width_8__seed_1", "width_8__seed_2"]), group_name(["a/seed_1", "a/seed_2"])
    ('width_8', 'a')
    """
    part = "|".join(map(re.escape, over))
    bare = {re.sub(rf"(?:^|__|/)(?:{part})[_=-]?[^/]*?(?=__|/|$)", "", name) for name in names}
    name = bare.pop().lstrip("_/")
    return name if name and not bare else f"{names[0]} (+{len(names) - 1})"


def mean_scores(all_scores: Sequence[Scores]) -> Scores:
    """The mean of each metric that all have."""
    return Scores(
        best=_mean([each.best for each in all_scores]),
        last=_mean([each.last for each in all_scores]),
        test=_mean([each.test for each in all_scores]),
        train=_mean([each.train for each in all_scores]),
    )


def _mean(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = [name for name in several[0] if all(name in each for each in several)]
    return {name: math.fsum(each[name] for each in several) / len(several) for name in names}


def best(
    found: Sequence[tuple[Repeat, float, int | None, _T]], direction: metrics.Direction
) -> tuple[_T, float] | None:
    """The best of some experiments, each with its value and number: the best repeat of the point
    with the best mean, and that mean.
    """
    means = []
    for places in groups([part for part, _, _, _ in found]):
        members = [found[place] for place in places]
        mean = math.fsum(value for _, value, _, _ in members) / len(members)
        one = metrics.best_of([(value, n, each) for _, value, n, each in members], direction)
        if one is not None:
            means.append((mean, members[0][2], (one, mean)))
    return metrics.best_of(means, direction)


def standard_deviation(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample; None of fewer than two.

    >>> standard_deviation([1.0, 3.0]), standard_deviation([1.0])
    (1.4142135623730951, None)
    """
    if len(values) < 2:  # noqa: PLR2004 - of one value nothing deviates
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def group_status(states: Sequence[Status]) -> Status:
    """How a group stands: not ended before all have; completed where one has ended well."""
    order = (
        attempts.RUNNING, attempts.WAITING, attempts.INTERRUPTED,
        attempts.COMPLETED, attempts.UNRECORDED, attempts.PRUNED, attempts.FAILED,
    )  # fmt: skip
    first = min(states, key=lambda each: order.index(each.state))
    times = [each.duration for each in states if each.duration is not None]
    failure = next((each.failure for each in states if each.failure), None)
    duration = math.fsum(times) / len(times) if times else None
    started = min((each.started for each in states if each.started), default=None)
    return replace(first, duration=duration, failure=failure, started=started)


def seed_has_no_effect(points: Iterable[Sequence[Mapping[str, float]]]) -> bool:
    """Whether all repeats of every point have the same metrics: then no seed makes a difference."""
    several = [values for values in points if len(values) > 1 and values[0]]
    return bool(several) and all(_same(values) for values in several)


def _same(values: Sequence[Mapping[str, float]]) -> bool:
    return all(dict(each) == dict(values[0]) for each in values)


def is_ranked(status: Status) -> bool:
    """Whether an experiment has ended so that its metrics count."""
    return status.state in attempts.RANKED
