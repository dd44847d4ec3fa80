"""How a search that runs looks in a terminal of so many columns and rows, as lines of text.

It knows what to leave out where there is no room: the curve first, then hyperparameters from the
last one on; no line is ever wider than it may be, whatever is in a name. It refuses to read files,
clocks and terminals: from the same values come the same lines. What must not jump from one frame to
the next is a value too: its `Layout`.

Start at `search_lines`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeldir._system.durations import duration_text
from modeldir._system.text import cell_text, text_width, value_cell, visible
from modeldir.launchers.worker_counts import worker_lines
from modeldir.metrics import metrics
from modeldir.metrics.objective import Ranked
from modeldir.monitor.status import (
    ExperimentSnapshot,
    RunningTrial,
    SearchSnapshot,
    best_text,
    progress_text,
)

CURVE = 12
"""How wide a metric's curve is."""

WIDEST = 24
"""How wide a hyperparameter's column may be: longer texts are cut in the middle."""

_GAP = 2
_STATUS = 13
_WORDS = 26
"""Columns that are kept for how a trial ended: a metric and a time."""
_LEVELS = "▁▂▃▄▅▆▇█"
_LEAST_SAID = 12
_LEAST_NAME = 9
_NUMBER = 9
"""How wide `number_text` may be."""


@dataclass(frozen=True)
class Line:
    """A line of a frame. A `faint` one explains, a `strong` one is what one looks for."""

    text: str
    faint: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Shape:
    """What a frame must fit into: columns, rows, and the encoding of the stream it goes to."""

    columns: int = 80
    rows: int = 24
    encoding: str = "utf-8"

    def has(self, text: str) -> bool:
        """Whether the encoding has a form for a text."""
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def written(self, text: str) -> str:
        """The text in one line, with what a terminal would obey, or cannot show, spelled out."""
        return (
            visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding, "replace")
        )

    def fitted(self, text: str, width: int | None = None) -> str:
        """The text in so many columns, cut in the middle: names differ at their ends."""
        width = self.columns if width is None else width
        text = self.written(text)
        if text_width(text) <= width:
            return text
        begin = _start(text, (width - 1) // 2)
        rest = max(0, width - 1 - text_width(begin))
        return (begin + self._mark + _start(text[::-1], rest)[::-1])[: max(width, 0)]

    def cut(self, text: str, width: int | None = None) -> str:
        """What is said in so many columns, cut at its end: between words, where that leaves half.

        >>> Shape(20).cut("RuntimeError: CUDA out of memory"), Shape(9).cut("validation_accuracy")
        ('RuntimeError: CUDA…', 'validati…')
        """
        width = self.columns if width is None else width
        text = self.written(text)
        if text_width(text) <= width:
            return text
        begin = _start(text, width - 1)
        words = begin if text[len(begin)] == " " else begin.rpartition(" ")[0]
        begin = words if text_width(words) >= width // 2 else begin
        return (begin.rstrip(" ,") + self._mark)[: max(width, 0)]

    @property
    def _mark(self) -> str:
        return "…" if self.has("…") else "~"


def _start(text: str, width: int) -> str:
    """As much of a text as so many columns hold. A wide character is never halved."""
    text = text[: max(width, 0) * 2]
    while text_width(text) > max(width, 0):
        text = text[:-1]
    return text


# -- A search --------------------------------------------------------------------------------------


class Layout:
    """How wide each column of a table has been, by its name. One that was shown stays, and gets no
    narrower, until the terminal's width is another.
    """

    def __init__(self) -> None:
        self.columns = 0
        self.widths: dict[str, int] = {}

    def begin(self, columns: int) -> None:
        """A frame of so many columns is about to be laid out."""
        if columns != self.columns:
            self.columns, self.widths = columns, {}


def search_lines(
    standing: SearchSnapshot,
    shape: Shape,
    layout: Layout | None = None,
    *,
    titled: bool = False,
    elsewhere: int = 0,
) -> list[Line]:
    """A search that runs: a table of its running trials, the best so far, how far it is.

    `layout` is that of the frames before, and then of this one too; `titled` puts the folder above
    it, `elsewhere` counts running trials that are not among the rows. The lines fit into the shape,
    the table being cut before what stands below it.
    """
    layout = layout or Layout()
    layout.begin(shape.columns)
    below = [
        Line(text, strong=strong)
        for text, strong in (
            (_best(standing, shape), True),
            (_progress(standing, shape, elsewhere), False),
            *((shape.cut(line), False) for line in _workers(standing)),
            (shape.cut(standing.problem or ""), False),
        )
        if text
    ]
    head = [Line(shape.fitted(str(standing.folder)), strong=True)] if titled else []
    room = shape.rows - len(head) - len(below)
    return [*head, *_table(standing, shape, layout, room), *below][-max(shape.rows, 1) :]


def _table(standing: SearchSnapshot, shape: Shape, layout: Layout, room: int) -> list[Line]:
    rows = standing.running
    if not rows or room < 2:  # noqa: PLR2004 - its head and a row
        return []
    most = room - 1 if len(rows) <= room - 1 else room - 2
    shown = rows[: max(most, 0)]
    columns = _columns(standing, shown, shape)
    there = [column for column in columns if any(column.cells) or column.name in layout.widths]
    lines = _drawn(there, layout, shape)
    if len(shown) < len(rows):
        lines.append(Line(shape.fitted(f"  and {len(rows) - len(shown)} more run"), faint=True))
    return lines


@dataclass(frozen=True)
class _Column:
    """A column. `name` tells it from the others; `order` says when it is left out: 0 never, else
    the lowest first.
    """

    name: str
    header: str
    cells: tuple[str, ...]
    order: int
    right: bool = False
    least: int = 0

    @property
    def width(self) -> int:
        return max(self.least, *map(text_width, (self.header, *self.cells)))

    def line(self, cell: str, width: int) -> str:
        space = " " * max(0, width - text_width(cell))
        return space + cell if self.right else cell + space


_CURVE_ORDER, _SAID_ORDER, _VALUES_ORDER, _STEP_ORDER, _TIME_ORDER = 1, 2, 1_000, 2_000, 3_000
_METRIC_ORDER = 4_000


def _columns(standing: SearchSnapshot, rows: Sequence[RunningTrial], shape: Shape) -> list[_Column]:
    """All columns, in the order in which they stand."""
    named = [str(row.number) if row.number is not None else row.name for row in rows]
    found = [
        _Column(
            "trial",
            "trial" if any(row.number is not None for row in rows) else "experiment",
            tuple(shape.fitted(name, max(5, min(40, shape.columns // 2))) for name in named),
            0,
            right=all(row.number is not None for row in rows),
        )
    ]
    for index, name in enumerate(standing.varied):
        values = [value_cell(row.values[name]) if name in row.values else None for row in rows]
        cells = tuple(shape.fitted(_value_text(value), WIDEST) for value in values)
        numeric = all(isinstance(value, (int, float)) for value in values)
        order = _VALUES_ORDER - index
        header = shape.fitted(name, WIDEST)
        found.append(_Column(f"value of {name}", header, cells, order, right=numeric))
    steps = tuple(shape.fitted(step_text(row.step, row.values), WIDEST) for row in rows)
    found.append(_Column("step", "step", steps, _STEP_ORDER, right=True, least=4))
    if standing.metric is not None:
        found += _metric_columns(standing.metric[0], rows, shape)
    said = tuple("" if row.value is not None else shape.written(row.says) for row in rows)
    ages = tuple("" if row.age is None else duration_text(row.age) for row in rows)
    found.append(_Column("time", "time", ages, _TIME_ORDER, right=True, least=7))
    found.append(_Column("said", "last line", said, _SAID_ORDER))
    return found


def _value_text(value: object) -> str:
    """A hyperparameter in as many digits as sampled ones have."""
    return f"{value:.6g}" if isinstance(value, float) else cell_text(value)


def _metric_columns(name: str, rows: Sequence[RunningTrial], shape: Shape) -> list[_Column]:
    values = tuple("" if row.value is None else number_text(row.value) for row in rows)
    header = shape.fitted(name, min(WIDEST, max(6, shape.columns // 3)))
    found = [_Column("metric", header, values, _METRIC_ORDER, right=True, least=6)]
    if shape.has(_LEVELS):
        low, high = _bounds(value for row in rows for value in row.curve)
        curves = tuple(curve_text(row.curve, low, high) for row in rows)
        found.append(_Column("curve", "", curves, _CURVE_ORDER, least=CURVE))
    return found


def _drawn(columns: list[_Column], layout: Layout, shape: Shape) -> list[Line]:
    width, before = layout.columns, dict(layout.widths)
    widths = {column.name: max(column.width, before.get(column.name, 0)) for column in columns}
    said = next((column for column in columns if column.order == _SAID_ORDER), None)
    if said is not None:  # what was printed takes the room that the others leave
        widths[said.name] = _LEAST_SAID

    def total() -> int:
        return sum(widths[column.name] + _GAP for column in columns)

    def importance(column: _Column) -> tuple[bool, int]:
        return column.name in before, column.order

    while total() > width and any(column.order for column in columns):
        columns.remove(min((c for c in columns if c.order), key=importance))
    layout.widths = {column.name: widths[column.name] for column in columns if column is not said}
    if said in columns and said is not None:
        widths[said.name] = min(said.width, _LEAST_SAID + max(0, width - total()))

    def line(cells: Sequence[str]) -> str:
        texts = []
        for column, cell in zip(columns, cells, strict=True):
            whole = cell if column is not said else shape.cut(cell, widths[column.name])
            texts.append(" " * _GAP + column.line(whole, widths[column.name]))
        whole = "".join(texts).rstrip()
        return whole if total() <= width else _cut(whole, width)

    rows = zip(*(column.cells for column in columns), strict=True)
    return [
        Line(line([column.header for column in columns]), faint=True),
        *map(Line, map(line, rows)),
    ]


def _cut(text: str, width: int) -> str:
    return text if text_width(text) <= width else _start(text, width)


def _best(standing: SearchSnapshot, shape: Shape) -> str:
    """The best so far; where there is little room its name is cut, then left out; not its value."""
    text = shape.written(best_text(standing))
    if standing.best is None or text_width(text) <= shape.columns:
        return text
    name = shape.written(standing.best[0])
    room = shape.columns - (text_width(text) - text_width(name))
    if room < _LEAST_NAME:
        return shape.fitted(text.replace(f"{name}  ", "", 1))
    return shape.written(
        best_text(replace(standing, best=(shape.fitted(name, room), standing.best[1])))
    )


def _workers(standing: SearchSnapshot) -> Iterable[str]:
    return worker_lines(standing.workers) if standing.workers else ()


def _progress(standing: SearchSnapshot, shape: Shape, elsewhere: int) -> str:
    """How far it is; where there is little room less of it, from the end on."""
    text = progress_text(standing, elsewhere)
    if standing.elapsed is not None:
        text += f", {duration_text(standing.elapsed)} so far"
    while text_width(text) > shape.columns and ", " in text:
        text = text.rpartition(", ")[0]
    return shape.fitted(text)


# -- In words --------------------------------------------------------------------------------------


def fitted_end_line(name: str, status: str, words: str, shape: Shape, widest: int = 0) -> str:
    """The line that stays of a trial that has ended: its status, its name in so many columns, how
    it went. Where there is little room the name is cut in the middle, what it said at its end.

    >>> ended_text("lr_0.1", "completed", "accuracy 0.97  1m 02s", Shape(80), 8)
    'completed    lr_0.1    accuracy 0.97  1m 02s'
    """
    room = max(0, shape.columns - _STATUS)
    named, words = shape.written(name), shape.written(words)
    width = min(max(widest, text_width(named)), max(room - _WORDS, room // 2))
    shown = shape.fitted(named, width)
    line = f"{status:<{_STATUS}}{shown}{' ' * (width - text_width(shown) + _GAP)}"
    left = shape.columns - text_width(line)
    return shape.cut(f"{line}{shape.cut(words, left) if left > 0 else ''}".rstrip())


_EPOCHS = ("num_epochs", "epochs", "max_epochs", "num_steps", "max_steps", "steps")
"""Hyperparameters that say how many steps a training has."""


def step_text(step: object, values: Mapping[str, object]) -> str:
    """A step, and of how many where the hyperparameters say so and it can be.

    >>> step_text(7, {"num_epochs": 20}), step_text(250, {"num_epochs": 20}), step_text(None, {})
    ('7/20', '250', '')
    """
    if step is None:
        return ""
    for name in _EPOCHS:
        total = values.get(name)
        if type(total) is int and type(step) is int and step <= total:
            return f"{step}/{total}"
    return cell_text(step)


def number_text(value: float) -> str:
    """A metric in few digits, as many for all, so that a column does not jump.

    >>> number_text(0.9), number_text(12.3456), number_text(1e-7), number_text(123456)
    ('0.9000', '12.35', '1.000e-07', '1.235e+05')
    """
    if math.isfinite(value) and 1e-3 <= abs(value) < 9.99995:  # noqa: PLR2004 - as metrics are read
        return f"{value:.4f}"
    return f"{value:#.4g}" if math.isfinite(value) and value else f"{value:.4g}"


def curve_text(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """A metric's values as a curve, from the lowest to the highest, or within bounds that several
    curves share; "!" where one is no number.

    >>> curve_text([0.1, 0.2, 0.4, 0.8]), curve_text([0.1, 0.2], 0.1, 0.8)
    ('▁▂▄█', '▁▂')
    """
    picked = _picked(values, CURVE)
    if low is None or high is None:
        low, high = _bounds(picked)
    if low is None or high is None:
        return "!" * len(picked)
    span = high / 2 - low / 2  # halves: the whole may be beyond the largest number

    def level(value: float) -> str:
        if not math.isfinite(value):
            return "!"
        part = 0.5 if not span else (value / 2 - low / 2) / span
        return _LEVELS[round(part * (len(_LEVELS) - 1))]

    return "".join(map(level, picked))


def _bounds(values: Iterable[float]) -> tuple[float | None, float | None]:
    finite = [value for value in values if math.isfinite(value)]
    return min(finite, default=None), max(finite, default=None)


def _picked(values: Sequence[float], most: int) -> Sequence[float]:
    """At most so many, evenly spread: the first, the last, and between them."""
    if len(values) <= most:
        return values
    return [values[index * (len(values) - 1) // (most - 1)] for index in range(most)]


# -- One experiment --------------------------------------------------------------------------------


def experiment_lines(alone: ExperimentSnapshot, shape: Shape) -> list[Line]:
    """One experiment that runs: its step, its metrics with their curves, what it printed last."""
    status = alone.status
    told = [status.state]
    told += [f"attempt {status.attempt}"] if status.attempt > 1 else []
    told += [f"step {step_text(alone.step, alone.values)}"] if alone.step is not None else []
    told += [duration_text(alone.age)] if alone.age is not None else []
    head = [Line(_told_of(alone.folder, told, shape), strong=True)]
    widest = max(5, min(shape.columns // 2, shape.columns - 2 - _GAP - _NUMBER))
    names = [shape.fitted(name, widest) for name, _, _ in alone.metrics]
    width = max(map(text_width, names), default=0)
    curved = shape.has(_LEVELS) and 2 + width + _GAP + _NUMBER + _GAP + CURVE <= shape.columns
    values = []
    for name, (_, value, curve) in zip(names, alone.metrics, strict=True):
        pad = " " * (width - text_width(name))
        drawn = f"  {curve_text(curve)}" if curved else ""
        values.append(
            Line(_cut(f"  {name}{pad}  {number_text(value):>{_NUMBER}}{drawn}", shape.columns))
        )
    said = [Line(shape.cut(f"  {text}"), faint=True) for text in alone.lines]
    room = max(0, shape.rows - len(head) - len(values))
    return [*head, *values, *said[len(said) - min(len(said), room) :]][: max(1, shape.rows)]


# -- Several ---------------------------------------------------------------------------------------


def lines_of(
    stands: Sequence[SearchSnapshot | ExperimentSnapshot],
    shape: Shape,
    layouts: dict[Path, Layout] | None = None,
) -> list[Line]:
    """All that is watched. Of several searches those that run are drawn whole, one below the other;
    of each of the others one line tells. `layouts` are those of the frames before, by folder.
    """
    layouts = {} if layouts is None else layouts
    if len(stands) == 1:
        (one,) = stands
        if isinstance(one, ExperimentSnapshot):
            return experiment_lines(one, shape)
        return search_lines(one, shape, layouts.setdefault(one.folder, Layout()))
    searches = [each for each in stands if isinstance(each, SearchSnapshot)]
    searches += _experiments([each for each in stands if isinstance(each, ExperimentSnapshot)])
    active = [each for each in searches if each.running]
    quiet = [Line(_one_line(each, shape)) for each in searches if not each.running]
    most_quiet = max(1, shape.rows // 3) if active else shape.rows
    if len(quiet) > most_quiet:
        more = Line(shape.fitted(f"and {len(quiet) - most_quiet + 1} more"), faint=True)
        quiet = [*quiet[: most_quiet - 1], more]
    room = shape.rows - len(quiet)
    blocks: list[Line] = []
    for index, each in enumerate(active):
        share = (room - len(blocks)) // (len(active) - index)
        part = Shape(shape.columns, max(1, share - 1), shape.encoding)
        layout = layouts.setdefault(each.folder, Layout())
        blocks += [*search_lines(each, part, layout, titled=True), Line("")]
    return [*blocks, *quiet][: shape.rows]


def _experiments(alone: Sequence[ExperimentSnapshot]) -> list[SearchSnapshot]:
    """The experiments that belong to no search, as one table of those that run."""
    if not alone:
        return []
    running = [each for each in alone if not each.is_idle]
    names = [name for each in running for name, _, _ in each.metrics]
    name = names[0] if names else ""
    rows = []
    for each in running:
        found = {known: (value, curve) for known, value, curve in each.metrics}
        value, curve = found.get(name, (None, ()))
        said = each.lines[-1] if each.lines else ""
        rows.append(
            RunningTrial(
                each.folder.name,
                values=each.values,
                step=each.step,
                value=value,
                curve=curve,
                age=each.age,
                says=said,
            )
        )
    above = alone[0].folder.parent
    states = Counter(each.status.state for each in alone)
    metric: Ranked | None = (name, metrics.direction(name) or "maximize") if name else None
    return [SearchSnapshot(above, tuple(rows), metric=metric, states=states)]


def _one_line(standing: SearchSnapshot, shape: Shape) -> str:
    told = progress_text(standing).split(", ")
    head = shape.written(f"{standing.folder}: {', '.join(told)}, ")
    room = shape.columns - text_width(head)
    best = _best(standing, replace(shape, columns=room)) if room >= 2 * _LEAST_NAME else ""
    return _told_of(standing.folder, [*told, *filter(None, [best])], shape)


def _told_of(folder: Path, told: list[str], shape: Shape) -> str:
    """A folder and what is told of it, in a line; where there is little room less of it, from the
    end on, and then less of the folder's name.
    """
    name = shape.written(str(folder))
    least = min(text_width(name), 2 * _LEAST_NAME)
    while len(told) > 1 and least + 2 + text_width(shape.written(", ".join(told))) > shape.columns:
        told = told[:-1]
    words = shape.written(f": {', '.join(told)}")
    room = shape.columns - text_width(words)
    return shape.fitted(name, room) + words if room >= _LEAST_NAME else shape.fitted(name + words)
