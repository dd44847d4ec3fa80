"""The fate of a file's hyperparameters in a run: never read, changed, the values really used.

`usage` calls `record`, which compares the values of a file with what a script made of them, as
JSON, and `lines`, which puts the result into words.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any

from modeldir.errors import closest
from modeldir.params.equality import same
from modeldir.params.json_values import to_json_values
from modeldir.params.nested import Plain, is_section, preview

_NONE: Plain = {}
_FEW = 10  # lines, or names in a line
_LARGE = 100  # more values inside an added one: it is data, perhaps a vocabulary
_LONG_TEXT = 10_000
_DEEP = 100
_LONG = 60
_NEAR_ASKED, _NEAR_READ = 0.8, 0.9
"""Similarity needed for a suggestion: of a name that does not exist, of a name that was read."""


def record(
    start: Plain, now: Plain, written: Container[str] = (), given: Mapping[str, Any] = _NONE
) -> dict[str, Any]:
    """Return what was changed and the values used, as a run file has them.

    `written` are the names of the file, and `given` the values that replaced others before the
    script used them. `left_out` lists what JSON cannot store, and large values that the script has
    added.
    """
    left_out: list[str] = []
    kept = to_json_values(_of_fair_size(start, now, "", left_out))
    left_out += [key.partition("[")[0] for key, _, _ in kept.problems]
    told: dict[str, Any] = {
        "changed": {name: {**was} for name, was in _changes(start, now, "", written, given)},
        "values": kept.values,
    }
    return {**told, "left_out": list(dict.fromkeys(left_out))} if left_out else told


def _changes(
    start: Plain, now: Plain, prefix: str, written: Container[str], given: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, old in start.items():
        key = f"{prefix}{name}"
        was = {"file" if key in written else "default": _in_json(old).get("now")}
        if name not in now:
            found.append((key, {**was, "removed": True}))
        elif is_section(old) and old and is_section(now[name]):
            found += _changes(old, now[name], f"{key}.", written, given)
        elif not same(_in_json(old), new := _in_json(now[name])):
            found.append((key, {**was, **new, **_given(key, old, given)}))
    return found


def _given(key: str, old: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    value = _in_json(given[key]) if key in given else {}
    return {"given": value["now"]} if value and not same(_in_json(old), value) else {}


def _in_json(value: Any) -> dict[str, Any]:
    kept = to_json_values({"now": value})
    return {} if kept.problems else kept.values


def _of_fair_size(start: Plain, now: Plain, prefix: str, left_out: list[str]) -> Plain:
    fair: Plain = {}
    for name, value in now.items():
        old = start.get(name)
        if old is not None and is_section(value) and is_section(old):
            fair[name] = _of_fair_size(old, value, f"{prefix}{name}.", left_out)
        elif _size(value) > max(_LARGE, _size(old)):
            left_out.append(f"{prefix}{name}")
        else:
            fair[name] = value
    return fair


def _size(value: Any, depth: int = 0) -> int:
    """Return about how many values are inside a value; stop counting when there are too many."""
    if isinstance(value, str):
        return len(value) * _LARGE // _LONG_TEXT
    if type(value) not in (dict, list, tuple) and not is_section(value):
        return 1
    if depth > _DEEP:  # it may contain itself
        return _LARGE + 1
    count = 0
    for inner in list(value.values()) if isinstance(value, dict) else value:
        count += 1 if count > _LARGE else _size(inner, depth + 1)
    return count


def never_read(names: Sequence[str], read: Container[str], own: Container[str] = ()) -> list[str]:
    """Return the names of a file that were not read; of a section only its own name."""
    found: list[str] = []
    skipped = ""
    for name in names:
        if skipped and name.startswith(f"{skipped}."):
            continue
        skipped = "" if name in read and name not in own else name
        if skipped and name not in own:
            found.append(name)
    return found


def suggestions(
    unread: Sequence[str], names: Collection[str], read: Collection[str]
) -> dict[str, str]:
    """Return, for names that were not read, the nearest name that was asked for or read instead."""
    asked = [name for name in read if name not in names]
    had = [name for name in read if name in names]
    found = {}
    for name in unread[:_FEW]:  # a hundred unread names are no typos
        near = _nearest(name, asked, _NEAR_ASKED) or _nearest(name, had, _NEAR_READ)
        if near:
            found[name] = near
    return found


def _nearest(name: str, known: Collection[str], cutoff: float) -> str | None:
    """Compare the last part of the name, with its neighbors and with equal names elsewhere."""
    part, _, last = name.rpartition(".")
    neighbors: dict[str, str] = {}
    for other in sorted(known):
        where, _, end = other.rpartition(".")
        if where == part or end == last:
            neighbors.setdefault(end, other)
    return neighbors.get(last) or neighbors.get(closest(last, [*neighbors], cutoff) or "")


def lines(shown: str, told: dict[str, Any], *, all_unread: bool = True) -> list[str]:
    """Return a short line for each thing that the user of a file should know."""
    near = told.get("did_you_mean", {})
    said = [f"{_name(name)} was never read; did you mean {_name(near[name])}?" for name in near]
    others = [name for name in told.get("never_read", ()) if name not in near]
    if others and all_unread:
        verb = "was" if len(others) == 1 else "were"
        said.append(f"{_listed(others)} {verb} never read")
    changed = list(told["changed"].items())
    said += [f"{_name(name)} was {_change(was)}" for name, was in changed[:_FEW]]
    if changed[_FEW:]:
        said.append(f"{len(changed) - _FEW} more were changed")
    return [f"{shown}: {line}" for line in said]


def _change(was: dict[str, Any]) -> str:
    old = f"the file says {preview(was['file'])}" if "file" in was else "it has a default"
    if "removed" in was:
        return f"removed; {old}"
    if "now" not in was:
        return f"changed to a value that JSON cannot store; {old}"
    start = preview(was["file"]) if "file" in was else f"its default {preview(was['default'])}"
    return f"changed from {start} to {preview(was['now'])}"


def _name(name: str) -> str:
    text = name if name.isprintable() and name else json.dumps(name)
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


def _listed(names: Sequence[str]) -> str:
    *most, last = map(_name, names[:_FEW])
    if names[_FEW:]:
        return f"{', '.join([*most, last])} and {len(names) - _FEW} more"
    return f"{', '.join(most)} and {last}" if most else last
