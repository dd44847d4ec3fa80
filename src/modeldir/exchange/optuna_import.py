"""Optuna's studies, from a database or a journal file: each becomes a search, its trials trials.

Optuna itself reads them, from a copy, so it has to be installed. A plan is made of the
distributions that the trials had, so that a search may go on where the study stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir.errors import FolderError
from modeldir.exchange import optuna_storage, sqlite
from modeldir.exchange.foreign_files import Problems
from modeldir.exchange.foreign_run import Foreign, Group, parts, value_of
from modeldir.exchange.optuna_storage import MARK
from modeldir.experiment import attempts
from modeldir.metrics.objective import Objectives

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

TOOL = "optuna"
_ENDS = {
    "COMPLETE": attempts.COMPLETED,
    "PRUNED": attempts.PRUNED,
    "FAIL": attempts.FAILED,
}
_VALUE = "value"
_HEAD = 4096


def recognizes(source: Path) -> bool:
    """Whether it is a database with studies, a journal, or a folder with one of them."""
    return _file(source) is not None


def _file(source: Path) -> Path | None:
    found = sorted(source.iterdir()) if source.is_dir() else [source]
    return next((path for path in found if path.is_file() and _is_storage(path)), None)


def _is_storage(path: Path) -> bool:
    if sqlite.is_database(path):
        return {"studies", "trials"} <= sqlite.tables(path)
    try:
        with open(path, "rb") as file:
            line = json.loads(file.readline(_HEAD))
    except (OSError, ValueError):
        return False
    return isinstance(line, dict) and "op_code" in line and "worker_id" in line


def read(source: Path, problems: Problems) -> Iterator[Foreign | Group]:
    """Its studies; of one alone no folder is made.

    Raises:
        FolderError: when it is no storage that Optuna opens.
    """
    from modeldir.samplers._optuna import quietly  # noqa: PLC0415 - it is for samplers first

    path = _file(source) or source
    try:
        with quietly(), optuna_storage.opened(path) as storage:
            studies = storage.get_all_studies()
            for study in studies:
                trials = storage.get_all_trials(study._study_id)  # noqa: SLF001 - the storage's own key
                group = study.study_name if len(studies) > 1 else ""
                objectives = _objectives(study)
                yield Group(group, _plan(trials, objectives))
                for trial in trials:
                    if not trial.params and not trial.state.is_finished():
                        name = f"trial {trial.number} of {study.study_name}"
                        problems.append(f"{path}: {name} was never told its parameters: left out")
                        continue
                    yield _run(path, study.study_name, group, trial, objectives)
    except Exception as error:  # whatever SQLAlchemy or Optuna make of a file
        raise FolderError(f"{path}: Optuna cannot read it: {error}") from error


def _objectives(study: Any) -> Objectives:
    """The metrics by their names, or `value`, `value_1`, ..."""
    names = study.system_attrs.get("study:metric_names") or []
    count = len(study.directions)
    if len(names) != count:
        names = [_VALUE] if count == 1 else [f"{_VALUE}_{place}" for place in range(count)]
    pairs = zip(names, study.directions, strict=True)
    return tuple((n, "minimize" if d.name == "MINIMIZE" else "maximize") for n, d in pairs)


def _run(path: Path, study: str, group: str, trial: FrozenTrial, objectives: Objectives) -> Foreign:
    begun, ended = trial.datetime_start, trial.datetime_complete
    mark = trial.user_attrs.get(MARK)
    kept = trial.user_attrs.get("hyperparameters") if isinstance(mark, dict) else None
    point = {name: _value(value) for name, value in trial.params.items()}
    flat = {**(kept if isinstance(kept, dict) else {}), **point}
    values = dict(zip((n for n, _ in objectives), trial.values or (), strict=False))
    reason = mark.get("reason") if isinstance(mark, dict) else None
    return Foreign(
        key=f"{TOOL}:{path}:{study}:{trial.number}",
        name=str(mark["experiment"]) if isinstance(mark, dict) else f"trial_{trial.number:06d}",
        source=path,
        group=group,
        hyperparameters=parts(flat),
        lines=[_line(step, v, objectives) for step, v in sorted(trial.intermediate_values.items())],
        results={"best": values} if trial.state.name == "COMPLETE" else {},
        number=trial.number + 1,
        point=point,
        status=_ENDS.get(trial.state.name),
        open=trial.state.name == "RUNNING",
        reason=reason or trial.system_attrs.get("fail_reason"),
        started=begun.timestamp() if begun else None,
        duration=(ended - begun).total_seconds() if begun and ended else None,
        objectives=objectives,
        facts={"study": study, "number": trial.number, "user_attrs": trial.user_attrs},
    )


def _line(step: int, value: float, objectives: Objectives) -> dict[str, float]:
    return {"step": step, objectives[0][0]: value}


def _value(value: Any) -> Any:
    """A list that an export has had to make a text of is a list again."""
    return value_of(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value


# -- The plan --------------------------------------------------------------------------------------


def _plan(trials: Sequence[FrozenTrial], objectives: Objectives) -> dict[str, Any]:
    """What `search.json` would say: the newest distribution of each name, and the metrics."""
    found: dict[str, BaseDistribution] = {}
    for trial in trials:
        found.update(trial.distributions)
    space = {name: _domain(distribution) for name, distribution in found.items()}
    plan: dict[str, Any] = {"space": space}
    for way in ("maximize", "minimize"):
        names = [name for name, direction in objectives if direction == way]
        if names:
            plan[way] = names[0] if len(names) == 1 else names
    return plan


def _domain(distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return [_value(choice) for choice in distribution.choices]
    whole = isinstance(distribution.low, int)
    word = ("log_" if distribution.log else "") + ("int" if whole else "uniform")
    domain: dict[str, Any] = {word: [distribution.low, distribution.high]}
    if distribution.step is not None and not (whole and distribution.step == 1):
        domain["step"] = distribution.step
    return domain
