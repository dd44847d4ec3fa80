"""Finds the folders of a tree of experiments, each one once.

Everything that walks a tree calls `walk`. The rule: a folder that one of them skips, all of them
skip, and a link that leads in a circle does not end the walk. Types of folders: `kind_of`.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

CONFIRM = "confirm.json"
"""Marks a search that trains the best configurations of another search again. It belongs to no
other tree: its trials were chosen by their results, so no table and no sampler may count them.
"""

LIBRARIES = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Names of folders that contain other people's code."""

SKIPPED = LIBRARIES | {"attempts"}
"""Names of folders that no walk enters. Hidden folders and environments are skipped too."""

TIMED, SLOW, THREADS = 15, 0.0005, 16
"""Threads start if half of the first 15 calls take more than 0.5 ms. In memory a call takes a tenth
of that, on a busy machine too.
"""


DEEPEST = 100
"""A walk enters no folder that lies more folders than this below its top."""

_KERNEL = ("/proc", "/sys", "/dev")


class Folder(NamedTuple):
    """A folder with the names of its files, its folders and its links to folders.

    `folders` and `links` lack the names that every walk skips. A caller of `walk` may remove names
    from both lists, as with `os.walk`: the walk does not enter them then.
    """

    path: str
    files: tuple[str, ...]
    folders: list[str]
    links: list[str]


def list_folder(path: str) -> Folder:
    """List one folder."""
    files: list[str] = []
    folders: list[str] = []
    links: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    files.append(entry.name)
                elif entry.is_dir():
                    if entry.name[0] != "." and entry.name not in SKIPPED:
                        (links if entry.is_symlink() else folders).append(entry.name)
                elif not entry.is_symlink() or os.path.exists(entry.path):
                    files.append(entry.name)  # a pipe or a device: reading it tells so
            except OSError:  # a link that leads to itself
                continue
    return Folder(path, tuple(files), folders, links)


def walk(
    top: str | os.PathLike[str], on_error: Callable[[str, OSError], object] | None = None
) -> Iterator[Folder]:
    """Yield a folder and all folders below it, sorted by name, parents first.

    Links to folders are followed after all real folders, and no folder is visited twice. Hidden
    folders, environments and confirmations of searches are skipped, except `top` itself.
    """
    top = os.fspath(top)
    links: list[str] = []
    walked: list[str] = []
    for folder in _walk_all([top], top, links, None, on_error):
        walked.append(folder.path)
        yield folder
    seen = {*filter(None, map(_identity, walked))} if links else set()
    while links:
        link = links.pop(0)
        if not _leads_up(link, top):
            yield from _walk_all([link], top, links, seen, on_error)


def _leads_up(link: str, top: str) -> bool:
    target, top = os.path.realpath(link), os.path.join(os.path.realpath(top), "")
    return top.startswith(os.path.join(target, "")) or any(
        target == folder or target.startswith(f"{folder}/") for folder in _KERNEL
    )


def _walk_all(
    paths: Iterable[str],
    top: str,
    links: list[str],
    seen: set[tuple[int, int]] | None,
    on_error: Callable[[str, OSError], object] | None,
) -> Iterator[Folder]:
    """Walk several trees and collect their links. Skip the folders in `seen`, if it is given."""
    if seen is not None:
        paths = [path for path in paths if _is_new(path, seen)]
    for folder in threaded_map(_list_or_error, paths):
        if not isinstance(folder, Folder):
            if on_error is not None:
                on_error(*folder)
            continue
        if folder.path != top and (_is_environment(folder) or CONFIRM in folder.files):
            continue
        yield folder
        if folder.path.count(os.sep) - top.count(os.sep) >= DEEPEST:
            too_deep = OSError(errno.ELOOP, f"more than {DEEPEST} folders inside each other")
            if on_error is not None:
                on_error(folder.path, too_deep)
        elif folder.links or folder.folders:
            base = os.path.join(folder.path, "")
            links += [base + name for name in sorted(folder.links)]
            below = [base + name for name in sorted(folder.folders)]
            yield from _walk_all(below, top, links, seen, on_error)


def _list_or_error(path: str) -> Folder | tuple[str, OSError]:
    try:
        return list_folder(path)
    except OSError as error:
        return path, error


def _is_environment(folder: Folder) -> bool:
    return "pyvenv.cfg" in folder.files or "conda-meta" in folder.folders


def _is_new(path: str, seen: set[tuple[int, int]]) -> bool:
    identity = _identity(path)
    if identity in seen:
        return False
    if identity is not None:  # else listing it raises the error
        seen.add(identity)
    return True


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def threaded_map(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Call a function with each item, in threads if the first calls are slow; results keep the
    order.

    On a file server every access is a round trip, so several threads wait at the same time.
    """
    items = list(items)
    times = []
    for item in items[:TIMED]:
        began = time.perf_counter()
        result = function(item)
        times.append(time.perf_counter() - began)
        yield result
    others = items[TIMED:]
    if not others or sorted(times)[len(times) // 2] < SLOW:
        yield from map(function, others)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to import

    with ThreadPoolExecutor(THREADS) as pool:
        try:
            results = pool.map(function, others)
        except RuntimeError:  # the system allows no more threads
            results = map(function, others)
        yield from results
