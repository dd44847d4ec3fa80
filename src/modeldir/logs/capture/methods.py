"""The methods by which output reaches a log, behind one small class, `CaptureMethod`.

`choose_method` picks one, and `logger` calls it; `notebook` combines two of them. No method may
raise into the script after it has started.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from modeldir._system import files
from modeldir.logs.capture import descriptors
from modeldir.logs.logfile import CLOSED, LogFile, LogSettings, session_end, session_start
from modeldir.logs.screen import rendered

if TYPE_CHECKING:
    from modeldir.logs.capture.streams import Streams

_CAPTURED_VARIABLE = "MODELDIR_CAPTURED"
"""Tells children which log is open, and which files descriptors 1 and 2 are if it captures them."""


class CaptureMethod:
    """How a log gets its lines. This one does nothing."""

    def attach(self) -> None:
        """Capture the present streams."""

    def detach(self) -> None:
        """Stop capturing for now; `attach` or `close` come next."""

    def note(self, how: str) -> None:
        """Take note of how the process will probably end."""

    def drain(self) -> None:
        """Write all that was printed up to now."""

    def finish(self) -> None:
        """Write all at the end of Python, after which others may still print."""
        self.drain()

    def move(self, descriptor: int, settings: LogSettings) -> bool:  # noqa: ARG002
        """Continue in another file; false if this method cannot."""
        return False

    def close(self, how: str) -> None:
        """Write the last line and put everything back."""

    def forget(self) -> None:
        """Clean up in a forked child."""


class InheritedCapture(CaptureMethod):
    """Captures nothing, because the parent's log has what is printed here."""

    def __init__(self) -> None:
        descriptors.line_by_line()


class DescriptorCapture(CaptureMethod):
    """Captures by `Capture`, or by `StreamCapture` if no log writer could be started."""

    def __init__(self, descriptor: int, settings: LogSettings, *, alone: bool = True) -> None:
        self._descriptor, self._settings, self._alone = descriptor, settings, alone
        self._noted = ""
        self._fallback = CaptureMethod()  # does nothing
        self._opened: list[str] = []
        self._capture = descriptors.Capture(descriptor, settings, self._fall_back)
        for name, number in (("stdout", 1), ("stderr", 2)):
            if getattr(sys, name) is None:  # closed, as by `>&-`, and now a pipe
                setattr(sys, name, _text(number))
                self._opened.append(name)
        if not self._has_fallen_back:
            mark_for_children(settings.name, descriptors.marks())

    def _fall_back(self, printed: bytes) -> None:
        """Capture the streams: no log writer could be started. It may be called at any moment."""
        self._close_streams()
        self._fallback = streams = StreamCapture(self._descriptor, self._settings)
        streams.note(self._noted)
        streams.write(printed.decode("utf-8", "surrogateescape"))
        self.attach()
        reason = descriptors.NO_LOG_WRITER
        warn(f"modeldir: {self._settings.name} has only what Python prints ({reason})")

    @property
    def _has_fallen_back(self) -> bool:
        return isinstance(self._fallback, StreamCapture)

    def attach(self) -> None:
        if self._alone:
            self._fallback.attach()

    def detach(self) -> None:
        self._fallback.detach()

    def note(self, how: str) -> None:
        self._noted = how
        self._capture.note(how)
        self._fallback.note(how)

    def drain(self) -> None:
        self._capture.drain()
        self._fallback.drain()

    def finish(self) -> None:
        self._capture.note_end()
        self._capture.drain()
        self._fallback.finish()

    def move(self, descriptor: int, settings: LogSettings) -> bool:
        if self._has_fallen_back or not self._capture.switch(descriptor, settings, CLOSED):
            return False
        self._descriptor, self._settings = descriptor, settings
        mark_for_children(settings.name)
        return True

    def close(self, how: str) -> None:
        self._capture.close(how)
        self._close_streams()
        self._fallback.close(how)

    def _close_streams(self) -> None:
        for name in self._opened:
            setattr(sys, name, None)
        self._opened.clear()
        _unmark_for_children()

    def forget(self) -> None:
        self._capture.forget()
        self._fallback.forget()


class StreamCapture(CaptureMethod):
    """Captures Python's streams and writes the file; if `whole`, its first and last line too."""

    def __init__(self, descriptor: int, settings: LogSettings, *, whole: bool = True) -> None:
        self._descriptor = descriptor
        self._streams: Streams | None = None
        self._pid, self._noted, self._ended = os.getpid(), "", False
        self._file = LogFile(
            os.dup(descriptor), settings.name, self._warn, stamp=settings.stamp, torn=settings.torn
        )
        self._whole = whole
        if whole:
            self._file.write_own(session_start(settings.head))

    def attach(self) -> None:
        from modeldir.logs.capture.streams import Streams  # noqa: PLC0415 - not every method needs it

        self._streams = Streams(self._file, self._descriptor)

    def detach(self) -> None:
        if self._streams is not None:
            self._streams.release()
            self._streams = None

    def _warn(self, message: str) -> None:
        if self._streams is not None:
            self._streams.warn(message)

    def note(self, how: str) -> None:
        self._noted = how

    def drain(self) -> None:
        if self._streams is not None:
            self._streams.finish()

    def finish(self) -> None:
        self.drain()
        self._write_end(self._noted or "ended")

    def close(self, how: str) -> None:
        self._write_end(how)
        self._file.close()

    def write(self, text: str) -> None:
        if text:
            self._file.write(rendered(text.rstrip("\n")))

    def _write_end(self, how: str) -> None:
        if self._whole and not self._ended and os.getpid() == self._pid:
            self._ended = True
            self._file.write_own(session_end(self._pid, how))

    def forget(self) -> None:
        if self._streams is not None:
            self._streams.start_over()


class SupervisedCapture(CaptureMethod):
    """Captures nothing: it tells the supervisor, which makes the log out of `console.log`."""

    def __init__(self, settings: LogSettings) -> None:
        self._pid, self._noted = os.getpid(), ""
        if not self._tell_supervisor("log", settings):
            raise descriptors.Unavailable("the run's events cannot be written")
        mark_for_children(settings.name, descriptors.marks())

    def move(self, descriptor: int, settings: LogSettings) -> bool:  # noqa: ARG002
        if os.getpid() != self._pid:  # a forked child's log does not end its parent's
            return False
        descriptors.flush_streams()
        mark_for_children(settings.name)
        return self._tell_supervisor("log", settings)

    def note(self, how: str) -> None:
        self._noted = how

    def finish(self) -> None:
        descriptors.flush_streams()
        self._tell_supervisor("log_over", None, how=self._noted or "ended")  # others may follow

    def close(self, how: str) -> None:
        if os.getpid() != self._pid:
            return
        descriptors.flush_streams()
        self._tell_supervisor("log", None, how=how)
        _unmark_for_children()

    @staticmethod
    def _tell_supervisor(name: str, settings: LogSettings | None, how: str = "") -> bool:
        token, _, folder = os.environ.get("MODELDIR_RUN", "").partition(":")
        wanted = None if settings is None else vars(settings)
        attempt = int(os.environ.get("MODELDIR_ATTEMPT") or 1)
        event: dict[str, Any] = {"attempt": attempt, "event": name, "token": token}
        event |= {"log": wanted, "how": how, "pid": os.getpid()}
        try:
            event["offset"] = os.fstat(1).st_size
            files.append_line(os.path.join(folder, "events.jsonl"), event)
        except OSError:
            return False
        return True


class FileCapture(CaptureMethod):
    def __init__(self, descriptor: int) -> None:
        descriptors.flush_streams()
        self._saved = {number: os.dup(number) for number in (1, 2)}
        for number in self._saved:
            os.dup2(descriptor, number)

    def close(self, how: str) -> None:  # noqa: ARG002 - a raw file has no last line
        descriptors.flush_streams()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)


def _text(descriptor: int) -> TextIO:
    return open(
        descriptor, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace"
    )


def warn(message: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        sys.stderr.write(f"{message}\n")


def is_captured() -> bool:
    """Return whether a parent has any log open that captures what is printed here."""
    marks = os.environ.get(_CAPTURED_VARIABLE, "").partition("|")[2]
    return bool(marks) and descriptors.is_marked(marks.split(","))


def inherited_log() -> str:
    return os.environ.get(_CAPTURED_VARIABLE, "").partition("|")[0] if is_captured() else ""


def mark_for_children(path: str | os.PathLike[str], marks: list[str] | None = None) -> None:
    if marks is None:
        _, _, old = os.environ.get(_CAPTURED_VARIABLE, "").partition("|")
        marks = old.split(",")
    os.environ[_CAPTURED_VARIABLE] = f"{os.fspath(path)}|{','.join(marks)}"


def _unmark_for_children() -> None:
    os.environ.pop(_CAPTURED_VARIABLE, None)
