"""Rows and columns: sorted, chosen from, and written as text.

It knows how a value looks in a cell and how cells line up. It refuses to know where the values came
from, where the text goes, and which terminal shows it: widths are arguments, results are strings.
The other forms (Markdown, CSV, JSON, LaTeX, HTML) are made by `tableforms`.

Start at `Table`. A cell is a value as it is (a number, a text, a list), not yet text; None is a
blank. Every function makes a new table or a string and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from operator import add, sub
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, overload

from modeldir._system.durations import duration_text
from modeldir._system.text import (
    LONGEST,
    MARK,
    NULL,
    Best,
    Block,
    Marked,
    _is_blank,
    bare_value,
    cell_text,
    cut,
    order_of,
    padded,
    side_by_side,
    text_width,
    visible,
    widest,
    wrapped,
)
from modeldir.errors import ModeldirError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Kind: TypeAlias = Literal["name", "hyperparameter", "metric", "status", "time", "text"]
Way: TypeAlias = Literal["maximize", "minimize"]

NARROWED = 40
"""How wide a text may be where the whole width is limited."""


@dataclass(frozen=True)
class Column:
    """One column. Where the width is limited, the lowest priorities are left out first.

    A `time` is in seconds; only what people read shows it as minutes and hours. They also see the
    `label` instead of the name, and which `way` a metric is better. A column of standard deviations
    says whose they are (`of`, a header): there they see it behind the mean.
    """

    name: str
    kind: Kind = "text"
    priority: int = 0
    label: str | None = None
    way: Way | None = None
    of: str | None = None


class Name(str):
    """What a row is called; by its `number` where there is little room."""

    __slots__ = ("number",)
    number: int | None

    def __new__(cls, text: str, number: int | None = None) -> Name:  # noqa: PYI034 - Self is 3.11
        made = super().__new__(cls, text)
        made.number = number
        return made


class Cells:
    """What stands in one column, from the top, and what becomes of it: each made once, in however
    many tables and forms the column is.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def at(self, places: Sequence[int]) -> Sequence[Any]:
        """The values at some places."""
        return [*map(self.values.__getitem__, places)]

    @cached_property
    def kinds(self) -> frozenset[type]:
        """Their types, which tell whether they are to be looked at one by one."""
        return frozenset(map(type, self.values))

    @cached_property
    def bare(self) -> Cells:
        """Without their marks: few columns have any."""
        if self.kinds.isdisjoint((Best, Marked)):
            return self
        return Cells([*map(bare_value, self.values)])

    @cached_property
    def texts(self) -> Sequence[str]:
        """Each as `cell_text` has it."""
        if Marked in self.kinds:
            return [*map(cell_text, self.values)]
        bare, kinds = self.bare, self.bare.kinds
        if bare is not self:
            return bare.texts
        if len(kinds) == 1 and (write := _WRITERS.get(next(iter(kinds)))):
            return [*map(write, self.values)]
        if kinds <= _NUMBERS:
            return ["" if value is None else repr(value) for value in self.values]
        return [*map(cell_text, self.values)]

    @cached_property
    def are_numbers(self) -> bool:
        """Whether those that are not blank are numbers, and there are some."""
        bare, kinds = self.bare.values, self.bare.kinds
        if kinds <= _SIMPLE:
            return kinds <= _NUMBERS and not kinds <= {type(None)}
        known = [value for value in bare if value is not None and value is not NULL]
        return bool(known) and all(map(_is_number, known))


class Named(Cells):
    """The `Name` of each row."""

    def __init__(self, texts: Sequence[str], numbers: Sequence[int | None]) -> None:
        self._texts, self._numbers = texts, numbers

    def __len__(self) -> int:
        return len(self._texts)

    @cached_property
    def values(self) -> Sequence[Any]:  # type: ignore[override] # nobody sets it
        return [*map(Name, self._texts, self._numbers)]

    @cached_property
    def kinds(self) -> frozenset[type]:
        return frozenset({Name}) if self._texts else frozenset()

    def at(self, places: Sequence[int]) -> Sequence[Any]:
        return [Name(self._texts[place], self._numbers[place]) for place in places]


class BestOf(Cells):
    """A column of which some are `Best`; without their marks it is another one that there is."""

    def __init__(self, unmarked: Cells, places: Iterable[int]) -> None:
        self._unmarked, self._places = unmarked, places

    def __len__(self) -> int:
        return len(self._unmarked)

    @cached_property
    def values(self) -> Sequence[Any]:  # type: ignore[override] # nobody sets it
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


class _Picked(Cells):
    """Some cells of a column, or all in another order; gathered when somebody asks for them."""

    def __init__(self, source: Cells, places: Sequence[int]) -> None:
        self._source, self._places = source, places

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def values(self) -> Sequence[Any]:  # type: ignore[override] # nobody sets it
        return self._source.at(self._places)

    @cached_property
    def kinds(self) -> frozenset[type]:
        are_all = len(self._places) == len(self._source)
        return self._source.kinds if are_all else frozenset(map(type, self.values))

    @cached_property
    def bare(self) -> Cells:
        bare = self._source.bare
        return self if bare is self._source else _Picked(bare, self._places)


class Rows(Sequence[tuple[Any, ...]]):
    """The rows of a table that is kept by columns: each is made when somebody asks for it."""

    def __init__(self, columns: Sequence[Cells], places: Sequence[int]) -> None:
        self._columns, self._places = columns, places

    @classmethod
    def of(cls, columns: Sequence[Cells], count: int) -> Rows:
        """So many rows, by all their columns."""
        return cls(columns, range(count))

    @cached_property
    def cells(self) -> tuple[Cells, ...]:
        """The columns, with the cells of these rows alone."""
        if self._places == range(len(self._columns[0]) if self._columns else 0):
            return tuple(self._columns)
        return tuple(_Picked(column, self._places) for column in self._columns)

    def at(self, places: Sequence[int]) -> Rows:
        """Those at some places, none twice, in the order of these."""
        return Rows(self._columns, [*map(self._places.__getitem__, places)])

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> Rows: ...
    def __getitem__(self, at: int | slice) -> tuple[Any, ...] | Rows:
        if isinstance(at, slice):
            return Rows(self._columns, self._places[at])
        place = self._places[at]
        return tuple([value for column in self._columns for value in column.at([place])])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if not self._columns:
            return repeat((), len(self))
        return zip(*(each.values for each in self.cells), strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Rows, tuple)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # as a list has none

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True)
class Table:
    """Columns, and rows that have a cell for each of them. The title stands above the text, the
    note (what a mark means, what failed) below it.
    """

    columns: tuple[Column, ...]
    rows: Sequence[tuple[object | None, ...]]
    title: str | None = None
    note: str | None = None

    def headers(self) -> tuple[str, ...]:
        """What each column is called, no two the same.

        A hyperparameter and a metric may have one name (`loss`): then the metric keeps it, and the
        other becomes `loss (hyperparameter)`. These are the names to sort and to select by.
        """
        return _unique(self.columns)

    @cached_property
    def cells(self) -> tuple[Cells, ...]:
        """What stands in each column."""
        if isinstance(self.rows, Rows):
            return self.rows.cells
        by_column = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.columns)
        return tuple(map(Cells, by_column))

    @cached_property
    def written(self) -> tuple[Sequence[str], ...]:
        """Each column as text with every digit, numbers with their points below each other; made
        once, however many forms the table takes.
        """
        pairs = zip(self.columns, self.cells, strict=True)
        return tuple(_written(cells, column.kind, None) for column, cells in pairs)

    def notes(self, signs: Signs | None = None) -> Iterator[str]:
        """What stands below the table: what the mark of the best says, and the note."""
        # The mark of `ASCII` is a word.
        if signs and signs != ASCII and any(Best in each.kinds for each in self.cells):
            yield f"{signs.best}: the best of its column"
        if self.note:
            yield self.note

    def column(self, header: str) -> tuple[object | None, ...]:
        """All cells of one column, from the top.

        Raises:
            ModeldirError: if there is no such column; with the nearest name.
        """
        return tuple(self.cells[self.index(header)].values)

    def at(self, places: Sequence[int]) -> Table:
        """The rows at some places, none twice, in the order of these."""
        rows = self.rows if isinstance(self.rows, Rows) else Rows.of(self.cells, len(self.rows))
        return replace(self, rows=rows.at(places))

    def index(self, header: str) -> int:
        """Where a column stands, from 0.

        Raises:
            ModeldirError: if there is no such column; with the nearest name.
        """
        headers = self.headers()
        if header in headers:
            return headers.index(header)
        hint = did_you_mean(header, headers) or f"there are: {', '.join(headers)}"
        raise ModeldirError("The table cannot be made:", [(f"no column {header!r}", hint)], "")


def _unique(columns: tuple[Column, ...]) -> tuple[str, ...]:
    names = [column.name for column in columns]
    if len(set(names)) == len(names):
        return tuple(names)
    # The metric's is the name that one sorts by; equal kinds are told apart by number.
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


# -- Choosing --------------------------------------------------------------------------------------


def sort(table: Table, header: str, *, descending: bool = False) -> Table:
    """Rows in the order of one column. Equals stay as they were; blanks and NaN are always last.

    Numbers go before texts; numbers within texts count as numbers (`run_2` before `run_10`).

    Raises:
        ModeldirError: if there is no such column.
    """
    bare = table.cells[table.index(header)].bare.values
    if _NUMBERS.issuperset(map(type, bare)):  # most columns that anybody sorts by
        told = enumerate(bare)
        known = [at for at, each in told if each is not None and each == each]  # noqa: PLR0124 - NaN
        known.sort(key=bare.__getitem__, reverse=descending)
    else:
        known = [place for place, value in enumerate(bare) if not _is_blank(value)]
        known.sort(key=lambda place: order_of(bare[place]), reverse=descending)
    blank = {*range(len(bare))}.difference(known) if len(known) < len(bare) else ()
    return table.at([*known, *sorted(blank)])


_NUMBERS = frozenset({float, int, type(None)})
_SIMPLE = _NUMBERS | {str, Name, bool}


def select(
    table: Table, headers: Iterable[str], *, title: str | None = None, note: str | None = None
) -> Table:
    """These columns alone, in this order, perhaps under a title and a note of their own.

    Raises:
        ModeldirError: if there is no such column.
    """
    places = [table.index(header) for header in headers]
    columns = tuple(table.columns[place] for place in places)
    rows = Rows.of([table.cells[place] for place in places], len(table.rows))
    return Table(columns, rows, title or table.title, note or table.note)


# -- Text for people -------------------------------------------------------------------------------

_GAP = "  "


@dataclass(frozen=True)
class Signs:
    """What is drawn beside values; `ASCII` is for terminals whose encoding has nothing else."""

    best: str = "★"
    plus_minus: str = "±"
    cut: str = "…"
    maximize: str = "↑"
    minimize: str = "↓"


UNICODE = Signs()
ASCII = Signs("best", "+-", "~", "(max)", "(min)")


def signs_in(encoding: str | None) -> Signs:
    """What can be drawn in an encoding."""
    try:
        "★±…↑↓".encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def to_text(
    table: Table,
    *,
    width: int | None = None,
    digits: int | None = None,
    signs: Signs = UNICODE,
    colour: bool = False,
) -> str:
    """Aligned columns under their names, every line ended.

    Without a `width` no column and no digit is lost. With one, names are cut in the middle (or told
    by their numbers), and then columns are left out, lowest priority first, and a line says how
    many; the first column always stays. `digits` are the decimals of metrics; None shows every
    digit. With `colour` the best values and the states stand out in a terminal.
    """
    texts = [_Text.of(each, signs) for each in shown(table, digits=digits, signs=signs)]
    if width is not None and not _fits(texts, width):
        texts = _fitted(table, texts, width, signs.cut)
    lines = [*wrapped(table.title, width), ""] if table.title else []
    blocks = [text.block(rule="-" * text.width, colour=colour) for text in texts]
    lines += map(str.rstrip, side_by_side(blocks, _GAP))
    if left_out := _left_out(texts, _columns_shown(table) - len(texts)):
        lines += wrapped(left_out, width)
    for note in table.notes(signs):
        lines += ["", *wrapped(note, width)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Shown:
    """One column as people read it: its label, its cells as text, the places of the best ones.

    Cells of numbers are padded, so that their points stand below each other once they are set to
    the right.
    """

    label: str
    cells: Sequence[str]
    numeric: bool
    best: frozenset[int]
    column: Column
    values: Sequence[object] = ()
    """What the cells are the text of."""


def shown(
    table: Table,
    *,
    digits: int | None = None,
    signs: Signs = UNICODE,
    write: Callable[[str], str] | None = None,
) -> list[Shown]:
    """The columns as people read them: deviations stand behind their means, with a ±.

    `write` makes text harmless where it is going to stand; of what it leaves alone as a whole, it
    leaves each word alone.
    """
    write = write or visible
    columns = []
    headers = table.headers()
    spreads = {column.of: place for place, column in enumerate(table.columns) if column.of}
    for place, (column, header) in enumerate(zip(table.columns, headers, strict=True)):
        if column.of in headers:
            continue
        cells = table.cells[place]
        texts = table.written[place] if digits is None else _written(cells, column.kind, digits)
        if not cells.kinds <= _NUMBERS | {Best}:  # nothing obeys a number
            texts = _harmless(texts, write)
        if header in spreads:
            spread = _texts(table.cells[spreads[header]], "metric", digits)
            texts = _with_spread(texts, spread, signs)
        label = write(column.label or header) + (f" {_arrow(column, signs)}" if column.way else "")
        marked = enumerate(cells.values) if Best in cells.kinds else ()
        best = frozenset(place for place, value in marked if type(value) is Best)
        columns.append(Shown(label, texts, cells.are_numbers, best, column, cells.values))
    return columns


def _written(cells: Cells, kind: Kind, digits: int | None) -> Sequence[str]:
    texts = _texts(cells, kind, digits)
    return _at_one_point(texts) if cells.are_numbers and kind != "time" else texts


def _harmless(texts: Sequence[str], write: Callable[[str], str]) -> Sequence[str]:
    """Each text as it may stand there; mostly all of them may as they are."""
    whole = " ".join(texts)
    if write(whole) == whole:
        return texts
    known = {text: write(text) for text in {*texts}}
    return [*map(known.__getitem__, texts)]


def _columns_shown(table: Table) -> int:
    headers = table.headers()
    return sum(column.of not in headers for column in table.columns)


def _arrow(column: Column, signs: Signs) -> str:
    return signs.maximize if column.way == "maximize" else signs.minimize


def _with_spread(means: Sequence[str], spreads: Sequence[str], signs: Signs) -> Sequence[str]:
    aligned = _at_one_point(spreads)
    width = max(map(len, aligned), default=0)
    blank = " " * (width + len(signs.plus_minus) + 2)
    return tuple(
        f"{mean} {signs.plus_minus} {spread:>{width}}" if spread.strip() else mean + blank
        for mean, spread in zip(means, aligned, strict=True)
    )


def _numbers(values: Sequence[object]) -> tuple[str, ...]:
    """The rows by number, where each has its own."""
    numbers = [value.number if isinstance(value, Name) else None for value in values]
    if None in numbers or len(set(numbers)) < len(numbers):
        return ()
    return tuple(f"#{number}" for number in numbers)


@dataclass(frozen=True)
class _Text:
    """One column as text: its header, its cells, their styles, and how wide it is to be."""

    header: str
    cells: Sequence[str]
    numeric: bool
    width: int
    styles: Mapping[int, str]
    names: Sequence[object] = ()
    is_by_number: bool = False

    @classmethod
    def of(cls, column: Shown, signs: Signs) -> _Text:
        cells, styles = column.cells, dict.fromkeys(column.best, _BEST)
        if column.best:
            blank = " " * (len(signs.best) + 1)
            marked = [*map(add, cells, repeat(blank))]
            for place in column.best:
                marked[place] = f"{cells[place]} {signs.best}"
            cells = marked
        if column.column.kind == "status":
            places = enumerate(map(str.strip, cells))
            styles = {place: _STATES[cell] for place, cell in places if cell in _STATES}
        names = column.values if column.column.kind == "name" else ()
        return cls._as_wide(column.label, cells, column.numeric, styles, names)

    @classmethod
    def _as_wide(
        cls,
        header: str,
        cells: Sequence[str],
        numeric: bool,  # noqa: FBT001 - of this class alone
        styles: Mapping[int, str],
        names: Sequence[object] = (),
    ) -> _Text:
        width = max(text_width(header), widest(cells))
        return cls(header, cells, numeric, width, styles, names)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Of names: the shorter ones, where each row has its own."""
        return _numbers(self.names)

    def narrowed(self, width: int, sign: str) -> _Text:
        """With no text wider than this. Numbers stay whole: a part of one would be a lie."""
        if self.numeric or self.width <= width:
            return self
        cells = tuple(_shortened(cell, width, sign) for cell in self.cells)
        return self._as_wide(self.header, cells, numeric=False, styles=self.styles)

    def by_number(self) -> _Text:
        """Rows called by their numbers, where they have some: the other columns tell the rest."""
        if not self.numbers:
            return self
        told = self._as_wide(_BY_NUMBER, self.numbers, numeric=False, styles={})
        return replace(told, is_by_number=True)

    def block(self, *, rule: str, colour: bool) -> Block:
        """Header, rule and cells."""
        cells = [*self.cells]
        for place, style in self.styles.items() if colour else ():
            text = cells[place].strip()
            whole = padded(cells[place], self.width, right=self.numeric)
            cells[place] = whole.replace(text, f"\x1b[{style}m{text}\x1b[0m", 1)
        return Block([self.header, rule, *cells], self.width, self.numeric)


_BY_NUMBER = "trial"
_BEST = "1;32"
_STATES = {"failed": "31", "interrupted": "33", "pruned": "2", "running": "36"}
"""How states stand out: their words say the same."""


def _texts(cells: Cells, kind: Kind, digits: int | None) -> Sequence[str]:
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
    float: float.__repr__, int: int.__repr__, str: str, Name: str,
}  # fmt: skip
"""Of columns with one kind of values, as nearly all are."""


def metric_text(number: float, digits: int | None) -> str:
    """A metric as it stands in a table: with so many decimals, or every digit."""
    return cell_text(number) if digits is None else _rounded(number, digits)


def _rounded(number: float, digits: int) -> str:
    """So many decimals, or so many significant digits where decimals would say too little."""
    plain = number == 0 or 10.0**-digits <= abs(number) < 1e9  # noqa: PLR2004 - longer is unreadable
    return f"{number:.{digits}f}" if plain else f"{number:.{max(1, digits)}g}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at_one_point(cells: Sequence[str]) -> Sequence[str]:
    """Numbers with their points below each other, once they are set to the right."""
    joined = "".join(cells)
    if not any(sign in joined for sign in (".", "e", MARK)):  # whole numbers
        return cells
    points = [*map(str.find, cells, repeat("."))]
    tails = [*map(sub, map(len, cells), points)]
    if -1 in points:
        tails = [_tail(c) if p < 0 else t for c, p, t in zip(cells, points, tails, strict=True)]
    longest = max(tails, default=0)
    blanks = {tail: " " * (longest - tail) for tail in {*tails}}
    return [*map(add, cells, map(blanks.__getitem__, tails))]


def _tail(cell: str) -> int:
    """How much of a number stands right of where numbers line up: decimals, an exponent, a mark."""
    place = cell.find(".")
    place = place if place >= 0 else cell.find("e")
    return len(cell) - place if place >= 0 else int(cell.endswith(MARK))


def _fits(texts: Sequence[_Text], width: int) -> bool:
    return _width_of(texts) <= width


def _width_of(texts: Sequence[_Text]) -> int:
    return sum(text.width for text in texts) + len(_GAP) * (len(texts) - 1)


def _fitted(table: Table, texts: Sequence[_Text], width: int, sign: str) -> list[_Text]:
    """The columns that fit. Of equal priorities the rightmost goes first, the very first never.

    Names give way first: what a trial's name says stands in the columns beside it.
    """
    headers = table.headers()
    columns = [column for column in table.columns if column.of not in headers]
    name, *others = texts
    others = [text.narrowed(min(NARROWED, max(width // 2, 9)), sign) for text in others]
    named = bool(name.numbers) and any(column.kind == "hyperparameter" for column in columns)
    least = name.by_number() if named else name.narrowed(max(min(_SHORTEST, width // 3), 9), sign)
    places = list(range(1, len(texts)))

    def chosen(first: _Text) -> list[_Text]:
        return [first, *(others[place - 1] for place in places)]

    while places and not _fits(chosen(least), width):
        places.remove(min(places, key=lambda place: (columns[place].priority, -place)))
    room = width - (_width_of(chosen(least)) - least.width)
    whole = name.narrowed(room, sign)
    first = whole if not named or whole.width == name.width else least
    return chosen(first)


_SHORTEST = 20
"""Up to which a name is cut before columns are left out."""


def _shortened(text: str, width: int, sign: str = "…") -> str:
    """Cut in the middle: the names of trials differ at their ends."""
    if text_width(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{_start(text, half)}{sign}{_start(text[::-1], half)[::-1]}"


def _start(text: str, width: int) -> str:
    text = text[:width]
    while text_width(text) > width:
        text = text[:-1]
    return text


def _left_out(texts: Sequence[_Text], count: int) -> str:
    """What there was no room for, and where it is; empty if there was for all."""
    names = ["the trials' names"] if texts[0].is_by_number else []
    columns = [f"{count} column{'' if count == 1 else 's'}"] if count else []
    if not names and not columns:
        return ""
    have = "has it" if count == 1 and not names else "has them"
    return f"+{' and '.join([*names, *columns])} (--all-columns, or results.csv, {have})"


# -- One value -------------------------------------------------------------------------------------
