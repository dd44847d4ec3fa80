"""Experiments for other tools: TensorBoard, Optuna, MLflow, and tables as Parquet or CSV.

It knows which tools there are, what each needs installed, and what to say of an export. It refuses
to know their formats: each has a module. The folders stay the record; an export is a copy of them,
which may be made again at any time, and only what has changed is written then.

Start at `export`.
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
from modeldir.errors import ModeldirError, did_you_mean
from modeldir.exchange.target import Place, Written
from modeldir.exchange.trials import Gathered, gather
from modeldir.metrics.objective import Objectives

TOOLS = ("tensorboard", "optuna", "mlflow", "parquet", "csv")

NEEDED = {"optuna": ("optuna",), "mlflow": ("mlflow",), "parquet": ("pyarrow",)}
"""What has to be installed, by tool; as the package is called, and imported."""

_STATE = "Nothing was written."


@dataclass(frozen=True)
class Exported:
    """What became of an export: so many of each, in words; how to open it; what to know."""

    to: str
    out: str
    trials: int
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return told(self)


def export(folder: str | os.PathLike[str], to: str, out: str, asked: Objectives = ()) -> Exported:
    """All experiments below a folder that have ended, for another tool.

    Args:
        folder: a search, or any tree of experiments.
        to: one of `TOOLS`.
        out: a folder (TensorBoard, Parquet, CSV), a file (Optuna, MLflow) or an MLflow server.
        asked: the metrics to rank by; by default those of the plan.

    Raises:
        FolderError: when the folder is not there, or `out` holds what is no export of it.
        ModeldirError: when the tool is not installed, or there is nothing to export.
        OSError: when it cannot be written.
    """
    check_installed(to)
    gathered = gather(Path(folder), asked)
    if not gathered.rows:
        raise ModeldirError(_nothing(gathered))
    _check_metrics(gathered, asked)
    source = files.absolute(folder)
    if to == "optuna":
        return _to_optuna(gathered, Path(out), source)
    if to == "mlflow":
        return _to_mlflow(gathered, out, source)
    return _to_folder(gathered, to, Path(out), source)


def check_installed(to: str) -> None:
    """Whether what a tool needs is there.

    Raises:
        ModeldirError: with what to type.
    """
    missing = [name for name in NEEDED.get(to, ()) if find_spec(name) is None]
    if missing:
        extra = "'modeldir[optuna]'" if to == "optuna" else " ".join(missing)
        raise ModeldirError(
            f"--to {to} needs {' and '.join(missing)}, not installed here.\n  pip install {extra}",
            state=_STATE,
        )


def _check_metrics(gathered: Gathered, asked: Objectives) -> None:
    """What is to be ranked by must be a metric of somebody, where anybody has one."""
    known = sorted({name for row in gathered.rows for name in row.found.scores.development})
    problems: list[tuple[str, str | None]] = [
        (
            f"no experiment has the metric {name!r}",
            did_you_mean(name, known) or f"there are {', '.join(known)}",
        )
        for name, _ in asked
        if known and name not in known
    ]
    if problems:
        raise ModeldirError(f"{gathered.folder} cannot be exported so:", problems, _STATE)


def _nothing(gathered: Gathered) -> str:
    if gathered.left_out:
        return f"{gathered.folder}: none has ended yet: {_listed(gathered.left_out)}.\n{_STATE}"
    return f"no experiment in {gathered.folder}: nothing to export.\n{_STATE}"


def _to_folder(gathered: Gathered, to: str, out: Path, source: Path) -> Exported:
    from modeldir.exchange import tables, tensorboard_export  # noqa: PLC0415 - one of them is wanted

    write = {
        "tensorboard": tensorboard_export.write,
        "parquet": tables.write_parquet,
        "csv": tables.write_csv,
    }[to]
    place = Place(out, to, source)
    with _told_if_full(out, place):
        write(gathered, place)
        place.close()
    counts = {
        "files written": len(place.written),
        "as they were": place.same,
        "removed": len(place.removed),
    }
    notes = tuple(f"{out / name} was left as somebody else has changed it" for name in place.spared)
    return _exported(gathered, to, str(out), counts, notes)


def _to_optuna(gathered: Gathered, out: Path, source: Path) -> Exported:
    from modeldir.exchange import optuna_export  # noqa: PLC0415 - wanted here alone

    with _told_if_full(out):
        made = optuna_export.write(gathered, out, source)
    return _counted(gathered, "optuna", str(out), made, "others in it stay as they are")


def _to_mlflow(gathered: Gathered, out: str, source: Path) -> Exported:
    from modeldir.exchange import mlflow_export  # noqa: PLC0415 - wanted here alone

    made = mlflow_export.write(gathered, mlflow_export.uri_of(out), source)
    return _counted(gathered, "mlflow", out, made, "other runs in it stay as they are")


@contextlib.contextmanager
def _told_if_full(out: Path, place: Place | None = None) -> Iterator[None]:
    """A full disk as a message: each file is there as a whole, or not."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        done = len(place.written) if place else 0
        if place is not None:
            place.leave()
        raise ModeldirError(
            f"{out}: {error.strerror}: the export was cut short.\n"
            "  say it again once there is room\n"
            f"{f'Written so far, each as a whole: {done}.' if done else _STATE}"
        ) from error


def _counted(gathered: Gathered, to: str, out: str, made: Written, others: str) -> Exported:
    counts = {"new": made.new, "changed": made.changed, "as they were": made.same}
    notes = (f"{made.others} {others}",) if made.others else ()
    return _exported(gathered, to, out, counts, notes)


def _exported(
    gathered: Gathered, to: str, out: str, counts: Mapping[str, int], notes: tuple[str, ...]
) -> Exported:
    trials = len(gathered.rows)
    return Exported(to, out, trials, counts, gathered.left_out, notes, gathered.warnings)


# -- Words -----------------------------------------------------------------------------------------


def told(exported: Exported) -> str:
    """What `modeldir export` prints."""
    counts = ", ".join(f"{count} {name}" for name, count in exported.counts.items() if count)
    one = "experiment" if exported.trials == 1 else "experiments"
    lines = [
        f"{exported.out}: {exported.trials} {one} for {exported.to} ({counts or 'nothing new'})"
    ]
    if exported.left_out:
        lines.append(f"left out: {_listed(exported.left_out)}; say it again when they have ended")
    lines += exported.notes
    lines.append(f"open:     {_opening(exported)}")
    return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _opening(exported: Exported) -> str:
    out = exported.out
    if exported.to == "optuna":
        return f"optuna-dashboard {quoted(out)}"
    if exported.to == "tensorboard":
        return f"tensorboard --logdir {quoted(out)}"
    if exported.to == "mlflow":
        uri = out if "://" in out else f"sqlite:///{out}"
        return f"mlflow ui --backend-store-uri {quoted(uri)}"
    return " and ".join(str(Path(out) / f"{name}.{exported.to}") for name in ("trials", "curves"))
