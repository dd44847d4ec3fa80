"""A few lines at the foot of a terminal that change in place, while other text scrolls up above.

It knows the dozen escape sequences that this takes. It refuses to know what the lines say.

The cursor rests above the lines, on an empty one: a terminal that is resized wraps lines anew and
keeps the cursor where it belongs in the text, so that all below it can always be cleared, however
many rows it takes by now. What somebody else writes lands there too, and does no harm. If our
process is killed, the spawner clears what is below (`spawner._IN_ORDER`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import IO

from modeldir.monitor.layout import Line, Shape

Size = Callable[[], "tuple[int, int]"]

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_CLEAR = "\r\x1b[J"
_FAINT, _STRONG, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"


class Canvas:
    """The foot of a terminal. `size` gives its columns and rows, by default as the system knows.

    A terminal that went away takes nothing more, and is no error: what runs goes on.
    """

    def __init__(self, stream: IO[str], *, size: Size | None = None) -> None:
        self._stream: IO[str] | None = stream
        self._size = size or (lambda: _size_of(stream))
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._coloured = not os.environ.get("NO_COLOR")
        self._lines: Sequence[Line] = ()
        self._drawn = ""
        self._seen: tuple[int, int] = (0, 0)
        self._open = False

    def shape(self) -> Shape:
        """What lines that are drawn must fit into: a column stays free, and the cursor's row."""
        columns, rows = self._size()
        return Shape(max(1, columns - 1), max(1, rows - 1), self._encoding)

    def draw(self, lines: Sequence[Line]) -> None:
        """Show these lines in place of the ones before."""
        size, text = self._size(), self._text(lines)
        self._lines = lines
        if text == self._drawn and size == self._seen:
            return
        clear = _CLEAR if size != self._seen else ""
        self._drawn, self._seen = text, size
        self._write(clear + text)

    def above(self, text: str, *, colour: str = "", coloured: int = 0) -> None:
        """Let a text scroll up above the lines; its first `coloured` characters in a colour."""
        if colour and self._coloured:
            text = f"\x1b[{colour}m{text[:coloured]}{_PLAIN}{text[coloured:]}"
        text = text.replace("\n", "\r\n")
        self._write(f"{_CLEAR}{text}\r\n{self._drawn}")

    def close(self) -> None:
        """Clear the lines and give the cursor back."""
        if self._open:
            self._write(_CLEAR + _SHOW)
            self._open = False
        self._lines, self._drawn = (), ""

    def _text(self, lines: Sequence[Line]) -> str:
        drawn = "".join(f"\r\n{self._styled(line)}\x1b[K" for line in lines)
        back = f"\x1b[{len(lines)}A" if lines else ""
        # Without wrapping: a terminal that thinks a character wider than we do loses its end only.
        return f"{_NO_WRAP}\r\x1b[K{drawn}\x1b[J{back}\r{_WRAP}"

    def _styled(self, line: Line) -> str:
        if not self._coloured or not (line.faint or line.strong):
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
    """A terminal's columns and rows now; where it does not say, what the environment says."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        columns = rows = 0
    if columns > 0 and rows > 0:
        return columns, rows
    import shutil  # noqa: PLC0415 - slow to import, and nearly every terminal says it

    size = shutil.get_terminal_size()
    return size.columns, size.lines
