"""Encode values for the page: short numbers, short strings, columns.

Numbers have six digits. A long string is cut and says how long it was, and control characters are
escaped. A column is a list of numbers, or of strings with an index for each experiment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from modeldir._system.escaping import visible
from modeldir._system.text import Marked, Null, cell_text

Json: TypeAlias = Any

LONGEST = 200
"""Characters of a string that the page keeps."""
_DIGITS = 6
_LARGEST_EXACT = 10**15
_MOST_WORDS = 3
"""A column of numbers may hold this many different strings, such as "auto" and null."""


def short(text: str, longest: int = LONGEST) -> str:
    if len(text) <= longest:
        return visible(text)
    return f"{visible(text[:longest])}… ({len(text):,} characters)"


def number(value: float) -> float | int | str:
    """Encode a number with six digits. JSON has no NaN or infinity, so they become strings."""
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_EXACT else float(f"{value:.{_DIGITS}g}")
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < _LARGEST_EXACT else rounded


def is_number(value: object) -> bool:
    """Return whether a value is a number. Booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def numbers(values: Iterable[float | None]) -> list[Json]:
    return [None if value is None else _any_number(value) for value in values]


def _any_number(value: float) -> float | int | str:
    try:
        return number(value)
    except OverflowError:  # an int too large for a float
        return "inf" if value > 0 else "-inf"


def categories(values: Sequence[object], order: Sequence[object] = ()) -> dict[str, Json]:
    """Encode a column of strings: `dict` holds each once, `i` its index per row, -1 for none.

    Two strings that differ only after the cut stay different. Those in `order` come first.
    """
    rank: dict[str, int] = {}
    for value in order:
        rank.setdefault(text(value), len(rank))
    texts = [None if value is None else text(value) for value in values]
    used = {text for text in texts if text is not None}
    ordered = [*(text for text in rank if text in used), *sorted(used - rank.keys())]
    index = {text: i for i, text in enumerate(ordered)}
    return {
        "dict": [short(text) for text in ordered],
        "i": [-1 if text is None else index[text] for text in texts],
    }


def text(value: object) -> str:
    """Return a value as a cell has it; a string stays as it is."""
    return value if isinstance(value, str) else cell_text(value)


def unmarked(value: object) -> object:
    """Return a cell's value without the mark of an override; null becomes a string."""
    value = value.value if isinstance(value, Marked) else value
    return value.value if isinstance(value, Null) else value


def column(values: Sequence[object], order: Sequence[object] = ()) -> dict[str, Json]:
    """Encode a column of hyperparameters, as numbers or as categories.

    It is a column of numbers if most values are numbers, or if there are at most three different
    strings among them ("auto", null).
    """
    plain = [unmarked(value) for value in values]
    found = [value for value in plain if is_number(value)]
    words = [value for value in plain if value is not None and not is_number(value)]
    few_words = len(set(found)) > _MOST_WORDS and len(set(map(text, words))) <= _MOST_WORDS
    if found and (few_words or len(found) > len(words)):
        return {"v": [_cell(value) for value in plain]}
    return categories(plain, [unmarked(value) for value in order])


def _cell(value: Any) -> Json:
    if value is None:
        return None
    return _any_number(value) if is_number(value) else short(text(value))


def labels(names: Sequence[str]) -> list[str]:
    """Return a different label for each column: `loss`, `loss #2`."""
    labels: list[str] = []
    used: set[str] = set()
    for name in names:
        label, count = short(name), 1
        while label in used:
            count += 1
            label = f"{short(name)} #{count}"
        used.add(label)
        labels.append(label)
    return labels
