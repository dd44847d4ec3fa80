"""The common part of all samplers that use Optuna: `tpe`, `gp` and `nsga2`.

Start at `OptunaSampler`. The rule: a restart changes no proposal. The folders replace Optuna's
database, and the study always has the same order: trials of other folders first, then this search's
trials by number. Each ask uses a new Optuna sampler with its own seed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modeldir.params import equality
from modeldir.samplers import Objectives, Observation, Proposal, objective_values
from modeldir.samplers.dimensions import is_integer, is_log, sorted_numbers
from modeldir.samplers.quiet_optuna import quietly
from modeldir.samplers.sobol import Sobol, max_dims
from modeldir.samplers.used_configurations import Taken, rng_for, seed_for
from modeldir.space import Choice, draw

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from modeldir.space import Dim, Space

TRIES = 10
"""The number of attempts to propose a new configuration before drawing a random one."""

STARTUP = 10
"""The number of trials that must end before a model proposes: Optuna's default."""

_FIRST = 1_000_000_000
"""The number of trial 0 in the study. Trials of other folders have smaller numbers."""
_ASKING = 2 * _FIRST

_EXACT = 2**53
"""A float represents every integer up to this one exactly."""


# -- Dims as distributions -------------------------------------------------------------------------


class OptunaAxis:
    """One dimension of the search space as an Optuna distribution.

    A list of three or more numbers (16, 32, 64) is an ordered axis: Optuna sees the integer index.
    In any other list, the indexes are categories, since its values may be lists or null.
    """

    def __init__(self, dim: Dim) -> None:
        from optuna import distributions  # noqa: PLC0415 - heavy, and an extra

        domain: Any = dim.domain
        self._domain = domain
        self._indexes: dict[Hashable, int] | None = None
        self._first = 0
        """An offset for integers so far from 0 that a float cannot distinguish them."""
        self.distribution: BaseDistribution
        if isinstance(dim.domain, Choice):
            options = sorted_numbers(dim.domain)
            self._options = options or dim.domain.options
            self._indexes = {
                equality.key(option): index for index, option in enumerate(self._options)
            }
            count = len(self._options)
            self.distribution = (
                distributions.IntDistribution(0, count - 1)
                if options
                else distributions.CategoricalDistribution(tuple(range(count)))
            )
        elif is_integer(dim):
            low, high, step = domain.low, domain.high, domain.step
            log = is_log(dim) and step in {None, 1}  # Optuna has no log scale with a step
            if not log and max(abs(low), abs(high)) > _EXACT:
                self._first, high, low = low, high - low, 0
            self.distribution = distributions.IntDistribution(
                low,
                high if log else low + (high - low) // (step or 1) * (step or 1),
                log=log,
                step=1 if log else step or 1,
            )
        else:  # `from_model` rounds to the step
            self.distribution = distributions.FloatDistribution(
                domain.low, domain.high, log=is_log(dim)
            )

    def to_model(self, value: Any) -> Any:
        if self._indexes is not None:
            return self._indexes[equality.key(value)]
        return int(value) - self._first if isinstance(self._domain.low, int) else float(value)

    def distance(self, one: Any, other: Any) -> float:
        """Return the distance of two distribution values as a fraction of the axis."""
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
        """Return the value to use while the dimension is inactive."""
        if self._indexes is not None:
            return len(self._indexes) // 2
        return self.to_model(self._domain.at(0.5))

    def from_model(self, value: Any) -> Any:
        if self._indexes is not None:
            return self._options[int(value)]
        if self._first:
            return self._domain.nearest(self._first + int(value))
        return self._domain.nearest(float(value))  # convert NumPy's float to Python's


# -- The study -------------------------------------------------------------------------------------


class StudyHistory:
    """The observations as Optuna trials, in a fixed order.

    With `fill_inactive`, an inactive dimension has its midpoint, for models that need a value.
    Trials outside the current search space are left out. A completed trial without finite values
    for all objectives counts as failed.
    """

    def __init__(
        self, space: Space, objectives: Objectives, *, fill_inactive: bool = False
    ) -> None:
        self._space, self._objectives = space, objectives
        self._fill_inactive = fill_inactive
        self._axes = {dim.name: OptunaAxis(dim) for dim in space.dims}
        self._rows: dict[int, FrozenTrial] = {}
        self._infeasible: set[int] = set()
        self._notes: dict[int, Mapping[str, Any]] = {}
        self._sorted: list[FrozenTrial] | None = None
        self._foreign = 0

    def tell(self, observation: Observation) -> None:
        if observation.number is None:
            self._foreign += 1
            key = self._foreign
        else:
            key = observation.number + _FIRST
        self._rows.pop(key, None)
        self._sorted = None
        self._infeasible.discard(key)
        row = self._row(key, observation)
        if row is not None:
            if observation.is_infeasible:
                self._infeasible.add(key)
            self._rows[key] = row
            self._notes[key] = observation.notes

    def rows(self) -> list[FrozenTrial]:
        if self._sorted is None:
            self._sorted = [self._rows[key] for key in sorted(self._rows)]
        return self._sorted

    def count_learnable(self) -> int:
        """Count the trials whose values a model can learn from: completed and pruned ones."""
        return len(self._feasible())

    def _feasible(self) -> list[FrozenTrial]:
        from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

        states = {TrialState.COMPLETE, TrialState.PRUNED}
        return [
            row
            for key, row in self._rows.items()
            if row.state in states and key not in self._infeasible
        ]

    def count_completed(self, generation: int | None = None) -> int:
        """Count the completed trials with finite values, in one generation if given."""
        return sum(
            is_completed(row) and (generation is None or notes.get("generation", 0) == generation)
            for _, row, notes in self.entries()
        )

    def newest_generation(self) -> int:
        numbers = (notes.get("generation", 0) for _, _, notes in self.entries())
        return max((each for each in numbers if isinstance(each, int)), default=0)

    def entries(self) -> Iterator[tuple[int, FrozenTrial, Mapping[str, Any]]]:
        """Yield each trial in order: its number (see `number_of`), the trial, and its notes."""
        for row in self.rows():
            yield number_of(row), row, self._notes[row.number]

    def nearest_distance(self, values: Mapping[str, Any]) -> float:
        """Return the distance to the nearest trial: the largest on any axis, as a fraction."""
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

    def is_refused(self, configuration: Mapping[str, Any]) -> bool:
        """Whether the nearest trial that has ended is one whose configuration failed.

        The border between both moves with each trial, so an optimum near it can still be found.
        """
        if not self._infeasible:
            return False
        values = self._space.dims_of(configuration)
        here = {name: self._axes[name].to_model(value) for name, value in values.items()}
        failed = [self._rows[key] for key in self._infeasible]
        return self._nearest(here, failed) < self._nearest(here, self._feasible())

    def _nearest(self, here: Mapping[str, Any], rows: Sequence[FrozenTrial]) -> float:
        """Return the distance to the nearest of several trials, in the unit cube."""
        return min(
            (
                math.hypot(
                    *(
                        self._axes[name].distance(value, row.params[name])
                        for name, value in here.items()
                        if name in row.params
                    )
                )
                for row in rows
            ),
            default=math.inf,
        )

    def _row(self, key: int, observation: Observation) -> FrozenTrial | None:
        if not self._space.fits(observation.configuration):
            return None
        values = self._space.dims_of(observation.configuration)
        params = {name: self._axes[name].to_model(value) for name, value in values.items()}
        if self._fill_inactive:
            middles = ((name, axis.midpoint()) for name, axis in self._axes.items())
            params = {name: params.get(name, middle) for name, middle in middles}
        return self._frozen(key, params, **self._state(observation))

    def _frozen(self, key: int, params: dict[str, Any], *, state: Any, **more: Any) -> FrozenTrial:
        from optuna.trial import FrozenTrial  # noqa: PLC0415 - heavy, and an extra

        absent: dict[str, Any] = {"values": None, "intermediate_values": {}, "system_attrs": {}}
        return FrozenTrial(
            number=key,
            trial_id=key,
            state=state,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params=params,
            distributions={name: self._axes[name].distribution for name in params},
            user_attrs={},
            **{**absent, **more},
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
        if observation.is_infeasible:  # violated: TPE takes it as worse than all feasible ones
            return {"state": TrialState.PRUNED, "system_attrs": {"constraints": (1.0,)}}
        failed = observation.status == "failed"
        return {"state": TrialState.FAIL if failed else TrialState.RUNNING}

    # -- Asking ------------------------------------------------------------------------------------

    def ask(self, sampler: BaseSampler, attrs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the values that a new Optuna sampler proposes for the active dimensions."""
        from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

        with quietly():
            study = _study(self.rows(), self._objectives, attrs or {})
            trial = self._frozen(_ASKING, {}, state=TrialState.RUNNING)
            together = sampler.infer_relative_search_space(study, trial)
            proposed = sampler.sample_relative(study, trial, together)
            values: dict[str, Any] = {}
            known = dict(self._space.fixed)
            for dim in self._space.dims:  # a condition's parent comes before its dependents
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


def _study(rows: list[FrozenTrial], objectives: Objectives, attrs: Mapping[str, Any]) -> Any:
    import optuna  # noqa: PLC0415 - heavy, and an extra
    from optuna.study import StudyDirection  # noqa: PLC0415

    from modeldir.samplers._optuna_storage import ReadOnlyStorage  # noqa: PLC0415 - imports Optuna

    by_name = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}
    directions = [by_name[direction] for _, direction in objectives] or [StudyDirection.MINIMIZE]
    storage = ReadOnlyStorage(rows, directions, attrs)
    return optuna.load_study(study_name="modeldir", storage=storage)


def number_of(row: FrozenTrial) -> int:
    """Return the number of an Optuna trial's observation: -1, -2, ... in other folders."""
    return row.number - _FIRST if row.number >= _FIRST else -row.number


def is_completed(row: FrozenTrial) -> bool:
    from optuna.trial import TrialState  # noqa: PLC0415 - heavy, and an extra

    return row.state is TrialState.COMPLETE


# -- The base class --------------------------------------------------------------------------------


class OptunaSampler:
    """Base class for samplers that use Optuna. Subclasses implement `_propose`.

    Until a few trials have ended there is nothing to learn from, and subclasses use `_start`.
    """

    def __init__(
        self, space: Space, seed: int, objectives: Objectives, *, fill_inactive: bool = False
    ) -> None:
        self._space, self._seed = space, seed
        self._taken = Taken(space, seed)
        self._sobol = Sobol(space, seed) if len(space.dims) <= max_dims() else None
        self._history = StudyHistory(space, objectives, fill_inactive=fill_inactive)

    def ask(self, number: int) -> Proposal | None:
        if self._taken.is_exhausted:
            return None
        refused: Proposal | None = None
        for again in range(TRIES):
            proposal = self._propose(number, seed_for(self._seed, number, again))
            if proposal is None:
                break
            if self._is_taken_or_forbidden(proposal.configuration):
                continue
            if not self._history.is_refused(proposal.configuration):
                return proposal
            refused = refused or proposal
        if refused is not None:
            return self._drawn_feasible(number) or refused
        other = self._taken.drawn(number)
        return None if other is None else Proposal(other, self._fallback_notes(number))

    def _is_taken_or_forbidden(self, configuration: Mapping[str, Any]) -> bool:
        return configuration in self._taken or not self._space.allows(configuration)

    def _drawn_feasible(self, number: int) -> Proposal | None:
        """Return a random configuration that is not near those that failed; None if none is found.

        Then the refused proposal runs: no region is closed for ever.
        """
        for again in range(TRIES):
            drawn = draw(self._space, rng_for(self._seed, number, again))
            if not self._is_taken_or_forbidden(drawn) and not self._history.is_refused(drawn):
                return Proposal(drawn, self._fallback_notes(number))
        return None

    def tell(self, observation: Observation) -> None:
        self._taken.add(observation)
        self._history.tell(observation)

    def _start(self, number: int) -> Proposal | None:
        """Propose a quasi-random configuration, or None if a constraint forbids it.

        These cover the space better than random ones, which Sobol's many dimensions need instead.
        """
        if self._sobol is None:
            return Proposal(draw(self._space, rng_for(self._seed, number)))
        point = self._sobol.at(number)
        return Proposal(point) if self._space.allows(point) else None

    def _propose(self, number: int, seed: int) -> Proposal | None:
        """Propose a configuration, which may be a known one; None for a random one."""
        raise NotImplementedError

    def _fallback_notes(self, number: int) -> Mapping[str, Any]:
        """Return the notes for a random configuration that replaces a known proposal."""
        del number
        return {}
