"""The differences between two sets of hyperparameters.

`modeldir diff` compares whole experiments with it (`commands/diff`); `equality` says when two
values are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from modeldir.params.equality import ABSENT, same
from modeldir.params.nested import Plain, is_section, preview
from modeldir.params.params import Params
from modeldir.params.plain_values import load_file, peek


class Difference(NamedTuple):
    """A hyperparameter that differs: its dotted name, its values left and right.

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
            return f"{self.name}: added, {preview(self.right)}"
        if self.right is ABSENT:
            return f"{self.name}: removed, {preview(self.left)}"
        return f"{self.name}: {preview(self.left)} -> {preview(self.right)}"


class Differences(list[Difference]):
    """A list of differences. As text, it has a line for each."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no difference"


def diff(left: Any, right: Any) -> Differences:
    """Return the differences, in the order of the left side, then what only the right side has.

    Args:
        left: a `Params`, a mapping, or the path of a params file.
        right: likewise.

    Raises:
        ParamsError: if a file cannot be read.

    >>> print(diff({"lr": 0.1, "model": {"depth": 2}}, {"lr": 1e-1, "model": {"depth": 3}}))
    model.depth: 2 -> 3
    """
    return Differences(_differences(_values(left), _values(right), ""))


def _values(source: Any) -> Plain:
    if isinstance(source, Params):
        return peek(source)
    if isinstance(source, Mapping):
        return peek(Params(source))
    return load_file(source)


def _differences(left: Plain, right: Plain, prefix: str) -> Iterator[Difference]:
    for name in {**left, **right}:
        key = f"{prefix}{name}"
        a, b = left.get(name, ABSENT), right.get(name, ABSENT)
        if is_section(a) and is_section(b):
            yield from _differences(a, b, f"{key}.")
        elif a is ABSENT and is_section(b) and b:
            yield from _differences({}, b, f"{key}.")
        elif b is ABSENT and is_section(a) and a:
            yield from _differences(a, {}, f"{key}.")
        elif not same(a, b):
            yield Difference(key, a, b)
