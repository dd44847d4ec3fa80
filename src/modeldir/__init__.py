"""One folder is one experiment: hyperparameters, a log of everything, search, one table of results.

    from modeldir import Params, set_logger

    params = Params("experiments/base_model/params.json")
    set_logger("experiments/base_model/train.log")

These are the public names. Each is imported when it is first used, so that `import modeldir` costs
next to nothing. To read the code, start with the docstring of a package: `params`, `experiment`,
`search`, `worker`, `results`. The command line is in `commands`.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes
from modeldir._system.version import __version__ as __version__

TYPE_CHECKING = False  # like typing's, without the 10 ms that importing typing costs

if TYPE_CHECKING:  # for type checkers and editors; at run time, _HOMES says where a name is
    from modeldir.errors import CheckpointError as CheckpointError
    from modeldir.errors import CommandError as CommandError
    from modeldir.errors import FolderBusy as FolderBusy
    from modeldir.errors import FolderError as FolderError
    from modeldir.errors import MetricsError as MetricsError
    from modeldir.errors import MissingParam as MissingParam
    from modeldir.errors import ModeldirError as ModeldirError
    from modeldir.errors import ParamsError as ParamsError
    from modeldir.errors import SearchError as SearchError
    from modeldir.errors import SpaceError as SpaceError
    from modeldir.errors import TrialPruned as TrialPruned
    from modeldir.experiment.checkpoints import load_checkpoint as load_checkpoint
    from modeldir.experiment.checkpoints import save_checkpoint as save_checkpoint
    from modeldir.experiment.experiment import Experiment as Experiment
    from modeldir.experiment.run import Run as Run
    from modeldir.experiment.run import start as start
    from modeldir.logs.logger import Log as Log
    from modeldir.logs.logger import set_logger as set_logger
    from modeldir.metrics.metric_files import save_metrics as save_metrics
    from modeldir.metrics.running_average import RunningAverage as RunningAverage
    from modeldir.params.diff import diff as diff
    from modeldir.params.overrides import cli as cli
    from modeldir.params.params import Params as Params
    from modeldir.params.params import lock as lock
    from modeldir.params.params import unlocked as unlocked
    from modeldir.params.schema import Schema as Schema
    from modeldir.params.update_checks import ParamsWarning as ParamsWarning
    from modeldir.results.plots import plot as plot
    from modeldir.results.report import write_report as write_report
    from modeldir.results.synthesize import synthesize as synthesize
    from modeldir.search.loop import Trial as Trial
    from modeldir.worker.runnable_search import Search as Search

_HOMES = {
    "modeldir.errors": (
        "CheckpointError", "CommandError", "FolderBusy", "FolderError", "MetricsError",
        "MissingParam", "ModeldirError", "ParamsError", "SearchError", "SpaceError", "TrialPruned",
    ),
    "modeldir.experiment.checkpoints": ("load_checkpoint", "save_checkpoint"),
    "modeldir.experiment.experiment": ("Experiment",),
    "modeldir.experiment.run": ("Run", "start"),
    "modeldir.logs.logger": ("Log", "set_logger"),
    "modeldir.metrics.metric_files": ("save_metrics",),
    "modeldir.metrics.running_average": ("RunningAverage",),
    "modeldir.params.diff": ("diff",),
    "modeldir.params.overrides": ("cli",),
    "modeldir.params.params": ("Params", "lock", "unlocked"),
    "modeldir.params.schema": ("Schema",),
    "modeldir.params.update_checks": ("ParamsWarning",),
    "modeldir.results.plots": ("plot",),
    "modeldir.results.report": ("write_report",),
    "modeldir.results.synthesize": ("synthesize",),
    "modeldir.search.loop": ("Trial",),
    "modeldir.worker.runnable_search": ("Search",),
}  # fmt: skip

__all__ = sorted(name for names in _HOMES.values() for name in names)  # noqa: PLE0605 - from _HOMES
if not TYPE_CHECKING:  # or type checkers would accept any name
    __getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
