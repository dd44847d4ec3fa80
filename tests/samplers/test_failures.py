"""Samplers learn which configurations fail: out of memory, NaN, too slow; and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from laboratory import Project
from modeldir import samplers
from modeldir.samplers import Observation
from modeldir.samplers.used_configurations import point_key

LINEAR = {"width": {"int": [8, 1024]}, "lr": {"log_uniform": [1e-5, 1e-1]}}
LOG = {"width": {"log_int": [8, 1024]}, "lr": {"log_uniform": [1e-5, 1e-1]}}
WITH_MODELS = ("tpe", "nsga2")


def by_width(values: Mapping[str, Any]) -> float | None:
    """Larger is better, up to 0.2 at width 200; above it the memory does not suffice."""
    if values["width"] > 200:
        return None
    return float(values["width"] / 1000 * math.exp(-(((math.log10(values["lr"]) + 3) / 1.5) ** 2)))


def searched(  # noqa: PLR0913 - a search has these
    name: str,
    space: Mapping[str, Any],
    score: Callable[[Mapping[str, Any]], float | None],
    *,
    seed: int,
    failure: str = "out-of-memory",
    trials: int = 40,
) -> tuple[int, float, list[Observation]]:
    """Run a search in memory; return how many trials failed, the best value, and all trials."""
    sampler = samplers.make(name, space, seed, (("accuracy", "maximize"),))
    seen: list[Observation] = []
    for number in range(1, trials + 1):
        proposal = sampler.ask(number)
        assert proposal is not None
        value = score(proposal.configuration)
        if value is None:
            words: dict[str, Any] = {"status": "failed", "failure": failure}
        else:
            words = {"status": "completed", "values": {"accuracy": value}}
        seen.append(Observation(number, proposal.configuration, notes=proposal.notes, **words))
        sampler.tell(seen[-1])
    best = max((each.values["accuracy"] for each in seen if each.values), default=0.0)
    return sum(each.status == "failed" for each in seen), best, seen


@pytest.mark.parametrize("space", [LINEAR, LOG], ids=["linear", "log"])
def test_tpe_avoids_configurations_that_ran_out_of_memory(space: Mapping[str, Any]) -> None:
    """Three searches of 40: at most 16 failures in the mean, and the best lies near the border."""
    found = [searched("tpe", space, by_width, seed=seed) for seed in range(3)]
    assert sum(failed for failed, _, _ in found) / 3 <= 16
    assert sum(best for _, best, _ in found) / 3 >= 0.16


@pytest.mark.parametrize("name", WITH_MODELS)
@pytest.mark.parametrize("failure", ["out-of-memory", "nan", "time-limit"])
def test_a_failure_of_the_configuration_teaches(name: str, failure: str) -> None:
    """Each of these classes leads to fewer failures than if nothing were known of it."""
    known = sum(searched(name, LOG, by_width, seed=s, failure=failure)[0] for s in range(3))
    unknown = sum(searched(name, LOG, by_width, seed=s, failure="error")[0] for s in range(3))
    assert known < 0.75 * unknown


@pytest.mark.parametrize("name", WITH_MODELS)
def test_an_error_or_a_kill_teaches_nothing(name: str) -> None:
    """A bug in the script, or a full disk, says nothing about a configuration."""
    one = searched(name, LOG, by_width, seed=1, failure="error")[2]
    other = searched(name, LOG, by_width, seed=1, failure="killed")[2]
    assert [each.configuration for each in one] == [each.configuration for each in other]


@pytest.mark.parametrize("name", WITH_MODELS)
def test_a_restart_proposes_the_same(name: str) -> None:
    """The failures come back from the folders, so no state can be lost."""
    seen = searched(name, LOG, by_width, seed=2)[2]
    for count in (12, 25, 39):
        again = samplers.make(name, LOG, 2, (("accuracy", "maximize"),))
        for each in seen[:count]:
            again.tell(each)
        proposal = again.ask(count + 1)
        assert proposal is not None
        assert proposal.configuration == seen[count].configuration


@pytest.mark.parametrize("name", WITH_MODELS)
def test_no_region_is_closed_for_ever(name: str) -> None:
    """If every configuration fails, trials are proposed all the same, and none twice."""
    failed, _, seen = searched(name, LOG, lambda _: None, seed=0, trials=30)
    assert failed == 30
    assert len({point_key(each.configuration) for each in seen}) == 30


def test_a_finite_space_is_searched_to_its_end() -> None:
    """The configurations near failures come last, but they come."""
    space = {"width": [8, 16, 32, 64, 128, 256, 512, 1024], "lr": [0.1, 0.01]}
    seen = searched("tpe", space, lambda v: None if v["width"] > 64 else 0.1, seed=0, trials=16)[2]
    assert len({(each.configuration["width"], each.configuration["lr"]) for each in seen}) == 16


def test_conditional_and_categorical_names_are_compared() -> None:
    """A configuration fails by its optimizer; an inactive name does not disturb the distance."""
    space = {
        "optimizer": ["adam", "sgd", "lion"],
        "lr": {"log_uniform": [1e-5, 1e-1]},
        "momentum": {"uniform": [0, 1], "condition": {"optimizer": "sgd"}},
    }
    failed, _, _ = searched(
        "tpe", space, lambda v: None if v["optimizer"] == "lion" else 0.5, seed=0
    )
    assert failed <= 10


OUT_OF_MEMORY = """\
import json, sys
folder = sys.argv[2]
params = json.load(open(folder + "/params.json"))
if params["width"] > 200:
    raise MemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
json.dump({"accuracy": params["width"] / 1000}, open(folder + "/metrics.json", "w"))
"""


def test_a_search_learns_from_trials_that_ran_out_of_memory(tmp_path: Path) -> None:
    """Real trials: of the 15 after the startup, most fit into memory."""
    project = Project(tmp_path, OUT_OF_MEMORY)
    project.params("experiments/search", width=16)
    done = project.searches(
        "width=log_int:8,1024", "--sampler", "tpe", "--trials", "25", "--seed", "3",
        "--maximize", "accuracy", "--no-check",
    )  # fmt: skip
    states = [*project.trials().values()]
    assert len(states) == 25, done.err
    assert states.count("failed") <= 10
    assert "accuracy 0.1" in done.out or "accuracy 0.2" in done.out
    (line,) = [line for line in done.lines if "3 trials ran out of memory" in line]
    assert ", all with width >= " in line
    assert line.endswith(": the sampler now avoids that region")


def test_only_a_failed_trial_is_infeasible() -> None:
    """And only by a class that depends on its configuration."""
    assert not Observation(1, {}, "failed").is_infeasible
    assert Observation(1, {}, "failed", failure="nan").is_infeasible
    assert not Observation(1, {}, "completed", failure="nan").is_infeasible
