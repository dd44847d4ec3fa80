"""The best so far over the trials, or over time, with each trial's own value behind it.

It refuses to know where the values come from. Trials that failed are marks on the lower edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modeldir.errors import ModeldirError
from modeldir.results.plots import style
from modeldir.results.report.axis_scales import looks_logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Frame, Row

_UNITS = (
    (60.0, 1.0, "s"),
    (5400.0, 60.0, "min"),
    (172800.0, 3600.0, "h"),
    (math.inf, 86400.0, "d"),
)


def draw(frame: Frame, width: float, names: Sequence[str]) -> Figure:
    """`names` may be `time`; by default the trials are counted."""
    _refuse(frame, names)
    ordered, places, label = _over_time(frame) if names == ["time"] else _by_number(frame)
    pairs = [(x, row) for x, row in zip(places, ordered, strict=True)]
    known = [(x, row.value) for x, row in pairs if row.value is not None]
    with style.settings():
        figure = style.figure(width, min(0.62 * width, 3.2))
        axes = figure.add_subplot()
        values = [value for _, value in known]
        found = style.limits(values, frame.way, log=looks_logarithmic(values))
        inside = [(x, value) for x, value in known if found.low <= value <= found.high]
        axes.scatter(
            [x for x, _ in inside],
            [value for _, value in inside],
            s=7 if len(known) < 500 else 3,  # noqa: PLR2004 - where dots begin to cover dots
            color=style.DIM if len(known) < 500 else style.PALE,  # noqa: PLR2004
            linewidths=0,
            rasterized=len(known) > style.RASTER,
            label="trial",
            zorder=1,
        )
        style.edge(axes, [x for x, _ in known], values, found)
        if frame.way:
            steps = _best_so_far(frame, known)
            last = max(places)
            axes.step(
                [*(x for x, _ in steps), last],
                found.clipped([*(v for _, v in steps), steps[-1][1]]),
                where="post", color=style.BLUE, label="best so far", zorder=3,
            )  # fmt: skip
        style.metric_axis(axes, style.text(frame.metric) + style.arrow(frame.way), found)
        failed = [x for x, row in pairs if row.is_failed]
        if failed:
            axes.plot(
                failed, [0.0] * len(failed), "|",
                color=style.RED, markersize=4, markeredgewidth=0.7,
                transform=axes.get_xaxis_transform(), clip_on=False, label="failed", zorder=4,
                rasterized=len(failed) > style.RASTER,
            )  # fmt: skip
        axes.set_xlabel(label)
        figure.legend(loc="outside upper right", ncols=4, handlelength=1.4, columnspacing=1.2,
                      handletextpad=0.5)  # fmt: skip
    return figure


def _refuse(frame: Frame, names: Sequence[str]) -> None:
    if list(names) not in ([], ["trial"], ["time"]):
        problems = [(f"the x of a history is trial or time, not {', '.join(names)}", None)]
        raise ModeldirError(f"{frame.title} cannot be drawn:", problems, "Nothing was drawn.")
    if not frame.values:
        problem = f"no experiment that ended well has {frame.metric!r}"
        raise ModeldirError(
            f"{frame.title} cannot be drawn:", [(problem, None)], "Nothing was drawn."
        )


def _by_number(frame: Frame) -> tuple[list[Row], list[float], str]:
    """The trials in the order of their numbers; what has none by its name, after them."""
    ordered = sorted(frame.rows, key=lambda row: (row.number is None, row.number or 0))
    are_numbered = all(row.number is not None for row in ordered)
    places = [float(row.number or 0) if are_numbered else i + 1.0 for i, row in enumerate(ordered)]
    return ordered, places, "trial" if are_numbered else "experiment"


def _over_time(frame: Frame) -> tuple[list[Row], list[float], str]:
    known = [(row.started, row) for row in frame.rows if row.started is not None]
    if not known:
        raise ModeldirError(
            f"{frame.title}: no run file says when anything began", state="Nothing was drawn."
        )
    known.sort(key=lambda each: each[0])
    first = known[0][0]
    whole = known[-1][0] - first
    _, unit, name = next(each for each in _UNITS if whole <= each[0])
    return (
        [row for _, row in known],
        [(at - first) / unit for at, _ in known],
        f"started after ({name})",
    )


def _best_so_far(frame: Frame, known: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    steps: list[tuple[float, float]] = []
    for x, value in known:
        if not steps or frame.sign * value < frame.sign * steps[-1][1]:
            steps.append((x, value))
    return steps
