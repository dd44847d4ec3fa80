"""A search: its `search.json`, its trials, and the choice of the next one.

Start reading at `search.py` (`Search`).
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.search.loop import Trial
    from modeldir.search.search import Search

__all__ = ["Search", "Trial"]

_HOMES = {
    "modeldir.search.search": ("Search",),
    "modeldir.search.loop": ("Trial",),
}
__getattr__ = attributes(__name__, _HOMES)
