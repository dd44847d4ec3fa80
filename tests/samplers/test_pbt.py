"""Population-based training: who replaces whom, and how far a copy lies from its parent."""

from __future__ import annotations

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from modeldir import samplers
from modeldir.errors import SpaceError
from modeldir.samplers import Observation, Proposal
from modeldir.space import parse_space

SPACE = parse_space(
    {
        "learning_rate": {"log_uniform": [1e-4, 1.0]},
        "num_layers": {"int": [1, 9]},
        "optimizer": ["adam", "sgd", "rmsprop"],
        "momentum": {"uniform": [0.0, 1.0], "condition": {"optimizer": "sgd"}},
    },
    {"learning_rate": 0.1, "num_layers": 2, "optimizer": "sgd", "momentum": 0.9},
    "a test",
)


def population(*stands: tuple[str, float], **options: Any) -> samplers.Sampler:
    """A sampler that knows members by their status and accuracy, by number from 1."""
    objectives: samplers.Objectives = (("accuracy", "maximize"),)
    made = samplers.make("pbt", SPACE, 7, objectives, population=4, **options)
    for number, (status, accuracy) in enumerate(stands, start=1):
        proposal = made.ask(number)
        assert proposal is not None
        notes = {**proposal.notes, "step": 10 * number}
        made.tell(
            Observation(number, proposal.configuration, status, {"accuracy": accuracy}, notes)
        )
    return made


def test_the_first_population_is_random() -> None:
    """As many as it has members; then nobody comes while nobody was stopped."""
    made = population(("running", 0.1), ("running", 0.2), ("running", 0.3))
    fourth = made.ask(4)
    assert fourth is not None
    assert fourth.notes == {}
    full = population(*[("running", 0.1)] * 4)
    assert full.ask(5) is None


def test_one_that_was_stopped_is_replaced_once_by_a_copy_of_the_best() -> None:
    """It says whose weights it begins with, and in whose place it is."""
    made = population(("running", 0.9), ("pruned", 0.1), ("running", 0.5), ("completed", 0.6))
    proposal = made.ask(5)
    assert proposal is not None
    assert proposal.notes == {"parent": {"number": 1, "step": 10}, "replaces": 2}
    assert made.ask(5) == proposal
    made.tell(Observation(5, proposal.configuration, "running", {}, proposal.notes))
    assert made.ask(6) is None


def test_the_stopped_and_the_failed_are_nobodys_parents() -> None:
    """Whatever they had: of them nothing goes on."""
    made = population(("pruned", 0.9), ("failed", 0.8), ("running", 0.3), ("running", 0.2))
    proposal = made.ask(5)
    assert proposal is not None
    assert proposal.notes["parent"]["number"] == 3


def test_who_has_completed_is_no_parent_while_others_run() -> None:
    """From its last weights no step is left to train."""
    made = population(("completed", 0.9), ("pruned", 0.1), ("running", 0.5), ("completed", 0.6))
    proposal = made.ask(5)
    assert proposal is not None
    assert proposal.notes["parent"]["number"] == 3


def test_a_population_too_small_for_its_quantile_is_refused() -> None:
    """A quarter of three is less than one member: no member would ever be replaced."""
    with pytest.raises(SpaceError, match=r"use quantile=0\.34 or more"):
        samplers.make("pbt", SPACE, 7, (("loss", "minimize"),), population=3)
    for few in range(2, 30):
        least = -(-100 // few) / 100
        samplers.make("pbt", SPACE, 7, (("loss", "minimize"),), population=few, quantile=least)


def test_who_is_at_its_end_is_nobodys_parent() -> None:
    """A copy of it would train nothing; the end is told, or seen of who has completed."""
    made = population(("running", 0.9), ("pruned", 0.1), ("running", 0.5), ("running", 0.4))
    first = founder(1)
    for step, end, parent in ((40, 40, 3), (39, 40, 3), (38, 40, 1), (40000, 40, 1)):
        notes = {"step": step, "end": end}
        made.tell(Observation(1, first.configuration, "running", {"accuracy": 0.9}, notes))
        proposal = made.ask(5)
        assert proposal is not None
        assert proposal.notes["parent"]["number"] == parent, step
    made.tell(
        Observation(4, founder(4).configuration, "completed", {"accuracy": 0.4}, {"step": 50})
    )
    for step, parent in ((49, 1), (50, 3)):
        made.tell(Observation(1, first.configuration, "running", {"accuracy": 0.9}, {"step": step}))
        proposal = made.ask(5)
        assert proposal is not None
        assert proposal.notes["parent"]["number"] == parent, step


def test_a_copy_lies_near_and_keeps_the_space() -> None:
    """A number is a fifth more or less, unless it is drawn anew; small whole numbers move by 1."""
    for number in range(5, 60):
        made = population(("running", 0.9), ("pruned", 0.1), *[("running", 0.2)] * 2, resample=0)
        proposal = made.ask(number)
        assert proposal is not None
        assert SPACE.contains(proposal.configuration)
        point = founder(1).configuration
        near = [min(1.0, factor * point["learning_rate"]) for factor in (0.8, 1.2)]
        moved = proposal.configuration["learning_rate"]
        assert any(moved == pytest.approx(each, rel=1e-4) for each in near)
        assert abs(proposal.configuration["num_layers"] - point["num_layers"]) in {0, 1, 2}


def founder(number: int) -> Proposal:
    """The member of this number, as it was proposed first."""
    made = samplers.make("pbt", SPACE, 7, (("accuracy", "maximize"),), population=4)
    proposal = made.ask(number)
    assert proposal is not None
    return proposal


def test_small_is_good_where_it_was_said() -> None:
    """The best has the smallest loss."""
    made = samplers.make("pbt", SPACE, 7, (("loss", "minimize"),), population=4)
    for number, (status, loss) in enumerate(
        (("running", 0.9), ("running", 0.2), ("pruned", 2.0), ("running", 0.5)), 1
    ):
        proposal = made.ask(number)
        assert proposal is not None
        made.tell(Observation(number, proposal.configuration, status, {"loss": loss}))
    replacement = made.ask(5)
    assert replacement is not None
    assert replacement.notes["parent"] == {"number": 2}


def test_options_that_make_no_sense_are_all_said(snapshot: SnapshotAssertion) -> None:
    """At once."""
    with pytest.raises(SpaceError) as error:
        samplers.make(
            "pbt",
            SPACE,
            0,
            (("loss", "minimize"),),
            population=1,
            interval=0,
            quantile=0,
            resample=2,
        )
    assert str(error.value) == snapshot


def test_who_is_at_the_end_is_nobodys_parent() -> None:
    """A training that goes on from there has no step left, and would end without any metrics."""
    done = population(("completed", 0.9), ("pruned", 0.1), ("completed", 0.5), ("running", 0.6))
    last = done.ask(5)  # the steps are 10, 20, 30, and 40: the search makes no trial of this one
    assert last is not None
    assert last.notes["parent"] == {"number": 1, "step": 10, "ended": True}
    young = population(("running", 0.5), ("pruned", 0.1), ("completed", 0.9), ("completed", 0.8))
    proposal = young.ask(5)
    assert proposal is not None
    assert proposal.notes["parent"] == {"number": 1, "step": 10}
