"""A schema (a dataclass, a pydantic model or a msgspec Struct): keys, types and defaults.

`Params` calls `checked`. The libraries do the work: `pydantic_schema` and `msgspec_schema` adapt
them. A value that JSON can express is never converted: "32" is no number, and 32.0 no integer.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from typing import Any

from modeldir.errors import ParamsError
from modeldir.params import msgspec_schema, pydantic_schema
from modeldir.params.nested import Plain
from modeldir.params.schema_messages import called


class Schema:
    """Optional base class for schemas.

    It does nothing at run time. It tells editors that the object also has `save`, `update` and
    `dict`.
    """

    if typing.TYPE_CHECKING:

        def save(self, path: Any, /) -> None: ...

        def update(self, other: Any = None, /, **names: Any) -> None: ...

        @property
        def dict(self) -> Plain: ...


def checked(values: Plain, schema: type, shown: str = "") -> Plain:
    """Check values against a schema; return them in their order, followed by the defaults."""
    if _is_struct(schema):
        made, problems = msgspec_schema.validated(schema, values)
    elif isinstance(schema, type) and (_is_model(schema) or dataclasses.is_dataclass(schema)):
        made, problems = pydantic_schema.validated(schema, values)
    else:
        name = called(schema) if isinstance(schema, type) else str(schema)
        raise ParamsError(
            f"{name} is not a schema: expected a dataclass, a msgspec Struct or a pydantic model"
        )
    if not problems:
        filled: Plain = _as_given(values, _to_plain(made))
        return filled
    subject = f"{shown} does" if shown else "The hyperparameters do"
    raise ParamsError(
        f"{subject} not fit {called(schema)}:",
        [(f"{each.key}: {each.problem}", each.hint) for each in problems],
        state="",
        path=shown or None,
        key=problems[0].key,
    )


def _is_struct(schema: Any) -> bool:
    msgspec = sys.modules.get("msgspec")  # a Struct exists only where it was imported
    return msgspec is not None and isinstance(schema, type) and issubclass(schema, msgspec.Struct)


def _is_model(schema: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(schema, pydantic.BaseModel)


def _to_plain(value: Any) -> Any:
    kind = type(value)
    if _is_struct(kind):
        fields = sys.modules["msgspec"].structs.fields(kind)
        return {each.encode_name: _to_plain(getattr(value, each.name)) for each in fields}
    if _is_model(kind):
        names = {name: each.alias or name for name, each in kind.model_fields.items()}
        inner = {key: _to_plain(getattr(value, name)) for name, key in names.items()}
        return {**inner, **_to_plain(value.model_extra or {})}
    if dataclasses.is_dataclass(kind):
        names = {each.name: each.name for each in dataclasses.fields(kind) if each.init}
        return {name: _to_plain(getattr(value, name)) for name in names}
    if kind is dict:
        return {name: _to_plain(inner) for name, inner in value.items()}
    return kind(map(_to_plain, value)) if kind in (list, tuple) else value


def _as_given(given: Any, made: Any) -> Any:
    """Return what was made, in the order of the file and with its numbers: 1 stays 1, not 1.0."""
    if isinstance(given, dict) and isinstance(made, dict):
        filled = {name: _as_given(each, made[name]) for name, each in given.items()}
        return {**filled, **{name: each for name, each in made.items() if name not in given}}
    if isinstance(given, list | tuple) and isinstance(made, list | tuple):
        if len(given) != len(made):
            return made
        return type(made)(_as_given(*pair) for pair in zip(given, made, strict=True))
    is_number = type(given) in (int, float) and type(made) in (int, float)
    return given if is_number and given == made else made
