"""Read other tools' SQLite databases from a copy.

The importers of Optuna and MLflow call `copied`. SQLite keeps the newest pages in files beside a
database, and opening it may change it or make such files, so all are copied first. SQLite itself
only opens the copy. The rule: `reading` opens what is copied, like every file of an import.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from modeldir._system import reading
from modeldir._system.file_stamps import stamp

HEAD = b"SQLite format 3\0"

_BESIDE = ("-journal", "-wal")
"""The endings of the files that belong to a database. SQLite makes others anew."""
_TRIES, _PAUSE = 50, 0.1
"""How often a database is copied that changes meanwhile, and seconds in between."""
_TICK = 0.02
"""Two changes in less than these seconds may leave a file with one timestamp."""
_PIECE = 1 << 20


def is_database(path: Path) -> bool:
    try:
        with reading.open_stream(path) as file:
            return file.read(len(HEAD)) == HEAD
    except OSError:
        return False


def tables(path: Path) -> set[str]:
    """Return the names of a database's tables, an empty set if it cannot be read."""
    import sqlite3  # noqa: PLC0415 - only some commands read databases

    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    try:
        with copied(path) as copy, contextlib.closing(sqlite3.connect(copy)) as opened:
            return {str(name) for (name,) in opened.execute(query)}
    except (OSError, sqlite3.Error):
        return set()


def beside(path: Path) -> list[str]:
    """Return the files that may belong to a database. Those that are links do not."""
    return [name for end in _BESIDE if not os.path.islink(name := os.path.realpath(path) + end)]


@contextlib.contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Copy a database as it is now. The copy is deleted at the end of the block.

    Raises:
        OSError: if it cannot be read, is too large, or is written all the time.
    """
    with TemporaryDirectory(prefix="modeldir-") as folder:
        copy = Path(folder) / "copy.db"
        _copy(path, copy)
        yield copy


def _copy(path: Path, copy: Path) -> None:
    """Copy all files of a database, at a moment at which none of them changes.

    A copy that was made while a program is in the middle of writing is complete, too: what it has
    not finished is in the files beside the database, with which SQLite repairs the copy.
    """
    parts = [os.path.realpath(path), *beside(path)]
    for _ in range(_TRIES):
        before = [*map(stamp, parts)]
        time.sleep(_TICK)
        for part in parts:
            _copy_file(part, f"{copy}{part[len(parts[0]) :]}")
        if [*map(stamp, parts)] == before:
            return
        time.sleep(_PAUSE)
    raise OSError(errno.EBUSY, "another program keeps writing to it", os.fspath(path))


def _copy_file(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    with (
        contextlib.suppress(FileNotFoundError),
        reading.open_stream(source, reading.DATABASE) as file,
        open(target, "xb") as copy,
    ):
        while piece := file.read(_PIECE):
            copy.write(piece)
