"""Values as text for people: cells of a table, wrapped lines, the width of what a terminal shows.

Control characters never reach a terminal: `visible` writes them out. Tables are laid out in
`results.table`.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modeldir._system.marker import Marker

if TYPE_CHECKING:
    from collections.abc import Iterator


LONGEST = 1000
"""Characters of a value that people are shown."""


MARK = "*"
"""What stands behind a cell that is `Marked`."""


class Null(Marker):
    """The type of `NULL`."""

    NULL = "null"


NULL = Null.NULL
"""A hyperparameter that is null: a blank says that there is none of that name."""


def value_cell(value: object) -> object:
    """A hyperparameter's value as a cell."""
    return NULL if value is None else value


def bare_value(value: object) -> object:
    """A cell's value, without its mark."""
    kind = type(value)
    return value.value if kind is Best or kind is Marked else value  # type: ignore[attr-defined] # it has


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def order_of(value: object) -> tuple[int, tuple[tuple[int, float, str], ...]]:
    """What sorts values as `sort` does."""
    if isinstance(value, (int, float)):
        return 0, ((0, value, ""),)
    pieces = re.split(r"([0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)", cell_text(value).casefold())
    # Every second piece is a number. A float, since 1e-05 in a name should go before 0.001.
    return 1, tuple((1, 0.0, p) if i % 2 == 0 else (0, float(p), p) for i, p in enumerate(pieces))


def wrapped(text: str, width: int | None, indent: int | None = None) -> list[str]:
    """Lines of a text that end between words; what a terminal would obey is written out. What goes
    on stands two columns behind the line's begin, or `indent`.
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
    """The parts of a line that is too wide: `textwrap` takes each character for one column."""
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
"""How a command begins that somebody is to type."""


def folded(text: str, width: int | None) -> list[str]:
    """A message as `wrapped`, but a line with a command that is to be typed stays one: it can be
    copied then, wherever the terminal breaks it.
    """
    found: list[str] = []
    for line in map(visible, text.split("\n")):
        found += [line] if re.search(_TYPED, line) else wrapped(line, width) or [""]
    return found


def cut(text: str, longest: int = LONGEST) -> str:
    """What is too long to be read, or to be held, with a word on how long it was."""
    if len(text) <= longest:
        return text
    word = f"… (cut: {len(text):,} characters)"
    return text[: longest - len(word)] + word


def cell_text(value: object) -> str:
    """A value as text, every digit: true, false and null as JSON has them, a list as JSON, a blank
    as "".
    """
    if value is None:
        return ""
    kind = type(value)
    if kind is float:  # these are nearly all of the many cells of a table
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
    """A cell as JSON has it: no mark, no NaN."""
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


def visible(text: str) -> str:
    r"""The text with what a terminal would obey instead of show written out (`\x1b`, `\n`).

    That is control characters, line separators, marks that reorder what is read, half characters.
    """
    if text.isprintable():  # nearly always, and then at no cost
        return text
    return "".join(char if _is_harmless(char) else _written_out(char) for char in text)


def padded(text: str, width: int, *, right: bool) -> str:
    """A text with blanks around it, so that it takes so many places in a terminal."""
    if text.isascii():
        return text.rjust(width) if right else text.ljust(width)
    space = " " * (width - text_width(text))
    return space + text if right else text + space


@dataclass(frozen=True)
class Block:
    """One column as it stands in a text: its lines, how wide it is, and whether it is set right."""

    lines: Sequence[str]
    width: int
    right: bool


def side_by_side(
    blocks: Sequence[Block], gap: str, before: str = "", behind: str = ""
) -> Iterator[str]:
    """Lines of columns, each `padded`: the many of ASCII by one form for the whole line."""
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
    """How many places the widest of some cells takes."""
    if "".join(cells).isascii():
        return max(map(len, cells), default=0)
    return max(len(cell) if cell.isascii() else text_width(cell) for cell in cells)


_NARROW = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u2010-\u2027]*")
"""Latin, Greek, Cyrillic and punctuation: one column each, known without `wcwidth`."""


def text_width(text: str) -> int:
    """Return how many columns a terminal gives a text."""
    if text.isascii() or _NARROW.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth  # noqa: PLC0415 - slow to import, and rarely needed

    width = wcswidth(text)
    return width if width >= 0 else wcswidth(visible(text))  # -1: it has a control character


def _is_harmless(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


_JOINERS = frozenset("\u200c\u200d")
"""Without a width, but part of how Persian, Hindi and some emoji are written."""


@dataclass(frozen=True)
class Marked:
    """A cell that people see with a `*` behind it; to programs, and in order, it is its value."""

    value: object


@dataclass(frozen=True)
class Best:
    """The best value of its column: people see that it is; to programs, and in order, it is its
    value.
    """

    value: object
