"""Check new values: whether they fit the old ones, and whether a new name is a misspelled old one.

`Params.update`, `overrides` and `modeldir new` use it. Start at `Fit`: it tries new values on a
copy, so that nothing is changed unless all values fit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from modeldir.errors import ParamsError, Problem
from modeldir.params.json_values import to_json_value
from modeldir.params.nested import Plain, copy_sections, is_path, is_section, path_to, preview
from modeldir.params.schema_messages import BOOLEAN, INTEGER, LIST, NUMBER, SECTION, STRING
from modeldir.params.strict_json import parse_value


class ParamsWarning(UserWarning):
    """A new hyperparameter has nearly the name of another one, or one could not be saved."""


class Fit:
    """New values tried on a copy of the old ones: what is wrong, and what is misspelled."""

    def __init__(self, data: Plain, prefix: str, free: Collection[str]) -> None:
        self.data: Plain = copy_sections(data)
        self.problems: list[Problem] = []
        self.similar: list[tuple[str, str]] = []  # the new name, and the similar old one
        self.key = ""  # the dotted name of the first problem
        self._prefix = prefix
        self._free = free

    def take(self, new: Mapping[str, Any]) -> None:
        """Try all values of a mapping. Those that fit are then in `data`."""
        self._take(self.data, new, self._prefix)

    def _take(self, data: Plain, new: Mapping[str, Any], prefix: str) -> None:
        for name, value in new.items():
            try:
                holder, key, missing = path_to(data, name)
            except ParamsError as error:
                self._refuse(f"{prefix}{name}", str(error), None)
                continue
            whole = f"{prefix}{name}"
            above = whole.removesuffix(".".join([*missing, key]))
            first = missing[0] if missing else key
            if first not in holder:
                near = nearest(first, holder)
                self.similar += [(above + first, above + near)] if near else []
            for head in missing:
                holder = holder.setdefault(head, {})
            if is_section(value) and is_section(holder.get(key)):
                self._take(holder[key], value, f"{whole}.")
            elif key in holder and whole not in self._free:
                self._replace(holder, key, value, whole)
            else:
                holder[key] = copy_sections(value)

    def _replace(self, holder: Plain, key: str, value: Any, whole: str) -> None:
        try:
            value = to_json_value(value, whole)
        except ParamsError as error:
            if _kind(holder[key]) is not None:
                self._refuse(whole, f"{whole} is {preview(holder[key])}: {error}", None)
                return
        problem = misfit(holder[key], value, whole)
        try:
            holder[key] = holder[key] if problem else _with_type_of(holder[key], value)
        except ValueError as error:
            problem = Problem(str(error), None)
        if problem:
            self._refuse(whole, *problem)

    def _refuse(self, key: str, problem: str, hint: str | None) -> None:
        self.key = self.key or key
        self.problems.append(Problem(problem, hint))


def misfit(old: Any, new: Any, name: str) -> Problem | None:
    """Return why a value cannot replace an old one, and what to write; None if it can."""
    kind = _kind(old)
    if kind is None or new is None or _is_a(new, kind):
        return None
    expected = "values by name" if kind == SECTION else kind
    shown = preview(old)
    if kind == SECTION:
        shown = "a nested section" if old else "an empty section"
    return Problem(
        f"{name} is {shown}: expected {expected}, found {preview(new)}", _way_out(old, new, name)
    )


def _with_type_of(old: Any, new: Any) -> Any:
    """Return a value with the type that a schema gave the old one: path, Enum member or tuple."""
    if new is None:
        return None
    if is_path(old) or isinstance(old, Enum):
        return type(old)(new)
    return tuple(new) if isinstance(old, tuple) else copy_sections(new)


def _kind(value: Any) -> str | None:
    """Return the type that may stand there; None (any) for null and a script's own objects."""
    if value is None:
        return None
    if isinstance(value, Enum):  # made by a schema, like the path below
        return _kind(value.value)
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return NUMBER if value in {0, 1} else INTEGER
    if isinstance(value, float):
        return NUMBER
    if isinstance(value, str) or is_path(value):
        return STRING
    if isinstance(value, list | tuple):
        return LIST
    return SECTION if is_section(value) else None


def _is_a(new: Any, kind: str) -> bool:
    found = _kind(new)
    if kind == NUMBER:
        return found in {NUMBER, INTEGER}
    if kind == INTEGER:
        return isinstance(new, int) and not isinstance(new, bool)
    return found == kind


def _way_out(old: Any, new: Any, name: str) -> str | None:
    if is_section(old):
        inside = ", ".join(f"{name}.{key}" for key in list(old)[:3])
        return f"change one of its values: {inside}" if inside else None
    if isinstance(new, list) and len(new) == 1 and misfit(old, new[0], name) is None:
        return f"write {preview(new[0])}, without brackets"
    if isinstance(old, bool):
        return "write true or false"
    if isinstance(old, str):
        return f"write {preview(preview(new))}" if isinstance(new, bool | int | float) else None
    if isinstance(old, list | tuple):
        return f"write {preview([new])}" if not is_section(new) else None
    if isinstance(new, str):
        number = parse_value(new)
        fits = not isinstance(number, str) and misfit(old, number, name) is None
        return f"write {preview(number)}, without quotes" if fits else None
    if isinstance(new, float):
        if new.is_integer():
            return f"write {int(new)}"
        return f"if any number is allowed, write it in the file as {preview(float(old))}"
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a new one probably misspells; None if it is a separate name.

    A typing error is one letter too many, missing or wrong, or two swapped, in a word of some
    length; or other separators. `beta2` beside `beta1`, `encoder_lr` beside `decoder_lr` and
    `epoch` beside `epochs` are separate names.
    """
    return next((other for other in known if _is_similar(name, other)), None)


_SHORTEST = 4
"""Shorter words that differ by one letter are different words: min and max, lr and wd."""
_LETTER_WRONG = 6
"""In shorter words, one wrong letter makes a different word: test and text, mean and meal."""


def _is_similar(name: str, other: str) -> bool:
    if abs(len(name) - len(other)) > 2 or name[:1].lower() != other[:1].lower():  # noqa: PLR2004
        return False  # quickly: a script may add a whole vocabulary
    if _joined(name) == _joined(other):
        return len(name) > _SHORTEST
    words, others = re.split(r"[_.\-]", name), re.split(r"[_.\-]", other)
    if len(words) != len(others):
        one, two = _joined(name), _joined(other)
        is_joined = len(one) > _SHORTEST and ("_" in other) != ("_" in name)  # batchsiz, batch_size
        return is_joined and len(one) != len(two) and _is_typo(one, two)
    differing = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
    if len(differing) != 1 or not _is_typo(*differing[0]):
        return False
    is_counted = len(words) > 1 and words[0].lower() in _COUNTING
    return is_counted or not _is_inflected(*differing[0])


_COUNTING = frozenset({"num", "n", "nb", "number", "no", "max", "min", "total", "save", "every"})
"""After these words comes what is counted: `num_epoch` can only mean `num_epochs`."""


def _is_inflected(word: str, other: str) -> bool:
    """Return whether words differ by grammar (epoch, epochs): scripts use both, differently."""
    short, long = sorted((word, other), key=len)
    if len(short) < len(long):
        return short == long[:-1] and long[-1] in _ENDINGS
    return short[:-1] == long[:-1] and short[-1] in _ENDINGS and long[-1] in _ENDINGS


_ENDINGS = frozenset("srdSRD")


def _joined(name: str) -> str:
    return re.sub(r"[_.\-]", "", name).lower()


def _is_typo(word: str, other: str) -> bool:
    """Return whether a single typing error lies between two words. Another digit is no error."""
    short, long = sorted((word, other), key=len)
    if len(long) < _SHORTEST or short[:1] != long[0]:
        return False
    start = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :] and not long[start].isdigit()
    a, b = short[start:], long[start:]
    if a[:2] == b[:2][::-1] and a[2:] == b[2:]:
        return not any(letter.isdigit() for letter in a[:2])
    other_letter = a[1:] == b[1:] and len(short) >= _LETTER_WRONG
    return other_letter and not (a[0].isdigit() or b[0].isdigit())


def warnings_of(nearly: Iterable[tuple[str, str]], shown: str) -> Iterator[str]:
    where = f"{shown}: " if shown else ""
    for name, other in nearly:
        yield f"{where}{name!r} is a new hyperparameter; did you mean {other!r}?"
