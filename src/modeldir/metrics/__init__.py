"""Metrics: which way each is better, and the files and lines they come from.

Start reading at `objective` (what is best) and `metric_files` (names, numbers). `recorder` writes
what a script logs, with `jsonl_writer` and `summary_writer`. `printed_lines` reads output, and
`tfevents` TensorBoard's files.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.metrics.metric_files import save_metrics
    from modeldir.metrics.running_average import RunningAverage

__all__ = ["RunningAverage", "save_metrics"]

_HOMES = {
    "modeldir.metrics.metric_files": ("save_metrics",),
    "modeldir.metrics.running_average": ("RunningAverage",),
}
__getattr__ = attributes(__name__, _HOMES)
