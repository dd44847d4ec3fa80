"""Metrics: names and numbers, their direction, and the files and lines they come from.

Start reading at `metrics`. `recorder` writes what a script logs, with `jsonl_writer` and
`summary_writer`. `printed_lines` finds metrics in output, and `objective` says what a search ranks
by.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.metrics.metrics import RunningAverage, save_metrics

__all__ = ["RunningAverage", "save_metrics"]

_HOMES = {
    "modeldir.metrics.metrics": ("RunningAverage", "save_metrics"),
}
__getattr__ = attributes(__name__, _HOMES)
