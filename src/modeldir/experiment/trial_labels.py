"""How a trial is named to people: by its number, and by its folder.

Tables, messages and the live view call this. A trial's number is its identity, and commands accept
it. The names of folders by values: `space/trial_names.py`.
"""

from __future__ import annotations

from pathlib import Path

from modeldir._system import reading, recorded_numbers


def numbered_name(number: int) -> str:
    """Return the name of a trial's folder by its number, for configurations with many values.

    >>> numbered_name(12), numbered_name(10000)
    ('trial_0012', 'trial_10000')
    """
    return f"trial_{number:04d}"


def name_beside(number: int | None, name: str) -> str:
    """Return the name to print after a trial's number: none if it says no more.

    >>> name_beside(3, "learning_rate_0.1"), name_beside(12, "trial_0012")
    ('learning_rate_0.1', '')
    """
    return "" if number is not None and name == numbered_name(number) else name


def title(number: int | None, name: str) -> str:
    """Return a trial's name in a sentence: its number, and its folder's name if that says more.

    >>> title(3, "learning_rate_0.1"), title(12, "trial_0012"), title(None, "base_model")
    ('trial 3 (learning_rate_0.1)', 'trial 12', 'base_model')
    """
    if number is None:
        return name
    beside = name_beside(number, name)
    return f"trial {number} ({beside})" if beside else f"trial {number}"


def number_in(folder: Path) -> int | None:
    """Return the number that a trial's folder records."""
    return recorded_numbers.integer(reading.read_object(folder / "trial.json").get("number"))


def title_of(folder: Path) -> str:
    """Return the title of the trial in a folder."""
    return title(number_in(folder), folder.name)
