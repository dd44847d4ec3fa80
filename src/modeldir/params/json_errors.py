"""Errors of JSON texts: where the mistake is, what was expected there, what to type instead.

`strict_json` calls `mistakes` after the standard parser has rejected a file, so it may be slow. A
syntax error is reported alone, since everything after it can mean anything; all other mistakes are
reported together.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeldir._system.reading import MAX_DEPTH
from modeldir.errors import ParamsError

TOO_DEEP = f"more than {MAX_DEPTH} brackets inside each other"
SMALLEST = 'the smallest example: {"learning_rate": 0.001}'
_MOST = 20
"""List at most this many mistakes. A file with more is usually broken in one single way."""


def broken(
    shown: str,
    problem: str,
    hint: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> ParamsError:
    """Return the error for a mistake in the file that the user calls `shown`."""
    place = (f", line {line}" if line else "") + (f", column {column}" if column else "")
    message = f"{shown}{place}: {problem}" + (f"\n  {hint}" if hint else "")
    return ParamsError(message, path=shown, line=line, column=column)


def broken_at(
    text: str, offset: int, shown: str, problem: str, hint: str | None = None
) -> ParamsError:
    """Return the same error as `broken`, for the character at `offset` of a file's text."""
    return broken(shown, problem, hint, *_position(text, offset))


def not_an_object(value: object, shown: str) -> ParamsError:
    kinds = {bool: "true or false", str: "a string", list: "a list", type(None): "nothing"}
    found = kinds.get(type(value), "a number")
    problem = f"expected an object of keys and values, found {found}"
    return broken(shown, problem, SMALLEST, 1, 1)


def _position(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class Mistake(NamedTuple):
    """One thing that is wrong in a file, with its line and column if they are known."""

    place: tuple[int, int] | tuple[()]
    key: str
    problem: str
    hint: str | None


def all_broken(shown: str, found: Sequence[Mistake]) -> ParamsError:
    """Return one error for all mistakes in a file."""
    first = found[0]
    error = broken(shown, first.problem, first.hint, *first.place)
    if len(found) > 1:
        listing = []
        for place, _, problem, hint in found[:_MOST]:
            where = "line {}, column {}: ".format(*place) if place else ""
            listing.append((f"{where}{problem}", hint))
        if len(found) > _MOST:
            listing.append((f"and {len(found) - _MOST} more", None))
        head, line, column = f"{shown} cannot be read:", error.line, error.column
        error = ParamsError(head, listing, state="", path=shown, line=line, column=column)
    error.key = first.key
    return error


def mistakes(text: str, shown: str, *, comments: bool = False) -> ParamsError:
    """Return the error for a rejected text. Allowed comments are already blank in it."""
    try:
        json.loads(text, parse_constant=_any, parse_int=_any, parse_float=_any)
    except json.JSONDecodeError as syntax:
        return _explained(text, syntax, shown, comments=comments)
    return all_broken(shown, sorted(_mistakes(text), key=lambda each: each[:3]))


def _any(_: str) -> None:
    """Replace a number while only the syntax is checked."""


def _mistakes(text: str) -> Iterator[Mistake]:
    """Yield what the syntax allows and we do not."""
    seen: list[dict[str, tuple[int, int]]] = []  # the place of each key, for each open object
    for token in _tokens(text):
        if token.text == "{":
            seen.append({})
        elif token.text == "}":
            seen.pop()
        if token.text[0] == '"':
            yield from _half_characters(token)
        if token.is_name:
            name = json.loads(token.text)
            first = seen[-1].setdefault(name, token.place)
            if first != token.place:
                line, column = first
                hint = f"it is already at line {line}, column {column}: keep one of them"
                yield Mistake(token.place, token.key, f"{name!r} is given twice", hint)
        elif token.text[0] in "-0123456789NI":
            yield from _bad_number(token)


def _half_characters(token: _Token) -> Iterator[Mistake]:
    try:
        json.loads(token.text).encode()
    except UnicodeEncodeError:
        problem = f"half a surrogate pair in {token.text[:40]}"
        hint = "\\ud83d and its kind stand only in pairs: \\ud83d\\ude00"
        yield Mistake(token.place, token.key, problem, hint)


def _bad_number(token: _Token) -> Iterator[Mistake]:
    written = token.text
    if written[-1] in "Ny":
        hint = "JSON cannot store it; use null for 'none'"
    elif is_whole(written):
        digits = len(written.lstrip("-"))
        # Older versions of 3.10 have no limit.
        most = getattr(sys, "get_int_max_str_digits", int)()
        if most and digits > most:
            problem = f"an integer of {digits} digits is too long for Python"
            yield Mistake(token.place, token.key, problem, None)
        return
    elif math.isinf(float(written)):
        hint = "the largest is about 1.8e308"
    else:
        return
    problem = f"expected a finite number, found {written[:40]}"
    yield Mistake(token.place, token.key, problem, hint)


def is_whole(written: str) -> bool:
    """Return whether a JSON number is written as an integer: 10, not 1e1."""
    return written.lstrip("-").isdigit()


STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = rf'(?s)({STRING})(\s*:)?|[{{}}\[\],]|[^\s"{{}}\[\]:,]+|".*'  # compiled only when needed


@dataclass(frozen=True)
class _Token:
    text: str
    place: tuple[int, int]
    key: str  # the dotted name of the value
    is_name: bool


class _Open:
    def __init__(self, key: str, *, is_list: bool) -> None:
        self.key = key
        self.entry: str | int = 0 if is_list else ""

    def inner(self) -> str:
        if isinstance(self.entry, int):
            return f"{self.key}[{self.entry}]"
        return f"{self.key}.{self.entry}" if self.key else self.entry


def _tokens(text: str) -> Iterator[_Token]:
    opened: list[_Open] = []
    for match in re.finditer(_TOKEN, text):
        string, colon = match.groups()
        word, is_name = string or match[0], colon is not None
        if is_name:
            opened[-1].entry = json.loads(word)
        key = opened[-1].inner() if opened else ""
        if word in {"{", "["}:
            opened.append(_Open(key, is_list=word == "["))
        elif word in {"}", "]"}:
            opened.pop()
        elif word == "," and isinstance(opened[-1].entry, int):
            opened[-1].entry += 1
        yield _Token(word, _position(text, match.start()), key, is_name)


def refuse_depth(text: str, shown: str) -> None:
    depth = 0
    for token in re.finditer(_TOKEN, text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth > MAX_DEPTH:
            raise broken_at(text, token.start(), shown, TOO_DEEP)


BLANKS = " \t\n\r"
"""White space in JSON. Python accepts more characters."""

_EXPECTED = {  # by the beginning of the standard parser's message
    "Expecting value": "a value",
    "Expecting property name": "a key in double quotes",
    "Expecting ':'": "':' after the key",
    "Expecting ','": "',' or the closing bracket",
    "Extra data": "the end of the file",
    "Unterminated": "the closing double quote of this string",
    "Invalid control": "the closing double quote on this line",
    "Invalid": '\\\\ (for one backslash), \\n, \\t, \\" or \\uXXXX',
}
_NO_COMMENTS = "JSON has no comments: remove it, or rename the file to"
_HINTS = (  # by the text at that place
    (r"//|/\*", f"{_NO_COMMENTS} params.jsonc, which allows them"),
    (r"#", f"{_NO_COMMENTS} params.jsonc (comments with //) or params.yaml (with #)"),
    (r"'", 'write strings and keys in double quotes: "adam"'),
    (r"True\b|False\b|None\b", "JSON writes true, false and null"),
    (r"[.+]", "a number begins with a digit or -: 0.5"),
    (r"[A-Za-z_]", 'write strings and keys in double quotes: "adam"'),
)
_ALWAYS = 3  # these hints also apply if a comma was expected
_WITH_COMMENTS = (
    (r"/\*", "this comment is not closed: add */"),
    (r"#", "a comment begins with //"),
    *_HINTS[2:],
)
_WORD = r'(?s)//|/\*|"[^"\n]*"?|[\w.+-]+|.'
_NEEDLESS_COMMA = r",[ \t\n\r]*[}\]]"


def _explained(
    text: str, error: json.JSONDecodeError, shown: str, *, comments: bool
) -> ParamsError:
    if not text.strip(BLANKS):
        return broken(shown, "expected an object, but the file is empty", SMALLEST, 1, 1)
    expected = next(
        (ours for theirs, ours in _EXPECTED.items() if error.msg.startswith(theirs)), ""
    )
    if error.msg.startswith(("Unterminated", "Invalid")):
        return broken_at(text, error.pos, shown, f"expected {expected}")
    before = len(text[: error.pos].rstrip(BLANKS))
    behind = error.pos if error.msg.startswith("Illegal") else before - 1  # Illegal: 3.13 and on
    if comma := re.compile(_NEEDLESS_COMMA).match(text, behind):
        problem = "expected no comma after the last entry"
        return broken_at(text, comma.start(), shown, problem, "remove this comma")
    offset = len(text) - len(text[error.pos :].lstrip(BLANKS))
    if (word := re.compile(_WORD).match(text, offset)) is None:
        problem = f"expected {expected}, but the file ends here"
        return broken_at(text, before, shown, problem, "is it cut off?")
    hint = _hint(text, before, offset, error.msg, _WITH_COMMENTS if comments else _HINTS)
    return broken_at(text, offset, shown, f"expected {expected}, found {_visible(word[0])}", hint)


def _visible(word: str) -> str:
    """Return a word. An invisible character, such as U+00A0 from a web page, gets its number."""
    if len(word) == 1 and not word.isprintable():
        return f"the character U+{ord(word):04X}"
    return word[:40]


def _hint(
    text: str, before: int, offset: int, message: str, hints: tuple[tuple[str, str], ...]
) -> str | None:
    for pattern, hint in (
        hints[:_ALWAYS] if message.startswith(("Expecting ','", "Extra")) else hints
    ):
        if re.match(pattern, text[offset : offset + 10]):
            return hint
    if not message.startswith("Expecting ','"):
        return None
    if re.match(r"\d[\w.]", text[offset - 1 : offset + 1]):
        return "JSON writes numbers as 3, -0.5, 1.0 or 1e-3"
    line, column = _position(text, before)
    return f"is a comma missing at line {line}, column {column}?"
