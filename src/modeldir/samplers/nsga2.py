"""NSGA-II: an evolution for several metrics at once, by Optuna.

It keeps the trials that no other beats in all metrics, and those that lie alone. A generation goes
on until `population` of its trials have completed; then its parents are chosen, once, and each
trial of the next says in its notes of which generation it is and who the parents were. So a restart
finds them, also where a trial of an older generation has ended since.

Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6, 2002.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modeldir.samplers import Objectives, Problem, Proposal
from modeldir.samplers.optunas import ByOptuna, is_completed, lacking, number_of, quietly
from modeldir.samplers.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from modeldir.samplers.optunas import History
    from modeldir.space import Space


class NSGA2(ByOptuna):
    """The non-dominated sorting genetic algorithm.

    Args:
        population: how many trials make a generation.
    """

    def __init__(
        self, space: Space, seed: int, objectives: Objectives = (), *, population: int = 20
    ) -> None:
        super().__init__(space, seed, objectives)
        self._population = population
        self._start = Start(space, seed)

    @staticmethod
    def refuses(space: Space, objectives: Objectives) -> Iterator[Problem]:
        """Nothing but that Optuna is missing."""
        del space, objectives
        yield from lacking("nsga2")

    def _proposed(self, number: int, seed: int) -> Proposal | None:
        generation = self._generation()
        if generation == 0:
            first = self._start.ask(number)
            return None if first is None else Proposal(first.point, {"generation": 0})
        with quietly():
            sampler = _evolution()(self._history, generation, self._population, seed)
            point = self._point(self._history.ask(sampler))
        return Proposal(point, {"generation": generation, "parents": sampler.parents})

    def _notes_of_other(self, number: int) -> Mapping[str, Any]:
        """A point by chance is a mutant of its generation."""
        del number
        return {"generation": self._generation()}

    def _generation(self) -> int:
        """The one that a new trial belongs to: the last, or the next where that one is complete."""
        told = [generation_of(notes) for _, _, notes in self._history.told()]
        newest = max(told, default=0)
        return newest + (self._history.completed(newest) >= self._population)


def generation_of(notes: Mapping[str, Any]) -> int:
    """A trial's generation; one that another sampler made belongs to the first."""
    generation = notes.get("generation", 0)
    return generation if isinstance(generation, int) else 0


@functools.cache
def _evolution() -> Any:
    """Optuna's sampler with the generations as the notes tell them; made once, since it derives
    from a class of an extra.
    """
    from optuna.samplers import NSGAIISampler  # noqa: PLC0415 - heavy, and an extra

    class Evolution(NSGAIISampler):
        """One ask of NSGA-II. `parents` are the numbers of those that were chosen from."""

        def __init__(self, history: History, generation: int, population: int, seed: int) -> None:
            super().__init__(population_size=population, seed=seed)
            self._history, self._current = history, generation
            self.parents: list[int] = []

        def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
            del study, trial
            return self._current

        def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
            del study
            return [
                row
                for _, row, notes in self._history.told()
                if is_completed(row) and generation_of(notes) == generation
            ]

        def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
            if generation == 0:
                return []
            numbers = self._noted(generation)
            if numbers is None:
                chosen = self.select_parent(study, generation)
            else:
                told = self._history.told()
                chosen = [row for number, row, _ in told if number in numbers and is_completed(row)]
            if generation == self._current:
                self.parents = sorted(number_of(row) for row in chosen)
            return chosen

        def _noted(self, generation: int) -> set[int] | None:
            for _, _, notes in self._history.told():
                if generation_of(notes) == generation and isinstance(notes.get("parents"), list):
                    return set(notes["parents"])
            return None

    return Evolution
