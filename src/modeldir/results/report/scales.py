"""Whether an axis is logarithmic, and how far it reaches: as declared, else as the values lie.

It refuses to draw. Start at `declared` and `looks_logarithmic`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir.errors import ParamsError
from modeldir.params import plain_values
from modeldir.results.report.cells import is_number

WIDE = 50
"""Times the smallest value that the largest must be before logarithms are thought of."""
DOUBLED = 8
"""The same of a few values that somebody listed: 1, 2, 4, 8 are steps of one size."""
_FEW, _LISTED = 3, 12


@dataclass(frozen=True)
class Domain:
    """What a plan says of one hyperparameter. `options` are the values of a list, in its order."""

    log: bool | None = None
    low: float | None = None
    high: float | None = None
    options: tuple[Any, ...] = ()


def plans(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """The plans that lie in some folders; those that cannot be read left out."""
    found = []
    for folder in folders:
        try:
            found.append(plain_values.load_file(folder / "search.json"))
        except ParamsError:  # not there; or what is wrong with it, the tree's warnings tell
            continue
    return found


def declared(raw_plans: Iterable[Mapping[str, Any]]) -> dict[str, Domain]:
    """What some plans say of each hyperparameter; of several the widest."""
    found: dict[str, Domain] = {}
    for plan in raw_plans:
        space = plan.get("space")
        for name, raw in space.items() if isinstance(space, dict) else ():
            domain = _domain(raw)
            found[name] = _joined(found[name], domain) if name in found else domain
    return found


def _domain(raw: object) -> Domain:
    if isinstance(raw, dict):
        for word in ("uniform", "int", "log_uniform", "log_int"):
            ends = raw.get(word)
            if isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends)):  # noqa: PLR2004
                return Domain(word.startswith("log_"), ends[0], ends[1])
        raw = raw.get("values")
    return Domain(options=tuple(raw)) if isinstance(raw, list) else Domain()


def _joined(one: Domain, other: Domain) -> Domain:
    lows = [each for each in (one.low, other.low) if each is not None]
    highs = [each for each in (one.high, other.high) if each is not None]
    log = other.log if one.log is None else one.log or bool(other.log)
    options = (*one.options, *(each for each in other.options if each not in one.options))
    return Domain(log, min(lows, default=None), max(highs, default=None), options)


def looks_logarithmic(values: Sequence[float]) -> bool:
    """Whether values lie more evenly by their logarithms than by themselves.

    A wide range alone says little: a dropout from 0.0007 to 0.7 may be drawn uniformly. So the
    largest distance to an even spread is compared (as Kolmogorov and Smirnov's).

    >>> looks_logarithmic([1e-4, 1e-3, 1e-2, 1e-1]), looks_logarithmic([0.001, 0.2, 0.4, 0.7])
    (True, False)
    >>> looks_logarithmic([16, 32, 64, 128, 128]), looks_logarithmic([1, 2, 3, 4, 5, 6, 7, 8])
    (True, False)
    """
    ordered = sorted(each for each in values if math.isfinite(each))
    distinct = sorted(set(ordered))
    if len(distinct) < _FEW or ordered[0] <= 0:
        return False
    listed = len(distinct) <= _LISTED
    if ordered[-1] / ordered[0] < (DOUBLED if listed else WIDE):
        return False
    ordered = distinct if listed else ordered  # how often each was tried says nothing
    return _unevenness([math.log(each) for each in ordered]) < _unevenness(ordered)


def _unevenness(ordered: Sequence[float]) -> float:
    low, width, count = ordered[0], ordered[-1] - ordered[0], len(ordered)
    if not 0 < width < math.inf:
        return 1.0
    return max(
        abs((each - low) / width - (place + 0.5) / count) for place, each in enumerate(ordered)
    )
