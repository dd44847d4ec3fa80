"""Equality of hyperparameters' values: the one definition, for files, tables, spaces and searches.

Values are equal as JSON sees them: 1 and 1.0 are, but true is no number, and "1" a string. A tuple
is a list, an Enum's member its value, a path its text. NaN equals NaN, so that a value never
differs from itself. `same`, `all_same` and `key` must agree.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import Enum
from typing import Any

from modeldir._system.marker import Marker
from modeldir.params.nested import is_path, plain_scalar


class Absent(Marker):
    """The type of `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent.ABSENT
"""Stands for a value that does not exist. It is different from null."""

_PLAIN = frozenset({str, int, bool, type(None)})
"""Types whose values Python compares as we do, if both values have the same type."""

_SCALARS = _PLAIN | {float}

_NAN = ("number", "NaN")


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal.

    >>> same(1, 1.0), same(1, True), same([1], [True]), same([float("nan")], (float("nan"),))
    (True, False, False, True)
    """
    kind = type(left)
    if kind is type(right) and kind in _PLAIN:
        return bool(left == right)
    return key(left) == key(right)


def all_same(values: Sequence[Any]) -> bool:
    kinds = {*map(type, values)}
    if len(kinds) == 1 and kinds <= _SCALARS and values.count(values[0]) == len(values):
        return True  # the usual case, in one quick loop
    keys = map(key, values)
    first = next(keys, None)
    return all(each == first for each in keys)


def key(value: Any) -> Hashable:
    """Return a hash key, equal for equal values only; what JSON cannot store equals only itself."""
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value  # type: ignore[no-any-return]  # all three are hashable
    if kind is float:
        return value if value == value else _NAN  # noqa: PLR0124 - NaN differs from itself
    if kind is bool:
        return "bool", value
    if isinstance(value, list | tuple):
        return "list", *map(key, value)
    if isinstance(value, dict):
        return "object", frozenset([(name, key(inner)) for name, inner in value.items()])
    return _key_of_object(value)


def _key_of_object(value: Any) -> Hashable:
    if isinstance(value, Enum) and not isinstance(value, Marker):
        return key(value.value)
    if is_path(value):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float):
        return key(float(value) if isinstance(value, float) else int(value))
    scalar = plain_scalar(value)
    return ("identity", id(value)) if scalar is value else key(scalar)
