"""Strings for people: the cells of a table, wrapped lines, and their width in a terminal.

Every table, message and live view calls it. Start at `cell_text` and `text_width`. The rule: no
control character of a user's value reaches a terminal, so `escaping.visible` writes them out. The
layout of tables: `results.table`. Quoting for a shell: `shell`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modeldir._system.escaping import visible
from modeldir._system.marker import Marker

if TYPE_CHECKING:
    from collections.abc import Iterator


LONGEST = 1000
"""Longest value that is shown, in characters."""


MARK = "*"
"""Written after a cell that is `Marked`."""


class Null(Marker):
    """The type of `NULL`."""

    NULL = "null"


NULL = Null.NULL
"""The cell of a hyperparameter that is null. A blank cell means that there is none of that name."""


def value_cell(value: object) -> object:
    """Return a hyperparameter's value as a cell."""
    return NULL if value is None else value


def bare_value(value: object) -> object:
    """Return a cell's value, without its mark."""
    kind = type(value)
    return value.value if kind is Best or kind is Marked else value  # type: ignore[attr-defined] # it has


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def order_of(value: object) -> tuple[int, tuple[tuple[int, float, str], ...]]:
    """Return a sort key: numbers first, then strings with their numbers compared as numbers."""
    if isinstance(value, (int, float)):
        return 0, ((0, value, ""),)
    pieces = re.split(r"([0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)", cell_text(value).casefold())
    # Every second piece is a number. A float, since 1e-05 in a name should go before 0.001.
    return 1, tuple((1, 0.0, p) if i % 2 == 0 else (0, float(p), p) for i, p in enumerate(pieces))


def wrapped(text: str, width: int | None, indent: int | None = None) -> list[str]:
    """Return a string's lines, wrapped between words. Control characters are written out.

    The rest of a wrapped line is indented by two columns more than its start, or by `indent`.
    """
    lines = [visible(line) for line in text.splitlines()]
    if width is None:
        return lines
    found: list[str] = []
    for line in lines:
        begins = len(line) - len(line.lstrip(" "))
        behind = begins + 2 if indent is None else indent
        found += [line] if text_width(line) <= width else _broken(line, width, behind)
    return found


def _broken(line: str, width: int, behind: int) -> Iterator[str]:
    """Yield the parts of a line that is too wide; `textwrap` counts each character as a column."""
    part = ""
    for word in re.findall(" *[^ ]+", line):
        if part and text_width(part + word) > width:
            yield part
            part = " " * behind + word.lstrip(" ")
        else:
            part += word
    if part:
        yield part


_TYPED = r"(?:^|[\s(:`])(?:modeldir (?!\w+: )|(?:python3?|pip|chmod|export) )"
"""The start of a command to copy."""


def folded(text: str, width: int | None) -> list[str]:
    """Return a message's lines as `wrapped`, but keep a line with a command to copy in one piece.

    The terminal may break it, but it is still copied as one line.
    """
    found: list[str] = []
    for line in map(visible, text.split("\n")):
        found += [line] if re.search(_TYPED, line) else wrapped(line, width) or [""]
    return found


def cut(text: str, longest: int = LONGEST) -> str:
    """Return a string, cut if it is too long, with a note how long it was."""
    if len(text) <= longest:
        return text
    word = f"… (cut: {len(text):,} characters)"
    return text[: longest - len(word)] + word


def cell_text(value: object) -> str:
    """Return a cell as a string, with every digit.

    true, false, null and lists are written as in JSON. A blank cell is "".
    """
    if value is None:
        return ""
    kind = type(value)
    if kind is float:  # nearly all cells of a large table are floats
        return float.__repr__(value)
    if kind is str or kind is int or isinstance(value, str):
        return str(value)
    if isinstance(value, Marked):
        return cell_text(value_cell(value.value)) + MARK
    if isinstance(value, Best):
        return cell_text(value.value)
    if isinstance(value, Null):
        return value.value
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, (bool, int, dict, list, tuple)):
        return json.dumps(json_value(value), ensure_ascii=False)
    return str(value)


def json_value(value: Any) -> Any:
    """Return a cell's value for JSON: without a mark, and NaN as a string."""
    value = bare_value(value)
    if value is NULL:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): json_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(part) for part in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def padded(text: str, width: int, *, right: bool) -> str:
    """Return a string, padded with spaces to a width in terminal columns."""
    if text.isascii():
        return text.rjust(width) if right else text.ljust(width)
    space = " " * (width - text_width(text))
    return space + text if right else text + space


@dataclass(frozen=True)
class Block:
    """One column of a table: its lines, its width, and whether it is right-aligned."""

    lines: Sequence[str]
    width: int
    right: bool


def side_by_side(
    blocks: Sequence[Block], gap: str, before: str = "", behind: str = ""
) -> Iterator[str]:
    """Return the lines of columns side by side, each cell `padded`.

    Columns of ASCII are padded by one format for the whole line, which is much quicker.
    """
    forms, columns = [], []
    for block in blocks:
        width, right = block.width, block.right
        if "".join(block.lines).isascii():
            forms.append(f"%{width}s" if right else f"%-{width}s")
            columns.append(block.lines)
        else:
            forms.append("%s")
            pad = str.rjust if right else str.ljust
            columns.append(
                [
                    pad(line, width) if line.isascii() else padded(line, width, right=right)
                    for line in block.lines
                ]
            )
    form = f"{before}{gap.join(forms)}{behind}"
    return map(form.__mod__, zip(*columns, strict=True))


def widest(cells: Sequence[str]) -> int:
    """Return the width of the widest cell."""
    if "".join(cells).isascii():
        return max(map(len, cells), default=0)
    return max(len(cell) if cell.isascii() else text_width(cell) for cell in cells)


_NARROW = re.compile(
    "[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482"
    "\u2010-\u2027\u2190-\u22ff\u2500-\u259f\u2800-\u28ff]*"
)
"""Latin, Greek, Cyrillic, punctuation, arrows, mathematical signs, boxes, blocks and Braille: one
column each, known without `wcwidth`.
"""


def text_width(text: str) -> int:
    """Return how many columns a terminal needs for a string."""
    if text.isascii() or _NARROW.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth  # noqa: PLC0415 - slow to import and rarely needed

    width = wcswidth(text)
    return width if width >= 0 else wcswidth(visible(text))  # -1: it has a control character


@dataclass(frozen=True)
class Marked:
    """A cell that people see with a `*`. Programs and sorting only see its value."""

    value: object


@dataclass(frozen=True)
class Best:
    """The best value of its column, which people see marked. Programs only see its value."""

    value: object
