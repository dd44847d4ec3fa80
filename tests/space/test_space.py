"""The space: domains and chance, every mistake in them, the command line's form, trials' names."""

from __future__ import annotations

import json
import math
import random
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import SpaceError
from modeldir.experiment.trial_labels import numbered_name
from modeldir.space import (
    Choice,
    Domain,
    Int,
    LogInt,
    LogUniform,
    Space,
    Uniform,
    draw,
    grid,
    parse_domain_text,
    parse_space,
    size,
    trial_name,
)
from modeldir.space.space import longest_name

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE = {
    "learning_rate": 1e-3,
    "batch_size": 32,
    "num_layers": 2,
    "dropout": 0.5,
    "optimizer": "adam",
    "model": {"width": 64, "version": "baseline"},
}

finite = st.floats(allow_nan=False, allow_infinity=False)
seeds = st.integers(0, 2**32)


def parsed(domain: object) -> Domain:
    """One domain, of a hyperparameter that is there."""
    return parse_space({"x": domain}, {"x": None}, "search.json").domains["x"]


def refusal(space: dict[str, Any]) -> str:
    """What is said about a space that cannot be searched."""
    with pytest.raises(SpaceError) as caught:
        parse_space(space, BASE, "experiments/learning_rate/search.json")
    return str(caught.value)


# -- Domains ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ([0.1, 0.01], Choice((0.1, 0.01))),
        ((True, "a", None, [1, 2]), Choice((True, "a", None, [1, 2]))),
        ({"uniform": [0, 0.5]}, Uniform(0.0, 0.5)),
        ({"log_uniform": [1e-5, 1]}, LogUniform(1e-5, 1.0)),
        ({"int": [1, 6.0]}, Int(1, 6)),
        ({"log_int": (1, 1024)}, LogInt(1, 1024)),
    ],
)
def test_each_domain_is_read_and_written_back(written: Any, domain: Domain) -> None:
    """The same words in JSON and in Python; what is written into the plan means the same."""
    assert parsed(written) == domain
    assert parsed(json.loads(json.dumps(domain.to_json()))) == domain


def test_bounds_have_the_domain_s_own_type() -> None:
    """An int is drawn for an int, also if the file says 6.0, and a float for a float."""
    assert repr(parsed({"int": [1.0, 6.0]})) == "Int(low=1, high=6, step=None)"
    assert repr(parsed({"uniform": [0, 1]})) == "Uniform(low=0.0, high=1.0, step=None)"


def test_arrays_of_numpy_are_lists_of_values() -> None:
    """A call may say numpy.logspace(...); what is kept can be written as JSON."""
    domain = parsed(np.array([1, 2]))
    assert json.dumps(domain.to_json()) == "[1, 2]"
    assert json.dumps(parsed([np.int64(3), np.float32(0.5)]).to_json()) == "[3.0, 0.5]"


@given(st.tuples(finite, finite).map(sorted), seeds)
def test_uniform_draws_within_its_bounds_and_six_digits(bounds: list[float], seed: int) -> None:
    """Bounds hold also where rounding would lead out of them."""
    domain = Uniform(*bounds)
    value = domain.at(random.Random(seed).random())
    assert domain.low <= value <= domain.high
    assert value in (float(f"{value:.6g}"), *bounds)
    assert domain.contains(value)


@given(st.tuples(*[st.floats(1e-300, 1e300)] * 2).map(sorted), seeds)
def test_log_uniform_draws_within_its_bounds_and_six_digits(bounds: list[float], seed: int) -> None:
    """The same for the logarithmic one, over any number of decades."""
    domain = LogUniform(*bounds)
    value = domain.at(random.Random(seed).random())
    assert domain.low <= value <= domain.high
    assert value in (float(f"{value:.6g}"), *bounds)


@given(st.tuples(st.integers(1, 2**60), st.integers(1, 2**60)).map(sorted), seeds)
def test_whole_numbers_stay_whole_and_within_their_bounds(bounds: list[int], seed: int) -> None:
    """Also where a float could not tell neighbors apart."""
    for domain in (Int(*bounds), LogInt(*bounds)):
        value = domain.at(random.Random(seed).random())
        assert type(value) is int
        assert domain.low <= value <= domain.high
        assert domain.contains(value)


def shares(domain: Domain, parts: int, place: Any) -> list[float]:
    """Which part of 4,000 draws falls into each of so many places."""
    counts = [0] * parts
    rng = random.Random(230)
    for _ in range(4000):
        counts[place(domain.at(rng.random()))] += 1
    return [count / 4000 for count in counts]


def test_chance_is_as_the_words_say() -> None:
    """Uniform over values, over decades, over whole numbers with both bounds having their share."""
    assert shares(Uniform(2, 6), 4, lambda v: int(v) - 2) == pytest.approx([0.25] * 4, abs=0.03)
    decades = shares(LogUniform(1e-4, 1), 4, lambda v: math.floor(-math.log10(v)))
    assert decades == pytest.approx([0.25] * 4, abs=0.03)
    assert shares(Int(1, 5), 5, lambda v: v - 1) == pytest.approx([0.2] * 5, abs=0.03)
    assert shares(Choice(("a", "b", "c")), 3, "abc".index) == pytest.approx([1 / 3] * 3, abs=0.03)
    weights = [math.log((n + 0.5) / (n - 0.5)) / math.log(8.5 / 0.5) for n in range(1, 9)]
    assert shares(LogInt(1, 8), 8, lambda v: v - 1) == pytest.approx(weights, abs=0.03)


def test_finite_domains_have_values_for_a_grid() -> None:
    """Lists and short ranges of whole numbers; a range of floats only if it is one float."""
    assert Choice((3, 1)).values() == (3, 1)
    assert Int(2, 4).values() == (2, 3, 4)
    assert LogInt(1, 3).values() == (1, 2, 3)
    assert len(Int(1, 1000).values() or ()) == 1000
    assert Int(0, 1000).values() is None
    assert Uniform(0, 1).values() is None
    assert LogUniform(0.5, 0.5).values() == (0.5,)


def test_a_value_lies_within_a_domain_or_not() -> None:
    """1 and 1.0 are one value, 1 and true are two, also within lists."""
    assert Choice((1, "a", [1, 2])).contains(1.0)
    assert Choice((1, "a", [1, 2])).contains([1.0, 2])
    assert not Choice((1, [1, 2])).contains(True)
    assert not Choice((1, [1, 2])).contains([True, 2])
    assert Int(1, 3).contains(2.0)
    assert not Int(1, 3).contains(2.5)
    assert not Int(1, 3).contains(True)
    assert not Uniform(0, 1).contains("0.5")
    assert not Uniform(0, 1).contains(math.nan)
    space = Space({"a": Int(1, 3), "b": Choice(("x",))})
    assert space.contains({"b": "x", "a": 1})
    assert not space.contains({"a": 1})
    assert not space.contains({"a": 1, "b": "x", "c": 1})
    assert not space.contains({"a": 1, "b": "y"})


# -- The space -------------------------------------------------------------------------------------


def test_a_grid_has_every_point_the_last_changing_fastest() -> None:
    """In the order of the file, so that the first trials are the ones that one expects."""
    space = parse_space({"learning_rate": [0.1, 0.01], "num_layers": {"int": [1, 2]}}, BASE, "plan")
    assert size(space) == 4
    assert list(grid(space)) == [
        {"learning_rate": 0.1, "num_layers": 1},
        {"learning_rate": 0.1, "num_layers": 2},
        {"learning_rate": 0.01, "num_layers": 1},
        {"learning_rate": 0.01, "num_layers": 2},
    ]


def test_a_grid_of_ranges_is_refused_by_name(snapshot: SnapshotAssertion) -> None:
    """Each hyperparameter that has no list is named at once."""
    space = Space({"a": Uniform(0, 1), "b": Choice((1,)), "c": Int(0, 10**6)})
    assert size(space) is None
    with pytest.raises(SpaceError) as caught:
        grid(space)
    assert str(caught.value) == snapshot


def test_the_same_seed_gives_the_same_point_whatever_the_order() -> None:
    """The order in which a file and a command line name things changes no value."""
    domains: dict[str, Domain] = {"a": Uniform(0, 1), "b": LogUniform(1e-5, 1), "c": Int(1, 9)}
    point = draw(Space(domains), random.Random("230:1"))
    turned = draw(Space(dict(reversed(domains.items()))), random.Random("230:1"))
    assert list(turned) == ["c", "b", "a"]
    assert turned == point


def test_drawn_values_are_the_same_in_every_version(snapshot: SnapshotAssertion) -> None:
    """A seed in a paper must lead to the same trials years later."""
    space = parse_space(
        {
            "learning_rate": {"log_uniform": [1e-5, 1e-1]},
            "batch_size": [16, 32, 64],
            "num_layers": {"int": [1, 6]},
            "dropout": {"uniform": [0, 0.5]},
            "model.width": {"log_int": [16, 512]},
        },
        BASE,
        "search.json",
    )
    assert [draw(space, random.Random(f"230:{number}")) for number in range(1, 4)] == snapshot


# -- Mistakes --------------------------------------------------------------------------------------


def test_every_problem_is_listed_at_once(snapshot: SnapshotAssertion) -> None:
    """Where, what was found, what to write instead, and that nothing was started."""
    assert (
        refusal(
            {
                "learning_rate": {"log_uniform": [0, 0.1]},
                "batchsize": [16, 32],
                "num_layers": {"int": [6, 1]},
                "dropout": [0.1, 0.5, 0.1],
                "model.widht": [],
            }
        )
        == snapshot
    )


@pytest.mark.parametrize(
    "domain",
    [
        [],
        [math.nan],
        [1, 1.0],
        [{"width": 1}],
        [object],
        ["\udc80"],
        math.inf,
        "uniform:0,0.5",
        "adam,sgd",
        "int:[",
        None,
        {},
        {"loguniform": [1, 2]},
        {"range": [1, 2]},
        {"values": 1},
        {"values": [1, 2], "step": 1},
        {"options": [1, 2]},
        {"uniform": [0, 1], "int": [0, 1]},
        {"uniform": 1},
        {"uniform": [0]},
        {"uniform": [0, "1"]},
        {"uniform": [True, math.inf]},
        {"uniform": [1, 0]},
        {"int": [0.5, 6]},
        {"log_int": [0, 2.5]},
        {"log_uniform": [1, -1]},
        {"uniform": [-1e308, 1e308]},
        {"uniform": [0, 5e-324]},
    ],
    ids=lambda domain: repr(domain)[:50],
)
def test_a_domain_that_makes_no_sense(domain: object, snapshot: SnapshotAssertion) -> None:
    """Each mistake has its own words, and a way out."""
    message = refusal({"dropout": domain})
    assert message.startswith("experiments/learning_rate/search.json cannot be searched:\n")
    assert message.endswith("\nNothing was started.")
    assert message.split("\n", 1)[1].rsplit("\n", 1)[0] == snapshot


@pytest.mark.parametrize("name", ["learningrate", "model.widht", "model", "zzz", ""])
def test_a_name_that_the_base_does_not_have(name: str, snapshot: SnapshotAssertion) -> None:
    """A knob that nobody reads must not be searched: the nearest name is suggested."""
    assert refusal({name: [1, 2]}).split("\n", 1)[1].rsplit("\n", 1)[0] == snapshot


def test_a_list_too_many_is_noticed(snapshot: SnapshotAssertion) -> None:
    """[[0.1, 0.01]] is one value, which the script would take for a learning rate."""
    assert refusal({"learning_rate": [[0.1, 0.01]]}) == snapshot
    widths = parse_space({"widths": [[64, 32]]}, {"widths": [64]}, "search.json")
    assert widths.domains["widths"] == Choice(([64, 32],))


# -- The command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.1,0.01,0.001", [0.1, 0.01, 0.001]),
        ("0.1", [0.1]),
        (" 16, 32 ", [16, 32]),
        ("1e-3,true,null,adam", [0.001, True, None, "adam"]),
        ("[64],[64, 32]", [[64], [64, 32]]),
        ('"a,b",c', ["a,b", "c"]),
        ('"",x', ["", "x"]),
        ("log_uniform:1e-5,1e-1", {"log_uniform": [1e-5, 0.1]}),
        ("uniform:0,0.5", {"uniform": [0, 0.5]}),
        ("int:1,6", {"int": [1, 6]}),
        ("log_int:1,1024", {"log_int": [1, 1024]}),
        ("int:", {"int": []}),
        ('{"int": [1, 6]}', {"int": [1, 6]}),
        ("s3://a,s3://b", ["s3://a", "s3://b"]),
        ("a:1,b:2", ["a:1", "b:2"]),
        ("it's,5\"", ["it's", '5"']),
    ],
)
def test_a_domain_without_quotes(text: str, written: object) -> None:
    """As one types it: no quotes are needed for the shell."""
    assert parse_domain_text(text) == written


@pytest.mark.parametrize(
    "text", ["", "0.1,,0.01", "0.1,", "[1,2", "[1,2]3", '"a', "unifrom:0,1", "range:1,6"]
)
def test_text_that_is_no_domain(text: str, snapshot: SnapshotAssertion) -> None:
    """A slip of the finger is not taken for a value."""
    with pytest.raises(SpaceError) as caught:
        parse_domain_text(text)
    assert str(caught.value) == snapshot


values = st.none() | st.booleans() | st.integers() | finite | st.text(st.characters(codec="utf-8"))


@given(st.lists(st.recursive(values, st.lists, max_leaves=3), min_size=1))
def test_any_list_of_values_can_be_typed(options: list[Any]) -> None:
    """Written as JSON, values come back as they are, whatever commas and quotes they hold."""
    assert parse_domain_text(",".join(map(json.dumps, options))) == options


# -- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ({"learning_rate": 0.1}, "learning_rate_0.1"),
        ({"learning_rate": 0.01, "batch_size": 32}, "learning_rate_0.01__batch_size_32"),
        ({"learning_rate": 1e-05}, "learning_rate_1e-05"),
        ({"learning_rate": 1.0}, "learning_rate_1.0"),
        ({"model.width": 64}, "model.width_64"),
        ({"use_bn": True, "seed": None}, "use_bn_true__seed_null"),
        ({"widths": [64, 32]}, "widths_64,32"),
        ({"name": "two words\n"}, "name_two_words_"),
        ({"path": "../../etc/passwd"}, "path_..-..-etc-passwd"),
        ({"x": "; rm -rf $HOME"}, "x_-_rm_-rf_-HOME"),
        ({"x": "a\x00\x1b[31mb"}, "x_a-31mb"),
        ({"x": "'quoted' \"text\""}, "x_quoted_text"),
        ({"-x": -1}, "x_-1"),
        ({"..": "."}, "_"),
        ({"größe": "klein", "语言": "हिन्दी"}, "größe_klein__语言_हिन्दी"),
        ({"x": "u\u0308"}, "x_\u00fc"),
        ({}, "trial"),
    ],
)
def test_a_trial_s_name_says_what_it_is(point: dict[str, object], name: str) -> None:
    """As CS230 names its subfolders, and safe for every shell and file system."""
    assert trial_name(point) == name


@given(st.dictionaries(st.text(), values, min_size=1))
def test_no_name_leaves_the_search_folder(point: dict[str, object]) -> None:
    """Whatever the values are, the name is one visible part of a path."""
    name = trial_name(point)
    assert name
    assert name[0] not in ".-"
    assert not set(name) & set("/\\:*?\"'<>|;&$`!~#(){}[] ")
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in name)
    assert unicodedata.is_normalized("NFC", name)


def test_a_space_with_more_than_two_varied_hyperparameters_is_named_by_number() -> None:
    """A single value does not count; each name of a zip and each conditional one does."""
    base = {"a": 1, "b": 2, "c": 3, "d": 4, "optimizer": "adam"}

    def is_numbered(domains: dict[str, Any], **others: Any) -> bool:
        return parse_space(domains, base, "search.json", **others).is_named_by_number

    two = {"a": [1, 2], "b": {"uniform": [0, 1]}}
    assert not is_numbered(two)
    assert not is_numbered({**two, "c": [3], "d": {"int": [4, 4]}})
    assert is_numbered({**two, "c": [3, 4]})
    assert is_numbered({"a": [1, 2], "b": [2, 3], "c": [3, 4]}, zips=[["a", "b", "c"]])
    conditional = {"int": [1, 5], "condition": {"optimizer": "sgd"}}
    assert not is_numbered({"optimizer": ["adam", "sgd"], "d": conditional})
    assert is_numbered({"optimizer": ["adam", "sgd"], "a": [1, 2], "d": conditional})


def test_the_longest_name_is_known_without_ranges() -> None:
    """Lines about trials are aligned to it from the first one on."""
    two = {"lr": Choice((0.1, 0.01)), "note": Choice(("a b", "x"))}
    assert longest_name(Space({**two})) == len("lr_0.01__note_a_b")
    assert longest_name(Space({**two, "n": Int(1, 3)})) == len("trial_0001")
    assert longest_name(Space({"lr": Uniform(0, 1)})) == longest_name(Space({})) == 0


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "trial_0001"), (9999, "trial_9999"), (10000, "trial_10000"), (10**6, "trial_1000000")],
)
def test_a_numbered_name_has_four_digits_or_more(number: int, name: str) -> None:
    """Up to 9,999 trials, an ordinary listing is in the order of the numbers."""
    assert numbered_name(number) == name
