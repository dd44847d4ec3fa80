"""Look at a search while it is killed, and compare what modeldir says with the trainings' journal.

A `Poller` asks for statuses and tables again and again, in a thread of its own. The journal says
what really ran: each training writes a line when it starts and one when it comes to its end.
`chaos.py` makes it; what must hold afterwards: `chaos_audit.py`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import modeldir
from chaos_audit import GOOD, Findings, Ledger, trial_folders
from modeldir._system import reading
from modeldir.experiment import attempts, experiment

_PAUSE = 0.2
"""Seconds between two looks."""
_LOOKS_A_TABLE = 5
WRONG_WHILE_IT_RAN = "wrong while it ran"


class Poller:
    """Looks at one search. `quiet` is held by whoever damages files, so that nobody looks then."""

    def __init__(self, search: Path, journal: Path, ledger: Ledger) -> None:
        self.search, self.journal, self.ledger = search, journal, ledger
        self.quiet = threading.Lock()
        self.found = Findings()
        self._completed: set[str] = set()

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Look until the body ends."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(_PAUSE):
                with self.quiet:
                    self.look()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def look(self) -> None:
        """Read the status of each trial once, and now and then the table."""
        self.found.counts["looks while it ran"] += 1
        for folder in trial_folders(self.search):
            self._status(folder)
        if self.found.counts["looks while it ran"] % _LOOKS_A_TABLE == 0:
            self._table()

    def _status(self, folder: Path) -> None:
        """A completed trial has come to its end, and stays completed; nothing runs in another that
        is called interrupted.
        """
        status = experiment.status(folder)
        self.found.counts["statuses read"] += 1
        if folder.name in self.ledger.may_repeat:
            return
        token = attempts.read(folder, status.attempt).record.get("token")
        if status.state == attempts.COMPLETED:
            self._completed.add(folder.name)
            if not any(line["what"] == "end" and line["token"] == token for line in self._lines()):
                self._wrong(folder, "completed without an end in the journal")
        elif folder.name in self._completed:
            self._wrong(folder, f"it was completed, and is {status.state}")
        elif status.state == attempts.INTERRUPTED and self._lives(token):
            again = experiment.status(folder)
            if (again.state, again.attempt) == (status.state, status.attempt):
                self._wrong(folder, "interrupted, and its training runs")

    def _lives(self, token: object) -> bool:
        """Whether the training of this attempt lives."""
        starts = (line for line in self._lines() if line["what"] == "start")
        pids = [int(str(line["pid"])) for line in starts if line["token"] == token]
        mark = f"{attempts.RUN_VARIABLE}={token}:".encode()
        return any(mark in _environment(pid) for pid in pids)

    def _table(self) -> None:
        """A completed row of the table has its metric."""
        self.found.counts["tables read"] += 1
        table = modeldir.synthesize(self.search, write=False).table
        names = [column.name for column in table.columns]
        for row in table.rows:
            values = dict(zip(names, row, strict=True))
            name = str(values["experiment"])
            is_good = values.get("kind") in GOOD and name not in self.ledger.metrics
            has_none = values.get("accuracy") is None
            if values.get("status") == attempts.COMPLETED and is_good and has_none:
                self._wrong(self.search / name, "a completed row without its metric")

    def _lines(self) -> list[dict[str, object]]:
        return reading.read_lines(self.journal)

    def _wrong(self, folder: Path, problem: str) -> None:
        self.found.counts[WRONG_WHILE_IT_RAN] += 1
        self.found.problems.append(f"{WRONG_WHILE_IT_RAN}: {folder.name}: {problem}")


def _environment(pid: int) -> bytes:
    """Return the environment of a process; nothing if it is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""
