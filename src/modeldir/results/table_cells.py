"""The cells of a table by column, and their text.

Start at `Cells`. A cell is a value (a number, a string, a list) and not yet text; None is blank.
The rule: a column and its texts never change, because several tables share them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from operator import add, sub
from typing import Any, Literal, TypeAlias, TypeGuard, overload

from modeldir._system.durations import duration_text
from modeldir._system.text import LONGEST, MARK, NULL, Best, Marked, bare_value, cell_text, cut

Kind: TypeAlias = Literal["name", "hyperparameter", "metric", "status", "time", "text"]


class Significant(int):
    """A number of significant digits, where an `int` is a number of decimals."""


SIX = Significant(6)
"""The digits of metrics in text, in a terminal and in a pipe. CSV and JSON have all of them."""

NUMBERS = frozenset({float, int, type(None)})
_SIMPLE = NUMBERS | {str, bool}


class Cells:
    """The values of one column, from the top, and their texts, each computed once."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def at(self, places: Sequence[int]) -> Sequence[Any]:
        return [*map(self.values.__getitem__, places)]

    @cached_property
    def kinds(self) -> frozenset[type]:
        """The types of the values. They decide whether a column needs a look at each value."""
        return frozenset(map(type, self.values))

    @cached_property
    def bare(self) -> Cells:
        if self.kinds.isdisjoint((Best, Marked)):
            return self
        return Cells([*map(bare_value, self.values)])

    @cached_property
    def texts(self) -> Sequence[str]:
        if Marked in self.kinds:
            return [*map(cell_text, self.values)]
        bare, kinds = self.bare, self.bare.kinds
        if bare is not self:
            return bare.texts
        if len(kinds) == 1 and (write := _WRITERS.get(next(iter(kinds)))):
            return [*map(write, self.values)]
        if kinds <= NUMBERS:
            return ["" if value is None else repr(value) for value in self.values]
        return [*map(cell_text, self.values)]

    @cached_property
    def are_numbers(self) -> bool:
        bare, kinds = self.bare.values, self.bare.kinds
        if kinds <= _SIMPLE:
            return kinds <= NUMBERS and not kinds <= {type(None)}
        known = [value for value in bare if value is not None and value is not NULL]
        return bool(known) and all(map(_is_number, known))


class CellsWithBest(Cells):
    """A column in which some values are `Best`. It shares the rest with the unmarked one."""

    def __init__(self, unmarked: Cells, places: Iterable[int]) -> None:
        self._unmarked, self._places = unmarked, places

    def __len__(self) -> int:
        return len(self._unmarked)

    @cached_property
    def values(self) -> Sequence[Any]:  # type: ignore[override] # it is never set
        values = [*self._unmarked.values]
        for place in self._places:
            values[place] = Best(values[place])
        return values

    @cached_property
    def kinds(self) -> frozenset[type]:
        return self._unmarked.kinds | {Best}

    @cached_property
    def bare(self) -> Cells:
        return self._unmarked.bare


class _SelectedCells(Cells):
    def __init__(self, source: Cells, places: Sequence[int]) -> None:
        self._source, self._places = source, places

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def values(self) -> Sequence[Any]:  # type: ignore[override] # it is never set
        return self._source.at(self._places)

    @cached_property
    def kinds(self) -> frozenset[type]:
        are_all = len(self._places) == len(self._source)
        return self._source.kinds if are_all else frozenset(map(type, self.values))

    @cached_property
    def bare(self) -> Cells:
        bare = self._source.bare
        return self if bare is self._source else _SelectedCells(bare, self._places)


class TableRows(Sequence[tuple[Any, ...]]):
    """The rows of a table that is stored by columns. Each row is made on demand."""

    def __init__(self, columns: Sequence[Cells], places: Sequence[int]) -> None:
        self._columns, self._places = columns, places

    @classmethod
    def of(cls, columns: Sequence[Cells], count: int) -> TableRows:
        return cls(columns, range(count))

    @cached_property
    def cells(self) -> tuple[Cells, ...]:
        if self._places == range(len(self._columns[0]) if self._columns else 0):
            return tuple(self._columns)
        return tuple(_SelectedCells(column, self._places) for column in self._columns)

    def at(self, places: Sequence[int]) -> TableRows:
        return TableRows(self._columns, [*map(self._places.__getitem__, places)])

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> TableRows: ...
    def __getitem__(self, at: int | slice) -> tuple[Any, ...] | TableRows:
        if isinstance(at, slice):
            return TableRows(self._columns, self._places[at])
        place = self._places[at]
        return tuple([value for column in self._columns for value in column.at([place])])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if not self._columns:
            return repeat((), len(self))
        return zip(*(each.values for each in self.cells), strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (TableRows, tuple)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # as a list has none

    def __repr__(self) -> str:
        return repr(tuple(self))


def aligned_texts(cells: Cells, kind: Kind, digits: int | None) -> Sequence[str]:
    texts = cell_texts(cells, kind, digits)
    return at_one_point(texts) if cells.are_numbers and kind != "time" else texts


def cell_texts(cells: Cells, kind: Kind, digits: int | None) -> Sequence[str]:
    if kind == "time":
        return [duration_text(v) if _is_number(v) else cell_text(v) for v in cells.values]
    if (
        kind == "metric"
        and digits is not None
        and any(issubclass(each, float) for each in cells.bare.kinds)
    ):
        return [_rounded(v, digits) if _is_number(v) else cell_text(v) for v in cells.bare.values]
    texts = cells.texts
    return texts if max(map(len, texts), default=0) <= LONGEST else [*map(cut, texts)]


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    float: float.__repr__, int: int.__repr__, str: str,
}  # fmt: skip
"""How to write the values of a column that has only one type. Nearly all columns have one."""


def metric_text(number: float, digits: int | None) -> str:
    return cell_text(number) if digits is None else _rounded(number, digits)


def _rounded(number: float, digits: int) -> str:
    """Write `digits` decimals, or significant digits for very small and very large numbers."""
    if isinstance(digits, Significant):
        return f"{number:.{digits}g}"
    plain = number == 0 or 10.0**-digits <= abs(number) < 1e9  # noqa: PLR2004 - longer is unreadable
    return f"{number:.{digits}f}" if plain else f"{number:.{max(1, digits)}g}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def at_one_point(cells: Sequence[str]) -> Sequence[str]:
    """Pad numbers so that their points are aligned in a column that is aligned right."""
    joined = "".join(cells)
    if not any(sign in joined for sign in (".", "e", MARK)):  # integers
        return cells
    points = [*map(str.find, cells, repeat("."))]
    tails = [*map(sub, map(len, cells), points)]
    if -1 in points:
        tails = [_tail(c) if p < 0 else t for c, p, t in zip(cells, points, tails, strict=True)]
    longest = max(tails, default=0)
    blanks = {tail: " " * (longest - tail) for tail in {*tails}}
    return [*map(add, cells, map(blanks.__getitem__, tails))]


def _tail(cell: str) -> int:
    """Count the characters behind a number's integer part: decimals, an exponent, a mark."""
    place = cell.find(".")
    place = place if place >= 0 else cell.find("e")
    return len(cell) - place if place >= 0 else int(cell.endswith(MARK))
