"""The classes of failures: out of memory, an error, NaN, a missing metric, and so on.

Their evidence is the line that says what went wrong (`failure_class`; `error_lines.py` finds it)
and the metrics (`metric_failure`). `worker/end_status.py` asks for commands, and also judges exit
codes and signals; `search/loop.py` asks for loops in Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from modeldir.metrics.metric_names import did_you_mean

ERROR = "error"
OUT_OF_MEMORY = "out-of-memory"
NAN = "nan"
MISSING_METRIC = "missing-metric"
TIME_LIMIT = "time-limit"
KILLED = "killed"
CLASSES = (ERROR, OUT_OF_MEMORY, NAN, MISSING_METRIC, TIME_LIMIT, KILLED)

FIXED_BY_CODE = frozenset({ERROR, MISSING_METRIC})
"""Classes that a change of the code may fix; such trials run again after one."""

FORK_FAILED = "fork_failed"
"""Key in the run file of an interrupted attempt that may have died because it began as a fork."""
_FORK_ERROR = "in forked subprocess"  # PyTorch's message about CUDA

_OUT_OF_MEMORY = (
    r"(?i)out of memory|OutOfMemory|\bMemoryError\b|CUDA_ERROR_OUT_OF_MEMORY|RESOURCE_EXHAUSTED"
    r"|Cannot allocate memory|unable to allocate"
)
_DETAILS = (
    r"'[^']*'|\"[^\"]*\""  # a quoted value
    r"|(?<![\w/])[\w.~-]*/[\w./+=@,%-]*"  # a path
    r"|(?<!\d)[-+]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?"  # a number, also within a name
)
"""The details in which two trials that fail with the same error differ."""


def error_key(failure: str | None, line: str | None) -> str:
    """Return what all runs with the same error have in common: the class, or an error's type.

    The rest of the message may name the trial or its values.

    >>> error_key("error", "ValueError: no data for 0.1"), error_key("error", "no data for 0.25")
    ('error: ValueError', 'error: no data for #.#')
    """
    if failure != ERROR:
        return str(failure)
    return f"{failure}: " + re.sub(r"\d+", "#", (line or "").partition(":")[0])


def failure_class(line: str | None) -> str:
    return OUT_OF_MEMORY if line and re.search(_OUT_OF_MEMORY, line) else ERROR


def metric_failure(name: str, found: Mapping[str, float]) -> tuple[str, str] | None:
    """Return the class and the reason of the failure if a metric that is needed is missing or NaN.

    >>> metric_failure("loss", {"loss": math.nan}), metric_failure("loss", {"loss": 0.5})
    (('nan', 'loss is NaN'), None)
    """
    if name not in found:
        there, meant = ", ".join(sorted(found)) or "none", did_you_mean(name, sorted(found))
        reason = f"it completed but wrote no {name!r}; metrics found: {there}"
        return MISSING_METRIC, f"{reason}; {meant}" if meant else reason
    return (NAN, f"{name} is NaN") if math.isnan(found[name]) else None


def is_fork_error(line: str | None) -> bool:
    return _FORK_ERROR in (line or "")


def masked(line: str, name: str = "") -> str:
    """Return an error's line without the trial's name, paths, numbers and quoted values.

    >>> masked("ValueError: width=300 is too much for learning_rate_0.1", "learning_rate_0.1")
    'ValueError: width=… is too much for …'
    """
    bare = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", line) if name else line
    return re.sub(_DETAILS, "…", bare)
