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
    """A trial: its number, its folder's name, the searched point, all values and their hash.

    `retry_of` is the number of the trial that it was made after, with some values set by hand;
    `parent` is the one whose last weights it begins with: its number, name and step.
    `repeat` says which repeat of its point it is, from 1; `notes` are its sampler's.
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
    """A trial that may run now, as `attempt`: of several who are given the same turn, the one who
    gets that attempt's run file published runs it.
    """

    record: TrialRecord
    attempt: int
