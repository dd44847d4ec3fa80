"""NSGA-II: Optuna's evolutionary algorithm for several metrics.

The parents of a generation are chosen once: the notes of each new trial contain its generation and
its parents, so a restart finds them. Deb et al., "A fast and elitist multiobjective genetic
algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from modeldir.samplers import Objectives, Problem, Proposal, missing_packages
from modeldir.samplers._optuna import OptunaSampler
from modeldir.samplers.quiet_optuna import quietly
from modeldir.space import Space


class NSGA2(OptunaSampler):
    """The non-dominated sorting genetic algorithm.

    Args:
        population: the number of trials in a generation.
    """

    minimums: ClassVar[Mapping[str, int]] = {"population": 2}
    """The smallest allowed value of each integer option."""

    def __init__(
        self, space: Space, seed: int, objectives: Objectives = (), *, population: int = 20
    ) -> None:
        super().__init__(space, seed, objectives)
        self._population = population

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        del space, objectives
        yield from missing_packages("nsga2", "optuna")

    def _propose(self, number: int, seed: int) -> Proposal | None:
        generation = self._generation()
        if generation == 0:
            first = self._start(number)
            return None if first is None else Proposal(first.configuration, {"generation": 0})
        from modeldir.samplers._optuna_nsga2 import (  # noqa: PLC0415 - imports Optuna
            GenerationSampler,
        )

        with quietly():
            sampler = GenerationSampler(self._history, generation, self._population, seed)
            point = self._space.complete(self._history.ask(sampler))
        return Proposal(point, {"generation": generation, "parents": sampler.parents})

    def _fallback_notes(self, number: int) -> Mapping[str, Any]:
        """Count a random configuration as a mutant of its generation."""
        del number
        return {"generation": self._generation()}

    def _generation(self) -> int:
        """Return a new trial's generation: the newest, or the next if that is complete."""
        newest = self._history.newest_generation()
        return newest + (self._history.count_completed(newest) >= self._population)
