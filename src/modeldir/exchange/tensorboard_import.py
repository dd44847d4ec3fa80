"""TensorBoard's runs: each folder with event files; hyperparameters where HParams kept some.

It knows how runs of one training lie in several folders: Keras' `train` and `validation`, and the
folder below a run that PyTorch's `add_hparams` writes into. The checksums of scalars are not looked
at; pictures and text are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.exchange import tfevents
from modeldir.exchange.foreign_files import Problems, events_in, is_event_file, walk
from modeldir.exchange.foreign_run import Foreign, parts, together, value_of
from modeldir.experiment import attempts

TOOL = "tensorboard"
_PARTS = {"train": "train/", "validation": "val/", "val": "val/", "eval": "val/", "test": "test/"}
_ENDS = {
    tfevents.SUCCESS: attempts.COMPLETED,
    tfevents.FAILURE: attempts.FAILED,
}
_RESULTS = {tfevents.BEST, tfevents.LAST}
_NUMBER_PLACES = 12


@dataclass
class _Told:
    """What the event files of one run say."""

    points: list[tuple[str, float, float | None, float]] = field(default_factory=list)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    results: dict[str, dict[str, float]] = field(default_factory=dict)
    end: int | None = None
    began: bool = False


def recognizes(source: Path) -> bool:
    """Whether event files lie in or below a folder."""
    return any(is_event_file(name) for _, _, names in walk(source, []) for name in names)


def read(source: Path, problems: Problems) -> Iterator[Foreign]:
    """Its runs, in the order of the folders."""
    runs: dict[Path, list[tuple[str, Path]]] = {}
    folders = {
        path: [path / name for name in names if is_event_file(name)]
        for path, _, names in walk(source, problems)
    }
    has_events = {path for path, found in folders.items() if found}
    for path, found in folders.items():
        for file in found:
            home, prefix = _home(path, source, has_events, problems)
            runs.setdefault(home, []).append((prefix, file))
    for path, of_run in runs.items():
        told = _Told()
        for prefix, file in of_run:
            _take(told, prefix, file, problems)
        if told.points or told.results or told.hyperparameters:
            yield _run(source, path, told)


def _home(path: Path, source: Path, known: set[Path], problems: Problems) -> tuple[Path, str]:
    """The run that event files belong to, and the split that their folder stands for."""
    if path == source:
        return path, ""
    if path.name in _PARTS:
        return path.parent, _PARTS[path.name]
    if path.parent in known and path.parent != source and _has_hyperparameters(path, problems):
        return path.parent, ""
    return path, ""


def _has_hyperparameters(path: Path, problems: Problems) -> bool:
    return any(
        tfevents.SESSION_START in event.plugins
        for file in path.iterdir()
        if is_event_file(file.name)
        for event in events_in(file, problems)
    )


def _take(told: _Told, prefix: str, file: Path, problems: Problems) -> None:
    for event in events_in(file, problems):
        for tag, content in event.plugins.items():
            if tag == tfevents.SESSION_START:
                told.began = True
                told.hyperparameters.update(tfevents.read_session_start(content))
            elif tag == tfevents.SESSION_END:
                told.end = tfevents.read_session_end(content)
        if event.time:
            told.times.append(event.time)
        for tag, value in event.scalars.items():
            split, _, name = tag.partition("/")
            if file.name == tfevents.OURS and split in _RESULTS:  # beside the series of that name
                told.results.setdefault(split, {})[name] = value
            else:
                told.points.append((f"{prefix}{tag}", float(event.step), event.time or None, value))


def _run(source: Path, path: Path, told: _Told) -> Foreign:
    inner = path.relative_to(source).as_posix()
    name = inner if inner != "." else files.absolute(path).name
    times = told.times or [0.0]
    return Foreign(
        key=f"{TOOL}:{path}",
        name=name.replace("/", "__"),
        source=path,
        hyperparameters=parts({n: _value(v) for n, v in told.hyperparameters.items()}),
        lines=together(told.points),
        results=told.results,
        status=_ENDS.get(told.end) if told.end is not None else None,
        open=told.end == tfevents.RUNNING,
        started=min(times),
        duration=max(times) - min(times),
    )


def _value(value: tfevents.Simple) -> Any:
    """HParams has whole numbers as floats, and lists as text."""
    if isinstance(value, str):
        return value_of(value)
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 10**_NUMBER_PLACES
    return int(value) if whole else value
