"""Describe scripts that override their own variables by a `configurator.py`, as nanoGPT does.

Such a script executes that file, which reads `sys.argv`. Each variable is an option,
`--learning_rate=1e-3`.
"""

from __future__ import annotations

import builtins
import sys

from . import callers, conversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_original = builtins.exec


def patch() -> None:
    builtins.exec = _exec


def _exec(source: Any, *scopes: Any, **more: Any) -> None:
    frame = sys._getframe(1)  # noqa: SLF001 - exec works in its caller's scope
    if not scopes and not more:
        scopes = (frame.f_globals, frame.f_locals)
    is_configurator = isinstance(source, str) and "sys.argv" in source and "globals()" in source
    if is_configurator and callers.is_own_code(frame.f_code.co_filename):
        _hold(source, scopes[0])
    _original(source, *scopes, **more)


def _hold(source: str, scope: dict[str, Any]) -> None:
    variables = {
        name: value
        for name, value in scope.items()
        if not name.startswith("_") and type(value) in {int, float, bool, str}
    }

    def parsed(words: list[str]) -> dict[str, Any]:
        changed, before = {**scope, **variables}, sys.argv
        sys.argv = [before[0], *words]
        try:
            _original(source, changed)
        finally:
            sys.argv = before
        return {name: changed[name] for name in variables}

    conversation.hold("configurator", sys.argv[1:], parsed, lambda values: [*_described(values)])


def _described(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in values:
        yield {"key": name, "flags": [f"--{name}"], "kind": "assign", "off": [], "raw": None}
