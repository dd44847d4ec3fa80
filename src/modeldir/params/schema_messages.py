"""The words of a schema's errors: what was expected, what was found, what to write instead.

`pydantic_schema` and `msgspec_schema` use it. No name of a Python type may reach the user: the
reader of the message wrote JSON.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from modeldir.errors import did_you_mean
from modeldir.params.nested import preview


class SchemaProblem(NamedTuple):
    """One value that does not fit: its dotted name, what is wrong, and a hint or None."""

    key: str
    problem: str
    hint: str | None = None  # also ""


INTEGER, NUMBER, STRING, BOOLEAN = "an integer", "a number", "a string", "true or false"
NULL, LIST, SECTION = "null", "a list", "a nested section"


def mismatch(key: str, expected: list[str], value: Any) -> SchemaProblem:
    hints = (_hint(each, value) for each in expected)
    problem = f"expected {' or '.join(dict.fromkeys(expected))}, found {shown(value)}"
    return SchemaProblem(key, problem, next(filter(None, hints), None))


def unknown(key: str, owner: str, known: list[str]) -> SchemaProblem:
    name = key.rpartition(".")[2]
    hint = did_you_mean(name, [each for each in known if each != name])
    return SchemaProblem(key, f"{owner} has no such key", hint)


def called(schema: type) -> str:
    """Return the name of a schema's class, without the function in which it was defined."""
    return schema.__qualname__.rpartition("<locals>.")[2]


def shown(value: Any) -> str:
    """Return a value as a params file shows it, cut to the length of a line."""
    if isinstance(value, dict):
        return SECTION
    text = preview(value)
    return f"the string {text}" if isinstance(value, str) else text


def _hint(expected: str, value: Any) -> str | None:
    if isinstance(value, str) and expected in {INTEGER, NUMBER}:
        return f"write {value.strip()} without quotes" if _is_number(value) else None
    if expected == INTEGER and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if expected == BOOLEAN:
        meant = {"true": "true", "false": "false", "1": "true", "0": "false"}
        word = meant.get(str(value).lower())
        return word and f"write {word}"
    if expected == NULL:
        return "write null" if value in ("None", "null", "none", "~") else None
    return did_you_mean(value, re.findall('"(.*?)"', expected)) if isinstance(value, str) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
