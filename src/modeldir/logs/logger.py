"""The log: all that reaches the terminal also reaches a file, with the time of each line.

    set_logger("experiments/base_model/train.log")
    logging.info("in the terminal and in the file")
    print("this too"); os.system("echo and this")

It knows when a log begins and ends, what its first and last lines say, and that it goes on
elsewhere when another path is given. It refuses to know how what is printed is heard: that is
`capture`.

Nothing here ever ends a training: a full disk, a closed terminal or a reader that went away
(`| head -1`) is told once, where it still can be told.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from _thread import RLock  # as threading's, which most scripts need not load yet
from typing import TYPE_CHECKING, ClassVar, Literal

from modeldir._system import distributed, files
from modeldir.logs.destination import of_rank, open_log
from modeldir.logs.logfile import CLOSED, LogFile, Settings
from modeldir.logs.screen import rendered
from modeldir.params import usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from modeldir.logs.capture.handler import Records
    from modeldir.logs.capture.methods import Way

How = Literal["auto", "fd", "sys", "file", "off"]
_HOWS = ("auto", "fd", "sys", "file", "off")
_LONGEST_ARGV = 4096


def set_logger(  # noqa: PLR0913 - each is something that a script may want to say
    path: str | os.PathLike[str],
    level: str | int = "INFO",
    *,
    capture: How = "auto",
    stamp: bool = True,
    progress_every: float = 30.0,
    rank: int | Literal["auto"] = "auto",
) -> Log:
    """From now on, all that this process and its children print and log is in the file `path` too.

    Lines are added; what the file holds already stays. Called again with the same file (however
    its path is written) it gives back the same log, at the level now asked for; with another
    path the first file is finished and the log goes on in the second. The result may be closed, or
    used as a context manager; nothing needs to be done at the end of a script.

    Args:
        path: the file, in a folder that exists. A folder is never made here, since a mistyped
            `--model_dir` should be an error and not a new experiment.
        level: records below it are left out, as a name ("DEBUG", "INFO", ...) or a number.
        capture: how to listen. "fd": to the process's descriptors, so that C code and children are
            heard. "sys": to Python's streams only. "file": descriptors lead straight into the file,
            raw, and nowhere else. "off": log records are shown, nothing is kept. "auto": "fd" where
            that is possible.
        stamp: whether each line in the file begins with its time.
        progress_every: seconds between two snapshots of a progress bar that is being drawn.
        rank: of this process among those of one training. From 1 on the file is
            `train.rank1.log` and so on. "auto" asks the environment (torchrun, Slurm, MPI).

    Raises:
        FolderError: the file cannot be opened for writing; an earlier log then goes on unchanged.
        ValueError: there is no such level or way to capture.
    """
    from modeldir.logs.capture.handler import level_number  # noqa: PLC0415 - with it comes `logging`

    if capture not in _HOWS:
        raise ValueError(f"capture is one of {', '.join(_HOWS)}, not {capture!r}")
    number = level_number(level)
    own = distributed.rank() if rank == "auto" else rank
    path = of_rank(os.fspath(path), own)
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
    """The open log of this process: made by `set_logger`, which see.

    `path` is the file's absolute path, `level` the lowest level of the records it takes (a number).
    """

    # Not looked up from sys.stdout or the root logger's handlers: pytest, Jupyter and
    # `basicConfig(force=True)` replace those while a log is open.
    current: ClassVar[Log | None] = None
    # Two threads that set a log at once would each find none, and capture what the other captured.
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
        torn = files.tail(path, 1) not in {b"", b"\n"}  # by a writer that was killed
        self._descriptor = open_log(os.fspath(path))
        self._was: os.stat_result | None = os.fstat(self._descriptor)
        alone = files.hold(self._descriptor)
        self._settings = Settings(
            str(self.path), _facts(rank, alone=alone), progress_every, stamp=stamp, torn=torn
        )
        self._rank = rank
        self._way: Way | None = None
        self._records: Records | None = None
        self._failed = False
        self._undo = contextlib.ExitStack()

    def attach(self, level: int) -> None:
        """Listen, at this level, to what `sys.stdout`, `sys.stderr` and `logging` are now."""
        from modeldir.logs.capture.handler import Records  # noqa: PLC0415 - with it comes `logging`

        self._undo.close()
        self.level, Log.current = level, self
        if self._way is None:
            from modeldir.logs.capture.choice import way  # noqa: PLC0415 - what it takes is not little

            self._way = way(self._capture, self._descriptor, self._settings, self._rank)
        self._way.attach()
        # By "off" nothing of what is shown is kept: there the script's own handler is all there is.
        records = Records(level, None if self._capture == "off" else self._descriptor)
        self._undo.callback(records.release)
        self._undo.callback(self._way.detach)
        self._undo.callback(_hear_of_exceptions(self._note))
        self._undo.callback(atexit.unregister, atexit.register(self._finish))

    def _note(self, how: str) -> None:
        self._failed = True
        if self._way is not None:
            self._way.note(how)

    def take_over(self, earlier: Log) -> None:
        """Go on where another log was; its file is finished."""
        way, moved = earlier._way, False
        if way is not None and self._capture == earlier._capture:
            moved = way.move(self._descriptor, self._settings)
        if moved:
            self._way, earlier._way = way, None
        if earlier._descriptor == self._descriptor:
            earlier._was = None  # a daemon had closed everything; this number is ours now
        earlier.close()

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether `path` leads to this log's file; not, if that was moved away or removed."""
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except OSError:
            return False

    def close(self, how: str = CLOSED) -> None:
        """Write what is unfinished, close the file, put everything back. Again does nothing.

        `how` is what the last line says of the end.
        """
        with Log.lock:
            self._close(how)

    def _close(self, how: str) -> None:
        if self._descriptor < 0:
            return
        if self._way is not None:
            self._remark()
        self._undo.close()
        if self._way is not None:
            self._way.close(how)
            self._way = None
        with contextlib.suppress(OSError):  # the script may have closed it, and opened another
            if self._was and os.path.samestat(os.fstat(self._descriptor), self._was):
                os.close(self._descriptor)
        self._descriptor = -1
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
        if error is None or self._way is None or _is_plain_exit(error):
            self.close()
            return
        from traceback import format_exception  # noqa: PLC0415 - only on the way to an error

        self._failed = True
        # Python prints the traceback when the file is closed already.
        self._way.drain()
        with contextlib.suppress(OSError):
            descriptor, name = os.dup(self._descriptor), str(self.path)
            file = LogFile(descriptor, name, _unheard, stamp=self._settings.stamp)
            file.write(rendered("".join(format_exception(error)).rstrip("\n")))
            file.close()
        self.close(f"exception {type(error).__name__}")

    def __repr__(self) -> str:
        return f"<Log {str(self.path)!r}>"

    def _finish(self) -> None:
        """End with the script, and go on: others' exit handlers print too."""
        if self._way is not None and os.getpid() == self._pid:
            self._remark()
            self._way.finish()

    def _remark(self) -> None:
        """Say what only the end shows: hyperparameters that nobody read. After an error that is no
        wonder.
        """
        if os.getpid() == self._pid and self._rank == 0 and not self._failed:
            import logging  # noqa: PLC0415 - it is there by now

            for remark in usage.remarks(self.path.parent):
                logging.getLogger("modeldir").info(remark)

    def start_over(self) -> None:
        """In a forked child: it prints, and the log is its parent's."""
        if self._way is not None:
            self._way.forget()


def _start_over_in_child() -> None:
    Log.lock = RLock()  # the thread that held it is not here
    if Log.current is not None:
        Log.current.start_over()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_over_in_child)


def _facts(rank: int, *, alone: bool) -> str:
    """What a log's first line says of who writes it."""
    import json  # noqa: PLC0415 - as above
    import socket  # noqa: PLC0415 - as above

    # `sys.argv` is the script's own: it may be missing, and hold anything.
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


def _unheard(words: str) -> None:
    """The disk is full, and the log has said so before."""


def _is_plain_exit(error: BaseException) -> bool:
    """`sys.exit()` or `sys.exit(3)`, of which Python prints nothing."""
    return isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int))


def _hear_of_exceptions(note: Callable[[str], None]) -> Callable[[], None]:
    """Have the log told of the exception that ends the script; gives what undoes it."""
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
