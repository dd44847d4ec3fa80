"""Figures for papers, drawn by matplotlib (the extra `modeldir[plots]`).

Start at `kinds.plot`. Each kind has a module of its name with a function `draw`. They all draw a
`FigureData` and share a `style`. pyplot is never used, so a user's own figures stay as they are.
"""

from __future__ import annotations

from modeldir._system.lazy import attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from modeldir.results.plots.kinds import KINDS, plot, save

__all__ = ["KINDS", "plot", "save"]

_HOMES = {"modeldir.results.plots.kinds": ("KINDS", "plot", "save")}
__getattr__ = attributes(__name__, _HOMES)
