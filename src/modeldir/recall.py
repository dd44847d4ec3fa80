"""What the folders of a large tree held when they were last read, kept for the next reader.

It knows how to tell by a `stat` that a folder is as it was. It refuses to be needed: the file may
be missing, old, of another version, cut off or taken away at any time, and the answer is the same,
only later. What was read is known again by what it was read from: for each folder, and for each
file that anybody may overwrite in its place, when its inode last changed (which no program can set
back), to the nanosecond, its size and its inode. What had changed within two seconds before the
reading began is not kept: it might change once more without another time.

The file lies in the user's own cache folder, never in the tree: trees are copied, unpacked,
read-only and shared, and `marshal`, the one format that is quick without an import, must not be fed
what others wrote. So a file is looked at only if it, and its folder, belong to this user and
nobody else may write there. Each tree has one file, replaced as a whole. Start at `Recall`.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import stat
import time
import zlib
from collections.abc import Sequence
from typing import Any

from modeldir import __version__, files
from modeldir.folders import Contents, Facts, Stamp, stamp

FEWEST = 2_000
"""Folders. Of fewer nothing is kept: reading them takes no longer than reading this would."""
FORMAT = 1
TREES = 16
"""Whose files are kept; of more, those go that were not written for longest."""
_SETTLED = 2_000_000_000
_TICK = 20_000_000
"""By how much a new file may be younger than its folder: it is made, and then written."""
_CHANGED_PART = 20
"""The file is written anew when more than one folder in so many had to be read."""

_Entry = tuple[int, int, tuple[str, ...], tuple[Stamp, ...], tuple[Any, ...]]
"""Of a folder: its time, its inode, its files' names, those to look at, its `Facts`."""


class Recall:
    """What is known of one tree, and what is learnt of it in order to `keep` it."""

    def __init__(self, top: str, *, keep: bool = True) -> None:
        self._keep = keep
        self._top = os.path.realpath(top)
        self._path = place(self._top)
        self._began = time.monotonic()
        self._known = _read(self._path, self._top) if self._path else {}
        self._learnt: dict[str, tuple[int, _Entry]] = {}
        self._recalled: list[str] = []
        self.is_watching = bool(self._known)

    def expect(self, count: int) -> None:
        """Begin to learn, if the tree has so many folders that it pays, and there is a place."""
        if not self.is_watching and self._keep and count >= FEWEST and self._path is not None:
            folder = os.path.dirname(self._path)
            with contextlib.suppress(OSError):
                os.makedirs(folder, mode=0o700, exist_ok=True)
                self.is_watching = _is_ours(os.stat(folder))
            self._keep = self.is_watching

    def names(self, name: str, status: os.stat_result) -> tuple[str, ...] | None:
        """The files' names in a folder without folders, if it is as it was; `name` is its path
        below the top.
        """
        known = self._known.get(name)
        is_as_it_was = known and known[:2] == (status.st_ctime_ns, status.st_ino)
        return known[2] if known and is_as_it_was else None

    def facts(self, name: str, path: str) -> Facts | None:
        """What its files hold, if each that may change in its place is as it was."""
        known = self._known[name]
        try:
            for file in known[3]:
                if stamp(file[0], os.stat(f"{path}/{file[0]}")) != file:
                    return None
        except OSError:
            return None
        self._recalled.append(name)
        return Facts(*known[4])

    def learn(
        self,
        name: str,
        status: os.stat_result,
        contents: Contents,
        stamps: Sequence[Stamp],
        facts: Facts,
    ) -> None:
        """Keep what was read of a folder, with what was seen before it was read."""
        changed = status.st_ctime_ns
        # On some file systems a folder's time stands still, whatever comes into it.
        if stamps and min(each[1] for each in stamps) > changed + _TICK:
            return
        # Where an end is recorded our files are all that is to come, and they come by rename.
        safe = contents.arrives_by_rename() if contents.run else ()
        looked_at = tuple(each for each in stamps if each[0] not in safe or each[1] > changed)
        newest = max(changed, *(each[1] for each in stamps)) if stamps else changed
        entry = (changed, status.st_ino, contents.names, looked_at, tuple(facts))
        self._learnt[name] = newest, entry

    def save(self) -> None:
        """Leave it for the next one, if enough is new. What cannot be written is let be."""
        few = len(self._learnt) * _CHANGED_PART <= len(self._known)
        if self._path is None or not self._keep or few:
            return
        # ValueError: a value that marshal has no form for, or nested too deep for it.
        with contextlib.suppress(OSError, ValueError):
            body = marshal.dumps(self._kept())
            files.write_bytes(self._path, _head(self._top, body) + body)
            _sweep(os.path.dirname(self._path))

    def _kept(self) -> dict[str, _Entry]:
        began = _now_in(self._top) - int((time.monotonic() - self._began) * 1e9)
        kept = {name: self._known[name] for name in self._recalled}
        for name, (newest, entry) in self._learnt.items():
            if newest < began - _SETTLED:
                kept[name] = entry
        return kept


# -- Time ------------------------------------------------------------------------------------------


def _now_in(folder: str) -> int:
    """The time (ns) that a file gets there which is made now: a file server has a clock of its own.

    Where nothing can be made it is ours, an hour ago: so far no two clocks should be apart.
    """
    try:
        probe = files.temporary_beside(os.path.join(folder, "probe"))
        files.create(probe, b"")
        try:
            return os.stat(probe).st_ctime_ns
        finally:
            os.unlink(probe)
    except OSError:
        return time.time_ns() - 3_600_000_000_000


# -- The file --------------------------------------------------------------------------------------


def place(top: str) -> str | None:
    """Where the file of a tree lies; None where there is no place that is this user's own."""
    if os.name != "posix":  # without owners, and without the time at which an inode changed
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        return None
    name = os.fsencode(top)
    return os.path.join(base, "modeldir", "trees", f"{zlib.crc32(name):08x}{len(name):x}")


def _head(top: str, body: bytes | memoryview) -> bytes:
    """What a file begins with: who can read it, which tree's it is, what its bytes sum up to."""
    said = f"modeldir trees {FORMAT} {__version__} {marshal.version} {zlib.crc32(body):08x} {top!r}"
    return said.encode("utf-8", "backslashreplace") + b"\n"


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path: str, top: str) -> dict[str, _Entry]:
    """The entries in a file; none where it is not there, not ours, or not as it was written."""
    try:
        if not _is_ours(os.stat(os.path.dirname(path))):
            return {}
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            data = file.readall() if stat.S_ISREG(status.st_mode) and _is_ours(status) else b""
        end = (data or b"").find(b"\n") + 1
        body = memoryview(data or b"")[end:]
        if not end or data[:end] != _head(top, body):
            return {}
        known = marshal.loads(body)  # noqa: S302 - this user's own bytes, as they were written
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    return known if type(known) is dict else {}


def _sweep(folder: str) -> None:
    """Take away what was not written for longest, and what killed writers left."""
    with os.scandir(folder) as entries:
        dated = sorted((each.stat().st_mtime_ns, each.path) for each in entries if each.is_file())
    for _, path in dated[:-TREES]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
