"""Import runs of other tools as experiment folders.

`modeldir import` and `modeldir.exchange.import_runs` call `import_runs`. Each tool has a module
with `recognizes` and `read`. The source is only read. A run that cannot be read becomes a line in
`problems`, and the others are imported.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from modeldir._system import files, reading
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, ModeldirError
from modeldir.exchange import sqlite
from modeldir.exchange.foreign_files import Problems
from modeldir.exchange.foreign_run import ForeignRun, ForeignStudy
from modeldir.exchange.import_folder import ImportFolder
from modeldir.experiment import experiment

TOOLS = ("hydra", "optuna", "ray", "guild", "mlflow", "sacred", "tensorboard")
"""In the order of detection: runs of the others may hold TensorBoard's event files as well."""

_STATE = "Nothing was imported."


class ToolImporter(Protocol):
    def recognizes(self, source: Path) -> bool:
        """Return whether the source holds runs of the tool."""

    def read(self, source: Path, problems: Problems) -> Iterator[ForeignRun | ForeignStudy]:
        """Yield the runs, and append a line to `problems` for each that cannot be read."""


@dataclass(frozen=True)
class ImportResult:
    """The result of an import. As a string it is what `modeldir import` prints."""

    source: str
    tool: str
    folder: Path
    new: int
    updated: int
    same: int
    run_again_here: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = {
            "new": self.new, "brought up to date": self.updated, "there already": self.same,
        }  # fmt: skip
        changes = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        lines = [f"{self.folder}: {changes or 'no runs'}, from {self.tool}: {self.source}"]
        if self.run_again_here:
            names = ", ".join(self.run_again_here)
            lines.append(f"not updated, because they were run again here: {names}")
        if self.unfinished:
            lines.append(
                f"without an end: {', '.join(self.unfinished)}; a search that is continued runs "
                "them first, with only the hyperparameters in their own params.json"
            )
        lines.append(f"next:    modeldir results {quoted(self.folder)}")
        return "\n".join(lines)


def import_runs(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], tool: str | None = None
) -> ImportResult:
    """Import every run of another tool as an experiment.

    Args:
        source: the folder or file with the tool's runs. It is never written to.
        folder: where the experiments go. A second import adds only what is new.
        tool: one of `TOOLS`; by default it is detected.

    Raises:
        FolderError: if the source does not exist, holds no run of the tool, or contains `folder`;
            if another import into `folder` is running.
        ModeldirError: if no tool is detected, a package is missing, or a run cannot be written.
        OSError: if `folder` cannot be made.
    """
    path = files.absolute(source)
    if not path.exists():
        raise FolderError(experiment.no_folder_message(source), state=_STATE)
    _check_not_inside(Path(source), Path(folder))
    tops = (path, files.absolute(folder), *(sqlite.beside(path) if path.is_file() else ()))
    with reading.only_inside(*tops) as inside:
        return _import(source, folder, tool, inside)


def _import(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    tool: str | None,
    inside: reading.Inside,
) -> ImportResult:
    path = files.absolute(source)
    name = tool or _detect_tool(Path(source))
    importer = _importer(name)
    if tool is not None and not importer.recognizes(path):
        others = [name for name in TOOLS if _importer(name).recognizes(path)]
        hint = f"\n  it looks like: --from {others[0]}" if others else ""
        raise FolderError(f"{source}: no run of {tool} was found there.{hint}", state=_STATE)
    _check_installed(name)
    target = ImportFolder(files.absolute(folder), name)
    problems: Problems = []
    with _locked(target.folder, folder):
        try:
            for item in importer.read(path, problems):
                target.mode = inside.mode
                _write(target, item, problems)
                inside.mode = 0o777
        except FolderError as error:
            raise FolderError(_with_typed_source(str(error), source)) from error
        except OSError as error:  # for example a full disk
            done = target.new + target.updated
            raise ModeldirError(
                f"{folder}: {error.strerror or error}: the import was cut short.\n"
                "  run it again to continue",
                state=f"Imported so far, each as a whole: {done}." if done else _STATE,
            ) from error
    problems = [_with_typed_source(problem, source) for problem in problems]
    return ImportResult(
        os.fspath(source), name, Path(folder), target.new, target.updated, target.same,
        tuple(target.run_again_here), tuple(problems), tuple(target.unfinished),
    )  # fmt: skip


def _write(target: ImportFolder, item: ForeignRun | ForeignStudy, problems: Problems) -> None:
    if isinstance(item, ForeignStudy):
        target.write_plan(item)
        return
    try:
        target.write(_with_readable_log(item, problems))
    except (ValueError, TypeError, RecursionError) as error:  # values that no JSON file can hold
        problems.append(f"{item.source}: cannot be imported: {error}")


def _with_readable_log(run: ForeignRun, problems: Problems) -> ForeignRun:
    try:
        if run.log is not None:
            reading.open_stream(run.log).close()
    except FileNotFoundError:
        return replace(run, log=None)
    except OSError as error:
        problems.append(f"{run.log}: left out: {error.strerror}")
        return replace(run, log=None)
    return run


@contextlib.contextmanager
def _locked(path: Path, folder: str | os.PathLike[str]) -> Iterator[None]:
    """Refuse a second import into a folder. The folder is the lock, so a kill leaves no lock."""
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows cannot open a folder
        yield
        return
    try:
        if not files.hold(descriptor):
            raise FolderError(
                f"another import into {folder} is under way.\n  run it again when that has ended",
                state=_STATE,
            )
        yield
    finally:
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()


def _check_not_inside(source: Path, folder: Path) -> None:
    """Check that the folder is not in the source, where the next import would find it."""
    target, top = files.absolute(folder), files.absolute(source)
    if target == top or top in target.parents:
        beside = f"{source if source.name not in {'', '..'} else top}_imported"
        raise FolderError(
            f"{folder} lies in {source}, which import must not change.\n"
            f"  name a folder beside it: -o {quoted(beside)}",
            state=_STATE,
        )


def _with_typed_source(text: str, source: str | os.PathLike[str]) -> str:
    """Replace the absolute path of the source in a message by the path as it was typed."""
    absolute = re.escape(str(files.absolute(source)))
    typed = str(Path(source))
    return re.sub(rf"(?<![\w/]){absolute}(?![\w.-])", lambda _: typed, text)


def _importer(name: str) -> ToolImporter:
    return import_module(f"modeldir.exchange.{name}_import")


def _detect_tool(source: Path) -> str:
    for name in TOOLS:
        if _importer(name).recognizes(files.absolute(source)):
            return name
    raise ModeldirError(
        f"{source}: no run of {', '.join(TOOLS[:-1])} or {TOOLS[-1]} was found there.\n"
        "  folders with params.json need no import: modeldir results "
        f"{quoted(source)}",
        state=_STATE,
    )


def _check_installed(name: str) -> None:
    if name == "optuna" and find_spec("optuna") is None:
        raise ModeldirError(
            "--from optuna needs optuna, which is not installed.\n  pip install 'modeldir[optuna]'",
            state=_STATE,
        )
