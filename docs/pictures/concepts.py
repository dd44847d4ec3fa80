# ruff: noqa: INP001, S311 - a script, not the package; chance draws pictures only
"""Draw the pictures of docs/concepts: one SVG file each, always the same.

    python docs/pictures/concepts.py            # all
    python docs/pictures/concepts.py log_scale  # one

The samplers, the pruning rule and the intervals in the pictures are modeldir's own. Only the
training runs are simulated.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from modeldir import samplers
from modeldir.samplers import Observation
from modeldir.search import statistics
from modeldir.space import parse_space

HERE = Path(__file__).parent
BLUE, ORANGE, GRAY, INK, PALE = "#1f6fb2", "#d9730d", "#8a939c", "#22272e", "#e7ebef"


class Picture:
    """An SVG picture that is put together from lines, circles, boxes and words."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}" '
            'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" '
            'font-size="13">'
        )
        self.parts = [f"<title>{escape(title)}</title>"]
        self.box(0, 0, width, height, "#ffffff", radius=6)

    def box(  # noqa: PLR0913 - a place and a style
        self, x: float, y: float, width: float, height: float, fill: str, *, radius: float = 3
    ) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius}" fill="{fill}"/>'
        )

    def line(  # noqa: PLR0913 - two points and a style
        self, x1: float, y1: float, x2: float, y2: float, color: str = INK, *, width: float = 1.2,
        dashed: bool = False,
    ) -> None:  # fmt: skip
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{color}" stroke-width="{width}"{dash}/>'
        )

    def path(self, points: Sequence[tuple[float, float]], color: str, width: float = 2) -> None:
        words = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{words}" fill="none" stroke="{color}" stroke-width="{width}" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def dot(self, x: float, y: float, color: str, radius: float = 4.5) -> None:
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}" stroke="#ffffff"/>'
        )

    def words(  # noqa: PLR0913 - a place and a style
        self, x: float, y: float, text: str, color: str = INK, *, anchor: str = "start",
        bold: bool = False, size: int = 13,
    ) -> None:  # fmt: skip
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" '
            f'font-size="{size}"{weight}>{escape(text)}</text>'
        )

    def save(self, name: str) -> None:
        (HERE / f"{name}.svg").write_text("\n".join([self.head, *self.parts, "</svg>\n"]))


def log_scale() -> None:
    """Forty draws of a learning rate, uniform and on a log scale, both shown on a log axis."""
    picture = Picture(720, 210, "40 draws from 0.00001 to 0.1: uniform, and on a log scale")
    rng = random.Random(3)
    uniform = [rng.uniform(1e-5, 1e-1) for _ in range(40)]
    logged = [10 ** rng.uniform(-5, -1) for _ in range(40)]

    mark = 0.01

    def x(value: float) -> float:
        return 150 + (math.log10(value) + 5) / 4 * 530

    rows = ((55, "uniform", uniform, ORANGE), (125, "log_uniform", logged, BLUE))
    for y, name, values, color in rows:
        picture.box(150, y - 18, 530, 36, PALE)
        picture.words(20, y + 5, name, color, bold=True, size=15)
        for value in values:
            picture.dot(x(value), y + rng.uniform(-11, 11), color, 4)
    for exponent in range(-5, 0):
        at = x(10**exponent)
        picture.line(at, 30, at, 150, GRAY, width=0.7, dashed=True)
        picture.words(at, 170, f"{10**exponent:.{-exponent}f}", anchor="middle")
    picture.words(415, 195, "learning rate (log axis)", GRAY, anchor="middle")
    counts = [sum(value < mark for value in values) for values in (uniform, logged)]
    words = f"uniform: {counts[0]} of 40 draws are below 0.01. log_uniform: {counts[1]} of 40."
    picture.words(415, 20, words, anchor="middle")
    picture.save("log_scale")


def _score(x: float, y: float) -> float:
    """A metric of two hyperparameters: the first matters, the second hardly does."""
    return math.exp(-(((x - 0.67) / 0.16) ** 2)) * (1 - 0.25 * (y - 0.4) ** 2)


def _draws(name: str, count: int) -> list[tuple[float, float]]:
    if name == "grid":
        side = math.isqrt(count)
        return [((i + 0.5) / side, (j + 0.5) / side) for i in range(side) for j in range(side)]
    ranges = {name: {"uniform": [0, 1]} for name in "xy"}
    space = parse_space(ranges, {"x": 0.5, "y": 0.5}, "")
    sampler = samplers.make(name, space, 1, (("accuracy", "maximize"),))
    found = []
    for number in range(1, count + 1):
        proposal = sampler.ask(number)
        assert proposal is not None
        point = proposal.configuration
        found.append((float(point["x"]), float(point["y"])))
        metrics = {"accuracy": _score(*found[-1])}
        sampler.tell(Observation(number, point, "completed", metrics, proposal.notes))
    return found


def samplers_picture() -> None:
    """25 trials of four samplers on two hyperparameters, of which one matters."""
    picture = Picture(760, 300, "25 trials by grid, random, sobol and tpe")
    size, top = 160, 70
    for place, name in enumerate(("grid", "random", "sobol", "tpe")):
        left = 25 + place * 183
        for column in range(40):
            shade = _score((column + 0.5) / 40, 0.4)
            picture.box(left + column * size / 40, top, size / 40 + 0.4, size,
                        f"rgba(31,111,178,{0.05 + 0.40 * shade:.2f})", radius=0)  # fmt: skip
        found = _draws(name, 25)
        best = max(found, key=lambda each: _score(*each))
        for x, y in found:
            color = ORANGE if (x, y) == best else INK
            picture.dot(left + x * size, top + size - y * size, color, 6 if (x, y) == best else 4)
        different = len({round(x, 6) for x, _ in found})
        picture.words(left, top - 12, name, bold=True, size=15)
        picture.words(left, top + size + 20, f"{different} learning rates", GRAY)
        picture.words(left, top + size + 38, f"best {_score(*best):.3f}", ORANGE, bold=True)
    picture.words(25, 28, "Across: learning rate (dark: good). Upwards: dropout, which hardly "
                  "matters here. 25 trials each.")  # fmt: skip
    picture.save("samplers")


def early_stopping() -> None:
    """Nine training runs under asha: the best third at each rung continues."""
    picture = Picture(720, 340, "Nine trials under asha with rungs at steps 3 and 9")
    rng = random.Random(11)
    left, top, width, height = 60, 45, 630, 230
    ends = sorted((rng.uniform(0.4, 0.97) for _ in range(9)), reverse=True)

    def curve(end: float, step: float) -> float:
        return end * (1 - math.exp(-step / 6)) + 0.006 * math.sin(step * 2 + end * 90)

    def at(step: float, value: float) -> tuple[float, float]:
        return left + step / 27 * width, top + height - value * height

    stops = dict.fromkeys(ends, 27.0)
    alive, keep = list(ends), 3
    for rung in (3, 9):
        x, _ = at(rung, 0)
        picture.line(x, top - 8, x, top + height, GRAY, dashed=True)
        picture.words(x, top - 14, f"rung {rung}", GRAY, anchor="middle")
        alive.sort(key=lambda end: curve(end, rung), reverse=True)
        stops.update(dict.fromkeys(alive[keep:], float(rung)))
        alive, keep = alive[:keep], 1
    for end in ends:
        last = stops[end]
        color = BLUE if last == 27 else ORANGE  # noqa: PLR2004 - the last step
        steps = [last * part / 60 for part in range(61)]
        picture.path([at(step, curve(end, step)) for step in steps], color, 2.4)
        picture.dot(*at(last, curve(end, last)), color, 4.5)
    picture.line(left, top + height, left + width, top + height)
    picture.line(left, top, left, top + height)
    picture.words(left + width / 2, top + height + 40, "step (epoch)", anchor="middle")
    for step in (0, 9, 18, 27):
        picture.words(at(step, 0)[0], top + height + 18, str(step), anchor="middle")
    picture.words(20, 28, "accuracy", size=12)
    total = sum(stops.values())
    picture.words(left + width, top + 130, "pruned", ORANGE, anchor="end", bold=True)
    picture.words(left + width, top + 150, "trained to the end", BLUE, anchor="end", bold=True)
    picture.words(left + width, top + 180, f"{total:.0f} steps instead of {9 * 27}", anchor="end")
    picture.save("early_stopping")


def population() -> None:
    """Four members of a population: the worst is replaced by a changed copy of the best."""
    picture = Picture(720, 270, "Population-based training with four members")
    left, gap, row = 120, 185, 48
    replaced = {1: (0, 1, "0.012"), 2: (2, 3, "0.024")}
    names = ["trial 1", "trial 2", "trial 3", "trial 4"]
    starts = ["0.1", "0.01", "0.001", "0.03"]
    for index, name in enumerate(names):
        y = 60 + index * row
        picture.words(20, y + 5, name, bold=True)
        picture.words(78, y + 5, starts[index], GRAY, size=12)
        rows_end = {0: 1, 2: 2}.get(index, 3)
        picture.line(
            left, y, left + gap * rows_end, y, BLUE if index in {1, 3} else ORANGE, width=5
        )
    for step, (worst, best, rate) in replaced.items():
        x = left + gap * step
        y_worst, y_best = 60 + worst * row, 60 + best * row
        picture.dot(x, y_worst, ORANGE, 7)
        sign = 1 if y_best > y_worst else -1
        picture.line(x + 14, y_best - 3 * sign, x + 14, y_worst + 8 * sign, INK, width=1.6)
        picture.line(x + 14, y_worst, x + 9, y_worst + 9 * sign, INK, width=1.6)
        picture.line(x + 14, y_worst, x + 19, y_worst + 9 * sign, INK, width=1.6)
        picture.line(x + 14, y_worst, left + gap * 3, y_worst, BLUE, width=5)
        picture.words(x + 26, y_worst - 9, f"trial {4 + step}: copies {best + 1}, "
                      f"rate {rate}", size=12)  # fmt: skip
    for step in range(4):
        x = left + gap * step
        picture.line(x, 35, x, 60 + 3 * row + 20, GRAY, width=0.7, dashed=True)
        picture.words(x, 60 + 3 * row + 40, f"step {step * 5}", anchor="middle")
    picture.words(20, 22, "interval=5: at steps 5 and 10 the worst member is pruned and replaced.")
    picture.save("population")


def intervals() -> None:
    """Two means whose intervals overlap, and the differences seed by seed."""
    picture = Picture(720, 400, "Two overlapping intervals, and the interval of their differences")
    base = [0.952, 0.966, 0.955, 0.969, 0.961]
    runs = {"A": [0.950, 0.967, 0.951, 0.971, 0.960], "B": [0.959, 0.971, 0.961, 0.975, 0.966]}
    left, width = 110, 560

    def bar(x: Callable[[float], float], y: float, values: list[float], color: str) -> float:
        found = statistics.paired(values, [0.0] * len(values), 0.95)
        assert found is not None
        for value in values:
            picture.dot(x(value), y + 15, GRAY, 3.5)
        picture.line(x(found.low), y, x(found.high), y, color, width=3)
        for end in (found.low, found.high):
            picture.line(x(end), y - 6, x(end), y + 6, color, width=3)
        picture.dot(x(found.mean), y, color, 6)
        return x(found.low)

    def accuracy(value: float) -> float:
        return left + (value - 0.940) / 0.045 * width

    def difference(value: float) -> float:
        return left + (value + 0.006) / 0.015 * width

    picture.words(20, 26, "The accuracy of each: the intervals overlap", bold=True, size=15)
    for y, name, values, color in ((60, "base", base, INK), (105, "B", runs["B"], BLUE)):
        picture.words(20, y + 5, name, color, bold=True)
        bar(accuracy, y, values, color)
    for mark in (0.94, 0.95, 0.96, 0.97, 0.98):
        picture.line(accuracy(mark), 135, accuracy(mark), 141, GRAY)
        picture.words(accuracy(mark), 156, f"{mark:.2f}", anchor="middle", size=12)
    picture.words(20, 200, "The differences, seed by seed: does the interval contain 0?",
                  bold=True, size=15)  # fmt: skip
    picture.line(difference(0), 215, difference(0), 345, INK, width=1.5)
    answers = {"A": "contains 0: within the noise of the base", "B": "above 0: B beats the base"}
    for y, (name, color) in ((255, ("A", ORANGE)), (315, ("B", BLUE))):
        picture.words(20, y + 5, f"{name} - base", color, bold=True)
        pairs = zip(runs[name], base, strict=True)
        start = bar(difference, y, [ours - theirs for ours, theirs in pairs], color)
        picture.words(min(start, 480), y - 14, answers[name], color, bold=True)
    for mark in (-0.005, 0.0, 0.005):
        picture.line(difference(mark), 345, difference(mark), 351, GRAY)
        picture.words(difference(mark), 366, f"{mark:+.3f}" if mark else "0", anchor="middle",
                      size=12)  # fmt: skip
    picture.words(left + width / 2, 388, "gray: one seed each; bar: mean and 95% interval", GRAY,
                  anchor="middle")  # fmt: skip
    picture.save("intervals")


def best_of_many() -> None:
    """40 configurations of the same true quality: the best one looks better than it is."""
    picture = Picture(720, 250, "The best of 40 equal configurations, and the same one re-run")
    rng = random.Random(5)
    seen = [rng.gauss(0.95, 0.006) for _ in range(40)]
    again = [rng.gauss(0.95, 0.006) for _ in range(5)]
    left, top, height = 70, 40, 160

    def y(value: float) -> float:
        return top + height - (value - 0.93) / 0.04 * height

    for mark in (0.93, 0.94, 0.95, 0.96, 0.97):
        picture.line(left, y(mark), 700, y(mark), PALE)
        picture.words(left - 10, y(mark) + 4, f"{mark:.2f}", anchor="end", size=12)
    picture.line(left, y(0.95), 700, y(0.95), INK, width=1.4, dashed=True)
    picture.words(420, y(0.95) - 6, "true accuracy of every one", size=12)
    picture.words(left, 22, "accuracy", size=12)
    best = max(seen)
    for place, value in enumerate(seen):
        chosen = value == best
        picture.dot(
            left + 12 + place * 8, y(value), ORANGE if chosen else GRAY, 6 if chosen else 3.5
        )
    at = left + 12 + seen.index(best) * 8
    picture.words(at + 12, y(best) + 4, f"the winner: {best:.3f}", ORANGE, bold=True)
    for place, value in enumerate(again):
        picture.dot(590 + place * 18, y(value), BLUE, 4.5)
    mean = sum(again) / len(again)
    picture.line(580, y(mean), 672, y(mean), BLUE, width=2.5)
    picture.words(626, y(0.965), f"re-run: mean {mean:.3f}", BLUE, anchor="middle", bold=True)
    picture.words(left + 12, 230, "a search: 40 trials, one seed each", GRAY)
    picture.words(626, 230, "5 new seeds", GRAY, anchor="middle")
    picture.save("best_of_many")


def preloading() -> None:
    """Three trials with and without preloading, on a time axis."""
    picture = Picture(720, 320, "Three trials without and with preloading")
    unit = 26.0
    left = 130

    def bar(x: float, y: float, seconds: float, color: str, text: str) -> None:
        picture.box(left + x * unit, y, seconds * unit - 2, 22, color)
        picture.words(left + (x + seconds / 2) * unit, y + 15.5, text, "#ffffff", anchor="middle",
                      size=12)  # fmt: skip

    picture.words(20, 30, "without", ORANGE, bold=True, size=15)
    for number in range(3):
        y = 18 + 28 * number + 25
        picture.words(60, y + 16, f"trial {number + 1}", size=12)
        bar(number * 7, y, 5, GRAY, "import torch")
        bar(number * 7 + 5, y, 2, BLUE, "train")
    picture.words(20, 165, "with", BLUE, bold=True, size=15)
    rows = [175, 203, 231, 259]
    picture.words(40, rows[0] + 16, "importing", size=12)
    bar(0.6, rows[0], 5, GRAY, "import torch, once")
    picture.line(
        left + 5.6 * unit, rows[0] + 11, left + 13.5 * unit, rows[0] + 11, GRAY, dashed=True
    )
    picture.words(left + 13.7 * unit, rows[0] + 15, "waits, and is forked", GRAY, size=12)
    picture.words(60, rows[1] + 16, "trial 1", size=12)
    bar(0, rows[1], 5, GRAY, "import torch")
    bar(5, rows[1], 2, BLUE, "train")
    for place, start in ((2, 7.0), (3, 9.0)):
        picture.words(60, rows[place] + 16, f"trial {place}", size=12)
        bar(start, rows[place], 2, BLUE, "train")
        picture.line(left + start * unit, rows[0] + 12, left + start * unit, rows[place] - 2, INK)
        picture.dot(left + start * unit, rows[0] + 11, INK, 4)
    picture.words(left + 9.3 * unit, rows[1] + 16, "fork: a copy of the process", size=12)
    picture.words(left, 306, "time", GRAY, size=12)
    picture.save("preloading")


PICTURES: dict[str, Callable[[], None]] = {
    "log_scale": log_scale,
    "samplers": samplers_picture,
    "early_stopping": early_stopping,
    "population": population,
    "intervals": intervals,
    "best_of_many": best_of_many,
    "preloading": preloading,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
