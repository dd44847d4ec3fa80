"""Values as JSON can store them: what can be saved, and what cannot with the reason.

`params_files.write` calls `to_json_values` before it writes. It reports all problems at once. For
the text of a JSON file, see `strict_json`.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, NamedTuple

from modeldir._system.reading import MAX_DEPTH
from modeldir.errors import ParamsError
from modeldir.params.nested import Plain, is_path, is_section, plain_scalar

_SHORT = 10**18
"""Smaller integers surely have no more digits than Python can write."""


class JsonValues(NamedTuple):
    """The values that a file can store, and the problems of those that it cannot."""

    values: Plain
    problems: list[tuple[str, str, str | None]]  # dotted name, problem, hint
    skipped: list[str]  # dotted names that were left out


class _NoFormError(Exception):
    def __init__(self, key: str, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.found = (key, problem, hint)


def to_json_values(
    values: Plain, prefix: str = "", may_skip: frozenset[str] = frozenset()
) -> JsonValues:
    """Return the values as JSON stores them, and all problems.

    Scalars of NumPy and PyTorch, paths, tuples and members of an Enum are converted. `may_skip` are
    dotted names that may be left out, with everything inside them, if JSON cannot store them.
    """
    found = JsonValues({}, [], [])
    _store_section(values, found.values, prefix, found, may_skip)
    return found


def to_json_value(value: Any, key: str) -> Any:
    """Return one value as JSON stores it, or raise an error; a nested section stays as it is."""
    if is_section(value):
        return value
    try:
        return _to_json(value, key)
    except _NoFormError as error:
        raise ParamsError(error.found[1], key=key) from None


def _store_section(
    values: Plain, into: Plain, prefix: str, found: JsonValues, may_skip: frozenset[str]
) -> None:
    for name, value in values.items():
        if type(name) is str and name.isascii() and _is_common(value):
            into[name] = value
            continue
        key = f"{prefix}{name}"
        try:
            _check_key(name, key)
            if is_section(value) and prefix.count(".") < MAX_DEPTH:
                into[name] = {}
                _store_section(value, into[name], f"{key}.", found, may_skip)
            else:
                into[name] = _to_json(value, key)
        except _NoFormError as error:
            if any(f"{key}.".startswith(f"{skippable}.") for skippable in may_skip):
                found.skipped.append(key)
            else:
                found.problems.append(error.found)


def _is_common(value: Any) -> bool:
    """Return whether `_to_json` would return a value unchanged, after many more checks."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is str:
        return bool(value.isascii())
    return value is None or kind is bool or (kind is int and -_SHORT < value < _SHORT)


def _to_json(value: Any, key: str, depth: int = 0) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:  # the common ones first: a file may hold a vocabulary
        return value if value.isascii() else _check_string(value, key)
    if isinstance(value, Enum):  # before text and numbers: it may be one of them too
        return _to_json(value.value, key, depth)
    if isinstance(value, str) or is_path(value):
        return _check_string(str(value), key)
    if isinstance(value, int | float):
        return _to_number(value, key)
    if depth > MAX_DEPTH:
        raise _NoFormError(key.partition("[")[0], "contains itself, or is nested too deeply")
    if isinstance(value, list | tuple):
        return [_to_json(part, f"{key}[{place}]", depth + 1) for place, part in enumerate(value)]
    if isinstance(value, dict):
        return _to_dict(value, key, depth)
    plain = plain_scalar(value)
    if plain is not value:
        return _to_json(plain, key, depth + 1)
    raise _NoFormError(key, f"JSON cannot store {_kind(value)}", _way_out(value))


def _to_dict(value: dict[Any, Any], key: str, depth: int) -> Plain:
    for name in value:
        _check_key(name, key)
    return {name: _to_json(part, f"{key}.{name}", depth + 1) for name, part in value.items()}


def _check_key(name: object, key: str) -> None:
    if not isinstance(name, str):
        raise _NoFormError(key, f"expected a string as the key, found {name!r}", f'write "{name}"')
    _check_string(name, key)


def _check_string(text: str, key: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NoFormError(key, "a string with half a surrogate pair cannot be saved") from None
    return text


def _to_number(value: Any, key: str) -> float:
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        raise _NoFormError(key, f"expected a finite number, found {float(value)}")
    try:
        str(int(value))
    except ValueError:
        raise _NoFormError(key, "the integer has too many digits for Python") from None
    return int(value)


def _kind(value: object) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _way_out(value: object) -> str | None:
    if hasattr(value, "tolist"):
        is_scalar = getattr(value, "shape", None) == ()
        return "save float(value)" if is_scalar else "save value.tolist()"
    return "save sorted(value)" if isinstance(value, set | frozenset) else None
