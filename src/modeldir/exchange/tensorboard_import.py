"""Import TensorBoard runs: folders with event files, and hyperparameters if HParams has them.

`importing` calls `recognizes` and `read`. One training run may have several folders: Keras writes
into `train` and `validation`, and PyTorch's `add_hparams` into a folder below the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.exchange.foreign_files import Problems, is_event_file, read_events, walk
from modeldir.exchange.foreign_run import ForeignRun, LoggedValue, lines_by_step, nest, parse_value
from modeldir.experiment import attempts
from modeldir.metrics import tfevents

_SPLIT_FOLDERS = {
    "train": "train/", "validation": "val/", "val": "val/", "eval": "val/", "test": "test/",
}  # fmt: skip
_STATUSES = {
    tfevents.SUCCESS: attempts.COMPLETED,
    tfevents.FAILURE: attempts.FAILED,
}
_FINAL_PREFIXES = {tfevents.BEST, tfevents.LAST}
_LARGEST_INTEGER = 10**12


@dataclass
class _Events:
    values: list[LoggedValue] = field(default_factory=list)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    results: dict[str, dict[str, float]] = field(default_factory=dict)
    status: int | None = None


def recognizes(source: Path) -> bool:
    return any(is_event_file(name) for _, _, names in walk(source, []) for name in names)


def read(source: Path, problems: Problems) -> Iterator[ForeignRun]:
    runs: dict[Path, list[tuple[str, Path]]] = {}
    folders = {
        path: [path / name for name in names if is_event_file(name)]
        for path, _, names in walk(source, problems)
    }
    has_events = {path for path, found in folders.items() if found}
    for path, found in folders.items():
        for file in found:
            home, prefix = _run_folder(path, source, has_events, problems)
            runs.setdefault(home, []).append((prefix, file))
    for path, of_run in runs.items():
        run = _Events()
        for prefix, file in of_run:
            _read_file(run, prefix, file, problems)
        if run.values or run.results or run.hyperparameters:
            yield _run(source, path, run)


def _run_folder(path: Path, source: Path, known: set[Path], problems: Problems) -> tuple[Path, str]:
    """Return the run's folder for a folder of event files, and the prefix of its metrics."""
    if path == source:
        return path, ""
    if path.name in _SPLIT_FOLDERS:
        return path.parent, _SPLIT_FOLDERS[path.name]
    if path.parent in known and path.parent != source and _has_hyperparameters(path, problems):
        return path.parent, ""
    return path, ""


def _has_hyperparameters(path: Path, problems: Problems) -> bool:
    return any(
        tfevents.SESSION_START in event.plugins
        for file in path.iterdir()
        if is_event_file(file.name)
        for event in read_events(file, problems)
    )


def _read_file(run: _Events, prefix: str, file: Path, problems: Problems) -> None:
    for event in read_events(file, problems):
        for tag, message in event.plugins.items():
            if tag == tfevents.SESSION_START:
                run.hyperparameters.update(tfevents.read_session_start(message))
            elif tag == tfevents.SESSION_END:
                run.status = tfevents.read_session_end(message)
        if event.time:
            run.times.append(event.time)
        for tag, value in event.scalars.items():
            split, _, name = tag.partition("/")
            if file.name == tfevents.FILE_NAME and split in _FINAL_PREFIXES:
                run.results.setdefault(split, {})[name] = value
            else:
                time = event.time or None
                run.values.append((f"{prefix}{tag}", float(event.step), time, value))


def _run(source: Path, path: Path, run: _Events) -> ForeignRun:
    folder = path.relative_to(source).as_posix()
    name = folder if folder != "." else files.absolute(path).name
    times = run.times or [0.0]
    return ForeignRun(
        key=f"tensorboard:{path}",
        name=name.replace("/", "__"),
        source=path,
        hyperparameters=nest({n: _value(v) for n, v in run.hyperparameters.items()}),
        lines=lines_by_step(run.values),
        results=run.results,
        status=_STATUSES.get(run.status) if run.status is not None else None,
        unfinished=run.status == tfevents.RUNNING,
        started=min(times),
        duration=max(times) - min(times),
    )


def _value(value: tfevents.HParam) -> Any:
    """Convert a value of HParams, which stores integers as floats and lists as strings."""
    if isinstance(value, str):
        return parse_value(value)
    is_integer = isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_INTEGER
    return int(value) if is_integer else value
