"""The metric over each hyperparameter by itself, small panels beside each other.

It refuses to know where the values come from. What was a list stands in columns, a little apart,
with its median; repeats are one point, with their standard deviation.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modeldir.errors import ModeldirError
from modeldir.results.plots import style
from modeldir.results.report.axis_scales import looks_logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Axis, Frame
    from modeldir.results.plots.style import Limits

MOST = 8
_PANEL = 1.55
_MANY = 300


def draw(frame: Frame, width: float, names: Sequence[str]) -> Figure:
    """`names` are hyperparameters, by default the most important."""
    axes = frame.axes_named(names, MOST)
    refuse(frame, axes)
    columns = min(len(axes), max(1, round(width / _PANEL)))
    lines = math.ceil(len(axes) / columns)
    with style.settings():
        figure = style.figure(
            width, min(0.8 * width, 1.35 * lines + 0.25) if lines == 1 else 1.4 * lines
        )
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flat
        found = style.limits(frame.ends, frame.way, log=looks_logarithmic(frame.values))
        label = style.text(frame.metric) + style.arrow(frame.way)
        for place, panel in enumerate(panels):
            if place >= len(axes):
                panel.set_visible(False)
                continue
            _panel(panel, frame, axes[place], found)
            style.hyper_axis(panel, axes[place], room=max(2, int(width / columns / 0.4)))
            style.metric_axis(panel, label if place % columns == 0 else "", found)
    return figure


def refuse(frame: Frame, axes: Sequence[Axis]) -> None:
    """Say why nothing can be drawn.

    Raises:
        ModeldirError: when there is no value, or nothing varies.
    """
    problem = None
    if not frame.values:
        problem = f"no experiment that ended well has {frame.metric!r}"
    elif not axes:
        problem = "no hyperparameter varies"
    if problem:
        raise ModeldirError(
            f"{frame.title} cannot be drawn:", [(problem, None)], "Nothing was drawn."
        )


def _panel(panel: Axes, frame: Frame, axis: Axis, found: Limits) -> None:
    points = [
        (x, row.value, row.deviation, place)
        for place, (x, row) in enumerate(zip(axis.places(), frame.rows, strict=True))
        if row.value is not None and not math.isnan(x)
    ]
    chance = random.Random(0)  # noqa: S311 - the same figure for the same trials
    apart = 0.0 if axis.is_numeric else 0.22
    xs = [x + chance.uniform(-apart, apart) for x, _, _, _ in points]
    values = [value for _, value, _, _ in points]
    ys = found.clipped(values)
    inside = [place for place, value in enumerate(values) if found.low <= value <= found.high]
    style.edge(panel, xs, values, found)
    panel.scatter(
        [xs[place] for place in inside], [ys[place] for place in inside],
        s=8 if len(xs) < _MANY else 3, color=style.BLUE, linewidths=0,
        alpha=0.75 if len(xs) < _MANY else 0.35, rasterized=len(xs) > style.RASTER, zorder=2,
    )  # fmt: skip
    bars = [(x, y, d) for x, y, (_, _, d, _) in zip(xs, ys, points, strict=True) if d]
    if bars:
        panel.errorbar(
            [x for x, _, _ in bars], [y for _, y, _ in bars], yerr=[d for _, _, d in bars],
            fmt="none", ecolor=style.BLUE, elinewidth=0.6, zorder=1,
        )  # fmt: skip
    if not axis.is_numeric:
        _medians(panel, axis, points, found)
    best = frame.best()
    for x, y, (_, _, _, place) in zip(xs, ys, points, strict=True):
        if place == best:
            panel.scatter([x], [y], s=34, marker="*", color=style.ORANGE, edgecolors=style.BLACK,
                          linewidths=0.5, zorder=4)  # fmt: skip


def _medians(
    panel: Axes, axis: Axis, points: Sequence[tuple[float, float, float | None, int]], found: Limits
) -> None:
    for option in range(len(axis.options)):
        values = [value for x, value, _, _ in points if x == option]
        if values:
            (middle,) = found.clipped([statistics.median(values)])
            panel.plot([option - 0.32, option + 0.32], [middle, middle], color=style.BLACK,
                       linewidth=1.0, zorder=3)  # fmt: skip
