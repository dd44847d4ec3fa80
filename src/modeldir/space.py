"""What each hyperparameter of a search may be, the points of such a space, and a trial's name.

It knows the domains (a list, `uniform`, `log_uniform`, `int`, `log_int`; bounds inclusive), how
they are written in JSON and on a command line, and everything that can be wrong with them. It
refuses to know which point comes next (samplers do) and what a trial is.

Start at `parse_space`. A point is a dict of hyperparameters by name, dotted where they are nested.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeGuard

from modeldir.errors import ParamsError, SpaceError, did_you_mean, listed
from modeldir.params import canonical_hash, flatten, parse_value

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

WORDS = ("uniform", "log_uniform", "int", "log_int")
DIGITS = 6
"""Significant digits of a sampled float, so that name, file and table show the same number."""
ENDLESS = 1000
"""A range of more whole numbers than this is no list for a grid."""
LONGEST_NAME = 120
"""Bytes of a trial's name; most file systems allow 255, and logs and paths need room too."""


# -- Domains ---------------------------------------------------------------------------------------
#
# Chance comes from `rng.random()` alone: of the methods of random.Random, Python promises only for
# this one that a seed gives the same numbers in every version.


@dataclass(frozen=True)
class Choice:
    """One of the values of a list."""

    options: tuple[Any, ...]

    def draw(self, rng: random.Random) -> Any:
        """Each option is equally likely."""
        return self.options[int(rng.random() * len(self.options))]

    def values(self) -> tuple[Any, ...] | None:
        """The options, in their order."""
        return self.options

    def contains(self, value: object) -> bool:
        """Whether the value is an option; 1 and 1.0 are one value, 1 and true are two."""
        return any(_same(value, option) for option in self.options)

    def to_json(self) -> list[Any]:
        """As `search.json` has it."""
        return list(self.options)

    def longest(self) -> int:
        """Bytes of the longest option in a trial's name."""
        return max(len(_safe(value_text(option)).encode()) for option in self.options)


@dataclass(frozen=True)
class _Range:
    """Numbers from `low` to `high`, both included."""

    low: Any
    high: Any
    word: ClassVar[str]

    def contains(self, value: object) -> bool:
        """Whether the value is a number within the bounds."""
        return _is_number(value) and self.low <= value <= self.high

    def to_json(self) -> dict[str, list[Any]]:
        """As `search.json` has it."""
        return {self.word: [self.low, self.high]}


@dataclass(frozen=True)
class _Floats(_Range):
    low: float
    high: float

    def values(self) -> tuple[float, ...] | None:
        """None, since there is no end to them; but one value if the bounds are one."""
        return (self.low,) if self.low == self.high else None

    def longest(self) -> int:
        """Bytes of the longest value in a trial's name."""
        return _longest_float(self.low, self.high)

    def _clipped(self, number: float) -> float:
        """Rounded, and back within the bounds if rounding led out of them."""
        return min(self.high, max(self.low, float(f"{number:.{DIGITS}g}")))


@dataclass(frozen=True)
class Uniform(_Floats):
    """A float; every part of the range is equally likely."""

    word = "uniform"

    def draw(self, rng: random.Random) -> float:
        """A float of 6 significant digits."""
        return self._clipped(_between(self.low, self.high, rng))


@dataclass(frozen=True)
class LogUniform(_Floats):
    """A float above 0; every factor of ten is equally likely."""

    word = "log_uniform"

    def draw(self, rng: random.Random) -> float:
        """A float of 6 significant digits, whose logarithm is uniform."""
        return self._clipped(math.exp(_between(math.log(self.low), math.log(self.high), rng)))


@dataclass(frozen=True)
class _WholeNumbers(_Range):
    low: int
    high: int

    def values(self) -> tuple[int, ...] | None:
        """All of them in order, or None if they are more than 1000."""
        if self.high - self.low >= ENDLESS:
            return None
        return tuple(range(self.low, self.high + 1))

    def contains(self, value: object) -> bool:
        """Whether the value is a whole number within the bounds."""
        return _is_number(value) and value == int(value) and self.low <= value <= self.high

    def longest(self) -> int:
        """Bytes of the longest value in a trial's name."""
        return max(len(str(self.low)), len(str(self.high)))

    def _clipped(self, number: float) -> int:
        return min(self.high, max(self.low, round(number)))


@dataclass(frozen=True)
class Int(_WholeNumbers):
    """A whole number; each is equally likely."""

    word = "int"

    def draw(self, rng: random.Random) -> int:
        """A whole number."""
        return min(self.high, self.low + int(rng.random() * (self.high - self.low + 1)))


@dataclass(frozen=True)
class LogInt(_WholeNumbers):
    """A whole number from 1; every factor of ten is equally likely."""

    word = "log_int"

    def draw(self, rng: random.Random) -> int:
        """A whole number, rounded from a range that gives both bounds their full share."""
        low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return self._clipped(math.exp(_between(low, high, rng)))


Domain: TypeAlias = Choice | Uniform | LogUniform | Int | LogInt
_RANGES: dict[str, type[Uniform | LogUniform | Int | LogInt]] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "int": Int,
    "log_int": LogInt,
}


def _between(low: float, high: float, rng: random.Random) -> float:
    part = rng.random()
    return low * (1 - part) + high * part  # high - low could overflow


def _is_number(value: object) -> TypeGuard[float]:
    """A number that a float can hold; NaN and the infinities are none."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def _same(left: object, right: object) -> bool:
    if isinstance(left, (list, tuple)):
        return _key(left) == _key(right)
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _key(value: object) -> str:
    """Equal for values that mean the same: 1 and 1.0, but not 1 and true."""
    return canonical_hash({"value": value})


# -- The space -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Space:
    """Each hyperparameter that varies, with its domain, in the order in which they were given."""

    domains: dict[str, Domain]

    def to_json(self) -> dict[str, Any]:
        """As `search.json` has it; `parse_space` makes the same space of it."""
        return {name: domain.to_json() for name, domain in self.domains.items()}

    def contains(self, point: Mapping[str, object]) -> bool:
        """Whether the point has these hyperparameters and no other, each within its domain."""
        return point.keys() == self.domains.keys() and all(
            domain.contains(point[name]) for name, domain in self.domains.items()
        )


def draw(space: Space, rng: random.Random) -> dict[str, Any]:
    """One point by chance. The order of the hyperparameters does not change what each becomes."""
    drawn = {name: space.domains[name].draw(rng) for name in sorted(space.domains)}
    return {name: drawn[name] for name in space.domains}


def size(space: Space) -> int | None:
    """How many points the space has; None if there is no end to them."""
    lists = [domain.values() for domain in space.domains.values()]
    return None if None in lists else math.prod(len(values) for values in lists if values)


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every point, the last hyperparameter changing fastest.

    Raises:
        SpaceError: if some domain has no end; naming each.
    """
    endless = [name for name, domain in space.domains.items() if domain.values() is None]
    if endless:
        hint = "list its values, or sample at random"
        problems = [(f"{name}: {_said(space.domains[name].to_json())}", hint) for name in endless]
        raise SpaceError(listed("A grid needs a list of values for each hyperparameter:", problems))
    lists = [domain.values() or () for domain in space.domains.values()]
    return (dict(zip(space.domains, values, strict=True)) for values in itertools.product(*lists))


# -- From JSON -------------------------------------------------------------------------------------

Problem: TypeAlias = "tuple[str, str | None]"


class _RefusedError(Exception):
    """What is wrong with one domain."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


def parse_space(domains: Mapping[str, Any], base: Mapping[str, Any], where: str) -> Space:
    """The space that `search.json` or a call describes.

    Args:
        domains: each name's domain: `[0.1, 0.01]`, `{"uniform": [0, 0.5]}`. Names may be dotted.
        base: the base hyperparameters; only what they have can vary.
        where: what the message says cannot be searched.

    Raises:
        SpaceError: listing all that is wrong, with hints.
    """
    known = flatten(base)
    parsed: dict[str, Domain] = {}
    problems: list[Problem] = []
    for name, domain in domains.items():
        try:
            _check_name(name, known)
        except _RefusedError as refused:
            problems += [(f"{name}: {problem}", hint) for problem, hint in refused.problems]
        try:
            parsed[name] = _domain(domain)
            _check_nesting(parsed[name], known.get(name))
        except _RefusedError as refused:
            problems += [(f"{name}: {problem}", hint) for problem, hint in refused.problems]
    if problems:
        raise SpaceError(listed(f"{where} cannot be searched:", problems))
    return Space(parsed)


def _check_name(name: str, known: Mapping[str, Any]) -> None:
    if name in known:
        return
    parts = [other for other in known if other.startswith(f"{name}.")]
    if parts:
        raise _RefusedError(("is a group of hyperparameters", f"vary its parts: {parts[0]!r}"))
    raise _RefusedError(("not in params.json", did_you_mean(name, list(known)) or _there(known)))


def _there(known: Mapping[str, Any], most: int = 8) -> str:
    names = [*known][:most]
    return (
        f"it has {', '.join(names)}{', ...' if len(known) > most else ''}"
        if names
        else "it is empty"
    )


def _check_nesting(domain: Domain, base: object) -> None:
    """Brackets too many: `lr=[0.1,0.01]` is one value, a list, where the base has a number."""
    if isinstance(domain, Choice) and len(domain.options) == 1:
        option = domain.options[0]
        if isinstance(option, (list, tuple)) and base is not None and not isinstance(base, list):
            problem = (
                f"its only value is the list {_said(option)}, but params.json has {_said(base)}"
            )
            raise _RefusedError((problem, "leave out the inner brackets"))
    numeric = isinstance(base, (int, float)) and not isinstance(base, bool)
    if isinstance(domain, Choice) and numeric:
        texts = [_said(option) for option in domain.options if isinstance(option, str)]
        if texts:  # 0.1,O.01
            problem = f"{', '.join(texts)} is text, but params.json has the number {_said(base)}"
            raise _RefusedError((problem, "a typing error? write numbers, or put text in the base"))


def _domain(raw: object) -> Domain:
    if hasattr(raw, "tolist"):  # numpy.logspace(-5, -1, 5)
        raw = raw.tolist()
    if isinstance(raw, (list, tuple)):
        return _choice([value.item() if hasattr(value, "item") else value for value in raw])
    if isinstance(raw, Mapping):
        return _range(raw)
    raise _RefusedError((f"expected a list of values or a range, got {_said(raw)}", _instead(raw)))


def _instead(raw: object) -> str:
    """What to write for a value that stands alone, also in the command line's form."""
    if isinstance(raw, str):
        try:
            return f"write {_said(parse_domain_text(raw))}"
        except SpaceError:
            pass  # then the form alone has to do
    return f"write {_said([raw])}" if _is_number(raw) or isinstance(raw, bool) else _FORMS


_FORMS = 'write [0.1, 0.01] or {"uniform": [0, 0.5]}'


def _choice(raw: Sequence[object]) -> Choice:
    problems: list[Problem] = [] if raw else [("the list of values is empty", _FORMS)]
    seen: set[str] = set()
    for value in raw:
        if isinstance(value, Mapping):
            problem = f"a value is the object {_said(value)}"
            problems.append((problem, "vary its parts by dotted names"))
            continue
        try:
            key = _key(value)
        except ParamsError as error:  # what params.json could not hold either
            reason = str(error).removeprefix("value: ")
            problems.append((f"{_said(value)}: {reason}", None))
            continue
        if key in seen:
            problems.append((f"{_said(value)} is in the list twice", None))
        seen.add(key)
    if problems:
        raise _RefusedError(*problems)
    return Choice(tuple(raw))


def _range(raw: Mapping[str, object]) -> Domain:
    words = [word for word in raw if word in WORDS]
    problems = [
        (f"unknown word {_said(word)}", _for_word(word)) for word in raw if word not in WORDS
    ]
    if len(words) != 1 and not problems:
        problems = [(f"got {' and '.join(words) or 'no word'}", f"write one of {_KNOWN}")]
    if problems:
        raise _RefusedError(*problems)
    low, high = _bounds(words[0], raw[words[0]])
    return _RANGES[words[0]](low, high)


def _for_word(word: object) -> str:
    if word in {"choice", "choices", "grid", "options", "values"}:
        return "write the list alone: [0.1, 0.01]"
    return did_you_mean(str(word), WORDS) or f"write one of {_KNOWN}"


def _bounds(word: str, bounds: object) -> tuple[Any, Any]:
    """The two numbers of a range, checked: ints where whole numbers are meant, else floats."""
    if not isinstance(bounds, (list, tuple)) or len(bounds) != len(("low", "high")):
        problem = f"{word} needs [low, high], got {_said(bounds)}"
        raise _RefusedError((problem, f"for example {_EXAMPLES[word]}"))
    if wrong := [_said(bound) for bound in bounds if not _is_number(bound)]:
        raise _RefusedError((f"{word} needs two numbers, got {' and '.join(wrong)}", None))
    whole = issubclass(_RANGES[word], _WholeNumbers)
    problems = [*_fractions(word, bounds)] if whole else []
    problems += _too_low(word, min(bounds))
    problems = problems or [*_wrong_order(word, *bounds)]  # its hint is for bounds that will do
    if problems:
        raise _RefusedError(*problems)
    low, high = map(int if whole else float, bounds)
    return low, high


def _fractions(word: str, bounds: Sequence[float]) -> Iterator[Problem]:
    if parts := [_said(bound) for bound in bounds if bound != int(bound)]:
        floats = word.replace("int", "uniform")
        hint = f'use {{"{floats}": ...}} for all numbers between'
        yield f"{word} needs whole numbers, got {' and '.join(parts)}", hint


def _too_low(word: str, low: float) -> Iterator[Problem]:
    if word == "log_uniform" and low <= 0:
        yield f"log_uniform needs low > 0, got {_said(low)}", 'use {"uniform": ...} to include zero'
    if word == "log_int" and low < 1:
        yield f"log_int needs low >= 1, got {_said(low)}", 'use {"int": ...} to include zero'


def _wrong_order(word: str, low: float, high: float) -> Iterator[Problem]:
    if low > high:
        hint = f"write {_said({word: [high, low]})}"
        yield f"{word} needs low <= high, got {_said(low)} > {_said(high)}", hint


_KNOWN = ", ".join(WORDS)
_EXAMPLES = {
    "uniform": '{"uniform": [0, 0.5]}',
    "log_uniform": '{"log_uniform": [1e-5, 1e-1]}',
    "int": '{"int": [1, 6]}',
    "log_int": '{"log_int": [1, 1024]}',
}


def _said(value: object) -> str:
    """A value as the user would write it, not too long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # it will be printed
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - part of a line


# -- From the command line -------------------------------------------------------------------------

_RANGE_TEXT = re.compile(rf"({'|'.join(WORDS)}):(.*)", re.DOTALL)
_UNKNOWN_RANGE = re.compile(r"([A-Za-z_]\w*):([^,]*),([^,]*)")


def parse_domain_text(text: str) -> Any:
    """A domain as it is written on the command line, in its JSON form; `parse_space` checks it.

    >>> parse_domain_text("0.1,0.01,1e-3"), parse_domain_text("log_uniform:1e-5,1e-1")
    ([0.1, 0.01, 0.001], {'log_uniform': [1e-05, 0.1]})
    >>> parse_domain_text("[64],[64,32]"), parse_domain_text("adam,sgd")
    ([[64], [64, 32]], ['adam', 'sgd'])

    Raises:
        SpaceError: for a value missing between commas, an open bracket, or an unknown range.
    """
    if match := _RANGE_TEXT.fullmatch(text):
        return {match[1]: _values(match[2], text) if match[2].strip() else []}
    if (match := _UNKNOWN_RANGE.fullmatch(text)) and _is_range(match):
        hint = (
            did_you_mean(match[1], WORDS) or f'known: {_KNOWN}; a text is quoted: "{match[1]}:..."'
        )
        raise _unreadable(text, f"unknown word {_said(match[1])}", hint)
    values = _values(text, text)
    if len(values) == 1 and isinstance(values[0], dict):
        return values[0]  # the JSON form, quoted for the shell
    return values


def _is_range(match: re.Match[str]) -> bool:
    """Whether `word:low,high` was probably meant to be a range and not two texts."""
    return _is_number(parse_value(match[2])) and _is_number(parse_value(match[3]))


def _values(text: str, whole: str) -> list[Any]:
    """Values between commas; JSON lists, objects and quoted texts may hold commas of their own."""
    values = []
    rest = text.strip()
    while True:
        value, rest = _first_value(rest, whole)
        values.append(value)
        if not rest:
            return values
        rest = rest[1:].lstrip()


def _first_value(text: str, whole: str) -> tuple[Any, str]:
    """The first value, and the rest from the comma on."""
    if text.startswith(("[", "{", '"')):
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except ValueError as error:
            raise _unreadable(whole, f"{text} is not closed, or not JSON", None) from error
        rest = text[end:].lstrip()
        if rest and not rest.startswith(","):
            raise _unreadable(whole, f"expected a comma before {rest!r}", None)
        return value, rest
    piece, comma, rest = text.partition(",")
    if not piece.strip():
        raise _unreadable(whole, "a value is missing", 'an empty text is written as ""')
    return parse_value(piece.strip()), comma + rest


def _unreadable(text: str, problem: str, hint: str | None) -> SpaceError:
    return SpaceError(listed(f"{text!r} is no domain:", [(problem, hint)]))


# -- Names -----------------------------------------------------------------------------------------


def value_text(value: object) -> str:
    """A value as it stands in names and commands: texts bare, all else as JSON, without spaces.

    >>> value_text(1e-05), value_text("adam"), value_text(True), value_text([64, 32])
    ('1e-05', 'adam', 'true', '[64,32]')
    """
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def trial_name(point: Mapping[str, object]) -> str:
    """What the folder of a trial is called: its hyperparameters, made safe as a file name.

    Different points may have one name (`a/b` and `a-b`): a name is for people, not an identity.

    >>> trial_name({"learning_rate": 0.01, "batch_size": 32})
    'learning_rate_0.01__batch_size_32'
    """
    name = "__".join(_safe(f"{name}_{value_text(value)}") for name, value in point.items())
    return name.lstrip(".-").rstrip(".") or "trial"


def names_fit(space: Space) -> bool:
    """Whether every trial's name stays within 120 bytes; if not, all are named by their numbers."""
    pieces = [
        len(_safe(f"{name}_").encode()) + domain.longest() for name, domain in space.domains.items()
    ]
    return sum(pieces) + len("__") * (len(pieces) - 1) <= LONGEST_NAME


def _safe(text: str) -> str:
    """Without separators, spaces, quotes, control characters and what a shell would act on."""
    text = re.sub(r"\s+", "_", unicodedata.normalize("NFC", text))
    text = re.sub(r"[\[\](){}<>\"'`]", "", text)
    return re.sub("\0+", "-", "".join(char if _is_safe(char) else "\0" for char in text))


def _is_safe(char: str) -> bool:
    """Letters of every script with their marks, digits, and a few signs that no tool minds."""
    return char.isalnum() or char in "_.,=+@%-" or unicodedata.category(char) in {"Mn", "Mc"}


def _longest_float(low: float, high: float) -> int:
    """Bytes of the longest float of 6 digits in a range, and of its bounds, which may have more."""
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    largest = _power(max(abs(low), abs(high)))
    powers = range(min(_power(smallest), largest), largest + 1)  # 0 and all below 1e-308: no power
    longest = max(len(repr(float(f"1.23457e{power}"))) for power in powers)
    return max(longest + (low < 0), len(repr(low)), len(repr(high)))


def _power(number: float) -> int:
    return math.floor(math.log10(number)) if number else sys.float_info.min_10_exp
