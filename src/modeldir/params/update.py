"""What may take an old value's place, and which new name is probably a misspelt old one.

A learning rate of `"0.1"` or a batch size of 32.5 is found here, before anything is changed. It
knows plain values and names. It refuses to know files, views and command lines.

Start at `fit`: it tries new values on a copy and says all that is wrong with them.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from modeldir.errors import ParamsError
from modeldir.params.json_values import to_json_value
from modeldir.params.nested import Plain, copy_sections, is_path, is_section, path_to, preview
from modeldir.params.strict_json import parse_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    Problem = tuple[str, str | None]


class ParamsWarning(UserWarning):
    """A new hyperparameter has nearly the name of another one, or one could not be saved."""


# -- Values ----------------------------------------------------------------------------------------


class Fit:
    """New values as they were tried on old ones: what is wrong, and what is probably misspelt."""

    def __init__(self, data: Plain, prefix: str, free: Collection[str]) -> None:
        self.data: Plain = copy_sections(data)
        self.problems: list[Problem] = []
        self.nearly: list[tuple[str, str]] = []  # new name, the old one that it nearly is
        self.key = ""  # the dotted name of the first problem
        self._prefix = prefix
        self._free = free

    def take(self, new: Mapping[str, Any]) -> None:
        """Try all of a mapping; what fits is in `data` then."""
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
                self.nearly += [(above + first, above + near)] if near else []
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
            holder[key] = holder[key] if problem else _in_the_form_of(holder[key], value)
        except ValueError as error:
            problem = str(error), None
        if problem:
            self._refuse(whole, *problem)

    def _refuse(self, key: str, problem: str, hint: str | None) -> None:
        self.key = self.key or key
        self.problems.append((problem, hint))


def misfit(old: Any, new: Any, name: str) -> Problem | None:
    """Why a value cannot take an old one's place, and what to write; None where it can.

    >>> misfit(32, 32.5, "batch_size")[0]
    'batch_size is 32: expected a whole number, found 32.5'
    """
    kind = _kind(old)
    if kind is None or new is None or _is_a(new, kind):
        return None
    expected = "values by name" if kind == _PART else kind
    shown = preview(old)
    if kind == _PART:
        shown = "a part with values of its own" if old else "an empty part"
    return f"{name} is {shown}: expected {expected}, found {preview(new)}", _way_out(old, new, name)


def _in_the_form_of(old: Any, new: Any) -> Any:
    """A value as a schema has made the old one: its path, its enum's member, its tuple."""
    if new is None:
        return None
    if is_path(old) or isinstance(old, Enum):
        return type(old)(new)
    return tuple(new) if isinstance(old, tuple) else copy_sections(new)


_TRUTH, _WHOLE, _NUMBER, _TEXT = "true or false", "a whole number", "a number", "a text"
_LIST, _PART = "a list", "a part"


def _kind(value: Any) -> str | None:
    """What kind of value may stand there; None for null and the script's own objects: any."""
    if value is None:
        return None
    if isinstance(value, Enum):  # a schema's, as the path below
        return _kind(value.value)
    if isinstance(value, bool):
        return _TRUTH
    if isinstance(value, int):
        return _NUMBER if value in {0, 1} else _WHOLE
    if isinstance(value, float):
        return _NUMBER
    if isinstance(value, str) or is_path(value):
        return _TEXT
    if isinstance(value, list | tuple):
        return _LIST
    return _PART if is_section(value) else None


def _is_a(new: Any, kind: str) -> bool:
    found = _kind(new)
    if kind == _NUMBER:
        return found in {_NUMBER, _WHOLE}
    if kind == _WHOLE:
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
        return f"if it may be any number, let the file say {preview(float(old))}"
    return None


# -- Names -----------------------------------------------------------------------------------------


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a new one probably is, misspelt; None for a name of its own.

    A slip of the finger is one letter too many, too few, wrong, or two the wrong way round, within
    a word of some length; or another way to join the words. So `learning_rte`, `num_epoch` and
    `batchsize` are found; `beta2` beside `beta1`, `eval_size` beside `train_size`, `encoder_lr`
    beside `decoder_lr` and `patch_size` beside `batch_size` are names of their own; so are `epoch`
    beside `epochs` and `sampler` beside `samples`, which many a script sets in its loop.

    >>> nearest("learning_rte", ["batch_size", "learning_rate"])
    'learning_rate'
    """
    return next((other for other in known if _is_nearly(name, other)), None)


_SHORTEST = 4
"""Shorter words differ by one letter and are words of their own: min and max, lr and wd."""
_LETTER_WRONG = 6
"""In shorter words one other letter makes another word: test and text, mean and meal."""


def _is_nearly(name: str, other: str) -> bool:
    if abs(len(name) - len(other)) > 2 or name[:1].lower() != other[:1].lower():  # noqa: PLR2004
        return False  # quickly, since a whole vocabulary may be added
    if _joined(name) == _joined(other):
        return len(name) > _SHORTEST
    words, others = re.split(r"[_.\-]", name), re.split(r"[_.\-]", other)
    if len(words) != len(others):
        one, two = _joined(name), _joined(other)
        return len(one) != len(two) and _slipped(one, two) and _has_word(name, other)
    differing = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
    if len(differing) != 1 or not _slipped(*differing[0]):
        return False
    return _is_counted(words) or not _is_inflected(*differing[0])


_COUNTING = frozenset({"num", "n", "nb", "number", "no", "max", "min", "total", "save", "every"})
"""Behind these words stands what is counted: `num_epoch` is `num_epochs`, and nothing else."""


def _is_counted(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[0].lower() in _COUNTING


def _is_inflected(word: str, other: str) -> bool:
    """Whether two words differ by their grammar: epoch and epochs, schedule, scheduler, scheduled.

    A script has both, each for something else: the number of epochs, and the one it is in.
    """
    short, long = sorted((word, other), key=len)
    if len(short) < len(long):
        return short == long[:-1] and long[-1] in _ENDINGS
    return short[:-1] == long[:-1] and short[-1] in _ENDINGS and long[-1] in _ENDINGS


_ENDINGS = frozenset("srdSRD")


def _joined(name: str) -> str:
    return re.sub(r"[_.\-]", "", name).lower()


def _has_word(name: str, other: str) -> bool:
    """Whether the words are the same but for how they are joined: `batchsiz` and `batch_size`."""
    return len(_joined(name)) > _SHORTEST and ("_" in other) != ("_" in name)


def _slipped(word: str, other: str) -> bool:
    """Whether one word is the other but for one slip. Digits tell things apart: they are none."""
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
    """What to say about new names that are nearly old ones."""
    where = f"{shown}: " if shown else ""
    for name, other in nearly:
        yield f"{where}{name!r} is a new hyperparameter; did you mean {other!r}?"
