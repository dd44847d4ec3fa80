"""Keep the code that a training run used: one folder for each distinct state of a project.

Workers, `modeldir run` and `start()` call `Keeper.keep` before a training run starts, and its run
file names the result. Each state lies once in the `.modeldir/code/` of the search, or of a single
experiment, however many trials used it. Start at `keep`. The rule: a snapshot is complete before it
has its name, and no file of it ever changes. Which files make up a project: `code_files`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, reading
from modeldir.experiment import code_files
from modeldir.experiment.attempts import HOME
from modeldir.experiment.code_files import CodeFiles, SourceFile
from modeldir.experiment.provenance import MOST_FILES

FOLDER = "code"
MANIFEST = "manifest.json"
FILES = "files"
_HIDDEN = ".new-"
_FORGOTTEN = 3600.0
"""Seconds after which an incomplete snapshot is that of a process that was killed."""
_TRIES = 3
_LEFT_FREE = 64 << 20
"""Bytes that a copy leaves free: a training run that cannot save is worse than code not kept."""
_PAUSE = 60.0
"""Seconds without another try after a copy has failed."""
_NAME_LENGTH = 16
_MOST_NAMED = 3
_SEARCH_ABOVE = 4
"""A removed trial lies this far below the folder with its search's snapshots."""


@dataclass(frozen=True)
class Snapshot:
    """A state of a project's code: its `folder` holds `manifest.json` and `files/`.

    `digests` are SHA-256 digests by path; `left_out` are paths with the reason in words.
    """

    folder: Path
    root: str
    digests: dict[str, str]
    executable: frozenset[str]
    left_out: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return self.folder.name

    def path_of(self, path: str) -> Path:
        return self.folder / FILES / path

    def damaged(self) -> list[str]:
        """Return the files that are missing, or that somebody has changed."""
        return [
            path
            for path, digest in self.digests.items()
            if (data := _read(self.path_of(path))) is None or _digest(data) != digest
        ]


class Keeper:
    """Keeps the states of one project in one store; files that have not changed are not read.

    Args:
        project: the folder in which the command runs.
        store: the folder of the search, or of a single experiment.
    """

    def __init__(self, project: Path, store: Path) -> None:
        self.root = code_files.root_of(project)
        self._project = project
        self.store = store / HOME / FOLDER
        self._known: dict[str, tuple[SourceFile, str]] = {}
        self._read_at_ns: dict[str, int] = {}
        self._last: Snapshot | None = None
        self.left_out: tuple[tuple[str, str], ...] = ()
        """The paths that the latest snapshot lacks, with the reason in words."""
        self.problem: str | None = None
        """Why there is no snapshot, in words."""
        self.has_made_one = False
        self._failed_at = -_PAUSE

    def keep(self) -> str | None:
        """Return the name of the snapshot of the code as it is now; it is made if it is new.

        None, with `problem`, where none can be made. A training run is more important than its
        snapshot, so this raises nothing.
        """
        found = self._found()
        if found is None:
            self.problem = f"{self.root} has more than {MOST_FILES} source files"
            return None
        if time.monotonic() < self._failed_at + _PAUSE:
            return None
        self.problem = None
        try:
            for _ in range(_TRIES):
                digests = self._digests(found)
                unread = [each.path for each in found.files if each.path not in digests]
                self.left_out = (*found.left_out, *((path, "it cannot be read") for path in unread))
                if not digests:
                    return None
                name = _name(digests, found)
                if (self.store / name / MANIFEST).is_file() or self._copy(name, found, digests):
                    return name
                self._known.clear()  # a file changed while it was copied
        except OSError as error:
            self.problem = f"{error.strerror}: {error.filename or self.store}"
            self._failed_at = time.monotonic()
            return None
        self.problem = f"files in {self.root} kept changing"
        return None

    def digests(self) -> dict[str, str] | None:
        """Return the digests of the files as they are now, by path; None if there are too many."""
        found = self._found()
        return None if found is None else self._digests(found)

    def note(self) -> str | None:
        """Return a note on what a new snapshot lacks, or why there is none; None if it is whole."""
        if self.problem is not None:
            return f"note: the code is not kept: {self.problem}"
        if not self.left_out or not self.has_made_one:
            return None
        listed = ", ".join(f"{path} ({why})" for path, why in self.left_out[:_MOST_NAMED])
        more = len(self.left_out) - _MOST_NAMED
        return f"note: the kept code lacks {listed}{f' and {more} more' if more > 0 else ''}"

    def _found(self) -> CodeFiles | None:
        found = code_files.code_files(self.root)
        if found is None and self.root != self._project:
            self.root = self._project  # one project of many in a large repository
            found = code_files.code_files(self.root)
        return found

    def _digests(self, found: CodeFiles) -> dict[str, str]:
        """Return the digests of the files by path; those that have not changed are not read.

        The clock of a file system advances in steps, so a file that was written shortly before it
        was read may have changed since, with the same time.
        """
        digests: dict[str, str] = {}
        for file in found.files:
            known = self._known.get(file.path)
            if known is None or known[0] != file or self._may_be_newer(file):
                self._read_at_ns[file.path] = time.time_ns()
                data = _read(self.root / file.path)
                known = file, "" if data is None else _digest(data)
                self._known[file.path] = known
            if known[1]:
                digests[file.path] = known[1]
        return digests

    def _may_be_newer(self, file: SourceFile) -> bool:
        return self._read_at_ns[file.path] - file.mtime_ns < int(2e9)

    def _copy(self, name: str, found: CodeFiles, digests: dict[str, str]) -> bool:
        """Make a snapshot; return False where a file has changed since its digest was taken."""
        self.store.mkdir(parents=True, exist_ok=True)
        self._remove_forgotten()
        size = sum(each.size for each in found.files)
        if shutil.disk_usage(self.store).free < size + _LEFT_FREE:
            raise OSError(errno.ENOSPC, "less than 64 MB would be left on the disk", self.store)
        temporary = self.store / f"{_HIDDEN}{name}-{os.urandom(4).hex()}"
        try:
            copied = [each for each in found.files if each.path in digests]
            for file in copied:
                target = temporary / FILES / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                if not self._link(file, digests[file.path], target):
                    data = _read(self.root / file.path)
                    if data is None or _digest(data) != digests[file.path]:
                        return False
                    files.create(target, data)
                    os.chmod(target, 0o555 if file.is_executable else 0o444)
            manifest = {
                "root": str(self.root),
                "files": digests,
                "executable": [each.path for each in copied if each.is_executable],
                "left_out": dict(self.left_out),
            }
            files.create(temporary / MANIFEST, files.to_json(manifest).encode())
            try:
                os.rename(temporary, self.store / name)
            except OSError:
                if not (self.store / name / MANIFEST).is_file():  # no other worker made it
                    raise
            self._last, self.has_made_one = read(self.store / name), True
            return True
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _link(self, file: SourceFile, digest: str, target: Path) -> bool:
        """Share a file with this process's latest snapshot, which has the same one."""
        last = self._last
        if last is None or last.digests.get(file.path) != digest:
            return False
        if (file.path in last.executable) != file.is_executable:
            return False
        with contextlib.suppress(OSError):
            os.link(last.path_of(file.path), target)
            return True
        return False

    def _remove_forgotten(self) -> None:
        for each in self.store.glob(f"{_HIDDEN}*"):
            with contextlib.suppress(OSError):
                if time.time() - each.stat().st_mtime > _FORGOTTEN:
                    shutil.rmtree(each, ignore_errors=True)


def find(folder: Path, name: str) -> Snapshot | None:
    """Return the snapshot that a run file in an experiment's folder names, wherever it lies."""
    if not re.fullmatch(f"[0-9a-f]{{{_NAME_LENGTH}}}", name):
        return None
    above = (folder, *folder.parents[:_SEARCH_ABOVE])
    found = (read(each / HOME / FOLDER / name) for each in above)
    return next((each for each in found if each is not None), None)


def read(folder: Path) -> Snapshot | None:
    """Read the manifest of a snapshot; None where there is none, or where it is broken."""
    record = reading.read_object(folder / MANIFEST)
    digests, left_out = record.get("files"), record.get("left_out")
    if not isinstance(digests, dict) or not all(map(_is_inside, digests)):
        return None
    executable = record.get("executable")
    return Snapshot(
        folder,
        str(record.get("root", "")),
        {path: str(digest) for path, digest in digests.items()},
        frozenset(each for each in executable if isinstance(each, str))
        if isinstance(executable, list)
        else frozenset(),
        tuple((str(path), str(why)) for path, why in left_out.items())
        if isinstance(left_out, dict)
        else (),
    )


def _is_inside(path: Any) -> bool:
    """Return whether a path of a manifest, which anybody may have written, can be that of code.

    It stays in its folder, and outside of `.git`, where a file could be a program that git runs.
    """
    if not isinstance(path, str) or path != os.path.normpath(path) or "\0" in path:
        return False
    parts = {part.casefold() for part in path.split("/")}
    return not os.path.isabs(path) and not parts & {".", "..", ".git"}


def _name(digests: dict[str, str], found: CodeFiles) -> str:
    executable = {each.path for each in found.files if each.is_executable}
    rows = [[path, digest, path in executable] for path, digest in sorted(digests.items())]
    return _digest(json.dumps(rows).encode())[:_NAME_LENGTH]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes | None:
    return reading.read_bytes(path, reading.TEXT)
