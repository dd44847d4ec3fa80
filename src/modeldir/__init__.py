"""One folder is one experiment: hyperparameters, a log of everything, search, one table of results.

    from modeldir import Params, set_logger

    params = Params("experiments/base_model/params.json")
    set_logger("experiments/base_model/train.log")

Names are imported when they are first used, so that `import modeldir` costs next to nothing.
"""

from __future__ import annotations

from modeldir._system.version import __version__ as __version__

TYPE_CHECKING = False  # as typing's, without the 10 ms that importing typing costs

if TYPE_CHECKING:
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
    from modeldir.experiment.checkpoints import load_checkpoint, save_checkpoint
    from modeldir.experiment.experiment import Experiment
    from modeldir.experiment.run import Run, start
    from modeldir.logs.logger import Log, set_logger
    from modeldir.metrics.metrics import RunningAverage, save_metrics
    from modeldir.params.diff import diff
    from modeldir.params.overrides import cli
    from modeldir.params.params import Params, lock, unlocked
    from modeldir.params.schema import Schema
    from modeldir.params.update import ParamsWarning
    from modeldir.results.plots import plot
    from modeldir.results.report import write_report
    from modeldir.results.synthesize import synthesize
    from modeldir.search.loop import Trial
    from modeldir.worker.search import Search

_HOMES = {
    "experiment.checkpoints": ("load_checkpoint", "save_checkpoint"),
    "params.overrides": ("cli",),
    "params.diff": ("diff",),
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
    "experiment.experiment": ("Experiment",),
    "logs.logger": ("Log", "set_logger"),
    "search.loop": ("Trial",),
    "metrics.metrics": ("RunningAverage", "save_metrics"),
    "params.update": ("ParamsWarning",),
    "params.params": ("Params", "lock", "unlocked"),
    "results.plots": ("plot",),
    "results.report": ("write_report",),
    "experiment.run": ("Run", "start"),
    "params.schema": ("Schema",),
    "worker.search": ("Search",),
    "results.synthesize": ("synthesize",),
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
