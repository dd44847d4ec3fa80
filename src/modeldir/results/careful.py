"""One experiment's folder, read with care: whatever lies there, and whoever made it.

It knows what is wrong with a file that cannot be read: a line of warning and blanks, never an end.
It refuses to know of other folders, and to be quick: `folders` is, where a folder is as nearly all
are.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir.errors import MetricsError, ParamsError
from modeldir.experiment import attempts, experiment, test_evaluations
from modeldir.metrics import metrics
from modeldir.params import plain_values
from modeldir.results.row import Found, inactive

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def read_experiment(  # noqa: PLR0913 - what was listed and what is asked for
    path: str | os.PathLike[str],
    names: list[str],
    name: str,
    warnings: list[str],
    *,
    metrics_file: str | None = None,
    conditional: Collection[str] = (),
) -> Found:
    """One experiment; `names` are the files in its folder. What is broken is told in `warnings`.

    `conditional` are the hyperparameters of its search that count only under a condition.
    """
    folder = Path(path)
    if metrics_file is None:
        scores = experiment.scores(folder, names)
    else:
        scores = _scores_in(folder, names, metrics_file)
    warnings += map(one_line, scores.problems)
    hyperparameters = None
    for file in (each for each in experiment.PARAMS_NAMES if each in names):
        try:
            hyperparameters = plain_values.load_file(os.path.join(path, file))
        except ParamsError as error:
            warnings.append(one_line(error))
        break
    status = experiment.status(folder, names)
    if metrics_file is not None and scores.best and status.state == attempts.WAITING:
        status = replace(status, state=attempts.UNRECORDED)  # somebody has run it
    told = files.read_object(os.path.join(path, "trial.json")) if "trial.json" in names else {}
    number, repeat = (
        value if isinstance(value := told.get(key), int) else None for key in ("number", "repeat")
    )
    point = told.get("point")
    unused = inactive(conditional, point if isinstance(point, dict) else None)
    note = status.note or (_message(path) if "origin.json" in names else _text(told, "note"))
    return Found(
        os.fspath(path),
        name,
        hyperparameters,
        scores,
        status,
        number,
        repeat,
        inactive=unused,
        note=note,
        looks=test_evaluations.count(folder, names) if scores.test else 0,
    )


def _message(path: str | os.PathLike[str]) -> str | None:
    """Why an experiment was made, as `modeldir new -m` has kept it."""
    return _text(files.read_object(os.path.join(path, "origin.json")), "message")


def _text(told: Mapping[str, Any], key: str) -> str | None:
    text = told.get(key)
    return text if isinstance(text, str) and text else None


def _scores_in(folder: Path, names: list[str], metrics_file: str) -> experiment.Scores:
    """The metrics of one file, whatever it is called, in the place of the development metrics."""
    if metrics_file not in names:
        return experiment.Scores()
    try:
        return experiment.Scores(best=metrics.read_metrics(folder / metrics_file))
    except MetricsError as error:
        return experiment.Scores(problems=(str(error),), best_is_broken=True)


def one_line(problem: object) -> str:
    return str(problem).partition("\n")[0]
