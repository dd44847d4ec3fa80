"""Import MLflow runs from its database or from the `mlruns` folders of older releases.

`importing` calls `recognizes` and `read`. MLflow does not have to be installed; its current release
cannot open `mlruns` folders anyway.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir.exchange import sqlite
from modeldir.exchange.foreign_files import Problems, load_values, read_or_report, walk
from modeldir.exchange.foreign_run import ForeignRun, LoggedValue, lines_by_step, nest, parse_value
from modeldir.experiment import attempts

DATABASE = "mlflow.db"
_STATUS_BY_NUMBER = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_STATUSES = {
    "FINISHED": attempts.COMPLETED,
    "FAILED": attempts.FAILED,
    "KILLED": attempts.INTERRUPTED,
}


@dataclass
class _Run:
    """A run from the database or from a folder; times are in milliseconds."""

    key: str
    name: str
    experiment: str
    source: Path
    status: str
    started: Any
    ended: Any
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    values: list[LoggedValue] = field(default_factory=list)


_TABLES = {"experiments", "runs", "latest_metrics", "metrics", "params", "tags"}


def recognizes(source: Path) -> bool:
    path = _database(source)
    if path is not None:
        return sqlite.tables(path) >= _TABLES
    return any(_is_run(path, names) for path, _, names in walk(source, []))


def _database(source: Path) -> Path | None:
    path = source / DATABASE if source.is_dir() else source
    return path if sqlite.is_database(path) else None


def read(source: Path, problems: Problems) -> Iterator[ForeignRun]:
    """Yield the runs, one experiment after the other."""
    path = _database(source)
    runs = list(_runs_in_database(path, problems) if path else _runs_in_folders(source, problems))
    several = len({run.experiment for run in runs}) > 1
    for run in runs:
        group = run.experiment if several else ""
        yield from read_or_report(problems, run.source, partial(_foreign, run, group))


def _foreign(run: _Run, group: str) -> ForeignRun:
    exported = run.tags.get("modeldir.status")  # MLflow has no status for a pruned run
    status = _STATUSES.get(run.status)
    started, ended = (t / 1000 if isinstance(t, int) else None for t in (run.started, run.ended))
    return ForeignRun(
        key=f"mlflow:{run.key}",
        name=run.name or run.key,
        source=run.source,
        group=group,
        hyperparameters=nest({name: parse_value(text) for name, text in run.params.items()}),
        lines=lines_by_step(run.values),
        status=exported if exported in {attempts.PRUNED, attempts.INTERRUPTED} else status,
        unfinished=run.status == "RUNNING",
        started=started,
        duration=ended - started if started is not None and ended is not None else None,
        facts={
            "experiment": run.experiment,
            "run_id": run.key,
            "status": run.status,
            "tags": {name: text for name, text in run.tags.items() if name[:7] != "mlflow."},
            "git_commit": run.tags.get("mlflow.source.git.commit"),
        },
    )


def _runs_in_database(path: Path, problems: Problems) -> list[_Run]:
    try:
        with sqlite.copied(path) as copy, contextlib.closing(sqlite3.connect(copy)) as opened:
            return _query(opened, path)
    except (OSError, sqlite3.Error) as error:
        problems.append(f"{path}: {getattr(error, 'strerror', None) or error}")
        return []


def _query(opened: sqlite3.Connection, path: Path) -> list[_Run]:
    names = dict(opened.execute("SELECT experiment_id, name FROM experiments"))
    columns = "run_uuid, name, experiment_id, status, start_time, end_time"
    active = (
        "FROM runs WHERE lifecycle_stage = 'active' ORDER BY experiment_id, start_time, run_uuid"
    )
    runs = {
        key: _Run(key, name or "", names.get(home) or str(home), path, status, started, ended)
        for key, name, home, status, started, ended in opened.execute(f"SELECT {columns} {active}")
    }
    for key, name, value in opened.execute("SELECT run_uuid, key, value FROM params"):
        if key in runs:
            runs[key].params[name] = value or ""
    for key, name, value in opened.execute("SELECT run_uuid, key, value FROM tags"):
        if key in runs:
            runs[key].tags[name] = value or ""
    metrics = "SELECT run_uuid, key, value, timestamp, step, is_nan FROM metrics ORDER BY timestamp"
    for key, name, value, time, step, is_nan in opened.execute(metrics):
        if key in runs:
            number = float("nan") if is_nan else float(value)
            runs[key].values.append((name, float(step), time / 1000, number))
    for run in runs.values():
        run.name = run.name or run.tags.get("mlflow.runName", "")
    return list(runs.values())


def _is_run(path: Path, names: list[str]) -> bool:
    return "meta.yaml" in names and (path / "params").is_dir() and (path / "metrics").is_dir()


def _runs_in_folders(source: Path, problems: Problems) -> Iterator[_Run]:
    for path, _, names in walk(source, problems):
        if not _is_run(path, names):
            continue
        meta: Any = load_values(path / "meta.yaml", problems)
        if meta is None or meta.get("lifecycle_stage") == "deleted":
            continue
        experiment: Mapping[str, Any] = {}
        if (path.parent / "meta.yaml").is_file():
            experiment = load_values(path.parent / "meta.yaml", problems) or {}
        tags = dict(_texts(path / "tags"))
        status = meta.get("status")
        yield _Run(
            key=str(meta.get("run_id") or path.name),
            name=str(meta.get("run_name") or tags.get("mlflow.runName") or ""),
            experiment=str(experiment.get("name") or path.parent.name),
            source=path,
            status=str(_STATUS_BY_NUMBER.get(status, status)),
            started=meta.get("start_time"),
            ended=meta.get("end_time"),
            params=dict(_texts(path / "params")),
            tags=tags,
            values=list(_logged_values(path / "metrics", problems)),
        )


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the content of each file by its relative path, which is the name of the value."""
    for path, _, names in walk(folder, []):
        for name in names:
            text = (reading.read_bytes(path / name) or b"").decode("utf-8", "replace")
            yield (path / name).relative_to(folder).as_posix(), text


def _logged_values(folder: Path, problems: Problems) -> Iterator[LoggedValue]:
    """Parse lines of time, value and step. The oldest releases wrote no step."""
    for name, text in _texts(folder):
        for count, line in enumerate(text.splitlines()):
            words = line.split()
            try:
                step = float(words[2]) if words[2:] else float(count)
                yield name, step, int(words[0]) / 1000, float(words[1])
            except (ValueError, IndexError):
                problems.append(
                    f"{folder / name}: line {count + 1} is not a metric's value: {line[:60]!r}"
                )
