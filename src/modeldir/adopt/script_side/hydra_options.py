"""Describe the config that Hydra composes for a script: what `--cfg job` prints.

Values that are computed from others (`${...}`) are no options.
"""

from __future__ import annotations

from . import conversation, plain_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any


def patch(module: ModuleType) -> None:
    def run(
        hydra: Any, config_name: Any, task_function: Any, overrides: Any, *_: Any, **__: Any
    ) -> None:
        del task_function  # it is what must not run
        words = [word for word in overrides if not word.startswith("hydra.mode=")]

        def parsed(words: list[str]) -> dict[str, Any]:
            config = hydra.compose_config(
                config_name=config_name,
                overrides=words,
                run_mode=module.RunMode.RUN,
                with_log_configuration=False,
            )
            values = module.OmegaConf.to_container(config, resolve=False)
            folder = values.pop("hydra", {}).get("run", {}).get("dir")
            return {**plain_values.flat(values), "hydra.run.dir": folder}

        conversation.hold("Hydra", words, parsed, lambda values: [*_described(values)])

    module.Hydra.run = run
    module.Hydra.multirun = run


def _described(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in values.items():
        is_computed = isinstance(value, str) and ("${" in value or value == "???")
        if key == "hydra.run.dir" or not is_computed:
            yield {"key": key, "flags": [key], "kind": "override", "off": [], "raw": None}
