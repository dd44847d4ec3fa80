"""Contract tests for samplers, and a fake sampler.

Users inherit `SamplerContract`. The tests are methods with plain `assert`s, so that they run
without modeldir's own test suite. The protocol: `modeldir.samplers.Sampler`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from modeldir.metrics.objective import Objectives
from modeldir.params.plain_values import canonical_hash
from modeldir.samplers import Observation, Proposal, Sampler
from modeldir.space import Space, parse_space

_BASE: dict[str, Any] = {
    "learning_rate": 0.01,
    "batch_size": 32,
    "accumulate": 1,
    "num_layers": 2,
    "dropout": 0.1,
    "momentum": 0.9,
    "optimizer": "sgd",
    "use_bias": True,
    "seed": 230,
}


def spaces() -> dict[str, Space]:
    """Return a search space of each kind, by name.

    `numbers` has only ranges; `mixed` has ranges, lists and steps; `small` has six configurations.
    The others are `conditional`, `zipped` and `constrained`.
    """
    rate = {"log_uniform": [1e-5, 1e-1]}
    return {
        "numbers": _space({"learning_rate": rate, "dropout": {"uniform": [0, 0.5]}}),
        "mixed": _space(
            {
                "learning_rate": rate,
                "batch_size": [16, 32, 64, 128],
                "num_layers": {"int": [1, 6]},
                "dropout": {"uniform": [0, 0.5], "step": 0.1},
                "optimizer": ["sgd", "adam", "rmsprop"],
            }
        ),
        "conditional": _space(
            {
                "learning_rate": rate,
                "optimizer": ["sgd", "adam"],
                "momentum": {"uniform": [0.5, 0.99], "condition": {"optimizer": "sgd"}},
            }
        ),
        "zipped": _space(
            {
                "batch_size": [16, 64, 256],
                "accumulate": [8, 2, 1],
                "learning_rate": rate,
                "use_bias": [True, False],
            },
            zips=[["batch_size", "accumulate"]],
        ),
        "constrained": _space(
            {
                "batch_size": [16, 32, 64, 128],
                "accumulate": [1, 2, 4, 8],
                "dropout": {"uniform": [0, 0.5]},
            },
            constraints=["batch_size * accumulate <= 128"],
        ),
        "small": _space({"num_layers": {"int": [1, 2]}, "batch_size": [16, 32, 64]}),
    }


def _space(domains: Mapping[str, Any], **parts: Any) -> Space:
    return parse_space(domains, _BASE, "modeldir.testing.samplers", **parts)


def loss(configuration: Mapping[str, Any]) -> float:
    """Return the loss of a simulated training run. Every hyperparameter changes it."""
    total = 0.0
    for name, value in sorted(configuration.items()):
        if isinstance(value, str | bool):
            total += 0.1 * (len(str(value)) % 3)
        else:
            total += abs(math.log10(abs(value) + 1e-6) + 1) * (1 + len(name) % 3)
    return total


class FakeSampler:
    """A sampler that proposes given configurations in their order, and records its calls.

    Attributes:
        asked: the trial numbers that it was asked for, in order.
        told: the observations that it received, in order.
    """

    def __init__(self, configurations: Iterable[Mapping[str, Any]]) -> None:
        self._configurations = [dict(configuration) for configuration in configurations]
        self.asked: list[int] = []
        self.told: list[Observation] = []

    def ask(self, number: int) -> Proposal | None:
        """Return the first configuration that no trial has taken."""
        self.asked.append(number)
        taken = {
            canonical_hash(each.configuration) for each in self.told if each.takes_its_configuration
        }
        free = (
            configuration
            for configuration in self._configurations
            if canonical_hash(configuration) not in taken
        )
        return next((Proposal(dict(configuration)) for configuration in free), None)

    def tell(self, observation: Observation) -> None:
        """Record an observation."""
        self.told.append(observation)


class SamplerContract:
    """Tests that every sampler must pass. Inherit from it and say how yours is made.

    Attributes:
        kinds: names of the `spaces` that your sampler can sample.
        objectives: the metrics that it optimizes, each with its direction.
        trials: how many trials the tests ask for: enough for the sampler to use their values.
    """

    kinds: ClassVar[Sequence[str]] = (
        "numbers", "mixed", "conditional", "zipped", "constrained", "small",
    )  # fmt: skip
    objectives: ClassVar[Objectives] = (("loss", "minimize"),)
    trials: ClassVar[int] = 16

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        """Return your sampler."""
        raise NotImplementedError("say in make(space, seed, objectives) how your sampler is made")

    # -- The tests ---------------------------------------------------------------------------------

    def test_each_proposal_lies_in_the_space(self) -> None:
        """A proposal has exactly the active names, and keeps ranges, zips and constraints."""
        for space, observations in self._searched():
            for each in observations:
                assert space.contains(each.configuration), (
                    f"outside the space: {each.configuration}"
                )

    def test_no_configuration_is_proposed_twice(self) -> None:
        """A search never runs the same hyperparameters twice."""
        for _, observations in self._searched():
            configurations = [each.configuration for each in observations]
            hashes = [canonical_hash(configuration) for configuration in configurations]
            twice = [p for p, h in zip(configurations, hashes, strict=True) if hashes.count(h) > 1]
            assert not twice, f"proposed more than once, though told of them: {twice}"

    def test_asking_changes_nothing(self) -> None:
        """A worker may die between asking and making the folder: nothing is used up."""
        for space in self._spaces():
            sampler = self.make(space, 230, self.objectives)
            first = sampler.ask(1)
            assert first is not None, "ask(1) proposed nothing for an empty search"
            expected = json.loads(json.dumps(first.configuration))
            first.configuration["changed by the caller"] = True
            again = sampler.ask(1)
            assert again is not None, "asked again without any observation, it proposed nothing"
            assert again.configuration == expected, (
                f"asked again for trial 1 it proposed {again.configuration}, before {expected}"
            )

    def test_a_restart_changes_nothing(self) -> None:
        """A new sampler with the same observations proposes exactly the same."""
        for space in self._spaces():
            full = self._search(space)
            for done in range(len(full)):
                self._check_restart(space, full, done)

    def test_the_order_of_telling_does_not_matter(self) -> None:
        """Observations may come in any order: folders are read in any order."""
        for space in self._spaces():
            full = self._search(space)
            backwards = self._ask(space, len(full) + 1, reversed(full))
            forwards = self._ask(space, len(full) + 1, full)
            assert backwards == forwards, (
                f"told in another order it proposes {backwards}, not {forwards}"
            )

    def test_what_was_told_again_counts_once(self) -> None:
        """An observation may come several times: when the trial is made, runs, and has ended."""
        for space in self._spaces():
            full = self._search(space)
            stages = [_as(each, status) for each in full for status in ("pending", "running")]
            twice = self._ask(space, len(full) + 1, [*stages, *full, *full])
            once = self._ask(space, len(full) + 1, full)
            assert twice == once, f"told of trials again it proposes {twice}, not {once}"

    def test_another_seed_proposes_other_configurations(self) -> None:
        """Different seeds give different searches."""
        for space in self._spaces(but=("small",)):
            proposals = [self.make(space, seed, self.objectives).ask(1) for seed in range(5)]
            configurations = {
                canonical_hash(each.configuration) for each in proposals if each is not None
            }
            assert len(configurations) > 1, "five seeds propose the same first configuration"

    def test_a_finite_space_is_searched_whole(self) -> None:
        """Once every configuration was proposed, the sampler proposes None: the search is done."""
        for space in self._spaces(only=("small",)):
            observations = self._search(space, trials=100)
            assert len(observations) == 6, (  # noqa: PLR2004 - the space's size
                f"proposed {len(observations)} of the 6 configurations, and then None"
            )

    def test_a_configuration_of_another_folder_stays_free_unless_it_is_reused(self) -> None:
        """Trials of another search are only information: their configurations stay free."""
        for space in self._spaces(only=("small",)):
            configuration = self._search(space, trials=1)[0].configuration
            values = dict.fromkeys((name for name, _ in self.objectives), 0.5)
            row = Observation(None, configuration, "completed", values)
            assert len(self._search(space, [row], trials=100)) == 6  # noqa: PLR2004 - as above
            reused = Observation(
                None, configuration, "completed", values, {"reused": "../elsewhere"}
            )
            assert len(self._search(space, [reused], trials=100)) == 5  # noqa: PLR2004 - one less

    def test_trials_that_taught_nothing_do_no_harm(self) -> None:
        """Trials that failed, were pruned, or have odd values do not break a sampler."""
        for space in self._spaces(but=("small",)):
            full = self._search(space)
            odd = [
                _as(full[0], "failed"),
                _as(full[1], "completed"),
                _as(full[2], "completed", dict.fromkeys(full[2].values, math.inf)),
                Observation(
                    full[3].number, full[3].configuration, "pruned", full[3].values, {"step": 3}
                ),
                Observation(full[4].number, {"no_such_name": 1}, "completed", full[4].values),
            ]
            proposal = self.make(space, 230, self.objectives)
            for each in (*odd, *full[5:]):
                proposal.tell(each)
            found = proposal.ask(len(full) + 1)
            assert found is not None, "proposed nothing after trials that taught nothing"
            assert space.contains(found.configuration), f"outside the space: {found.configuration}"

    def test_workers_that_ask_at_once_get_different_configurations(self) -> None:
        """Workers that ask at the same time know each other's running trials."""
        for space in self._spaces(but=("small",)):
            full = self._search(space)
            sampler = self.make(space, 230, self.objectives)
            for each in full:
                sampler.tell(each)
            found: set[str] = set()
            for number in range(len(full) + 1, len(full) + 9):
                proposal = sampler.ask(number)
                assert proposal is not None, "proposed nothing while others run"
                found.add(canonical_hash(proposal.configuration))
                sampler.tell(
                    Observation(number, proposal.configuration, "running", {}, proposal.notes)
                )
            assert len(found) == 8, (  # noqa: PLR2004 - as many as were asked for
                f"8 workers at once got {len(found)} different configurations"
            )

    def test_notes_are_what_json_can_hold(self) -> None:
        """Notes are written to `trial.json`, so JSON must be able to hold them."""
        for _, observations in self._searched():
            for each in observations:
                notes = dict(each.notes)
                assert json.loads(json.dumps(notes)) == notes, f"JSON cannot hold {notes}"

    # -- Helpers -----------------------------------------------------------------------------------

    def _spaces(self, only: Sequence[str] = (), but: Sequence[str] = ()) -> list[Space]:
        there = spaces()
        kinds = [kind for kind in self.kinds if (not only or kind in only) and kind not in but]
        return [there[kind] for kind in kinds]

    def _searched(self) -> list[tuple[Space, list[Observation]]]:
        return [(space, self._search(space)) for space in self._spaces()]

    def _search(
        self, space: Space, first: Iterable[Observation] = (), *, trials: int | None = None
    ) -> list[Observation]:
        """Simulate a search until it has enough trials or nothing is left to propose."""
        return simulate_search(
            lambda: self.make(space, 230, self.objectives),
            self.objectives,
            self.trials if trials is None else trials,
            first,
        )

    def _ask(self, space: Space, number: int, told: Iterable[Observation]) -> Proposal | None:
        sampler = self.make(space, 230, self.objectives)
        for each in told:
            sampler.tell(each)
        return sampler.ask(number)

    def _check_restart(self, space: Space, full: Sequence[Observation], done: int) -> None:
        proposal = self._ask(space, done + 1, full[:done])
        assert proposal is not None, f"after a restart nothing is proposed for trial {done + 1}"
        expected = full[done]
        assert proposal.configuration == expected.configuration, (
            f"trial {done + 1} differs after a restart"
        )
        assert dict(proposal.notes) == dict(expected.notes), (
            f"the notes of trial {done + 1} differ after a restart"
        )


def simulate_search(
    make: Callable[[], Sampler],
    objectives: Objectives,
    trials: int,
    first: Iterable[Observation] = (),
) -> list[Observation]:
    """Run a search in memory with one worker: ask, compute `loss`, tell; return the observations.

    Args:
        make: makes the sampler.
        objectives: the metrics, each with its direction.
        trials: the most trials to run.
        first: observations to tell the sampler before the first trial.
    """
    sampler = make()
    for each in first:
        sampler.tell(each)
    observations: list[Observation] = []
    while len(observations) < trials:
        number = len(observations) + 1
        proposal = sampler.ask(number)
        if proposal is None:
            break
        values = {
            name: loss(proposal.configuration) * (1 if place == 0 else -1) + place
            for place, (name, _) in enumerate(objectives)
        }
        notes = json.loads(json.dumps(dict(proposal.notes)))  # as they would come back from disk
        made = Observation(number, proposal.configuration, "completed", values, notes)
        sampler.tell(made)
        observations.append(made)
    return observations


def _as(
    observation: Observation, status: str, values: Mapping[str, float] | None = None
) -> Observation:
    return Observation(
        observation.number, observation.configuration, status, values or {}, observation.notes
    )
