"""Decide the scale of an axis: whether it is logarithmic, and how far it reaches.

The report and the figures call `is_log_hyperparameter`, so a hyperparameter has the same axis
everywhere. The search config decides, else the distribution of the values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir.errors import ParamsError
from modeldir.params import plain_values
from modeldir.results.report.encoding import is_number

# The largest value must be this many times the smallest one before a logarithmic axis is
# considered: for many different values, and for a few, which somebody probably listed (1, 2, 4, 8).
_WIDE_RANGE, _WIDE_LIST = 50, 8
_FEWEST_VALUES, _LONGEST_LIST = 3, 12


@dataclass(frozen=True)
class DeclaredRange:
    log: bool | None = None
    low: float | None = None
    high: float | None = None
    options: tuple[Any, ...] = ()


def read_plans(folders: Iterable[Path]) -> list[dict[str, Any]]:
    plans = []
    for folder in folders:
        try:
            plans.append(plain_values.load_file(folder / "search.json"))
        except ParamsError:  # there is none, or the tree has warned about it
            continue
    return plans


def declared_ranges(plans: Iterable[Mapping[str, Any]]) -> dict[str, DeclaredRange]:
    """Return the range of each hyperparameter, the widest one if several configs have it."""
    ranges: dict[str, DeclaredRange] = {}
    for plan in plans:
        space = plan.get("space")
        for name, raw in space.items() if isinstance(space, dict) else ():
            declared = _range_of(raw)
            ranges[name] = _union(ranges[name], declared) if name in ranges else declared
    return ranges


def _range_of(raw: object) -> DeclaredRange:
    if isinstance(raw, dict):
        for word in ("uniform", "int", "log_uniform", "log_int"):
            bounds = raw.get(word)
            if isinstance(bounds, list) and len(bounds) == 2 and all(map(is_number, bounds)):  # noqa: PLR2004
                return DeclaredRange(word.startswith("log_"), bounds[0], bounds[1])
        raw = raw.get("values")
    return DeclaredRange(options=tuple(raw)) if isinstance(raw, list) else DeclaredRange()


def _union(one: DeclaredRange, other: DeclaredRange) -> DeclaredRange:
    lows = [each for each in (one.low, other.low) if each is not None]
    highs = [each for each in (one.high, other.high) if each is not None]
    log = other.log if one.log is None else one.log or bool(other.log)
    options = (*one.options, *(each for each in other.options if each not in one.options))
    return DeclaredRange(log, min(lows, default=None), max(highs, default=None), options)


def is_log_hyperparameter(values: Sequence[float], declared: DeclaredRange) -> bool:
    """Return whether the axis is logarithmic: a declared range decides, for values over 0."""
    log = looks_logarithmic(values) if declared.log is None else declared.log
    return log and min(values, default=1) > 0


def looks_logarithmic(values: Sequence[float]) -> bool:
    """Return whether the logarithms of values are spread more evenly than the values.

    A wide range alone is not enough: a dropout from 0.0007 to 0.7 may be drawn uniformly. So the
    largest distance to an even spread is compared, as in the Kolmogorov-Smirnov test.

    >>> looks_logarithmic([1e-4, 1e-3, 1e-2, 1e-1]), looks_logarithmic([0.001, 0.2, 0.4, 0.7])
    (True, False)
    """
    ordered = sorted(each for each in values if math.isfinite(each))
    distinct = sorted(set(ordered))
    if len(distinct) < _FEWEST_VALUES or ordered[0] <= 0:
        return False
    is_list = len(distinct) <= _LONGEST_LIST
    if ordered[-1] / ordered[0] < (_WIDE_LIST if is_list else _WIDE_RANGE):
        return False
    ordered = distinct if is_list else ordered  # each value of a list counts once
    return _unevenness([math.log(each) for each in ordered]) < _unevenness(ordered)


def _unevenness(ordered: Sequence[float]) -> float:
    low, width, count = ordered[0], ordered[-1] - ordered[0], len(ordered)
    if not 0 < width < math.inf:
        return 1.0
    return max(
        abs((each - low) / width - (index + 0.5) / count) for index, each in enumerate(ordered)
    )
