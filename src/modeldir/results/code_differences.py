"""Which files of the kept code differ between experiments, and how.

`diff`, `show --code` and the notes of tables call it. The rule: it reads only what
`experiment/code_snapshots` has kept, never the project as it is now.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import escaping, files, reading
from modeldir._system.shell import quoted
from modeldir.experiment import attempts, code_snapshots
from modeldir.experiment.code_snapshots import Snapshot

if TYPE_CHECKING:
    from modeldir.results.experiments import ExperimentRow

_MOST_LINES = 60
"""Lines of a difference that are printed."""
_MOST_NAMED = 4
_MOST_STATES = 50
"""A table compares the first states of the code with each other, not hundreds."""


@dataclass(frozen=True)
class FileChange:
    """A file that differs: `added` and `removed` count lines, or are None if it is no text."""

    path: str
    kind: str
    added: int | None = None
    removed: int | None = None
    lines: tuple[str, ...] = ()


def snapshot_of(folder: Path) -> Snapshot | None:
    """Return the code that the latest attempt in an experiment's folder ran with, if it is kept."""
    attempt = attempts.latest(folder)
    name = attempt.record.get("snapshot") if attempt else None
    return code_snapshots.find(files.absolute(folder), name) if isinstance(name, str) else None


def changed_paths(one: Snapshot, other: Snapshot) -> list[str]:
    """Return the paths that differ between two states of the code, sorted."""
    paths = one.digests.keys() | other.digests.keys()
    return sorted(
        path
        for path in paths
        if one.digests.get(path) != other.digests.get(path)
        or (path in one.executable) != (path in other.executable)
    )


def changes(one: Snapshot, other: Snapshot) -> Iterator[FileChange]:
    """Yield how each file that differs has changed from one state to the other."""
    for path in changed_paths(one, other):
        before, after = _text(one, path), _text(other, path)
        if path not in one.digests or path not in other.digests:
            kind = "new" if path in other.digests else "removed"
        else:
            same = one.digests[path] == other.digests[path]
            kind = "other permissions" if same else "changed"
        if before is None or after is None:
            yield FileChange(path, kind)
            continue
        old, new = (path if path in each.digests else "/dev/null" for each in (one, other))
        lines = tuple(difflib.unified_diff(before, after, old, new, lineterm=""))
        body = lines[2:]
        added = sum(line.startswith("+") for line in body)
        yield FileChange(path, kind, added, sum(line.startswith("-") for line in body), lines)


def text(one: Snapshot, other: Snapshot) -> str:
    """Return how the code differs between two experiments: a line for each file, then the lines."""
    if one.name == other.name:
        return ""
    found = list(changes(one, other))
    width = max((len(escaping.visible(each.path)) for each in found), default=0)
    count = "1 file differs" if len(found) == 1 else f"{len(found)} files differ"
    summary = [f"code: {count}"]
    summary += [
        f"  {escaping.visible(each.path):<{width}}  {_counts(each)}".rstrip() for each in found
    ]
    lines = [escaping.visible(line) for each in found for line in each.lines]
    if len(lines) > _MOST_LINES:
        whole = f"diff -ru {quoted(_shown(one))} {quoted(_shown(other))}"
        lines = [*lines[:_MOST_LINES], f"... {len(lines) - _MOST_LINES} more lines: {whole}"]
    return "\n".join([*summary, *([""] if lines else []), *lines])


def _shown(snapshot: Snapshot) -> str:
    return os.path.relpath(snapshot.folder / code_snapshots.FILES)


def listing(snapshot: Snapshot) -> str:
    """Return the files of a kept state of the code with their sizes, and what it lacks."""
    damaged = set(snapshot.damaged())
    sizes = {path: _size(snapshot, path) for path in sorted(snapshot.digests)}
    width = max(len(f"{size:,}") for size in sizes.values()) if sizes else 0
    lines = [
        f"{size:>{width},} B  {escaping.visible(path)}{'  (damaged)' if path in damaged else ''}"
        for path, size in sizes.items()
    ]
    lacks = [f"  {escaping.visible(path)}: {why}" for path, why in snapshot.left_out]
    title = f"code {snapshot.name} of {escaping.visible(snapshot.root)}"
    blocks = [f"{title}, kept in {_shown(snapshot)}", "\n".join(lines)]
    if lacks:
        blocks.append("\n".join(["not kept:", *lacks]))
    return "\n\n".join(blocks)


def note_on_changes(rows: Iterable[ExperimentRow]) -> list[str]:
    """Return a note that names the files in which the code of a table's experiments differs."""
    first: dict[str, ExperimentRow] = {}
    for row in rows:
        if row.status.code is not None:
            first.setdefault(row.status.code, row)
    if len(first) < 2:  # noqa: PLR2004 - one state of the code
        return []
    states = [snapshot_of(row.path) for row in list(first.values())[:_MOST_STATES]]
    kept = [each for each in states if each is not None]
    paths = dict.fromkeys(
        path for one, other in pairwise(kept) for path in changed_paths(one, other)
    )
    if not paths:
        return []
    command = _command(*list(first.values())[:2])
    return [f"the code differs between experiments in {_listed(list(paths))}: {command}"]


def _command(one: ExperimentRow, other: ExperimentRow) -> str:
    folder = one.path.parent
    if folder == other.path.parent and one.number is not None and other.number is not None:
        return f"modeldir diff {quoted(folder)} {one.number} {other.number}"
    return f"modeldir diff {quoted(one.path)} {quoted(other.path)}"


def _listed(paths: Sequence[str]) -> str:
    named = ", ".join(escaping.visible(path) for path in paths[:_MOST_NAMED])
    more = len(paths) - _MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _counts(change: FileChange) -> str:
    counts = "" if change.added is None else f"  +{change.added} -{change.removed}"
    return f"{change.kind}{counts}"


def _size(snapshot: Snapshot, path: str) -> int:
    try:
        return snapshot.path_of(path).lstat().st_size
    except OSError:
        return 0


def _text(snapshot: Snapshot, path: str) -> list[str] | None:
    """Return the lines of a kept file, none if it is not there; None if it is no text."""
    if path not in snapshot.digests:
        return []
    data = reading.read_bytes(snapshot.path_of(path), reading.TEXT)
    if data is None or b"\0" in data:
        return None
    return data.decode("utf-8", "replace").splitlines()
