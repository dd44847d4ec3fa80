"""Print the progress of a search: plain lines in a pipe, a live view in a terminal.

A worker and `commands/watch.py` get one from `shown_on`; a worker only reports what starts and
ends. A stream that cannot be written must not end a search. The last lines: `summary.py`.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from modeldir._system.escaping import visible
from modeldir._system.text import folded, text_width
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts, trial_labels

if TYPE_CHECKING:
    from modeldir.monitor.live_lines import Layout
    from modeldir.monitor.live_screen import Canvas, Size
    from modeldir.monitor.search import SearchMonitor
    from modeldir.monitor.snapshots import RunningTrial, SearchSnapshot, Snapshot

_GREEN, _YELLOW, _RED = "32", "33", "31"
_COLORS = {"completed": _GREEN, "pruned": _YELLOW, "failed": _RED, "interrupted": _YELLOW}
_READ_EVERY = 0.5
"""The least seconds between two readings of the folder."""


@dataclass(frozen=True)
class ShownTrial:
    name: str
    folder: Path
    began: float
    number: int | None = None

    @property
    def name_beside(self) -> str:
        """Return the name to print after the number."""
        return visible(trial_labels.name_beside(self.number, self.name))


class Progress(Protocol):
    """Receiver of the events that a worker reports; `tick` is called every `interval` seconds."""

    interval: float | None
    widest: int
    """The width to which names are aligned; it grows with the names."""

    def message(self, text: str) -> None:
        """Print something that the user should read."""

    def started(self, trial: ShownTrial) -> None:
        """Report that a trial's command has started."""

    def ended(self, trial: ShownTrial, status: str, words: str) -> None:
        """Report that a trial has ended; `words` say the result."""

    def tick(self, running: Sequence[ShownTrial]) -> None:
        """Update the view, given the worker's running trials."""

    def close(self) -> None:
        """Clear the view: there will be no more events."""


class View(Progress, Protocol):
    def stepped(self, trial: ShownTrial, words: str) -> None:
        """Report that an experiment has reached a step; `words` are its number and metrics."""

    def view(self, snapshots: Sequence[Snapshot]) -> None:
        """Show how the searches and experiments stand now."""


def shown_on(stream: IO[str] | None) -> View:
    """Return the progress for a stream: a live view in a terminal, else plain lines."""
    if stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return LiveProgress(stream)
    return PlainProgress(stream)


class PlainProgress:
    """One line for each event, the same in a pipe, a file and a job's output; None: no line."""

    interval: float | None = None

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self.widest = 0

    def message(self, text: str) -> None:
        self._write("\n".join(map(visible, text.split("\n"))))

    def started(self, trial: ShownTrial) -> None:
        self.widest = max(self.widest, text_width(trial.name_beside))
        self._write(event_line(trial, "started"))

    def ended(self, trial: ShownTrial, status: str, words: str) -> None:
        self.widest = max(self.widest, text_width(trial.name_beside))
        self._write(event_line(trial, status, words, self.widest))

    def tick(self, running: Sequence[ShownTrial]) -> None: ...

    def stepped(self, trial: ShownTrial, words: str) -> None:
        self._write(event_line(trial, "step", words))

    def view(self, snapshots: Sequence[Snapshot]) -> None: ...

    def close(self) -> None: ...

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(_writable(text, self._stream) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
            if sys.stdout is not None:  # or the interpreter prints an error at exit
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until exit


def _writable(text: str, stream: IO[str]) -> str:
    """Replace characters that the stream's encoding does not have by escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def event_line(trial: ShownTrial, event: str, words: str = "", widest: int = 0) -> str:
    """Return the line about an event: what happened, the trial's number and name, the result.

    Results are aligned after the `widest` name so far.

    >>> event_line(ShownTrial("lr_0.1", Path("lr_0.1"), 0.0, 3), "completed", "accuracy 0.97", 8)
    'completed     3  lr_0.1    accuracy 0.97'
    >>> event_line(ShownTrial("trial_0012", Path("trial_0012"), 0.0, 12), "started")
    'started      12'
    """
    name = trial.name_beside
    width = max(widest, text_width(name))
    named = f"{name}{' ' * (width - text_width(name))}  " if width else ""
    return f"{event_head(event, trial.number)}{named}{visible(words)}".rstrip()


def event_head(event: str, number: int | None) -> str:
    """Return the beginning of a line about an event, to the place where the name begins."""
    return f"{event:<12} " if number is None else f"{event:<11} {number:>3}  "


class LiveProgress:
    """A table of the running trials that is redrawn in place; ended trials scroll up above it."""

    interval: float | None = 1.0

    def __init__(
        self,
        stream: IO[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        size: Size | None = None,
    ) -> None:
        from modeldir.monitor.live_screen import Canvas  # noqa: PLC0415 - only in a terminal

        self._stream = stream
        self._canvas: Canvas = Canvas(stream, size=size)
        self._clock = clock
        self._monitor: SearchMonitor | None = None
        self._read_at: float | None = None
        self._snapshot: SearchSnapshot | None = None
        self._counted: frozenset[str] = frozenset()  # trials that the snapshot counts as running
        self._elsewhere = 0
        self._layouts: dict[Path, Layout] = {}
        self.widest = 0

    def message(self, text: str) -> None:
        self._canvas.above(self._written(text))

    def started(self, trial: ShownTrial) -> None: ...  # the next tick shows it

    def ended(self, trial: ShownTrial, status: str, words: str) -> None:
        from modeldir.monitor.live_lines import fitted_end_line  # noqa: PLC0415 - only in a terminal

        self._note_widths([trial.name_beside])
        head = event_head(status, trial.number)
        line = fitted_end_line(head, trial.name_beside, words, self._canvas.shape(), self.widest)
        self._canvas.above(line, color=_COLORS.get(status, ""), colored=len(status))
        if self._snapshot is not None:
            rows = [row for row in self._snapshot.running if row.name != trial.name]
            states = Counter(self._snapshot.states)
            if trial.name in self._counted:  # or the last reading has seen the end already
                self._counted -= {trial.name}
                states.subtract({attempts.RUNNING: 1, status: -1})
            self._snapshot = replace(self._snapshot, running=tuple(rows), states=states)
            self._draw()

    def tick(self, running: Sequence[ShownTrial]) -> None:
        now = self._clock()
        if not running or (self._read_at is not None and now - self._read_at < _READ_EVERY):
            return
        self._read_at = now
        snapshot = self._read(running[0].folder.parent)
        rows = {row.name: row for row in snapshot.running}
        self._counted = frozenset(rows)
        self._snapshot = replace(snapshot, running=tuple(self._row(rows, t, now) for t in running))
        self._elsewhere = max(0, snapshot.states.get(attempts.RUNNING, 0) - len(running))
        self._note_widths(row.name_beside for row in snapshot.running)
        self._draw()

    def stepped(self, trial: ShownTrial, words: str) -> None: ...  # the next view shows it

    def view(self, snapshots: Sequence[Snapshot]) -> None:
        from modeldir.monitor.live_lines import lines_of  # noqa: PLC0415 - only in a terminal

        running = (row for each in snapshots for row in getattr(each, "running", ()))
        self._note_widths(row.name_beside for row in running)
        self._canvas.draw(lines_of(snapshots, self._canvas.shape(), self._layouts))

    def close(self) -> None:
        self._canvas.close()

    def _read(self, folder: Path) -> SearchSnapshot:
        """Return how the search stands. A folder that cannot be read must not end a worker."""
        from modeldir.monitor.search import SearchMonitor  # noqa: PLC0415 - only in a terminal
        from modeldir.monitor.snapshots import SearchSnapshot  # noqa: PLC0415

        if self._monitor is None or self._monitor.folder != folder:
            self._monitor = SearchMonitor(folder)
        try:
            return self._monitor.update()
        except (OSError, ModeldirError):
            return self._snapshot or SearchSnapshot(folder)

    def _row(self, rows: dict[str, RunningTrial], trial: ShownTrial, now: float) -> RunningTrial:
        from modeldir.monitor.snapshots import RunningTrial  # noqa: PLC0415

        age = max(0.0, now - trial.began)
        known = rows.get(trial.name)
        if known is None and self._monitor is not None:
            known = self._monitor.started_trial(trial.name)
        if known is None:
            return RunningTrial(trial.name, age=age)
        return known if known.age is not None else replace(known, age=age)

    def _draw(self) -> None:
        from modeldir.monitor.live_lines import Layout, search_lines  # noqa: PLC0415

        if self._snapshot is not None:
            shape = self._canvas.shape()
            layout = self._layouts.setdefault(self._snapshot.folder, Layout())
            lines = search_lines(self._snapshot, shape, layout, elsewhere=self._elsewhere)
            self._canvas.draw(lines)

    def _note_widths(self, names: Iterable[str]) -> None:
        """Note the widest name so far: names of ended trials are aligned to it."""
        self.widest = max([self.widest, *(text_width(visible(name)) for name in names)])

    def _written(self, text: str) -> str:
        """Wrap a message between words and escape control characters, but no command to copy."""
        return _writable("\n".join(folded(text, self._canvas.shape().columns)), self._stream)
