"""The claims of a search: the files in `.modeldir/trials` by which trials get their numbers.

`Trials` makes and reads them. `000003.json` is a claim: it says all that the trial's folder needs,
so each worker that finds a claim without a folder can make the folder (`trial_folders.py`). The
mark `000003.made` says that the folder was there: if it is missing now, a user has removed it, and
its number is never used again. Three more marks are users' wishes: `000003.again.2` (run the trial
as attempt 2 although attempt 1 has ended), `000003.unpruned` (do not prune it any more) and
`000003.aside` (neither show it nor make it again).
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from modeldir._system import escaping, files, reading
from modeldir.experiment.attempts import HOME
from modeldir.search.trial_record import TrialRecord

CLAIM = re.compile(r"([0-9]{6,9})\.json")
AGAIN = re.compile(r"([0-9]{6,9})\.again\.([0-9]{1,9})")
ASIDE = re.compile(r"([0-9]{6,9})\.aside")
UNPRUNED = re.compile(r"([0-9]{6,9})\.unpruned")
LAST_NUMBER = 10**9 - 1

_PATIENCE = 3.0
"""Seconds after a listing until which its claims may become complete: caches last as long."""
_LOOK_AGAIN = 1.0
"""Seconds after which the claims are listed again, even if their folder looks unchanged."""
_TICK_NS = 20_000_000
"""Two changes in less than this time may leave a folder with one timestamp (a tick is 1 to 10 ms).
"""


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def claim_file(number: int) -> str:
    """Return the name of a claim."""
    return f"{number:06d}.json"


class Claims:
    """The claims and marks of the search in a folder.

    `seen` are the names that need no second look; `left` and `looked` say how the folder was, and
    when, at the last look. `problems` are the claims that are left out, with the reason.
    """

    def __init__(self, folder: Path) -> None:
        self.home = os.path.join(folder, HOME, "trials")
        self.seen: set[str] = set()  # marks and claims that need no second look
        self.unpruned: set[int] = set()
        self.left: tuple[int, int] | None = None
        self.looked = 0.0
        self.problems: dict[int, str] = {}

    def path(self, number: int) -> str:
        """Return the path of a claim."""
        return os.path.join(self.home, claim_file(number))

    def read(self, number: int) -> TrialRecord | None:
        """Read a claim; None where it is missing or incomplete."""
        claim = reading.read_object(self.path(number))
        if claim and not files.is_name(claim.get("name")):
            self._leave_out(number, "its name cannot be that of a trial's folder")
            return None
        try:
            record = TrialRecord(
                number,
                claim["name"],
                _object(claim["configuration"]),
                _object(claim["hyperparameters"]),
                str(claim["hash"]),
                claim.get("retry_of"),
                claim.get("parent"),
                claim.get("repeat"),
                as_object(claim.get("notes")),
            )
        except (KeyError, TypeError):
            return None  # from a disk that was full: its number is not used again
        self.problems.pop(number, None)
        return record

    def report_broken(self, number: int) -> None:
        """Note that a claim is left out, unless it has no file."""
        path = self.path(number)
        if number not in self.problems and os.path.exists(path):
            is_object = reading.problem(path) is None
            self._leave_out(
                number, "keys are missing in it" if is_object else "it is not valid JSON"
            )

    def _leave_out(self, number: int, why: str) -> None:
        path = escaping.visible(self.path(number))
        self.problems[number] = f"{path}: {why}, so it is left out"

    def read_patiently(self, number: int) -> TrialRecord | None:
        """Read a claim, a few times if it is incomplete.

        A network file system may show a part of a complete claim. A worker that skipped it would
        make its configuration a second time. After a power cut a claim stays incomplete.
        """
        while (record := self.read(number)) is None and number not in self.problems:
            if time.monotonic() >= self.looked + _PATIENCE:
                break
            time.sleep(0.05)
        return record

    def publish(self, name: str, claim: bytes) -> bool:
        """Write a claim under its name, all at once. False if the name is taken."""
        path = os.path.join(self.home, name)
        try:
            return files.publish(path, claim)
        except FileNotFoundError:
            os.makedirs(self.home, exist_ok=True)
            return files.publish(path, claim)

    def was_made(self, number: int) -> bool:
        """Whether a trial's folder was there."""
        marker = f"{number:06d}.made"
        return marker in self.seen or os.path.exists(os.path.join(self.home, marker))

    def mark(self, name: str) -> None:
        """Write a mark, which is an empty file."""
        files.make_empty(os.path.join(self.home, name))

    def mark_made(self, number: int) -> None:
        """Mark that a trial's folder was there, by a second name of its claim.

        A file of its own would cost several times as much, and would not say more.
        """
        marker = f"{number:06d}.made"
        try:
            os.link(self.path(number), os.path.join(self.home, marker))
        except OSError:  # it is marked already, or there are no links
            self.mark(marker)

    def state(self) -> tuple[int, int] | None:
        """Return a value that changes when a claim or a mark is added."""
        try:
            there = os.stat(self.home)
        except OSError:
            return None
        return there.st_ino, there.st_mtime_ns

    def is_as_left(self) -> bool:
        """Whether no process has claimed or marked anything since our last look or change.

        Listing ten thousand claims takes longer than everything else about the next trial. A change
        in the very moment of our own claim, or within one tick of the file system's clock, would be
        missed. So the claims are listed again after `_LOOK_AGAIN` seconds in any case.
        """
        if self.left is None or not self.looked_lately():
            return False
        return self.state() == self.left and time.time_ns() - self.left[1] > _TICK_NS

    def looked_lately(self) -> bool:
        """Whether the claims were listed less than `_LOOK_AGAIN` seconds ago."""
        return time.monotonic() - self.looked <= _LOOK_AGAIN

    def spare(self, number: int) -> None:
        """Mark a trial as one that is not pruned any more.

        Raises:
            OSError: when the mark cannot be written.
        """
        self.mark(f"{number:06d}.unpruned")
        self.unpruned.add(number)

    def is_spared(self, record: TrialRecord) -> bool:
        """Whether a trial is not to be pruned any more."""
        return record.number in self.unpruned

    def aside_mark(self, record: TrialRecord) -> Path:
        """Return the file that keeps a trial out of the search.

        Without it, and with its folder where it was, it is a trial again.
        """
        return Path(self.home, f"{record.number:06d}.aside")


def as_object(value: object) -> dict[str, Any]:
    """Return a copy of a JSON object, and an empty one for any other value."""
    return dict(value) if isinstance(value, dict) else {}


def asked_again(search: Path) -> dict[int, int]:
    """Return the trials that a user wants to be run once more: number to attempt.

    Trials that have begun since are included.
    """
    try:
        names = os.listdir(search / HOME / "trials")
    except OSError:
        return {}
    found: dict[int, int] = {}
    for again in filter(None, map(AGAIN.fullmatch, names)):
        number, attempt = int(again[1]), int(again[2])
        found[number] = max(attempt, found.get(number, 0))
    return found
