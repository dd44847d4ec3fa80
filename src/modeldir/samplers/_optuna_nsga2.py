"""Optuna's NSGA-II with generations that it reads from the trials' notes, not from a database.

Only `nsga2.py` imports this module, inside a function, because it imports Optuna at its top.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.samplers import NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from modeldir.samplers._optuna import StudyHistory, is_completed, number_of


class GenerationSampler(NSGAIISampler):
    """NSGA-II for one ask. `parents` has the numbers of the trials that it chose as parents."""

    def __init__(self, history: StudyHistory, generation: int, population: int, seed: int) -> None:
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
            for _, row, notes in self._history.entries()
            if is_completed(row) and generation_of(notes) == generation
        ]

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        if generation == 0:
            return []
        numbers = self._parents_in_notes(generation)
        if numbers is None:
            chosen = self.select_parent(study, generation)
        else:
            entries = self._history.entries()
            chosen = [row for number, row, _ in entries if number in numbers and is_completed(row)]
        if generation == self._current:
            self.parents = sorted(number_of(row) for row in chosen)
        return chosen

    def _parents_in_notes(self, generation: int) -> set[int] | None:
        for _, _, notes in self._history.entries():
            if generation_of(notes) == generation and isinstance(notes.get("parents"), list):
                return set(notes["parents"])
        return None


def generation_of(notes: Mapping[str, Any]) -> int:
    """Return a trial's generation: 0 for a trial of another sampler."""
    generation = notes.get("generation", 0)
    return generation if isinstance(generation, int) else 0
