"""Where an export goes: a folder whose files are known to be ours, or are not touched.

It knows what an earlier export wrote (a small JSON file with a hash of each file says so, and lines
beside it of an export that has not come to its end), so that said again only what differs is
written, and nothing of anybody else is replaced. It refuses to know what the files hold.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from modeldir._system import files
from modeldir.errors import FolderError

RECORD = "modeldir_export.json"
"""In the folder: what it is an export of, and the files that were written, each with its hash."""

LINES = "modeldir_export.jsonl"
"""Beside it while an export is under way: each file and its hash, before the file is written. So an
export that was killed, or met a full disk, knows its own files when it is said again.
"""


@dataclass(frozen=True)
class Written:
    """What became of trials in a file or on a server that is not only ours."""

    new: int
    changed: int
    same: int
    others: int
    """Those that no experiment here stands for: left as they are."""


@dataclass
class Place:
    """A folder that one kind of export of one tree of experiments goes into.

    Raises:
        FolderError: when it holds something else; then nothing has been written.
    """

    folder: Path
    to: str
    source: Path
    written: list[str] = field(default_factory=list)
    same: int = 0
    spared: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known = self._opened()
        for line in files.read_lines(self.folder / LINES):
            self._known.setdefault(line.get("file", ""), set()).add(line.get("hash", ""))
        self._now: dict[str, str] = {}

    def _opened(self) -> dict[str, set[str]]:
        """The hashes by file that are ours; also where a file is not written yet."""
        if not os.path.lexists(self.folder):
            return {}
        if not self.folder.is_dir():
            raise FolderError(
                f"{self.folder} is a file, and a folder is wanted there.", state=_STATE
            )
        told = files.read_object(self.folder / RECORD)
        if not told:
            if os.listdir(self.folder):
                raise FolderError(
                    f"{self.folder} holds other things than an export, which might be replaced.\n"
                    f"  name a new folder: -o {self.folder / self.to}",
                    state=_STATE,
                )
            return {}
        if told.get("to") != self.to or not is_of(told, self.source, self.folder):
            raise FolderError(
                f"{self.folder} holds the export of {told.get('from')} to {told.get('to')}.\n"
                f"  name another folder: -o {self.folder}_{self.to}",
                state=_STATE,
            )
        known = told.get("files")
        return {name: {each} for name, each in known.items()} if isinstance(known, Mapping) else {}

    def write(self, name: str, data: bytes) -> None:
        """One file, below the folder by its name with "/".

        What lies there as it should is left; what somebody else has changed is spared.

        Raises:
            OSError: when it cannot be written.
        """
        path = self.folder / name
        wanted = self._now[name] = _hash(data)
        there = files.read_bytes(path)
        if there is not None and _hash(there) == wanted:
            self.same += 1
            return
        if there is not None and _hash(there) not in self._known.get(name, ()):
            self.spared.append(name)
            return
        self._announce(name, wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, data)
        self.written.append(name)

    def _announce(self, name: str, wanted: str) -> None:
        """Write down that a file is ours, before it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / RECORD).exists():
            self._record({})
        files.append_line(self.folder / LINES, {"file": name, "hash": wanted})

    def close(self) -> None:
        """Take away the files of what is not there any more, and write down what is.

        Raises:
            OSError: when that cannot be written.
        """
        for name in self._known.keys() - self._now.keys():
            path = self.folder / name
            data = files.read_bytes(path)
            if data is not None and _hash(data) in self._known[name]:
                path.unlink()
                self.removed.append(name)
                _without_empty(path.parent, self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._record(self._now)
        (self.folder / LINES).unlink(missing_ok=True)

    def leave(self) -> None:
        """Of an export that could not write even its first file leave no folder behind."""
        if self.written or self.same or self._known:
            return
        for name in (LINES, RECORD):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not there, or holds what somebody has put there
            self.folder.rmdir()

    def _record(self, now: Mapping[str, str]) -> None:
        whose = made_from(self.source, self.folder)
        told = {"format": 1, "to": self.to, **whose, "files": now}
        files.write_json(self.folder / RECORD, told)


_STATE = "Nothing was written."


def made_from(source: Path, beside: Path) -> dict[str, str]:
    """What an export in a folder says of the experiments that it was made from."""
    return {"from": str(source), "relative": os.path.relpath(source, files.absolute(beside))}


def is_of(told: Mapping[str, object], source: Path, beside: Path) -> bool:
    """Whether an export is of these experiments: by their path, or, where the project was moved
    or copied with both in it, by the way from one to the other.
    """
    now = made_from(source, beside)
    return any(told.get(name) == now[name] for name in now)


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _without_empty(folder: Path, top: Path) -> None:
    """Remove folders that hold nothing any more, up to the top."""
    while folder != top and not os.listdir(folder):
        folder.rmdir()
        folder = folder.parent
