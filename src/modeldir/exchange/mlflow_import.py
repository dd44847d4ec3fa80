"""MLflow's runs: from its database, or from the folders (`mlruns`) of older releases, which the
current one does not open any more.

It knows both layouts, and needs no MLflow. Runs that were deleted stay where they are.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.exchange import sqlite
from modeldir.exchange.foreign_files import Problems, tolerant, values_in, walk
from modeldir.exchange.foreign_run import Foreign, parts, together, value_of
from modeldir.experiment import attempts

TOOL = "mlflow"
DATABASE = "mlflow.db"
_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_ENDS = {
    "FINISHED": attempts.COMPLETED,
    "FAILED": attempts.FAILED,
    "KILLED": attempts.INTERRUPTED,
}


@dataclass
class _Run:
    """A run as either layout has it; times in milliseconds."""

    key: str
    name: str
    experiment: str
    source: Path
    status: str
    begun: Any
    ended: Any
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[tuple[str, float, float | None, float]] = field(default_factory=list)


def recognizes(source: Path) -> bool:
    """Whether it is a database of MLflow's, holds one, or holds runs in folders."""
    path = _database(source)
    if path is not None:
        return {"experiments", "runs", "latest_metrics"} <= sqlite.tables(path)
    return any(_is_run(path, names) for path, _, names in walk(source, []))


def _database(source: Path) -> Path | None:
    path = source / DATABASE if source.is_dir() else source
    return path if sqlite.is_database(path) else None


def read(source: Path, problems: Problems) -> Iterator[Foreign]:
    """Its runs, experiment by experiment."""
    path = _database(source)
    runs = list(_of_database(path, problems) if path else _of_folders(source, problems))
    several = len({run.experiment for run in runs}) > 1
    for run in runs:
        group = run.experiment if several else ""
        yield from tolerant(problems, run.source, partial(_foreign, run, group))


def _foreign(run: _Run, group: str) -> Foreign:
    ours = run.tags.get("modeldir.status")  # of an export: MLflow has no pruned runs
    status = _ENDS.get(run.status)
    begun, ended = (t / 1000 if isinstance(t, int) else None for t in (run.begun, run.ended))
    return Foreign(
        key=f"{TOOL}:{run.key}",
        name=run.name or run.key,
        source=run.source,
        group=group,
        hyperparameters=parts({name: value_of(text) for name, text in run.params.items()}),
        lines=together(run.points),
        status=ours if ours in {attempts.PRUNED, attempts.INTERRUPTED} else status,
        open=run.status == "RUNNING",
        started=begun,
        duration=ended - begun if begun is not None and ended is not None else None,
        facts={
            "experiment": run.experiment,
            "run_id": run.key,
            "status": run.status,
            "tags": {name: text for name, text in run.tags.items() if name[:7] != "mlflow."},
            "git_commit": run.tags.get("mlflow.source.git.commit"),
        },
    )


# -- The database ----------------------------------------------------------------------------------


def _of_database(path: Path, problems: Problems) -> list[_Run]:
    try:
        with sqlite.copied(path) as copy, contextlib.closing(sqlite3.connect(copy)) as opened:
            return _rows(opened, path)
    except sqlite3.Error as error:
        problems.append(f"{path}: {error}")
        return []


def _rows(opened: sqlite3.Connection, path: Path) -> list[_Run]:
    names = dict(opened.execute("SELECT experiment_id, name FROM experiments"))
    columns = "run_uuid, name, experiment_id, status, start_time, end_time"
    alive = (
        "FROM runs WHERE lifecycle_stage = 'active' ORDER BY experiment_id, start_time, run_uuid"
    )
    found = {
        key: _Run(key, name or "", names.get(home) or str(home), path, status, begun, ended)
        for key, name, home, status, begun, ended in opened.execute(f"SELECT {columns} {alive}")
    }
    for key, name, value in opened.execute("SELECT run_uuid, key, value FROM params"):
        if key in found:
            found[key].params[name] = value or ""
    for key, name, value in opened.execute("SELECT run_uuid, key, value FROM tags"):
        if key in found:
            found[key].tags[name] = value or ""
    metrics = "SELECT run_uuid, key, value, timestamp, step, is_nan FROM metrics ORDER BY timestamp"
    for key, name, value, time, step, is_nan in opened.execute(metrics):
        if key in found:
            number = float("nan") if is_nan else float(value)
            found[key].points.append((name, float(step), time / 1000, number))
    for run in found.values():
        run.name = run.name or run.tags.get("mlflow.runName", "")
    return list(found.values())


# -- The folders -----------------------------------------------------------------------------------


def _is_run(path: Path, names: list[str]) -> bool:
    return "meta.yaml" in names and (path / "params").is_dir() and (path / "metrics").is_dir()


def _of_folders(source: Path, problems: Problems) -> Iterator[_Run]:
    for path, _, names in walk(source, problems):
        if not _is_run(path, names):
            continue
        told: Any = values_in(path / "meta.yaml", problems)
        if told is None or told.get("lifecycle_stage") == "deleted":
            continue
        home: Mapping[str, Any] = {}
        if (path.parent / "meta.yaml").is_file():
            home = values_in(path.parent / "meta.yaml", problems) or {}
        tags = dict(_texts(path / "tags"))
        status = told.get("status")
        yield _Run(
            key=str(told.get("run_id") or path.name),
            name=str(told.get("run_name") or tags.get("mlflow.runName") or ""),
            experiment=str(home.get("name") or path.parent.name),
            source=path,
            status=_NUMBERS.get(status, str(status)) if isinstance(status, int) else str(status),
            begun=told.get("start_time"),
            ended=told.get("end_time"),
            params=dict(_texts(path / "params")),
            tags=tags,
            points=list(_points(path / "metrics", problems)),
        )


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """One file a value, its name with slashes as folders."""
    for path, _, names in walk(folder, []):
        for name in names:
            text = (files.read_bytes(path / name) or b"").decode("utf-8", "replace")
            yield (path / name).relative_to(folder).as_posix(), text


def _points(folder: Path, problems: Problems) -> Iterator[tuple[str, float, float | None, float]]:
    """Lines of time, value, step; in the oldest releases without a step."""
    for name, text in _texts(folder):
        for count, line in enumerate(text.splitlines()):
            words = line.split()
            try:
                step = float(words[2]) if words[2:] else float(count)
                yield name, step, int(words[0]) / 1000, float(words[1])
            except (ValueError, IndexError):
                problems.append(f"{folder / name}: line {count + 1} is no value: {line[:60]!r}")
