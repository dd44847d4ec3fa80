"""Properties of a dimension that a model needs: an order, a log scale, integers, a step.

Samplers that fit a model call these functions.
"""

from __future__ import annotations

from typing import Any

from modeldir.space import Choice, Dim


def sorted_numbers(domain: Choice) -> tuple[Any, ...] | None:
    """Return the options in ascending order if they are three or more numbers, else None."""
    options = domain.options
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in options)
    return tuple(sorted(options)) if numbers and len(options) > 2 else None  # noqa: PLR2004 - two need no order


def is_log(dim: Dim) -> bool:
    return getattr(dim.domain, "word", "").startswith("log_")


def is_integer(dim: Dim) -> bool:
    return getattr(dim.domain, "word", "").endswith("int")
