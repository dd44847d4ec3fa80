"""A tree of experiment folders, read: what lies there, whoever made it, and what is ranked by.

It knows how to find experiments below folders, which metric they are ranked by and which is the
best. It refuses to know what is shown of them, and to run, repair or judge anything: a file that
cannot be read is a line of warning and blanks in its row, never an end.

Start at `read_tree`. Each folder is listed and each file read while the call lasts, nothing is
kept, so what is told is never older than the folders.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from itertools import filterfalse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir import attempts, experiment, files, goals, looks, metrics, params, repeated
from modeldir.errors import FolderError, MetricsError, ModeldirError, ParamsError
from modeldir.goals import Objectives
from modeldir.params import SEED
from modeldir.table import Marked, key_of, order_of, value_cell
from modeldir.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

RANKED = frozenset({attempts.COMPLETED, attempts.UNRECORDED})
"""What has ended so that its metrics may be ranked by."""
_NONE: frozenset[str] = frozenset()
_PASSED_OVER = frozenset({"attempts", "__pycache__", "node_modules", "site-packages"})


# -- The tree --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """One experiment as it was read. `hyperparameters` is None where they could not be read.

    `name` is the path below the folder that was asked for, with "/" on every system; `number` and
    `repeat` a trial's. `members` are the repeats of a point where they are one row: then its scores
    are their means. `inactive` are hyperparameters that its condition leaves out: the base's values
    stand in its `params.json`, and nothing uses them. `note` says why it was made, `looks` how
    often its test metrics were looked at.
    """

    path: Path
    name: str
    hyperparameters: Mapping[str, Any] | None
    scores: experiment.Scores
    status: experiment.Status
    number: int | None = None
    repeat: int | None = None
    members: tuple[Found, ...] = ()
    inactive: frozenset[str] = frozenset()
    note: str | None = None
    looks: int = 0

    def used(self) -> dict[str, object] | None:
        """The hyperparameters by dotted name, as the latest attempt used them: marked where
        `params.json` has other values than that was given, without those that are not active.
        """
        if self.hyperparameters is None:
            return None
        flat = params.flatten(self.hyperparameters)
        cells: dict[str, object] = {name: value_cell(value) for name, value in flat.items()}
        for name in self.inactive:
            cells.pop(name, None)
        if self.status.given:
            cells.update({name: Marked(value) for name, value in self.status.given.items()})
        return cells

    def value(self, metric: str) -> float | None:
        """A development metric, if this experiment has ended well and may be ranked by it."""
        value = self.scores.development.get(metric)
        fit = self.status.state in RANKED and value == value  # noqa: PLR0124 - NaN is no rank
        return value if fit else None

    def counted(self) -> tuple[Found, ...]:
        """The members over which the means go."""
        return tuple(each for each in self.members if repeated.is_ranked(each.status))


@dataclass(frozen=True)
class Tree:
    """All experiments below a folder, by name; the metrics to rank by, if any can be.

    `metric` is the first of them, by which the table is sorted. `folders` are all that were asked
    for; of several, `folder` is that below which the names of the experiments are paths.
    """

    folder: Path
    found: tuple[Found, ...]
    objectives: Objectives
    warnings: tuple[str, ...]
    folders: tuple[Path, ...] = ()

    @property
    def metric(self) -> tuple[str, metrics.Direction] | None:
        return self.objectives[0] if self.objectives else None

    def best(self, metric: tuple[str, metrics.Direction] | None = None) -> Found | None:
        """The best experiment that ended well, by one development metric; None if there is none.

        Of a point with repeats the mean counts, and its best repeat is the answer. By default it is
        the metric of the plan; where that has several, none is best by all.
        """
        if metric is None and len(self.objectives) > 1:
            return None
        metric = metric or self.metric
        best = best_by(self.rows(), metric) if metric else None
        return best_by(best.members, metric) if metric and best and best.members else best

    def rows(self) -> tuple[Found, ...]:
        """The experiments, but the repeats of a point as one."""
        groups = repeated.groups(
            [repeated.Repeat(str(f.path.parent), f.hyperparameters, f.repeat) for f in self.found]
        )
        return tuple(_together([self.found[place] for place in places]) for places in groups)

    def grouped(self, over: Sequence[str]) -> tuple[Found, ...]:
        """The experiments, but those that differ in these hyperparameters alone as one."""
        together: dict[object, list[Found]] = {}
        for each in self.found:
            cells = each.used() or {}
            others = {(name, key_of(cell)) for name, cell in cells.items() if name not in over}
            told = any(name in cells for name in over)
            together.setdefault(frozenset(others) if told else each.path, []).append(each)
        return tuple(
            _together(each, over) if len(each) > 1 else each[0] for each in together.values()
        )

    def front(self) -> frozenset[str]:
        """The names of the rows that no other beats in all metrics; none where one counts."""
        if len(self.objectives) < 2:  # noqa: PLR2004 - one has a best, and no front
            return frozenset()
        scored = [([f.value(name) for name, _ in self.objectives], f.name) for f in self.rows()]
        return frozenset(goals.front(scored, self.objectives))


def _together(members: Sequence[Found], over: Sequence[str] = (SEED,)) -> Found:
    """The repeats of a point as one row, or others that differ in some hyperparameters alone."""
    if len(members) == 1 and members[0].repeat is None:
        return members[0]
    counted = [each for each in members if repeated.is_ranked(each.status)]
    first = min(members, key=lambda each: (each.number is None, each.number))
    flat = [params.flatten(each.hyperparameters or {}) for each in members]
    differing = {name: [each.get(name) for each in flat] for name in over}
    hyperparameters = {**params.flatten(first.hyperparameters or {}), **differing}
    return Found(
        first.path,
        repeated.name_of([each.name for each in members], over),
        hyperparameters,
        repeated.mean_scores([each.scores for each in counted or members]),
        repeated.status_of([each.status for each in members]),
        first.number,
        members=tuple(members),
        inactive=first.inactive,
        note=first.note,
        looks=sum(each.looks for each in members),
    )


def best_by(found: Iterable[Found], metric: tuple[str, metrics.Direction]) -> Found | None:
    """The best of some experiments by one metric; see `metrics.best_of`."""
    name, direction = metric
    return metrics.best_of(((each.value(name), each.number, each) for each in found), direction)


def default_folder() -> Path:
    """Where experiments are looked for when nobody says: `experiments`, else here.

    Raises:
        FolderError: when neither is there and nothing here looks like an experiment: from a home
            folder everything would be read, and a table left there.
    """
    if os.path.isdir("experiments"):
        return Path("experiments")
    here = Path()
    if any(experiment.params_file(folder) for folder in (here, *here.glob("*/"))):
        return here
    raise FolderError(
        "Which folder? There is no experiments/ here, and no folder with a params.json.\n"
        "  modeldir synthesize DIR"
    )


def read_tree(folder: str | os.PathLike[str], *, metrics_file: str | None = None) -> Tree:
    """Every experiment in and below a folder. Links to folders are followed, each folder once.

    Args:
        folder: where to look.
        metrics_file: a file's name; the development metrics are then what it holds in each folder.

    Raises:
        FolderError: when the folder is not there.
    """
    return read_trees([folder], metrics_file=metrics_file)


def read_trees(
    folders: Sequence[str | os.PathLike[str]], *, metrics_file: str | None = None
) -> Tree:
    """As `read_tree`, of several folders as one tree; of more than one, names begin with the folder
    as it was given.

    Raises:
        FolderError: when one of them is not there.
    """
    tops = [os.fspath(folder) for folder in folders]
    for top in tops:
        if not os.path.isdir(top):
            raise FolderError(experiment.no_folder(top))
    reading = _Reading(metrics_file)
    for top in tops:
        reading.read(top, "" if len(tops) == 1 else os.path.normpath(top).replace(os.sep, "/"))
    # One may be reused and below too, or below two of the folders.
    found = list({os.path.abspath(each.path): each for each in reading.found}.values())
    objectives = _objectives(found, reading.planned, tops[0], reading.warnings)
    found.sort(key=lambda each: order_of(each.name))
    folder = Path(tops[0]) if len(tops) == 1 else Path()
    given = tuple(map(Path, tops))
    return Tree(folder, tuple(found), objectives, tuple(reading.warnings), given)


class _Reading:
    """What has been read so far of one or several folders."""

    def __init__(self, metrics_file: str | None) -> None:
        self.found: list[Found] = []
        self.planned: dict[Objectives, None] = {}
        self.warnings: list[str] = []
        self._metrics_file = metrics_file
        self._conditional: dict[str, frozenset[str]] = {}  # by the folder of the search

    def read(self, top: str, prefix: str) -> None:
        """Every experiment in and below a folder."""
        for path, names in _listings(top, self.warnings):
            if "search.json" in names:
                self._read_plan(path)
                self.found += _reused(path, top, self.warnings)
            elif _is_experiment(path, names) or self._metrics_file in names:
                name = _name(path, top)
                whole = name if not prefix else prefix if path == top else f"{prefix}/{name}"
                self.found.append(self._experiment(path, names, whole))

    def _read_plan(self, path: str) -> None:
        try:
            plan = params.load_file(os.path.join(path, "search.json"))
        except ParamsError as error:
            self.warnings.append(_one_line(error))
            return
        self.planned.update(dict.fromkeys(_named_in(plan)))
        if conditional := _conditional(plan):
            self._conditional[path] = conditional

    def _experiment(self, path: str, names: list[str], name: str) -> Found:
        conditional = self._conditional.get(os.path.dirname(path), frozenset())
        return read_experiment(
            path,
            names,
            name,
            self.warnings,
            metrics_file=self._metrics_file,
            conditional=conditional,
        )


def _conditional(plan: Mapping[str, Any]) -> frozenset[str]:
    """The hyperparameters of a plan that count only under a condition."""
    space = plan.get("space")
    return frozenset(
        name
        for name, domain in (space.items() if isinstance(space, dict) else ())
        if isinstance(domain, dict) and "when" in domain
    )


def read_experiment(  # noqa: PLR0913 - what was listed and what is asked for
    path: str | os.PathLike[str],
    names: list[str],
    name: str,
    warnings: list[str],
    *,
    metrics_file: str | None = None,
    conditional: Collection[str] = (),
) -> Found:
    """One experiment; `names` are the files in its folder. What is broken is told in `warnings`.

    `conditional` are the hyperparameters of its search that count only under a condition.
    """
    folder = Path(path)
    if metrics_file is None:
        scores = experiment.scores(folder, names)
    else:
        scores = _scores_in(folder, names, metrics_file)
    warnings += map(_one_line, scores.problems)
    hyperparameters = None
    for file in (each for each in experiment.PARAMS_NAMES if each in names):
        try:
            hyperparameters = params.load_file(os.path.join(path, file))
        except ParamsError as error:
            warnings.append(_one_line(error))
        break
    status = experiment.status(folder, names)
    if metrics_file is not None and scores.best and status.state == attempts.WAITING:
        status = replace(status, state=attempts.UNRECORDED)  # somebody has run it
    told = files.read_object(os.path.join(path, "trial.json")) if "trial.json" in names else {}
    number, repeat = (
        value if isinstance(value := told.get(key), int) else None for key in ("number", "repeat")
    )
    point = told.get("point")
    active = point if isinstance(point, dict) else conditional
    inactive = frozenset(filterfalse(active.__contains__, conditional)) if conditional else _NONE
    note = status.note or (_message(path) if "origin.json" in names else None)
    return Found(
        folder,
        name,
        hyperparameters,
        scores,
        status,
        number,
        repeat,
        inactive=inactive,
        note=note,
        looks=looks.count(folder, names) if scores.test else 0,
    )


def _message(path: str | os.PathLike[str]) -> str | None:
    """Why an experiment was made, as `modeldir new -m` has kept it."""
    message = files.read_object(os.path.join(path, "origin.json")).get("message")
    return message if isinstance(message, str) and message else None


def _scores_in(folder: Path, names: list[str], metrics_file: str) -> experiment.Scores:
    """The metrics of one file, whatever it is called, in the place of the development metrics."""
    if metrics_file not in names:
        return experiment.Scores()
    try:
        return experiment.Scores(best=metrics.read_metrics(folder / metrics_file))
    except MetricsError as error:
        return experiment.Scores(problems=(str(error),), best_is_broken=True)


def _reused(search: str, top: str, warnings: list[str]) -> Iterator[Found]:
    """The experiments of other folders that a search counts as done."""
    from modeldir import elsewhere  # noqa: PLC0415 - wanted only where a plan reuses

    try:
        rows = elsewhere.counted(Path(search))
    except ParamsError:  # `_read_plan` has said so
        return
    except ModeldirError as error:
        warnings.append(_one_line(error))
        return
    for row in rows:
        path, name = os.fspath(row.path), os.path.relpath(row.path, top).replace(os.sep, "/")
        found = read_experiment(path, os.listdir(path), name, warnings)
        yield replace(found, number=None, repeat=None)


def _name(path: str, top: str) -> str:
    if path == top:
        return files.absolute(top).name or top
    return path[len(top) :].lstrip(os.sep).replace(os.sep, "/")


def _listings(top: str, warnings: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each folder of a tree once, with its files' names; linked folders after the real ones."""
    seen: set[tuple[int, int]] = set()
    folders: list[str] = [top]
    links: list[str] = []
    while folders or links:
        path = folders.pop() if folders else links.pop()
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:  # by a link, perhaps one in a circle
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                names, below, linked = _sorted_out(entries)
        except OSError as error:
            warnings.append(f"{path}: {error.strerror}")
            continue
        if "pyvenv.cfg" in names or (experiment.CONFIRM in names and path != top):
            continue
        folders += [os.path.join(path, name) for name in sorted(below, reverse=True)]
        links += [os.path.join(path, name) for name in sorted(linked, reverse=True)]
        yield path, names


def _sorted_out(entries: Iterable[os.DirEntry[str]]) -> tuple[list[str], list[str], list[str]]:
    """Names of the files, the folders and the links to folders worth looking at."""
    names: list[str] = []
    below: list[str] = []
    linked: list[str] = []
    for entry in entries:
        with contextlib.suppress(OSError):  # a link to itself is neither
            if entry.is_file():
                names.append(entry.name)
            elif entry.name[0] != "." and entry.name not in _PASSED_OVER and entry.is_dir():
                (linked if entry.is_symlink() else below).append(entry.name)
    return names, below, linked


def _is_experiment(path: str, names: list[str]) -> bool:
    """Whether a folder without a plan is a row: hyperparameters without trials, or metrics alone.

    CS230's own script takes every folder that has development metrics, so these count too.
    """
    if not any(name in names for name in experiment.PARAMS_NAMES):
        kinds = (metrics.classify(name) for name in names if name.startswith("metrics_"))
        return any(kind is not None and kind.split == "eval" for kind in kinds)
    return experiment.is_touched(names) or not experiment.is_search(Path(path))


def _one_line(problem: object) -> str:
    return str(problem).partition("\n")[0]


# -- The metric ------------------------------------------------------------------------------------


def _of_project(top: str, warnings: list[str]) -> Iterator[Objectives]:
    """The metric that the project's `modeldir.toml` names, if it does."""
    from modeldir.plan import read_project  # noqa: PLC0415 - wanted only where no plan decides

    try:
        yield from _named_in(read_project(files.absolute(top)))
    except ModeldirError as error:
        warnings.append(_one_line(error))


def _named_in(settings: Mapping[str, Any]) -> Iterator[Objectives]:
    found = goals.objectives(settings)
    if found:
        yield found


def _objectives(
    found: Sequence[Found],
    planned: Mapping[Objectives, None],
    top: str,
    warnings: list[str],
) -> Objectives:
    """What all plans agree on, else what the project says, else what the metrics' names suggest."""
    known = dict.fromkeys(name for each in found for name in each.scores.development)
    if not known:
        return ()
    if len(planned) == 1 and next(iter(planned))[0][0] in known:
        return next(iter(planned))
    said = [] if planned else list(_of_project(top, warnings))
    if said and said[0][0][0] in known:
        return said[0]
    chosen = metrics.choose(known)
    return () if chosen is None else (chosen,)
