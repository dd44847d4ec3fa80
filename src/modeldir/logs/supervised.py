"""The log of a supervised script, made out of its `console.log` by the supervisor.

A script that calls `set_logger` there only adds an event to `events.jsonl` (`SupervisedCapture`).
The supervisor calls `SupervisedLogs.poll`. Each log gets all that is printed: no line may be lost
or come twice where one log ends and the next begins.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Container, Mapping
from typing import Any

from modeldir._system import files, processes, reading
from modeldir.logs.logfile import CLOSED, VANISHED, LogFile, ignore, session_end, session_start
from modeldir.logs.transcript import Transcript

_PIECE = 1 << 20
_BUSY, _IDLE, _NO_LOG = 0.05, 0.5, 1.0
"""Seconds until the next poll: while lines come, while none come, before any log is wanted."""


class SupervisedLogs:
    """The logs that one attempt wants; `since` is the console's size when the attempt began."""

    def __init__(
        self,
        events: str | os.PathLike[str],
        token: str,
        console: str | os.PathLike[str],
        since: int,
    ) -> None:
        self._events, self._token, self._console = events, token, console
        self._events_read, self._since = _size(events), since
        self._logs: dict[int, _OpenLog] = {}  # by the script's pid
        self._had_log = False
        self._wait = _BUSY

    def poll(self) -> float:
        """Write what has been printed since the last call; return the seconds until the next."""
        until = _size(self._console)  # first, because the events are about what follows
        busy = self._read_events()
        for log in self._logs.values():
            busy = log.copy(self._console, until) or busy
        longest = _IDLE if self._logs else _NO_LOG
        self._wait = _BUSY if busy else min(longest, self._wait * 1.5)
        return self._wait

    def finish(self, how: str) -> None:
        self._read_events()
        for log in self._logs.values():
            log.copy(self._console, None)
            log.close(how if len(self._logs) == 1 else log.ends or how)
        self._logs.clear()

    def _read_events(self) -> bool:
        if _size(self._events) <= self._events_read:
            return False
        lines, self._events_read = reading.lines_from(self._events, self._events_read)
        ours = [event for event in lines if event.get("token") == self._token]
        events = [event for event in ours if event.get("event") in {"log", "log_over"}]
        for place, event in enumerate(events):
            self._follow(event, {later["pid"] for later in events[place + 1 :]})
        return bool(events)

    def _follow(self, event: Mapping[str, Any], alive: Container[int]) -> None:
        """End one log and begin the next at the exact byte that the event names.

        If one script follows another, the first log ends where the second begins. If two run side
        by side (`alive` have a later event), both get all that is printed.
        """
        script, offset = event["pid"], event["offset"]
        if event["event"] == "log_over":
            if script in self._logs:
                self._logs[script].ends = event["how"]
            return
        for pid, log in list(self._logs.items()):
            gone = log.ends or (pid not in alive and processes.process(pid) is None and VANISHED)
            how = event["how"] or CLOSED if pid == script else gone
            if how:
                del self._logs[pid]
                log.copy(self._console, offset)
                log.close(how)
        if event["log"] is not None:
            # The first log also gets what was printed before the script could call `set_logger`.
            log_ = _opened(event["log"], script, offset if self._had_log else self._since)
            if log_ is not None:
                self._logs[script] = log_
        self._had_log = True


class _OpenLog:
    def __init__(self, file: LogFile, every: float, pid: int, read: int) -> None:
        self.transcript, self._pid, self._read = Transcript(file, every), pid, read
        self._file, self.ends = file, ""  # `ends`: how the script said that it ends

    def copy(self, console: str | os.PathLike[str], until: int | None) -> bool:
        """Copy the console up to an offset, or to its end; return whether there were any bytes."""
        start, now = self._read, _changed(console)
        with contextlib.suppress(OSError), reading.open_stream(console) as file:
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
        self._file.write_own(session_end(self._pid, how))
        self._file.close()


def _opened(wanted: Mapping[str, Any], pid: int, read: int) -> _OpenLog | None:
    """Open the log that the script's `set_logger` wants and has opened already."""
    try:
        descriptor = files.open_append(wanted["name"])
    except OSError:
        return None  # the folder was removed meanwhile; `console.log` has everything
    file = LogFile(descriptor, wanted["name"], ignore, stamp=wanted["stamp"], torn=wanted["torn"])
    file.write_own(session_start(wanted["head"]))
    return _OpenLog(file, wanted["every"], pid, read)


def _size(path: str | os.PathLike[str]) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _changed(path: str | os.PathLike[str]) -> float:
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime
    return time.time()
