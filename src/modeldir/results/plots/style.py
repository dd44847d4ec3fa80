"""How figures look: for print, one column wide, for the colour-blind, and in grey.

It knows colours, sizes, scales and limits of axes. It refuses to know experiments.

The colours are those of Okabe and Ito (2008); where a colour means a value it is cividis (Nuñez and
others, 2018), whose lightness rises evenly, so that a grey print has the same order. No difference
is by colour alone: lines differ in their dashes, the best has a mark of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from modeldir._system.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis as Ticks

    from modeldir.results.plots.frame import Axis

BLACK, ORANGE, BLUE, GREEN = "#000000", "#E69F00", "#0072B2", "#009E73"
RED, PURPLE, SKY = "#D55E00", "#CC79A7", "#56B4E9"
LINES = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (PURPLE, ":"), (BLACK, (0, (5, 1, 1, 1, 1, 1))))
GREY, DIM, PALE = "#666666", "#8c8c8c", "#c4c4c4"
COLOURS = "cividis"
RASTER = 2000
"""Above so many marks they are an image in a PDF: each as its own would be megabytes."""
FINE = 600
"""Dots an inch, of images in PDF and SVG; 300 of a PNG."""
_LONGEST = 18
_REACH = 3.0
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
    """Matplotlib's settings while a figure is made or saved; a user's own are as they were."""
    defaults: dict[Any, Any] = {
        key: mpl.rcParamsDefault[key] for key in mpl.rcParamsDefault if key != "backend"
    }
    with mpl.rc_context({**defaults, **_SETTINGS}):
        yield


class Paper(Figure):
    """A figure that is saved with the settings with which it was made: text as text."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """As matplotlib's; without the date, so that the same trials give the same file."""
        ending = str(fname).lower().rpartition(".")[2]
        made = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(ending)
        with settings(), mpl.rc_context({"svg.hashsalt": "modeldir"}):
            fine = 300 if ending == "png" else FINE
            super().savefig(fname, **{"dpi": fine, "metadata": made, **options})


def figure(width: float, height: float) -> Paper:
    """An empty figure, in inches; call it within `settings`."""
    return Paper(figsize=(width, height), layout="constrained")


def text(label: str, longest: int = 40) -> str:
    """A label as it can be drawn: control characters written out, long ones cut in the middle, so
    that two of them stay two.

    >>> text("a" * 30, 11)
    'aaaaa…aaaaa'
    """
    told = visible(label)
    if len(told) <= longest:
        return told
    half = (longest - 1) // 2
    return f"{told[:half]}…{told[-half:]}"


def arrow(way: str | None) -> str:
    return {"maximize": " ↑", "minimize": " ↓"}.get(way or "", "")


# -- Limits ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """From where to where a metric is drawn, and whether by logarithms. Values beyond are drawn at
    the edge.
    """

    low: float
    high: float
    log: bool = False

    def clipped(self, values: Sequence[float]) -> list[float]:
        return [min(max(value, self.low), self.high) for value in values]

    def beyond(self, values: Sequence[float]) -> list[tuple[int, bool]]:
        """The places of those that are drawn at the edge, and whether at the upper one."""
        return [(i, v > self.high) for i, v in enumerate(values) if not self.low <= v <= self.high]


def limits(values: Sequence[float], way: str | None, *, log: bool = False) -> Limits:
    """Limits that no training which diverged pulls apart: the best is always within, the worst only
    as far as three times the distance of the quartiles.

    >>> limits([0.9, 0.91, 0.92, 0.93, 1e9], "minimize").high < 2
    True
    """
    finite = sorted(value for value in values if math.isfinite(value))
    if not finite:
        return Limits(0.0, 1.0)
    log = log and finite[0] > 0
    scaled = [math.log(value) for value in finite] if log else finite
    low, high = scaled[0], scaled[-1]
    if len(scaled) > 3:  # noqa: PLR2004 - of fewer all are shown
        first, _, third = statistics.quantiles(scaled, n=4, method="inclusive")
        reach = _REACH * (third - first) or (high - low)
        low = low if way == "minimize" else max(low, first - reach)
        high = high if way == "maximize" else min(high, third + reach)
    pad = 0.06 * (high - low) or 0.05 * max(abs(high), 1e-12 if not log else 1.0)
    low, high = low - pad, high + pad
    return Limits(math.exp(low), math.exp(high), log=True) if log else Limits(low, high)


def edge(axes: Axes, xs: Sequence[float], values: Sequence[float], found: Limits) -> None:
    """Mark what lies beyond the limits, at the edge where it left: a triangle that points there."""
    for is_high in (True, False):
        at = [xs[place] for place, high in found.beyond(values) if high is is_high]
        if at:
            axes.plot(
                at, [1.0 if is_high else 0.0] * len(at), "^" if is_high else "v", color=GREY,
                markersize=3, markeredgewidth=0, transform=axes.get_xaxis_transform(),
                clip_on=False, zorder=3, rasterized=len(at) > RASTER, label="beyond the axis",
            )  # fmt: skip


# -- Axes ------------------------------------------------------------------------------------------


def metric_axis(axes: Axes, label: str, found: Limits, *, vertical: bool = True) -> None:
    """Have one axis show a metric."""
    ticks = axes.yaxis if vertical else axes.xaxis
    set_scale = axes.set_yscale if vertical else axes.set_xscale
    set_limits = axes.set_ylim if vertical else axes.set_xlim
    (axes.set_ylabel if vertical else axes.set_xlabel)(label)
    if found.log:
        set_scale("log")
        _few_decades(ticks, found.low, found.high)
    else:
        ticks.set_major_locator(MaxNLocator(5, min_n_ticks=3, steps=_STEPS))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    set_limits(found.low, found.high)


def hyper_axis(
    axes: Axes, axis: Axis, *, vertical: bool = False, label: bool = True, room: int = 5
) -> None:
    """Have one axis show a hyperparameter: its scale, and ticks at its values where they are few.
    `room` is for how many labels there is room.
    """
    ticks = axes.yaxis if vertical else axes.xaxis
    set_scale = axes.set_yscale if vertical else axes.set_xscale
    set_limits = axes.set_ylim if vertical else axes.set_xlim
    if label:
        (axes.set_ylabel if vertical else axes.set_xlabel)(text(axis.name))
    if axis.is_numeric and axis.log:
        set_scale("log")
    low, high = span(axis)
    set_limits(low, high)
    marks(ticks, axis, room)
    if not axis.is_numeric and not vertical and sum(map(len, axis.options)) > 14:  # noqa: PLR2004
        for each in axes.get_xticklabels():
            each.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")


def span(axis: Axis) -> tuple[float, float]:
    """From where to where an axis goes: its values, with some room."""
    if not axis.is_numeric:
        return -0.6, len(axis.options) - 0.4
    known = [each for each in axis.places() if each == each]  # noqa: PLR0124 - NaN
    low, high = min(known), max(known)
    if axis.log:
        pad = 0.05 * math.log(high / low) or 0.5
        return low * math.exp(-pad), high * math.exp(pad)
    pad = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
    return low - pad, high + pad


def marks(ticks: Ticks, axis: Axis, room: int) -> None:
    """Ticks of a hyperparameter."""
    if not axis.is_numeric:
        ticks.set_major_locator(FixedLocator(list(range(len(axis.options)))))
        names = [text(option, _LONGEST) for option in axis.options]
        ticks.set_major_formatter(FuncFormatter(lambda value, _: names[round(value)]))
        return
    distinct = sorted({each for each in axis.places() if each == each})  # noqa: PLR0124 - NaN
    if len(distinct) <= room + 1 and are_apart(distinct, log=axis.log):
        ticks.set_major_locator(FixedLocator(distinct))
        ticks.set_minor_locator(NullLocator())
        ticks.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    elif axis.log:
        _few_decades(ticks, distinct[0], distinct[-1], room)
    else:
        whole = all(v == int(v) for v in distinct)
        ticks.set_major_locator(MaxNLocator(4, integer=whole, steps=_STEPS))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def are_apart(distinct: Sequence[float], *, log: bool) -> bool:
    """Whether labels at these values would not lie upon each other."""
    scaled = [math.log(each) for each in distinct] if log else list(distinct)
    width = scaled[-1] - scaled[0]
    if max(len(plain(each)) for each in distinct) > 5:  # noqa: PLR2004 - 0.0142048
        return False
    return all(b - a >= 0.16 * width for a, b in itertools.pairwise(scaled))


def _few_decades(ticks: Ticks, low: float, high: float, room: int = 5) -> None:
    """Ticks of a logarithmic axis, as many as there is room for."""
    ticks.set_major_locator(FixedLocator(decades(low, high, room)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    ticks.set_minor_formatter(NullFormatter())


def decades(low: float, high: float, room: int = 5) -> list[float]:
    """Round values on a logarithmic axis: 1, 2, 5 where they fit; else 1, 3; else powers of ten,
    each or every second, third, ...

    >>> decades(16, 1024), decades(1e-7, 0.1, 4)
    ([30.0, 100.0, 300.0, 1000.0], [1e-07, 1e-05, 0.001, 0.1])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        at = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]
        at = [value for value in at if low * 0.999 <= value <= high * 1.001]
        if 2 <= len(at) <= room:  # noqa: PLR2004 - between two a third can be read
            return at
    if len(at) < 2:  # noqa: PLR2004
        return [low, high]
    return at[:: math.ceil(len(at) / room)]


def plain(value: float) -> str:
    """A number as a person writes it on an axis: no text in two heights, which no search finds.

    >>> plain(1e-5), plain(0.05), plain(256.0), plain(-0.001), plain(123456.0)
    ('1e-5', '0.05', '256', '-0.001', '123456')
    """
    told = f"{value:.6g}"
    if (abs(value) < 0.001 and value) or abs(value) >= 1e6:  # noqa: PLR2004 - longer than its exponent
        told = f"{value:.3e}"
    mantissa, e, exponent = told.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def nice(low: float, high: float, *, log: bool = False, whole: bool = False) -> list[float]:
    """A few round values between two others."""
    if log:
        return decades(low, high)
    at = MaxNLocator(4, integer=whole, steps=_STEPS).tick_values(low, high)
    return [value for value in at if low <= value <= high]
