"""One experiment, looked at again and again: its steps, its metrics, what it prints.

It reads files alone, and of them what is new. It refuses to write and to draw.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat
from modeldir._system.stamps import Seen, Stamp, stamp
from modeldir._system.timestamps import unix_time
from modeldir.errors import ParamsError
from modeldir.experiment import attempts, experiment, failures
from modeldir.logs.screen import COLOR, rendered
from modeldir.metrics import metrics
from modeldir.monitor.status import Event, ExperimentSnapshot, result_text
from modeldir.params import plain_values


class ExperimentMonitor:
    """One experiment, looked at again and again."""

    def __init__(
        self, folder: Path, *, lines: int = 5, now: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._lines = lines
        self._now = now
        self._training = LiveTraining(folder)
        self._values = _values(folder)
        self._status = experiment.Status(attempts.WAITING)
        self._observer = heartbeat.Observer()
        self._printed: tuple[tuple[Path, Stamp] | None, tuple[str, ...]] = (None, ())
        self._news: list[Event] = []
        self._first = True
        self._seen = Seen()
        self._alone: ExperimentSnapshot | None = None

    def look(self) -> ExperimentSnapshot:
        """Read what has changed since the last look."""
        changed = self._seen.changed(stamp(self.folder))
        if self._alone is None or changed or not self._alone.is_over:
            self._alone = self._read()
        return self._alone

    def _read(self) -> ExperimentSnapshot:
        before = self._status
        self._status = experiment.status(self.folder, observer=self._observer)
        if before.attempt != self._status.attempt:
            self._training, self._values = LiveTraining(self.folder), _values(self.folder)
        step = self._training.step
        self._training.look()
        self._tell(before, step)
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
        )

    def take_events(self) -> list[Event]:
        """As `Overview.take_news`; a step that it has reached is news too."""
        news, self._news = self._news, []
        return news

    def _tell(self, before: experiment.Status, step: object) -> None:
        now, name = self._status, self.folder.name
        first, self._first = self._first, False
        if first:
            return
        if now.attempt != before.attempt:
            self._news.append(Event(name, attempts.RUNNING))
        if self._training.step not in (None, step):
            self._news.append(Event(name, "step", self._step_words()))
        if now.state != before.state and now.state not in {attempts.RUNNING, attempts.WAITING}:
            scores = experiment.scores(self.folder).development
            self._news.append(Event(name, now.state, result_text(now, scores, None)))

    def _step_words(self) -> str:
        values = ((name, self._training.value(name)) for name in self._training.names())
        told = [f"{name} {value:.6g}" for name, value in values if value is not None]
        return "  ".join([str(self._training.step), *told])

    def _last_lines(self) -> tuple[str, ...]:
        path = next((p for p in self._logs() if p.is_file()), None)
        if path is None:
            return ()
        key = (path, stamp(path))
        if key != self._printed[0]:
            self._printed = (key, _printed(files.tail(path, 8192), self._lines))
        return self._printed[1]

    def _logs(self) -> Iterator[Path]:
        yield from (self.folder / name for name in ("console.log", "train.log"))
        yield from sorted(self.folder.glob("*.log"))


def _values(folder: Path) -> dict[str, Any]:
    """The hyperparameters by dotted name; none where they cannot be read: it is looked at only."""
    with contextlib.suppress(ParamsError):
        file = experiment.params_file(folder)
        return plain_values.flatten(plain_values.load_file(file)) if file else {}
    return {}


def _printed(data: bytes, most: int) -> tuple[str, ...]:
    """The last lines of an output as a terminal would have left them, without colours."""
    text = data.decode("utf-8", "replace")
    lines = [COLOR.sub("", line).rstrip("\r\n") for line in rendered(text)]
    return tuple([line for line in lines if line.strip()][-most:])


MOST_KEPT = 128
"""Steps of a running training that are kept for its curve; of more, every second is let go."""


MOST_READ = 1 << 18
"""Bytes of new metrics that are read at one look: of more, the last; of a file's first, also the
line with which its curve begins.
"""


MOST_PARSED = 200
"""Lines of them that are parsed at one look, evenly spread, the first and the last among them."""


_NO_METRICS = frozenset({"step", "time", "epoch"})


class MetricFiles:
    """The metric files in a folder, and whether one of them was written.

    Who replaces a file changes the folder; who opens it for writing (CS230's `save_dict_to_json`)
    changes the file alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: tuple[str, ...] = ()
        self._listed, self._written = Seen(), Seen()

    def changed(self) -> bool:
        """Whether to read them: as long as none was written, a `stat` of each and of the folder."""
        if self._listed.changed(stamp(self._folder)):
            with suppress(OSError):
                self._names = tuple(filter(metrics.classify, os.listdir(self._folder)))
        return self._written.changed([stamp(self._folder / name) for name in self._names])


class LiveTraining:
    """What a running training tells: its steps in `metrics.jsonl`, else its metric files, else the
    last line that it printed. Each call of `look` reads what is new.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says = ""
        self._files = MetricFiles(folder)
        self._console: Stamp = None
        self._start(0)

    def _start(self, inode: int) -> None:
        """Nothing is known of the file of metrics that is there now."""
        self.step: object = None
        self._inode = inode
        self._offset = 0
        self._lines: list[Mapping[str, float]] = []  # of some steps, evenly spread
        self._every = 1
        self._count = 0
        self._latest: Mapping[str, float] = {}
        self._curve: tuple[tuple[str, int], tuple[float, ...]] = (("", 0), ())

    def look(self) -> None:
        """Read what is new."""
        now = stamp(self.folder / metrics.METRICS_LINES)
        if now is not None:
            self._grow(now)
        elif self._inode:  # moved aside: a new attempt starts afresh
            self._start(0)
        elif self._files.changed():
            self._read_scores()
        if not self._latest:
            self._listen()

    def _grow(self, now: tuple[int, int, int]) -> None:
        _, size, inode = now
        if size < self._offset or inode != self._inode:
            self._start(inode)
        if size == self._offset:
            return
        begin = max(self._offset, size - MOST_READ)
        if begin and not self._offset:
            self._take(_piece(self.folder / metrics.METRICS_LINES, 0).partition(b"\n")[0])
        data = _piece(self.folder / metrics.METRICS_LINES, begin)
        whole = data[: data.rfind(b"\n") + 1]
        if begin > self._offset:
            whole = whole[whole.find(b"\n") + 1 :]  # what we came into the middle of
        self._offset = begin + data.rfind(b"\n") + 1
        for line in _spread(whole.splitlines(), MOST_PARSED):
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return  # torn, or not ours
        if not isinstance(value, dict):
            return
        self.step = value.get("step", value.get("epoch", self.step))
        found = {k: v for k, v in metrics.numbers_in(value) if k not in _NO_METRICS}
        if found:
            self._keep(found)

    def _keep(self, found: Mapping[str, float]) -> None:
        self._latest = found
        if self._count % self._every == 0:
            self._lines.append(found)
        self._count += 1
        if len(self._lines) >= MOST_KEPT:
            del self._lines[1::2]
            self._every *= 2

    def _read_scores(self) -> None:
        """What a script that writes only metric files has reached by now."""
        scores = experiment.scores(self.folder)
        found = scores.last or scores.best
        if found and dict(found) != dict(self._latest):
            self._keep(dict(found))

    def _listen(self) -> None:
        path = self.folder / "console.log"
        now = stamp(path)
        if now is not None and now != self._console:
            self._console = now
            self.says = failures.last_printed(files.tail(path, 4096)) or ""

    def value(self, name: str) -> float | None:
        """The latest value of a development metric."""
        return metrics.validation_value(self._latest, name)

    def names(self) -> list[str]:
        """The metrics of the latest step, those of training last."""
        return sorted(self._latest, key=lambda name: name.startswith("train"))

    def curve(self, name: str) -> tuple[float, ...]:
        """A metric's values so far, evenly spread over the steps, and the latest."""
        if self._curve[0] != (name, self._count):
            self._curve = ((name, self._count), self._drawn(name))
        return self._curve[1]

    def _drawn(self, name: str) -> tuple[float, ...]:
        values = [metrics.validation_value(line, name) for line in self._lines]
        if self._lines and self._lines[-1] is not self._latest:
            values.append(self.value(name))
        return tuple(value for value in values if value is not None)


def _piece(path: Path, begin: int) -> bytes:
    with suppress(OSError), open(path, "rb") as file:
        file.seek(begin)
        return file.read(MOST_READ)
    return b""


def _spread(lines: Sequence[bytes], most: int) -> Iterable[bytes]:
    """At most so many lines, evenly spread, with the first and the last."""
    if len(lines) <= most:
        return lines
    return (lines[index * (len(lines) - 1) // (most - 1)] for index in range(most))


def progress_of(folder: Path) -> str:
    """Where a running training is: its latest step and metrics, else the last line it printed."""
    line = experiment.last_step(folder)
    if line:
        numbers = {
            name: value
            for name, value in line.items()
            if name not in {"step", "time"} and isinstance(value, (int, float))
        }
        # What is ranked by is the development split's; training's own numbers come after it.
        names = sorted(numbers, key=lambda name: name.startswith("train"))
        shown = [f"{name} {numbers[name]:.4g}" for name in names[:3]]
        return "  ".join([f"step {line.get('step', '?')}", *shown])
    return (failures.last_printed(files.tail(folder / "console.log", 4096)) or "")[:60]
