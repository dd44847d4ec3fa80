"""What differs between two sets of hyperparameters.

    for name, left, right in modeldir.diff("base/params.json", "wider/params.json"): ...

It knows what means the same: 1 and 1.0 do, 1 and "1" and true do not, NaN is NaN. It refuses to
know experiments and tables. Start at `diff`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from modeldir.errors import ParamsError
from modeldir.params.formats import converted
from modeldir.params.nested import Plain, is_part, told
from modeldir.params.params import Params, load_file, plain_values

if TYPE_CHECKING:
    from collections.abc import Iterator


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent.ABSENT
"""In place of a value that is not there: something else than null."""


class Difference(NamedTuple):
    """A hyperparameter that differs: its dotted name, its value left and right.

    >>> print(Difference("optimizer.lr", 0.001, 0.0003))
    optimizer.lr: 0.001 -> 0.0003
    >>> print(Difference("seed", ABSENT, 1))
    seed: added, 1
    """

    name: str
    left: Any
    right: Any

    def __str__(self) -> str:
        if self.left is ABSENT:
            return f"{self.name}: added, {told(self.right)}"
        if self.right is ABSENT:
            return f"{self.name}: removed, {told(self.left)}"
        return f"{self.name}: {told(self.left)} -> {told(self.right)}"


class Differences(list[Difference]):
    """A list of differences; printed, one a line."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no difference"


def diff(left: Any, right: Any) -> Differences:
    """What differs: in the order of the left, then what only the right has.

    Args:
        left: a `Params`, a mapping, or the path of a params file.
        right: likewise.

    Raises:
        ParamsError: when a file cannot be read.

    >>> print(diff({"lr": 0.1, "model": {"depth": 2}}, {"lr": 1e-1, "model": {"depth": 3}}))
    model.depth: 2 -> 3
    """
    return Differences(_differences(_values(left), _values(right), ""))


def _values(source: Any) -> Plain:
    if isinstance(source, Params):
        return plain_values(source)
    if isinstance(source, Mapping):
        return plain_values(Params(source))
    return load_file(source)


def _differences(left: Plain, right: Plain, prefix: str) -> Iterator[Difference]:
    for name in {**left, **right}:
        key = f"{prefix}{name}"
        a, b = left.get(name, ABSENT), right.get(name, ABSENT)
        if is_part(a) and is_part(b):
            yield from _differences(a, b, f"{key}.")
        elif a is ABSENT and is_part(b) and b:
            yield from _differences({}, b, f"{key}.")
        elif b is ABSENT and is_part(a) and a:
            yield from _differences(a, {}, f"{key}.")
        elif not same(a, b):
            yield Difference(key, a, b)


def same(a: Any, b: Any) -> bool:
    """Whether two values mean the same, as `canonical_hash` has it; NaN means NaN.

    >>> same(1, 1.0), same(1, True), same(1, "1"), same([1, float("nan")], (1.0, float("nan")))
    (True, False, False, True)
    """
    a, b = _as_json(a), _as_json(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if _is_number(a) and _is_number(b):
        return bool(a == b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return a is b  # true, false, null, ABSENT, and a script's own objects


def _as_json(value: Any) -> Any:
    """The value as JSON has it, or itself: NaN and a script's own objects are compared too."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, list | dict | str | float | Absent):
        return value.value if isinstance(value, Enum) and value is not ABSENT else value
    try:
        return converted(value, "")
    except ParamsError:
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
