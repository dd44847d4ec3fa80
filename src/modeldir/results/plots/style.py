"""How figures look: colors, sizes, limits and ticks, for print, color-blind people and in gray.

The colors are those of Okabe and Ito (2008). A color that stands for a value is from cividis (Nuñez
and others, 2018), so a gray print keeps the order. No difference is shown by color alone.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis as TickAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from modeldir._system.escaping import visible
from modeldir.results.plots.figure_data import FigureAxis

BLACK, ORANGE, BLUE, GREEN = "#000000", "#E69F00", "#0072B2", "#009E73"
RED, PURPLE, SKY = "#D55E00", "#CC79A7", "#56B4E9"
LINES = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (PURPLE, ":"), (BLACK, (0, (5, 1, 1, 1, 1, 1))))
GRAY, MEDIUM_GRAY, LIGHT_GRAY = "#666666", "#8c8c8c", "#c4c4c4"
COLORMAP = "cividis"
MOST_VECTOR_MARKS = 2000
"""More marks become an image in PDF and SVG files, which would have megabytes otherwise."""
_PNG_DPI, _EMBEDDED_DPI = 300, 600
"""Dots per inch of a PNG file, and of an image in PDF and SVG files."""
_LONGEST_TICK_LABEL = 18
_OUTLIER_DISTANCE = 3.0
"""In interquartile ranges, as in a box plot (there 1.5)."""
_STEPS = [1, 2, 2.5, 5, 10]

_SETTINGS: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "text.usetex": False,
    "text.parse_math": False,
    "image.composite_image": True,
}


@contextlib.contextmanager
def settings() -> Iterator[None]:
    defaults: dict[Any, Any] = {
        key: mpl.rcParamsDefault[key] for key in mpl.rcParamsDefault if key != "backend"
    }
    with mpl.rc_context({**defaults, **_SETTINGS}):
        yield


class Paper(Figure):
    """A figure that is saved with the settings it was made with, so that text stays text."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save without a date, so that the same trials give the same file."""
        suffix = options.get("format") or str(fname).lower().rpartition(".")[2]
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix)
        dpi = _PNG_DPI if suffix == "png" else _EMBEDDED_DPI
        with settings(), mpl.rc_context({"svg.hashsalt": "modeldir"}):
            super().savefig(fname, **{"dpi": dpi, "metadata": metadata, **options})


def figure(width: float, height: float) -> Paper:
    return Paper(figsize=(width, height), layout="constrained")


def text(label: str, longest: int = 40) -> str:
    """Return a label that can be drawn; a long one is cut in the middle, since ends differ."""
    escaped = visible(label)
    if len(escaped) <= longest:
        return escaped
    half = (longest - 1) // 2
    return f"{escaped[:half]}…{escaped[-half:]}"


def metric_label(metric: str, direction: str | None, longest: int = 40) -> str:
    arrow = {"maximize": " ↑", "minimize": " ↓"}.get(direction or "", "")
    return text(metric, longest) + arrow


def colormap(direction: str | None) -> str:
    """Return the color map in which the best value is dark: dark ink is seen first on paper."""
    return COLORMAP if direction == "minimize" else f"{COLORMAP}_r"


@dataclass(frozen=True)
class AxisLimits:
    """The range in which a metric is drawn. Values outside are drawn at the edge."""

    low: float
    high: float
    log: bool = False

    def clipped(self, values: Sequence[float]) -> list[float]:
        return [min(max(value, self.low), self.high) for value in values]


def limits(values: Sequence[float], direction: str | None, *, log: bool = False) -> AxisLimits:
    """Return limits that ignore runs which diverged: bad values three interquartile ranges away."""
    finite = sorted(value for value in values if math.isfinite(value))
    if not finite:
        return AxisLimits(0.0, 1.0)
    log = log and finite[0] > 0
    scaled = [math.log(value) for value in finite] if log else finite
    low, high = scaled[0], scaled[-1]
    if len(scaled) > 3:  # noqa: PLR2004 - of fewer values, all are shown
        first, _, third = statistics.quantiles(scaled, n=4, method="inclusive")
        reach = _OUTLIER_DISTANCE * (third - first) or (high - low)
        low = low if direction == "minimize" else max(low, first - reach)
        high = high if direction == "maximize" else min(high, third + reach)
    pad = 0.06 * (high - low) or 0.05 * max(abs(high), 1e-12 if not log else 1.0)
    low, high = low - pad, high + pad
    return AxisLimits(math.exp(low), math.exp(high), log=True) if log else AxisLimits(low, high)


def mark_outliers(
    axes: Axes, xs: Sequence[float], values: Sequence[float], limits: AxisLimits
) -> None:
    """Mark values outside the limits by triangles on the edge that point to them."""
    pairs = list(zip(xs, values, strict=True))
    above = [x for x, value in pairs if value > limits.high]
    below = [x for x, value in pairs if value < limits.low]
    for outside, y, marker in ((above, 1.0, "^"), (below, 0.0, "v")):
        if outside:
            axes.plot(
                outside, [y] * len(outside), marker, color=GRAY,
                markersize=3, markeredgewidth=0, transform=axes.get_xaxis_transform(),
                clip_on=False, zorder=3, rasterized=len(outside) > MOST_VECTOR_MARKS,
                label="beyond the axis",
            )  # fmt: skip


def mark_best(axes: Axes, x: float, y: float, size: float) -> None:
    axes.scatter([x], [y], s=size, marker="*", color=ORANGE, edgecolors=BLACK, linewidths=0.5,
                 zorder=4)  # fmt: skip


def metric_axis(axes: Axes, label: str, limits: AxisLimits) -> None:
    ticks = axes.yaxis
    axes.set_ylabel(label)
    if limits.log:
        axes.set_yscale("log")
        _log_ticks(ticks, limits.low, limits.high)
    else:
        ticks.set_major_locator(MaxNLocator(5, min_n_ticks=3, steps=_STEPS))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
    axes.set_ylim(limits.low, limits.high)


def hyperparameter_axis(
    axes: Axes, axis: FigureAxis, *, vertical: bool = False, label: bool = True, room: int = 5
) -> None:
    """Let an axis show a hyperparameter, with at most `room` tick labels."""
    ticks = axes.yaxis if vertical else axes.xaxis
    set_scale = axes.set_yscale if vertical else axes.set_xscale
    set_limits = axes.set_ylim if vertical else axes.set_xlim
    if label:
        (axes.set_ylabel if vertical else axes.set_xlabel)(text(axis.name))
    if axis.is_numeric and axis.log:
        set_scale("log")
    set_limits(*_range(axis))
    _hyperparameter_ticks(ticks, axis, room)
    if not axis.is_numeric and not vertical and sum(map(len, axis.categories)) > 14:  # noqa: PLR2004
        for each in axes.get_xticklabels():
            each.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")


def _range(axis: FigureAxis) -> tuple[float, float]:
    if not axis.is_numeric:
        return -0.6, len(axis.categories) - 0.4
    known = [each for each in axis.positions() if each == each]  # noqa: PLR0124 - NaN
    low, high = min(known), max(known)
    if axis.log:
        pad = 0.05 * math.log(high / low) or 0.5
        return low * math.exp(-pad), high * math.exp(pad)
    pad = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
    return low - pad, high + pad


def _hyperparameter_ticks(ticks: TickAxis, axis: FigureAxis, room: int) -> None:
    if not axis.is_numeric:
        ticks.set_major_locator(FixedLocator(list(range(len(axis.categories)))))
        names = [text(category, _LONGEST_TICK_LABEL) for category in axis.categories]
        ticks.set_major_formatter(FuncFormatter(lambda value, _: names[round(value)]))
        return
    distinct = sorted({each for each in axis.positions() if each == each})  # noqa: PLR0124 - NaN
    if len(distinct) <= room + 1 and labels_fit(distinct, log=axis.log):
        ticks.set_major_locator(FixedLocator(distinct))
        ticks.set_minor_locator(NullLocator())
        ticks.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
    elif axis.log:
        _log_ticks(ticks, distinct[0], distinct[-1], room)
    else:
        integer = all(v == int(v) for v in distinct)
        ticks.set_major_locator(MaxNLocator(4, integer=integer, steps=_STEPS))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))


def labels_fit(distinct: Sequence[float], *, log: bool) -> bool:
    scaled = [math.log(each) for each in distinct] if log else list(distinct)
    width = scaled[-1] - scaled[0]
    if max(len(number_text(each)) for each in distinct) > 5:  # noqa: PLR2004 - 0.0142048
        return False
    return all(b - a >= 0.16 * width for a, b in itertools.pairwise(scaled))


def _log_ticks(ticks: TickAxis, low: float, high: float, room: int = 5) -> None:
    ticks.set_major_locator(FixedLocator(log_round_values(low, high, room)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
    ticks.set_minor_formatter(NullFormatter())


def log_round_values(low: float, high: float, room: int = 5) -> list[float]:
    """Return at most `room` round values: 1, 2, 5 if they fit, else 1, 3, else powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        values = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]
        values = [value for value in values if low * 0.999 <= value <= high * 1.001]
        if 2 <= len(values) <= room:  # noqa: PLR2004 - two values show the scale
            return values
    if len(values) < 2:  # noqa: PLR2004
        return [low, high]
    return values[:: math.ceil(len(values) / room)]


def number_text(value: float) -> str:
    """Return a number for an axis. An exponent is not raised, so a search in the PDF finds it."""
    digits = f"{value:.6g}"
    if (abs(value) < 0.001 and value) or abs(value) >= 1e6:  # noqa: PLR2004 - longer than its exponent
        digits = f"{value:.3e}"
    mantissa, e, exponent = digits.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def round_values(
    low: float, high: float, *, log: bool = False, integer: bool = False
) -> list[float]:
    if log:
        return log_round_values(low, high)
    values = MaxNLocator(4, integer=integer, steps=_STEPS).tick_values(low, high)
    return [value for value in values if low <= value <= high]
