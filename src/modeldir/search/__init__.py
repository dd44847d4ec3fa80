"""A search: its `search.json`, its trials, and the choice of the next one.

Start reading at `search.py` (`Search`). `worker/runnable_search.py` adds `run` to it, for
`modeldir.Search`.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.search.loop import Trial

__all__ = ["Trial"]

_HOMES = {
    "modeldir.search.loop": ("Trial",),
}
__getattr__ = attributes(__name__, _HOMES)
