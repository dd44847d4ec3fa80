"""The domain of one hyperparameter: one value of a list, or a number in a range.

Samplers and `grids` use the domains. A domain turns a number from 0 to 1 into a value (`at`) and a
number that a model proposed into the nearest value (`nearest`), and lists its values.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeGuard

from modeldir.params.equality import key

if TYPE_CHECKING:
    from decimal import Decimal

WORDS = ("uniform", "log_uniform", "int", "log_int")
DIGITS = 6
"""Significant digits of a sampled float, so that name, file and table show the same number."""
ENDLESS = 1000
"""A grid does not list a range with more values than this."""


# Only `rng.random()` is used for random numbers: it is the only method of random.Random that gives
# the same numbers for a seed in every version of Python.


@dataclass(frozen=True)
class Choice:
    """One of the values of a list."""

    options: tuple[Any, ...]

    def at(self, part: float) -> Any:
        """Return the option at this fraction (0 to 1) of the list: all have the same share."""
        return self.options[min(len(self.options) - 1, int(part * len(self.options)))]

    def nearest(self, number: float) -> Any:
        """Return the option nearest to a number; of two, the one that is listed first."""
        numbers = [option for option in self.options if is_number(option)]
        _refuse_nan(number)
        return min(numbers, key=lambda option: abs(option - number))

    def values(self) -> tuple[Any, ...] | None:
        return self.options

    def index(self, value: object) -> int:
        """Return the position of a value. 1 and 1.0 are one value, 1 and true are two."""
        place = self._places.get(key(value))
        if place is None:
            raise ValueError(f"{value!r} is none of {self.options!r}")
        return place

    def contains(self, value: object) -> bool:
        return key(value) in self._places

    @cached_property
    def _places(self) -> Mapping[Hashable, int]:
        found: dict[Hashable, int] = {}
        for place, option in enumerate(self.options):
            found.setdefault(key(option), place)
        return found

    def to_json(self) -> Any:
        return list(self.options)


@dataclass(frozen=True)
class _Range:
    """Numbers from `low` to `high`, both included; with a `step`, only those at low + k * step."""

    low: Any
    high: Any
    step: Any = None
    word: ClassVar[str]

    def at(self, part: float) -> Any:
        raise NotImplementedError

    def to_json(self) -> Any:
        step = {} if self.step is None else {"step": self.step}
        return {self.word: [self.low, self.high], **step}


@dataclass(frozen=True)
class _Floats(_Range):
    low: float
    high: float
    step: float | None = None

    @cached_property
    def _count(self) -> int:
        assert self.step is not None
        return int((_exact(self.high) - _exact(self.low)) / _exact(self.step)) + 1

    def _stepped(self, place: int) -> float:
        """Return low + place * step as one writes it: 0.3, not 0.30000000000000004."""
        assert self.step is not None
        place = min(self._count - 1, max(0, place))
        return float(_exact(self.low) + place * _exact(self.step))

    def values(self) -> tuple[float, ...] | None:
        """Return the values, if they can be listed: one, or at most 1000 steps; else None."""
        if self.low == self.high:
            return (self.low,)
        if self.step is None or self._count > ENDLESS:
            return None
        return tuple(map(self._stepped, range(self._count)))

    def contains(self, value: object) -> bool:
        if not is_number(value) or not self.low <= value <= self.high:
            return False
        close = 0 if self.step is None else self.step * 1e-6
        return self.step is None or math.isclose(value, self.nearest(value), abs_tol=close)

    def nearest(self, number: float) -> float:
        """Return the nearest value: rounded to 6 digits or the step, within the bounds."""
        _refuse_nan(number)
        number = min(self.high, max(self.low, number)) if math.isinf(number) else number
        if self.step is None:
            return min(self.high, max(self.low, float(f"{number:.{DIGITS}g}")))
        number = min(self.high, max(self.low, number))
        return self._stepped(round((_exact(number) - _exact(self.low)) / _exact(self.step)))


@dataclass(frozen=True)
class Uniform(_Floats):
    """A float; all fractions of the range are equally likely."""

    word = "uniform"

    def at(self, part: float) -> float:
        if self.step is not None:
            return self._stepped(int(part * self._count))
        return self.nearest(_between(self.low, self.high, part))


@dataclass(frozen=True)
class LogUniform(_Floats):
    """A float above 0; every factor of ten is equally likely."""

    word = "log_uniform"

    def at(self, part: float) -> float:
        low, high = math.log(self.low), math.log(self.high)
        if self.step is not None:
            low, high = _log_edges(self.low, self.high, self.step)
        return self.nearest(math.exp(_between(low, high, part)))


@dataclass(frozen=True)
class _Integers(_Range):
    low: int
    high: int
    step: int | None = None

    @property
    def _count(self) -> int:
        return (self.high - self.low) // (self.step or 1) + 1

    def values(self) -> tuple[int, ...] | None:
        if self._count > ENDLESS:
            return None
        return tuple(range(self.low, self.high + 1, self.step or 1))

    def contains(self, value: object) -> bool:
        if not is_number(value) or value != int(value) or not self.low <= value <= self.high:
            return False
        return (int(value) - self.low) % (self.step or 1) == 0

    def nearest(self, number: float) -> int:
        _refuse_nan(number)
        number = min(self.high, max(self.low, number)) if math.isinf(number) else number
        if self.step is None:
            return min(self.high, max(self.low, round(number)))
        place = round((min(self.high, max(self.low, number)) - self.low) / self.step)
        return self.low + self.step * min(self._count - 1, max(0, place))


@dataclass(frozen=True)
class Int(_Integers):
    """An integer; each is equally likely."""

    word = "int"

    def at(self, part: float) -> int:
        return min(self.high, self.low + int(part * self._count) * (self.step or 1))


@dataclass(frozen=True)
class LogInt(_Integers):
    """An integer from 1 on; every factor of ten is equally likely."""

    word = "log_int"

    def at(self, part: float) -> int:
        """Round from a range that gives both bounds their full share."""
        low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
        if self.step is not None:
            low, high = _log_edges(self.low, self.high, self.step)
        return self.nearest(math.exp(_between(low, high, part)))


Domain: TypeAlias = Choice | Uniform | LogUniform | Int | LogInt
RANGES: dict[str, type[Uniform | LogUniform | Int | LogInt]] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "int": Int,
    "log_int": LogInt,
}


def _between(low: float, high: float, part: float) -> float:
    return low * (1 - part) + high * part  # because high - low could overflow


def _log_edges(low: float, high: float, step: float) -> tuple[float, float]:
    """Return the logarithms of half a step beyond the bounds, so that both get their share.

    The lower edge is as far below `low`, by factors, as half a step is above it, since half a step
    below may be 0.
    """
    return 2 * math.log(low) - math.log(low + step / 2), math.log(high + step / 2)


def _exact(number: float) -> Decimal:
    """Return a number as it is written, so that 0 + 3 * 0.1 is 0.3."""
    from decimal import Decimal  # noqa: PLC0415 - only where there is a step

    return Decimal(repr(number))


def steps_in(low: float, high: float, step: float) -> Decimal:
    """Return the number of steps in a range; it is a fraction if the step does not divide it."""
    return (_exact(high) - _exact(low)) / _exact(step)


def _refuse_nan(number: float) -> None:
    if math.isnan(number):
        raise ValueError("NaN is near no value")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number that a float can hold; NaN and infinity are not."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )
