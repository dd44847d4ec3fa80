"""Find the files that trials write outside their own folders, where each overwrites the last.

`end_reports.py` asks when a search's first trials have completed. The rule: this only looks at
names and times; a file is named if it changed in the working folder while trials ran.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from modeldir.experiment import discovery

_MOST = 20_000
"""Files of the working folder that are looked at; a folder with more is a data set."""
_PATIENCE = 1.0
"""Seconds after which the look ends without an answer: the folder is on a slow disk."""
_DEEPEST = 4
_NO_OUTPUT = (".py", ".pyc", ".pyi", ".ipynb", ".toml", ".cfg", ".sh", ".md")
"""Endings of files that the user may edit while trials run."""
_EXPERIMENTS = frozenset({"params.json", "search.json", "trial.json"})


class SharedOutputs:
    """The files in a working folder that trials have changed since this worker began."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.fspath(folder)
        self._since_ns = time.time_ns()
        self._written: set[str] | None = None

    def trial_completed(self) -> tuple[list[str], list[str]]:
        """Return the files that trials have written since the last call, as far as they are new,
        and those that an earlier trial had written, too.
        """
        changed = self._changed()
        self._since_ns = time.time_ns()
        before, self._written = self._written, {*(self._written or ()), *changed}
        if before is None:
            return sorted(changed), []
        return [], sorted(before & changed)

    def _changed(self) -> set[str]:
        found = set()
        deadline = time.monotonic() + _PATIENCE
        for count, path in enumerate(self._files()):
            if count >= _MOST or time.monotonic() > deadline:
                return set()
            try:
                changed_ns = os.lstat(path).st_mtime_ns
            except OSError:
                continue
            if changed_ns > self._since_ns:
                found.add(os.path.relpath(path, self._folder))
        return found

    def _files(self) -> Iterator[str]:
        """Yield the path of each file that may be a trial's output."""
        for each in discovery.walk(self._folder):
            depth = os.path.relpath(each.path, self._folder).count(os.sep)
            is_experiment = each.path != self._folder and not _EXPERIMENTS.isdisjoint(each.files)
            each.links.clear()
            if is_experiment or depth >= _DEEPEST:
                each.folders.clear()
            if not is_experiment:
                yield from (
                    os.path.join(each.path, name)
                    for name in each.files
                    if name[0] != "." and not name.endswith(_NO_OUTPUT)
                )
