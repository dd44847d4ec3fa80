"""Optuna's storages in a file, opened so that looking changes nothing.

It knows that Optuna keeps studies in a database or in a journal of lines, and that opening either
in its own way may write to it. It refuses to know what a study is for.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir.exchange import sqlite

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

MARK = "modeldir"
"""The attribute by which an export says what a trial, or the study, was made from."""


class Lines:
    """A journal in memory. A study of 10,000 trials is made in one in seconds; in a file of
    Optuna's, which waits for the disk at each line, in minutes.
    """

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines

    def as_backend(self) -> Any:
        """What `JournalStorage` takes; Optuna's own class is imported here alone."""
        from optuna.storages.journal import BaseJournalBackend  # noqa: PLC0415 - heavy, an extra

        lines = self.lines

        class InMemory(BaseJournalBackend):
            def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
                return lines[log_number_from:]

            def append_logs(self, logs: list[dict[str, Any]]) -> None:
                lines.extend(json.loads(json.dumps(logs)))

        return InMemory()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BaseStorage]:
    """The storage in a file, from a copy; one of an older Optuna is brought up to date there.

    Raises:
        Exception: whatever a file that is no storage makes Optuna, or SQLite, raise.
    """
    from optuna.storages import JournalStorage, RDBStorage  # noqa: PLC0415 - heavy, an extra

    if not sqlite.is_database(path):
        yield JournalStorage(Lines(journal(path)).as_backend())
        return
    with sqlite.copied(path) as copy:
        storage = RDBStorage(f"sqlite:///{copy}", skip_compatibility_check=True)
        try:
            if storage.get_current_version() != storage.get_head_version():
                with contextlib.redirect_stderr(io.StringIO()):  # Alembic tells its own users
                    storage.upgrade()
            yield storage
        finally:
            close(storage)


def journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal. The last may be torn.

    Raises:
        ValueError: when another is no line of a journal, or there is none at all.
    """
    data = (files.read_bytes(path) or b"").splitlines(keepends=True)
    whole = [line for line in data if line.strip() and line.endswith(b"\n")]
    lines = [json.loads(line) for line in whole]
    if not lines or not all(isinstance(line, dict) and "op_code" in line for line in lines):
        raise ValueError(f"{path} is no journal of Optuna's")
    return lines


def insert(path: Path, trials: Sequence[FrozenTrial]) -> bool:
    """Put trials into the one study of a database that Optuna has made, all in one transaction.

    Optuna's own way asks the database for each value before it adds it: 0.1 s a trial of 40 steps.
    False, and nothing is put there, where the tables are not those that are known.
    """
    import sqlite3  # noqa: PLC0415 - only some commands write databases

    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    with contextlib.closing(sqlite3.connect(path)) as opened, opened:
        for table, columns in TABLES.items():
            there = {row[1] for row in opened.execute(f'PRAGMA table_info("{table}")')}
            if there - _OWN_KEYS != set(columns) - _OWN_KEYS:
                return False
        (study,) = opened.execute("SELECT study_id FROM studies").fetchone()
        for key, trial in enumerate(trials, 1):
            for table, row in _rows(study, key, trial):
                rows[table].append(row)
        for table, columns in TABLES.items():
            marks = ", ".join("?" * len(columns))
            into = f'INSERT INTO "{table}" ({", ".join(columns)}) VALUES ({marks})'  # noqa: S608 - our own words
            opened.executemany(into, rows[table])
    return True


TABLES = {
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_intermediate_values": (
        "trial_id", "step", "intermediate_value", "intermediate_value_type",
    ),
    "trial_user_attributes": ("trial_id", "key", "value_json"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
}  # fmt: skip
"""Optuna's tables of trials with the columns that are filled, as they have been since 3.0."""

_OWN_KEYS = frozenset({
    "trial_id", "param_id", "trial_value_id", "trial_intermediate_value_id",
    "trial_user_attribute_id", "trial_system_attribute_id",
})  # fmt: skip


def _rows(study: int, key: int, trial: FrozenTrial) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What a trial is in the tables."""
    from optuna.distributions import distribution_to_json  # noqa: PLC0415 - heavy, an extra

    begun, ended = (None if t is None else f"{t:%Y-%m-%d %H:%M:%S.%f}" for t in _times(trial))
    yield "trials", (key, key - 1, study, trial.state.name, begun, ended)
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        internal = distribution.to_internal_repr(value)
        yield "trial_params", (key, name, internal, distribution_to_json(distribution))
    for place, value in enumerate(trial.values or ()):
        yield "trial_values", (key, place, *_number(value))
    for step, value in trial.intermediate_values.items():
        yield "trial_intermediate_values", (key, step, *_number(value))
    for name, value in trial.user_attrs.items():
        yield "trial_user_attributes", (key, name, json.dumps(value))
    for name, value in trial.system_attrs.items():
        yield "trial_system_attributes", (key, name, json.dumps(value))


def _times(trial: FrozenTrial) -> tuple[datetime | None, datetime | None]:
    return trial.datetime_start, trial.datetime_complete


def _number(value: float) -> tuple[float | None, str]:
    """A number and its kind: a database has no form for those that are not finite."""
    if math.isfinite(value):
        return value, "FINITE"
    kind = "NAN" if math.isnan(value) else "INF_POS" if value > 0 else "INF_NEG"
    return None, kind


def close(storage: BaseStorage) -> None:
    """Let go of the file."""
    storage.remove_session()
    engine = getattr(storage, "engine", None)
    if engine is not None:
        engine.dispose()
