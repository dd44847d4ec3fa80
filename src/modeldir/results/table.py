"""A table: columns with headers, and rows that can be sorted and selected.

`table_columns` and several commands make tables. The rule: every function returns a new table and
changes nothing. `table_text` and `table_formats` write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from modeldir._system.text import _is_blank, order_of
from modeldir.errors import ModeldirError, did_you_mean
from modeldir.results.table_cells import NUMBERS, Cells, Kind, TableRows, aligned_texts

Direction: TypeAlias = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Column:
    """One column. If the width is limited, columns with the lowest priority are left out first.

    A `time` is in seconds. Formats for people show the `label` instead of the name. `of` is the
    header of the column whose standard deviations this one contains.
    """

    name: str
    kind: Kind = "text"
    priority: int = 0
    label: str | None = None
    direction: Direction | None = None
    of: str | None = None


@dataclass(frozen=True)
class Table:
    """Columns, and rows that have a cell for each of them; the note is below the table."""

    columns: tuple[Column, ...]
    rows: Sequence[tuple[object | None, ...]]
    title: str | None = None
    note: str | None = None

    def headers(self) -> tuple[str, ...]:
        """Return the name of each column; no two are the same.

        A hyperparameter and a metric may have the same name (`loss`). Then the metric keeps it, and
        the other becomes `loss (hyperparameter)`.
        """
        return _unique(self.columns)

    @cached_property
    def cells(self) -> tuple[Cells, ...]:
        if isinstance(self.rows, TableRows):
            return self.rows.cells
        by_column = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.columns)
        return tuple(map(Cells, by_column))

    @cached_property
    def written(self) -> tuple[Sequence[str], ...]:
        """Each column as text with every digit and aligned decimal points."""
        pairs = zip(self.columns, self.cells, strict=True)
        return tuple(aligned_texts(cells, column.kind, None) for column, cells in pairs)

    def column(self, header: str) -> tuple[object | None, ...]:
        return tuple(self.cells[self.index(header)].values)

    def at(self, places: Sequence[int]) -> Table:
        """Return the rows at some indices, in that order. No index may occur twice."""
        rows = (
            self.rows
            if isinstance(self.rows, TableRows)
            else TableRows.of(self.cells, len(self.rows))
        )
        return replace(self, rows=rows.at(places))

    def index(self, header: str) -> int:
        headers = self.headers()
        return headers.index(header_named(header, headers))


def header_named(name: str, headers: Sequence[str], what: str = "The table cannot be made:") -> str:
    """Return the header for a name, which may have dots for the slashes of a nested metric."""
    if name in headers:
        return name
    dotted = {header.replace("/", "."): header for header in headers}
    if name in dotted:
        return dotted[name]
    hint = did_you_mean(name, headers) or f"there are: {', '.join(headers)}"
    raise ModeldirError(what, [(f"no column {name!r}", hint)], "")


def _unique(columns: tuple[Column, ...]) -> tuple[str, ...]:
    names = [column.name for column in columns]
    if len(set(names)) == len(names):
        return tuple(names)
    # A metric keeps its name, because users sort by it. Columns of the same kind get numbers.
    order = sorted(range(len(names)), key=lambda index: columns[index].kind != "metric")
    taken: set[str] = set()
    headers = [""] * len(names)
    for index in order:
        name, kind = names[index], columns[index].kind
        tries = [
            name,
            f"{name} ({kind})",
            *(f"{name} ({kind} {n})" for n in range(2, len(names) + 2)),
        ]
        headers[index] = next(text for text in tries if text not in taken)
        taken.add(headers[index])
    return tuple(headers)


def sort(table: Table, header: str, *, descending: bool = False) -> Table:
    """Sort the rows by one column. Equal rows keep their order; blanks and NaN come last.

    Numbers go before strings. Numbers in strings count as numbers (`run_2` before `run_10`).
    """
    bare = table.cells[table.index(header)].bare.values
    if NUMBERS.issuperset(map(type, bare)):  # most columns
        pairs = enumerate(bare)
        known = [at for at, each in pairs if each is not None and each == each]  # noqa: PLR0124 - NaN
        known.sort(key=bare.__getitem__, reverse=descending)
    else:
        known = [place for place, value in enumerate(bare) if not _is_blank(value)]
        known.sort(key=lambda place: order_of(bare[place]), reverse=descending)
    blank = {*range(len(bare))}.difference(known) if len(known) < len(bare) else ()
    return table.at([*known, *sorted(blank)])


def select(
    table: Table, headers: Iterable[str], *, title: str | None = None, note: str | None = None
) -> Table:
    """Return only these columns, in this order, with another title and note if given."""
    places = [table.index(header) for header in headers]
    columns = tuple(table.columns[place] for place in places)
    rows = TableRows.of([table.cells[place] for place in places], len(table.rows))
    return Table(columns, rows, title or table.title, note or table.note)
