"""Reads one experiment folder: everything that its files say, as one record.

Tables, `--warm-start-from` and `show` call `read`. Start reading there. Rule that must not break: a
file that cannot be read never ends the reading. It becomes a line in `problems`, and its values are
missing. Each file is parsed by the quick functions of `fast_json` first, and by the full reader
of its kind if they give up. `discovery` finds the folders. To read only a status or only the
metrics, call `experiment.status` or `experiment.scores`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from modeldir._system import reading, recorded_numbers
from modeldir.errors import ParamsError
from modeldir.experiment import attempts, discovery, experiment, fast_json, test_evaluations
from modeldir.experiment.experiment import Scores, Status
from modeldir.metrics.metric_files import METRICS_LINES
from modeldir.params import plain_values


class ExperimentRecord(NamedTuple):
    """Everything that the files of an experiment contain.

    `hyperparameters` is None if there are none or if they cannot be read. `number` and `repeat`
    belong to a trial of a search, and `active` are the hyperparameters that its configuration
    uses: None outside a search. `note` says why the experiment was made. `looks` counts its
    evaluations on the test set. `problems` has a line for each file that cannot be read.
    """

    folder: str
    hyperparameters: Mapping[str, Any] | None
    scores: Scores
    status: Status
    number: int | None = None
    repeat: int | None = None
    active: frozenset[str] | None = None
    note: str | None = None
    looks: int = 0
    problems: tuple[str, ...] = ()


def read(
    folder: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    *,
    metrics_file: str | None = None,
) -> ExperimentRecord:
    """Read an experiment folder.

    Args:
        folder: the experiment's folder.
        names: the files in it, if the caller has listed it already.
        metrics_file: the name of a file whose metrics replace the validation metrics.

    Raises:
        OSError: if `names` are not given and the folder cannot be listed.
    """
    folder = os.fspath(folder)
    names = discovery.list_folder(folder).files if names is None else names
    record = _read(folder, names, metrics_file)
    if not _may_be_mixed(record):
        return record
    try:
        now = discovery.list_folder(folder).files
    except OSError:
        return record
    return record if set(now) == set(names) else _read(folder, now, metrics_file)


def _may_be_mixed(record: ExperimentRecord) -> bool:
    """Whether files may have come or gone between the listing of the folder and its reading."""
    lacks = record.status.state in attempts.WITH_METRICS and not record.scores.validation
    return lacks or record.status.ended_lately()


def _read(folder: str, names: Sequence[str], metrics_file: str | None) -> ExperimentRecord:
    """Read the files in a folder: the status first, since the metrics are complete before it."""
    status = experiment.status(folder, names)
    roles = experiment.file_roles(tuple(names))
    if metrics_file is None:
        metric_files = roles.metrics
    else:
        metric_files = ((metrics_file, "best"),) if metrics_file in names else ()
    is_trial = "trial.json" in names
    by_last = is_trial and experiment.ranks_by_last(folder)
    scores = experiment.scores_in(folder, metric_files, ranks_by_last=by_last)
    problems = (*scores.problems, *_too_large_lines(folder, names))
    hyperparameters = None
    if roles.params is not None:
        path = f"{folder}/{roles.params}"
        hyperparameters = fast_json.read_params(path) if roles.params == "params.json" else None
        if hyperparameters is None:
            try:
                hyperparameters = plain_values.load_file(path)
            except ParamsError as error:
                problems = (*problems, error.summary)
    if metrics_file is not None and scores.best and status.state == attempts.PENDING:
        status = replace(status, state=attempts.UNTRACKED)  # it was trained without modeldir
    trial = fast_json.read_object(f"{folder}/trial.json") if is_trial else {}
    if roles.attempt and status.started is None:
        problems += _problem_of(f"{folder}/{roles.run_file}")
    if is_trial and not trial:
        problems += _problem_of(f"{folder}/trial.json")
    point = trial.get("configuration")
    note = status.note
    if note is None and "origin.json" in names:
        note = _text(reading.read_object(f"{folder}/origin.json").get("message"))
    elif note is None:
        note = _text(trial.get("note"))
    return ExperimentRecord(
        folder,
        hyperparameters,
        scores,
        status,
        recorded_numbers.integer(trial.get("number")),
        recorded_numbers.integer(trial.get("repeat")),
        frozenset(point) if isinstance(point, dict) else None,
        note,
        test_evaluations.count(Path(folder), names) if scores.test else 0,
        problems,
    )


def _too_large_lines(folder: str, names: Sequence[str]) -> tuple[str, ...]:
    if METRICS_LINES not in names:
        return ()
    problem = reading.size_problem(f"{folder}/{METRICS_LINES}", reading.LINES)
    return () if problem is None else (problem,)


def _problem_of(path: str) -> tuple[str, ...]:
    found = reading.problem(path)
    return () if found is None else (found,)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
