"""Folders on a command line: which ones are meant, and how they are named in the output.

`commands/__init__.py` calls `with_numbers` and `trial_folders` for each command that takes trials,
so that `SEARCH 12` and `SEARCH/12` name the trial with this number. A folder of that name wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modeldir._system import disks, files, reading
from modeldir.errors import NOTHING_STARTED, CommandError, FolderError
from modeldir.experiment import trial_labels
from modeldir.experiment.attempts import HOME

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


_NUMBER = re.compile(r"[0-9]{1,15}")
_MOST_RANGES = 8
"""How many ranges of numbers an error names: `1 to 5, 7, 9 to 12`."""


def with_numbers(words: Sequence[str]) -> list[str]:
    """Join each number with the folder before it: `SEARCH 12 13` is `SEARCH/12 SEARCH/13`."""
    found: list[str] = []
    folder, joined = None, False
    for word in words:
        if folder is not None and _NUMBER.fullmatch(word) and not os.path.lexists(word):
            if not joined:
                found.pop()
            found.append(os.path.join(folder, word))
            joined = True
        else:
            found.append(word)
            folder, joined = (word if os.path.isdir(word) else None), False
    return found


def trial_folders(words: Sequence[str]) -> list[str]:
    """Replace each path that ends in the number of a trial, `SEARCH/12`, by the trial's folder.

    A path that exists, and one that does not lead into a search, is left as it is.

    Raises:
        FolderError: if the search has no trial with this number.
    """
    return [_trial_folder(word) for word in words]


def _trial_folder(word: str) -> str:
    path = Path(word)
    if not _NUMBER.fullmatch(path.name) or os.path.lexists(path):
        return word
    search, number = Path(_trial_folder(str(path.parent))), int(path.name)
    if not search.is_dir():
        return word
    name = _claimed_name(search, number)
    if name is not None:
        return str(search / name)
    trials = _trials_in(search)
    several = trials.get(number, [])
    if len(several) == 1:
        return str(search / several[0])
    if several:
        names = ", ".join(sorted(several))
        raise FolderError(f"{search} has several folders of trial {number}\n  name one: {names}")
    if not trials and not (search / "search.json").is_file():
        return word
    known = f"its trials: {_ranges(sorted(trials))}" if trials else "it has no trials yet"
    raise FolderError(f"{search} has no trial {number}\n  {known}")


def _claimed_name(search: Path, number: int) -> str | None:
    """Return the name of a trial's folder as its claim has it, if the folder agrees."""
    name = reading.read_object(search / HOME / "trials" / f"{number:06d}.json").get("name")
    is_there = files.is_name(name) and trial_labels.number_in(search / str(name)) == number
    return str(name) if is_there else None


def _trials_in(search: Path) -> dict[int, list[str]]:
    """Return the names of all trials' folders by number. A copy has its original's number."""
    found: dict[int, list[str]] = {}
    for entry in os.scandir(search):
        number = trial_labels.number_in(Path(entry.path)) if entry.is_dir() else None
        if number is not None and not entry.name.startswith("."):
            found.setdefault(number, []).append(entry.name)
    return found


def _ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers as ranges.

    >>> _ranges([1, 2, 3, 5, 8, 9])
    '1 to 3, 5, 8, 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words: list[str] = []
    for run in runs[:_MOST_RANGES]:
        is_long = len(run) > 2  # noqa: PLR2004 - two numbers need no "to"
        words += [f"{run[0]} to {run[-1]}"] if is_long else [*map(str, run)]
    more = sum(map(len, runs[_MOST_RANGES:]))
    return ", ".join(words) + (f" and {more} more" if more else "")


def headers(folders: Sequence[Path]) -> list[str]:
    names = [folder.name for folder in folders]
    return names if all(names) and len(set(names)) == len(names) else list(map(str, folders))


def number_of(folder: Path) -> str | None:
    """Return a trial's number as in the table."""
    number = trial_labels.number_in(folder)
    return None if number is None else str(number)


def read_tree(folder: Path) -> Tree:
    """Read all experiments below a folder. Most commands need none, so the import is late."""
    from modeldir.results import experiment_tree  # noqa: PLC0415 - see above

    return experiment_tree.read_tree(folder)


def check_writable(folder: Path, what: str) -> None:
    """Raise an error if a folder cannot be written or made, before anything starts there.

    A full disk is no reason: the few files that a start needs may find room.
    """
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    trouble = disks.trouble(there)
    if trouble != disks.READ_ONLY:
        if os.access(there, os.W_OK | os.X_OK):
            return
        trouble = "you have no permission to write there"
    raise cannot_record(folder, what, trouble)


def cannot_record(folder: object, what: str, why: str) -> CommandError:
    """Return the error for a run or a search of which no record can be written."""
    return CommandError(f"{folder}: the {what} cannot be recorded: {why}", state=NOTHING_STARTED)
