"""The values that a schema's annotations allow, each kind with its check and its words.

A check gives the value, or notes in `Found` what is wrong and gives `WRONG`. Nothing is turned into
what the file could have said itself; a path, an Enum's member and a tuple are made of what stands
for them in JSON. It refuses to know classes with fields: `schema` does.
"""

from __future__ import annotations

import json
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from typing import Any

from modeldir.errors import did_you_mean
from modeldir.params.nested import Plain

WRONG: Any = object()
_LONG = 60


@dataclass
class Found:
    """All that is wrong: name, problem, hint."""

    problems: list[tuple[str, str, str | None]] = field(default_factory=list)
    parts: dict[int, tuple[Plain, type]] = field(default_factory=dict)  # which class a part is of

    def add(self, key: str, problem: str, hint: str | None = None) -> Any:
        self.problems.append((key, problem, hint))
        return WRONG


@dataclass(frozen=True)
class Type:
    """One annotation: in words, and how a value is checked. `check` gives the value or `WRONG`."""

    words: str
    check: Callable[[Any, str, Found], Any]


def unlike(words: str, value: Any, key: str, found: Found, hint: str | None = None) -> Any:
    return found.add(key, f"expected {words}, found {shown(value)}", hint)


def shown(value: Any) -> str:
    """A value as a params file shows it."""
    if isinstance(value, dict):
        return "a nested part"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return f"{type(value).__name__}"
    text = text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."
    return f"the text {text}" if isinstance(value, str) else text


def _simple(words: str, kinds: tuple[type, ...], hint: Callable[[Any], str | None]) -> Type:
    def check(value: Any, key: str, found: Found) -> Any:
        is_right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        return value if is_right else unlike(words, value, key, found, hint(value))

    return Type(words, check)


def number_hint(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return None
        return f"write {value.strip()} without quotes"
    return None


def int_hint(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    return number_hint(value)


def bool_hint(value: Any) -> str | None:
    meant = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    answer = meant.get(str(value).lower())
    return None if answer is None else f"write {json.dumps(answer)}"


def null_hint(value: Any) -> str | None:
    return "write null" if value in ("None", "null", "none", "~") else None


def no_hint(_: Any) -> None:
    return None


ANYTHING = Type("anything", lambda value, _key, _found: _copied(value))
SIMPLE: dict[Any, Type] = {
    int: _simple("int", (int,), int_hint),
    float: _simple("float", (float, int), number_hint),
    str: _simple("a text", (str,), no_hint),
    bool: _simple("true or false", (bool,), bool_hint),
    type(None): _simple("null", (type(None),), null_hint),
    None: _simple("null", (type(None),), null_hint),
    Any: ANYTHING,
    object: ANYTHING,
}


def union(kinds: list[Type]) -> Type:
    words = " or ".join(dict.fromkeys(kind.words for kind in kinds))

    def check(value: Any, key: str, found: Found) -> Any:
        tries = []
        for kind in kinds:
            own = Found(parts=found.parts)
            result = kind.check(value, key, own)
            if not own.problems:
                return result
            tries.append(own.problems)
        inside = [own for own in tries if any(where != key for where, _, _ in own)]
        if inside:  # the kind that was meant: what is wrong lies within it, and it is the least
            least = min(inside, key=len)
            found.problems += least
            return WRONG
        hints = [hint for own in tries for _, _, hint in own if hint]
        return unlike(words, value, key, found, hints[0] if hints else None)

    return Type(words, check)


def one_of(choices: tuple[Any, ...]) -> Type:
    """A `Literal`, or an Enum by the values of its members."""
    plain = [choice.value if isinstance(choice, Enum) else choice for choice in choices]
    words = " or ".join(json.dumps(value, ensure_ascii=False, default=repr) for value in plain)

    def check(value: Any, key: str, found: Found) -> Any:
        for choice, known in zip(choices, plain, strict=True):
            if value is choice:
                return choice
            if type(known) is type(value) and known == value:
                return choice
        texts = [known for known in plain if isinstance(known, str)]
        hint = did_you_mean(value, texts) if isinstance(value, str) else None
        return unlike(words, value, key, found, hint)

    return Type(words, check)


def path(kind: type[PurePath]) -> Type:
    def check(value: Any, key: str, found: Found) -> Any:
        if isinstance(value, str | PurePath):
            return kind(value)
        return unlike("a path", value, key, found)

    return Type("a path", check)


def list_of(kind: Type) -> Type:
    words = "a list" if kind is ANYTHING else f"a list of {kind.words}"

    def check(value: Any, key: str, found: Found) -> Any:
        if not isinstance(value, list | tuple):
            return unlike(words, value, key, found)
        return [kind.check(one, f"{key}[{index}]", found) for index, one in enumerate(value)]

    return Type(words, check)


def tuple_of(kind: Type) -> Type:
    of_list = list_of(kind)

    def check(value: Any, key: str, found: Found) -> Any:
        result = of_list.check(value, key, found)
        return result if result is WRONG else tuple(result)

    return Type(of_list.words, check)


def fixed_tuple(kinds: list[Type]) -> Type:
    words = f"[{', '.join(kind.words for kind in kinds)}]"

    def check(value: Any, key: str, found: Found) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(kinds):
            return unlike(words, value, key, found)
        return tuple(
            kind.check(one, f"{key}[{index}]", found)
            for index, (kind, one) in enumerate(zip(kinds, value, strict=True))
        )

    return Type(words, check)


def dict_of(kind: Type) -> Type:
    words = "a nested part" if kind is ANYTHING else f"a nested part of {kind.words}"

    def check(value: Any, key: str, found: Found) -> Any:
        if not isinstance(value, dict):
            return unlike(words, value, key, found)
        return {name: kind.check(one, f"{key}.{name}", found) for name, one in value.items()}

    return Type(words, check)


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if type(value) is list else value


# -- Annotations -----------------------------------------------------------------------------------


def bare(annotation: Any) -> Any:
    """Without `Annotated`, `NewType`, `Final` and the names of aliases around it."""
    while True:
        if typing.get_origin(annotation) in (typing.Annotated, typing.Final):
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def is_struct(schema: type) -> bool:
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and issubclass(schema, msgspec.Struct)


def is_model(schema: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(schema, pydantic.BaseModel)


def called(annotation: Any) -> str:
    name = getattr(annotation, "__qualname__", None) if isinstance(annotation, type) else None
    is_plain = name and not typing.get_args(annotation)
    return str(name).rpartition("<locals>.")[2] if is_plain else str(annotation)
