"""The statuses of a search's trials, read from their folders; a recorded end is read only once.

The scheduler and the worker ask `Trials.status` for one trial, and `Trials.statuses` for those that
have failed or not ended. How a status is read from a folder: `modeldir.experiment.experiment`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping

from modeldir._system import heartbeat
from modeldir.experiment import attempts, experiment
from modeldir.search.trial_folders import TrialFolders
from modeldir.search.trial_record import TrialRecord

_JUST_LISTED = 60.0
"""Seconds for which the names of the files of a trial that has ended are not listed again."""


class TrialStatuses:
    """The statuses of the trials that are `known`, a mapping by number that `Trials` changes."""

    def __init__(
        self,
        known: Mapping[int, TrialRecord],
        folders: TrialFolders,
        observer: heartbeat.Observer,
    ) -> None:
        self._known, self._folders, self.observer = known, folders, observer
        self.final: dict[int, experiment.Status] = {}
        self._outdated: dict[int, int] = {}  # ends that are not final any more: up to this attempt
        self.open: set[int] = set()  # kept, since looking at all trials takes long
        self.failed_numbers: set[int] = set()
        self._ends: list[int] = []  # in the order in which they came to be known
        self._listed: dict[int, tuple[float, tuple[str, ...]]] = {}  # when, and the files' names
        self._kept: dict[int, Mapping[str, float]] = {}  # metrics, valid as long as the names are

    def status(self, record: TrialRecord) -> experiment.Status:
        """Return a trial's status; a recorded end is final until `forget`."""
        known = self.final.get(record.number)
        if known is not None:
            return known
        try:
            names = os.listdir(self._folders.path(record))
        except OSError:
            names = []
        status = experiment.status(self._folders.path(record), names, self.observer)
        ended = status.state in {attempts.COMPLETED, attempts.PRUNED, attempts.FAILED}
        if ended and status.attempt > self._outdated.get(record.number, -1):
            self.final[record.number] = status
            if not status.ended_lately():
                self._listed[record.number] = time.monotonic(), tuple(names)
            if record.number in self._known:
                self.know_end(record.number, status)
        return status

    def validation(self, record: TrialRecord, *, keep: bool = False) -> Mapping[str, float]:
        """Return a trial's validation metrics.

        Its folder is not listed again if that was just done: each listing of a folder on a file
        server is a wait. For the same reason, a worker that joins can `keep` what its sampler has
        read, for the summary that it may print at once.
        """
        when, names = self._listed.get(record.number, (-math.inf, ()))
        if time.monotonic() - when < _JUST_LISTED:
            found = self._kept.get(record.number)
            if found is None:
                found = experiment.validation_metrics(self._folders.path(record), names)
            if found is not None:
                if keep:
                    self._kept[record.number] = found
                return found
        return experiment.scores(self._folders.path(record)).validation

    def know_end(self, number: int, end: experiment.Status) -> None:
        """Note that a trial has ended."""
        self.open.discard(number)
        self._ends.append(number)
        if end.state == attempts.FAILED:
            self.failed_numbers.add(number)

    def unfinished(self) -> list[TrialRecord]:
        """Return the trials without a known final end, by number."""
        return [self._known[number] for number in sorted(self.open)]

    def ended_since(self, count: int) -> tuple[list[TrialRecord], int]:
        """Return the trials whose ends were noted after the first `count`, and the new count."""
        numbers = self._ends[count:]
        return [self._known[n] for n in numbers if n in self._known], len(self._ends)

    def failed(self) -> list[TrialRecord]:
        """Return the trials that are known to have failed, by number."""
        return [self._known[number] for number in sorted(self.failed_numbers)]

    def forget(self, record: TrialRecord) -> None:
        """Forget a trial's recorded end, since the trial is about to run again.

        The end does not become final again if it is read once more before the next attempt has
        begun.
        """
        known = self.final.pop(record.number, None)
        self._listed.pop(record.number, None)
        self._kept.pop(record.number, None)
        if known is not None:
            self._outdated[record.number] = known.attempt
        self.failed_numbers.discard(record.number)
        if record.number in self._known:
            self.open.add(record.number)

    def recall(self, record: TrialRecord) -> None:
        """Make a forgotten end final again: the attempt for which it was forgotten never began."""
        self._outdated.pop(record.number, None)
