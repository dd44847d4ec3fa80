"""One equality of values: the same answer for a pair, for a column and as a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeldir import diff, synthesize
from modeldir.errors import ParamsError
from modeldir.params.equality import ABSENT, all_same, key, same
from modeldir.params.plain_values import canonical_hash
from modeldir.results import table_formats
from modeldir.search.plan_updates import joined
from modeldir.space import Choice, parse_space
from modeldir.space.configurations_csv import exact_plan

NAN = float("nan")


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (1, "1", False),
        (None, 0, False),
        (None, ABSENT, False),
        (NAN, NAN, True),
        (NAN, 1.0, False),
        ([1, NAN], (1.0, NAN), True),
        ({0: "a"}, {0: "a"}, True),
        (2**53 + 1, float(2**53), False),
        (np.float64(0.5), 0.5, True),
        (np.int8(1), True, False),
        (Path("a"), "a", True),
        (np.zeros(2), np.zeros(2), False),
        ("a", "b", False),
        ([1], [True], False),
        ([[0]], [[False]], False),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": 1, "b": NAN}, {"b": float("nan"), "a": 1.0}, True),
        ([float("nan")], [NAN], True),
        (ABSENT, "absent", False),
        (0.0, -0.0, True),
        ((), [], True),
    ],
    ids=repr,
)
def test_what_means_the_same(a: Any, b: Any, alike: bool) -> None:  # noqa: FBT001 - a case
    """Numbers by value, everything else also by type; objects that JSON lacks by identity."""
    assert same(a, b) is alike
    assert same(b, a) is alike
    assert same(a, a)
    assert same(b, b)
    assert all_same([a, b, a]) is alike
    assert (key(a) == key(b)) is alike


SCALARS = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.none())
ANY = st.one_of(SCALARS, st.lists(SCALARS, max_size=2))


@given(ANY, ANY)
@example(1, 1.0)
@example(True, 1)
@example(0.0, -0.0)
@example(10**18, 1e18)
@example(10**18 - 1, float(10**18 - 1))
@example("1", 1)
@example([1], [True])
@example([1], [1.0])
def test_keys_and_hashes_agree(left: object, right: object) -> None:
    """Two values have the same key exactly if `canonical_hash` gives them the same hash."""
    try:
        hashes = [canonical_hash({"value": value}) for value in (left, right)]
    except ParamsError:  # NaN, infinity
        return
    assert (key(left) == key(right)) == (hashes[0] == hashes[1])


def write(folder: Path, values: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(values))
    (folder / "metrics.json").write_text(json.dumps({"accuracy": 0.5}))


def test_a_table_shows_lists_that_differ_in_the_type_of_an_element(tmp_path: Path) -> None:
    """`[1]` and `[true]` are two values, so their column is not hidden as if all were equal."""
    write(tmp_path / "a", {"layers": [1], "width": 2})
    write(tmp_path / "b", {"layers": [True], "width": 2.0})
    header = table_formats.to_csv(synthesize(tmp_path).table).splitlines()[0]
    assert "layers" in header
    assert "width" not in header


def test_diff_shows_lists_that_differ_in_the_type_of_an_element() -> None:
    """`diff` agrees with the table, and NaN is no difference."""
    left, right = {"layers": [1], "x": [NAN]}, {"layers": [True], "x": [float("nan")]}
    assert [each.name for each in diff(left, right)] == ["layers"]


def test_a_space_tells_elements_of_different_types_apart() -> None:
    """A list of values may hold `[1]` and `[true]`, and a condition on one ignores the other."""
    choice = Choice(([1], [True], NAN))
    assert [choice.index([1.0]), choice.index([True]), choice.index(float("nan"))] == [0, 1, 2]
    found = parse_space(
        {"layers": [[1], [True]], "lr": {"values": [0.1, 0.2], "condition": {"layers": [[True]]}}},
        {"layers": [1], "lr": 0.1},
        "it",
    )
    assert found.active_names({"layers": [1]}) == ("layers",)
    assert found.active_names({"layers": [True]}) == ("layers", "lr")


def test_a_file_of_points_keeps_rows_that_differ_in_the_type_of_an_element() -> None:
    """Two rows with `[1]` and `[true]` are two points; NaN twice is one."""
    points: list[dict[str, Any]] = [
        {"a": [1]},
        {"a": [True]},
        {"a": [1.0]},
        {"a": NAN},
        {"a": float("nan")},
    ]
    assert len(exact_plan(points, {})["space"]["a"]) == 3


def test_a_search_adds_a_value_that_differs_in_the_type_of_an_element() -> None:
    """The search config gets `[true]` beside `[1]`; 1.0 beside 1 and NaN beside NaN stay out."""
    old = {"space": {"layers": [[1], [2]], "width": [1, NAN]}}
    given = {"space": {"layers": [[True]], "width": [1.0, float("nan"), 3]}}
    _, changes = joined(old, given)
    assert changes == ["layers: [true] added to [1], [2]", "width: 3 added to 1, NaN"]
