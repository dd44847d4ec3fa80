"""Folders on a command line: which ones are meant, and how they are named in the output."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modeldir._system import disks, reading, recorded_numbers
from modeldir.errors import NOTHING_STARTED, CommandError

if TYPE_CHECKING:
    from modeldir.results.experiment_tree import Tree

Read: TypeAlias = "Callable[[Path], Tree]"
"""Reads all trials of a search; cached if several trials are compared with the best."""

_BESIDE = frozenset({"code", "confirm"})
"""Folders in a search that are not trials."""


def experiments_among(folders: Sequence[Path]) -> list[Path]:
    """Leave out files and folders that are not experiments, if somebody types `SEARCH/*`.

    If nothing else is given, all are returned.
    """
    left = [
        each
        for each in folders
        if not each.is_file()
        and not (each.name in _BESIDE and (each.parent / "search.json").is_file())
    ]
    return left or list(folders)


def headers(folders: Sequence[Path]) -> list[str]:
    names = [folder.name for folder in folders]
    return names if all(names) and len(set(names)) == len(names) else list(map(str, folders))


def number_of(folder: Path) -> str | None:
    """Return a trial's number as in the table: `#12`."""
    number = recorded_numbers.integer(reading.read_object(folder / "trial.json").get("number"))
    return None if number is None else f"#{number}"


def read_tree(folder: Path) -> Tree:
    """Read all experiments below a folder. Most commands need none, so the import is late."""
    from modeldir.results import experiment_tree  # noqa: PLC0415 - see above

    return experiment_tree.read_tree(folder)


def check_writable(folder: Path, what: str) -> None:
    """Raise an error if a folder cannot be written, before anything starts there.

    A full disk is no reason: the few files that a start needs may find room.
    """
    trouble = disks.trouble(folder)
    if trouble != disks.READ_ONLY:
        if os.access(folder, os.W_OK | os.X_OK):
            return
        trouble = "you may not write there"
    raise cannot_record(folder, what, trouble)


def cannot_record(folder: object, what: str, why: str) -> CommandError:
    """Return the error for a run or a search of which no record can be written."""
    return CommandError(f"{folder}: the {what} cannot be recorded: {why}", state=NOTHING_STARTED)
