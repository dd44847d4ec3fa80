"""A trial as its claim describes it, and the turn of one that may run now.

The scheduler makes turns and the worker runs them. How claims are made and read: `trials.py`.
The trial object of the loop in Python is another one: `Trial` in `loop.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrialRecord:
    """A trial: its number, its folder's name, its configuration, all values and their hash.

    `point` is the configuration: the searched hyperparameters. `retry_of` is the number of the
    trial that it was made after, with some values set by hand. `parent` is the one whose last
    weights it begins with: its number, name and step. `repeat` says which repeat of its
    configuration it is, from 1. `notes` are its sampler's.
    """

    number: int
    name: str
    point: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    hash: str
    retry_of: int | None = None
    parent: Mapping[str, Any] | None = None
    repeat: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Turn:
    """A trial that may run now, as `attempt`.

    Several workers may get the same turn. The one that publishes the run file of the attempt runs
    it.
    """

    record: TrialRecord
    attempt: int
