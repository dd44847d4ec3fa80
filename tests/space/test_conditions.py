"""Spaces whose parts depend on each other: conditions, zips, constraints, points, steps."""

from __future__ import annotations

import itertools
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modeldir import space as words
from modeldir.errors import SpaceError
from modeldir.params.plain_values import canonical_hash
from modeldir.samplers import Observation, make
from modeldir.space import (
    Choice,
    Constraint,
    Domain,
    Int,
    LogInt,
    LogUniform,
    Queue,
    Space,
    Uniform,
    draw,
    fill,
    grid,
    parse_space,
    size,
)
from modeldir.space.configurations_csv import exact_plan

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE = {
    "optimizer": "adam",
    "use_momentum": True,
    "momentum": 0.9,
    "nesterov": False,
    "learning_rate": 1e-3,
    "batch_size": 32,
    "accumulate": 1,
    "num_epochs": 10,
    "weight-decay": 0.1,
    "model": {"version": "plain", "width": 64},
}
NESTED = {
    "optimizer": ["adam", "sgd"],
    "use_momentum": {"values": [True, False], "condition": {"optimizer": "sgd"}},
    "momentum": {"uniform": [0.5, 0.9], "step": 0.2, "condition": {"use_momentum": True}},
}
"""A chain: momentum counts where use_momentum counts and is true."""


def parsed(domains: dict[str, Any], **parts: Any) -> Space:
    return parse_space(domains, BASE, "search.json", **parts)


def refusal(domains: dict[str, Any], **parts: Any) -> str:
    """What is said about a space that cannot be searched."""
    with pytest.raises(SpaceError) as caught:
        parsed(domains, **parts)
    return str(caught.value)


def hashes(points: Any) -> list[str]:
    return [canonical_hash(point) for point in points]


# -- Steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Uniform(0.0, 0.5, 0.1), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        (Uniform(-0.3, 0.3, 0.2), (-0.3, -0.1, 0.1, 0.3)),
        (LogUniform(0.1, 0.4, 0.1), (0.1, 0.2, 0.3, 0.4)),
        (Int(16, 64, 16), (16, 32, 48, 64)),
        (LogInt(8, 24, 8), (8, 16, 24)),
    ],
)
def test_a_step_leaves_the_numbers_that_one_would_write(domain: Domain, values: Any) -> None:
    """0.3, not 0.30000000000000004; both bounds are among them, all are drawn, no others."""
    assert domain.values() == values
    assert all(map(domain.contains, values))
    rng = random.Random(1)
    assert {domain.at(rng.random()) for _ in range(400)} == set(values)
    assert not domain.contains((values[0] + values[1]) / 2 + 0.01)


def test_the_bounds_of_a_logarithmic_step_have_their_share() -> None:
    """As many draws as between the halves of the steps beside them, by factors."""
    rng = random.Random(2)
    drawn = [LogInt(1, 9, 4).at(rng.random()) for _ in range(4000)]
    shares = [drawn.count(value) / 4000 for value in (1, 5, 9)]
    assert shares[0] > shares[1] > shares[2] > 0.1


@st.composite
def ranges(choose: st.DrawFn) -> Any:
    """Any range, with a step that divides it or without one."""
    kind: Any = choose(st.sampled_from([Uniform, LogUniform, Int, LogInt]))
    whole = kind in {Int, LogInt}
    positive = kind in {LogUniform, LogInt}
    count = choose(st.integers(1, 5000))
    if choose(st.booleans()):
        if whole:
            step = choose(st.integers(2, 1000))
            low = choose(st.integers(1 if positive else -(10**6), 10**6))
            return kind(low, low + count * step, step)
        scale = 10 ** choose(st.integers(0, 4))
        tick = choose(st.integers(1, 1000))
        first = choose(st.integers(1 if positive else -(10**4), 10**4))
        return kind(first / scale, (first + count * tick) / scale, tick / scale)
    if whole:
        low = choose(st.integers(1 if positive else -(10**9), 10**9))
        return kind(low, low + count)
    numbers = st.floats(1e-200 if positive else -1e200, 1e200, allow_subnormal=False)
    bounds = choose(st.tuples(numbers, numbers).map(sorted))
    return kind(*bounds)


parts = st.floats(0, 1, exclude_max=True)


@given(ranges(), parts, parts)
def test_every_part_of_a_range_is_a_value_of_it_and_they_rise(
    domain: Domain, one: float, other: float
) -> None:
    """A sampler that fills the unit cube gets values of the domain, in the cube's own order."""
    low, high = sorted((one, other))
    values = domain.at(low), domain.at(high)
    assert all(map(domain.contains, values))
    assert values[0] <= values[1] or high - low < 1e-9


@given(ranges(), st.floats(allow_nan=False))
def test_what_a_model_proposes_is_rounded_and_then_kept_within_the_bounds(
    domain: Domain, number: float
) -> None:
    """Whatever it proposes, also infinity, becomes a value; a value becomes itself."""
    value = domain.nearest(number)
    assert domain.contains(value)
    settled = domain.nearest(value)  # a bound may have more than 6 digits
    assert domain.nearest(settled) == settled
    assert isinstance(domain, (Uniform, LogUniform, Int, LogInt))
    far = max(domain.step or 0.5, abs(number) * 1e-5)
    assert value in {domain.low, domain.high} or abs(value - number) <= far


def test_nan_is_near_nothing() -> None:
    """A model that has diverged must not choose the first value for ever."""
    for domain in (Choice((1, 2)), Uniform(0, 1), Int(1, 3), LogInt(1, 9, 2)):
        with pytest.raises(ValueError, match="NaN"):
            domain.nearest(float("nan"))


def test_the_option_next_to_a_number() -> None:
    """Of a list only numbers are near; of two equally near ones the first."""
    assert Choice(("adam", 16, 32)).nearest(24) == 16
    assert Choice((32, 16)).nearest(24) == 32
    assert Choice((1, True, "1")).index(True) == 1
    with pytest.raises(ValueError, match="none of"):
        Choice((1, 2)).index(3)


# -- Conditions ------------------------------------------------------------------------------------


def test_a_hyperparameter_counts_only_where_its_parents_have_such_values() -> None:
    """A parent that does not count makes its child not count either."""
    found = [tuple(point.items()) for point in grid(parsed(NESTED))]
    assert found == [
        (("optimizer", "adam"),),
        (("optimizer", "sgd"), ("use_momentum", True), ("momentum", 0.5)),
        (("optimizer", "sgd"), ("use_momentum", True), ("momentum", 0.7)),
        (("optimizer", "sgd"), ("use_momentum", True), ("momentum", 0.9)),
        (("optimizer", "sgd"), ("use_momentum", False)),
    ]
    assert size(parsed(NESTED)) == 5


def test_any_of_several_values_and_all_of_several_parents() -> None:
    """A list of values means any of them; several parents mean all of them."""
    space = parsed(
        {
            "optimizer": ["adam", "sgd", "rmsprop"],
            "use_momentum": [True, False],
            "momentum": {
                "values": [0.5, 0.9],
                "condition": {"optimizer": ["sgd", "rmsprop"], "use_momentum": True},
            },
        }
    )
    assert size(space) == 4 + 4
    for point in grid(space):
        counts = point["optimizer"] != "adam" and point["use_momentum"]
        assert ("momentum" in point) == counts == space.is_active("momentum", point)


def test_a_parent_that_does_not_vary_has_the_base_s_value() -> None:
    """Then the condition holds always, or the space is refused since it never does."""
    space = parsed({"momentum": {"values": [0.5, 0.9], "condition": {"optimizer": "adam"}}})
    assert list(grid(space)) == [{"momentum": 0.5}, {"momentum": 0.9}]
    assert "never active" in refusal(
        {"momentum": {"values": [1], "condition": {"optimizer": "sgd"}}}
    )


def test_a_child_may_stand_before_its_parent() -> None:
    """In the file's order the point is written; the grid goes through parents first."""
    turned = dict(reversed(NESTED.items()))
    assert parsed(turned).order == ("optimizer", "use_momentum", "momentum")
    assert [tuple(point) for point in grid(parsed(turned))][1] == (
        "momentum",
        "use_momentum",
        "optimizer",
    )


def test_a_parent_s_values_may_be_lists() -> None:
    """Then a list of lists says which; it comes back from the file as the same."""
    base = {"widths": [1], "dropout": 0.5}
    domains = {
        "widths": [[64], [64, 32]],
        "dropout": {"values": [0.1], "condition": {"widths": [[64, 32]]}},
    }
    space = parse_space(domains, base, "search.json")
    assert [len(point) for point in grid(space)] == [1, 2]
    assert space.to_json() == domains


def test_two_points_that_differ_in_what_does_not_count_are_one() -> None:
    """So a search tries it once; hyperparameters of a trial lead back to it."""
    space = parsed(NESTED)
    first, second = (
        {"optimizer": "adam", "use_momentum": True, "momentum": 0.5},
        {
            "optimizer": "adam",
            "use_momentum": False,
            "momentum": 0.9,
        },
    )
    assert space.decided(first) == space.decided(second) == {"optimizer": "adam"}
    assert space.complete(first) == {"optimizer": "adam"}
    assert space.decided({"use_momentum": True}) is None
    assert not space.contains(first)
    assert space.contains({"optimizer": "adam"})


# -- What goes together ----------------------------------------------------------------------------


def test_lists_that_go_together_go_value_by_value() -> None:
    """One dimension, one row at a time; a value may be there twice if the row is not."""
    space = parsed(
        {
            "batch_size": [16, 16, 32],
            "optimizer": ["adam", "sgd"],
            "learning_rate": [0.1, 0.2, 0.1],
        },
        zips=[["batch_size", "learning_rate"]],
    )
    assert [dim.name for dim in space.dims] == ["batch_size+learning_rate", "optimizer"]
    assert [tuple(point.values()) for point in grid(space)] == [
        (16, "adam", 0.1),
        (16, "sgd", 0.1),
        (16, "adam", 0.2),
        (16, "sgd", 0.2),
        (32, "adam", 0.1),
        (32, "sgd", 0.1),
    ]
    assert not space.contains({"batch_size": 32, "optimizer": "adam", "learning_rate": 0.2})


# -- Constraints -----------------------------------------------------------------------------------


def test_constraints_leave_points_out_also_by_what_the_base_says() -> None:
    """A name that does not vary, and one that does not count, has the base's value."""
    domains = {"batch_size": [128, 256], "model.width": [64, 128]}
    space = parsed(domains, constraints=["batch_size * model.width * accumulate <= 16384"])
    assert [tuple(point.values()) for point in grid(space)] == [(128, 64), (128, 128), (256, 64)]
    conditional = parsed(NESTED, constraints=["momentum != 0.9 or optimizer == 'adam'"])
    assert [point.get("momentum") for point in grid(conditional)] == [None, 0.5, 0.7]


def test_few_allowed_points_among_many_are_found_and_counted() -> None:
    """A draw goes through them where chance would hardly ever meet one."""
    domains = {"batch_size": {"int": [1, 200]}, "accumulate": {"int": [1, 200]},
               "num_epochs": {"int": [1, 10**6]}}  # fmt: skip
    space = parsed(domains, constraints=["batch_size + accumulate >= 399"])
    assert size(space) is None
    finite = parsed({**domains, "num_epochs": {"int": [1, 1000]}},
                    constraints=["batch_size + accumulate >= 399"])  # fmt: skip
    assert size(finite) == 3 * 1000
    for seed in range(20):
        assert finite.contains(draw(finite, random.Random(seed)))
        assert space.contains(draw(space, random.Random(seed)))


def test_a_large_grid_is_not_gone_through_for_its_first_points() -> None:
    """A branch that breaks a constraint is left as soon as that is known."""
    domains = {name: {"int": [1, 1000]} for name in ("batch_size", "accumulate", "num_epochs")}
    space = parsed(domains, constraints=["batch_size == 1000", "accumulate > batch_size - 2"])
    first = list(itertools.islice(grid(space), 3))
    assert [tuple(point.values()) for point in first] == [
        (1000, 999, 1),
        (1000, 999, 2),
        (1000, 999, 3),
    ]


def test_a_branch_that_leads_to_no_point_is_never_gone_into() -> None:
    """Of 10 million points the first that is allowed comes after 3 million that are not: they are
    passed over, not looked at.
    """
    domains = {name: list(range(10)) for name in "abcdefg"}
    space = parse_space(domains, dict.fromkeys("abcdefg", 0), "w", constraints=["a + g == 12"])
    began = time.process_time()
    first = list(itertools.islice(grid(space), 3))
    assert [tuple(point.values()) for point in first] == [
        (3, 0, 0, 0, 0, 0, 9),
        (3, 0, 0, 0, 0, 1, 9),
        (3, 0, 0, 0, 0, 2, 9),
    ]
    assert size(space) == 7 * 10**5
    assert time.process_time() - began < 2


def test_a_space_too_large_to_be_counted_says_so_at_once() -> None:
    """Also where a constraint lets nearly no point through: nobody waits for a billion of them."""
    domains = {name: {"int": [1, 1000]} for name in ("batch_size", "accumulate", "num_epochs")}
    hardly = ["batch_size * accumulate * num_epochs == 7"]
    space = Space(parsed(domains).domains, constraints=(Constraint(hardly[0]),))
    began = time.process_time()
    assert size(space) is None
    with pytest.raises(SpaceError, match="none of 10000 random configurations"):
        draw(space, random.Random(1))
    assert "none of 10000 random configurations satisfies it" in refusal(
        domains, constraints=hardly
    )
    assert time.process_time() - began < 60


# -- Any space -------------------------------------------------------------------------------------

FEWER = settings(max_examples=40)
"""Each example is a whole space, and is searched for points."""
NAMES = ("a", "b", "c", "d", "e", "f")
ANY = {**dict.fromkeys(NAMES, 2), "g": 5}


SMALL = [
    {"values": [1, 2, 3]},
    {"values": [4]},
    {"int": [1, 5], "step": 4},
    {"log_int": [1, 2]},
    {"uniform": [0, 1], "step": 0.5},
]
LARGE = [
    {"int": [1, 9], "step": 4},
    {"log_int": [1, 4]},
    {"uniform": [0, 1], "step": 0.25},
    {"uniform": [0, 1]},
    {"log_uniform": [0.01, 1]},
]


@st.composite
def spaces(choose: st.DrawFn, *, finite: bool = False) -> dict[str, Any]:
    """What a plan may say of six names: each kind of domain, conditions, a zip, a constraint."""
    domains: dict[str, Any] = {}
    kinds = SMALL if finite else [*SMALL, *LARGE]
    for index, name in enumerate(NAMES):
        domain: dict[str, Any] = choose(st.sampled_from(kinds))
        parents = [n for n in NAMES[:index] if "uniform" not in domains[n]]
        parents = [n for n in parents if "log_uniform" not in domains[n]]
        if parents and choose(st.sampled_from([True, False])):
            wanted: dict[str, Any] = {}
            for parent in choose(st.lists(st.sampled_from(parents), max_size=2, unique=True)):
                values = parse_space({parent: domains[parent]} if "condition" not in domains[parent]
                                     else {parent: {k: v for k, v in domains[parent].items()
                                                    if k != "condition"}}, ANY, "x"
                                     ).domains[parent].values()  # fmt: skip
                wanted[parent] = choose(st.lists(st.sampled_from(values or ()), min_size=1,
                                                 max_size=2, unique=True))  # fmt: skip
            domain = {**domain, **({"condition": wanted} if wanted else {})}
        domains[name] = domain
    order = choose(st.permutations(NAMES))
    zips: list[list[str]] = []
    lists = [name for name in NAMES if domains[name] == {"values": [1, 2, 3]}]
    if len(lists) > 1 and choose(st.booleans()):
        zips = [lists[:3]]
    texts = ["a + b <= g", "c < d or e > 0.5", "a in [1, 2, 4]", "max(a, b, f) >= 1", "e * f != 1"]
    constraints = choose(st.lists(st.sampled_from(texts), max_size=2, unique=True))
    return {
        "domains": {name: domains[name] for name in order},
        "zips": zips,
        "constraints": constraints,
    }


def made(said: dict[str, Any]) -> Space:
    """The space, if there is one: conditions and constraints may exclude everything."""
    try:
        return parse_space(said["domains"], ANY, "search.json", zips=said["zips"],
                           constraints=said["constraints"])  # fmt: skip
    except SpaceError as error:
        words = ("exclude each other", "no configuration satisfies", "none of 10000", "is a range")
        assert any(each in str(error) for each in words), error  # noqa: PT017
        assume(condition=False)
        raise


@FEWER
@given(spaces(), st.integers(0, 2**32))
def test_every_drawn_point_is_one_of_the_space(said: dict[str, Any], seed: int) -> None:
    """And is the same by its dimensions, by its hyperparameters, and in whatever order."""
    space = made(said)
    point = draw(space, random.Random(seed))
    assert space.contains(point)
    assert list(point) == [name for name in said["domains"] if name in point]
    assert space.complete(space.dims_of(point)) == point
    assert space.decided({**ANY, **point}) == point
    backwards = {name: said["domains"][name] for name in reversed(said["domains"])}
    turned = made({**said, "domains": backwards, "zips": [names[::-1] for names in said["zips"]]})
    assert draw(turned, random.Random(seed)) == point


@FEWER
@given(spaces(), st.lists(st.floats(0, 1, exclude_max=True), min_size=6, max_size=6))
def test_every_corner_of_the_unit_cube_is_a_point(said: dict[str, Any], parts: list[float]) -> None:
    """But for the constraints: a sampler fills the cube, and asks whether it is allowed."""
    space = made(said)
    cube = zip(space.dims, parts, strict=False)
    point = space.complete({dim.name: dim.domain.at(part) for dim, part in cube})
    assert space.contains(point) == space.allows(point)
    assert set(space.dims_of(point)) <= {dim.name for dim in space.dims}


@FEWER
@given(spaces(finite=True) | spaces())
def test_a_grid_has_each_point_once_and_its_size_is_known(said: dict[str, Any]) -> None:
    """Also where conditions, zips and constraints make the size no product."""
    space = made(said)
    if any(domain.values() is None for domain in space.domains.values()):
        with pytest.raises(SpaceError):
            grid(space)
        return
    points = list(itertools.islice(grid(space), 3000))
    assert len(set(hashes(points))) == len(points)
    assert all(map(space.contains, points))
    if len(points) < 3000:
        assert size(space) == len(points)
        rng = random.Random(1)
        assert canonical_hash(draw(space, rng)) in set(hashes(points))
    assert points == list(itertools.islice(grid(space), 3000))


@FEWER
@given(spaces())
def test_a_space_comes_back_from_the_file_as_the_same(said: dict[str, Any]) -> None:
    """Written as JSON and read again it is the same space, and gives the same points."""
    space = made(said)
    again = made({**said, "domains": json.loads(json.dumps(space.to_json()))})
    assert again == space
    assert draw(again, random.Random(3)) == draw(space, random.Random(3))


@FEWER
@given(spaces(), st.data())
def test_a_point_may_say_a_part_and_leave_the_rest_to_chance(
    said: dict[str, Any], data: st.DataObject
) -> None:
    """What is given stays; the parents that let it count are chosen accordingly."""
    space = made(said)
    point = draw(space, random.Random(4))
    kept = data.draw(st.sets(st.sampled_from(sorted(point))))
    wanted = {name: point[name] for name in kept}
    filled = fill(space, wanted, random.Random(5))
    assert filled is not None
    assert space.contains(filled)
    assert wanted.items() <= filled.items()


@pytest.mark.parametrize("name", ["grid", "random"])
@FEWER
@given(said=spaces(finite=True))
def test_a_sampler_tries_every_point_once(name: str, said: dict[str, Any]) -> None:
    """Grid and random, over whatever a plan may say, end when all points were tried."""
    space = made(said)
    count = size(space)
    assert count is not None
    sampler, found = make(name, space, seed=1), list[dict[str, Any]]()
    while (proposal := sampler.ask(len(found) + 1)) is not None:
        assert space.contains(proposal.configuration)
        found.append(proposal.configuration)
        sampler.tell(Observation(len(found), proposal.configuration, "pending"))
    assert len(set(hashes(found))) == len(found) == count


# -- Points to try first ---------------------------------------------------------------------------


def queued(queue: Queue) -> list[dict[str, Any]]:
    found = []
    while (point := queue.ask()) is not None:
        found.append(point)
        queue.tell(point)
    return found


def test_thousands_of_rows_are_looked_up_and_not_gone_through() -> None:
    """A file of points is a space of as many rows, and each of its trials is looked for among them
    at each start: to go through all rows for each took minutes.
    """
    rows = [{"batch_size": n, "learning_rate": n * 0.5} for n in range(3000)]
    lists = {name: [row[name] for row in rows] for name in rows[0]}
    base = {"batch_size": 1, "learning_rate": 0.1}
    began = time.process_time()
    space = parse_space(lists, base, "w", zips=[[*rows[0]]])
    sampler = make("random", space, 0)
    for number, row in enumerate(rows[1:], 1):
        sampler.tell(Observation(number, row, "completed"))
    found = sampler.ask(3000)
    assert found is not None
    assert found.configuration == rows[0]
    wide = parse_space(
        {name: {"uniform": [0, 3000]} for name in lists},
        base,
        "w",
        first=[*rows, {"batch_size": 7}],
    )
    queue = Queue(wide, 0)
    for row in reversed(rows[1:]):
        queue.tell(row)
    assert queue.ask() == rows[0]
    assert time.process_time() - began < 5


def test_true_in_a_file_is_not_one() -> None:
    """Rows that differ in that are two."""
    rows: list[dict[str, Any]] = [{"use_momentum": each} for each in (1, True, 1.0)]
    assert exact_plan(rows, {})["space"] == {"use_momentum": [1, True]}


def test_points_come_in_order_each_once_and_complete() -> None:
    """What they leave out is drawn by the seed; said twice is said once."""
    points = [{"momentum": 0.7}, {"optimizer": "adam"}, {"optimizer": "adam"}]
    space = parsed(NESTED, first=points)
    first = queued(Queue(space, 1))
    assert first == [
        {"optimizer": "sgd", "use_momentum": True, "momentum": 0.7},
        {"optimizer": "adam"},
    ]
    wide = parsed({**NESTED, "learning_rate": {"log_uniform": [1e-5, 1]}}, first=points)
    assert queued(Queue(wide, 1)) == queued(Queue(wide, 1))
    assert queued(Queue(wide, 1)) != queued(Queue(wide, 2))


@given(st.integers(0, 3))
def test_a_queue_made_anew_goes_on_where_the_other_stopped(done: int) -> None:
    """Which points were tried is read from the trials that are there."""
    points = [{"learning_rate": rate} for rate in (0.1, 0.2, 0.3)]
    domains = {"learning_rate": {"uniform": [0, 1]}, "batch_size": {"int": [1, 100]}}
    space = parsed(domains, first=points)
    whole = queued(Queue(space, 1))
    again = Queue(space, 1)
    for point in whole[:done]:
        again.tell(point)
    assert queued(again) == whole[done:]
    moved = Queue(parsed(domains, first=points[::-1]), 1)
    assert sorted(map(str, queued(moved))) == sorted(map(str, whole))


# -- Python ----------------------------------------------------------------------------------------


def test_the_words_in_python_are_those_of_the_file() -> None:
    """One form for all doors, so that all give the same trials."""
    assert parsed(
        {
            "optimizer": words.choice(["adam", "sgd"]),
            "use_momentum": words.choice((True, False), condition={"optimizer": "sgd"}),
            "momentum": words.uniform(0.5, 0.9, step=0.2, condition={"use_momentum": True}),
        }
    ) == parsed(NESTED)
    ranges = {
        "batch_size": words.int(16, 64, step=16),
        "learning_rate": words.log_uniform(1e-5, 0.1),
        "model.width": words.log_int(16, 512),
        "num_epochs": 5,
    }
    assert parsed(ranges).domains == {
        "batch_size": Int(16, 64, 16),
        "learning_rate": LogUniform(1e-5, 0.1),
        "model.width": LogInt(16, 512),
        "num_epochs": Choice((5,)),
    }


# -- Mistakes --------------------------------------------------------------------------------------

LR, BS = {"learning_rate": [0.1, 0.2]}, {"batch_size": [16, 32]}
TWO, BOTH = {"optimizer": ["adam", "sgd"]}, ["learning_rate", "batch_size"]


@pytest.mark.parametrize(
    ("domains", "parts"),
    [
        # steps
        ({"learning_rate": {"uniform": [0, 1], "step": 0}}, {}),
        ({"learning_rate": {"uniform": [0, 1], "step": -0.1}}, {}),
        ({"learning_rate": {"uniform": [0, 1], "step": "0.1"}}, {}),
        ({"learning_rate": {"uniform": [0, 1], "step": 0.3}}, {}),
        ({"learning_rate": {"uniform": [0, 1], "step": 2}}, {}),
        ({"learning_rate": {"uniform": [0, 1], "step": 1e-300}}, {}),
        ({"batch_size": {"int": [16, 64], "step": 0.5}}, {}),
        ({"batch_size": {"int": [16, 63], "step": 16}}, {}),
        ({"batch_size": {"int": [16, 64], "stpe": 16}}, {}),
        ({"batch_size": {"step": 16}}, {}),
        # conditions
        ({**LR, "momentum": {"values": [1], "condition": {}}}, {}),
        ({**LR, "momentum": {"values": [1], "condition": "learning_rate=0.1"}}, {}),
        ({**LR, "momentum": {"values": [1], "condition": {"lerning_rate": 0.1}}}, {}),
        ({**LR, "momentum": {"values": [1], "condition": {"learning_rate": 0.3}}}, {}),
        ({**LR, "momentum": {"values": [1], "condition": {"learning_rate": []}}}, {}),
        ({**LR, "momentum": {"values": [1], "condition": {"momentum": 1}}}, {}),
        ({**TWO, "momentum": {"values": [1], "condition": {"optimizer": "sdg"}}}, {}),
        ({"learning_rate": {"uniform": [0, 1]},
          "momentum": {"values": [1], "condition": {"learning_rate": 0.5}}}, {}),
        ({"optimizer": {"values": ["adam", "sgd"], "condition": {"momentum": 1}},
          "momentum": {"values": [1, 2], "condition": {"batch_size": 16}},
          "batch_size": {"values": [16, 32], "condition": {"optimizer": "adam"}}}, {}),
        ({**TWO, "use_momentum": {"values": [True], "condition": {"optimizer": "sgd"}}, "momentum":
          {"values": [1], "condition": {"optimizer": "adam", "use_momentum": True}}}, {}),
        # zips
        ({**LR, **BS}, {"zips": ["learning_rate", "batch_size"]}),
        ({**LR, **BS}, {"zips": [["learning_rate", "batch_szie"]]}),
        ({**LR, "batch_size": [16]}, {"zips": [BOTH]}),
        ({**LR, **BS, "momentum": [1, 2]}, {"zips": [BOTH, ["momentum", "batch_size"]]}),
        ({**LR, "batch_size": {"int": [1, 2]}}, {"zips": [BOTH]}),
        ({**LR, **BS}, {"zips": [["learning_rate"]]}),
        ({**LR, **BS}, {"zips": [["learning_rate", "learning_rate"]]}),
        ({"learning_rate": [1, 1], "batch_size": [2, 2]}, {"zips": [BOTH]}),
        ({"learning_rate": {"values": [1, 2], "condition": {"optimizer": "adam"}}, **BS},
         {"zips": [BOTH]}),
        (LR, {"zips": 3}),
        # constraints
        (LR, {"constraints": ["learning_rat < 3", 7, "", "learning_rate * momentum < optimizer"]}),
        (BS, {"constraints": ["batch_size * accumulate <= 4"]}),
        (BS, {"constraints": ["batch_size < 20", "batch_size > 20"]}),
        (BS, {"constraints": ["batch_size / (accumulate - 1) < 3"]}),
        ({"batch_size": {"int": [1, 10**9]}}, {"constraints": ["batch_size < 0"]}),
        (BS, {"constraints": ["momentum < 1"]}),
        (BS, {"constraints": ["model > 3", "batch_size > model.widht"]}),
        (BS, {"constraints": 3}),
        (BS, {"constraints": ["weight-decay * batch_size < 1"]}),
        # points
        (BS, {"first": [{"batch_size": 17}, {"batchsize": 16}, {}, 3]}),
        (BS, {"first": 3}),
        ({**LR, **BS}, {"first": [{"learning_rate": 0.1, "batch_size": 32}],
                        "zips": [BOTH]}),
        (BS, {"first": [{"batch_size": 32}], "constraints": ["batch_size < 20"]}),
        (NESTED, {"first": [{"optimizer": "adam", "momentum": 0.7}, {"momentum": 0.6}]}),
        # fixed
        ({"num_epochs": None, "optimizer": "adam,sgd", "batch_size": float("nan")}, {}),
        ({"num_epochs": "five"}, {}),
    ],
)  # fmt: skip
def test_parts_that_make_no_sense(
    domains: dict[str, Any], parts: dict[str, Any], snapshot: SnapshotAssertion
) -> None:
    """Each mistake has its own words, and where there is one a way out."""
    message = refusal(domains, **parts)
    assert message.startswith("search.json cannot be searched:\n")
    assert message.endswith("\nNothing was started.")
    assert message.split("\n", 1)[1].rsplit("\n", 1)[0] == snapshot


def test_a_name_that_python_spells_otherwise_is_quoted() -> None:
    """It takes the micro sign for the Greek letter, which looks the same: the way out is said."""
    micro, mu = "\u00b5", "\u03bc"
    with pytest.raises(SpaceError) as caught:
        parse_space({micro: [1, 2]}, {micro: 1}, "search.json", constraints=[f"{micro} > 1"])
    told = f'constraint {micro} > 1: {mu} is not in params.json\n    write params["{micro}"]'
    assert told in str(caught.value)
    quoted = [f'params["{micro}"] > 1']
    found = parse_space({micro: [1, 2]}, {micro: 1}, "search.json", constraints=quoted)
    assert list(grid(found)) == [{micro: 2}]


def test_problems_of_all_parts_are_told_at_once(snapshot: SnapshotAssertion) -> None:
    """Who mends a file should not have to come back five times."""
    assert (
        refusal(
            {
                "learning_rat": {"log_uniform": [0, 0.1]},
                "batch_size": {"int": [16, 63], "step": 16},
                "momentum": {"values": [0.5], "condition": {"optimzer": "sgd"}},
            },
            zips=[["momentum", "accumulate"]],
            first=[{"batch_size": 16, "momentum": 0.6}],
            constraints=["batch_size ** batch_size < open('x')", "batch_szie < 3"],
        )
        == snapshot
    )
