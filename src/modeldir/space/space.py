"""The space: all domains together, and which hyperparameters of a configuration are active.

`parsing` makes it; samplers and the search use it. The rule: a hyperparameter whose condition is
not met is inactive. It is absent in the configuration and keeps the value of the base config. So
two configurations that would differ only in it are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modeldir.params.equality import same
from modeldir.space.constraints import Constraint
from modeldir.space.domains import Choice, Domain
from modeldir.space.problems import ConstraintError
from modeldir.space.trial_names import safe, value_text

Condition = Mapping[str, tuple[Any, ...]]
"""Parents, each with the values that make the hyperparameter active."""


MOST_IN_NAME = 2
"""If a search varies more hyperparameters, its trials' folders are named by their numbers."""


class CycleError(Exception):
    """Conditions wait for each other; `names` are those in the cycle."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self.names = names


@dataclass(frozen=True)
class Dim:
    """A dimension in which a sampler may move: one hyperparameter, or several zipped ones.

    The `domain` of zipped ones is a list of tuples, in the order of `names`. `condition` says
    at which values of other names it is active.
    """

    name: str
    names: tuple[str, ...]
    domain: Domain
    condition: Condition = field(default_factory=dict)

    def spread(self, value: Any) -> dict[str, Any]:
        return dict(zip(self.names, value if len(self.names) > 1 else (value,), strict=True))


@dataclass(frozen=True)
class Space:
    """Each hyperparameter that the search varies, with its domain, in the order of the file.

    Args:
        domains: by name, also those with one value.
        conditions: by name, when it is active (`{"momentum": {"optimizer": ("sgd",)}}`).
        zips: names whose lists go together, value by value.
        constraints: what must hold for each configuration.
        first: configurations to try first; names that they leave out are sampled.
        given: the base config's values of the names in conditions and constraints.
    """

    domains: dict[str, Domain]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    zips: tuple[tuple[str, ...], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    first: tuple[Mapping[str, Any], ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All names, parents before those that depend on them; CycleError in a circle."""
        found: dict[str, None] = {}
        for name in self.domains:
            self._visit(name, found, ())
        return tuple(found)

    def _visit(self, name: str, found: dict[str, None], path: tuple[str, ...]) -> None:
        if name in found or name not in self.domains:
            return
        if name in path:
            raise CycleError(path[path.index(name) :])
        together = self._zip_of.get(name, (name,))
        for each in together:
            for parent in self.conditions.get(each, ()):
                self._visit(parent, found, (*path, name))
        for each in together:
            found.setdefault(each)

    @cached_property
    def _zip_of(self) -> Mapping[str, tuple[str, ...]]:
        return {name: names for names in self.zips for name in names}

    @cached_property
    def units(self) -> tuple[Dim, ...]:
        """The dimensions, and the hyperparameters with one value; parents first."""
        made: dict[str, Dim] = {}
        for name in self.order:
            names = self._zip_of.get(name, (name,))
            if len(names) == 1:
                domain = self.domains[name]
            else:
                lists = [self.domains[each].values() or () for each in names]
                domain = Choice(tuple(zip(*lists, strict=True)))
            whole = "+".join(names)
            condition = {
                p: v for p, v in self.conditions.get(name, {}).items() if p in self.domains
            }
            made.setdefault(whole, Dim(whole, names, domain, condition))
        return tuple(made.values())

    @cached_property
    def by_name(self) -> tuple[Dim, ...]:
        """The units in an order that does not depend on the file, for random numbers."""
        return tuple(sorted(self.units, key=lambda unit: sorted(unit.names)))

    @cached_property
    def dims(self) -> tuple[Dim, ...]:
        """The dimensions for a sampler: those with more than one value; parents first."""
        return tuple(unit for unit in self.units if len(unit.domain.values() or (0, 1)) > 1)

    @cached_property
    def fixed(self) -> Mapping[str, Any]:
        """The hyperparameters that have a single value, active or not."""
        fixed: dict[str, Any] = {}
        for unit in self.units:
            values = unit.domain.values()
            if values is not None and len(values) == 1:
                fixed.update(unit.spread(values[0]))
        return fixed

    @cached_property
    def is_named_by_number(self) -> bool:
        """Whether new trials' folders are named by number: `trial_0012`, not `width_8`.

        Every hyperparameter with more than one value counts, also a conditional or a zipped one.
        """
        varied = (len(each.values() or (0, 1)) > 1 for each in self.domains.values())
        return sum(varied) > MOST_IN_NAME

    def is_active(self, name: str, point: Mapping[str, Any]) -> bool:
        """Return whether a hyperparameter is active: its parents are, and have such a value."""
        return all(
            self._has(parent, values, point)
            for parent, values in self.conditions.get(name, {}).items()
        )

    def _has(self, parent: str, values: tuple[Any, ...], point: Mapping[str, Any]) -> bool:
        if parent not in self.domains:  # a name that the search does not vary
            return any(same(self.given.get(parent), value) for value in values)
        if parent not in point or not self.is_active(parent, point):
            return False
        return any(same(point[parent], value) for value in values)

    def active_names(self, point: Mapping[str, Any]) -> tuple[str, ...]:
        if not self.conditions:
            return tuple(self.domains)
        return tuple(name for name in self.domains if self.is_active(name, point))

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration for values of the dimensions, without inactive names."""
        whole = dict(self.fixed)
        for dim in self.dims:
            if dim.name in values:
                whole.update(dim.spread(values[dim.name]))
        return {name: whole[name] for name in self.active_names(whole)}

    def dims_of(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the active dimensions: the inverse of `complete`."""
        found: dict[str, Any] = {}
        for dim in self.dims:
            if all(name in point for name in dim.names):
                together = tuple(point[name] for name in dim.names)
                found[dim.name] = together if len(dim.names) > 1 else together[0]
        return found

    def decided(self, flat: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the configuration in flat hyperparameters, or None if they lack a name."""
        names = self.active_names(flat)
        return {name: flat[name] for name in names} if all(n in flat for n in names) else None

    def allows(self, point: Mapping[str, Any]) -> bool:
        """Return whether a configuration, completed from the base config, keeps all constraints."""
        return all(self.keeps(constraint, point) for constraint in self.constraints)

    def keeps(self, constraint: Constraint, point: Mapping[str, Any]) -> bool:
        try:
            return constraint.holds({**self.given, **point})
        except ConstraintError:  # types that do not match; `parse_space` reports them
            return False

    def contains(self, point: Mapping[str, Any]) -> bool:
        """Return whether a configuration fits the domains and satisfies all constraints."""
        return self.fits(point) and self.allows(point)

    def fits(self, point: Mapping[str, Any]) -> bool:
        """Return whether a configuration has exactly its active names, each within its domain.

        It may break a constraint: the constraint may be newer, and a model can still learn from it.
        """
        if point.keys() != set(self.active_names(point)):
            return False
        if not all(self.domains[name].contains(point[name]) for name in point):
            return False
        together = (unit for unit in self.units if len(unit.names) > 1 and unit.names[0] in point)
        return all(unit.domain.contains(tuple(point[n] for n in unit.names)) for unit in together)

    def to_json(self) -> dict[str, Any]:
        return dict(self._written())

    def _written(self) -> Iterator[tuple[str, Any]]:
        for name, domain in self.domains.items():
            written, condition = domain.to_json(), self.conditions.get(name)
            if condition:
                whole = written if isinstance(written, dict) else {"values": written}
                written = {
                    **whole,
                    "condition": {p: _short(values) for p, values in condition.items()},
                }
            yield name, written


def _short(values: tuple[Any, ...]) -> Any:
    """Return a single value alone, except a list, which would be read as several values."""
    only = len(values) == 1 and not isinstance(values[0], (list, tuple))
    return values[0] if only else list(values)


def longest_name(space: Space) -> int:
    """Return the length of the longest name of a trial's folder; 0 if a range makes it unknown."""
    if space.is_named_by_number:
        return len("trial_0001")
    pieces = []
    for name, domain in space.domains.items():
        values = domain.values()
        if values is None:
            return 0
        pieces.append(max(len(safe(f"{name}_{value_text(value)}")) for value in values))
    return sum(pieces) + len("__") * (len(pieces) - 1) if pieces else 0
