"""A tree of experiments as exporters want it: ended trials, their series, what each may be.

It knows which trials are told to other tools (those that have ended), what varies among them, and
the domains that their plans give. It refuses to know any tool.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from modeldir import space
from modeldir._system import files
from modeldir._system.timestamps import unix_time
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts, experiment
from modeldir.metrics import metrics, objective
from modeldir.params import plain_values
from modeldir.params.equality import same
from modeldir.results.synthesize import Found, read_tree
from modeldir.search import plan
from modeldir.space.domain_parsing import RefusedError, read_domain

LEFT_OUT = frozenset({attempts.WAITING, attempts.RUNNING})
"""Who has nothing to tell yet, or may tell something else in a moment."""

Domains = Mapping[str, space.Domain]


class Point(NamedTuple):
    """One line of `metrics.jsonl`: step, Unix time where it is known, numbers by name."""

    step: float
    time: float | None
    values: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One experiment. `name` is its path below the folder that was asked for."""

    found: Found
    source: Path
    """The folder that was asked for, as an absolute path."""
    group: str
    """What it is called together with the repeats of its point; else its name."""

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def state(self) -> str:
        return self.found.status.state

    @cached_property
    def hyperparameters(self) -> dict[str, Any]:
        """By dotted name, as they were used."""
        flat = plain_values.flatten(self.found.hyperparameters or {})
        return {**flat, **self.found.status.given}

    @cached_property
    def begun(self) -> float:
        """Unix time, as recorded; without a record that of the hyperparameters' file."""
        told = unix_time(self.found.status.started)
        return _changed(self.found.path, experiment.PARAMS_NAMES) if told is None else told

    @cached_property
    def ended(self) -> float:
        """Unix time, as recorded; without a record that of the newest metric file."""
        duration = self.found.status.duration
        if duration is not None and self.found.status.started:
            return self.begun + duration - self.found.status.before
        try:
            names = os.listdir(self.found.path)
        except OSError:
            names = []
        kept = [n for n in names if n == metrics.METRICS_LINES or metrics.classify(n) is not None]
        return max(self.begun, _changed(self.found.path, kept))

    def series(self) -> list[Point]:
        """The steps of its training, read now: nothing is kept."""
        found = []
        for count, line in enumerate(files.read_lines(self.found.path / metrics.METRICS_LINES)):
            time = unix_time(line.get("time"))
            values = dict(metrics.numbers_in({k: v for k, v in line.items() if k != "time"}))
            told = metrics.take_step(values)
            step = float(count) if told is None else told
            if values and abs(step) < 2**53:
                found.append(Point(step, time, values))
        return found

    def development(self) -> list[Point]:
        """The series of the development metrics alone, without the split in their names."""
        return [
            point._replace(values=values)
            for point in self.series()
            if (values := metrics.development(point.values))
        ]

    def numbers(self) -> dict[str, float]:
        """All metrics that count, by split: `accuracy`, `test/accuracy`, `last/accuracy`."""
        scores = self.found.scores
        named = {"": scores.development, "test/": scores.test, "train/": scores.train}
        last = {} if scores.last is scores.development else scores.last
        return {
            f"{split}{name}": value
            for split, values in {**named, "last/": last}.items()
            for name, value in values.items()
        }


@dataclass(frozen=True)
class Gathered:
    """What is exported. `left_out` counts who has not ended, by status."""

    folder: Path
    rows: tuple[Row, ...]
    objectives: objective.Objectives
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @cached_property
    def searches(self) -> dict[Path, Mapping[str, Any]]:
        """The raw plans of the searches that the rows are trials of."""
        parents = dict.fromkeys(row.found.path.parent for row in self.rows)
        found = {}
        for folder in parents:
            raw = _plan_of(folder)
            if raw:
                found[folder] = raw
        return found

    def domains(self) -> dict[str, space.Domain]:
        """What each searched hyperparameter may be, as the plans say; the first of them counts."""
        found: dict[str, space.Domain] = {}
        for raw in self.searches.values():
            for name, domain in _domains(raw):
                found.setdefault(name, domain)
        return found

    def varied(self) -> list[str]:
        """The hyperparameters that are searched or differ, in the order of the files."""
        searched = self.domains()
        names = dict.fromkeys(name for row in self.rows for name in row.hyperparameters)
        return [name for name in names if name in searched or self._differs(name)]

    def _differs(self, name: str) -> bool:
        missing = object()
        first: object = missing
        for row in self.rows:
            value = row.hyperparameters.get(name, missing)
            if row.found.hyperparameters is None:
                continue
            if first is missing:
                first = value
            if (value is missing) != (first is missing) or not same(value, first):
                return True
        return False

    def metric_names(self) -> list[str]:
        """All metrics that any row has, the ranked ones first."""
        ranked = [name for name, _ in self.objectives]
        names = dict.fromkeys(name for row in self.rows for name in row.numbers())
        return [*filter(names.__contains__, ranked), *(n for n in names if n not in ranked)]


def gather(folder: Path, asked: objective.Objectives = ()) -> Gathered:
    """Every experiment below a folder that has ended; `asked` are the metrics to rank by.

    Raises:
        FolderError: when the folder is not there.
    """
    tree = read_tree(folder)
    source = files.absolute(folder)
    groups = {one.path: row.name for row in tree.rows() for one in row.members}
    kept = [each for each in tree.found if each.status.state not in LEFT_OUT]
    left = Counter(e.status.state for e in tree.found if e.status.state in LEFT_OUT)
    rows = tuple(Row(each, source, groups.get(each.path, each.name)) for each in kept)
    return Gathered(folder, rows, asked or tree.objectives, left, tree.warnings)


def _changed(folder: Path, names: Sequence[str]) -> float:
    found = []
    for name in names:
        try:
            found.append(os.stat(folder / name).st_mtime)
        except OSError:
            continue
    return max(found, default=0.0)


def _plan_of(folder: Path) -> Mapping[str, Any]:
    try:
        return plan.read_plan(folder)
    except ModeldirError:  # `read_tree` has told
        return {}


def _domains(raw: Mapping[str, Any]) -> Iterator[tuple[str, space.Domain]]:
    """The domains of a plan, each alone: one that makes no sense any more costs no other."""
    written = raw.get("space")
    for name, value in written.items() if isinstance(written, dict) else ():
        try:
            yield name, read_domain(value, may_repeat=True)
        except RefusedError:
            continue
