"""The hyperparameters that a script gives to `start()`: `start("runs/a", params=vars(args))`.

They become the folder's `params.json`. In a trial of a search that file is what the search has
chosen: it must never change, and the script must use the same values. Only `run.py` calls this.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir._system import files, reading
from modeldir.errors import FolderError, ParamsError
from modeldir.params import json_values, nested, params_files
from modeldir.params.equality import same
from modeldir.params.params import Params

_NUMBERS = {int, float}


def as_json(given: Mapping[str, Any] | object, model_dir: Path) -> dict[str, Any]:
    """Return what a script gives as JSON stores it: the values of a mapping, or of a Namespace.

    The folder's own path and functions (argparse's `set_defaults(func=...)`) are no
    hyperparameters, and are left out.

    Raises:
        ParamsError: when a value has no form in JSON: with all problems at once.
    """
    values = given if isinstance(given, Mapping) else vars(given)
    kept = {
        name: value
        for name, value in values.items()
        if not callable(value) and not _is_folder(value, model_dir)
    }
    stored = json_values.to_json_values(Params(kept).dict)
    if stored.problems:
        problems = [(f"{key}: {problem}", hint) for key, problem, hint in stored.problems]
        raise ParamsError("the params given to start() cannot be stored:", problems)
    return stored.values


def _is_folder(value: object, model_dir: Path) -> bool:
    is_path = isinstance(value, (str, os.PathLike)) and bool(value)
    return is_path and os.path.abspath(str(value)) == os.path.abspath(model_dir)


def create(given: Mapping[str, Any], model_dir: Path) -> Path:
    """Write the first `params.json` of a folder, which is made if it is not there."""
    path = model_dir / "params.json"
    Params(given).save(path)
    return path


def changes(file: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given values, by dotted name, that a params file lacks or has otherwise.

    Raises:
        ParamsError: when the file cannot be read.
    """
    there = nested.flatten(params_files.load_file(file))
    return {
        name: value
        for name, value in nested.flatten(dict(given)).items()
        if name not in there or not _agree(there[name], value)
    }


def _agree(stored: object, given: object) -> bool:
    """Return whether two values are the same to a script: `--dropout 0` may arrive as 0.0."""
    if type(stored) in _NUMBERS and type(given) in _NUMBERS:
        return stored == given
    return same(stored, given)


def check_trial(file: Path, changed: Mapping[str, Any]) -> None:
    """Check that a trial's script uses the values that the search has chosen.

    Raises:
        ParamsError: when one differs. A name that the file lacks is no problem.
    """
    chosen = nested.flatten(params_files.load_file(file))
    for name in changed:
        if name in chosen:
            raise ParamsError(
                f"the search chose {name} {nested.preview(chosen[name])}, and this script runs "
                f"with {nested.preview(changed[name])}\n"
                f"  to pass it on: put --{name} {{{name}}} into the command",
                key=name,
            )


def replace(file: Path, changed: Mapping[str, Any], archive: Path | None) -> None:
    """Write values into `params.json` that another run of this folder had not.

    What the earlier run used is kept beside its files in `archive`.

    Raises:
        FolderError: when the folder is a trial of a search.
    """
    folder = file.parent
    if (folder / "trial.json").exists():
        raise FolderError(
            f"{folder} is a trial of a search, and {next(iter(changed))} would change in it\n"
            f"  to train with other values, give start() another folder"
        )
    if archive is not None and (before := reading.read_bytes(file)) is not None:
        files.publish(archive / file.name, before)
    params = Params(params_files.load_file(file))
    for name, value in changed.items():
        params[name] = value
    params.save(file)
