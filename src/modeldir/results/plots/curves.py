"""Draw learning curves: the metric over the steps, the best in color, the others in gray.

`kinds` calls `draw`. For many experiments only the curves of the best and of some others are read
(`report.curves`). Repeats of a configuration are their mean with a band of one deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modeldir.experiment import repeats
from modeldir.results.plots import style
from modeldir.results.plots.figure_data import FigureData, FigureRow, drawable
from modeldir.results.report import curves as report_curves
from modeldir.results.report.axis_scales import looks_logarithmic

_MOST_POINTS = 400
_LAST_PART = 0.25
"""The last quarter of the steps decides the limits: a first epoch is always far from the rest."""


@dataclass(frozen=True)
class _Curve:
    row: int
    steps: tuple[float, ...]
    values: tuple[float, ...]
    deviations: tuple[float, ...] = ()


def draw(data: FigureData, width: float, names: Sequence[str]) -> Figure:
    """Draw the figure. The x axis is always the step, so `names` must be empty."""
    if list(names) not in ([], ["step"]):
        raise data.error(("curves are drawn over steps: leave out --x", None))
    curves = _curves(data)
    if not curves:
        problem = f"no metrics.jsonl has {data.metric!r} at two steps: run.log writes it"
        raise data.error((problem, None))
    colored = len(style.LINES)
    points = len(curves) * len(curves[0].steps)
    with style.settings():
        legend_height = 0.14 * min(len(curves), colored) + 0.2
        figure = style.figure(width, min(0.62 * width, 3.2) + legend_height)
        axes = figure.add_subplot()
        for curve in curves[colored:]:
            axes.plot(curve.steps, curve.values, color=style.LIGHT_GRAY, linewidth=0.6, zorder=1,
                      rasterized=points > style.MOST_VECTOR_MARKS * 10)  # fmt: skip
        for order, curve in enumerate(curves[:colored]):
            _draw_line(axes, curve, data, order)
        last = [value for curve in curves for value in _last_values(curve)]
        limits = style.limits(
            _values_for_limits(curves, last), data.direction, log=looks_logarithmic(last)
        )
        style.metric_axis(axes, style.metric_label(data.metric, data.direction), limits)
        integer = all(step == int(step) for step in curves[0].steps)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=integer))
        axes.set_xlabel("step")
        axes.margins(x=0.02)
        others = len(curves) - colored
        if len(curves) > 1:
            title = None if others <= 0 else f"the best {colored}; gray: {others} more"
            figure.legend(loc="outside lower left", title=title, title_fontsize=6.5,
                          handlelength=2.6, alignment="left")  # fmt: skip
    return figure


def _draw_line(axes: Axes, curve: _Curve, data: FigureData, order: int) -> None:
    color, dashes = style.LINES[order]
    label = data.labels[curve.row] if data.labels else data.rows[curve.row].name
    axes.plot(
        curve.steps, curve.values, color=color, linestyle=dashes, linewidth=1.1,
        label=style.text(label, 60), zorder=10 - order,
    )  # fmt: skip
    if curve.deviations:
        low = [v - d for v, d in zip(curve.values, curve.deviations, strict=True)]
        high = [v + d for v, d in zip(curve.values, curve.deviations, strict=True)]
        axes.fill_between(curve.steps, low, high, color=color, alpha=0.18, linewidth=0, zorder=2)


def _curves(data: FigureData) -> list[_Curve]:
    """Return the curves, the best first, those of rows without a value last."""
    values = [(row.value, index) for index, row in enumerate(data.rows)]
    ranked = [(data.sign * value, index) for value, index in values if value is not None]
    if data.direction:
        ranked.sort()
    order = [index for _, index in ranked]
    others = [index for value, index in values if value is None]
    chosen = set(report_curves.chosen(order, others))
    curves = (
        _curve(data.rows[index], index, data.metric)
        for index in [*order, *others]
        if index in chosen
    )
    return [curve for curve in curves if curve is not None]


def _curve(row: FigureRow, index: int, metric: str) -> _Curve | None:
    read = [report_curves.read_curves(folder).get(metric, {}) for folder in row.folders]
    shown = [
        {
            s: number
            for s, v in each.items()
            if drawable(s) is not None and (number := drawable(v)) is not None
        }
        for each in read
    ]
    repeated = [each for each in shown if each]
    steps = _steps(repeated)
    if len(steps) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    at_step = [[each[step] for each in repeated if step in each] for step in steps]
    means = tuple(math.fsum(values) / len(values) for values in at_step)
    if len(repeated) < 2:  # noqa: PLR2004 - a deviation needs two values
        return _Curve(index, steps, means)
    deviations = tuple(repeats.standard_deviation(values) or 0.0 for values in at_step)
    return _Curve(index, steps, means, deviations)


def _steps(repeated: Sequence[Mapping[float, float]]) -> tuple[float, ...]:
    common = sorted(set.intersection(*map(set, repeated))) if repeated else []
    points = [(step, repeated[0][step]) for step in common]
    return tuple(step for step, _ in report_curves.thinned(points, _MOST_POINTS))


def _last_values(curve: _Curve) -> list[float]:
    count = max(1, round(_LAST_PART * len(curve.values)))
    return [value for value in curve.values[-count:] if math.isfinite(value)]


def _values_for_limits(curves: Sequence[_Curve], last: Sequence[float]) -> list[float]:
    """Return all values, and the edges of bands, that are not far from the last values."""
    values = [
        end
        for curve in curves
        for v, d in zip(curve.values, curve.deviations or (0.0,) * len(curve.values), strict=True)
        for end in (v - d, v + d)
        if math.isfinite(end)
    ]
    low, high = min(last), max(last)
    reach = 2 * (high - low) or abs(high) or 1.0
    return [value for value in values if low - reach <= value <= high + reach]
