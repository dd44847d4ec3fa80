"""Export experiments to TensorBoard, Optuna, MLflow, Parquet or CSV.

`modeldir export` and `modeldir.exchange.export` call `export`. The experiment folders stay the
record: an export is a copy, and a second export writes only what has changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import ModeldirError
from modeldir.exchange.export_data import ExportData, collect
from modeldir.exchange.export_folder import ExportFolder
from modeldir.metrics.metric_names import did_you_mean
from modeldir.metrics.objective import Objectives

TOOLS = ("tensorboard", "optuna", "mlflow", "parquet", "csv")

REQUIRED_PACKAGES = {"optuna": ("optuna",), "mlflow": ("mlflow",), "parquet": ("pyarrow",)}

_STATE = "Nothing was written."


@dataclass(frozen=True)
class ExportResult:
    """The result of an export. As a string it is what `modeldir export` prints."""

    tool: str
    out: str
    experiments: int
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        noun = "experiment" if self.experiments == 1 else "experiments"
        changes = counts or "nothing new"
        lines = [f"{self.out}: {self.experiments} {noun} for {self.tool} ({changes})"]
        if self.left_out:
            lines.append(
                f"left out: {_listed(self.left_out)}; run the command again when they have ended"
            )
        lines += self.notes
        lines.append(f"open:     {_open_command(self)}")
        return "\n".join(lines)


def export(
    folder: str | os.PathLike[str], to: str, out: str, objectives: Objectives = ()
) -> ExportResult:
    """Export all experiments below a folder that have ended.

    Args:
        folder: a search, or any tree of experiments.
        to: one of `TOOLS`.
        out: a folder (TensorBoard, Parquet, CSV), a file (Optuna, MLflow) or an MLflow server.
        objectives: the metrics to rank by; by default those of the search config.

    Raises:
        FolderError: if the folder does not exist, or `out` holds something that is no export of it.
        ModeldirError: if the tool is not installed, or there is nothing to export.
        OSError: if it cannot be written.
    """
    check_installed(to)
    data = collect(Path(folder), objectives)
    if not data.experiments:
        nothing = f"no experiment in {data.folder}: nothing to export."
        if data.left_out:
            nothing = f"{data.folder}: no experiment has ended yet: {_listed(data.left_out)}."
        raise ModeldirError(nothing, state=_STATE)
    _check_metrics(data, objectives)
    source = files.absolute(folder)
    if to in {"optuna", "mlflow"}:
        return _to_trials(data, to, out, source)
    return _to_folder(data, to, Path(out), source)


def check_installed(to: str) -> None:
    """Check that the packages which an export needs are installed."""
    missing = [name for name in REQUIRED_PACKAGES.get(to, ()) if find_spec(name) is None]
    if missing:
        packages = "'modeldir[optuna]'" if to == "optuna" else " ".join(missing)
        raise ModeldirError(
            f"--to {to} needs {' and '.join(missing)}, which is not installed.\n"
            f"  pip install {packages}",
            state=_STATE,
        )


def _check_metrics(data: ExportData, objectives: Objectives) -> None:
    known = sorted({name for each in data.experiments for name in each.found.scores.validation})
    problems: list[tuple[str, str | None]] = [
        (
            f"no experiment has the metric {name!r}",
            did_you_mean(name, known) or f"there are {', '.join(known)}",
        )
        for name, _ in objectives
        if known and name not in known
    ]
    if problems:
        raise ModeldirError(f"{data.folder} cannot be exported:", problems, _STATE)


def _to_folder(data: ExportData, to: str, out: Path, source: Path) -> ExportResult:
    from modeldir.exchange import table_export, tensorboard_export  # noqa: PLC0415 - one is needed

    write = {
        "tensorboard": tensorboard_export.write,
        "parquet": table_export.write_parquet,
        "csv": table_export.write_csv,
    }[to]
    target = ExportFolder(out, to, source)
    with _disk_full_as_error(out, target):
        write(data, target)
        target.close()
    counts = {
        "files written": len(target.written),
        "as they were": target.same,
        "removed": len(target.removed),
    }
    notes = tuple(
        f"{out / name} was not updated, because it was changed outside modeldir"
        for name in target.left_alone
    )
    return _result(data, to, str(out), counts, notes)


def _to_trials(data: ExportData, to: str, out: str, source: Path) -> ExportResult:
    if to == "optuna":
        from modeldir.exchange import optuna_export  # noqa: PLC0415 - only this export needs it

        out = str(Path(out))
        with _disk_full_as_error(Path(out)):
            trials = optuna_export.write(data, Path(out), source)
    else:
        from modeldir.exchange import mlflow_export  # noqa: PLC0415 - only this export needs it

        trials = mlflow_export.write(data, mlflow_export.tracking_uri(out), source)
    counts = {"new": trials.new, "changed": trials.changed, "as they were": trials.same}
    others = "others in it stay" if to == "optuna" else "other runs in it stay"
    notes = (f"{trials.others} {others} as they are",) if trials.others else ()
    return _result(data, to, out, counts, notes)


@contextlib.contextmanager
def _disk_full_as_error(out: Path, target: ExportFolder | None = None) -> Iterator[None]:
    """Raise a ModeldirError if the disk is full. No file is written partially."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        written = len(target.written) if target else 0
        if target is not None:
            target.discard_if_empty()
        raise ModeldirError(
            f"{out}: {error.strerror}: the export was cut short.\n"
            "  run it again when there is space",
            state=f"Written so far, each as a whole: {written}." if written else _STATE,
        ) from error


def _result(
    data: ExportData, to: str, out: str, counts: Mapping[str, int], notes: tuple[str, ...]
) -> ExportResult:
    experiments = len(data.experiments)
    return ExportResult(to, out, experiments, counts, data.left_out, notes, data.warnings)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _open_command(result: ExportResult) -> str:
    out = result.out
    if result.tool == "optuna":
        return f"optuna-dashboard {quoted(out)}"
    if result.tool == "tensorboard":
        return f"tensorboard --logdir {quoted(out)}"
    if result.tool == "mlflow":
        uri = out if "://" in out else f"sqlite:///{out}"
        return f"mlflow ui --backend-store-uri {quoted(uri)}"
    return " and ".join(str(Path(out) / f"{name}.{result.tool}") for name in ("trials", "curves"))
