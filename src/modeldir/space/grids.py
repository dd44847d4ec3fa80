"""All configurations of a space, their number, and random ones.

`grid` is for the grid sampler, `draw` and `fill` for the others, `size` for the number of trials.
`draw` gives the same configurations in whatever order the file lists the hyperparameters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from modeldir.errors import SpaceError
from modeldir.params.equality import same
from modeldir.space.problems import shown

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from modeldir.space.space import Dim, Space

TRIES = 1000
"""Random draws for an allowed configuration, before all combinations are listed."""
MANY_TRIES = 10_000
"""The same, if the combinations cannot be listed."""
COUNTABLE = 100_000
"""Configurations are not counted if that needs more combinations than this."""

_Values: TypeAlias = "tuple[str, ...]"


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Yield every allowed configuration once; the last hyperparameter changes fastest."""
    endless = [unit for unit in space.units if unit.domain.values() is None]
    if endless:
        hint = "list its values, give it a step, or sample at random"
        problems = [(f"{unit.name}: {shown(unit.domain.to_json())}", hint) for unit in endless]
        raise SpaceError("A grid needs a list of values for each hyperparameter:", problems)
    walk = _Walk(space, space.units, begun=_begun(space))
    return ({name: whole[name] for name in space.domains if name in whole} for whole in walk)


def _begun(space: Space) -> Mapping[int, set[_Values]] | None:
    """Return the beginnings of allowed configurations: how many values, then which ones.

    None if nothing is known about them. Without this, a grid of `a + z == 3` would try everything
    between a and z for each a that has no z: minutes for 10 million configurations.
    """
    ways = _combinations(space) if space.constraints else None
    if ways is None:
        return None
    deciding, _ = _deciding(space)
    begun: dict[int, set[_Values]] = {}
    for way in ways:
        values: _Values = ()
        for unit in deciding:
            values = (*values, _values_text(unit, way))
            begun.setdefault(len(values), set()).add(values)
    return begun


def _values_text(unit: Dim, whole: Mapping[str, Any]) -> str:
    return repr([whole.get(name) for name in unit.names])


class _Walk:
    """The assignments of values to some dimensions, parents first.

    A branch that breaks a constraint is left as soon as the last hyperparameter in it has its
    value, or as soon as no allowed configuration has `begun` like it. After `most` values it stops,
    and `is_complete` is false.
    """

    def __init__(
        self,
        space: Space,
        units: Sequence[Dim],
        most: float = math.inf,
        begun: Mapping[int, set[_Values]] | None = None,
    ) -> None:
        self._space = space
        self._units = units
        self._most = most
        self._begun = begun
        self._deciding = {unit.name for unit in _deciding(space)[0]} if begun else set[str]()
        self.is_complete = True
        self.looked_at = 0
        place = {name: index for index, unit in enumerate(units) for name in unit.names}
        self._due: dict[int, list[Any]] = {}
        for constraint in space.constraints:
            last = max((place.get(name, 0) for name in constraint.names), default=0)
            self._due.setdefault(last, []).append(constraint)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._from(0, {}, ())

    def _from(
        self, index: int, whole: dict[str, Any], decided: _Values
    ) -> Iterator[dict[str, Any]]:
        if index == len(self._units):
            yield whole
            return
        unit = self._units[index]
        is_active = self._space.is_active(unit.names[0], whole)
        spread = map(unit.spread, unit.domain.values() or ()) if is_active else [{}]
        for values in spread:
            if self.looked_at >= self._most:
                self.is_complete = False
                return
            self.looked_at += 1
            there, now = {**whole, **values}, decided
            if self._begun is not None and unit.name in self._deciding:
                now = (*decided, _values_text(unit, there))
                if now not in self._begun.get(len(now), ()):
                    continue
            if all(self._space.keeps(each, there) for each in self._due.get(index, ())):
                yield from self._from(index + 1, there, now)


def size(space: Space) -> int | None:
    """Return the number of configurations, None if there are infinitely or too many."""
    if "_size" not in space.__dict__:  # a space cannot change, so it is counted once
        space.__dict__["_size"] = _count(space)
    known: int | None = space.__dict__["_size"]
    return known


def _count(space: Space) -> int | None:
    counts = {unit.name: len(unit.domain.values() or ()) for unit in space.units}
    if 0 in counts.values():
        return None
    deciding, others = _deciding(space)
    total = 0
    walk = _Walk(space, deciding, COUNTABLE)
    for whole in walk:
        active = (unit for unit in others if space.is_active(unit.names[0], whole))
        total += math.prod(counts[unit.name] for unit in active)
    return total if walk.is_complete else None


def _deciding(space: Space) -> tuple[list[Dim], list[Dim]]:
    """Return the dimensions in conditions and constraints, and the other ones."""
    parents = {parent for condition in space.conditions.values() for parent in condition}
    names = parents.union(*(constraint.names for constraint in space.constraints))
    deciding = [unit for unit in space.units if names.intersection(unit.names)]
    return deciding, [unit for unit in space.units if unit not in deciding]


def draw(space: Space, rng: random.Random) -> dict[str, Any]:
    """Return a random configuration, the same for any order of the hyperparameters."""
    point = fill(space, {}, rng)
    if point is None:
        is_sure = is_exhaustive(space)
        tried = "no configuration" if is_sure else f"none of {MANY_TRIES} random configurations"
        told = [(constraint.text, None) for constraint in space.constraints]
        raise SpaceError(f"In this space, {tried} satisfies the constraints:", told)
    return point


def fill(space: Space, given: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """Return a configuration with these values, and random other ones; None if none was found."""
    wanted = _wanted(space, given)
    if wanted is None:
        return None
    for tried in range(MANY_TRIES if space.constraints else TRIES):
        point = _drawn(space, wanted, rng)
        if point is None:
            return None
        if given.keys() <= point.keys() and space.allows(point):
            return point
        if tried == TRIES and (ways := _combinations(space)) is not None:
            return _one_of(space, ways, given, rng)
    return None


def is_exhaustive(space: Space) -> bool:
    """Return whether a space is known to be empty if `fill` finds nothing in it."""
    return _combinations(space) is not None


def _combinations(space: Space) -> list[dict[str, Any]] | None:
    """Return all combinations of the deciding dimensions that are allowed; None if too many."""
    if "_combinations" not in space.__dict__:
        deciding, _ = _deciding(space)
        walk = _Walk(space, deciding, COUNTABLE)
        has_end = bool(deciding) and all(u.domain.values() is not None for u in deciding)
        found = list(walk) if has_end else []
        space.__dict__["_combinations"] = found if has_end and walk.is_complete else None
    known: list[dict[str, Any]] | None = space.__dict__["_combinations"]
    return known


def _one_of(
    space: Space, ways: Sequence[dict[str, Any]], given: Mapping[str, Any], rng: random.Random
) -> dict[str, Any] | None:
    """Return an allowed configuration that random draws would hardly ever find."""
    deciding, _ = _deciding(space)
    fixed = {n: given[n] for unit in deciding for n in unit.names if n in given}
    found = [way for way in ways if all(n in way and same(way[n], fixed[n]) for n in fixed)]
    if not found:
        return None
    chosen = found[min(len(found) - 1, int(rng.random() * len(found)))]
    wanted = _wanted(space, {**given, **chosen})
    point = None if wanted is None else _drawn(space, wanted, rng)
    return point if point is not None and given.keys() <= point.keys() else None


def _wanted(space: Space, given: Mapping[str, Any]) -> dict[str, tuple[Any, ...]] | None:
    """Return the values that each name may have so that all given ones are active, else None."""
    wanted = {name: (value,) for name, value in given.items()}
    names = list(given)
    for name in names:
        for parent, values in space.conditions.get(name, {}).items():
            if parent not in space.domains:
                if not any(same(space.given.get(parent), value) for value in values):
                    return None
                continue
            both = tuple(
                value
                for value in wanted.get(parent, values)
                if any(same(value, other) for other in values)
            )
            if not both:
                return None
            wanted[parent] = both
            if parent not in names:
                names.append(parent)
    return wanted


def _drawn(
    space: Space, wanted: Mapping[str, tuple[Any, ...]], rng: random.Random
) -> dict[str, Any] | None:
    """Return a random configuration, without a look at the constraints.

    Each unit takes one number of the stream, even if it is inactive or already has its value.
    """
    whole: dict[str, Any] = {}
    for unit in space.by_name:
        part = rng.random()
        limited = [name for name in unit.names if name in wanted]
        if not limited:
            whole.update(unit.spread(unit.domain.at(part)))
            continue
        options = _options(unit, wanted)
        if not options:
            return None
        whole.update(options[min(len(options) - 1, int(part * len(options)))])
    return {name: whole[name] for name in space.active_names(whole)}


def _options(unit: Dim, wanted: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    if len(unit.names) == 1:
        return [{unit.name: value} for value in wanted[unit.name]]
    rows = (unit.spread(value) for value in unit.domain.values() or ())
    return [
        row
        for row in rows
        if all(
            any(same(row[name], value) for value in wanted[name])
            for name in unit.names
            if name in wanted
        )
    ]
