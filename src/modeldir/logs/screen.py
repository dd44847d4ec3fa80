"""What redrawing leaves: text with carriage returns and cursor moves, as a terminal would show it.

It knows rows and a cursor, so that a progress bar of ten thousand states becomes the one line that
is left of it. It refuses to know files, streams, clocks, and how wide anybody's terminal is.

A plain line is given out when it ends. A line that a carriage return drew may be one of several
bars, which move the cursor up again; so it waits until what follows says (`feed`), until somebody
with a clock lets it go (`settle`), or until all that stands is asked for (`standing`, `drain`).

It runs on everything that a training prints, in a process of its own that has to start at once:
hence no imports but `re` and what that has loaded. What it keeps is bounded whatever comes.
"""

from __future__ import annotations

import re
from collections import deque  # loaded by `re`

LONGEST = 65_536
"""Characters after which a line is cut, and goes on as a `Rest`: it must not fill memory."""

WINDOW = 64
"""Rows up to which nested progress bars may move the cursor back."""

HIDDEN = 16
"""Lines that wait while the cursor is hidden; whoever prints more than that draws nothing."""

WIDEST = 1_000
"""Columns to which the cursor may be moved where nothing stands. "999 to the right" is a habit."""

ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Anything that is not text, a tab or the end of a line."""

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
"""The same, no longer than what is taken for one escape sequence anywhere here."""

_ODDER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""The same without the carriage return."""

# A title or a link is waited for up to 4,096 characters; what is longer is a picture.
_PIECE = (
    r"(?P<text>[^\x00-\x08\x0b-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<given>[0-?]{0,64})(?P<between>[ -/]{0,4})(?P<final>[@-~])"
    r"|\x1b[]PX^_][^\x07\x1b\x9c]{0,4096}(?:[\x07\x9c]|\x1b\\)"  # window titles, links
    r"|(?P<picture>\x1b[]PX^_][^\x07\x1b\x9c]{4097})"
    r"|\x1b(?P<escape>[ -/]{0,4}[0-~])"
    r"|(?P<control>\x08+|.)"
)
# The beginning of an escape sequence whose end comes with the next write.
_CUT = r"\x1b(?:[ -/]{0,4}|\[[0-?]{0,64}[ -/]{0,4}|[]PX^_][^\x07\x1b\x9c\n]{0,4096}\x1b?)\Z"
_PICTURE_END = r"[\x07\x1b\x9c]"

_OTHER_SCREEN = frozenset({"47", "1047", "1049"})
_CURSOR = "25"
_PRIVATE = frozenset("<=>?")


class Rest(str):
    """A line that goes on with the line before, which had become too long."""

    __slots__ = ()


class Unfinished(str):
    """The line on which the cursor stands: its end has not come."""

    __slots__ = ()


class _Row:
    """One row. `left` is the age in which the cursor went on below it, None while it is drawn."""

    __slots__ = ("_more", "_text", "drawn", "in_file", "left", "length", "live", "redrawn", "rest")

    def __init__(self, text: str = "", in_file: str | None = None) -> None:
        self._text, self.length, self.in_file = text, len(text), in_file
        self._more: list[str] = []
        self.left: int | None = None
        self.drawn = False  # behind a carriage return, as progress bars are
        self.live = False  # the cursor came back to it from below
        self.redrawn = False  # over something: blanks at its end are no text
        self.rest = False

    @property
    def text(self) -> str:
        if self._more:
            self._text += "".join(self._more)
            self._more.clear()
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        self._more.clear()
        self._text, self.length = text, len(text)

    def put(self, column: int, text: str) -> None:
        if column == self.length:
            self._more.append(text)
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
        """The text without what redrawing left of blanks."""
        return self.text.rstrip() if self.redrawn or self.drawn else self.text

    @property
    def line(self) -> str | None:
        """What should be in the file and is not; None for nothing (as for a bar wiped away)."""
        text = self.kept
        if text == self.in_file or (not text and (self.redrawn or self.drawn or self.left is None)):
            return None
        return Rest(text) if self.rest else text


class Rows:
    """The last rows of a small terminal: text, carriage returns, backspaces, cursor moves.

    How its input is cut into writes makes no difference.
    """

    def __init__(self) -> None:
        self._rows = [_Row()]
        self._line = self._column = 0
        self._past: deque[str] = deque(maxlen=WINDOW)  # lines above the rows, all in the file
        self._above = 0  # how many there have been
        self._age = 0
        self._cut = ""
        self._out: list[str] = []
        self._saved = (0, 0)
        self._drew = -WINDOW  # the row that was last drawn behind a carriage return
        self._top: int | None = None  # the row that a program took for the screen's first
        self._arrived = False  # the cursor came to this row by the end of the one above
        self._returned = False  # a carriage return came, and nothing yet
        self._landed = False  # the cursor went up, and nothing was put there yet
        self._shown = False  # something was put into this row since the cursor came
        self._hidden = self._elsewhere = self._in_picture = False

    # -- What goes in and comes out ----------------------------------------------------------------

    def feed(self, text: str) -> list[str]:
        """Take text as a terminal would; the lines that it finished, each once."""
        if self._cut:
            text, self._cut = self._cut + text, ""
        if "\x1b" in text:
            text = self._whole(text)
        out, past = self._out, self._past
        lines = text.split("\n")
        last = lines.pop()
        fresh = self._is_fresh()
        for line in lines:
            plain = line.isprintable() or _is_plain(line)
            if not plain and line[-1] == "\r" and _is_plain(line[:-1]):
                line, plain = line[:-1], True  # noqa: PLW2901 - as Windows ends a line
            if fresh and plain and len(line) <= LONGEST and (line or not self._is_among_bars()):
                out.append(line)
                past.append(line)
                self._above += 1
                continue
            if line:
                self._take(line, plain=plain)
            self._in_picture = False
            self._down()
            fresh = self._is_fresh()
        if last:
            self._take(last, plain=last.isprintable())
        self._out = []
        return out

    def standing(self, *, commit: bool = False) -> list[str]:
        """The rows that the file lacks as they stand: bars, and a line without its end.

        With `commit` they count as written: only what changes after that is given out again.
        """
        lines = []
        for place, row in enumerate(self._rows):
            line = row.line
            if line is None:
                continue
            if commit:
                row.in_file = str(line)
            lines.append(Unfinished(line) if place == self._line and not row.rest else line)
        return lines

    def drain(self) -> list[str]:
        """The lines of all rows that are not in the file as they stand."""
        return self.standing(commit=True)

    def redrawing(self) -> str:
        """What to feed another one, so that it goes on where this one stands.

        Lines that were in the file already as they stand may be given out by it once more.
        """
        if not self.busy and all(row.line is None for row in self._rows):
            return ""
        rows = [f"\r{row.text}" if row.drawn else row.text for row in self._rows]
        below = len(rows) - 1 - self._line
        back = f"\x1b[{below}A" if below else ""
        text = "\n".join(rows) + back
        if below or self._column != self._rows[self._line].length:
            text += f"\x1b[{self._column + 1}G"
        return f"{text}\x1b[?1049h{self._cut}" if self._elsewhere else text + self._cut

    def settle(self) -> list[str]:
        """Let go of lines that waited since before the last call for what comes next.

        To be called a few times a second while `waiting`.
        """
        places = [
            place
            for place, row in enumerate(self._rows[: self._line])
            if row.left is not None and row.left < self._age and not row.live
        ]
        self._age += 1
        if places:
            self._commit(places[-1] + 1)
        out, self._out = self._out, []
        return out

    @property
    def waiting(self) -> bool:
        """Whether `settle` has something to let go of, now or the next time."""
        above = self._rows[: self._line]
        return any(row.left is not None and not row.live for row in above)

    def restart(self) -> list[str]:
        """Begin below all rows, which nothing redraws any more; those that the file lacks."""
        if len(self._rows) == 1 and not self._elsewhere:
            return []
        self._clear()
        self._elsewhere = False
        out, self._out = self._out, []
        return out

    @property
    def busy(self) -> bool:
        """Whether more text would go on with what stands there."""
        there = self._rows[self._line].length or self._cut or self._column or self._elsewhere
        return bool(there) or self._line < len(self._rows) - 1

    # -- Text --------------------------------------------------------------------------------------

    def _is_fresh(self) -> bool:
        """Whether a line that comes now, and ends, concerns nothing that stands there."""
        if len(self._rows) > 1 or self._column or self._hidden or self._elsewhere:
            return False
        row = self._rows[0]
        return not (row.length or row.redrawn or row.live or row.rest or self._returned) and (
            row.in_file is None and not self._in_picture
        )

    def _is_among_bars(self) -> bool:
        return self._above + self._line - self._drew < WINDOW

    def _whole(self, text: str) -> str:
        """The text without a beginning of an escape sequence at its end; that is kept."""
        last = text.rfind("\x1b")
        before = text.rfind("\x1b", 0, last) if last == len(text) - 1 else -1
        for place in (before, last):
            if place >= 0 and re.compile(_CUT).match(text, place):
                self._cut = text[place:]
                return text[:place]
        return text

    def _take(self, text: str, *, plain: bool) -> None:
        """Text without an end of line."""
        if self._elsewhere or self._in_picture:
            self._tokens(text)
            return
        if "\x1b" in text:
            bare = _COLOUR.sub("", text)
            if "\x1b" in bare:
                self._tokens(text)
                return
            text = bare
        if plain or not ODD.search(text):
            if text:
                self._put(text)
        elif "\r" in text and len(text) <= LONGEST and not _ODDER.search(text):
            self._states(text.split("\r"))
        else:
            self._tokens(text)

    def _states(self, states: list[str]) -> None:
        """Many states of one bar, a carriage return before each."""
        first, last = states[0], states[-1]
        middle = states[1:-1]
        # What is blank or empty means something (a bar wiped away), and so is looked at singly.
        if middle[2:] and all(middle) and not any(map(str.isspace, middle)):
            middle = [middle[0], middle[1], _over(middle[2:])]
        if first:
            self._put(first)
        for state in (*middle, last):
            self._return()
            if state:
                self._put(state)

    def _put(self, text: str) -> None:
        if self._landed:
            self._landed = False
            self._commit_left()  # what is drawn again begins here
        if self._arrived:
            self._arrived = False
            if self._rows[self._line].drawn and not self._rows[self._line].blank:
                self._clear()  # a plain line comes where bars were left: they stay, it is below
        row = self._rows[self._line]
        shown = not text.isspace()
        if self._returned:
            row.drawn, self._drew = True, self._above + self._line
            if shown and self._shown:
                self._commit_left()  # two states of a bar here, and the cursor did not go up
        room = LONGEST - self._column
        while len(text) > room:
            row.put(self._column, text[:room])
            text, room = text[room:], LONGEST
            row = self._cut_row()
        row.put(self._column, text)
        self._column += len(text)
        if shown:
            self._shown, self._returned = True, False

    def _cut_row(self) -> _Row:
        """The row is full: it is written, and its line goes on in a new one."""
        row = _Row()
        row.rest = True
        row.drawn = self._rows[self._line].drawn
        self._commit(self._line + 1)
        self._rows.insert(0, row)
        self._line = self._column = 0
        return row

    def _return(self) -> None:
        row = self._rows[self._line]
        # Blanks from end to end and a return: a bar was wiped away; what comes next is none.
        wiped = self._column > 0 and row.blank
        if wiped:
            row.text, row.drawn = "", False
        self._returned = not wiped
        self._column, self._arrived = 0, False

    def _down(self) -> None:
        """The end of a line."""
        if self._elsewhere:
            return
        rows, left = self._rows, self._rows[self._line]
        shown, self._shown = self._shown, False
        left.left = self._age
        self._line, self._column = self._line + 1, 0
        self._arrived, self._returned, self._landed = True, False, False
        if self._line < len(rows):
            if not all(row.blank for row in rows[self._line :]):
                return
            del rows[self._line :]
        rows.append(_Row())
        # An empty row among bars may be one that the cursor only passes on its way down.
        passed = not left.length and self._is_among_bars()
        if not (left.drawn or left.live or passed or self._hidden):
            self._commit(self._line)
        elif (shown and not self._hidden) or len(rows) > HIDDEN:
            self._commit_left(self._line - 1)
        if len(rows) > WINDOW:
            self._commit(len(rows) - WINDOW)

    def _commit(self, count: int) -> None:
        """The first rows are as they will stay: into the file with what it lacks of them."""
        for row in self._rows[:count]:
            line = row.line
            if line is not None:
                self._out.append(line)
            self._past.append(row.kept)
        del self._rows[:count]
        self._above += count
        self._line -= count

    def _commit_left(self, below: int | None = None) -> None:
        """The same for the rows that the cursor left by the end of their line."""
        for place in range((self._line if below is None else below) - 1, -1, -1):
            if self._rows[place].left is not None:
                self._commit(place + 1)
                return

    def _clear(self) -> None:
        """All rows are as they will stay; begin below them."""
        self._commit(len(self._rows))
        self._rows, self._line, self._column = [_Row()], 0, 0
        self._arrived = self._returned = self._shown = self._landed = False

    # -- Control -----------------------------------------------------------------------------------

    def _tokens(self, text: str) -> None:
        token, place = re.compile(_PIECE).match, 0  # compiled when first met, then `re` knows it
        while place < len(text):
            if self._in_picture:
                found = re.compile(_PICTURE_END).search(text, place)
                if not found:
                    return
                self._in_picture = False
                place = found.start() + (found[0] != "\x1b")
                continue
            match = token(text, place)
            if match is None:  # an end of line: never, since the text was split at them
                return
            place = match.end()
            self._token(match, match.lastgroup)

    def _token(self, match: re.Match[str], kind: str | None) -> None:
        if self._elsewhere and not (kind == "final" and match["final"] == "l"):
            self._in_picture = kind == "picture"
        elif kind == "text":
            self._put(match[0])
        elif kind == "final":
            if not match["between"] and match["final"] != "m":
                self._sequence(match["final"], match["given"])
        elif kind == "control":
            self._control(match[0])
        elif kind == "escape":
            self._escape(match["escape"])
        else:
            self._in_picture = kind == "picture"

    def _control(self, character: str) -> None:
        if character == "\r":
            self._return()
        elif character[0] == "\b":
            self._column, self._arrived = max(0, self._column - len(character)), False
        elif character in "\v\f":
            self._down()

    def _escape(self, kind: str) -> None:
        if kind == "7":
            self._save()
        elif kind == "8":
            self._restore()
        elif kind == "M":
            self._up(1)
        elif kind == "E":
            self._down()
        elif kind == "c":
            self._clear()

    def _sequence(self, final: str, given: str) -> None:
        if given and given[0] in _PRIVATE:
            self._mode(final, given)
            return
        numbers = []
        if given:
            parts = given.split(";")
            numbers = [min(int(part or 0), WIDEST) for part in parts if _is_number(part)]
        move = self._MOVES.get(final)
        if move is not None:
            move(self, (numbers or [0])[0] or 1)
        elif final in "Hf":
            self._go_to(*[number or 1 for number in (*numbers, 1, 1)[:2]])
        elif final == "J":
            self._erase_rows((numbers or [0])[0])
        elif final == "K":
            self._erase((numbers or [0])[0])

    def _mode(self, final: str, given: str) -> None:
        if final not in "hl" or given[0] != "?":
            return
        for mode in given[1:].split(";"):
            if mode in _OTHER_SCREEN:
                self._elsewhere = final == "h"
            elif mode == _CURSOR and not self._elsewhere:
                self._hidden = final == "l"
                if not self._hidden:
                    self._commit(self._line)

    def _up(self, count: int) -> None:
        if count > self._line:
            self._recall(count - self._line)
        self._land(max(0, self._line - count))

    def _recall(self, count: int) -> None:
        """Lines that are in the file already become rows again."""
        count = min(count, len(self._past), WINDOW - len(self._rows))
        if count > 0:
            lines = [self._past.pop() for _ in range(count)]
            self._rows[:0] = [_Row(line, line) for line in reversed(lines)]
            self._line += count
            self._above -= count

    def _land(self, place: int) -> None:
        """The cursor goes to a row: those it goes up through are drawn again, as one display."""
        if place < self._line:
            for row in self._rows[place:]:
                row.left, row.live = None, True
            self._line, self._landed = place, True
        else:
            self._line = min(place, len(self._rows) - 1)
        self._arrived = self._shown = False

    def _lower(self, count: int) -> None:
        self._land(self._line + count)

    def _next(self, count: int) -> None:
        self._lower(count)
        self._column = 0

    def _previous(self, count: int) -> None:
        self._up(count)
        self._column = 0

    def _right(self, count: int) -> None:
        self._to_column(max(self._column, min(self._column + count, WIDEST)) + 1)

    def _left(self, count: int) -> None:
        self._to_column(self._column - count + 1)

    def _to_column(self, number: int) -> None:
        self._column, self._arrived = max(0, number - 1), False

    def _go_to(self, line: int, column: int) -> None:
        """A place on the screen, whose first row is where a program first went home."""
        if self._top is None or self._above - self._top >= WINDOW:
            self._clear()
            self._top = self._above
        place = self._top + min(line, WINDOW) - 1 - self._above
        if place < 0:
            self._up(self._line - place)
        else:
            while len(self._rows) <= min(place, WINDOW - 1):
                self._rows.append(_Row())
                self._rows[-1].redrawn = True
            self._land(place)
        self._column = column - 1

    def _save(self, _: int = 1) -> None:
        self._saved = (self._above + self._line, self._column)

    def _restore(self, _: int = 1) -> None:
        line, column = self._saved
        place = line - self._above
        if place < self._line:
            self._up(self._line - place)
        else:
            self._land(place)
        self._column = column

    def _erase(self, part: int) -> None:
        row = self._rows[self._line]
        text, column = row.text, self._column
        if part == 0:
            row.text = text[:column]
        elif part == 1:
            row.text = " " * min(len(text), column + 1) + text[column + 1 :]
        else:
            row.text = ""
        row.redrawn = True
        if row.blank:
            row.drawn = False

    def _erase_rows(self, part: int) -> None:
        if part > 1:
            self._clear()
            self._top = self._above
            return
        self._erase(part)
        if part == 0:
            del self._rows[self._line + 1 :]
        else:
            for row in self._rows[: self._line]:
                row.text, row.redrawn = "", True

    def _insert(self, count: int) -> None:
        self._change(" " * count, 0)

    def _delete(self, count: int) -> None:
        self._change("", count)

    def _overwrite(self, count: int) -> None:
        self._change(" " * count, count)

    def _change(self, new: str, old: int) -> None:
        row, column = self._rows[self._line], self._column
        if column < row.length:
            row.redrawn = True
            row.text = (row.text[:column] + new + row.text[column + old :])[:LONGEST]

    _MOVES = {  # noqa: RUF012 - to import `typing` takes longer than all the rest
        "A": _up, "B": _lower, "C": _right, "D": _left, "E": _next, "F": _previous,
        "G": _to_column, "`": _to_column, "@": _insert, "P": _delete, "X": _overwrite,
        "s": _save, "u": _restore,
    }  # fmt: skip


def _is_plain(text: str) -> bool:
    """Whether a line has nothing odd in it, and something that can be seen."""
    return not (ODD.search(text) or text.isspace() or not text)


def _is_number(text: str) -> bool:
    return text.isascii() and (text.isdigit() or not text)


def _over(states: list[str]) -> str:
    """What is left of texts each put over the one before."""
    shown = states[-1]
    longest = max(map(len, states))
    for state in reversed(states):
        if len(shown) >= longest:
            break
        shown += state[len(shown) :]
    return shown


def rendered(text: str) -> list[str]:
    """The lines of a whole text as a terminal would leave them."""
    if not ODD.search(text):
        return text.split("\n")
    rows = Rows()
    return rows.feed(text + "\n") + rows.drain()
