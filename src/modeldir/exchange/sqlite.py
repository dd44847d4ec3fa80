"""Read other tools' SQLite databases from a copy.

The importers of Optuna and MLflow call `copied`. A database may keep its newest pages in a file
beside it, and opening it may change it, so SQLite's backup copies it first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from modeldir._system import reading

HEAD = b"SQLite format 3\0"


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
    except sqlite3.Error:
        return set()


@contextlib.contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Copy a database as it is now. The copy is deleted at the end of the block."""
    import sqlite3  # noqa: PLC0415 - only some commands read databases

    with TemporaryDirectory(prefix="modeldir-") as folder:
        copy = Path(folder) / "copy.db"
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        yield copy
