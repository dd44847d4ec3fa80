"""Choose the learning curves that go into the page, and thin them out.

`page_data` and `plots.curves` call it. The page cannot read files beside it, so it must contain
what it shows: all curves of a few trials, and of many those of the best and of some others.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir.metrics import metric_files
from modeldir.metrics.metric_files import logged_step
from modeldir.results.report import encoding
from modeldir.results.report.encoding import Json

_SHOW_ALL = 200
"""Up to this many trials have their curves in the page. More: the best, and some of the rest."""
_BEST, _OTHERS = 60, 60
_MOST_POINTS, _MOST_METRICS = 160, 6
_MOST_LINES = 4000
"""Lines of one file that are parsed. From a longer file, every second, third, ... line."""


def chosen(ranked: Sequence[int], others: Sequence[int]) -> list[int]:
    """Return the indices of the trials whose curves are shown: all, or the best and some others."""
    if len(ranked) + len(others) <= _SHOW_ALL:
        return sorted([*ranked, *others])
    rest = ranked[_BEST:]
    step = max(1.0, len(rest) / _OTHERS)
    spread = [rest[int(index * step)] for index in range(min(_OTHERS, len(rest)))]
    return sorted([*ranked[:_BEST], *spread])


def has_curve(folder: Path) -> bool:
    return os.path.exists(os.path.join(folder, metric_files.METRICS_LINES))


def curves(folders: Mapping[int, Path], objectives: Sequence[str]) -> dict[str, Json]:
    """Encode the curves of some experiments by index: `names`, and the points `of` each."""
    read = {index: read_curves(folder) for index, folder in folders.items()}
    known = dict.fromkeys(name for by_name in read.values() for name in by_name)
    training = [f"train/{name}" for name in objectives]
    order = dict.fromkeys([*objectives, *training, *known])
    names = [name for name in order if name in known][:_MOST_METRICS]
    encoded = {
        str(index): [_encode(by_name[name]) if name in by_name else None for name in names]
        for index, by_name in read.items()
        if any(name in by_name for name in names)
    }
    return {"names": [encoding.short(name) for name in names], "of": encoded}


def read_curves(folder: Path) -> dict[str, dict[float, float]]:
    """Read the value at each step by metric, validation and training only; the last one counts."""
    by_name: dict[str, dict[float, float]] = {}
    for index, line in enumerate(_parsed_lines(folder / metric_files.METRICS_LINES)):
        step, _, values = logged_step(line, index)
        train = {name: value for name, value in values.items() if name.startswith("train/")}
        for name, value in {**metric_files.validation_metrics(values), **train}.items():
            by_name.setdefault(name, {})[step] = value
    return {name: values for name, values in by_name.items() if len(values) > 1}


def _parsed_lines(path: Path) -> Iterator[dict[str, Any]]:
    for raw in _raw_lines(path):
        try:
            value = reading.loads(raw)
        except ValueError:  # torn, or not written by modeldir
            continue
        if isinstance(value, dict):
            yield value


def _raw_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, evenly thinned out if there are too many."""
    try:
        with reading.open_stream(path, reading.LINES) as file:
            size, first = os.fstat(file.fileno()).st_size, file.readline(reading.LONGEST_LINE)
            stride = max(1, round(size / max(1, len(first)) / _MOST_LINES))
            yield first
            count = 0
            while line := file.readline(reading.LONGEST_LINE):
                count += 1
                if count % stride == 0:
                    yield line
    except OSError:
        return


def _encode(values: Mapping[float, float]) -> list[Json]:
    """Return `[is_even, steps, values]`; evenly spaced steps are `[first, distance]`."""
    points = thinned(sorted(values.items()), _MOST_POINTS)
    steps = [step for step, _ in points]
    distance = steps[1] - steps[0] if len(steps) > 1 else 1.0
    is_even = all(b - a == distance for a, b in pairwise(steps))
    encoded = [steps[0], distance] if is_even else steps
    return [is_even, encoding.numbers(encoded), encoding.numbers(value for _, value in points)]


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Thin out a curve. The least and greatest of neighboring values stay, so no spike is lost."""
    if len(points) <= most:
        return list(points)
    buckets = most // 2
    kept: list[tuple[float, float]] = []
    for index in range(buckets):
        start, end = index * len(points) // buckets, (index + 1) * len(points) // buckets
        kept += _extremes(points[start:end])
    return kept


def _extremes(points: Sequence[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    finite = [point for point in points if math.isfinite(point[1])] or points
    return sorted({min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])})
