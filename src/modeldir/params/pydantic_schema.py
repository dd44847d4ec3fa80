"""Check values against a dataclass or a pydantic model, with pydantic.

`schema.checked` calls `validated`. Types are strict: no string becomes a number, nothing is
rounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from modeldir.errors import ParamsError
from modeldir.params import schema_messages as words
from modeldir.params.json_values import to_json_value
from modeldir.params.nested import Plain

_INSTALL = "pip install 'modeldir[schema]'"
_SUPPORTED = (
    "use int, float, str, bool, None, Any, Path, Literal, an Enum, list, tuple, dict[str, ...], "
    "a dataclass, or these with |"
)
_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


def validated(schema: type, values: Plain) -> tuple[Any, list[words.SchemaProblem]]:
    """Return an instance of the schema made from the values, or None and all problems."""
    try:
        import pydantic  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        message = f"schema={words.called(schema)} needs pydantic\n  {_INSTALL}"
        raise ParamsError(message) from None
    # A script's mapping may hold paths and members of an Enum: JSON makes them what a file has.
    text = json.dumps(values, default=lambda value: to_json_value(value, ""))
    try:
        adapter: Any = pydantic.TypeAdapter(schema)
        try:
            return adapter.validate_json(text, strict=True, extra="forbid"), []
        except pydantic.ValidationError as error:
            found = [*_problems(error.errors(), values, schema, adapter)]
        if found:
            return None, found
        return adapter.validate_json(text, strict=True), []  # the model allows unknown keys
    except (pydantic.errors.PydanticUserError, NameError) as error:
        reason = re.split(r"\. |\n", str(error))[0]
        message = f"{words.called(schema)} cannot be used as a schema: {reason}\n  {_SUPPORTED}"
        raise ParamsError(message) from None
    except TypeError as error:  # from a __post_init__: pydantic reports only ValueErrors
        return None, [words.SchemaProblem(words.called(schema), str(error))]


class _Located(NamedTuple):
    """An error of pydantic, and where it is in the values."""

    key: str  # the dotted name
    error: Mapping[str, Any]
    union: str | None = None  # the dotted name of the union in which it is, if any
    member: str = ""  # the member of the union that pydantic tried


def _problems(
    errors: Sequence[Mapping[str, Any]], values: Plain, schema: type, adapter: Any
) -> Iterator[words.SchemaProblem]:
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for each in _of_the_likeliest_members([_located(error, values) for error in errors]):
        by_key.setdefault(each.key, []).append(each.error)
    for key, several in by_key.items():
        first = several[0]
        expected = [word for each in several if (word := _expected(each))]
        if first["type"] in _UNKNOWN:
            sections = [*_sections(adapter, first["loc"][:-1])]
            if not any(section.get("additionalProperties") is True for section in sections):
                owners = dict.fromkeys(str(section.get("title")) for section in sections)
                known = [name for section in sections for name in section.get("properties", ())]
                yield words.unknown(key, " or ".join(owners) or "the schema", known)
        elif first["type"] == "missing":
            yield words.SchemaProblem(key, "missing")
        elif expected:
            yield words.mismatch(key, expected, first["input"])
        else:
            yield words.SchemaProblem(key or words.called(schema), *_message(first))


def _located(error: Mapping[str, Any], values: Any) -> _Located:
    """Find an error's place. A step that the values do not have is the name of a union's member."""
    key, value, members = "", values, []
    *_, last = enumerate(error["loc"]) if error["loc"] else [(0, "")]
    for place, step in enumerate(error["loc"]):
        is_missing = error["type"] == "missing" and place == last[0]
        if isinstance(value, dict) and (step in value or is_missing):
            key = f"{key}.{step}" if key else str(step)
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int):
            key = f"{key}[{step}]"
            value = value[step] if step < len(value) else None
        else:
            members.append((key, str(step)))
    return _Located(key, error, *(members[0] if members else ()))


def _of_the_likeliest_members(errors: list[_Located]) -> Iterator[_Located]:
    """Yield the errors of a union's likeliest member: that with the fewest errors."""
    inside: dict[str, dict[str, int]] = {}  # by union and member: how many errors
    for each in errors:
        if each.union is not None and each.key != each.union:
            counts = inside.setdefault(each.union, {})
            counts[each.member] = counts.get(each.member, 0) + 1
    for each in errors:
        counts = inside.get(each.union or "", {}) if each.union is not None else {}
        if not counts or each.member == min(counts, key=counts.__getitem__):
            yield each


_EXPECTED = {
    "int_type": words.INTEGER,
    "int_from_float": words.INTEGER,
    "float_type": words.NUMBER,
    "string_type": words.STRING,
    "path_type": words.STRING,
    "bool_type": words.BOOLEAN,
    "none_required": words.NULL,
    "list_type": words.LIST,
    "tuple_type": words.LIST,
    "set_type": words.LIST,
    "dict_type": words.SECTION,
    "mapping_type": words.SECTION,
    "model_type": words.SECTION,
    "dataclass_type": words.SECTION,
}


def _expected(error: Mapping[str, Any]) -> str | None:
    if error["type"] in {"literal_error", "enum"}:
        return str(error["ctx"]["expected"]).replace("'", '"')
    return _EXPECTED.get(error["type"])


def _message(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return the message of a validator of the user's own, or of a limit: its first line, more."""
    text = re.sub(r"^(Value error|Assertion failed), ", "", str(error["msg"]))
    if text != error["msg"]:
        problem, _, more = text.partition("\n")
        return problem, (more if error["type"] == "value_error" else "").replace("\n", "\n    ")
    found = "" if isinstance(error["input"], dict) else f", found {words.shown(error['input'])}"
    return f"{text[:1].lower()}{text[1:]}{found}", ""


def _sections(adapter: Any, steps: Sequence[str | int]) -> Iterator[Mapping[str, Any]]:
    """Yield what pydantic's JSON schema says of the class at the end of these steps."""
    from pydantic.errors import PydanticInvalidForJsonSchema  # noqa: PLC0415 - as above

    try:
        whole = adapter.json_schema()
    except PydanticInvalidForJsonSchema:  # a type without one: then without hints
        return
    level = [*_variants(whole, whole)]
    for step in steps:
        inner = [below for each in level for below in _below(each, step)]
        if inner:  # else the step is the name of a union's member
            level = [variant for each in inner for variant in _variants(each, whole)]
        else:
            level = [each for each in level if each.get("title") == step] or level
    yield from (each for each in level if each.get("type") == "object")


def _variants(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a JSON schema, or the members of its union; references are followed."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    members = [each for word in ("anyOf", "oneOf", "allOf") for each in schema.get(word, ())]
    if members:
        for each in members:
            yield from _variants(each, whole)
    else:
        yield schema


def _below(schema: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, int):
        items = schema.get("prefixItems", ())
        found = items[step] if step < len(items) else schema.get("items")
    else:
        found = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    if isinstance(found, dict):
        yield found
