"""`modeldir revert`: put the code of an experiment back into the project.

The present code is kept first, as a snapshot in the same folder, so nothing is lost. The
rules, and the writing itself: `experiment/code_revert.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from modeldir._system import escaping, files
from modeldir._system.shell import quoted
from modeldir.commands.folders import read_tree
from modeldir.errors import FolderError
from modeldir.experiment import code_revert, code_snapshots, experiment
from modeldir.experiment.code_revert import UNCHANGED
from modeldir.experiment.code_snapshots import Keeper, Snapshot

HELP = "Put the code of an experiment back into the project. Your present code is kept first."
EXAMPLE = "modeldir revert experiments/learning_rate 12 --dry-run"
FOLDERS = "dir"

_MORE = """
modeldir keeps the code as it is now and prints how to get it back. Then it
writes the files that differ, and removes those that the experiment did not
have. It changes nothing if something would be lost. Data, secrets, large files,
files that git ignores and the folders of experiments stay as they are.
"""
_MOST_NAMED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir revert DIR [--dry-run]"
    parser.description = f"{HELP}\n{_MORE}"
    parser.add_argument(
        "dir", metavar="DIR", help="an experiment, a trial (DIR 12), or kept code (DIR/.modeldir/"
        "code/NAME)"
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would change; change nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    folder, here = Path(arguments.dir), Path.cwd()
    snapshot = _snapshot(folder)
    root = code_revert.root_for(snapshot, here)
    keeper = Keeper(root, snapshot.folder.parents[2])
    keeper.root = root
    digests = keeper.digests()
    if digests is None:
        raise _cannot_keep("there are too many source files")
    change = code_revert.plan(snapshot, root, digests)
    if not change.problems and not arguments.dry_run and _changes(change):
        change = code_revert.plan(snapshot, root, _kept(keeper))
    if change.problems:
        head = f"the code of {folder} cannot be put back:"
        raise FolderError(escaping.visible(head), map(_visible, change.problems), UNCHANGED)
    if not _changes(change):
        print("\n".join([*_left(change), f"The code is already that of {folder}."]))
        return 0
    print("\n".join([*_lines(change), *_left(change)]), flush=True)
    if not arguments.dry_run:
        code_revert.apply(change)
    print(_summary(change, arguments))
    return 0


def _snapshot(folder: Path) -> Snapshot:
    """Return the kept code that is meant.

    Raises:
        FolderError: when none is kept, or when the trials of a search ran different code.
    """
    from modeldir.results.code_differences import snapshot_of  # noqa: PLC0415 - imports difflib

    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder), state=UNCHANGED)
    found = code_snapshots.read(files.absolute(folder))
    if found is None and experiment.is_search(folder):
        trials = {row.path: snapshot_of(row.path) for row in read_tree(folder).experiments}
        kept = {each.name: each for each in trials.values() if each is not None}
        if len(kept) > 1:
            one = next(path for path, each in trials.items() if each is not None)
            raise FolderError(
                f"the trials of {folder} ran {len(kept)} states of the code\n"
                f"  name one of them: modeldir revert {quoted(one)}",
                state=UNCHANGED,
            )
        found = next(iter(kept.values()), None)
    found = found or snapshot_of(folder)
    if found is None:
        raise FolderError(f"{folder} has no kept code", state=UNCHANGED)
    return found


def _kept(keeper: Keeper) -> dict[str, str]:
    """Keep the present code, and print how to get it back before anything is changed."""
    name = keeper.keep()
    if name is None:
        if keeper.problem is None and not keeper.digests():
            return {}  # the project has no code now
        raise _cannot_keep(keeper.problem or "a copy failed less than a minute ago")
    folder = keeper.store / name
    kept = code_snapshots.read(folder)
    if kept is None:
        raise _cannot_keep(f"{folder} cannot be read")
    print(f"kept the code as it is now: {name}")
    back = os.path.relpath(folder)
    print(f"  to get it back: modeldir revert {quoted(back)}", flush=True)
    return kept.digests


def _cannot_keep(why: str) -> FolderError:
    return FolderError(f"the code as it is now cannot be kept: {why}", state=UNCHANGED)


def _changes(change: code_revert.Plan) -> int:
    return len(change.written) + len(change.removed)


def _visible(problem: tuple[str, str | None]) -> tuple[str, str | None]:
    what, hint = problem
    return escaping.visible(what), None if hint is None else escaping.visible(hint)


def _lines(change: code_revert.Plan) -> Iterator[str]:
    for path in change.written:
        word = "write " if path in change.before else "new   "
        yield f"  {word}  {escaping.visible(path)}"
    yield from (f"  remove  {escaping.visible(path)}" for path in change.removed)


def _left(change: code_revert.Plan) -> Iterator[str]:
    """Yield a line on the files that may differ and stay as they are."""
    named = [f"{escaping.visible(path)} ({why})" for path, why in change.left[:_MOST_NAMED]]
    more = len(change.left) - _MOST_NAMED
    if named:
        yield f"left as they are: {', '.join(named)}{f' and {more} more' if more > 0 else ''}"


def _summary(change: code_revert.Plan, arguments: argparse.Namespace) -> str:
    counts = f"{_files(len(change.written))} written, {len(change.removed)} removed"
    where = f" in {change.root}" if change.root != Path.cwd() else ""
    name = f"the code of {arguments.dir} ({change.snapshot.name})"
    if arguments.dry_run:
        return f"Would put back {name}{where}: {counts}. Nothing was changed."
    return f"Put back {name}{where}: {counts}."


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
