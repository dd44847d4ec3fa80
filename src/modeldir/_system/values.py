"""Frozen dataclasses that cost next to nothing: those of the standard library take half a
millisecond each as they are defined, and their module, by way of `inspect`, four.

Here a class has all its functions in common with the others, but for `__init__`, which is compiled
when the first instance is made: a command makes instances of a third of the classes that it
imports. To type checkers it is the standard library's own, whose `fields`, `replace` and `asdict`
take what is made here, too.

It refuses to know any option but `frozen=True`, and `__post_init__`.

`NamedTuple` is `typing`'s likewise, which compiles the annotation of each field to look at it.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field, fields, replace
    from typing import NamedTuple

__all__ = ["NamedTuple", "dataclass", "field", "fields", "replace"]

_MISSING: Any = object()


class _Field:
    """What a field may have besides its type, as `dataclasses.field`; then also its name."""

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        repr: bool = True,  # noqa: A002 - as the standard library calls it
        compare: bool = True,
    ) -> None:
        self.name = ""
        self.type: Any = None
        self.options = {"repr": repr, "compare": compare}
        if default is not _MISSING:
            self.options["default"] = default
        if default_factory is not _MISSING:
            self.options["default_factory"] = default_factory


def _fields(value: Any) -> tuple[_Field, ...]:
    """Those of a class that is made here, or of an instance, in order."""
    return tuple(value.__values__.values())


def _made(made: Any) -> Any:
    values: dict[str, _Field] = {}
    for base in reversed(made.__mro__[1:]):
        values.update(base.__dict__.get("__values__", {}))
    for name, kind in made.__annotations__.items():
        if not str(kind).startswith(("ClassVar", "typing.ClassVar")):
            values[name] = _field_of(made, name, kind)
    made.__values__ = values
    made.__match_args__ = tuple(values)  # type: ignore[misc] # not before there are fields
    for name, shared in _SHARED.items():
        if name not in made.__dict__:
            setattr(made, name, shared)

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807 - it is one
        made.__init__ = _init_of(made)
        made.__init__(self, *arguments, **named)

    made.__init__ = __init__
    return made


def _field_of(made: Any, name: str, kind: object) -> _Field:
    if name not in made.__dict__:
        found = _Field()
    elif isinstance(found := made.__dict__[name], _Field):
        delattr(made, name)
        if "default" in found.options:
            setattr(made, name, found.options["default"])
    else:
        found = _Field(default=found)
    found.name, found.type = name, kind
    return found


def _init_of(made: Any) -> Callable[..., None]:
    """What takes the fields, in order or by name. It is compiled, since instances by the ten
    thousand are made by it, and Python itself then says what a call lacks.
    """
    scope: dict[str, Any] = {"_set": object.__setattr__, "_unsaid": _MISSING}
    takes, lines = ["self"], [" pass"]
    for name, each in made.__values__.items():
        value = name
        if "default_factory" in each.options:
            scope[f"_make_{name}"] = each.options["default_factory"]
            takes.append(f"{name}=_unsaid")
            value = f"_make_{name}() if {name} is _unsaid else {name}"
        elif "default" in each.options:
            scope[f"_default_{name}"] = each.options["default"]
            takes.append(f"{name}=_default_{name}")
        else:
            takes.append(name)
        lines.append(f" _set(self, {name!r}, {value})")
    text = "\n".join([f"def __init__({', '.join(takes)}):", *lines])
    exec(text, scope)  # noqa: S102 - names of fields, and nothing else
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    return init


# -- What all have in common -----------------------------------------------------------------------


def _repr(self: Any) -> str:
    said = [each.name for each in _fields(self) if each.options["repr"]]
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in said)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> Any:
    return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple([getattr(value, each.name) for each in _fields(value) if each.options["compare"]])


def _setattr(_self: object, name: str, _value: object) -> None:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - slow, and for a mistake

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(_self: object, name: str) -> None:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - as above

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _replace(self: Any, /, **changes: Any) -> Any:
    return type(self)(**({name: getattr(self, name) for name in self.__match_args__} | changes))


class _StandardFields:
    """What the standard library's own functions ask a class for; made when they do."""

    def __get__(self, instance: object, owner: Any) -> Any:
        import dataclasses  # noqa: PLC0415 - as above

        given = [
            (each.name, each.type, dataclasses.field(**each.options))  # type: ignore[call-overload] # has both
            for each in _fields(owner)
        ]
        twin: Any = dataclasses.make_dataclass(owner.__name__, given, frozen=True)
        owner.__dataclass_fields__ = twin.__dataclass_fields__
        return owner.__dataclass_fields__


_SHARED = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__replace__": _replace,
    "__dataclass_fields__": _StandardFields(),
}


# -- Tuples ----------------------------------------------------------------------------------------


class _Tuples(type):
    """Makes of a class with annotations what `collections.namedtuple` makes of their names."""

    def __new__(cls, name: str, _: tuple[type, ...], body: dict[str, Any]) -> Any:
        kinds = body.pop("__annotations__", {})
        values = [body.pop(each) for each in kinds if each in body]
        module = body.pop("__module__")
        made: Any = namedtuple(name, kinds, defaults=values, module=module)  # type: ignore[misc] # noqa: PYI024 - of any name
        made.__annotations__ = kinds
        for each, value in body.items():
            setattr(made, each, value)
        return made


if not TYPE_CHECKING:
    field, fields, NamedTuple = _Field, _fields, type.__new__(_Tuples, "NamedTuple", (), {})

    def dataclass(*, frozen: bool) -> Any:
        """As `dataclasses.dataclass(frozen=True)`.

        >>> @dataclass(frozen=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(1), Point(1) == Point(1, 0)
        (Point(x=1, y=0), True)
        """
        assert frozen
        return _made

    def replace(value: Any, /, **changes: Any) -> Any:
        """As `dataclasses.replace`, also of the standard library's own."""
        return _replace(value, **changes)
