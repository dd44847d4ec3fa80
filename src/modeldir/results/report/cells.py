"""Values as the page has them: columns of numbers, or of places in a list of texts.

It knows how values become small and harmless: six digits of a number, each text once, what is long
cut with a word, control characters written out. It refuses to know what a column means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from modeldir._system.text import Marked, Null, cell_text, visible

Json: TypeAlias = Any

LONGEST = 200
"""Characters of a text that the page keeps."""
DIGITS = 6
_EXACT = 10**15
_WORDS = 3
"""Beside numbers so many different texts ("auto", null) are exceptions."""


def short(text: str, longest: int = LONGEST) -> str:
    """A text that fits, and shows what it hides.

    >>> short("a" * 5000, 10)
    'aaaaaaaaaa… (5,000 characters)'
    """
    if len(text) <= longest:
        return visible(text)
    return f"{visible(text[:longest])}… ({len(text):,} characters)"


def number(value: float) -> float | int | str:
    """A number as JSON can hold it, with six digits; what is not finite as a text.

    >>> number(0.123456789), number(3), number(float("nan")), number(2.0)
    (0.123457, 3, 'nan', 2)
    """
    if isinstance(value, int):
        return value if abs(value) < _EXACT else float(f"{value:.{DIGITS}g}")
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < _EXACT else rounded


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def numbers(values: Iterable[float | None]) -> list[Json]:
    """A column of numbers; null where there is none."""
    return [None if value is None else _within(value) for value in values]


def _within(value: float) -> float | int | str:
    try:
        return number(value)
    except OverflowError:  # an int that no float holds
        return "inf" if value > 0 else "-inf"


def coded(values: Sequence[object], order: Sequence[object] = ()) -> dict[str, Json]:
    """A column of texts: each once in `dict`, and for each row its place, -1 where there is none.

    Two values that differ only behind the cut stay two. `order` are those that come first.
    """
    places: dict[str, int] = {}
    for value in order:
        places.setdefault(_key(value), len(places))
    found = [None if value is None else _key(value) for value in values]
    for key in sorted({key for key in found if key is not None} - places.keys()):
        places[key] = len(places)
    used = {key for key in found if key is not None}
    kept = [key for key in places if key in used]
    place = {key: index for index, key in enumerate(kept)}
    return {
        "dict": [short(key) for key in kept],
        "i": [-1 if key is None else place[key] for key in found],
    }


def _key(value: object) -> str:
    return value if isinstance(value, str) else cell_text(value)


def bare(value: object) -> object:
    """A cell's value without the mark that it was overridden; null as a text."""
    value = value.value if isinstance(value, Marked) else value
    return value.value if isinstance(value, Null) else value


def column(values: Sequence[object], order: Sequence[object] = ()) -> dict[str, Json]:
    """A column of hyperparameters: of numbers if most are numbers, or all but two or three words,
    else of texts.

    Among numbers a text ("auto", null) stays a text: it makes the others no less numbers.
    """
    plain = [bare(value) for value in values]
    counted = [value for value in plain if is_number(value)]
    words = [value for value in plain if value is not None and not is_number(value)]
    few = len(set(counted)) > _WORDS and len(set(map(_key, words))) <= _WORDS
    if counted and (few or len(counted) > len(words)):
        return {"v": [_cell(value) for value in plain]}
    return coded(plain, [bare(value) for value in order])


def _cell(value: Any) -> Json:
    if value is None:
        return None
    return _within(value) if is_number(value) else short(_key(value))


def labels(names: Sequence[str]) -> list[str]:
    """What each column is called on the page, no two the same.

    >>> labels(["loss", "accuracy", "loss"])
    ['loss', 'accuracy', 'loss #2']
    """
    given: list[str] = []
    taken: set[str] = set()
    for name in names:
        label, count = short(name), 1
        while label in taken:
            count += 1
            label = f"{short(name)} #{count}"
        taken.add(label)
        given.append(label)
    return given
