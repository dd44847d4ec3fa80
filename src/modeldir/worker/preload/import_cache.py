"""Keep the list of a script's imports for its next search.

`policy.py` calls `find` before the first trial, and `save`. A list is kept in the search's folder
and in the user's cache, and is valid while command, code and environment are the same. Either file
may be deleted at any time. The list itself: `imports.ImportList`.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, programs, reading, user_files
from modeldir.experiment.attempts import HOME
from modeldir.worker.preload import imports

FILE = "preload.json"
FORMAT = 2
SCRIPTS = 64
"""How many scripts the user's cache folder has lists of; those that were not used for longest go
first.
"""


@dataclass(frozen=True)
class Script:
    """A script that a list belongs to; `words` is its command up to the script's name."""

    words: tuple[str, ...]
    cwd: str
    code: str | None

    @property
    def state(self) -> str:
        """The state of the code, with the script's own file: that may lie outside the project."""
        own = b"" if "-m" in self.words else reading.read_bytes(Path(self.cwd, self.words[-1]))
        return f"{self.code} {zlib.crc32(own or b''):08x}"

    @property
    def key(self) -> str:
        """Its key among all of a user's scripts, with the program that `python` is by PATH."""
        program = programs.find_program(self.words[0]) or ""
        return "\0".join([program, self.cwd, *self.words])


@dataclass(frozen=True)
class SavedImports:
    """The list of a script's imports, as it is kept.

    `took` is the seconds that the imports took, and the whole trial; `no_preload` is why its
    trials must not be preloaded.
    """

    script: tuple[str, ...]
    state: str
    learned: imports.ImportList
    took: tuple[float, float]
    no_preload: str | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SavedImports | None:
        """Return what `to_json` wrote; None for anything else: anybody may have written it."""
        learned = imports.ImportList.from_json(value.get("learned"))
        if value.get("format") != FORMAT or learned is None:
            return None
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            imported, whole = map(float, value["took"])
            script = tuple(value["script"])
            no_preload = value["no_preload"]
            if no_preload is None or no_preload.isprintable():
                return cls(script, value["state"], learned, (imported, whole), no_preload)
        return None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "format": FORMAT, "learned": self.learned.to_json()}

    def is_of(self, script: Script) -> bool:
        is_same = (self.script, self.state) == (script.words, script.state)
        return is_same and self.learned.is_current()


def find(folder: Path, script: Script) -> SavedImports | None:
    kept = read(folder)
    if kept is None or not kept.is_of(script):
        kept = _find_saved(script)
    return kept if kept is not None and kept.is_of(script) else None


def read(folder: Path) -> SavedImports | None:
    return SavedImports.from_json(reading.read_object(folder / HOME / FILE))


def save(folder: Path, script: Script, kept: SavedImports) -> None:
    """Write a list in both places.

    A reason against preloading is written only for this search: it may lie in the arguments that
    this search gives to the script.
    """
    text = json.dumps({**kept.to_json(), "key": script.key}, separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        files.write_bytes(folder / HOME / FILE, text)
    path = user_files.cache_file("imports", script.key)
    # Without a hash of the code, a changed script could not be recognized.
    is_for_others = kept.no_preload is None and script.code is not None
    if path is None or not is_for_others or not user_files.make_folder_of(path):
        return
    with contextlib.suppress(OSError):
        files.write_bytes(path, text)
        user_files.remove_oldest(os.path.dirname(path), SCRIPTS)


def _find_saved(script: Script) -> SavedImports | None:
    path = user_files.cache_file("imports", script.key)
    if path is None or script.code is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(user_files.read(path) or "{}")
        if isinstance(value, dict) and value.get("key") == script.key:
            return SavedImports.from_json(value)
    return None
