"""The trials of one search, as its folder tells: claims, folders, and what became of them.

It knows how a number is claimed, how a claimed trial gets its folder, and reads again only what may
have changed. It refuses to choose hyperparameters (samplers do) and to run anything (workers do).

A trial is claimed before it is made: `.modeldir/trials/000003.json` says all that its folder needs,
so whoever finds a claim without a folder makes it. `000003.made` says that the folder was there:
one that is missing now was removed by hand, and its number is never used again. Three more marks
are somebody's wish: `000003.again.2`, that the trial be run as attempt 2 though attempt 1 has
ended, `000003.unpruned`, that it not be pruned any more, and `000003.aside`, that it neither be
shown nor made again.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat
from modeldir._system.shell import quoted
from modeldir.errors import ParamsError, SearchError
from modeldir.experiment import attempts, experiment, provenance
from modeldir.params import plain_values
from modeldir.search.trial_record import TrialRecord

HOME = attempts.HOME
_CLAIM = re.compile(r"(\d{6,})\.json")
_AGAIN = re.compile(r"(\d{6,})\.again\.(\d+)")
_ASIDE = re.compile(r"(\d{6,})\.aside")
_UNPRUNED = re.compile(r"(\d{6,})\.unpruned")
_FORMAT = 1
_LAST_LINE = b"\n}\n"
"""With which a JSON file of ours ends, and nothing in it: all else is indented."""

_MANY = 200
"""Claims and marks above which they are not all listed for each trial."""
_LOOK_AGAIN = 1.0
"""Seconds after which the claims are listed once more, whatever the time of their folder says."""
_TICK_NS = 20_000_000
"""Two changes within so many nanoseconds may leave a folder with one time: a tick is 1 to 10 ms."""

_SAMPLERS = ("sampler", "seed", "repeat", "notes")
"""What a sampler made of a trial; it comes along when the trial's folder does."""

_MADE_WITH = frozenset({"trial.json", *experiment.PARAMS_NAMES})
"""The files of a trial that has not run."""

_Write = Callable[[str, bytes], object]

Decided = Callable[[Mapping[str, Any]], "dict[str, Any] | None"]
"""The point at which flat hyperparameters lie (`Space.decided`)."""


def _claim_file(number: int) -> str:
    return f"{number:06d}.json"


class Trials:
    """The trials of the search in a folder. Call `refresh` to see what others did.

    `decided` gives the point of a folder that says none: by default its values of all `names`.
    `observer` looks at the hearts of trials on other hosts, and should outlive this object.
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
        self.observer = observer or heartbeat.Observer()
        self._decided = decided or _all_of(names)
        self._ignored = ignore - {*names}  # what a search varies makes a difference in it
        self._home = os.path.join(folder, HOME, "trials")
        self._known: dict[int, TrialRecord] = {}
        self._final: dict[int, experiment.Status] = {}
        self._outdated: dict[int, int] = {}  # ends that are not final any more: up to this attempt
        self._removed: set[int] = set()
        self._aside: dict[int, TrialRecord | None] = {}
        self._again: dict[int, int] = {}
        self._unpruned: set[int] = set()
        self._names: set[str] = set()
        self._seen: set[str] = set()  # marks and claims that need no second look
        self._news: list[TrialRecord] = []
        self._highest = 0
        self._unfinished: set[int] = set()  # of the known: to look at all for it takes long
        self._failed: set[int] = set()
        self._ends: list[int] = []  # in the order in which they came to be known
        self._left: tuple[int, int] | None = None
        self._looked = 0.0
        self._paths: dict[str, Path] = {}
        self._written: set[int] = set()  # by this process, which lives: so they are whole
        self._whole: set[int] = set()  # of which `trial.json` was read, all of it

    def catch_up(self) -> bool:
        """As `refresh`, for who is going to claim a trial, at a cost that does not grow with them.
        False where not all was looked at: others' wishes about many are seen within a second.

        Numbers are claimed in order, so with the next one free there are no claims that are new.
        """
        news = os.path.lexists(self._claim_path(self.next_number()))
        if not news and len(self._seen) >= _MANY and self._looked_lately():
            return False
        self.refresh()
        return True

    def _looked_lately(self) -> bool:
        return time.monotonic() - self._looked <= _LOOK_AGAIN

    def refresh(self, *, make: bool = True) -> None:
        """Read the claims that are new since the last time, and make the folders they lack.

        Without `make` nothing is written.
        """
        if self._is_as_left():
            return
        self._left, self._looked = self._state(), time.monotonic()  # before looking
        names = self._marks()
        for number in sorted(self._claimed(names)):
            record = self._read_claim(number)
            self._highest = max(self._highest, number)
            if record is None:
                continue
            self._seen.add(_claim_file(number))
            if number in self._aside:
                self._names.add(record.name)
                self._news.append(record)  # known to the sampler, and to nobody else
                self._removed.add(number)
                self._aside[number] = record
            elif self._was_removed(record):
                self._removed.add(number)
            else:
                if make:
                    self._make_folder(record)
                self._know(record)

    def _state(self) -> tuple[int, int] | None:
        """What changes when a claim or a mark is added."""
        try:
            there = os.stat(self._home)
        except OSError:
            return None
        return there.st_ino, there.st_mtime_ns

    def _is_as_left(self) -> bool:
        """Whether nobody has claimed or marked anything since we last looked or did so ourselves.

        To list ten thousand claims takes longer than all else about the next trial. What somebody
        did in the very moment in which we claimed, or within one tick of the file system's clock,
        would be missed: so after `_LOOK_AGAIN` seconds it is looked at all the same.
        """
        if self._left is None or not self._looked_lately():
            return False
        return self._state() == self._left and time.time_ns() - self._left[1] > _TICK_NS

    def _claim_path(self, number: int) -> str:
        return os.path.join(self._home, _claim_file(number))

    def _know(self, record: TrialRecord) -> None:
        self._known[record.number] = record
        end = self._final.get(record.number)
        if end is None:
            self._unfinished.add(record.number)
        else:
            self._know_end(record.number, end)
        self._names.add(record.name)
        self._news.append(record)

    def _know_end(self, number: int, end: experiment.Status) -> None:
        self._unfinished.discard(number)
        self._ends.append(number)
        if end.state == attempts.FAILED:
            self._failed.add(number)

    def _drop(self, number: int) -> TrialRecord | None:
        """Know a trial no more."""
        self._unfinished.discard(number)
        self._failed.discard(number)
        return self._known.pop(number, None)

    def take_news(self) -> list[TrialRecord]:
        """The trials that came to be known since this was last asked."""
        news, self._news = self._news, []
        return news

    def _marks(self) -> set[str]:
        """What is new beside the claims; wishes are heeded."""
        try:
            names = set(os.listdir(self._home)) - self._seen
        except OSError:
            return set()
        self._seen |= {name for name in names if not name.endswith(".json")}
        for name in names:
            if again := _AGAIN.fullmatch(name):
                number = int(again[1])
                self._again[number] = max(int(again[2]), self._again.get(number, 0))
            elif unpruned := _UNPRUNED.fullmatch(name):
                self._unpruned.add(int(unpruned[1]))
            elif (aside := _ASIDE.fullmatch(name)) and int(aside[1]) not in self._aside:
                record = self._aside[int(aside[1])] = self._drop(int(aside[1]))
                if record is not None:
                    self._removed.add(record.number)
        return names

    def _claimed(self, names: set[str]) -> Iterator[int]:
        for name in names:
            match = _CLAIM.fullmatch(name)
            if match and int(match[1]) not in self._known and int(match[1]) not in self._removed:
                yield int(match[1])

    def _read_claim(self, number: int) -> TrialRecord | None:
        claim = files.read_object(self._claim_path(number))
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
                _object(claim.get("notes")),
            )
        except (KeyError, TypeError):
            return None  # a claim from a disk that was full: the number is spent, nothing more

    def _was_removed(self, record: TrialRecord) -> bool:
        """Whether a trial's folder was there and is not: none has its name, or another trial's."""
        if not self._was_made(record.number):
            return False
        folder = self.path(record)
        if not os.path.isdir(folder):
            with contextlib.suppress(OSError):
                os.listdir(self.folder)  # a network file system may remember that it was not there
        return not os.path.isdir(folder) or self._holds_another(folder, record)

    def _was_made(self, number: int) -> bool:
        """Whether a trial's folder was there."""
        marker = f"{number:06d}.made"
        return marker in self._seen or os.path.exists(os.path.join(self._home, marker))

    def _holds_another(self, folder: Path, record: TrialRecord) -> bool:
        told = files.read_object(os.path.join(folder, "trial.json"))
        number = told.get("number")
        if number == record.number:
            self._whole.add(record.number)
            return False
        if not isinstance(number, int):
            return False
        other = self._read_claim(number)  # none, or another: a guest from another search
        return other is not None and other.hash == told.get("hash")

    def adopt(self, *, claim: bool = True) -> None:
        """Take in the folders that no claim names: a search copied without `.modeldir`, a tree that
        another script made, a trial renamed by hand. Their files are left as they are.

        Without `claim` nothing is written: they are known to this object alone.
        """
        for name in sorted(os.listdir(self.folder)) if self.folder.is_dir() else []:
            if name[0] == "." or name == "attempts" or name in self._names:
                continue
            path = self.folder / name
            if path.is_dir() and experiment.is_experiment(path):
                self._adopt(path, claim=claim)

    def _adopt(self, path: Path, *, claim: bool) -> None:
        told = files.read_object(path / "trial.json")
        number = told.get("number")
        if not isinstance(number, int):
            number = None
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
        point = told.get("point")
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
        repeat, notes = told.get("repeat"), _object(told.get("notes"))
        self._know(
            self._record(number, path.name, point, hyperparameters, repeat=repeat, notes=notes)
        )

    def _was_renamed(self, number: int, name: str, told: Mapping[str, Any]) -> bool:
        """Whether a folder is a removed trial's under another name: then the trial is the same."""
        record = self._read_claim(number) if number in self._removed else None
        if record is None or record.hash != told.get("hash"):
            return False
        self._removed.discard(number)
        self._know(replace(record, name=name))
        return True

    def _mend_claim(
        self, number: int, name: str, told: Mapping[str, Any], hyperparameters: Mapping[str, Any]
    ) -> bool:
        """Write a claim again that a power cut left empty or half: the trial's folder has it all.

        Whether that could be done. Nobody else writes it: of such a claim no trial can be made.
        """
        path = self._claim_path(number)
        same = told.get("hash") == self._hash(hyperparameters)
        if not same or not os.path.exists(path) or self._read_claim(number) is not None:
            return False
        claim = {"name": name, "hyperparameters": hyperparameters, "token": os.urandom(8).hex()}
        files.write_json(path, {**told, **claim})
        record = self._read_claim(number)
        if record is None:
            return False
        self._mark_made(number)
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
        of_all = self._hash(hyperparameters)
        return TrialRecord(number, name, dict(point), dict(hyperparameters), of_all, **more)

    def is_same(self, record: TrialRecord, hyperparameters: Mapping[str, Any]) -> bool:
        """Whether a trial has these hyperparameters, but for the names that make no difference."""
        return record.hash == self._hash(hyperparameters)

    def _hash(self, hyperparameters: Mapping[str, Any]) -> str:
        return plain_values.canonical_hash(hyperparameters, self._ignored)

    # -- Making ------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """The lowest number that was never used, as far as is known."""
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
        """Claim a number for a trial and make its folder; None if somebody else took the number.

        Args:
            point: the searched hyperparameters, by dotted name.
            hyperparameters: all of them.
            name: the folder's name, if it is there already.
            at_least: the number it had before (a folder that came from elsewhere keeps it).
            told: what else `trial.json` should say.
            numbered: whether the folder is named by the number instead of the point.
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
            notes=_object((told or {}).get("notes")),
        )
        claim = {
            "format": _FORMAT,
            "number": number,
            "name": chosen,
            "point": record.point,
            "hyperparameters": record.hyperparameters,
            "hash": record.hash,
            **(told or {}),
            **({} if retry_of is None else {"retry_of": retry_of}),
            **({} if parent is None else {"parent": dict(parent)}),
            "created": provenance.utc_now(),
            "token": os.urandom(8).hex(),
        }
        before = self._state()
        self._highest = max(self._highest, number)
        if not self._publish(_claim_file(number), files.to_json(claim).encode()):
            self._looked = 0.0  # somebody was faster, who may have claimed more than this one
            return None
        self._make_folder(record, claim)
        self._know(record)
        self._seen |= {_claim_file(number), f"{number:06d}.made"}
        if before == self._left:  # else somebody else was here, too
            self._left = self._state()
        return record

    def _publish(self, name: str, claim: bytes) -> bool:
        path = os.path.join(self._home, name)
        try:
            return files.publish(path, claim)
        except FileNotFoundError:
            os.makedirs(self._home, exist_ok=True)
            return files.publish(path, claim)

    def free_name(self, point: Mapping[str, Any], number: int, *, numbered: bool) -> str:
        """The name for a trial's folder: that of its point, or its number, not taken by another."""
        from modeldir.space import trial_name  # noqa: PLC0415 - who only looks at trials names none

        wanted = f"trial_{number:06d}" if numbered else trial_name(point)
        name, count = wanted, 2
        while name in self._names or os.path.lexists(os.path.join(self.folder, name)):
            name = f"{wanted}__{count}"
            count += 1
        return name

    def _make_folder(self, record: TrialRecord, claim: Mapping[str, Any] | None = None) -> None:
        """The folder of a claimed trial, whole: `params.json`, `trial.json`; made again if not."""
        if claim is None and self._was_made(record.number):
            return
        folder = self.path(record)
        claim = claim or files.read_object(self._claim_path(record.number))
        if not self._put_there(folder, record, claim):
            folder.mkdir(exist_ok=True)
            self._fill(folder, record, claim)
        self._mark_made(record.number)

    def _put_there(self, folder: Path, record: TrialRecord, claim: Mapping[str, Any]) -> bool:
        """Make a whole folder out of sight and give it its name; false where one is there."""
        if os.path.lexists(folder):
            return False
        made = files.temporary_beside(self._home)
        os.mkdir(made)
        try:
            self._write_params(made, record, files.create)
            self._write_trial(made, claim, files.create)
            os.rename(made, folder)
            self._written.add(record.number)
        except OSError:  # a full disk, or somebody else was faster: then step by step
            for name in os.listdir(made):
                os.unlink(os.path.join(made, name))
            os.rmdir(made)
            return False
        return True

    def _fill(self, folder: Path, record: TrialRecord, claim: Mapping[str, Any]) -> None:
        """Write what the folder lacks of `params.json` and `trial.json`."""
        if experiment.params_file(folder) is None:
            self._write_params(str(folder), record, files.publish)
        if not (folder / "trial.json").exists():
            self._write_trial(str(folder), claim, files.publish)

    def _write_params(self, folder: str, record: TrialRecord, write: _Write) -> None:
        base = experiment.params_file(self.folder)
        path = os.path.join(folder, base.name if base else "params.json")
        if path.endswith(".json"):  # not waiting for the disk: the claim can make it again
            write(path, files.to_json(record.hyperparameters).encode())
        else:
            from modeldir.params.params import Params  # noqa: PLC0415 - for other notations alone

            Params(record.hyperparameters).save(path)

    def _write_trial(self, folder: str, claim: Mapping[str, Any], write: _Write) -> None:
        path = os.path.join(folder, "trial.json")
        write(path, files.to_json(_kept(claim)).encode())

    def mend(self, record: TrialRecord) -> None:
        """Write again what a power cut left empty or half of what we wrote into a trial's folder.

        What is no part of our own text is somebody's, and left alone.
        """
        if record.number in self._written:
            return
        path = experiment.params_file(self.path(record))
        if path is not None and path.suffix == ".json" and _may_be_half(path):
            _mend(path, record.hyperparameters)
        path = self.path(record) / "trial.json"
        if record.number not in self._whole and _may_be_half(path):
            _mend(path, _kept(files.read_object(self._claim_path(record.number))))

    # -- Reading -----------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[TrialRecord]:
        """All trials, by number; those whose folder was removed by hand never happened."""
        return iter([self._known[number] for number in sorted(self._known)])

    def __len__(self) -> int:
        return len(self._known)

    def __getitem__(self, number: int) -> TrialRecord:
        return self._known[number]

    def path(self, record: TrialRecord) -> Path:
        """A trial's folder."""
        path = self._paths.get(record.name)
        if path is None:
            path = self._paths[record.name] = self.folder / record.name
        return path

    def knows(self, record: TrialRecord) -> bool:
        """Whether a trial is there still, as far as is known."""
        return record.number in self._known

    def is_there(self, record: TrialRecord) -> bool:
        """Whether a trial's folder is there; one that was removed meanwhile is known no more."""
        removed = self._was_removed(record)
        if not removed and self.path(record).is_dir():
            return True
        self._drop(record.number)
        self._seen.discard(_claim_file(record.number))
        self._left = None  # look again, though nothing has changed there
        if removed:  # else it is a claim that has no folder yet: the next `refresh` makes it
            self._removed.add(record.number)
        return False

    def is_as_made(self, record: TrialRecord) -> bool:
        """Whether a trial's folder holds nothing but what it was made with: it never ran."""
        try:
            names = os.listdir(self.path(record))
        except OSError:
            return False
        return "trial.json" in names and _MADE_WITH.issuperset(names)

    def status(self, record: TrialRecord) -> experiment.Status:
        """A trial's status; a recorded end is final while this object lives (see `forget`)."""
        known = self._final.get(record.number)
        if known is not None:
            return known
        status = experiment.status(self.path(record), observer=self.observer)
        ended = status.state in {attempts.COMPLETED, attempts.PRUNED, attempts.FAILED}
        if ended and status.attempt > self._outdated.get(record.number, -1):
            self._final[record.number] = status
            if record.number in self._known:
                self._know_end(record.number, status)
        return status

    def unfinished(self) -> list[TrialRecord]:
        """The trials without a known final end, by number."""
        return [self._known[number] for number in sorted(self._unfinished)]

    def ended_since(self, count: int) -> tuple[list[TrialRecord], int]:
        """The trials whose ends came to be known after so many, and how many are known now."""
        numbers = self._ends[count:]
        return [self._known[n] for n in numbers if n in self._known], len(self._ends)

    def failed(self) -> list[TrialRecord]:
        """The trials known to have failed, by number."""
        return [self._known[number] for number in sorted(self._failed)]

    def wanted_again(self) -> list[TrialRecord]:
        """The trials that somebody wants to be run once more, though they have ended."""
        return [
            self._known[number]
            for number, attempt in sorted(self._again.items())
            if number in self._known and self.status(self._known[number]).attempt < attempt
        ]

    def want_again(self, record: TrialRecord) -> None:
        """Wish that a trial which has ended be run once more.

        Raises:
            OSError: when that cannot be written.
        """
        attempt = self.status(record).attempt + 1
        self._mark(f"{record.number:06d}.again.{attempt}")
        self._again[record.number] = attempt

    def spare(self, number: int) -> None:
        """Wish that a trial never be pruned any more.

        Raises:
            OSError: when that cannot be written.
        """
        self._mark(f"{number:06d}.unpruned")
        self._unpruned.add(number)

    def is_spared(self, record: TrialRecord) -> bool:
        """Whether a trial is not to be pruned any more."""
        return record.number in self._unpruned

    def gone(self) -> set[int]:
        """The numbers of all trials that were taken out of the search, or removed by hand."""
        return self._removed | self._aside.keys()

    def aside(self) -> list[TrialRecord]:
        """The trials that were taken out of the search, by number: they count as done."""
        return [record for _, record in sorted(self._aside.items()) if record is not None]

    def put_aside(self, record: TrialRecord) -> Path:
        """Take a trial out of the search; where its folder now lies. Killed in between, it is out,
        and said again its folder is moved.

        Raises:
            OSError: when it cannot be moved.
        """
        self._mark(self.aside_mark(record).name)
        target = self.folder / HOME / "aside" / f"{record.number:06d}" / record.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path(record).rename(target)
        self._drop(record.number)
        self._aside[record.number] = record
        return target

    def aside_mark(self, record: TrialRecord) -> Path:
        """The file that keeps a trial out of the search: without it, and with its folder where it
        was, it is a trial again.
        """
        return Path(self._home, f"{record.number:06d}.aside")

    def _mark(self, name: str) -> None:
        os.close(os.open(os.path.join(self._home, name), os.O_WRONLY | os.O_CREAT, 0o666))

    def _mark_made(self, number: int) -> None:
        """Say that a trial's folder was there, by a second name of its claim: a file of its own
        would cost several times as much, and says no more.
        """
        marker = f"{number:06d}.made"
        try:
            os.link(self._claim_path(number), os.path.join(self._home, marker))
        except OSError:  # it is marked already, or there are no links
            self._mark(marker)

    def forget(self, record: TrialRecord) -> None:
        """A trial is about to run again: its recorded end is not final any more, and does not
        become so though it is read once more before the next attempt has begun.
        """
        known = self._final.pop(record.number, None)
        if known is not None:
            self._outdated[record.number] = known.attempt
        self._failed.discard(record.number)
        if record.number in self._known:
            self._unfinished.add(record.number)

    def recall(self, record: TrialRecord) -> None:
        """The attempt for which an end was forgotten never began: that end is final still."""
        self._outdated.pop(record.number, None)


def _all_of(names: tuple[str, ...]) -> Decided:
    def decided(flat: Mapping[str, Any]) -> dict[str, Any] | None:
        return {name: flat[name] for name in names} if all(n in flat for n in names) else None

    return decided


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _kept(claim: Mapping[str, Any]) -> dict[str, Any]:
    """What of a claim its trial's folder says too."""
    return {k: v for k, v in claim.items() if k not in {"hyperparameters", "token", "name"}}


def _may_be_half(path: Path) -> bool:
    data = files.read_bytes(path)
    return data is not None and not data.endswith(_LAST_LINE)


def _mend(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file again that holds only the beginning of this value's text."""
    whole = files.to_json(value).encode()
    written = (files.read_bytes(path) or b"").rstrip(b"\0")  # some file systems leave zeros
    if len(written) < len(whole) and whole.startswith(written):
        with contextlib.suppress(OSError):  # a full disk: the next look may do it
            files.write_json(path, value)


def check_names(folder: Path, trials: Trials, *, fits: bool) -> bool:
    """Whether trials of this search are named by number: names have one form in one search.

    Raises:
        SearchError: when existing trials are named by their values and a new value is too long.
    """
    forms = {bool(re.fullmatch(r"trial_\d{6,}", record.name)) for record in trials}
    if not forms or not fits:
        if not fits and False in forms:
            other, here = quoted(f"{folder}_2"), quoted(folder)
            raise SearchError(
                f"{folder}: with the new values some trial's name would be longer than 120 bytes,\n"
                "and the trials that are there are named by their values.\n"
                f"  modeldir new {other} --from {here}   and search there",
                state="Nothing was started.",
            )
        return not fits
    return forms == {True}


def asked_again(search: Path) -> dict[int, int]:
    """The trials of a search that somebody wants to be run once more, as which attempt; by number.

    Those that have begun since are among them, too.
    """
    try:
        names = os.listdir(search / HOME / "trials")
    except OSError:
        return {}
    found: dict[int, int] = {}
    for again in filter(None, map(_AGAIN.fullmatch, names)):
        number, attempt = int(again[1]), int(again[2])
        found[number] = max(attempt, found.get(number, 0))
    return found
