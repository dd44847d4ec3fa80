"""The log of a supervised script, made out of its `console.log`.

Under a supervisor descriptors 1 and 2 are `console.log` itself, so that no pipe can break. A script
that calls `set_logger` there only says, in `events.jsonl`, which log it wants; the supervisor,
which waits anyway, writes it. Several scripts at once may ask, each for its own: each gets all that
is printed. This module knows those events and how far the console was read. It refuses to know what
those scripts are.

Lines get the time at which the console was last written to: exact for a line by itself, within a
look's distance for lines in quick succession.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Container, Mapping
from typing import Any

from modeldir._system import files, processes
from modeldir.logs.logfile import CLOSED, VANISHED, LogFile, end, head
from modeldir.logs.transcript import Transcript

_PIECE = 1 << 20
_SOON, _SELDOM, _UNASKED = 0.05, 0.5, 1.0
"""Seconds until the next look: while lines come, while none come, before any log was asked for."""


class Rendering:
    """The logs that one attempt asks for.

    Args:
        events: the folder's `events.jsonl`.
        token: the attempt's, so that others' events are passed over.
        console: the file that the command prints into.
        since: its size when the attempt began: what stands before is an earlier one's.
    """

    def __init__(
        self,
        events: str | os.PathLike[str],
        token: str,
        console: str | os.PathLike[str],
        since: int,
    ) -> None:
        self._events, self._token, self._console = events, token, console
        self._heard, self._since = _size(events), since
        self._logs: dict[int, _Log] = {}  # by the pid of who asked
        self._asked = False
        self._wait = _SOON

    def look(self) -> float:
        """Write what has been printed since the last look; the seconds until the next."""
        until = _size(self._console)  # before events are heard: what they are about lies behind
        came = self._hear()
        for log in self._logs.values():
            came = log.copy(self._console, until) or came
        longest = _SELDOM if self._logs else _UNASKED
        self._wait = _SOON if came else min(longest, self._wait * 1.5)
        return self._wait

    def finish(self, how: str) -> None:
        """Write the rest, and how the attempt ended."""
        self._hear()
        for log in self._logs.values():
            log.copy(self._console, None)
            log.close(how if len(self._logs) == 1 else log.over or how)
        self._logs.clear()

    def _hear(self) -> bool:
        """Follow what the script asked for; whether it asked for anything."""
        if _size(self._events) <= self._heard:
            return False
        events, self._heard = files.lines_from(self._events, self._heard)
        asked = [event for event in events if self._is_for_us(event)]
        for place, event in enumerate(asked):
            self._obey(event, {later["pid"] for later in asked[place + 1 :]})
        return bool(asked)

    def _is_for_us(self, event: Mapping[str, Any]) -> bool:
        return event.get("event") in {"log", "log_over"} and event.get("token") == self._token

    def _obey(self, event: Mapping[str, Any], alive: Container[int]) -> None:
        """End one log and begin the next at the very byte where that was asked for.

        `alive` are those who say something later. A script that another one follows has its end
        where that one begins; two that run side by side have all that is printed.
        """
        asks, offset = event["pid"], event["offset"]
        if event["event"] == "log_over":
            if asks in self._logs:
                self._logs[asks].over = event["how"]
            return
        for pid, log in list(self._logs.items()):
            gone = log.over or (pid not in alive and processes.process(pid) is None and VANISHED)
            how = event["how"] or CLOSED if pid == asks else gone
            if how:
                del self._logs[pid]
                log.copy(self._console, offset)
                log.close(how)
        if event["log"] is not None:
            # What was printed before it could be asked belongs to the first; later nobody wants it.
            log_ = _opened(event["log"], asks, offset if self._asked else self._since)
            if log_ is not None:
                self._logs[asks] = log_
        self._asked = True


class _Log:
    """One log file, open, and how far the console was read for it."""

    def __init__(self, file: LogFile, every: float, pid: int, read: int) -> None:
        self.transcript, self._pid, self._read = Transcript(file, every), pid, read
        self._file, self.over = file, ""  # how the script has said that it ends

    def copy(self, console: str | os.PathLike[str], until: int | None) -> bool:
        """Copy lines up to an offset, or the end; whether there were any bytes."""
        start, now = self._read, _changed(console)
        with contextlib.suppress(OSError), open(console, "rb", buffering=0) as file:
            file.seek(start)
            while data := file.read(
                _PIECE if until is None else max(0, min(_PIECE, until - self._read))
            ):
                self._read += len(data)
                self.transcript.feed(data, now)
        self.transcript.tick(time.time())
        return self._read > start

    def close(self, how: str) -> None:
        self.transcript.finish(time.time())
        self._file.write_own(end(self._pid, how))
        self._file.close()


def _opened(wanted: Mapping[str, Any], pid: int, read: int) -> _Log | None:
    """The log as the script's `set_logger` asked for it, which has opened that file already."""
    try:
        descriptor = files.open_append(wanted["name"])
    except OSError:
        return None  # removed meanwhile, folder and all: `console.log` has everything
    file = LogFile(
        descriptor, wanted["name"], _say_nothing, stamp=wanted["stamp"], torn=wanted["torn"]
    )
    file.write_own(head(wanted["head"]))
    return _Log(file, wanted["every"], pid, read)


def _say_nothing(words: str) -> None:
    """A full disk: nobody hears a supervisor, and `console.log` has the same trouble."""


def _size(path: str | os.PathLike[str]) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _changed(path: str | os.PathLike[str]) -> float:
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime
    return time.time()
