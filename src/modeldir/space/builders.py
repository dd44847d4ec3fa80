"""Ranges in Python, such as `space.uniform(0, 0.5)`: what `search.json` has in their place.

Scripts call these functions; nothing is checked here. `parsing` checks every space.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modeldir.errors import SpaceError

Condition = Mapping[str, Any]


def uniform(
    low: float, high: float, step: float | None = None, condition: Condition | None = None
) -> Any:
    """Return a float from `low` to `high`, both included; with a `step`, low + k * step.

    >>> uniform(0, 0.5, step=0.1)
    {'uniform': [0, 0.5], 'step': 0.1}
    """
    return _range("uniform", low, high, step, condition)


def log_uniform(
    low: float, high: float, step: float | None = None, condition: Condition | None = None
) -> Any:
    """Return a float above 0; every factor of ten is equally likely.

    >>> log_uniform(1e-5, 1e-1)
    {'log_uniform': [1e-05, 0.1]}
    """
    return _range("log_uniform", low, high, step, condition)


def int(  # noqa: A001 - the word
    low: float, high: float, step: float | None = None, condition: Condition | None = None
) -> Any:
    """Return an integer from `low` to `high`, both included; with a `step`, low + k * step.

    >>> int(1, 6, condition={"model_version": ["deep", "deeper"]})
    {'int': [1, 6], 'condition': {'model_version': ['deep', 'deeper']}}
    """
    return _range("int", low, high, step, condition)


def log_int(
    low: float, high: float, step: float | None = None, condition: Condition | None = None
) -> Any:
    """Return an integer from 1 on; every factor of ten is equally likely.

    >>> log_int(16, 512)
    {'log_int': [16, 512]}
    """
    return _range("log_int", low, high, step, condition)


def choice(values: Iterable[Any], condition: Condition | None = None) -> Any:
    """Return one of the values.

    >>> choice(["adam", "sgd"]), choice([0.9, 0.99], condition={"optimizer": "sgd"})
    (['adam', 'sgd'], {'values': [0.9, 0.99], 'condition': {'optimizer': 'sgd'}})
    """
    listed = list(values)
    return listed if condition is None else {"values": listed, "condition": _checked(condition)}


def _range(
    word: str, low: float, high: float, step: float | None, condition: Condition | None
) -> Any:
    steps = {} if step is None else {"step": step}
    return {
        word: [low, high],
        **steps,
        **({} if condition is None else {"condition": _checked(condition)}),
    }


def _checked(condition: object) -> dict[str, Any]:
    """Return a condition as a dict. Anything but a mapping is an error that says what to write."""
    if isinstance(condition, Mapping):
        return dict(condition)
    raise SpaceError(
        f"condition: got {condition!r}\n"
        '  write condition={"optimizer": "adam"}: a name, and the values at which this is active'
    )
