"""Two hyperparameters against each other, the metric as the shade; of several each pair.

It refuses to fit a surface: what lies between the trials nobody has run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modeldir.errors import ModeldirError
from modeldir.results.plots import style
from modeldir.results.plots.slices import refuse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Axis, Frame

_MANY = 300


def draw(frame: Frame, width: float, names: Sequence[str]) -> Figure:
    """`names` are two hyperparameters or more, by default the two most important."""
    axes = frame.axes_named(names, 2)
    refuse(frame, axes)
    if len(axes) < 2:  # noqa: PLR2004 - a pair
        problems = [(f"a pair is of two; here varies {axes[0].name!r} alone", "--kind slice")]
        raise ModeldirError(f"{frame.title} cannot be drawn:", problems, "Nothing was drawn.")
    count = len(axes) - 1
    with style.settings():
        figure = style.figure(width, min(0.78 * width, 3.8) if count == 1 else 0.9 * width)
        panels = figure.subplots(count, count, squeeze=False)
        shown: Any = None
        for line in range(count):
            for column in range(count):
                panel = panels[line][column]
                if column > line:
                    panel.set_visible(False)
                    continue
                x, y = axes[column], axes[line + 1]
                shown = _panel(panel, frame, x, y)
                style.hyper_axis(panel, x, label=line == count - 1)
                style.hyper_axis(panel, y, vertical=True, label=column == 0)
                if line < count - 1:
                    panel.tick_params(labelbottom=False)
                if column:
                    panel.tick_params(labelleft=False)
        bar = figure.colorbar(shown, ax=panels.ravel().tolist(), fraction=0.06, pad=0.02)
        bar.outline.set_linewidth(0.4)
        style.metric_axis(bar.ax, style.text(frame.metric) + style.arrow(frame.way), limits(frame))
    return figure


def limits(frame: Frame) -> style.Limits:
    """Of the shades: by the values themselves, so that the scale is read evenly."""
    return style.limits(frame.values, frame.way)


def colours(frame: Frame) -> str:
    """The best is dark: on paper what has most ink is seen first."""
    return f"{style.COLOURS}_r" if frame.way != "minimize" else style.COLOURS


def _panel(panel: Axes, frame: Frame, x: Axis, y: Axis) -> Any:
    chance = random.Random(0)  # noqa: S311 - the same figure for the same trials
    found = limits(frame)
    points = [
        (_apart(a, x, chance), _apart(b, y, chance), row.value, place)
        for place, (a, b, row) in enumerate(zip(x.places(), y.places(), frame.rows, strict=True))
        if row.value is not None and not math.isnan(a) and not math.isnan(b)
    ]
    points.sort(key=lambda each: -frame.sign * each[2])  # the best lie on top
    size = 16 if len(points) < _MANY else 6
    shown = panel.scatter(
        [a for a, _, _, _ in points], [b for _, b, _, _ in points],
        c=found.clipped([value for _, _, value, _ in points]),
        cmap=colours(frame), vmin=found.low, vmax=found.high, s=size,
        linewidths=0.25 if len(points) < _MANY else 0, edgecolors=style.BLACK,
        rasterized=len(points) > style.RASTER, zorder=2,
    )  # fmt: skip
    failed = [
        (a, b) for a, b, row in zip(x.places(), y.places(), frame.rows, strict=True)
        if row.is_failed and not math.isnan(a) and not math.isnan(b)
    ]  # fmt: skip
    if failed:
        panel.scatter([a for a, _ in failed], [b for _, b in failed], marker="x", s=0.6 * size,
                      color=style.RED, linewidths=0.6, rasterized=len(failed) > style.RASTER,
                      zorder=1)  # fmt: skip
    best = frame.best()
    for a, b, _, place in points:
        if place == best:
            panel.scatter([a], [b], s=40, marker="*", color=style.ORANGE, edgecolors=style.BLACK,
                          linewidths=0.5, zorder=4)  # fmt: skip
    return shown


def _apart(place: float, axis: Axis, chance: random.Random) -> float:
    return place if axis.is_numeric else place + chance.uniform(-0.25, 0.25)
