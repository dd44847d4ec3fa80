"""`modeldir stop`: ask the workers of a search to stop, wherever they run."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import time
from pathlib import Path

from modeldir import attempts, experiment, processes, roster
from modeldir.errors import FolderError
from modeldir.trials import HOME

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
        _ask(folder, asked, "now" if arguments.now else "wait")
    for member in asked:
        seen = "" if member.alive else ", which cannot be seen from here"
        print(f"asked: worker {member.pid} on {member.host}{seen}")
    ended, left = _ended_here(folder) if arguments.now else ([], [])
    for name in ended:
        print(f"ended: {name}, which no worker minds any more")
    for name in left:
        print(f"runs on: {name}, which no worker minds any more and which is another user's")
    if not asked and not ended and not left:
        print(f"nobody works on {folder}")
    print(f"next: modeldir watch {shlex.quote(str(folder))}" if asked or left else _go_on(folder))
    return 1 if left else 0


def _ask(folder: Path, asked: list[roster.Member], urgency: roster.Urgency) -> None:
    """Ask them by a file: whoever may write in the search's folder can.

    Raises:
        FolderError: when we may not.
    """
    try:
        roster.ask_to_stop(folder, asked, urgency)
    except OSError as error:
        home = shlex.quote(str(folder / HOME))
        raise FolderError(
            f"{folder}: its workers are asked by a file in {HOME}, and none can be written there: "
            f"{error.strerror}\n"
            f"  whose folder it is may let the group write there: chmod -R g+w {home}\n"
            "Nothing was stopped."
        ) from None


def _go_on(folder: Path) -> str:
    return f"next: {roster.again(folder)}   goes on"


def _ended_here(folder: Path) -> tuple[list[str], list[str]]:
    """Trials of this host whose worker is gone: their supervisors are asked, and waited for.

    Returns the names of those that were ended, and of those that run on as another user.
    """
    ended, left = [], []
    for path in sorted(folder.iterdir()):
        last = attempts.latest(path) if path.is_dir() and path.name[0] != "." else None
        if last is None or last.end is not None or attempts.lives(last) is not True:
            continue
        worker = processes.from_json(last.record.get("worker"))
        keeper = processes.from_json(last.record.get("supervisor"))
        if worker is None or keeper is None or processes.alive(worker) is not False:
            continue  # its worker does it
        try:
            os.kill(keeper.pid, signal.SIGTERM)
        except PermissionError:
            left.append(path.name)
        except ProcessLookupError:
            continue
        else:
            ended.append(path.name)
            _wait_for(keeper)
    return ended, left


def _wait_for(keeper: processes.Process, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while processes.alive(keeper) and time.monotonic() < deadline:
        time.sleep(0.05)
