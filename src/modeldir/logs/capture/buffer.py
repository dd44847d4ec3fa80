"""What a keeper has read and not finished with, in memory that outlives it.

A pipe forgets what was read from it. A keeper that is killed between reading a line and writing it
would take the line with it; so it reads into memory that the training holds too, and the next
keeper finds there what this one had not finished with. It knows one channel's bytes, how far they
are, and what the transcript was left with. It refuses to know lines and files.

    taken      where they would have gone (the mirror) has everything before this place
    fed        the log has everything before it, but for what `standing` says
    head       the end of what was read

Places only grow. Whatever lies outside `taken` to `head` is zero, so that bytes are found also when
the keeper dies before it can note how many it read (but for zeros at their very end). Each place is
one store of eight bytes; what belongs together is written into the idle one of two slots, and
one byte then says which slot counts.
"""

from __future__ import annotations

import mmap
import os
import struct

SIZE = 1 << 19
"""Bytes that may wait for a mirror before the training has to, as it would without us."""

_STANDING = 1 << 17
_HEAD, _TAKEN, _INTENT, _SLOT = 0, 8, 16, 24
_SLOTS = 64
_PLACE, _NOTE = struct.Struct("Q"), struct.Struct("QQQ")
_SLOT_SIZE = _NOTE.size + _STANDING
_START = _SLOTS + 2 * _SLOT_SIZE
_ALL = _START + SIZE
_MOST_AT_ONCE = 1 << 16


def create() -> int | None:
    """A descriptor of memory for one ring; None where there is none to be had (not on Linux)."""
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


class Ring:
    """The bytes of one channel.

    Args:
        descriptor: of `create`; closed here. With None it is memory of our own: all is as
            described, and nothing outlives us.
        left: whether another keeper had it, and died.
    """

    def __init__(self, descriptor: int | None, *, left: bool = False) -> None:
        if descriptor is None:
            self._memory = mmap.mmap(-1, _ALL)
        else:
            self._memory = mmap.mmap(descriptor, _ALL)
            os.close(descriptor)
        self._bytes = memoryview(self._memory)[_START:_ALL]
        self.head, self.taken = self._place(_HEAD), self._place(_TAKEN)
        if left:
            self._recover()
        self.fed, self.noted, size = _NOTE.unpack_from(self._memory, self._slot())
        text = self._slot() + _NOTE.size
        self.standing = bytes(self._memory[text : text + size])

    def _recover(self) -> None:
        """Take up what a keeper left that died between doing and noting."""
        free = b"".join(bytes(piece) for piece in self._room())
        self._set_head(self.head + len(free.rstrip(b"\0")))
        # Said, and perhaps not done: rather a piece that a terminal lacks than one that it has
        # twice, and it lies between two instructions.
        self.take(max(0, self._place(_INTENT) - self.taken))

    # -- Reading in --------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Bytes that can be read in now."""
        return SIZE - (self.head - self.taken)

    def read_from(self, source: int) -> int:
        """Read what is there; how many bytes that was, 0 at the end. There must be room.

        Raises:
            OSError: as `os.read` does.
        """
        size = os.readv(source, self._room())
        self._set_head(self.head + size)
        return size

    def unfed(self) -> bytes:
        """What the transcript has not had."""
        return b"".join(bytes(piece) for piece in self._pieces(self.fed, self.head))

    def feed_done(self, standing: bytes, noted: int) -> None:
        """The transcript has had everything: what of it is unfinished, and the log file's size."""
        standing = standing[-_STANDING:]
        idle = 1 - self._memory[_SLOT]
        start = _SLOTS + idle * _SLOT_SIZE
        _NOTE.pack_into(self._memory, start, self.head, noted, len(standing))
        if standing:
            text = start + _NOTE.size
            self._memory[text : text + len(standing)] = standing
        self._memory[_SLOT] = idle
        self.fed, self.noted, self.standing = self.head, noted, standing

    # -- Giving out --------------------------------------------------------------------------------

    @property
    def behind(self) -> bool:
        """Whether there is anything that the mirror has not taken."""
        return self.head > self.taken

    def next(self) -> memoryview:
        """What the mirror should take next, or the beginning of it."""
        start = self.taken % SIZE
        return self._bytes[start : start + min(self.head - self.taken, _MOST_AT_ONCE)]

    def intend(self, size: int) -> None:
        """So many bytes are about to be given to the mirror."""
        _PLACE.pack_into(self._memory, _INTENT, self.taken + size)

    def take(self, size: int) -> None:
        """The mirror has taken so many bytes, or does not want them."""
        self.intend(size)
        for piece in self._pieces(self.taken, self.taken + size):
            piece[:] = bytes(len(piece))
        self.taken += size
        _PLACE.pack_into(self._memory, _TAKEN, self.taken)

    def take_all(self) -> None:
        self.take(self.head - self.taken)

    # -- Places ------------------------------------------------------------------------------------

    def _place(self, where: int) -> int:
        return int(_PLACE.unpack_from(self._memory, where)[0])

    def _set_head(self, place: int) -> None:
        self.head = place
        _PLACE.pack_into(self._memory, _HEAD, place)

    def _slot(self) -> int:
        return _SLOTS + self._memory[_SLOT] * _SLOT_SIZE

    def _room(self) -> list[memoryview]:
        return self._pieces(self.head, self.taken + SIZE)

    def _pieces(self, start: int, end: int) -> list[memoryview]:
        """The memory between two places: in two pieces where it goes round the ring's end."""
        first, size = start % SIZE, end - start
        ahead = min(size, SIZE - first)
        pieces = [self._bytes[first : first + ahead]] if ahead else []
        return [*pieces, self._bytes[: size - ahead]] if size > ahead else pieces
