"""How a running search is told: plain lines for a pipe, a live view for a terminal.

It knows a stream and what a line says. It refuses to know how trials are run: a worker calls it,
and so does who only watches. The live view reads the search's folder itself (overview.py), lays it
out (frames.py) and draws it (canvas.py): that it shows more asks nothing of the worker.
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

from modeldir._system.text import folded, text_width, visible
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts

if TYPE_CHECKING:
    from modeldir.monitor.layout import Layout
    from modeldir.monitor.screen import Canvas, Size
    from modeldir.monitor.search import SearchMonitor
    from modeldir.monitor.status import ExperimentSnapshot, RunningTrial, SearchSnapshot

_GREEN, _YELLOW, _RED = "32", "33", "31"
_COLOURS = {"completed": _GREEN, "pruned": _YELLOW, "failed": _RED, "interrupted": _YELLOW}
_LOOK = 0.5
"""Seconds between two looks at the folder, however often something happens."""


@dataclass(frozen=True)
class ShownTrial:
    """A trial as it is shown: its name, its folder, and when it began (monotonic seconds)."""

    name: str
    folder: Path
    began: float


class Progress(Protocol):
    """What a worker tells of. `interval` is the seconds between two calls of `tick`, or None."""

    interval: float | None

    def message(self, text: str) -> None:
        """Something that the user should read."""

    def started(self, trial: ShownTrial) -> None:
        """A trial's command is running."""

    def ended(self, trial: ShownTrial, status: str, words: str) -> None:
        """A trial has ended; `words` say how it went."""

    def tick(self, running: Sequence[ShownTrial]) -> None:
        """Time has passed."""

    def close(self) -> None:
        """Nothing more will be told."""


class View(Progress, Protocol):
    """What also shows how searches and experiments stand that others run."""

    def stepped(self, trial: ShownTrial, words: str) -> None:
        """A lone experiment has come to another step; `words` are its number and metrics."""

    def view(self, stands: Sequence[SearchSnapshot | ExperimentSnapshot]) -> None:
        """This is how they stand now."""


def shown_on(stream: IO[str] | None) -> View:
    """The right way to tell on a stream: live in a terminal, else plain lines."""
    if stream is None:
        return NoProgress()
    live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return LiveProgress(stream) if live else PlainProgress(stream)


class NoProgress:
    """Tells nothing."""

    interval: float | None = None

    def message(self, text: str) -> None: ...
    def started(self, trial: ShownTrial) -> None: ...
    def ended(self, trial: ShownTrial, status: str, words: str) -> None: ...
    def tick(self, running: Sequence[ShownTrial]) -> None: ...
    def stepped(self, trial: ShownTrial, words: str) -> None: ...
    def view(self, stands: Sequence[SearchSnapshot | ExperimentSnapshot]) -> None: ...
    def close(self) -> None: ...


class PlainProgress:
    """One line an event, the same in a pipe, a file and a job's output."""

    interval: float | None = None

    def __init__(self, stream: IO[str]) -> None:
        self._stream: IO[str] | None = stream

    def message(self, text: str) -> None:
        self._write("\n".join(map(visible, text.split("\n"))))

    def started(self, trial: ShownTrial) -> None:
        self._write(visible(f"started      {trial.name}"))

    def ended(self, trial: ShownTrial, status: str, words: str) -> None:
        self._write(visible(end_line(trial.name, status, words)))

    def tick(self, running: Sequence[ShownTrial]) -> None: ...

    def stepped(self, trial: ShownTrial, words: str) -> None:
        self._write(visible(end_line(trial.name, "step", words)))

    def view(self, stands: Sequence[SearchSnapshot | ExperimentSnapshot]) -> None: ...

    def close(self) -> None: ...

    def _write(self, text: str) -> None:
        """A reader that went away (`| head`) must not end a search."""
        if self._stream is None:
            return
        try:
            self._stream.write(_writable(text, self._stream) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
            if sys.stdout is not None:  # else the interpreter would complain when it closes
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it lives as long as the process


def _writable(text: str, stream: IO[str]) -> str:
    """A text with what the stream's encoding has no form for spelled out: names may hold it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def end_line(name: str, status: str, words: str) -> str:
    """The line that tells of a trial's end: its status, its name, how it went.

    >>> ended_line("learning_rate_0.1", "completed", "accuracy 0.97  1m 02s")
    'completed    learning_rate_0.1  accuracy 0.97  1m 02s'
    """
    return f"{status:<12} {name}  {words}".rstrip()


class LiveProgress:
    """A table of the running trials that changes in place; ended ones scroll up above it."""

    interval: float | None = 1.0

    def __init__(
        self,
        stream: IO[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        size: Size | None = None,
    ) -> None:
        from modeldir.monitor.screen import Canvas  # noqa: PLC0415 - only in a terminal

        self._stream = stream
        self._canvas: Canvas = Canvas(stream, size=size)
        self._clock = clock
        self._overview: SearchMonitor | None = None
        self._looked: float | None = None
        self._standing: SearchSnapshot | None = None
        self._counted: frozenset[str] = frozenset()  # names that it counts as running
        self._elsewhere = 0
        self._layouts: dict[Path, Layout] = {}
        self._widest = 0

    def message(self, text: str) -> None:
        self._canvas.above(self._written(text))

    def started(self, trial: ShownTrial) -> None: ...  # the next tick shows it

    def ended(self, trial: ShownTrial, status: str, words: str) -> None:
        from modeldir.monitor.layout import fitted_end_line  # noqa: PLC0415 - only in a terminal

        self._note_widths([trial.name])
        line = fitted_end_line(trial.name, status, words, self._canvas.shape(), self._widest)
        self._canvas.above(line, colour=_COLOURS.get(status, ""), coloured=len(status))
        if self._standing is not None:
            rows = [row for row in self._standing.running if row.name != trial.name]
            states = Counter(self._standing.states)
            if trial.name in self._counted:  # else the last look has seen its end already
                self._counted -= {trial.name}
                states.subtract({attempts.RUNNING: 1, status: -1})
            self._standing = replace(self._standing, running=tuple(rows), states=states)
            self._draw()

    def tick(self, running: Sequence[ShownTrial]) -> None:
        now = self._clock()
        if not running or (self._looked is not None and now - self._looked < _LOOK):
            return
        self._looked = now
        standing = self._look(running[0].folder.parent)
        rows = {row.name: row for row in standing.running}
        self._counted = frozenset(rows)
        self._standing = replace(standing, running=tuple(self._row(rows, t, now) for t in running))
        self._elsewhere = max(0, standing.states.get(attempts.RUNNING, 0) - len(running))
        self._note_widths(row.name for row in standing.running)
        self._draw()

    def stepped(self, trial: ShownTrial, words: str) -> None: ...  # the next view shows it

    def view(self, stands: Sequence[SearchSnapshot | ExperimentSnapshot]) -> None:
        from modeldir.monitor.layout import lines_of  # noqa: PLC0415 - only in a terminal

        self._note_widths(row.name for each in stands for row in getattr(each, "running", ()))
        self._canvas.draw(lines_of(stands, self._canvas.shape(), self._layouts))

    def close(self) -> None:
        self._canvas.close()

    def _look(self, folder: Path) -> SearchSnapshot:
        """How the search stands. That its folder cannot be read must not end a worker."""
        from modeldir.monitor.search import SearchMonitor  # noqa: PLC0415 - only in a terminal
        from modeldir.monitor.status import SearchSnapshot  # noqa: PLC0415

        if self._overview is None or self._overview.folder != folder:
            self._overview = SearchMonitor(folder)
        try:
            return self._overview.look()
        except (OSError, ModeldirError):
            return self._standing or SearchSnapshot(folder)

    def _row(self, rows: dict[str, RunningTrial], trial: ShownTrial, now: float) -> RunningTrial:
        from modeldir.monitor.status import RunningTrial  # noqa: PLC0415

        age = max(0.0, now - trial.began)
        known = rows.get(trial.name)
        if known is None and self._overview is not None:
            known = self._overview.made(trial.name)
        if known is None:
            return RunningTrial(trial.name, age=age)
        return known if known.age is not None else replace(known, age=age)

    def _draw(self) -> None:
        from modeldir.monitor.layout import Layout, search_lines  # noqa: PLC0415

        if self._standing is not None:
            shape = self._canvas.shape()
            layout = self._layouts.setdefault(self._standing.folder, Layout())
            lines = search_lines(self._standing, shape, layout, elsewhere=self._elsewhere)
            self._canvas.draw(lines)

    def _note_widths(self, names: Iterable[str]) -> None:
        """Names that are to stand below each other get the width of the widest seen so far."""
        self._widest = max([self._widest, *(text_width(visible(name)) for name in names)])

    def _written(self, text: str) -> str:
        """Our text, with what a name in it would have the terminal do spelled out. Its lines end
        between words; a command stays one line, to be copied.
        """
        return _writable("\n".join(folded(text, self._canvas.shape().columns)), self._stream)
