"""CMA-ES: a normal distribution over the search space that adapts its mean and covariance.

Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, 2016. Its state is computed from
the trials, whose notes contain their generation and the numbers of the parent trials, so a restart
finds the same state. A trial that ends after its generation changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from modeldir.samplers import (
    Objectives,
    Observation,
    Problem,
    Proposal,
    missing_packages,
    objective_values,
)
from modeldir.samplers.dimensions import is_integer, is_log, sorted_numbers
from modeldir.samplers.used_configurations import Taken, seed_for
from modeldir.space import Choice, Dim, Space

TRIES = 10
"""The number of attempts to propose a new configuration before drawing a random one."""

SPREAD = 0.25
"""The initial standard deviation. Each axis goes from 0 to 1."""


class CMAES:
    """Covariance matrix adaptation.

    Args:
        population: the number of trials in a generation; by default 4 + 3 ln(dimensions).
    """

    minimums: ClassVar[Mapping[str, int]] = {"population": 2}
    """The smallest allowed value of each integer option."""

    def __init__(
        self,
        space: Space,
        seed: int,
        objectives: Objectives = (),
        *,
        population: int | None = None,
    ) -> None:
        self._space, self._seed, self._objectives = space, seed, objectives
        self._axes = [_UnitAxis(dim) for dim in space.dims]
        self._population = population or 4 + int(3 * math.log(max(1, len(self._axes))))
        self._taken = Taken(space, seed)
        self._trials: dict[int, Observation] = {}
        self._scored: dict[int, tuple[tuple[float, ...], float]] = {}
        self._foreign: list[Observation] = []
        self._state: Any = None
        self._applied: list[tuple[Any, ...]] = []

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        yield from missing_packages("cmaes", "cmaes")
        for dim in space.dims:
            if dim.condition:
                yield Problem(
                    f"{dim.name}: cmaes cannot search a hyperparameter with a condition", _INSTEAD
                )
            elif isinstance(dim.domain, Choice) and not sorted_numbers(dim.domain):
                yield Problem(f"{dim.name}: cmaes needs a range, or a list of numbers", _INSTEAD)
        if len(space.dims) < 2:  # noqa: PLR2004 - a covariance needs two
            yield Problem("cmaes needs two hyperparameters that vary, or more", _INSTEAD)
        if len(objectives) > 1:
            yield Problem(
                "cmaes optimizes one metric, but the search has several", "use --sampler nsga2"
            )

    def ask(self, number: int) -> Proposal | None:
        if self._taken.is_exhausted:
            return None
        generation, parents = self._generation()
        notes = {"generation": generation, "from": parents}
        state = self._state_before(generation, parents)
        for again in range(TRIES):
            state.reseed_rng(seed_for(self._seed, number, again))
            point = self._point(state.ask())
            if point not in self._taken and self._space.allows(point):
                return Proposal(point, notes)
        other = self._taken.drawn(number)
        return None if other is None else Proposal(other, notes)

    def tell(self, observation: Observation) -> None:
        self._taken.add(observation)
        if observation.number is None:
            self._foreign.append(observation)
        else:
            self._trials[observation.number] = observation
            loss = self._loss(observation)
            if loss is None:
                self._scored.pop(observation.number, None)
            else:
                self._scored[observation.number] = (
                    self._coordinates(observation.configuration),
                    loss,
                )

    def _generation(self) -> tuple[int, list[int]]:
        """Return the generation of a new trial, and the numbers of its parent trials."""
        newest = max(0, *map(_generation_of, self._trials.values()), 0)
        completed = [n for n in self._scored if _generation_of(self._trials[n]) == newest]
        if len(completed) >= self._population:
            return newest + 1, sorted(completed)[: self._population]
        return newest, self._parents().get(newest, [])

    def _parents(self) -> dict[int, list[int]]:
        """Return each generation's parent trials, from the notes of its first trial."""
        parents: dict[int, list[int]] = {}
        for number in sorted(self._trials, reverse=True):
            noted = self._trials[number].notes.get("from")
            if noted:
                parents[_generation_of(self._trials[number])] = list(noted)
        return parents

    def _state_before(self, generation: int, parents: list[int]) -> Any:
        """Return the optimizer's state after all generations before this one.

        The last state is kept. It is computed from the start again only if its past has changed.
        """
        noted = self._parents()
        selected = [*(noted.get(each, []) for each in range(1, generation)), parents]
        updates = [each for numbers in selected[:generation] if (each := self._results(numbers))]
        if self._state is None or updates[: len(self._applied)] != self._applied:
            self._state, self._applied = self._initial_state(), []
        for update in updates[len(self._applied) :]:
            self._state.tell(_solutions(update))
            self._applied.append(update)
        return self._state

    def _results(self, numbers: list[int]) -> tuple[Any, ...] | None:
        """Return these trials' coordinates and losses; None if one is gone: it teaches nothing."""
        results = tuple(self._scored[number] for number in numbers if number in self._scored)
        return results if len(results) == self._population else None

    def _initial_state(self) -> Any:
        """Return the first state: around the best earlier experiment, or the center."""
        import cmaes  # noqa: PLC0415 - heavy, and an extra
        import numpy as np  # noqa: PLC0415

        mean = [0.5] * len(self._axes)
        earlier = [(v, each) for each in self._foreign if (v := self._loss(each)) is not None]
        if earlier:
            mean = list(self._coordinates(min(earlier, key=lambda pair: pair[0])[1].configuration))
        bounds = np.array([[0.0, 1.0]] * len(self._axes))
        return cmaes.CMA(
            np.array(mean), SPREAD, bounds=bounds, population_size=self._population, seed=0
        )

    def _loss(self, observation: Observation) -> float | None:
        """Return the value to minimize; None if not completed or outside the search space."""
        values = objective_values(observation, self._objectives)
        if observation.status != "completed" or not values:
            return None
        if not self._space.fits(observation.configuration):
            return None
        return -values[0] if self._objectives[0][1] == "maximize" else values[0]

    def _coordinates(self, point: Mapping[str, Any]) -> tuple[float, ...]:
        values = self._space.dims_of(point)
        return tuple(axis.to_unit(values[axis.name]) for axis in self._axes)

    def _point(self, coordinates: Any) -> dict[str, Any]:
        values = {
            axis.name: axis.from_unit(float(u))
            for axis, u in zip(self._axes, coordinates, strict=True)
        }
        return self._space.complete(values)


_INSTEAD = "use --sampler tpe"


def _generation_of(observation: Observation) -> int:
    """Return a trial's generation: -1 for a trial of another sampler."""
    generation = observation.notes.get("generation")
    return generation if isinstance(generation, int) else -1


def _solutions(results: tuple[Any, ...]) -> list[Any]:
    import numpy as np  # noqa: PLC0415 - heavy, and an extra

    return [(np.array(coordinates), loss) for coordinates, loss in results]


class _UnitAxis:
    def __init__(self, dim: Dim) -> None:
        self.name = dim.name
        domain: Any = dim.domain
        self._domain = domain
        self._options = sorted_numbers(dim.domain) if isinstance(dim.domain, Choice) else None
        self._log, self._first = is_log(dim), 0
        if is_integer(dim) and self._log:
            low, high = domain.low - 0.5, domain.high + 0.5
        elif is_integer(dim):  # count from the lowest: a float cannot distinguish large integers
            self._first = domain.low
            low, high = -0.5, domain.high - domain.low + 0.5
        elif self._options is None:
            low, high = domain.low, domain.high
        else:
            low, high = -0.5, len(self._options) - 0.5
        self._low = float(math.log(low) if self._log else low)
        self._high = float(math.log(high) if self._log else high)

    def to_unit(self, value: Any) -> float:
        number = value - self._first if self._options is None else self._options.index(value)
        number = math.log(number) if self._log else number
        return float((number - self._low) / (self._high - self._low))

    def from_unit(self, u: float) -> Any:
        number = self._low + (self._high - self._low) * u
        number = math.exp(number) if self._log else number
        if self._options is not None:
            return self._options[min(len(self._options) - 1, max(0, round(number)))]
        return self._domain.nearest(self._first + round(number) if self._first else number)
