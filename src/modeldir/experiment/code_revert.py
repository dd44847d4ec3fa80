"""Put a kept state of the code back into its project, without losing what is there.

`modeldir revert` calls `plan`, prints it, and calls `apply`. The rule: no file is written over or
removed unless a snapshot holds it as it is at that moment, and no link is followed. Files that the
rules of snapshots do not cover are never touched. How code is kept: `code_snapshots`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldir._system import files, reading
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, Problem
from modeldir.experiment import code_files
from modeldir.experiment.code_snapshots import Snapshot

UNCHANGED = "Nothing was changed."
_OTHERS = "it belongs to an experiment, an environment or another repository"
_SECRET = "its name is that of a secret"  # noqa: S105 - a reason in words
_LACKING = "the kept code lacks it: "
_TEMPORARY = re.compile(r"\.tmp-(\d+)-[0-9a-f]{12}")


@dataclass(frozen=True)
class Plan:
    """The changes in a project: `written` and `removed` are paths below its folder, `root`.

    `left` are files that stay as they are although they may differ, with the reason in words;
    `problems` are reasons to change nothing at all. `before` has the digests of the files now.
    """

    root: Path
    snapshot: Snapshot
    before: Mapping[str, str]
    written: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def root_for(snapshot: Snapshot, here: Path) -> Path:
    """Return the folder of the project that a snapshot is of, as seen from the current folder.

    Raises:
        FolderError: when the current folder is not in that project.
    """
    root, project = Path(snapshot.root), code_files.root_of(here)
    if files.same_file(root, project):
        return project
    if root.is_dir():
        inside = root.resolve()
        if inside.is_relative_to(project) and here.is_relative_to(inside):
            return inside  # one project of many in a large repository
        raise FolderError(
            f"this is the code of {root}, and you are in {here}\n  first: cd {quoted(root)}",
            state=UNCHANGED,
        )
    moved = snapshot.folder.resolve().is_relative_to(project)  # the project has another path now
    if moved and any((project / path).is_file() for path in snapshot.digests):
        return project
    raise FolderError(
        f"this is the code of {root}, which does not exist any more\n"
        "  To get a copy of it, see where it is kept: modeldir show DIR --code",
        state=UNCHANGED,
    )


def plan(snapshot: Snapshot, root: Path, before: Mapping[str, str]) -> Plan:
    """Compare a project with a kept state of its code; change nothing.

    Args:
        snapshot: the code that is wanted.
        root: the project's folder.
        before: the digests of the project's files as `code_snapshots` keeps them now.
    """
    left, left_out = dict[str, str](), dict(snapshot.left_out)
    written, removed = list[str](), list[str]()
    for path in sorted({*snapshot.digests, *before}):
        now = before.get(path) or digest_of(root / path)
        is_executable = path in snapshot.executable
        if snapshot.digests.get(path) == now and _is_executable(root / path) == is_executable:
            continue
        if code_files.is_secret(path):
            left[path] = _SECRET
        elif _is_of_other(root, path, snapshot):
            left[path] = _OTHERS
        elif path in snapshot.digests:
            written.append(path)
        elif path in left_out:
            left[path] = f"{_LACKING}{left_out[path]}"
        else:
            removed.append(path)
    left |= {
        path: f"{_LACKING}{why}"
        for path, why in left_out.items()
        if path not in left and os.path.lexists(root / path)
    }
    problems = [
        Problem(f"{snapshot.path_of(path)} was changed", "this copy of the code cannot be used")
        for path in snapshot.damaged()
    ]
    gone = frozenset(removed)
    for path in written:
        problems += _in_the_way(root, path, before, gone)
    for path in removed:
        problems += _not_writable(root, path)
    return Plan(
        root, snapshot, before, tuple(written), tuple(removed), (*left.items(),), (*problems,)
    )


def apply(change: Plan) -> None:
    """Remove and write the files of a plan, each one as a whole.

    If it is killed, the same plan made again does the rest.

    Raises:
        FolderError: when somebody changes one of the files meanwhile.
    """
    for folder in {os.path.dirname(path) for path in change.written}:
        _remove_leftovers(change.root / folder)
    for path in change.removed:
        _check_unchanged(change, path)
        os.unlink(change.root / path)
    for path in change.written:
        target = change.root / path
        if target.is_dir() and not target.is_symlink():
            _remove_empty(target)
        _check_unchanged(change, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        data = reading.read(change.snapshot.path_of(path), reading.TEXT)
        if change.before.get(path) != change.snapshot.digests[path]:
            files.write_bytes(target, data)
        _set_executable(target, wanted=path in change.snapshot.executable)


# -- What stands in the way ------------------------------------------------------------------------


def _in_the_way(
    root: Path, path: str, before: Mapping[str, str], removed: frozenset[str]
) -> Iterator[Problem]:
    """Yield why a file cannot be written without the loss of something that is not kept."""
    for above in _above(path):
        status = _lstat(root / above)
        if status is None or (stat.S_ISREG(status.st_mode) and above in removed):
            break
        if not stat.S_ISDIR(status.st_mode):
            what = "a link" if stat.S_ISLNK(status.st_mode) else "not a folder, and is not kept"
            yield Problem(f"{above} is {what}, so {path} cannot be written", _move(above))
            return
    status = _lstat(root / path)
    if status is None:
        yield from _not_writable(root, path)
    elif stat.S_ISDIR(status.st_mode):
        for other in _others_in(root, path, removed):
            yield Problem(f"{path} is a folder now, and {other} in it is not kept", _move(path))
            return
    elif stat.S_ISLNK(status.st_mode):
        yield Problem(f"{path} is a link, and links are not kept", _move(path))
    elif path not in before:
        why = "it is larger than 1 MB" if status.st_size > code_files.LARGEST else (
            "it cannot be read, or it is no source file, or git ignores it"
        )  # fmt: skip
        yield Problem(f"{path} is not kept as it is now: {why}", _move(path))
    else:
        yield from _not_writable(root, path)


def _not_writable(root: Path, path: str) -> Iterator[Problem]:
    folder = next(each for each in (root / path).parents if _lstat(each) is not None)
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        yield Problem(f"{folder} cannot be written", None)


def _move(path: str) -> str:
    return f"move {path} away, then run this again"


def _others_in(root: Path, folder: str, removed: frozenset[str]) -> Iterator[str]:
    """Yield what is in a folder apart from the files that are kept and removed."""
    for here, folders, names in os.walk(root / folder):
        for name in names:
            path = os.path.relpath(os.path.join(here, name), root)
            if path not in removed:
                yield path
        links = (name for name in folders if os.path.islink(os.path.join(here, name)))
        yield from (os.path.relpath(os.path.join(here, name), root) for name in links)


def _is_of_other(root: Path, path: str, snapshot: Snapshot) -> bool:
    """Return whether a file lies in an experiment, which never changes, or in another repository.

    Git may track the files of experiments, so snapshots may hold them.
    """
    return any(
        code_files.is_of_other(os.path.join(root, above))
        or any(f"{above}/{name}" in snapshot.digests for name in code_files.MARKS_OF_OTHERS)
        for above in _above(path)
    )


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path leads through, the outermost first."""
    parts = path.split("/")
    yield from ("/".join(parts[:count]) for count in range(1, len(parts)))


# -- Files -----------------------------------------------------------------------------------------


def _check_unchanged(change: Plan, path: str) -> None:
    """Raise an error if a file is not as it was kept, or if a link leads to it."""
    through_link = any((change.root / above).is_symlink() for above in _above(path))
    now = digest_of(change.root / path)
    if through_link or now != change.before.get(path):
        raise FolderError(
            f"{change.root / path} was changed while its project was reverted\n"
            "  to keep it as it is now and continue: run this again"
        )


def digest_of(path: Path) -> str | None:
    """Return the digest of a file as manifests have it; None if no name is there."""
    status = _lstat(path)
    if status is None:
        return None
    data = reading.read_bytes(path, reading.TEXT) if stat.S_ISREG(status.st_mode) else None
    return "" if data is None else hashlib.sha256(data).hexdigest()


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _is_executable(path: Path) -> bool:
    status = _lstat(path)
    return status is not None and bool(status.st_mode & stat.S_IXUSR)


def _set_executable(path: Path, *, wanted: bool) -> None:
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    new = mode | (mode & 0o444) >> 2 if wanted else mode & ~0o111
    if new != mode:
        os.chmod(path, new)


def _remove_empty(folder: Path) -> None:
    """Remove a folder in which nothing but empty folders is left."""
    for here, _, _ in os.walk(folder, topdown=False):
        os.rmdir(here)


def _remove_leftovers(folder: Path) -> None:
    """Remove the half-written file of a `revert` that was killed; never that of a living one."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            made = _TEMPORARY.fullmatch(entry.name)
            if made and not os.path.exists(f"/proc/{made[1]}"):
                os.unlink(entry.path)
