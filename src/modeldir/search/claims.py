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

from modeldir._system import files
from modeldir.experiment.attempts import HOME
from modeldir.search.trial_record import TrialRecord

CLAIM = re.compile(r"(\d{6,})\.json")
AGAIN = re.compile(r"(\d{6,})\.again\.(\d+)")
ASIDE = re.compile(r"(\d{6,})\.aside")
UNPRUNED = re.compile(r"(\d{6,})\.unpruned")

_LOOK_AGAIN = 1.0
"""Seconds after which the claims are listed once more, whatever the time of their folder says."""
_TICK_NS = 20_000_000
"""Two changes within so many nanoseconds may leave a folder with one time: a tick is 1 to 10 ms."""


def claim_file(number: int) -> str:
    return f"{number:06d}.json"


class Claims:
    """The claims and marks of the search in a folder, and what of them needs no second look."""

    def __init__(self, folder: Path) -> None:
        self.home = os.path.join(folder, HOME, "trials")
        self.seen: set[str] = set()  # marks and claims that need no second look
        self.unpruned: set[int] = set()
        self.left: tuple[int, int] | None = None
        self.looked = 0.0

    def path(self, number: int) -> str:
        return os.path.join(self.home, claim_file(number))

    def read(self, number: int) -> TrialRecord | None:
        claim = files.read_object(self.path(number))
        try:
            return TrialRecord(
                number,
                str(claim["name"]),
                dict(claim["point"]),
                dict(claim["hyperparameters"]),
                str(claim["hash"]),
                claim.get("retry_of"),
                claim.get("parent"),
                claim.get("repeat"),
                as_object(claim.get("notes")),
            )
        except (KeyError, TypeError):
            return None  # a claim from a disk that was full: the number is spent, nothing more

    def publish(self, name: str, claim: bytes) -> bool:
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
        os.close(os.open(os.path.join(self.home, name), os.O_WRONLY | os.O_CREAT, 0o666))

    def mark_made(self, number: int) -> None:
        """Say that a trial's folder was there, by a second name of its claim: a file of its own
        would cost several times as much, and says no more.
        """
        marker = f"{number:06d}.made"
        try:
            os.link(self.path(number), os.path.join(self.home, marker))
        except OSError:  # it is marked already, or there are no links
            self.mark(marker)

    def state(self) -> tuple[int, int] | None:
        """What changes when a claim or a mark is added."""
        try:
            there = os.stat(self.home)
        except OSError:
            return None
        return there.st_ino, there.st_mtime_ns

    def is_as_left(self) -> bool:
        """Whether nobody has claimed or marked anything since we last looked or did so ourselves.

        To list ten thousand claims takes longer than all else about the next trial. What somebody
        did in the very moment in which we claimed, or within one tick of the file system's clock,
        would be missed: so after `_LOOK_AGAIN` seconds it is looked at all the same.
        """
        if self.left is None or not self.looked_lately():
            return False
        return self.state() == self.left and time.time_ns() - self.left[1] > _TICK_NS

    def looked_lately(self) -> bool:
        return time.monotonic() - self.looked <= _LOOK_AGAIN

    def spare(self, number: int) -> None:
        """Wish that a trial never be pruned any more.

        Raises:
            OSError: when that cannot be written.
        """
        self.mark(f"{number:06d}.unpruned")
        self.unpruned.add(number)

    def is_spared(self, record: TrialRecord) -> bool:
        """Whether a trial is not to be pruned any more."""
        return record.number in self.unpruned

    def aside_mark(self, record: TrialRecord) -> Path:
        """The file that keeps a trial out of the search: without it, and with its folder where it
        was, it is a trial again.
        """
        return Path(self.home, f"{record.number:06d}.aside")


def as_object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def asked_again(search: Path) -> dict[int, int]:
    """The trials of a search that somebody wants to be run once more, as which attempt; by number.

    Those that have begun since are among them, too.
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
