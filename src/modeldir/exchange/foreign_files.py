"""Read the files that a script wrote into the folder of another tool's run.

The importers call these functions for metric files, `metrics.jsonl`, Lightning's `metrics.csv` and
TensorBoard's event files. A file that cannot be read becomes a line in `problems` and never ends an
import. No pickle is ever loaded.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from modeldir._system import reading
from modeldir.errors import ParamsError
from modeldir.exchange.foreign_run import ForeignRun, LoggedValue, lines_by_step, metric_name
from modeldir.experiment import experiment
from modeldir.metrics import metric_files, tfevents
from modeldir.metrics.metric_files import logged_step
from modeldir.params import plain_values

Problems = list[str]
"""One line for each file that could not be read."""


def walk(top: Path, problems: Problems) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk a tree in alphabetical order without following links, as `os.walk` does."""

    def report(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for path, folders, names in os.walk(top, onerror=report):
        folders.sort()
        yield Path(path), folders, sorted(names)


def read_or_report(
    problems: Problems, path: Path, read: Callable[[], ForeignRun | None]
) -> list[ForeignRun]:
    """Return the run that `read` returns, if any. An error in its files becomes a problem."""
    try:
        run = read()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problems.append(f"{path}: cannot be read: {type(error).__name__}: {error}")
        return []
    return [] if run is None else [run]


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def load_values(path: Path, problems: Problems) -> dict[str, object] | None:
    """Return the content of a JSON or YAML file, None if it cannot be read."""
    try:
        return plain_values.load_file(path)
    except ParamsError as error:
        problems.append(error.summary)
        return None


def read_metric_files(folder: Path, problems: Problems) -> dict[str, Mapping[str, float]]:
    """Return the metrics by split from files with modeldir's names."""
    scores = experiment.scores(folder)
    problems += scores.problems
    by_split = {
        "best": scores.best, "last": scores.last, "test": scores.test, "train": scores.train,
    }  # fmt: skip
    return {split: values for split, values in by_split.items() if values}


def read_lines(folder: Path, names: list[str], problems: Problems) -> list[dict[str, float]]:
    """Return the steps that a script logged, from the first file format found."""
    if metric_files.METRICS_LINES in names:
        found = []
        for index, line in enumerate(reading.lines(folder / metric_files.METRICS_LINES)):
            step, time, values = logged_step(line, index)
            named = {metric_name(name): value for name, value in values.items()}
            found.append({"step": step, **({} if time is None else {"time": time}), **named})
        return found
    tables = [folder / name for name in names if name == "metrics.csv"]
    for path in tables or sorted(folder.glob("*/*/metrics.csv"))[-1:]:  # Lightning: logs/version_0
        return _csv_lines(path, problems)
    events = event_files(folder, problems)
    return event_lines(events, problems) if events else []


def _csv_lines(path: Path, problems: Problems) -> list[dict[str, float]]:
    values: list[LoggedValue] = []
    try:
        with reading.open_stream(path, reading.FOREIGN) as file:
            text = io.TextIOWrapper(file, "utf-8", "replace", newline="")
            for index, row in enumerate(csv.DictReader(text)):
                cells = dict(metric_files.numbers_in({k: v for k, v in row.items() if k}))
                step, time, numbers = logged_step(cells, index)
                values += [(name, step, time, value) for name, value in numbers.items()]
    except (OSError, csv.Error) as error:
        problems.append(f"{path}: {error}")
    return lines_by_step(values)


def is_event_file(name: str) -> bool:
    return "tfevents" in name


def event_files(folder: Path, problems: Problems) -> list[Path]:
    return [
        p / name for p, _, names in walk(folder, problems) for name in names if is_event_file(name)
    ]


def read_events(path: Path, problems: Problems) -> Iterator[tfevents.ScalarEvent]:
    try:
        data = reading.read(path, reading.EVENTS)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return
    yield from tfevents.events(data)


def event_lines(paths: list[Path], problems: Problems) -> list[dict[str, float]]:
    return lines_by_step(
        (tag, float(event.step), event.time or None, value)
        for path in paths
        for event in read_events(path, problems)
        for tag, value in event.scalars.items()
    )
