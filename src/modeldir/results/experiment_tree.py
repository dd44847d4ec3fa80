"""Read a tree of experiment folders: its experiments, and the metrics that rank them.

Every command that prints or draws results calls `read_tree`. The rule: nothing is remembered
between two calls, and a file that cannot be read becomes a line in `warnings`.
`experiment.discovery` finds folders, `experiment.reader` reads one.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.errors import FolderError, ModeldirError, ParamsError
from modeldir.experiment import discovery, experiment, reader, repeats
from modeldir.experiment.attempts import RANKED
from modeldir.experiment.reader import ExperimentRecord
from modeldir.metrics import objective
from modeldir.metrics.objective import Objectives
from modeldir.params import equality, plain_values
from modeldir.params.plain_values import SEED
from modeldir.results.experiments import ExperimentRow, Experiments

_NAMES_OTHER_FILES = frozenset({"reuse", "try"})
"""Keys of a plan that may name other folders and files. Other plans need not be checked."""


# -- The tree --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tree:
    """All experiments below a folder, sorted by name, and the metrics that rank them.

    If there are several `folders`, the names of the experiments are paths below `folder`.
    """

    folder: Path
    experiments: Experiments
    objectives: Objectives
    warnings: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    metrics_file: str | None = None

    @property
    def metric(self) -> tuple[str, objective.Direction] | None:
        """The first of the objectives. The table is sorted by it."""
        return self.objectives[0] if self.objectives else None

    @property
    def title(self) -> str:
        names = [files.absolute(each).name or str(each) for each in self.folders or (self.folder,)]
        return " and ".join(names) if len(names) < 4 else f"{len(names)} folders"  # noqa: PLR2004

    def best(self, metric: tuple[str, objective.Direction] | None = None) -> ExperimentRow | None:
        """Return the best experiment that ended well, by one validation metric, or None.

        Repeats of a configuration are ranked by their mean, and the best repeat is returned. If a
        plan has several metrics and none is given, no experiment is best by all.
        """
        if metric is None and len(self.objectives) > 1:
            return None
        metric = metric or self.metric
        best = self.rows().best(*metric) if metric else None
        return Experiments(best.members).best(*metric) if metric and best and best.members else best

    def points(self) -> list[list[int]]:
        return repeats.groups(
            [
                repeats.Repeat(os.path.dirname(row.folder), row.hyperparameters, row.repeat)
                for row in self.experiments
            ]
        )

    def rows(self) -> Experiments:
        """Return the experiments, with the repeats of a configuration in one row."""
        if {*self.experiments.column("repeat")} <= {None}:
            return self.experiments
        return Experiments(
            _together([self.experiments[place] for place in places]) for places in self.points()
        )

    def grouped(self, over: Sequence[str]) -> Experiments:
        """Return the experiments, with those that differ only in `over` in one row."""
        used = self.experiments.used()
        blank = [None] * len(self.experiments)  # so that each row has a cell
        keys = (
            [None if cell is None else equality.key(cell) for cell in cells]
            for name, cells in used.items()
            if name not in over
        )
        others = zip(blank, *keys, strict=True)
        over_these = zip(blank, *(used[name] for name in over if name in used), strict=True)
        groups: dict[object, list[ExperimentRow]] = {}
        for place, (key, cells) in enumerate(zip(others, over_these, strict=True)):
            is_alone = cells.count(None) == len(cells)
            groups.setdefault(place if is_alone else key, []).append(self.experiments[place])
        return Experiments(
            _together(members, over) if len(members) > 1 else members[0]
            for members in groups.values()
        )

    def front(self) -> frozenset[str]:
        """Return the names of the Pareto front; empty if there is only one metric."""
        if len(self.objectives) < 2:  # noqa: PLR2004 - one metric has no front
            return frozenset()
        rows = self.rows()
        scored = [([row.value(name) for name, _ in self.objectives], row.name) for row in rows]
        return frozenset(objective.pareto_front(scored, self.objectives))


def _together(members: Sequence[ExperimentRow], over: Sequence[str] = (SEED,)) -> ExperimentRow:
    if len(members) == 1 and members[0].repeat is None:
        return members[0]
    counted = [each for each in members if each.status.state in RANKED]
    first = min(members, key=lambda each: (each.number is None, each.number))
    flat = [plain_values.flatten(each.hyperparameters or {}) for each in members]
    present = [name for name in over if any(name in each for each in flat)]  # others stay blank
    several = {name: [each.get(name) for each in flat] for name in present}
    differing = {
        name: values[0] if len(values) > 1 and equality.all_same(values) else values
        for name, values in several.items()
    }
    return ExperimentRow(
        first.folder,
        repeats.group_name([each.name for each in members], over),
        {**plain_values.flatten(first.hyperparameters or {}), **differing},
        repeats.mean_scores([each.scores for each in counted or members]),
        repeats.group_status([each.status for each in members]),
        first.number,
        members=tuple(members),
        inactive=first.inactive,
        note=first.note,
        looks=sum(each.looks for each in members),
    )


def default_folder() -> Path:
    """Return `experiments`, or the working folder if it has experiments: not a home folder."""
    if os.path.isdir("experiments"):
        return Path("experiments")
    here = Path()
    if any(experiment.params_file(folder) for folder in (here, *here.glob("*/"))):
        return here
    raise FolderError(
        "Which folder? There is no experiments/ here, and no folder with a params.json.\n"
        "  modeldir results DIR"
    )


def read_tree(folder: str | os.PathLike[str], *, metrics_file: str | None = None) -> Tree:
    """Read every experiment in and below a folder. Links are followed; no folder is read twice."""
    return read_trees([folder], metrics_file=metrics_file)


def read_trees(
    folders: Sequence[str | os.PathLike[str]], *, metrics_file: str | None = None
) -> Tree:
    """Read several folders as one tree. Names begin with the folder as it was given then."""
    tops = [os.fspath(folder).rstrip(os.sep) or os.sep for folder in folders]
    for top in tops:
        if not os.path.isdir(top):
            raise FolderError(experiment.no_folder_message(top))
    with uncollected():
        reading = _Reader(metrics_file)
        for top in tops:
            prefix = "" if len(tops) == 1 else os.path.normpath(top).replace(os.sep, "/")
            reading.read(top, prefix)
        rows = reading.rows
        if len(tops) > 1 or reading.reused:
            # A reused folder may also be in one of the trees, and a folder may be in two trees.
            places = {os.path.abspath(row.folder): row for row in [*reading.reused, *rows]}
            rows = [*places.values()]
        experiments = Experiments.by_name(rows)
        objectives = _objectives(experiments, reading.planned, tops[0], reading.warnings)
    folder = Path(tops[0]) if len(tops) == 1 else Path()
    paths, warnings = tuple(map(Path, tops)), tuple(reading.warnings)
    return Tree(folder, experiments, objectives, warnings, paths, metrics_file)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Stop the garbage collector for a while: rows contain no cycles, and it would visit all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Reader:
    def __init__(self, metrics_file: str | None) -> None:
        self.rows: list[ExperimentRow] = []
        self.reused: list[ExperimentRow] = []
        self.planned: dict[Objectives, None] = {}
        self.warnings: list[str] = []
        self._metrics_file = metrics_file

    def read(self, top: str, prefix: str) -> None:
        conditional: dict[str, frozenset[str]] = {}  # by the folder of a search
        found: list[discovery.Folder] = []
        for folder in discovery.walk(top, self._cannot_list):
            if "search.json" in folder.files:
                plan = self._read_plan(folder.path)
                conditional[folder.path] = _conditional(plan)
                if not plan.keys().isdisjoint(_NAMES_OTHER_FILES):
                    self.reused += _reused(folder.path, top, self.warnings)
            elif self._is_row(folder):
                found.append(folder)
        base = len(os.path.join(top, ""))
        for record in discovery.threaded_map(self._record, found):
            self.warnings += record.problems
            name = record.folder[base:].replace(os.sep, "/") or files.absolute(top).name or top
            if prefix:
                name = f"{prefix}/{name}" if len(record.folder) > base else prefix
            inside = conditional and conditional.get(os.path.dirname(record.folder))
            self.rows.append(ExperimentRow.of(record, name, inside or frozenset()))

    def _record(self, folder: discovery.Folder) -> ExperimentRecord:
        return reader.read(folder.path, folder.files, metrics_file=self._metrics_file)

    def _cannot_list(self, path: str, error: OSError) -> None:
        self.warnings.append(f"{path}: {error.strerror}")

    def _read_plan(self, path: str) -> Mapping[str, Any]:
        try:
            plan = plain_values.load_file(os.path.join(path, "search.json"))
        except ParamsError as error:
            self.warnings.append(error.summary)
            return {}
        if named := objective.objectives(plan):
            self.planned[named] = None
        return plan

    def _is_row(self, folder: discovery.Folder) -> bool:
        """Whether a folder is a row: as in CS230's script, any with validation metrics is."""
        if self._metrics_file in folder.files:
            return True
        kind = experiment.kind_of(folder)
        if kind is not None:
            return kind == "experiment"
        return any(
            name.startswith("metrics_") and place in {"best", "last"}
            for name, place in experiment.file_roles(folder.files).metrics
        )


def _conditional(plan: Mapping[str, Any]) -> frozenset[str]:
    space = plan.get("space")
    return frozenset(
        name
        for name, domain in (space.items() if isinstance(space, dict) else ())
        if isinstance(domain, dict) and "condition" in domain
    )


def _reused(search: str, top: str, warnings: list[str]) -> Iterator[ExperimentRow]:
    from modeldir.search import finished_experiments  # noqa: PLC0415 - only for a plan that reuses

    try:
        rows = finished_experiments.reused(Path(search))
    except ParamsError:  # `_read_plan` has warned about it
        return
    except ModeldirError as error:
        warnings.append(error.summary)
        return
    for row in rows:
        name = os.path.relpath(row.path, top).replace(os.sep, "/")
        record = reader.read(row.path)
        warnings += record.problems
        yield ExperimentRow.of(record._replace(number=None, repeat=None), name)


# -- The metric ------------------------------------------------------------------------------------


def _of_project(top: str, warnings: list[str]) -> Objectives:
    from modeldir.experiment import project_settings  # noqa: PLC0415 - only if no plan decides

    try:
        return objective.objectives(project_settings.settings(files.absolute(top)))
    except ModeldirError as error:
        warnings.append(error.summary)
        return ()


def _objectives(
    experiments: Experiments,
    planned: Mapping[Objectives, None],
    top: str,
    warnings: list[str],
) -> Objectives:
    """Choose the metrics of all plans, else of the project, else by the names of the metrics."""
    known = experiments.scores("validation")
    if not known:
        return ()
    if len(planned) == 1 and next(iter(planned))[0][0] in known:
        return next(iter(planned))
    by_project = () if planned else _of_project(top, warnings)
    if by_project and by_project[0][0] in known:
        return by_project
    chosen = objective.choose(known)
    return () if chosen is None else (chosen,)
