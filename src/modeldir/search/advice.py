"""Advice: what a search has shown, in at most three sentences of plain English.

`Results.advice` calls `advice`. Without evidence it gives no sentence. The shares of
hyperparameters: `importance.py`; Student's t: `statistics.py`. No folder is read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from modeldir import samplers
from modeldir.metrics.objective import Direction, better
from modeldir.search.importance import importances
from modeldir.search.statistics import quantile

MOST = 3
"""The number of sentences; more of them would not be read."""
FEWEST = 8
"""Trials with the metric that it takes to judge ranges."""
ENOUGH = 20
"""Trials with the metric that it takes to judge importance, and whether more trials would help."""
LITTLE = 0.1
"""A hyperparameter hardly matters if it surely explains less than this share of the metric."""
_EDGE, _NEAR = 0.05, 0.2
_TOP = 3

_LOGARITHMIC = frozenset({"log_uniform", "log_int"})
_RANGES = _LOGARITHMIC | {"uniform", "int"}
_BOTH_SIDES_95 = 0.975


@dataclass(frozen=True)
class Tried:
    """A configuration that counts; with repeats `value` is their mean, with its `deviation`."""

    name: str
    number: int | None
    configuration: Mapping[str, Any]
    value: float
    deviation: float | None = None
    repeats: int = 1


def advice(
    tried: Sequence[Tried], metric: tuple[str, Direction], plan: Mapping[str, Any]
) -> list[str]:
    """Return at most three sentences, each with its number; none without evidence."""
    known = [each for each in tried if math.isfinite(each.value)]
    ranked = sorted(known, key=lambda each: each.value, reverse=metric[1] == "maximize")
    space = plan.get("space")
    space = space if isinstance(space, dict) else {}
    sampler = _sampler(plan)
    sentences = chain(
        _at_the_border(ranked, space),
        _within_the_noise(ranked, metric[0]),
        _hardly_matters(ranked, space, metric[0], sampler),
        _more_trials(known, metric, sampler),
    )
    return [*islice(sentences, MOST)]


def _sampler(plan: Mapping[str, Any]) -> str | None:
    chosen = plan.get("auto")
    name = chosen.get("sampler") if isinstance(chosen, dict) else plan.get("sampler")
    name = next(iter(name), None) if isinstance(name, dict) else name  # {"tpe": {"startup": 20}}
    return name if isinstance(name, str) else None


# -- The border of a range -------------------------------------------------------------------------


def _at_the_border(ranked: Sequence[Tried], space: Mapping[str, Any]) -> Iterator[str]:
    """Say that the best lies at an end of its range, if those next to it lie near that end."""
    if len(ranked) < FEWEST:
        return
    found = []
    for name, domain in space.items():
        places = [_place(each.configuration.get(name), domain) for each in ranked[:_TOP]]
        edge = _EDGE if _is_range(domain) else 0.0  # a list tried the values beside it
        for end, side in ((1.0, "upper"), (0.0, "lower")):
            if _crowded(places, end, edge):
                value = ranked[0].configuration[name]
                low, high = _bounds(domain)
                found.append(f"{name} at the {side} end ({value:g} of {low:g} to {high:g})")
    if found:
        what = "that range" if len(found) == 1 else "these ranges"
        yield f"the best {_TOP} have {' and '.join(found)}: widen {what}"


def _crowded(places: Sequence[float | None], end: float, edge: float) -> bool:
    best = places[0]
    if best is None or abs(best - end) > edge:
        return False
    return all(place is not None and abs(place - end) <= _NEAR for place in places)


def _bounds(domain: object) -> tuple[float, float]:
    """Return the ends of a range, or of a list of three numbers or more; NaN if it has none."""
    values = _numbers(domain)
    fewest = 2 if _is_range(domain) else 3  # each of two values in a list is an end
    return (min(values), max(values)) if len(values) >= fewest else (math.nan, math.nan)


def _is_range(domain: object) -> bool:
    return isinstance(domain, dict) and not _RANGES.isdisjoint(domain)


def _numbers(domain: object) -> list[float]:
    """Return the ends of a range, or the values of a list, if they are numbers."""
    if isinstance(domain, dict):
        word = next((word for word in domain if word in _RANGES or word == "values"), "")
        domain = domain.get(word)
    found = domain if isinstance(domain, list) else []
    return found if all(type(each) in {int, float} for each in found) else []


def _place(value: object, domain: object) -> float | None:
    """Return the position of a value in its range, from 0 to 1; logarithmic where the range is.

    In a list it is the position among the other values: of 0.1, 0.01 and 0.001 the second is in the
    middle, whatever the difference says.
    """
    low, high = _bounds(domain)
    if type(value) not in {int, float} or not low < high:
        return None
    number = float(value)  # type: ignore[arg-type] # it is one
    if not _is_range(domain):
        values = sorted(set(_numbers(domain)))
        return values.index(number) / (len(values) - 1) if number in values else None
    if isinstance(domain, dict) and _LOGARITHMIC & domain.keys():
        if min(low, number) <= 0:
            return None
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low)


# -- The noise over seeds --------------------------------------------------------------------------


def _within_the_noise(ranked: Sequence[Tried], metric: str) -> Iterator[str]:
    """Say whether the best beats the next by more than seeds explain (Welch's interval)."""
    if len(ranked) < 2:  # noqa: PLR2004 - the best, and the next
        return
    one, other = ranked[:2]
    interval = _reach(one, other)
    if interval is None:
        return
    gap = abs(one.value - other.value)
    seeds = f"{one.repeats} and {other.repeats} seeds, 95%"
    sentence = f"the best beats the next ({other.name}) by {gap:.3g} ± {interval:.2g} in {metric}"
    if gap <= interval:
        yield f"{sentence} ({seeds}), which is within the noise: either may be the better one"
    else:
        yield f"{sentence} ({seeds}), which is more than random seeds explain"


def _reach(one: Tried, other: Tried) -> float | None:
    """Return half of the 95 % interval of a difference of means; None with too few seeds."""
    if one.deviation is None or other.deviation is None:
        return None
    parts = [each.deviation**2 / each.repeats for each in (one, other) if each.deviation]
    total = math.fsum(parts)
    if total == 0:
        return None
    freedom = total**2 / math.fsum(
        (each.deviation**2 / each.repeats) ** 2 / (each.repeats - 1)
        for each in (one, other)
        if each.deviation
    )
    return quantile(_BOTH_SIDES_95, freedom) * math.sqrt(total)


# -- What matters ----------------------------------------------------------------------------------


def _hardly_matters(
    ranked: Sequence[Tried], space: Mapping[str, Any], metric: str, sampler: str | None
) -> Iterator[str]:
    """Name the hyperparameters that explain little even at the upper end of their interval."""
    if len(ranked) < ENOUGH:
        return
    columns = {name: [each.configuration.get(name) for each in ranked] for name in space}
    found = importances(columns, [each.value for each in ranked])
    small = [each for each in found if each.share is not None and each.high < LITTLE]
    if not small:
        return
    names = " and ".join(each.name for each in small[:_TOP])
    most = max(each.high for each in small[:_TOP])
    verb = "hardly matters: it explains" if len(small) == 1 else "hardly matter: each explains"
    learns = sampler is not None and samplers.is_adaptive(sampler)
    where = f" among what {sampler} tried" if learns else ""
    yield (
        f"{names} {verb} at most {most:.0%} of {metric}{where} ({len(ranked)} trials, 95% interval)"
    )


# -- More trials -----------------------------------------------------------------------------------


def _more_trials(
    known: Sequence[Tried], metric: tuple[str, Direction], sampler: str | None
) -> Iterator[str]:
    """Say whether more trials would help. A grid has no more."""
    ordered = sorted(known, key=lambda each: (each.number is None, each.number or 0))
    if len(ordered) < ENOUGH or sampler is None or sampler == "grid":
        return
    if samplers.is_adaptive(sampler):
        yield from _trend(ordered, metric)
    else:
        yield _by_chance(ordered, metric)


def _by_chance(known: Sequence[Tried], metric: tuple[str, Direction]) -> str:
    """Say what another search of the same length would bring, if trials are drawn at random.

    Each trial is the best with the same probability. So the best of 2n trials is among the next n
    with a probability of one half, or less where several are equally good.
    """
    values = sorted((each.value for each in known), reverse=metric[1] == "maximize")
    apart = abs(values[0] - values[_TOP - 1])
    return (
        f"{len(known)} more random trials find a better one with a probability of at most 50%; "
        f"the best {_TOP} differ by {apart:.2g} in {metric[0]}"
    )


def _trend(ordered: Sequence[Tried], metric: tuple[str, Direction]) -> Iterator[str]:
    """Say whether the last trials still improved the metric, if the sampler learns from trials."""
    name, direction = metric
    count = len(ordered)
    late = count - count // 4
    best, when = ordered[0], 1
    before = best  # the best of the first three quarters
    for place, each in enumerate(ordered, start=1):
        if better(each.value, best.value, direction):
            best, when = each, place
        if place == late:
            before = best
    if when > late:
        yield (
            f"the last {count // 4} of {count} trials still improved {name}, "
            f"by {abs(best.value - before.value):.2g}: more trials may help"
        )
    elif when <= count // 2:
        yield (
            f"the last {count - when} of {count} trials found no better {name} than the "
            f"{_ordinal(when)}: more of the same are unlikely to help"
        )


def _ordinal(number: int) -> str:
    """Return an ordinal number as text.

    >>> _ordinal(1), _ordinal(12), _ordinal(23)
    ('1st', '12th', '23rd')
    """
    teens = number % 100 in {11, 12, 13}
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
