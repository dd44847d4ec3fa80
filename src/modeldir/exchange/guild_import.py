"""Import Guild AI runs: folders with `.guild/attrs`, which has one small YAML file per attribute.

`importing` calls `recognizes` and `read`. Guild's locks are ignored, so a run without an exit
status counts as unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir.exchange.foreign_files import (
    Problems,
    event_files,
    event_lines,
    read_lines,
    read_or_report,
    walk,
)
from modeldir.exchange.foreign_run import ForeignRun, nest, parse_value
from modeldir.experiment import attempts, error_lines

_ATTRS = ".guild/attrs"
_STOPPED = {-15, -2, 130, 143}
"""Exit codes of a run that was stopped by a signal."""


def recognizes(source: Path) -> bool:
    return any((path / _ATTRS).is_dir() for path, _, _ in walk(source, []))


def read(source: Path, problems: Problems) -> Iterator[ForeignRun]:
    """Yield the runs in the order of their folders: the trials of a batch, not the batch."""
    for path, folders, names in walk(source, problems):
        if ".guild" in folders and (path / _ATTRS).is_dir():
            folders.clear()  # a run holds no runs, but may hold copies of some
            if not (path / ".guild/proto").exists():
                yield from read_or_report(problems, path, partial(_run, path, names, problems))


def _run(path: Path, names: list[str], problems: Problems) -> ForeignRun:
    entries = sorted(entry for entry in (path / _ATTRS).iterdir() if entry.is_file())
    attrs = {entry.name: _attr(entry, problems) for entry in entries}
    flags = attrs.get("flags")
    started, ended = _time(attrs.get("started")), _time(attrs.get("stopped"))
    code = attrs.get("exit_status")
    status = None
    if isinstance(code, int):
        finished = attempts.COMPLETED if code == 0 else attempts.FAILED
        status = attempts.INTERRUPTED if code in _STOPPED else finished
    output = path / ".guild/output"
    tail = reading.tail(output) if output.is_file() else b""
    events = event_files(path, problems)
    lines = event_lines(events, problems) if events else read_lines(path, names, problems)
    command, label = attrs.get("cmd"), attrs.get("label")
    label = f"_{label}" if isinstance(label, str) and label else ""
    return ForeignRun(
        key=f"guild:{path.name}",
        name=f"{path.name[:8]}{label}",
        source=path,
        hyperparameters=nest(flags) if isinstance(flags, Mapping) else {},
        lines=[{n: v for n, v in line.items() if not n.startswith("sys/")} for line in lines],
        status=status,
        unfinished=status is None and started is not None,
        reason=f"exit code {code}" if status == attempts.FAILED else None,
        last_line=error_lines.error_line(tail) if status == attempts.FAILED else None,
        started=started,
        duration=ended - started if started is not None and ended is not None else None,
        command=[str(word) for word in command] if isinstance(command, list) else (),
        log=output if output.is_file() else None,
        facts={"id": path.name, "label": attrs.get("label"), "exit_status": code,
               "sourcecode_digest": attrs.get("sourcecode_digest")},
    )  # fmt: skip


def _attr(path: Path, problems: Problems) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    text = (reading.read_bytes(path) or b"").decode("utf-8", "replace").strip()
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        problems.append(f"{path}: is not YAML")
        return parse_value(text)


def _time(stamp: object) -> float | None:
    """Convert a time of Guild, which is in microseconds."""
    return stamp / 1e6 if isinstance(stamp, (int, float)) else None
