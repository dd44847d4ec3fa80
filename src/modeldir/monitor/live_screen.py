"""Draw a few lines at the bottom of a terminal in place, while other text scrolls up above them.

`progress.py` calls `Canvas`. The cursor rests above the lines, on an empty line: a resized terminal
wraps lines again, and everything below the cursor can always be cleared. If this process is killed,
`worker/spawner.py` clears it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import IO

from modeldir.monitor.live_lines import Line, Shape

Size = Callable[[], "tuple[int, int]"]

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_CLEAR = "\r\x1b[J"
_FAINT, _STRONG, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Canvas:
    """The lines at the bottom of a terminal. A terminal that has gone away is no error."""

    def __init__(self, stream: IO[str], *, size: Size | None = None) -> None:
        self._stream: IO[str] | None = stream
        self._size = size or (lambda: _size_of(stream))
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._has_color = not os.environ.get("NO_COLOR")
        self._lines: Sequence[Line] = ()
        self._drawn = ""
        self._seen: tuple[int, int] = (0, 0)
        self._open = False

    def shape(self) -> Shape:
        """Return the space for lines: one column stays free, and the cursor's row."""
        columns, rows = self._size()
        return Shape(max(1, columns - 1), max(1, rows - 1), self._encoding)

    def draw(self, lines: Sequence[Line]) -> None:
        size, text = self._size(), self._text(lines)
        self._lines = lines
        if text == self._drawn and size == self._seen:
            return
        clear = _CLEAR if size != self._seen else ""
        self._drawn, self._seen = text, size
        self._write(clear + text)

    def above(self, text: str, *, color: str = "", colored: int = 0) -> None:
        if color and self._has_color:
            text = f"\x1b[{color}m{text[:colored]}{_PLAIN}{text[colored:]}"
        text = text.replace("\n", "\r\n")
        self._write(f"{_CLEAR}{text}\r\n{self._drawn}")

    def close(self) -> None:
        if self._open:
            self._write(_CLEAR + _SHOW)
            self._open = False
        self._lines, self._drawn = (), ""

    def _text(self, lines: Sequence[Line]) -> str:
        drawn = "".join(f"\r\n{self._styled(line)}\x1b[K" for line in lines)
        back = f"\x1b[{len(lines)}A" if lines else ""
        # Wrapping is off: if the terminal draws a character wider than expected, the end is cut.
        return f"{_NO_WRAP}\r\x1b[K{drawn}\x1b[J{back}\r{_WRAP}"

    def _styled(self, line: Line) -> str:
        if not self._has_color or not (line.faint or line.strong):
            return line.text
        return f"{_FAINT if line.faint else _STRONG}{line.text}{_PLAIN}"

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        if not self._open:
            self._open, text = True, _HIDE + text
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def _size_of(stream: IO[str]) -> tuple[int, int]:
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        columns = rows = 0
    if columns > 0 and rows > 0:
        return columns, rows
    import shutil  # noqa: PLC0415 - slow to import, rarely needed

    size = shutil.get_terminal_size()
    return size.columns, size.lines
