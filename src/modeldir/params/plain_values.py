"""Hyperparameters as plain values: from a file, by their dotted names, and as a hash.

Packages that look at experiments or plan them use it; start at `flatten`. The rule: nothing here
counts as a read (`peek`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from modeldir.errors import ParamsError
from modeldir.params import nested
from modeldir.params.json_values import to_json_values
from modeldir.params.nested import Plain, is_section
from modeldir.params.params_files import load_file
from modeldir.params.strict_json import parse_value

__all__ = ["SEED", "canonical_hash", "flatten", "load_file", "parse_value", "peek"]

SEED = "seed"
"""The hyperparameter in which the repeats of a configuration differ."""


def peek(mapping: Mapping[str, Any]) -> Plain:
    """Return a mapping's values as they are. Peeking into a `Params` is not a read."""
    view = getattr(mapping, "__modeldir__", None)
    return {**mapping} if view is None else view.data


def flatten(mapping: Mapping[str, Any]) -> Plain:
    """Return the values by their dotted names. Lists and empty sections are values."""
    return nested.flatten(peek(mapping))


def canonical_hash(mapping: Mapping[str, Any], ignore: Collection[str] = ()) -> str:
    """Return 16 hex digits that are equal for equal hyperparameters, apart from `ignore`."""
    from hashlib import sha256  # noqa: PLC0415 - a training run needs no hash

    kept = to_json_values(_without(peek(mapping), ignore) if ignore else peek(mapping))
    for key, problem, hint in kept.problems:
        raise ParamsError(f"{key}: {problem}" + (f"\n  {hint}" if hint else ""), key=key)
    return sha256(_canonical_text(_canonical(kept.values)).encode()).hexdigest()[:16]


_canonical_text = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _without(data: Plain, ignore: Collection[str], prefix: str = "") -> Plain:
    return {
        name: _without(value, ignore, f"{prefix}{name}.") if is_section(value) else value
        for name, value in data.items()
        if f"{prefix}{name}" not in ignore
    }


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
