"""Draw the best value so far over the trials or over time, with each trial's own value.

`kinds` calls `draw`. Failed trials are marks on the lower edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from modeldir.errors import ModeldirError
from modeldir.results.plots import style
from modeldir.results.plots.figure_data import FigureData, FigureRow
from modeldir.results.report.axis_scales import looks_logarithmic

_UNITS = (
    (60.0, 1.0, "s"),
    (5400.0, 60.0, "min"),
    (172800.0, 3600.0, "h"),
    (math.inf, 86400.0, "d"),
)
"""The longest span in seconds, the seconds of the unit, its name."""


def draw(data: FigureData, width: float, names: Sequence[str]) -> Figure:
    """Draw the figure. `names` may be `time`; by default the x axis is the trial's number."""
    if list(names) not in ([], ["trial"], ["time"]):
        raise data.error((f"the x of a history is trial or time, not {', '.join(names)}", None))
    data.check_values()
    ordered, positions, label = _by_time(data) if names == ["time"] else _by_number(data)
    pairs = list(zip(positions, ordered, strict=True))
    known = [(x, row.value) for x, row in pairs if row.value is not None]
    with style.settings():
        figure = style.figure(width, min(0.62 * width, 3.2))
        axes = figure.add_subplot()
        values = [value for _, value in known]
        limits = style.limits(values, data.direction, log=looks_logarithmic(values))
        inside = [(x, value) for x, value in known if limits.low <= value <= limits.high]
        few = len(known) < 500  # noqa: PLR2004 - more dots cover each other
        axes.scatter(
            [x for x, _ in inside], [value for _, value in inside], s=7 if few else 3,
            color=style.MEDIUM_GRAY if few else style.LIGHT_GRAY, linewidths=0,
            rasterized=len(known) > style.MOST_VECTOR_MARKS, label="trial", zorder=1,
        )  # fmt: skip
        style.mark_outliers(axes, [x for x, _ in known], values, limits)
        if data.direction:
            steps = _best_so_far(data, known)
            axes.step(
                [*(x for x, _ in steps), max(positions)],
                limits.clipped([*(v for _, v in steps), steps[-1][1]]),
                where="post", color=style.BLUE, label="best so far", zorder=3,
            )  # fmt: skip
        style.metric_axis(axes, style.metric_label(data.metric, data.direction), limits)
        failed = [x for x, row in pairs if row.is_failed]
        if failed:
            axes.plot(
                failed, [0.0] * len(failed), "|",
                color=style.RED, markersize=4, markeredgewidth=0.7,
                transform=axes.get_xaxis_transform(), clip_on=False, label="failed", zorder=4,
                rasterized=len(failed) > style.MOST_VECTOR_MARKS,
            )  # fmt: skip
        axes.set_xlabel(label)
        figure.legend(loc="outside upper right", ncols=4, handlelength=1.4, columnspacing=1.2,
                      handletextpad=0.5)  # fmt: skip
    return figure


def _by_number(data: FigureData) -> tuple[list[FigureRow], list[float], str]:
    ordered = sorted(data.rows, key=lambda row: (row.number is None, row.number or 0))
    if all(row.number is not None for row in ordered):
        return ordered, [float(row.number or 0) for row in ordered], "trial"
    return ordered, [i + 1.0 for i in range(len(ordered))], "experiment"


def _by_time(data: FigureData) -> tuple[list[FigureRow], list[float], str]:
    known = [(row.started, row) for row in data.rows if row.started is not None]
    if not known:
        raise ModeldirError(
            f"{data.title}: no run file has a start time", state="Nothing was drawn."
        )
    known.sort(key=lambda each: each[0])
    first, last = known[0][0], known[-1][0]
    _, seconds, unit = next(each for each in _UNITS if last - first <= each[0])
    positions = [(started - first) / seconds for started, _ in known]
    return [row for _, row in known], positions, f"started after ({unit})"


def _best_so_far(
    data: FigureData, known: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    steps: list[tuple[float, float]] = []
    for x, value in known:
        if not steps or data.sign * value < data.sign * steps[-1][1]:
            steps.append((x, value))
    return steps
