"""Options of `argparse.ArgumentParser` and of what builds on it: simple-parsing, HfArgumentParser.

The first parser that the script itself asks is described. If a script asks a small parser first,
e.g. for `--config`, it continues until it asks the large one.
"""

from __future__ import annotations

import copy
import linecache
import re
import sys

from . import callers, conversation

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType, ModuleType
    from typing import Any

_OTHERS = frozenset({"fire", "hydra", "jsonargparse", "tyro"})
"""Libraries that use argparse for themselves, and are watched on their own."""
_FINAL = frozenset({"parse_args", "parse_intermixed_args", "parse_args_into_dataclasses"})
_ASKS = re.compile(r"\bparse_(?:known_)?(?:intermixed_)?args(?:_into_dataclasses)?\(")
_KINDS = {
    "_StoreTrueAction": "true",
    "_StoreFalseAction": "false",
    "BooleanOptionalAction": "on_off",
    "SimpleBooleanOptionalAction": "on_off",
    "_StoreAction": "store",
    "_ExtendAction": "store",
}
_NEVER = frozenset(
    {
        "_HelpAction", "_VersionAction", "_SubParsersAction", "_CountAction", "_AppendAction",
        "_AppendConstAction", "_StoreConstAction",
    }
)  # fmt: skip


def patch(module: ModuleType) -> None:
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        setattr(module.ArgumentParser, name, _asking(getattr(module.ArgumentParser, name)))


def _asking(original: Callable[..., Any]) -> Callable[..., Any]:
    def parse(parser: Any, args: Any = None, namespace: Any = None, **options: Any) -> Any:
        words = sys.argv[1:] if args is None else [*args]
        if not conversation.is_held() and _is_asked_by_script(parser, words, sys._getframe(1)):  # noqa: SLF001 - the caller

            def parsed(words: list[str]) -> dict[str, Any]:
                fresh = copy.deepcopy(namespace)
                known, rest = original(parser, words, fresh, **options)
                if rest and any(frame in _FINAL for frame in passed):
                    parser.error(f"unrecognized arguments: {' '.join(rest)}")
                return {**vars(known), "*": rest}

            passed = {each.f_code.co_name for each in callers.frames(sys._getframe(1))}  # noqa: SLF001
            conversation.hold(
                _library(parser), words, parsed, lambda _: [*_described(parser, words)]
            )
        return original(parser, args, namespace, **options)

    return parse


def _library(parser: Any) -> str:
    names = [each.__module__.partition(".")[0] for each in type(parser).__mro__]
    named = {"simple_parsing": "simple-parsing", "transformers": "HfArgumentParser"}
    return next((named[name] for name in names if name in named), "argparse")


def _is_asked_by_script(parser: Any, words: Sequence[str], frame: FrameType) -> bool:
    own = callers.first_own(frame)
    if own is None:
        return not callers.is_launcher()
    if not words and sys.argv[1:]:
        return False  # `parse_args([])`: only the defaults are asked for
    is_final = False
    for each in callers.frames(frame):
        inner = each.f_locals.get("self")
        if each is own:
            break
        if str(each.f_globals.get("__name__")).partition(".")[0] in _OTHERS:
            return False
        if hasattr(inner, "add_argument") and inner is not parser:
            return False  # a parser that another parser uses
        is_final = is_final or each.f_code.co_name in _FINAL
    return is_final or own.f_code.co_name in _FINAL or not _asks_again(parser, own)


def _asks_again(parser: Any, frame: FrameType) -> bool:
    """Whether `parse_known_args` is followed by a question for all options.

    A parser without `--help` is a first one, by custom.
    """
    if not getattr(parser, "add_help", True):
        return True
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    return _ASKS.search("".join(lines[frame.f_lineno :])) is not None


def _described(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """Yield the options of a parser, or of the subcommand that the words name."""
    actions = parser._actions  # noqa: SLF001 - there is no public list
    for action in actions:
        if type(action).__name__ == "_SubParsersAction" and isinstance(action.choices, dict):
            chosen = next((word for word in words if word in action.choices), None)
            if chosen is not None:
                yield from _described(action.choices[chosen], words[words.index(chosen) + 1 :])
                return
    for action in actions:
        name = type(action).__name__
        if action.option_strings and name not in _NEVER:
            yield {
                "key": action.dest,
                "flags": [*action.option_strings],
                "kind": _KINDS.get(name, "store"),
                "off": [*getattr(action, "negative_option_strings", [])],
                "raw": action.default if isinstance(action.default, str) else None,
            }
