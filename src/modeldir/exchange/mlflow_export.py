"""Experiments as runs of MLflow, in a database that `mlflow ui` opens, or on a tracking server.

It knows what MLflow's names and values may be, and how a run is told how it ended. It refuses to
write MLflow's database itself: MLflow does, so it has to be installed. (Its folders, `mlruns`, the
current release does not open any more.)

A run that stands for a trial is never changed: where the trial has changed it is deleted, as MLflow
deletes (`mlflow gc` makes that final), and made anew.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from modeldir.errors import FolderError
from modeldir.exchange import sqlite
from modeldir.exchange.target import Written
from modeldir.exchange.trials import Gathered, Row
from modeldir.experiment import attempts
from modeldir.space import value_text

NAME, DIGEST, SOURCE = "modeldir.experiment", "modeldir.digest", "modeldir.from"
LONGEST = 6000
"""Characters of a parameter's value."""
LONGEST_NAME = 250
_BATCH, _PARAMS = 1000, 100
_TAG = 5000
_PAGE = 1000
_UNSAFE = re.compile(r"[^\w\-./ :]")
_ENDS = {
    attempts.COMPLETED: "FINISHED",
    attempts.UNRECORDED: "FINISHED",
    attempts.PRUNED: "FINISHED",
    attempts.INTERRUPTED: "KILLED",
    attempts.FAILED: "FAILED",
}


def uri_of(out: str) -> str:
    """The tracking URI that is meant: a server's is one, a path is a database.

    Raises:
        FolderError: when there is a file that is no database.
    """
    if "://" in out:
        return out
    path = Path(out).absolute()
    if path.is_dir():
        raise FolderError(
            f"{out} is a folder, and MLflow keeps its runs in a database.\n"
            f"  name a file: -o {os.path.join(out, 'mlflow.db')}",
            state="Nothing was written.",
        )
    if path.exists() and path.stat().st_size and not sqlite.is_database(path):
        raise FolderError(f"{out} is there, and is no database.", state="Nothing was written.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def write(gathered: Gathered, uri: str, source: Path) -> Written:
    """A run for each trial, in an experiment of MLflow's that is called as the folder.

    Raises:
        FolderError: when an experiment of that name is there that is no export of this folder.
        mlflow.exceptions.MlflowException: what MLflow refuses.
    """
    # Before the import: it would report to its makers that it was used.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: PLC0415 - heavy (4 s), and nobody else needs it

    client = mlflow.MlflowClient(tracking_uri=uri)
    home, there = _experiment(client, gathered, source)
    new = changed = same = 0
    for row in gathered.rows:
        digest = _digest(row)
        run = there.pop(row.name, None)
        if run is not None and run.data.tags.get(DIGEST) == digest:
            same += 1
            continue
        _write_run(client, home, row, digest)
        if run is not None:
            client.delete_run(run.info.run_id)
        new, changed = new + (run is None), changed + (run is not None)
    return Written(new, changed, same, len(there))


def _experiment(client: Any, gathered: Gathered, source: Path) -> tuple[str, dict[str, Any]]:
    """MLflow's experiment for a folder, and the runs in it by the names of ours."""
    name = gathered.folder.resolve().name
    found = client.get_experiment_by_name(name)
    if found is None:
        return client.create_experiment(name, tags={SOURCE: str(source)}), {}
    if found.tags.get(SOURCE) != str(source) or found.lifecycle_stage != "active":
        what = found.tags.get(SOURCE) or "something else"
        raise FolderError(
            f"MLflow has an experiment {name!r} already, of {what}.\n"
            "  name another database: -o mlflow_2.db",
            state="Nothing was written.",
        )
    runs, token = {}, None
    while True:
        page = client.search_runs([found.experiment_id], max_results=_PAGE, page_token=token)
        runs.update({run.data.tags.get(NAME, run.info.run_id): run for run in page})
        token = page.token
        if not token:
            return found.experiment_id, runs


def _digest(row: Row) -> str:
    """Equal as long as a trial says the same."""
    told = (row.hyperparameters, row.state, row.begun, row.ended, row.numbers(), row.series())
    return sha256(repr(told).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _write_run(client: Any, home: str, row: Row, digest: str) -> None:
    """One run, its mark last: one that was cut short is made anew by the next export."""
    from mlflow.entities import Param, RunTag  # noqa: PLC0415 - heavy

    run = client.create_run(
        home, start_time=_ms(row.begun), run_name=row.name, tags={NAME: row.name}
    )
    key = run.info.run_id
    values = _named(row.hyperparameters)
    pairs = [Param(name, _text(value)) for name, value in values.items()]
    for some in _pieces(pairs, _PARAMS):
        client.log_batch(key, params=some)
    for batch in _pieces(list(_metrics(row)), _BATCH):
        client.log_batch(key, metrics=batch)
    client.log_batch(key, tags=[RunTag(name, text) for name, text in _tags(row, digest).items()])
    client.set_terminated(key, _ENDS.get(row.state, "KILLED"), end_time=_ms(row.ended))


def _metrics(row: Row) -> Iterator[Any]:
    """Each step of each metric, then those that count. Of two values at a step the later stands."""
    from mlflow.entities import Metric  # noqa: PLC0415 - heavy

    last = 0
    for point in row.series():
        last = max(last, int(point.step))
        time = _ms(row.begun if point.time is None else point.time)
        for name, value in _named(point.values).items():
            yield Metric(name, float(value), time, int(point.step))
    final = {n if "/" in n else f"best/{n}": v for n, v in row.numbers().items()}
    for name, value in _named(final).items():
        yield Metric(name, float(value), _ms(row.ended), last)


def _tags(row: Row, digest: str) -> dict[str, str]:
    status = row.found.status
    told = {
        "modeldir.status": row.state,
        "modeldir.path": str(row.found.path.absolute()),
        "modeldir.failure": status.failure,
        "modeldir.reason": status.reason,
        "modeldir.last_line": status.last_line,
        "modeldir.repeats": row.group if row.group != row.name else None,
        DIGEST: digest,
    }
    return {name: value[:_TAG] for name, value in told.items() if value}


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Under names that MLflow allows: what it does not is `_`, and a name that is then taken is
    told apart by a number.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        safe = _UNSAFE.sub("_", name)[:LONGEST_NAME].strip("/ ") or "_"
        safe = re.sub(r"/+", "/", re.sub(r"(^|/)\.+(?=/|$)", r"\1_", safe))
        free, count = safe, 2
        while free in found:
            free, count = f"{safe}_{count}", count + 1
        found[free] = value
    return found


def _text(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _ms(time: float) -> int:
    return int(time * 1000) if math.isfinite(time) else 0


def _pieces(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[place : place + size] for place in range(0, len(items), size))
