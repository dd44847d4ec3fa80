"""Lay out a kept state of the code as a project folder of its own.

`modeldir reproduce` calls `lay_out` and then `link_inputs`. The rule: files are copied, never
shared with the snapshot, because a script may write into its own folder. How code is kept:
`code_snapshots`; how it comes back into its own project: `code_revert`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from modeldir._system import files, reading
from modeldir.errors import NOTHING_STARTED, FolderError
from modeldir.experiment import code_files
from modeldir.experiment.code_snapshots import Snapshot


def lay_out(snapshot: Snapshot, target: Path) -> None:
    """Copy the files of a snapshot into a new or empty folder.

    Raises:
        FolderError: when the folder has something in it, or when the snapshot was changed.
    """
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise FolderError(
            f"{target} is not an empty folder\n  name another one: --into DIR",
            state=NOTHING_STARTED,
        )
    if damaged := snapshot.damaged():
        raise FolderError(
            f"{snapshot.folder} cannot be used:",
            [(f"{snapshot.path_of(path)} is missing or was changed", None) for path in damaged],
        )
    target.mkdir(parents=True, exist_ok=True)
    for path, digest in snapshot.digests.items():
        data = reading.read(snapshot.path_of(path), reading.TEXT)
        if hashlib.sha256(data).hexdigest() != digest:
            raise FolderError(f"{snapshot.path_of(path)} was changed meanwhile")
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        files.create(target / path, data)
        os.chmod(target / path, 0o755 if path in snapshot.executable else 0o644)


def link_inputs(snapshot: Snapshot, target: Path) -> list[str]:
    """Link what stands beside the code in its project and is not kept, e.g. a folder with data.

    Secrets, hidden files and experiments are not linked.

    Returns:
        the paths that were linked, below the project's folder.
    """
    root, linked = Path(snapshot.root), list[str]()
    folders = {Path(path).parent for path in snapshot.digests} | {Path()}
    for folder in sorted(folders):
        if not (root / folder).is_dir() or (root / folder).is_symlink():
            continue
        if any(_is_of_other(root / each) for each in (folder, *folder.parents) if each != Path()):
            continue  # git tracks files of an experiment: its results are no inputs
        for entry in sorted((root / folder).iterdir()):
            path = str(folder / entry.name)
            is_around = target.is_relative_to(entry)
            if not is_around and not os.path.lexists(target / path) and _is_input(entry, path):
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                os.symlink(entry, target / path)
                linked.append(path)
    return linked


def _is_input(entry: Path, path: str) -> bool:
    if entry.name.startswith(".") or entry.name == "__pycache__" or code_files.is_secret(path):
        return False
    if not entry.is_dir():
        return entry.exists()
    inside = (entry, *(each for each in entry.iterdir() if each.is_dir()))
    return not any(map(_is_of_other, inside))


def _is_of_other(folder: Path) -> bool:
    return code_files.is_of_other(str(folder))
