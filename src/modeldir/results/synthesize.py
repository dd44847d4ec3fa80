"""Print and write one table of all experiments below a folder, the best first.

The command `synthesize`, notebooks and the report call `synthesize`. The rule: `results.md` is
never overwritten if it contains more than a table. `experiment_tree` reads the folders,
`table_columns` makes the columns.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files, reading
from modeldir._system.terminal import DECIMALS, decimals_here, width_here
from modeldir._system.text import NULL, Marked, bare_value
from modeldir.errors import did_you_mean
from modeldir.metrics import metric_files, objective
from modeldir.metrics.objective import Objectives
from modeldir.params.plain_values import SEED
from modeldir.results import metric_at_step
from modeldir.results import table_columns as parts
from modeldir.results.experiment_tree import (
    Tree,
    default_folder,
    read_tree,
    read_trees,
    uncollected,
)
from modeldir.results.experiments import Experiments
from modeldir.results.table import Table, header_named, select
from modeldir.results.table_cells import SIX
from modeldir.results.table_columns import ALL_NOTED, NOTE
from modeldir.results.table_formats import to_csv, to_markdown
from modeldir.results.table_text import signs_in, to_text

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = [
    "DECIMALS", "Results", "Tree", "decimals_here", "default_folder", "nothing_in", "read_tree",
    "read_trees", "synthesize",
]  # fmt: skip

MARKDOWN, CSV = "results.md", "results.csv"
MOST_ROWS = 50
"""The most rows that a terminal shows. With more, the best would have scrolled away."""


# -- The choice of rows and columns ----------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    where: str | None = None
    columns: Sequence[str] = ()
    sort: str | None = None
    reverse: bool = False
    group: Sequence[str] = ()
    top: int | None = None
    apart: bool = False
    all_columns: bool = False

    @property
    def is_part(self) -> bool:
        """Whether the table shows only a part of the results."""
        return bool(self.where or self.columns or self.group or self.top is not None)


@dataclass(frozen=True)
class _Whole:
    """A table with all columns and the rows that `where` selects, and their order in words."""

    tree: Tree
    table: Table
    default_headers: Sequence[str]
    order: str


def _whole(tree: Tree, choice: Choice) -> _Whole:
    wanted = [*choice.columns, *([choice.sort] if choice.sort else [])]
    condition = None
    if choice.where:
        from modeldir.results import filters  # noqa: PLC0415 - only with a condition

        condition = filters.parse(choice.where)
        wanted += condition.names
    by_header = {each.header: each for name in wanted if (each := metric_at_step.parse(name))}
    at = [*by_header.values()]
    if condition is not None and tree.experiments:
        tree = replace(tree, experiments=tree.experiments.only(_matching(tree, condition, at)))
    found = list(parts.parts_of(tree, at))
    table = parts.table_of(found)
    sort = header_named(choice.sort, table.headers()) if choice.sort and tree.experiments else None
    table, order = parts.in_order(table, tree, sort, reverse=choice.reverse)
    pairs = zip(table.headers(), found, strict=True)
    default = [header for header, part in pairs if part.by_default]
    return _Whole(tree, table, default, order)


def matching(tree: Tree, where: str) -> Tree:
    """Return the experiments of a tree that satisfy a condition."""
    return _whole(tree, Choice(where=where)).tree


def _matching(tree: Tree, condition: Any, at: Sequence[metric_at_step.Moment]) -> Sequence[bool]:
    from modeldir.results import filters  # noqa: PLC0415 - as above

    table = parts.table_of(list(parts.parts_of(tree, at)))
    headers = table.headers()
    place = {}
    for name in condition.names:
        if name in parts.OF_RUNS and name not in headers:
            continue  # e.g. no experiment has failed, so none has a `failure`
        header = header_named(name, headers, f"--where {condition.text!r}:")
        place[name] = headers.index(header)
    blank: dict[str, object] = dict.fromkeys(condition.names)
    rows = [{**blank, **{name: _plain(row[i]) for name, i in place.items()}} for row in table.rows]
    return filters.matching(condition, rows)


def _plain(cell: object) -> object:
    value = bare_value(cell)
    return str(value) if isinstance(value, str) else None if value is NULL else value


# -- Results ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Results:
    """The result of `synthesize`. Print it: `print(synthesize("experiments"))`.

    `table` is what is printed, `metric` ranks it, and `best` is the best experiment that ended
    well. `objectives` are all metrics of the plan. If there are several, `best` is None.
    `warnings` has a line for each file that could not be read or written. `written` are the files
    that contain the table. `tree` is everything that was read. `chosen` are the experiments of the
    rows that satisfy `where`.
    """

    folder: Path
    table: Table
    metric: tuple[str, objective.Direction] | None
    best: Path | None
    objectives: Objectives = ()
    warnings: tuple[str, ...] = ()
    written: tuple[Path, ...] = ()
    all_columns: bool = False
    most: int | None = MOST_ROWS
    where: str | None = None
    group: Sequence[str] = ()
    tree: Tree | None = field(default=None, repr=False, compare=False)
    chosen: Tree | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.table.rows)

    def __bool__(self) -> bool:
        return True  # also without experiments

    def __str__(self) -> str:
        """Return the table and the warnings; see `text`."""
        table = self.text().rstrip("\n") if self.table.rows else self.nothing()
        return "\n".join([table, *self.warnings])

    def text(self) -> str:
        """Return the table for standard output.

        In a terminal it fits the width, and only the first rows are shown if there are many.
        Elsewhere no row and no column is lost. Metrics have six significant digits.
        """
        signs = signs_in(getattr(sys.stdout, "encoding", None))
        if decimals_here() is None:
            return to_text(self.table, digits=SIX, signs=signs)
        width = None if self.all_columns else width_here()
        table, most = self.table, self.most
        if most is not None and len(table.rows) > most:
            note = f"+{len(table.rows) - most:,} experiments (--top {len(table.rows)}, or {CSV})"
            note = note if table.note is None else f"{note}\n{table.note}"
            table = replace(table, rows=table.rows[:most], note=note)
        return to_text(table, width=width, digits=SIX, signs=signs, color=_is_colored())

    def nothing(self) -> str:
        """Return the message for a table without experiments."""
        if self.where is not None:
            return f"no experiment in {self.folder} that matches: {self.where}"
        return nothing_in(self.folder)

    @property
    def unranked(self) -> list[str]:
        """The validation metrics, if none of them has a direction to rank by."""
        return parts.unranked(self.tree) if self.tree is not None else []

    def advice(self) -> list[str]:
        """Return advice about one search, in at most three sentences; none without evidence.

        There is none for a part of the rows, because the others are evidence too.
        """
        return [] if self.tree is None or self.where is not None else parts.advised(self.tree)

    def over_seeds(self) -> str | None:
        """Return a hint if some rows differ only in their seed."""
        rows = self.tree.rows() if self.tree is not None else Experiments(())
        if len(self.table.rows) != len(rows) or SEED not in self.table.headers():
            return None
        points = len(replace(self.tree, experiments=rows).grouped([SEED])) if self.tree else 0
        if points == len(rows):
            return None
        which, means = (
            ("the", "their mean") if points == 1 else ("some of the", f"{points} rows with means")
        )
        return f"{which} {len(rows)} rows differ only in the seed. --group {SEED} prints {means}"

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a data frame of pandas.

        Raises:
            ModeldirError: if pandas is not installed.
        """
        from modeldir.results.table_formats import to_pandas  # noqa: PLC0415

        return to_pandas(self.table)

    def to_polars(self) -> pl.DataFrame:
        """Return the table as a data frame of Polars.

        Raises:
            ModeldirError: if Polars is not installed.
        """
        from modeldir.results.table_formats import to_polars  # noqa: PLC0415

        return to_polars(self.table)

    def _repr_markdown_(self) -> str:
        """Return the table for notebooks that show Markdown."""
        return to_markdown(self.table, digits=DECIMALS)

    def _repr_html_(self) -> str:
        """Return the table for other notebooks."""
        from modeldir.results.table_formats import to_html_part  # noqa: PLC0415

        return to_html_part(self.table)


def _is_colored() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def synthesize(  # noqa: PLR0913 - keyword arguments, each for one option
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    *,
    where: str | None = None,
    columns: Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
    group: Sequence[str] = (),
    top: int | None = None,
    all_columns: bool = False,
    apart: bool = False,
    metrics_file: str | None = None,
    write: bool = True,
) -> Results:
    """Collect all experiments in and below a folder in one table, the best first.

    Columns are the hyperparameters that differ, validation and test metrics, status and duration.

    Args:
        folder: one folder, or several for one table. The default is `experiments` if it exists,
            else the working folder.
        where: a condition for rows, e.g. `learning_rate > 0.001 and model_version == "baseline"`.
        columns: show only these columns, in this order; also metrics at a moment (`loss@last`,
            `accuracy@epoch=10`).
        sort: the column to sort by. Metrics go best first, everything else from low to high.
        reverse: reverse the order.
        group: hyperparameters. Experiments that differ only in these share a row (`["seed"]`).
        top: the largest number of rows.
        all_columns: also show columns with equal values, and metrics at the last weights.
        apart: give each repeat of a configuration its own row instead of one with their means.
        metrics_file: the name of a file whose metrics replace the validation metrics.
        write: write `results.md` (this table) and `results.csv` (all columns) into the folder. A
            part of the results (`where`, `columns`, `group`, `top`) is never written.

    Raises:
        FolderError: if the folder does not exist.
        ModeldirError: if there is no such column, or if a condition cannot be read.
    """
    group = [group] if isinstance(group, str) else group
    choice = Choice(where, columns, sort, reverse, group, top, apart, all_columns)
    with uncollected():
        return _results(_folders(folder), choice, metrics_file, write=write)


def _results(
    folders: Sequence[str | os.PathLike[str]],
    choice: Choice,
    metrics_file: str | None,
    *,
    write: bool,
) -> Results:
    tree = read_trees(folders, metrics_file=metrics_file)
    rows = _rows(tree, choice)
    whole = _whole(rows, choice)
    shown = _shown(whole, choice, len(rows.experiments))
    missing = _without_file(tree, metrics_file) if metrics_file else []
    warnings = [*tree.warnings, *_spoils(whole, choice, metrics_file), *missing]
    written: tuple[Path, ...] = ()
    if (
        write
        and tree.experiments
        and len(folders) == 1
        and metrics_file is None
        and not choice.is_part
    ):
        # The file for programs has each repeat.
        everything = (
            whole if len(rows.experiments) == len(tree.experiments) else _whole(tree, Choice())
        )
        written = tuple(_write(tree.folder, shown, everything.table, warnings))
    best = whole.tree.best() if choice.where else tree.best()
    chosen = _experiments(tree, whole.tree) if choice.where else tree
    return Results(
        tree.folder,
        shown,
        tree.metric,
        best.path if best else None,
        tree.objectives,
        tuple(warnings),
        written,
        choice.all_columns,
        MOST_ROWS if choice.top is None else None,
        choice.where,
        tuple(choice.group),
        tree,
        chosen,
    )


def nothing_in(folder: Path) -> str:
    return (
        f"no experiment in {folder}: an experiment is a folder that holds params.json\n"
        "  a project to start from: modeldir init PROJECT"
    )


def _folders(
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
) -> list[str | os.PathLike[str]]:
    if folder is None or (not isinstance(folder, (str, os.PathLike)) and not folder):
        return [default_folder()]
    return [folder] if isinstance(folder, (str, os.PathLike)) else [*folder]


def _rows(tree: Tree, choice: Choice) -> Tree:
    if choice.group:
        known = dict.fromkeys(name for each in tree.experiments for name in each.used() or {})
        for name in choice.group if tree.experiments else ():
            header_named(name, [*known], "These cannot be grouped:")
        return replace(tree, experiments=tree.grouped(choice.group))
    return tree if choice.apart else replace(tree, experiments=tree.rows())


def _experiments(tree: Tree, rows: Tree) -> Tree:
    if not any(rows.experiments.column("members")):
        return rows
    chosen = {each.path for row in rows.experiments for each in (row.members or (row,))}
    return replace(
        tree, experiments=tree.experiments.only(each.path in chosen for each in tree.experiments)
    )


def _shown(whole: _Whole, choice: Choice, count: int) -> Table:
    headers = whole.table.headers()
    chosen = headers if choice.all_columns else whole.default_headers
    if choice.columns and whole.tree.experiments:
        chosen = [header_named(name, headers) for name in choice.columns]
    places = map(whole.table.index, chosen)
    notes = [NOTE] if any(Marked in whole.table.cells[place].kinds for place in places) else []
    notes += parts.note_of_all(whole.tree.experiments)
    notes += parts.failures_in(whole.tree.experiments)
    if "code" in chosen:
        from modeldir.results import code_differences  # noqa: PLC0415 - imports difflib

        notes += code_differences.note_on_changes(whole.tree.experiments)
    table = whole.table
    if choice.top is not None:
        table = replace(table, rows=table.rows[: choice.top])
    return select(table, chosen, title=_title(whole, choice, count), note="\n".join(notes) or None)


def _title(whole: _Whole, choice: Choice, count: int) -> str:
    found = len(whole.tree.experiments)
    what = f"{found:,}" if found == count else f"{found:,} of {count:,}"
    what += " experiment" if count == 1 else " experiments"
    over = f", over {' and '.join(choice.group)}," if choice.group else ""
    where = f", where {choice.where}" if choice.where else ""
    first = f"the first {choice.top} of " if choice.top is not None and choice.top < found else ""
    return f"{whole.tree.title}: {first}{what}{over}{whole.order}{where}"


_BIASED = "a test result: if you choose by it, it is no longer an unbiased estimate"


def _spoils(whole: _Whole, choice: Choice, metrics_file: str | None) -> Iterator[str]:
    kind = metric_files.classify(metrics_file) if metrics_file else None
    if choice.sort and choice.sort.startswith("test ") and whole.tree.experiments:
        yield f"sorted by {choice.sort!r}, {_BIASED}"
    elif kind is not None and kind.split == "test":
        yield f"ranked by {metrics_file}, {_BIASED}"


def _without_file(tree: Tree, name: str) -> Iterator[str]:
    """Warn if no experiment has the metrics file. Its name may be misspelled."""
    if tree.experiments and not any((each.path / name).exists() for each in tree.experiments):
        known = sorted({file.name for file in tree.experiments[0].path.glob("*.json")})
        there = [each for each in known if metric_files.classify(each) is not None]
        hint = did_you_mean(name, there) or (there and f"there are: {', '.join(there)}")
        yield f"no experiment has a file {name!r}" + (f"\n  {hint}" if hint else "")


# -- Writing ---------------------------------------------------------------------------------------


def _write(folder: Path, shown: Table, whole: Table, warnings: list[str]) -> Iterator[Path]:
    for name, text in ((MARKDOWN, to_markdown(shown)), (CSV, to_csv(whole))):
        path, data = folder / name, text.encode()
        there = reading.read_bytes(path, reading.RESULTS)
        if there == data:  # the folder keeps its modification time
            yield path
            continue
        if path.is_symlink() or (path.is_file() and not _may_replace(name, there, whole)):
            warnings.append(
                f"{path} was not replaced: modeldir did not write all of it\n"
                f"  to write the table to another file: -o {path.with_stem('table').name}"
            )
            continue
        try:
            files.write_bytes(path, data)
        except OSError as error:
            warnings.append(f"{path} was not written: {error.strerror}")
            return
        yield path


def _may_replace(name: str, there: bytes | None, whole: Table) -> bool:
    """Whether modeldir, or CS230's script, wrote a file. People write notes below their tables."""
    if there is None or not there.strip(b"\0 \t\r\n"):  # after a power cut it may be empty
        return there is not None
    if name == CSV:
        header = there.partition(b"\n")[0].rstrip(b"\r").split(b",")
        return header[0] in {b"trial", b"experiment"} and {b"experiment", b"status"} <= {*header}
    title, *table = there.decode("utf-8", "replace").splitlines()
    others = [line for line in table if line[:1] != "|"]
    is_ours = re.match(r"# .*: [0-9,]+(?: of [0-9,]+)? experiments?\b", title) is not None
    is_ours = is_ours or (re.match(r"\| +\|", title) is not None and _has_rows_of(table, whole))
    return is_ours and all(not line.strip() or _is_note(line) for line in others)


def _has_rows_of(lines: Sequence[str], whole: Table) -> bool:
    """Whether a table without a heading, as CS230's script writes it, is about our experiments."""
    place = [column.kind for column in whole.columns].index("name")
    known = {os.path.basename(str(row[place])) for row in whole.rows}
    rows = [line.strip("| ").partition("|")[0].strip() for line in lines[1:]]
    return bool(rows) and all(os.path.basename(row) in known for row in rows if row)


def _is_note(line: str) -> bool:
    is_fixed = line.lstrip("\\") == NOTE or line.startswith(ALL_NOTED)
    return is_fixed or re.match(r"[0-9]+ failed \([a-z-]+\)", line) is not None
