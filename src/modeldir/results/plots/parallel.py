"""Draw parallel coordinates: each trial is a line across all hyperparameters and the metric.

`kinds` calls `draw`. A trial that lacks a hyperparameter goes through "none" below that axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from modeldir.results.plots import style
from modeldir.results.plots.figure_data import FigureAxis, FigureData

_MOST_AXES = 7
_MISSING = -0.09
_MOST_TICKS = 5
_MANY_LINES = 200


def draw(data: FigureData, width: float, names: Sequence[str]) -> Figure:
    """Draw the figure. `names` are hyperparameters, by default as many as there is room for."""
    axes = data.axes_named(names, max(2, min(_MOST_AXES, int(width / 0.62) - 1)))
    limits = style.limits(data.values, data.direction)
    with style.settings():
        figure = style.figure(width, max(1.9, 0.5 * width))
        panel = figure.add_subplot()
        columns = [_heights(axis) for axis in axes]
        lines = [
            (row.value, index, [*(c[index] for c in columns), _metric_height(row.value, limits)])
            for index, row in enumerate(data.rows)
            if row.value is not None
        ]
        lines.sort(key=lambda line: -data.sign * line[0])  # the best are drawn last, on top
        _draw_lines(panel, data, lines, limits)
        for index, axis in enumerate(axes):
            _draw_axis(panel, index, _hyperparameter_ticks(axis))
        _draw_axis(panel, len(axes), _metric_ticks(limits))
        has_missing = any(math.isnan(value) for axis in axes for value in axis.positions())
        if has_missing:
            panel.text(
                -0.06, _MISSING, "none", ha="right", va="center", fontsize=6, color=style.GRAY
            )
        metric = style.metric_label(data.metric, data.direction, 22)
        labels = [*(style.text(axis.name, 22) for axis in axes), metric]
        panel.set_xticks(range(len(labels)), labels)
        if max(map(len, labels)) * len(labels) > 21 * width:  # they would overlap
            for label in panel.get_xticklabels():
                label.set(rotation=25, horizontalalignment="right", rotation_mode="anchor")
        panel.tick_params(axis="x", length=0, pad=2)
        panel.set_yticks([])
        panel.set_xlim(-0.25, len(axes) + 0.35)
        panel.set_ylim(_MISSING - 0.04 if has_missing else -0.03, 1.03)
        for spine in panel.spines.values():
            spine.set_visible(False)
    return figure


def _heights(axis: FigureAxis) -> list[float]:
    low, high = _range(axis)
    return [_height(value, low, high, log=axis.log) for value in axis.positions()]


def _range(axis: FigureAxis) -> tuple[float, float]:
    known = [value for value in axis.positions() if not math.isnan(value)]
    return min(known), max(known)


def _height(value: float, low: float, high: float, *, log: bool = False) -> float:
    if math.isnan(value):
        return _MISSING
    if high <= low:
        return 0.5
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _metric_height(value: float, limits: style.AxisLimits) -> float:
    (clipped,) = limits.clipped([value])
    return _height(clipped, limits.low, limits.high)


def _draw_lines(
    panel: Axes,
    data: FigureData,
    lines: Sequence[tuple[float, int, list[float]]],
    limits: style.AxisLimits,
) -> None:
    few = len(lines) <= _MANY_LINES
    collection = LineCollection(
        [list(enumerate(heights)) for _, _, heights in lines],
        cmap=colormaps[style.colormap(data.direction)], linewidths=0.8 if few else 0.35,
        alpha=0.8 if few else 0.35, rasterized=len(lines) > style.MOST_VECTOR_MARKS, zorder=1,
    )  # fmt: skip
    collection.set_array([_metric_height(value, limits) for value, _, _ in lines])
    collection.set_clim(0, 1)
    panel.add_collection(collection)
    best = data.best()
    for _, index, heights in lines:
        if index == best:
            on_top: dict[str, Any] = {"zorder": 5, "solid_joinstyle": "round"}
            panel.plot(range(len(heights)), heights, color=style.BLACK, linewidth=2.2, **on_top)
            panel.plot(range(len(heights)), heights, color=style.ORANGE, linewidth=1.2, **on_top)


def _hyperparameter_ticks(axis: FigureAxis) -> list[tuple[float, str]]:
    low, high = _range(axis)
    if not axis.is_numeric:
        names = [style.text(category, 12) for category in axis.categories]
        return [(_height(float(i), low, high), name) for i, name in enumerate(names)]
    distinct = sorted({v for v in axis.positions() if not math.isnan(v)})
    if len(distinct) <= _MOST_TICKS and style.labels_fit(distinct, log=axis.log):
        ticks = distinct
    else:
        integer = all(v == int(v) for v in distinct)
        ticks = style.round_values(low, high, log=axis.log, integer=integer)
    return [(_height(v, low, high, log=axis.log), style.number_text(v)) for v in ticks]


def _metric_ticks(limits: style.AxisLimits) -> list[tuple[float, str]]:
    ticks = style.round_values(limits.low, limits.high)
    return [(_height(v, limits.low, limits.high), style.number_text(v)) for v in ticks]


def _draw_axis(panel: Axes, x: int, ticks: Sequence[tuple[float, str]]) -> None:
    panel.plot([x, x], [0, 1], color=style.BLACK, linewidth=0.7, zorder=6)
    for height, label in ticks:
        panel.plot([x, x + 0.035], [height, height], color=style.BLACK, linewidth=0.6, zorder=6)
        panel.text(
            x + 0.06, height, label, va="center", fontsize=6, zorder=7,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.4},
        )  # fmt: skip
