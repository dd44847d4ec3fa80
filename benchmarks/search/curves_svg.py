"""Draw what a search has found against what it has spent: docs/pictures/search_quality.svg.

`report.py` calls `draw` for `bench.py --write`. Nothing is measured here: the input is the results
that `result_files.py` reads. Both axes are logarithmic.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import protocol
from result_files import Result, mean_regret

WIDTH, HEIGHT, LEFT, TOP, BELOW, GAP = 400, 300, 56, 34, 44, 44
LINES = (
    ("random", False, "#8a8a8a", "random"),
    ("auto", False, "#1f6feb", "auto"),
    ("optuna", True, "#c26a00", "Optuna, its halving"),
    ("random", True, "#6e40c9", "random, ASHA"),
    ("auto", True, "#1a7f37", "auto, ASHA"),
)
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
LOWEST, HIGHEST = 0.005, 1.0


def draw(rows: Sequence[Result]) -> str:
    """Draw one panel per task, the mean over seeds."""
    panels = [
        _panel(task, [row for row in rows if row.run.task == task], place)
        for place, task in enumerate(protocol.CURVES)
    ]
    width = len(panels) * (WIDTH + GAP) + LEFT
    height = TOP + HEIGHT + BELOW
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {FONT}>',
            "<title>Mean regret against epochs spent, with and without early stopping</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *panels,
            "</svg>\n",
        ]
    )


def _panel(task: str, rows: Sequence[Result], place: int) -> str:
    left = LEFT + place * (WIDTH + GAP)
    parts = [
        f'<g transform="translate({left},{TOP})">',
        f'<text x="0" y="-12" font-weight="bold">{task}: mean regret against epochs</text>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#d0d7de"/>',
    ]
    for epochs in (4, 27, 108, 216, 432, 864):
        x = _x(epochs)
        parts.append(f'<path d="M{x:.1f} 0V{HEIGHT}" stroke="#eaeef2"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT + 18}" text-anchor="middle">{epochs}</text>')
    for regret in (0.01, 0.03, 0.1, 0.3, 1.0):
        y = _y(regret)
        parts.append(f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#eaeef2"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{regret:g}</text>')
    for line, (method, asha, color, title) in enumerate(LINES):
        mine = [row for row in rows if row.run.method == method and row.run.asha is asha]
        parts.append(
            f'<path d="{_path(mine)}" fill="none" stroke="{color}" stroke-width="2"'
            f"{'' if asha else DASHED}/>"
        )
        y = HEIGHT - 82 + 16 * line
        parts.append(
            f'<path d="M12 {y - 4}h22" stroke="{color}" stroke-width="2"{"" if asha else DASHED}/>'
        )
        parts.append(f'<text x="40" y="{y}">{title}</text>')
    return "\n".join([*parts, "</g>"])


DASHED = ' stroke-dasharray="5 3"'


def _path(rows: Sequence[Result]) -> str:
    """Return a step line: a value stays until a better one is found."""
    last = protocol.STOPPING_EPOCHS
    spent = sorted({when for row in rows for when, _ in row.found.curve if when >= 4} | {4, last})
    words = []
    for when in spent:
        mean = mean_regret(rows, when)
        words.append(f"{'H' if words else 'M'}{_x(when):.1f}")
        words.append(f"{'V' if len(words) > 1 else ' '}{_y(mean):.1f}")
    return "".join(words)


def _x(epochs: float) -> float:
    return WIDTH * math.log(epochs / 4) / math.log(protocol.STOPPING_EPOCHS / 4)


def _y(regret: float) -> float:
    inside = min(HIGHEST, max(LOWEST, regret))
    return HEIGHT * (1 - math.log(inside / LOWEST) / math.log(HIGHEST / LOWEST))
