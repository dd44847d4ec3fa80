"""The hyperparameters that a script gives to `start()`: `start("runs/a", params=vars(args))`.

They become the folder's `params.json`. In a trial of a search that file is what the search has
chosen: it must never change, and the script must use the same values. Only `run.py` calls this.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modeldir._system import files, reading
from modeldir.errors import ParamsError
from modeldir.experiment.experiment import params_file
from modeldir.params import json_values, nested, params_files
from modeldir.params.equality import same
from modeldir.params.params import Params

_NUMBERS = {int, float}


class Given(NamedTuple):
    """The values that a script gives, and by dotted name those that the params file lacks or has
    otherwise.

    `file` is None on a rank that comes before rank 0 has written it. If `is_fixed`, the file is
    somebody's choice (a search's, or that of `modeldir run`) and is never changed.
    """

    values: dict[str, Any]
    file: Path | None
    changed: dict[str, Any]
    is_fixed: bool


def prepare(
    given: Mapping[str, Any] | object, model_dir: Path, *, writes: bool, is_fixed: bool
) -> Given:
    """Check what a script gives, before anything is begun; write a first params file.

    Raises:
        ParamsError: when the values cannot be stored, when the file cannot be read, or when it is
            fixed and has another value.
    """
    values = _as_json(given, model_dir)
    file = params_file(model_dir)
    if file is None and writes:
        file = _create(values, model_dir)
    if file is None:
        return Given(values, None, {}, is_fixed)
    there = nested.flatten(params_files.load_file(file))
    changed = {
        name: value
        for name, value in nested.flatten(values).items()
        if name not in there or not _agree(there[name], value)
    }
    is_fixed = is_fixed or (model_dir / "trial.json").exists()
    for name in changed if is_fixed else ():
        if name in there:
            raise ParamsError(
                f"{file} has {name} {nested.preview(there[name])}, and this script runs with "
                f"{nested.preview(changed[name])}\n"
                f"  to pass it on: put --{name} {{{name}}} into the command",
                key=name,
            )
    return Given(values, file, changed, is_fixed)


def _as_json(given: Mapping[str, Any] | object, model_dir: Path) -> dict[str, Any]:
    """Return what a script gives as JSON stores it: the values of a mapping, or of a Namespace.

    The folder's own path and functions (argparse's `set_defaults(func=...)`) are no
    hyperparameters, and are left out.
    """
    if not isinstance(given, Mapping) and not hasattr(given, "__dict__"):
        kind = type(given).__name__
        raise ParamsError(f"params: expected a mapping or vars(args), found {kind}")
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


def _create(values: Mapping[str, Any], model_dir: Path) -> Path:
    """Publish the first `params.json` of a folder, which is made if it is not there.

    If another process does so at the same moment, its file stays.
    """
    path = model_dir / "params.json"
    model_dir.mkdir(parents=True, exist_ok=True)
    files.publish(path, files.to_json(values).encode())
    return path


def _agree(stored: object, given: object) -> bool:
    """Return whether two values are the same to a script: `--dropout 0` may arrive as 0.0."""
    if type(stored) in _NUMBERS and type(given) in _NUMBERS:
        return stored == given
    return same(stored, given)


def replace(given: Given, archive: Path | None) -> None:
    """Write values into the params file that an earlier run of this folder had not.

    What the earlier run used is kept beside its files in `archive`.
    """
    if given.file is None:
        return
    if archive is not None and (before := reading.read_bytes(given.file)) is not None:
        files.publish(archive / given.file.name, before)
    params = Params(params_files.load_file(given.file))
    take(params, given.changed)
    params.save(given.file)


def take(params: Params, changed: Mapping[str, Any]) -> None:
    """Set values by dotted name; sections that are missing are made."""
    for name, value in changed.items():
        section, key = nested.locate_or_create(params.dict, name)
        section[key] = value
