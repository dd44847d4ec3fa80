"""The log of everything printed: `set_logger` and what it captures.

Start reading at `logger.py`. `capture` holds the ways in which output reaches the file.
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
