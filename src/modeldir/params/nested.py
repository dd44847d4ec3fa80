"""Plain nested dicts: what counts as a nested part, dotted names into it, merging.

It knows dicts and names. It refuses to know files, views and who reads what.
"""

from __future__ import annotations

import json
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any

from modeldir.errors import ParamsError
from modeldir.params.json_errors import MAX_DEPTH
from modeldir.params.read_only import ReadOnlyDict

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

Plain = dict[str, Any]
LEAVES = frozenset({str, int, float, bool, type(None)})
"""What has nothing within it: most values of a large part, which so cost no call each."""


def is_part(value: object) -> bool:
    """Whether a value is a nested part: a plain dict whose keys are names.

    Only the first key is looked at, since a script may add a vocabulary of a million words.
    """
    if type(value) is not dict and type(value) is not ReadOnlyDict:
        return False
    return isinstance(next(iter(value), ""), str)


def is_path(value: object) -> bool:
    """Whether a value is a `pathlib` path: it is none where nobody has imported that."""
    pathlib = sys.modules.get("pathlib")
    return pathlib is not None and isinstance(value, pathlib.PurePath)


def told(value: Any) -> str:
    """A value as JSON has it, short enough for a message; of what JSON lacks, what it is."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_as_text)
    except (TypeError, ValueError, RecursionError):  # names that are no texts; it contains itself
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line has its end


def _as_text(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if is_path(value) else f"a {type(value).__name__}"


def dotted(data: Plain, prefix: str = "", without: Container[str] = ()) -> Iterator[str]:
    """The dotted names of all values and parts, but for those of `without` and what is in them."""
    for name, value in data.items():
        key = f"{prefix}{name}"
        if key not in without:
            yield key
            if type(value) not in LEAVES and is_part(value):
                yield from dotted(value, f"{key}.", without)


def flatten(data: Plain) -> Plain:
    """The values by their dotted names; lists, and parts that are empty, are values."""
    flat: Plain = {}
    for name, value in data.items():
        if is_part(value) and value:
            flat.update({f"{name}.{inner}": leaf for inner, leaf in flatten(value).items()})
        else:
            flat[name] = value
    return flat


def place(data: Plain, name: object) -> tuple[Plain, str]:
    """The dict that holds a dotted name, and its key there.

    A name that has a dot in the file itself is found before the same name by parts.

    Raises:
        KeyError: if there is no such name.
    """
    rest = name
    while rest not in data:
        head, _, rest = str(rest).partition(".")
        if not rest or not is_part(data.get(head)):
            raise KeyError(name)
        data = data[head]
    return data, str(rest)


def place_for(data: Plain, name: object) -> tuple[Plain, str]:
    """As `place`, for a name that need not be there: the parts on the way to it are made.

    Raises:
        ParamsError: if the name is no text or goes too deep, or a value on the way is no part;
            nothing is made then.
    """
    holder, key, missing = way_to(data, name)
    for head in missing:
        holder = holder.setdefault(head, {})
    return holder, key


def way_to(data: Plain, name: object) -> tuple[Plain, str, list[str]]:
    """How to get to a dotted name: the last dict that is there, the key, the parts to make between.

    Raises:
        ParamsError: as `place_for`.
    """
    if not isinstance(name, str):
        raise ParamsError(f"expected a text as the name, found {name!r}", key=str(name))
    rest = name
    while rest not in data:
        head, _, behind = rest.partition(".")
        if not behind or not all(rest.split(".")):
            break
        if head not in data:
            *missing, key = rest.split(".")
            if len(missing) >= MAX_DEPTH:
                raise ParamsError(f"more than {MAX_DEPTH} parts inside each other", key=name[:80])
            return data, key, missing
        if not is_part(data[head]):
            message = f"{head!r} is {told(data[head])}: it cannot hold {behind!r}"
            raise ParamsError(message, key=name)
        data, rest = data[head], behind
    return data, rest, []


def merge(data: Plain, new: Mapping[str, Any]) -> None:
    """Take over new values in place: parts are merged, dotted names followed, the rest replaced."""
    for name, value in new.items():
        holder, key = place_for(data, name)
        if is_part(value) and is_part(holder.get(key)):
            merge(holder[key], value)
        else:
            holder[key] = copied(value)


def copied(value: Any) -> Any:
    """Nested parts copied, everything else itself: it may be a tensor."""
    if not is_part(value):
        return value
    return {name: part if type(part) in LEAVES else copied(part) for name, part in value.items()}
