"""The base config of a search: the hyperparameters in the `params.json` of its folder.

The plan says which of them vary (`plan.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modeldir._system.shell import quoted
from modeldir.errors import NOTHING_STARTED, SearchError
from modeldir.experiment.experiment import first_experiment_in, params_file
from modeldir.params import plain_values


def load_base(folder: Path) -> dict[str, Any]:
    found = params_file(folder)
    if found is None:
        raise SearchError(
            f"{folder}: {_what_is_there(folder)}; a search needs a base config.\n"
            f"{_how_to_begin(folder)}",
            state=NOTHING_STARTED,
        )
    return plain_values.load_file(found)


def _how_to_begin(folder: Path) -> str:
    """Return commands that make a base config, or one that copies it from an imported trial."""
    there, trial = quoted(folder), first_experiment_in(folder)
    if trial is not None:
        new = f"modeldir new {there} --from {quoted(trial)}"
        return f"  {new}   (then add the other hyperparameters of the script)"
    return (
        f"  modeldir new {there} --from experiments/base_model   (from an experiment)\n"
        f"  modeldir new {there} learning_rate=0.1               (or from values)"
    )


def _what_is_there(folder: Path) -> str:
    if folder.is_dir():
        return "holds no params.json"
    return "is a file, not a folder" if folder.exists() else "no such folder"
