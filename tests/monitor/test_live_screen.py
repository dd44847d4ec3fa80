"""The foot of a terminal, in a terminal's emulator: what stands where after what is written."""

from __future__ import annotations

import io
import os

import pyte
import pytest

from modeldir.monitor.live_lines import Line
from modeldir.monitor.live_screen import Canvas


class Terminal(io.StringIO):
    """A terminal of so many columns and rows, and what it shows."""

    encoding = "utf-8"

    def __init__(self, columns: int = 40, rows: int = 8) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        self._stream.feed(text)
        return len(text)

    def size(self) -> tuple[int, int]:
        return self.screen.columns, self.screen.lines

    def has_cursor(self) -> bool:
        return not self.screen.cursor.hidden

    @property
    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display]

    @property
    def shown(self) -> list[str]:
        return [row for row in self.rows if row]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def canvas(terminal: Terminal) -> Canvas:
    return Canvas(terminal, size=terminal.size)


def lines(*texts: str) -> list[Line]:
    return [Line(text) for text in texts]


def test_lines_change_in_place(terminal: Terminal, canvas: Canvas) -> None:
    """Longer and shorter ones, more and fewer: nothing of the old ones is left."""
    for texts in (["aaaaaa", "b"], ["a", "bbbb", "c"], ["x"], []):
        canvas.draw(lines(*texts))
        assert terminal.rows == ["", *texts, *[""] * (7 - len(texts))]


def test_text_scrolls_up_above_them(terminal: Terminal, canvas: Canvas) -> None:
    """The lines stay below it, also at the foot of the terminal, where all moves up."""
    canvas.draw(lines("one", "two"))
    for number in range(20):
        canvas.above(f"said {number}")
    assert terminal.shown == ["said 15", "said 16", "said 17", "said 18", "said 19", "one", "two"]
    canvas.draw(lines("one", "three"))
    assert terminal.shown[-3:] == ["said 19", "one", "three"]


def test_text_of_several_lines_and_longer_ones(terminal: Terminal, canvas: Canvas) -> None:
    """A message may have any length: it wraps, the lines below it do not."""
    canvas.draw(lines("one"))
    canvas.above("first\n" + "x" * 50)
    assert terminal.shown == ["first", "x" * 40, "x" * 10, "one"]


def test_the_same_lines_are_not_written_again(terminal: Terminal, canvas: Canvas) -> None:
    """Nothing is sent over a slow line for nothing."""
    canvas.draw(lines("one"))
    written = terminal.written
    canvas.draw(lines("one"))
    assert terminal.written == written


def test_in_a_terminal_that_is_resized(terminal: Terminal, canvas: Canvas) -> None:
    """The next lines are drawn for the new size, and what stood there is cleared."""
    canvas.above("said")
    canvas.draw(lines("a" * 39, "b" * 39))
    terminal.screen.resize(8, 20)
    assert (canvas.shape().columns, canvas.shape().rows) == (19, 7)
    canvas.draw(lines("a", "b"))
    assert terminal.shown == ["said", "a", "b"]
    terminal.screen.resize(4, 60)
    canvas.draw(lines("c"))
    assert terminal.shown[-1] == "c"
    assert "b" not in terminal.shown


def test_what_others_write_does_no_harm(terminal: Terminal, canvas: Canvas) -> None:
    """A Ctrl-C shows as ^C, a library warns: above the lines, which are whole again after it."""
    canvas.draw(lines("one", "two"))
    terminal.write("^C")
    canvas.above("no new trials")
    assert terminal.shown == ["no new trials", "one", "two"]


def test_a_character_wider_than_thought_does_not_wrap(terminal: Terminal, canvas: Canvas) -> None:
    """Terminals differ in what they take for wide: the line loses its end, and nothing moves."""
    for _ in range(3):
        canvas.draw(lines("é日" * 30, "two"))
        canvas.draw(lines("日" * 30, "three"))
    assert len(terminal.shown) == 2
    assert terminal.shown[1] == "three"


def test_at_the_end_the_terminal_is_as_it_was(terminal: Terminal, canvas: Canvas) -> None:
    """The lines are gone, the cursor is there and where one goes on, and long lines wrap again."""
    canvas.above("said")
    canvas.draw(lines("one", "two"))
    assert terminal.has_cursor() is False
    canvas.close()
    canvas.close()
    assert terminal.has_cursor() is True
    assert terminal.shown == ["said"]
    terminal.write("y" * 50)
    assert terminal.shown == ["said", "y" * 40, "y" * 10]


def test_one_that_was_never_drawn_writes_nothing(terminal: Terminal, canvas: Canvas) -> None:
    """A search with nothing to do."""
    canvas.close()
    assert terminal.written == ""


def test_colors_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR nothing is colored, faint or bold."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for variable, colored in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", variable)
        terminal = Terminal()
        canvas = Canvas(terminal, size=terminal.size)
        canvas.draw([Line("faint", faint=True), Line("strong", strong=True)])
        canvas.above("failed  trial", color="31", colored=6)
        assert (terminal.screen.buffer[0][0].fg == "red") == colored
        assert terminal.screen.buffer[0][7].fg == "default"
        assert ("\x1b[2m" in terminal.written) == colored
        assert (terminal.screen.buffer[3][0].bold) == colored


def test_a_terminal_that_went_away_is_no_error() -> None:
    """Its window was closed: what runs goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = open(writing, "w")  # noqa: SIM115 - closed below, its reader being gone
    canvas = Canvas(stream, size=lambda: (80, 24))
    canvas.draw(lines("one"))
    canvas.above("said")
    canvas.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize("columns", [0, 1, 2])
def test_a_terminal_without_a_size(columns: int) -> None:
    """It is taken for a small one, or for what the environment says."""
    canvas = Canvas(io.StringIO(), size=lambda: (columns, columns))
    assert canvas.shape().columns >= 1
    assert canvas.shape().rows >= 1
    assert Canvas(io.StringIO()).shape().columns >= 19
