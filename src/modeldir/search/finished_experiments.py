"""Read the finished experiments of other folders that a search learns from or counts as done.

Tables list the reused ones; `warm_start.py` tells the sampler about all. Only folders that the plan
names are read, and nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir.errors import FolderError
from modeldir.experiment import attempts, discovery, experiment, reader
from modeldir.metrics.objective import Objectives
from modeldir.params import plain_values
from modeldir.search import base_config, plan, plan_check, plan_trials

_MOST_FOLDERS = 50_000
"""A plan may name any folder, even `/`, and commands that only look read it as well."""


@dataclass(frozen=True)
class FinishedExperiment:
    """An experiment that ended well: its folder, its hyperparameters, its validation metrics."""

    path: Path
    hyperparameters: Mapping[str, Any]
    values: Mapping[str, float]

    @property
    def flat(self) -> dict[str, Any]:
        return plain_values.flatten(self.hyperparameters)


def read(folder: Path, search: Path) -> list[FinishedExperiment]:
    """Read every experiment in and below a folder that ended well and has validation metrics.

    The trials of the search itself, which a folder above it contains too, are left out: they would
    be counted twice, from the next start on, so a restarted search would propose something else.

    Raises:
        FolderError: if the folder is missing, or has more than `_MOST_FOLDERS` folders below it.
    """
    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder))
    own = os.path.realpath(search)
    folders = [
        each
        for each in _walk(folder)
        if experiment.kind_of(each) == "experiment" and not _lies_in(own, each.path)
    ]
    records = discovery.threaded_map(lambda each: reader.read(each.path, each.files), folders)
    finished = [found for record in records if (found := _finished(record)) is not None]
    return sorted(finished, key=lambda each: str(each.path))


def _walk(folder: Path) -> Iterator[discovery.Folder]:
    for count, each in enumerate(discovery.walk(folder)):
        if count == _MOST_FOLDERS:
            raise FolderError(
                f"{folder}: more than {_MOST_FOLDERS:,} folders lie below it, so it was not read\n"
                "  name the folder of the experiments instead"
            )
        yield each


def _lies_in(search: str, path: str) -> bool:
    """Whether a folder lies directly in a search, or is a link to a folder that does."""
    parent, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return search in {parent, os.path.dirname(target)}


def _finished(record: reader.ExperimentRecord) -> FinishedExperiment | None:
    if record.status.state not in attempts.RANKED or record.hyperparameters is None:
        return None
    scores = record.scores.validation.items()
    values = {name: value for name, value in scores if value == value}  # noqa: PLR0124 - NaN
    return (
        FinishedExperiment(Path(record.folder), record.hyperparameters, values) if values else None
    )


def missing_metrics(
    experiments: Sequence[FinishedExperiment], objectives: Objectives
) -> str | None:
    """Return the message for a folder whose experiments lack metrics of the plan, or None."""
    known = sorted({name for each in experiments for name in each.values})
    lacks = [name for name, _ in objectives if name not in known]
    if not lacks or not experiments:
        return None
    return f"its experiments have no {' and no '.join(lacks)} (they have {', '.join(known)})"


def reused(search: Path) -> list[FinishedExperiment]:
    """Read the experiments of other folders that a search counts as done; none without a plan."""
    raw = plan.read_plan(search)
    if not raw.get("reuse"):
        return []
    base = base_config.load_base(search, raw)
    checked = plan_check.check(raw, base, str(search / plan.FILE), {}, to_run=False)
    return reused_by(checked, plain_values.flatten(base), search)


def reused_by(
    checked: plan.Plan, base: Mapping[str, Any], search: Path
) -> list[FinishedExperiment]:
    """Do the same for a checked plan and its base config, by dotted name."""
    return [
        each
        for folder in checked.reuse
        for each in read(resolved(folder, search), search)
        if plan_trials.is_of_plan(checked, base, each.flat)
    ]


def resolved(folder: str, search: Path) -> Path:
    return Path(os.path.normpath(search / folder))
