"""Nested sections: plain dicts inside dicts, and the dotted names of the values in them.

Start at `is_section` and `locate`. A section is a plain dict whose keys are strings; every other
value, lists included, is a leaf.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterator
from enum import Enum
from typing import Any

from modeldir._system.reading import MAX_DEPTH
from modeldir.errors import ParamsError
from modeldir.params.read_only import ReadOnlyDict, ReadOnlyList

Plain = dict[str, Any]
SCALAR_TYPES = frozenset({str, int, float, bool, type(None)})
"""Most values of a large section have one of these types. Checking it here saves a call each."""

_LONGEST = 60


def is_section(value: object) -> bool:
    """Return whether a value is a plain dict whose keys are strings.

    Only the first key is checked, because a script may add a vocabulary of a million words.
    """
    if type(value) is not dict and type(value) is not ReadOnlyDict:
        return False
    return isinstance(next(iter(value), ""), str)


def is_path(value: object) -> bool:
    """Return whether a value is a `pathlib` path. It is none if nobody has imported `pathlib`."""
    pathlib = sys.modules.get("pathlib")
    return pathlib is not None and isinstance(value, pathlib.PurePath)


def plain_scalar(value: Any) -> Any:
    """Return a scalar of NumPy or PyTorch as Python's own, and every other value unchanged."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    plain = value.item()
    return value if type(plain) is type(value) else plain  # a longdouble holds more than a float


def preview(value: Any) -> str:
    """Return a value as JSON, cut to fit into a message. If JSON lacks it, return its type."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_as_text)
    except (TypeError, ValueError, RecursionError):  # keys that are no strings; it contains itself
        return f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _as_text(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if is_path(value) else f"a {type(value).__name__}"


def dotted(data: Plain, prefix: str = "", without: Container[str] = ()) -> Iterator[str]:
    """Yield the dotted names of all values and sections; leave out `without`, with all inside."""
    for name, value in data.items():
        key = f"{prefix}{name}"
        if key not in without:
            yield key
            if type(value) not in SCALAR_TYPES and is_section(value):
                yield from dotted(value, f"{key}.", without)


def flatten(data: Plain) -> Plain:
    flat: Plain = {}
    for name, value in data.items():
        if is_section(value) and value:
            flat.update({f"{name}.{inner}": leaf for inner, leaf in flatten(value).items()})
        else:
            flat[name] = value
    return flat


def locate(data: Plain, name: object) -> tuple[Plain, str]:
    """Return the dict that holds a dotted name, and the key there, or raise KeyError.

    A key that contains a dot itself is found before a nested one with the same dotted name.
    """
    rest = name
    while rest not in data:
        head, _, rest = str(rest).partition(".")
        if not rest or not is_section(data.get(head)):
            raise KeyError(name)
        data = data[head]
    return data, str(rest)


def has(data: Plain, name: object) -> bool:
    """Return whether there is a hyperparameter or a section of this dotted name."""
    try:
        locate(data, name)
    except KeyError:
        return False
    return True


def locate_or_create(data: Plain, name: object) -> tuple[Plain, str]:
    """Return the same as `locate`, also for a new name: missing sections are created."""
    holder, key, missing = path_to(data, name)
    for head in missing:
        holder = holder.setdefault(head, {})
    return holder, key


def path_to(data: Plain, name: object) -> tuple[Plain, str, list[str]]:
    """Return the last existing dict on the way to a name, the key, the missing sections between."""
    if not isinstance(name, str):
        raise ParamsError(f"expected a string as the key, found {name!r}", key=str(name))
    rest = name
    while rest not in data:
        head, _, behind = rest.partition(".")
        if not behind or not all(rest.split(".")):
            break
        if head not in data:
            *missing, key = rest.split(".")
            if len(missing) >= MAX_DEPTH:
                raise ParamsError(too_deep(), key=name[:80])
            return data, key, missing
        if not is_section(data[head]):
            message = f"{head!r} is {preview(data[head])}: it cannot hold {behind!r}"
            raise ParamsError(message, key=name)
        data, rest = data[head], behind
    return data, rest, []


def too_deep() -> str:
    return f"more than {MAX_DEPTH} sections inside each other"


def copy_sections(value: Any) -> Any:
    """Copy nested sections, and keep every other value as it is: it may be a tensor."""
    if not is_section(value):
        return value
    return {
        name: inner if type(inner) in SCALAR_TYPES else copy_sections(inner)
        for name, inner in value.items()
    }


def deep_copy(value: Any) -> Any:
    """Copy a JSON value, also a read-only one, at every depth.

    `copy.deepcopy` takes longer to import than most params files to read.
    """
    if type(value) is dict or type(value) is ReadOnlyDict:
        return {
            name: inner if type(inner) in SCALAR_TYPES else deep_copy(inner)
            for name, inner in value.items()
        }
    if type(value) is list or type(value) is ReadOnlyList:
        return [deep_copy(inner) for inner in value]
    return value
