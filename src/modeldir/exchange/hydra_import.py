"""Hydra's runs: each folder with a `.hydra/config.yaml`, of a multirun or alone.

Hydra keeps the configuration and what was overridden, and neither metrics nor how a job ended: the
metrics are those that the script wrote into its folder, and the status stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir.exchange.foreign_files import (
    Problems,
    lines_in,
    results_in,
    size_of,
    tolerant,
    values_in,
    walk,
)
from modeldir.exchange.foreign_run import Foreign, value_of
from modeldir.params import plain_values

TOOL = "hydra"
_CONFIG = ".hydra/config.yaml"
_REFERENCE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")
_DEEPEST = 20
"""So many references behind each other: more are a circle."""


def recognizes(source: Path) -> bool:
    """Whether a run of Hydra's lies in or below a folder."""
    return any((path / _CONFIG).is_file() for path, _, _ in walk(source, []))


def read(source: Path, problems: Problems) -> Iterator[Foreign]:
    """Its runs, in the order of the folders."""
    for path, folders, names in walk(source, problems):
        if ".hydra" in folders and (path / _CONFIG).is_file():
            make = partial(_run, source, path, names, problems)
            yield from tolerant(problems, path, make)


def _run(source: Path, path: Path, names: list[str], problems: Problems) -> Foreign | None:
    config = values_in(path / _CONFIG, problems)
    if config is None:
        return None
    hyperparameters = _resolved(config, config)
    told = _job(path, problems)
    point = dict(_overridden(path, hyperparameters))
    logs = [path / name for name in names if name.endswith(".log")]
    inner = path.relative_to(source).as_posix()
    number = told.get("num")
    return Foreign(
        key=f"{TOOL}:{path}",
        name="__".join(f"{n}_{v}" for n, v in point.items()) or path.name,
        source=path,
        hyperparameters=hyperparameters,
        lines=lines_in(path, names, problems),
        results=results_in(path, problems),
        number=number if isinstance(number, int) else None,
        point=point,
        log=max(logs, key=size_of, default=None),
        facts={"folder": inner, "job": told.get("name"), "cwd": told.get("cwd")},
    )


def _resolved(value: Any, whole: Mapping[str, Any], depth: int = 0) -> Any:
    """A part of a configuration with its references (`${model.depth}`) as what they stand for.

    What would have to be computed (`${oc.env:HOME}`), is relative, leads nowhere or in a circle
    stays as it is written: Hydra keeps it so, and its value of then is lost.
    """
    if isinstance(value, Mapping):
        return {name: _resolved(part, whole, depth) for name, part in value.items()}
    if isinstance(value, list):
        return [_resolved(part, whole, depth) for part in value]
    if not isinstance(value, str) or depth > _DEEPEST:
        return value
    alone = _REFERENCE.fullmatch(value)
    if alone:
        found = _at(whole, alone[1])
        return value if found is None else _resolved(found, whole, depth + 1)

    def text(match: re.Match[str]) -> str:
        found = _at(whole, match[1])
        return match[0] if found is None else str(_resolved(found, whole, depth + 1))

    return _REFERENCE.sub(text, value)


def _at(whole: Any, name: str) -> Any:
    """What a dotted name leads to, through lists by their places; None where it leads nowhere."""
    for key in name.split("."):
        if isinstance(whole, Mapping):
            whole = whole.get(key)
        elif isinstance(whole, list) and key.isdigit() and int(key) < len(whole):
            whole = whole[int(key)]
        else:
            return None
    return whole


def _job(path: Path, problems: Problems) -> dict[str, Any]:
    """What Hydra says of the job: name, number in the sweep, the folder that it was started in."""
    if not (path / ".hydra/hydra.yaml").is_file():
        return {}
    told: Any = values_in(path / ".hydra/hydra.yaml", problems) or {}
    hydra = told.get("hydra", {}) if isinstance(told, Mapping) else {}
    job, runtime = hydra.get("job") or {}, hydra.get("runtime") or {}
    return {"name": job.get("name"), "num": job.get("num"), "cwd": runtime.get("cwd")}


def _overridden(path: Path, hyperparameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was overridden, with the values that it came to; `optimizer=adam` may name a group."""
    flat = plain_values.flatten(hyperparameters)
    for word in _words(path / ".hydra/overrides.yaml"):
        name, is_there, text = word.partition("=")
        name = name.lstrip("+~")
        if is_there:
            yield name, flat.get(name, value_of(text))


def _words(path: Path) -> list[str]:
    """The items of a YAML list of texts, which is all that Hydra writes there."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        if line.startswith("- "):
            item = line[2:].strip()
            found.append(item[1:-1].replace("''", "'") if item[:1] == item[-1:] == "'" else item)
    return found
