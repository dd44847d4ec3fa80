"""The file of a log: whole lines with their time, whatever happens to the disk.

It knows one file that stays open. It refuses to know where lines come from.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import threading
import time
from collections.abc import Callable
from typing import TextIO

from modeldir import files
from modeldir.errors import FolderError, did_you_mean, listed


class LogFile:
    """Whole lines at the end of a file, each batch by one `write`. Never raises once it is open."""

    def __init__(self, path: str | os.PathLike[str], tell: Callable[[str], None]) -> None:
        self._name = os.fspath(path)
        self._descriptor = _open(self._name)
        self._tell = tell
        self._torn = files.tail(path, 1) not in {b"", b"\n"}  # by a writer that was killed
        self._lost = 0
        self._told = False
        self._second, self._time = -1, ""
        self.lock = threading.RLock()  # the log's only one, held from a line's end to its write

    def write(self, lines: list[str], now: float | None = None) -> None:
        """Add lines, all with the time `now` (seconds since 1970; the present one if None)."""
        with self.lock:
            if lines and self._descriptor >= 0:
                stamp = self._stamp(time.time() if now is None else now)
                self._add("".join([f"{stamp}{line}\n" for line in lines]), len(lines), stamp)

    def _add(self, text: str, lines: int, stamp: str) -> None:
        if self._lost:
            text = f"{stamp}modeldir: {self._lost} lines are missing here\n{text}"
        try:
            self._append(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._lost += lines
            self._complain(error)
        else:
            self._lost = 0

    def _append(self, data: bytes) -> None:
        view = memoryview(b"\n" + data if self._torn else data)
        while view:
            written = os.write(self._descriptor, view)
            view = view[written:]
            self._torn = bool(view)

    def _stamp(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y-%m-%d %H:%M:%S,", time.localtime(second))
        return f"{self._time}{int((now - second) * 1000):03d} "

    def _complain(self, error: OSError) -> None:
        if not self._told:
            self._told = True  # before telling, which may come back here
            self._tell(
                f"modeldir: {self._name} cannot be written ({error.strerror}). "
                "The training goes on; lines are missing there until it can."
            )

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except OSError:
            return False

    def is_behind(self, stream: TextIO) -> bool:
        """Whether what is printed to `stream` lands in this very file (`train.py > train.log`)."""
        try:
            there, here = os.fstat(stream.fileno()), os.fstat(self._descriptor)
        except (OSError, ValueError, AttributeError, TypeError):
            return False
        return stat.S_ISREG(here.st_mode) and os.path.samestat(there, here)

    def close(self) -> None:
        with self.lock:
            if self._descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(self._descriptor)
            self._descriptor = -1


def _open(path: str) -> int:
    """A descriptor that appends to `path`. One above 2: where standard output is closed, C code
    would take the lowest free one for it.
    """
    low: list[int] = []
    try:
        while (descriptor := files.open_append(path)) <= 2:  # noqa: PLR2004 - standard error
            low.append(descriptor)
    except OSError as error:
        raise FolderError(_cannot_open(path, error)) from error
    finally:
        for each in low:
            os.close(each)
    return descriptor


def _cannot_open(path: str, error: OSError) -> str:
    """Why a log cannot be written at `path`, and what to type."""
    folder = os.path.dirname(path) or "."
    head = f"{path or 'an empty path'} cannot be the log:"
    if os.path.isdir(path):
        inside = os.path.join(path, "train.log")
        problem, hint = f"{path} is a folder", f"name a file in it: set_logger({inside!r})"
        return listed(head, [(problem, hint)], state="")
    if os.path.exists(folder):
        reason = error.strerror or str(error)
        if not os.path.isdir(folder):
            reason = f"{folder} is a file, not a folder"
        return listed(head, [(reason, None)], state="")
    return listed(
        head,
        [(f"there is no folder {folder}", _near(folder))],
        state=f"If it is meant, make it first: mkdir -p {shlex.quote(folder)}",
    )


def _near(folder: str) -> str | None:
    """A hint at a folder beside the missing one that it was probably meant to be."""
    parent, name = os.path.split(folder)
    with contextlib.suppress(OSError):
        return did_you_mean(
            name, [entry.name for entry in os.scandir(parent or ".") if entry.is_dir()]
        )
    return None
