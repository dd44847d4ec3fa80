"""Find the files that trials write outside their own folders, where each overwrites the last.

`end_reports.py` asks when a search's first trials have completed. The rule: this only looks at
names and times; a file is named if it changed in the working folder while trials ran.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from modeldir.experiment.discovery import SKIPPED

_MOST = 20_000
"""Entries of the working folder that are looked at; a folder with more is a data set."""
_DEEPEST = 4
_NO_OUTPUT = (".py", ".pyc", ".pyi", ".ipynb", ".toml", ".cfg", ".sh", ".md")
"""Endings of files that the user may edit while trials run."""
_EXPERIMENTS = frozenset({"params.json", "search.json", "trial.json"})
_ENVIRONMENT = "pyvenv.cfg"


class SharedOutputs:
    """The files in a working folder that trials have changed since this worker began."""

    def __init__(self, folder: Path, search: Path) -> None:
        self._folder, self._search = folder, os.path.abspath(search)
        self._since_ns = time.time_ns()
        self._first: frozenset[str] | None = None

    def trial_completed(self) -> tuple[str, tuple[str, ...]] | None:
        """Return what the first trial left in the working folder, or the second wrote again.

        The answer is ("written", names) after the first trial and ("overwritten", names) after the
        second; None if there is nothing to say.
        """
        if self._first is None:
            self._first = self._changed()
            self._since_ns = time.time_ns()
            return ("written", tuple(sorted(self._first))) if self._first else None
        if not self._first:
            return None
        again, self._first = self._first & self._changed(), frozenset()
        return ("overwritten", tuple(sorted(again))) if again else None

    def _changed(self) -> frozenset[str]:
        found: list[str] = []
        for count, (path, name) in enumerate(self._files(os.fspath(self._folder), "", 0)):
            if count >= _MOST:
                return frozenset()
            try:
                changed_ns = os.lstat(path).st_mtime_ns
            except OSError:
                continue
            if changed_ns > self._since_ns:
                found.append(name)
        return frozenset(found)

    def _files(self, path: str, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
        """Yield path and name of each file that may be a trial's output."""
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError:
            return
        names = {entry.name for entry in entries}
        if depth and names & {*_EXPERIMENTS, _ENVIRONMENT}:
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                is_search = os.path.abspath(entry.path) == self._search
                if depth < _DEEPEST and entry.name not in SKIPPED and not is_search:
                    yield from self._files(entry.path, f"{prefix}{entry.name}/", depth + 1)
            elif entry.is_file() and not entry.name.endswith(_NO_OUTPUT):
                yield entry.path, f"{prefix}{entry.name}"
