"""Each trial as a line across all hyperparameters, its metric as the last axis and as its shade.

It refuses to drop a trial that lacks a hyperparameter: its line goes through the mark below the
axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib import colormaps
from matplotlib.collections import LineCollection

from modeldir.results.plots import style
from modeldir.results.plots.pairs import colours, limits
from modeldir.results.plots.slices import refuse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Axis, Frame

MOST = 7
_MISSING = -0.09
_TICKS = 5
_MANY = 200


def draw(frame: Frame, width: float, names: Sequence[str]) -> Figure:
    """`names` are hyperparameters, by default the most important, as many as there is room for."""
    axes = frame.axes_named(names, max(2, min(MOST, int(width / 0.62) - 1)))
    refuse(frame, axes)
    found = limits(frame)
    with style.settings():
        figure = style.figure(width, max(1.9, 0.5 * width))
        panel = figure.add_subplot()
        columns = [_heights(axis) for axis in axes]
        rows = [
            (row.value, place, [*(column[place] for column in columns), _height(row.value, found)])
            for place, row in enumerate(frame.rows)
            if row.value is not None
        ]
        rows.sort(key=lambda each: -frame.sign * each[0])  # the best lie on top
        _lines(panel, frame, rows, found)
        for place, axis in enumerate(axes):
            _axis(panel, place, axis)
        _metric(panel, len(axes), found)
        lacks = any(math.isnan(value) for axis in axes for value in axis.places())
        if lacks:
            panel.text(
                -0.06, _MISSING, "none", ha="right", va="center", fontsize=6, color=style.GREY
            )
        names_ = [*(style.text(axis.name, 22) for axis in axes), style.text(frame.metric, 22)]
        names_[-1] += style.arrow(frame.way)
        panel.set_xticks(range(len(names_)), names_)
        if max(map(len, names_)) * len(names_) > 21 * width:  # they would touch
            for label in panel.get_xticklabels():
                label.set(rotation=25, horizontalalignment="right", rotation_mode="anchor")
        panel.tick_params(axis="x", length=0, pad=2)
        panel.set_yticks([])
        panel.set_xlim(-0.25, len(axes) + 0.35)
        panel.set_ylim(_MISSING - 0.04 if lacks else -0.03, 1.03)
        for spine in panel.spines.values():
            spine.set_visible(False)
    return figure


def _heights(axis: Axis) -> list[float]:
    """Where each row crosses an axis, between 0 and 1."""
    low, high = _ends(axis)
    return [_between(value, low, high, log=axis.log) for value in axis.places()]


def _ends(axis: Axis) -> tuple[float, float]:
    known = [value for value in axis.places() if not math.isnan(value)]
    return min(known), max(known)


def _between(value: float, low: float, high: float, *, log: bool = False) -> float:
    if math.isnan(value):
        return _MISSING
    if high <= low:
        return 0.5
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _height(value: float, found: style.Limits) -> float:
    (inside,) = found.clipped([value])
    return _between(inside, found.low, found.high)


def _lines(
    panel: Axes, frame: Frame, rows: Sequence[tuple[float, int, list[float]]], found: style.Limits
) -> None:
    lines = [list(enumerate(heights)) for _, _, heights in rows]
    many = len(rows) > _MANY
    drawn = LineCollection(
        lines, cmap=colormaps[colours(frame)], linewidths=0.35 if many else 0.8,
        alpha=0.35 if many else 0.8, rasterized=len(rows) > style.RASTER, zorder=1,
    )  # fmt: skip
    drawn.set_array([_height(value, found) for value, _, _ in rows])
    drawn.set_clim(0, 1)
    panel.add_collection(drawn)
    best = frame.best()
    for _, place, heights in rows:
        if place == best:
            over: dict[str, Any] = {"zorder": 5, "solid_joinstyle": "round"}
            panel.plot(range(len(heights)), heights, color=style.BLACK, linewidth=2.2, **over)
            panel.plot(range(len(heights)), heights, color=style.ORANGE, linewidth=1.2, **over)


def _axis(panel: Axes, place: int, axis: Axis) -> None:
    """An upright axis with a few values at it."""
    low, high = _ends(axis)
    if axis.is_numeric:
        distinct = sorted({v for v in axis.places() if not math.isnan(v)})
        whole = all(v == int(v) for v in distinct)
        few = len(distinct) <= _TICKS and style.are_apart(distinct, log=axis.log)
        at = distinct if few else style.nice(low, high, log=axis.log, whole=whole)
        ticks = [(_between(v, low, high, log=axis.log), style.plain(v)) for v in at]
    else:
        names = [style.text(option, 12) for option in axis.options]
        ticks = [(_between(float(i), low, high), name) for i, name in enumerate(names)]
    _upright(panel, place, ticks)


def _metric(panel: Axes, place: int, found: style.Limits) -> None:
    at = style.nice(found.low, found.high)
    ticks = [(_between(v, found.low, found.high), style.plain(v)) for v in at]
    _upright(panel, place, ticks)


def _upright(panel: Axes, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    panel.plot([place, place], [0, 1], color=style.BLACK, linewidth=0.7, zorder=6)
    for height, label in ticks:
        panel.plot(
            [place, place + 0.035], [height, height], color=style.BLACK, linewidth=0.6, zorder=6
        )
        panel.text(
            place + 0.06, height, label, va="center", fontsize=6, zorder=7,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.4},
        )  # fmt: skip
