"""Describe the arguments of the function that `fire.Fire` is about to call.

Fire itself parses the words; a function with the same signature takes the place of the real one.
"""

from __future__ import annotations

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
    original = module.Fire

    def fire(component: Any = None, command: Any = None, *rest: Any, **options: Any) -> Any:
        words = sys.argv[1:]
        function, names = _function(component, words)
        if command is not None or function is None or conversation.is_held():
            return original(component, command, *rest, **options)
        signature = inspect.signature(function)

        def parsed(words: list[str]) -> dict[str, Any]:
            caught: dict[str, Any] = {}

            @functools.wraps(function)
            def instead(*args: Any, **given: Any) -> None:
                bound = signature.bind(*args, **given)
                bound.apply_defaults()
                caught.update(bound.arguments)

            original(instead, words[len(names) :])
            return caught

        conversation.hold("fire", words, parsed, lambda _: [*_described(signature)])
        return None

    module.Fire = fire  # type: ignore[attr-defined]


def _function(component: Any, words: list[str]) -> tuple[Callable[..., Any] | None, list[str]]:
    """Return the function that words lead to, and the words that name it."""
    names: list[str] = []
    for word in words:
        if inspect.isroutine(component) or word.startswith("-"):
            break
        inner = component.get(word) if isinstance(component, dict) else None
        inner = getattr(component, word.replace("-", "_"), None) if inner is None else inner
        if inner is None:
            break
        component = inner
        names.append(word)
    return (component, names) if inspect.isroutine(component) else (None, names)


def _described(signature: inspect.Signature) -> Iterator[Mapping[str, Any]]:
    for name, parameter in signature.parameters.items():
        if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            yield {"key": name, "flags": [f"--{name}"], "kind": "assign", "off": [], "raw": None}
