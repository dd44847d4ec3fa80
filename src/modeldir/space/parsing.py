"""Make a `Space` from `search.json`, a call or a command line, or report all that is wrong with it.

Start at `parse_space`. It checks each part, then how the parts fit together. A single domain is
checked in `domain_parsing`. All problems are reported in one error.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modeldir.errors import SpaceError, did_you_mean, first_of
from modeldir.params.equality import all_same, key, same
from modeldir.params.plain_values import flatten
from modeldir.space.constraints import Constraint
from modeldir.space.domain_parsing import check_kind, of_one_type, read_domain
from modeldir.space.domains import Choice, Domain, LogUniform, Uniform
from modeldir.space.grids import MANY_TRIES, fill, is_exhaustive
from modeldir.space.problems import ConstraintError, DomainError, Problem, shown
from modeldir.space.space import Condition, CycleError, Space

if TYPE_CHECKING:
    import random

_LOOKED_AT = 50
"""Random configurations to check whether a constraint can be computed at all."""


def parse_space(  # noqa: PLR0913 - the parts of a space, as a plan has them
    domains: Mapping[str, Any],
    base: Mapping[str, Any],
    where: str,
    *,
    zips: Any = (),
    first: Any = (),
    constraints: Any = (),
) -> Space:
    """Return the space that `search.json` or a call describes.

    `where` is what cannot be searched, for the message. `base` is the base config; only its
    hyperparameters can vary. The others are as in `Space`.
    """
    parsing = _Parsing(flatten(base))
    space = parsing.parsed(domains, zips, first, constraints)
    if parsing.problems:
        raise SpaceError(f"{where} cannot be searched:", parsing.problems)
    return space


class _Parsing:
    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = known
        self.problems: list[Problem] = []

    def parsed(self, domains: Mapping[str, Any], zips: Any, first: Any, constraints: Any) -> Space:
        """Return the space, or as much of it as could be read."""
        zips = self._zips(zips, domains)
        found = self._domains(domains, {name for names in zips for name in names})
        conditions = self._conditions(domains, found)
        self._check_zips(zips, found, conditions)
        is_whole = not self.problems  # what follows has then all that it needs
        kept = self._constraints(constraints, found)
        named = {name for condition in conditions.values() for name in condition}
        named |= {name for constraint in kept for name in constraint.names}
        given = {name: self.known[name] for name in self.known if name in named}
        space = Space(found, conditions, zips, kept, (), given)
        is_computable = self._has_order(space) and is_whole and self._has_each(space)
        if is_computable and kept:
            self._check_constraints(space)
        is_well = not self.problems
        tried = self._first(first, found, domains)
        if is_well:
            self._check_points(space, tried)
        return replace(space, first=tuple(tried.values()))

    def _refuse(self, name: str, refused: DomainError) -> None:
        self.problems += [(f"{name}: {problem}", hint) for problem, hint in refused.problems]

    # -- Domains -----------------------------------------------------------------------------------

    def _domains(self, domains: Mapping[str, Any], zipped: set[str]) -> dict[str, Domain]:
        found: dict[str, Domain] = {}
        for name, domain in domains.items():
            try:
                self._check_name(name)
            except DomainError as refused:
                self._refuse(name, refused)
            try:
                found[name] = read_domain(domain, may_repeat=name in zipped)
                check_kind(found[name], self.known.get(name))
                found[name] = of_one_type(found[name], self.known.get(name))
            except DomainError as refused:
                self._refuse(name, refused)
        return found

    def _check_name(self, name: str) -> None:
        if name in self.known:
            return
        parts = [other for other in self.known if other.startswith(f"{name}.")]
        if parts:
            raise DomainError(("is a nested section", f"vary its keys: {parts[0]!r}"))
        hint = did_you_mean(name, list(self.known)) or _there(self.known)
        raise DomainError(("not in params.json", hint))

    # -- What goes together ------------------------------------------------------------------------

    def _zips(self, zips: Any, domains: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
        if not isinstance(zips, (list, tuple)):
            hint = 'write [["batch_size", "learning_rate"]]'
            self.problems.append((f"zip: expected lists of names, got {shown(zips)}", hint))
            return ()
        if zips and all(isinstance(names, str) for names in zips):
            hint = f"write {shown([[*zips]])}"
            self.problems.append((f"zip: expected lists of names, got {shown(zips)}", hint))
            return ()
        found: list[tuple[str, ...]] = []
        seen: set[str] = set()
        for names in zips:
            if problem := _no_zip(names):
                self.problems.append(problem)
                continue
            for name in names:
                if name not in domains:
                    hint = did_you_mean(name, list(domains)) or "give it a list of values"
                    self.problems.append((f"zip {_joined(names)}: {name} does not vary", hint))
                if name in seen:
                    other = next((each for each in found if name in each), ())
                    hint = (
                        f"zip them all in one list: {_joined([*dict.fromkeys([*other, *names])])}"
                    )
                    self.problems.append((f"zip: {name} is in two lists", hint))
            seen |= {*names}
            found.append(tuple(names))
        return tuple(found)

    def _check_zips(
        self,
        zips: Sequence[tuple[str, ...]],
        domains: Mapping[str, Domain],
        conditions: Mapping[str, Condition],
    ) -> None:
        for names in zips:
            if not all(name in domains for name in names):
                continue
            head = f"zip {_joined(names)}"
            ranges = [n for n in names if not isinstance(domains[n], Choice)]
            if ranges:
                told = f"{_joined(ranges)} {'is a range' if len(ranges) == 1 else 'are ranges'}"
                self.problems.append(
                    (f"{head}: {told}", "give it a list of values, such as [0.1, 0.2]")
                )
                continue
            lists = {name: domains[name].values() or () for name in names}
            lengths = {len(values) for values in lists.values()}
            if len(lengths) > 1:
                told = ", ".join(f"{name} has {len(values)}" for name, values in lists.items())
                hint = "give each the same number of values: the first is paired with the first"
                self.problems.append((f"{head}: {told}", hint))
                continue
            rows = [key(list(row)) for row in zip(*lists.values(), strict=True)]
            if len({*rows}) < len(rows):
                twice = next(row for i, row in enumerate(rows) if rows.index(row) < i)
                values = [values[rows.index(twice)] for values in lists.values()]
                self.problems.append((f"{head}: {shown(values)} appears twice", None))
            whens = [conditions.get(name, {}) for name in names]
            if not all_same(whens):
                hint = "give all of them the same condition"
                self.problems.append((f"{head}: their conditions differ", hint))

    # -- Conditions --------------------------------------------------------------------------------

    def _conditions(
        self, domains: Mapping[str, Any], parsed: Mapping[str, Domain]
    ) -> dict[str, Condition]:
        found: dict[str, Condition] = {}
        for name, raw in domains.items():
            if not isinstance(raw, Mapping) or raw.get("condition") is None:
                continue
            wanted = raw["condition"]
            if not isinstance(wanted, Mapping) or not wanted:
                hint = 'for example "condition": {"optimizer": "sgd"}'
                problem = f"{name}: condition: expected values by name, got {shown(wanted)}"
                self.problems.append((problem, hint))
                continue
            condition: dict[str, tuple[Any, ...]] = {}
            for parent, values in wanted.items():
                several = [*values] if isinstance(values, (list, tuple)) else [values]
                self.problems += [*self._wrong_parent(name, str(parent), several, parsed, domains)]
                if parent != name:
                    condition[str(parent)] = tuple(several)
            found[name] = condition
        return found

    def _wrong_parent(
        self,
        name: str,
        parent: str,
        values: list[Any],
        parsed: Mapping[str, Domain],
        domains: Mapping[str, Any],
    ) -> Iterator[Problem]:
        head = f"{name}: when {parent} is {' or '.join(map(shown, values))}"
        if parent == name:
            yield f"{head}: it cannot depend on itself", None
        elif not values:
            yield (
                f"{name}: when {parent} has an empty list of values",
                "list the values at which it is active",
            )
        elif parent in domains:
            if parent in parsed:
                yield from _never(head, parent, values, parsed[parent])
        elif parent not in self.known:
            hint = did_you_mean(parent, list(self.known)) or _there(self.known)
            yield f"{head}: {parent} is not in params.json", hint
        elif not any(same(self.known[parent], value) for value in values):
            told = f"{parent} does not vary, and is {shown(self.known[parent])} in params.json"
            yield (
                f"{head}: {told}",
                f"then it is never active: vary {parent} too, or remove its condition",
            )

    def _has_order(self, space: Space) -> bool:
        try:
            space.order  # noqa: B018 - it is computed here
        except CycleError as cycle:
            circle = " -> ".join((*cycle.names, cycle.names[0]))
            self.problems.append(
                (f"condition: these form a circle: {circle}", "remove one of them")
            )
            return False
        return True

    def _has_each(self, space: Space) -> bool:
        """Return whether each hyperparameter is active in some configuration."""
        bare = _bare(space)
        never = [
            n
            for n in space.conditions
            if fill(bare, {n: space.domains[n].at(0.0)}, _chance()) is None
        ]
        for name in never:
            hint = "no values of the others make it active"
            self.problems.append((f"{name}: its conditions exclude each other", hint))
        return not never

    # -- Constraints -------------------------------------------------------------------------------

    def _constraints(
        self, constraints: Any, domains: Mapping[str, Domain]
    ) -> tuple[Constraint, ...]:
        if isinstance(constraints, str):
            constraints = [constraints]
        if not isinstance(constraints, (list, tuple)):
            hint = 'write ["batch_size * accumulate <= 512"]'
            self.problems.append((f"constraints: expected strings, got {shown(constraints)}", hint))
            return ()
        found = []
        for text in constraints:
            if not isinstance(text, str):
                hint = 'write it as a string: "batch_size * accumulate <= 512"'
                self.problems.append((f"constraints: expected a string, got {shown(text)}", hint))
                continue
            constraint = Constraint(text)
            problems = [*self._wrong_constraint(constraint, domains)]
            self.problems += [(f"{_cut(text)}: {problem}", hint) for problem, hint in problems]
            if not problems and constraint not in found:
                found.append(constraint)
        return tuple(found)

    def _wrong_constraint(
        self, constraint: Constraint, domains: Mapping[str, Domain]
    ) -> Iterator[Problem]:
        try:
            names = constraint.names
        except ConstraintError as error:
            yield error.problem, error.hint
            return
        for name in names:
            if name not in self.known:
                hint = _quoted(name, constraint.text, self.known)
                hint = hint or did_you_mean(name, list(self.known)) or _there(self.known)
                yield f"{name[:60]} is not in params.json", hint
        if all(name in self.known for name in names) and not any(name in domains for name in names):
            yield (
                "uses no hyperparameter that the search varies",
                f"it varies {_joined(list(domains))}",
            )

    def _check_constraints(self, space: Space) -> None:
        """Check that constraints can be computed, and that some configuration satisfies them."""
        bare, chance = _bare(space), _chance()
        drawn = [point for _ in range(_LOOKED_AT) if (point := fill(bare, {}, chance)) is not None]
        computed = True
        for constraint in space.constraints:
            try:
                for point in drawn:
                    constraint.holds({**space.given, **point})
            except ConstraintError as error:
                self.problems.append((f"{_cut(constraint.text)}: {error.problem}", error.hint))
                computed = False
        if not computed or fill(space, {}, chance) is not None:
            return
        alone = [each for each in space.constraints if not _is_kept(space, each)]
        for constraint in alone or space.constraints:
            values = {**space.given, **drawn[0]}
            told = ", ".join(f"{n} {shown(values[n])}" for n in constraint.names if n in values)
            is_sure = is_exhaustive(_with(space, constraint) if alone else space)
            tried = "no configuration" if is_sure else f"none of {MANY_TRIES} random configurations"
            what = f"{tried} satisfies it" + ("" if alone else " and the others")
            self.problems.append((f"{_cut(constraint.text)}: {what}", f"one of them: {told}"))

    # -- Points ------------------------------------------------------------------------------------

    def _first(
        self, points: Any, parsed: Mapping[str, Domain], domains: Mapping[str, Any]
    ) -> dict[int, Mapping[str, Any]]:
        """Return the configurations in which each value is correct, by their place in the list."""
        if isinstance(points, Mapping):
            points = [points]
        if not isinstance(points, (list, tuple)):
            hint = 'write [{"learning_rate": 0.01}]'
            self.problems.append(
                (f"try: expected a list of configurations, got {shown(points)}", hint)
            )
            return {}
        found: dict[int, Mapping[str, Any]] = {}
        for number, point in enumerate(points, 1):
            if not isinstance(point, Mapping) or not point:
                problem = (
                    f"try: configuration {number}: expected values by name, got {shown(point)}"
                )
                self.problems.append((problem, 'write {"learning_rate": 0.01}'))
                continue
            wrong = [self._wrong_value(*item, parsed, domains) for item in point.items()]
            told = [problem for problem in wrong if problem is not None]
            self.problems += [
                (f"try: configuration {number}: {problem}", hint) for problem, hint in told
            ]
            if not told:
                found[number] = {n: _own(parsed[n], v) for n, v in point.items() if n in parsed}
        return found

    def _wrong_value(
        self, name: str, value: Any, parsed: Mapping[str, Domain], domains: Mapping[str, Any]
    ) -> Problem | None:
        if name not in domains and name not in self.known:
            hint = did_you_mean(name, list(domains)) or did_you_mean(name, list(self.known))
            return f"{name} is not in params.json", hint or _there(self.known)
        if name not in domains:
            return f"{name} does not vary", f"search it too; {_joined(list(domains))} vary"
        if name not in parsed or parsed[name].contains(value):
            return None
        return f"{name} is {shown(value)}, outside its search space", shown(parsed[name].to_json())

    def _check_points(self, space: Space, points: Mapping[int, Mapping[str, Any]]) -> None:
        for number, point in points.items():
            head = f"try: configuration {number}, {shown(point)}"
            for name in point:
                if (wrong := _excluded(space, name, point)) is not None:
                    hint = f"leave {name} out, or change {wrong}"
                    told = f"{name} is inactive if {wrong} is {shown(point[wrong])}"
                    self.problems.append((f"{head}: {told}", hint))
                    break
            else:
                self.problems += [*self._without_place(space, point, head)]

    def _without_place(
        self, space: Space, point: Mapping[str, Any], head: str
    ) -> Iterator[Problem]:
        if fill(_bare(space), point, _chance()) is None:
            together = [names for names in space.zips if {*names} & point.keys()]
            told = (
                f"zip {_joined(together[0])} has no such values"
                if together
                else "this space has no such configuration"
            )
            yield f"{head}: {told}", None
        elif fill(space, point, _chance()) is None:
            broken = [
                each.text
                for each in space.constraints
                if {*each.names} <= point.keys() | (space.given.keys() - space.domains.keys())
                and not space.keeps(each, point)
            ]
            yield f"{head}: it does not satisfy {broken[0] if broken else 'the constraints'}", None


def _excluded(space: Space, name: str, point: Mapping[str, Any]) -> str | None:
    """Return the parent whose value makes a name of the configuration inactive."""
    for parent, values in space.conditions.get(name, {}).items():
        if parent in point and not any(same(point[parent], value) for value in values):
            return parent
    return None


def _bare(space: Space) -> Space:
    return Space(space.domains, space.conditions, space.zips, (), (), space.given)


def _is_kept(space: Space, constraint: Constraint) -> bool:
    return fill(_with(space, constraint), {}, _chance()) is not None


def _with(space: Space, constraint: Constraint) -> Space:
    return replace(_bare(space), constraints=(constraint,))


def _chance() -> random.Random:
    """Return the same random numbers each time, so that a valid search config stays valid."""
    import random  # noqa: PLC0415 - slow to import, and rarely a question

    return random.Random("is there a point?")  # noqa: S311 - no secret


def _own(domain: Domain, value: Any) -> Any:
    """Return a value as the domain has it: 2 for 2.0 if integers are meant."""
    if isinstance(domain, Choice):
        return domain.options[domain.index(value)]
    return type(domain.low)(value) if domain.step is None else domain.nearest(value)


def _never(head: str, parent: str, values: list[Any], domain: Domain) -> Iterator[Problem]:
    """Yield the values of a condition that its parent can never have."""
    if isinstance(domain, (Uniform, LogUniform)) and domain.values() is None and not domain.step:
        hint = f"give {parent} a step, or list its values"
        yield f"{head}: {parent} is a range, so it is hardly ever exactly that value", hint
        return
    for value in values:
        if not domain.contains(value):
            options = [each for each in domain.values() or () if isinstance(each, str)]
            hint = did_you_mean(str(value), options) or f"it is {shown(domain.to_json())}"
            yield f"{head}: {parent} is never {shown(value)}", hint


def _no_zip(names: Any) -> Problem | None:
    hint = 'write ["batch_size", "learning_rate"]'
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return f"zip: expected a list of names, got {shown(names)}", hint
    if len(names) < len(("one", "other")):
        return f"zip: {shown(list(names))} needs two names or more", hint
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    return (f"zip {_joined(names)}: {twice[0]} appears twice", None) if twice else None


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names)


def _cut(text: str) -> str:
    whole = " ".join(text.split())
    return f"constraint {whole if len(whole) <= 60 else f'{whole[:57]}...'}"  # noqa: PLR2004


def _quoted(name: str, text: str, known: Mapping[str, Any]) -> str | None:
    """Return how to write a name that is read as something else: `weight-decay` as a difference."""
    whole = [other for other in known if name in other and other in text and other != name]
    # Python takes some letters for others: the micro sign for the Greek letter.
    whole += [other for other in known if unicodedata.normalize("NFKC", other) == name]
    return f'write params["{whole[0]}"]' if whole else None


def _there(known: Mapping[str, Any]) -> str:
    return f"it has {first_of([*known], 8)}" if known else "it is empty"
