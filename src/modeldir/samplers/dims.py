"""Properties of a dimension that a model needs: an order, a log scale, integers, a step.

Samplers that fit a model call these functions (`_optuna.py`, `cmaes.py`). `point_key` compares
configurations. The class of dimensions itself is in `modeldir.space`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modeldir.params import equality
from modeldir.space import Choice

if TYPE_CHECKING:
    from collections.abc import Hashable

    from modeldir.space import Dim, Space


def sorted_numbers(domain: Choice) -> tuple[Any, ...] | None:
    """Return the options in ascending order if they are three or more numbers, else None."""
    options = domain.options
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in options)
    return tuple(sorted(options)) if numbers and len(options) > 2 else None  # noqa: PLR2004 - two need no order


def is_log(dim: Dim) -> bool:
    """Return whether a dimension is a range on a log scale."""
    return getattr(dim.domain, "word", "").startswith("log_")


def is_integer(dim: Dim) -> bool:
    """Return whether a dimension is a range of integers."""
    return getattr(dim.domain, "word", "").endswith("int")


def step_of(dim: Dim) -> Any:
    """Return the step of a range, or None."""
    return getattr(dim.domain, "step", None)


def in_domains(space: Space, point: Mapping[str, Any]) -> bool:
    """Return whether a configuration has exactly its active names, each within its range.

    It may break a constraint: the constraint may be newer, and a model can still learn from it.
    """
    if point.keys() != set(space.active_names(point)):
        return False
    if not all(space.domains[name].contains(point[name]) for name in point):
        return False
    together = (dim for dim in space.dims if len(dim.names) > 1 and dim.names[0] in point)
    return all(dim.domain.contains(tuple(point[name] for name in dim.names)) for dim in together)


def constants(space: Space) -> dict[str, Any]:
    """Return the hyperparameters that have a single value, active or not."""
    return {
        name: value
        for unit in space.units
        if len(options := unit.domain.values() or ()) == 1
        for name, value in unit.spread(options[0]).items()
    }


def point_key(point: Mapping[str, Any]) -> Hashable:
    """Return a key that is equal for equal configurations, faster than their canonical hash."""
    return frozenset([(name, equality.key(value)) for name, value in point.items()])
