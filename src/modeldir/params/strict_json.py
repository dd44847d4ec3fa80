"""JSON as a person writes it: read strictly, and written as it was read.

It knows what other readers let pass and what costs a night of training: a name given twice, NaN, a
number too large, a comment that hides half of the file. It refuses to know what the values mean.

The standard parser reads the text. Only when it stumbles is the text looked at a second time
(`jsonmistakes`), to say where and what was expected; so a good file costs hardly more than the
standard parser takes. Start at `loads`.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from modeldir.params.json_errors import MAX_DEPTH, STRING, mistakes, not_an_object, refuse_depth

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

# -- Reading ---------------------------------------------------------------------------------------


class _RefusedError(Exception):
    """Something that the standard parser lets pass: a name given twice, a number that is none."""


def loads(
    text: str, shown: str, *, comments: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """An object's values, and the form of each number that Python would write in another way.

    The forms are by Python's own form: `1e-3` in the text gives `{"0.001": "1e-3"}`. With
    `comments` they are allowed (`//`, `/* */`), and commas after the last entry.

    Raises:
        ParamsError: with line and column, what was expected and what was found there.
    """
    if comments:
        text = without_comments(text)
    if text.count("{") + text.count("[") > MAX_DEPTH:
        refuse_depth(text, shown)
    forms: dict[str, str] = {}
    try:
        values = _parse(text, forms)
        _refuse_half_characters(text, values)
    except (ValueError, _RefusedError):  # ValueError: syntax, or thousands of digits
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
            forms[own] = own  # one number, written in two ways: neither is kept
        return value

    return json.loads(text, object_pairs_hook=_object, parse_float=number, parse_constant=_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _RefusedError
    return values


def _constant(_: str) -> NoReturn:
    raise _RefusedError


_MAYBE_HALF = r"\\u[dD][89a-fA-F]"  # compiled if need be, as the other patterns


def _refuse_half_characters(text: str, values: Any) -> None:
    r"""A lone `\ud83d` is no text: it could not be saved, nor printed."""
    if "\\u" in text and re.search(_MAYBE_HALF, text):
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _RefusedError from None


# -- Comments --------------------------------------------------------------------------------------

_REST = r'".*|/\*.*'  # a text or a comment that nobody ended: to the end, or this would be slow
_COMMENT = rf"(?s){STRING}|(//[^\n]*|/\*.*?\*/)|{_REST}"
_LAST_COMMA = rf"(?s){STRING}|(,)(?=[ \t\n\r]*[}}\]])|{_REST}"


def without_comments(text: str) -> str:
    """The text with comments and last commas as blanks, so that every place in it stays right."""

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
    """Whether a text has comments that would be lost if the values alone were written."""
    return any(match[1] for match in re.finditer(_COMMENT, text))


# -- A value on a command line ---------------------------------------------------------------------

_WORDS = {"None": None, "True": True, "False": False}
_FLOAT = r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?"


def parse_value(text: str) -> Any:
    """A value as typed: JSON, a number or a word as Python writes it, or else the bare text.

    >>> [parse_value(text) for text in ("1e-3", ".5", "true", "None", "[1, 2]", '"3"', "adam")]
    [0.001, 0.5, True, None, [1, 2], '3', 'adam']
    """
    bare = text.strip()
    if bare in _WORDS:
        return _WORDS[bare]
    if re.fullmatch(_FLOAT, bare) and math.isfinite(float(bare)):
        return float(bare)
    try:
        return _parse(text, {})
    except (ValueError, RecursionError, _RefusedError):
        return text


def says(text: str, values: dict[str, Any], *, comments: bool) -> bool:
    """Whether a text, which `loads` has read, holds just these values: types and order included.

    The text may be without comments although they are allowed, and not the other way round.
    """
    if comments:
        text = without_comments(text)
    try:
        return alike(_parse(text, {}), values)
    except (ValueError, _RefusedError):
        return False


def alike(left: Any, right: Any) -> bool:
    """Whether two values would be written alike: 1 and 1.0 would not, nor 0.0 and -0.0."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        pairs = zip(left.items(), right.items(), strict=False)
        return len(left) == len(right) and all(a == b and alike(x, y) for (a, x), (b, y) in pairs)
    if type(left) is list:
        return len(left) == len(right) and all(map(alike, left, right))
    return bool(left == right) and (type(left) is not float or repr(left) == repr(right))


# -- Writing ---------------------------------------------------------------------------------------


def dumps(values: Any, forms: Mapping[str, str]) -> str:
    """Return values as JSON with an indent of four spaces; a number with a form keeps it.

    `forms` are those that `loads` returns: with `{"0.001": "1e-3"}`, 0.001 is written as `1e-3`.
    """
    text = json.dumps(values, indent=4, ensure_ascii=False, allow_nan=False)
    if all(own == written for own, written in forms.items()):
        return text
    return re.sub(rf"(?s){STRING}|-?[0-9][0-9.eE+-]*", lambda it: forms.get(it[0], it[0]), text)
