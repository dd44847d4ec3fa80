"""Other folders that a search knows of: those that teach its sampler, and those whose work counts.

It knows how finished experiments below a folder are read as rows, and what is wrong with a folder
that was named. It refuses to look at folders that nobody named, and to write in any.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir.errors import FolderError, ParamsError
from modeldir.experiment import attempts, discovery, experiment
from modeldir.metrics.objective import Objectives
from modeldir.params import plain_values
from modeldir.search import base_config, membership, plan, plan_check


@dataclass(frozen=True)
class Row:
    """An experiment that has ended well: where it is, what it was given, how it scored."""

    path: Path
    hyperparameters: Mapping[str, Any]
    values: Mapping[str, float]

    @property
    def flat(self) -> dict[str, Any]:
        return plain_values.flatten(self.hyperparameters)


def rows(folder: Path, search: Path) -> list[Row]:
    """Every experiment in and below a folder that has ended well and has development metrics, but
    for the search's own trials: a folder above it holds them too, and counted twice, and only at
    the next start, they would have a restart propose something else.

    Raises:
        FolderError: when the folder is not there.
    """
    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder))
    own = os.path.realpath(search)
    experiments = (
        Path(each.path)
        for each in discovery.walk(folder)
        if experiment.kind_of(each) == "experiment" and not _lies_in(own, each.path)
    )
    found = [row for path in experiments if (row := _read(path)) is not None]
    return sorted(found, key=lambda row: str(row.path))


def _lies_in(search: str, path: str) -> bool:
    """Whether a folder lies directly in a search, or is a link to a folder that does."""
    parent, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return search in {parent, os.path.dirname(target)}


def _read(path: Path) -> Row | None:
    if experiment.status(path).state not in attempts.RANKED:
        return None
    values = {k: v for k, v in experiment.scores(path).validation.items() if v == v}  # noqa: PLR0124 - NaN
    try:
        hyperparameters = plain_values.load_file(
            experiment.params_file(path) or path / "params.json"
        )
    except ParamsError:
        return None
    return Row(path, hyperparameters, values) if values else None


def missing(rows: Sequence[Row], objectives: Objectives) -> str | None:
    """What is to be said where a folder's experiments do not have the plan's metrics."""
    known = sorted({name for row in rows for name in row.values})
    lacks = [name for name, _ in objectives if name not in known]
    if not lacks or not rows:
        return None
    return f"its experiments have no {' and no '.join(lacks)} (they have {', '.join(known)})"


def counted(search: Path) -> list[Row]:
    """The experiments of other folders that a search counts as done; none without a plan.

    Raises:
        ModeldirError: when the plan, its base or one of the folders cannot be read.
    """
    raw = plan.read_plan(search)
    if not raw.get("reuse"):
        return []
    base = base_config.load_base(search)
    checked = plan_check.check(raw, base, str(search / plan.FILE), {}, to_run=False)
    return counted_by(checked, plain_values.flatten(base), search)


def counted_by(checked: plan.Plan, base: Mapping[str, Any], search: Path) -> list[Row]:
    """The same for a plan and its flat base that were read already.

    Raises:
        FolderError: when one of the folders is not there.
    """
    return [
        row
        for folder in checked.reuse
        for row in rows(found(folder, search), search)
        if membership.is_of_plan(checked, base, row.flat)
    ]


def stored(given: Sequence[str], search: Path) -> list[str]:
    """Folders as they were typed here, as the plan keeps them: relative to the search's folder."""
    return [os.path.relpath(each, search) for each in given]


def found(written: str, search: Path) -> Path:
    """A folder that a plan names."""
    return Path(os.path.normpath(search / written))
