"""A folder of experiments that runs of another tool are imported into.

`importing.import_runs` calls `ImportFolder.write` for each run. `origin.json` records which run an
experiment came from: it is skipped, or updated if its tool has recorded more since, unless it was
run again here. A new experiment is made under a temporary name and renamed when complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from modeldir._system import files, reading
from modeldir._system.timestamps import utc_text
from modeldir.exchange.foreign_files import size_of
from modeldir.exchange.foreign_run import ForeignRun, ForeignStudy, by_split, to_json_value
from modeldir.experiment import attempts, failure_classes
from modeldir.metrics import metric_files, objective
from modeldir.search import plan
from modeldir.space.trial_names import LONGEST_NAME, safe

ORIGIN = "origin.json"
LONGEST_LOG = 50_000_000
"""Bytes. A longer log is not copied; `origin.json` says where it is."""

_METRIC_FILES = {
    "best": metric_files.EVAL_BEST,
    "last": metric_files.EVAL_LAST,
    "test": "metrics_test_best_weights.json",
    "train": "metrics_train_last_weights.json",
}


@dataclass
class ImportFolder:
    """A folder that runs of one tool are imported into, with the counts of what was done."""

    folder: Path
    tool: str
    new: int = 0
    updated: int = 0
    same: int = 0
    run_again_here: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    mode: int = 0o777
    """The permissions of the files that the run is made from: its own get no more."""
    _imported: dict[str, Path] | None = None

    def write(self, run: ForeignRun) -> None:
        imported = self._imported_before()
        contents = _contents(run, self.tool)
        digest = _digest(contents, run)
        existing = imported.get(run.key)
        if existing is None:
            imported[run.key] = made = self._make(run, contents, digest)
            self.new += 1
            if run.unfinished and run.number is not None:
                self.unfinished.append(str(made.relative_to(self.folder)))
        elif _origin(existing).get("digest") == digest:
            self.same += 1
        elif attempts.numbers(os.listdir(existing))[-1:] > [1]:
            self.run_again_here.append(existing.name)
        else:
            with _no_wider_than(self.mode):
                _write_files(existing, run, contents, digest)
            self.updated += 1

    def write_plan(self, study: ForeignStudy) -> None:
        """Write the `search.json` of a study if there is none."""
        path = self.folder / safe(study.name).lstrip(".") / plan.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            files.write_json(path, to_json_value(study.plan))

    def _imported_before(self) -> dict[str, Path]:
        """Return the imported experiments by key, also if they were moved within the folder."""
        if self._imported is None:
            self._imported = {}
            for path, folders, names in os.walk(self.folder):
                # A killed import may leave a complete experiment under a temporary name.
                folders[:] = (name for name in folders if not files.is_temporary(name))
                key = _origin(Path(path)).get("key") if ORIGIN in names else None
                if isinstance(key, str):
                    self._imported[key] = Path(path)
        return self._imported

    def _make(self, run: ForeignRun, contents: Mapping[str, bytes], digest: str) -> Path:
        parent = self.folder / safe(run.group).lstrip(".") if run.group else self.folder
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(files.temporary_beside(parent / "x"))
        temporary.mkdir()
        try:
            with _no_wider_than(self.mode):
                _write_files(temporary, run, contents, digest)
            target = _free_name(parent, run)
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return target


def _origin(folder: Path) -> dict[str, Any]:
    origin = reading.read_object(folder / ORIGIN).get("imported")
    return origin if isinstance(origin, dict) else {}


def _free_name(parent: Path, run: ForeignRun) -> Path:
    """Return a folder name that is free, safe, and short enough for every file system."""
    name = safe(run.name).lstrip(".-").rstrip(".") or "run"
    if len(name.encode()) > LONGEST_NAME:
        cut = name.encode()[: LONGEST_NAME - 9].decode("utf-8", "ignore")
        name = f"{cut}_{sha256(run.key.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    free, count = name, 2
    while os.path.lexists(parent / free):
        free, count = f"{name}__{count}", count + 1
    return parent / free


def _contents(run: ForeignRun, tool: str) -> dict[str, bytes]:
    """Return the files by name, without those that depend on when or where they are written."""
    contents = {"params.json": _json(to_json_value(run.hyperparameters))}
    if run.number is not None:
        configuration = to_json_value(run.configuration or {})
        trial = {"number": run.number, "configuration": configuration, "imported": tool}
        contents["trial.json"] = _json(trial)
    if run.lines:
        lines = (json.dumps(_metrics_line(line)) + "\n" for line in run.lines)
        contents[metric_files.METRICS_LINES] = "".join(lines).encode()
    for split, values in _final_metrics(run).items():
        contents[_METRIC_FILES[split]] = _json(metric_files.as_json(values))
    return contents


def _json(value: object) -> bytes:
    return files.to_json(value).encode()


def _metrics_line(line: Mapping[str, float]) -> dict[str, Any]:
    step = line["step"]
    fields: dict[str, Any] = {"step": int(step) if step == int(step) else step}
    if "time" in line:
        fields["time"] = utc_text(line["time"])
    return {**fields, **metric_files.as_json(_values(line))}


def _final_metrics(run: ForeignRun) -> dict[str, Mapping[str, float]]:
    """Return the final metrics by split.

    The tool's own results come first. The others are the last value of each metric, and for the
    best weights the values at the step with the best ranked metric.
    """
    steps = [_values(line) for line in run.lines]
    last = {name: value for step in steps for name, value in step.items()}
    final = by_split(last)
    best = _best([by_split(step).get("last", {}) for step in steps], run)
    if best:
        final["best"] = best
    for split, values in run.results.items():
        final[split] = {**final.get(split, {}), **values}
    return {split: values for split, values in final.items() if values}


def _values(line: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in line.items() if name not in {"step", "time"}}


def _best(steps: Sequence[Mapping[str, float]], run: ForeignRun) -> dict[str, float]:
    """Return the validation metrics of the best step, and those that were logged only once."""
    counts = Counter(name for step in steps for name in step)
    ranked = next((pair for pair in run.objectives if pair[0] in counts), None)
    ranked = ranked or objective.choose(list(counts))
    if ranked is None:
        return {}
    name, direction = ranked
    best = objective.best_of(((step.get(name), None, step) for step in steps), direction)
    once = {n: v for step in steps for n, v in step.items() if counts[n] == 1}
    return {**once, **(best or {})}


def _digest(contents: Mapping[str, bytes], run: ForeignRun) -> str:
    """Return a hash that changes when the tool has recorded something new."""
    digest = sha256(repr((run.status, run.reason, run.last_line, run.duration)).encode())
    for name in sorted(contents):
        digest.update(name.encode() + b"\0" + contents[name] + b"\0")
    if run.log is not None:
        digest.update(str(size_of(run.log)).encode())
    return digest.hexdigest()[:16]


def _write_files(folder: Path, run: ForeignRun, contents: Mapping[str, bytes], digest: str) -> None:
    """Write all files of a run, `origin.json` last: without it the run is not yet imported."""
    for name, data in contents.items():
        files.write_bytes(folder / name, data)
    if run.status is not None or run.unfinished:
        files.write_json(folder / attempts.run_file(1), _run_file(folder, run))
    tool = run.key.partition(":")[0]
    origin = {"tool": tool, "key": run.key, "path": str(run.source), "digest": digest}
    if run.log is not None:
        if 0 < size_of(run.log) <= LONGEST_LOG:
            _copy(run.log, folder / "train.log")
        else:
            origin["log"] = str(run.log)
    message = f"imported from {tool}: {run.source}"
    imported = {**origin, **to_json_value(run.facts)}
    files.write_json(folder / ORIGIN, {"message": message, "imported": imported})


def _copy(source: Path, target: Path) -> None:
    with (
        reading.open_stream(source) as log,
        _no_wider_than(os.fstat(log.fileno()).st_mode),
        files.replacing(target) as temporary,
        open(temporary, "xb") as file,
    ):
        shutil.copyfileobj(log, file)


@contextlib.contextmanager
def _no_wider_than(mode: int) -> Iterator[None]:
    """Make files that nobody may read who may not read the source."""
    before = os.umask(0o077)
    os.umask(before | (0o077 & ~mode))
    try:
        yield
    finally:
        os.umask(before)


def _run_file(folder: Path, run: ForeignRun) -> dict[str, Any]:
    """Return the run file. Without a recorded end the status is null, which means interrupted."""
    failed = run.status == attempts.FAILED
    fields = {
        "format": attempts.FORMAT,
        "attempt": 1,
        "token": os.urandom(8).hex(),
        "imported": True,
        "command": list(run.command) or None,
        "process": None,
        "supervisor": None,
        "folder": attempts.identity_of(folder),
        "started": None if run.started is None else utc_text(run.started),
        "duration": run.duration,
        "intent": None,
        "status": run.status,
        "failure": failure_classes.failure_class(run.last_line) if failed else None,
        "reason": run.reason,
        "last_line": run.last_line,
    }
    return {name: value for name, value in fields.items() if value is not None or name == "status"}
