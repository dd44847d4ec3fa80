"""The run that callbacks log to, and the files that it continues from.

Every module of this package uses these functions; none of them fails in a script that runs without
modeldir.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir.errors import TrialPruned
from modeldir.experiment import attempts, open_runs, saved_weights
from modeldir.experiment.run import Run, start


def current_run() -> Run | None:
    """Return the run that this process has open; else start that of its trial, if it is in one."""
    for run in reversed(open_runs.of_this_process()):
        if isinstance(run, Run):
            return run
    folder = os.environ.get(attempts.RUN_VARIABLE, "").partition(":")[2]
    return start(folder) if folder else None


def log(step: int, values: Mapping[str, Any]) -> TrialPruned | None:
    """Log metrics; return the exception to raise once the framework has saved its weights."""
    run = current_run()
    if run is not None and values:
        try:
            run.log(step, values)
        except TrialPruned as pruned:
            return pruned
    return None


def resumed_folder() -> Path | None:
    """Tell modeldir that the script can resume; return the folder to resume from, if it does."""
    run = current_run()
    if run is None:
        return None
    run.restore()
    return run.model_dir if run.resumes else None


def newest(pattern: str) -> Path | None:
    """Return the newest whole file of the resumed run that matches, at any depth, else None.

    Files of attempts that this run does not continue are in `attempts/` and do not count.
    """
    folder = resumed_folder()
    if folder is None:
        return None
    found = [
        path for path in folder.rglob(pattern) if path.relative_to(folder).parts[0] != "attempts"
    ]
    return saved_weights.newest_of(found)
