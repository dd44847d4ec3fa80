"""`set_logger`: all that reaches the terminal also reaches a file, with the time of each line.

Scripts call it, and `start` does for them. Nothing here may end a training run: a full disk or a
closed terminal is reported once. How output is captured: `capture`; a line's form: `logfile`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from _thread import RLock  # like threading's, without loading it
from typing import TYPE_CHECKING, ClassVar, Literal

from modeldir._system import distributed, files, reading
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, did_you_mean
from modeldir.logs.logfile import CLOSED, LogFile, LogSettings, ignore
from modeldir.logs.screen import rendered
from modeldir.params import usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from modeldir.logs.capture.methods import CaptureMethod

How = Literal["auto", "fd", "sys", "file", "off"]
_HOWS = ("auto", "fd", "sys", "file", "off")
_LONGEST_ARGV = 4096


def set_logger(  # noqa: PLR0913 - each is an option that a script may need
    path: str | os.PathLike[str],
    level: str | int = "INFO",
    *,
    capture: How = "auto",
    stamp: bool = True,
    progress_every: float = 30.0,
    rank: int | Literal["auto"] = "auto",
) -> Log:
    """Write all that this process and its children print and log to the file `path` as well.

    Lines are appended. A second call with the same file returns the same log, at the new level. A
    call with another path finishes the first file and continues in the second. You may close the
    returned log or use it as a context manager, but you do not have to.

    Args:
        path: the file, in a folder that exists. A folder is never created, because a mistyped
            `--model_dir` should be an error and not a new experiment.
        level: the lowest level of log records, as a name ("DEBUG", "INFO", ...) or a number.
        capture: how to capture output. "fd": the process's descriptors, with the output of C code
            and children. "sys": only Python's streams. "file": descriptors lead straight into the
            file, raw, and nowhere else. "off": log records are printed and nothing is kept.
            "auto": "fd" where that is possible.
        stamp: whether each line in the file begins with its time.
        progress_every: seconds between two snapshots of a progress bar.
        rank: this process's rank in a distributed training run. From rank 1 on the file is
            `train.rank1.log` and so on. "auto" reads the environment (torchrun, Slurm, MPI).

    Raises:
        FolderError: the file cannot be opened for writing. An earlier log then continues unchanged.
        ValueError: there is no such level or capture method.
    """
    from modeldir.logs.capture.logging_setup import level_number  # noqa: PLC0415 - it imports `logging`

    if capture not in _HOWS:
        raise ValueError(f"capture is one of {', '.join(_HOWS)}, not {capture!r}")
    number = level_number(level)
    own = distributed.rank() if rank == "auto" else rank
    stem, ending = os.path.splitext(os.fspath(path))
    path = f"{stem}.rank{own}{ending}" if own > 0 else os.fspath(path)
    with Log.lock:
        current = Log.current
        if current is not None and current.is_at(path):
            current.attach(number)
            return current
        log = Log(path, capture, own, stamp=stamp, progress_every=progress_every)
        if current is not None:
            log.take_over(current)
        log.attach(number)
        return log


class Log:
    """The open log of this process, made by `set_logger`.

    `path` is the file's absolute path. `level` is the lowest level of the records it takes, a
    number.
    """

    # Not derived from sys.stdout or the root logger's handlers, because pytest, Jupyter and
    # `basicConfig(force=True)` replace those while a log is open.
    current: ClassVar[Log | None] = None
    # Without it, two threads that call `set_logger` at once would capture each other's capture.
    lock: ClassVar[RLock] = RLock()

    def __init__(
        self,
        path: str | os.PathLike[str],
        capture: How,
        rank: int = 0,
        *,
        stamp: bool = True,
        progress_every: float = 30.0,
    ) -> None:
        self.path: Path = files.absolute(path)
        self.level = 0
        self._pid = os.getpid()
        self._capture = capture
        torn = reading.tail(path, 1) not in {b"", b"\n"}  # its writer was killed
        self._descriptor = _open_log(os.fspath(path))
        self._was: os.stat_result | None = os.fstat(self._descriptor)
        alone = files.hold(self._descriptor)
        self._settings = LogSettings(
            str(self.path), _facts(rank, alone=alone), progress_every, stamp=stamp, torn=torn
        )
        self._rank = rank
        self._method: CaptureMethod | None = None

        self._failed = False
        self._undo = contextlib.ExitStack()

    def attach(self, level: int) -> None:
        from modeldir.logs.capture.logging_setup import LoggingSetup  # noqa: PLC0415 - as above

        self._undo.close()
        self.level, Log.current = level, self
        if self._method is None:
            from modeldir.logs.capture.choose_method import choose_method  # noqa: PLC0415 - slow

            self._method = choose_method(
                self._capture, self._descriptor, self._settings, self._rank
            )
        self._method.attach()
        # With "off" the file gets nothing from us, so a handler of the script that writes it stays.
        logging_setup = LoggingSetup(level, None if self._capture == "off" else self._descriptor)
        self._undo.callback(logging_setup.release)
        self._undo.callback(self._method.detach)
        self._undo.callback(_watch_exceptions(self._note))
        self._undo.callback(atexit.unregister, atexit.register(self._finish))

    def _note(self, how: str) -> None:
        self._failed = True
        if self._method is not None:
            self._method.note(how)

    def take_over(self, earlier: Log) -> None:
        method, moved = earlier._method, False
        if method is not None and self._capture == earlier._capture:
            moved = method.move(self._descriptor, self._settings)
        if moved:
            self._method, earlier._method = method, None
        if earlier._descriptor == self._descriptor:
            earlier._was = None  # a daemon had closed everything, and we got the same number
        earlier.close()

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Return whether `path` is this log's file; false if that was moved or removed."""
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except OSError:
            return False

    def close(self, how: str = CLOSED) -> None:
        """Write what is unfinished, close the file and put everything back.

        A second call does nothing. `how` is what the last line says about the end.
        """
        with Log.lock:
            self._close(how)

    def _close(self, how: str) -> None:
        if self._descriptor < 0:
            return
        if self._method is not None:
            self._report_unread()
        self._undo.close()
        if self._method is not None:
            self._method.close(how)
            self._method = None
        with contextlib.suppress(OSError):  # the script may have closed it, and opened another
            if self._was and os.path.samestat(os.fstat(self._descriptor), self._was):
                os.close(self._descriptor)
        self._descriptor = -1
        if Log.current is self:
            Log.current = None

    def __enter__(self) -> Log:  # noqa: PYI034 - it has no subclasses
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        code = error.code if isinstance(error, SystemExit) else ""
        is_plain_exit = code is None or isinstance(code, int)  # Python prints nothing for it
        if error is None or self._method is None or is_plain_exit:
            self.close()
            return
        from traceback import format_exception  # noqa: PLC0415 - only after an error

        self._failed = True
        # Python prints the traceback only after the file is closed.
        self._method.drain()
        with contextlib.suppress(OSError):
            descriptor, name = os.dup(self._descriptor), str(self.path)
            file = LogFile(descriptor, name, ignore, stamp=self._settings.stamp)
            file.write(rendered("".join(format_exception(error)).rstrip("\n")))
            file.close()
        self.close(f"exception {type(error).__name__}")

    def __repr__(self) -> str:
        return f"<Log {str(self.path)!r}>"

    def _finish(self) -> None:
        """Write the end at the script's end, and continue: exit handlers of others print too."""
        if self._method is not None and os.getpid() == self._pid:
            self._report_unread()
            self._method.finish()

    def _report_unread(self) -> None:
        if os.getpid() == self._pid and self._rank == 0 and not self._failed:
            import logging  # noqa: PLC0415 - it is loaded by now

            for remark in usage.remarks(self.path.parent):
                logging.getLogger("modeldir").info(remark)

    def start_over(self) -> None:
        if self._method is not None:
            self._method.forget()


def _start_over_in_child() -> None:
    Log.lock = RLock()  # the thread that held it is not in the child
    if Log.current is not None:
        Log.current.start_over()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_over_in_child)


def _open_log(path: str) -> int:
    """Open `path` above 2: with standard output closed, C code would print into it."""
    low: list[int] = []
    try:
        while (descriptor := files.open_append(path)) <= 2:  # noqa: PLR2004 - standard error
            low.append(descriptor)
    except OSError as error:
        raise _cannot_open(path, error) from None
    finally:
        for each in low:
            os.close(each)
    return descriptor


def _cannot_open(path: str, error: OSError) -> FolderError:
    folder = os.path.dirname(path) or "."
    first = f"{path or 'an empty path'} cannot be the log:"
    if os.path.isdir(path):
        inside = os.path.join(path, "train.log")
        problem, hint = f"{path} is a folder", f"name a file in it: set_logger({inside!r})"
        return FolderError(first, [(problem, hint)], state="")
    if os.path.exists(folder):
        reason = error.strerror or str(error)
        if not os.path.isdir(folder):
            reason = f"{folder} is a file, not a folder"
        return FolderError(first, [(reason, None)], state="")
    return FolderError(
        first,
        [(f"there is no folder {folder}", _near(folder))],
        state=f"If it is meant, make it first: mkdir -p {quoted(folder)}",
    )


def _near(folder: str) -> str | None:
    parent, name = os.path.split(folder)
    with contextlib.suppress(OSError):
        return did_you_mean(
            name, [entry.name for entry in os.scandir(parent or ".") if entry.is_dir()]
        )
    return None


def _facts(rank: int, *, alone: bool) -> str:
    import json  # noqa: PLC0415 - scripts that set no log do not need it
    import socket  # noqa: PLC0415 - as above

    # A script may change `sys.argv`: it may be missing and hold anything.
    argv = json.dumps(getattr(sys, "argv", []), default=str)
    if len(argv) > _LONGEST_ARGV:
        argv = f"{argv[:_LONGEST_ARGV]}..."
    beside = "" if alone else " beside another process"
    facts = f"pid={os.getpid()} host={socket.gethostname()} argv={argv}"
    return f"{facts} cwd={_here()} rank={rank}{beside}"


def _here() -> str:
    try:
        here = os.getcwd()
    except OSError:
        return "?"  # removed meanwhile
    return here.replace("\n", "\\n").replace("\r", "\\r")  # the first line is one line


def _watch_exceptions(note: Callable[[str], None]) -> Callable[[], None]:
    """Call `note` with the exception that ends the script; return a function that undoes this."""
    before = sys.excepthook

    def noting(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            note(f"exception {kind.__name__}")
        before(kind, error, trace)

    def undo() -> None:
        if sys.excepthook is noting:
            sys.excepthook = before

    sys.excepthook = noting
    return undo
