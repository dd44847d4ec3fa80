"""SQLite files of other tools: read from a copy, and made out of sight.

It knows that a database may have its newest pages in a file beside it, and that whoever opens one
may change it. It refuses to know what is in them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from modeldir._system import files
from modeldir.errors import ModeldirError

HEAD = b"SQLite format 3\0"
SUFFIXES = (".db", ".sqlite", ".sqlite3")


def is_database(path: Path) -> bool:
    """Whether a file begins as SQLite's do."""
    try:
        with open(path, "rb") as file:
            return file.read(len(HEAD)) == HEAD
    except OSError:
        return False


def tables(path: Path) -> set[str]:
    """The names of a database's tables; none where it cannot be read."""
    import sqlite3  # noqa: PLC0415 - only some commands read databases

    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    try:
        with copied(path) as copy, contextlib.closing(sqlite3.connect(copy)) as opened:
            return {str(name) for (name,) in opened.execute(query)}
    except sqlite3.Error:
        return set()


@contextlib.contextmanager
def copied(path: Path) -> Iterator[Path]:
    """A copy of a database as it is now, for as long as the block lasts.

    Raises:
        sqlite3.Error: when it is none that can be read.
    """
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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to make a database that is then put in place as a whole; nothing if the block fails.

    It is made among the system's temporary files, and under a plain name: on a network file system
    a database that is written to costs a round trip a page, and not every name can be in a URL.

    Raises:
        OSError: when it cannot be put there.
        ModeldirError: when the temporary files have no room for it.
    """
    with TemporaryDirectory(prefix="modeldir-") as folder:
        made = Path(folder) / "made.db"
        try:
            yield made
        except Exception as error:  # whatever its maker makes of SQLite's
            if _found_no_room(error):
                raise ModeldirError(
                    f"{Path(folder).parent}: no space left there, where {path} is made first\n"
                    "  another place for temporary files: TMPDIR=FOLDER\nNothing was written."
                ) from error
            raise
        os.makedirs(path.parent, exist_ok=True)
        files.copy(made, path)


def _found_no_room(error: BaseException | None) -> bool:
    """Whether SQLite, anywhere below an error, had no room on its disk."""
    while error is not None and "database or disk is full" not in str(error):
        error = error.__cause__ or error.__context__
    return error is not None
