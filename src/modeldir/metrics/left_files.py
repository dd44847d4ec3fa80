"""Find the files in which a script has left its metrics, in a trial's folder, and read them live.

`collector` uses `LeftFiles` as one of its sources. It takes a CSV file or JSON lines with a step or
epoch column (Lightning, Keras), Hugging Face's and W&B's files, or TensorBoard's event files. If
there are several, it takes only the one that most likely ranks trials. How each is read:
`file_readers`. The rule: a walk is limited in depth and number, and waits 100 times as
long as it takes.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from modeldir.metrics import metric_files, metric_names, objective
from modeldir.metrics.file_patterns import FilePattern, generalized
from modeldir.metrics.file_readers import (
    EventFiles,
    Reader,
    Results,
    Rows,
    TrainerStates,
    reader_for,
)
from modeldir.metrics.objective import Ranked
from modeldir.metrics.output_names import is_folder_of_files, may_have_metrics
from modeldir.metrics.step_writer import StepWriter

_DEEPEST, _MOST_FOLDERS, _MOST_FILES, _MOST_CANDIDATES = 6, 300, 5000, 100
"""Limits of a walk. Candidates of known names are counted apart, so that no others hide them."""
_SHORTEST_WAIT, _PER_WALK = 0.5, 100
"""Seconds between two walks: at least this, and this many times the time that a walk takes."""

_EVENTS, _STATES = "tfevents", "trainer_state.json"
_RESULTS = ("all_results.json", "eval_results.json", "wandb-summary.json")
_USUAL = ("metrics", "history", "results", "progress", "log", "training", "scalars", "logs")
"""Usual names of tables of metrics, without the ending."""
_EXPERIMENTS = frozenset({"run.json", "trial.json", "search.json"})

_Worth: TypeAlias = "tuple[bool, bool, bool, bool, bool]"


@dataclass
class _Candidate:
    """A file, or files that belong together, and the steps read before it is chosen."""

    reader: Reader
    kind: int  # of two that are of the same worth, the lower one is taken
    has_steps: bool = True
    has_begun: bool = False
    kept: list[tuple[float, Mapping[str, float], float | None]] = field(default_factory=list)

    def keep(self, step: float, values: Mapping[str, float], now: float | None) -> None:
        self.has_begun = True
        self.kept.append((step, values, now))


class LeftFiles:
    """The source of an attempt's metrics in files; see `collector.Source`.

    Args:
        folder: the experiment's folder.
        ranked: the metric to rank by, if it is known.
        only: the pattern of the only file to take, if the user has named one.
        preferred: the pattern of the file that an earlier trial of the search has left.
        is_live: whether a row without a time was written when it is read.
    """

    def __init__(
        self,
        folder: Path,
        ranked: Ranked | None,
        *,
        only: FilePattern | None = None,
        preferred: str = "",
        is_live: bool = True,
    ) -> None:
        self._folder, self._ranked, self._is_live = os.fspath(folder), ranked, is_live
        self._only = only
        self._preferred = FilePattern(preferred) if preferred else None
        column = only.column if only else ""
        self._events, self._states = EventFiles(column), TrainerStates(column)
        self._candidates: dict[str, _Candidate] = {}
        self._room = {
            True: _MOST_CANDIDATES,
            False: _MOST_CANDIDATES,
        }  # for known names, and others
        self._chosen: _Candidate | None = None
        self._next_walk = 0.0
        self._is_complete = False  # whether all was looked at after the command had ended
        self.missing = ""
        if only is not None:
            self.missing = f"it completed but left no metrics in a file like {only.text!r}"

    @property
    def origin(self) -> str:
        """The file in which there were metrics, relative to the trial's folder; empty if none."""
        return self._chosen.reader.path if self._chosen is not None else ""

    @property
    def pattern(self) -> str:
        """The pattern that finds the same file in other trials; empty if there is none."""
        return generalized(self.origin) if self.origin else ""

    def skip_existing(self) -> None:
        """Take what the files hold now as read: it belongs to earlier attempts, or to the user."""
        self._walk()
        for each in self._candidates.values():
            each.reader.skip()

    def read(self, writer: StepWriter, *, is_over: bool) -> bool:
        """See `collector.Source`."""
        began = time.monotonic()
        is_last_walk = is_over and not self._is_complete
        if is_last_walk or began >= self._next_walk:
            self._walk()
            now = time.monotonic()
            self._next_walk = now + max(_SHORTEST_WAIT, _PER_WALK * (now - began))
        for each in self._candidates.values():
            if each is not self._chosen and (is_last_walk or not each.has_begun):
                each.reader.read(each.keep, is_over=is_over)
        self._is_complete = is_over
        is_new = self._choose(writer) or is_last_walk
        chosen = self._chosen
        if chosen is None:
            return is_new

        def add(step: float, values: Mapping[str, float], at: float | None) -> None:
            writer.add(step, values, time.time() if at is None and self._is_live else at)

        for step, values, at in chosen.kept:
            add(step, values, at)
        chosen.kept.clear()
        return chosen.reader.read(add, is_over=is_over) or is_new

    def _choose(self, writer: StepWriter) -> bool:
        """Choose the best candidate; a better one that comes later replaces it."""
        found = [each for each in self._candidates.values() if each.has_begun]
        best = min(found, key=lambda each: (self._worth(each), *_order(each)), default=None)
        if best is None or best is self._chosen:
            return False
        if self._chosen is not None:
            if self._worth(best) >= self._worth(self._chosen):
                return False
            writer.start_over()
        self._chosen = best
        return True

    def _worth(self, each: _Candidate) -> _Worth:
        """Return how little a candidate is worth."""
        names = each.reader.names
        wanted = metric_files.without_split(self._ranked[0]) if self._ranked else None
        is_preferred = self._preferred is not None and self._preferred.matches(each.reader.path)
        has_wanted = wanted is None or any(
            metric_files.without_split(name) == wanted for name in names
        )
        return (
            not is_preferred,
            not has_wanted,
            not each.has_steps,
            objective.choose(names) is None,
            not any(map(metric_names.is_of_validation, names)),
        )

    def _walk(self) -> None:
        events: dict[str, str] = {}
        states: dict[str, str] = {}
        for path, shown in self._files():
            name = shown.rpartition("/")[2]
            if self._only is not None and not self._only.matches(shown):
                continue
            if _EVENTS in name:
                events[path] = shown
            elif name == _STATES:
                states[path] = shown
            elif path not in self._candidates and self._room[known := self._is_known(shown, name)]:
                self._room[known] -= 1
                self._candidates[path] = self._candidate(path, shown, name)
        if events:
            self._events.found = events
            self._candidates.setdefault("events", _Candidate(self._events, 2))
        if states:
            self._states.found = states
            self._candidates.setdefault("states", _Candidate(self._states, 0))

    def _is_known(self, shown: str, name: str) -> bool:
        """Whether the user, an earlier trial or a tool's habit has named such a file."""
        is_preferred = self._preferred is not None and self._preferred.matches(shown)
        return self._only is not None or is_preferred or _is_usual(name)

    def _candidate(self, path: str, shown: str, name: str) -> _Candidate:
        if self._only is not None:
            return _Candidate(reader_for(path, shown, self._only.column), 1)
        if name in _RESULTS:
            kind = 4 + _RESULTS.index(name)
            return _Candidate(Results(path, shown), kind, has_steps=False)
        return _Candidate(Rows(path, shown), 1 if _is_usual(name) else 3)

    def _files(self) -> Iterator[tuple[str, str]]:
        """Yield files that may have metrics: path, and path in the folder; outer ones first.

        In a folder, usual names come first: the limit on files must not hide them.
        """
        folders = deque([(self._folder, "", 0)])
        count = entered = 0
        while folders and entered < _MOST_FOLDERS:
            folder, prefix, depth = folders.popleft()
            entered += 1
            entries = _entries(folder)
            if depth and not _EXPERIMENTS.isdisjoint(each.name for each in entries):
                continue  # an experiment of its own
            for entry in entries:
                count += 1
                if count > _MOST_FILES:
                    return
                shown = f"{prefix}{entry.name}"
                if is_folder_of_files(entry):
                    if depth < _DEEPEST:
                        folders.append((entry.path, f"{shown}/", depth + 1))
                elif self._may_be_meant(entry.name, shown, depth) and _is_file(entry):
                    yield entry.path, shown

    def _may_be_meant(self, name: str, shown: str, depth: int) -> bool:
        is_named = self._only is not None and self._only.matches(shown)
        return is_named or may_have_metrics(name, depth)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: (not _is_usual(entry.name), entry.name))
    except OSError:
        return []


def _is_usual(name: str) -> bool:
    """Whether a tool writes its metrics to a file of this name."""
    is_table = name.partition(".")[0].lower() in _USUAL
    return is_table or name in _RESULTS or name == _STATES or _EVENTS in name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _order(each: _Candidate) -> tuple[int, int, str]:
    return each.kind, each.reader.path.count("/"), each.reader.path
