"""What becomes a column of the table of experiments, and in which order its rows stand.

It knows which hyperparameters tell experiments apart, which metrics are ranked by, what is worth
its place where there is little, and which value is the best of its column. It refuses to read
folders, but for a metric at a moment that somebody asks for.

Start at `parts_of` and `in_order`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

from modeldir._system import files
from modeldir._system.text import MARK, bare_value, cell_text, value_cell
from modeldir.experiment import attempts, discovery, repeats
from modeldir.metrics import metrics, objective
from modeldir.params import plain_values
from modeldir.params.equality import all_same
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow, Experiments
from modeldir.results.table import Column, Table, sort
from modeldir.results.table_cells import Cells, CellsWithBest, Kind, Name, TableRows

if TYPE_CHECKING:
    from modeldir.results.moments import Moment
    from modeldir.search.advice import Tried

NOTE = f"{MARK} not as params.json has it, but as it was given to the script: modeldir show FOLDER"
ALL_NOTED = "the note of all:"
FRONT = "front"
"""What marks a row that no other beats in all metrics."""
_CODE = 8
"""How much of a code's hash tells one from another."""


@dataclass(frozen=True)
class Part:
    """One column with its cells; `told` unless only `all_columns` shows it."""

    column: Column
    cells: Sequence[object] | Cells
    told: bool = True


def parts_of(tree: Tree, moments: Sequence[Moment] = ()) -> Iterator[Part]:
    """All columns that any experiment has something in, in the order in which they stand; after
    them the metrics at these `moments`.
    """
    rows = tree.experiments
    numbers = rows.column("number")
    names = Cells(rows.column("name"))
    if not _is_blank(numbers):
        names = Cells([*map(Name, names.values, numbers)])
    yield Part(Column("experiment", "name", 11), names)
    if len(tree.objectives) > 1:
        front = tree.front()
        cells = [FRONT if name in front else None for name in rows.column("name")]
        yield Part(Column("pareto", "text", 9), cells)
    yield from _hyperparameters(rows)
    yield from _metrics_of(tree, "validation", "", 6)
    yield from _deviations(tree)
    yield from _metrics_of(tree, "last", "last ", 2, told=False)
    yield from _metrics_of(tree, "train", "train ", 2, told=False)
    yield from _metrics_of(tree, "test", "test ", 5)
    states = rows.status_column("state")
    kinds = {*states}
    recorded = not kinds <= {attempts.UNRECORDED}
    alike = len(kinds) < 2  # noqa: PLR2004 - then it tells nothing
    yield Part(Column("status", "status", 3 if alike else 9), states, told=recorded)
    yield from _circumstances(rows)
    yield from (_at_moment(tree, moment) for moment in moments)


OF_RUNS = frozenset({"failure", "duration", "code", "note", "started", "trial"})
"""Columns that a table has only where a run has something for them."""


def _circumstances(rows: Experiments) -> Iterator[Part]:
    """What is known of the runs themselves, as far as any of them has it."""
    codes = [code and code[:_CODE] for code in rows.status_column("code")]
    notes = rows.column("note")
    columns: tuple[tuple[Column, Sequence[object], bool], ...] = (
        (Column("failure", "text", 1), rows.status_column("failure"), False),
        (Column("duration", "time", 4), rows.status_column("duration"), True),
        # Metrics of one code are not those of another: where it changed, that stands there.
        (Column("code", "text", 5), codes, len({*codes} - {None}) > 1),
        (Column("note", "text", 2), notes, len(rows) == 1 or len({*notes}) > 1),
        (Column("started", "text", 1), rows.status_column("started"), False),
        (Column("trial", "text", 1), rows.column("number"), False),
    )
    for column, cells, told in columns:
        if not _is_blank(cells):
            yield Part(column, cells, told=told)
    given = rows.status_column("given")
    if any(given):
        cells = [_overridden(row) if each else None for row, each in zip(rows, given, strict=True)]
        yield Part(Column("overridden", "text", 1), cells, told=False)


def _is_blank(cells: Sequence[object]) -> bool:
    """Whether nothing stands in a column."""
    return cells.count(None) == len(cells)


def _deviations(tree: Tree) -> Iterator[Part]:
    """Of points with repeats: how the ranked metrics scatter, and how many are in the means."""
    if not any(tree.experiments.column("members")):
        return
    ranked = [name for name, _ in tree.objectives]
    others = dict.fromkeys(name for each in tree.experiments for name in each.scores.validation)
    for name in dict.fromkeys([*ranked, *others]):
        cells = [_deviation(each, name) for each in tree.experiments]
        told = name in ranked
        yield Part(Column(f"{name} sd", "metric", 6 if told else 2, of=name), cells, told=told)
    cells = [len(each.counted()) if each.members else 1 for each in tree.experiments]
    yield Part(Column("repeats", "text", 7, label="n"), cells)


def _deviation(row: ExperimentRow, name: str) -> float | None:
    values = (each.scores.validation.get(name) for each in row.counted())
    return repeats.standard_deviation([value for value in values if value is not None])


def _overridden(row: ExperimentRow) -> str | None:
    """Which values were not used, and what was instead: `learning_rate: 0.1 -> 0.5`."""
    flat, given = plain_values.flatten(row.hyperparameters or {}), row.status.given
    changes = (f"{name}: {_said(flat.get(name))} -> {_said(given[name])}" for name in given)
    return ", ".join(changes) or None


def _said(value: object) -> str:
    return cell_text(value_cell(value))


def _hyperparameters(rows: Experiments) -> Iterator[Part]:
    """Each of them; those that are the same wherever hyperparameters could be read are not told,
    but of one experiment alone all are.
    """
    are_read = [each is not None for each in rows.column("hyperparameters")]
    for name, cells in rows.used().items():
        differ = not all_same(cells if all(are_read) else [*compress(cells, are_read)])
        told = differ or len(rows) == 1
        yield Part(Column(name, "hyperparameter", 8 if told else 1), cells, told=told)


def _metrics_of(
    tree: Tree, kind: str, prefix: str, priority: int, *, told: bool = True
) -> Iterator[Part]:
    """One kind of metrics, the ranked one first: it is what one looks for."""
    values = tree.experiments.scores(kind)
    ranked = [name for name, _ in tree.objectives]
    for name in [*filter(values.__contains__, ranked), *(n for n in values if n not in ranked)]:
        weight = priority + (4 if name in ranked and not prefix else 0)
        cells: Sequence[object] | Cells = values[name]
        way = way_of(tree, name)
        # Of test metrics none is marked: who looks for the best there has no test left.
        cells = cells if prefix or way is None else _best_marked(tree, name, way)
        yield Part(Column(prefix + name, "metric", weight, way=way), cells, told=told)


def way_of(tree: Tree, name: str) -> metrics.Direction | None:
    """Which way a metric is better: as the plan says, else as its name does."""
    return dict(tree.objectives).get(name) or metrics.direction(name)


def _best_marked(tree: Tree, name: str, way: metrics.Direction) -> Sequence[object] | Cells:
    """A metric's cells; the best of what has ended well is marked, if it beats another."""
    values = tree.experiments.scores("validation")[name]
    ranked = tree.experiments.ranked(name)
    known = {value for value in ranked if value is not None}
    if len(known) < 2:  # noqa: PLR2004 - one value is better than none
        return values
    best = max(known) if way == "maximize" else min(known)
    places = [place for place, rank in enumerate(ranked) if rank == best]
    return CellsWithBest(Cells(values), places)


def _at_moment(tree: Tree, moment: Moment) -> Part:
    way = way_of(tree, moment.metric)
    cells = [_mean_at(each, moment, way) for each in tree.experiments]
    return Part(Column(moment.header, "metric", 6, way=way), cells, told=False)


def _mean_at(row: ExperimentRow, moment: Moment, way: metrics.Direction | None) -> float | None:
    """A metric at a moment; of several experiments in one row their mean, where all have it."""
    several = row.counted() or (row,)
    values = [moment.value(each.path, each.scores, way) for each in several]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def table_of(parts: Sequence[Part], title: str | None = None) -> Table:
    cells = [each.cells if isinstance(each.cells, Cells) else Cells(each.cells) for each in parts]
    rows = TableRows.of(cells, len(cells[0]) if cells else 0)
    return Table(tuple(part.column for part in parts), rows, title)


def _descending(table: Table, index: int, tree: Tree) -> bool:
    """Metrics with the best first (the largest, where the name does not say), all else from low."""
    column = table.columns[index]
    if column.kind != "metric":
        return False
    return (column.way or way_of(tree, column.name)) != "minimize"


def in_order(
    table: Table, tree: Tree, wanted: str | None, *, reverse: bool = False
) -> tuple[Table, str]:
    """The rows in the order that is wanted, by default by the metric; and the order in words.

    Metrics go best first, all else from low to high; `reverse` turns it.
    """
    name = table.headers()[0]
    by = wanted or (tree.metric[0] if tree.metric else name)
    by = by if wanted or by in table.headers() else name  # of the rows that are left none has it
    if by == name:
        return sort(table, name, descending=reverse), ""
    numbers = tree.experiments.column("number")
    if not _is_blank(numbers):
        ranks = [*map(metrics.trial_order, numbers)] if None in numbers else numbers
        order = sorted(range(len(ranks)), key=ranks.__getitem__)
        table = table.at(order)  # equals stay in this order
    descending = _descending(table, table.index(by), tree) != reverse
    words = f" by {by}, {'highest' if descending else 'lowest'} first"
    table = sort(table, by, descending=descending)
    if wanted or reverse:
        return table, words
    if len(tree.objectives) > 1:
        words = f" by {objective.describe(tree.objectives)}, the Pareto front first"
    return _front_first(_ended_well_first(table)), words


def _front_first(table: Table) -> Table:
    """What no other beats in all metrics above all else, where there are several."""
    place = _place_of(table, "pareto", "text")
    if place is None:
        return table
    cells = table.cells[place].values
    return table.at(sorted(range(len(cells)), key=lambda row: cells[row] != FRONT))


def _ended_well_first(table: Table) -> Table:
    """What may be ranked above what has not ended well, whose metrics are of half a training."""
    place = _place_of(table, "status", "status")
    if place is None:
        return table
    cells = table.cells[place].values
    if attempts.RANKED.issuperset(cells):
        return table
    return table.at(sorted(range(len(cells)), key=lambda row: cells[row] not in attempts.RANKED))


def _place_of(table: Table, name: str, kind: Kind) -> int | None:
    """Where a column of ours stands; a hyperparameter may have its name."""
    columns = enumerate(table.columns)
    return next((at for at, each in columns if (each.name, each.kind) == (name, kind)), None)


def note_of_all(rows: Experiments) -> list[str]:
    """The note that all experiments have in common: a column of it would tell nothing."""
    notes = {*rows.column("note")}
    alike = len(rows) > 1 and len(notes) == 1
    return [f"{ALL_NOTED} {' '.join(note.split())}" for note in notes if note and alike]


def failures_in(rows: Experiments) -> list[str]:
    """What failed, a line a class, the most frequent first; with the words of most of them."""
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
        ((said, _),) = words.most_common(1)
        more = len(words) - 1
        others = f" (and {more} other{'' if more == 1 else 's'})" if more else ""
        told = f": {said}{others}" if said else ""
        lines.append(f"{count} failed ({failure}){told}")
    return lines


def advised(tree: Tree) -> list[str]:
    """What a search has shown, in at most three sentences; nothing of other trees, nothing where
    several metrics count, and nothing of a confirmation, whose own answer is by a sharper test.
    """
    plan = files.read_object(tree.folder / "search.json")
    if not plan or len(tree.objectives) != 1 or (tree.folder / discovery.CONFIRM).exists():
        return []
    from modeldir.search.advice import advice  # noqa: PLC0415 - where somebody looks

    return advice(tried(tree, tree.objectives[0][0]), tree.objectives[0], plan)


def tried(tree: Tree, metric: str) -> list[Tried]:
    """The rows that count and have a metric, as what a search has tried."""
    from modeldir.search.advice import Tried  # noqa: PLC0415 - most tables are printed without advice

    found = []
    for row in tree.rows():
        value = row.value(metric)
        if value is not None:
            point = {name: bare_value(cell) for name, cell in (row.used() or {}).items()}
            spread, seeds = _deviation(row, metric), len(row.counted()) or 1
            found.append(Tried(row.name, row.number, point, value, spread, seeds))
    return found
