# ruff: noqa: INP001 - a script, not the package
"""Draws `log.svg`: a training run in a terminal, and the file it leaves, before and with modeldir.

    python docs/pictures/make.py

Nothing in the picture is made up: the script is run twice in a terminal of its own, once with the
`set_logger` of CS230's projects and once with modeldir's, and what it shows and leaves is drawn.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pyte
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

COLUMNS, ROWS = 100, 24
TARGET = Path(__file__).with_name("log.svg")

BEFORE = """\
import logging

def set_logger(log_path):
    logger = logging.getLogger()
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        file_handler = logging.FileHandler(log_path)
        file_handler.setFormatter(logging.Formatter("%(asctime)s:%(levelname)s: %(message)s"))
        logger.addHandler(file_handler)
        stream_handler = logging.StreamHandler()
        stream_handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(stream_handler)
"""
AFTER = "import logging\nfrom modeldir import set_logger\n"
TRAIN = """\
import os, time, warnings
from tqdm import tqdm

set_logger("train.log")
logging.info("Starting training for 2 epochs")
os.system("echo loader: 2 workers ready")
for epoch in (1, 2):
    for step in tqdm(range(60), desc=f"epoch {epoch}", ncols=70):
        time.sleep(0.004)
    print(f"epoch {epoch}: accuracy {0.9 + epoch / 40:.3f}")
warnings.warn("the loss is not a number")
raise ValueError("loss is nan")
"""


def main() -> None:
    """Run, draw, write the picture."""
    terminal, before = session(BEFORE)
    terminal_too, after = session(AFTER)
    if re.sub(r"[\d.]+", "", terminal) != re.sub(r"[\d.]+", "", terminal_too):
        sys.exit(f"the terminals are not alike:\n{terminal}\n\n{terminal_too}")
    picture = Console(
        record=True,
        width=COLUMNS + 4,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    parts = [
        Panel(Text(terminal), title="the terminal, with and without modeldir", title_align="left"),
        panel(before, "train.log before: logging's own FileHandler", "red"),
        panel(after, "train.log with modeldir.set_logger", "green"),
    ]
    picture.print(Group(*parts))
    TARGET.write_text(without_fonts(picture.export_svg(title="python train.py")), encoding="utf-8")


def session(logger: str) -> tuple[str, str]:
    """What one run showed in its terminal, and what its log holds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(logger + TRAIN)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        with subprocess.Popen(
            [sys.executable, "train.py"], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            screen = pyte.Screen(COLUMNS, ROWS)
            stream = pyte.ByteStream(screen)
            try:
                while data := os.read(ours, 65536):
                    stream.feed(data)
            except OSError:  # the terminal's other side is closed: the end
                pass
        os.close(ours)
        log = Path(folder, "train.log").read_text()
        assert process.returncode == 1, log
    shown = "\n".join(line.rstrip() for line in screen.display).rstrip()
    return neutral(shown, folder), neutral(log, folder).rstrip()


def neutral(text: str, folder: str) -> str:
    """The text without the names of the machine that drew the picture."""
    text = text.replace(os.path.realpath(folder), "/home/ada/project")
    text = text.replace(folder, "/home/ada/project")
    return re.sub(r" host=\S+", " host=gpu-1", text)


def panel(log: str, title: str, color: str) -> Panel:
    """A log's text in a frame, its own lines fainter."""
    text = Text(log)
    text.highlight_regex(r"(?m)^#.*$", "dim")
    text.highlight_regex(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "dim")
    return Panel(text, title=title, title_align="left", border_style=color)


def without_fonts(svg: str) -> str:
    """The picture without fonts from elsewhere: who reads the docs fetches nothing."""
    return re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main()
