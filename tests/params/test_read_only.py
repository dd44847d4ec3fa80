"""Dicts and lists that can only be read."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from modeldir.errors import ParamsError
from modeldir.params.nested import deep_copy
from modeldir.params.read_only import ReadOnlyDict, ReadOnlyList, readonly

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = {"a": 1, "b": [1, [2], {"c": 3}], "d": {"e": {"f": 4}}}
CHANGES: list[Callable[[Any], object]] = [
    lambda d: d.__setitem__("a", 2),
    lambda d: d.__delitem__("a"),
    lambda d: d.clear(),
    lambda d: d.pop("a"),
    lambda d: d.popitem(),
    lambda d: d.setdefault("z", 1),
    lambda d: d.update(a=2),
    lambda d: d.__ior__({"a": 2}),
    lambda d: d["d"]["e"].update(f=5),
    lambda d: d["b"].append(1),
    lambda d: d["b"].extend([1]),
    lambda d: d["b"].insert(0, 1),
    lambda d: d["b"].pop(),
    lambda d: d["b"].remove(1),
    lambda d: d["b"].clear(),
    lambda d: d["b"].sort(),
    lambda d: d["b"].reverse(),
    lambda d: d["b"].__setitem__(0, 1),
    lambda d: d["b"].__delitem__(0),
    lambda d: d["b"].__iadd__([1]),
    lambda d: d["b"].__imul__(2),
    lambda d: d["b"][1].append(1),
    lambda d: d["b"][2].update(c=1),
]


@pytest.mark.parametrize("change", CHANGES)
def test_no_way_to_change_it_is_open(change: Callable[[Any], object]) -> None:
    """At any depth; the error says how to go on."""
    locked = readonly(VALUES)
    with pytest.raises(ParamsError, match=r"with modeldir\.unlocked\(params\)"):
        change(locked)
    assert locked == VALUES


def test_every_method_that_changes_is_closed() -> None:
    """Of this Python's dict and list: what is not here reads, or makes something new."""
    harmless = {
        "__class__", "__init__", "__new__", "__setattr__", "__delattr__", "__init_subclass__",
    }  # fmt: skip
    for kind, base, sample in ((ReadOnlyDict, dict, {"a": 1}), (ReadOnlyList, list, [1, 2])):
        for name in set(dir(base)) - set(vars(kind)) - harmless:
            value: Any = kind(sample)  # type: ignore[arg-type]
            for arguments in ((), ("a",), (0,), ([3],), ({"b": 2},), ("b", 2), (0, 3)):
                try:
                    getattr(value, name)(*arguments)
                except Exception:  # noqa: BLE001 - only what it leaves behind is asked
                    continue
            assert value == sample, name


def test_it_is_read_as_what_it_is() -> None:
    """JSON, keywords, equality, iteration."""
    locked = readonly(VALUES)
    assert json.dumps(locked) == json.dumps(VALUES)
    assert {**locked} == dict(**locked) == VALUES
    assert [*locked["b"]] == VALUES["b"]


def test_copies_are_plain() -> None:
    """And whoever has one may change it."""
    locked = readonly(VALUES)
    for mine in (copy.deepcopy(locked), pickle.loads(pickle.dumps(locked)), deep_copy(locked)):
        assert mine == VALUES
        kinds = {type(mine), type(mine["b"]), type(mine["b"][1]), type(mine["d"]["e"])}
        assert kinds == {dict, list}
        mine["b"].append(1)
    assert type(copy.copy(locked)) is dict
    assert locked == VALUES
