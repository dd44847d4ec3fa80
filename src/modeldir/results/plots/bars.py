"""How much of the metric each hyperparameter explains by itself, as bars with their uncertainty.

It draws what `report.importance` computes, with the words that say how far to believe it.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator, PercentFormatter

from modeldir.results.plots import style
from modeldir.results.plots.slices import refuse
from modeldir.search.importance import FEWEST

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Frame

_METHOD = (
    "Share of the variance of its ranks that one hyperparameter explains by itself "
    "(omega squared); lines: 95 % intervals."
)
_MOST = 20


def draw(frame: Frame, width: float, names: Sequence[str]) -> Figure:
    """`names` are hyperparameters, by default all that vary."""
    axes = frame.axes_named(names, _MOST)
    refuse(frame, axes)
    wanted = {axis.name for axis in axes}
    shares = [share for share in frame.shares if share.name in wanted]
    with style.settings():
        figure = style.figure(width, 0.2 * len(shares) + 0.9)
        panel = figure.add_subplot()
        for place, each in enumerate(shares):
            if each.share is None:
                told = f"too few trials: {each.count}, of {FEWEST}" if each.count < FEWEST else (
                    "too few trials for each value"
                )  # fmt: skip
                panel.text(0.01, place, told, va="center", fontsize=6.5, color=style.GREY)
                continue
            panel.barh(place, each.share, height=0.62, color=style.SKY, edgecolor=style.BLUE,
                       linewidth=0.5)  # fmt: skip
            panel.plot([each.low, each.high], [place, place], color=style.BLACK, linewidth=0.9)
        panel.set_yticks(range(len(shares)), [style.text(each.name, 28) for each in shares])
        panel.set_ylim(len(shares) - 0.4, -0.6)
        panel.tick_params(axis="y", length=0)
        highest = max((each.high for each in shares if each.share is not None), default=1.0)
        panel.set_xlim(0, min(1.0, max(0.05, 1.04 * highest)))
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_xlabel(f"importance for {style.text(frame.metric)}")
        words = [line for note in _notes(frame) for line in wrap(note, round(19 * width))]
        figure.supxlabel("\n".join(words), fontsize=6, color=style.GREY, x=0.02, ha="left")
    return figure


def _notes(frame: Frame) -> list[str]:
    told = [_METHOD]
    if frame.adaptive:
        told.append(
            f"Trials chosen by {', '.join(frame.adaptive)}: where it looked, not everywhere."
        )
    return told
