"""Runs of other tools as experiment folders, so that people can come over.

It knows which tools can be read, how a folder is recognized as one's, and what to say of an import.
It refuses to know their formats: each has a module with `recognizes` and `read`. The source is only
read, no pickle is ever loaded, and what cannot be read is a line in the answer, never an end.

Start at `import_runs`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, ModeldirError
from modeldir.exchange.foreign_files import Problems
from modeldir.exchange.foreign_run import Foreign, Group
from modeldir.exchange.writer import Writing
from modeldir.experiment import experiment

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
    open: tuple[str, ...] = ()
    """New trials of a search that have no end there."""

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
        FolderError: when the source is not there, is not the tool's, or the two are one place; when
            another import into `folder` is under way.
        ModeldirError: when nobody knows what it is, what reads it is not installed, or it cannot be
            written.
        OSError: when `folder` cannot be made.
    """
    place = files.absolute(source)
    if not place.exists():
        raise FolderError(f"{experiment.no_folder(source)}", state=_STATE)
    _refuse_inside(Path(source), Path(folder))
    name = tool or _recognized(Path(source))
    reader = _reader(name)
    if tool is not None and not reader.recognizes(place):
        raise FolderError(_not_its(os.fspath(source), place, tool))
    _check_installed(name)
    writing = Writing(files.absolute(folder), name)
    problems: Problems = []
    with _alone(writing.folder, folder):
        try:
            for found in reader.read(place, problems):
                _write(writing, found, problems)
        except FolderError as error:
            raise FolderError(_typed(str(error), source)) from error
        except OSError as error:  # a full disk
            raise ModeldirError(_cut_short(folder, writing, error)) from error
    problems = [_typed(problem, source) for problem in problems]
    return Imported(
        os.fspath(source), name, Path(folder), writing.new, writing.updated, writing.same,
        tuple(writing.spared), tuple(problems), tuple(writing.open),
    )  # fmt: skip


def _write(writing: Writing, found: Foreign | Group, problems: Problems) -> None:
    if isinstance(found, Group):
        writing.plan(found)
        return
    try:
        writing.write(found)
    except (ValueError, TypeError, RecursionError) as error:  # what no file of ours can hold
        problems.append(f"{found.source}: cannot be imported: {error}")


@contextlib.contextmanager
def _alone(place: Path, folder: str | os.PathLike[str]) -> Iterator[None]:
    """Two imports into a folder at once would each make every run: the second is refused.

    The folder itself is locked: no file of a lock is left behind, also by one that is killed.
    """
    is_new = not place.exists()
    place.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(place, os.O_RDONLY)
    except OSError:  # Windows opens no folder
        yield
        return
    try:
        if not files.hold(descriptor):
            raise FolderError(
                f"another import into {folder} is under way.\n  say it again when that has ended",
                state=_STATE,
            )
        yield
    finally:
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):  # it holds something
                place.rmdir()


def _refuse_inside(source: Path, folder: Path) -> None:
    """A folder in the source would change it, and be found there by the next import."""
    place, top = files.absolute(folder), files.absolute(source)
    if place == top or top in place.parents:
        beside = f"{source if source.name not in {'', '..'} else top}_imported"
        raise FolderError(
            f"{folder} lies in {source}, which is only to be read.\n"
            f"  name a folder beside it: -o {quoted(beside)}",
            state=_STATE,
        )


def _typed(text: str, source: str | os.PathLike[str]) -> str:
    """A message of a reader, which has whole paths as keys, with the source as it was typed."""
    whole = re.escape(str(files.absolute(source)))
    typed = str(Path(source))
    return re.sub(rf"(?<![\w/]){whole}(?![\w.-])", lambda _: typed, text)


def _reader(name: str) -> Reader:
    return import_module(f"modeldir.exchange.{name}_import")


def _recognized(source: Path) -> str:
    for name in TOOLS:
        if _reader(name).recognizes(files.absolute(source)):
            return name
    raise ModeldirError(
        f"{source}: no run of {', '.join(TOOLS[:-1])} or {TOOLS[-1]} was found there.\n"
        "  folders with params.json need no import: modeldir synthesize "
        f"{quoted(source)}",
        state=_STATE,
    )


def _not_its(source: str, place: Path, tool: str) -> str:
    others = [name for name in TOOLS if _reader(name).recognizes(place)]
    hint = f"\n  it looks like: --from {others[0]}" if others else ""
    return f"{source}: no run of {tool} was found there.{hint}\n{_STATE}"


def _cut_short(folder: str | os.PathLike[str], writing: Writing, error: OSError) -> str:
    done = writing.new + writing.updated
    return (
        f"{folder}: {error.strerror or error}: the import was cut short.\n"
        "  say it again to go on with it\n"
        f"{f'Imported so far, each as a whole: {done}.' if done else _STATE}"
    )


def _check_installed(name: str) -> None:
    if name == "optuna" and find_spec("optuna") is None:
        raise ModeldirError(
            "--from optuna needs optuna, not installed here.\n  pip install 'modeldir[optuna]'",
            state=_STATE,
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
    if imported.open:
        lines.append(
            f"without an end: {', '.join(imported.open)}; a search that goes on runs them first, "
            "with what their own params.json says and no more"
        )
    lines.append(f"next:    modeldir synthesize {quoted(imported.folder)}")
    return "\n".join(lines)
