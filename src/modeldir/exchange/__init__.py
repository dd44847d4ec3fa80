"""Export experiments to other tools and import runs from them.

Start at `exporting.export` or `importing.import_runs`. A tool has a module for each direction, e.g.
`mlflow_export`. The rule: neither changes what it reads from.
"""

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
