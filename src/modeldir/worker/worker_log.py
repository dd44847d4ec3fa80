"""The messages of a worker: they go to the progress display, and with times to `search.log`.

A log that cannot be written never ends a search. The texts: `worker_messages.py`; how they look in
a terminal: `monitor/progress.py`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from modeldir._system import files, processes, reading
from modeldir._system.timestamps import utc_now
from modeldir.experiment import attempts
from modeldir.experiment.attempts import HOME
from modeldir.monitor import progress


class WorkerLog:
    """Shows each message to the user and appends it to `search.log`.

    While another worker has that open, the file has this worker's host and process id in its name.
    """

    def __init__(self, search: Path, show: progress.Progress) -> None:
        self._search, self._show = search, show
        self._descriptor: int | None = None

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
        self._show.message(text)
        self.note(text)

    def started(self, trial: progress.ShownTrial) -> None:
        self._show.started(trial)
        self.note(f"started {trial.name}")

    def ended(self, trial: progress.ShownTrial, status: str, words: str) -> None:
        self._show.ended(trial, status, words)
        self.note(f"{status} {trial.name}  {words}")

    def note(self, text: str) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # a full disk must not end a search
                line = f"{utc_now()} {text}\n"
                os.write(self._descriptor, line.encode(errors="replace"))


def noted_ends(search: Path) -> dict[str, str]:
    """Return when a worker last noted the end of each trial, by the trial's name."""
    noted: dict[str, str] = {}
    for path in (search / "search.log", *(search / HOME).glob("search.*.log")):
        for line in (reading.read_bytes(path) or b"").decode(errors="replace").splitlines():
            time, _, rest = line.partition(" ")
            state, _, words = rest.partition(" ")
            if state in attempts.ENDS:
                name = words.partition("  ")[0]
                noted[name] = max(time, noted.get(name, ""))
    return noted
