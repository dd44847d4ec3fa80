"""Values as JSON can store them: what can be saved, and what cannot with the reason.

`formats.write` calls `to_json_values` before it writes. Scalars of NumPy and PyTorch, paths, tuples
and members of an Enum are converted; NaN, arrays, sets and other objects are problems. All problems
are reported at once. For the text of a JSON file, see `strict_json`.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, NamedTuple

from modeldir.errors import ParamsError
from modeldir.params.json_errors import MAX_DEPTH
from modeldir.params.nested import Plain, is_path, is_section

_SHORT = 10**18
"""Below it a whole number has surely no more digits than Python writes."""


class JsonValues(NamedTuple):
    """What a file can hold of some values, and what it cannot."""

    values: Plain
    problems: list[tuple[str, str, str | None]]  # dotted name, problem, hint
    skipped: list[str]  # dotted names that may be left out, and were


class _NoFormError(Exception):
    """A value that JSON has no form for: its dotted name, the problem, a hint or None."""

    def __init__(self, key: str, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.found = (key, problem, hint)


def to_json_values(
    values: Plain, prefix: str = "", may_skip: frozenset[str] = frozenset()
) -> JsonValues:
    """The values as JSON has them: scalars of NumPy and PyTorch, paths, tuples, enums converted.

    `may_skip` are the dotted names that may be left out, with all they contain, where JSON has no
    form for them. All problems are found, not only the first.
    """
    found = JsonValues({}, [], [])
    _hold_part(values, found.values, prefix, found, may_skip)
    return found


def to_json_value(value: Any, key: str) -> Any:
    """One value as JSON has it; what it has no form for stays itself where it stands in a part.

    Raises:
        ParamsError: saying what JSON has no form for.
    """
    if is_section(value):
        return value
    try:
        return _hold(value, key)
    except _NoFormError as error:
        raise ParamsError(error.found[1], key=key) from None


def _hold_part(
    values: Plain, into: Plain, prefix: str, found: JsonValues, may_skip: frozenset[str]
) -> None:
    for name, value in values.items():
        if type(name) is str and name.isascii() and _is_as_json_has_it(value):
            into[name] = value
            continue
        key = f"{prefix}{name}"
        try:
            _hold_name(name, key)
            if is_section(value) and prefix.count(".") < MAX_DEPTH:
                into[name] = {}
                _hold_part(value, into[name], f"{key}.", found, may_skip)
            else:
                into[name] = _hold(value, key)
        except _NoFormError as error:
            if any(f"{key}.".startswith(f"{skippable}.") for skippable in may_skip):
                found.skipped.append(key)
            else:
                found.problems.append(error.found)


def _is_as_json_has_it(value: Any) -> bool:
    """Whether a value is one of the common ones, which `_hold` would give back after many looks."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is str:
        return bool(value.isascii())
    return value is None or kind is bool or (kind is int and -_SHORT < value < _SHORT)


def _hold(value: Any, key: str, depth: int = 0) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:  # the common ones first: a file may hold a vocabulary
        return value if value.isascii() else _hold_text(value, key)
    if isinstance(value, Enum):  # before text and numbers: it may be one of them too
        return _hold(value.value, key, depth)
    if isinstance(value, str) or is_path(value):
        return _hold_text(str(value), key)
    if isinstance(value, int | float):
        return _hold_number(value, key)
    if depth > MAX_DEPTH:
        raise _NoFormError(key.partition("[")[0], "contains itself, or goes too deep")
    if isinstance(value, list | tuple):
        return [_hold(part, f"{key}[{place}]", depth + 1) for place, part in enumerate(value)]
    if isinstance(value, dict):
        return _hold_dict(value, key, depth)
    plain = _scalar(value)
    if plain is not value:
        return _hold(plain, key, depth + 1)
    raise _NoFormError(key, f"JSON has no form for {_kind(value)}", _way_out(value))


def _scalar(value: Any) -> Any:
    """A scalar of NumPy or PyTorch as Python's own; everything else as it is."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    plain = value.item()
    return value if type(plain) is type(value) else plain  # a longdouble holds more than a float


def _hold_dict(value: dict[Any, Any], key: str, depth: int) -> Plain:
    for name in value:
        _hold_name(name, key)
    return {name: _hold(part, f"{key}.{name}", depth + 1) for name, part in value.items()}


def _hold_name(name: object, key: str) -> None:
    if not isinstance(name, str):
        raise _NoFormError(key, f"expected a string as the key, found {name!r}", f'write "{name}"')
    _hold_text(name, key)


def _hold_text(text: str, key: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NoFormError(key, "half a surrogate pair is no string") from None
    return text


def _hold_number(value: Any, key: str) -> float:
    """The number itself, without NumPy's or anyone's class around it."""
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        raise _NoFormError(key, f"expected a finite number, found {float(value)}")
    try:
        str(int(value))
    except ValueError:
        raise _NoFormError(key, "an integer with more digits than Python writes") from None
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
        return "save float(...) of it" if is_scalar else "save its .tolist()"
    return "save sorted(...) of it" if isinstance(value, set | frozenset) else None
