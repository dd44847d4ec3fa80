"""A search space as it is typed: `learning_rate=log_uniform:1e-5,1e-1`, `dropout=0.1,0.5`.

`commands` calls these functions. They return the form that `search.json` has; `parsing` checks
whether it makes sense.
"""

from __future__ import annotations

import json
import re
from typing import Any

from modeldir.errors import SpaceError, did_you_mean
from modeldir.params.plain_values import parse_value
from modeldir.space.domains import WORDS, is_number

_RANGE_TEXT = rf"(?s)({'|'.join(WORDS)}):(.*)"
_UNKNOWN_RANGE = r"([A-Za-z_]\w*):([^,]*),([^,]*)"
_NEXT_NAME = r"\s*,\s*(?=[^,=\s\[\]{}\"]+\s*=)"


def parse_domain_text(text: str) -> Any:
    """Return a domain, as typed on the command line, in its JSON form.

    >>> parse_domain_text("[64],[64,32]"), parse_domain_text("adam,sgd")
    ([[64], [64, 32]], ['adam', 'sgd'])
    """
    if match := re.fullmatch(_RANGE_TEXT, text):
        return _range(match[1], match[2], text)
    if (match := re.fullmatch(_UNKNOWN_RANGE, text.partition(",step=")[0])) and _is_range(match):
        known = ", ".join(WORDS)
        hint = (
            did_you_mean(match[1], WORDS) or f'known: {known}; a string is quoted: "{match[1]}:..."'
        )
        raise _unreadable(text, f'unknown word "{match[1]}"', hint)
    values = _values(text, text)
    if len(values) == 1 and isinstance(values[0], dict):
        return values[0]  # the JSON form, quoted for the shell
    return values


def _range(word: str, text: str, whole: str) -> dict[str, Any]:
    bounds, comma, rest = text.partition(",step")
    if not comma and (found := re.search(r",\s*([A-Za-z_]\w*)\s*=", text)):
        hint = did_you_mean(found[1], ["step"]) or f"after the bounds: {word}:0,1,step=0.1"
        raise _unreadable(whole, f"unknown word {json.dumps(found[1])}", hint)
    domain: dict[str, Any] = {word: _values(bounds, whole) if bounds.strip() else []}
    if comma:
        step = rest.lstrip().removeprefix("=").strip()
        if not rest.lstrip().startswith("=") or not step:
            raise _unreadable(whole, "a step has no value", f"for example {word}:0,1,step=0.1")
        domain["step"] = parse_value(step)
    return domain


def parse_condition_text(text: str) -> tuple[str, dict[str, Any] | None]:
    """Parse `--condition NAME:PARENT=VALUE,VALUE`: the name, and its condition; None removes it."""
    name, colon, condition = text.partition(":")
    if colon and name.strip() and condition.strip() == "none":
        return name.strip(), None
    parent, equals, values = condition.partition("=")
    if not (colon and equals and name.strip() and parent.strip()):
        raise SpaceError(
            f"--condition {text}: cannot be read:",
            [("expected NAME:PARENT=VALUE", "--condition momentum:optimizer=sgd,nesterov")],
        )
    found = _values(values, text)
    return name.strip(), {parent.strip(): found}


def parse_zip_text(text: str) -> list[str]:
    """Parse `--zip NAME,NAME`: the names whose values are zipped."""
    return [name.strip() for name in text.split(",")]


def parse_configuration_text(text: str) -> dict[str, Any]:
    """Parse `--try NAME=VALUE,NAME=VALUE`: a configuration to try first."""
    if text.lstrip().startswith("{"):
        return _point_in_json(text)
    point: dict[str, Any] = {}
    for piece in re.split(_NEXT_NAME, text):
        name, equals, value = piece.partition("=")
        name = name.strip()
        if not (equals and name):
            raise _no_point(text, f"{piece!r} is not name=value")
        if name in point:
            raise _no_point(text, f"{name} is given twice")
        values = _values(value, text)
        if len(values) > 1:
            raise _no_point(text, f"{name} has {len(values)} values")
        point[name] = values[0]
    return point


def _point_in_json(text: str) -> dict[str, Any]:
    try:
        point = json.loads(text)
    except ValueError:
        raise _no_point(text, "is not closed, or is not JSON") from None
    assert isinstance(point, dict)
    return point


def _no_point(text: str, problem: str) -> SpaceError:
    hint = "--try learning_rate=0.01,batch_size=32   (repeat --try for another configuration)"
    return SpaceError(f"--try {text}: cannot be read:", [(problem, hint)])


def _is_range(match: re.Match[str]) -> bool:
    """Return whether `word:low,high` is probably meant as a range, and not as two strings."""
    return is_number(parse_value(match[2])) and is_number(parse_value(match[3]))


def _values(text: str, whole: str) -> list[Any]:
    """Return the values between commas. JSON lists, objects and strings may contain commas."""
    values = []
    rest = text.strip()
    while True:
        value, rest = _first_value(rest, whole)
        values.append(value)
        if not rest:
            return values
        rest = rest[1:].lstrip()


def _first_value(text: str, whole: str) -> tuple[Any, str]:
    if text.startswith(("[", "{", '"')):
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except ValueError as error:
            hint = "for several values, write no brackets: 0.1,0.2" if text[0] == "[" else None
            raise _unreadable(whole, f"{text} is not closed, or is not JSON", hint) from error
        rest = text[end:].lstrip()
        if rest and not rest.startswith(","):
            raise _unreadable(whole, f"expected a comma before {rest!r}", None)
        return value, rest
    piece, comma, rest = text.partition(",")
    if not piece.strip():
        raise _unreadable(whole, "a value is missing", 'an empty string is written as ""')
    return parse_value(piece.strip()), comma + rest


def _unreadable(text: str, problem: str, hint: str | None) -> SpaceError:
    return SpaceError(f"{text!r} cannot be searched:", [(problem, hint)])
