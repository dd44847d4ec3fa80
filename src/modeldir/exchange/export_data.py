"""Collect the experiments of a tree that an export writes, with their curves.

`exporting.export` calls `collect`, and each exporter reads the `ExportData`. Pending and running
experiments are left out, because they may change at any moment.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from modeldir import space
from modeldir._system import reading
from modeldir._system.timestamps import unix_time
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts, experiment
from modeldir.metrics import metric_files, objective
from modeldir.metrics.metric_files import LoggedStep, logged_step
from modeldir.params import plain_values
from modeldir.params.equality import ABSENT, all_same
from modeldir.results.experiments import ExperimentRow
from modeldir.results.synthesize import read_tree
from modeldir.search import plan
from modeldir.space.domain_parsing import read_domain
from modeldir.space.problems import DomainError

_NOT_EXPORTED = frozenset({attempts.PENDING, attempts.RUNNING})


@dataclass(frozen=True)
class ExportedExperiment:
    """One experiment of an export. Repeats of one configuration have the same `group`."""

    found: ExperimentRow
    group: str

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def status(self) -> str:
        return self.found.status.state

    @cached_property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters as used, by dotted name."""
        flat = plain_values.flatten(self.found.hyperparameters or {})
        return {**flat, **self.found.status.given}

    @cached_property
    def started(self) -> float:
        """Unix time of the start; without a run file, when the hyperparameters were written."""
        recorded = unix_time(self.found.status.started)
        if recorded is not None:
            return recorded
        return _newest_change(self.found.path, experiment.PARAMS_NAMES)

    @cached_property
    def ended(self) -> float:
        """Unix time of the end; without a run file, when the newest metric file was written."""
        duration = self.found.status.duration
        if duration is not None and self.found.status.started:
            return self.started + duration - self.found.status.before
        try:
            names = os.listdir(self.found.path)
        except OSError:
            names = []
        kept = [
            n
            for n in names
            if n == metric_files.METRICS_LINES or metric_files.classify(n) is not None
        ]
        return max(self.started, _newest_change(self.found.path, kept))

    def curve(self) -> list[LoggedStep]:
        lines = reading.lines(self.found.path / metric_files.METRICS_LINES)
        steps = (logged_step(line, index) for index, line in enumerate(lines))
        return [each for each in steps if each.values and abs(each.step) < 2**53]

    def validation_curve(self) -> list[LoggedStep]:
        """Read the validation metrics of each logged step, named without `val/`."""
        return [
            step._replace(values=values)
            for step in self.curve()
            if (values := metric_files.validation_metrics(step.values))
        ]

    def final_metrics(self) -> dict[str, float]:
        """Return the metrics of the metric files: `accuracy`, `test/accuracy`, `last/accuracy`."""
        scores = self.found.scores
        last = {} if scores.last is scores.validation else scores.last
        prefixes = {
            "": scores.validation, "test/": scores.test, "train/": scores.train, "last/": last,
        }  # fmt: skip
        return {
            f"{prefix}{name}": value
            for prefix, values in prefixes.items()
            for name, value in values.items()
        }


@dataclass(frozen=True)
class ExportData:
    """All that an export writes. `left_out` counts the experiments left out, by status."""

    folder: Path
    experiments: tuple[ExportedExperiment, ...]
    objectives: objective.Objectives
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @cached_property
    def domains(self) -> dict[str, space.Domain]:
        """The domain of each searched hyperparameter, from the first search that has one."""
        folders = dict.fromkeys(each.found.path.parent for each in self.experiments)
        found: dict[str, space.Domain] = {}
        for folder in folders:
            try:
                written = plan.read_plan(folder).get("space")
            except ModeldirError:  # `read_tree` has already warned
                continue
            for name, value in written.items() if isinstance(written, dict) else ():
                with contextlib.suppress(DomainError):  # its values are exported all the same
                    found.setdefault(name, read_domain(value, may_repeat=True))
        return found

    def varying(self) -> list[str]:
        """Return the hyperparameters that are searched or differ, in the order of the files."""
        names = dict.fromkeys(name for each in self.experiments for name in each.hyperparameters)
        return [name for name in names if name in self.domains or self._differs(name)]

    def _differs(self, name: str) -> bool:
        known = [each for each in self.experiments if each.found.hyperparameters is not None]
        return not all_same([each.hyperparameters.get(name, ABSENT) for each in known])

    def metric_names(self) -> list[str]:
        """Return the names of all final metrics, the ranked ones first."""
        ranked = [name for name, _ in self.objectives]
        names = dict.fromkeys(name for each in self.experiments for name in each.final_metrics())
        return [*filter(names.__contains__, ranked), *(n for n in names if n not in ranked)]


def collect(folder: Path, objectives: objective.Objectives = ()) -> ExportData:
    """Collect every finished experiment below a folder, ranked by default as its search is."""
    tree = read_tree(folder)
    groups = {member.path: row.name for row in tree.rows() for member in row.members}
    experiments = tuple(
        ExportedExperiment(found, groups.get(found.path, found.name))
        for found in tree.experiments
        if found.status.state not in _NOT_EXPORTED
    )
    statuses = Counter(found.status.state for found in tree.experiments)
    left_out = {name: count for name, count in statuses.items() if name in _NOT_EXPORTED}
    return ExportData(folder, experiments, objectives or tree.objectives, left_out, tree.warnings)


def _newest_change(folder: Path, names: Sequence[str]) -> float:
    changes = []
    for name in names:
        try:
            changes.append(os.stat(folder / name).st_mtime)
        except OSError:
            continue
    return max(changes, default=0.0)
