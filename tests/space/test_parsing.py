"""The numbers of a list, in one type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modeldir.search.search import Search
from modeldir.space import parse_space


@pytest.mark.parametrize(
    ("values", "base", "expected"),
    [
        ([0, 0.2], 0.0, [0, 0.2]),
        ([16, 1e3], 32, [16, 1000]),
        ([1e2], 32, [100]),
        ([0, 0.1], 0, [0.0, 0.1]),
        ([0, 0.2], None, [0.0, 0.2]),
        ([16, 1e3], None, [16, 1000]),
        ([1.0, 2.0], None, [1.0, 2.0]),
        (["adam", 1, True, None, 0.5], None, ["adam", 1.0, True, None, 0.5]),
        ([2**60 + 1, 0.5], None, [2**60 + 1, 0.5]),
        ([0.1, 0.5], 1, [0.1, 0.5]),
        (["a", "b"], "a", ["a", "b"]),
    ],
)
def test_numbers_of_a_list_are_of_one_type(values: list[Any], base: Any, expected: Any) -> None:
    """An integer flag gets 1000 for 1e3; no value changes."""
    found = parse_space({"x": values}, {"x": base}, "it").domains["x"].to_json()
    assert json.dumps(found) == json.dumps(expected)
    assert found == values


def test_a_command_gets_numbers_of_one_type(tmp_path: Path) -> None:
    """`dropout=0,0.2` passes 0.0, and the trial's name is as it was typed."""
    (tmp_path / "params.json").write_text('{"dropout": 0.0}')
    search = Search(tmp_path, {"dropout": [0, 0.2]}, command="sh {flags}")
    planned = search.look_ahead("sh {flags}")
    assert [each.command[-1] for each in planned] == ["0.0", "0.2"]
    assert [each.name for each in planned] == ["dropout_0", "dropout_0.2"]
