"""Runs of other tools as experiment folders: made out of sight, then put in place as a whole.

It knows what an experiment's files hold, and by `origin.json` which runs have been imported: one
that is there is left, one that its tool knows more of by now is brought up to date, unless it was
run again here. It refuses to touch the source, and to know what tool that was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir._system.timestamps import stamp
from modeldir.exchange.foreign_files import size_of
from modeldir.exchange.foreign_run import Foreign, Group, by_split, plain
from modeldir.experiment import attempts, failures
from modeldir.metrics import metrics
from modeldir.search import plan
from modeldir.space.trial_names import LONGEST_NAME, safe

ORIGIN = "origin.json"
LONGEST_LOG = 50_000_000
"""Bytes: a longer log stays where it is, and `origin.json` says where that is."""

_SPLIT_FILES = {
    "best": metrics.EVAL_BEST,
    "last": metrics.EVAL_LAST,
    "test": "metrics_test_best_weights.json",
    "train": "metrics_train_last_weights.json",
}


@dataclass
class Writing:
    """A folder that runs of one tool are imported into.

    `new`, `updated`, `same` count them; `spared` were run again here, and are left as they are;
    `open` are new trials of a search without an end: whoever goes on with it runs them again.
    """

    folder: Path
    tool: str
    new: int = 0
    updated: int = 0
    same: int = 0
    spared: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    _known: dict[str, Path] | None = None

    def write(self, run: Foreign) -> None:
        """One run.

        Raises:
            OSError: when it cannot be written.
        """
        known = self._known_runs()
        told = _files(run, self.tool)
        digest = _digest(told, run)
        there = known.get(run.key)
        if there is None:
            known[run.key] = made = self._make(run, told, digest)
            self.new += 1
            if run.open and run.number is not None:
                self.open.append(str(made.relative_to(self.folder)))
        elif _told(there).get("digest") == digest:
            self.same += 1
        elif attempts.numbers(os.listdir(there))[-1:] > [1]:
            self.spared.append(there.name)
        else:
            _fill(there, run, told, digest)
            self.updated += 1

    def plan(self, group: Group) -> None:
        """The plan of a group of runs, where none is.

        Raises:
            OSError: when it cannot be written.
        """
        path = self.folder / safe(group.name).lstrip(".") / plan.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            files.write_json(path, plain(group.plan))

    def _known_runs(self) -> dict[str, Path]:
        """What has been imported before, wherever it lies below the folder by now."""
        if self._known is None:
            self._known = {}
            for path, folders, names in os.walk(self.folder):
                # What a killed import left out of sight has all its files, and is in no table.
                folders[:] = (name for name in folders if not files.is_temporary(name))
                key = _told(Path(path)).get("key") if ORIGIN in names else None
                if isinstance(key, str):
                    self._known[key] = Path(path)
        return self._known

    def _make(self, run: Foreign, told: Mapping[str, bytes], digest: str) -> Path:
        parent = self.folder / safe(run.group).lstrip(".") if run.group else self.folder
        parent.mkdir(parents=True, exist_ok=True)
        made = Path(files.temporary_beside(parent / "x"))
        made.mkdir()
        try:
            _fill(made, run, told, digest)
            target = _free(parent, run)
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return target


def _told(folder: Path) -> dict[str, Any]:
    told = files.read_object(folder / ORIGIN).get("imported")
    return told if isinstance(told, dict) else {}


def _free(parent: Path, run: Foreign) -> Path:
    """A folder's name that nobody has: safe, and short enough for every file system."""
    name = safe(run.name).lstrip(".-").rstrip(".") or "run"
    if len(name.encode()) > LONGEST_NAME:
        cut = name.encode()[: LONGEST_NAME - 9].decode("utf-8", "ignore")
        name = f"{cut}_{sha256(run.key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    free, count = name, 2
    while os.path.lexists(parent / free):
        free, count = f"{name}__{count}", count + 1
    return parent / free


# -- What the files hold ---------------------------------------------------------------------------


def _files(run: Foreign, tool: str) -> dict[str, bytes]:
    """The files by name, but for those that say when or where they were written."""
    found = {"params.json": _json(plain(run.hyperparameters))}
    if run.number is not None:
        told = {"number": run.number, "point": plain(run.point or {}), "imported": tool}
        found["trial.json"] = _json(told)
    if run.lines:
        lines = (json.dumps(_line(line)) + "\n" for line in run.lines)
        found[metrics.METRICS_LINES] = "".join(lines).encode()
    for split, values in _results(run).items():
        found[_SPLIT_FILES[split]] = _json(metrics.plain(values))
    return found


def _json(value: object) -> bytes:
    return files.to_json(value).encode()


def _line(line: Mapping[str, float]) -> dict[str, Any]:
    step = line["step"]
    told: dict[str, Any] = {"step": int(step) if step == int(step) else step}
    if "time" in line:
        told["time"] = stamp(line["time"])
    return {**told, **metrics.plain(_numbers(line))}


def _results(run: Foreign) -> dict[str, Mapping[str, float]]:
    """The metrics that count by split: as the tool has them, else those of the last step that has
    them; and for the best weights those of the step at which the metric was best.
    """
    steps = [_numbers(line) for line in run.lines]
    last = {name: value for step in steps for name, value in step.items()}
    found = by_split(last)
    best = _best([by_split(step).get("last", {}) for step in steps], run)
    if best:
        found["best"] = best
    for split, values in run.results.items():
        found[split] = {**found.get(split, {}), **values}
    return {split: values for split, values in found.items() if values}


def _numbers(line: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in line.items() if name not in {"step", "time"}}


def _best(steps: Sequence[Mapping[str, float]], run: Foreign) -> dict[str, float]:
    """The development metrics of the best step, where it is known which metric counts, and how;
    with those that were told once alone, as a result is.
    """
    times = Counter(name for step in steps for name in step)
    ranked = next((pair for pair in run.objectives if pair[0] in times), None)
    ranked = ranked or metrics.choose(list(times))
    if ranked is None:
        return {}
    name, direction = ranked
    best: float | None = None
    found: Mapping[str, float] = {}
    for step in steps:
        value = step.get(name)
        if value is not None and metrics.better(value, best, direction):
            best, found = value, step
    once = {n: v for step in steps for n, v in step.items() if times[n] == 1}
    return {**once, **found}


def _digest(told: Mapping[str, bytes], run: Foreign) -> str:
    """Equal as long as the tool says the same."""
    digest = sha256(repr((run.status, run.reason, run.last_line, run.duration)).encode())
    for name in sorted(told):
        digest.update(name.encode() + b"\0" + told[name] + b"\0")
    if run.log is not None:
        digest.update(str(size_of(run.log)).encode())
    return digest.hexdigest()[:16]


# -- Writing ---------------------------------------------------------------------------------------


def _fill(folder: Path, run: Foreign, told: Mapping[str, bytes], digest: str) -> None:
    """All files of a run, `origin.json` last: only with it a run counts as imported."""
    for name, data in told.items():
        files.write_bytes(folder / name, data)
    if run.is_recorded:
        files.write_json(folder / attempts.run_file(1), _record(folder, run))
    copied = run.log is not None and 0 < size_of(run.log) <= LONGEST_LOG
    if run.log is not None and copied:
        files.copy(run.log, folder / "train.log")
    source = str(run.source)
    kept = {"tool": _tool_of(run), "key": run.key, "path": source, "digest": digest}
    if run.log is not None and not copied:
        kept["log"] = str(run.log)
    facts = plain(run.facts)
    message = f"imported from {kept['tool']}: {source}"
    files.write_json(folder / ORIGIN, {"message": message, "imported": {**kept, **facts}})


def _tool_of(run: Foreign) -> str:
    return run.key.partition(":")[0]


def _record(folder: Path, run: Foreign) -> dict[str, Any]:
    """A run file: without an end where the tool knows of none, so it counts as interrupted."""
    failed = run.status == attempts.FAILED
    told = {
        "format": attempts.FORMAT,
        "attempt": 1,
        "token": os.urandom(8).hex(),
        "imported": True,
        "command": list(run.command) or None,
        "process": None,
        "supervisor": None,
        "folder": attempts.identity_of(folder),
        "started": None if run.started is None else stamp(run.started),
        "duration": run.duration,
        "intent": None,
        "status": run.status,
        "failure": failures.failure_class(run.last_line) if failed else None,
        "reason": run.reason,
        "last_line": run.last_line,
    }
    return {name: value for name, value in told.items() if value is not None or name == "status"}
