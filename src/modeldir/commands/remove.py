"""`modeldir remove`: take trials out of their search; no files are deleted (`search/trials.py`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from modeldir._system.shell import quoted, quoted_line
from modeldir.errors import FolderError, SearchError
from modeldir.experiment import attempts
from modeldir.experiment.experiment import no_folder_message
from modeldir.search import pruner_orders
from modeldir.search.search import Search

HELP = (
    "Remove trials from their search: they leave the table and are not made again.\n"
    "Their folders are moved to .modeldir/aside; nothing is deleted."
)
EXAMPLE = "modeldir remove experiments/learning_rate 12"
FOLDERS = "trials"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir remove TRIAL ..."
    parser.add_argument("trials", nargs="+", metavar="TRIAL", help="a trial: its folder, or DIR 12")


def run(arguments: argparse.Namespace) -> int:
    """Move each trial away, after checking all of them; print how to undo this."""
    found = []
    for each in arguments.trials:
        folder = Path(each)
        if not folder.is_dir():
            raise FolderError(no_folder_message(folder))
        if not (folder / "trial.json").exists():
            raise FolderError(
                f"{folder} is not a trial of a search, and only trials can be removed\n"
                f"  to see what it is: modeldir show {quoted(folder)}",
                state="Nothing was removed.",
            )
        search = Search(folder.parent if folder.name else folder.resolve().parent)
        search.trials.refresh(make=False)
        name = folder.resolve().name
        known = (*search.trials, *search.trials.aside())  # of these one may still lie there
        record = next((record for record in known if record.name == name), None)
        if record is None:
            raise SearchError(
                f"{folder}: its search has no such trial", state="Nothing was removed."
            )
        if search.trials.status(record).state == attempts.RUNNING:
            raise SearchError(
                f"{folder} is running; stop it first: modeldir stop {quoted(search.path)} --now",
                state="Nothing was removed.",
            )
        found.append((search, record))
    for search, record in found:
        folder, mark = search.trials.path(record), search.trials.claims.aside_mark(record)
        aside = search.trials.put_aside(record)
        pruner_orders.note_removed(search.plan_file, search.trials)
        move, unmark = quoted_line(["mv", aside, folder]), quoted_line(["rm", mark])
        print(f"removed {record.title}: it is now in {aside}\n  to undo this: {move} && {unmark}")
    return 0
