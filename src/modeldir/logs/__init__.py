"""The log of everything printed: `set_logger` and the capture of output.

Start reading at `logger`, which opens a log. `capture` has the methods by which output reaches it.
`screen` and `transcript` turn output into lines, `logfile` writes them.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.logs.logger import Log, set_logger

__all__ = ["Log", "set_logger"]

_HOMES = {
    "modeldir.logs.logger": ("Log", "set_logger"),
}
__getattr__ = attributes(__name__, _HOMES)
