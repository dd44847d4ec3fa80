"""A small terminal emulation: turn what a training run prints into the lines of its log.

`Transcript` and `modeldir log` call `Screen.feed`. Text is never lost; a bar of ten thousand states
becomes its last one. It imports only `re`, because it runs in the log writer, which has to start at
once. Its memory is bounded, whatever is printed. The live table of a search: `monitor/live_screen`.
"""

from __future__ import annotations

import re
from collections import deque  # loaded by `re`

MAX_LINE = 65_536
"""Longest line in characters. A longer one is cut and continues as a `Continuation`."""

MAX_ROWS = 64
"""Number of rows up to which nested progress bars may move the cursor back."""

_MAX_HIDDEN = 16
"""Number of rows held back while the cursor is hidden. More than that is plain output."""

_MAX_COLUMN = 1_000
"""Rightmost column that a cursor movement reaches, and most rows that it moves up or down."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""A character that is neither text nor a tab nor the end of a line."""

COLOR = re.compile(r"\x1b\[[0-9;:]{0,64}m")

# The sequences that tqdm, rich, Keras and pip use; any other escape sequence is dropped. A title, a
# link or a picture may have 8,192 characters, as one piece of a picture in kitty's protocol has.
_PIECE = (
    r"(?P<text>[^\x00-\x08\x0b-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<number>[0-9]{0,64})(?P<move>[ABGK])"  # up, down, to a column; erase in the row
    r"|\x1b\[\?25(?P<cursor>[hl])"  # show or hide the cursor
    r"|\x1b\[[0-?]{0,64}[ -/]{0,4}[@-~]"
    r"|\x1b[]PX^_][^\x07\x1b\x9c]{0,8192}(?:[\x07\x9c]|\x1b\\)"
    r"|\x1b[ -/]{0,4}[0-~]"
    r"|(?P<control>\x08+|.)"
)
# The beginning of an escape sequence whose end comes with the next write.
_CUT = r"\x1b(?:[ -/]{0,4}|\[[0-?]{0,64}[ -/]{0,4}|[]PX^_][^\x07\x1b\x9c\n]{0,8192}\x1b?)\Z"


class Continuation(str):
    """The next piece of a line that was too long for one."""

    __slots__ = ()


class Unfinished(str):
    """The line that the cursor is on: its end has not been printed yet."""

    __slots__ = ()


class _ScreenRow:
    __slots__ = (
        "_pieces", "_text", "continues", "drawn", "in_file", "left_at", "length", "live", "redrawn",
    )  # fmt: skip

    def __init__(self, text: str = "", in_file: str | None = None) -> None:
        self._text, self.length, self.in_file = text, len(text), in_file
        self._pieces: list[str] = []
        self.left_at: int | None = None  # the tick at which a newline left it; None: being drawn
        self.drawn = False  # after a carriage return, as progress bars are
        self.live = False  # the cursor came back to it from below
        self.redrawn = False  # over earlier text: blanks at its end are not text
        self.continues = False  # the row before was cut at `MAX_LINE`

    @property
    def text(self) -> str:
        if self._pieces:
            self._text += "".join(self._pieces)
            self._pieces.clear()
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        self._pieces.clear()
        self._text, self.length = text, len(text)

    def put(self, column: int, text: str) -> None:
        if column == self.length:
            self._pieces.append(text)
            self.length += len(text)
            return
        old = self.text
        self.redrawn = self.redrawn or column < len(old)
        self.text = old[:column].ljust(column) + text + old[column + len(text) :]

    @property
    def blank(self) -> bool:
        return not self.length or not self.text.strip()

    @property
    def kept(self) -> str:
        return self.text.rstrip() if self.redrawn or self.drawn else self.text

    @property
    def missing(self) -> str | None:
        """The line that the file still needs; None for none, as for a bar that was erased."""
        text = self.kept
        erased = not text and (self.redrawn or self.drawn or self.left_at is None)
        if text == self.in_file or erased:
            return None
        return Continuation(text) if self.continues else text


class Screen:
    """The last rows of a terminal. How the output is cut into calls of `feed` makes no difference.

    A plain line is given out as soon as it ends. A line drawn after a carriage return may be one of
    several bars, to which the cursor may come back: it waits until later output decides (`feed`),
    until it has been idle (`flush_idle`), or until the caller wants everything (`drain`). The class
    is large because its 14 fields are one state: whether a row may still change depends on nearly
    all of them.
    """

    def __init__(self) -> None:
        self._rows = [_ScreenRow()]
        self._row = self._column = 0  # where the cursor is
        self._past: deque[str] = deque(maxlen=MAX_ROWS)  # lines above the rows, all in the file
        self._above = 0  # how many lines there have been above the rows
        self._tick = 0  # counts calls of `flush_idle`
        self._cut = ""  # the beginning of an escape sequence
        self._out: list[str] = []
        self._last_drawn = -MAX_ROWS  # the row that was last drawn after a carriage return
        self._arrived = False  # the cursor came to this row by the newline above
        self._returned = False  # a carriage return came, and no text since
        self._landed = False  # the cursor moved up, and no text came since
        self._shown = False  # text was put into this row since the cursor came
        self._hidden = False  # the cursor is hidden, as rich and pip do while they draw

    # -- Input and output --------------------------------------------------------------------------

    def feed(self, text: str) -> list[str]:
        """Take printed text; return the lines that it completed, each once."""
        if self._cut:
            text, self._cut = self._cut + text, ""
        if "\x1b" in text:
            text = self._without_cut(text)
        out, past = self._out, self._past
        lines = text.split("\n")
        last = lines.pop()
        fresh = self._is_fresh()
        for line in lines:
            plain = line.isprintable() or _is_plain(line)
            if not plain and line[-1] == "\r" and _is_plain(line[:-1]):
                line, plain = line[:-1], True  # noqa: PLW2901 - as Windows ends a line
            if fresh and plain and len(line) <= MAX_LINE and (line or not self._is_among_bars()):
                out.append(line)
                past.append(line)
                self._above += 1
                continue
            if line:
                self._put_line(line, plain=plain)
            self._newline()
            fresh = self._is_fresh()
        if last:
            self._put_line(last, plain=last.isprintable())
        self._out = []
        return out

    def visible(self, *, commit: bool = False) -> list[str]:
        """Return the rows that the file lacks; with `commit` they count as written."""
        lines = []
        for place, row in enumerate(self._rows):
            line = row.missing
            if line is None:
                continue
            if commit:
                row.in_file = str(line)
            lines.append(Unfinished(line) if place == self._row and not row.continues else line)
        return lines

    def drain(self) -> list[str]:
        return self.visible(commit=True)

    def replay(self) -> str:
        """Return text with which another screen continues; it may give out lines again."""
        if not self.busy and all(row.missing is None for row in self._rows):
            return ""
        rows = [f"\r{row.text}" if row.drawn else row.text for row in self._rows]
        below = len(rows) - 1 - self._row
        text = "\n".join(rows) + (f"\x1b[{below}A" if below else "")
        if below or self._column != self._rows[self._row].length:
            text += f"\x1b[{self._column + 1}G"
        return text + self._cut

    def flush_idle(self) -> list[str]:
        """Return the bars that have waited since the last call; call it while `pending`."""
        places = [
            place
            for place, row in enumerate(self._rows[: self._row])
            if row.left_at is not None and row.left_at < self._tick and not row.live
        ]
        self._tick += 1
        if places:
            self._commit(places[-1] + 1)
        out, self._out = self._out, []
        return out

    @property
    def waiting(self) -> bool:
        """Whether `flush_idle` has something to return, now or the next time."""
        above = self._rows[: self._row]
        return any(row.left_at is not None and not row.live for row in above)

    def restart(self) -> list[str]:
        """Begin below all rows, which stay as they are; return those that the file lacks."""
        if len(self._rows) == 1:
            return []
        self._clear()
        out, self._out = self._out, []
        return out

    @property
    def busy(self) -> bool:
        here = self._rows[self._row].length or self._cut or self._column
        return bool(here) or self._row < len(self._rows) - 1

    # -- Text --------------------------------------------------------------------------------------

    def _is_fresh(self) -> bool:
        """Whether a complete line that comes now touches nothing on the screen."""
        if len(self._rows) > 1 or self._column or self._hidden:
            return False
        row = self._rows[0]
        touched = row.length or row.redrawn or row.live or row.continues or self._returned
        return not touched and row.in_file is None

    def _is_among_bars(self) -> bool:
        return self._above + self._row - self._last_drawn < MAX_ROWS

    def _without_cut(self, text: str) -> str:
        """Return the text without an escape sequence that is cut off at its end; keep that."""
        last = text.rfind("\x1b")
        before = text.rfind("\x1b", 0, last) if last == len(text) - 1 else -1
        for place in (before, last):
            if place >= 0 and re.compile(_CUT).match(text, place):
                self._cut = text[place:]
                return text[:place]
        return text

    def _put_line(self, text: str, *, plain: bool) -> None:
        if "\x1b" in text:
            bare = COLOR.sub("", text)
            if "\x1b" in bare:  # what is left of it may look like another sequence
                self._put_tokens(text)
                return
            text = bare
        if not plain and CONTROL.search(text):
            self._put_tokens(text)
        elif text:
            self._put(text)

    def _put(self, text: str) -> None:
        if self._landed:
            self._landed = False
            self._commit_left()  # the part of the display that is drawn again begins here
        if self._arrived:
            self._arrived = False
            if self._rows[self._row].drawn and not self._rows[self._row].blank:
                self._clear()  # a plain line where bars stayed: it belongs below all of them
        row = self._rows[self._row]
        shown = not text.isspace()
        if self._returned:
            row.drawn, self._last_drawn = True, self._above + self._row
            if shown and self._shown:
                self._commit_left()  # two states of one bar, and the cursor did not move up
        room = MAX_LINE - self._column
        while len(text) > room:
            row.put(self._column, text[:room])
            text, room = text[room:], MAX_LINE
            row = self._start_continuation()
        row.put(self._column, text)
        self._column += len(text)
        if shown:
            self._shown, self._returned = True, False

    def _start_continuation(self) -> _ScreenRow:
        """Commit the full row and continue its line in a new one."""
        row = _ScreenRow()
        row.continues = True
        row.drawn = self._rows[self._row].drawn
        self._commit(self._row + 1)
        self._rows.insert(0, row)
        self._row = self._column = 0
        return row

    def _carriage_return(self) -> None:
        row = self._rows[self._row]
        # Blanks over the whole row and a return erase a bar; what comes next is plain text.
        erased = self._column > 0 and row.blank
        if erased:
            row.text, row.drawn = "", False
        self._returned = not erased
        self._column, self._arrived = 0, False

    def _newline(self) -> None:
        rows, left = self._rows, self._rows[self._row]
        shown, self._shown = self._shown, False
        left.left_at = self._tick
        self._row, self._column = self._row + 1, 0
        self._arrived, self._returned, self._landed = True, False, False
        if self._row < len(rows):
            if not all(row.blank for row in rows[self._row :]):
                return
            del rows[self._row :]
        rows.append(_ScreenRow())
        # An empty row among bars may be one that the cursor only crosses on its way down.
        crossed = not left.length and self._is_among_bars()
        if not (left.drawn or left.live or crossed or self._hidden):
            self._commit(self._row)
        elif (shown and not self._hidden) or len(rows) > _MAX_HIDDEN:
            self._commit_left(self._row - 1)
        if len(rows) > MAX_ROWS:
            self._commit(len(rows) - MAX_ROWS)

    # -- Commit: give rows out for the file --------------------------------------------------------

    def _commit(self, count: int) -> None:
        """Give out what the file lacks of the first rows, which will not change any more."""
        for row in self._rows[:count]:
            line = row.missing
            if line is not None:
                self._out.append(line)
            self._past.append(row.kept)
        del self._rows[:count]
        self._above += count
        self._row -= count

    def _commit_left(self, below: int | None = None) -> None:
        for place in range((self._row if below is None else below) - 1, -1, -1):
            if self._rows[place].left_at is not None:
                self._commit(place + 1)
                return

    def _clear(self) -> None:
        self._commit(len(self._rows))
        self._rows, self._row, self._column = [_ScreenRow()], 0, 0
        self._arrived = self._returned = self._shown = self._landed = False

    # -- Control characters and escape sequences ---------------------------------------------------

    def _put_tokens(self, text: str) -> None:
        for token in re.compile(_PIECE).finditer(text):  # compiled once: `re` keeps it
            kind = token.lastgroup
            if kind == "text":
                self._put(token[0])
            elif kind == "move":
                self._move(token["move"], min(int(token["number"] or 0), _MAX_COLUMN))
            elif kind == "cursor":
                self._hidden = token["cursor"] == "l"
                if not self._hidden:
                    self._commit(self._row)
            elif token[0] == "\r":
                self._carriage_return()
            elif token[0][0] == "\b":
                self._go_to_column(self._column - len(token[0]))

    def _move(self, kind: str, number: int) -> None:
        if kind == "K":
            self._erase(number)
        elif kind == "G":
            self._go_to_column(max(1, number) - 1)
        elif kind == "A":
            self._up(max(1, number))
        else:
            self._land(self._row + max(1, number))

    def _go_to_column(self, column: int) -> None:
        self._column, self._arrived = max(0, column), False

    def _up(self, count: int) -> None:
        missing = min(count - self._row, len(self._past), MAX_ROWS - len(self._rows))
        if missing > 0:  # lines that are in the file already become rows again
            lines = [self._past.pop() for _ in range(missing)]
            self._rows[:0] = [_ScreenRow(line, line) for line in reversed(lines)]
            self._row += missing
            self._above -= missing
        self._land(max(0, self._row - count))

    def _land(self, place: int) -> None:
        """Put the cursor into a row. All rows from there down are one display, drawn again."""
        if place < self._row:
            for row in self._rows[place:]:
                row.left_at, row.live = None, True
            self._row, self._landed = place, True
        else:
            self._row = min(place, len(self._rows) - 1)
        self._arrived = self._shown = False

    def _erase(self, part: int) -> None:
        """Erase the row (2) or the rest of it (0)."""
        row = self._rows[self._row]
        if part not in {0, 2}:
            return
        row.text = row.text[: self._column] if part == 0 else ""
        row.redrawn = True
        if row.blank:
            row.drawn = False


def _is_plain(text: str) -> bool:
    return not (CONTROL.search(text) or text.isspace() or not text)


def rendered(text: str) -> list[str]:
    """Return the lines of a whole text as a terminal would leave them."""
    if not CONTROL.search(text):
        return text.split("\n")
    screen = Screen()
    return screen.feed(text + "\n") + screen.drain()
