"""What lies in a folder of any tool: its trees, its metric files, its logs.

It knows how folders are walked without following links, and the metric files that scripts write
themselves: JSON named as ours, `metrics.jsonl`, `metrics.csv` as Lightning has it, TensorBoard's
event files. It refuses to know which tool made the folder, and to load a pickle.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from modeldir._system import files
from modeldir._system.timestamps import unix_time
from modeldir.errors import ParamsError
from modeldir.exchange import tfevents
from modeldir.exchange.foreign_run import Foreign, metric_name, together
from modeldir.experiment import experiment
from modeldir.metrics import metrics
from modeldir.params import plain_values

Problems = list[str]
"""What could not be read: a line each."""

_MOST = 1_000_000_000
"""Bytes: a larger event file holds pictures, and is passed over."""


def walk(top: Path, problems: Problems) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder of a tree with the names of its folders and files, in order; no links."""

    def tell(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for path, folders, names in os.walk(top, onerror=tell):
        folders.sort()
        yield Path(path), folders, sorted(names)


def tolerant(problems: Problems, path: Path, read: Callable[[], Foreign | None]) -> list[Foreign]:
    """The run that `read` makes of a folder; none, and a problem, where what lies there has another
    form than its tool gives it: one odd run is no reason to leave the others behind.
    """
    try:
        run = read()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problems.append(f"{path}: cannot be read: {type(error).__name__}: {error}")
        return []
    return [] if run is None else [run]


def size_of(path: Path) -> int:
    """Bytes of a file; of one that is not there, or leads nowhere, 0."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def values_in(path: Path, problems: Problems) -> dict[str, object] | None:
    """What a JSON or YAML file holds; None, and a problem, where it cannot be read."""
    try:
        return plain_values.load_file(path)
    except ParamsError as error:
        problems.append(error.summary)
        return None


def results_in(folder: Path, problems: Problems) -> dict[str, Mapping[str, float]]:
    """The metrics of the files that are named as ours, by split."""
    scores = experiment.scores(folder)
    problems += scores.problems
    found = {"best": scores.best, "last": scores.last, "test": scores.test, "train": scores.train}
    return {split: values for split, values in found.items() if values}


def lines_in(folder: Path, names: list[str], problems: Problems) -> list[dict[str, float]]:
    """The steps that a script has written down in its folder: the first kind that there is."""
    if metrics.METRICS_LINES in names:
        return list(_json_lines(folder / metrics.METRICS_LINES))
    tables = [folder / name for name in names if name == "metrics.csv"]
    for path in tables or sorted(folder.glob("*/*/metrics.csv"))[-1:]:  # Lightning: logs/version_0
        return table_lines(path, problems)
    events = event_files(folder, problems)
    return event_lines(events, problems) if events else []


def _json_lines(path: Path) -> Iterator[dict[str, float]]:
    for count, line in enumerate(files.read_lines(path)):
        numbers = dict(metrics.numbers_in({k: v for k, v in line.items() if k != "time"}))
        told = metrics.take_step(numbers)
        step = float(count) if told is None else told
        time = unix_time(line.get("time"))
        named = {metric_name(name): value for name, value in numbers.items()}
        yield {"step": step, **({} if time is None else {"time": time}), **named}


def table_lines(path: Path, problems: Problems) -> list[dict[str, float]]:
    """The rows of a CSV file as steps; cells that are no numbers are passed over."""
    points = []
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            for count, row in enumerate(csv.DictReader(file)):
                numbers = dict(metrics.numbers_in({k: v for k, v in row.items() if k}))
                told = metrics.take_step(numbers)
                step = float(count) if told is None else told
                points += [(name, step, None, value) for name, value in numbers.items()]
    except (OSError, csv.Error) as error:
        problems.append(f"{path}: {error}")
    return together(points)


# -- Event files -----------------------------------------------------------------------------------


def is_event_file(name: str) -> bool:
    """Whether TensorBoard would read a file of this name."""
    return "tfevents" in name


def event_files(folder: Path, problems: Problems) -> list[Path]:
    """The event files in and below a folder."""
    return [
        p / name for p, _, names in walk(folder, problems) for name in names if is_event_file(name)
    ]


def events_in(path: Path, problems: Problems) -> Iterator[tfevents.Event]:
    """The events of a file."""
    size = size_of(path)
    if size > _MOST:
        problems.append(f"{path}: {size / 1e9:.1f} GB are more than scalars, and were passed over")
        return
    yield from tfevents.events(files.read_bytes(path) or b"")


def event_lines(paths: list[Path], problems: Problems) -> list[dict[str, float]]:
    """The scalars of some event files as steps."""
    return together(
        (tag, float(event.step), event.time or None, value)
        for path in paths
        for event in events_in(path, problems)
        for tag, value in event.scalars.items()
    )
