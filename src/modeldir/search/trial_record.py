"""A trial as its claim describes it, and the turn of one that may run now.

How claims are made and read: `trials.py`. The `Trial` of the loop in Python: `loop.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modeldir.experiment import trial_labels


@dataclass(frozen=True)
class TrialRecord:
    """A trial: its number, its folder's name, its configuration, all values and their hash.

    `retry_of` is the number of the trial that it was made after, with some values set by hand.
    `parent` is the one whose last weights it begins with: its number, name and step. `repeat`
    counts from 1.
    """

    number: int
    name: str
    configuration: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    hash: str
    retry_of: int | None = None
    parent: Mapping[str, Any] | None = None
    repeat: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def title(self) -> str:
        """How messages name it: `trial 12`, or `trial 3 (learning_rate_0.1)`."""
        return trial_labels.title(self.number, self.name)


class PlannedTrial(NamedTuple):
    """A trial that would be made: number, name, configuration and the words of its command."""

    number: int
    name: str
    configuration: Mapping[str, Any]
    command: tuple[str, ...]


@dataclass(frozen=True)
class Turn:
    """A trial that may run now, as `attempt`.

    Several workers may get the same turn. The one that publishes the run file of the attempt runs
    it.
    """

    record: TrialRecord
    attempt: int
