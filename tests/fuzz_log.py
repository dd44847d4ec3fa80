"""Checks of the log's readers for output of every type, in pieces of any size.

Each target has a function that makes an input and one that checks it: against itself in other
pieces, against a terminal emulator (`pyte`), or against what a tidy session of prints and progress
bars should leave. Start reading at `TARGETS`; `fuzz.py` runs them.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte

from modeldir._system import files
from modeldir.commands import log_reader
from modeldir.logs.logfile import LogFile
from modeldir.logs.screen import CONTROL, Screen
from modeldir.logs.transcript import Transcript

# -- Output ----------------------------------------------------------------------------------------

PIECES = [
    "a", "bc", " ", "  ", "12%|#", "\r", "\r", "\b", "\x1b[K", "\x1b[0K", "\x1b[2K", "\x1b[G",
    "\x1b[3G", "\x1b[31m", "\r\n", "\r\n", "\n\r", "\x07", "\x1b[?25l", "\x1b[?25h",
    "\x1b]0;title\x07",
]  # fmt: skip
UP = ["\x1b[A\r", "\x1b[2A\r"]
_DRAWN = re.compile(f"(?:{'|'.join(map(re.escape, [*PIECES, *UP]))})*")
HOSTILE = [
    *PIECES, *UP, "\x1b[1K", "\x1b[C", "\x1b[2D", "\x1b[2P", "\x1b[X", "\x1b[2@",
    "\n", "\x1b", "[", "]", "?", ";", "2", "A", "H", "J", "h", "\x1b[H", "\x1b[2J",
    "\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1bM", "\x1bE", "\x1bc", "\x1b[?1049h", "\x1b[?1049l",
    "\x1bP", "\x1b[F", "\x1b[9999C", "\x1b[40;3H", "\x1b[J", "\x1b[1J", "\v", "\f", "\x00", "\x9b",
    "\x85", "\x7f", "ü", "😀", "\udcff", "\t", "1" * 70, "w" * 400, "\u2028", "\x1b[B", "\x1b\\",
    "\x9c", "\x1b[38;5;1m", "\x1b[;H", "\x1b[?7l", "\x18", "plain line\n", "\x1b[0;0;0;0A",
]  # fmt: skip
LONG = [
    "\x1b_" + "g" * 9_000, "x" * 65_530, "\r" * 3_000, "\x1b[" * 2_000, "y\b" * 2_000, "\n" * 100,
]  # fmt: skip


def _drawing(pieces: list[str], most: int) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        return "".join(rng.choices(pieces, k=rng.randrange(most)))

    return make


def _anything(rng: random.Random) -> str:
    pieces = rng.choices(HOSTILE, k=rng.randrange(60))
    if rng.random() < 0.02:
        pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(LONG))
    return "".join(pieces)


def _cuts(text: str, rng: random.Random) -> Iterator[str]:
    """The text in pieces: of one character, of a few, or of many."""
    most, place = rng.choice([1, 3, 20, 300] if len(text) < 3_000 else [300, 3_000, 70_000]), 0
    while place < len(text):
        size = rng.randint(1, most)
        yield text[place : place + size]
        place += size


def check_rows(text: str) -> str:
    """In pieces or whole the same lines of the same kinds, none with a control character."""
    rng = random.Random(repr(text))
    whole, pieces = Screen(), Screen()
    want = whole.feed(text) + whole.drain()
    got = [line for piece in _cuts(text, rng) for line in pieces.feed(piece)] + pieces.drain()
    assert [(type(line), line) for line in got] == [(type(line), line) for line in want]
    assert not any(CONTROL.search(line) or "\n" in line for line in got)
    return "cut"


def check_rows_at_any_time(text: str) -> str:
    """Asked in between for what stands or waits, nothing is raised, and what follows is whole."""
    rng, rows = random.Random(repr(text)), Screen()
    for piece in _cuts(text, rng):
        rows.feed(piece)
        getattr(rows, rng.choice(["flush_idle", "visible", "drain", "restart"]))()
    rows.feed("\x18\x07\x1b[?25h\n")
    rows.restart()
    assert rows.drain() == []
    lines = rows.feed("plain 1\nplain 2\n") + rows.flush_idle() + rows.flush_idle()
    assert lines == ["plain 1", "plain 2"]
    return "asked"


def on_terminal(text: str) -> list[str]:
    """The rows of a terminal that nothing scrolled out of, as far as there is text in them."""
    screen = pyte.Screen(300, 60)
    pyte.Stream(screen).feed(text)
    return [line for line in (row.rstrip() for row in screen.display) if line]


def check_terminal(text: str) -> str:
    """Check that the lines are those that a terminal shows.

    If it is redrawn from below, other states are kept too, and text over a part of a finished row
    may be a line of its own. Then the characters of every row that is shown must be in the log;
    rows that are drawn alike may be there once.
    """
    if not _DRAWN.fullmatch(text):
        raise ValueError("half a piece, as only making it smaller leaves it")
    rows = Screen()
    lines = [line.rstrip() for line in rows.feed(text) + rows.drain()]
    lines = [line for line in lines if line]
    shown = on_terminal(text)
    if any(up[:-1] in text for up in UP):
        kept = Counter("".join(lines))
        for row in shown:
            assert not Counter(row.replace(" ", "")) - kept, f"{shown!r}, in the log {lines!r}"
        return "row by row" if set(shown) <= set(lines) else "letter by letter"
    assert lines == shown, f"{shown!r}, in the log {lines!r}"
    return "line for line"


# -- A tidy session --------------------------------------------------------------------------------


def _session(rng: random.Random) -> str:
    """Return an input for `_drawn`: a letter for each action of a script, with a number."""
    count = rng.randrange(16)
    return " ".join(f"{rng.choice('pppbwmkn')}{rng.randrange(1, 12)}" for _ in range(count))


def _drawn(session: str) -> tuple[str, list[str]]:
    """Return the output of a session, and the lines that it should leave.

    `p`: a line; `b`: a bar of some states that stays; `w`: one that is wiped away; `m`: a bar with
    lines in between, as `tqdm.write` has it; `k`: one drawn over by backspaces; `n`: two nested
    bars as tqdm draws them, the inner one wiped.
    """
    text, lines = "", list[str]()
    for place, word in enumerate(re.findall(r"[pbwmkn]\d+", session)):
        kind, count = word[0], int(word[1:])
        name = f"{place}.{kind}"
        states = [f"{name} {state}/{count}|{'#' * (state % 9):9}|" for state in range(1, count + 1)]
        if kind == "p":
            text, lines = f"{text}{name} {'x' * count}\n", [*lines, f"{name} {'x' * count}"]
        elif kind == "k":
            text += states[0].ljust(40)
            text += "".join("\b" * 40 + each.ljust(40) for each in states[1:])
            text, lines = f"{text}\n", [*lines, states[-1]]
        elif kind == "n":
            for number, state in enumerate(states):
                text += f"\r{state}"
                text += "".join(f"\n\r inner {inner}/3\x1b[A" for inner in range(1, 4))
                text += f"\n\r{' ' * 12}\r\x1b[A" if number % 2 else "\n\r\x1b[K\x1b[A"
            text, lines = f"{text}\n", [*lines, states[-1]]
        else:
            for number, state in enumerate(states):
                text += f"\r{state}"
                if kind == "m" and number % 7 == 3:
                    text += f"\r{' ' * len(state)}\r{name} says {number}\n\r{state}"
                    lines = [*lines, f"{name} says {number}"]
            wiped = kind == "w"
            text += f"\r{' ' * len(states[-1])}\r" if wiped else "\n"
            lines = lines if wiped else [*lines, states[-1]]
    return text, lines


def check_session(session: str) -> str:
    """Each line once, each bar as its last state, in order, in whatever pieces it comes."""
    text, want = _drawn(session)
    rng, rows = random.Random(session), Screen()
    got = [line for piece in _cuts(text, rng) for line in rows.feed(piece)] + rows.drain()
    got = [line.rstrip() for line in got]
    want = [line.rstrip() for line in want]
    assert got == want, f"{got!r} is not {want!r}"
    return "left as it should be"


def check_resumed(session: str) -> str:
    """Gone on with from what stands, at any byte: each line is there, in order."""
    text, want = _drawn(session)
    rng = random.Random(session)
    place = rng.randrange(len(text) + 1)
    rows, next_rows = Screen(), Screen()
    got = rows.feed(text[:place])
    got += next_rows.feed(rows.replay()) + next_rows.feed(text[place:]) + next_rows.drain()
    left = iter(line.rstrip() for line in got)
    missing = [line for line in want if line.rstrip() not in left]
    assert not missing, f"{missing!r} is not in {got!r}, cut at {place}"
    return "gone on with"


# -- Bytes to a file, and back ---------------------------------------------------------------------

_NOON = 1_800_000_000.0
_STAMPED = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}[ +~|]")
_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")


def _output(rng: random.Random) -> str:
    """Bytes: text in pieces, with bytes that are no text among them."""
    text = _anything(rng).encode("utf-8", "surrogateescape")
    data = bytearray(text + b"".join(b"line %d\n" % n for n in range(rng.choice([0, 3, 300]))))
    for _ in range(rng.choice([0, 0, 2, 8])):
        data.insert(rng.randrange(len(data) + 1), rng.randrange(256))
    return data.decode("latin-1")


def _kept(pieces: list[str], times: list[float], name: str) -> bytes:
    path = os.path.join(_FOLDER.name, name)
    Path(path).unlink(missing_ok=True)
    file = LogFile(files.open_append(path), name, print)
    transcript = Transcript(file)
    for piece, now in zip(pieces, times, strict=True):
        transcript.feed(piece.encode("latin-1"), now)
        transcript.tick(now)
    transcript.finish(_NOON)
    file.close()
    return Path(path).read_bytes()


def check_transcript(text: str) -> str:
    """At one time, in any pieces, the same file: stamped lines, no control character.

    With a clock that jumps nothing is raised. `modeldir log` shows that file as it is; its last
    lines are its last lines.
    """
    rng = random.Random(repr(text))
    pieces = list(_cuts(text, rng))
    whole = _kept([text], [_NOON], "whole.log")
    assert _kept(pieces, [_NOON] * len(pieces), "pieces.log") == whole
    assert not set(whole) & ({*range(32)} - {9, 10})
    lines = [line + b"\n" for line in whole.split(b"\n")[:-1]]
    assert all(_STAMPED.match(line) for line in lines)
    _kept(pieces, [_NOON + rng.uniform(-1e5, 1e5) for _ in pieces], "jumps.log")
    path = Path(_FOLDER.name, "whole.log")
    if CONTROL.search(whole.decode("utf-8", "surrogateescape")):
        return "kept, two bytes that were apart now one character"
    shown = "".join(log_reader.lines_of(path)).encode("utf-8", "surrogateescape")
    assert shown == whole, f"{shown[-300:]!r} is not {whole[-300:]!r}"
    count = rng.randrange(8)
    last = "".join(log_reader.last_lines(path, count)).encode("utf-8", "surrogateescape")
    assert last == b"".join(deque(lines, count)), f"the last {count} are {last[-300:]!r}"
    return "kept"


def check_shown(text: str) -> str:
    """`modeldir log` of any bytes: in any pieces the same, each line ended, nothing odd in it."""
    rng = random.Random(repr(text))
    shown = []
    for pieces in ([text], list(_cuts(text, rng))):
        reader, lines = log_reader.Reader(), list[str]()
        for piece in pieces:
            lines += reader.feed(piece.encode("latin-1"))
        shown.append("".join([*lines, *reader.end()]))
    assert shown[0] == shown[1]
    assert not CONTROL.search(shown[0])
    assert not shown[0] or shown[0].endswith("\n")
    return "shown"


TARGETS: dict[str, tuple[Callable[[random.Random], str], Callable[[str], str]]] = {
    "rows": (_anything, check_rows),
    "rows asked": (_anything, check_rows_at_any_time),
    "terminal": (_drawing(PIECES, 45), check_terminal),
    "redrawn": (_drawing([*PIECES, *UP], 45), check_terminal),
    "session": (_session, check_session),
    "resumed": (_session, check_resumed),
    "transcript": (_output, check_transcript),
    "shown": (_output, check_shown),
}
