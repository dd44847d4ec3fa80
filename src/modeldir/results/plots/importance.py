"""Draw hyperparameter importance as bars with confidence intervals.

`kinds` calls `draw`. The notes below the bars say how far to trust the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from modeldir.results.plots import style
from modeldir.results.plots.figure_data import FigureData
from modeldir.search.importance import FEWEST

_METHOD = (
    "Share of the variance of its ranks that one hyperparameter explains by itself "
    "(omega squared); lines: 95 % intervals."
)
_MOST_BARS = 20


def draw(data: FigureData, width: float, names: Sequence[str]) -> Figure:
    """Draw the figure. `names` are hyperparameters, by default all that vary."""
    wanted = {axis.name for axis in data.axes_named(names, _MOST_BARS)}
    importances = [each for each in data.importances if each.name in wanted]
    with style.settings():
        figure = style.figure(width, 0.2 * len(importances) + 0.9)
        panel = figure.add_subplot()
        for y, each in enumerate(importances):
            if each.share is None:
                reason = f"too few trials: {each.count}, of {FEWEST}"
                if each.count >= FEWEST:
                    reason = "too few trials for each value"
                panel.text(0.01, y, reason, va="center", fontsize=6.5, color=style.GRAY)
                continue
            panel.barh(y, each.share, height=0.62, color=style.SKY, edgecolor=style.BLUE,
                       linewidth=0.5)  # fmt: skip
            panel.plot([each.low, each.high], [y, y], color=style.BLACK, linewidth=0.9)
        labels = [style.text(each.name, 28) for each in importances]
        panel.set_yticks(range(len(labels)), labels)
        panel.set_ylim(len(labels) - 0.4, -0.6)
        panel.tick_params(axis="y", length=0)
        highest = max((each.high for each in importances if each.share is not None), default=1.0)
        panel.set_xlim(0, min(1.0, max(0.05, 1.04 * highest)))
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_xlabel(f"importance for {style.text(data.metric)}")
        lines = [line for note in _notes(data) for line in wrap(note, round(19 * width))]
        figure.supxlabel("\n".join(lines), fontsize=6, color=style.GRAY, x=0.02, ha="left")
    return figure


def _notes(data: FigureData) -> Iterator[str]:
    yield _METHOD
    if data.adaptive:
        yield f"Trials chosen by {', '.join(data.adaptive)}: where it looked, not everywhere."
