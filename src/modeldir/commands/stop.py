"""`modeldir stop`: ask the workers of a search to stop, wherever they run."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import time
from pathlib import Path

from modeldir import attempts, experiment, processes, roster
from modeldir.errors import FolderError

HELP = "Ask the workers of a search to stop: no new trials; the running ones go on to their end."
EXAMPLE = "modeldir stop experiments/learning_rate --now"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("dir", metavar="DIR", help="a search")
    parser.add_argument(
        "--now", action="store_true", help="interrupt the running trials; they run again next time"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the request, say whom it is for. It never signals across users or hosts."""
    folder = Path(arguments.dir)
    if not folder.is_dir():
        raise FolderError(experiment.no_folder(folder))
    if not experiment.is_search(folder):
        raise FolderError(f"{folder} is no search: it has no trials\nNothing was stopped.")
    asked = roster.members(folder)
    if asked:
        roster.ask_to_stop(folder, asked, "now" if arguments.now else "wait")
    for member in asked:
        seen = "" if member.alive else ", which cannot be seen from here"
        print(f"asked: worker {member.pid} on {member.host}{seen}")
    left = _ended_here(folder) if arguments.now else []
    for name in left:
        print(f"ended: {name}, which no worker minds any more")
    if not asked and not left:
        print(f"nobody works on {folder}")
    print(f"next: modeldir watch {shlex.quote(str(folder))}" if asked else _go_on(folder))
    return 0


def _go_on(folder: Path) -> str:
    return f"next: modeldir search {shlex.quote(str(folder))}   goes on"


def _ended_here(folder: Path) -> list[str]:
    """Trials of this host whose worker is gone: their supervisors are asked, and waited for."""
    ended = []
    for path in sorted(folder.iterdir()):
        last = attempts.latest(path) if path.is_dir() and path.name[0] != "." else None
        if last is None or last.end is not None or attempts.lives(last) is not True:
            continue
        worker = processes.from_json(last.record.get("worker"))
        keeper = processes.from_json(last.record.get("supervisor"))
        if worker is None or keeper is None or processes.alive(worker) is not False:
            continue  # its worker does it
        with contextlib.suppress(OSError):
            os.kill(keeper.pid, signal.SIGTERM)
            ended.append(path.name)
            _wait_for(keeper)
    return ended


def _wait_for(keeper: processes.Process, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while processes.alive(keeper) and time.monotonic() < deadline:
        time.sleep(0.05)
