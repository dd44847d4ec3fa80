# ruff: noqa: INP001 - a script, not the package
"""Draws the live view of a search: `live_wide.svg`, `live_narrow.svg` and `live_piped.svg`.

    python docs/pictures/live.py

Nothing in the pictures is made up: a search of a small script runs in a terminal of its own.
`modeldir watch` looks at it from a narrow terminal and from a pipe. What they show is drawn.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
SEARCH = "experiments/learning_rate"
WIDE, NARROW, ROWS = 96, 52, 13
SECONDS = 22.0
TRAIN = """\
import argparse, math, random, time
import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
with modeldir.start(parser.parse_args().model_dir) as run:
    rate, size = run.params.learning_rate, run.params.batch_size
    chance = random.Random(f"{rate} {size}")
    top = 0.98 - 0.05 * abs(math.log10(rate) + 2)
    for epoch in range(run.params.num_epochs):
        time.sleep(0.25 + size / 200)
        noise = chance.gauss(0, 0.012)
        run.log(epoch, accuracy=top - 0.6 * math.exp(-epoch / 6) + noise)
"""
COMMAND = [
    "search", SEARCH, "learning_rate=log_uniform:1e-4,1e-1", "batch_size=16,32,64",
    "--trials", "60", "--seed", "230", "-j", "4", "--", "python", "train.py",
]  # fmt: skip


class Terminal:
    """A command in a terminal, and what it shows."""

    def __init__(self, folder: str, columns: int, rows: int, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS"}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modeldir", *words],
            cwd=folder,
            env={**environment, "PATH": path, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)

    def read(self) -> None:
        """Show what has been written by now."""
        with contextlib.suppress(OSError):  # its last user is gone
            while select.select([self._ours], [], [], 0)[0]:
                self._stream.feed(os.read(self._ours, 65536))

    def text(self) -> Text:
        """What stands there, in its colors."""
        lines = []
        for row in range(self.screen.lines):
            line = Text()
            for column in range(self.screen.columns):
                char = self.screen.buffer[row][column]
                color = "" if char.fg == "default" else char.fg
                line.append(char.data, f"{'bold ' if char.bold else ''}{color}".strip() or None)
            line.rstrip()
            lines.append(line)
        while lines and not lines[-1].plain:
            lines.pop()
        return Text("\n").join(lines)


def main() -> None:
    """Run, look, write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(TRAIN)
        Path(folder, SEARCH).mkdir(parents=True)
        base = {"learning_rate": 0.01, "batch_size": 32, "num_epochs": 16}
        Path(folder, SEARCH, "params.json").write_text(json.dumps(base))
        wide = Terminal(folder, WIDE, ROWS, *COMMAND)
        while not any(Path(folder, SEARCH).glob("learning_rate_*/run.json")):
            time.sleep(0.05)
        narrow = Terminal(folder, NARROW, ROWS, "watch", SEARCH)
        piped = Path(folder, "piped.txt")
        with open(piped, "w") as file:
            watch = subprocess.Popen(
                [sys.executable, "-m", "modeldir", "watch", SEARCH], cwd=folder, stdout=file
            )
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for terminal in (wide, narrow):
                terminal.read()
            time.sleep(0.05)
        draw("live_wide", WIDE, wide.text(), f"modeldir search {SEARCH} ... -j 4")
        draw("live_narrow", NARROW, narrow.text(), f"modeldir watch {SEARCH}")
        lines = piped.read_text().splitlines()[:ROWS]
        draw("live_piped", WIDE, Text("\n".join(lines)), f"modeldir watch {SEARCH} | cat")
        subprocess.run(
            [sys.executable, "-m", "modeldir", "stop", SEARCH, "--now"],
            cwd=folder, check=False, capture_output=True,
        )  # fmt: skip
        watch.wait(60)
        for terminal in (wide, narrow):
            while terminal.process.poll() is None:
                terminal.read()
                time.sleep(0.05)


def draw(name: str, columns: int, text: Text, title: str) -> None:
    """Write one picture."""
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True,
        color_system="truecolor",
    )  # fmt: skip
    console.print(text, no_wrap=True, overflow="ignore", crop=False, highlight=False)
    svg = console.export_svg(title=title, unique_id=name)
    # Without fonts from elsewhere: who reads the docs fetches nothing.
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
    print(text.plain, end="\n\n")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
