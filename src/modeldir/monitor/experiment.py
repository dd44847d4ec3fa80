"""One experiment, looked at again and again: its steps, its metrics, what it prints.

It reads files alone, and of them what is new. It refuses to write and to draw.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat
from modeldir._system.stamps import Seen, Stamp, stamp
from modeldir._system.timestamps import unix_time
from modeldir.errors import ParamsError
from modeldir.experiment import attempts, experiment
from modeldir.logs.screen import COLOR, rendered
from modeldir.monitor.status import Alone, News, ended_words
from modeldir.monitor.training import Training
from modeldir.params import plain_values


class Solo:
    """One experiment, looked at again and again."""

    def __init__(
        self, folder: Path, *, lines: int = 5, now: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._lines = lines
        self._now = now
        self._training = Training(folder)
        self._values = _values(folder)
        self._status = experiment.Status(attempts.WAITING)
        self._observer = heartbeat.Observer()
        self._printed: tuple[tuple[Path, Stamp] | None, tuple[str, ...]] = (None, ())
        self._news: list[News] = []
        self._first = True
        self._seen = Seen()
        self._alone: Alone | None = None

    def look(self) -> Alone:
        """Read what has changed since the last look."""
        changed = self._seen.changed(stamp(self.folder))
        if self._alone is None or changed or not self._alone.is_over:
            self._alone = self._read()
        return self._alone

    def _read(self) -> Alone:
        before = self._status
        self._status = experiment.status(self.folder, observer=self._observer)
        if before.attempt != self._status.attempt:
            self._training, self._values = Training(self.folder), _values(self.folder)
        step = self._training.step
        self._training.look()
        self._tell(before, step)
        began = unix_time(self._status.started)
        since = None if began is None else max(0.0, self._now() - began) + self._status.before
        running = self._status.state == attempts.RUNNING and since is not None
        return Alone(
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

    def take_news(self) -> list[News]:
        """As `Overview.take_news`; a step that it has reached is news too."""
        news, self._news = self._news, []
        return news

    def _tell(self, before: experiment.Status, step: object) -> None:
        now, name = self._status, self.folder.name
        first, self._first = self._first, False
        if first:
            return
        if now.attempt != before.attempt:
            self._news.append(News(name, attempts.RUNNING))
        if self._training.step not in (None, step):
            self._news.append(News(name, "step", self._step_words()))
        if now.state != before.state and now.state not in {attempts.RUNNING, attempts.WAITING}:
            scores = experiment.scores(self.folder).development
            self._news.append(News(name, now.state, ended_words(now, scores, None)))

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
