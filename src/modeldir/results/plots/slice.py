"""Draw the metric over each hyperparameter by itself, in small panels.

`kinds` calls `draw`. Categories are columns with some horizontal jitter and their median.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modeldir.results.plots import style
from modeldir.results.plots.figure_data import FigureAxis, FigureData
from modeldir.results.plots.style import AxisLimits
from modeldir.results.report.axis_scales import looks_logarithmic

_MOST_PANELS = 8
_PANEL_WIDTH = 1.55
_MANY_DOTS = 300


class _Dot(NamedTuple):
    position: float
    value: float
    deviation: float | None
    row: int


def draw(data: FigureData, width: float, names: Sequence[str]) -> Figure:
    """Draw the figure. `names` are hyperparameters, by default the most important."""
    axes = data.axes_named(names, _MOST_PANELS)
    columns = min(len(axes), max(1, round(width / _PANEL_WIDTH)))
    lines = math.ceil(len(axes) / columns)
    with style.settings():
        height = min(0.8 * width, 1.35 * lines + 0.25) if lines == 1 else 1.4 * lines
        figure = style.figure(width, height)
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flat
        log = looks_logarithmic(data.values)
        limits = style.limits(data.values_with_deviations, data.direction, log=log)
        label = style.metric_label(data.metric, data.direction)
        for index, panel in enumerate(panels):
            if index >= len(axes):
                panel.set_visible(False)
                continue
            _panel(panel, data, axes[index], limits)
            room = max(2, int(width / columns / 0.4))
            style.hyperparameter_axis(panel, axes[index], room=room)
            style.metric_axis(panel, label if index % columns == 0 else "", limits)
    return figure


def _panel(panel: Axes, data: FigureData, axis: FigureAxis, limits: AxisLimits) -> None:
    dots = [
        _Dot(position, row.value, row.deviation, index)
        for index, (position, row) in enumerate(zip(axis.positions(), data.rows, strict=True))
        if row.value is not None and not math.isnan(position)
    ]
    rng = random.Random(0)  # noqa: S311 - the same figure for the same trials
    jitter = 0.0 if axis.is_numeric else 0.22
    xs = [dot.position + rng.uniform(-jitter, jitter) for dot in dots]
    values = [dot.value for dot in dots]
    ys = limits.clipped(values)
    inside = [i for i, value in enumerate(values) if limits.low <= value <= limits.high]
    few = len(dots) < _MANY_DOTS
    style.mark_outliers(panel, xs, values, limits)
    panel.scatter(
        [xs[i] for i in inside], [ys[i] for i in inside], s=8 if few else 3, color=style.BLUE,
        linewidths=0, alpha=0.75 if few else 0.35,
        rasterized=len(dots) > style.MOST_VECTOR_MARKS, zorder=2,
    )  # fmt: skip
    bars = [(x, y, dot.deviation) for x, y, dot in zip(xs, ys, dots, strict=True) if dot.deviation]
    if bars:
        panel.errorbar(
            [x for x, _, _ in bars], [y for _, y, _ in bars], yerr=[d for _, _, d in bars],
            fmt="none", ecolor=style.BLUE, elinewidth=0.6, zorder=1,
        )  # fmt: skip
    if not axis.is_numeric:
        _medians(panel, axis, dots, limits)
    best = data.best()
    for x, y, dot in zip(xs, ys, dots, strict=True):
        if dot.row == best:
            style.mark_best(panel, x, y, size=34)


def _medians(panel: Axes, axis: FigureAxis, dots: Sequence[_Dot], limits: AxisLimits) -> None:
    for index in range(len(axis.categories)):
        values = [dot.value for dot in dots if dot.position == index]
        if values:
            (median,) = limits.clipped([statistics.median(values)])
            panel.plot([index - 0.32, index + 0.32], [median, median], color=style.BLACK,
                       linewidth=1.0, zorder=3)  # fmt: skip
