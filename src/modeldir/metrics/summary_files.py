"""The files of the last and of the best metrics, each replaced as a whole.

It knows the two files, and how often they are worth being replaced. It refuses to know which
metrics are the best.

To replace a file takes a hundred times what a line in `metrics.jsonl` does. Who logs once an epoch
never notices; who logs the loss of each step would spend the training on files that are replaced
again before anybody has read them. So they are replaced at once `BURST` times in a row, and 20
times a second for ever; beyond that a thread does it every `PAUSE` seconds until nothing is due.
`flush` waits for nothing: it is called wherever somebody may count on the files, and at the end of
a process that had something due, whether or not it has said that its training is over.
"""

from __future__ import annotations

import atexit
import os
import time
from _thread import allocate_lock  # as threading's, which most trainings need not load yet
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from modeldir.errors import MetricsError
from modeldir.metrics import metrics

PAUSE = 0.05
"""Seconds by which the files may be behind, where metrics come faster than they are replaced."""
BURST = 20

Scores: TypeAlias = Mapping[str, float]


class ScoreFiles:
    """The two files in a folder. For one thread of the training; the other one is its own."""

    def __init__(self, folder: Path) -> None:
        self._last = _ScoreFile(folder / metrics.EVAL_LAST)
        self._best = _ScoreFile(folder / metrics.EVAL_BEST)
        self._credit, self._since = float(BURST), time.monotonic()
        self._error: MetricsError | None = None
        self._is_flushed_at_end = False
        self._begin()

    def _begin(self) -> None:
        self._pid, self._lock = os.getpid(), allocate_lock()
        self._is_helped = False

    def put(self, development: Scores, *, best: bool) -> None:
        """These are the last metrics now, and perhaps the best.

        Raises:
            MetricsError: when a file cannot be written, now or since this was last called.
        """
        if self._pid != os.getpid():
            self._start_over()
        # Before looking for the helper, which looks here once more before it leaves.
        self._last.due = development
        if best:
            self._best.due = development
        if not self._is_helped:
            self._write_or_get_help()

    def flush(self) -> None:
        """Write what is due. A file that somebody else has written meanwhile is left as it is.

        Raises:
            MetricsError: when it cannot be written.
        """
        if self._pid != os.getpid():
            self._start_over()
        with self._lock:
            self._write_late()

    def _start_over(self) -> None:
        """In a forked child: the helper is not here, and what is due is its parent's to write."""
        self._begin()
        for file in (self._last, self._best):
            file.written = file.due

    def _write_or_get_help(self) -> None:
        with self._lock:
            if self._is_helped:
                return
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            now = time.monotonic()
            self._credit = min(BURST, self._credit + (now - self._since) / PAUSE)
            self._since = now
            if self._credit >= 1:
                self._credit -= 1
                self._last.write()
                self._best.write()
                return
            self._last.note()
            self._best.note()
            self._get_help()

    def _get_help(self) -> None:
        from threading import Thread  # noqa: PLC0415 - as above

        self._flush_at_end()
        self._is_helped = True
        try:
            # A daemon: a training that ends without a word (no `with`) must not wait for it.
            Thread(target=self._help, name="modeldir-metrics", daemon=True).start()
        except RuntimeError:  # none is to be had: they are limited, or the interpreter ends
            self._is_helped = False
            self._last.write()
            self._best.write()

    def _flush_at_end(self) -> None:
        """Have the process flush at its end, once; it keeps no more of us than a weak reference."""
        if not self._is_flushed_at_end:
            from weakref import ref  # noqa: PLC0415 - as above

            self._is_flushed_at_end = True
            atexit.register(_flush, ref(self))

    def _help(self) -> None:
        while True:
            time.sleep(PAUSE)
            with self._lock:
                if not self._is_due():
                    self._is_helped = False
                    if not self._is_due():  # else `put` has not seen the line above
                        return
                    self._is_helped = True
                try:
                    self._write_late()
                except MetricsError as error:
                    self._error, self._is_helped = error, False  # for `put` to raise
                    return

    def _is_due(self) -> bool:
        return self._last.is_due() or self._best.is_due()

    def _write_late(self) -> None:
        self._last.write_late()
        self._best.write_late()


def _flush(scores: Callable[[], ScoreFiles | None]) -> None:
    there = scores()
    if there is not None:
        there.flush()


class _ScoreFile:
    """One of them: what is due, and what was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, int] | None = None
        self.due: Scores | None = None
        self.written: Scores | None = None

    def is_due(self) -> bool:
        return self.due is not self.written

    def write(self) -> None:
        due = self.due
        if due is not None and due is not self.written:
            metrics.save_metrics(due, self._path)
            self.written, self._state = due, None  # what was noted was another file

    def note(self) -> None:
        """Note who has written the file up to now."""
        try:
            there = os.stat(self._path)
        except OSError:
            self._state = None
        else:
            self._state = there.st_ino, there.st_mtime_ns

    def write_late(self) -> None:
        """Write, unless the file is somebody else's by now: a script may have its own last word."""
        before = self._state
        if self.is_due() and before is not None:
            self.note()
            if self._state != before:
                self.written = self.due
                return
        self.write()
        if before is not None:
            self.note()
