"""Pydantic models as schemas: what pydantic finds wrong, in our words.

It knows pydantic's errors and how its fields are named. It refuses to import it: whoever has a
model has done so.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modeldir.params.nested import Plain
from modeldir.params.schema_values import (
    bare,
    bool_hint,
    int_hint,
    is_model,
    no_hint,
    null_hint,
    number_hint,
    shown,
)


def validated(model: Any, values: Plain) -> Any:
    """Strict, as JSON: there a text may be an Enum's or a path, and a list a tuple.

    Raises:
        ValueError: pydantic's own, with all that is wrong.
    """
    try:
        text = json.dumps(values)
    except TypeError:  # a mapping of the script's own, with what JSON has no form for
        return model.model_validate(values, strict=True)
    return model.model_validate_json(text, strict=True)


def names_of(model: Any) -> dict[str, Any]:
    """Its fields by the names that a file has for them."""
    return {one.alias or name: one for name, one in model.model_fields.items()}


def unknown_to(model: Any, values: Plain, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names that no field has, here and in nested models: pydantic passes over them by default."""
    fields = names_of(model)
    may_have_more = model.model_config.get("extra") == "allow"
    for name, value in values.items():
        if name in fields:
            for where, inner in _models_at(fields[name].annotation, value):
                yield from unknown_to(inner[0], inner[1], f"{prefix}{name}{where}.")
        elif not may_have_more:
            yield f"{prefix}{name}", model


def _models_at(annotation: Any, value: Any) -> Iterator[tuple[str, tuple[Any, Plain]]]:
    """The models that nested parts of a value are meant to be, each with where it lies."""
    annotation = bare(annotation)
    arguments = typing.get_args(annotation)
    if isinstance(annotation, type) and is_model(annotation):
        if isinstance(value, dict):
            yield "", (annotation, value)
        return
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        models = [one for one in arguments if isinstance(one, type) and is_model(one)]
        if len(models) == 1:  # of several, only pydantic knows which was meant
            yield from _models_at(models[0], value)
    elif (origin, type(value)) in ((list, list), (dict, dict)):
        for step, one in _steps(value):
            for where, found in _models_at(arguments[-1], one):
                yield f"{step}{where}", found


def _steps(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f".{name}", one) for name, one in value.items())
    else:
        yield from ((f"[{index}]", one) for index, one in enumerate(value))


def problems(error: Any, values: Plain) -> Iterator[tuple[str, str, str | None]]:
    """Each name with what is wrong with it, in our words."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for one in error.errors() if hasattr(error, "errors") else ():
        if one["type"] != "extra_forbidden":  # told with the other unknown names
            by_name.setdefault(_place(one, values), []).append(one)
    for name, several in by_name.items():  # a union's members each have their say
        words = [word for one in several if (word := _expected(one))]
        value = several[0].get("input")
        if several[0]["type"] == "missing":
            yield name, "missing", None
        elif words:
            hints = (_HINTS.get(word, no_hint)(value) for word in words)
            expected = " or ".join(dict.fromkeys(words))
            problem = f"expected {expected}, found {shown(value)}"
            yield name, problem, next(filter(None, hints), None)
        else:
            yield name, _message(several[0]), None


def _expected(one: Mapping[str, Any]) -> str | None:
    if one["type"] in ("literal_error", "enum"):
        return str(one["ctx"]["expected"]).replace("'", '"')
    return _EXPECTED.get(one["type"])


_EXPECTED = {
    "int_type": "int",
    "int_from_float": "int",
    "float_type": "float",
    "string_type": "a text",
    "bool_type": "true or false",
    "none_required": "null",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a nested part",
    "model_type": "a nested part",
    "path_type": "a path",
}
_HINTS: dict[str, Callable[[Any], str | None]] = {
    "int": int_hint,
    "float": number_hint,
    "true or false": bool_hint,
    "null": null_hint,
}


def _message(one: Mapping[str, Any]) -> str:
    text = str(one["msg"])
    for said in ("Value error, ", "Assertion failed, "):
        if text.startswith(said):
            return text.removeprefix(said)
    found = "" if isinstance(one["input"], dict) else f", found {shown(one['input'])}"
    return f"{text[:1].lower()}{text[1:]}{found}"


def _place(one: Mapping[str, Any], values: Any) -> str:
    """The dotted name of an error's place: without the steps that name a union's members."""
    name, value = "", values
    steps = list(one["loc"])
    for number, step in enumerate(steps):
        is_last_of_missing = one["type"] == "missing" and number == len(steps) - 1
        if isinstance(value, dict) and (step in value or is_last_of_missing):
            name = f"{name}.{step}" if name else str(step)
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            name = f"{name}[{step}]"
            value = value[step] if step < len(value) else None
    return name


def filled_from(given: Any, made: Any) -> Any:
    """What pydantic made of the values, in the file's order, each number as the file has it."""
    if isinstance(given, dict) and isinstance(made, dict):
        filled = {name: filled_from(one, made[name]) for name, one in given.items()}
        return {**filled, **{name: one for name, one in made.items() if name not in given}}
    if isinstance(given, list) and isinstance(made, list | tuple) and len(given) == len(made):
        return type(made)(filled_from(*pair) for pair in zip(given, made, strict=True))
    is_number = isinstance(given, int | float) and isinstance(made, int | float)
    return given if is_number and given == made else made
