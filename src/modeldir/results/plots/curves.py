"""Learning curves: the metric over the steps, the best in colour, the others behind them.

It reads `metrics.jsonl` of the experiments that it shows: of many the best and some spread over the
rest. Repeats of a point are their mean with a band of one standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from modeldir.errors import ModeldirError
from modeldir.experiment import repeats
from modeldir.results.plots import style
from modeldir.results.report import curves as read
from modeldir.results.report.axis_scales import looks_logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Frame, Row

_POINTS = 400
_LAST = 0.25
"""Limits are those of the last quarter of the steps: a first epoch is far off by nature."""


@dataclass(frozen=True)
class Curve:
    """One point's values over the steps; `spread` is the standard deviation over its repeats."""

    place: int
    steps: tuple[float, ...]
    values: tuple[float, ...]
    spread: tuple[float, ...] = ()


def draw(frame: Frame, width: float, names: Sequence[str]) -> Figure:
    """`names` are of no use here: the steps are on the axis."""
    if list(names) not in ([], ["step"]):
        _refuse(frame, "the x of curves is the step")
    found = _curves(frame)
    if not found:
        _refuse(frame, f"no metrics.jsonl has {frame.metric!r} at two steps: run.log writes it")
    few = len(style.LINES)
    with style.settings():
        figure = style.figure(width, min(0.62 * width, 3.2) + (0.14 * min(len(found), few) + 0.2))
        axes = figure.add_subplot()
        for curve in found[few:]:
            axes.plot(curve.steps, curve.values, color=style.PALE, linewidth=0.6, zorder=1,
                      rasterized=len(found) * len(curve.steps) > style.RASTER * 10)  # fmt: skip
        for order, curve in enumerate(found[:few]):
            _line(axes, curve, frame, order)
        seen = [v for curve in found for v in _last(curve)]
        limits = style.limits(_all_or_last(found, seen), frame.way, log=looks_logarithmic(seen))
        style.metric_axis(axes, style.text(frame.metric) + style.arrow(frame.way), limits)
        whole = all(step == int(step) for step in found[0].steps)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        axes.set_xlabel("step")
        axes.margins(x=0.02)
        others = len(found) - few
        if len(found) > 1:
            title = None if others <= 0 else f"the best {few}; grey: {others} more"
            figure.legend(loc="outside lower left", title=title, title_fontsize=6.5,
                          handlelength=2.6, alignment="left")  # fmt: skip
    return figure


def _refuse(frame: Frame, problem: str) -> None:
    raise ModeldirError(f"{frame.title} cannot be drawn:", [(problem, None)], "Nothing was drawn.")


def _line(axes: Axes, curve: Curve, frame: Frame, order: int) -> None:
    colour, dashes = style.LINES[order]
    label = frame.labels[curve.place] if frame.labels else frame.rows[curve.place].name
    axes.plot(
        curve.steps, curve.values, color=colour, linestyle=dashes, linewidth=1.1,
        label=style.text(label, 60), zorder=10 - order,
    )  # fmt: skip
    if curve.spread:
        low = [v - s for v, s in zip(curve.values, curve.spread, strict=True)]
        high = [v + s for v, s in zip(curve.values, curve.spread, strict=True)]
        axes.fill_between(curve.steps, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)


def _curves(frame: Frame) -> list[Curve]:
    """The curves, the best first, then those of experiments without a rank (pruned, running)."""
    rows = list(enumerate(frame.rows))
    with_value = [(frame.sign * row.value, place) for place, row in rows if row.value is not None]
    ranked = [place for _, place in sorted(with_value)] if frame.way else [p for _, p in with_value]
    others = [place for place, row in rows if row.value is None]
    kept = set(read.chosen(ranked, others))
    ordered = [place for place in [*ranked, *others] if place in kept]
    made = (_curve(frame.rows[place], place, frame.metric) for place in ordered)
    return [curve for curve in made if curve is not None]


def _curve(row: Row, place: int, metric: str) -> Curve | None:
    told = [read.read_curves(folder).get(metric, {}) for folder in row.folders]
    several = [each for each in told if each]
    steps = _steps(several)
    if len(steps) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    at = [[each[step] for each in several if step in each] for step in steps]
    means = tuple(math.fsum(values) / len(values) for values in at)
    if len(several) < 2:  # noqa: PLR2004 - of one nothing scatters
        return Curve(place, steps, means)
    return Curve(
        place, steps, means, tuple(repeats.standard_deviation(values) or 0.0 for values in at)
    )


def _steps(several: Sequence[Mapping[float, float]]) -> tuple[float, ...]:
    """The steps of which all tell a finite value; where there are none in common, of the first."""
    finite = [{s for s, v in each.items() if math.isfinite(v)} for each in several]
    common = sorted(set.intersection(*finite)) if finite else []
    pairs = read.thinned([(step, several[0][step]) for step in common], _POINTS)
    return tuple(step for step, _ in pairs)


def _ends(curve: Curve) -> list[float]:
    """The values, and the edges of their band."""
    spread = curve.spread or (0.0,) * len(curve.values)
    return [e for v, s in zip(curve.values, spread, strict=True) for e in (v - s, v + s)]


def _last(curve: Curve) -> list[float]:
    """The values of the last part of a curve."""
    count = max(1, round(_LAST * len(curve.values)))
    return [value for value in curve.values[-count:] if math.isfinite(value)]


def _all_or_last(found: Sequence[Curve], last: Sequence[float]) -> list[float]:
    """What the limits are taken from: all values of few short curves, else their last parts."""
    values = [value for curve in found for value in _ends(curve) if math.isfinite(value)]
    low, high = min(last), max(last)
    reach = 2 * (high - low) or abs(high) or 1.0
    return [value for value in values if low - reach <= value <= high + reach]
