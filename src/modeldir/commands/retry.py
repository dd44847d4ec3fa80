"""`modeldir retry`: have trials that have ended run again, as they are or with other values."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modeldir import attempts, failures, params, roster
from modeldir.errors import FolderError, SearchError, did_you_mean, listed
from modeldir.experiment import no_folder
from modeldir.search import Search
from modeldir.trials import TrialRecord

HELP = "Have failed trials run again: by the workers that are there, or by the next search."
EXAMPLE = "modeldir retry experiments/learning_rate --only out-of-memory --set batch_size=16"

_CLASSES = (
    failures.ERROR,
    failures.OUT_OF_MEMORY,
    failures.NAN,
    failures.NO_METRIC,
    failures.TIME_LIMIT,
    failures.KILLED,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "modeldir retry DIR ... [--only CLASS] [--set name=value ...]"
    parser.add_argument(
        "dir", nargs="+", metavar="DIR", help="a search, or trials of one (also completed ones)"
    )
    parser.add_argument(
        "--only", metavar="CLASS", help="only this class of failure: " + ", ".join(_CLASSES)
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="name=value",
        help="in new trials, made after these with other values",
    )


def run(arguments: argparse.Namespace) -> int:
    """Mark them, or make the new ones; say what comes next."""
    if arguments.only is not None and arguments.only not in _CLASSES:
        hint = did_you_mean(arguments.only, list(_CLASSES)) or "known: " + ", ".join(_CLASSES)
        raise SearchError(f"--only {arguments.only}: no such class of failure\n  {hint}")
    search, wanted = _wanted([Path(each) for each in arguments.dir], arguments.only)
    if not wanted:
        which = f" by {arguments.only}" if arguments.only else ""
        print(f"no trial of {search.path} has failed{which}: there is nothing to run again")
        return 0
    values = _values(arguments.set)
    for record in wanted:
        if values:
            made, is_new = search.make_retry(record, values)
            after = f"{record.name} with {_said(values)}"
            print(f"{made.name} will run: {after}" if is_new else f"{made.name} is {after} already")
        else:
            search.trials.want_again(record)
            print(f"{record.name} will run again")
    print(f"next: {roster.again(search.path)}")
    return 0


def _wanted(folders: list[Path], only: str | None) -> tuple[Search, list[TrialRecord]]:
    """The search, and the trials that are meant: named ones, else all that failed."""
    for folder in folders:
        if not folder.is_dir():
            raise FolderError(no_folder(folder))
    trials = [folder for folder in folders if (folder / "trial.json").exists()]
    searches = {folder.parent if folder in trials else folder for folder in folders}
    if len(searches) > 1:
        told = [(f"{folder}", None) for folder in sorted(searches)]
        raise SearchError(listed("one search at a time:", told, "Nothing was marked."))
    search = Search(searches.pop())
    search.trials.refresh(make=False)
    records = list(search.trials)
    if trials:
        names = {folder.resolve().name for folder in trials}
        records = [record for record in records if record.name in names]
    return search, [record for record in records if _is_meant(search, record, only, named=trials)]


def _is_meant(search: Search, record: TrialRecord, only: str | None, *, named: list[Path]) -> bool:
    status = search.trials.status(record)
    if status.state == attempts.RUNNING:
        if named:
            raise SearchError(f"{record.name} is running: modeldir stop {search.path} --now")
        return False
    if only is not None:
        return status.state == attempts.FAILED and status.failure == only
    ended = (attempts.COMPLETED, attempts.PRUNED, attempts.FAILED)
    return status.state in ended if named else status.state == attempts.FAILED


def _values(words: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise SearchError(f"--set {word}: expected name=value\n  --set batch_size=16")
        values[name] = params.parse_value(text)
    return values


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
