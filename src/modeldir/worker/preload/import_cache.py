"""What was learned of the imports of a script, kept for its next search.

It knows two places: the search's own folder, so that the same search said again is warm from its
first trial, and the user's cache folder, so that any other search of the same script is. A list is
of use while command, code and environment are what they were. It refuses to decide what is imported
of one (warm/imports.py). Either file may be deleted at any time, and what cannot be written is
learned again.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, programs, user_cache
from modeldir.experiment.attempts import HOME
from modeldir.worker.preload import imports

FILE = "warm.json"
FORMAT = 2
SCRIPTS = 64
"""Of so many scripts the user's cache folder has lists; of more, those go that were not made, or
used, for longest.
"""


@dataclass(frozen=True)
class Script:
    """What a list belongs to: the words of a command up to its script's name, where it runs, and
    the hash of the project's code there, where it has one.
    """

    words: tuple[str, ...]
    cwd: str
    code: str | None

    @property
    def state(self) -> str:
        """The code as it is. The script's own counts wherever it lies: what is in an experiment's
        folder, or above the project, is no part of the project's.
        """
        own = b"" if "-m" in self.words else files.read_bytes(Path(self.cwd, self.words[-1]))
        return f"{self.code} {zlib.crc32(own or b''):08x}"

    @property
    def key(self) -> str:
        """By which it is found among all of a user's scripts: `python` is what PATH says."""
        program = programs.found(self.words[0]) or ""
        return "\0".join([program, self.cwd, *self.words])


@dataclass(frozen=True)
class SavedImports:
    """What was learned of a script in some `state`, and why it runs cold nevertheless, where it
    does. `took` are the seconds that it imported for, and those that it took as a whole.
    """

    script: tuple[str, ...]
    state: str
    learned: imports.ImportList
    took: tuple[float, float]
    cold: str | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SavedImports | None:
        """What `to_json` gave; None for anything else, since anybody may have written it."""
        learned = imports.ImportList.from_json(value.get("learned"))
        if value.get("format") != FORMAT or learned is None:
            return None
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            imported, whole = map(float, value["took"])
            script = tuple(value["script"])
            cold = value["cold"]
            if cold is None or cold.isprintable():
                return cls(script, value["state"], learned, (imported, whole), cold)
        return None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "format": FORMAT, "learned": self.learned.to_json()}

    def is_of(self, script: Script) -> bool:
        """Whether it still tells what this script imports."""
        alike = (self.script, self.state) == (script.words, script.state)
        return alike and self.learned.is_current()


def find(folder: Path, script: Script) -> SavedImports | None:
    """What is known of a script that a search in this folder is going to run."""
    kept = read(folder)
    if kept is None or not kept.is_of(script):
        kept = _find_saved(script)
    return kept if kept is not None and kept.is_of(script) else None


def read(folder: Path) -> SavedImports | None:
    """What is kept in a search's folder."""
    return SavedImports.from_json(files.read_object(folder / HOME / FILE))


def save(folder: Path, script: Script, kept: SavedImports) -> None:
    """Leave it in both places; why it runs cold in the search's alone, since that may lie in what
    this search gives to the script.
    """
    text = json.dumps({**kept.to_json(), "key": script.key}, separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        files.write_bytes(folder / HOME / FILE, text)
    path = user_cache.place("imports", script.key)
    # Without the hash of its code a script that has changed would not be told from what it was.
    is_for_others = kept.cold is None and script.code is not None
    if path is None or not is_for_others or not user_cache.make_room(path):
        return
    with contextlib.suppress(OSError):
        files.write_bytes(path, text)
        user_cache.sweep(os.path.dirname(path), SCRIPTS)


def _find_saved(script: Script) -> SavedImports | None:
    """What an earlier search of the same script has left, wherever its folder is."""
    path = user_cache.place("imports", script.key)
    if path is None or script.code is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(user_cache.read(path) or "{}")
        if isinstance(value, dict) and value.get("key") == script.key:
            return SavedImports.from_json(value)
    return None
