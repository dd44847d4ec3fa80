"""JSON as a person writes it: read strictly, with mistakes explained, and written as it was read.

It knows what other readers let pass and what costs a night of training: a name given twice, NaN, a
number too large, a comment that hides half of the file. It refuses to know what the values mean.

The standard parser reads the text. Only when it stumbles is the text looked at a second time, to
say where and what was expected; so a good file costs hardly more than the standard parser takes.
Start at `loads`.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from modeldir.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 100
"""How many brackets deep a file may go: beyond anyone's hyperparameters, within every stack."""

TOO_DEEP = f"more than {MAX_DEPTH} brackets inside each other"
SMALLEST = 'the smallest example: {"learning_rate": 0.001}'


# -- Saying where ----------------------------------------------------------------------------------


def broken(
    shown: str,
    problem: str,
    hint: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> ParamsError:
    """The error for a mistake in the file that the user calls `shown`."""
    place = (f", line {line}" if line else "") + (f", column {column}" if column else "")
    message = f"{shown}{place}: {problem}" + (f"\n  {hint}" if hint else "")
    return ParamsError(message, path=shown, line=line, column=column)


def broken_at(
    text: str, offset: int, shown: str, problem: str, hint: str | None = None
) -> ParamsError:
    """As `broken`, for the character at `offset` of a file's text."""
    return broken(shown, problem, hint, *_position(text, offset))


def not_an_object(value: object, shown: str) -> ParamsError:
    """The error for a file that holds something other than names and values."""
    kinds = {bool: "true or false", str: "a text", list: "a list", type(None): "nothing"}
    found = kinds.get(type(value), "a number")
    problem = f"expected an object of names and values, found {found}"
    return broken(shown, problem, SMALLEST, 1, 1)


def _position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


# -- Reading ---------------------------------------------------------------------------------------


class _TwiceError(Exception):
    """An object has one name twice."""


class _NumberError(Exception):
    """A number that no float, or no int, can be; the argument is its text, None if unknown."""


def loads(text: str, shown: str) -> tuple[dict[str, Any], dict[str, str]]:
    """An object's values, and the form of each number that Python would write in another way.

    The forms are by Python's own form: `1e-3` in the text gives `{"0.001": "1e-3"}`.

    Raises:
        ParamsError: with line and column, what was expected and what was found there.
    """
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _refuse_depth(text, shown)
    forms: dict[str, str] = {}
    try:
        values = _parse(text, forms)
    except json.JSONDecodeError as error:
        raise _explained(text, error, shown) from None
    except _TwiceError:
        raise _twice(text, shown) from None
    except _NumberError as error:
        raise _bad_number(text, error.args[0], shown) from None
    if not isinstance(values, dict):
        raise not_an_object(values, shown)
    return values, forms


def _parse(text: str, forms: dict[str, str]) -> Any:
    def number(written: str) -> float:
        value = float(written)
        if math.isinf(value):
            raise _NumberError(written)
        own = repr(value)
        if forms.setdefault(own, written) != written:
            forms[own] = own  # one number, written in two ways: neither is kept
        return value

    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=number, parse_constant=_constant
        )
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Python refuses whole numbers of more than some thousand digits
        raise _NumberError(None) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _TwiceError
    return values


def _constant(name: str) -> NoReturn:
    raise _NumberError(name)


# -- A value on a command line ---------------------------------------------------------------------

_WORDS = {"None": None, "True": True, "False": False}
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")


def parse_value(text: str) -> Any:
    """A value as typed: JSON, a number or a word as Python writes it, or else the bare text.

    >>> [parse_value(text) for text in ("1e-3", ".5", "true", "None", "[1, 2]", '"3"', "adam")]
    [0.001, 0.5, True, None, [1, 2], '3', 'adam']
    """
    bare = text.strip()
    if bare in _WORDS:
        return _WORDS[bare]
    if _FLOAT.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare)
    try:
        return _parse(text, {})
    except (ValueError, RecursionError, _TwiceError, _NumberError):
        return text


# -- The second look: syntax -----------------------------------------------------------------------

_EXPECTED = {  # by how the standard parser's message begins, which all its versions share
    "Expecting value": "a value",
    "Expecting property name": "a name in double quotes",
    "Expecting ':'": "':' after the name",
    "Expecting ','": "',' or the closing bracket",
    "Extra data": "the end of the file",
    "Unterminated": "the closing double quote of this text",
    "Invalid control": "the closing double quote on this line",
    "Invalid": '\\\\ (for one backslash), \\n, \\t, \\" or \\uXXXX',
}
_HINTS = (  # by what stands there
    (r"//|/\*|#", "JSON has no comments: remove it, or use params.yaml, where # begins one"),
    (r"'", 'texts and names stand in double quotes: "adam"'),
    (r"True\b|False\b|None\b", "JSON writes true, false and null"),
    (r"[.+]", "a number begins with a digit or -: 0.5"),
    (r"[A-Za-z_]", 'texts and names stand in double quotes: "adam"'),
)
_WORD = re.compile(r'//|/\*|"[^"\n]*"?|[\w.+-]+|.')
_NEEDLESS_COMMA = re.compile(r",\s*[}\]]")


def _explained(text: str, error: json.JSONDecodeError, shown: str) -> ParamsError:
    if not text.strip():
        return broken(shown, "expected an object, but the file is empty", SMALLEST, 1, 1)
    expected = next(
        (ours for theirs, ours in _EXPECTED.items() if error.msg.startswith(theirs)), ""
    )
    if error.msg.startswith(("Unterminated", "Invalid")):
        return broken_at(text, error.pos, shown, f"expected {expected}")
    before = len(text[: error.pos].rstrip())
    behind = error.pos if error.msg.startswith("Illegal") else before - 1  # Illegal: 3.13 and on
    if comma := _NEEDLESS_COMMA.match(text, behind):
        problem = "expected no comma after the last entry"
        return broken_at(text, comma.start(), shown, problem, "remove this comma")
    offset = error.pos + len(text[error.pos :]) - len(text[error.pos :].lstrip())
    if (word := _WORD.match(text, offset)) is None:
        problem = f"expected {expected}, but the file ends here"
        return broken_at(text, before, shown, problem, "is it cut off?")
    hint = _hint(text, before, offset, error.msg)
    return broken_at(text, offset, shown, f"expected {expected}, found {word[0][:40]}", hint)


def _hint(text: str, before: int, offset: int, message: str) -> str | None:
    for pattern, hint in _HINTS[:2] if message.startswith(("Expecting ','", "Extra")) else _HINTS:
        if re.match(pattern, text[offset : offset + 10]):
            return hint
    if not message.startswith("Expecting ','"):
        return None
    if re.match(r"\d[\w.]", text[offset - 1 : offset + 1]):
        return "JSON writes numbers as 3, -0.5, 1.0 or 1e-3"
    line, column = _position(text, before)
    return f"is a comma missing at line {line}, column {column}?"


# -- The second look: what the syntax allows and we do not -----------------------------------------

_TEXT = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(rf'(?P<name>{_TEXT})\s*:|{_TEXT}|[{{}}\[\]]|(?P<bare>[^\s"{{}}\[\]:,]+)')


def _refuse_depth(text: str, shown: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth > MAX_DEPTH:
            raise broken_at(text, token.start(), shown, TOO_DEEP)


def _twice(text: str, shown: str) -> ParamsError:
    first, second, name = next(_doubles(text))
    line, column = _position(text, first)
    hint = f"it stands at line {line}, column {column} already: keep one of them"
    return broken_at(text, second, shown, f"{name!r} is given twice", hint)


def _doubles(text: str) -> Iterator[tuple[int, int, str]]:
    """Where the names stand that an object has twice: the first, the second, the name."""
    seen: list[dict[str, int]] = []  # one for each object that is open
    for token in _TOKEN.finditer(text):
        if token[0] == "{":
            seen.append({})
        elif token[0] == "}":
            seen.pop()
        elif token["name"]:
            name, start = json.loads(token["name"]), token.start()
            if seen[-1].setdefault(name, start) != start:
                yield seen[-1][name], start, name


def _bad_number(text: str, written: str | None, shown: str) -> ParamsError:
    bare = [token for token in _TOKEN.finditer(text) if token["bare"]]
    if written is None:
        longest = max(bare, key=lambda token: len(token[0]))
        problem = f"a whole number of {len(longest[0])} digits is more than Python reads"
        return broken_at(text, longest.start(), shown, problem)
    offset = next(token.start() for token in bare if token[0] == written)
    hint = "JSON has no form for it; null can stand for 'none'"
    if written[-1].isdigit():
        hint = "the largest is about 1.8e308"
    return broken_at(text, offset, shown, f"expected a finite number, found {written}", hint)


# -- Writing ---------------------------------------------------------------------------------------


def dumps(value: Any, forms: dict[str, str], line: str = "\n") -> str:
    """As `files.to_json`, without the last line end; a number whose form is given keeps it."""
    inner = line + "    "
    if isinstance(value, dict) and value:
        entries = (f"{_quoted(name)}: {dumps(part, forms, inner)}" for name, part in value.items())
        return "{" + inner + f",{inner}".join(entries) + line + "}"
    if isinstance(value, list) and value:
        parts = (dumps(part, forms, inner) for part in value)
        return "[" + inner + f",{inner}".join(parts) + line + "]"
    if isinstance(value, float):
        return forms.get(repr(value), repr(value))
    return _quoted(value)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
