"""A table as aligned text, for terminals and pipes.

Commands call `to_text`. The rule: without a width no row, no column and no digit is lost.
`table_formats` has Markdown, CSV, JSON, LaTeX and HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from operator import add

from modeldir._system.escaping import visible
from modeldir._system.text import Best, Block, padded, side_by_side, text_width, widest, wrapped
from modeldir.results.table import Column, Table
from modeldir.results.table_cells import NUMBERS, Name, aligned_texts, at_one_point, cell_texts

NARROWED = 40
"""The largest width of a string if the width of the table is limited."""
_GAP = "  "


@dataclass(frozen=True)
class Signs:
    best: str = "★"
    plus_minus: str = "±"
    cut: str = "…"
    maximize: str = "↑"
    minimize: str = "↓"


UNICODE = Signs()
ASCII = Signs("best", "+-", "~", "(max)", "(min)")


def signs_in(encoding: str | None) -> Signs:
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
    """Return aligned columns below their headers. Every line ends with a line break.

    In a limited `width`, names are cut in the middle or replaced by their numbers, then columns are
    left out, the lowest priority first. `digits` are the decimals of metrics, by default all.
    """
    texts = [_Text.of(each, signs) for each in shown(table, digits=digits, signs=signs)]
    if width is not None and _width_of(texts) > width:
        texts = _fitted(table, texts, width, signs.cut)
    lines = [*wrapped(table.title, width), ""] if table.title else []
    blocks = [text.block(rule="-" * text.width, colour=colour) for text in texts]
    lines += map(str.rstrip, side_by_side(blocks, _GAP))
    if left_out := _left_out(texts, _columns_shown(table) - len(texts)):
        lines += wrapped(left_out, width)
    for note in _notes(table, signs):
        lines += ["", *wrapped(note, width)]
    return "\n".join(lines) + "\n"


def _notes(table: Table, signs: Signs) -> Iterator[str]:
    # The mark of `ASCII` is a word.
    if signs != ASCII and any(Best in each.kinds for each in table.cells):
        yield f"{signs.best}: the best of its column"
    if table.note:
        yield table.note


@dataclass(frozen=True)
class Shown:
    """One column as people read it. Numbers are padded, so their decimal points are aligned."""

    label: str
    cells: Sequence[str]
    numeric: bool
    best: frozenset[int]
    column: Column
    values: Sequence[object] = ()
    """The values of the cells."""


def shown(
    table: Table,
    *,
    digits: int | None = None,
    signs: Signs = UNICODE,
    write: Callable[[str], str] | None = None,
) -> list[Shown]:
    """Return the columns as people read them: deviations follow their means, with a ±.

    `write` escapes a string for the format. If it changes nothing in a string, it must change
    nothing in a part of the string.
    """
    write = write or visible
    columns = []
    headers = table.headers()
    spreads = {column.of: place for place, column in enumerate(table.columns) if column.of}
    for place, (column, header) in enumerate(zip(table.columns, headers, strict=True)):
        if column.of in headers:
            continue
        cells = table.cells[place]
        texts = (
            table.written[place] if digits is None else aligned_texts(cells, column.kind, digits)
        )
        if not cells.kinds <= NUMBERS | {Best}:  # numbers need no escaping
            texts = _escaped(texts, write)
        if header in spreads:
            spread = cell_texts(table.cells[spreads[header]], "metric", digits)
            texts = _with_spread(texts, spread, signs)
        label = write(column.label or header) + (
            f" {_arrow(column, signs)}" if column.direction else ""
        )
        marked = enumerate(cells.values) if Best in cells.kinds else ()
        best = frozenset(place for place, value in marked if type(value) is Best)
        columns.append(Shown(label, texts, cells.are_numbers, best, column, cells.values))
    return columns


def _escaped(texts: Sequence[str], write: Callable[[str], str]) -> Sequence[str]:
    """Escape each string with `write`, fast if none of them needs it."""
    whole = " ".join(texts)
    if write(whole) == whole:
        return texts
    known = {text: write(text) for text in {*texts}}
    return [*map(known.__getitem__, texts)]


def _columns_shown(table: Table) -> int:
    headers = table.headers()
    return sum(column.of not in headers for column in table.columns)


def _arrow(column: Column, signs: Signs) -> str:
    return signs.maximize if column.direction == "maximize" else signs.minimize


def _with_spread(means: Sequence[str], spreads: Sequence[str], signs: Signs) -> Sequence[str]:
    aligned = at_one_point(spreads)
    width = max(map(len, aligned), default=0)
    blank = " " * (width + len(signs.plus_minus) + 2)
    return tuple(
        f"{mean} {signs.plus_minus} {spread:>{width}}" if spread.strip() else mean + blank
        for mean, spread in zip(means, aligned, strict=True)
    )


def _numbers(values: Sequence[object]) -> tuple[str, ...]:
    """Return the numbers of the rows if each row has one and no two are the same."""
    numbers = [value.number if isinstance(value, Name) else None for value in values]
    if None in numbers or len(set(numbers)) < len(numbers):
        return ()
    return tuple(f"#{number}" for number in numbers)


@dataclass(frozen=True)
class _Text:
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
        numeric: bool,  # noqa: FBT001 - a private method
        styles: Mapping[int, str],
        names: Sequence[object] = (),
    ) -> _Text:
        width = max(text_width(header), widest(cells))
        return cls(header, cells, numeric, width, styles, names)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        return _numbers(self.names)

    def narrowed(self, width: int, sign: str) -> _Text:
        """Shorten strings to a width. Numbers stay complete: a part of one would be wrong."""
        if self.numeric or self.width <= width:
            return self
        cells = tuple(_shortened(cell, width, sign) for cell in self.cells)
        return self._as_wide(self.header, cells, numeric=False, styles=self.styles)

    def by_number(self) -> _Text:
        """Replace the rows' names by their numbers, if they have some."""
        if not self.numbers:
            return self
        numbered = self._as_wide(_BY_NUMBER, self.numbers, numeric=False, styles={})
        return replace(numbered, is_by_number=True)

    def block(self, *, rule: str, colour: bool) -> Block:
        cells = [*self.cells]
        for place, style in self.styles.items() if colour else ():
            text = cells[place].strip()
            whole = padded(cells[place], self.width, right=self.numeric)
            cells[place] = whole.replace(text, f"\x1b[{style}m{text}\x1b[0m", 1)
        return Block([self.header, rule, *cells], self.width, self.numeric)


_BY_NUMBER = "trial"
_BEST = "1;32"
_STATES = {"failed": "31", "interrupted": "33", "pruned": "2", "running": "36"}
"""The color of each status. Its word says the same."""


def _width_of(texts: Sequence[_Text]) -> int:
    return sum(text.width for text in texts) + len(_GAP) * (len(texts) - 1)


def _fitted(table: Table, texts: Sequence[_Text], width: int, sign: str) -> list[_Text]:
    """Return the columns that fit. The lowest priority goes first, then the rightmost column.

    Names are shortened first, because the other columns contain what a trial's name says.
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

    while places and _width_of(chosen(least)) > width:
        places.remove(min(places, key=lambda place: (columns[place].priority, -place)))
    room = width - (_width_of(chosen(least)) - least.width)
    whole = name.narrowed(room, sign)
    first = whole if not named or whole.width == name.width else least
    return chosen(first)


_SHORTEST = 20
"""The width to which names are shortened before columns are left out."""


def _shortened(text: str, width: int, sign: str = "…") -> str:
    """Shorten a string in its middle, because the names of trials differ at their ends."""
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
    """Name what had no room, and the options that show it; empty if all had room."""
    names = ["the trials' names"] if texts[0].is_by_number else []
    columns = [f"{count} column{'' if count == 1 else 's'}"] if count else []
    if not names and not columns:
        return ""
    have = "has it" if count == 1 and not names else "has them"
    return f"+{' and '.join([*names, *columns])} (--all-columns, or results.csv, {have})"
