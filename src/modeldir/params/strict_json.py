"""JSON as people write it: read strictly, and written in the form in which it was read.

Start at `loads`. It rejects what other readers accept and what can cost a night of training: a key
given twice, NaN, a number that is too large. The standard parser reads the text; only after it
fails, `json_errors` looks for all mistakes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from modeldir._system.reading import MAX_DEPTH, MOST_BRACKETS, TOO_MANY
from modeldir.params.json_errors import STRING, broken, mistakes, not_an_object, refuse_depth


class _RefusedError(Exception):
    """The standard parser accepts something that we do not: a key given twice, a bad number."""


def loads(
    text: str, shown: str, *, comments: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return an object's values, and the form of each number that Python would write differently.

    `1e-3` in the text gives the form `{"0.001": "1e-3"}`. `comments` allows `//`, `/* */`, last
    commas.
    """
    if comments:
        text = without_comments(text)
    brackets = text.count("{") + text.count("[")
    if brackets > MOST_BRACKETS:
        raise broken(shown, TOO_MANY)
    if brackets > MAX_DEPTH:
        refuse_depth(text, shown)
    forms: dict[str, str] = {}
    try:
        values = _parse(text, forms)
        _refuse_half_characters(text, values)
    except (ValueError, _RefusedError):  # ValueError: a syntax error, or thousands of digits
        raise mistakes(text, shown, comments=comments) from None
    if not isinstance(values, dict):
        raise not_an_object(values, shown)
    return values, forms


def _parse(text: str, forms: dict[str, str]) -> Any:
    def number(written: str) -> float:
        value = float(written)
        if math.isinf(value):
            raise _RefusedError
        own = repr(value)
        if forms.setdefault(own, written) != written:
            forms[own] = own  # the same number in two forms: keep neither
        return value

    return json.loads(text, object_pairs_hook=_object, parse_float=number, parse_constant=_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _RefusedError
    return values


def _constant(_: str) -> NoReturn:
    raise _RefusedError


_MAYBE_HALF = r"\\u[dD][89a-fA-F]"  # compiled only when needed, like the other patterns


def _refuse_half_characters(text: str, values: Any) -> None:
    r"""Reject a lone `\ud83d`. It is no character: it could not be saved or printed."""
    if "\\u" in text and re.search(_MAYBE_HALF, text):
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _RefusedError from None


_REST = r'".*|/\*.*'  # an unclosed string or comment: match to the end, or this would be slow
_COMMENT = rf"(?s){STRING}|(//[^\n]*|/\*.*?\*/)|{_REST}"
_LAST_COMMA = rf"(?s){STRING}|(,)(?=[ \t\n\r]*[}}\]])|{_REST}"


def without_comments(text: str) -> str:
    """Replace comments and last commas by blanks, so that every position stays the same."""

    def no_comment(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0]) if match[1] else match[0]

    def no_comma(match: re.Match[str]) -> str:
        before = match.start() - 1
        while before >= 0 and match.string[before].isspace():
            before -= 1
        is_needless = match[1] and before >= 0 and match.string[before] not in "{[,:"
        return " " if is_needless else match[0]

    return re.sub(_LAST_COMMA, no_comma, re.sub(_COMMENT, no_comment, text))


def has_comments(text: str) -> bool:
    return any(match[1] for match in re.finditer(_COMMENT, text))


_WORDS = {"None": None, "True": True, "False": False}
_FLOAT = r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?"


def parse_value(text: str) -> Any:
    """Parse a value from a command line: JSON, Python's None, True or .5, or else a string."""
    bare = text.strip()
    if bare in _WORDS:
        return _WORDS[bare]
    if re.fullmatch(_FLOAT, bare) and math.isfinite(float(bare)):
        return float(bare)
    try:
        return _parse(text, {})
    except (ValueError, RecursionError, _RefusedError):
        return text


def holds(text: str, values: dict[str, Any], *, comments: bool) -> bool:
    """Return whether JSON that `loads` has read holds exactly these values, types and order too."""
    if comments:
        text = without_comments(text)
    try:
        return is_written_alike(_parse(text, {}), values)
    except (ValueError, _RefusedError):
        return False


def is_written_alike(left: Any, right: Any) -> bool:
    """Return whether two values are written the same way. 1 and 1.0 are not, nor 0.0 and -0.0."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        pairs = zip(left.items(), right.items(), strict=False)
        return len(left) == len(right) and all(
            a == b and is_written_alike(x, y) for (a, x), (b, y) in pairs
        )
    if type(left) is list:
        return len(left) == len(right) and all(map(is_written_alike, left, right))
    return bool(left == right) and (type(left) is not float or repr(left) == repr(right))


def dumps(values: Any, forms: Mapping[str, str]) -> str:
    """Return values as indented JSON; numbers keep the `forms` that `loads` returns."""
    text = json.dumps(values, indent=4, ensure_ascii=False, allow_nan=False)
    if all(own == written for own, written in forms.items()):
        return text
    return re.sub(rf"(?s){STRING}|-?[0-9][0-9.eE+-]*", lambda it: forms.get(it[0], it[0]), text)
