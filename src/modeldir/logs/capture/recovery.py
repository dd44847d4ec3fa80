"""A log goes on where a keeper was killed: each line once.

It knows what that keeper had read (`ring`) and what it had written (the file), and writes the
difference. It refuses to know who was killed, and how that is found out.
"""

from __future__ import annotations

import contextlib
import os
import time

from modeldir.logs.capture.buffer import Ring
from modeldir.logs.logfile import LINE, LogFile, encoded
from modeldir.logs.transcript import Transcript

TYPE_CHECKING = False  # as typing's, without the time that importing typing takes

if TYPE_CHECKING:
    from collections.abc import Sequence

_STAMP = 24
_MOST = 1 << 21
"""Bytes of the file that are looked at: a keeper reads less than that at once."""


class Written:
    """The end of a log file: what a keeper wrote that could not say so any more.

    Args:
        name: the file's path.
        since: its size when the keeper last said how far it was, in bytes.
        stamp: whether each line begins with its time.
    """

    def __init__(self, name: str, since: int, *, stamp: bool) -> None:
        end = b""
        with contextlib.suppress(OSError), open(name, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(since, size - _MOST))
            end = file.read(_MOST)
        self.torn = bool(end) and not end.endswith(b"\n")
        lines = end.split(b"\n")[:-1]
        self._lines = [line[_STAMP if stamp else 0 :] for line in lines if line[:1] != b"#"]

    def has(self, line: str) -> bool:
        """Whether this line is there, behind those that were asked for before."""
        with contextlib.suppress(ValueError):
            del self._lines[: self._lines.index(encoded(line)) + 1]
            return True
        return False


class _Remaining:
    """A log file that is only given the lines which it has not."""

    def __init__(self, file: LogFile, written: Written) -> None:
        self._file, self._written = file, written

    def write(self, lines: Sequence[str], now: float | None = None, kind: str = LINE) -> None:
        self._file.write([line for line in lines if not self._written.has(line)], now, kind)


def resumed(ring: Ring, file: LogFile, written: Written, every: float) -> Transcript:
    """A transcript that goes on where the one of a dead keeper stopped, in the same file."""
    transcript = Transcript(file, every)
    transcript.file = _Remaining(file, written)
    transcript.feed(ring.standing + ring.unfed(), time.time())
    transcript.file = file
    return transcript
