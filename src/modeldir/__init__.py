"""One folder is one experiment: hyperparameters, a log of everything, search, one table of results.

    from modeldir import Params, set_logger

    params = Params("experiments/base_model/params.json")
    set_logger("experiments/base_model/train.log")

Names are imported when they are first used, so that `import modeldir` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without the 10 ms that importing typing costs

__version__ = "0.1.0"

if TYPE_CHECKING:
    from modeldir.checkpoints import load_checkpoint, save_checkpoint
    from modeldir.commandline import cli
    from modeldir.differences import diff
    from modeldir.errors import (
        CheckpointError,
        CommandError,
        FolderBusy,
        FolderError,
        MetricsError,
        MissingParam,
        ModeldirError,
        ParamsError,
        SearchError,
        SpaceError,
        TrialPruned,
    )
    from modeldir.experiment import Experiment
    from modeldir.logs import Log, set_logger
    from modeldir.loop import Trial
    from modeldir.metrics import RunningAverage, save_metrics
    from modeldir.overrides import ParamsWarning
    from modeldir.params import Params, lock, unlocked
    from modeldir.plots import plot
    from modeldir.report import write_report
    from modeldir.run import Run, start
    from modeldir.schema import Schema
    from modeldir.search import Search
    from modeldir.synthesize import synthesize

_HOMES = {
    "checkpoints": ("load_checkpoint", "save_checkpoint"),
    "commandline": ("cli",),
    "differences": ("diff",),
    "errors": (
        "CheckpointError",
        "CommandError",
        "FolderBusy",
        "FolderError",
        "MetricsError",
        "MissingParam",
        "ModeldirError",
        "ParamsError",
        "SearchError",
        "SpaceError",
        "TrialPruned",
    ),
    "experiment": ("Experiment",),
    "logs": ("Log", "set_logger"),
    "loop": ("Trial",),
    "metrics": ("RunningAverage", "save_metrics"),
    "overrides": ("ParamsWarning",),
    "params": ("Params", "lock", "unlocked"),
    "plots": ("plot",),
    "report": ("write_report",),
    "run": ("Run", "start"),
    "schema": ("Schema",),
    "search": ("Search",),
    "synthesize": ("synthesize",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CheckpointError",
    "CommandError",
    "Experiment",
    "FolderBusy",
    "FolderError",
    "Log",
    "MetricsError",
    "MissingParam",
    "ModeldirError",
    "Params",
    "ParamsError",
    "ParamsWarning",
    "Run",
    "RunningAverage",
    "Schema",
    "Search",
    "SearchError",
    "SpaceError",
    "Trial",
    "TrialPruned",
    "cli",
    "diff",
    "load_checkpoint",
    "lock",
    "plot",
    "save_checkpoint",
    "save_metrics",
    "set_logger",
    "start",
    "synthesize",
    "unlocked",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'modeldir' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"modeldir.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
