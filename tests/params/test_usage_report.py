"""What became of a file's hyperparameters: what counts as changed, as never read, as a value."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.params.usage_report import lines, never_read, record, suggestions

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


class Optimizer(enum.Enum):
    """As a schema makes it."""

    ADAM = "adam"


def changed(start: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record(start, now, frozenset("abc"))["changed"]
    return found


# -- Changed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1, 1.0),
        (0.5, np.float64(0.5)),
        ([1, 2], (1, 2)),
        ("adam", Optimizer.ADAM),
        (Optimizer.ADAM, "adam"),
        ("data", Path("data")),
        ({"x": [1, {"y": 2}]}, {"x": [1.0, {"y": 2}]}),
        ([], ()),
        ({}, {}),
        (None, None),
    ],
)
def test_what_a_file_would_say_alike_is_not_changed(old: object, new: object) -> None:
    """Other types that JSON writes the same."""
    assert changed({"a": old}, {"a": new}) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (True, 1), (0, False), (1, "1"), (None, 0), ([1], [True]), ([1], [1, 2]), ({}, [])],
)
def test_what_a_file_would_say_otherwise_is_changed(old: object, new: object) -> None:
    """Also 1 and true, which Python calls equal."""
    assert changed({"a": old}, {"a": new}) == {"a": {"file": old, "now": new}}


def test_a_change_says_where_the_old_value_came_from() -> None:
    """From the file, or from a schema's default; nested names are dotted."""
    start = {"a": {"b": 1, "c": 2}, "x": 3}
    now = {"a": {"b": 2}, "x": object(), "new": 1}
    assert record(start, now, ["a", "a.b", "a.c"])["changed"] == {
        "a.b": {"file": 1, "now": 2},
        "a.c": {"file": 2, "removed": True},
        "x": {"default": 3},
    }


def test_a_part_that_became_a_value_is_one_change() -> None:
    """And the other way round."""
    assert changed({"a": {"x": 1}}, {"a": 1}) == {"a": {"file": {"x": 1}, "now": 1}}
    assert changed({"a": 1}, {"a": {"x": 1}}) == {"a": {"file": 1, "now": {"x": 1}}}


# -- Values ----------------------------------------------------------------------------------------


def test_the_values_are_what_json_holds() -> None:
    """The rest is named: a device, an array, a NaN, what contains itself."""
    circle: list[Any] = []
    circle.append(circle)
    now = {
        "path": Path("data"), "optimizer": Optimizer.ADAM, "rate": np.float32(0.5), "pair": (1, 2),
        "device": object(), "array": np.zeros(3), "nan": float("nan"), "circle": circle,
        "part": {"good": 1, "bad": {1, 2}}, "list": [1, object()],
    }  # fmt: skip
    told = record({}, now)
    assert told["values"] == {
        "path": "data", "optimizer": "adam", "rate": 0.5, "pair": [1, 2], "part": {"good": 1},
    }  # fmt: skip
    assert sorted(told["left_out"]) == ["array", "circle", "device", "list", "nan", "part.bad"]


@pytest.mark.parametrize(
    "large",
    [
        {str(number): number for number in range(1000)},
        {number: number for number in range(1000)},
        list(range(1000)),
        [[0] * 20] * 20,
        "x" * 100_000,
        {"deep": {"deeper": [0] * 1000}},
    ],
)
def test_large_values_that_the_script_added_are_data(large: object) -> None:
    """A vocabulary is not a hyperparameter; what the file itself has is, of any size."""
    told = record({"model": {"depth": 1}}, {"model": {"depth": 1, "words": large}, "words": large})
    assert told["values"] == {"model": {"depth": 1}}
    assert told["left_out"] == ["model.words", "words"]
    if not (isinstance(large, dict) and 0 in large):
        assert record({"words": large}, {"words": large})["values"] == {"words": large}


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
DATA = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), PARTS, max_size=4)


@given(DATA)
def test_what_nobody_touches_is_unchanged_and_whole(data: dict[str, Any]) -> None:
    """Whatever a file may hold."""
    assert record(data, json.loads(json.dumps(data))) == {"changed": {}, "values": data}


@given(DATA, DATA)
def test_the_values_are_always_those_of_now(start: dict[str, Any], now: dict[str, Any]) -> None:
    """The file's values and the changes to them lead there, and it can all be written down."""
    told = record(start, now)
    assert told["values"] == now
    assert json.loads(json.dumps(told)) == told
    assert bool(told["changed"]) or start.keys() <= now.keys()


# -- Names -----------------------------------------------------------------------------------------

NAMES = ["lr", "model", "model.depth", "model.head", "model.head.size", "seed"]


@pytest.mark.parametrize(
    ("read", "own", "unread"),
    [
        (NAMES, [], []),
        ([], [], ["lr", "model", "seed"]),
        (["lr", "model"], [], ["model.depth", "model.head", "seed"]),
        (["model", "model.head"], [], ["lr", "model.depth", "model.head.size", "seed"]),
        ([], ["lr", "model"], ["seed"]),
        (["lr", "seed", "model"], ["model.head"], ["model.depth"]),
    ],
)
def test_a_part_that_nobody_read_is_named_once(
    read: list[str], own: list[str], unread: list[str]
) -> None:
    """And what is in one that was read, each for itself; what the script assigned is its own."""
    assert never_read(NAMES, read, own) == unread


@pytest.mark.parametrize(
    ("unread", "read", "near"),
    [
        ("learing_rate", ["learning_rate"], "learning_rate"),
        ("batchsize", ["batch_size", "lr"], "batch_size"),
        ("model.dept", ["model", "model.depth"], "model.depth"),
        ("lr", ["optimizer", "optimizer.lr"], "optimizer.lr"),
        ("num_epoch", ["num_epochs"], "num_epochs"),
        ("lr", ["learning_rate"], None),
        ("beta1", ["momentum"], None),
        ("seed", [], None),
    ],
)
def test_the_name_that_was_meant(unread: str, read: list[str], near: str | None) -> None:
    """The nearest that was asked for in vain."""
    assert suggestions([unread], [unread], read).get(unread) == near


@pytest.mark.parametrize(
    ("unread", "other"),
    [
        ("beta1", "beta2"),
        ("train_size", "eval_size"),
        ("conv1", "conv2"),
        ("dev_size", "eval_size"),
    ],
)
def test_a_name_beside_it_in_the_file_is_not_meant(unread: str, other: str) -> None:
    """Two names of one file are two hyperparameters, unless they are nearly the same word."""
    assert suggestions([unread], [unread, other], [other]) == {}


# -- In words --------------------------------------------------------------------------------------


def test_remarks(snapshot: SnapshotAssertion) -> None:
    """Each on one line, however many, however long, whatever the names hold."""
    told = {
        "never_read": ["learing_rate", "a\nb", "", *(f"name{number}" for number in range(20))],
        "did_you_mean": {"learing_rate": "learning_rate"},
        "changed": {
            "batch_size": {"file": 32, "now": 64},
            "text": {"file": "a\nb", "now": "x" * 1000},
            "default": {"default": None, "now": [1]},
            "device": {"file": "cpu"},
            "other": {"default": 1, "removed": True},
            **{f"many{number}": {"file": 1, "removed": True} for number in range(20)},
        },
    }
    assert "\n".join(lines("experiments/base/params.json", told)) == snapshot
    assert lines("params.json", {"changed": {}, "values": {}}) == []
    assert lines("params.json", {"never_read": ["lr"], "changed": {}}) == [
        "params.json: lr was never read"
    ]
