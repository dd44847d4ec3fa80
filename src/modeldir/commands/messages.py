"""What several commands say: paths as they are typed, what to type next, which log to read.

Light to import: `modeldir show` of one experiment needs nothing that reads trees.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system.shell import quoted
from modeldir._system.terminal import width_of_messages

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOGS = ("train.log", "console.log", "search.log")


def complain(text: str) -> None:
    """Say on standard error what is wrong: with what a name in it would have the terminal do
    written out, and in a terminal in lines that end between words.
    """
    from modeldir._system.text import folded  # noqa: PLC0415 - on the way out

    say(folded(text, width_of_messages()))


def say(lines: Iterable[str]) -> None:
    """Lines on standard error. Where they cannot be written the exit code stays what it is."""
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except OSError:  # a full disk, `2>&1 | head`: the interpreter would try again as it leaves
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end


def with_best(best: Path) -> str:
    """What one does with the best experiment: evaluate it, where there is a script for that."""
    if os.path.isfile("evaluate.py"):
        return f"python evaluate.py --model_dir {quoted(best)}"
    return f"modeldir show {quoted(best)}"


def reported(path: Path) -> str:
    """Where the report lies, and what one does with it."""
    return f"report:  {path} ({os.stat(path).st_size / 1e6:.1f} MB): open it in a browser"


def log_of(folder: Path) -> Path | None:
    """The log to read first in a folder: ours, else the newest that its own script wrote."""
    for name in _LOGS:
        if (folder / name).is_file():
            return folder / name
    logs = [path for path in folder.glob("*.log") if path.is_file()]
    return max(logs, key=changed, default=None)


def changed(path: Path) -> float:
    """When a file was last written to; 0 where that cannot be told."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime
    return 0.0
