"""Runs of other tools as experiment folders, so that people can come over.

It knows which tools can be read, how a folder is recognized as one's, and what to say of an import.
It refuses to know their formats: each has a module with `recognizes` and `read`. The source is only
read, no pickle is ever loaded, and what cannot be read is a line in the answer, never an end.

Start at `import_runs`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from modeldir import experiment, files
from modeldir.errors import FolderError, ModeldirError
from modeldir.imports.foreign import Foreign, Group
from modeldir.imports.lying import Problems
from modeldir.imports.writing import Writing
from modeldir.values import dataclass

TOOLS = ("hydra", "optuna", "ray", "guild", "mlflow", "sacred", "tensorboard")
"""In the order in which a folder is looked at: some of them hold event files as well."""

_STATE = "Nothing was imported."


class Reader(Protocol):
    """What the module of a tool has."""

    def recognizes(self, source: Path) -> bool:
        """Whether runs of the tool are there."""

    def read(self, source: Path, problems: Problems) -> Iterator[Foreign | Group]:
        """Its runs; what cannot be read is told in `problems`."""


@dataclass(frozen=True)
class Imported:
    """What became of an import: from which tool, and how many runs of which kind."""

    source: str
    tool: str
    folder: Path
    new: int
    updated: int
    same: int
    spared: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        return told(self)


def import_runs(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], tool: str | None = None
) -> Imported:
    """Every run of another tool in a folder or a file, as an experiment in `folder`.

    Args:
        source: where the tool keeps its runs. It is never written to.
        folder: where the experiments go; said again, only what is new is added.
        tool: one of `TOOLS`; by default found out.

    Raises:
        FolderError: when the source is not there, is not the tool's, or the two are one place.
        ModeldirError: when nobody knows what it is, or what reads it is not installed.
        OSError: when it cannot be written.
    """
    place = files.absolute(source)
    if not place.exists():
        raise FolderError(f"{experiment.no_folder(source)}\n{_STATE}")
    _refuse_inside(place, files.absolute(folder))
    name = tool or _recognized(place)
    reader = _reader(name)
    if tool is not None and not reader.recognizes(place):
        raise FolderError(_not_its(os.fspath(source), place, tool))
    _check_installed(name)
    writing = Writing(files.absolute(folder), name)
    problems: Problems = []
    for found in reader.read(place, problems):
        if isinstance(found, Group):
            writing.plan(found)
        else:
            try:
                writing.write(found)
            except (
                ValueError,
                TypeError,
                RecursionError,
            ) as error:  # what no file of ours can hold
                problems.append(f"{found.source}: cannot be imported: {error}")
    return Imported(
        os.fspath(source), name, Path(folder), writing.new, writing.updated, writing.same,
        tuple(writing.spared), tuple(problems),
    )  # fmt: skip


def _refuse_inside(source: Path, folder: Path) -> None:
    """A folder in the source would change it, and be found there by the next import."""
    if folder == source or source in folder.parents:
        raise FolderError(
            f"{folder} lies in {source}, which is only to be read.\n"
            f"  name a folder beside it: -o {source}_imported\n{_STATE}"
        )


def _reader(name: str) -> Reader:
    return import_module(f"modeldir.imports.{name}")


def _recognized(source: Path) -> str:
    for name in TOOLS:
        if _reader(name).recognizes(source):
            return name
    raise ModeldirError(
        f"{source}: no run of {', '.join(TOOLS[:-1])} or {TOOLS[-1]} was found there.\n"
        "  folders with params.json need no import: modeldir synthesize "
        f"{shlex.quote(str(source))}\n{_STATE}"
    )


def _not_its(source: str, place: Path, tool: str) -> str:
    others = [name for name in TOOLS if _reader(name).recognizes(place)]
    hint = f"\n  it looks like: --from {others[0]}" if others else ""
    return f"{source}: no run of {tool} was found there.{hint}\n{_STATE}"


def _check_installed(name: str) -> None:
    if name == "optuna" and find_spec("optuna") is None:
        raise ModeldirError(
            "--from optuna needs optuna, not installed here.\n"
            f"  pip install 'modeldir[optuna]'\n{_STATE}"
        )


# -- Words -----------------------------------------------------------------------------------------


def told(imported: Imported) -> str:
    """What `modeldir import` prints."""
    counts = {
        "new": imported.new,
        "brought up to date": imported.updated,
        "there already": imported.same,
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines = [f"{imported.folder}: {said or 'no runs'}, from {imported.tool}: {imported.source}"]
    if imported.spared:
        names = ", ".join(imported.spared)
        lines.append(f"left as they are, for they were run again here: {names}")
    lines.append(f"next:    modeldir synthesize {shlex.quote(str(imported.folder))}")
    return "\n".join(lines)
