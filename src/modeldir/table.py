"""Rows and columns: sorted, chosen from, and written as text, Markdown, CSV or JSON.

It knows how a value looks in a cell and how cells line up. It refuses to know where the values came
from, where the text goes, and which terminal shows it: widths are arguments, results are strings.

Start at `Table`. A cell is a value as it is (a number, a text, a list), not yet text; None is a
blank. Every function makes a new table or a string and changes nothing.
"""

from __future__ import annotations

import io
import json
import math
import re
import unicodedata
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

from modeldir import files
from modeldir.errors import ModeldirError, did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Kind: TypeAlias = Literal["name", "hyperparameter", "metric", "status", "time", "text"]

SHORT = 9.95
"""Times below this many seconds are shown with tenths."""
MINUTE, HOUR, DAY = 60, 3600, 86400
NARROWED = 40
"""How wide a text may be where the whole width is limited."""

MARK = "*"
"""What stands behind a cell that is `Marked`."""

_AFTER_POINT = re.compile(r"(?<=[0-9])(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?\*?$")
"""What stands right of where numbers line up: decimals, an exponent, a mark, nothing."""


@dataclass(frozen=True)
class Column:
    """One column. Where the width is limited, the lowest priorities are left out first.

    A `time` is in seconds; only text and Markdown show it as minutes and hours.
    """

    name: str
    kind: Kind = "text"
    priority: int = 0


class Null(Enum):
    """The type of `NULL`."""

    NULL = "null"


NULL = Null.NULL
"""A hyperparameter that is null: a blank says that there is none of that name."""


def value_cell(value: object) -> object:
    """A hyperparameter's value as a cell."""
    return NULL if value is None else value


@dataclass(frozen=True)
class Marked:
    """A cell that people see with a `*` behind it; to programs, and in order, it is its value."""

    value: object


@dataclass(frozen=True)
class Table:
    """Columns, and rows that have a cell for each of them. The title stands above the text, the
    note (what a mark means) below it.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[object | None, ...], ...]
    title: str | None = None
    note: str | None = None

    def headers(self) -> tuple[str, ...]:
        """What each column is called, no two the same.

        A hyperparameter and a metric may have one name (`loss`): then the metric keeps it, and the
        other becomes `loss (hyperparameter)`. These are the names to sort and to select by.
        """
        return _unique(self.columns)

    def column(self, header: str) -> tuple[object | None, ...]:
        """All cells of one column, from the top.

        Raises:
            ModeldirError: if there is no such column; with the nearest name.
        """
        index = self.index(header)
        return tuple(row[index] for row in self.rows)

    def index(self, header: str) -> int:
        """Where a column stands, from 0.

        Raises:
            ModeldirError: if there is no such column; with the nearest name.
        """
        headers = self.headers()
        if header in headers:
            return headers.index(header)
        hint = did_you_mean(header, headers) or f"there are: {', '.join(headers)}"
        raise ModeldirError(
            listed("The table cannot be made:", [(f"no column {header!r}", hint)], "")
        )


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
    index = table.index(header)
    known = [row for row in table.rows if not _is_blank(_bare(row[index]))]
    blank = [row for row in table.rows if _is_blank(_bare(row[index]))]
    ordered = sorted(known, key=lambda row: order_of(_bare(row[index])), reverse=descending)
    return replace(table, rows=(*ordered, *blank))


def select(table: Table, headers: Iterable[str]) -> Table:
    """These columns alone, in this order.

    Raises:
        ModeldirError: if there is no such column.
    """
    return _with_columns(table, [table.index(header) for header in headers])


def where(table: Table, keep: Callable[[Mapping[str, object]], bool]) -> Table:
    """The rows for which `keep` is true; it is given each row by header."""
    headers = table.headers()
    rows = tuple(row for row in table.rows if keep(dict(zip(headers, row, strict=True))))
    return replace(table, rows=rows)


def varying(table: Table) -> Table:
    """Without the hyperparameters that are the same in every row, and without blank columns.

    Names stay whatever they are: they say which row is which.
    """
    return _with_columns(
        table, [i for i in range(len(table.columns)) if _tells_something(table, i)]
    )


def _tells_something(table: Table, index: int) -> bool:
    values = [_bare(row[index]) for row in table.rows]
    kind = table.columns[index].kind
    if kind == "hyperparameter":
        return len({_key(value) for value in values}) > 1
    return kind == "name" or any(value is not None for value in values)


def _key(value: object) -> str:
    """Equal for values that mean the same: 1 and 1.0, but not 1 and true."""
    if type(value) is str:
        return f"'{value}"  # as no JSON begins
    if value is NULL:
        return "NULL"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int:
        return str(value)
    return json.dumps(_json_value(value), sort_keys=True)


def _with_columns(table: Table, indexes: Sequence[int]) -> Table:
    return replace(
        table,
        columns=tuple(table.columns[index] for index in indexes),
        rows=tuple(tuple(row[index] for index in indexes) for row in table.rows),
    )


def _bare(value: object) -> object:
    """A cell's value, without its mark."""
    return value.value if isinstance(value, Marked) else value


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def order_of(value: object) -> tuple[int, tuple[tuple[int, float, str], ...]]:
    """What sorts values as `sort` does."""
    if isinstance(value, (int, float)):
        return 0, ((0, value, ""),)
    pieces = re.split(r"([0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)", cell_text(value).casefold())
    # Every second piece is a number. A float, since 1e-05 in a name should go before 0.001.
    return 1, tuple((1, 0.0, p) if i % 2 == 0 else (0, float(p), p) for i, p in enumerate(pieces))


# -- Text for people -------------------------------------------------------------------------------

_GAP = "  "


def to_text(table: Table, *, width: int | None = None, digits: int | None = None) -> str:
    """Aligned columns under their names, every line ended.

    Without a `width` no column and no character is lost. With one, long texts are cut in the middle
    and then columns are left out, lowest priority first, and the last line says how many; the first
    column always stays. `digits` are the decimals of metrics; None shows every digit.
    """
    texts = _texts(table, digits)
    shown = list(range(len(texts)))
    if width is not None and not _fits(texts, shown, width):
        texts = [column.narrowed(min(NARROWED, max(width // 2, 9))) for column in texts]
        shown = _chosen(table, texts, width)
    lines = [visible(table.title), ""] if table.title else []
    blocks = [texts[index].lines(rule="-" * texts[index].width) for index in shown]
    lines += [_GAP.join(cells).rstrip() for cells in zip(*blocks, strict=True)]
    if left_out := len(texts) - len(shown):
        lines.append(_left_out(left_out))
    lines += ["", visible(table.note)] if table.note else []
    return "\n".join(lines) + "\n"


def to_markdown(table: Table, *, digits: int | None = None) -> str:
    """The table in GitHub's Markdown, padded so that it also reads well as it is."""
    lines = [f"# {_markdown_cell(table.title)}", ""] if table.title else []
    texts = _texts(table, digits, _markdown_cell, least=len("---"))
    blocks = [column.lines(rule=_markdown_rule(column)) for column in texts]
    lines += [f"| {' | '.join(cells)} |" for cells in zip(*blocks, strict=True)]
    lines += ["", _markdown_cell(table.note)] if table.note else []
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Text:
    """One column as text: its header, its cells, and how wide it is to be."""

    header: str
    cells: tuple[str, ...]
    numeric: bool
    width: int

    @classmethod
    def of(cls, header: str, cells: Iterable[str], *, numeric: bool, least: int = 0) -> _Text:
        cells = _at_one_point(cells) if numeric else tuple(cells)
        return cls(header, cells, numeric, max(least, *map(text_width, (header, *cells)), 0))

    def narrowed(self, width: int) -> _Text:
        """With no text wider than this. Numbers stay whole: a part of one would be a lie."""
        if self.numeric:
            return self
        return _Text.of(
            self.header, (_shortened(cell, width) for cell in self.cells), numeric=False
        )

    def lines(self, *, rule: str) -> list[str]:
        """Header, rule and cells, all of one width."""
        return [self._padded(self.header), rule, *map(self._padded, self.cells)]

    def _padded(self, text: str) -> str:
        space = " " * (self.width - text_width(text))
        return space + text if self.numeric else text + space


def _texts(
    table: Table, digits: int | None, write: Callable[[str], str] | None = None, least: int = 0
) -> list[_Text]:
    write = write or visible
    texts = []
    for index, (column, header) in enumerate(zip(table.columns, table.headers(), strict=True)):
        values = [row[index] for row in table.rows]
        cells = map(write, _cells(values, column.kind, digits))
        texts.append(_Text.of(write(header), cells, numeric=_is_numeric(values), least=least))
    return texts


def _cells(values: Sequence[object], kind: Kind, digits: int | None) -> list[str]:
    if kind == "time":
        return [duration_text(value) if _is_number(value) else cell_text(value) for value in values]
    if kind == "metric" and digits is not None and any(isinstance(v, float) for v in values):
        return [_rounded(v, digits) if _is_number(v) else cell_text(v) for v in values]
    return [cell_text(value) for value in values]


def metric_text(number: float, digits: int | None) -> str:
    """A metric as it stands in a table: with so many decimals, or every digit."""
    return cell_text(number) if digits is None else _rounded(number, digits)


def _rounded(number: float, digits: int) -> str:
    """So many decimals, or so many significant digits where decimals would say too little."""
    plain = number == 0 or 10.0**-digits <= abs(number) < 1e9  # noqa: PLR2004 - longer is unreadable
    return f"{number:.{digits}f}" if plain else f"{number:.{max(1, digits)}g}"


def _is_numeric(values: Iterable[object]) -> bool:
    bare = [_bare(value) for value in values]
    known = [value for value in bare if value is not None and value is not NULL]
    return bool(known) and all(map(_is_number, known))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at_one_point(cells: Iterable[str]) -> tuple[str, ...]:
    """Numbers with their points below each other, once they are set to the right."""
    parts = [(cell, _AFTER_POINT.search(cell)) for cell in cells]
    tails = [len(match[0]) if match else 0 for _, match in parts]
    longest = max(tails, default=0)
    return tuple(
        cell + " " * (longest - tail) for (cell, _), tail in zip(parts, tails, strict=True)
    )


def _fits(texts: Sequence[_Text], shown: Sequence[int], width: int) -> bool:
    return sum(texts[index].width for index in shown) + len(_GAP) * (len(shown) - 1) <= width


def _chosen(table: Table, texts: Sequence[_Text], width: int) -> list[int]:
    """The columns that fit. Of equal priorities the rightmost goes first, the very first never."""
    shown = list(range(len(texts)))
    while len(shown) > 1 and not _fits(texts, shown, width):
        shown.remove(min(shown[1:], key=lambda index: (table.columns[index].priority, -index)))
    return shown


def _shortened(text: str, width: int) -> str:
    """Cut in the middle: the names of trials differ at their ends."""
    if text_width(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{_start(text, half)}…{_start(text[::-1], half)[::-1]}"


def _start(text: str, width: int) -> str:
    text = text[:width]
    while text_width(text) > width:
        text = text[:-1]
    return text


def _left_out(count: int) -> str:
    columns, have = ("column", "has it") if count == 1 else ("columns", "has them")
    return f"+{count} {columns} (--all-columns, or results.csv, {have})"


def _markdown_rule(column: _Text) -> str:
    return "-" * (column.width - 1) + (":" if column.numeric else "-")


_PLAIN = re.compile(r"(?:[A-Za-z0-9 .+/:-]|(?<=[A-Za-z0-9_])_(?=[A-Za-z0-9_]))*")
"""Text that no notation of Markdown's is in."""


def _markdown_cell(text: str) -> str:
    """Text that Markdown shows as it is: one line, and no tables, links or HTML of its own."""
    if _PLAIN.fullmatch(text):  # nearly always, and then at no cost
        return text
    line = visible(re.sub(r"[\r\n\v\f\x85\u2028\u2029]+", " ", text))
    escaped = re.sub(r"([\\|<*`\[~&$])", r"\\\1", line)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)  # within a word it is no emphasis


# -- Text for programs -----------------------------------------------------------------------------


def to_csv(table: Table) -> str:
    """Comma-separated, one line a row, every digit. Blanks are empty, times are in seconds.

    A text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    import csv  # noqa: PLC0415 - only some commands write it

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_csv_cell(header) for header in table.headers())
    writer.writerows([_csv_cell(value) for value in row] for row in table.rows)
    return out.getvalue()


def to_json(table: Table) -> str:
    """A list of objects by header, in order, values as they are; a blank is null.

    NaN and the infinities, for which JSON has no form, are the texts "nan", "inf" and "-inf".
    """
    headers = table.headers()
    rows = [dict(zip(headers, map(_json_value, row), strict=True)) for row in table.rows]
    # A lone surrogate (from a file name that is no UTF-8) cannot be encoded; as \udc80 it is JSON.
    return files.to_json(rows).encode("utf-8", "backslashreplace").decode("utf-8")


def _csv_cell(value: object) -> str:
    value = _bare(value)
    text = visible(cell_text(value))
    if isinstance(value, str) and re.match(r"[=+@-](?![0-9.]+$)", text):
        return f"'{text}"
    return text


def _json_value(value: Any) -> Any:
    value = _bare(value)
    if value is NULL:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _json_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(part) for part in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


# -- One value -------------------------------------------------------------------------------------


def cell_text(value: object) -> str:
    """A value as text, every digit: true, false and null as JSON has them, a list as JSON, a blank
    as "".
    """
    if value is None:
        return ""
    if type(value) is str or type(value) is int:  # nearly all of the many cells of a table
        return str(value)
    if isinstance(value, Marked):
        return cell_text(value_cell(value.value)) + MARK
    if isinstance(value, Null):
        return value.value
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, (bool, int, dict, list, tuple)):
        return json.dumps(_json_value(value), ensure_ascii=False)
    return str(value)


def duration_text(seconds: float) -> str:
    """A time as people say it, in at most two units.

    >>> duration_text(0.42), duration_text(75), duration_text(7380), duration_text(180000)
    ('0.4s', '1m 15s', '2h 03m', '2d 02h')
    """
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < SHORT:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d {whole % DAY // HOUR:02}h"


def visible(text: str) -> str:
    r"""The text with what a terminal would obey instead of show written out (`\x1b`, `\n`).

    That is control characters, line separators, marks that reorder what is read, half characters.
    """
    if text.isprintable():  # nearly always, and then at no cost
        return text
    return "".join(char if _is_harmless(char) else _written_out(char) for char in text)


def text_width(text: str) -> int:
    """How many places a terminal gives a text: two to wide characters, none to combining ones."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _is_harmless(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _char_width(char: str) -> int:
    if char in _JOINERS or unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


_JOINERS = frozenset("\u200c\u200d")
"""Without a width, but part of how Persian, Hindi and some emoji are written."""
