"""The log of a supervised script, made out of its `console.log`.

Under a supervisor descriptors 1 and 2 are `console.log` itself, so that no pipe can break. A script
that calls `set_logger` there only says, in `events.jsonl`, which log it wants; the supervisor,
which waits anyway, writes it. This module knows those events and how far the console was read. It
refuses to know processes.

Lines get the time at which the console was last written to: exact for a line by itself, within a
look's distance for lines in quick succession.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir import files
from modeldir.logfile import LogFile, end, head
from modeldir.transcript import Transcript

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

    def __init__(self, events: Path, token: str, console: Path, since: int) -> None:
        self._events, self._token, self._console = events, token, console
        self._heard, self._read = _size(events), since
        self._log: _Log | None = None
        self._asked = False
        self._wait = _SOON

    def look(self) -> float:
        """Write what has been printed since the last look; the seconds until the next."""
        came = self._hear()
        came = self._copy(None) or came
        longest = _UNASKED if self._log is None else _SELDOM
        self._wait = _SOON if came else min(longest, self._wait * 1.5)
        return self._wait

    def finish(self, how: str) -> None:
        """Write the rest, and how the attempt ended."""
        self._hear()
        self._copy(None)
        if self._log is not None:
            self._log.close(how)
            self._log = None

    def _hear(self) -> bool:
        """Follow what the script asked for; whether it asked for anything."""
        if _size(self._events) <= self._heard:
            return False
        events, self._heard = files.lines_from(self._events, self._heard)
        asked = [event for event in events if self._is_for_us(event)]
        for event in asked:
            self._obey(event)
        return bool(asked)

    def _is_for_us(self, event: Mapping[str, Any]) -> bool:
        return event.get("event") == "log" and event.get("token") == self._token

    def _obey(self, event: Mapping[str, Any]) -> None:
        """End one log and begin the next at the very byte where that was asked for."""
        if self._log is not None:
            self._copy(event["offset"])
            self._log.close(event["how"] or "closed")
            self._log = None
        elif self._asked:  # nobody wants what was printed since the last one was closed
            self._read = event["offset"]
        self._asked = True  # what was printed before it could be asked belongs to the first
        if event["log"] is not None:
            self._log = _opened(event["log"], event["pid"])

    def _copy(self, until: int | None) -> bool:
        """Copy lines up to an offset, or the end; whether there were any bytes."""
        if self._log is None:
            return False
        start, now = self._read, _changed(self._console)
        with contextlib.suppress(OSError), open(self._console, "rb", buffering=0) as file:
            file.seek(start)
            while data := file.read(_PIECE if until is None else min(_PIECE, until - self._read)):
                self._read += len(data)
                self._log.transcript.feed(data, now)
        self._log.transcript.tick(time.time())
        return self._read > start


class _Log:
    """One log file, open."""

    def __init__(self, file: LogFile, every: float, pid: int) -> None:
        self.transcript, self._file, self._pid = Transcript(file, every), file, pid

    def close(self, how: str) -> None:
        self.transcript.finish(time.time())
        self._file.write_own(end(self._pid, how))
        self._file.close()


def _opened(wanted: Mapping[str, Any], pid: int) -> _Log | None:
    """The log as the script's `set_logger` asked for it, which has opened that file already."""
    try:
        descriptor = files.open_append(wanted["name"])
    except OSError:
        return None  # removed meanwhile, folder and all: `console.log` has everything
    file = LogFile(
        descriptor, wanted["name"], _say_nothing, stamp=wanted["stamp"], torn=wanted["torn"]
    )
    file.write_own(head(wanted["head"]))
    return _Log(file, wanted["every"], pid)


def _say_nothing(words: str) -> None:
    """A full disk: nobody hears a supervisor, and `console.log` has the same trouble."""


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime
    return time.time()
