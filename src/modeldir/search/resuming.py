"""Decide how an interrupted trial resumes: from which checkpoint, and with which arguments.

`worker/start_builder.py` asks `resuming` for each trial that runs again. The arguments come from
`--resume`: they may name the checkpoint, as `{checkpoint}` or as a path in `{model_dir}`, or leave
it to the script. The checkpoints themselves: `experiment/saved_weights.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system.shell import no_option
from modeldir.experiment import attempts, saved_weights
from modeldir.search import placeholders
from modeldir.search.plan import Plan

CHECKPOINT = "checkpoint"
"""The placeholder for the path of the newest checkpoint."""


@dataclass(frozen=True)
class Resuming:
    """How a trial runs again.

    `arguments` are added to its command; None: it starts from the beginning. `found` is the newest
    checkpoint, relative to the trial's folder. `missing` is the path that `--resume` names, if it
    is not there.
    """

    arguments: tuple[str, ...] | None
    found: str | None = None
    missing: str | None = None


def can_resume(plan: Plan, folder: Path) -> bool:
    """Return whether a trial would resume from what its folder holds."""
    return resuming(plan, folder, str(folder), {}).arguments is not None


def resuming(
    plan: Plan,
    folder: Path,
    model_dir: str,
    hyperparameters: Mapping[str, Any],
    project: str = "",
) -> Resuming:
    """Return how a trial resumes from what its folder holds, as far as is known.

    `model_dir` is the folder as its command has it, and `project` what `{project}` stands for.
    """
    path = saved_weights.newest_checkpoint(folder)
    found = None if path is None else os.path.relpath(path, folder)
    if plan.resumes_itself:
        return Resuming((), found)
    if plan.resume:
        if found is None and CHECKPOINT in placeholders.names(" ".join(plan.resume)):
            return Resuming(None)
        typed = no_option(model_dir)
        words = arguments_for(plan.resume, typed, hyperparameters, found or "", project)
        return _by_arguments(words, folder, typed, found)
    events = attempts.read_events(folder)
    can = any(event.get("event") == "can_resume" for event in events)
    return Resuming(() if can else None, found)


def arguments_for(
    words: tuple[str, ...],
    model_dir: str,
    hyperparameters: Mapping[str, Any],
    checkpoint: str,
    project: str,
) -> tuple[str, ...]:
    """Return the arguments of `--resume` with one trial's values, folders and checkpoint."""
    known = {**hyperparameters, CHECKPOINT: os.path.join(model_dir, checkpoint)}
    return placeholders.filled(words, known, model_dir, project=project)


def _by_arguments(
    words: tuple[str, ...], folder: Path, model_dir: str, found: str | None
) -> Resuming:
    filled = list(words)
    for place, word in enumerate(filled):
        before, inside, name = word.rpartition(f"{model_dir}{os.sep}")
        if not (inside and name and (not before or before.endswith("="))):
            continue
        path = saved_weights.newest_of([folder / name]) or _newest_match(folder, name)
        if path is None:
            return Resuming(None, found, name)
        found = os.path.relpath(path, folder)
        filled[place] = f"{before}{model_dir}{os.sep}{found}"
    return Resuming(tuple(filled) if found is not None else None, found)


def _newest_match(folder: Path, name: str) -> Path | None:
    """Return the newest checkpoint that a pattern matches: `checkpoints/*.ckpt`."""
    try:
        return saved_weights.newest_of(folder.glob(name))
    except (ValueError, NotImplementedError):  # `**.ckpt`, or a path from the root
        return None
