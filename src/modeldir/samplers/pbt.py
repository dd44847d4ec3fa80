"""Population-based training: replace the worst trials with changed copies of the best ones.

Jaderberg et al., "Population Based Training of Neural Networks", 2017. A proposal's notes name the
`parent`, from whose last weights the new trial starts. `modeldir.pruners.pbt` stops the worst
trials. The rule: copy only a parent that still has steps to train.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modeldir.errors import SpaceError
from modeldir.samplers import Objectives, Observation, Problem, Proposal
from modeldir.samplers.used_configurations import TRIES, Taken, rng_for
from modeldir.space import Choice

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from modeldir.space import Dim, Space

POPULATION = 8
"""The default number of members."""

FACTORS = (0.8, 1.2)
"""A perturbation multiplies a number by one of these, as in the paper's appendix."""


class PBT:
    """A population of trials, with a replacement for each one that the pruner stops.

    Args:
        space: the search space.
        seed: the random seed. It and a trial's number decide every random choice for that trial.
        objectives: the metric to rank by.
        population: the number of trials in the population. The first ones are random.
        interval: the number of steps between two comparisons of a member with the others.
        quantile: the fraction of the members to stop (the worst) and to copy (the best).
        resample: the probability that a value is drawn again instead of perturbed.

    Raises:
        SpaceError: if an option has an invalid value.
    """

    follows = True
    """The values of running trials decide which ones are copied."""
    exhausted_reason = (
        "no stopped trial could be replaced, because no other member was still running\n"
        "  members have to run in parallel: set -j to the size of the population"
    )

    def __init__(  # noqa: PLR0913 - the options of the algorithm
        self,
        space: Space,
        seed: int,
        objectives: Objectives = (),
        *,
        population: int = POPULATION,
        interval: int = 1,
        quantile: float = 0.25,
        resample: float = 0.25,
    ) -> None:
        problems = [*_option_problems(population, interval, quantile, resample)]
        problems = problems or [*_size_problems(population, quantile)]
        if problems:
            raise SpaceError("The options of pbt are not valid:", problems)
        self._space, self._seed, self._objectives = space, seed, objectives
        self._population, self._quantile, self._resample = population, quantile, resample
        self._taken = Taken(space, seed)
        self._members: dict[int, Observation] = {}

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:  # noqa: ARG004 - any space will do
        if len(objectives) > 1:
            yield Problem(
                "pbt ranks by one metric, but the search has several", "use --sampler nsga2"
            )
        elif not objectives:
            hint = "name it with --maximize accuracy, or --minimize loss"
            yield Problem("pbt needs a metric, because it compares members by it", hint)

    def ask(self, number: int) -> Proposal | None:
        """Propose a first member, or the replacement of a stopped one; None if none is needed."""
        founders = [each for each in self._members.values() if "replaces" not in each.notes]
        if len(founders) < self._population:
            point = self._taken.drawn(number)
            return None if point is None else Proposal(point)
        stopped = self._to_replace()
        return None if stopped is None else self._replacement(number, stopped)

    def tell(self, observation: Observation) -> None:
        self._taken.add(observation)
        if observation.number is not None:
            self._members[observation.number] = observation

    def _to_replace(self) -> int | None:
        replaced = {each.notes.get("replaces") for each in self._members.values()}
        stopped = (n for n, each in sorted(self._members.items()) if each.status == "pruned")
        return next((number for number in stopped if number not in replaced), None)

    def _replacement(self, number: int, stopped: int) -> Proposal | None:
        rng = rng_for(self._seed, number)
        best = self._best()
        if not best:
            return None
        parent = best[int(rng.random() * len(best))]
        copied: dict[str, Any] = {"number": parent.number}
        if "step" in parent.notes:
            copied["step"] = parent.notes["step"]
        if not self._still_trains(parent):
            copied["ended"] = True
        point = self._explore(parent.configuration, number, rng)
        return Proposal(point, {"parent": copied, "replaces": stopped})

    def _best(self) -> list[Observation]:
        """Return the top quantile of the members that still train; of all if none does."""
        ((name, direction),) = self._objectives
        scored = [
            each
            for _, each in sorted(self._members.items())
            if each.status in {"running", "completed"}
            and math.isfinite(each.values.get(name, math.nan))
        ]
        alive = [each for each in scored if self._still_trains(each)] or scored
        sign = -1 if direction == "maximize" else 1
        ranked = sorted(alive, key=lambda each: sign * each.values[name])
        return ranked[: math.ceil(self._quantile * len(ranked))]

    def _still_trains(self, member: Observation) -> bool:
        """Return whether a copy of this member would have steps left to train.

        A completed member has none. Nor has a running one at the last known step, or one step
        before it: it would finish before its copy starts.
        """
        step, end = member.notes.get("step"), member.notes.get("end")
        if member.status != "running":
            return False
        if step is None:
            return True
        ended = [each for each in self._members.values() if each.status == "completed"]
        done = [each.notes.get("step") for each in ended]
        known = [each for each in done if each is not None]
        return not (end is not None and step in (end - 1, end)) and step < max(
            known, default=math.inf
        )

    def _explore(self, point: Mapping[str, Any], number: int, rng: random.Random) -> dict[str, Any]:
        """Return a new, allowed configuration near this one, or the same one if none is left."""
        values = self._space.dims_of(point)
        for _ in range(TRIES):
            moved = {
                dim.name: self._perturb(dim, values.get(dim.name), rng) for dim in self._space.dims
            }
            explored = self._space.complete(moved)
            if self._space.contains(explored) and explored not in self._taken:
                return explored
        drawn = self._taken.drawn(number)
        return dict(point) if drawn is None else drawn

    def _perturb(self, dim: Dim, value: Any, rng: random.Random) -> Any:
        domain = dim.domain
        if value is None or rng.random() < self._resample:
            return domain.at(rng.random())
        up = rng.random() < 0.5  # noqa: PLR2004 - up and down are equally likely
        if isinstance(domain, Choice):
            index = domain.index(value) + (1 if up else -1)
            return domain.options[min(len(domain.options) - 1, max(0, index))]
        moved = domain.nearest(value * FACTORS[up])
        if moved == value:  # a small integer, or zero
            step = domain.step or (1 if isinstance(value, int) else (domain.high - domain.low) / 10)
            moved = domain.nearest(value + (step if up else -step))
        return moved


def _option_problems(
    population: object, interval: object, quantile: object, resample: object
) -> Iterator[Problem]:
    for name, value, least in (("population", population, 2), ("interval", interval, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            yield Problem(f"{name}: got {value!r}", f"expected an integer, {least} or more")
    for name, value, high in (("quantile", quantile, 0.5), ("resample", resample, 1)):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= high:
            yield Problem(f"{name}: got {value!r}", f"expected a number from 0 to {high}")
    if quantile == 0:
        yield Problem("quantile: got 0", "no member would ever be replaced")


def _size_problems(population: int, quantile: float) -> Iterator[Problem]:
    """Find a quantile below one member; `modeldir.pruners.pbt` rounds down in the same way."""
    if int(population * quantile) < 1:
        least = math.ceil(100 / population) / 100
        yield Problem(
            f"population: {population}: a quantile of {quantile:g} is less than one member",
            f"no member would ever be replaced; use quantile={least:g} or more",
        )
