"""Population-based training: the worst are replaced by changed copies of the best.

It knows the population: which trials were stopped, by whom they were replaced, how the others stand
now. It refuses to copy weights and to stop anything: a proposal only names the `parent` in its
notes, with whose last weights its trial begins, and pruners/pbt.py says who is among the worst.
Jaderberg et al., "Population Based Training of Neural Networks", 2017: exploit by truncation
selection, explore by perturbing each value, or drawing it anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modeldir.errors import SpaceError
from modeldir.samplers import Objectives, Observation, Problem, Proposal
from modeldir.samplers.taken import TRIES, Taken, rng_for
from modeldir.space import Choice

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from modeldir.space import Dim, Space

POPULATION = 8
"""How many members there are where nobody says."""

FACTORS = (0.8, 1.2)
"""By one of which a number is perturbed, as in the paper's appendix."""


class PBT:
    """A population of so many trials, and a replacement for each that was stopped.

    Args:
        space: what each member's hyperparameters may be.
        seed: of all chance, with a trial's number.
        objectives: the metric to rank by.
        population: how many trials it has at a time; the first so many are random.
        interval: the steps between two times at which a member is compared with the others.
        quantile: the share at the bottom that is stopped, and at the top that is copied.
        resample: how likely a value is drawn anew instead of perturbed.

    Raises:
        SpaceError: for options that make no sense.
    """

    follows = True
    """How running trials stand matters too."""
    exhausted_reason = (
        "nobody who was stopped could copy who still ran\n"
        "  members have to run side by side: -j as many as the population has"
    )

    def __init__(  # noqa: PLR0913 - the options of the algorithm
        self,
        space: Space,
        seed: int,
        objectives: Objectives = (),
        *,
        population: int = POPULATION,
        interval: int = 1,
        quantile: float = 0.25,
        resample: float = 0.25,
    ) -> None:
        problems = [*_option_problems(population, interval, quantile, resample)]
        problems = problems or [*_size_problems(population, quantile)]
        if problems:
            raise SpaceError("The population makes no sense:", problems)
        self._space, self._seed, self._objectives = space, seed, objectives
        self._population, self._quantile, self._resample = population, quantile, resample
        self._taken = Taken(space, seed)
        self._members: dict[int, Observation] = {}

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:  # noqa: ARG004 - any will do
        """What keeps it from this search."""
        if len(objectives) > 1:
            yield Problem("pbt ranks by one metric, and there are several", "use --sampler nsga2")
        elif not objectives:
            hint = "say which: --maximize accuracy, or --minimize loss"
            yield Problem("pbt: no metric is named by which members are compared", hint)

    def ask(self, number: int) -> Proposal | None:
        """A member of the first population, else the replacement of one that was stopped; None
        where none has to be replaced now: that may change while others run.
        """
        founders = [each for each in self._members.values() if "replaces" not in each.notes]
        if len(founders) < self._population:
            point = self._taken.drawn(number)
            return None if point is None else Proposal(point)
        stopped = self._to_replace()
        return None if stopped is None else self._replacement(number, stopped)

    def tell(self, observation: Observation) -> None:
        """A member, and how it stands now."""
        self._taken.add(observation)
        if observation.number is not None:
            self._members[observation.number] = observation

    def _to_replace(self) -> int | None:
        """The first member that was stopped and has no replacement."""
        replaced = {each.notes.get("replaces") for each in self._members.values()}
        stopped = (n for n, each in sorted(self._members.items()) if each.status == "pruned")
        return next((number for number in stopped if number not in replaced), None)

    def _replacement(self, number: int, stopped: int) -> Proposal | None:
        """A changed copy of one of the best that still train; None while there is none."""
        rng = rng_for(self._seed, number)
        best = self._best()
        if not best:
            return None
        parent = best[int(rng.random() * len(best))]
        copied: dict[str, Any] = {"number": parent.number}
        if "step" in parent.notes:
            copied["step"] = parent.notes["step"]
        if not self._still_trains(parent):
            copied["ended"] = True
        point = self._explore(parent.point, number, rng)
        return Proposal(point, {"parent": copied, "replaces": stopped})

    def _best(self) -> list[Observation]:
        """The top quantile of those that still have training before them, the best first. Where
        there is none, of all: the search starts no copy of them, but can say why.
        """
        ((name, direction),) = self._objectives
        scored = [
            each
            for _, each in sorted(self._members.items())
            if each.status in {"running", "completed"}
            and math.isfinite(each.values.get(name, math.nan))
        ]
        alive = [each for each in scored if self._still_trains(each)] or scored
        sign = -1 if direction == "maximize" else 1
        ranked = sorted(alive, key=lambda each: sign * each.values[name])
        return ranked[: math.ceil(self._quantile * len(ranked))]

    def _still_trains(self, member: Observation) -> bool:
        """Whether a copy would have something left to train: not of who has completed, nor of who
        is at the last step as far as is known, or so near that it would be there by then.
        """
        step, end = member.notes.get("step"), member.notes.get("end")
        if member.status != "running":
            return False
        if step is None:
            return True
        done = [each.notes.get("step") for each in self._members.values() if _ended(each)]
        known = [each for each in done if each is not None]
        return not (end is not None and step in (end - 1, end)) and step < max(
            known, default=math.inf
        )

    def _explore(self, point: Mapping[str, Any], number: int, rng: random.Random) -> dict[str, Any]:
        """Another point near this one that keeps the constraints; the same, where there is none."""
        values = self._space.dims_of(point)
        for _ in range(TRIES):
            moved = {
                dim.name: self._perturb(dim, values.get(dim.name), rng) for dim in self._space.dims
            }
            explored = self._space.complete(moved)
            if self._space.contains(explored) and explored not in self._taken:
                return explored
        drawn = self._taken.drawn(number)
        return dict(point) if drawn is None else drawn

    def _perturb(self, dim: Dim, value: Any, rng: random.Random) -> Any:
        """A value perturbed, or drawn anew; so is that of a dimension that did not count before."""
        domain = dim.domain
        if value is None or rng.random() < self._resample:
            return domain.at(rng.random())
        up = rng.random() < 0.5  # noqa: PLR2004 - as likely as down
        if isinstance(domain, Choice):
            place = domain.index(value) + (1 if up else -1)
            return domain.options[min(len(domain.options) - 1, max(0, place))]
        moved = domain.nearest(value * FACTORS[up])
        if moved == value:  # a small whole number, or a zero
            step = domain.step or (1 if isinstance(value, int) else (domain.high - domain.low) / 10)
            moved = domain.nearest(value + (step if up else -step))
        return moved


def _ended(member: Observation) -> bool:
    return member.status == "completed"


def _option_problems(
    population: object, interval: object, quantile: object, resample: object
) -> Iterator[Problem]:
    for name, value, least in (("population", population, 2), ("interval", interval, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            yield Problem(f"{name}: got {value!r}", f"expected an integer, {least} or more")
    for name, value, high in (("quantile", quantile, 0.5), ("resample", resample, 1)):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= high:
            yield Problem(f"{name}: got {value!r}", f"expected a number from 0 to {high}")
    if quantile == 0:
        yield Problem("quantile: got 0", "nobody would ever be replaced")


def _size_problems(population: int, quantile: float) -> Iterator[Problem]:
    """As pruners/pbt.py counts: the whole members in the quantile."""
    if int(population * quantile) < 1:
        least = math.ceil(100 / population) / 100
        yield Problem(
            f"population: {population}, of which the worst {quantile:g} is less than one",
            f"nobody would ever be replaced; for so few, say quantile={least:g}",
        )
