"""Turn the values of options into what JSON has.

Anything else becomes an object with its `repr`, which `proposal.py` takes for no value.
"""

from __future__ import annotations

import enum
import math
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def plain(value: Any) -> Any:
    """Return a value as JSON has it.

    >>> plain((1, 0.5)), plain({"a": None}), plain(object) == {"repr": "<class 'object'>"}
    ([1, 0.5], {'a': None}, True)
    """
    if value is None or isinstance(value, bool) or type(value) in {int, str}:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value) if isinstance(value.value, str) else value.name
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, os.PathLike):
        return str(value)
    return {"repr": repr(value)}


def flat(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by dotted name; an empty dict stays a value.

    >>> flat({"a": {"b": 1}, "c": {}})
    {'a.b': 1, 'c': {}}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found.update(flat(value, f"{name}."))
        else:
            found[name] = value
    return found
