"""A folder that an export writes its files into, without replacing anyone else's files.

A small JSON file in it records the hash of each file that an export wrote; a file with another
content was changed by somebody and is never overwritten. A hash is recorded before its file is
written, so an export that was killed recognizes its own files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from modeldir._system import files, reading
from modeldir.errors import FolderError

RECORD = "modeldir_export.json"
"""Says which experiments the folder is an export of, and the hash of each file."""

UNFINISHED_RECORD = "modeldir_export.jsonl"
"""Exists while an export is running: one line per file, with its hash, before it is written."""

_STATE = "Nothing was written."


@dataclass(frozen=True)
class TrialCounts:
    """How many trials an export added, changed and left; `others` belong to no experiment here."""

    new: int
    changed: int
    same: int
    others: int


@dataclass
class ExportFolder:
    """A folder that holds one kind of export of one tree of experiments."""

    folder: Path
    tool: str
    source: Path
    written: list[str] = field(default_factory=list)
    same: int = 0
    left_alone: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known_hashes = self._recorded_hashes()
        for line in reading.read_lines(self.folder / UNFINISHED_RECORD):
            name, digest = str(line.get("file")), str(line.get("hash"))
            if _is_inside(name):
                self._known_hashes.setdefault(name, set()).add(digest)
        self._hashes: dict[str, str] = {}

    def _recorded_hashes(self) -> dict[str, set[str]]:
        """Return the recorded hashes by file, after checking whose export the folder holds."""
        if not os.path.lexists(self.folder):
            return {}
        if not self.folder.is_dir():
            raise FolderError(
                f"{self.folder} is a file, but an export needs a folder.", state=_STATE
            )
        record = reading.read_object(self.folder / RECORD)
        if not record:
            if os.listdir(self.folder):
                raise FolderError(
                    f"{self.folder} holds files that are not an export, and might be replaced.\n"
                    f"  name a new folder: -o {self.folder / self.tool}",
                    state=_STATE,
                )
            return {}
        if record.get("to") != self.tool or not is_export_of(record, self.source, self.folder):
            raise FolderError(
                f"{self.folder} holds the export of {record.get('from')} to {record.get('to')}.\n"
                f"  name another folder: -o {self.folder}_{self.tool}",
                state=_STATE,
            )
        known = record.get("files")
        if not isinstance(known, Mapping):
            return {}
        return {name: {each} for name, each in known.items() if _is_inside(name)}

    def write(self, name: str, data: bytes) -> None:
        """Write one file, unless it is up to date or somebody changed it."""
        path = self.folder / name
        wanted = self._hashes[name] = _hash(data)
        existing = reading.read_bytes(path)
        if existing is not None and _hash(existing) == wanted:
            self.same += 1
            return
        if existing is not None and _hash(existing) not in self._known_hashes.get(name, ()):
            self.left_alone.append(name)
            return
        self._announce(name, wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, data)
        self.written.append(name)

    def _announce(self, name: str, wanted: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / RECORD).exists():
            self._write_record({})
        files.append_line(self.folder / UNFINISHED_RECORD, {"file": name, "hash": wanted})

    def close(self) -> None:
        """Remove the files of experiments that no longer exist, and record the others."""
        for name in self._known_hashes.keys() - self._hashes.keys():
            path = self.folder / name
            data = reading.read_bytes(path)
            if data is not None and _hash(data) in self._known_hashes[name]:
                path.unlink()
                self.removed.append(name)
                _remove_empty(path.parent, self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_record(self._hashes)
        (self.folder / UNFINISHED_RECORD).unlink(missing_ok=True)

    def discard_if_empty(self) -> None:
        """Remove the folder of an export that failed before it wrote its first file."""
        if self.written or self.same or self._known_hashes:
            return
        for name in (UNFINISHED_RECORD, RECORD):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it does not exist, or holds somebody's files
            self.folder.rmdir()

    def _write_record(self, hashes: Mapping[str, str]) -> None:
        origin = source_fields(self.source, self.folder)
        record = {"format": 1, "to": self.tool, **origin, "files": hashes}
        files.write_json(self.folder / RECORD, record)


def source_fields(source: Path, beside: Path) -> dict[str, str]:
    return {"from": str(source), "relative": os.path.relpath(source, files.absolute(beside))}


def is_export_of(record: Mapping[str, object], source: Path, beside: Path) -> bool:
    """Return whether a record names `source`, by its path or relative: a project may be moved."""
    fields = source_fields(source, beside)
    return any(record.get(name) == fields[name] for name in fields)


def _is_inside(name: str) -> bool:
    """Whether a name in a record is that of a file in the export's folder."""
    return all(map(files.is_name, name.split("/")))


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not os.listdir(folder):
        folder.rmdir()
        folder = folder.parent
