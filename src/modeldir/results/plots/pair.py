"""Draw hyperparameters against each other in pairs, with the metric as color.

`kinds` calls `draw`. Only trials are drawn: no surface is fitted between them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modeldir.results.plots import style
from modeldir.results.plots.figure_data import FigureAxis, FigureData

_MANY_DOTS = 300


def draw(data: FigureData, width: float, names: Sequence[str]) -> Figure:
    """Draw the figure. `names` are two or more hyperparameters, by default the most important."""
    axes = data.axes_named(names, 2)
    if len(axes) < 2:  # noqa: PLR2004 - a pair
        raise data.error(
            (
                f"a pair plot needs two hyperparameters, but only {axes[0].name!r} varies",
                "--kind slice",
            )
        )
    count = len(axes) - 1
    limits = style.limits(data.values, data.direction)
    with style.settings():
        figure = style.figure(width, min(0.78 * width, 3.8) if count == 1 else 0.9 * width)
        panels = figure.subplots(count, count, squeeze=False)
        dots: Any = None
        for line in range(count):
            for column in range(count):
                panel = panels[line][column]
                if column > line:
                    panel.set_visible(False)
                    continue
                x, y = axes[column], axes[line + 1]
                dots = _panel(panel, data, x, y, limits)
                style.hyperparameter_axis(panel, x, label=line == count - 1)
                style.hyperparameter_axis(panel, y, vertical=True, label=column == 0)
                if line < count - 1:
                    panel.tick_params(labelbottom=False)
                if column:
                    panel.tick_params(labelleft=False)
        bar = figure.colorbar(dots, ax=panels.ravel().tolist(), fraction=0.06, pad=0.02)
        bar.outline.set_linewidth(0.4)
        style.metric_axis(bar.ax, style.metric_label(data.metric, data.direction), limits)
    return figure


def _panel(
    panel: Axes, data: FigureData, x: FigureAxis, y: FigureAxis, limits: style.AxisLimits
) -> Any:
    rng = random.Random(0)  # noqa: S311 - the same figure for the same trials
    positions = list(zip(x.positions(), y.positions(), data.rows, strict=True))
    dots = [
        (_jittered(a, x, rng), _jittered(b, y, rng), row.value, index)
        for index, (a, b, row) in enumerate(positions)
        if row.value is not None and not math.isnan(a) and not math.isnan(b)
    ]
    dots.sort(key=lambda dot: -data.sign * dot[2])  # the best are drawn last, on top
    few = len(dots) < _MANY_DOTS
    size = 16 if few else 6
    shown = panel.scatter(
        [a for a, _, _, _ in dots], [b for _, b, _, _ in dots],
        c=limits.clipped([value for _, _, value, _ in dots]),
        cmap=style.colormap(data.direction), vmin=limits.low, vmax=limits.high, s=size,
        linewidths=0.25 if few else 0, edgecolors=style.BLACK,
        rasterized=len(dots) > style.MOST_VECTOR_MARKS, zorder=2,
    )  # fmt: skip
    failed = [
        (a, b) for a, b, row in positions
        if row.is_failed and not math.isnan(a) and not math.isnan(b)
    ]  # fmt: skip
    if failed:
        panel.scatter([a for a, _ in failed], [b for _, b in failed], marker="x", s=0.6 * size,
                      color=style.RED, linewidths=0.6,
                      rasterized=len(failed) > style.MOST_VECTOR_MARKS, zorder=1)  # fmt: skip
    best = data.best()
    for a, b, _, index in dots:
        if index == best:
            style.mark_best(panel, a, b, size=40)
    return shown


def _jittered(position: float, axis: FigureAxis, rng: random.Random) -> float:
    return position if axis.is_numeric else position + rng.uniform(-0.25, 0.25)
