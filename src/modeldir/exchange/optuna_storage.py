"""Open Optuna's storages, a database or a journal, from a copy.

Opening either of them with Optuna may write to it, so a database is copied first (`sqlite`) and a
journal is loaded into memory.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import reading
from modeldir.exchange import sqlite

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, JournalStorage

MARK = "modeldir"
"""The user attribute in which an export keeps what a study, or a trial, was made from."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BaseStorage]:
    """Open a copy of a storage. In the copy, an older database is upgraded to this Optuna."""
    from optuna.storages import RDBStorage  # noqa: PLC0415 - heavy, an extra

    if not sqlite.is_database(path):
        yield journal_in_memory(read_journal(path))
        return
    with sqlite.copied(path) as copy:
        storage = RDBStorage(f"sqlite:///{copy}", skip_compatibility_check=True)
        try:
            if storage.get_current_version() != storage.get_head_version():
                with contextlib.redirect_stderr(io.StringIO()):  # Alembic logs for developers
                    storage.upgrade()
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal. The last one may be torn, and is ignored then."""
    data = (reading.read_bytes(path, reading.FOREIGN) or b"").splitlines(keepends=True)
    complete = [line for line in data if line.strip() and line.endswith(b"\n")]
    lines = [reading.loads(line) for line in complete]
    if not lines or not all(isinstance(line, dict) and "op_code" in line for line in lines):
        raise ValueError(f"{path} is not an Optuna journal")
    return lines


def journal_in_memory(lines: list[dict[str, Any]]) -> JournalStorage:
    """Return a storage that reads `lines` and appends to this list.

    Optuna's own journal file waits for the disk at every line, which takes minutes for large
    studies.
    """
    from optuna.storages import JournalStorage  # noqa: PLC0415 - heavy, an extra
    from optuna.storages.journal import BaseJournalBackend  # noqa: PLC0415 - as above

    class InMemory(BaseJournalBackend):
        def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
            return lines[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            lines.extend(json.loads(json.dumps(logs)))

    return JournalStorage(InMemory())
