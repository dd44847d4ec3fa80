"""Check values against a msgspec Struct, with msgspec.

`schema.checked` calls `validated`. msgspec stops at the first wrong value; all keys that the Struct
does not have are reported with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from modeldir.errors import ParamsError
from modeldir.params import schema_messages as words
from modeldir.params.json_values import to_json_values
from modeldir.params.nested import Plain

_WORDS = {
    "int": words.INTEGER,
    "float": words.NUMBER,
    "str": words.STRING,
    "bool": words.BOOLEAN,
    "null": words.NULL,
    "array": words.LIST,
    "object": words.SECTION,
}


def validated(schema: type, values: Plain) -> tuple[Any, list[words.SchemaProblem]]:
    """Return an instance of the Struct made from the values, or None and the problems."""
    import msgspec  # noqa: PLC0415 - an extra

    kept = to_json_values(values)
    values = values if kept.problems else kept.values
    try:
        info = msgspec.inspect.type_info(schema)
        found = [*_unknown_keys(info, values, "")]
        made: Any = msgspec.convert(values, schema, dec_hook=_from_string)
    except msgspec.ValidationError as error:  # no ValueError before msgspec 0.21
        return None, [*found, _problem(str(error), values, schema)]
    except (TypeError, NameError) as error:
        message = f"{words.called(schema)} cannot be used as a schema: {error}"
        raise ParamsError(message) from None
    return (None, found) if found else (made, [])


def _from_string(kind: type, value: Any) -> Any:
    """Make what msgspec does not know, as far as a params file can hold it: a path."""
    if issubclass(kind, PurePath) and isinstance(value, str | PurePath):
        return kind(value)
    expected = words.STRING if issubclass(kind, PurePath) else f"a {words.called(kind)}"
    raise ValueError(f"Expected `{expected}`, got")


def _unknown_keys(info: Any, value: Any, key: str) -> Iterator[words.SchemaProblem]:
    """Yield the keys that no field has, here and in nested Structs: msgspec ignores them."""
    fields = getattr(info, "fields", None)
    if isinstance(value, dict) and fields is not None:
        types = {field.encode_name: field.type for field in fields}
        for name, inner in value.items():
            whole = f"{key}.{name}" if key else name
            if name in types:
                yield from _unknown_keys(types[name], inner, whole)
            else:
                yield words.unknown(whole, words.called(info.cls), [*types])
    elif isinstance(value, dict) and hasattr(info, "value_type"):
        for name, inner in value.items():
            yield from _unknown_keys(info.value_type, inner, f"{key}.{name}")
    elif isinstance(value, list) and hasattr(info, "item_type"):
        for place, inner in enumerate(value):
            yield from _unknown_keys(info.item_type, inner, f"{key}[{place}]")
    elif hasattr(info, "types"):
        structs = [each for each in info.types if hasattr(each, "fields")]
        if len(structs) == 1:  # of several, only msgspec knows which one the value is
            yield from _unknown_keys(structs[0], value, key)


def _problem(message: str, values: Plain, schema: type) -> words.SchemaProblem:
    text, _, path = message.partition(" - at `$")
    key = path.rstrip("`").removeprefix(".")
    if missing := re.match("Object missing required field `(.*)`", text):
        return words.SchemaProblem(f"{key}.{missing[1]}" if key else missing[1], "missing")
    found = _value_at(key, values)
    if expected := re.fullmatch("Expected `([^`]*)`(?:, got.*|( .*))", text):
        limit = expected[2] or ""
        wanted = [_WORDS.get(word, word) + limit for word in expected[1].split(" | ")]
        if found is not _NOT_FOUND:
            return words.mismatch(key, wanted, found)
    problem, _, more = text.partition("\n")
    problem = re.sub("^(Expected|Invalid)", lambda match: match[0].lower(), problem)
    return words.SchemaProblem(key or words.called(schema), problem, more.replace("\n", "\n    "))


_NOT_FOUND = object()


def _value_at(key: str, values: Any) -> Any:
    """Return the value at msgspec's path; it does not name the key of a dict's value."""
    for step in re.findall(r"[^.\[\]]+", key):
        try:
            values = values[int(step) if isinstance(values, list) else step]
        except (KeyError, IndexError, ValueError, TypeError):
            return _NOT_FOUND
    return values
