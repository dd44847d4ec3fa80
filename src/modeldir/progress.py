"""How a running search is told: plain lines for a pipe, a live view for a terminal.

It knows a stream and what a line says. It refuses to know how trials are run: a worker calls it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from modeldir import experiment, failures, files
from modeldir.table import duration_text

_COLOURS = {"completed": "green", "pruned": "yellow", "failed": "red", "interrupted": "yellow"}


@dataclass(frozen=True)
class Shown:
    """A trial as it is shown: its name, its folder, and when it began (monotonic seconds)."""

    name: str
    folder: Path
    began: float


class Progress(Protocol):
    """What a worker tells of. `interval` is the seconds between two calls of `tick`, or None."""

    interval: float | None

    def message(self, text: str) -> None:
        """Something that the user should read."""

    def started(self, trial: Shown) -> None:
        """A trial's command is running."""

    def ended(self, trial: Shown, status: str, words: str) -> None:
        """A trial has ended; `words` say how it went."""

    def tick(self, running: Sequence[Shown]) -> None:
        """Time has passed."""

    def close(self) -> None:
        """Nothing more will be told."""


def shown_on(stream: IO[str] | None) -> Progress:
    """The right way to tell on a stream: live in a terminal, else plain lines."""
    if stream is None:
        return Quiet()
    live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Live(stream) if live else Plain(stream)


def quietly() -> Progress:
    """A progress that tells nothing."""
    return Quiet()


class Quiet:
    """Tells nothing."""

    interval: float | None = None

    def message(self, text: str) -> None: ...
    def started(self, trial: Shown) -> None: ...
    def ended(self, trial: Shown, status: str, words: str) -> None: ...
    def tick(self, running: Sequence[Shown]) -> None: ...
    def close(self) -> None: ...


class Plain:
    """One line an event, the same in a pipe, a file and a job's output."""

    interval: float | None = None

    def __init__(self, stream: IO[str]) -> None:
        self._stream: IO[str] | None = stream

    def message(self, text: str) -> None:
        self._write(text)

    def started(self, trial: Shown) -> None:
        self._write(f"started      {trial.name}")

    def ended(self, trial: Shown, status: str, words: str) -> None:
        self._write(f"{status:<12} {trial.name}  {words}")

    def tick(self, running: Sequence[Shown]) -> None: ...

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


class Live:
    """A line for each running trial that changes in place; ended ones scroll up above them."""

    interval: float | None = 0.25

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._live: Any = None

    def _view(self) -> Any:
        if self._live is None:
            from rich.console import Console  # noqa: PLC0415 - only in a terminal
            from rich.live import Live as RichLive  # noqa: PLC0415

            console = Console(file=self._stream, highlight=False)
            self._live = RichLive(console=console, auto_refresh=False, transient=True)
            self._live.start()
        return self._live

    def message(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        self._view().console.print(Text(text), soft_wrap=True)

    def started(self, trial: Shown) -> None:  # noqa: ARG002 - the next tick shows it
        self._view()

    def ended(self, trial: Shown, status: str, words: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        line = Text(f"{status:<12}", style=_COLOURS.get(status, ""))
        self._view().console.print(line.append(f" {trial.name}  {words}", style=""), soft_wrap=True)

    def tick(self, running: Sequence[Shown]) -> None:
        from rich.table import Table  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2))
        for _ in range(3):
            grid.add_column(no_wrap=True, overflow="ellipsis")
        for trial in running:
            age = duration_text(time.monotonic() - trial.began)
            grid.add_row(f"  {trial.name}", how_far(trial.folder), age)
        self._view().update(grid, refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def how_far(folder: Path) -> str:
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
