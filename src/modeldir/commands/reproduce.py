"""`modeldir reproduce`: run an experiment again from its kept code, and compare the metrics.

The copy of the project: `experiment/project_copy.py`; the comparison: `results/reproduction.py`.
The original experiment is never written to.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import escaping, files, programs, reading
from modeldir._system.shell import quoted
from modeldir._system.version import __version__
from modeldir.commands.messages import print_stderr
from modeldir.commands.run import follow, patterns
from modeldir.errors import NOTHING_STARTED, FolderError
from modeldir.experiment import attempts, code_files, environments, experiment, project_copy
from modeldir.experiment.code_snapshots import Snapshot
from modeldir.worker.spawner import Spawner
from modeldir.worker.start_order import Start

HELP = "Run an experiment again from its kept code, in a new folder, and compare the metrics."
EXAMPLE = "modeldir reproduce experiments/learning_rate 12"
FOLDERS = "dir"

_MORE = """
modeldir copies the kept code into a new folder, links the data beside it, and
runs the same command with the same hyperparameters. Then it prints whether all
metrics are the same bit for bit, or what differs first. The project and the
experiment stay as they are. Data is linked: a script that changes its input
files changes yours.
"""
_COPIES = "reproduced"
_MARKS = ("params.json", "run.json", "search.json")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir reproduce DIR [--into NEW] [-q]"
    parser.description = f"{HELP}\n{_MORE}"
    parser.add_argument("dir", metavar="DIR", help="an experiment or a trial (DIR 12)")
    parser.add_argument(
        "--into", metavar="NEW", help="the new folder (default: reproduced/ and DIR's name)"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="keep the output, but do not print it"
    )


def run(arguments: argparse.Namespace) -> int:
    from modeldir.results import code_differences  # noqa: PLC0415 - imports difflib

    with Spawner() as spawner:
        original = Path(arguments.dir)
        record = _record(original)
        snapshot = code_differences.snapshot_of(original)
        if snapshot is None:
            raise FolderError(f"{original} has no kept code", state=NOTHING_STARTED)
        copy = _Copy(files.absolute(original), record, snapshot, _target(arguments, original))
        copy.check_paths()
        copy.check_script()
        if not arguments.into:
            _make_parent(copy.target)
        project_copy.lay_out(snapshot, copy.target)
        copy.make_folder()
        linked = project_copy.link_inputs(snapshot, copy.target)
        start = copy.start(is_shown=not arguments.quiet)
        changed = copy.environment_differences()
        for line in (*_notes(copy, linked), *(f"note: {each}" for each in changed)):
            print_stderr(escaping.visible(line))
        code = follow(spawner, start, show=not arguments.quiet)
    return _compared(copy, code, changed)


def _record(folder: Path) -> dict[str, Any]:
    """Return the run file of an experiment that has ended.

    Raises:
        FolderError: when it has not, or when there is no command in it.
    """
    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder), state=NOTHING_STARTED)
    if experiment.is_search(folder):
        raise FolderError(
            f"{folder} is a search\n  name a trial: modeldir reproduce {quoted(folder)} 1",
            state=NOTHING_STARTED,
        )
    last = attempts.latest(folder)
    if last is None or not last.record.get("command") or not last.record.get("cwd"):
        raise FolderError(f"{folder} has no recorded command", state=NOTHING_STARTED)
    if (status := experiment.status(folder).state) != "completed":
        raise FolderError(
            f"{folder} is {status}: only a completed experiment can be reproduced",
            state=NOTHING_STARTED,
        )
    return dict(last.record)


def _target(arguments: argparse.Namespace, original: Path) -> Path:
    if arguments.into:
        return files.absolute(arguments.into)
    return files.absolute(_COPIES) / "-".join(original.parts[-2:]).lstrip("./-")


def _make_parent(target: Path) -> None:
    """Make the folder of all copies; these are not code of the project, so git ignores them."""
    target.parent.mkdir(exist_ok=True)
    if not (target.parent / ".gitignore").exists():
        files.write_bytes(target.parent / ".gitignore", b"*\n")


class _Copy:
    """The new project folder `target`, and in it the new experiment, `folder`.

    The experiment has the same path below it as in the project, so relative paths stay right.
    """

    def __init__(
        self, original: Path, record: dict[str, Any], snapshot: Snapshot, target: Path
    ) -> None:
        self.original, self.record = original, record
        self.snapshot, self.target = snapshot, target
        self.cwd = Path(self._mapped(str(record["cwd"])))
        is_inside = original.is_relative_to(snapshot.root)
        below = original.relative_to(snapshot.root) if is_inside else Path(original.name)
        self.folder = target / below
        self.words = tuple(self._words(record["command"]))

    def _words(self, words: Sequence[str]) -> Iterator[str]:
        """Yield the command's words, with the paths of the copy."""
        is_folder = False
        for word in map(str, words):
            name, equals, value = word.rpartition("=")
            if is_folder or name == "--model_dir":
                yield f"{name}{equals}{os.path.relpath(self.folder, self.cwd)}"
            else:
                yield f"{name}{equals}{self._mapped(value)}"
            is_folder = word == "--model_dir"

    def _mapped(self, word: str) -> str:
        """Return a path of the project, or of the experiment, as one of the copy."""
        if not os.path.isabs(word):
            return word
        path = Path(os.path.normpath(word))
        if hasattr(self, "folder") and path.is_relative_to(self.original):
            return str(self.folder / path.relative_to(self.original))
        if not path.is_relative_to(self.snapshot.root):
            return word
        below = str(path.relative_to(self.snapshot.root))
        is_program = path.is_file() and os.access(path, os.X_OK)
        if is_program and below not in self.snapshot.digests:
            return word  # e.g. that of a virtual environment in the project
        return str(self.target / below)

    def check_paths(self) -> None:
        """Raise an error if the run would write into the project, or into another experiment."""
        if self.folder == self.target or self.target.is_relative_to(self.original):
            raise FolderError(
                f"{self.original} cannot be reproduced in {self.target}: the experiment has to be "
                "a folder of its project, and the new folder must not be in it",
                state=NOTHING_STARTED,
            )
        for word in self.words[1:]:
            path = Path(os.path.normpath(self.cwd / word.rpartition("=")[2]))
            if path.is_relative_to(self.target):
                continue
            if any((above / name).exists() for above in (path, *path.parents) for name in _MARKS):
                raise FolderError(
                    f"the command of {self.original} names another experiment, {path}: the run "
                    "could change it",
                    state=NOTHING_STARTED,
                )

    def make_folder(self) -> None:
        """Make the new experiment's folder before anything is linked, so that it is in the copy.

        Git may track an experiment's files: results of the original are removed, a script stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for above, _, names in os.walk(self.folder):
            for name in names:
                if not code_files.is_source(name):
                    os.remove(os.path.join(above, name))

    def check_script(self) -> None:
        """Raise an error if the script of the command is not in the kept code."""
        script = next((each for each in self.words[1:] if each.endswith(".py")), None)
        path = os.path.relpath(self.cwd / script, self.target) if script else ""
        if script and not path.startswith("..") and path not in self.snapshot.digests:
            raise FolderError(
                f"{script} is not in the kept code of {self.original}\n"
                f"  what is in it: modeldir show {quoted(self.original)} --code",
                state=NOTHING_STARTED,
            )

    def start(self, *, is_shown: bool) -> Start:
        """Make the new experiment's folder; return the order to run the command in it."""
        self.cwd.mkdir(parents=True, exist_ok=True)
        hyperparameters = experiment.params_file(self.original)
        if hyperparameters is not None:
            shutil.copyfile(hyperparameters, self.folder / hyperparameters.name)
        for word in self.words:
            path = Path(word.rpartition("=")[2])
            name = path.name
            if path.parent == self.folder and (self.original / name).is_dir():
                (self.folder / name).mkdir(exist_ok=True)  # made before the command started
        return Start(
            folder=str(self.folder),
            number=1,
            command=self.words,
            cwd=str(self.cwd),
            metrics=patterns(self.original, self.cwd),
            facts={
                "code": self.record.get("code"),
                "environment": environments.keep(self._program(), self.cwd, self.folder),
                "modeldir": __version__,
                "note": f"reproduces {self.original}",
            },
            is_shown=is_shown,
        )

    def environment_differences(self) -> list[str]:
        from modeldir.results import reproduction  # noqa: PLC0415 - only after the start checks

        name = self.record.get("environment")
        home = self.snapshot.folder.parents[1]
        before = reading.read_object(home / environments.FOLDER / f"{name}.json")
        if not before:
            return ["the environment of the original is not recorded"]
        now = environments.environment(self._program(), self.cwd)
        return [*reproduction.environment_differences(before, now)]

    def _program(self) -> str | None:
        return programs.find_program(self.words[0])


def _notes(copy: _Copy, linked: list[str]) -> Iterator[str]:
    yield f"copied {len(copy.snapshot.digests)} files of code to {copy.target}"
    if linked:
        yield f"linked from the project: {', '.join(linked)}"
    for path, why in copy.snapshot.left_out:
        if path not in linked:
            yield f"note: the kept code lacks {path} ({why})"
    if copy.record.get("resumes"):
        yield "note: the original was resumed; this run starts from the beginning"


def _compared(copy: _Copy, code: int, changed: list[str]) -> int:
    from modeldir.results import reproduction  # noqa: PLC0415 - only when there is a result

    where = os.path.relpath(copy.folder)
    if code:
        print(escaping.visible(f"The command failed (exit code {code}): modeldir log {where}"))
        return 1 if code != 130 else code  # noqa: PLR2004 - Ctrl-C
    metrics, lines = reproduction.count(copy.original)
    if not metrics and not lines:
        print(escaping.visible(f"{copy.original} has no metrics to compare. New: {where}"))
        return 1
    difference = reproduction.first_difference(copy.original, copy.folder)
    if difference is None:
        print(f"same bit for bit: {metrics} metrics, {lines} lines of metrics.jsonl")
        return 0
    print(escaping.visible(f"differs first in {difference}"))
    for each in changed or ["a random seed that is not set, or nondeterministic operations"]:
        print(escaping.visible(f"  may explain it: {each}"))
    return 1
