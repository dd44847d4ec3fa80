"""What a model needs to know of a dim: whether it has an order, a logarithm, whole numbers.

The samplers that fit a model use it (`_optuna.py`, `cmaes.py`). Dims themselves: `modeldir.space`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modeldir.space import Choice

if TYPE_CHECKING:
    from modeldir.space import Dim, Space


def sorted_numbers(domain: Choice) -> tuple[Any, ...] | None:
    """The options from small to large, if they are three numbers or more; else None."""
    options = domain.options
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in options)
    return tuple(sorted(options)) if numbers and len(options) > 2 else None  # noqa: PLR2004 - as said


def is_log(dim: Dim) -> bool:
    """Whether a dim is a range whose factors count."""
    return getattr(dim.domain, "word", "").startswith("log_")


def is_integer(dim: Dim) -> bool:
    """Whether a dim is a range of whole numbers."""
    return getattr(dim.domain, "word", "").endswith("int")


def step_of(dim: Dim) -> Any:
    """The step of a range, or None."""
    return getattr(dim.domain, "step", None)


def in_domains(space: Space, point: Mapping[str, Any]) -> bool:
    """Whether a point has its active names and no other, each within its domain. Not more: a row
    that breaks a constraint, which may be newer than it, teaches as well as any.
    """
    if point.keys() != set(space.active_names(point)):
        return False
    if not all(space.domains[name].contains(point[name]) for name in point):
        return False
    together = (dim for dim in space.dims if len(dim.names) > 1 and dim.names[0] in point)
    return all(dim.domain.contains(tuple(point[name] for name in dim.names)) for dim in together)


def constants(space: Space) -> dict[str, Any]:
    """What has one value, whether it counts or not."""
    return {
        name: value
        for unit in space.units
        if len(options := unit.domain.values() or ()) == 1
        for name, value in unit.spread(options[0]).items()
    }
