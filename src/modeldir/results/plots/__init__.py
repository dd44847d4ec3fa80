"""Figures for papers, drawn by matplotlib (the extra `modeldir[plots]`).

    modeldir.plot("experiments/learning_rate", kind="slice").savefig("slice.pdf")

Start at `kinds.plot`. Each kind of figure has a module of its name with a function `draw`. They all
draw a `FigureData` (`figure_data`) and share colors, limits and ticks (`style`). pyplot is never
used, so nothing changes in a user's own figures. The interactive page: `modeldir.results.report`.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.results.plots.kinds import KINDS, plot, save

__all__ = ["KINDS", "plot", "save"]

_HOMES = {"modeldir.results.plots.kinds": ("KINDS", "plot", "save")}
__getattr__ = attributes(__name__, _HOMES)
