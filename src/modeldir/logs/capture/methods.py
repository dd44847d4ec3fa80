"""The ways in which a log hears what is printed.

They are four, behind one small class:

    ByDescriptors  descriptors 1 and 2, by a process beside this one      a plain `python train.py`
    ByStreams      `sys.stdout` and `sys.stderr`, in Python               pytest, Windows
    Supervised     nothing: the supervisor makes it from `console.log`    `modeldir run`, `search`
    Inherited      nothing: the parent's log has it                       workers of a DataLoader

Besides, `InNotebook` (a room of its own) is the first two together, and `Straight` only who asks
for it gets. It refuses to know which of them fits the place (`place`), log records, and when a log
begins and ends (`logs`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from modeldir._system import files
from modeldir.logs.capture import descriptors
from modeldir.logs.logfile import CLOSED, LogFile, Settings, end, head
from modeldir.logs.screen import rendered

if TYPE_CHECKING:
    from modeldir.logs.capture.streams import Streams

_CAPTURED_VARIABLE = "MODELDIR_CAPTURED"
"""For children: the log, and what descriptors 1 and 2 are if they lead into it."""


class Way:
    """How a log gets its lines. This one does nothing."""

    def attach(self) -> None:
        """Listen to what the streams are now."""

    def detach(self) -> None:
        """Stop that, for now: `attach` or `close` come next."""

    def note(self, how: str) -> None:
        """Hear how the process will probably end."""

    def drain(self) -> None:
        """Have all that was printed up to now written."""

    def finish(self) -> None:
        """Do the same at the end of Python, after which others may still print."""
        self.drain()

    def move(self, descriptor: int, settings: Settings) -> bool:  # noqa: ARG002
        """Go on in another file; false if this way cannot."""
        return False

    def close(self, how: str) -> None:
        """Write the last line and put everything back."""

    def forget(self) -> None:
        """Do what a forked child has to."""


class Inherited(Way):
    """The parent's log has what is printed here."""

    def __init__(self) -> None:
        descriptors.line_by_line()


class ByDescriptors(Way):
    """By `Capture`; by `ByStreams`, if that is lost.

    `alone`: nobody else listens to the streams.
    """

    def __init__(self, descriptor: int, settings: Settings, *, alone: bool = True) -> None:
        self._descriptor, self._settings, self._alone = descriptor, settings, alone
        self._noted = ""
        self._instead: ByStreams | None = None
        self._opened: list[str] = []
        self._capture = descriptors.Capture(descriptor, settings, self._go_on)
        for name, number in (("stdout", 1), ("stderr", 2)):
            if getattr(sys, name) is None:  # it was closed, as by `>&-`; now there is a pipe
                setattr(sys, name, _text(number))
                self._opened.append(name)
        if self._instead is None:
            tell_children(settings.name, descriptors.marks())

    def _go_on(self, printed: bytes) -> None:
        """Listen to the streams: no keeper could be started. Called in the midst of anything."""
        self._close_streams()
        self._instead = ByStreams(self._descriptor, self._settings)
        self._instead.note(self._noted)
        self._instead.write(printed.decode("utf-8", "surrogateescape"))
        if self._alone:
            self._instead.attach()
        warn(
            f"modeldir: {self._settings.name} has only what Python prints "
            "(the process that would keep it does not start)"
        )

    def detach(self) -> None:
        if self._instead is not None:
            self._instead.detach()

    def attach(self) -> None:
        if self._instead is not None and self._alone:
            self._instead.attach()

    def note(self, how: str) -> None:
        self._noted = how
        self._capture.note(how)
        if self._instead is not None:
            self._instead.note(how)

    def drain(self) -> None:
        self._capture.drain()
        if self._instead is not None:
            self._instead.drain()

    def finish(self) -> None:
        self._capture.note_end()
        self._capture.drain()
        if self._instead is not None:
            self._instead.finish()

    def move(self, descriptor: int, settings: Settings) -> bool:
        if self._instead is not None or not self._capture.switch(descriptor, settings, CLOSED):
            return False
        self._descriptor, self._settings = descriptor, settings
        tell_children(settings.name)
        return True

    def close(self, how: str) -> None:
        self._capture.close(how)
        self._close_streams()
        if self._instead is not None:
            self._instead.close(how)

    def _close_streams(self) -> None:
        for name in self._opened:
            setattr(sys, name, None)
        self._opened.clear()
        _tell_no_children()

    def forget(self) -> None:
        self._capture.forget()
        if self._instead is not None:
            self._instead.forget()


class ByStreams(Way):
    """By `Streams`, and by this process's own writing.

    `whole`: the log's first and last line are its own affair too.
    """

    def __init__(self, descriptor: int, settings: Settings, *, whole: bool = True) -> None:
        self._descriptor = descriptor
        self._streams: Streams | None = None
        self._pid, self._noted, self._ended = os.getpid(), "", False
        self._file = LogFile(
            os.dup(descriptor), settings.name, self._tell, stamp=settings.stamp, torn=settings.torn
        )
        self._whole = whole
        if whole:
            self._file.write_own(head(settings.head))

    def attach(self) -> None:
        from modeldir.logs.capture.streams import Streams  # noqa: PLC0415 - the other ways do without

        self._streams = Streams(self._file, self._descriptor)

    def detach(self) -> None:
        if self._streams is not None:
            self._streams.release()
            self._streams = None

    def _tell(self, words: str) -> None:
        if self._streams is not None:
            self._streams.tell(words)

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
        """Add what is shown in another way than by being printed."""
        if text:
            self._file.write(rendered(text.rstrip("\n")))

    def _write_end(self, how: str) -> None:
        if self._whole and not self._ended and os.getpid() == self._pid:
            self._ended = True
            self._file.write_own(end(self._pid, how))

    def forget(self) -> None:
        if self._streams is not None:
            self._streams.start_over()


class Supervised(Way):
    """The supervisor makes the log out of `console.log`; it only has to hear of it."""

    def __init__(self, settings: Settings) -> None:
        self._pid, self._noted = os.getpid(), ""
        if not self._tell("log", settings):
            raise descriptors.Unavailable("the run's events cannot be written")
        tell_children(settings.name, descriptors.marks())

    def move(self, descriptor: int, settings: Settings) -> bool:  # noqa: ARG002
        if os.getpid() != self._pid:  # a forked child's own log does not end its parent's
            return False
        _flush()
        tell_children(settings.name)
        return self._tell("log", settings)

    def note(self, how: str) -> None:
        self._noted = how

    def finish(self) -> None:
        _flush()
        self._tell("log_over", None, how=self._noted or "ended")  # another script may follow

    def close(self, how: str) -> None:
        if os.getpid() != self._pid:
            return
        _flush()
        self._tell("log", None, how=how)
        _tell_no_children()

    @staticmethod
    def _tell(name: str, settings: Settings | None, how: str = "") -> bool:
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


class Straight(Way):
    """Descriptors 1 and 2 lead into the file, as by `> train.log`."""

    def __init__(self, descriptor: int) -> None:
        _flush()
        self._saved = {number: os.dup(number) for number in (1, 2)}
        for number in self._saved:
            os.dup2(descriptor, number)

    def close(self, how: str) -> None:  # noqa: ARG002 - raw, so without a last line
        _flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)


def _text(descriptor: int) -> TextIO:
    return open(
        descriptor, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace"
    )


def warn(words: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        sys.stderr.write(f"{words}\n")


def is_heard() -> bool:
    """Whether a parent has any log open that hears what is printed here."""
    marks = os.environ.get(_CAPTURED_VARIABLE, "").partition("|")[2]
    return bool(marks) and descriptors.is_marked(marks.split(","))


def heard_log() -> str:
    """The log that a parent has open and that hears what is printed here; empty if none does."""
    return os.environ.get(_CAPTURED_VARIABLE, "").partition("|")[0] if is_heard() else ""


def tell_children(path: str | os.PathLike[str], marks: list[str] | None = None) -> None:
    """Let processes that are started from here know the log: see `heard_log`."""
    if marks is None:
        _, _, old = os.environ.get(_CAPTURED_VARIABLE, "").partition("|")
        marks = old.split(",")
    os.environ[_CAPTURED_VARIABLE] = f"{os.fspath(path)}|{','.join(marks)}"


def _tell_no_children() -> None:
    os.environ.pop(_CAPTURED_VARIABLE, None)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
