"""The log's small terminal: compared with a terminal emulator, and for any bytes at all."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz_log import HOSTILE, LONG, PIECES, UP, check_terminal, on_terminal
from modeldir.logs.screen import (
    CONTROL,
    MAX_LINE,
    MAX_ROWS,
    Continuation,
    Screen,
    Unfinished,
    rendered,
)


def left(text: str) -> list[str]:
    """Return all lines that remain of printed text."""
    rows = Screen()
    return rows.feed(text) + rows.drain()


# -- Single moves ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "lines"),
    [
        ("1/3\r2/3\r3/3\n", ["3/3"]),
        ("long text\rshort\n", ["shorttext"]),
        ("long text\rshort\x1b[K\n", ["short"]),
        ("50%\b\b\b75%\n", ["75%"]),
        ("\x1b[1;31mred\x1b[0m and \x1b]8;;http://x\x1b\\link\x1b]8;;\x07\n", ["red and link"]),
        ("dos line\r\n\r\nand\r\r\nanother\r\n", ["dos line", "", "and", "another"]),
        ("a\tb\n", ["a\tb"]),
        ("bell\x07 null\x00 \x1b(B\x9b\x7f\n", ["bell null "]),
        ("gone\r    \rkept\n", ["kept"]),
        ("wiped\r\x1b[2K\nnext\n", ["next"]),
        ("a\nb\n\x1b[2Ac\n", ["a", "b", "c"]),
        ("\x1b[?25lx\x1b[3Gyz\x1b[?25h\n", ["x yz"]),
        ("seen\n\x1b[H\x1b[2Jnew page\n", ["seen", "new page"]),
        ("\x1b[999C\x1b[6n\rsize asked\n", ["size asked"]),
        ("a\x1b7b\x1b8c\x1b[2Pd\x1b[1@e\x1b[2Xf\x1bMg\fh\vi\n", ["abcdefghi"]),
        ("before\n\x1b[?1049h\x1b[Hall the\nscreen\x1b[?1049l\n", ["before", "all the", "screen"]),
        ("\x1bPq" + "picture" * 1_000 + "\x1b\\kept\n", ["kept"]),
        ("\x1b]never ended\nkept\n", ["never ended", "kept"]),
        ("\x1b[\x1b[\x1b\nkept\n", ["", "kept"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_what_drawing_leaves(drawn: str, lines: list[str]) -> None:
    """Carriage returns, backspaces and cursor moves leave what a terminal would show."""
    assert left(drawn) == lines
    assert [line for line in rendered(drawn) if line] == [line for line in lines if line]


def test_what_stands() -> None:
    """A bar and an unfinished line can be asked for at any time; as they stand, once."""
    rows = Screen()
    assert rows.feed("start\n\r 50%|##  ") == ["start"]
    assert rows.visible() == rows.visible() == [" 50%|##"]
    assert isinstance(rows.visible()[0], Unfinished)
    assert rows.visible(commit=True) == [" 50%|##"]
    assert rows.visible(commit=True) == rows.drain() == []
    assert rows.feed("\r 57%|##  ") == []
    assert rows.drain() == [" 57%|##"]
    assert rows.feed("\r100%|####\nend") == []
    assert rows.drain() == ["100%|####", "end"]
    assert rows.feed("ed\n") == ["ended"]


def test_a_bar_that_is_done_is_let_go() -> None:
    """It might be the upper one of two: until text comes below, or until nothing more does."""
    rows = Screen()
    assert (rows.feed("\r100%|####\n"), rows.waiting) == ([], True)
    assert (rows.flush_idle(), rows.flush_idle()) == ([], ["100%|####"])
    assert (rows.waiting, rows.drain()) == (False, [])
    assert rows.feed("\r100%|####\nplain\n") == ["100%|####", "plain"]
    assert rows.feed("\r100%|####\n\r  0%\r  1%") == ["100%|####"]


@pytest.mark.parametrize(
    "drawn",
    ["\r100%\n", "\r100%\n\r inner\x1b[A\n\r\x1b[K", "\r100%\n\r in\x1b[A\n\r\x1b[K\x1b[A\n"],
)
def test_another_one_goes_on_with_a_bar_that_waits(drawn: str) -> None:
    """It is done, and not let go yet, since it might be the upper one of two."""
    rows, another = Screen(), Screen()
    assert rows.feed(drawn) == []
    assert [line for line in another.feed(rows.replay()) + another.drain() if line] == ["100%"]


@given(st.text("ab \r\n\x1b[AKG1\b2é", max_size=80))
def test_another_screen_continues_from_a_replay(text: str) -> None:
    """Each line that the first screen would still write is in the second one, in order."""
    first, second = Screen(), Screen()
    first.feed(text)
    lines = iter([line.rstrip() for line in second.feed(first.replay()) + second.visible()])
    missing = [line for line in first.visible() if line.rstrip() not in lines]
    assert not missing


def test_bars_that_are_drawn_again_are_not_let_go() -> None:
    """However often is asked, several bars that move are a line each, at the end."""
    rows, lines = Screen(), []
    for state in range(20):
        up = "\r\x1b[2K\x1b[1A\x1b[2K" if state else ""
        lines += rows.feed(f"{up}\x1b[?25ltrain {state}\nval {state}") + rows.flush_idle()
    assert lines + rows.feed("\n\x1b[?25hplain\n") == ["train 19", "val 19", "plain"]


def test_a_traceback_is_not_written_over_a_bar() -> None:
    """Plain lines below a bar that stays there begin below all bars."""
    drawn = "\router 1/9\n\rinner 3/9 [00:00<?]\x1b[AException!\n  File x\nError: y\n"
    assert left(drawn) == [
        "outer 1/9          Exception!",
        "inner 3/9 [00:00<?]",
        "  File x",
        "Error: y",
    ]


# -- Beside a terminal -----------------------------------------------------------------------------


@given(st.lists(st.sampled_from([*PIECES, *UP]), max_size=50).map("".join))
@example("\r\n\x1b[K\r\n\x1b[3Gbc12%|#\r \x1b[2A\r\x1b[K\n\r\x1b[31mbc\r\n  \x1b[K")
def test_what_is_left_is_what_a_terminal_shows(text: str) -> None:
    """The lines are those of a terminal; if finished rows are redrawn, at least no text is lost."""
    assert check_terminal(text)


@given(st.lists(st.sampled_from(["\r", "\b\b", "x", "yz", "   ", "100%", "\x1b[K"])).map("".join))
def test_one_redrawn_row_is_what_a_terminal_shows(text: str) -> None:
    """Many states in one piece of text, which has a way of its own."""
    assert [line.rstrip() for line in left(f"{text}\r\n") if line.strip()] == on_terminal(text)


# -- For any text at all ---------------------------------------------------------------------------

texts = st.one_of(
    st.lists(st.sampled_from([*HOSTILE, *LONG[:1]]), max_size=60).map("".join), st.text()
)


@given(texts, st.lists(st.integers(1, 80), max_size=40))
def test_how_it_is_cut_into_writes_makes_no_difference(text: str, steps: list[int]) -> None:
    """In pieces or whole, the same lines of the same kinds; and never a control character."""
    whole, pieces = Screen(), Screen()
    want = whole.feed(text) + whole.drain()
    edges = [0]
    for step in steps:
        edges.append(min(len(text), edges[-1] + step))
    got = [line for a, b in pairwise([*edges, len(text)]) for line in pieces.feed(text[a:b])]
    got += pieces.drain()
    assert (got, [type(line) for line in got]) == (want, [type(line) for line in want])
    assert not any(CONTROL.search(line) or "\n" in line for line in got)


@given(texts, st.lists(st.sampled_from(["feed", "flush_idle", "visible", "drain", "restart"])))
def test_it_can_be_asked_at_any_time(text: str, questions: list[str]) -> None:
    """Whatever is asked when, nothing is raised, and plain lines after it come through once."""
    rows, lines = Screen(), []
    step = len(text) // (len(questions) + 1) + 1
    for place, question in enumerate(questions):
        lines += rows.feed(text[place * step : (place + 1) * step])
        lines += rows.drain() if question in {"feed", "drain"} else getattr(rows, question)()
    lines += rows.feed("\x18\x07\x1b[?25h\n") + rows.restart()
    assert rows.drain() == []
    lines = rows.feed("plain 1\nplain 2\n") + rows.flush_idle() + rows.flush_idle()
    assert lines == ["plain 1", "plain 2"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t")))
def test_plain_text_is_kept_as_it_is(text: str) -> None:
    """Without control characters, lines are only split where they end, and given out at once."""
    assert rendered(text) == text.split("\n")
    assert Screen().feed(text + "\n") == text.split("\n")
    assert left(text.replace("\n", "\r\n") + "\r\n") == [
        "" if line.isspace() else line for line in text.split("\n")
    ]


# -- Too much of it --------------------------------------------------------------------------------


def test_a_long_line_goes_on() -> None:
    """A line that is too long is cut, and its pieces are marked as continuations."""
    rows = Screen()
    lines = rows.feed("x" * MAX_LINE) + rows.feed("y\nplain\n")
    assert lines == ["x" * MAX_LINE, "y", "plain"]
    assert [type(line) for line in lines] == [str, Continuation, str]
    assert left("z" * MAX_LINE + "\n\n") == ["z" * MAX_LINE, ""]
    assert len("".join(left("0123456789" * 50_000))) == 500_000


HUGE = {
    "no end of line": "x" * 65_536,
    "carriage returns": "\r" * 65_536,
    "escapes": "\x1b" * 8_192,
    "beginnings of sequences": "\x1b[" * 4_096,
    "beginnings of titles": "\x1b]" * 4_096,
    "a sequence without end": "\x1b[" + "1" * 65_534,
    "a picture": "\x1b_" + "q" * 65_534,
    "long rows that wait": ("\r" + "z" * 16_000 + "\n") * 4,
    "rows up and down": "\n\r\x1b[A\n\n\x1b[64A" * 500,
    "far right": "\x1b[99999C.\n\r" * 500,
}


@pytest.mark.parametrize("name", HUGE)
def test_memory_is_bounded(name: str) -> None:
    """After megabytes of it no more is kept than some rows; plain text comes through then."""
    rows = Screen()
    tracemalloc.start()
    try:
        for _ in range(5):
            rows.feed(HUGE[name])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * MAX_ROWS * MAX_LINE
    assert (rows.feed("\nplain\n") + rows.drain())[-1] == "plain"


# -- What draws bars -------------------------------------------------------------------------------


def recorded(tmp_path: Path, script: str) -> str:
    """Return what a script writes to a terminal."""
    (tmp_path / "draw.py").write_text(script)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    for name in ("CI", "NO_COLOR", "TQDM_MININTERVAL"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "draw.py"], cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    pieces = io.BytesIO()
    try:
        while piece := os.read(ours, 65536):
            pieces.write(piece)
    except OSError:  # the terminal's other side is closed: the end
        pass
    os.close(ours)
    assert process.wait() == 0
    return pieces.getvalue().decode()


BARS = {
    "one, and prints": (
        (
            "from tqdm import tqdm\nprint('start')\n"
            "for i in tqdm(range(300), mininterval=0, desc='train'): pass\nprint('end')"
        ),
        ["start", "train: 100%", "end"],
    ),
    "nested, the inner wiped, with messages": (
        (
            "from tqdm import tqdm\n"
            "for i in tqdm(range(4), mininterval=0, desc='outer'):\n"
            "    for j in tqdm(range(50), mininterval=0, desc='inner', leave=False): pass\n"
            "    tqdm.write(f'message {i}')\nprint('end')"
        ),
        ["message 0", "message 1", "message 2", "message 3", "outer: 100%", "end"],
    ),
    "nested, the inner left": (
        (
            "from tqdm import tqdm\n"
            "for i in tqdm(range(3), mininterval=0, desc='outer'):\n"
            "    for j in tqdm(range(50), mininterval=0, desc=f'inner {i}'): pass\nprint('end')"
        ),
        ["inner 0: 100%", "inner 1: 100%", "inner 2: 100%", "outer: 100%", "end"],
    ),
    "three deep": (
        (
            "from tqdm import tqdm\n"
            "for i in tqdm(range(2), mininterval=0, desc='a'):\n"
            "    for j in tqdm(range(2), mininterval=0, desc='b', leave=False):\n"
            "        for k in tqdm(range(9), mininterval=0, desc='c', leave=False): pass\n"
            "        tqdm.write(f'message {i}{j}')\nprint('end')"
        ),
        ["message 00", "message 01", "message 10", "message 11", "a: 100%", "end"],
    ),
    "no total": (
        (
            "from tqdm import tqdm\n"
            "for i in tqdm(iter(range(200)), mininterval=0, desc='read'): pass\nprint('end')"
        ),
        ["read: 200it", "end"],
    ),
    "several, one after the other": (
        (
            "from tqdm import tqdm\n"
            "for name in ('Map', 'Filter', 'Saving the dataset'):\n"
            "    for i in tqdm(range(99), mininterval=0, desc=name): pass"
        ),
        ["Map: 100%", "Filter: 100%", "Saving the dataset: 100%"],
    ),
    "rich, two bars and a message": (
        (
            "from rich.progress import Progress\nprint('start')\n"
            "with Progress(refresh_per_second=100) as progress:\n"
            "    a, b = progress.add_task('train', total=20), progress.add_task('val', total=20)\n"
            "    for i in range(20):\n"
            "        progress.advance(a)\n        progress.advance(b)\n        progress.refresh()\n"
            "        if i == 10: progress.console.print('message')\nprint('end')"
        ),
        ["start", "message", "train", "val", "end"],
    ),
    "keras": (
        (
            "import sys\n"
            "for epoch in (1, 2):\n    print(f'Epoch {epoch}/2')\n    width = 0\n"
            "    for step in range(1, 101):\n"
            "        bar = f'{step}/100 [{\"=\" * (step // 10):<10}] - loss: 0.1'\n"
            "        sys.stdout.write('\\b' * width + '\\r' + bar)\n        width = len(bar)\n"
            "        sys.stdout.flush()\n    sys.stdout.write('\\n')"
        ),
        ["Epoch 1/2", "100/100 [==========]", "Epoch 2/2", "100/100 [==========]"],
    ),
    "pip": (
        (
            "import sys\nprint('Collecting x')\nsys.stdout.write('\\x1b[?25l')\n"
            "for i in range(9):\n    sys.stdout.write(f'\\r\\x1b[2K   {\"━\" * i} {i}/8 MB')\n"
            "print('\\n\\x1b[?25hInstalled x')"
        ),
        ["Collecting x", "   ━━━━━━━━ 8/8 MB", "Installed x"],
    ),
    "a print on a bar's line": (
        (
            "from tqdm import tqdm\n"
            "for i in tqdm(range(3), mininterval=0, bar_format='{n}/3'): print(' at', i)\n"
            "print('end')"
        ),
        ["0/3 at 0", "1/3 at 1", "2/3 at 2", "3/3", "end"],
    ),
}


@pytest.mark.parametrize("name", BARS)
def test_bars_as_they_are_drawn(name: str, tmp_path: Path) -> None:
    """Each bar is one line, its last state; each line printed between them is there once."""
    script, beginnings = BARS[name]
    drawn = recorded(tmp_path, script)
    lines = left(drawn)
    assert len(lines) == len(beginnings), lines
    for line, beginning in zip(lines, beginnings, strict=True):
        assert line.startswith(beginning), lines


def test_it_imports_next_to_nothing() -> None:
    """It is read by a process that has to start at once: without packages, in milliseconds."""
    script = (
        "import __future__, re, sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); "
        "import screen;"
        "print(sorted(set(sys.modules) - before))"
    )
    folder = str(Path(__file__).parents[2] / "src" / "modeldir" / "logs")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, folder],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['screen']"
