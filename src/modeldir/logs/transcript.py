"""Turn a stream of bytes into lines with times in a log file, as a terminal would show them.

The log writer and the supervisor (`supervised`) call `Transcript.feed`. When a feeding process
dies, `unfinished` hands the half lines to the next one. Bars: `screen`.
"""

from __future__ import annotations

import codecs
from itertools import groupby

from modeldir.logs.logfile import LINE, LONGER, SNAPSHOT, UNFINISHED, encoded
from modeldir.logs.screen import Continuation, Screen, Unfinished

TYPE_CHECKING = False  # like typing's; importing typing takes too long here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Lines(Protocol):
        def write(
            self, lines: Sequence[str], now: float | None = None, kind: str = LINE
        ) -> None: ...


_SETTLED = 0.3
"""Seconds after which a finished bar is written: see `Screen.flush_idle`."""


class Transcript:
    """Takes bytes and writes lines; snapshots of unfinished ones every `every` seconds."""

    def __init__(self, file: Lines, every: float = 30.0) -> None:
        self.file, self._every = file, every
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._screen = Screen()
        self._snapshot: float | None = None  # when the next snapshot is due
        self._settle: float | None = None  # when finished bars are due

    def feed(self, data: bytes, now: float) -> None:
        lines = self._screen.feed(self._decoder.decode(data))
        if lines:
            self._write(lines, now)
        if not self._screen.busy:
            self._snapshot = None
        elif self._snapshot is None:
            self._snapshot = now + self._every
        if self._settle is None and self._screen.waiting:
            self._settle = now + _SETTLED
        self.tick(now)

    def tick(self, now: float) -> None:
        """Write what is due at this time. If the clock was set back, do not wait for it."""
        if self._settle is not None:
            self._settle = min(self._settle, now + _SETTLED)
        if self._snapshot is not None:
            self._snapshot = min(self._snapshot, now + self._every)
        if self._settle is not None and now >= self._settle:
            self._write(self._screen.flush_idle(), now)
            self._settle = now + _SETTLED if self._screen.waiting else None
        if self._snapshot is not None and now >= self._snapshot:
            self._snapshot = now + self._every
            self.file.write(self._screen.visible(commit=True), now, SNAPSHOT)

    @property
    def due(self) -> float | None:
        """When `tick` has something to do next; None while nothing is unfinished."""
        return min((time for time in (self._snapshot, self._settle) if time), default=None)

    @property
    def unfinished(self) -> bytes:
        """Bytes that bring another transcript into this one's state."""
        half: bytes = self._decoder.getstate()[0]
        return encoded(self._screen.replay()) + half

    def finish(self, now: float) -> None:
        """Write unfinished lines. More may come, from a child that outlives the training run."""
        lines = self._screen.feed(self._decoder.decode(b"", final=True))
        self._write(lines + self._screen.drain(), now)
        self._screen, self._snapshot, self._settle = Screen(), None, None

    def _write(self, lines: list[str], now: float) -> None:
        if all(type(line) is str for line in lines):
            self.file.write(lines, now)
            return
        for kind, group in groupby(lines, _kind):
            self.file.write(list(group), now, kind)


def _kind(line: str) -> str:
    if isinstance(line, Continuation):
        return LONGER
    return UNFINISHED if isinstance(line, Unfinished) else LINE
