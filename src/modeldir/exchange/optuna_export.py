"""Export experiments as an Optuna study in a journal file.

`exporting.export` calls `write`. A second export writes the whole file again and keeps what others
have added to it. A trial never changes its position in the study, because the dashboard stores
notes by position.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir import space
from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, ModeldirError
from modeldir.exchange.export_data import ExportData, ExportedExperiment
from modeldir.exchange.export_folder import TrialCounts, is_export_of, source_fields
from modeldir.exchange.optuna_storage import MARK, journal_in_memory, read_journal
from modeldir.experiment import attempts
from modeldir.params import equality
from modeldir.space import value_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_LOG_SCALE_RATIO = 100.0
"""Without a search config, positive numbers that span this ratio get a logarithmic range."""

_DATABASE_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})
_STATE = "Nothing was written."


def write(data: ExportData, path: Path, source: Path) -> TrialCounts:
    if path.suffix in _DATABASE_SUFFIXES:
        raise ModeldirError(
            f"{path}: an Optuna study is exported as a journal, not as a database.\n"
            f"  name a journal: -o {quoted(path.with_suffix('.log'))}",
            state=_STATE,
        )
    if not data.objectives:
        raise ModeldirError(
            f"{data.folder}: an Optuna study needs a metric, and none can be ranked by here.\n"
            f"  name one: --maximize NAME, or --minimize NAME",
            state=_STATE,
        )
    from modeldir.samplers.quiet_optuna import quietly  # noqa: PLC0415 - imports Optuna

    with quietly():
        study = _existing_study(path, source) or _Study(data.folder.resolve().name)
        names = {each.name for each in data.experiments}
        others = [trial for trial in study.trials if _experiment_of(trial) not in names]
        params = _study_params(data, others)
        ordered = sorted(data.experiments, key=lambda each: (each.started, each.found.number or 0))
        made = {each.name: _trial(at, each, data, params) for at, each in enumerate(ordered)}
        kept = [
            made.pop(name)
            if (name := _experiment_of(old)) in made
            else _with_distributions(old, params)
            for old in study.trials
        ]
        _store(path, replace(study, trials=[*kept, *made.values()]), data, source)
    pairs = zip(study.trials, kept, strict=True)
    same = sum(_shown(before) == _shown(now) for before, now in pairs) - len(others)
    return TrialCounts(len(made), len(kept) - len(others) - same, same, len(others))


def _shown(trial: FrozenTrial) -> str:
    """Return the content of a trial as text, in which NaN equals NaN."""
    content = (trial.state.name, trial.values, trial.params, trial.intermediate_values)
    return repr((*content, trial.user_attrs.get(MARK)))


def _with_distributions(trial: FrozenTrial, params: Mapping[str, StudyParam]) -> FrozenTrial:
    """Copy somebody's trial with the new distributions: a study has one for each name."""
    trial = deepcopy(trial)
    current = {name: params[name].distribution for name in trial.params if name in params}
    trial.distributions = {**trial.distributions, **current}
    return trial


def _experiment_of(trial: FrozenTrial) -> str:
    mark = trial.user_attrs.get(MARK)
    return str(mark.get("experiment", "")) if isinstance(mark, dict) else ""


@dataclass(frozen=True)
class _Study:
    name: str
    trials: list[FrozenTrial] = field(default_factory=list)
    user_attributes: Mapping[str, Any] = field(default_factory=dict)
    system_attributes: Mapping[str, Any] = field(default_factory=dict)


def _existing_study(path: Path, source: Path) -> _Study | None:
    """Return the study in the file, or None if there is no file; raise if it is not ours."""
    if not os.path.lexists(path):
        return None
    another = f"  name another file: -o {path.with_name('modeldir_' + path.name)}"
    try:
        storage = journal_in_memory(read_journal(path))
        studies = storage.get_all_studies()
    except Exception as error:  # Optuna raises many types for a file that is no journal
        raise FolderError(
            f"{path} exists, and is not an Optuna journal.\n{another}", state=_STATE
        ) from error
    if len(studies) != 1 or MARK not in studies[0].user_attrs:
        names = ", ".join(repr(study.study_name) for study in studies) or "nothing"
        raise FolderError(
            f"{path} holds trials that are not from an export: {names}.\n{another}", state=_STATE
        )
    (study,) = studies
    mark = study.user_attrs[MARK]
    if not is_export_of(mark, source, path.parent):
        raise FolderError(f"{path} holds the study of {mark.get('from')}.\n{another}", state=_STATE)
    trials = storage.get_all_trials(storage.get_study_id_from_name(study.study_name))
    return _Study(study.study_name, trials, study.user_attrs, study.system_attrs)


def _store(path: Path, study: _Study, data: ExportData, source: Path) -> None:
    """Make the journal in memory, then replace the file with it as a whole."""
    from optuna.study import StudyDirection  # noqa: PLC0415 - heavy, and an extra

    lines: list[dict[str, Any]] = []
    storage = journal_in_memory(lines)
    directions = [StudyDirection[direction.upper()] for _, direction in data.objectives]
    key = storage.create_new_study(directions, study.name)
    mark = {"format": 1, **source_fields(source, path.parent)}
    for name, value in {**study.user_attributes, MARK: mark}.items():
        storage.set_study_user_attr(key, name, value)
    names = [name for name, _ in data.objectives]
    for name, value in {**study.system_attributes, "study:metric_names": names}.items():
        storage.set_study_system_attr(key, name, value)
    for trial in study.trials:
        storage.create_new_trial(key, template_trial=trial)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, text.encode())


def _trial(
    number: int,
    experiment: ExportedExperiment,
    data: ExportData,
    params: Mapping[str, StudyParam],
) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState  # noqa: PLC0415 - heavy, and an extra

    searched = {name: v for name, v in experiment.hyperparameters.items() if name in params}
    metric, scores = data.objectives[0][0], experiment.found.scores.validation
    reported = {
        int(logged.step): float(logged.values[metric])
        for logged in experiment.validation_curve()
        if metric in logged.values
    }
    objectives = {name: float(scores.get(name, math.nan)) for name, _ in data.objectives}
    values: list[float] | None = None
    state, reason = TrialState.FAIL, experiment.found.status.reason
    if experiment.status in {attempts.COMPLETED, attempts.UNTRACKED}:
        missing = next((name for name in objectives if not math.isfinite(objectives[name])), None)
        if missing is None:
            state, values = TrialState.COMPLETE, [*objectives.values()]
        else:  # Optuna refuses NaN in complete trials
            reason = f"{experiment.status}, without a finite {missing}"
    elif experiment.status == attempts.PRUNED:  # Optuna itself takes the last reported value
        last = reported[max(reported)] if reported and len(objectives) == 1 else math.nan
        state, values = TrialState.PRUNED, [last] if math.isfinite(last) else None
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        values=values,
        datetime_start=datetime.fromtimestamp(experiment.started),  # noqa: DTZ006 - Optuna's are local
        datetime_complete=datetime.fromtimestamp(experiment.ended),  # noqa: DTZ006 - likewise
        params={name: params[name].to_optuna(value) for name, value in searched.items()},
        distributions={name: params[name].distribution for name in searched},
        user_attrs=_user_attributes(experiment, params, reason),
        system_attrs={},
        intermediate_values=reported,
    )


def _user_attributes(
    experiment: ExportedExperiment, params: Mapping[str, StudyParam], reason: str | None
) -> dict[str, Any]:
    status = experiment.found.status
    path = str(experiment.found.path.absolute())
    mark = {"experiment": experiment.name, "status": experiment.status, "path": path}
    optional = {"reason": reason, "failure": status.failure, "last_line": status.last_line}
    mark.update({key: value for key, value in optional.items() if value})
    final = {n: v for n, v in experiment.final_metrics().items() if math.isfinite(v)}
    constant = {n: _category(v) for n, v in experiment.hyperparameters.items() if n not in params}
    return {MARK: mark, "metrics": final, "hyperparameters": constant}


class StudyParam:
    """A hyperparameter as a parameter of an Optuna study, with a distribution for all trials."""

    def __init__(self, domain: space.Domain | None, values: Sequence[Any]) -> None:
        from optuna import distributions  # noqa: PLC0415 - heavy, and an extra

        self.distribution: BaseDistribution
        categorical = isinstance(domain, space.Choice) or not all(map(_is_number, values))
        if categorical or not (values or domain):
            options = [*domain.options, *values] if isinstance(domain, space.Choice) else values
            self._categories: dict[Any, Any] | None = {
                equality.key(option): _category(option) for option in options
            }
            choices = tuple(dict.fromkeys(self._categories.values()))
            self.distribution = distributions.CategoricalDistribution(choices)
            return
        self._categories = None
        bounds = [domain.low, domain.high] if domain is not None else []  # type: ignore[union-attr]
        low, high = min([*bounds, *values]), max([*bounds, *values])
        self._is_integer = all(isinstance(value, int) for value in (*bounds, *values))
        log = _is_log(domain, low, high)
        if self._is_integer:
            self.distribution = distributions.IntDistribution(low, high, log=log)
        else:
            self.distribution = distributions.FloatDistribution(float(low), float(high), log=log)

    def to_optuna(self, value: Any) -> Any:
        """Return the value of this parameter that stands for a hyperparameter's value."""
        if self._categories is not None:
            return self._categories[equality.key(value)]
        return value if self._is_integer else float(value)


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) < 2**53


def _is_log(domain: space.Domain | None, low: float, high: float) -> bool:
    if low <= 0:
        return False
    word = getattr(domain, "word", None)
    return high / low >= _LOG_SCALE_RATIO if word is None else word.startswith("log_")


def _category(value: Any) -> Any:
    """Return a value that Optuna accepts as a category: lists and dicts become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value_text(value)


def _study_params(data: ExportData, others: Sequence[FrozenTrial]) -> dict[str, StudyParam]:
    params = {}
    for name in data.varying():
        used = [e.hyperparameters[name] for e in data.experiments if name in e.hyperparameters]
        used += [trial.params[name] for trial in others if name in trial.params]
        params[name] = StudyParam(data.domains.get(name), used)
    return params
