"""Shared memory for what the log writer has read and not written yet; it outlives the log writer.

Bytes read from a pipe are gone from it. So `log_writer` reads into memory that the training process
holds too, and the next log writer continues from there (`resumed`). Start reading at `RingBuffer`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import time

from modeldir.logs.logfile import LINE, LogFile, encoded
from modeldir.logs.transcript import Transcript

TYPE_CHECKING = False  # like typing's; importing typing takes too long here

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 1 << 19
"""Bytes that may wait for the passthrough. Then printing waits, as it would without a log."""

_UNFINISHED = 1 << 17
_HEAD, _TAKEN, _INTENT, _SLOT = 0, 8, 16, 24
_SLOTS = 64
_PLACE, _NOTE = struct.Struct("Q"), struct.Struct("QQQ")
_SLOT_SIZE = _NOTE.size + _UNFINISHED
_START = _SLOTS + 2 * _SLOT_SIZE
_ALL = _START + SIZE
_MOST_AT_ONCE = 1 << 16
_STAMP = 24
"""Length in bytes of the time before a line's text."""
_MOST_WRITTEN = 1 << 21
"""Bytes read from the end of the log file. A log writer reads less than that at once."""


def create() -> int | None:
    """Return a descriptor of memory for one buffer; None where the system has none (not Linux)."""
    try:
        descriptor = os.memfd_create("modeldir-log", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        return None
    try:
        os.ftruncate(descriptor, _ALL)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


class RingBuffer:
    """The bytes of one channel.

    Three positions count them: the passthrough has everything before `taken`, the log everything
    before `fed` except what `unfinished` holds, and `head` is the end of what was read.

    The order of stores is the safety argument. Positions only grow. All memory outside `taken` to
    `head` is zero, so that a new log writer finds bytes whose number was not noted any more (except
    zeros at their very end). Each position is one store of eight bytes. Values that belong together
    are written into the idle one of two slots, and then one byte says which slot is valid.

    Without a descriptor the buffer is private memory, which no other log writer can take over.
    """

    def __init__(self, descriptor: int | None, *, left: bool = False) -> None:
        if descriptor is None:
            self._memory = mmap.mmap(-1, _ALL)
        else:
            self._memory = mmap.mmap(descriptor, _ALL)
            os.close(descriptor)
        self._bytes = memoryview(self._memory)[_START:_ALL]
        self.head, self.taken = self._load(_HEAD), self._load(_TAKEN)
        if left:
            self._recover()
        self.fed, self.noted, size = _NOTE.unpack_from(self._memory, self._slot())
        text = self._slot() + _NOTE.size
        self.unfinished = bytes(self._memory[text : text + size])

    def _recover(self) -> None:
        """Find what the dead log writer did without noting it."""
        free = b"".join(bytes(piece) for piece in self._room())
        self._set_head(self.head + len(free.rstrip(b"\0")))
        # The writer may have died between announcing this chunk and writing it. Losing it on the
        # terminal is better than printing it twice.
        self.take(max(0, self._load(_INTENT) - self.taken))

    @property
    def room(self) -> int:
        return SIZE - (self.head - self.taken)

    def read_from(self, source: int) -> int:
        """Read from a descriptor; return the number of bytes, 0 at the end."""
        size = os.readv(source, self._room())
        self._set_head(self.head + size)
        return size

    def unfed(self) -> bytes:
        return b"".join(bytes(piece) for piece in self._pieces(self.fed, self.head))

    def feed_done(self, unfinished: bytes, noted: int) -> None:
        unfinished = unfinished[-_UNFINISHED:]
        idle = 1 - self._memory[_SLOT]
        start = _SLOTS + idle * _SLOT_SIZE
        _NOTE.pack_into(self._memory, start, self.head, noted, len(unfinished))
        if unfinished:
            text = start + _NOTE.size
            self._memory[text : text + len(unfinished)] = unfinished
        self._memory[_SLOT] = idle
        self.fed, self.noted, self.unfinished = self.head, noted, unfinished

    @property
    def behind(self) -> bool:
        return self.head > self.taken

    def next(self) -> memoryview:
        start = self.taken % SIZE
        return self._bytes[start : start + min(self.head - self.taken, _MOST_AT_ONCE)]

    def intend(self, size: int) -> None:
        """Announce that this many bytes are about to be written to the passthrough."""
        _PLACE.pack_into(self._memory, _INTENT, self.taken + size)

    def take(self, size: int) -> None:
        self.intend(size)
        for piece in self._pieces(self.taken, self.taken + size):
            piece[:] = bytes(len(piece))
        self.taken += size
        _PLACE.pack_into(self._memory, _TAKEN, self.taken)

    def take_all(self) -> None:
        self.take(self.head - self.taken)

    def _load(self, where: int) -> int:
        return int(_PLACE.unpack_from(self._memory, where)[0])

    def _set_head(self, place: int) -> None:
        self.head = place
        _PLACE.pack_into(self._memory, _HEAD, place)

    def _slot(self) -> int:
        return _SLOTS + self._memory[_SLOT] * _SLOT_SIZE

    def _room(self) -> list[memoryview]:
        return self._pieces(self.head, self.taken + SIZE)

    def _pieces(self, start: int, end: int) -> list[memoryview]:
        first, size = start % SIZE, end - start
        ahead = min(size, SIZE - first)
        pieces = [self._bytes[first : first + ahead]] if ahead else []
        return [*pieces, self._bytes[: size - ahead]] if size > ahead else pieces


class Written:
    """The end of a log file: lines that the dead log writer wrote and did not note."""

    def __init__(self, name: str, since: int, *, stamp: bool) -> None:
        from modeldir._system import reading  # noqa: PLC0415 - slow, and only after a kill

        end = b""
        with contextlib.suppress(OSError), reading.open_stream(name) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(since, size - _MOST_WRITTEN))
            end = file.read(_MOST_WRITTEN)
        self.torn = bool(end) and not end.endswith(b"\n")
        lines = end.split(b"\n")[:-1]
        self._lines = [line[_STAMP if stamp else 0 :] for line in lines if line[:1] != b"#"]

    def has(self, line: str) -> bool:
        """Return whether the file has this line, after those that were looked up before."""
        with contextlib.suppress(ValueError):
            del self._lines[: self._lines.index(encoded(line)) + 1]
            return True
        return False


class _MissingLines:
    def __init__(self, file: LogFile, written: Written) -> None:
        self._file, self._written = file, written

    def write(self, lines: Sequence[str], now: float | None = None, kind: str = LINE) -> None:
        self._file.write([line for line in lines if not self._written.has(line)], now, kind)


def resumed(ring: RingBuffer, file: LogFile, written: Written, every: float) -> Transcript:
    """Return a transcript that continues that of a dead log writer, in the same file."""
    transcript = Transcript(file, every)
    transcript.file = _MissingLines(file, written)
    transcript.feed(ring.unfinished + ring.unfed(), time.time())
    transcript.file = file
    return transcript
