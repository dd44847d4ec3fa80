"""Read a log as lines: all of it, or only its last lines from the end of the file.

`commands/log.py` calls it. The end of a long log is read without reading all of it.
"""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from modeldir._system import reading
from modeldir.logs.screen import MAX_LINE, Continuation, Screen

CHUNK = 65_536
"""Bytes that are read at a time."""
FARTHEST = 4 << 20
"""Bytes without an end of a line at which looking back stops: a crash may leave zeros."""


class Reader:
    """Turns bytes of a log into lines, as a terminal would show them."""

    def __init__(self) -> None:
        self._screen = Screen()
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._open = False

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the lines that these bytes complete; a very long line comes in pieces."""
        return self._with_ends(self._screen.feed(self._decoder.decode(data)))

    def settle(self) -> Iterator[str]:
        """Yield lines that nothing has redrawn for long enough."""
        return self._with_ends(self._screen.flush_idle())

    def end(self) -> Iterator[str]:
        lines = self._screen.feed(self._decoder.decode(b"", final=True)) + self._screen.drain()
        yield from self._with_ends(lines)
        if self._open:
            yield "\n"

    def _with_ends(self, lines: list[str]) -> Iterator[str]:
        for line in lines:
            start = "\n" if self._open and not isinstance(line, Continuation) else ""
            self._open = len(line) >= MAX_LINE
            yield f"{start}{line}" if self._open else f"{start}{line}\n"


def lines_of(path: Path, start: int = 0) -> Iterator[str]:
    reader = Reader()
    with reading.open_stream(path) as file:
        file.seek(start)
        while piece := file.read(CHUNK):
            yield from reader.feed(piece)
    yield from reader.end()


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a file, reading as little of its end as possible."""
    length = os.stat(path).st_size if count else 0
    size, lines = CHUNK, list[str]()
    while True:
        start = _line_begin(path, length - size)
        if start is None and size > FARTHEST:
            start = length - size
        if start is not None:
            before, lines = len(lines), _last(lines_of(path, start), count)
            if len(lines) == count or start == 0 or (size > FARTHEST and len(lines) == before):
                return lines
        size *= 4


def _last(pieces: Iterable[str], count: int) -> list[str]:
    lines: deque[str] = deque(maxlen=count)
    text: list[str] = []
    for piece in pieces if count else ():
        before, end, after = piece.partition("\n")
        text.append(before)
        if end:
            lines.append("".join(text) + end)
            text = []
            if after:  # the piece ends a long line and begins the next
                lines.append(after) if after.endswith("\n") else text.append(after)
    return list(lines)


def _line_begin(path: Path, place: int) -> int | None:
    """Return where the first line after a position begins; None if there is none."""
    if place <= 0:
        return 0
    with reading.open_stream(path) as file:
        file.seek(place)
        while piece := file.read(CHUNK):
            found = piece.find(b"\n")
            if found >= 0:
                return place + found + 1
            place += len(piece)
    return None


def tail_begin(file: BinaryIO, count: int) -> int:
    """Return where the last lines of a file begin, without interpreting its bytes."""
    end = place = file.seek(0, os.SEEK_END)
    if count == 0:
        return end
    missing = count + 1  # with the end of the line before them
    last = end
    while max(0, last - FARTHEST) < place:
        size = min(CHUNK, place)
        place -= size
        file.seek(place)
        piece = file.read(size)
        if place + size == end and not piece.endswith(b"\n"):
            missing -= 1  # a last line without its end
        found = len(piece)
        while missing and (found := piece.rfind(b"\n", 0, found)) >= 0:
            missing -= 1
            last = place
        if not missing:
            return place + found + 1
    return place
