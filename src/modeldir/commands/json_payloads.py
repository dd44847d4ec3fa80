"""Experiments and searches as the objects that `--json` prints: see `json_types.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir.commands.json_output import printed
from modeldir.experiment import reader
from modeldir.params import plain_values
from modeldir.results.experiments import ExperimentRow

if TYPE_CHECKING:
    from modeldir.commands import json_types
    from modeldir.metrics.objective import Objectives


def experiment_of(row: ExperimentRow) -> json_types.Experiment:
    """Return an experiment of a table, or one that `read_row` has read."""
    status, scores, used = row.status, row.scores, row.used()
    state: Any = status.state
    return {
        "path": str(row.path),
        "trial": row.number,
        "status": state,
        "failure": status.failure,
        "reason": printed(status.last_line or status.reason),
        "attempt": status.attempt,
        "started": status.started,
        "ended": status.ended,
        "duration": status.duration,
        "hyperparameters": None if used is None else plain_values.flatten(dict(used)),
        "metrics": {
            "best": dict(scores.best),
            "last": dict(scores.last),
            "test": dict(scores.test),
            "train": dict(scores.train),
        },
        "note": row.note,
    }


def read_row(folder: Path) -> tuple[ExperimentRow, tuple[str, ...]]:
    """Read one experiment; returns its row, and a line for each file that cannot be read."""
    record = reader.read(folder)
    return ExperimentRow.of(record, folder.name), record.problems


def objectives_of(objectives: Objectives) -> list[json_types.Objective]:
    return [{"metric": name, "direction": direction} for name, direction in objectives]
