"""Describe the options of jsonargparse, and so of LightningCLI.

They are what `--print_config` prints: no class is instantiated yet.
"""

from __future__ import annotations

import json
import sys

from . import conversation, plain_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    parser_class = module.ArgumentParser
    original = parser_class.parse_args

    def parse_args(parser: Any, args: Any = None, *rest: Any, **options: Any) -> Any:
        if conversation.is_held():
            return original(parser, args, *rest, **options)
        words = sys.argv[1:] if args is None else [*args]

        def parsed(words: list[str]) -> dict[str, Any]:
            config = original(parser, words, *rest, **options)
            text = parser.dump(config, format="json", skip_none=False)
            return plain_values.flat(_of_subcommand(json.loads(text), config))

        conversation.hold("jsonargparse", words, parsed, lambda values: [*_described(values)])
        return None

    parser_class.parse_args = parse_args


def _of_subcommand(values: dict[str, Any], config: Any) -> dict[str, Any]:
    """Return the values of the subcommand that was chosen, e.g. LightningCLI's `fit`."""
    chosen = getattr(config, "subcommand", None)
    while isinstance(chosen, str) and isinstance(values.get(chosen), dict):
        config, values = getattr(config, chosen), values[chosen]
        chosen = getattr(config, "subcommand", None)
    return values


def _described(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in values:
        yield {"key": key, "flags": [f"--{key}"], "kind": "assign", "off": [], "raw": None}
