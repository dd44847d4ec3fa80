"""Guild AI's runs: each folder with `.guild/attrs`, where one small YAML file says one thing.

It knows how Guild tells a run's end (an exit status), and that its scalars lie in event files. It
refuses to look at Guild's locks: whether a run is alive is for Guild to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.exchange.foreign_files import (
    Problems,
    event_files,
    event_lines,
    lines_in,
    tolerant,
    walk,
)
from modeldir.exchange.foreign_run import Foreign, parts, value_of
from modeldir.experiment import attempts, failures

TOOL = "guild"
_ATTRS = ".guild/attrs"
_STOPPED = {-15, -2, 130, 143}
"""Exit codes of a run that somebody has ended."""


def recognizes(source: Path) -> bool:
    """Whether a run of Guild's lies in or below a folder."""
    return any((path / _ATTRS).is_dir() for path, _, _ in walk(source, []))


def read(source: Path, problems: Problems) -> Iterator[Foreign]:
    """Its runs, in the order of the folders; a batch is none, its trials are."""
    for path, folders, names in walk(source, problems):
        if ".guild" in folders and (path / _ATTRS).is_dir():
            folders.clear()  # a run has no runs in it, but may have copies of some
            if not (path / ".guild/proto").exists():
                yield from tolerant(problems, path, partial(_run, path, names, problems))


def _run(path: Path, names: list[str], problems: Problems) -> Foreign:
    attrs = {name: _attr(path / _ATTRS / name, problems) for name in _files(path / _ATTRS)}
    flags = attrs.get("flags")
    begun, ended = _time(attrs.get("started")), _time(attrs.get("stopped"))
    code = attrs.get("exit_status")
    status = None
    if isinstance(code, int):
        ended_well = attempts.COMPLETED if code == 0 else attempts.FAILED
        status = attempts.INTERRUPTED if code in _STOPPED else ended_well
    output = path / ".guild/output"
    tail = files.tail(output) if output.is_file() else b""
    events = event_files(path, problems)
    lines = event_lines(events, problems) if events else lines_in(path, names, problems)
    command = attrs.get("cmd")
    return Foreign(
        key=f"{TOOL}:{path.name}",
        name=_name(path, attrs),
        source=path,
        hyperparameters=parts(flags) if isinstance(flags, Mapping) else {},
        lines=[{n: v for n, v in line.items() if not n.startswith("sys/")} for line in lines],
        status=status,
        open=status is None and begun is not None,
        reason=f"exit code {code}" if status == attempts.FAILED else None,
        last_line=failures.last_line(tail) if status == attempts.FAILED else None,
        started=begun,
        duration=ended - begun if begun is not None and ended is not None else None,
        command=[str(word) for word in command] if isinstance(command, list) else (),
        log=output if output.is_file() else None,
        facts={"id": path.name, "label": attrs.get("label"), "exit_status": code,
               "sourcecode_digest": attrs.get("sourcecode_digest")},
    )  # fmt: skip


def _files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())


def _attr(path: Path, problems: Problems) -> Any:
    """One attribute: YAML, also a bare number or a text."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and few files are YAML
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    text = (files.read_bytes(path) or b"").decode("utf-8", "replace").strip()
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        problems.append(f"{path}: is no YAML")
        return value_of(text)


def _time(stamp: object) -> float | None:
    """Guild's times are microseconds."""
    return stamp / 1e6 if isinstance(stamp, (int, float)) else None


def _name(path: Path, attrs: Mapping[str, Any]) -> str:
    label = attrs.get("label")
    return f"{path.name[:8]}_{label}" if isinstance(label, str) and label else path.name[:8]
