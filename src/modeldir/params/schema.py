"""A schema: which hyperparameters there are, of what types, with what defaults.

    @dataclass
    class Hyperparameters:
        learning_rate: float
        batch_size: int = 32

    params = Params("experiments/base_model/params.json", schema=Hyperparameters)

A schema is a dataclass, a msgspec Struct or a pydantic model. `checked` gives the values with the
defaults filled in, or one error with everything that is wrong. It knows types. It refuses to know
files, and to turn one type into another that the file could have said itself: "32" is no number and
32.0 no whole one. What JSON cannot say becomes what the schema calls it: a `Path`, an `Enum`'s
member, a tuple; nested dataclasses become nested parts.

msgspec and pydantic are never imported here: whoever has a class of theirs has imported them.

Start at `_Part.check`; `_Types.of` says which annotations there are.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from typing import Any

from modeldir.errors import ParamsError, did_you_mean
from modeldir.params import pydantic_models
from modeldir.params.nested import Plain
from modeldir.params.schema_values import (
    ANYTHING,
    SIMPLE,
    WRONG,
    Found,
    Type,
    bare,
    called,
    dict_of,
    fixed_tuple,
    is_model,
    is_struct,
    list_of,
    one_of,
    path,
    tuple_of,
    union,
    unlike,
)


class Schema:
    """What a schema may inherit to be known to editors as what it describes: a `Params`.

    Empty when it runs. With it, `params.save(...)` passes a type checker beside
    `params.learning_rate`.
    """

    if typing.TYPE_CHECKING:

        def save(self, path: Any, /) -> None: ...

        def update(self, other: Any = None, /, **names: Any) -> None: ...

        @property
        def dict(self) -> Plain: ...


def checked(values: Plain, schema: type, shown: str = "") -> Plain:
    """The values, checked against a schema, in their order; the schema's defaults behind.

    Args:
        values: as the file has them; left as they are.
        schema: a dataclass, a msgspec Struct or a pydantic model.
        shown: the file, as the user named it; empty where there is none.

    Raises:
        ParamsError: with every unknown, missing and wrong name, and every annotation that has no
            meaning in a params file.
    """
    found = Found()
    part = _Types(found).part_of(schema)
    if part is None:
        raise ParamsError(
            f"{called(schema)} is no schema: expected a dataclass, a msgspec Struct "
            "or a pydantic model"
        )
    filled = part.check(values, "", found)
    if not found.problems:
        return {**filled}
    subject = f"{shown} does" if shown else "The hyperparameters do"
    raise ParamsError(
        f"{subject} not fit {called(schema)}:",
        [(f"{key}: {problem}", hint) for key, problem, hint in found.problems],
        state="",
        path=shown or None,
        key=found.problems[0][0],
    )


@dataclass
class _Field:
    name: str
    kind: Type | None  # None: its annotation is a problem by itself
    default: Callable[[], Any] | None


@dataclass
class _Part:
    """A class of the schema: one nested part, or the whole."""

    schema: type
    fields: dict[str, _Field] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return f"a nested part ({called(self.schema)})"

    def check(self, values: Any, key: str, found: Found) -> Any:
        if not isinstance(values, dict):
            return unlike(self.words, values, key, found)
        before = len(found.problems)
        prefix = f"{key}." if key else ""
        filled = {
            name: self._given(name, value, prefix, found)
            for name, value in values.items()  # the file's order
        }
        for name, one in self.fields.items():
            if name not in values:
                filled[name] = self._left_out(one, prefix, found)
        found.parts[id(filled)] = filled, self.schema
        if len(found.problems) == before:
            self._ask_the_class(filled, key, found)
        return filled

    def _given(self, name: str, value: Any, prefix: str, found: Found) -> Any:
        one = self.fields.get(name)
        if one is None:
            hint = did_you_mean(name, list(self.fields))
            return found.add(f"{prefix}{name}", f"{called(self.schema)} has no such name", hint)
        return WRONG if one.kind is None else one.kind.check(value, f"{prefix}{name}", found)

    def _left_out(self, one: _Field, prefix: str, found: Found) -> Any:
        if one.default is not None:
            return _plain(one.default(), found)
        if one.kind is None:
            return WRONG
        return found.add(f"{prefix}{one.name}", f"missing; expected {one.kind.words}")

    def _ask_the_class(self, filled: Plain, key: str, found: Found) -> None:
        """Let the class itself have its say: a `__post_init__`, the limits of a Struct."""
        try:
            if is_struct(self.schema):
                sys.modules["msgspec"].convert(_by_value(filled), self.schema)
            elif hasattr(self.schema, "__post_init__"):
                _built(filled, found)
        except (ValueError, TypeError, AssertionError) as error:
            said, _, place = str(error).partition(" - at `$")
            name = f"{key}{place.rstrip('`')}" if place.startswith(".") else key
            problem, _, more = said.replace("Expected", "expected", 1).partition("\n")
            hint = None if isinstance(error, AssertionError) else more.replace("\n", "\n    ")
            name = name.removeprefix(".") or called(self.schema)
            found.add(name, problem or type(error).__name__, hint)


class _ModelPart(_Part):
    """A pydantic model: it checks by its own strict rules, and its errors are told in our words."""

    def check(self, values: Any, key: str, found: Found) -> Any:
        if not isinstance(values, dict):
            return unlike(self.words, values, key, found)
        model: Any = self.schema
        prefix = f"{key}." if key else ""
        before = len(found.problems)
        for name, owner in pydantic_models.unknown_to(model, values):
            hint = did_you_mean(name.rpartition(".")[2], list(pydantic_models.names_of(owner)))
            found.add(f"{prefix}{name}", f"{called(owner)} has no such name", hint)
        try:
            made = pydantic_models.validated(model, values)
        except ValueError as error:
            for name, problem, hint in pydantic_models.problems(error, values):
                found.add(f"{prefix}{name}" if name else key or called(model), problem, hint)
        if len(found.problems) > before:
            return WRONG
        filled = pydantic_models.filled_from(
            values, made.model_dump(by_alias=True, round_trip=True)
        )
        found.parts[id(filled)] = filled, self.schema
        return filled


# -- Annotations -----------------------------------------------------------------------------------


class _UnsupportedError(Exception):
    """An annotation that says nothing about a value in a params file."""


class _Types:
    """Turns annotations into checks; each class once, so that a class may contain itself."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.parts: dict[type, _Part] = {}

    def part_of(self, schema: Any) -> _Part | None:
        """The part that a class describes; None if it is none of the three kinds."""
        if not isinstance(schema, type):
            return None
        if schema in self.parts:
            return self.parts[schema]
        if is_model(schema):
            self.parts[schema] = _ModelPart(schema)
        elif is_struct(schema) or dataclasses.is_dataclass(schema):
            part = self.parts[schema] = _Part(schema)
            for name, annotation, default in _fields_of(schema):
                part.fields[name] = _Field(name, self._field(schema, name, annotation), default)
        return self.parts.get(schema)

    def _field(self, schema: type, name: str, annotation: Any) -> Type | None:
        try:
            return self.of(_resolved(schema, name, annotation))
        except _UnsupportedError as error:
            hint = None if self.found.problems else _SUPPORTED  # once is enough
            self.found.add(f"{called(schema)}.{name}", str(error), hint)
            return None

    def of(self, annotation: Any) -> Type:
        """How a value of an annotation is checked.

        Raises:
            _UnsupportedError: if the annotation says nothing about a value in a params file.
        """
        annotation = bare(annotation)
        if annotation in SIMPLE:
            return SIMPLE[annotation]
        origin = typing.get_origin(annotation) or annotation
        arguments = typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return union([self.of(argument) for argument in arguments])
        if origin is typing.Literal:
            return one_of(arguments)
        if origin in (list, Sequence):
            return list_of(self.of(arguments[0]) if arguments else ANYTHING)
        if origin is tuple:
            return self._tuple(annotation, arguments)
        if origin in (dict, Mapping):
            return self._dict(annotation, arguments)
        part = self.part_of(annotation)
        if part is not None:
            return Type(part.words, part.check)
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return one_of(tuple(annotation))
        if isinstance(annotation, type) and issubclass(annotation, PurePath):
            return path(annotation)
        raise _UnsupportedError(f"{called(annotation)} is no type of a hyperparameter")

    def _tuple(self, annotation: Any, arguments: tuple[Any, ...]) -> Type:
        if annotation is tuple:
            return tuple_of(ANYTHING)
        if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[T, ...]
            return tuple_of(self.of(arguments[0]))
        return fixed_tuple([self.of(argument) for argument in arguments])

    def _dict(self, annotation: Any, arguments: tuple[Any, ...]) -> Type:
        if not arguments:
            return dict_of(ANYTHING)
        if bare(arguments[0]) is not str:
            raise _UnsupportedError(f"{called(annotation)}: the names in a params file are texts")
        return dict_of(self.of(arguments[1]))


_SUPPORTED = (
    "use int, float, str, bool, None, Any, Path, Literal, an Enum, list, tuple, dict[str, ...], "
    "a dataclass, or these with |"
)


def _fields_of(schema: type) -> Iterator[tuple[str, Any, Callable[[], Any] | None]]:
    """Each field: its name, its annotation as written, what makes its default."""
    if is_struct(schema):
        msgspec: Any = sys.modules["msgspec"]
        for one in msgspec.structs.fields(schema):
            yield one.encode_name, one.type, _default(one, msgspec.NODEFAULT)
        return
    for each in dataclasses.fields(schema):
        if each.init:
            yield each.name, each.type, _default(each, dataclasses.MISSING)


def _default(one: Any, nothing: object) -> Callable[[], Any] | None:
    if one.default is not nothing:
        return lambda: one.default
    return None if one.default_factory is nothing else one.default_factory


def _resolved(schema: type, name: str, annotation: Any) -> Any:
    """An annotation with its texts (`from __future__ import annotations`) made types."""
    home = next((kind for kind in schema.__mro__ if name in _annotated(kind)), schema)
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    module = sys.modules.get(home.__module__)
    known = {**vars(module)} if module is not None else {}
    local = {home.__name__: home, schema.__name__: schema}
    try:
        hints = typing.get_type_hints(holder, {**local, **known}, None, include_extras=True)
    except Exception as error:
        raise _UnsupportedError(f"its annotation {annotation!r} cannot be read: {error}") from error
    return hints[name]


def _annotated(kind: type) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(kind, "__annotations__", {})
    return found if "__annotations__" in vars(kind) or sys.version_info >= (3, 14) else {}


def _plain(value: Any, found: Found) -> Any:
    """A default as `Params` keeps it: an object of the schema's classes is a nested part."""
    kind = type(value)
    names = _names_within(kind)
    if names is not None:
        part = {name: _plain(getattr(value, name), found) for name in names}
        found.parts[id(part)] = part, kind
        return part
    if kind is dict:
        return {name: _plain(one, found) for name, one in value.items()}
    return kind(_plain(one, found) for one in value) if kind in (list, tuple) else value


def _names_within(kind: type) -> Sequence[str] | None:
    if is_struct(kind):
        names: Sequence[str] = kind.__struct_fields__  # type: ignore[attr-defined]
        return names
    if is_model(kind):
        return list(kind.model_fields)  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(kind):
        return [each.name for each in dataclasses.fields(kind) if each.init]
    return None


def _built(value: Any, found: Found) -> Any:
    """Checked values as objects of the schema's classes, so that these may check them too."""
    if isinstance(value, dict):
        inner = {name: _built(one, found) for name, one in value.items()}
        _, schema = found.parts.get(id(value), (value, None))
        return inner if schema is None else schema(**inner)
    if type(value) in (list, tuple):
        return type(value)(_built(one, found) for one in value)
    return value


def _by_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _by_value(one) for name, one in value.items()}
    if type(value) in (list, tuple):
        return [_by_value(one) for one in value]
    return value.value if isinstance(value, Enum) else value
