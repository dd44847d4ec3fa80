"""A tree of experiment folders, read: what lies there, whoever made it, and what is ranked by.

It knows how to find experiments below folders, which metric they are ranked by and which is the
best. It refuses to know what is shown of them, and to run, repair or judge anything: a file that
cannot be read is a line of warning and blanks in its row, never an end.

Start at `read_tree`. What is told is never older than the folders: each is listed and each file
read while the call lasts, or seen by its times to be as it was when they were read (`recall`; of
large trees alone). A folder that is as nearly all are is read by `folders`, all else by `careful`.
"""

from __future__ import annotations

import contextlib
import gc
import os
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir.errors import FolderError, ModeldirError, ParamsError
from modeldir.experiment import attempts, experiment, repeats
from modeldir.metrics import metrics, objective
from modeldir.metrics.objective import Objectives
from modeldir.params import equality, plain_values
from modeldir.params.plain_values import SEED
from modeldir.results import batches
from modeldir.results.careful import one_line
from modeldir.results.careful import read_experiment as read_experiment  # noqa: PLC0414 - for all others
from modeldir.results.discovery import Folder, walk
from modeldir.results.folders import Contents, Facts, bytes_in, stamps_of
from modeldir.results.recall import Recall, marks
from modeldir.results.row import RANKED as RANKED  # noqa: PLC0414 - as others import it, from here
from modeldir.results.row import Finds, Made, Read
from modeldir.results.row import Found as Found  # noqa: PLC0414 - as above
from modeldir.results.sheets import Gathering

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from modeldir.results.row import Part

_NONE: frozenset[str] = frozenset()
_OF_OTHERS = frozenset({"reuse", "points"})
"""Keys of a plan that may name other folders and files: else it need not be understood."""
_TOGETHER = 500
"""Folders whose files are understood together: more take memory, and no less time."""
_MANY = 50
"""Folders side by side before anybody asks whether one has to wait for each: once in a tree."""


# -- The tree --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tree:
    """All experiments below a folder, by name; the metrics to rank by, if any can be.

    `metric` is the first of them, by which the table is sorted. `folders` are all that were asked
    for; of several, `folder` is that below which the names of the experiments are paths.
    """

    folder: Path
    found: Sequence[Found]
    objectives: Objectives
    warnings: tuple[str, ...]
    folders: tuple[Path, ...] = ()

    @property
    def metric(self) -> tuple[str, metrics.Direction] | None:
        return self.objectives[0] if self.objectives else None

    @property
    def title(self) -> str:
        """What the folders are called, in a few words."""
        names = [files.absolute(each).name or str(each) for each in self.folders or (self.folder,)]
        return " and ".join(names) if len(names) < 4 else f"{len(names)} folders"  # noqa: PLR2004

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

    def points(self) -> list[list[int]]:
        """The places of the experiments, those of the repeats of a point together."""
        return repeats.groups(
            [
                repeats.Repeat(os.path.dirname(f.folder), f.hyperparameters, f.repeat)
                for f in self.found
            ]
        )

    def rows(self) -> Sequence[Found]:
        """The experiments, but the repeats of a point as one."""
        if {*Finds.of(self.found).told("repeat")} <= {None}:
            return self.found
        return tuple(_together([self.found[place] for place in at]) for at in self.points())

    def grouped(self, over: Sequence[str]) -> Sequence[Found]:
        """The experiments, but those that differ in these hyperparameters alone as one."""
        used = Finds.of(self.found).named("used")
        blank = [None] * len(self.found)  # so that there is something of each
        keys = (
            [None if cell is None else equality.key(cell) for cell in cells]
            for name, cells in used.items()
            if name not in over
        )
        others = zip(blank, *keys, strict=True)
        over_these = zip(blank, *(used[name] for name in over if name in used), strict=True)
        together: dict[object, list[int]] = {}
        for place, (key, told) in enumerate(zip(others, over_these, strict=True)):
            is_alone = told.count(None) == len(told)
            together.setdefault(place if is_alone else key, []).append(place)
        if len(together) == len(self.found):
            return self.found
        found = [*self.found]
        return tuple(
            _together([found[place] for place in each], over) if len(each) > 1 else found[each[0]]
            for each in together.values()
        )

    def front(self) -> frozenset[str]:
        """The names of the rows that no other beats in all metrics; none where one counts."""
        if len(self.objectives) < 2:  # noqa: PLR2004 - one has a best, and no front
            return frozenset()
        scored = [([f.value(name) for name, _ in self.objectives], f.name) for f in self.rows()]
        return frozenset(objective.pareto_front(scored, self.objectives))


def _together(members: Sequence[Found], over: Sequence[str] = (SEED,)) -> Found:
    """The repeats of a point as one row, or others that differ in some hyperparameters alone."""
    if len(members) == 1 and members[0].repeat is None:
        return members[0]
    counted = [each for each in members if repeats.is_ranked(each.status)]
    first = min(members, key=lambda each: (each.number is None, each.number))
    flat = [plain_values.flatten(each.hyperparameters or {}) for each in members]
    told = [name for name in over if any(name in each for each in flat)]  # else it is blank
    several = {name: [each.get(name) for each in flat] for name in told}
    differing = {n: v[0] if len(v) > 1 and equality.all_same(v) else v for n, v in several.items()}
    hyperparameters = {**plain_values.flatten(first.hyperparameters or {}), **differing}
    return Found(
        first.folder,
        repeats.group_name([each.name for each in members], over),
        hyperparameters,
        repeats.mean_scores([each.scores for each in counted or members]),
        repeats.group_status([each.status for each in members]),
        first.number,
        members=tuple(members),
        inactive=first.inactive,
        note=first.note,
        looks=sum(each.looks for each in members),
    )


def best_by(found: Sequence[Found], metric: tuple[str, metrics.Direction]) -> Found | None:
    """The best of some experiments by one metric; see `metrics.best_of`."""
    return Finds.of(found).best(*metric)


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
    folders: Sequence[str | os.PathLike[str]],
    *,
    metrics_file: str | None = None,
    keep: bool = False,
) -> Tree:
    """As `read_tree`, of several folders as one tree; of more than one, names begin with the folder
    as it was given. With `keep` what was read of a large tree is kept for the next reader.

    Raises:
        FolderError: when one of them is not there.
    """
    tops = [os.fspath(folder) for folder in folders]
    for top in tops:
        if not os.path.isdir(top):
            raise FolderError(experiment.no_folder_message(top))
    with uncollected():
        reading = _Reading(metrics_file)
        for top in tops:
            prefix = "" if len(tops) == 1 else os.path.normpath(top).replace(os.sep, "/")
            reading.read(top, prefix, keep=keep)
        found = Finds(reading.parts, by_name=True)
        if len(tops) > 1 or reading.reuses:
            # One may be reused and below too, or below two of the folders.
            places = {os.path.abspath(each.folder): each for each in found.as_read()}
            found = Finds([Made([*places.values()])], by_name=True)
        objectives = _objectives(found, reading.planned, tops[0], reading.warnings)
    folder = Path(tops[0]) if len(tops) == 1 else Path()
    given = tuple(map(Path, tops))
    return Tree(folder, found, objectives, tuple(reading.warnings), given)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector: what is read here holds no circles, and for every few hundred
    rows it would go through all that there are.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Reading:
    """What has been read so far of one or several folders."""

    def __init__(self, metrics_file: str | None) -> None:
        self.parts: list[Part] = []
        self.planned: dict[Objectives, None] = {}
        self.warnings: list[str] = []
        self.reuses = False
        self._metrics_file = metrics_file
        self._waits = metrics_file is None  # it may be
        self._conditional: dict[str, frozenset[str]] = {}  # by the folder of the search
        self._contents: dict[tuple[str, ...], Contents] = {}

    def read(self, top: str, prefix: str, *, keep: bool) -> None:
        """Every experiment in and below a folder."""
        recall = Recall(top, keep=keep, use=self._metrics_file is None)
        taking = _Taking(self._with_care, partial(_name, top=top, prefix=prefix), self.warnings)
        reused: list[Found] = []

        def read_apart(names: Sequence[str]) -> Collection[str]:
            if not self._waits or len(names) < _MANY:
                return ()
            from modeldir.results import apart  # noqa: PLC0415 - small trees do without

            sheets, self._waits = apart.read(top, names, watch=recall.is_watching)
            for sheet in sheets:
                taking.gathering.add_all(sheet.kind, sheet.columns)
            return {name for sheet in sheets for name in sheet.names}

        for folder in walk(top, self.warnings, recall, read_apart):
            contents = self._contents_of(folder.names)
            if "search.json" in folder.names:
                plan = self._read_plan(folder.path)
                if not plan.keys().isdisjoint(_OF_OTHERS):
                    reused += _reused(folder.path, top, self.warnings)
            elif _is_experiment(folder, contents) or self._metrics_file in folder.names:
                is_plain = contents.is_ordinary and self._metrics_file is None and folder.name
                taking.take(folder, contents, is_plain=bool(is_plain))
        taking.settle()
        sheets = taking.gathering.sheets()
        self.reuses = self.reuses or bool(reused)
        # What lies below the folder and is reused there, too, is told as it lies: it comes later.
        read = [
            Read(each, top, prefix, self._conditional) for each in (*recall.recalled(), *sheets)
        ]
        self.parts += [Made(reused), *read, Made(taking.made)]
        recall.save(sheets)

    def _contents_of(self, names: tuple[str, ...]) -> Contents:
        known = self._contents.get(names)
        if known is None:
            known = self._contents[names] = Contents.of(names)
        return known

    def _read_plan(self, path: str) -> Mapping[str, Any]:
        try:
            plan = plain_values.load_file(os.path.join(path, "search.json"))
        except ParamsError as error:
            self.warnings.append(one_line(error))
            return {}
        self.planned.update(dict.fromkeys(_named_in(plan)))
        if conditional := _conditional(plan):
            self._conditional[path] = conditional
        return plan

    def _with_care(
        self, folder: Folder, name: str, warnings: list[str]
    ) -> tuple[Found, Facts | None]:
        """The experiment; and as facts, where its files say all of it and nothing is wrong."""
        before = len(warnings)
        found = read_experiment(
            folder.path,
            [*folder.names],
            name,
            warnings,
            metrics_file=self._metrics_file,
            conditional=self._conditional.get(os.path.dirname(folder.path), _NONE),
        )
        if len(warnings) > before or self._metrics_file is not None or not folder.name:
            return found, None
        return found, _facts_of(found)


class _Taking:
    """The experiments below one folder: `gathering` has them some hundred at a time, `made` are
    those of which there is more to say than facts.

    `with_care` reads one and adds what is wrong to some warnings; these come to stand in the order
    of the folders, as if each had been read when it was met.
    """

    def __init__(
        self,
        with_care: Callable[[Folder, str, list[str]], tuple[Found, Facts | None]],
        called: Callable[[Folder], str],
        warnings: list[str],
    ) -> None:
        self.gathering, self.made = Gathering(), list[Found]()
        self._with_care, self._called, self._warnings = with_care, called, warnings
        self._taken: list[tuple[Contents, batches.Read]] = []
        self._warned = len(warnings)  # before any that is taken

    def take(self, folder: Folder, contents: Contents, *, is_plain: bool) -> None:
        """One more experiment; its files are read now, and understood with those of others."""
        if len(self._taken) >= _TOGETHER or len(self._warnings) > self._warned:
            self.settle()
        stamps: list[int] | None = [] if folder.status is not None and folder.is_leaf else None
        data = bytes_in(folder.path, contents, stamps) if is_plain else None
        if data is None:
            self._read(folder, contents, self._warnings)
        else:
            self._taken.append((contents, batches.Read(folder, data, stamps or ())))

    def settle(self) -> None:
        """Gather what was taken."""
        alike: dict[int, tuple[Contents, list[batches.Read]]] = {}
        for contents, read in self._taken:
            alike.setdefault(id(contents), (contents, []))[1].append(read)
        left = {
            folder.path
            for contents, several in alike.values()
            for folder in batches.gather(contents, several, self.gathering)
        }
        said: list[str] = []
        for contents, (folder, _, _) in self._taken if left else ():
            if folder.path in left:
                self._read(folder, contents, said)
        self._warnings[self._warned : self._warned] = said
        self._warned = len(self._warnings)
        self._taken.clear()

    def _read(self, folder: Folder, contents: Contents, warnings: list[str]) -> None:
        """With care; and then it is made, or its facts are gathered."""
        status = folder.status if folder.is_leaf else None
        stamps = None if status is None else stamps_of(folder.path, contents)
        found, facts = self._with_care(folder, self._called(folder), warnings)
        if facts is None:
            self.made.append(found)
            return
        known = marks(status, contents, stamps) if status and stamps else ()
        self.gathering.add(folder.name, facts, *known)


def _facts_of(found: Found) -> Facts | None:
    """The facts of an experiment; None where its status is that of processes, too."""
    status = found.status
    if (status.attempt and status.state not in attempts.ENDS) or status.in_doubt:
        return None
    if status.state == attempts.INTERRUPTED:  # perhaps without an end
        return None
    state = tuple(getattr(status, each.name) for each in fields(status))
    point = files.read_object(os.path.join(found.folder, "trial.json")).get("point")
    return Facts(
        dict(found.hyperparameters) if found.hyperparameters is not None else None,
        *found.scores[:4],
        state if status.attempt else state[:1],
        found.number,
        found.repeat,
        tuple(point) if isinstance(point, dict) else None,
        found.note,
        found.looks,
    )


def _conditional(plan: Mapping[str, Any]) -> frozenset[str]:
    """The hyperparameters of a plan that count only under a condition."""
    space = plan.get("space")
    return frozenset(
        name
        for name, domain in (space.items() if isinstance(space, dict) else ())
        if isinstance(domain, dict) and "when" in domain
    )


def _reused(search: str, top: str, warnings: list[str]) -> Iterator[Found]:
    """The experiments of other folders that a search counts as done."""
    from modeldir.search import other_folders  # noqa: PLC0415 - wanted only where a plan reuses

    try:
        rows = other_folders.counted(Path(search))
    except ParamsError:  # `_read_plan` has said so
        return
    except ModeldirError as error:
        warnings.append(one_line(error))
        return
    for row in rows:
        path, name = os.fspath(row.path), os.path.relpath(row.path, top).replace(os.sep, "/")
        found = read_experiment(path, os.listdir(path), name, warnings)
        yield found._replace(number=None, repeat=None)


def _name(folder: Folder, top: str, prefix: str) -> str:
    """What an experiment is called, with "/" on every system."""
    if not folder.name:
        return prefix or files.absolute(top).name or top
    name = folder.name.replace(os.sep, "/")
    return f"{prefix}/{name}" if prefix else name


def _is_experiment(folder: Folder, contents: Contents) -> bool:
    """Whether a folder without a plan is a row: hyperparameters without trials, or metrics alone.

    CS230's own script takes every folder that has development metrics, so these count too.
    """
    if contents.params is None:
        return contents.is_development
    if contents.is_touched or not folder.has_folders:
        return True
    return not experiment.is_search(Path(folder.path))


# -- The metric ------------------------------------------------------------------------------------


def _of_project(top: str, warnings: list[str]) -> Iterator[Objectives]:
    """The metric that the project's `modeldir.toml` names, if it does."""
    from modeldir.experiment import project  # noqa: PLC0415 - wanted only where no plan decides

    try:
        yield from _named_in(project.settings(files.absolute(top)))
    except ModeldirError as error:
        warnings.append(one_line(error))


def _named_in(settings: Mapping[str, Any]) -> Iterator[Objectives]:
    found = objective.objectives(settings)
    if found:
        yield found


def _objectives(
    found: Finds,
    planned: Mapping[Objectives, None],
    top: str,
    warnings: list[str],
) -> Objectives:
    """What all plans agree on, else what the project says, else what the metrics' names suggest."""
    known = found.named("development")
    if not known:
        return ()
    if len(planned) == 1 and next(iter(planned))[0][0] in known:
        return next(iter(planned))
    said = [] if planned else list(_of_project(top, warnings))
    if said and said[0][0][0] in known:
        return said[0]
    chosen = metrics.choose(known)
    return () if chosen is None else (chosen,)
