"""Lay out the live view: the lines that show snapshots in a terminal of a given size.

`progress.py` calls `search_lines` and `lines_of`. No line is wider than the terminal, whatever a
name contains, and the same values give the same lines: no files, no clocks. Without room, the curve
is left out first. The words: `snapshots.py`; drawing: `live_screen.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeldir._system.durations import duration_text
from modeldir._system.escaping import visible
from modeldir._system.text import cell_text, text_width, value_cell
from modeldir.experiment import attempts, experiment
from modeldir.launchers.worker_counts import worker_lines
from modeldir.metrics import metric_names
from modeldir.metrics.objective import Ranked
from modeldir.monitor.snapshots import (
    ExperimentSnapshot,
    RunningTrial,
    SearchSnapshot,
    Snapshot,
    best_text,
    progress_text,
    spread,
)

CURVE = 12
"""Width of a metric's curve."""

WIDEST = 24
"""The largest width of a hyperparameter's column: longer values are cut in the middle."""

_GAP = 2
_WORDS = 24
"""Columns reserved for an error."""
_DIGITS = 8
"""The usual width of a metric's value: six significant digits."""
_LEVELS = "▁▂▃▄▅▆▇█"
_LEAST_PRINTED = 12
_LEAST_NAME = 9
_NUMBER = 9
"""The largest width of `number_text`."""


@dataclass(frozen=True)
class Line:
    """A line of a frame: `faint` for explanations, `strong` for the main result."""

    text: str
    faint: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Shape:
    columns: int = 80
    rows: int = 24
    encoding: str = "utf-8"

    def has(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def escaped(self, text: str) -> str:
        """Escape control characters, line ends, and what the encoding cannot write."""
        return (
            visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding, "replace")
        )

    def fitted(self, text: str, width: int | None = None) -> str:
        """Shorten a name to a width by cutting its middle: names often differ at the end."""
        width = self.columns if width is None else width
        text = self.escaped(text)
        if text_width(text) <= width:
            return text
        begin = _start(text, (width - 1) // 2)
        rest = max(0, width - 1 - text_width(begin))
        return (begin + self._mark + _start(text[::-1], rest)[::-1])[: max(width, 0)]

    def cut(self, text: str, width: int | None = None) -> str:
        """Shorten a sentence to a width by cutting its end, between words if half of it remains.

        >>> Shape(20).cut("RuntimeError: CUDA out of memory"), Shape(9).cut("validation_accuracy")
        ('RuntimeError: CUDA…', 'validati…')
        """
        width = self.columns if width is None else width
        text = self.escaped(text)
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
    """Return the start of a line that fits a width. A wide character is never halved."""
    text = text[: max(width, 0) * 2]
    while text_width(text) > max(width, 0):
        text = text[:-1]
    return text


# -- A search --------------------------------------------------------------------------------------


class Layout:
    """The widths of columns in earlier frames, by name: no column may jump between frames."""

    def __init__(self) -> None:
        self.columns = 0
        self.widths: dict[str, int] = {}

    def begin(self, columns: int) -> None:
        if columns != self.columns:
            self.columns, self.widths = columns, {}


def search_lines(
    search: SearchSnapshot,
    shape: Shape,
    layout: Layout | None = None,
    *,
    titled: bool = False,
    elsewhere: int = 0,
) -> list[Line]:
    """Return the lines of a running search; `elsewhere` is how many running trials are not in the
    table.

    If there are too many, rows of the table are left out.
    """
    layout = layout or Layout()
    layout.begin(shape.columns)
    workers = worker_lines(search.workers) if search.workers else ()
    below = [
        Line(text, strong=strong)
        for text, strong in (
            (_best(search, shape), True),
            (_progress(search, shape, elsewhere), False),
            *((shape.cut(line), False) for line in workers),
            (shape.cut(search.problem or ""), False),
        )
        if text
    ]
    head = [Line(shape.fitted(str(search.folder)), strong=True)] if titled else []
    room = shape.rows - len(head) - len(below)
    return [*head, *_table(search, shape, layout, room), *below][-max(shape.rows, 1) :]


def _table(search: SearchSnapshot, shape: Shape, layout: Layout, room: int) -> list[Line]:
    rows = search.running
    if not rows or room < 2:  # noqa: PLR2004 - a header and a row
        return []
    most = room - 1 if len(rows) <= room - 1 else room - 2
    shown = rows[: max(most, 0)]
    columns = _columns(search, shown, shape)
    there = [column for column in columns if any(column.cells) or column.name in layout.widths]
    lines = _drawn(there, layout, shape)
    if len(shown) < len(rows):
        lines.append(Line(shape.fitted(f"  and {len(rows) - len(shown)} more run"), faint=True))
    return lines


@dataclass(frozen=True)
class _Column:
    """A column of the table; `name` identifies it between frames.

    Without room, columns with the lowest `order` are left out first (0: never), and none gets
    narrower than `least`.
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


_CURVE_ORDER, _PRINTED_ORDER, _VALUES_ORDER, _STEP_ORDER, _TIME_ORDER = 1, 2, 1_000, 2_000, 3_000
_METRIC_ORDER = 4_000


def _columns(search: SearchSnapshot, rows: Sequence[RunningTrial], shape: Shape) -> list[_Column]:
    labels = [str(row.number) if row.number is not None else row.name for row in rows]
    columns = [
        _Column(
            "trial",
            "trial" if any(row.number is not None for row in rows) else "experiment",
            tuple(shape.fitted(name, max(5, min(40, shape.columns // 2))) for name in labels),
            0,
            right=all(row.number is not None for row in rows),
        )
    ]
    for index, name in enumerate(search.varied):
        values = [value_cell(row.values[name]) if name in row.values else None for row in rows]
        cells = tuple(shape.fitted(_value_text(value), WIDEST) for value in values)
        numeric = all(isinstance(value, (int, float)) for value in values)
        order = _VALUES_ORDER - index
        header = shape.fitted(name, WIDEST)
        columns.append(_Column(f"value of {name}", header, cells, order, right=numeric))
    steps = tuple(shape.fitted(step_text(row.step, row.values), WIDEST) for row in rows)
    columns.append(_Column("step", "step", steps, _STEP_ORDER, right=True, least=4))
    if search.metric is not None:
        columns += _metric_columns(search.metric[0], rows, shape)
    printed = tuple("" if row.value is not None else shape.escaped(row.last_line) for row in rows)
    ages = tuple("" if row.age is None else duration_text(row.age) for row in rows)
    columns.append(_Column("time", "time", ages, _TIME_ORDER, right=True, least=7))
    columns.append(_Column("printed", "last line", printed, _PRINTED_ORDER))
    return columns


def _value_text(value: object) -> str:
    """Return a hyperparameter with as many digits as sampled values have."""
    return f"{value:.6g}" if isinstance(value, float) else cell_text(value)


def _metric_columns(name: str, rows: Sequence[RunningTrial], shape: Shape) -> list[_Column]:
    values = tuple("" if row.value is None else number_text(row.value) for row in rows)
    header = shape.fitted(name, min(WIDEST, max(6, shape.columns // 3)))
    columns = [_Column("metric", header, values, _METRIC_ORDER, right=True, least=6)]
    if shape.has(_LEVELS):
        low, high = _bounds(value for row in rows for value in row.curve)
        curves = tuple(curve_text(row.curve, low, high) for row in rows)
        columns.append(_Column("curve", "", curves, _CURVE_ORDER, least=CURVE))
    return columns


def _drawn(columns: list[_Column], layout: Layout, shape: Shape) -> list[Line]:
    width, before = layout.columns, dict(layout.widths)
    widths = {column.name: max(column.width, before.get(column.name, 0)) for column in columns}
    printed = next((column for column in columns if column.order == _PRINTED_ORDER), None)
    if printed is not None:  # it gets the room that the others leave
        widths[printed.name] = _LEAST_PRINTED

    def total() -> int:
        return sum(widths[column.name] + _GAP for column in columns)

    def importance(column: _Column) -> tuple[bool, int]:
        # A metric may come after the first frame, and must not wait for room that values take.
        return column.name in before or column.order > _VALUES_ORDER, column.order

    while total() > width and any(column.order for column in columns):
        columns.remove(min((c for c in columns if c.order), key=importance))
    layout.widths = {
        column.name: widths[column.name] for column in columns if column is not printed
    }
    if printed in columns and printed is not None:
        widths[printed.name] = min(printed.width, _LEAST_PRINTED + max(0, width - total()))

    def line(cells: Sequence[str]) -> str:
        texts = []
        for column, cell in zip(columns, cells, strict=True):
            text = cell if column is not printed else shape.cut(cell, widths[column.name])
            texts.append(" " * _GAP + column.line(text, widths[column.name]))
        joined = "".join(texts).rstrip()
        return joined if total() <= width else _cut(joined, width)

    rows = zip(*(column.cells for column in columns), strict=True)
    return [
        Line(line([column.header for column in columns]), faint=True),
        *map(Line, map(line, rows)),
    ]


def _cut(text: str, width: int) -> str:
    return text if text_width(text) <= width else _start(text, width)


def _best(search: SearchSnapshot, shape: Shape) -> str:
    """Return the best so far. If there is no room, its name is cut, then its number left alone."""
    text = shape.escaped(best_text(search))
    if search.best is None:
        return shape.cut(text)
    if text_width(text) <= shape.columns:
        return text
    name = shape.escaped(search.best[0])
    room = shape.columns - (text_width(text) - text_width(name))
    number, _, beside = name.partition(" (")
    least = text_width(number) + len(" ()") + _LEAST_NAME if beside else _LEAST_NAME
    if room < least and (not beside or room < text_width(number)):
        return shape.fitted(text.replace(f"{name}  ", "", 1))
    shown = number if room < least else shape.fitted(name, room)
    return shape.escaped(best_text(replace(search, best=(shown, search.best[1]))))


def _progress(search: SearchSnapshot, shape: Shape, elsewhere: int) -> str:
    text = progress_text(search, elsewhere)
    if search.elapsed is not None:
        text += f", {duration_text(search.elapsed)} so far"
    while text_width(text) > shape.columns and ", " in text:
        text = text.rpartition(", ")[0]
    return shape.fitted(text)


# -- In words --------------------------------------------------------------------------------------


def fitted_end_line(head: str, name: str, words: str, shape: Shape, widest: int = 0) -> str:
    """Return the line about an ended trial, its results aligned after the `widest` name so far.

    If there is no room, the time is left out, then the middle of the name is cut, then the name is
    left out beside a number: the metric is what a reader looks for. A long error is cut at its end.

    >>> words = "accuracy 0.916667  0.4s"
    >>> fitted_end_line("completed     3  ", "lr_0.1", words, Shape(80), 8)
    'completed     3  lr_0.1    accuracy 0.916667  0.4s'
    >>> fitted_end_line("completed     3  ", "learning_rate_0.1", words, Shape(46), 19)
    'completed     3  lear…e_0.1  accuracy 0.916667'
    >>> error = "FileNotFoundError: no such file: data.csv"
    >>> fitted_end_line("failed        1  ", "learning_rate_0.1", error, Shape(46))
    'failed        1  lear…_0.1  FileNotFoundError…'
    """
    room = max(0, shape.columns - text_width(head))
    named, words = shape.escaped(name), shape.escaped(words)
    width = max(widest, text_width(named))
    if width + _GAP + text_width(words) > room:
        words = words.rpartition("  ")[0] or words
    metric, _, number = words.rpartition(" ")
    status, *numbered = head.split()
    if status in attempts.WITH_METRICS and _is_number(number):  # as wide in each line
        least = _LEAST_NAME
        needed = text_width(metric) + 1 + max(_DIGITS, len(number))
        least = 0 if numbered and width and room - _GAP - needed < least else least
    else:
        least, needed = max(_LEAST_NAME, room // 3) if numbered else room // 2, _WORDS
    width = min(width, max(room - _GAP - needed, least) if least else 0)
    shown = shape.fitted(named, width)
    line = head + (f"{shown}{' ' * (width - text_width(shown) + _GAP)}" if width else "")
    left = shape.columns - text_width(line)
    return shape.cut(f"{line}{shape.cut(words, left) if left > 0 else ''}".rstrip())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def step_text(step: object, values: Mapping[str, object]) -> str:
    """Return a step, and the number of steps if the hyperparameters have it.

    >>> step_text(7, {"num_epochs": 20}), step_text(250, {"num_epochs": 20}), step_text(None, {})
    ('7/20', '250', '')
    """
    if step is None:
        return ""
    for name in experiment.STEP_COUNTS:
        total = values.get(name)
        if type(total) is int and type(step) is int and step <= total:
            return f"{step}/{total}"
    return cell_text(step)


def number_text(value: float) -> str:
    """Return a metric with few digits, always as many, so that a column does not jump.

    >>> number_text(0.9), number_text(12.3456), number_text(1e-7), number_text(123456)
    ('0.9000', '12.35', '1.000e-07', '1.235e+05')
    """
    if math.isfinite(value) and 1e-3 <= abs(value) < 9.99995:  # noqa: PLR2004 - the usual range
        return f"{value:.4f}"
    return f"{value:#.4g}" if math.isfinite(value) and value else f"{value:.4g}"


def curve_text(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """Return values as a curve of block characters between `low` and `high`; "!" for NaN and
    infinity.

    >>> curve_text([0.1, 0.2, 0.4, 0.8]), curve_text([0.1, 0.2], 0.1, 0.8)
    ('▁▂▄█', '▁▂')
    """
    picked = spread(values, CURVE)
    if low is None or high is None:
        low, high = _bounds(picked)
    if low is None or high is None:
        return "!" * len(picked)
    span = high / 2 - low / 2  # halves, because the difference may be infinite

    def level(value: float) -> str:
        if not math.isfinite(value):
            return "!"
        part = 0.5 if not span else (value / 2 - low / 2) / span
        return _LEVELS[round(part * (len(_LEVELS) - 1))]

    return "".join(map(level, picked))


def _bounds(values: Iterable[float]) -> tuple[float | None, float | None]:
    finite = [value for value in values if math.isfinite(value)]
    return min(finite, default=None), max(finite, default=None)


# -- One experiment --------------------------------------------------------------------------------


def experiment_lines(one: ExperimentSnapshot, shape: Shape) -> list[Line]:
    """Return the lines of an experiment: its step, its metrics, and what it printed last."""
    status = one.status
    parts = [status.state]
    parts += [f"attempt {status.attempt}"] if status.attempt > 1 else []
    parts += [f"step {step_text(one.step, one.values)}"] if one.step is not None else []
    parts += [duration_text(one.age)] if one.age is not None else []
    head = [Line(_summary_line(one.folder, parts, shape), strong=True)]
    widest = max(5, min(shape.columns // 2, shape.columns - 2 - _GAP - _NUMBER))
    names = [shape.fitted(name, widest) for name, _, _ in one.metrics]
    width = max(map(text_width, names), default=0)
    curved = shape.has(_LEVELS) and 2 + width + _GAP + _NUMBER + _GAP + CURVE <= shape.columns
    values = []
    for name, (_, value, curve) in zip(names, one.metrics, strict=True):
        pad = " " * (width - text_width(name))
        drawn = f"  {curve_text(curve)}" if curved else ""
        values.append(
            Line(_cut(f"  {name}{pad}  {number_text(value):>{_NUMBER}}{drawn}", shape.columns))
        )
    values += [Line(shape.cut(one.problem))] if one.problem else []
    printed = [Line(shape.cut(f"  {text}"), faint=True) for text in one.lines]
    room = max(0, shape.rows - len(head) - len(values))
    return [*head, *values, *printed[len(printed) - min(len(printed), room) :]][
        : max(1, shape.rows)
    ]


# -- Several ---------------------------------------------------------------------------------------


def lines_of(
    snapshots: Sequence[Snapshot],
    shape: Shape,
    layouts: dict[Path, Layout] | None = None,
) -> list[Line]:
    """Return the lines of everything that is watched.

    Of several searches, each running one gets a table, and each of the others gets one line.
    """
    layouts = {} if layouts is None else layouts
    if len(snapshots) == 1:
        (one,) = snapshots
        if isinstance(one, ExperimentSnapshot):
            return experiment_lines(one, shape)
        return search_lines(one, shape, layouts.setdefault(one.folder, Layout()))
    searches = [each for each in snapshots if isinstance(each, SearchSnapshot)]
    searches += _experiments([each for each in snapshots if isinstance(each, ExperimentSnapshot)])
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


def _experiments(experiments: Sequence[ExperimentSnapshot]) -> list[SearchSnapshot]:
    if not experiments:
        return []
    running = [each for each in experiments if not each.is_idle]
    names = [name for each in running for name, _, _ in each.metrics]
    name = names[0] if names else ""
    rows = []
    for each in running:
        curves = {known: (value, curve) for known, value, curve in each.metrics}
        value, curve = curves.get(name, (None, ()))
        rows.append(
            RunningTrial(
                each.folder.name,
                values=each.values,
                step=each.step,
                value=value,
                curve=curve,
                age=each.age,
                last_line=each.lines[-1] if each.lines else "",
            )
        )
    above = experiments[0].folder.parent
    states = Counter(each.status.state for each in experiments)
    metric: Ranked | None = (name, metric_names.direction(name) or "maximize") if name else None
    return [SearchSnapshot(above, tuple(rows), metric=metric, states=states)]


def _one_line(search: SearchSnapshot, shape: Shape) -> str:
    parts = progress_text(search).split(", ")
    head = shape.escaped(f"{search.folder}: {', '.join(parts)}, ")
    room = shape.columns - text_width(head)
    best = _best(search, replace(shape, columns=room)) if room >= 2 * _LEAST_NAME else ""
    return _summary_line(search.folder, [*parts, *filter(None, [best])], shape)


def _summary_line(folder: Path, parts: list[str], shape: Shape) -> str:
    """Return a folder and parts of text in one line; without room, the last parts are left out."""
    name = shape.escaped(str(folder))
    least = min(text_width(name), 2 * _LEAST_NAME)
    while (
        len(parts) > 1 and least + 2 + text_width(shape.escaped(", ".join(parts))) > shape.columns
    ):
        parts = parts[:-1]
    words = shape.escaped(f": {', '.join(parts)}")
    room = shape.columns - text_width(words)
    return shape.fitted(name, room) + words if room >= _LEAST_NAME else shape.fitted(name + words)
