"""All folders of a tree, each once, with the names of their files.

It knows what is passed over (hidden folders, attempts, environments), and that links may lead in
circles. It refuses to know what a folder is.

Start at `walk`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from modeldir.experiment import discovery
from modeldir.results.recall import Recall

_PASSED_OVER = frozenset({"attempts", "__pycache__", "node_modules", "site-packages"})


class Folder(NamedTuple):
    """A folder with the names of its files. `name` is its path below the top; `status` is there
    where what is read is kept, `is_leaf` if no other folder belongs to it, by a link or below.
    """

    path: str
    name: str
    names: tuple[str, ...]
    status: os.stat_result | None
    is_leaf: bool
    has_folders: bool = False


def walk(
    top: str,
    warnings: list[str],
    recall: Recall,
    read_apart: Callable[[Sequence[str]], Collection[str]],
) -> Iterator[Folder]:
    """Each folder once, but those that are recalled, and of those that lie side by side the ones
    that `read_apart` says it has read; linked folders after the real ones. What cannot be listed is
    a warning.
    """
    seen: set[tuple[int, int]] | None = None  # only who follows a link may come somewhere twice
    base = os.path.join(top, "")
    walked: list[str] = []
    folders: list[str] = [""]
    links: list[str] = []
    while folders or links:
        if seen is None and not folders:
            seen = {*filter(None, (_identity(base + name) for name in (*walked, *recall.met)))}
        name = folders.pop() if folders else links.pop()
        path = base + name if name else top
        try:
            looked = look(path, name, seen, watch=recall.is_watching)
        except OSError as error:
            warnings.append(f"{path}: {error.strerror}")
            continue
        if looked is None:
            continue
        found, below, linked = looked
        if seen is None:
            walked.append(name)
        names = found.names
        if name and ("pyvenv.cfg" in names or "conda-meta" in below or discovery.CONFIRM in names):
            continue
        if below or linked:
            below, linked = ([*map(_below(name), sorted(each)[::-1])] for each in (below, linked))
            links += linked
            if seen is None:
                below = [*recall.others(below)]
                recall.expect(len(walked) + len(folders) + len(below))
                apart = read_apart(below)
                walked += apart
                below = [each for each in below if each not in apart] if apart else below
            folders += below
        yield found


def _below(name: str) -> Callable[[str], str]:
    """How folders in a folder are called."""
    return os.path.join(name, "").__add__


def look(
    path: str, name: str, seen: set[tuple[int, int]] | None, *, watch: bool
) -> tuple[Folder, list[str], list[str]] | None:
    """A folder, and those to look at next; None for one that has been seen. `watch`: as it was
    before it was listed, too.
    """
    status = os.stat(path) if seen is not None or watch else None
    if seen is not None and status is not None:
        if (status.st_dev, status.st_ino) in seen:
            return None
        seen.add((status.st_dev, status.st_ino))
    with os.scandir(path) as opened:
        entries = [*opened]
    names, below, linked, is_leaf = _sorted_out(entries)
    is_leaf = is_leaf and seen is None
    return Folder(path, name, tuple(names), status, is_leaf, bool(below or linked)), below, linked


def _identity(path: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return status.st_dev, status.st_ino
    return None


def _sorted_out(
    entries: list[os.DirEntry[str]],
) -> tuple[list[str], list[str], list[str], bool]:
    """Names of the files, the folders and the links to folders worth looking at; and whether there
    are neither folders nor links: whether the folder's own time says all of what is in it.
    """
    try:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        names = []
    if len(names) == len(entries):  # as nearly all folders are
        return names, [], [], True
    try:
        folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        folders = []
    if not folders:
        return _one_by_one(entries)
    known = {entry.name for entry in folders}
    names, _, linked, is_leaf = _one_by_one(each for each in entries if each.name not in known)
    below = [name for name in known if name[0] != "." and name not in _PASSED_OVER]
    return names, below, linked, is_leaf and not below


def _one_by_one(
    entries: Iterable[os.DirEntry[str]],
) -> tuple[list[str], list[str], list[str], bool]:
    names: list[str] = []
    below: list[str] = []
    linked: list[str] = []
    is_leaf = True
    for entry in entries:
        try:
            is_leaf = is_leaf and not entry.is_symlink()
            if entry.is_file():
                names.append(entry.name)
            elif entry.name[0] != "." and entry.name not in _PASSED_OVER and entry.is_dir():
                (linked if entry.is_symlink() else below).append(entry.name)
        except OSError:  # a link to itself is neither
            continue
    return names, below, linked, is_leaf and not below
