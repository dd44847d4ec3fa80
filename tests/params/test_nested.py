"""Plain nested dicts: places, merging, dotted names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import ParamsError
from modeldir.params.nested import (
    dotted,
    flatten,
    is_section,
    locate,
    locate_or_create,
    preview,
)

NAMES = st.text("abc", min_size=1, max_size=2)
TREES = st.recursive(
    st.dictionaries(NAMES, st.integers(), max_size=3),
    lambda part: st.dictionaries(NAMES, part | st.integers(), max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("value", [{}, {"a": 1}, {"a": {"b": 1}}])
def test_a_dict_of_names_is_a_part(value: object) -> None:
    """Also an empty one: names may be added."""
    assert is_section(value)


@pytest.mark.parametrize("value", [{0: "a"}, [1], "a", None, 3])
def test_other_values_are_no_parts(value: object) -> None:
    """An index by number, as a vocabulary has it, is a value."""
    assert not is_section(value)


@given(TREES)
def test_every_flattened_name_leads_to_its_value(data: dict[str, Any]) -> None:
    """`flatten` and `place` speak the same dotted names."""
    for name, value in flatten(data).items():
        holder, key = locate(data, name)
        assert holder[key] == value


@given(TREES)
def test_the_dotted_names_are_all_there(data: dict[str, Any]) -> None:
    """Parts and values both have a dotted name."""
    names = list(dotted(data))
    assert set(flatten(data)) <= set(names)
    assert all(locate(data, name) for name in names)


def test_a_place_for_a_new_name_is_made() -> None:
    """Parts on the way are made, names with empty pieces are taken as they are."""
    data: dict[str, Any] = {"a.b": 1}
    for name in ("m.n.o", "a.b", ".x", "y.", "z..z", ""):
        holder, key = locate_or_create(data, name)
        holder[key] = 2
    assert data == {"a.b": 2, "m": {"n": {"o": 2}}, ".x": 2, "y.": 2, "z..z": 2, "": 2}


def test_a_value_on_the_way_is_an_error_and_nothing_is_made() -> None:
    """A number cannot hold a name."""
    data = {"model": {"depth": 3}}
    with pytest.raises(ParamsError, match="'depth' is 3: it cannot hold 'x'"):
        locate_or_create(data, "model.depth.x")
    assert data == {"model": {"depth": 3}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "true"),
        (["x" * 1000], '["' + "x" * 55 + "..."),
        (object(), '"a object"'),
    ],
)
def test_what_cannot_hold_a_name_is_told_briefly(value: object, said: str) -> None:
    """As a file has it, on one line: it may be a list of a million words, or a tensor."""
    with pytest.raises(ParamsError) as caught:
        locate_or_create({"clip": value}, "clip.x")
    assert str(caught.value) == f"'clip' is {said}: it cannot hold 'x'"


def test_what_json_cannot_tell_is_told_by_its_kind() -> None:
    """Never an error about an error."""
    endless: list[object] = []
    endless.append(endless)
    assert preview(endless) == "a list"
    assert preview({(1, 2): 3}) == "a dict"
    assert preview({"a": {1}}) == '{"a": "a set"}'


def test_a_name_that_is_no_text_is_refused() -> None:
    """JSON would silently make a text of it."""
    with pytest.raises(ParamsError, match="expected a string as the key, found 3"):
        locate_or_create({}, 3)
