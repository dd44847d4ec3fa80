"""Read the steps in the metric files of other tools, while these files grow.

`left_files` finds the files and makes a reader for each. A reader knows what it has read, and a
call of `read` reads a limited part of what is new: a half-written line is waited for, and a file
that was replaced is read again. The rule: nothing in a file may raise an error other than OSError.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from modeldir._system import reading
from modeldir._system.file_stamps import Stamp, stamp
from modeldir.metrics import metric_files, tfevents

Add: TypeAlias = Callable[[float, Mapping[str, float], "float | None"], None]
"""Takes a step, its metrics, and the Unix time if it is known."""

STEPS = (
    "step", "global_step", "trainer/global_step", "_step", "iteration", "iter", "it",
    "total_timesteps", "time/total_timesteps", "timesteps", "batches", "epoch", "epochs", "round",
)  # fmt: skip
"""Names of the step, in this order: of two in one file the finer one counts."""
_TIMES = frozenset({
    "time", "timestamp", "_timestamp", "_runtime", "wall_time", "walltime", "date", "datetime",
    "elapsed", "seconds",
})  # fmt: skip
_NO_METRICS = frozenset({*STEPS, *_TIMES, "hp_metric"})  # Lightning logs hp_metric -1 as a default

MOST_ROWS = 1_000_000
"""Rows that are read of one file."""
_AT_ONCE = 1 << 20
"""Bytes that one call reads. A supervisor must not miss its heartbeat."""
_ANCHOR = 64
_LARGE_EVENT = 1 << 16
"""Bytes of an event that holds no scalar, but a picture or a histogram."""


class Reader(Protocol):
    """Reads the steps of one file, or of several that belong together."""

    @property
    def names(self) -> Sequence[str]:
        """Return the metrics that are known so far."""

    @property
    def path(self) -> str:
        """Return the file to name in a message."""

    def read(self, add: Add, *, is_over: bool) -> bool:
        """Read a part of what is new. Return whether there was anything new."""

    def skip(self) -> None:
        """Take what is there as read."""


def _values_in(found: Mapping[str, Any], column: str) -> tuple[float | None, dict[str, float]]:
    """Return the step and the metrics of a JSON object."""
    values = dict(metric_files.numbers_in(_without_media(found)))
    step = _step_in({name.lower(): value for name, value in values.items()})
    if column:
        value = values.get(column, values.get(column.replace(".", "/")))
        return step, {} if value is None else {column: value}
    return step, {name: value for name, value in values.items() if _may_be_metric(name)}


def _without_media(found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what W&B notes about files: the size of a picture is no metric."""
    return {
        name: value
        for name, value in found.items()
        if not (isinstance(value, dict) and ("_type" in value or name == "_wandb"))
    }


def _step_in(values: Mapping[str, float]) -> float | None:
    found = (values[name] for name in STEPS if name in values)
    return next((step for step in found if math.isfinite(step)), None)


def _may_be_metric(name: str) -> bool:
    return name.lower() not in _NO_METRICS and not name.startswith("_")


def split_first(name: str) -> str:
    """Return a tag with its split in front, as metrics have it: `val/Loss` for `Loss/val`."""
    before, _, last = name.rpartition("/")
    split = _SPLITS.get(last.lower())
    return f"{split}/{before}" if before and split else name


_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "eval": "val", "dev": "val", "test": "test",
}  # fmt: skip


# -- Tables and lines ------------------------------------------------------------------------------


class Rows:
    """A CSV file or a file of JSON lines, to which rows are added.

    Args:
        path: the file; `shown` is its path in the trial's folder.
        column: the only column to read, if one is named. Then rows need no step.
        needs_step: whether a row without a step is skipped; otherwise the rows are counted.
    """

    def __init__(self, path: str, shown: str, column: str = "", *, needs_step: bool = True) -> None:
        self._file, self.path = path, shown
        self._column, self._needs_step = column, needs_step
        self.names: list[str] = []
        self.is_unusable = False  # its first line is no header, or it is no regular file
        self._stamp: Stamp = None
        self._first: dict[str, float] = {}  # the first row, with its step
        self._rows = 0
        self._to_skip = 0
        self._begin()

    def _begin(self) -> None:
        self._offset, self._anchor = 0, b""
        self._row = 0
        self._form: _Table | _Lines | None = None

    def read(self, add: Add, *, is_over: bool) -> bool:
        """See `Reader`."""
        now = stamp(self._file)
        if now is None or self.is_unusable or self._row >= MOST_ROWS:
            return False
        if now == self._stamp and not is_over:
            return False
        try:
            data, is_last = self._new_data()
        except OSError:
            self.is_unusable = True
            return False
        end = len(data) if is_last and is_over else data.rfind(b"\n") + 1
        if not end and len(data) >= _AT_ONCE:
            self.is_unusable = True  # no table has such a line
        if is_last:
            self._stamp = now
        if not end or self.is_unusable:
            return False
        lines = data[:end]
        self._offset += end
        self._anchor = (self._anchor + lines)[-_ANCHOR:]
        self._read_lines(lines, add, is_torn=not lines.endswith(b"\n"))
        return True

    def skip(self) -> None:
        """See `Reader`. The rows are counted, since some tools write them all anew."""
        while self.read(lambda *_: None, is_over=False):
            pass

    def _new_data(self) -> tuple[bytes, bool]:
        """Return the next bytes, and whether these are the last; begin again in another file."""
        with reading.open_stream(self._file) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(self._offset - len(self._anchor))
            before = file.read(len(self._anchor))
            if size < self._offset or before != self._anchor:
                self._to_skip = max(self._rows, self._to_skip)
                self._begin()
                file.seek(0)
            data = file.read(_AT_ONCE)
            return data, self._offset + len(data) >= size

    def _read_lines(self, data: bytes, add: Add, *, is_torn: bool) -> None:
        lines = data.split(b"\n")
        if self._form is None:
            first = next((line for line in lines if line.strip()), None)
            if first is None:
                return
            self._form = _form_of(first, self._column, needs_step=self._needs_step)
            if self._form is None:
                self.is_unusable = True
                return
        if is_torn and not self._form.is_complete(lines[-1]):
            lines.pop()
        for line in lines:
            step, values = self._form.row(line)
            if not values or (step is None and self._needs_step):
                continue
            if self._row >= MOST_ROWS:
                break
            self._take(float(self._row + 1) if step is None else step, values, add)
        self.names = list(dict.fromkeys([*self.names, *self._form.names]))

    def _take(self, step: float, values: dict[str, float], add: Add) -> None:
        """Add a row, unless it was added before the file was written anew, with more columns."""
        row = {**values, "\0step": step}
        if self._row == 0:
            is_known = all(row.get(name) == value for name, value in self._first.items())
            if not (self._first and is_known):
                self._rows = self._to_skip = 0
            self._first = row
        self._row += 1
        self._rows = max(self._rows, self._row)
        if self._row > self._to_skip:
            add(step, values, None)


class _Table:
    """The header of a CSV file."""

    def __init__(self, cells: Sequence[str], delimiter: str, column: str) -> None:
        self._delimiter, self._cells = delimiter, tuple(cells)
        places = {name.lower(): place for place, name in reversed([*enumerate(cells)])}
        self._steps = [places[name] for name in STEPS if name in places]
        taken: dict[str, int] = {}
        for place, name in enumerate(cells):
            if name == column if column else name and _may_be_metric(name):
                taken.setdefault(name, place)  # of two columns with one name the first counts
        self.names = list(taken)
        self._taken = [(place, split_first(name)) for name, place in taken.items()]

    @property
    def has_step(self) -> bool:
        return bool(self._steps)

    def is_complete(self, line: bytes) -> bool:
        """Return whether a last line without an end may be a whole row."""
        return line.count(self._delimiter.encode()) >= len(self._cells) - 1

    def row(self, line: bytes) -> tuple[float | None, dict[str, float]]:
        cells = _cells(line.decode("utf-8", "replace"), self._delimiter)
        found = (_number(cells[place]) for place in self._steps if place < len(cells))
        step = next((each for each in found if each is not None and math.isfinite(each)), None)
        values = {}
        for place, name in self._taken:
            if place < len(cells) and (number := _number(cells[place])) is not None:
                values[name] = number
        return step, values


class _Lines:
    """The form of JSON lines."""

    def __init__(self, column: str) -> None:
        self._column = column
        self.names: list[str] = []

    def is_complete(self, line: bytes) -> bool:
        return line.rstrip().endswith(b"}")

    def row(self, line: bytes) -> tuple[float | None, dict[str, float]]:
        try:
            value = reading.loads(line)
        except ValueError:
            return None, {}
        if not isinstance(value, dict):
            return None, {}
        step, values = _values_in(value, self._column)
        self.names = list(dict.fromkeys([*self.names, *values]))
        return step, {split_first(name): number for name, number in values.items()}


def _form_of(line: bytes, column: str, *, needs_step: bool) -> _Table | _Lines | None:
    """Return how to read the rows after a file's first line; None if these are no metrics."""
    if line.lstrip().startswith(b"{"):
        try:
            value = reading.loads(line)
        except ValueError:
            return None
        step, _ = _values_in(value, column) if isinstance(value, dict) else (None, {})
        return None if needs_step and step is None else _Lines(column)
    if b"\0" in line:
        return None
    text = line.decode("utf-8-sig", "replace").strip().removeprefix("#")
    delimiter = max(",;\t|", key=text.count)
    table = _Table(_cells(text, delimiter), delimiter, column)
    return table if table.names and (table.has_step or not needs_step) else None


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' in text:
        try:
            return [each.strip() for each in next(csv.reader([text], delimiter=delimiter), [])]
        except csv.Error:
            return []
    return [each.strip() for each in text.split(delimiter)]


def _number(text: str) -> float | None:
    try:
        return None if not text or "_" in text else float(text)
    except ValueError:
        return None


# -- JSON files that are written anew --------------------------------------------------------------


def _object_in(path: str) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file holds anything else."""
    value = reading.read_json(path, reading.SCORES)
    return value if isinstance(value, dict) else {}


class Results:
    """A JSON file with one result, which may be written anew at each step."""

    def __init__(self, path: str, shown: str, column: str = "") -> None:
        self._file, self.path, self._column = path, shown, column
        self.names: list[str] = []
        self._stamp: Stamp = None
        self._values: dict[str, float] = {}
        self._count = 0

    def read(self, add: Add, *, is_over: bool) -> bool:
        """See `Reader`. A half-written file is read again when it has changed."""
        now = stamp(self._file)
        if now is None or (now == self._stamp and not is_over):
            return False
        self._stamp = now
        found = _object_in(self._file)
        step, values = _values_in(found, self._column)
        row = {**values, **({} if step is None else {"\0step": step})}
        if not values or row == self._values:
            return False
        self._values = row
        self._count += 1
        self.names = list(values)
        add(float(self._count) if step is None else step, values, None)
        return True

    def skip(self) -> None:
        """See `Reader`."""
        self.read(lambda *_: None, is_over=True)


class TrainerStates:
    """The `trainer_state.json` of Hugging Face's Trainer: one in each checkpoint, with all steps.

    `found` are the files of the last walk: path, and path in the trial's folder.
    """

    def __init__(self, column: str = "") -> None:
        self.found: dict[str, str] = {}
        self.path = "trainer_state.json"
        self.names: list[str] = []
        self._column = column
        self._stamps: dict[str, Stamp] = {}
        self._seen: set[tuple[float, str]] = set()

    def read(self, add: Add, *, is_over: bool) -> bool:
        """See `Reader`. Only the newest file is read: it has the steps of all before it.

        Each may have many megabytes, and the supervisor, which reads them, must stay in time.
        """
        stamps = {file: now for file in self.found if (now := stamp(file)) is not None}
        for file, now in sorted(stamps.items(), key=lambda each: each[1], reverse=True):
            if now == self._stamps.get(file) and not is_over:
                return False
            history = _object_in(file).get("log_history")
            if isinstance(history, list):
                self._stamps[file], self.path = now, self.found[file]
                taken = [self._take(entry, add) for entry in history]
                return any(taken)
        return False

    def skip(self) -> None:
        """See `Reader`."""
        self.read(lambda *_: None, is_over=True)

    def _take(self, entry: object, add: Add) -> bool:
        step, values = _values_in(entry, self._column) if isinstance(entry, dict) else (None, {})
        if step is None or not values:
            return False
        key = (step, repr(values))  # as text, NaN is equal to itself
        if key in self._seen:
            return False
        self._seen.add(key)
        self.names = list(dict.fromkeys([*self.names, *values]))
        add(step, values, None)
        return True


# -- Event files of TensorBoard --------------------------------------------------------------------


class EventFiles:
    """The event files of one training run: rotated, nested, of several writers.

    A folder such as `train` or `validation` stands before the names of its metrics. So does a
    folder below another one that has event files, and a second writer of the same name.
    """

    def __init__(self, column: str = "") -> None:
        self.found: dict[str, str] = {}
        self.path = ""
        self.names: list[str] = []
        self._column = column
        self._files: dict[str, _EventFile] = {}
        self._folder_of: dict[str, str] = {}  # by name

    def read(self, add: Add, *, is_over: bool) -> bool:  # noqa: ARG002 - nothing is held back
        """See `Reader`."""
        folders = {shown.rpartition("/")[0] for shown in self.found.values()}
        is_new = False
        for file, shown in self.found.items():
            reader = self._files.setdefault(file, _EventFile(file))
            folder = shown.rpartition("/")[0]
            steps, has_read = reader.read()
            is_new = is_new or has_read
            for step, now, values in steps:
                named = {self._name(tag, folder, folders): each for tag, each in values.items()}
                named = {n: v for n, v in named.items() if self._is_wanted(n)}
                if named:
                    self.path = self.path or shown
                    add(step, named, now)
        if is_new:
            self.names = list(self._folder_of)
        return is_new

    def skip(self) -> None:
        """See `Reader`. A killed writer's last record is never completed."""
        for file in self.found:
            self._files.setdefault(file, _EventFile(file)).skip()

    def _is_wanted(self, name: str) -> bool:
        return name == self._column if self._column else _may_be_metric(name)

    def _name(self, tag: str, folder: str, folders: set[str]) -> str:
        above, _, last = folder.rpartition("/")
        if split := _SPLITS.get(last.lower()):
            name = f"{split}/{tag}"
        elif outer := next((each for each in _above(above) if each in folders), ""):
            name = f"{folder[len(outer) + 1 :]}/{tag}"
        else:
            name = split_first(tag)
        if self._folder_of.setdefault(name, folder) != folder:
            name = f"{last or 'events'}/{tag}"
            self._folder_of.setdefault(name, folder)
        return name


def _above(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


_Steps: TypeAlias = "list[tuple[float, float | None, dict[str, float]]]"


class _EventFile:
    def __init__(self, file: str) -> None:
        self._file, self._offset, self._size = file, 0, 0
        self._stamp: Stamp = None
        self._is_ignored = False  # it has hyperparameters and results, but no steps

    def skip(self) -> None:
        self._stamp = stamp(self._file)
        self._offset = self._size = self._stamp[1] if self._stamp else 0

    def read(self) -> tuple[_Steps, bool]:
        """Return new steps with their time and scalars, and whether anything was read.

        The scalars that follow each other in one step are together.
        """
        now = stamp(self._file)
        if now is None or now == self._stamp or self._is_ignored:
            return [], False
        if now[1] < self._size:
            self._offset = 0
        self._size = now[1]
        data = b""
        with contextlib.suppress(OSError), reading.open_stream(self._file) as file:
            file.seek(self._offset)
            data = file.read(_AT_ONCE)
        messages, end = tfevents.complete_records(data, largest=_LARGE_EVENT)
        if self._offset + len(data) >= now[1] or not end:  # a broken record is never passed
            self._stamp = now
        self._offset += end
        return self._steps_in(messages), end > 0

    def _steps_in(self, messages: Sequence[bytes]) -> _Steps:
        found: _Steps = []
        for event in filter(None, map(tfevents.event, messages)):
            if tfevents.SESSION_START in event.plugins:
                self._is_ignored = True
                return []
            if not event.scalars:
                continue
            if found and found[-1][0] == event.step:
                found[-1][2].update(event.scalars)
            else:
                found.append((float(event.step), event.time or None, dict(event.scalars)))
        return found


def reader_for(path: str, shown: str, column: str = "") -> Rows | Results:
    """Return the reader for a file that a user has named, by its first line."""
    first = _first_bytes(path).lstrip()
    if first.startswith(b"{") and not _is_object(first.partition(b"\n")[0]):
        return Results(path, shown, column)
    if re.search(r"\.json$", shown) and first.count(b"\n") < 1:
        return Results(path, shown, column)
    return Rows(path, shown, column, needs_step=False)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(reading.loads(line), dict)
    except ValueError:
        return False


def _first_bytes(path: str) -> bytes:
    try:
        with reading.open_stream(path) as file:
            return file.read(1 << 16)
    except OSError:
        return b""
