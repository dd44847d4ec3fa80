"""`modeldir log`: what an experiment printed."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from pathlib import Path

from modeldir import experiment, files
from modeldir.errors import FolderError

HELP = "What an experiment printed and logged: its train.log, else its console.log."
EXAMPLE = "modeldir log experiments/base_model --tail 20"

_NAMES = ("train.log", "console.log", "search.log")
_PIECE = 65536


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("dir", metavar="DIR", help="an experiment")
    parser.add_argument(
        "--raw", action="store_true", help="console.log: the very bytes of the command's output"
    )
    parser.add_argument("--tail", metavar="N", type=_count, help="only the last N lines")


def run(arguments: argparse.Namespace) -> int:
    """Copy the log to standard output, byte for byte."""
    path = _wanted(Path(arguments.dir), raw=arguments.raw)
    sys.stdout.flush()
    if arguments.tail is not None:
        sys.stdout.buffer.write(last_lines(path, arguments.tail))
    else:
        with open(path, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return 0


def log_of(folder: Path) -> Path | None:
    """The log to read first in a folder: ours, else the newest that its own script wrote."""
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    logs = [path for path in folder.glob("*.log") if path.is_file()]
    return max(logs, key=_changed, default=None)


def last_lines(path: Path, count: int) -> bytes:
    """The last lines of a file. A progress bar's many states are one line."""
    size = _PIECE
    while (data := files.tail(path, size)).count(b"\n") <= count and len(data) == size:
        size *= 4
    lines = data.splitlines(keepends=True) if b"\r" not in data else _split(data)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


def _split(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime
    return 0.0


def _wanted(folder: Path, *, raw: bool) -> Path:
    if not folder.is_dir():
        raise FolderError(experiment.no_folder(folder))
    path = folder / "console.log" if raw else log_of(folder)
    if path is None or not path.is_file():
        what = "console.log: modeldir did not run it" if raw and log_of(folder) else "log yet"
        raise FolderError(f"{folder} has no {what}\n  how it stands: modeldir show {folder}")
    return path


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of lines, got {text!r}")
    return int(text)
