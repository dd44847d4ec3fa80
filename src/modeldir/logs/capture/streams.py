"""Capture Python's stream objects where descriptors cannot be captured: notebooks, Windows.

`methods` calls `Streams`, which replaces `write` on `sys.stdout` and `sys.stderr`. An error in this
module must never reach the script.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from modeldir.logs.logfile import LogFile
from modeldir.logs.screen import COLOR, CONTROL, MAX_LINE, Screen

_IDLE = 0.3
"""Seconds after which a finished bar is written."""


class Streams:
    """The present `sys.stdout` and `sys.stderr`, captured until `release`."""

    def __init__(self, file: LogFile, descriptor: int) -> None:
        self._file = _Shared(file)
        self._streams = self._file.streams
        for name in ("stdout", "stderr"):
            if all(getattr(sys, name) is not other.stream for other in self._streams):
                self._streams.append(_Stream(name, self._file, descriptor))
        self._moved = [(handler, stream) for stream in self._streams
                       for handler in logging.root.handlers if stream.adopt(handler)]  # fmt: skip

    def warn(self, message: str) -> None:
        self._file.mute.on = True
        try:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"{message}\n")  # it is None without a console
        finally:
            self._file.mute.on = False

    def finish(self) -> None:
        for stream in self._streams:
            stream.finish()

    def start_over(self) -> None:
        """Forget unfinished lines in a forked child, where no thread holds the lock."""
        self._file.lock = threading.RLock()
        for stream in self._streams:
            stream.start_over()

    def release(self) -> None:
        for handler, stream in self._moved:
            stream.leave(handler)
        for each in self._streams:
            each.release()


class _Mute(threading.local):
    on = False


class _Shared:
    """The file, one lock, and whether this thread prints what the file should not have."""

    def __init__(self, file: LogFile) -> None:
        self.file, self.mute = file, _Mute()
        self.lock = threading.RLock()  # held while lines are completed and written
        self.streams: list[_Stream] = []
        self._flushed = 0.0

    def write(self, lines: Sequence[str]) -> None:
        with self.lock:
            self.file.write(lines)

    def flush_idle(self) -> None:
        """Write finished bars of all streams that nothing has redrawn for a moment."""
        now = time.monotonic()
        if now >= self._flushed + _IDLE:
            self._flushed = now
            for stream in self.streams:
                self.file.write(stream.idle_lines())


class _Stream:
    """A captured `sys.stdout` or `sys.stderr`.

    `write` and `flush` are replaced on the object itself, so a logging handler or tqdm that got it
    earlier is captured too. If the object does not allow that, a `_StandIn` takes its place in
    `sys`.
    """

    def __init__(self, name: str, file: _Shared, descriptor: int) -> None:
        self._name, self._file = name, file
        self.beneath: TextIO | None = getattr(sys, name)
        self.stream = _changeable(self.beneath)
        self._write: Callable[[str], int] = self.stream.write
        self._flush: Callable[[], None] = getattr(self.stream, "flush", lambda: None)
        self._into_the_file = _leads_to(self.stream, descriptor)
        self._open, self._broken = True, False
        self.start_over()
        if self.stream is not self.beneath:
            setattr(sys, name, self.stream)
        for method in (self.write, self.flush):
            setattr(self.stream, method.__name__, method)

    def adopt(self, handler: logging.Handler) -> bool:
        if self.stream is self.beneath or getattr(handler, "stream", None) is not self.beneath:
            return False
        handler.stream = self.stream  # type: ignore[attr-defined]
        return True

    def leave(self, handler: logging.Handler) -> None:
        if getattr(handler, "stream", None) is self.stream:
            handler.stream = self.beneath  # type: ignore[attr-defined]

    def write(self, text: str) -> int:
        if self._open and not self._file.mute.on:
            try:  # noqa: SIM105 - `suppress` would cost as much as the rest
                self._capture(text)
            except Exception:  # noqa: BLE001
                pass  # an error in our code must not end the training run
        if self._into_the_file and self._open:
            return len(text)
        try:
            return self._write(text)
        except (OSError, ValueError, RuntimeError) as error:
            self._excuse(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._flush()
        except (OSError, ValueError, RuntimeError) as error:
            self._excuse(error)

    def _excuse(self, error: Exception) -> None:
        """Ignore that a terminal is gone, but raise the script's own errors."""
        if self._open and "reentrant call" in str(error):
            return  # a signal handler printed during a print; the file has the text
        is_closed = getattr(self.stream, "closed", False)
        if not (self._open and (isinstance(error, OSError) or is_closed)):
            raise error
        if not self._broken:
            self._broken = True
            reason = getattr(error, "strerror", None) or str(error)
            problem = f"modeldir: {self._name} cannot be written ({reason}). "
            self._file.write([f"{problem}The training run continues; this file has its output."])

    # -- Lines out of writes --

    def start_over(self) -> None:
        """Begin with nothing unfinished. In a forked child, unfinished lines are the parent's."""
        self._pieces: dict[int, list[str]] = {}
        self._screen, self._drawer, self._drawing = Screen(), 0, False

    def _capture(self, text: str) -> None:
        # Most writes are a piece of a line. Only the thread itself changes its pieces.
        if not self._drawing and text.isprintable():
            pieces = self._pieces.setdefault(threading.get_ident(), [])
            if len(pieces) < MAX_LINE:
                pieces.append(text)
                return
        with self._file.lock:
            self._file.flush_idle()
            self._file.write(self._lines(text))

    def _lines(self, text: str) -> list[str]:
        """Return the lines that `text` completes.

        Each thread has its own unfinished line. Text that moves the cursor belongs to rows that all
        threads share, as on a terminal: tqdm's monitor thread redraws the main thread's bar.
        """
        thread = threading.get_ident()
        pieces = self._pieces.pop(thread, [])
        if "\x1b" in text:
            text = COLOR.sub("", text)
        is_blank = not text.strip("\n")
        continues = not pieces and self._drawing and (thread == self._drawer or is_blank)
        if continues or CONTROL.search(text):
            self._drawer = thread
            lines = self._screen.feed("".join(pieces) + text)
            self._drawing = self._screen.busy
            return lines
        return self._plain(thread, pieces, text)

    def _plain(self, thread: int, pieces: list[str], text: str) -> list[str]:
        line, end, rest = text.rpartition("\n")
        if not end and len(pieces) < MAX_LINE:
            pieces.append(text)
            self._pieces[thread] = pieces
            return []
        if rest:
            self._pieces[thread] = [rest]
        # The cursor never moves back over plain lines.
        above = [] if self._drawing else self._screen.restart()
        return above + ("".join(pieces) + line).split("\n")

    def idle_lines(self) -> list[str]:
        return self._screen.flush_idle() if self._screen.waiting else []

    def finish(self) -> None:
        with self._file.lock:
            lines = ["".join(pieces) for pieces in list(self._pieces.values())]
            self._file.write([line for line in lines if line] + self._screen.drain())
            self._pieces.clear()

    def release(self) -> None:
        self.finish()
        self._open = False  # another library may have wrapped our `write`, and keep it
        for method in (self.write, self.flush):
            if vars(self.stream).get(method.__name__) == method:
                delattr(self.stream, method.__name__)
        if self.stream is not self.beneath and getattr(sys, self._name) is self.stream:
            setattr(sys, self._name, self.beneath)


def _leads_to(stream: TextIO, descriptor: int) -> bool:
    """Return whether what is printed to `stream` lands in this file (`train.py > train.log`)."""
    try:
        there, here = os.fstat(stream.fileno()), os.fstat(descriptor)
    except (OSError, ValueError, AttributeError, TypeError):
        return False
    return stat.S_ISREG(here.st_mode) and os.path.samestat(there, here)


@io.TextIOBase.register
class _StandIn:
    """Takes the place of a stream whose methods cannot be replaced, and otherwise acts like it."""

    def __init__(self, beneath: TextIO) -> None:
        self._beneath = beneath

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_beneath"], name)

    def write(self, text: str) -> int:
        return self._beneath.write(text)  # looked up each time: IPython replaces it for each cell

    def flush(self) -> None:
        self._beneath.flush()


class _Nowhere(io.TextIOBase):
    """Takes the place of a stream that is missing or closed, as under pythonw or `>&-`."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def writable(self) -> bool:
        return True


def _changeable(stream: TextIO | None) -> TextIO:
    """Return an object whose `write` can be replaced for good."""
    if stream is None or getattr(stream, "closed", False):
        return _Nowhere()  # type: ignore[return-value] # like a TextIO where it is used
    # If a library has replaced `write`, it puts the old one back later (IPython: after each cell),
    # and ours would be gone.
    if hasattr(stream, "__dict__") and "write" not in vars(stream):
        return stream
    return _StandIn(stream)  # type: ignore[return-value] # it delegates all other attributes
