"""A tree of experiment folders as one table, the best first.

It knows how to find experiments below a folder, whoever made them, what becomes a column, and which
experiment is the best. It refuses to run, repair or judge anything: a file that cannot be read is a
line of warning and blanks in its row, never an end.

Start at `synthesize`; `read_tree` is what it looks at. Each folder is listed and each file read
while the call lasts, nothing is kept, so the table is never older than the folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir import attempts, experiment, files, goals, metrics, params, repeated
from modeldir.errors import FolderError, ModeldirError, ParamsError
from modeldir.goals import Objectives
from modeldir.sampling import SEED
from modeldir.table import (
    MARK,
    Column,
    Kind,
    Marked,
    Table,
    cell_text,
    order_of,
    select,
    sort,
    to_csv,
    to_markdown,
    to_text,
    value_cell,
    varying,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MARKDOWN, CSV = "results.md", "results.csv"
NOTE = f"{MARK} not as params.json has it, but as it was given to the script: modeldir show FOLDER"
FRONT = "front"
"""What marks a row that no other beats in all metrics."""
DECIMALS = 4
"""Of metrics, where a person looks at a terminal. Files and pipes have every digit."""

_RANKED = frozenset({attempts.COMPLETED, attempts.UNRECORDED})
_PASSED_OVER = frozenset({"attempts", "__pycache__", "node_modules", "site-packages"})


# -- The tree --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """One experiment as it was read. `hyperparameters` is None where they could not be read.

    `name` is the path below the folder that was asked for, with "/" on every system; `number` and
    `repeat` a trial's. `members` are the repeats of a point where they are one row: then its scores
    are their means.
    """

    path: Path
    name: str
    hyperparameters: Mapping[str, Any] | None
    scores: experiment.Scores
    status: experiment.Status
    number: int | None = None
    repeat: int | None = None
    members: tuple[Found, ...] = ()

    def used(self) -> dict[str, object] | None:
        """The hyperparameters by dotted name, as the latest attempt used them: marked where
        `params.json` has other values than that was given.
        """
        if self.hyperparameters is None:
            return None
        given = {name: Marked(value) for name, value in self.status.given.items()}
        flat = params.flatten(self.hyperparameters)
        return {**{name: value_cell(value) for name, value in flat.items()}, **given}

    def value(self, metric: str) -> float | None:
        """A development metric, if this experiment has ended well and may be ranked by it."""
        value = self.scores.development.get(metric)
        fit = self.status.state in _RANKED and value == value  # noqa: PLR0124 - NaN is no rank
        return value if fit else None

    def counted(self) -> tuple[Found, ...]:
        """The members over which the means go."""
        return tuple(each for each in self.members if repeated.is_ranked(each.status))


@dataclass(frozen=True)
class Tree:
    """All experiments below a folder, by name; the metrics to rank by, if any can be.

    `metric` is the first of them, by which the table is sorted.
    """

    folder: Path
    found: tuple[Found, ...]
    objectives: Objectives
    warnings: tuple[str, ...]

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

    def front(self) -> frozenset[str]:
        """The names of the rows that no other beats in all metrics; none where one counts."""
        if len(self.objectives) < 2:  # noqa: PLR2004 - one has a best, and no front
            return frozenset()
        scored = [([f.value(name) for name, _ in self.objectives], f.name) for f in self.rows()]
        return frozenset(goals.front(scored, self.objectives))


def _together(members: Sequence[Found]) -> Found:
    """The repeats of a point as one row."""
    if len(members) == 1 and members[0].repeat is None:
        return members[0]
    counted = [each for each in members if repeated.is_ranked(each.status)]
    first = min(members, key=lambda each: (each.number is None, each.number))
    seeds = [(each.hyperparameters or {}).get(SEED) for each in members]
    hyperparameters = {**(first.hyperparameters or {}), SEED: seeds}
    return Found(
        first.path,
        repeated.name_of([each.name for each in members]),
        hyperparameters,
        repeated.mean_scores([each.scores for each in counted or members]),
        repeated.status_of([each.status for each in members]),
        first.number,
        members=tuple(members),
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


def read_tree(folder: str | os.PathLike[str]) -> Tree:
    """Every experiment in and below a folder. Links to folders are followed, each folder once.

    Raises:
        FolderError: when the folder is not there.
    """
    top = os.fspath(folder)
    if not os.path.isdir(top):
        raise FolderError(experiment.no_folder(top))
    warnings: list[str] = []
    found: list[Found] = []
    planned: dict[Objectives, None] = {}
    for path, names in _listings(top, warnings):
        if "search.json" in names:
            planned.update(dict.fromkeys(_planned(path, warnings)))
            found += _reused(path, top, warnings)
        elif _is_experiment(path, names):
            found.append(read_experiment(path, names, _name(path, top), warnings))
    found = list({each.path: each for each in found}.values())  # one may be reused and below too
    objectives = _objectives(found, planned, top, warnings)
    found.sort(key=lambda each: order_of(each.name))
    return Tree(Path(folder), tuple(found), objectives, tuple(warnings))


def read_experiment(
    path: str | os.PathLike[str], names: list[str], name: str, warnings: list[str]
) -> Found:
    """One experiment; `names` are the files in its folder. What is broken is told in `warnings`."""
    folder = Path(path)
    scores = experiment.scores(folder, names)
    warnings += map(_one_line, scores.problems)
    hyperparameters = None
    for file in (each for each in experiment.PARAMS_NAMES if each in names):
        try:
            hyperparameters = params.load_file(os.path.join(path, file))
        except ParamsError as error:
            warnings.append(_one_line(error))
        break
    status = experiment.status(folder, names)
    told = files.read_object(os.path.join(path, "trial.json")) if "trial.json" in names else {}
    number, repeat = (
        value if isinstance(value := told.get(key), int) else None for key in ("number", "repeat")
    )
    return Found(folder, name, hyperparameters, scores, status, number, repeat)


def _reused(search: str, top: str, warnings: list[str]) -> Iterator[Found]:
    """The experiments of other folders that a search counts as done."""
    from modeldir import elsewhere  # noqa: PLC0415 - wanted only where a plan reuses

    try:
        rows = elsewhere.counted(Path(search))
    except ParamsError:  # `_planned` has said so
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


def _planned(path: str, warnings: list[str]) -> Iterator[Objectives]:
    """The metrics that a search's plan names, if it does."""
    try:
        yield from _named_in(params.load_file(os.path.join(path, "search.json")))
    except ParamsError as error:
        warnings.append(_one_line(error))


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


# -- The table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """One column with its cells; `told` unless only `all_columns` shows it."""

    column: Column
    cells: Sequence[object]
    told: bool = True


def _parts(tree: Tree) -> Iterator[_Part]:
    """All columns that any experiment has something in, in the order in which they stand."""
    yield _Part(Column("experiment", "name", 11), [each.name for each in tree.found])
    if len(tree.objectives) > 1:
        front = tree.front()
        cells = [FRONT if each.name in front else None for each in tree.found]
        yield _Part(Column("pareto", "text", 9), cells)
    yield from _hyperparameters(tree)
    yield from _metrics_of(tree, lambda scores: scores.development, "", 6)
    yield from _deviations(tree)
    yield from _metrics_of(tree, lambda scores: scores.last, "last ", 2, told=False)
    yield from _metrics_of(tree, lambda scores: scores.train, "train ", 2, told=False)
    yield from _metrics_of(tree, lambda scores: scores.test, "test ", 5)
    recorded = any(each.status.state != attempts.UNRECORDED for each in tree.found)
    states = [each.status for each in tree.found]
    yield _Part(Column("status", "status", 7), [status.state for status in states], told=recorded)
    others: tuple[tuple[str, Kind, bool], ...] = (
        ("failure", "text", False), ("duration", "time", True), ("started", "text", False),
    )  # fmt: skip
    for name, kind, told in others:
        cells = [getattr(status, name) for status in states]
        if any(cell is not None for cell in cells):
            yield _Part(Column(name, kind, 4 if told else 1), cells, told=told)
    if any(status.given for status in states):
        cells = [_overridden(each) for each in tree.found]
        yield _Part(Column("overridden", "text", 1), cells, told=False)


def _deviations(tree: Tree) -> Iterator[_Part]:
    """Of points with repeats: how the ranked metrics scatter, and how many are in the means."""
    if not any(each.members for each in tree.found):
        return
    ranked = [name for name, _ in tree.objectives]
    others = dict.fromkeys(name for each in tree.found for name in each.scores.development)
    for name in dict.fromkeys([*ranked, *others]):
        cells = [_deviation(each, name) for each in tree.found]
        told = name in ranked
        yield _Part(Column(f"{name} sd", "metric", 6 if told else 2), cells, told=told)
    cells = [len(each.counted()) if each.members else 1 for each in tree.found]
    yield _Part(Column("repeats", "text", 6), cells)


def _deviation(found: Found, name: str) -> float | None:
    values = (each.scores.development.get(name) for each in found.counted())
    return repeated.deviation([value for value in values if value is not None])


def _overridden(found: Found) -> str | None:
    """Which values were not used, and what was instead: `learning_rate: 0.1 -> 0.5`."""
    flat, given = params.flatten(found.hyperparameters or {}), found.status.given
    changes = (f"{name}: {_said(flat.get(name))} -> {_said(given[name])}" for name in given)
    return ", ".join(changes) or None


def _said(value: object) -> str:
    return cell_text(value_cell(value))


def _hyperparameters(tree: Tree) -> Iterator[_Part]:
    """Each of them; those that are the same wherever hyperparameters could be read are not told,
    but of one experiment alone all are.
    """
    flat = [each.used() for each in tree.found]
    known = [values for values in flat if values is not None]
    names = list(dict.fromkeys(name for values in known for name in values))
    columns = tuple(Column(name, "hyperparameter") for name in names)
    rows = tuple(tuple(values.get(name) for name in names) for values in known)
    differ = {column.name for column in varying(Table(columns, rows)).columns}
    for name in names:
        cells = [None if values is None else values.get(name) for values in flat]
        told = name in differ or len(tree.found) == 1
        yield _Part(Column(name, "hyperparameter", 8 if told else 1), cells, told=told)


def _metrics_of(
    tree: Tree,
    of: Callable[[experiment.Scores], Mapping[str, float]],
    prefix: str,
    priority: int,
    *,
    told: bool = True,
) -> Iterator[_Part]:
    """One kind of metrics, the ranked one first: it is what one looks for."""
    values = [of(each.scores) for each in tree.found]
    ranked = [name for name, _ in tree.objectives]
    names = dict.fromkeys(name for each in values for name in each)
    for name in [*filter(names.__contains__, ranked), *(n for n in names if n not in ranked)]:
        weight = priority + (4 if name in ranked and not prefix else 0)
        cells = [each.get(name) for each in values]
        yield _Part(Column(prefix + name, "metric", weight), cells, told=told)


def _table_of(parts: Sequence[_Part], title: str | None = None) -> Table:
    rows = tuple(zip(*(part.cells for part in parts), strict=True))
    return Table(tuple(part.column for part in parts), rows, title)


def _descending(table: Table, index: int, tree: Tree) -> bool:
    """Metrics with the best first (the largest, where the name does not say), all else from low."""
    column = table.columns[index]
    if column.kind != "metric":
        return False
    for name, direction in tree.objectives:
        if column.name == name:
            return direction == "maximize"
    return metrics.direction(column.name) != "minimize"


def _in_order(table: Table, tree: Tree, wanted: str | None) -> tuple[Table, str]:
    """The rows in the order that is wanted, by default by the metric; and the order in words."""
    name = table.headers()[0]
    by = wanted or (tree.metric[0] if tree.metric else name)
    if by == name:
        return sort(table, name), ""
    numbered = zip(tree.found, table.rows, strict=True)
    rows = [row for _, row in sorted(numbered, key=lambda each: metrics.in_order(each[0].number))]
    table = Table(table.columns, tuple(rows))  # equals stay in this order
    descending = _descending(table, table.index(by), tree)
    words = f" by {by}, {'highest' if descending else 'lowest'} first"
    table = sort(table, by, descending=descending)
    if wanted:
        return table, words
    if len(tree.objectives) > 1:
        words = f" by {goals.said(tree.objectives)}, the Pareto front first"
    return _front_first(_ended_well_first(table)), words


def _front_first(table: Table) -> Table:
    """What no other beats in all metrics above all else, where there are several."""
    headers = table.headers()
    if "pareto" not in headers:
        return table
    place = headers.index("pareto")
    rows = sorted(table.rows, key=lambda row: row[place] != FRONT)
    return Table(table.columns, tuple(rows), table.title)


def _ended_well_first(table: Table) -> Table:
    """What may be ranked above what has not ended well, whose metrics are of half a training."""
    headers = table.headers()
    if "status" not in headers:
        return table
    place = headers.index("status")
    rows = sorted(table.rows, key=lambda row: row[place] not in _RANKED)
    return Table(table.columns, tuple(rows), table.title)


# -- Results ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Results:
    """What `synthesize` found. Print it: `print(synthesize("experiments"))`.

    `table` is what is shown, `metric` the one that is ranked by and `best` the best experiment that
    ended well, by it; `objectives` are all that the plan names: of several, none is `best` by all.
    `warnings` tell of what could not be read or written, a line each. `written`
    are the files that now hold the table.
    """

    folder: Path
    table: Table
    metric: tuple[str, metrics.Direction] | None
    best: Path | None
    objectives: Objectives = ()
    warnings: tuple[str, ...] = ()
    written: tuple[Path, ...] = ()
    all_columns: bool = False

    def __len__(self) -> int:
        return len(self.table.rows)

    def __bool__(self) -> bool:
        return True  # also without experiments: it is an answer

    def __str__(self) -> str:
        """The table, and what it could not tell; see `text`."""
        table = self.text().rstrip("\n") if self.table.rows else nothing_in(self.folder)
        return "\n".join([table, *self.warnings])

    def text(self) -> str:
        """The table for where standard output goes.

        In a terminal it is made to fit; elsewhere no column and no digit is lost.
        """
        if decimals_here() is None:
            return to_text(self.table)
        width = None if self.all_columns else shutil.get_terminal_size().columns
        return to_text(self.table, width=width, digits=DECIMALS)

    def _repr_markdown_(self) -> str:
        """The table in a notebook."""
        return to_markdown(self.table, digits=DECIMALS)


def decimals_here() -> int | None:
    """The decimals of metrics where standard output goes: few in a terminal, elsewhere all."""
    return None if sys.stdout is None or not sys.stdout.isatty() else DECIMALS


def synthesize(
    folder: str | os.PathLike[str] | None = None,
    *,
    sort: str | None = None,
    all_columns: bool = False,
    apart: bool = False,
    write: bool = True,
) -> Results:
    """All experiments in and below a folder as one table, the best by the development metric first.

    Columns are the hyperparameters that differ, development and test metrics, status and duration.

    Args:
        folder: by default `experiments` if it is there, else the working folder.
        sort: a column to sort by instead.
        all_columns: also what is the same everywhere, and metrics at the last weights.
        apart: the repeats of a point each in a row of its own, not as one with their means.
        write: whether to leave `results.md` (this table) and `results.csv` (with all columns) in
            the folder.

    Raises:
        FolderError: when the folder is not there.
        ModeldirError: when there is no column to sort by; with the nearest name.
    """
    tree = read_tree(default_folder() if folder is None else folder)
    rows = tree if apart else replace(tree, found=tree.rows())
    parts = list(_parts(rows))
    whole, order = _in_order(_table_of(parts), rows, sort if tree.found else None)
    headers = whole.headers()
    told = [header for header, part in zip(headers, parts, strict=True) if part.told or all_columns]
    shown = select(whole, told)
    if len(rows.found) < len(tree.found):  # the file for programs has each repeat
        whole, _ = _in_order(_table_of(list(_parts(tree))), tree, None)
    note = NOTE if _has_marks(shown) else None
    shown = Table(shown.columns, shown.rows, _title(rows, order), note)
    warnings = [*tree.warnings, *_spoils(whole, sort)]
    written = tuple(_write(tree.folder, shown, whole, warnings)) if write and tree.found else ()
    best = tree.best()
    return Results(
        tree.folder,
        shown,
        tree.metric,
        best.path if best else None,
        tree.objectives,
        tuple(warnings),
        written,
        all_columns,
    )


def nothing_in(folder: Path) -> str:
    """What to say of a folder without experiments."""
    return (
        f"no experiment in {folder}: an experiment is a folder that holds params.json\n"
        "  a project to start from: modeldir init PROJECT"
    )


def _has_marks(table: Table) -> bool:
    return any(isinstance(cell, Marked) for row in table.rows for cell in row)


def _title(tree: Tree, order: str) -> str:
    name = files.absolute(tree.folder).name or str(tree.folder)
    count = len(tree.found)
    return f"{name}: {count} experiment{'' if count == 1 else 's'}{order}"


def _spoils(table: Table, wanted: str | None) -> Iterator[str]:
    """A word to whoever sorts by a test metric: it is their table, but no way to choose."""
    column = table.columns[table.index(wanted)] if wanted and table.rows else None
    if column is not None and column.kind == "metric" and column.name.startswith("test "):
        yield f"sorted by {column.name!r}: whoever chooses by test metrics has no test left"


# -- Writing ---------------------------------------------------------------------------------------


def _write(folder: Path, shown: Table, whole: Table, warnings: list[str]) -> Iterator[Path]:
    """Leave the table in its folder; yields what was written."""
    for name, text in ((MARKDOWN, to_markdown(shown)), (CSV, to_csv(whole))):
        path = folder / name
        if not _may_replace(path):
            warnings.append(f"{path} was left as it is: it holds more than a table of results")
            continue
        try:
            files.write_bytes(path, text.encode())
        except OSError as error:
            warnings.append(f"{path} was not written: {error.strerror}")
            return
        yield path


def _may_replace(path: Path) -> bool:
    """Whether a file holds results and nothing else: people write notes below their tables."""
    text = (files.read_bytes(path) or b"").decode("utf-8", "replace")
    if path.name == CSV:
        return not text or text.startswith("experiment")
    lines = text.splitlines()
    table = lines[1:] if text.startswith("# ") else lines
    return all(not line.strip() or line.startswith("|") or _is_note(line) for line in table)


def _is_note(line: str) -> bool:
    return line.lstrip("\\") == NOTE
