"""Import Hydra runs: folders with a `.hydra/config.yaml`, from a multirun or a single run.

`importing` calls `recognizes` and `read`. Hydra records no metrics and no status. The metrics are
read from files that the script wrote (`foreign_files`), and the status remains unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir.exchange.foreign_files import (
    Problems,
    load_values,
    read_lines,
    read_metric_files,
    read_or_report,
    size_of,
    walk,
)
from modeldir.exchange.foreign_run import ForeignRun, parse_value
from modeldir.params import plain_values

_CONFIG = ".hydra/config.yaml"
_REFERENCE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")
_LONGEST_CHAIN = 20
"""References that lead to references. A longer chain is a circle."""


def recognizes(source: Path) -> bool:
    return any((path / _CONFIG).is_file() for path, _, _ in walk(source, []))


def read(source: Path, problems: Problems) -> Iterator[ForeignRun]:
    for path, folders, names in walk(source, problems):
        if ".hydra" in folders and (path / _CONFIG).is_file():
            make = partial(_run, source, path, names, problems)
            yield from read_or_report(problems, path, make)


def _run(source: Path, path: Path, names: list[str], problems: Problems) -> ForeignRun | None:
    config = load_values(path / _CONFIG, problems)
    if config is None:
        return None
    hyperparameters = _resolved(config, config)
    job = _job(path, problems)
    overridden = dict(_overridden(path, hyperparameters))
    logs = [path / name for name in names if name.endswith(".log")]
    folder = path.relative_to(source).as_posix()
    number = job.get("num")
    return ForeignRun(
        key=f"hydra:{path}",
        name="__".join(f"{n}_{v}" for n, v in overridden.items()) or path.name,
        source=path,
        hyperparameters=hyperparameters,
        lines=read_lines(path, names, problems),
        results=read_metric_files(path, problems),
        number=number if isinstance(number, int) else None,
        configuration=overridden,
        log=max(logs, key=size_of, default=None),
        facts={"folder": folder, "job": job.get("name"), "cwd": job.get("cwd")},
    )


def _resolved(value: Any, config: Mapping[str, Any], depth: int = 0) -> Any:
    """Replace the references in a configuration (`${model.depth}`) by their values.

    Resolvers (`${oc.env:HOME}`), relative references and those that lead nowhere stay as they are:
    Hydra did not record their values.
    """
    if isinstance(value, Mapping):
        return {name: _resolved(item, config, depth) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, config, depth) for item in value]
    if not isinstance(value, str) or depth > _LONGEST_CHAIN:
        return value
    reference = _REFERENCE.fullmatch(value)
    if reference:
        found = _at(config, reference[1])
        return value if found is None else _resolved(found, config, depth + 1)

    def text(match: re.Match[str]) -> str:
        found = _at(config, match[1])
        return match[0] if found is None else str(_resolved(found, config, depth + 1))

    return _REFERENCE.sub(text, value)


def _at(config: Any, name: str) -> Any:
    """Return the value of a dotted name, with list indices as keys; None if there is none."""
    for key in name.split("."):
        if isinstance(config, Mapping):
            config = config.get(key)
        elif isinstance(config, list) and key.isdigit() and int(key) < len(config):
            config = config[int(key)]
        else:
            return None
    return config


def _job(path: Path, problems: Problems) -> dict[str, Any]:
    if not (path / ".hydra/hydra.yaml").is_file():
        return {}
    content: Any = load_values(path / ".hydra/hydra.yaml", problems) or {}
    hydra = content.get("hydra", {}) if isinstance(content, Mapping) else {}
    job, runtime = hydra.get("job") or {}, hydra.get("runtime") or {}
    return {"name": job.get("name"), "num": job.get("num"), "cwd": runtime.get("cwd")}


def _overridden(path: Path, hyperparameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the overridden names with their values; `optimizer=adam` may select a config group."""
    flat = plain_values.flatten(hyperparameters)
    for override in _strings(path / ".hydra/overrides.yaml"):
        name, has_value, text = override.partition("=")
        name = name.lstrip("+~")
        if has_value:
            yield name, flat.get(name, parse_value(text))


def _strings(path: Path) -> list[str]:
    """Return the items of a YAML list of strings, the only form that Hydra writes."""
    items = []
    for line in (reading.read_bytes(path) or b"").decode("utf-8", "replace").splitlines():
        if line.startswith("- "):
            item = line[2:].strip()
            items.append(item[1:-1].replace("''", "'") if item[:1] == item[-1:] == "'" else item)
    return items
