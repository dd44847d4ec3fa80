"""What Optuna's samplers need: the trials as a study of Optuna's, and dims as its distributions.

It knows how a dim becomes a distribution and an observation a trial of Optuna's, and how one of its
samplers is asked outside its own loop. It refuses to know which sampler that is.

A study is usually kept in a database. Here the folders are it, so the storage is only a view of
what was told: in one order (rows of other folders, then trials by number), whatever the order of
telling, and each ask gets a new sampler with a seed of its own. So a restart changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modeldir.samplers import Objectives, Observation, Proposal, objective_values
from modeldir.samplers.dims import (
    constants,
    in_domains,
    is_integer,
    is_log,
    sorted_numbers,
    step_of,
)
from modeldir.samplers.quiet_optuna import quietly
from modeldir.samplers.taken import Taken, seed_for
from modeldir.space import Choice

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from modeldir.space import Dim, Space

TRIES = 10
"""So many asks for a point that no trial has yet, before chance decides among the rest."""

STARTUP = 10
"""As many trials end before a model is asked; so Optuna has it."""

_FIRST = 1_000_000_000
"""The number that trial 0 has in the study: rows of other folders come before it."""
_ASKING = 2 * _FIRST

_EXACT = 2**53
"""Up to here a float holds every whole number."""

MakeSampler = Callable[[int], "BaseSampler"]


# -- Dims as distributions -------------------------------------------------------------------------


class OptunaAxis:
    """One dim as Optuna has it.

    A list of three numbers or more is an axis with an order (16, 32, 64): its places are whole
    numbers. Of all other lists the places are categories. So nothing that a list may hold, a list
    or null among it, has to be a category of Optuna's.
    """

    def __init__(self, dim: Dim) -> None:
        from optuna import distributions  # noqa: PLC0415 - heavy, and an extra

        domain: Any = dim.domain
        self._domain = domain
        self._places: dict[str, int] | None = None
        self._first = 0
        """From where whole numbers count: far from 0 a float would not tell them apart."""
        self.distribution: BaseDistribution
        if isinstance(dim.domain, Choice):
            options = sorted_numbers(dim.domain)
            self._options = options or dim.domain.options
            self._places = {_key(option): place for place, option in enumerate(self._options)}
            count = len(self._options)
            self.distribution = (
                distributions.IntDistribution(0, count - 1)
                if options
                else distributions.CategoricalDistribution(tuple(range(count)))
            )
        elif is_integer(dim):
            low, high, step = domain.low, domain.high, step_of(dim)
            log = is_log(dim) and step in {None, 1}  # Optuna has no logarithm with a step
            if not log and max(abs(low), abs(high)) > _EXACT:
                self._first, high, low = low, high - low, 0
            self.distribution = distributions.IntDistribution(
                low,
                high if log else low + (high - low) // (step or 1) * (step or 1),
                log=log,
                step=1 if log else step or 1,
            )
        else:  # a step is kept by `nearest`
            self.distribution = distributions.FloatDistribution(
                domain.low, domain.high, log=is_log(dim)
            )

    def to_model(self, value: Any) -> Any:
        """A value as the distribution has it."""
        if self._places is not None:
            return self._places[_key(value)]
        return int(value) - self._first if isinstance(self._domain.low, int) else float(value)

    def distance(self, one: Any, other: Any) -> float:
        """How far two values of the distribution are apart, as a part of the axis."""
        if one == other:
            return 0.0
        low, high = (
            getattr(self.distribution, "low", None),
            getattr(self.distribution, "high", None),
        )
        if low is None or high is None or low == high:
            return 1.0
        if getattr(self.distribution, "log", False):
            return abs(math.log(one) - math.log(other)) / (math.log(high) - math.log(low))
        return float(abs(one - other) / (high - low))

    def midpoint(self) -> Any:
        """What stands for the value of a dim that is not active."""
        if self._places is not None:
            return len(self._places) // 2
        return self.to_model(self._domain.at(0.5))

    def from_model(self, value: Any) -> Any:
        """A value of the distribution as one of the domain."""
        if self._places is not None:
            return self._options[int(value)]
        if self._first:
            return self._domain.nearest(self._first + int(value))
        return self._domain.nearest(float(value))  # NumPy's number as Python's


def _key(value: Any) -> str:
    """Equal for values that mean the same: 1 and 1.0, but not 1 and true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_key, value))}]"
    return repr(value)


# -- The study -------------------------------------------------------------------------------------


class StudyHistory:
    """What was told, as trials of Optuna's in one order.

    A model of all dims together has no place for a trial that lacks some: with `whole`, a dim that
    is not active counts as its middle, and is passed over where it is proposed.

    Rows outside the space as it is now teach nothing: the plan may have changed since they were
    made. A trial that has ended well without finite values for all objectives counts as failed.
    """

    def __init__(
        self, space: Space, objectives: Objectives, *, fill_inactive: bool = False
    ) -> None:
        self._space, self._objectives = space, objectives
        self._fill_inactive = fill_inactive
        self._axes = {dim.name: OptunaAxis(dim) for dim in space.dims}
        self._rows: dict[int, FrozenTrial] = {}
        self._notes: dict[int, Mapping[str, Any]] = {}
        self._sorted: list[FrozenTrial] | None = None
        self._foreign = 0

    def tell(self, observation: Observation) -> None:
        """A trial, or what has changed about it."""
        if observation.number is None:
            self._foreign += 1
            key = self._foreign
        else:
            key = observation.number + _FIRST
        self._rows.pop(key, None)
        self._sorted = None
        row = self._row(key, observation)
        if row is not None:
            self._rows[key] = row
            self._notes[key] = observation.notes

    def rows(self) -> list[FrozenTrial]:
        """All of them, in order."""
        if self._sorted is None:
            self._sorted = [self._rows[key] for key in sorted(self._rows)]
        return self._sorted

    def count_learnable(self) -> int:
        """How many a model can learn from."""
        from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

        states = {TrialState.COMPLETE, TrialState.PRUNED}
        return sum(row.state in states for row in self._rows.values())

    def count_completed(self, generation: int | None = None) -> int:
        """How many have ended well, with finite values; of one generation, where it is given."""
        return sum(
            is_completed(row) and (generation is None or notes.get("generation", 0) == generation)
            for _, row, notes in self.entries()
        )

    def newest_generation(self) -> int:
        """The highest generation that a trial's notes tell of."""
        numbers = (notes.get("generation", 0) for _, _, notes in self.entries())
        return max((each for each in numbers if isinstance(each, int)), default=0)

    def entries(self) -> Iterator[tuple[int, FrozenTrial, Mapping[str, Any]]]:
        """Each row in order: its number (see `number_of`), as Optuna has it, and its notes."""
        for row in self.rows():
            yield number_of(row), row, self._notes[row.number]

    def nearest_distance(self, values: Mapping[str, Any]) -> float:
        """How far these values of the dims are from the nearest trial, on the axis where they are
        furthest: 0 at a trial, 1 from end to end. 1 also where a category differs.
        """
        here = {name: self._axes[name].to_model(value) for name, value in values.items()}
        gaps = (
            max(
                (self._axes[name].distance(here[name], row.params[name]) for name in here),
                default=0.0,
            )
            for row in self.rows()
            if here.keys() <= row.params.keys()
        )
        return min(gaps, default=1.0)

    def _row(self, key: int, observation: Observation) -> FrozenTrial | None:
        if not in_domains(self._space, observation.point):
            return None
        values = self._space.dims_of(observation.point)
        params = {name: self._axes[name].to_model(value) for name, value in values.items()}
        if self._fill_inactive:
            middles = ((name, axis.midpoint()) for name, axis in self._axes.items())
            params = {name: params.get(name, middle) for name, middle in middles}
        return self._frozen(key, params, **self._state(observation))

    def _frozen(
        self,
        key: int,
        params: dict[str, Any],
        *,
        state: Any,
        values: Sequence[float] | None = None,
        intermediate_values: dict[int, float] | None = None,
    ) -> FrozenTrial:
        from optuna.trial import FrozenTrial  # noqa: PLC0415 - heavy, and an extra

        return FrozenTrial(
            number=key,
            trial_id=key,
            state=state,
            value=None,
            values=values,
            datetime_start=None,
            datetime_complete=None,
            params=params,
            distributions={name: self._axes[name].distribution for name in params},
            user_attrs={},
            system_attrs={},
            intermediate_values=intermediate_values or {},
        )

    def _state(self, observation: Observation) -> dict[str, Any]:
        from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

        values = objective_values(observation, self._objectives)
        if observation.status == "completed":
            if values is None:
                return {"state": TrialState.FAIL}
            return {"state": TrialState.COMPLETE, "values": values}
        if observation.status == "pruned":
            if values is None or len(values) > 1:
                return {"state": TrialState.PRUNED}
            step = observation.notes.get("step")
            step = step if isinstance(step, int) else 0
            return {"state": TrialState.PRUNED, "intermediate_values": {step: values[0]}}
        failed = observation.status == "failed"
        return {"state": TrialState.FAIL if failed else TrialState.RUNNING}

    # -- Asking ------------------------------------------------------------------------------------

    def ask(self, sampler: BaseSampler, attrs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values of the dims that a sampler proposes, by name; of the active dims alone.

        Args:
            sampler: a new one, with the seed of this ask.
            attrs: what a sampler of Optuna's keeps with a study.
        """
        with quietly():
            study = _study(self.rows(), self._objectives, attrs or {})
            trial = self._frozen(_ASKING, {}, state=_running())
            together = sampler.infer_relative_search_space(study, trial)
            proposed = sampler.sample_relative(study, trial, together)
            values: dict[str, Any] = {}
            known = constants(self._space)
            for dim in self._space.dims:  # parents before those that hang on them
                if not self._space.is_active(dim.names[0], known):
                    continue
                axis = self._axes[dim.name]
                if dim.name in proposed:
                    value = proposed[dim.name]
                else:
                    value = sampler.sample_independent(study, trial, dim.name, axis.distribution)
                values[dim.name] = axis.from_model(value)
                known.update(dim.spread(values[dim.name]))
        return values


def _running() -> Any:
    from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

    return TrialState.RUNNING


def _study(rows: list[FrozenTrial], objectives: Objectives, attrs: Mapping[str, Any]) -> Any:
    """The rows as a study of Optuna's."""
    import optuna  # noqa: PLC0415 - heavy, and an extra
    from optuna.study import StudyDirection  # noqa: PLC0415

    from modeldir.samplers._optuna_storage import ReadOnlyStorage  # noqa: PLC0415 - imports Optuna

    by_name = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}
    directions = [by_name[direction] for _, direction in objectives] or [StudyDirection.MINIMIZE]
    storage = ReadOnlyStorage(rows, directions, attrs)
    return optuna.load_study(study_name="modeldir", storage=storage)


def number_of(row: FrozenTrial) -> int:
    """The number of the trial that a row is; those of other folders count down from -1."""
    return row.number - _FIRST if row.number >= _FIRST else -row.number


def is_completed(row: FrozenTrial) -> bool:
    """Whether it has ended well, with finite values."""
    from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

    return row.state is TrialState.COMPLETE


# -- What all of them do ---------------------------------------------------------------------------


class OptunaSampler:
    """A sampler by one of Optuna's: `_propose` is what each of them is about.

    Until a few trials have ended there is nothing to learn: those points are quasi-random, which
    spread better than chance (`start`).
    """

    def __init__(
        self, space: Space, seed: int, objectives: Objectives, *, fill_inactive: bool = False
    ) -> None:
        self._space, self._seed = space, seed
        self._taken = Taken(space, seed)
        self._history = StudyHistory(space, objectives, fill_inactive=fill_inactive)

    def ask(self, number: int) -> Proposal | None:
        """A point that no trial has yet; None when each point has one."""
        if self._taken.is_exhausted:
            return None
        for again in range(TRIES):
            proposal = self._propose(number, seed_for(self._seed, number, again))
            if proposal is None:
                break
            if proposal.point not in self._taken and self._space.allows(proposal.point):
                return proposal
        other = self._taken.drawn(number)
        return None if other is None else Proposal(other, self._fallback_notes(number))

    def tell(self, observation: Observation) -> None:
        """A trial, or what has changed about it."""
        self._taken.add(observation)
        self._history.tell(observation)

    def _propose(self, number: int, seed: int) -> Proposal | None:
        raise NotImplementedError

    def _fallback_notes(self, number: int) -> Mapping[str, Any]:
        """The notes of a point by chance, where every proposal was taken already."""
        del number
        return {}

    def _point(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self._space.complete(values)
