"""What redrawing leaves: text with carriage returns and cursor moves, as a terminal would show it.

It knows rows and a cursor, so that a progress bar of ten thousand states becomes the one line that
is left of it. It refuses to know files and streams.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 65_536
"""Characters (or pieces) after which a line that never ends is cut: it must not fill memory."""

WINDOW = 64
"""Rows up to which a nested progress bar may move the cursor back."""

ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Anything that is not text, a tab or the end of a line."""

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

TOKEN = re.compile(
    r"\x1b\[(?P<number>[0-9]{0,5})[0-?]*[ -/]*(?P<move>[@-~])"
    r"|\x1b[]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # window titles, links
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|."
    r"|\n"
)

CUT = re.compile(r"\x1b(?:[ -/]+|\[[0-?]*[ -/]*|[]PX^_][^\x07\x1b\n]{0,4096}\x1b?)?\Z")
"""The beginning of an escape sequence whose end comes with the next write."""


@dataclass
class _Row:
    text: str = ""
    in_file: str | None = None
    redrawn: bool = False

    @property
    def line(self) -> str | None:
        """What should be in the file and is not; None for nothing (as for a bar wiped away)."""
        text = self.text.rstrip() if self.redrawn else self.text
        return None if text == self.in_file or (self.redrawn and not text) else text


class Rows:
    """The last rows of a small terminal: text, carriage returns, backspaces, cursor moves.

    A row is finished when the cursor goes on to a new one below; it may still be redrawn (by
    nested progress bars), and is then finished once more.
    """

    def __init__(self) -> None:
        self._rows = [_Row()]
        self._line = self._column = 0
        self._cut = ""

    @property
    def busy(self) -> bool:
        """Whether more text would go on with what stands there."""
        there = self._rows[self._line].text or self._cut or self._column
        return bool(there) or self._line < len(self._rows) - 1

    def feed(self, text: str) -> list[str]:
        """Take text as a terminal would; the lines that it finished."""
        text = self._cut + text
        cut = CUT.search(text)
        self._cut = cut[0] if cut else ""
        done: list[str] = []
        for token in TOKEN.finditer(text, 0, len(text) - len(self._cut)):
            if token["text"]:
                done += self._put(token["text"])
            elif token[0] == "\n":
                done += self._down()
            elif token["move"]:
                self._move(token["move"], token["number"])
            else:
                self._column = {"\r": 0, "\b": max(0, self._column - 1)}.get(token[0], self._column)
        return done

    def restart(self) -> list[str]:
        """Begin below all rows, which nothing redraws any more; those that the file lacks."""
        if len(self._rows) == 1:
            return []
        lines = self.drain()
        self._rows, self._line = [_Row()], 0
        return lines

    def drain(self) -> list[str]:
        """The lines of all rows that are not in the file as they stand."""
        lines = [(row, row.line) for row in self._rows if row.text]
        for row, line in lines:
            row.in_file = line if line is not None else row.in_file
        return [line for _, line in lines if line is not None]

    def _put(self, text: str) -> list[str]:
        done = self._down() if self._column > LONGEST else []
        row, column = self._rows[self._line], self._column
        self._column += len(text)
        row.redrawn = row.redrawn or column < len(row.text)
        row.text = row.text[:column].ljust(column) + text + row.text[self._column :]
        return done

    def _down(self) -> list[str]:
        self._line, self._column = self._line + 1, 0
        if self._line < len(self._rows):
            return []
        lines = [row.line for row in self._rows]
        for row, line in zip(self._rows, lines, strict=True):
            row.in_file = line if line is not None else row.in_file
        self._rows = [*self._rows[1 - WINDOW :], _Row()]
        self._line = len(self._rows) - 1
        return [line for line in lines if line is not None]

    def _move(self, move: str, number: str) -> None:
        count = int(number or 1)
        if move == "A":
            self._line = max(0, self._line - count)
        elif move == "B":
            self._line = min(len(self._rows) - 1, self._line + count)
        elif move == "C":
            self._column += count
        elif move == "D":
            self._column = max(0, self._column - count)
        elif move == "G":
            self._column = count - 1
        elif move == "K":
            self._erase(number or "0")

    def _erase(self, part: str) -> None:
        row = self._rows[self._line]
        before, after = row.text[: self._column], row.text[self._column :]
        row.redrawn = True
        row.text = {"0": before, "1": " " * len(before) + after}.get(part, "")


def rendered(text: str) -> list[str]:
    """The lines of a whole text as a terminal would leave them."""
    if not ODD.search(text):
        return text.split("\n")
    rows = Rows()
    return rows.feed(text + "\n")
