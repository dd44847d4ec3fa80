"""The trials of one search, as its folder tells: any process that sees the folder sees the same.

The scheduler refreshes the trials, asks for those that may run, and claims new ones. Start reading
at `refresh` and `claim`. The one rule: a trial is claimed before it is made (`claims.py`), so each
worker that finds a claim without a folder makes the folder (`trial_folders.py`).
Nothing here chooses hyperparameters (`scheduler.py`) or runs a trial (`modeldir.worker`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat, reading, recorded_numbers, timestamps
from modeldir.errors import ParamsError
from modeldir.experiment import experiment
from modeldir.experiment.attempts import HOME
from modeldir.experiment.trial_labels import numbered_name
from modeldir.params import plain_values
from modeldir.search.claims import (
    AGAIN,
    ASIDE,
    CLAIM,
    LAST_NUMBER,
    UNPRUNED,
    Claims,
    as_object,
    claim_file,
)
from modeldir.search.trial_folders import TrialFolders
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trial_statuses import TrialStatuses

_FORMAT = 1

_MANY = 200
"""Above this number of claims and marks, they are not all listed for each trial."""

_SAMPLERS = ("sampler", "seed", "repeat", "notes")
"""The keys of `trial.json` that are kept when the folder of a trial is adopted."""

Decided = Callable[[Mapping[str, Any]], "dict[str, Any] | None"]
"""Gives the configuration of flat hyperparameters (`Space.decided`)."""


class Trials:
    """The trials of the search in a folder. Call `refresh` to see what others did.

    `decided` gives the configuration of a folder that names none: by default its values of all
    `names`. `observer` looks at the heartbeats of trials on other hosts, and should outlive this
    object.

    It is long because adopting a folder, refreshing and claiming change the same few dictionaries.
    """

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...],
        ignore: frozenset[str] = frozenset(),
        *,
        decided: Decided | None = None,
        observer: heartbeat.Observer | None = None,
    ) -> None:
        self.folder = folder
        self._decided = decided or _all_of(names)
        self._ignored = ignore - {*names}  # what the search varies is never ignored
        self._known: dict[int, TrialRecord] = {}
        self.claims = Claims(folder)
        self.folders = TrialFolders(folder, self.claims)
        self.statuses = TrialStatuses(self._known, self.folders, observer or heartbeat.Observer())
        self._removed: set[int] = set()
        self._aside: dict[int, TrialRecord | None] = {}
        self._again: dict[int, int] = {}
        self._names: set[str] = set()
        self._news: list[TrialRecord] = []
        self._highest = 0

    def catch_up(self) -> bool:
        """Refresh before a trial is claimed, at a cost that does not grow with the trials.

        False where not everything was looked at: users' wishes about many trials are seen a second
        later. Numbers are claimed in order, so where the next number is free there are no new
        claims.
        """
        news = os.path.lexists(self.claims.path(self.next_number()))
        if not news and len(self.claims.seen) >= _MANY and self.claims.looked_lately():
            return False
        self.refresh()
        return True

    def refresh(self, *, make: bool = True) -> None:
        """Read the claims that are new since the last time, and make the folders they lack.

        Without `make` nothing is written.
        """
        if self.claims.is_as_left():
            return
        claims = self.claims
        claims.left, claims.looked = claims.state(), time.monotonic()  # before looking
        names = self._marks()
        for number in sorted(self._claimed(names)):
            record = self.claims.read_patiently(number) if make else self.claims.read(number)
            self._highest = max(self._highest, number)
            if record is None:
                self.claims.report_broken(number)
                continue
            self.claims.seen.add(claim_file(number))
            if number in self._aside:
                self._names.add(record.name)
                self._news.append(record)  # only the sampler knows it
                self._removed.add(number)
                self._aside[number] = record
            elif self.folders.was_removed(record):
                self._removed.add(number)
            else:
                if make:
                    self.folders.make(record)
                self._know(record)

    def _know(self, record: TrialRecord) -> None:
        """Add a trial to those that are known."""
        self._known[record.number] = record
        end = self.statuses.final.get(record.number)
        if end is None:
            self.statuses.open.add(record.number)
        else:
            self.statuses.know_end(record.number, end)
        self._names.add(record.name)
        self._news.append(record)

    def _drop(self, number: int) -> TrialRecord | None:
        """Remove a trial from those that are known."""
        self.statuses.open.discard(number)
        self.statuses.failed_numbers.discard(number)
        return self._known.pop(number, None)

    def take_news(self) -> list[TrialRecord]:
        """Return the trials that came to be known since the last call."""
        news, self._news = self._news, []
        return news

    def _marks(self) -> set[str]:
        """Read what is new beside the claims, and note users' wishes. Return the new names."""
        try:
            names = set(os.listdir(self.claims.home)) - self.claims.seen
        except OSError:
            return set()
        self.claims.seen |= {name for name in names if not name.endswith(".json")}
        for name in names:
            if again := AGAIN.fullmatch(name):
                number = int(again[1])
                self._again[number] = max(int(again[2]), self._again.get(number, 0))
            elif unpruned := UNPRUNED.fullmatch(name):
                self.claims.unpruned.add(int(unpruned[1]))
            elif (aside := ASIDE.fullmatch(name)) and int(aside[1]) not in self._aside:
                record = self._aside[int(aside[1])] = self._drop(int(aside[1]))
                if record is not None:
                    self._removed.add(record.number)
        return names

    def _claimed(self, names: set[str]) -> Iterator[int]:
        """Yield the numbers of claims that are new."""
        for name in names:
            match = CLAIM.fullmatch(name)
            if match and int(match[1]) not in self._known and int(match[1]) not in self._removed:
                yield int(match[1])

    def adopt(self, *, claim: bool = True) -> None:
        """Take in the folders that no claim names; their files are left as they are.

        Such folders are those of a search copied without `.modeldir`, those that another script
        made, and a trial that a user renamed. Without `claim` nothing is written: only this object
        knows them.
        """
        for name in sorted(os.listdir(self.folder)) if self.folder.is_dir() else []:
            if name[0] == "." or name == "attempts" or name in self._names:
                continue
            path = self.folder / name
            if path.is_dir() and experiment.is_experiment(path):
                self._adopt(path, claim=claim)

    def _adopt(self, path: Path, *, claim: bool) -> None:
        """Take in one folder, if it is a trial."""
        told = reading.read_object(path / "trial.json")
        number = recorded_numbers.integer(told.get("number"), 1, LAST_NUMBER)
        if number is not None and self._was_renamed(number, path.name, told):
            return
        try:
            hyperparameters = plain_values.load_file(
                experiment.params_file(path) or path / "params.json"
            )
        except ParamsError:
            return
        if (
            claim
            and number is not None
            and self._mend_claim(number, path.name, told, hyperparameters)
        ):
            return
        point = told.get("configuration")
        if not isinstance(point, dict):
            flat = plain_values.flatten(hyperparameters)
            point = self._decided(flat)
            if point is None:
                return
        taken = self._known.get(number) if number is not None else None
        if taken is not None:
            if self._hash(taken.hyperparameters) == self._hash(hyperparameters):
                return  # a copy of a trial that is here
            number = None  # it came from another search, where the number was its own
        if claim:
            kept = {key: told[key] for key in _SAMPLERS if key in told}
            self.claim(point, hyperparameters, name=path.name, at_least=number, told=kept)
            return
        number = self.next_number() if number is None else number
        self._highest = max(self._highest, number)
        repeat, notes = told.get("repeat"), as_object(told.get("notes"))
        self._know(
            self._record(number, path.name, point, hyperparameters, repeat=repeat, notes=notes)
        )

    def _was_renamed(self, number: int, name: str, told: Mapping[str, Any]) -> bool:
        """Whether a folder is a removed trial's under another name; it is then known again."""
        record = self.claims.read(number) if number in self._removed else None
        if record is None or record.hash != told.get("hash"):
            return False
        self._removed.discard(number)
        self._know(replace(record, name=name))
        return True

    def _mend_claim(
        self, number: int, name: str, told: Mapping[str, Any], hyperparameters: Mapping[str, Any]
    ) -> bool:
        """Rewrite a claim that a power cut left empty or incomplete, from the trial's folder.

        Return whether that was possible. No other process writes it: such a claim makes no trial.
        """
        path = self.claims.path(number)
        same = told.get("hash") == self._hash(hyperparameters)
        if not same or not os.path.exists(path) or self.claims.read(number) is not None:
            return False
        claim = {"name": name, "hyperparameters": hyperparameters, "token": os.urandom(8).hex()}
        files.write_json(path, {**told, **claim})
        record = self.claims.read(number)
        if record is None:
            return False
        self.claims.mark_made(number)
        self._know(record)
        return True

    def _record(
        self,
        number: int,
        name: str,
        point: Mapping[str, Any],
        hyperparameters: Mapping[str, Any],
        **more: Any,
    ) -> TrialRecord:
        """Make the record of a trial, with its hash."""
        of_all = self._hash(hyperparameters)
        return TrialRecord(number, name, dict(point), dict(hyperparameters), of_all, **more)

    def is_same(self, record: TrialRecord, hyperparameters: Mapping[str, Any]) -> bool:
        """Whether a trial has these hyperparameters, but for those that the project ignores."""
        return record.hash == self._hash(hyperparameters)

    def _hash(self, hyperparameters: Mapping[str, Any]) -> str:
        """Return the hash of hyperparameters; names that the project ignores are left out."""
        return plain_values.canonical_hash(hyperparameters, self._ignored)

    # -- Making ------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """Return the lowest number that was never used, as far as is known."""
        return self._highest + 1

    def claim(  # noqa: PLR0913 - what a trial is
        self,
        point: Mapping[str, Any],
        hyperparameters: Mapping[str, Any],
        *,
        name: str | None = None,
        at_least: int | None = None,
        told: Mapping[str, Any] | None = None,
        numbered: bool = False,
        retry_of: int | None = None,
        parent: Mapping[str, Any] | None = None,
    ) -> TrialRecord | None:
        """Claim a number for a trial and make its folder; None if another process was faster.

        Args:
            point: the searched hyperparameters, by dotted name.
            hyperparameters: all of them.
            name: the folder's name, if it is there already.
            at_least: the number it had before (a folder that came from elsewhere keeps it).
            told: what else `trial.json` should say.
            numbered: whether the folder is named by the number instead of the configuration.
            retry_of: the number of the trial that this one is made after.
            parent: the trial whose last weights it begins with: number, name, step.
        """
        number = self.next_number() if at_least is None else at_least
        chosen = name or self.free_name(point, number, numbered=numbered)
        record = self._record(
            number,
            chosen,
            point,
            hyperparameters,
            retry_of=retry_of,
            parent=parent,
            repeat=(told or {}).get("repeat"),
            notes=as_object((told or {}).get("notes")),
        )
        claim = {
            "format": _FORMAT,
            "number": number,
            "name": chosen,
            "configuration": record.configuration,
            "hyperparameters": record.hyperparameters,
            "hash": record.hash,
            **(told or {}),
            **({} if retry_of is None else {"retry_of": retry_of}),
            **({} if parent is None else {"parent": dict(parent)}),
            "created": timestamps.utc_now(),
            "token": os.urandom(8).hex(),
        }
        before = self.claims.state()
        self._highest = max(self._highest, number)
        if not self.claims.publish(claim_file(number), files.to_json(claim).encode()):
            self.claims.looked = 0.0  # another process was faster, and may have claimed more
            return None
        self.folders.make(record, claim)
        self._know(record)
        self.claims.seen |= {claim_file(number), f"{number:06d}.made"}
        if before == self.claims.left:  # else another process was here, too
            self.claims.left = self.claims.state()
        return record

    def free_name(self, point: Mapping[str, Any], number: int, *, numbered: bool) -> str:
        """Return a name that no folder has: by the values, or by the number if that is too long."""
        from modeldir.space import trial_names  # noqa: PLC0415 - only needed to name a trial

        wanted = numbered_name(number) if numbered else trial_names.trial_name(point)
        if len(wanted.encode()) > trial_names.LONGEST_NAME:
            wanted = numbered_name(number)
        name, count = wanted, 2
        while name in self._names or os.path.lexists(os.path.join(self.folder, name)):
            name = f"{wanted}__{count}"
            count += 1
        return name

    # -- Reading -----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[TrialRecord]:
        """Iterate over all trials by number, without those whose folders a user removed."""
        return iter([self._known[number] for number in sorted(self._known)])

    def __len__(self) -> int:
        return len(self._known)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._known[number]

    def path(self, record: TrialRecord) -> Path:
        """Return a trial's folder."""
        return self.folders.path(record)

    def status(self, record: TrialRecord) -> experiment.Status:
        """Return a trial's status; a recorded end is final until `statuses.forget`."""
        return self.statuses.status(record)

    def validation(self, record: TrialRecord, *, keep: bool = False) -> Mapping[str, float]:
        """Return a trial's validation metrics; see `TrialStatuses.validation`."""
        return self.statuses.validation(record, keep=keep)

    def knows(self, record: TrialRecord) -> bool:
        """Whether a trial is there still, as far as is known."""
        return record.number in self._known

    def is_there(self, record: TrialRecord) -> bool:
        """Whether a trial's folder is there. A trial that was removed is forgotten."""
        removed = self.folders.was_removed(record)
        if not removed and self.path(record).is_dir():
            return True
        self._drop(record.number)
        self.claims.seen.discard(claim_file(record.number))
        self.claims.left = None  # look again, though nothing has changed there
        if removed:  # else it is a claim that has no folder yet: the next `refresh` makes it
            self._removed.add(record.number)
        return False

    def wanted_again(self) -> list[TrialRecord]:
        """Return the ended trials that a user wants to be run once more."""
        return [
            self._known[number]
            for number, attempt in sorted(self._again.items())
            if number in self._known and self.status(self._known[number]).attempt < attempt
        ]

    def want_again(self, record: TrialRecord) -> None:
        """Mark a trial that has ended to be run once more.

        Raises:
            OSError: when the mark cannot be written.
        """
        attempt = self.status(record).attempt + 1
        self.claims.mark(f"{record.number:06d}.again.{attempt}")
        self._again[record.number] = attempt

    def gone(self) -> set[int]:
        """Return the numbers of all trials that a user took out of the search or deleted."""
        return self._removed | self._aside.keys()

    def aside(self) -> list[TrialRecord]:
        """Return the trials that were taken out of the search, by number: they count as done."""
        return [record for _, record in sorted(self._aside.items()) if record is not None]

    def put_aside(self, record: TrialRecord) -> Path:
        """Take a trial out of the search, and return where its folder is now.

        A trial is out as soon as it is marked; after a kill in between, run it again to move the
        folder.

        Raises:
            OSError: when the folder cannot be moved.
        """
        self.claims.mark(self.claims.aside_mark(record).name)
        target = self.folder / HOME / "aside" / f"{record.number:06d}" / record.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path(record).rename(target)
        self._drop(record.number)
        self._aside[record.number] = record
        return target


def _all_of(names: tuple[str, ...]) -> Decided:
    """Make a `Decided` that takes the values of all names."""

    def decided(flat: Mapping[str, Any]) -> dict[str, Any] | None:
        return {name: flat[name] for name in names} if all(n in flat for n in names) else None

    return decided
