"""One line of a metric table: the step, the time, and the values logged at it.

The report, the exports and the imports read `metrics.jsonl` and CSV files with `logged_step`, so a
line without a step counts the same everywhere. Writing lines: `jsonl_writer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from modeldir._system.timestamps import unix_time
from modeldir.metrics import metrics


class LoggedStep(NamedTuple):
    """A step, its Unix time if known, and the values by metric name."""

    step: float
    time: float | None
    values: Mapping[str, float]


def logged_step(line: Mapping[str, object], index: int) -> LoggedStep:
    """Return the step of a line; the line's index counts as its step if it has none.

    >>> logged_step({"epoch": 2, "loss": 0.5, "time": "2026-01-01T00:00:00+00:00"}, 0)
    LoggedStep(step=2, time=1767225600.0, values={'loss': 0.5})
    """
    values = dict(metrics.numbers_in({k: v for k, v in line.items() if k != "time"}))
    step = metrics.take_step(values)
    time = unix_time(line.get("time"))
    return LoggedStep(float(index) if step is None else step, time, values)
