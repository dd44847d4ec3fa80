# ruff: noqa: INP001, PLR0913, PLR0917, PLW1509 - a script, not the package
"""Run commands in a terminal and draw its screen as an SVG, still or animated.

`make_tutorial.py` uses it. The picture has a light and a dark theme (it follows
the reader's system), loads nothing from elsewhere, and holds its text, so that it can be searched.
"""

from __future__ import annotations

import contextlib
import fcntl
import html
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyte

import modeldir

SITE = b"/home/you/venv/site-packages"
FASTEST = 0.08  # seconds for a picture: more than 12 a second are not seen
CELL, LINE, PAD, BAR = 8.4, 19.0, 14.0, 30.0  # the width and height of a letter, margins
SECONDS_AT_END = 4.0
STYLE = """
svg { --bg: #ffffff; --bar: #eceff3; --edge: #d0d7de; --fg: #1f2328; --dim: #59636e;
  --red: #cf222e; --green: #116329; --brown: #7d4e00; --blue: #0550ae; --magenta: #8250df;
  --cyan: #1b7c83; }
@media (prefers-color-scheme: dark) { svg { --bg: #0d1117; --bar: #21262d; --edge: #3d444d;
  --fg: #e6edf3; --dim: #9198a1; --red: #ff7b72; --green: #7ee787; --brown: #e3b341;
  --blue: #79c0ff; --magenta: #d2a8ff; --cyan: #76e3ea; } }
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: var(--fg); white-space: pre; }
.bold { font-weight: 700; } .dim { fill: var(--dim); }
"""

Row = tuple[tuple[str, str], ...]  # pieces of one style: text and class
Screen = tuple[Row, ...]


class Recording:
    """A terminal that runs commands one after the other, and every screen that it showed."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self._folder, self._rows = folder, rows
        self._screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._began = time.monotonic()
        self._skipped = 0.0
        # The names of the machine that draws are no part of a picture.
        self._names = {
            os.path.realpath(folder).encode(): b"/home/you/spirals",
            os.path.dirname(modeldir.__file__).encode(): SITE + b"/modeldir",
            os.path.dirname(np.__file__).encode(): SITE + b"/numpy",
            os.path.dirname(os.__file__).encode(): b"/usr/lib/python3",
        }
        self.frames: list[tuple[float, Screen]] = []

    def type(self, line: str, *, slowly: bool = False) -> None:
        """Show a command line as if it were typed."""
        self._feed(b"\x1b[32m$\x1b[0m ")
        for letter in line:
            self._feed(b"\r\n> " if letter == "\n" else letter.encode())
            if slowly:
                self._wait(0.03)
        self._wait(0.4 if slowly else 0)
        self._feed(b"\r\n")

    def run(
        self,
        line: str,
        *,
        slowly: bool = False,
        hidden: bool = False,
        interrupts: Sequence[float | str] = (),
        until: str = "",
    ) -> int:
        """Type a command and run it. Return its exit code.

        Ctrl-C is pressed when a pattern of `interrupts` is found in the output, or so many seconds
        after the last Ctrl-C. The command is ended when the pattern `until` is found.
        """
        if not hidden:
            self.type(line, slowly=slowly)
        ours, theirs = pty.openpty()
        size = struct.pack("HHHH", self._rows, self._screen.columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "LINES"}}
        search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        process = subprocess.Popen(
            ["/bin/bash", "-c", line],
            cwd=self._folder,
            env={**kept, "PATH": search_path, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        output, pressed, left = "", time.monotonic(), list(interrupts)
        while process.poll() is None:
            output += self._read(ours)
            if left and found(left[0], output, pressed):
                left.pop(0)
                os.write(ours, b"\x03")
                pressed = time.monotonic()
            if until and found(until, output, pressed):
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.03)
        self._read(ours)
        os.close(ours)
        return process.returncode

    def python(self, lines: Sequence[str]) -> None:
        """Show a Python session: each line, and what it prints or raises."""
        path = Path(self._folder, ".session")
        path.write_text("\n".join(lines))
        script = (
            "import code, sys\n"
            "shell = code.InteractiveConsole()\n"
            "for line in open('.session').read().splitlines():\n"
            "    print('>>> ' + line, flush=True)\n"
            "    shell.push(line)\n"
            "    sys.stderr.flush()\n"
        )
        Path(self._folder, ".session.py").write_text(script)
        self.run("python .session.py", hidden=True)

    def _read(self, terminal: int) -> str:
        read = b""
        with contextlib.suppress(OSError):  # the command has ended
            while select.select([terminal], [], [], 0)[0]:
                data = os.read(terminal, 65536)
                if not data:
                    break
                self._feed(data)
                read += data
        return read.decode(errors="replace")

    def _feed(self, data: bytes) -> None:
        for name, shown in self._names.items():
            data = data.replace(name, shown)
        self._stream.feed(data)
        self.frames.append((time.monotonic() - self._began + self._skipped, self.screen()))

    def _wait(self, seconds: float) -> None:
        self._skipped += seconds

    def screen(self) -> Screen:
        """Return what the terminal shows now."""
        return tuple(
            pieces(self._screen.buffer[n], self._screen.columns) for n in range(self._rows)
        )

    def everything(self) -> Screen:
        """Return all lines, also those that have scrolled away, without empty ones at the end."""
        above = [pieces(row, self._screen.columns) for row in self._screen.history.top]
        lines = [*above, *self.screen()]
        while lines and not lines[-1]:
            lines.pop()
        return tuple(lines)


def found(cue: float | str, output: str, since: float) -> bool:
    """Return whether a pattern is in the output, or so many seconds have passed."""
    if isinstance(cue, str):
        return re.search(cue, output, re.DOTALL) is not None
    return time.monotonic() - since > cue


def pieces(row: dict[int, pyte.screens.Char], columns: int) -> Row:
    """Return a line of the terminal as pieces of one style."""
    found: list[tuple[str, str]] = []
    for column in range(columns):
        char = row[column]
        style = " ".join(
            word
            for word in (
                "" if char.fg == "default" else plain_color(char.fg),
                "bold" if char.bold else "",
            )
            if word
        )
        if found and found[-1][1] == style:
            found[-1] = (found[-1][0] + char.data, style)
        else:
            found.append((char.data, style))
    while found and not found[-1][0].strip():
        found.pop()
    if found:
        found[-1] = (found[-1][0].rstrip(), found[-1][1])
    return tuple(found)


def plain_color(name: str) -> str:
    """Return the class for a color of pyte: brightblack is our dim, yellow its brown."""
    return "dim" if name.endswith("black") else name.removeprefix("bright")


def still(path: Path, screen: Screen, title: str, description: str, columns: int) -> None:
    """Write one screen."""
    body = "".join(draw_row(row, y) for y, row in enumerate(screen))
    write(path, body, title, description, columns, len(screen))


def animate(
    path: Path,
    recording: Recording,
    title: str,
    description: str,
    columns: int,
    rows: int,
    *,
    seconds: float = 0,
) -> None:
    """Write all screens of a recording in an endless loop, of at most so many seconds if given."""
    lasts = recording.frames[-1][0]
    speed = max(1, lasts / (seconds - SECONDS_AT_END)) if seconds else 1
    shots: list[tuple[float, Screen]] = []
    for moment, screen in recording.frames:
        at = moment / speed
        if shots and shots[-1][1] == screen:
            continue
        if shots and at - shots[-1][0] < FASTEST:
            shots[-1] = (shots[-1][0], screen)
        else:
            shots.append((at, screen))
    total = shots[-1][0] + SECONDS_AT_END
    ids: dict[Row, str] = {}
    defs, frames = [], []
    for _, screen in shots:
        for row in screen:
            if row and row not in ids:
                ids[row] = f"r{len(ids)}"
                defs.append(f'<g id="{ids[row]}">{draw_row(row, 0)}</g>')
    rules = []
    for number, (at, screen) in enumerate(shots):
        until = shots[number + 1][0] if number + 1 < len(shots) else total
        uses = "".join(
            f'<use href="#{ids[row]}" y="{y * LINE:g}"/>' for y, row in enumerate(screen) if row
        )
        first, last = 100 * at / total, 100 * until / total
        before = f"0%,{max(0, first - 0.001):.3f}%{{visibility:hidden}}" if number else ""
        after = f"{last:.3f}%,100%{{visibility:hidden}}" if number + 1 < len(shots) else ""
        stays = f"{first:.3f}%,{min(100, max(first, last - 0.001)):.3f}%{{visibility:visible}}"
        rules.append(f"@keyframes k{number}{{{before}{stays}{after}}}")
        rules.append(f"#f{number}{{animation:k{number} {total:.2f}s step-end infinite}}")
        frames.append(f'<g id="f{number}" class="frame">{uses}</g>')
    style = (
        ".frame{visibility:hidden}"
        + "".join(rules)
        + "@media (prefers-reduced-motion: reduce){.frame{animation:none!important}"
        + f"#f{len(shots) - 1}{{visibility:visible}}}}"
    )
    body = f"<defs>{''.join(defs)}</defs>{''.join(frames)}"
    write(path, body, title, description, columns, rows, style)


def draw_row(row: Row, y: int) -> str:
    """Return one line as SVG. Each piece is stretched to its columns, whatever the font."""
    out, column = [], 0
    for text, style in row:
        bare = text.strip()
        if bare:
            x = (column + len(text) - len(text.lstrip())) * CELL
            color = next((word for word in style.split() if word not in {"bold", "dim"}), "")
            names = " ".join(word for word in style.split() if word in {"bold", "dim"})
            attributes = f' class="{names}"' if names else ""
            if color and not re.fullmatch(r"[0-9a-f]{6}", color):
                attributes += f' style="fill:var(--{color})"'
            elif color:
                attributes += f' style="fill:#{color}"'
            out.append(
                f'<text x="{x:g}" y="{y * LINE + 14:g}" textLength="{len(bare) * CELL:g}" '
                f'lengthAdjust="spacingAndGlyphs"{attributes}>{html.escape(bare)}</text>'
            )
        column += len(text)
    return "".join(out)


def write(
    path: Path, body: str, title: str, description: str, columns: int, rows: int, style: str = ""
) -> None:
    """Write the SVG: a window with a bar, and the body inside."""
    width, height = columns * CELL + 2 * PAD, rows * LINE + BAR + 2 * PAD - 6
    dots = "".join(
        f'<circle cx="{18 + 18 * n}" cy="15" r="5" fill="var(--edge)"/>' for n in (0, 1, 2)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-labelledby="t d">'
        f'<title id="t">{html.escape(title)}</title><desc id="d">{html.escape(description)}</desc>'
        f"<style>{STYLE}{style}</style>"
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8" '
        f'fill="var(--bg)" stroke="var(--edge)"/>'
        f'<path d="M.5 {BAR}V8.5a8 8 0 0 1 8-8H{width - 8.5:g}a8 8 0 0 1 8 8V{BAR}Z" '
        f'fill="var(--bar)"/>{dots}'
        f'<text x="{width / 2:g}" y="20" text-anchor="middle" class="dim">'
        f"{html.escape(title)}</text>"
        f'<g transform="translate({PAD:g} {BAR + PAD - 4:g})">{body}</g></svg>\n',
        encoding="utf-8",
    )


def plain(screen: Screen) -> str:
    """Return a screen as text."""
    return "\n".join("".join(text for text, _ in row) for row in screen)
