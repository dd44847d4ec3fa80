"""Combine repeats of one configuration, which differ in their seed: mean, deviation, count.

The tables, the ranking and `confirm` call `groups`. Experiments are repeats only if one search made
them so, and if they differ in nothing but `seed`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from modeldir.experiment import attempts
from modeldir.experiment.experiment import Scores, Status
from modeldir.metrics import objective
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED

_T = TypeVar("_T")


@dataclass(frozen=True)
class Repeat:
    parent: str
    hyperparameters: Mapping[str, Any] | None
    repeat: int | None


def groups(found: Sequence[Repeat]) -> list[list[int]]:
    """Return the positions of experiments that belong together, ordered by each group's first."""
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
    """Return the name of a group: what its names have in common without the seed, else the first.

    `over` names other hyperparameters in place of the seed.

    >>> group_name(["width_8__seed_1", "width_8__seed_2"]), group_name(["a/seed_1", "a/seed_2"])
    ('width_8', 'a')
    """
    pattern = "|".join(map(re.escape, over))
    bare = {re.sub(rf"(?:^|__|/)(?:{pattern})[_=-]?[^/]*?(?=__|/|$)", "", name) for name in names}
    name = bare.pop().lstrip("_/")
    return name if name and not bare else f"{names[0]} (+{len(names) - 1})"


def mean_scores(all_scores: Sequence[Scores]) -> Scores:
    return Scores(
        best=_mean([each.best for each in all_scores]),
        last=_mean([each.last for each in all_scores]),
        test=_mean([each.test for each in all_scores]),
        train=_mean([each.train for each in all_scores]),
        ranks_by_last=all_scores[0].ranks_by_last,
    )


def _mean(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = [name for name in several[0] if all(name in each for each in several)]
    return {name: math.fsum(each[name] for each in several) / len(several) for name in names}


def best(
    found: Sequence[tuple[Repeat, float, int | None, _T]], direction: objective.Direction
) -> tuple[_T, float] | None:
    """Return the best repeat of the configuration with the best mean, and that mean.

    `found` has each experiment with its value and trial number.
    """
    means = []
    for places in groups([part for part, _, _, _ in found]):
        members = [found[place] for place in places]
        mean = math.fsum(value for _, value, _, _ in members) / len(members)
        one = objective.best_of([(value, n, each) for _, value, n, each in members], direction)
        if one is not None:
            means.append((mean, members[0][2], (one, mean)))
    return objective.best_of(means, direction)


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample; None for fewer than two values.

    >>> standard_deviation([1.0, 3.0]), standard_deviation([1.0])
    (1.4142135623730951, None)
    """
    if len(values) < 2:  # noqa: PLR2004 - of one value nothing deviates
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def group_status(states: Sequence[Status]) -> Status:
    """Return the status of a group: it ends when all have ended, and completes if one has."""
    order = (
        attempts.RUNNING, attempts.PENDING, attempts.INTERRUPTED,
        attempts.COMPLETED, attempts.UNTRACKED, attempts.PRUNED, attempts.FAILED,
    )  # fmt: skip
    first = min(states, key=lambda each: order.index(each.state))
    times = [each.duration for each in states if each.duration is not None]
    failure = next((each.failure for each in states if each.failure), None)
    duration = math.fsum(times) / len(times) if times else None
    started = min((each.started for each in states if each.started), default=None)
    return replace(first, duration=duration, failure=failure, started=started)


def seed_has_no_effect(points: Iterable[Sequence[Mapping[str, float]]]) -> bool:
    """Return whether all repeats of every configuration have the same metrics."""
    several = [values for values in points if len(values) > 1 and values[0]]
    return bool(several) and all(
        dict(each) == dict(values[0]) for values in several for each in values
    )
