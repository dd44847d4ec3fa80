"""One domain, read from `search.json` or from a call, and checked.

`parsing` calls `read_domain` for each hyperparameter. Mistakes raise `DomainError` with a hint for
what people write instead.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from modeldir.errors import ParamsError, SpaceError, did_you_mean
from modeldir.params.equality import key
from modeldir.params.json_values import to_json_value
from modeldir.space.cli_syntax import parse_domain_text
from modeldir.space.domains import RANGES, WORDS, Choice, Domain, is_number, steps_in
from modeldir.space.problems import DomainError, Problem, shown

MOST_STEPS = 10**15
"""A float cannot represent finer steps."""


def check_kind(domain: Domain, base: object) -> None:
    """Check a list's values against the base config: brackets too many, strings for a number."""
    if isinstance(domain, Choice) and len(domain.options) == 1:
        option = domain.options[0]
        if isinstance(option, (list, tuple)) and base is not None and not isinstance(base, list):
            problem = f"its only value is the list {shown(option)}"
            problem += f", but params.json has {shown(base)}"
            raise DomainError((problem, "leave out the inner brackets"))
    numeric = isinstance(base, (int, float)) and not isinstance(base, bool)
    if isinstance(domain, Choice) and numeric:
        texts = [shown(option) for option in domain.options if isinstance(option, str)]
        if texts:  # 0.1,O.01
            are = "is a string" if len(texts) == 1 else "are strings"
            problem = f"{', '.join(texts)} {are}, but params.json has the number {shown(base)}"
            raise DomainError(
                (problem, "a typo? write numbers, or put a string in the base config")
            )


def of_one_type(domain: Domain, base: object) -> Domain:
    """Return a list's numbers in one type: 1000 for 1e3 beside integers, 0.0 for 0 beside 0.2.

    Where the base config has a float, they stay as they are typed, for the names of trials:
    `PlanFile.hyperparameters` converts them.
    """
    if not isinstance(domain, Choice) or isinstance(base, float):
        return domain
    numbers = [each for each in domain.options if is_number(each)]
    if not any(isinstance(each, int) for each in (*numbers, base) if is_number(each)):
        return domain
    are_whole = all(isinstance(each, int) or each.is_integer() for each in numbers)
    kind: type[int | float] = int if are_whole else float
    return Choice(tuple(_as(kind, each) if is_number(each) else each for each in domain.options))


def _as(kind: type[int | float], number: Any) -> Any:
    """Convert a number, unless it is too large to stay the same."""
    return converted if abs(number) < 2**53 and (converted := kind(number)) == number else number


def read_domain(raw: object, *, may_repeat: bool = False) -> Domain:
    """Return the domain for a list, an object or a single value; zipped lists may repeat one."""
    if hasattr(raw, "tolist"):  # numpy.logspace(-5, -1, 5)
        raw = raw.tolist()
    if isinstance(raw, (list, tuple, range)):
        return _choice(raw, may_repeat=may_repeat)
    if isinstance(raw, Mapping):
        return _object(raw, may_repeat=may_repeat)
    if is_alone(raw):
        return _choice([raw], may_repeat=False)
    raise DomainError((f"expected a list of values or a range, got {shown(raw)}", _instead(raw)))


def is_alone(raw: object) -> bool:
    """Return whether a single value is meant as it is, and is no domain of the command line."""
    if not isinstance(raw, str):
        return isinstance(raw, bool) or is_number(raw)
    try:
        domain = parse_domain_text(raw)
    except SpaceError:
        return False
    return isinstance(domain, list) and len(domain) == 1 and not isinstance(domain[0], list)


def _instead(raw: object) -> str:
    if isinstance(raw, str):
        try:
            return f"write {shown(parse_domain_text(raw))}"
        except SpaceError:
            pass  # then only show the form
    return "write [null] to keep it at null" if raw is None else _FORMS


_FORMS = 'write [0.1, 0.01] or {"uniform": [0, 0.5]}'


def _choice(values: Sequence[object], *, may_repeat: bool) -> Choice:
    raw = [value.item() if hasattr(value, "item") else value for value in values]
    problems: list[Problem] = [] if raw else [("the list of values is empty", _FORMS)]
    seen: set[Hashable] = set()
    for value in raw:
        if isinstance(value, Mapping):
            problem = f"a value is the object {shown(value)}"
            problems.append((problem, "vary its keys by dotted names"))
            continue
        try:
            to_json_value(value, "value")
        except ParamsError as error:  # params.json cannot hold it either
            problems.append((f"{shown(value)}: {error}", None))
            continue
        one = key(value)
        if one in seen and not may_repeat:
            problems.append((f"{shown(value)} is in the list twice", None))
        seen.add(one)
    if problems:
        raise DomainError(*problems)
    return Choice(tuple(raw))


_SETTINGS = ("step", "condition")


def _object(raw: Mapping[str, object], *, may_repeat: bool) -> Domain:
    kinds = (*WORDS, "values")
    words = [word for word in raw if word in kinds]
    unknown = [word for word in raw if word not in kinds and word not in _SETTINGS]
    problems = [(f"unknown word {shown(word)}", _for_word(word)) for word in unknown]
    if len(words) != 1 and not problems:
        problems = [(f"got {' and '.join(words) or 'no word'}", f"write one of {_KNOWN}")]
    if problems:
        raise DomainError(*problems)
    (word,) = words
    if word != "values":
        return _range(word, raw[word], raw.get("step"))
    values = raw[word]
    if hasattr(values, "tolist"):
        values = values.tolist()
    if "step" in raw:
        raise DomainError(("a list has no step", 'a range has: {"uniform": [0, 0.5], "step": 0.1}'))
    if not isinstance(values, (list, tuple, range)):
        raise DomainError((f"values needs a list, got {shown(values)}", f"write {shown([values])}"))
    return _choice(values, may_repeat=may_repeat)


def _for_word(word: object) -> str:
    if word in {"choice", "choices", "grid", "options"}:
        return "write the list alone: [0.1, 0.01]"
    return did_you_mean(str(word), (*WORDS, *_SETTINGS)) or f"write one of {_KNOWN}"


def _range(word: str, bounds: object, step: object) -> Domain:
    low, high = _bounds(word, bounds)
    if step is None:
        return RANGES[word](low, high)
    return RANGES[word](low, high, _step(word, low, high, step))


def _bounds(word: str, bounds: object) -> tuple[Any, Any]:
    """Return the two bounds of a range, checked: ints for an integer range, else floats."""
    if not isinstance(bounds, (list, tuple)) or len(bounds) != len(("low", "high")):
        problem = f"{word} needs [low, high], got {shown(bounds)}"
        raise DomainError((problem, f"for example {_EXAMPLES[word]}"))
    bounds = [bound.item() if hasattr(bound, "item") else bound for bound in bounds]
    if wrong := [shown(bound) for bound in bounds if not is_number(bound)]:
        raise DomainError((f"{word} needs two numbers, got {' and '.join(wrong)}", None))
    whole = _is_integer(word)
    # The hint about their order is for bounds that will do.
    if problems := [*_wrong_bounds(word, bounds)] or [*_wrong_range(word, *bounds)]:
        raise DomainError(*problems)
    low, high = map(int if whole else float, bounds)
    return low, high


def _is_integer(word: str) -> bool:
    return word.endswith("int")


def _step(word: str, low: float, high: float, step: object) -> Any:
    """Return the step of a range, checked: above 0, no larger than the range, and dividing it."""
    step = step.item() if hasattr(step, "item") else step
    if not is_number(step):
        raise DomainError((f"step needs a number, got {shown(step)}", _STEP))
    if step <= 0:
        raise DomainError((f"step needs to be above 0, got {shown(step)}", _STEP))
    if _is_integer(word) and step != int(step):
        floats = word.replace("int", "uniform")
        hint = f'use {{"{floats}": ...}} for steps that are not integers'
        raise DomainError((f"{word} needs an integer as its step, got {shown(step)}", hint))
    if low == high:
        return None
    if step > high - low:
        problem = f"step {shown(step)} is larger than the range from {shown(low)} to {shown(high)}"
        raise DomainError((problem, f"leave it out, or list the values: {shown([low, high])}"))
    count = steps_in(low, high, step)
    if count > MOST_STEPS:
        raise DomainError((f"step {shown(step)} is too small to tell values apart", "leave it out"))
    if count != int(count):
        raise DomainError(_divides_not(word, low, high, step, int(count)))
    if _is_integer(word):
        return None if step == 1 else int(step)
    return float(step)


def _divides_not(word: str, low: float, high: float, step: float, count: int) -> Problem:
    last = float(f"{low + count * step:.12g}")
    last = int(last) if _is_integer(word) else last
    hint = f"write {shown({word: [low, last], 'step': step})}"
    problem = f"step {shown(step)} does not divide the range: from {shown(low)} the last is"
    return f"{problem} {shown(last)}, not {shown(high)}", hint


_STEP = 'for example {"uniform": [0, 0.5], "step": 0.1}'


def _wrong_bounds(word: str, bounds: Sequence[float]) -> Iterator[Problem]:
    parts = [shown(bound) for bound in bounds if bound != int(bound)]
    if parts and _is_integer(word):
        floats = word.replace("int", "uniform")
        hint = f'use {{"{floats}": ...}} for all numbers between'
        yield f"{word} needs integers, got {' and '.join(parts)}", hint
    low = min(bounds)
    if word == "log_uniform" and low <= 0:
        yield f"log_uniform needs low > 0, got {shown(low)}", 'use {"uniform": ...} to include zero'
    if word == "log_int" and low < 1:
        yield f"log_int needs low >= 1, got {shown(low)}", 'use {"int": ...} to include zero'


def _wrong_range(word: str, low: float, high: float) -> Iterator[Problem]:
    """Yield a wrong order, or that floats cannot represent the range: no sampler can use it."""
    width = float(high) - float(low)
    if low > high:
        hint = f"write {shown({word: [high, low]})}"
        yield f"{word} needs low <= high, got {shown(low)} > {shown(high)}", hint
    elif math.isinf(width):
        yield (
            f"{word} is too wide: from {shown(low)} to {shown(high)}",
            "narrow it: no sampler can compute with it",
        )
    elif low < high and not _is_integer(word) and width < sys.float_info.min:
        hint = "search its logarithm, or list values"
        yield f"{word} is too narrow: from {shown(low)} to {shown(high)}", hint


_KNOWN = ", ".join(WORDS)
_EXAMPLES = {
    "uniform": '{"uniform": [0, 0.5]}',
    "log_uniform": '{"log_uniform": [1e-5, 1e-1]}',
    "int": '{"int": [1, 6]}',
    "log_int": '{"log_int": [1, 1024]}',
}
