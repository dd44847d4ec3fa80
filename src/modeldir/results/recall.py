"""What the folders of a large tree held when they were last read, kept for the next reader.

It knows how to tell by a `stat` that a folder is as it was. It refuses to be needed: the file may
be missing, old, of another version, cut off or taken away at any time, and the answer is the same,
only later. What was read is known again by what it was read from: for each folder, and for each
file that anybody may overwrite in its place, when its inode last changed (which no program can set
back), to the nanosecond, its size and its inode. What had changed within two seconds before the
reading began is not kept: it might change once more without another time.

The file lies in the user's own cache folder (`usercache`), never in the tree: trees are copied,
unpacked, read-only and shared, and `marshal`, the one format that is quick without an import, must
not be fed what others wrote. Each tree has one file, replaced as a whole. Start at `Recall`.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import time
import zlib
from collections.abc import Sequence
from itertools import chain
from typing import Any

from modeldir._system import files, user_cache
from modeldir._system.readers import in_parts
from modeldir._system.version import __version__
from modeldir.results.folders import Contents, stamp
from modeldir.results.sheets import Kind, Sheet

FEWEST = 2_000
"""Folders. Of fewer nothing is kept: reading them takes no longer than reading this would."""
FORMAT = 3
TREES = 16
"""Whose files are kept; of more, those go that were not written for longest."""
_SETTLED = 2_000_000_000
_TICK = 20_000_000
"""By how much a new file may be younger than its folder: it is made, and then written."""
_PLAIN = 2
"""The version of `marshal` that looks for no object that it has written before: there are none, and
to look for them takes three times as long as to write.
"""
_SLOW = 0.0001
"""Seconds to look at one folder; in memory it takes a tenth of that, also on a busy machine."""
_CHANGED_PART = 20
"""The file is written anew when more than one folder in so many had to be read."""


class Recall:
    """What is known of one tree: folders that are as they were need not be read. `met` are those of
    them that were found in the tree.
    """

    def __init__(self, top: str, *, keep: bool = True, use: bool = True) -> None:
        self._keep = keep and use
        self._top = os.path.realpath(top)
        self._path = user_cache.place("trees", self._top)
        self._began = time.monotonic()
        known = _read(self._path, self._top) if self._path and use else []
        self._count = sum(map(len, known))
        self._sheets = _unchanged(top, known) if known else []
        self._there = frozenset(name for sheet in self._sheets for name in sheet.names)
        self.met: set[str] = set()
        self.is_watching = bool(known)

    def expect(self, count: int) -> None:
        """Begin to watch, if the tree has so many folders that it pays, and there is a place."""
        if not self.is_watching and self._keep and count >= FEWEST and self._path is not None:
            self._keep = self.is_watching = user_cache.make_room(self._path)

    def others(self, names: Sequence[str]) -> Sequence[str]:
        """Of folders that lie in the tree (their paths below the top) those that have to be read;
        the others are `met`.
        """
        met = self._there.intersection(names)
        self.met |= met
        return [name for name in names if name not in met] if met else names

    def recalled(self) -> list[Sheet]:
        """What the folders hold that were met."""
        if len(self.met) == len(self._there):
            return [sheet for sheet in self._sheets if sheet]
        chosen = (sheet.only([name in self.met for name in sheet.names]) for sheet in self._sheets)
        return [sheet for sheet in chosen if sheet]

    def save(self, learnt: Sequence[Sheet]) -> None:
        """Leave it for the next one, if enough is new. What cannot be written is let be."""
        learnt = [sheet for sheet in learnt if sheet.kind.looked_at is not None]
        few = sum(map(len, learnt)) * _CHANGED_PART <= self._count
        if self._path is None or not self._keep or few:
            return
        # ValueError: a value that marshal has no form for, or nested too deep for it.
        with contextlib.suppress(OSError, ValueError):
            _write(self._path, self._top, [*self.recalled(), *self._settled(learnt)])
            user_cache.sweep(os.path.dirname(self._path), TREES)

    def _settled(self, learnt: Sequence[Sheet]) -> list[Sheet]:
        """What had not changed for long when the reading began."""
        began = _now_in(self._top) - int((time.monotonic() - self._began) * 1e9)
        settled = []
        for sheet in learnt:
            changed = zip(*(times for _, (times, _, _) in sheet.stamps()), strict=True)
            settled.append(sheet.only([max(each) < began - _SETTLED for each in changed]))
        return [sheet for sheet in settled if sheet]


def looked_at(
    status: os.stat_result, contents: Contents, stamps: Sequence[int]
) -> tuple[str, ...] | None:
    """The files by which a folder is known again, besides itself; by what was seen of it and of its
    `contents.files` before they were read. None where nothing can be known again.
    """
    changed, times = status.st_ctime_ns, stamps[::3]
    # On some file systems a folder's time stands still, whatever comes into it.
    if not times or min(times) > changed + _TICK:
        return None
    # Where an end is recorded our files are all that is to come, and they come by rename.
    if max(times) <= changed or not contents.trusted:
        return contents.others
    pairs = zip(contents.files, times, strict=True)
    return tuple(file for file, at in pairs if file not in contents.trusted or at > changed)


def marks(
    status: os.stat_result, contents: Contents, stamps: Sequence[int]
) -> tuple[tuple[str, ...] | None, Sequence[int]]:
    """The same, and the stamps that go with it, the folder's own first."""
    chosen = looked_at(status, contents, stamps)
    if chosen is None:
        return None, ()
    places = map(contents.files.index, chosen)
    theirs = (stamps[3 * place : 3 * place + 3] for place in places)
    return chosen, (*stamp(status), *chain.from_iterable(theirs))


def _unchanged(top: str, sheets: Sequence[Sheet]) -> list[Sheet]:
    """Of each sheet the folders that are as they were."""
    try:
        here = os.open(top, os.O_RDONLY)
    except OSError:  # who lists it says so
        return []
    try:
        return [sheet.only(_are_as_they_were(here, sheet)) for sheet in sheets]
    finally:
        os.close(here)


def _are_as_they_were(here: int, sheet: Sheet) -> list[bool]:
    """Which folders are as they were, and each of their files that may change in its place."""
    are = [False] * len(sheet)
    stamps = [(f"/{file}" if file else "", columns) for file, columns in sheet.stamps()]

    def look(start: int, end: int) -> None:
        are[start:end] = _are_alike(here, sheet.names[start:end], stamps, start)

    done = in_parts(look, len(sheet), slow=_SLOW)
    look(done, len(sheet))
    return are


def _are_alike(
    here: int,
    names: Sequence[str],
    stamps: Sequence[tuple[str, Sequence[Sequence[int]]]],
    start: int,
) -> list[bool]:
    """The same of some folders; looked at from `here`, which is a tenth quicker than by the whole
    path. `start`: where their stamps begin.
    """
    are = [True] * len(names)
    end = start + len(names)
    look = os.stat
    for ending, columns in stamps:
        rows = enumerate(zip(names, *(column[start:end] for column in columns), strict=True))
        for row, (name, changed, size, inode) in rows:
            if not are[row]:
                continue
            try:
                now = look(name + ending, dir_fd=here)
            except OSError:
                are[row] = False
            else:
                alike = now.st_ctime_ns == changed and now.st_size == size and now.st_ino == inode
                are[row] = alike
    return are


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


def _head(top: str, body: bytes | memoryview) -> bytes:
    """What a file begins with: who can read it, which tree's it is, what its bytes sum up to."""
    said = f"modeldir trees {FORMAT} {__version__} {_PLAIN} {zlib.crc32(body):08x} {top!r}"
    return said.encode("utf-8", "backslashreplace") + b"\n"


def _write(path: str, top: str, sheets: Sequence[Sheet]) -> None:
    told = [(tuple(each.kind), len(each), [*map(_short, each.columns)]) for each in sheets]
    body = marshal.dumps(told, _PLAIN)
    files.write_bytes(path, _head(top, body) + body)


def _read(path: str, top: str) -> list[Sheet]:
    """The sheets in a file; none where it is not there, not ours, or not as it was written."""
    data = user_cache.read(path)
    end = data.find(b"\n") + 1
    body = memoryview(data)[end:]
    if not end or data[:end] != _head(top, body):
        return []
    try:
        known = marshal.loads(body)  # noqa: S302 - this user's own bytes, as they were written
        return [
            Sheet(
                Kind(*kind), [[*each] * count if type(each) is tuple else each for each in columns]
            )
            for kind, count, columns in known
        ]
    except (ValueError, EOFError, TypeError):
        return []


def _short(column: Sequence[Any]) -> Sequence[Any]:
    """A column as it is kept: of one value, as many are, that value alone, in a tuple."""
    value = column[0]
    kind = type(value)
    if value != column[-1] or column.count(value) < len(column) or {*map(type, column)} != {kind}:
        return [*column]
    # 0.0 equals -0.0, and what is inside a list or a dict may be 1 here and true there.
    is_told = kind in {int, str, bool, type(None)} or (kind is float and value)
    return (value,) if is_told or (kind in {dict, tuple} and not value) else [*column]
