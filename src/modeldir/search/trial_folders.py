"""The folders of a search's trials: made from their claims, repaired after a power cut.

`Trials` calls `TrialFolders.make` for each claim without a folder. Claims and marks: `claims.py`.
The one rule: a folder appears under its name with all its files (`_put_there`), or file by file,
each whole (`_fill`). The order of the statements is what makes this safe when a process is killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modeldir._system import files, reading, recorded_numbers
from modeldir.experiment import experiment
from modeldir.search.claims import Claims
from modeldir.search.trial_record import TrialRecord

_LAST_LINE = b"\n}\n"
"""How the JSON files of modeldir end; everything else in them is indented."""

_MADE_WITH = frozenset({"trial.json", *experiment.PARAMS_NAMES})
"""The files of a trial that has not run."""

_Write = Callable[[str, bytes], object]


class TrialFolders:
    """The trials' folders in the folder of a search."""

    def __init__(self, folder: Path, claims: Claims) -> None:
        self.folder, self._claims = folder, claims
        self._paths: dict[str, Path] = {}
        self._written: set[int] = set()  # by this process, which lives: so they are complete
        self._whole: set[int] = set()  # their `trial.json` was read to its end

    def path(self, record: TrialRecord) -> Path:
        """Return a trial's folder."""
        path = self._paths.get(record.name)
        if path is None:
            path = self._paths[record.name] = self.folder / record.name
        return path

    def make(self, record: TrialRecord, claim: Mapping[str, Any] | None = None) -> None:
        """Make the folder of a claimed trial with all its files, or complete it."""
        if claim is None and self._claims.was_made(record.number):
            return
        folder = self.path(record)
        claim = claim or reading.read_object(self._claims.path(record.number))
        if not self._put_there(folder, record, claim):
            folder.mkdir(exist_ok=True)
            self._fill(folder, record, claim)
        self._claims.mark_made(record.number)

    def _put_there(self, folder: Path, record: TrialRecord, claim: Mapping[str, Any]) -> bool:
        """Make a complete folder out of sight and rename it; False where one is there."""
        if os.path.lexists(folder):
            return False
        made = files.temporary_beside(self._claims.home)
        os.mkdir(made)
        try:
            self._write_params(made, record, files.create)
            self._write_trial(made, claim, files.create)
            os.rename(made, folder)
            self._written.add(record.number)
        except OSError:  # a full disk, or another process was faster: file by file then
            for name in os.listdir(made):
                os.unlink(os.path.join(made, name))
            os.rmdir(made)
            return False
        return True

    def _fill(self, folder: Path, record: TrialRecord, claim: Mapping[str, Any]) -> None:
        """Write `params.json` and `trial.json` where the folder lacks them."""
        if experiment.params_file(folder) is None:
            self._write_params(str(folder), record, files.publish)
        if not (folder / "trial.json").exists():
            self._write_trial(str(folder), claim, files.publish)

    def _write_params(self, folder: str, record: TrialRecord, write: _Write) -> None:
        """Write the hyperparameters, in the format of the base config."""
        base = experiment.params_file(self.folder)
        path = os.path.join(folder, base.name if base else "params.json")
        if path.endswith(".json"):  # not waiting for the disk: the claim can make it again
            write(path, files.to_json(record.hyperparameters).encode())
        else:
            from modeldir.params.params import Params  # noqa: PLC0415 - only for YAML and TOML

            Params(record.hyperparameters).save(path)

    def _write_trial(self, folder: str, claim: Mapping[str, Any], write: _Write) -> None:
        """Write `trial.json`."""
        path = os.path.join(folder, "trial.json")
        write(path, files.to_json(_kept(claim)).encode())

    def mend(self, record: TrialRecord, *, ended: bool = False) -> None:
        """Rewrite a file in a trial's folder that a power cut left empty or incomplete.

        A file that is not the beginning of the text of modeldir is the user's, and left alone.
        Where the trial has `ended`, its script has read the file: only its size is looked at.
        """
        if record.number in self._written:
            return
        path = self.path(record) / "params.json"
        if _is_short(path, record.hyperparameters) if ended else _may_be_half(path):
            _mend(path, record.hyperparameters)
        path = self.path(record) / "trial.json"
        if record.number not in self._whole and _may_be_half(path):
            _mend(path, _kept(reading.read_object(self._claims.path(record.number))))

    def is_as_made(self, record: TrialRecord) -> bool:
        """Whether a trial's folder holds only what it was made with: it never ran."""
        try:
            names = os.listdir(self.path(record))
        except OSError:
            return False
        return "trial.json" in names and _MADE_WITH.issuperset(names)

    def was_removed(self, record: TrialRecord) -> bool:
        """Whether a trial's folder was there and is not, or its name is another trial's now."""
        if not self._claims.was_made(record.number):
            return False
        folder = self.path(record)
        told = reading.read_object(os.path.join(folder, "trial.json"))
        if told.get("number") == record.number:
            self._whole.add(record.number)
            return False
        if not os.path.isdir(folder):
            with contextlib.suppress(OSError):
                os.listdir(self.folder)  # a network file system may remember that it was not there
        return not os.path.isdir(folder) or self._is_another(told)

    def _is_another(self, told: Mapping[str, Any]) -> bool:
        """Whether a `trial.json` is that of another trial of this search."""
        number = recorded_numbers.integer(told.get("number"), 1)
        if number is None:
            return False
        other = self._claims.read(number)  # none, or another: a guest from another search
        return other is not None and other.hash == told.get("hash")


def _kept(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a claim that `trial.json` repeats."""
    return {k: v for k, v in claim.items() if k not in {"hyperparameters", "token", "name"}}


def _may_be_half(path: Path) -> bool:
    """Whether a file may be incomplete: it does not end as a file of modeldir does."""
    data = reading.read_bytes(path)
    return data is not None and not data.endswith(_LAST_LINE)


def _is_short(path: Path, value: Mapping[str, Any]) -> bool:
    """Whether a file is shorter than this value's text."""
    try:
        return os.stat(path).st_size < len(files.to_json(value).encode())
    except OSError:
        return False


def _mend(path: Path, value: Mapping[str, Any]) -> None:
    """Rewrite a file that holds only the beginning of this value's text."""
    whole = files.to_json(value).encode()
    written = (reading.read_bytes(path) or b"").rstrip(b"\0")  # some file systems leave zeros
    if len(written) < len(whole) and whole.startswith(written):
        with contextlib.suppress(OSError):  # a full disk: the next worker may do it
            files.write_json(path, value)
