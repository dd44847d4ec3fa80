"""The settings of a project, in `modeldir.toml`, so that nobody has to type them again.

`settings` rejects unknown ones. The settings of one experiment are in its `params.json`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.errors import ParamsError, did_you_mean
from modeldir.params.params_files import load_file

FILE = "modeldir.toml"
TABLES = ("slurm", "ray", "submit")
"""Tables with a launcher's settings. A launcher of another package has a table of its own name."""
KEYS = ("command", "maximize", "minimize", "metrics", "resume", "ignore", *TABLES)
_STRINGS = ("command", "maximize", "minimize", "resume")


def find(start: str | os.PathLike[str]) -> Path | None:
    """Return the nearest `modeldir.toml`, in a folder or above it; None if there is none.

    A folder with `.git` is the top of the project: files above it belong to something else.
    """
    folder = files.absolute(start)
    for each in (folder, *folder.parents):
        if (each / FILE).is_file():
            return each / FILE
        if (each / ".git").exists():
            return None
    return None


def settings(start: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the settings of the project that a folder is in; empty if there is no file."""
    path = find(start)
    if path is None:
        return {}
    found = load_file(path)
    problems = [*_unknown(found), *_wrong(found)]
    if problems:
        key = problems[0][0].partition(":")[0]
        raise ParamsError(f"{path} cannot be used:", problems, path=str(path), key=key)
    return found


def ignored(start: str | os.PathLike[str]) -> frozenset[str]:
    """Return the hyperparameters that make no difference here: `ignore = ["num_workers"]`."""
    return frozenset(settings(start).get("ignore", ()))


def _unknown(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        (f"{key}: no such setting", did_you_mean(key, KEYS) or _known(value))
        for key, value in found.items()
        if key not in KEYS and not (isinstance(value, dict) and _is_launcher(key))
    ]


def _known(value: object) -> str:
    table = "; to use the table of a launcher, install its package"
    return "known: " + ", ".join(KEYS) + (table if isinstance(value, dict) else "")


def _is_launcher(name: str) -> bool:
    from modeldir._system import plugins  # noqa: PLC0415 - only for an unknown table

    return name in plugins.offered("modeldir.launchers")


def _wrong(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    problems: list[tuple[str, str | None]] = [
        (f"{key}: expected a string, found {found[key]!r}", None)
        for key in _STRINGS
        if key in found and not isinstance(found[key], str)
    ]
    lines = found.get("metrics", "")
    if not isinstance(lines, str) and not (
        isinstance(lines, list) and all(isinstance(line, str) for line in lines)
    ):
        problems.append((f"metrics: expected a printed line or several, found {lines!r}", None))
    problems += [
        (f"{key}: expected a table, found {found[key]!r}", f"[{key}]")
        for key in TABLES
        if key in found and not isinstance(found[key], dict)
    ]
    ignore = found.get("ignore", [])
    if not isinstance(ignore, list) or not all(isinstance(name, str) for name in ignore):
        problems.append(
            (f"ignore: expected a list of names, found {ignore!r}", 'ignore = ["num_workers"]')
        )
    return problems
