"""Make the columns of a tree's table, and sort its rows.

`synthesize` calls `parts_of` and `in_order`. The rule: no value of a test metric is marked as the
best, because a choice by test metrics spoils the test.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

from modeldir._system import reading
from modeldir._system.text import MARK, bare_value, cell_text, value_cell
from modeldir.experiment import attempts, discovery, repeats
from modeldir.experiment.trial_labels import numbered_name
from modeldir.metrics import metric_names, objective
from modeldir.metrics.objective import trial_order
from modeldir.params import plain_values
from modeldir.params.equality import all_same
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow, Experiments
from modeldir.results.table import Column, Table, sort
from modeldir.results.table_cells import Cells, CellsWithBest, Kind, TableRows

if TYPE_CHECKING:
    from modeldir.results.metric_at_step import Moment
    from modeldir.search.advice import Tried

NOTE = f"{MARK} not as params.json has it, but as it was given to the script: modeldir show FOLDER"
ALL_NOTED = "the note of all:"
FRONT = "yes"
"""Marks a row on the Pareto front."""
_CODE = 8
"""The digits of a code's hash that a table shows."""


@dataclass(frozen=True)
class Part:
    """One column with its cells. If `by_default` is false, only `all_columns` shows it."""

    column: Column
    cells: Sequence[object] | Cells
    by_default: bool = True


def parts_of(tree: Tree, moments: Sequence[Moment] = ()) -> Iterator[Part]:
    """Yield all columns that are not blank, in the order of the table; `moments` come last."""
    rows = tree.experiments
    yield from _identities(rows)
    if len(tree.objectives) > 1:
        front = tree.front()
        cells = [FRONT if name in front else None for name in rows.column("name")]
        yield Part(Column("pareto", "text", 9), cells)
    yield from _hyperparameters(rows)
    yield from _metrics_of(tree, "validation", "", 6)
    yield from _deviations(tree)
    yield from _metrics_of(tree, "last", "last ", 2, by_default=False)
    yield from _metrics_of(tree, "train", "train ", 2, by_default=False)
    yield from _metrics_of(tree, "test", "test ", 5)
    states = rows.status_column("state")
    kinds = {*states}
    recorded = not kinds <= {attempts.UNTRACKED}
    alike = len(kinds) < 2  # noqa: PLR2004 - equal statuses say little
    yield Part(Column("status", "status", 3 if alike else 9), states, by_default=recorded)
    yield from _circumstances(rows)
    yield from (_at_moment(tree, moment) for moment in moments)


def _identities(rows: Experiments) -> Iterator[Part]:
    """Yield the trials' numbers and the names; `trial_0012` is only shown on request."""
    numbers, names = rows.column("number"), rows.column("name")
    if not _is_blank(numbers):
        yield Part(Column(TRIAL, "text", 12), numbers)
    by_number = [None if number is None else numbered_name(number) for number in numbers]
    yield Part(Column("experiment", "name", 11), names, by_default=[*names] != by_number)


TRIAL = "trial"
OF_RUNS = frozenset({"failure", "duration", "code", "note", "started", TRIAL})
"""Columns that a table has only if a run has a value for them."""


def _circumstances(rows: Experiments) -> Iterator[Part]:
    codes = [code and code[:_CODE] for code in rows.status_column("code")]
    notes = rows.column("note")
    columns: tuple[tuple[Column, Sequence[object], bool], ...] = (
        (Column("failure", "text", 1), rows.status_column("failure"), False),
        (Column("duration", "time", 4), rows.status_column("duration"), True),
        # Metrics of different code versions are not comparable, so show whether the code changed.
        (Column("code", "text", 5), codes, len({*codes} - {None}) > 1),
        (Column("note", "text", 2), notes, len(rows) == 1 or len({*notes}) > 1),
        (Column("started", "text", 1), rows.status_column("started"), False),
    )
    for column, cells, by_default in columns:
        if not _is_blank(cells):
            yield Part(column, cells, by_default=by_default)
    given = rows.status_column("given")
    if any(given):
        cells = [_overridden(row) if each else None for row, each in zip(rows, given, strict=True)]
        yield Part(Column("overridden", "text", 1), cells, by_default=False)


def _is_blank(cells: Sequence[object]) -> bool:
    return cells.count(None) == len(cells)


def _deviations(tree: Tree) -> Iterator[Part]:
    """Yield the standard deviations over repeats, and the number of repeats in each mean."""
    if not any(tree.experiments.column("members")):
        return
    ranked = [name for name, _ in tree.objectives]
    others = dict.fromkeys(name for each in tree.experiments for name in each.scores.validation)
    for name in dict.fromkeys([*ranked, *others]):
        cells = [_deviation(each, name) for each in tree.experiments]
        by_default = name in ranked
        yield Part(
            Column(f"{name} std", "metric", 6 if by_default else 2, of=name),
            cells,
            by_default=by_default,
        )
    cells = [len(each.counted()) if each.members else 1 for each in tree.experiments]
    yield Part(Column("repeats", "text", 7, label="n"), cells)


def _deviation(row: ExperimentRow, name: str) -> float | None:
    values = (each.scores.validation.get(name) for each in row.counted())
    return repeats.standard_deviation([value for value in values if value is not None])


def _overridden(row: ExperimentRow) -> str | None:
    flat, given = plain_values.flatten(row.hyperparameters or {}), row.status.given
    changes = (f"{name}: {_written(flat.get(name))} -> {_written(given[name])}" for name in given)
    return ", ".join(changes) or None


def _written(value: object) -> str:
    return cell_text(value_cell(value))


def _hyperparameters(rows: Experiments) -> Iterator[Part]:
    """Yield a column for each hyperparameter; if all are equal, only on request."""
    are_read = [each is not None for each in rows.column("hyperparameters")]
    for name, cells in rows.used().items():
        differ = not all_same(cells if all(are_read) else [*compress(cells, are_read)])
        by_default = differ or len(rows) == 1
        yield Part(
            Column(name, "hyperparameter", 8 if by_default else 1), cells, by_default=by_default
        )


def _metrics_of(
    tree: Tree, kind: str, prefix: str, priority: int, *, by_default: bool = True
) -> Iterator[Part]:
    values = tree.experiments.scores(kind)
    ranked = [name for name, _ in tree.objectives]
    for name in [*filter(values.__contains__, ranked), *(n for n in values if n not in ranked)]:
        weight = priority + (4 if name in ranked and not prefix else 0)
        cells: Sequence[object] | Cells = values[name]
        direction = direction_of(tree, name)
        # No test metric is marked: a choice by test metrics spoils the test.
        cells = cells if prefix or direction is None else _best_marked(tree, name, direction)
        yield Part(
            Column(prefix + name, "metric", weight, direction=direction),
            cells,
            by_default=by_default and (name in ranked or not metric_names.is_of_progress(name)),
        )


def direction_of(tree: Tree, name: str) -> objective.Direction | None:
    """Return the direction of a metric, by the plan or else by its name."""
    return dict(tree.objectives).get(name) or metric_names.direction(name)


def _best_marked(tree: Tree, name: str, direction: objective.Direction) -> Sequence[object] | Cells:
    """Mark the best value among experiments that ended well, if it beats another."""
    values = tree.experiments.scores("validation")[name]
    ranked = tree.experiments.ranked(name)
    known = {value for value in ranked if value is not None}
    if len(known) < 2:  # noqa: PLR2004 - one value beats none
        return values
    best = max(known) if direction == "maximize" else min(known)
    numbers = tree.experiments.column("number")
    equal = [place for place, rank in enumerate(ranked) if rank == best]
    # One star, on the one that is the best: a metric that is easily perfect would have dozens.
    return CellsWithBest(Cells(values), [min(equal, key=lambda at: trial_order(numbers[at]))])


def _at_moment(tree: Tree, moment: Moment) -> Part:
    direction = direction_of(tree, moment.metric)
    cells = [_mean_at(each, moment, direction) for each in tree.experiments]
    return Part(Column(moment.header, "metric", 6, direction=direction), cells, by_default=False)


def _mean_at(
    row: ExperimentRow, moment: Moment, direction: objective.Direction | None
) -> float | None:
    """Return a metric at a moment. A row of several experiments has their mean, if all have it."""
    several = row.counted() or (row,)
    values = [moment.value(each.path, each.scores, direction) for each in several]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def table_of(parts: Sequence[Part]) -> Table:
    cells = [each.cells if isinstance(each.cells, Cells) else Cells(each.cells) for each in parts]
    rows = TableRows.of(cells, len(cells[0]) if cells else 0)
    return Table(tuple(part.column for part in parts), rows)


def _descending(table: Table, index: int, tree: Tree) -> bool:
    column = table.columns[index]
    if column.kind != "metric":
        return False
    return (column.direction or direction_of(tree, column.name)) != "minimize"


def in_order(
    table: Table, tree: Tree, wanted: str | None, *, reverse: bool = False
) -> tuple[Table, str]:
    """Sort the rows, by default by the metric, best first; also return the order in words."""
    kinds = [column.kind for column in table.columns]
    name = table.headers()[kinds.index("name")]
    by = wanted or (tree.metric[0] if tree.metric else name)
    by = by if wanted or by in table.headers() else name  # no row that is left has the metric
    if by == name:
        return sort(table, name, descending=reverse), "" if wanted else _why_not_ranked(tree)
    numbers = tree.experiments.column("number")
    if not _is_blank(numbers):
        ranks = [*map(objective.trial_order, numbers)] if None in numbers else numbers
        order = sorted(range(len(ranks)), key=ranks.__getitem__)
        table = table.at(order)  # equal rows stay in this order
    descending = _descending(table, table.index(by), tree) != reverse
    words = f" by {_in_full(tree, by)}, {'highest' if descending else 'lowest'} first"
    table = sort(table, by, descending=descending)
    if wanted or reverse:
        return table, words
    if len(tree.objectives) > 1:
        words = f" by {objective.describe(tree.objectives)}, the Pareto front first"
    return _front_first(_ended_well_first(table)), words


def _why_not_ranked(tree: Tree) -> str:
    """Return in words why no metric orders the rows; nothing if there are no metrics."""
    names = unranked(tree)
    return f", not ranked: {objective.question(names)}" if names else ""


def unranked(tree: Tree) -> list[str]:
    """Return the validation metrics, if none of them has a direction to rank by."""
    return [] if tree.metric else objective.candidates(tree.experiments.scores("validation"))


def _in_full(tree: Tree, column: str) -> str:
    """Return a column's name; for a validation metric also its split, and at which moment it is.

    Metrics of a file that the user named have no known split.
    """
    if tree.metrics_file is not None or column not in tree.experiments.scores("validation"):
        return column
    has_best = any(value is not None for value in tree.experiments.scores("best").get(column, ()))
    is_best = has_best and not all(each.scores.ranks_by_last for each in tree.experiments)
    return f"validation {column} ({'best' if is_best else 'last'} epoch)"


def _front_first(table: Table) -> Table:
    place = _place_of(table, "pareto", "text")
    if place is None:
        return table
    cells = table.cells[place].values
    return table.at(sorted(range(len(cells)), key=lambda row: cells[row] != FRONT))


def _ended_well_first(table: Table) -> Table:
    place = _place_of(table, "status", "status")
    if place is None:
        return table
    cells = table.cells[place].values
    if attempts.RANKED.issuperset(cells):
        return table
    return table.at(sorted(range(len(cells)), key=lambda row: cells[row] not in attempts.RANKED))


def _place_of(table: Table, name: str, kind: Kind) -> int | None:
    """Return the index of a column by name and kind: a hyperparameter may have the same name."""
    columns = enumerate(table.columns)
    return next((at for at, each in columns if (each.name, each.kind) == (name, kind)), None)


def note_of_all(rows: Experiments) -> list[str]:
    """Return the note that all experiments have in common. It needs no column."""
    notes = {*rows.column("note")}
    alike = len(rows) > 1 and len(notes) == 1
    return [f"{ALL_NOTED} {' '.join(note.split())}" for note in notes if note and alike]


def failures_in(rows: Experiments) -> list[str]:
    """Return a line for each class of failure, the most frequent first, with an example."""
    if attempts.FAILED not in rows.status_column("state") and not any(rows.column("members")):
        return []
    each_of = [each for row in rows for each in (row.members or (row,))]
    failed = [each.status for each in each_of if each.status.state == attempts.FAILED]
    lines = []
    for failure, count in Counter(str(status.failure) for status in failed).most_common():
        words = Counter(
            status.last_line or status.reason or ""
            for status in failed
            if str(status.failure) == failure
        )
        ((example, _),) = words.most_common(1)
        more = len(words) - 1
        others = f" (and {more} other{'' if more == 1 else 's'})" if more else ""
        example = f": {example}{others}" if example else ""
        lines.append(f"{count} failed ({failure}){example}")
    return lines


def advised(tree: Tree) -> list[str]:
    """Return at most three sentences about one search; a confirmation has a test of its own."""
    plan = reading.read_object(tree.folder / "search.json")
    if not plan or len(tree.objectives) != 1 or (tree.folder / discovery.CONFIRM).exists():
        return []
    from modeldir.search.advice import advice  # noqa: PLC0415 - few tables have advice

    return advice(tried(tree, tree.objectives[0][0]), tree.objectives[0], plan)


def tried(tree: Tree, metric: str) -> list[Tried]:
    from modeldir.search.advice import Tried  # noqa: PLC0415 - few tables have advice

    found = []
    for row in tree.rows():
        value = row.value(metric)
        if value is not None:
            point = {name: bare_value(cell) for name, cell in (row.used() or {}).items()}
            spread, seeds = _deviation(row, metric), len(row.counted()) or 1
            found.append(Tried(row.name, row.number, point, value, spread, seeds))
    return found
