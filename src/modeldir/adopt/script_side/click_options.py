"""Describe the options of click's commands, and of typer's, which are click's.

In a group, they are those of the command that the user's words name.
"""

from __future__ import annotations

import sys

from . import conversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    base = getattr(module, "BaseCommand", None)
    if base is None or "make_context" not in vars(base):
        base = module.Command
    original = base.make_context
    library = "typer" if module.__name__.startswith("typer.") else "click"

    def make_context(
        command: Any, info_name: Any, args: Any, parent: Any = None, **extra: Any
    ) -> Any:
        if parent is not None or conversation.is_held() or extra.get("resilient_parsing"):
            return original(command, info_name, args, parent, **extra)
        found: list[Any] = []

        def parsed(words: list[str]) -> dict[str, Any]:
            context = original(command, info_name, [*words], None, **extra)
            while hasattr(context.command, "resolve_command"):
                rest = [*getattr(context, "_protected_args", ()), *context.args]
                if not rest:
                    break
                name, inner, rest = context.command.resolve_command(context, rest)
                context = original(inner, name, rest, context)
            found[:] = [context.command]
            return {**context.params, "*": [*context.args]}

        name = "typer" if "typer" in type(command).__module__ else library
        conversation.hold(name, [*args], parsed, lambda _: [*_described(found[0])])
        sys.exit(1)  # never reached

    base.make_context = make_context


def _described(command: Any) -> Iterator[Mapping[str, Any]]:
    for option in command.params:
        if getattr(option, "param_type_name", "") != "option" or option.count or option.multiple:
            continue
        sets = getattr(option, "flag_value", True)  # typer's flags are all true
        if option.is_flag and not isinstance(sets, bool) and not option.secondary_opts:
            continue
        kind = "store"
        if option.is_flag:
            kind = "on_off" if option.secondary_opts else "true" if sets else "false"
        yield {
            "key": option.name,
            "flags": [*option.opts],
            "off": [*option.secondary_opts],
            "kind": kind,
            "raw": option.default if isinstance(option.default, str) else None,
        }
