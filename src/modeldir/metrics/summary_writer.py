"""The files of the last and of the best metrics; each is replaced in one step.

The rule: after `flush`, and after the process has ended, the files hold the latest metrics. To
replace one takes a hundred times as long as a line in `metrics.jsonl`. So they are replaced at
once `BURST` times in a row; beyond that, a thread does it every `PAUSE` seconds.
"""

from __future__ import annotations

import atexit
import os
import time
from _thread import allocate_lock  # like threading's, without loading it
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from modeldir.errors import MetricsError
from modeldir.metrics import metric_files

PAUSE = 0.05
"""Seconds by which the files may be behind, if metrics come faster than they are replaced."""
BURST = 20

Metrics: TypeAlias = Mapping[str, float]


class SummaryFiles:
    """The two files in a folder. Only one thread of the script may use it."""

    def __init__(self, folder: Path) -> None:
        self._last = _SummaryFile(folder / metric_files.EVAL_LAST)
        self._best = _SummaryFile(folder / metric_files.EVAL_BEST)
        self._credit, self._since = float(BURST), time.monotonic()
        self._error: MetricsError | None = None
        self._is_flushed_at_end = False
        self._begin()

    def _begin(self) -> None:
        self._pid, self._lock = os.getpid(), allocate_lock()
        self._has_thread = False

    def update(self, validation: Metrics, *, best: bool) -> None:
        """Set the last metrics and, if they are the best, the best; raise a late error, too."""
        if self._pid != os.getpid():
            self._start_over()
        # First, because the thread looks once more at what is due before it ends.
        self._last.due = validation
        if best:
            self._best.due = validation
        if not self._has_thread:
            self._write_or_start_thread()

    def flush(self) -> None:
        """Write what is due. A file that something else has written meanwhile stays as it is."""
        if self._pid != os.getpid():
            self._start_over()
        with self._lock:
            self._write_late()

    def _start_over(self) -> None:
        """Start again in a forked child: the parent has the thread and writes what is due."""
        self._begin()
        for file in (self._last, self._best):
            file.written = file.due

    def _write_or_start_thread(self) -> None:
        with self._lock:
            if self._has_thread:
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
            self._start_thread()

    def _start_thread(self) -> None:
        from threading import Thread  # noqa: PLC0415 - most training runs need none

        self._flush_at_end()
        self._has_thread = True
        try:
            # A daemon, so that a script that ends without `with` does not wait for it.
            Thread(target=self._write_regularly, name="modeldir-metrics", daemon=True).start()
        except RuntimeError:  # the number of threads is limited, or the interpreter ends
            self._has_thread = False
            self._last.write()
            self._best.write()

    def _flush_at_end(self) -> None:
        """Flush once at the end of the process, with only a weak reference to this object."""
        if not self._is_flushed_at_end:
            from weakref import ref  # noqa: PLC0415 - as for threading

            self._is_flushed_at_end = True
            atexit.register(_flush, ref(self))

    def _write_regularly(self) -> None:
        while True:
            time.sleep(PAUSE)
            with self._lock:
                if not self._is_due():
                    self._has_thread = False
                    if not self._is_due():  # else `update` has not seen the line above
                        return
                    self._has_thread = True
                try:
                    self._write_late()
                except MetricsError as error:
                    self._error, self._has_thread = error, False  # for `update` to raise
                    return

    def _is_due(self) -> bool:
        return self._last.is_due() or self._best.is_due()

    def _write_late(self) -> None:
        self._last.write_late()
        self._best.write_late()


def _flush(reference: Callable[[], SummaryFiles | None]) -> None:
    summary_files = reference()
    if summary_files is not None:
        summary_files.flush()


class _SummaryFile:
    """One of the two files: what is due, and what was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: tuple[int, int] | None = None  # inode and time of the file
        self.due: Metrics | None = None
        self.written: Metrics | None = None

    def is_due(self) -> bool:
        return self.due is not self.written

    def write(self) -> None:
        due = self.due
        if due is not None and due is not self.written:
            metric_files.save_metrics(due, self._path)
            self.written, self._noted = due, None  # the noted file was another one

    def note(self) -> None:
        try:
            status = os.stat(self._path)
        except OSError:
            self._noted = None
        else:
            self._noted = status.st_ino, status.st_mtime_ns

    def write_late(self) -> None:
        """Write, unless something else has written the file: a script may write it at its end."""
        before = self._noted
        if self.is_due() and before is not None:
            self.note()
            if self._noted != before:
                self.written = self.due
                return
        self.write()
        if before is not None:
            self.note()
