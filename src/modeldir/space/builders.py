"""Ranges in Python, such as `space.uniform(0, 0.5)`: what `search.json` has in their place.

Scripts call these functions; nothing is checked here. `parsing` checks every space.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modeldir.errors import SpaceError

When = Mapping[str, Any]


def uniform(low: float, high: float, step: float | None = None, when: When | None = None) -> Any:
    """Return a float from `low` to `high`, both included; with a `step`, low + k * step.

    >>> uniform(0, 0.5, step=0.1)
    {'uniform': [0, 0.5], 'step': 0.1}
    """
    return _range("uniform", low, high, step, when)


def log_uniform(
    low: float, high: float, step: float | None = None, when: When | None = None
) -> Any:
    """Return a float above 0; every factor of ten is equally likely.

    >>> log_uniform(1e-5, 1e-1)
    {'log_uniform': [1e-05, 0.1]}
    """
    return _range("log_uniform", low, high, step, when)


def int(low: float, high: float, step: float | None = None, when: When | None = None) -> Any:  # noqa: A001 - the word
    """Return an integer from `low` to `high`, both included; with a `step`, low + k * step.

    >>> int(1, 6, when={"model_version": ["deep", "deeper"]})
    {'int': [1, 6], 'when': {'model_version': ['deep', 'deeper']}}
    """
    return _range("int", low, high, step, when)


def log_int(low: float, high: float, step: float | None = None, when: When | None = None) -> Any:
    """Return an integer from 1 on; every factor of ten is equally likely.

    >>> log_int(16, 512)
    {'log_int': [16, 512]}
    """
    return _range("log_int", low, high, step, when)


def choice(values: Iterable[Any], when: When | None = None) -> Any:
    """Return one of the values.

    >>> choice(["adam", "sgd"]), choice([0.9, 0.99], when={"optimizer": "sgd"})
    (['adam', 'sgd'], {'values': [0.9, 0.99], 'when': {'optimizer': 'sgd'}})
    """
    listed = list(values)
    return listed if when is None else {"values": listed, "when": _when(when)}


def _range(word: str, low: float, high: float, step: float | None, when: When | None) -> Any:
    steps = {} if step is None else {"step": step}
    return {word: [low, high], **steps, **({} if when is None else {"when": _when(when)})}


def _when(when: object) -> dict[str, Any]:
    """Return a condition as a dict. Anything but a mapping is an error that says what to write."""
    if isinstance(when, Mapping):
        return dict(when)
    raise SpaceError(
        f"when: got {when!r}\n"
        '  write when={"optimizer": "adam"}: a name, and the values at which this is active'
    )
