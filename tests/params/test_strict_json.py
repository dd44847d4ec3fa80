"""JSON read strictly: every mistake is found, placed and explained."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldir._system import files
from modeldir._system.reading import MAX_DEPTH
from modeldir.errors import ParamsError
from modeldir.params.strict_json import (
    dumps,
    has_comments,
    holds,
    loads,
    parse_value,
    without_comments,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAF | TEXT,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXT, part, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=6)

MISTAKES = [
    "",
    "{",
    '{\n    "batch_size": 32,\n    "learning_rate": 0.0',
    '{\n    "batch_size": 32,\n    "optimizer": "ad',
    '{\n    "batch_size": 32,\n}',
    '{\n    "betas": [0.9, 0.999,]\n}',
    '{\n    "batch_size": 32\n    "learning_rate": 0.001\n}',
    '{\n    "batch_size" 32\n}',
    '{\n    "batch_size": ,\n}',
    "{\n    'batch_size': 32\n}",
    "{\n    batch_size: 32\n}",
    '{\n    "augment": True\n}',
    '{\n    "optimizer": adam\n}',
    '{\n    "dropout": .5\n}',
    '{\n    "dropout": 1.\n}',
    '{\n    "seed": 0x10\n}',
    '{\n    "batch_size": 32;\n}',
    '{\n    // the best so far\n    "batch_size": 32\n}',
    '{\n    "batch_size": 32  # the best so far\n}',
    '{\n    "batch_size": 32\n}\n/* the best so far */',
    '{"batch_size": 32}}',
    '{\n    "optimizer": "adam,\n    "seed": 1\n}',
    '{\n    "path": "C:\\data"\n}',
    '{\n    "dropout": NaN\n}',
    '{\n    "names": "NaN, Infinity",\n    "clip": [1, -Infinity]\n}',
    '{\n    "clip": 1e400\n}',
    '{\n    "seed": ' + "9" * 5000 + "\n}",
    '{\n    "seed": 1,\n    "lr": 0.1,\n    "seed": 2\n}',
    '{\n    "a": {"x": {"seed": 1}, "seed": 1,\n          "\\u0073eed": 2}\n}',
    "[1, 2]",
    "null",
    '"text"',
    "3",
    '{"a": ' * 101 + "1" + "}" * 101,
    "[" * 100_000,
    '{\n    "a": NaN,\n    "b": {"c": [1, {"d": -Infinity}], "b": 1, "b": 2},\n    "a": 1e400\n}',
    '{"a": 1, "a": 2, "a": 3, "b": "\\ud83d", "c": "\\ud83d\\ude00", "\\udc00": 1}',
    '{"a": NaN, "a": 1,}',
    '{"a": [' + "NaN, " * 30 + "1]}",
]
COMMENTED = [
    '{\n    "a": 1,  # no\n}',
    '{\n    "a": 1 /* open\n}',
    '{\n    // one\n    "a": 1, /* two\n    three */ "a": NaN,\n}',
    '{"a": [,]}',
    '{"a": [1,,]}',
    "{,}",
    '{"a": 1} // fine\n/',
    '{"a": "http://x}',
    "// nothing but this",
    "/* " * 50_000,
    '"' * 100_001,
]


@pytest.mark.parametrize("text", MISTAKES, ids=[f"{n:02}" for n in range(len(MISTAKES))])
def test_every_mistake_is_placed_and_explained(text: str, snapshot: SnapshotAssertion) -> None:
    """The message says where, what was expected, what was found and what to type."""
    with pytest.raises(ParamsError) as caught:
        loads(text, "params.json")
    assert f"{text[:200]}\n--\n{caught.value}" == snapshot


@pytest.mark.parametrize("text", COMMENTED, ids=[f"{n:02}" for n in range(len(COMMENTED))])
def test_mistakes_among_comments_are_placed_too(text: str, snapshot: SnapshotAssertion) -> None:
    """Comments are no mistake there, everything else is, and stands where it is said to stand."""
    with pytest.raises(ParamsError) as caught:
        loads(text, "params.jsonc", comments=True)
    assert f"{text[:200]}\n--\n{caught.value}" == snapshot


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('// the best so far\n{"a": 1} // yes', {"a": 1}),
        ('{"a": [1, 2,], /* x */ "b": {"c": 3,},}', {"a": [1, 2], "b": {"c": 3}}),
        ('{"a": "// no /* comment */", "b": ",}"}', {"a": "// no /* comment */", "b": ",}"}),
        ('{"a": "\\"//\\\\"}// x "', {"a": '"//\\'}),
        ('{"a": 1 /**/, /* // */ "b": 2 ,\n// }\n}', {"a": 1, "b": 2}),
        ('{"a": 1, // "a": 2,\r\n}', {"a": 1}),
        ("{/***/}", {}),
        ("{//\n}", {}),
    ],
)
def test_comments_and_last_commas_are_read_over(text: str, values: dict[str, Any]) -> None:
    """Where they are allowed, and only outside of texts; elsewhere the way there is named."""
    assert loads(text, "params.jsonc", comments=True)[0] == values
    assert len(without_comments(text)) == len(text)
    if has_comments(text):
        with pytest.raises(ParamsError):
            loads(text, "params.json")


@given(OBJECTS)
def test_what_has_no_comments_is_read_the_same(values: dict[str, Any]) -> None:
    """Also where texts are full of slashes and commas."""
    values["//"] = '/* ,} */ "'
    text = json.dumps(values)
    assert without_comments(text) == text
    assert not has_comments(text)
    assert loads(text, "params.jsonc", comments=True)[0] == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":\u00a01}', "p, line 1, column 6: expected a value, found the character U+00A0"),
        ('{"a": 1,\u2028}', "p, line 1, column 9: expected a key in double quotes, found the"),
        ('{"a": 1}\x0c', "p, line 1, column 9: expected the end of the file, found the character"),
        ('{"a": 1}\0', "p, line 1, column 9: expected the end of the file, found the character U"),
        (' \ufeff{"a": 1}', "p, line 1, column 2: expected a value, found the character U+FEFF"),
        ("\u00a0", "p, line 1, column 1: expected a value, found the character U+00A0"),
    ],
)
def test_a_character_that_nobody_sees_is_named(text: str, said: str) -> None:
    """Copied from a web page or left by an editor: no blank of JSON, and where it stands."""
    for comments in (False, True):
        with pytest.raises(ParamsError) as caught:
            loads(text, "p", comments=comments)
        assert str(caught.value).startswith(said)


def test_the_key_of_a_mistake_is_told() -> None:
    """Dotted, with the place in a list, as everywhere."""
    with pytest.raises(ParamsError) as caught:
        loads('{"a": {"b": [1, {"c": NaN}]}, "d": NaN}', "params.json")
    assert (caught.value.key, caught.value.line, caught.value.column) == ("a.b[1].c", 1, 23)


def test_the_place_is_told_in_attributes_too() -> None:
    """An editor or a test needs no parsing of the message."""
    with pytest.raises(ParamsError) as caught:
        loads('{\n  "a": 1,\n  "b": x\n}', "some/params.json")
    assert (caught.value.path, caught.value.line, caught.value.column) == ("some/params.json", 3, 8)


@given(OBJECTS)
def test_reads_what_the_standard_library_writes(values: dict[str, Any]) -> None:
    """Strictness refuses nothing that is good."""
    assert loads(json.dumps(values), "params.json")[0] == values


@settings(deadline=None)  # a busy machine is no mistake
@given(OBJECTS, st.integers(0), st.text('{}[]",:0a\\ \n', max_size=3))
def test_a_spoiled_file_is_an_error_or_an_object(
    values: dict[str, Any], place: int, noise: str
) -> None:
    """Whatever is cut out of a file or put into it, nothing but ParamsError comes of it."""
    text = json.dumps(values, indent=4)
    place %= len(text)
    for spoiled in text[:place], text[:place] + noise + text[place + 1 :]:
        if (error := mistake(spoiled)) is not None:
            lines = spoiled.split("\n")
            assert error.line is not None
            assert error.column is not None
            assert 1 <= error.line <= len(lines)
            assert 1 <= error.column <= len(lines[error.line - 1]) + 1


def mistake(text: str) -> ParamsError | None:
    """What is wrong with a text, None if it is an object."""
    try:
        values, _ = loads(text, "params.json")
    except ParamsError as error:
        return error
    assert isinstance(values, dict)
    return None


@given(OBJECTS)
def test_writes_as_the_rest_of_modeldir_does(values: dict[str, Any]) -> None:
    """Without forms to keep, the text is that of `files.to_json`."""
    assert dumps(values, {}) + "\n" == files.to_json(values)


@given(OBJECTS)
def test_a_canonical_file_stays_as_it_is(values: dict[str, Any]) -> None:
    """Reading and writing again changes no byte."""
    text = files.to_json(values)
    assert dumps(*loads(text, "params.json")) + "\n" == text


def test_numbers_keep_the_form_they_were_written_in() -> None:
    """A save does not turn everyone's 1e-3 into 0.001 and so into a difference in git."""
    text = '{\n    "a": 1e-3,\n    "b": 0.10,\n    "c": 1.0,\n    "d": -0.0,\n    "e": 5e-324\n}'
    assert dumps(*loads(text, "params.json")) == text


def test_a_number_in_two_forms_is_written_in_pythons() -> None:
    """Which of the two forms a value had is not known by the value."""
    values, forms = loads('{"a": 1e-3, "b": 0.001}', "params.json")
    assert json.loads(dumps(values, forms)) == {"a": 0.001, "b": 0.001}
    assert "1e-3" not in dumps(values, forms)


def test_whole_numbers_are_exact() -> None:
    """No detour through a float: 2**53 + 1, 2**63 and 2**70 arrive as they are."""
    whole = [2**53 + 1, 2**63, -(2**64), 2**70, 10**4299]
    values, _ = loads(json.dumps({"whole": whole, "c": 1, "d": 1.0}), "params.json")
    assert values == {"whole": whole, "c": 1, "d": 1.0}
    assert [type(value) for value in (*values["whole"], values["c"])] == [int] * 6
    assert type(values["d"]) is float


def test_brackets_within_texts_are_not_depth() -> None:
    """Only real nesting is counted, and just the allowed depth is allowed."""
    assert loads(json.dumps({"a": "{[" * 500}), "params.json")[0] == {"a": "{[" * 500}
    deep = '{"a": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"
    assert json.dumps(loads(deep, "params.json")[0]) == deep


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("true", True),
        ("True", True),
        ("false", False),
        ("null", None),
        ("None", None),
        ("[1,2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ('"3"', "3"),
        ('"a b"', "a b"),
        ("adam", "adam"),
        ("a b", "a b"),
        ("", ""),
        ("007", "007"),
        ("1e400", "1e400"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("a=b=c", "a=b=c"),
        ("[adam,sgd]", "[adam,sgd]"),
        ("1,2", "1,2"),
        ('{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_typed_value_is_json_or_the_bare_text(text: str, value: object) -> None:
    """What is typed on a command line needs no quotes, and numbers are numbers."""
    parsed = parse_value(text)
    assert (type(parsed), parsed) == (type(value), value)


@given(VALUES)
def test_json_is_typed_as_it_is(value: Any) -> None:
    """Whatever a params file can hold can be typed as the file has it."""
    parsed = parse_value(json.dumps(value))
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_typed_float_is_a_float(value: float) -> None:
    """Any float's text in Python reads back as the same float, its sign included."""
    parsed = parse_value(repr(value))
    assert math.copysign(1, parsed) == math.copysign(1, value)
    assert parsed == value


@given(OBJECTS, OBJECTS)
def test_a_text_says_its_own_values(values: dict[str, Any], others: dict[str, Any]) -> None:
    """Order and types included; with comments only where they are allowed."""
    text = json.dumps(values)
    assert holds(text, values, comments=False)
    assert holds(text, others, comments=False) == (dumps(values, {}) == dumps(others, {}))
    assert holds(f"// {text}\n{text}", values, comments=True)
    assert not holds(f"// {text}\n{text}", values, comments=False)
