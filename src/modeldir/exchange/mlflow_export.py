"""Export experiments as MLflow runs, to a database or to a tracking server.

`exporting.export` calls `tracking_uri` and `write`. MLflow itself writes the runs. A run is never
changed: if its trial changed, the run is deleted and created again.
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
from modeldir.exchange.export_data import ExportData, ExportedExperiment
from modeldir.exchange.export_folder import TrialCounts
from modeldir.experiment import attempts
from modeldir.space import value_text

_NAME_TAG, _DIGEST_TAG, _SOURCE_TAG = "modeldir.experiment", "modeldir.digest", "modeldir.from"

# MLflow's limits: characters of a parameter, of a name and of a tag; items of one request.
_LONGEST_PARAM, _LONGEST_NAME, _LONGEST_TAG = 6000, 250, 5000
_METRICS_AT_ONCE, _PARAMS_AT_ONCE, _RUNS_AT_ONCE = 1000, 100, 1000
_FORBIDDEN_IN_NAME = re.compile(r"[^\w\-./ :]")
_STATUSES = {
    attempts.COMPLETED: "FINISHED",
    attempts.UNTRACKED: "FINISHED",
    attempts.PRUNED: "FINISHED",
    attempts.INTERRUPTED: "KILLED",
    attempts.FAILED: "FAILED",
}


def tracking_uri(out: str) -> str:
    """Return the tracking URI for `out`: a server's address, or the path of a database."""
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
        raise FolderError(f"{out} exists, and is not a database.", state="Nothing was written.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def write(data: ExportData, uri: str, source: Path) -> TrialCounts:
    """Create a run for each trial, in an MLflow experiment that has the folder's name."""
    # Before the import, because MLflow sends usage data to its makers otherwise.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: PLC0415 - heavy (4 s), and only this export needs it

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment_id, existing = _mlflow_experiment(client, data, source)
    new = changed = same = 0
    for each in data.experiments:
        digest = _digest(each)
        run = existing.pop(each.name, None)
        if run is not None and run.data.tags.get(_DIGEST_TAG) == digest:
            same += 1
            continue
        _create_run(client, experiment_id, each, digest)
        if run is not None:
            client.delete_run(run.info.run_id)
        new, changed = new + (run is None), changed + (run is not None)
    return TrialCounts(new, changed, same, len(existing))


def _mlflow_experiment(client: Any, data: ExportData, source: Path) -> tuple[str, dict[str, Any]]:
    """Return the id of MLflow's experiment for a folder, and its runs by our experiments' names."""
    name = data.folder.resolve().name
    existing = client.get_experiment_by_name(name)
    if existing is None:
        return client.create_experiment(name, tags={_SOURCE_TAG: str(source)}), {}
    if existing.tags.get(_SOURCE_TAG) != str(source) or existing.lifecycle_stage != "active":
        owner = existing.tags.get(_SOURCE_TAG) or "something else"
        raise FolderError(
            f"MLflow has an experiment {name!r} already, of {owner}.\n"
            "  name another database: -o mlflow_2.db",
            state="Nothing was written.",
        )
    runs, token = {}, None
    while True:
        page = client.search_runs(
            [existing.experiment_id], max_results=_RUNS_AT_ONCE, page_token=token
        )
        runs.update({run.data.tags.get(_NAME_TAG, run.info.run_id): run for run in page})
        token = page.token
        if not token:
            return existing.experiment_id, runs


def _digest(experiment: ExportedExperiment) -> str:
    shown = (
        experiment.hyperparameters, experiment.status, experiment.started, experiment.ended,
        experiment.final_metrics(), experiment.curve(),
    )  # fmt: skip
    return sha256(repr(shown).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _create_run(
    client: Any, experiment_id: str, experiment: ExportedExperiment, digest: str
) -> None:
    """Create one run. Its digest is set last, so the next export repeats an incomplete run."""
    from mlflow.entities import Param, RunTag  # noqa: PLC0415 - heavy

    run = client.create_run(
        experiment_id,
        start_time=_milliseconds(experiment.started),
        run_name=experiment.name,
        tags={_NAME_TAG: experiment.name},
    )
    run_id = run.info.run_id
    allowed = _allowed_names(experiment.hyperparameters)
    params = [Param(name, _param_text(value)) for name, value in allowed.items()]
    for batch in _batches(params, _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=batch)
    for batch in _batches(list(_metrics(experiment)), _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=batch)
    tags = [RunTag(name, text) for name, text in _tags(experiment, digest).items()]
    client.log_batch(run_id, tags=tags)
    status = _STATUSES.get(experiment.status, "KILLED")
    client.set_terminated(run_id, status, end_time=_milliseconds(experiment.ended))


def _metrics(experiment: ExportedExperiment) -> Iterator[Any]:
    from mlflow.entities import Metric  # noqa: PLC0415 - heavy

    last = 0
    for logged in experiment.curve():
        step = int(logged.step)
        last = max(last, step)
        time = _milliseconds(experiment.started if logged.time is None else logged.time)
        for name, value in _allowed_names(logged.values).items():
            yield Metric(name, float(value), time, step)
    final = {n if "/" in n else f"best/{n}": v for n, v in experiment.final_metrics().items()}
    for name, value in _allowed_names(final).items():
        yield Metric(name, float(value), _milliseconds(experiment.ended), last)


def _tags(experiment: ExportedExperiment, digest: str) -> dict[str, str]:
    status = experiment.found.status
    tags = {
        "modeldir.status": experiment.status,
        "modeldir.path": str(experiment.found.path.absolute()),
        "modeldir.failure": status.failure,
        "modeldir.reason": status.reason,
        "modeldir.last_line": status.last_line,
        "modeldir.repeats": experiment.group if experiment.group != experiment.name else None,
        _DIGEST_TAG: digest,
    }
    return {name: text[:_LONGEST_TAG] for name, text in tags.items() if text}


def _allowed_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values under names that MLflow allows, with a number where two names collide."""
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        safe = _FORBIDDEN_IN_NAME.sub("_", name)[:_LONGEST_NAME].strip("/ ") or "_"
        safe = re.sub(r"/+", "/", re.sub(r"(^|/)\.+(?=/|$)", r"\1_", safe))
        free, count = safe, 2
        while free in renamed:
            free, count = f"{safe}_{count}", count + 1
        renamed[free] = value
    return renamed


def _param_text(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= _LONGEST_PARAM else text[: _LONGEST_PARAM - 1] + "…"


def _milliseconds(time: float) -> int:
    return int(time * 1000) if math.isfinite(time) else 0


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
