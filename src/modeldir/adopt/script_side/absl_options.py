"""Describe the flags of absl, which `app.run` is about to read.

They include those of `ml_collections` configs: `--config.lr=0.1`.
"""

from __future__ import annotations

import os
import sys

from . import callers, conversation, plain_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    original = module.run
    usual = module.parse_flags_with_usage

    def run(main: Callable[..., Any], argv: Any = None, flags_parser: Any = usual) -> Any:
        if flags_parser is not usual or conversation.is_held():
            return original(main, argv, flags_parser)
        flags = sys.modules["absl.flags"].FLAGS
        words = [*(sys.argv if argv is None else argv)]

        def parsed(given: list[str]) -> dict[str, Any]:
            for name in [*flags]:
                if flags[name].present and not _is_config(flags[name]):
                    flags[name].unparse()
            inside = [word for word in given if _is_override(word, flags)]
            rest = flags([words[0], *(word for word in given if word not in inside)])
            return {**_overridden(_values(flags), inside), "*": rest[1:]}

        conversation.hold("absl", words[1:], parsed, lambda _: [*_described(flags)])
        return None

    module.run = run  # type: ignore[attr-defined]


def _is_config(flag: Any) -> bool:
    """Whether a flag's value is a config of `ml_collections`, whose fields are flags, too."""
    return hasattr(flag.value, "to_dict")


def _is_override(word: str, flags: Any) -> bool:
    """Whether a word sets a field for which no flag is defined.

    `ml_collections` defines those that it finds in `sys.argv`, and once only.
    """
    name = word.lstrip("-").partition("=")[0]
    section = name.partition(".")[0]
    return "." in name and name not in flags and section in flags and _is_config(flags[section])


def _overridden(values: dict[str, Any], words: list[str]) -> dict[str, Any]:
    for word in words:
        name, _, text = word.lstrip("-").partition("=")
        kind = type(values[name])
        values[name] = text == "True" if kind is bool else kind(text)
    return values


def _values(flags: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in [*flags]:
        if _is_config(flags[name]):
            found.update(plain_values.flat(flags[name].value.to_dict(), f"{name}."))
        else:
            found[name] = flags[name].value
    return found


def _described(flags: Any) -> Iterator[Mapping[str, Any]]:
    for module, defined in flags.flags_by_module_dict().items():
        if not _is_the_users(module):
            continue
        for flag in defined:
            if _is_config(flag):
                yield from _fields(flag)
            elif "." in flag.name or type(flag).__name__.startswith("Multi"):
                continue
            else:
                yield _one(flag)


def _fields(flag: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the fields of a config that one word can set."""
    for key, value in plain_values.flat(flag.value.to_dict(), f"{flag.name}.").items():
        if type(value) in {bool, int, float, str}:
            yield {"key": key, "flags": [f"--{key}"], "kind": "assign", "off": [], "raw": None}


def _one(flag: Any) -> Mapping[str, Any]:
    is_list = isinstance(flag.value, list)
    return {
        "key": flag.name,
        "flags": [f"--{flag.name}"],
        "kind": "on_off" if flag.boolean else "store",
        "off": [f"--no{flag.name}"] if flag.boolean else [],
        "raw": flag.serialize().partition("=")[2] if is_list else None,
    }


def _is_the_users(module: str) -> bool:
    if module == sys.argv[0] or os.path.exists(module):  # the main script, by its path
        return True
    path = getattr(sys.modules.get(module), "__file__", None)
    return path is not None and callers.is_own_code(path)
