"""Samplers: grid and random, found by name, and what each of them promises to a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import SpaceError
from modeldir.samplers import NAMES, Observation, Sampler, make
from modeldir.space import Choice, Int, LogUniform, Space, Uniform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syrupy.assertion import SnapshotAssertion

SMALL = Space({"learning_rate": Choice((0.1, 0.01, 0.001)), "num_layers": Int(1, 2)})
WIDE = Space({"learning_rate": LogUniform(1e-5, 0.1), "dropout": Uniform(0, 0.5)})


def told(sampler: Sampler, points: Iterable[dict[str, Any]]) -> Sampler:
    """The sampler, after it learned of trials at these points."""
    for number, point in enumerate(points, 1):
        sampler.tell(Observation(number, point, "waiting", None))
    return sampler


def search(sampler: Sampler, trials: int) -> list[dict[str, Any]]:
    """What a search makes of a sampler: ask, tell, until it has enough or nothing is left."""
    points: list[dict[str, Any]] = []
    while len(points) < trials and (point := sampler.ask(len(points) + 1)) is not None:
        sampler.tell(Observation(len(points) + 1, point, "waiting", None))
        points.append(point)
    return points


def distinct(points: Iterable[dict[str, Any]]) -> set[str]:
    return {repr(sorted(point.items())) for point in points}


@pytest.mark.parametrize("name", NAMES)
def test_a_finite_space_is_searched_whole_and_each_point_once(name: str) -> None:
    """Then there is nothing left to propose, which is how a search knows that it is done."""
    points = search(make(name, SMALL, seed=230), trials=100)
    assert len(points) == len(distinct(points)) == 6
    assert all(map(SMALL.contains, points))


@pytest.mark.parametrize("name", NAMES)
def test_asking_changes_nothing(name: str) -> None:
    """A worker that dies between asking and making the folder has used nothing up."""
    sampler = make(name, SMALL, seed=230)
    first = sampler.ask(1)
    assert first is not None
    first["learning_rate"] = "changed by the caller"
    assert sampler.ask(1) == make(name, SMALL, seed=230).ask(1)


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 6))
def test_a_restart_at_any_point_changes_nothing(name: str, done: int) -> None:
    """A sampler made anew and told what is there goes on as the old one would have."""
    whole = search(make(name, SMALL, seed=230), trials=6)
    again = told(make(name, SMALL, seed=230), whole[:done])
    assert again.ask(done + 1) == (whole[done] if done < len(whole) else None)


@pytest.mark.parametrize("name", NAMES)
def test_a_point_known_from_elsewhere_is_not_proposed(name: str) -> None:
    """Also when the file says 1.0 where the space says 1, in another order."""
    known = [{"num_layers": 1.0, "learning_rate": 0.1}, {"num_layers": 2, "learning_rate": 0.01}]
    points = search(told(make(name, SMALL, seed=1), known), trials=100)
    assert len(points) == 4
    assert {"learning_rate": 0.1, "num_layers": 1} not in points


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_outside_the_space_takes_no_place_in_it(name: str) -> None:
    """A plan may change: values that it no longer has, or names it did not have, do not count."""
    outside: list[dict[str, Any]] = [
        {"learning_rate": 7.0, "num_layers": 1},
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "num_layers": 1, "dropout": 0.5},
    ]
    assert len(search(told(make(name, SMALL, seed=1), outside), trials=100)) == 6


def test_a_grid_goes_in_order_and_gets_only_new_points_when_it_grows() -> None:
    """The last hyperparameter changes fastest; a value added later adds its trials alone."""
    points = search(make("grid", SMALL, seed=0), trials=100)
    assert [tuple(point.values()) for point in points[:3]] == [(0.1, 1), (0.1, 2), (0.01, 1)]
    grown = Space({**SMALL.domains, "num_layers": Int(1, 3)})
    assert search(told(make("grid", grown, seed=0), points), trials=100) == [
        {"learning_rate": rate, "num_layers": 3} for rate in (0.1, 0.01, 0.001)
    ]


def test_a_grid_over_a_range_is_refused() -> None:
    """When the sampler is made, before any trial."""
    with pytest.raises(SpaceError, match="learning_rate"):
        make("grid", WIDE, seed=0)


def test_chance_depends_on_seed_and_number_alone() -> None:
    """However many workers ask, in whichever order, trial 3 is the same trial."""
    points = search(make("random", WIDE, seed=230), trials=20)
    assert len(distinct(points)) == 20
    for number in (20, 3, 11):
        assert make("random", WIDE, seed=230).ask(number) == points[number - 1]
    assert make("random", WIDE, seed=231).ask(3) != points[2]


def test_random_points_are_the_same_in_every_version(snapshot: SnapshotAssertion) -> None:
    """The same seed gives the same trials, also years later, also after a redraw."""
    assert search(make("random", WIDE, seed=230), trials=3) == snapshot(name="wide")
    assert search(make("random", SMALL, seed=230), trials=6) == snapshot(name="small")


def test_the_last_points_of_a_large_space_are_found() -> None:
    """Where a draw would hardly ever meet them."""
    space = Space({"a": Int(1, 100), "b": Int(1, 100)})
    missing = [{"a": 17, "b": 4}, {"a": 99, "b": 100}]
    others = ({"a": a, "b": b} for a in range(1, 101) for b in range(1, 101))
    sampler = told(make("random", space, 0), (point for point in others if point not in missing))
    found = search(sampler, trials=100)
    assert sorted(found, key=lambda point: point["a"]) == missing


def test_a_range_too_narrow_for_more_points_ends() -> None:
    """Six digits leave three values here; the search must not ask for ever."""
    points = search(make("random", Space({"x": Uniform(1.0, 1.00002)}), seed=0), trials=100)
    assert {point["x"] for point in points} == {1.0, 1.00001, 1.00002}


def test_an_unknown_sampler_is_a_mistake_with_a_hint(snapshot: SnapshotAssertion) -> None:
    """The nearest name, or all of them."""
    messages = []
    for name in ("randon", "zzz"):
        with pytest.raises(SpaceError) as caught:
            make(name, SMALL, seed=0)
        messages.append(str(caught.value))
    assert "\n".join(messages) == snapshot
