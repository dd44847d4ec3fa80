"""Import Optuna studies from a database or a journal file; each becomes a search.

`importing` calls `recognizes` and `read`. Optuna itself reads a copy of the file. The search space
is made from the distributions of the trials, so a search can continue the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import reading
from modeldir.errors import FolderError
from modeldir.exchange import optuna_storage, sqlite
from modeldir.exchange.foreign_files import Problems
from modeldir.exchange.foreign_run import ForeignRun, ForeignStudy, nest, parse_value
from modeldir.exchange.optuna_storage import MARK
from modeldir.experiment import attempts
from modeldir.experiment.trial_labels import numbered_name
from modeldir.metrics.objective import Objectives

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_STATUSES = {
    "COMPLETE": attempts.COMPLETED,
    "PRUNED": attempts.PRUNED,
    "FAIL": attempts.FAILED,
}
_UNNAMED = "value"
_LONGEST_FIRST_LINE = 4096


def recognizes(source: Path) -> bool:
    return _file(source) is not None


def _file(source: Path) -> Path | None:
    candidates = sorted(source.iterdir()) if source.is_dir() else [source]
    return next((path for path in candidates if path.is_file() and _is_storage(path)), None)


def _is_storage(path: Path) -> bool:
    if sqlite.is_database(path):
        return {"studies", "trials"} <= sqlite.tables(path)
    try:
        with reading.open_stream(path) as file:
            line = reading.loads(file.readline(_LONGEST_FIRST_LINE))
    except (OSError, ValueError):
        return False
    return isinstance(line, dict) and "op_code" in line and "worker_id" in line


def read(source: Path, problems: Problems) -> Iterator[ForeignRun | ForeignStudy]:
    """Yield the studies and their trials. A subfolder is made only if there are several studies."""
    from modeldir.samplers.quiet_optuna import quietly  # noqa: PLC0415 - imports Optuna

    path = _file(source) or source
    try:
        with quietly(), optuna_storage.opened(path) as storage:
            studies = storage.get_all_studies()
            for study in studies:
                trials = storage.get_all_trials(study._study_id)  # noqa: SLF001 - the storage's own key
                group = study.study_name if len(studies) > 1 else ""
                objectives = _objectives(study)
                yield ForeignStudy(group, _plan(trials, objectives))
                for trial in trials:
                    if not trial.params and not trial.state.is_finished():
                        name = f"trial {trial.number} of {study.study_name}"
                        problems.append(f"{path}: {name} has no parameters, so it is left out")
                        continue
                    yield _run(path, study.study_name, group, trial, objectives)
    except Exception as error:  # SQLAlchemy and Optuna raise many types
        raise FolderError(f"{path}: Optuna cannot read it: {error}") from error


def _objectives(study: Any) -> Objectives:
    """Return the metrics with their directions; without names they are `value`, `value_1`, ..."""
    names = study.system_attrs.get("study:metric_names") or []
    count = len(study.directions)
    if len(names) != count:
        names = [_UNNAMED] if count == 1 else [f"{_UNNAMED}_{index}" for index in range(count)]
    pairs = zip(names, study.directions, strict=True)
    return tuple((n, "minimize" if d.name == "MINIMIZE" else "maximize") for n, d in pairs)


def _run(
    path: Path, study: str, group: str, trial: FrozenTrial, objectives: Objectives
) -> ForeignRun:
    started, ended, metric = trial.datetime_start, trial.datetime_complete, objectives[0][0]
    mark = trial.user_attrs.get(MARK)
    constant = trial.user_attrs.get("hyperparameters") if isinstance(mark, dict) else None
    configuration = {name: _value(value) for name, value in trial.params.items()}
    flat = {**(constant if isinstance(constant, dict) else {}), **configuration}
    values = dict(zip((n for n, _ in objectives), trial.values or (), strict=False))
    reason = mark.get("reason") if isinstance(mark, dict) else None
    number = trial.number + 1  # Optuna counts from 0
    return ForeignRun(
        key=f"optuna:{path}:{study}:{trial.number}",
        name=str(mark["experiment"]) if isinstance(mark, dict) else numbered_name(number),
        source=path,
        group=group,
        hyperparameters=nest(flat),
        lines=[{"step": at, metric: v} for at, v in sorted(trial.intermediate_values.items())],
        results={"best": values} if trial.state.name == "COMPLETE" else {},
        number=number,
        configuration=configuration,
        status=_STATUSES.get(trial.state.name),
        unfinished=trial.state.name == "RUNNING",
        reason=reason or trial.system_attrs.get("fail_reason"),
        started=started.timestamp() if started else None,
        duration=(ended - started).total_seconds() if started and ended else None,
        objectives=objectives,
        facts={"study": study, "number": trial.number, "user_attrs": trial.user_attrs},
    )


def _value(value: Any) -> Any:
    """Parse a list that an export had to store as a string."""
    return parse_value(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value


def _plan(trials: Sequence[FrozenTrial], objectives: Objectives) -> dict[str, Any]:
    newest: dict[str, BaseDistribution] = {}
    for trial in trials:
        newest.update(trial.distributions)
    space = {name: _domain(distribution) for name, distribution in newest.items()}
    plan: dict[str, Any] = {"space": space}
    for direction in ("maximize", "minimize"):
        names = [name for name, wanted in objectives if wanted == direction]
        if names:
            plan[direction] = names[0] if len(names) == 1 else names
    return plan


def _domain(distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return [_value(choice) for choice in distribution.choices]
    is_integer = isinstance(distribution.low, int)
    word = ("log_" if distribution.log else "") + ("int" if is_integer else "uniform")
    domain: dict[str, Any] = {word: [distribution.low, distribution.high]}
    if distribution.step is not None and not (is_integer and distribution.step == 1):
        domain["step"] = distribution.step
    return domain
