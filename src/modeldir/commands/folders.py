"""Folders on a command line: which are meant, what each is called, which search they are of.

It refuses to know what is done with them: their commands do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modeldir._system import files

if TYPE_CHECKING:
    from modeldir.results.experiment_tree import Tree

Read: TypeAlias = "Callable[[Path], Tree]"
"""How a search's trials are read; of many that are compared with their best, once."""

_BESIDE = frozenset({"code", "confirm"})
"""Folders of a search that are no trials of it."""


def experiments_among(folders: Sequence[Path]) -> list[Path]:
    """Without what lies in a search beside its trials, where somebody types `SEARCH/*`: its files,
    its kept code, what confirms it. All of them if nothing else is there.
    """
    left = [each for each in folders if not (each.is_file() or _is_beside_trials(each))]
    return left or list(folders)


def _is_beside_trials(folder: Path) -> bool:
    return folder.name in _BESIDE and (folder.parent / "search.json").is_file()


def headers(folders: Sequence[Path]) -> list[str]:
    """The folders' names; their paths where two have one name."""
    names = [folder.name for folder in folders]
    return names if all(names) and len(set(names)) == len(names) else list(map(str, folders))


def number_of(folder: Path) -> str | None:
    """A trial's number, as the table calls it: `#12`."""
    number = files.read_object(folder / "trial.json").get("number")
    return f"#{number}" if isinstance(number, int) else None


def read_tree(folder: Path) -> Tree:
    """As `trees.read_tree`, with all that it takes: most experiments are looked at without.

    Raises:
        FolderError: when the folder is not there.
    """
    from modeldir.results import experiment_tree  # noqa: PLC0415 - as it says

    return experiment_tree.read_tree(folder)
