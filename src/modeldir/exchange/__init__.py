"""Export experiments to other tools and import runs from them."""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.exchange.exporting import export
    from modeldir.exchange.importing import import_runs

__all__ = ["export", "import_runs"]

_HOMES = {
    "modeldir.exchange.exporting": ("export",),
    "modeldir.exchange.importing": ("import_runs",),
}
__getattr__ = attributes(__name__, _HOMES)
