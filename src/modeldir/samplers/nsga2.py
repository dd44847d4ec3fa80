"""NSGA-II: an evolution for several metrics at once, by Optuna.

It keeps the trials that no other beats in all metrics, and those that lie alone. A generation goes
on until `population` of its trials have completed; then its parents are chosen, once, and each
trial of the next says in its notes of which generation it is and who the parents were. So a restart
finds them, also where a trial of an older generation has ended since.

Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6, 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from modeldir.samplers import Objectives, Problem, Proposal, missing_packages
from modeldir.samplers._optuna import OptunaSampler
from modeldir.samplers.quiet_optuna import quietly
from modeldir.samplers.startup import StartupSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modeldir.space import Space


class NSGA2(OptunaSampler):
    """The non-dominated sorting genetic algorithm.

    Args:
        population: how many trials make a generation.
    """

    minimums: ClassVar[Mapping[str, int]] = {"population": 2}
    """The smallest value of each option that is an integer."""

    def __init__(
        self, space: Space, seed: int, objectives: Objectives = (), *, population: int = 20
    ) -> None:
        super().__init__(space, seed, objectives)
        self._population = population
        self._start = StartupSampler(space, seed)

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        """Nothing but that Optuna is missing."""
        del space, objectives
        yield from missing_packages("nsga2", "optuna")

    def _propose(self, number: int, seed: int) -> Proposal | None:
        generation = self._generation()
        if generation == 0:
            first = self._start.ask(number)
            return None if first is None else Proposal(first.point, {"generation": 0})
        from modeldir.samplers._optuna_nsga2 import (  # noqa: PLC0415 - imports Optuna
            GenerationSampler,
        )

        with quietly():
            sampler = GenerationSampler(self._history, generation, self._population, seed)
            point = self._point(self._history.ask(sampler))
        return Proposal(point, {"generation": generation, "parents": sampler.parents})

    def _fallback_notes(self, number: int) -> Mapping[str, Any]:
        """A point by chance is a mutant of its generation."""
        del number
        return {"generation": self._generation()}

    def _generation(self) -> int:
        """The one that a new trial belongs to: the last, or the next where that one is complete."""
        newest = self._history.newest_generation()
        return newest + (self._history.count_completed(newest) >= self._population)
