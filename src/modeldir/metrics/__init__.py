"""What a metric is, which way is better, and the files and lines that metrics come from."""

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
