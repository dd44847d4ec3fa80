"""One folder is one experiment: its attempts, status, checkpoints and provenance.

Start reading at `experiment`, which reads a folder, or at `run`, which training scripts use.
`attempts` has the run files, and `discovery` finds the folders in a tree.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.experiment.checkpoints import load_checkpoint, save_checkpoint
    from modeldir.experiment.experiment import Experiment
    from modeldir.experiment.run import Run, start

__all__ = ["Experiment", "Run", "load_checkpoint", "save_checkpoint", "start"]

_HOMES = {
    "modeldir.experiment.experiment": ("Experiment",),
    "modeldir.experiment.run": ("Run", "start"),
    "modeldir.experiment.checkpoints": ("load_checkpoint", "save_checkpoint"),
}
__getattr__ = attributes(__name__, _HOMES)
