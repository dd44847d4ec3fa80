"""Which trials' learning curves go into the page, and as how many points.

The page cannot read files beside it, so what it shows must be in it: of few trials all curves, of
many those of the best and of some spread over the rest. It refuses to draw.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir.metrics import metrics
from modeldir.results.report import cells

if TYPE_CHECKING:
    from modeldir.results.report.cells import Json

ALL = 200
"""Up to so many trials have their curves in the page; of more the best and the spread."""
BEST, SPREAD = 60, 60
POINTS = 160
"""Of one curve at most: pairs of the least and the greatest of some neighbouring steps."""
SERIES = 6
PARSED = 4000
"""Lines of one file that are read; of a longer one every second, third, ... line."""


def chosen(ranked: Sequence[int], others: Sequence[int]) -> list[int]:
    """The places of the trials whose curves are shown: `ranked` are those with a value, the best
    first; `others` have none, and come in as far as there is room.
    """
    if len(ranked) + len(others) <= ALL:
        return sorted([*ranked, *others])
    rest = ranked[BEST:]
    step = max(1.0, len(rest) / SPREAD)
    spread = [rest[int(place * step)] for place in range(min(SPREAD, len(rest)))]
    return sorted([*ranked[:BEST], *spread])


def has_curve(folder: Path) -> bool:
    """Whether there is something to draw."""
    return os.path.exists(os.path.join(folder, metrics.METRICS_LINES))


def curves(folders: Mapping[int, Path], first: Sequence[str]) -> dict[str, Json]:
    """The curves of some experiments, by their places: `names` of the series, and for each
    experiment the points of each, or null. `first` are the series that matter most.
    """
    read = {place: series(folder) for place, folder in folders.items()}
    known = dict.fromkeys(name for found in read.values() for name in found)
    # The twin of a ranked metric is of more use than some other metric.
    twins = [f"train/{name}" for name in first]
    names = [name for name in dict.fromkeys([*first, *twins, *known]) if name in known][:SERIES]
    rows = {
        str(place): [_points(found[name]) if name in found else None for name in names]
        for place, found in read.items()
        if any(name in found for name in names)
    }
    return {"names": [cells.short(name) for name in names], "of": rows}


def series(folder: Path) -> dict[str, dict[float, float]]:
    """What `metrics.jsonl` tells over the steps: of a metric, its value by step. What was said of a
    step again, after a restart, takes the place of what was said before.
    """
    found: dict[str, dict[float, float]] = {}
    for count, line in enumerate(_lines(folder / metrics.METRICS_LINES)):
        line.pop("time", None)
        values = dict(metrics.numbers_in(line))
        told = metrics.take_step(values)
        step = float(count) if told is None else told
        train = {name: value for name, value in values.items() if name.startswith("train/")}
        for name, value in {**metrics.development(values), **train}.items():
            found.setdefault(name, {})[step] = value
    return {name: values for name, values in found.items() if len(values) > 1}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for raw in _raw_lines(path):
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):  # torn, or somebody else's
            continue
        if isinstance(value, dict):
            yield value


def _raw_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, evenly thinned out where they are very many."""
    try:
        with open(path, "rb") as file:
            size, first = os.fstat(file.fileno()).st_size, file.readline(1 << 20)
            stride = max(1, round(size / max(1, len(first)) / PARSED))
            yield first
            for count, line in enumerate(file, 1):
                if count % stride == 0:
                    yield line
    except OSError:
        return


def _points(values: Mapping[float, float]) -> list[Json]:
    """`[steps, values]` in the order of the steps; evenly spaced steps as `[first, by]`."""
    pairs = thinned(sorted(values.items()), POINTS)
    steps = [step for step, _ in pairs]
    by = steps[1] - steps[0] if len(steps) > 1 else 1.0
    even = all(b - a == by for a, b in pairwise(steps))
    told = [cells.number(steps[0]), cells.number(by)] if even else cells.numbers(steps)
    return [even, told, cells.numbers(value for _, value in pairs)]


def thinned(pairs: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many points; of some neighbours the least and the greatest, so that no spike is
    lost.
    """
    if len(pairs) <= most:
        return list(pairs)
    buckets = most // 2
    kept: list[tuple[float, float]] = []
    for place in range(buckets):
        part = pairs[place * len(pairs) // buckets : (place + 1) * len(pairs) // buckets]
        kept += _ends(part)
    return kept


def _ends(part: Sequence[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    finite = [pair for pair in part if math.isfinite(pair[1])] or part
    ends = {min(finite, key=lambda pair: pair[1]), max(finite, key=lambda pair: pair[1])}
    return sorted(ends)
