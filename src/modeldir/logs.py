"""The log: what a script prints, logs, warns and dies of, also in a file.

    set_logger("experiments/base_model/train.log")
    logging.info("in the terminal as it is; in the file with time and level")
    print("this too")

It knows how to listen in this process, in Python: to `write` of `sys.stdout` and `sys.stderr`
(tracebacks and warnings pass there as well), and to log records on their way to the root logger.
Whoever set up `logging`, before or after: each line is once in the terminal, once in the file. It
refuses to know what lies below Python (output of C code, of child programs).

A line in the file is a time of fixed width and the text, a record's text begins with its level:

    2026-11-23 20:47:01,123 INFO message
    2026-11-23 20:47:01,124 printed

Start at `set_logger`, then `Log`. Each mechanism is one class behind `Log`: `_Stream` (what is
printed), `_Records` (what is logged), `Rows` (what a progress bar's redrawing leaves to read) and
`LogFile` (whole lines, each by one append, so that a kill loses nothing and forks tear nothing).

Nothing here ever ends a training: a full disk, a closed terminal or a reader that went away
(`| head -1`) is told once, where it still can be told.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from modeldir import files
from modeldir.errors import did_you_mean
from modeldir.logfile import LogFile
from modeldir.rows import COLOUR, LONGEST, ODD, Rows, rendered

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType


def set_logger(path: str | os.PathLike[str], level: str | int = "INFO") -> Log:
    """From now on, everything that this process prints and logs is in the file `path` too.

    Lines are added; what the file holds already stays. Called again with the same file (however
    its path is written) it gives back the same log, at the level now asked for; with another
    path the first file is finished and the log goes on in the second. The result may be closed, or
    used as a context manager; nothing needs to be done at the end of a script.

    Args:
        path: the file, in a folder that exists. A folder is never made here, since a mistyped
            `--model_dir` should be an error and not a new experiment.
        level: records below it are left out, as a name ("DEBUG", "INFO", ...) or a number.

    Raises:
        FolderError: the file cannot be opened for writing; an earlier log then goes on unchanged.
        ValueError: there is no such level.
    """
    number = _level_number(level)
    current = Log.current
    if current is not None and current.is_at(path):
        current.attach(number)
        return current
    log = Log(path)
    if current is not None:
        current.close()
    log.attach(number)
    return log


class Log:
    """The open log of this process: made by `set_logger`, which see.

    `path` is the file's absolute path, `level` the lowest level of the records it takes (a number).
    """

    # Not looked up from sys.stdout or the root logger's handlers: pytest, Jupyter and
    # `basicConfig(force=True)` replace those while a log is open.
    current: ClassVar[Log | None] = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = files.absolute(path)
        self.level = 0
        self._hush = _Hush()
        self._file = LogFile(path, self._tell_terminal)
        self._streams: list[_Stream] = []
        self._undo = contextlib.ExitStack()

    def attach(self, level: int) -> None:
        """Listen to what `sys.stdout`, `sys.stderr` and `logging` are now, at this level."""
        self._undo.close()
        self.level, Log.current = level, self
        self._streams = []
        for name in ("stdout", "stderr"):
            if all(getattr(sys, name) is not other.stream for other in self._streams):
                self._streams.append(_Stream(name, self._file, self._hush))
                self._undo.callback(self._streams[-1].release)
        records = _Records(level, self._file, self._hush, self._streams)
        self._undo.callback(records.release)
        self._undo.callback(atexit.unregister, atexit.register(self._finish))

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether `path` leads to this log's file; not, if that was moved away or removed."""
        return self._file.is_at(path)

    def close(self) -> None:
        """Write what is unfinished, close the file, put everything back. Again does nothing."""
        self._undo.close()
        self._file.close()
        if Log.current is self:
            Log.current = None

    def __enter__(self) -> Log:  # noqa: PYI034 - no subclass is meant
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Python prints the traceback when the file is closed already.
        if error is not None and not _is_plain_exit(error):
            from traceback import format_exception  # noqa: PLC0415 - only on the way to an error

            self._file.write(rendered("".join(format_exception(error)).rstrip("\n")))
        self.close()

    def __repr__(self) -> str:
        return f"<Log {str(self.path)!r}>"

    def _finish(self) -> None:
        """End the unfinished lines with the script, and go on: others' exit handlers print too."""
        for stream in self._streams:
            stream.finish()

    def start_over(self) -> None:
        """In a forked child: nothing is unfinished here, and no thread holds the lock."""
        self._file.lock = threading.RLock()
        for stream in self._streams:
            stream.start_over()

    def _tell_terminal(self, text: str) -> None:
        with self._hush, contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text + "\n")  # None in a process without a console


def _start_over_in_child() -> None:
    if Log.current is not None:
        Log.current.start_over()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_over_in_child)


def _is_plain_exit(error: BaseException) -> bool:
    """`sys.exit()` or `sys.exit(3)`, of which Python prints nothing."""
    return isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int))


def _level_number(level: str | int) -> int:
    import logging  # noqa: PLC0415 - a script that never logs does not pay for it

    number = level if isinstance(level, int) else logging.getLevelName(level.upper())
    if isinstance(number, int):
        return number
    hint = did_you_mean(str(level).upper(), ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
    raise ValueError(f"there is no log level {level!r}" + (f"; {hint}" if hint else ""))


class _Hush(threading.local):
    """Per thread: whether what is printed now is in the file already, and whether any was printed.

    Used as a context manager while the handlers of a record print it.
    """

    depth = 0
    printed = False

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


# -- What is printed -------------------------------------------------------------------------------


class _Stream:
    """`sys.stdout` or `sys.stderr`, listened to.

    Its `write` and `flush` are replaced on the object itself, so that who took hold of it earlier
    (a logging handler, loguru, tqdm) is heard too, and `isatty`, `encoding`, `fileno`, `buffer`
    are its own. Where that cannot be done a `_StandIn` takes its place in `sys`.
    """

    def __init__(self, name: str, file: LogFile, hush: _Hush) -> None:
        self._name, self._file, self._hush = name, file, hush
        self.beneath: TextIO | None = getattr(sys, name)
        self.stream = _changeable(self.beneath)
        self._write: Callable[[str], int] = self.stream.write
        self._flush: Callable[[], None] = getattr(self.stream, "flush", lambda: None)
        self._into_the_file = file.is_behind(self.stream)
        self._open, self._broken = True, False
        self.start_over()
        if self.stream is not self.beneath:
            setattr(sys, name, self.stream)
        for method in (self.write, self.flush):
            setattr(self.stream, method.__name__, method)

    @property
    def stood_in_for(self) -> TextIO | None:
        """The stream that no longer is in `sys`, since something else is in its place."""
        return None if self.stream is self.beneath else self.beneath

    def write(self, text: str) -> int:
        if self._hush.depth:
            self._hush.printed = True
        elif self._open:
            try:  # noqa: SIM105 - `suppress` would cost as much as the rest
                self._listen(text)
            except Exception:  # noqa: BLE001
                pass  # a surprise in our own code must not cost a training
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
        """Let a terminal that went away be; what the script does wrong is its own error."""
        if self._open and "reentrant call" in str(error):
            return  # a signal handler prints in the middle of a print: it is in the file
        if not (self._open and (isinstance(error, OSError) or self._is_closed())):
            raise error
        if not self._broken:
            self._broken = True
            reason = getattr(error, "strerror", None) or str(error)
            told = f"modeldir: {self._name} cannot be written ({reason}). "
            self._file.write([f"{told}The training goes on; what it prints is in this file."])

    def _is_closed(self) -> bool:
        return bool(getattr(self.stream, "closed", False))

    # -- Lines out of writes --

    def start_over(self) -> None:
        """Begin with nothing unfinished; what a forked child finds so is its parent's."""
        self._pieces: dict[int, list[str]] = {}
        self._rows, self._drawer, self._drawing = Rows(), 0, False

    def _listen(self, text: str) -> None:
        # Most writes are a piece of a line. Only its own thread touches a thread's pieces.
        if not self._drawing and text.isprintable():
            pieces = self._pieces.setdefault(threading.get_ident(), [])
            if len(pieces) < LONGEST:
                pieces.append(text)
                return
        with self._file.lock:
            self._file.write(self._lines(text))

    def _lines(self, text: str) -> list[str]:
        """The lines that `text` finishes.

        Each thread has its own unfinished line. What moves the cursor belongs to rows that all
        share, as on the terminal: tqdm's monitor thread redraws the main thread's bar.
        """
        thread = threading.get_ident()
        pieces = self._pieces.pop(thread, [])
        if "\x1b" in text:
            text = COLOUR.sub("", text)
        goes_on = not pieces and self._drawing and (thread == self._drawer or _is_blank(text))
        if goes_on or ODD.search(text):
            self._drawer = thread
            lines = self._rows.feed("".join(pieces) + text)
            self._drawing = self._rows.busy
            return lines
        return self._plain(thread, pieces, text)

    def _plain(self, thread: int, pieces: list[str], text: str) -> list[str]:
        line, end, rest = text.rpartition("\n")
        if not end and len(pieces) < LONGEST:
            pieces.append(text)
            self._pieces[thread] = pieces
            return []
        if rest:
            self._pieces[thread] = [rest]
        # Nothing moves the cursor back over plain lines.
        above = [] if self._drawing else self._rows.restart()
        return above + ("".join(pieces) + line).split("\n")

    def finish(self) -> None:
        """Write lines that never ended and progress bars that stand."""
        with self._file.lock:
            lines = ["".join(pieces) for pieces in list(self._pieces.values())]
            self._file.write([line for line in lines if line] + self._rows.drain())
            self._pieces.clear()

    def release(self) -> None:
        self.finish()
        self._open = False  # someone may have put their own `write` over ours, and keep it
        for method in (self.write, self.flush):
            if vars(self.stream).get(method.__name__) == method:
                delattr(self.stream, method.__name__)
        if self.stream is not self.beneath and getattr(sys, self._name) is self.stream:
            setattr(sys, self._name, self.beneath)


def _is_blank(text: str) -> bool:
    return not text.strip("\n")


@io.TextIOBase.register
class _StandIn:
    """Takes the place of a stream whose methods cannot be replaced, and is like it in all else."""

    def __init__(self, beneath: TextIO) -> None:
        self._beneath = beneath

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_beneath"], name)

    def write(self, text: str) -> int:
        return self._beneath.write(text)  # looked up anew: IPython replaces it for each cell

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
    """An object whose `write` may be replaced, and will stay so."""
    if stream is None or getattr(stream, "closed", False):
        return _Nowhere()  # type: ignore[return-value] # a TextIO in all that is used
    # Who replaced `write` already puts the old one back some time (IPython: after each cell),
    # and ours would be gone with it.
    if hasattr(stream, "__dict__") and "write" not in vars(stream):
        return stream
    return _StandIn(stream)  # type: ignore[return-value] # it passes on all that it lacks


# -- What is logged --------------------------------------------------------------------------------


class _Records:
    """The records on their way to the root logger: into the file, and shown once in the terminal.

    `Logger.callHandlers` is replaced (as Sentry does), rather than a handler added: only there can
    be seen where a record's handlers begin and end. What they print is the record itself, no
    second line for the file; and if none of them prints it, its message is shown.
    """

    def __init__(self, level: int, file: LogFile, hush: _Hush, streams: list[_Stream]) -> None:
        import logging  # noqa: PLC0415 - a script that never logs does not pay for it

        self._level, self._file, self._hush, self._open = level, file, hush, True
        self._stood_in_for = [stream.stood_in_for for stream in streams if stream.stood_in_for]
        self._formatter = logging.Formatter("%(message)s")
        # Without a handler on the root, `logging.info` would call basicConfig.
        self._mark = logging.NullHandler()
        self._unstyled = [handler for handler in logging.root.handlers if _is_unstyled(handler)]
        self._root_level = logging.root.level
        logging.root.setLevel(level)
        logging.root.addHandler(self._mark)
        for handler in self._unstyled:
            logging.root.removeHandler(handler)
        self._call_handlers = logging.Logger.callHandlers
        self._ours = self._patch(logging.Logger)

    def _patch(self, loggers: type[logging.Logger]) -> Callable[[logging.Logger, Any], None]:
        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            if self._open and record.levelno >= self._level and _reaches_root(logger):
                self._take(logger, record)
            else:
                self._call_handlers(logger, record)

        loggers.callHandlers = call_handlers  # type: ignore[method-assign,assignment] # see the class
        return call_handlers

    def _take(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        text = self._text(record)
        kept = f"{record.msg!r} % {record.args!r} cannot be formatted" if text is None else text
        self._file.write(rendered(f"{record.levelname} {kept}"), record.created)
        outer, self._hush.printed = self._hush.printed, False
        try:
            with self._hush:
                self._call_handlers(logger, record)
            if not self._hush.printed and not self._is_shown_beneath(record):
                self._show(record, text)
        finally:
            self._hush.printed = outer

    def _text(self, record: logging.LogRecord) -> str | None:
        """The message, with its traceback; None if its arguments do not fit."""
        try:
            if record.exc_info or record.exc_text or record.stack_info:
                return self._formatter.format(record)
            return record.getMessage()
        except Exception:  # noqa: BLE001 - by the script's own objects, in their own `__str__`
            return None

    def _show(self, record: logging.LogRecord, text: str | None) -> None:
        if text is None:
            try:
                self._formatter.format(record)
            except Exception:  # noqa: BLE001 - reported as any handler of logging does
                self._mark.handleError(record)
        elif sys.stderr is not None:  # as in a process without a console
            with self._hush:
                sys.stderr.write(text + "\n")
                sys.stderr.flush()

    def _is_shown_beneath(self, record: logging.LogRecord) -> bool:
        """Whether a handler printed it to a stream that a `_StandIn` hides, so unheard."""
        import logging  # noqa: PLC0415 - as above

        return any(
            getattr(handler, "stream", None) is stream and record.levelno >= handler.level
            for handler in logging.root.handlers
            for stream in self._stood_in_for
        )

    def release(self) -> None:
        import logging  # noqa: PLC0415 - as above

        self._open = False  # someone may have put their own over ours, and keep it
        if logging.Logger.callHandlers is self._ours:
            logging.Logger.callHandlers = self._call_handlers  # type: ignore[method-assign]
        if self._mark in logging.root.handlers:  # else somebody set up logging anew
            for handler in self._unstyled:
                logging.root.addHandler(handler)
        logging.root.removeHandler(self._mark)
        if logging.root.level == self._level:
            logging.root.setLevel(self._root_level)


def _reaches_root(logger: logging.Logger) -> bool:
    """Whether the logger's records propagate up to the root's handlers."""
    while logger.parent is not None:
        if not logger.propagate:
            return False
        logger = logger.parent
    return True


def _is_unstyled(handler: logging.Handler) -> bool:
    """A terminal handler as a bare `basicConfig()` makes it, mostly by a library's accident."""
    import logging  # noqa: PLC0415 - as above

    terminal = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return (
        type(handler) is logging.StreamHandler
        and handler.stream in terminal
        and getattr(handler.formatter, "_fmt", None) == logging.BASIC_FORMAT
    )
