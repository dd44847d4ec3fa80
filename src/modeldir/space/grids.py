"""All points of a space, how many they are, and points by chance.

It knows how to go through a space without meeting a point twice, and how to draw from it so that
the order of the file changes nothing. It refuses to know which points have been tried.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from modeldir.errors import SpaceError
from modeldir.params.equality import same

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from modeldir.space.space import Dim, Space

TRIES = 1000
"""So many draws for a point that keeps the constraints, before all points are gone through."""
MANY_TRIES = 10_000
"""As `TRIES`, where the points have no end."""
COUNTABLE = 100_000
"""Where more combinations than this had to be looked at, points are not counted."""

_Values: TypeAlias = "tuple[str, ...]"


# -- All points ------------------------------------------------------------------------------------


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every point that is allowed, each once, the last hyperparameter changing fastest.

    Raises:
        SpaceError: if some domain has no end; naming each.
    """
    endless = [unit for unit in space.units if unit.domain.values() is None]
    if endless:
        hint = "list its values, give it a step, or sample at random"
        problems = [(f"{unit.name}: {_said(unit)}", hint) for unit in endless]
        raise SpaceError("A grid needs a list of values for each hyperparameter:", problems)
    walk = _Walk(space, space.units, begun=_begun(space))
    return ({name: whole[name] for name in space.domains if name in whole} for whole in walk)


def _said(unit: Dim) -> str:
    import json  # noqa: PLC0415 - on the way to an error

    return json.dumps(unit.domain.to_json())


def _begun(space: Space) -> Mapping[int, set[_Values]] | None:
    """Of what conditions and constraints speak of, the values with which an allowed point begins:
    after so many dimensions these. None where nothing is known of that.

    Without it a grid of `a + z == 3` would go through all that is between a and z, for each a that
    has no z: for 10 million points that took minutes.
    """
    ways = _ways(space) if space.constraints else None
    if ways is None:
        return None
    deciding, _ = _deciding(space)
    begun: dict[int, set[_Values]] = {}
    for way in ways:
        values: _Values = ()
        for unit in deciding:
            values = (*values, _said_of(unit, way))
            begun.setdefault(len(values), set()).add(values)
    return begun


def _said_of(unit: Dim, whole: Mapping[str, Any]) -> str:
    return repr([whole.get(name) for name in unit.names])


class _Walk:
    """The ways to give some dimensions their values, parents first. A branch that breaks a
    constraint is left as soon as the last hyperparameter that it speaks of has its value, or where
    it is none of those with which an allowed point has `begun`. After `most` values it ends,
    whether it has met a point or not, and `is_whole` is false.
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
        self.is_whole = True
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
                self.is_whole = False
                return
            self.looked_at += 1
            there, now = {**whole, **values}, decided
            if self._begun is not None and unit.name in self._deciding:
                now = (*decided, _said_of(unit, there))
                if now not in self._begun.get(len(now), ()):
                    continue
            if all(self._space.keeps(each, there) for each in self._due.get(index, ())):
                yield from self._from(index + 1, there, now)


def size(space: Space) -> int | None:
    """How many points the space has; None if there is no end to them, or if constraints and
    conditions leave too many to be counted.
    """
    if "_size" not in space.__dict__:  # a space is frozen, and counted once
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
    return total if walk.is_whole else None


def _deciding(space: Space) -> tuple[list[Dim], list[Dim]]:
    """What conditions and constraints speak of, and what they do not: that adds no case of its own
    to what has to be looked at.
    """
    parents = {parent for when in space.conditions.values() for parent in when}
    names = parents.union(*(constraint.names for constraint in space.constraints))
    deciding = [unit for unit in space.units if names.intersection(unit.names)]
    return deciding, [unit for unit in space.units if unit not in deciding]


# -- Points by chance ------------------------------------------------------------------------------


def draw(space: Space, rng: random.Random) -> dict[str, Any]:
    """One point by chance. The order of the hyperparameters does not change what each becomes.

    Raises:
        SpaceError: where no point was found that keeps the constraints.
    """
    point = fill(space, {}, rng)
    if point is None:
        tries = "no point" if is_gone_through(space) else f"none of {MANY_TRIES} points"
        told = [(constraint.text, None) for constraint in space.constraints]
        raise SpaceError(f"The space has {tries} that keeps its constraints:", told)
    return point


def fill(space: Space, given: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """A point that has these values, the others by chance; None where there is none, or none was
    found in many tries.
    """
    wanted = _wanted(space, given)
    if wanted is None:
        return None
    for tried in range(MANY_TRIES if space.constraints else TRIES):
        point = _drawn(space, wanted, rng)
        if point is None:
            return None
        if given.keys() <= point.keys() and space.allows(point):
            return point
        if tried == TRIES and (ways := _ways(space)) is not None:
            return _one_of(space, ways, given, rng)
    return None


def is_gone_through(space: Space) -> bool:
    """Whether a space in which `fill` finds no point is known to have none."""
    return _ways(space) is not None


def _ways(space: Space) -> list[dict[str, Any]] | None:
    """All values of what conditions and constraints speak of, that keep them; None where those are
    too many to go through. Of the rest each value will do.
    """
    if "_ways" not in space.__dict__:
        deciding, _ = _deciding(space)
        walk = _Walk(space, deciding, COUNTABLE)
        has_end = bool(deciding) and all(u.domain.values() is not None for u in deciding)
        found = list(walk) if has_end else []
        space.__dict__["_ways"] = found if has_end and walk.is_whole else None
    known: list[dict[str, Any]] | None = space.__dict__["_ways"]
    return known


def _one_of(
    space: Space, ways: Sequence[dict[str, Any]], given: Mapping[str, Any], rng: random.Random
) -> dict[str, Any] | None:
    """A point for which draws would hardly ever meet what is allowed."""
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
    """Which values each name may have, so that all given ones count; None if that cannot be."""
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
    """A point, its constraints not looked at; each unit takes one number of the stream, also one
    that is inactive or has its value.
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
