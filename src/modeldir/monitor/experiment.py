"""Read one running experiment again and again: its steps, its metrics, what it prints.

`commands/watch.py` calls `ExperimentMonitor.update`, `search.py` calls `LiveTraining.update` for
each running trial. The rule: read only what is new, and write nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modeldir._system import disks, heartbeat, reading
from modeldir._system.file_stamps import Seen, Stamp, stamp
from modeldir._system.timestamps import unix_time
from modeldir.errors import ParamsError
from modeldir.experiment import attempts, error_lines, experiment
from modeldir.logs.screen import COLOR, rendered
from modeldir.metrics import metric_files
from modeldir.monitor.snapshots import Event, ExperimentSnapshot, result_text, spread
from modeldir.params import plain_values

MOST_KEPT = 128
"""The most steps kept for a curve. When there are more, every second one is dropped."""

MOST_READ = 1 << 18
"""The most bytes of new metrics read in one update: the last ones, and a new file's first line."""

MOST_PARSED = 200
"""The most lines parsed in one update: evenly spread, with the first and the last."""

_NO_METRICS = frozenset({"step", "time", "epoch"})


class MetricFiles:
    """The metric files in a folder, and whether one of them has changed.

    Replacing a file changes the folder; writing into it (CS230's `save_dict_to_json`) changes only
    the file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: tuple[str, ...] = ()
        self._listed, self._written = Seen(), Seen()

    def changed(self) -> bool:
        if self._listed.changed(stamp(self._folder)):
            with suppress(OSError):
                self._names = tuple(filter(metric_files.classify, os.listdir(self._folder)))
        return self._written.changed([stamp(self._folder / name) for name in self._names])


class LiveTraining:
    """The progress of a running training run: its steps from `metrics.jsonl`, else its metric
    files.

    `last_line` is the last line that it printed, as long as there are no metrics.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last_line = ""
        self._files = MetricFiles(folder)
        self._console: Stamp = None
        self._forget(0)

    def _forget(self, inode: int) -> None:
        self.step: object = None
        self._inode = inode
        self._offset = 0
        self._kept: list[Mapping[str, float]] = []  # the metrics of some steps, evenly spread
        self._every = 1
        self._count = 0
        self._latest: Mapping[str, float] = {}
        self._curve: tuple[tuple[str, int], tuple[float, ...]] = (("", 0), ())

    def update(self) -> None:
        now = stamp(self.folder / metric_files.METRICS_LINES)
        if now is not None:
            self._read_lines(now)
        elif self._inode:  # archived: a new attempt has begun
            self._forget(0)
        elif self._files.changed():
            self._read_scores()
        if not self._latest:
            self._read_last_line()

    def _read_lines(self, now: tuple[int, int, int]) -> None:
        _, size, inode = now
        if size < self._offset or inode != self._inode:
            self._forget(inode)
        if size == self._offset:
            return
        path = self.folder / metric_files.METRICS_LINES
        begin = max(self._offset, size - MOST_READ)
        if begin and not self._offset:
            self._read_line(_bytes_from(path, 0).partition(b"\n")[0])
        data = _bytes_from(path, begin)
        complete = data[: data.rfind(b"\n") + 1]
        if begin > self._offset:
            complete = complete[complete.find(b"\n") + 1 :]  # without a line's second half
        self._offset = begin + data.rfind(b"\n") + 1
        for line in spread(complete.splitlines(), MOST_PARSED):
            self._read_line(line)

    def _read_line(self, line: bytes) -> None:
        try:
            value = reading.loads(line)
        except ValueError:
            return  # torn, or written by another tool
        if not isinstance(value, dict):
            return
        self.step = value.get("step", value.get("epoch", self.step))
        scores = {k: v for k, v in metric_files.numbers_in(value) if k not in _NO_METRICS}
        if scores:
            self._keep(scores)

    def _keep(self, scores: Mapping[str, float]) -> None:
        self._latest = scores
        if self._count % self._every == 0:
            self._kept.append(scores)
        self._count += 1
        if len(self._kept) >= MOST_KEPT:
            del self._kept[1::2]
            self._every *= 2

    def _read_scores(self) -> None:
        scores = experiment.scores(self.folder)
        latest = scores.last or scores.best
        if latest and dict(latest) != dict(self._latest):
            self._keep(dict(latest))

    def _read_last_line(self) -> None:
        path = self.folder / "console.log"
        now = stamp(path)
        if now is not None and now != self._console:
            self._console = now
            self.last_line = error_lines.last_printed(reading.tail(path, 4096)) or ""

    def value(self, name: str) -> float | None:
        return metric_files.validation_value(self._latest, name)

    def names(self) -> list[str]:
        return sorted(self._latest, key=lambda name: name.startswith("train"))

    def curve(self, name: str) -> tuple[float, ...]:
        """Return a metric's values so far, evenly spread over the steps, and the latest."""
        if self._curve[0] != (name, self._count):
            values = [metric_files.validation_value(scores, name) for scores in self._kept]
            if self._kept and self._kept[-1] is not self._latest:
                values.append(self.value(name))
            known = tuple(value for value in values if value is not None)
            self._curve = ((name, self._count), known)
        return self._curve[1]


class ExperimentMonitor:
    def __init__(
        self, folder: Path, *, lines: int = 5, now: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._line_count = lines
        self._now = now
        self._training = LiveTraining(folder)
        self._values = _values(folder)
        self._status = experiment.Status(attempts.PENDING)
        self._observer = heartbeat.Observer()
        self._lines: tuple[tuple[Path, Stamp] | None, tuple[str, ...]] = (None, ())
        self._events: list[Event] = []
        self._first = True
        self._seen = Seen()
        self._snapshot: ExperimentSnapshot | None = None

    def update(self) -> ExperimentSnapshot:
        changed = self._seen.changed(stamp(self.folder))
        if self._snapshot is None or changed or not self._snapshot.is_over:
            self._snapshot = self._read()
        return self._snapshot

    def _read(self) -> ExperimentSnapshot:
        before = self._status
        self._status = experiment.status(self.folder, observer=self._observer)
        if before.attempt != self._status.attempt:
            self._training, self._values = LiveTraining(self.folder), _values(self.folder)
        step = self._training.step
        self._training.update()
        self._note_events(before, step)
        began = unix_time(self._status.started)
        since = None if began is None else max(0.0, self._now() - began) + self._status.before
        running = self._status.state == attempts.RUNNING and since is not None
        return ExperimentSnapshot(
            self.folder,
            self._status,
            step=self._training.step,
            age=since if running else self._status.duration,
            metrics=tuple(
                (name, value, self._training.curve(name))
                for name in self._training.names()
                if (value := self._training.value(name)) is not None
            ),
            lines=self._last_lines(),
            values=self._values,
            problem=disks.unrecorded_end(self.folder) if running else None,
        )

    def take_events(self) -> list[Event]:
        """Return what happened since the last call; a new step is an event too."""
        events, self._events = self._events, []
        return events

    def _note_events(self, before: experiment.Status, step: object) -> None:
        now, name = self._status, self.folder.name
        first, self._first = self._first, False
        if first:
            return
        if now.attempt != before.attempt:
            self._events.append(Event(name, attempts.RUNNING))
        if self._training.step not in (None, step):
            self._events.append(Event(name, "step", self._step_text()))
        if now.state != before.state and now.state not in {attempts.RUNNING, attempts.PENDING}:
            scores = experiment.scores(self.folder).validation
            self._events.append(Event(name, now.state, result_text(now, scores, None)))

    def _step_text(self) -> str:
        values = ((name, self._training.value(name)) for name in self._training.names())
        words = [f"{name} {value:.6g}" for name, value in values if value is not None]
        return "  ".join([str(self._training.step), *words])

    def _last_lines(self) -> tuple[str, ...]:
        path = next((path for path in self._logs() if path.is_file()), None)
        if path is None:
            return ()
        key = (path, stamp(path))
        if key != self._lines[0]:
            self._lines = (key, _lines_at_end(reading.tail(path, 8192), self._line_count))
        return self._lines[1]

    def _logs(self) -> Iterator[Path]:
        yield from (self.folder / name for name in ("console.log", "train.log"))
        yield from sorted(self.folder.glob("*.log"))


def progress_of(folder: Path) -> str:
    """Return a training run's latest step and metrics, else the last line that it printed."""
    line = experiment.last_step(folder)
    if line:
        numbers = {
            name: value
            for name, value in line.items()
            if name not in {"step", "time"} and isinstance(value, (int, float))
        }
        names = sorted(numbers, key=lambda name: name.startswith("train"))  # those come last
        shown = [f"{name} {numbers[name]:.4g}" for name in names[:3]]
        return "  ".join([f"step {line.get('step', '?')}", *shown])
    return (error_lines.last_printed(reading.tail(folder / "console.log", 4096)) or "")[:60]


def _values(folder: Path) -> dict[str, Any]:
    with suppress(ParamsError):
        file = experiment.params_file(folder)
        return plain_values.flatten(plain_values.load_file(file)) if file else {}
    return {}


def _lines_at_end(data: bytes, count: int) -> tuple[str, ...]:
    text = data.decode("utf-8", "replace")
    lines = [COLOR.sub("", line).rstrip("\r\n") for line in rendered(text)]
    return tuple([line for line in lines if line.strip()][-count:])


def _bytes_from(path: Path, begin: int) -> bytes:
    with suppress(OSError), reading.open_stream(path) as file:
        file.seek(begin)
        return file.read(MOST_READ)
    return b""
