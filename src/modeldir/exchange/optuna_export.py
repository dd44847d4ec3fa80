"""Export experiments as an Optuna study in a journal file.

`exporting.export` calls `write`. optuna-dashboard and `optuna.load_study` open the file
(`JournalFileBackend`). A second export writes the whole file again and keeps what others have added
to it. A trial never changes its position in the study, because the dashboard stores notes by
position. Which experiments are exported: `trials`. Reading studies: `optuna_import`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir import space
from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, ModeldirError
from modeldir.exchange.optuna_storage import MARK, journal_in_memory, read_journal
from modeldir.exchange.target import Written, is_of, made_from
from modeldir.exchange.trials import Gathered, Row
from modeldir.experiment import attempts
from modeldir.params import equality
from modeldir.space import value_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

DECADES = 100.0
"""Where no plan says: positive numbers that span two decades or more are on a logarithmic axis."""

_DATABASE_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})
_STATE = "Nothing was written."


def write(gathered: Gathered, path: Path, source: Path) -> Written:
    """The study of what was gathered, in a file.

    Raises:
        FolderError: when the file is there and holds something else.
        ModeldirError: when there is no metric to rank by, or the name is that of a database.
        OSError: when it cannot be written.
    """
    if path.suffix in _DATABASE_SUFFIXES:
        raise ModeldirError(
            f"{path}: an Optuna study is exported as a journal, not as a database.\n"
            f"  name a journal: -o {quoted(path.with_suffix('.log'))}",
            state=_STATE,
        )
    if not gathered.objectives:
        raise ModeldirError(
            f"{gathered.folder}: an Optuna study needs a metric, and none can be ranked by here.\n"
            f"  name one: --maximize NAME, or --minimize NAME",
            state=_STATE,
        )
    with _quiet():
        there = _existing(path, source) or _Study(gathered.folder.resolve().name)
        names = {row.name for row in gathered.rows}
        others = [trial for trial in there.trials if _name_of(trial) not in names]
        axes = _axes(gathered, others)
        made = {row.name: trial for row, trial in _trials(gathered, axes)}
        kept = [
            made.pop(name) if (name := _name_of(old)) in made else _again(old, axes)
            for old in there.trials
        ]
        study = replace(there, trials=[*kept, *made.values()])
        _store(path, study, gathered, source)
    pairs = zip(there.trials, kept, strict=True)
    same = sum(_says(one) == _says(other) for one, other in pairs) - len(others)
    return Written(len(made), len(kept) - len(others) - same, same, len(others))


def _says(trial: FrozenTrial) -> str:
    """What a trial says, as text: in it NaN equals NaN."""
    parts = (trial.state.name, trial.values, trial.params, trial.intermediate_values)
    return repr((*parts, trial.user_attrs.get(MARK)))


def _again(trial: FrozenTrial, axes: Mapping[str, Axis]) -> FrozenTrial:
    """A trial of others, with the distributions as they are now: a study has one a name."""
    trial = deepcopy(trial)
    now = {name: axes[name].distribution for name in trial.params if name in axes}
    trial.distributions = {**trial.distributions, **now}
    return trial


def _name_of(trial: FrozenTrial) -> str:
    """The experiment that a trial of a study was made from; empty where it is none of ours."""
    mark = trial.user_attrs.get(MARK)
    return str(mark.get("experiment", "")) if isinstance(mark, dict) else ""


# -- The file --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Study:
    """A study as it lies in a file: what an export keeps of it."""

    name: str
    trials: list[FrozenTrial] = field(default_factory=list)
    user_attributes: Mapping[str, Any] = field(default_factory=dict)
    system_attributes: Mapping[str, Any] = field(default_factory=dict)


def _existing(path: Path, source: Path) -> _Study | None:
    """Return the study in the file, or None if there is no file.

    Raises:
        FolderError: if the file is not an export of `source`.
    """
    if not os.path.lexists(path):
        return None
    another = f"  name another file: -o {path.with_name('modeldir_' + path.name)}\n{_STATE}"
    try:
        storage = journal_in_memory(read_journal(path))
        studies = storage.get_all_studies()
    except Exception as error:  # Optuna raises many types for a file that is no journal
        raise FolderError(f"{path} is there, and is no journal of Optuna's.\n{another}") from error
    if len(studies) != 1 or MARK not in studies[0].user_attrs:
        names = ", ".join(repr(study.study_name) for study in studies) or "nothing"
        raise FolderError(f"{path} holds what is no export: {names}.\n{another}")
    (study,) = studies
    mark = study.user_attrs[MARK]
    if not is_of(mark, source, path.parent):
        raise FolderError(f"{path} holds the study of {mark.get('from')}.\n{another}")
    trials = storage.get_all_trials(storage.get_study_id_from_name(study.study_name))
    return _Study(study.study_name, trials, study.user_attrs, study.system_attrs)


def _store(path: Path, study: _Study, gathered: Gathered, source: Path) -> None:
    """Make the journal in memory, then replace the file with it as a whole."""
    from optuna.study import StudyDirection  # noqa: PLC0415 - heavy, and an extra

    lines: list[dict[str, Any]] = []
    storage = journal_in_memory(lines)
    directions = [StudyDirection[direction.upper()] for _, direction in gathered.objectives]
    key = storage.create_new_study(directions, study.name)
    mark = {"format": 1, **made_from(source, path.parent)}
    for name, value in {**study.user_attributes, MARK: mark}.items():
        storage.set_study_user_attr(key, name, value)
    names = [name for name, _ in gathered.objectives]
    for name, value in {**study.system_attributes, "study:metric_names": names}.items():
        storage.set_study_system_attr(key, name, value)
    for trial in study.trials:
        storage.create_new_trial(key, template_trial=trial)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, text.encode())


def _quiet() -> Any:
    from modeldir.samplers._optuna import quietly  # noqa: PLC0415 - it is for samplers first

    return quietly()


# -- Trials ----------------------------------------------------------------------------------------


def _trials(gathered: Gathered, axes: Mapping[str, Axis]) -> Iterator[tuple[Row, FrozenTrial]]:
    for number, row in enumerate(sorted(gathered.rows, key=_order)):
        yield row, _frozen(number, row, gathered, axes)


def _order(row: Row) -> tuple[float, int]:
    number = row.found.number
    return (row.begun, 0) if number is None else (row.begun, number)


def _frozen(number: int, row: Row, gathered: Gathered, axes: Mapping[str, Axis]) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState  # noqa: PLC0415 - heavy, and an extra

    known = {n: v for n, v in row.hyperparameters.items() if n in axes}
    series = _intermediate(row, gathered.objectives[0][0])
    lacking = _lacking(row, gathered)
    values: list[float] | None = None
    state, why = TrialState.FAIL, row.found.status.reason
    if row.state in {attempts.COMPLETED, attempts.UNRECORDED} and lacking is None:
        state, values = TrialState.COMPLETE, _values(row, gathered)
    elif row.state in {attempts.COMPLETED, attempts.UNRECORDED}:
        why = f"{row.state}, without a finite {lacking}"
    elif row.state == attempts.PRUNED:
        state, values = TrialState.PRUNED, _pruned(series, gathered)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        values=values,
        datetime_start=datetime.fromtimestamp(row.begun),  # noqa: DTZ006 - as Optuna has it: local
        datetime_complete=datetime.fromtimestamp(row.ended),  # noqa: DTZ006 - likewise
        params={name: axes[name].to_model(value) for name, value in known.items()},
        distributions={name: axes[name].distribution for name in known},
        user_attrs=_attributes(row, axes, why),
        system_attrs={},
        intermediate_values=series,
    )


def _values(row: Row, gathered: Gathered) -> list[float]:
    return [float(row.found.scores.development[name]) for name, _ in gathered.objectives]


def _lacking(row: Row, gathered: Gathered) -> str | None:
    """The first objective without a finite value: Optuna takes no trial with NaN for complete."""
    scores = row.found.scores.development
    names = (name for name, _ in gathered.objectives)
    return next((n for n in names if not math.isfinite(scores.get(n, math.nan))), None)


def _pruned(series: Mapping[int, float], gathered: Gathered) -> list[float] | None:
    """What Optuna itself takes for the value of a pruned trial: the last one that it reported."""
    last = series[max(series)] if series and len(gathered.objectives) == 1 else math.nan
    return [last] if math.isfinite(last) else None


def _intermediate(row: Row, metric: str) -> dict[int, float]:
    """The ranked metric by step."""
    found = {}
    for point in row.development():
        if metric in point.values:
            found[int(point.step)] = float(point.values[metric])
    return found


def _attributes(row: Row, axes: Mapping[str, Axis], why: str | None) -> dict[str, Any]:
    status = row.found.status
    kept = {"experiment": row.name, "status": row.state, "path": str(row.found.path.absolute())}
    told = {"reason": why, "failure": status.failure, "last_line": status.last_line}
    kept.update({key: value for key, value in told.items() if value})
    numbers = {n: v for n, v in row.numbers().items() if math.isfinite(v)}
    constant = {n: _plain(v) for n, v in row.hyperparameters.items() if n not in axes}
    return {MARK: kept, "metrics": numbers, "hyperparameters": constant}


# -- Distributions ---------------------------------------------------------------------------------


class Axis:
    """A hyperparameter as Optuna has it, over all values that the trials have.

    A study has one distribution a name: the plan's range, widened where trials lie outside it (the
    plan may have changed since); categories where values are no numbers, or the plan lists some.
    """

    def __init__(self, domain: space.Domain | None, values: Sequence[Any]) -> None:
        from optuna import distributions  # noqa: PLC0415 - heavy, and an extra

        self.distribution: BaseDistribution
        bare = isinstance(domain, space.Choice) or not all(map(_is_number, values))
        if bare or not (values or domain):
            options = [*domain.options, *values] if isinstance(domain, space.Choice) else values
            different = {equality.key(option): option for option in options}
            self._places: dict[Any, Any] | None = {
                place: _plain(option) for place, option in different.items()
            }
            choices = tuple(dict.fromkeys(self._places.values()))
            self.distribution = distributions.CategoricalDistribution(choices)
            return
        self._places = None
        edges = [domain.low, domain.high] if domain is not None else []  # type: ignore[union-attr]
        low, high = min([*edges, *values]), max([*edges, *values])
        self._whole = all(isinstance(value, int) for value in (*edges, *values))
        log = _is_log(domain, low, high)
        if self._whole:
            self.distribution = distributions.IntDistribution(low, high, log=log)
        else:
            self.distribution = distributions.FloatDistribution(float(low), float(high), log=log)

    def to_model(self, value: Any) -> Any:
        """A value as the distribution has it."""
        if self._places is not None:
            return self._places[equality.key(value)]
        return value if self._whole else float(value)


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) < 2**53


def _is_log(domain: space.Domain | None, low: float, high: float) -> bool:
    if low <= 0:
        return False
    word = getattr(domain, "word", None)
    return high / low >= DECADES if word is None else word.startswith("log_")


def _plain(value: Any) -> Any:
    """A value as a category or an attribute can be: lists and the like are text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return (
        value if value is None or isinstance(value, (bool, int, float, str)) else value_text(value)
    )


def _axes(gathered: Gathered, others: Sequence[FrozenTrial]) -> dict[str, Axis]:
    domains = gathered.domains()
    found = {}
    for name in gathered.varied():
        values = [r.hyperparameters[name] for r in gathered.rows if name in r.hyperparameters]
        values += [trial.params[name] for trial in others if name in trial.params]
        found[name] = Axis(domains.get(name), values)
    return found
