"""Describe the options of `tyro.cli`: fields of a dataclass, or arguments of a function.

tyro makes the dataclass; a function that only returns its arguments replaces the real one.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import sys

from . import conversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    original = module.cli

    @functools.wraps(original)
    def cli(f: Any, *, args: Any = None, **options: Any) -> Any:
        if conversation.is_held():
            return original(f, args=args, **options)
        words = sys.argv[1:] if args is None else [*args]

        def parsed(words: list[str]) -> dict[str, Any]:
            made = original(_without_body(f), args=words, **options)
            if options.get("return_unknown_args"):
                return {**_flat(made[0]), "*": made[1]}
            return _flat(made)

        conversation.hold("tyro", words, parsed, lambda values: [*_described(values)])
        return None

    module.cli = cli  # type: ignore[attr-defined]


def _without_body(function: Any) -> Any:
    """Return a function that takes the same arguments and only returns them."""
    if not inspect.isfunction(function):
        return function
    signature = inspect.signature(function)

    @functools.wraps(function)
    def instead(*args: Any, **given: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **given)
        bound.apply_defaults()
        return dict(bound.arguments)

    return instead


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return what tyro made, by dotted name: dataclasses, dicts, and what has annotated fields."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif isinstance(value, dict):
        names = [*value]
    else:
        names = [*getattr(type(value), "model_fields", ())]  # pydantic's
    get: Callable[[str], Any] = (
        value.get if isinstance(value, dict) else functools.partial(getattr, value)
    )
    if not names:
        return {prefix.removesuffix("."): value.name if isinstance(value, enum.Enum) else value}
    found: dict[str, Any] = {}
    for name in names:
        found.update(_flat(get(name), f"{prefix}{name}."))
    return found


def _described(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in values.items():
        section, dot, name = key.rpartition(".")
        is_switch = isinstance(value, bool)
        yield {
            "key": key,
            "flags": [f"--{key}"],
            "kind": "on_off" if is_switch else "store",
            "off": [f"--{section}{dot}no_{name}"] if is_switch else [],
            "raw": None,
        }
