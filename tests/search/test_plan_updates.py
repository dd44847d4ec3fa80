"""How a plan grows by what goes together: conditions, zips, points, constraints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modeldir.search.plan_updates import joined

SGD = {"optimizer": "sgd"}
SPACE = {
    "optimizer": ["adam", "sgd"],
    "momentum": {"values": [0.5], "condition": {"optimizer": "sgd"}},
}
ROWS = {"space": {"a": [1, 1, 2], "b": [3, 4, 3]}, "zip": [["a", "b"]]}


@pytest.mark.parametrize(
    ("old", "given", "after", "changes"),
    [
        # a condition stays when only values are said
        (
            {"space": SPACE},
            {"space": {"momentum": [0.9, 0.5]}},
            {"space": {**SPACE, "momentum": {"values": [0.5, 0.9], "condition": SGD}}},
            ["momentum: 0.9 added to 0.5"],
        ),
        (
            {"space": SPACE},
            {"space": {"momentum": {"uniform": [0, 1]}}},
            {"space": {**SPACE, "momentum": {"uniform": [0, 1], "condition": SGD}}},
            [f"momentum: {json.dumps(SPACE['momentum'])} -> "
             + json.dumps({"uniform": [0, 1], "condition": {"optimizer": "sgd"}})],
        ),
        (
            {"space": SPACE},
            {"condition": {"momentum": None}},
            {"space": {**SPACE, "momentum": [0.5]}},
            ['momentum: when {"optimizer": "sgd"} -> always'],
        ),
        (
            {"space": {"a": {"int": [1, 3]}, "b": [True, False]}},
            {"condition": {"a": {"b": [True]}}},
            {"space": {"a": {"int": [1, 3], "condition": {"b": True}}, "b": [True, False]}},
            ['a: when {"b": true} (--condition a:none removes it)'],
        ),
        ({"space": SPACE}, {"condition": {"momentum": SGD}}, {"space": SPACE}, []),
        # rows that go together grow by rows
        (ROWS, {"space": {"a": [1, 2], "b": [3, 3]}}, ROWS, []),
        (
            ROWS,
            {"space": {"a": [2, 1], "b": [4, 3]}},
            {"space": {"a": [1, 1, 2, 2], "b": [3, 4, 3, 4]}, "zip": [["a", "b"]]},
            ["a, b: [2, 4] added"],
        ),
        (
            {"space": {"a": [1], "b": [3]}},
            {"space": {"a": [1], "b": [4]}, "zip": [("a", "b")]},
            {"space": {"a": [1, 1], "b": [3, 4]}, "zip": [["a", "b"]]},
            ['zip: ["a", "b"] added (--zip none removes all)', "a, b: [1, 4] added"],
        ),
        # a value that stands alone is a list of one
        ({"space": {"a": 5}}, {"space": {"a": [5]}}, {"space": {"a": [5]}}, []),
        ({"space": {"a": [5]}}, {"space": {"a": 6}}, {"space": {"a": [5, 6]}}, ["a: 6 added to 5"]),
        # points and constraints are added
        (
            {"space": {"a": [1, 2]}, "try": [{"a": 1}]},
            {"try": [{"a": 1.0}, {"a": 2}], "constraints": ["a < 2"]},
            {"space": {"a": [1, 2]}, "try": [{"a": 1}, {"a": 2}], "constraints": ["a < 2"]},
            [
                'try: {"a": 2} added (--try none removes all)',
                "constraints: a < 2 added (--constraint none removes all)",
            ],
        ),
        (
            {"space": {"a": [1, 2]}, "constraints": ["a < 2"]},
            {"constraints": "none", "try": "none"},
            {"space": {"a": [1, 2]}},
            ['constraints: ["a < 2"] removed'],
        ),
        # a plan that begins has not changed
        (
            {},
            {"space": {"a": [1]}, "constraints": ["a < 2"], "condition": {"a": {"b": ["x"]}}},
            {"space": {"a": {"values": [1], "condition": {"b": "x"}}}, "constraints": ["a < 2"]},
            [],
        ),
    ],
)  # fmt: skip
def test_what_is_said_on_top(
    old: dict[str, Any], given: dict[str, Any], after: dict[str, Any], changes: list[str]
) -> None:
    """Joined, replaced or taken out; each change in words, with how to undo it."""
    assert joined(old, given) == (after, changes)


def test_said_again_nothing_changes() -> None:
    """The same command continues a search: it adds nothing, and says nothing."""
    given = {
        "space": {"a": [1, 1], "b": [2, 3], "c": {"uniform": [0, 1], "step": 0.5}},
        "condition": {"c": {"b": [2, 3]}},
        "zip": [["a", "b"]],
        "try": [{"b": 2}],
        "constraints": ["a + b < 9"],
    }
    plan, _ = joined({}, given)
    assert joined(plan, given) == (plan, [])
