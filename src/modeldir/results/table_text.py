"""A table as aligned text, for terminals and pipes.

Commands call `to_text`. The rule: without a width no row, no column and no digit is lost.
`table_formats` has Markdown, CSV, JSON, LaTeX and HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import add

from modeldir._system.escaping import visible
from modeldir._system.text import Best, Block, padded, side_by_side, text_width, widest, wrapped
from modeldir.results.table import Column, Table
from modeldir.results.table_cells import NUMBERS, aligned_texts, at_one_point, cell_texts

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


def to_text(  # noqa: PLR0913 - keyword arguments
    table: Table,
    *,
    width: int | None = None,
    digits: int | None = None,
    signs: Signs = UNICODE,
    color: bool = False,
    elsewhere: str = "--all-columns, or results.csv,",
) -> str:
    """Return aligned columns below their headers. Every line ends with a line break.

    In a limited `width`, names are cut in the middle, or left out where each row has its number.
    Then columns are left out, the lowest priority first. `digits` are the decimals of metrics, by
    default all. `elsewhere` is where people find the columns that are left out.
    """
    texts = [_Text.of(each, signs) for each in shown(table, digits=digits, signs=signs)]
    hidden: list[str] = []
    if width is not None and _width_of(texts) > width:
        headers = [text.header for text in texts]
        places, texts = _fitted(table, texts, width, signs.cut)
        hidden = [header for place, header in enumerate(headers) if place not in places]
    lines = [*wrapped(table.title, width), ""] if table.title else []
    blocks = [text.block(rule="-" * text.width, color=color) for text in texts]
    lines += map(str.rstrip, side_by_side(blocks, _GAP))
    if hidden and width is not None:
        lines += wrapped(_left_out(hidden, width, elsewhere), width)
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


@dataclass(frozen=True)
class _Text:
    header: str
    cells: Sequence[str]
    numeric: bool
    width: int
    styles: Mapping[int, str]

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
        return cls._as_wide(column.label, cells, column.numeric, styles)

    @classmethod
    def _as_wide(
        cls,
        header: str,
        cells: Sequence[str],
        numeric: bool,  # noqa: FBT001 - a private method
        styles: Mapping[int, str],
    ) -> _Text:
        width = max(text_width(header), widest(cells))
        return cls(header, cells, numeric, width, styles)

    def narrowed(self, width: int, sign: str) -> _Text:
        """Shorten strings to a width. Numbers stay complete: a part of one would be wrong."""
        if self.numeric or self.width <= width:
            return self
        cells = tuple(_shortened(cell, width, sign) for cell in self.cells)
        return self._as_wide(self.header, cells, numeric=False, styles=self.styles)

    def block(self, *, rule: str, color: bool) -> Block:
        cells = [*self.cells]
        for place, style in self.styles.items() if color else ():
            text = cells[place].strip()
            whole = padded(cells[place], self.width, right=self.numeric)
            cells[place] = whole.replace(text, f"\x1b[{style}m{text}\x1b[0m", 1)
        return Block([self.header, rule, *cells], self.width, self.numeric)


_BEST = "1;32"
_STATES = {"failed": "31", "interrupted": "33", "pruned": "2", "running": "36"}
"""The color of each status. Its word says the same."""


def _width_of(texts: Sequence[_Text]) -> int:
    return sum(text.width for text in texts) + len(_GAP) * (len(texts) - 1)


def _fitted(
    table: Table, texts: Sequence[_Text], width: int, sign: str
) -> tuple[list[int], list[_Text]]:
    """Return the columns that fit, with their indices.

    The lowest priority is left out first, then the rightmost column. Names are shortened before,
    because the other columns contain what a trial's name says. Names are shown whole or not at all
    if each row has its number and its values.
    """
    headers = table.headers()
    columns = [column for column in table.columns if column.of not in headers]
    at = next((place for place, each in enumerate(columns) if each.kind == "name"), 0)
    has_values = any(column.kind == "hyperparameter" for column in columns)
    is_needed = not (has_values and at == 1 and _are_numbers(table.cells[0].values))
    narrowest = max(min(_SHORTEST, width // 3), 9)
    narrow = [text.narrowed(min(NARROWED, max(width // 2, 9)), sign) for text in texts]
    narrow[at] = texts[at].narrowed(narrowest, sign)
    places = [place for place in range(len(texts)) if is_needed or place != at]
    kept = at if is_needed else 0

    def chosen() -> list[_Text]:
        return [narrow[place] for place in places]

    while len(places) > 1 and _width_of(chosen()) > width:
        others = (place for place in places if place != kept)
        places.remove(min(others, key=lambda place: (columns[place].priority, -place)))
    room = width - _width_of(chosen())
    if is_needed:
        narrow[at] = texts[at].narrowed(room + narrow[at].width, sign)
    elif texts[at].width + len(_GAP) <= room:
        narrow[at] = texts[at]
        places = sorted([*places, at])
    return places, chosen()


def _are_numbers(values: Sequence[object]) -> bool:
    """Return whether each row has a number of its own."""
    return all(isinstance(value, int) for value in values) and len({*values}) == len(values)


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


def _left_out(headers: Sequence[str], width: int, elsewhere: str) -> str:
    """Return how many columns had no room, their names if these fit, and what has them."""
    count = len(headers)
    columns, them = ("1 column", "it") if count == 1 else (f"{count} columns", "them")
    where = f" ({elsewhere} has {them})"
    named = f"+{columns}: {', '.join(headers)}{where}"
    return named if text_width(named) <= width else f"+{columns}{where}"
