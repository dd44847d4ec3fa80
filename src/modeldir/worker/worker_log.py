"""The messages of a worker: they go to the progress display, and with times to `search.log`.

The log always has the work of the machinery (`detail`, `waiting`). Users see it with `--verbose`,
or once it makes them wait. A log that cannot be written never ends a search. The texts:
`worker_messages.py`; how they look in a terminal: `monitor/progress.py`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from modeldir._system import files, processes, reading
from modeldir._system.timestamps import utc_now
from modeldir.experiment import attempts
from modeldir.experiment.attempts import HOME
from modeldir.monitor import progress

LONG_WAIT = 3.0
"""Seconds after which a user wants to know why nothing happens."""


class WorkerLog:
    """Shows messages to the user and appends them to `search.log`.

    While another worker has that open, the file has this worker's host and process id in its name.

    Args:
        verbose: show what the machinery does, too.
    """

    def __init__(
        self,
        search: Path,
        show: progress.Progress,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._search, self._show = search, show
        self._is_verbose, self._clock = verbose, clock
        self._descriptor: int | None = None
        self._has_shown = False
        self._waits: dict[str, tuple[str, float]] = {}

    def open(self, jobs: int) -> None:
        host, pid = processes.host(), os.getpid()
        for name in ("search.log", f"{HOME}/search.{host}.{pid}.log"):
            with contextlib.suppress(OSError):
                log = files.open_append(self._search / name)
                if files.hold(log):
                    self._descriptor = log
                    self.note(f"worker {pid} on {host}, -j {jobs}")
                    return
                os.close(log)

    def close(self) -> None:
        self._show.close()
        if self._descriptor is not None:
            os.close(self._descriptor)

    def message(self, text: str) -> None:
        self._show_text(text)
        self.note(text)

    def detail(self, text: str) -> None:
        """Log what the machinery does; show it only with `--verbose`."""
        if self._is_verbose:
            self._show_text(text)
        self.note(text)

    def waiting(self, what: str, text: str) -> None:
        """Log why nothing happens; show it once `what` has lasted long (`show_long_waits`)."""
        if what in self._waits:
            return
        self._waits[what] = (text, self._clock())
        self.detail(text)

    def waited(self, what: str) -> None:
        """Note that a wait is over: if it was short, the user never hears of it."""
        self._waits.pop(what, None)

    def show_long_waits(self) -> None:
        now = self._clock()
        for what, (text, began) in self._waits.items():
            if text and now - began > LONG_WAIT:
                self._waits[what] = ("", began)
                if not self._is_verbose:
                    self._show_text(text)

    def result(self, lines: Iterable[str]) -> None:
        """Show how the search ended, below a blank line; the log has no blank lines."""
        shown = list(lines)
        self._show_text("\n".join(["", *shown] if self._has_shown else shown))
        for line in filter(None, shown):
            self.note(line)

    def started(self, trial: progress.ShownTrial) -> None:
        self._has_shown = True
        self._show.started(trial)
        self.note(f"started {_named(trial)}")

    def ended(
        self, trial: progress.ShownTrial, status: str, words: str, *, shown: str | None = None
    ) -> None:
        """Log how a trial ended; `shown` is a shorter text for the user."""
        self._has_shown = True
        self._show.ended(trial, status, words if shown is None else shown)
        self.note(f"{status} {_named(trial)}  {words}".rstrip())

    def _show_text(self, text: str) -> None:
        self._has_shown = True
        self._show.message(text)

    def note(self, text: str) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # a full disk must not end a search
                line = f"{utc_now()} {text}\n"
                os.write(self._descriptor, line.encode(errors="replace"))


def _named(trial: progress.ShownTrial) -> str:
    return "  ".join(filter(None, [str(trial.number), trial.name_beside]))


def noted_ends(search: Path) -> dict[int, str]:
    """Return when a worker last noted the end of each trial, by the trial's number."""
    noted: dict[int, str] = {}
    for path in (search / "search.log", *(search / HOME).glob("search.*.log")):
        for line in (reading.read_bytes(path) or b"").decode(errors="replace").splitlines():
            time, _, rest = line.partition(" ")
            state, _, words = rest.partition(" ")
            trial = words.partition("  ")[0]
            if state in attempts.ENDS and trial.isdecimal():
                number = int(trial)
                noted[number] = max(time, noted.get(number, ""))
    return noted
