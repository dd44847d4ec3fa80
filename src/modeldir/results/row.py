"""Experiments as they were read: one by one, or all of a tree by columns.

It knows what one experiment says of itself (`Found`), and how to tell the same of very many without
making each of them (`Finds`). It refuses to read anything, and to know what is shown.

Start at `Finds`.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, compress, filterfalse
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from modeldir._system.text import Marked, order_of, value_cell
from modeldir.experiment import attempts, experiment, repeats
from modeldir.metrics import metrics
from modeldir.params import plain_values

if TYPE_CHECKING:
    from typing import Protocol, TypeAlias

    from modeldir.results.folders import Facts
    from modeldir.results.sheets import Sheet

    class Part(Protocol):
        """Some of the experiments: those of a sheet, or such as were made one by one."""

        def names(self) -> Sequence[str]: ...
        def only(self, chosen: Sequence[bool]) -> Part: ...
        def found(self, row: int) -> Found: ...
        def all(self) -> Iterable[Found]: ...
        def told(self, field: str) -> Sequence[Any]: ...
        def status(self, field: str) -> Sequence[Any]: ...
        def are_read(self) -> Sequence[bool]: ...
        def named(self, what: str, ranks: Sequence[int]) -> Named: ...

    Named: TypeAlias = "tuple[Mapping[str, tuple[int, int]], Mapping[str, Sequence[Any]]]"
    """By name: where it first comes up (the experiment's rank, the place in it), and a column."""

RANKED = frozenset({attempts.COMPLETED, attempts.UNRECORDED})
"""What has ended so that its metrics may be ranked by."""
_NONE: frozenset[str] = frozenset()
_LEAVES = frozenset({float, int, str, bool, type(None)})


class Found(NamedTuple):
    """One experiment as it was read. `hyperparameters` is None where they could not be read.

    `name` is the path below the folder that was asked for, with "/" on every system; `number` and
    `repeat` a trial's. `members` are the repeats of a point where they are one row: then its scores
    are their means. `inactive` are hyperparameters that its condition leaves out: the base's values
    stand in its `params.json`, and nothing uses them. `note` says why it was made, `looks` how
    often its test metrics were looked at.
    """

    folder: str
    name: str
    hyperparameters: Mapping[str, Any] | None
    scores: experiment.Scores
    status: experiment.Status
    number: int | None = None
    repeat: int | None = None
    members: tuple[Found, ...] = ()
    inactive: frozenset[str] = _NONE
    note: str | None = None
    looks: int = 0

    @property
    def path(self) -> Path:
        return Path(self.folder)

    def used(self) -> Mapping[str, object] | None:
        """The hyperparameters by dotted name, as the latest attempt used them: marked where
        `params.json` has other values than that was given, without those that are not active.
        """
        if self.hyperparameters is None:
            return None
        flat = self.hyperparameters
        if not _LEAVES.issuperset(map(type, flat.values())):
            flat = plain_values.flatten(flat)
        cells: Mapping[str, object] = flat
        if None in flat.values():
            cells = {name: value_cell(value) for name, value in flat.items()}
        if self.inactive:
            cells = {name: cell for name, cell in cells.items() if name not in self.inactive}
        if self.status.given:
            given = {name: Marked(value) for name, value in self.status.given.items()}
            cells = {**cells, **given}
        return cells

    def value(self, metric: str) -> float | None:
        """A development metric, if this experiment has ended well and may be ranked by it."""
        value = self.scores.development.get(metric)
        fit = self.status.state in RANKED and value == value  # noqa: PLR0124 - NaN is no rank
        return value if fit else None

    def counted(self) -> tuple[Found, ...]:
        """The members over which the means go."""
        return tuple(each for each in self.members if repeats.is_ranked(each.status))


def inactive(conditional: Collection[str] | None, active: Collection[str] | None) -> frozenset[str]:
    """Of the hyperparameters that count under a condition those that a trial's point is without."""
    if not conditional or active is None:
        return _NONE
    return frozenset(filterfalse(active.__contains__, conditional))


# -- All of them -----------------------------------------------------------------------------------


class Finds(Sequence[Found]):
    """Experiments, in an order; each is made when somebody asks for it. What all say of one thing
    is one list, in the same order: `names`, `told`, `status`, `ranked`, `named`.
    """

    def __init__(self, parts: Sequence[Part], *, by_name: bool = False) -> None:
        self._parts = [part for part in parts if part.names()]
        counts = [len(part.names()) for part in self._parts]
        self._starts = [0, *accumulate(counts)]
        self._order: Sequence[int] = range(self._starts[-1])
        if by_name:
            self._order = _by_name([*chain.from_iterable(part.names() for part in self._parts)])
        self._named: dict[str, dict[str, Sequence[Any]]] = {}
        self._all: tuple[Found, ...] | None = None

    @classmethod
    def of(cls, found: Sequence[Found]) -> Finds:
        """Experiments that were made already, in their order."""
        return found if isinstance(found, Finds) else cls([Made(found)])

    def only(self, chosen: Sequence[bool]) -> Finds:
        """Some of them, in the same order."""
        wanted = [False] * len(self)
        for place, answer in zip(self._order, chosen, strict=True):
            wanted[place] = answer
        ends = zip(self._parts, self._starts, self._starts[1:], strict=False)
        some = Finds([part.only(wanted[start:end]) for part, start, end in ends])
        if len(some) > 1 and not isinstance(self._order, range):
            places = [*accumulate(wanted, initial=0)]
            some._order = [*map(places.__getitem__, compress(self._order, chosen))]
        return some

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Found]:
        if self._all is None:
            self._all = tuple(self._in_order([[*part.all()] for part in self._parts]))
        return iter(self._all)

    @overload
    def __getitem__(self, at: int) -> Found: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Found, ...]: ...
    def __getitem__(self, at: int | slice) -> Found | tuple[Found, ...]:
        if isinstance(at, slice):
            return tuple(map(self._make, self._order[at]))
        return self._make(self._order[at])

    def _make(self, place: int) -> Found:
        part = bisect_right(self._starts, place) - 1
        return self._parts[part].found(place - self._starts[part])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Finds, tuple)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # as a list has none

    def as_read(self) -> Iterator[Found]:
        """Each, in the order in which they were read."""
        return chain.from_iterable(part.all() for part in self._parts)

    def names(self) -> Sequence[str]:
        """What each is called."""
        return self._in_order([part.names() for part in self._parts])

    def told(self, field: str) -> Sequence[Any]:
        """The `number`, `repeat`, `members`, `note` or `looks` of each."""
        return self._in_order([part.told(field) for part in self._parts])

    def status(self, field: str) -> Sequence[Any]:
        """One field of the status of each."""
        return self._in_order([part.status(field) for part in self._parts])

    def are_read(self) -> Sequence[bool]:
        """Of each, whether its hyperparameters could be read."""
        return self._in_order([part.are_read() for part in self._parts])

    def named(self, what: str) -> Mapping[str, Sequence[Any]]:
        """A list for each name that comes up, with None where it is not told. The names are those
        of the hyperparameters (`used`), of the `development` metrics, or of those of one of
        `sheets.SPLITS`, in the order in which the experiments tell them.
        """
        known = self._named.get(what)
        if known is None:
            known = self._named[what] = self._by_name_told(what)
        return known

    def _by_name_told(self, what: str) -> dict[str, Sequence[Any]]:
        ranks = [0] * len(self)
        for rank, place in enumerate(self._order):
            ranks[place] = rank
        firsts: dict[str, tuple[int, int]] = {}
        columns = []
        for part, start, end in zip(self._parts, self._starts, self._starts[1:], strict=False):
            first, column = part.named(what, ranks[start:end])
            for name, at in first.items():
                firsts[name] = min(at, firsts.get(name, at))
            columns.append(column)
        blanks = [[None] * len(part.names()) for part in self._parts]
        return {
            name: self._in_order(
                [each.get(name, blank) for each, blank in zip(columns, blanks, strict=True)]
            )
            for name in sorted(firsts, key=firsts.__getitem__)
        }

    def ranked(self, metric: str) -> Sequence[float | None]:
        """As `Found.value` of each."""
        values = self.named("development").get(metric) or [None] * len(self)
        states = self.status("state")
        return [
            value if state in RANKED and value == value else None  # noqa: PLR0124 - NaN is no rank
            for value, state in zip(values, states, strict=True)
        ]

    def best(self, metric: str, direction: metrics.Direction) -> Found | None:
        """The best of those that ended well: see `metrics.best_of`."""
        ranked = self.ranked(metric)
        known = {value for value in ranked if value is not None}
        if not known:
            return None
        best = max(known) if direction == "maximize" else min(known)
        numbers = enumerate(self.told("number"))
        equals = ((best, number, place) for place, number in numbers if ranked[place] == best)
        chosen = metrics.best_of(equals, direction)
        return None if chosen is None else self[chosen]

    def _in_order(self, columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
        column = columns[0] if len(columns) == 1 else [*chain.from_iterable(columns)]
        if isinstance(self._order, range):
            return column
        ordered: Sequence[Any] = itemgetter(*self._order)(column)  # two at least, as it is an order
        return ordered


_DIGITS = str.maketrans("123456789", "000000000")


def _by_name(names: Sequence[str]) -> Sequence[int]:
    """The places in the order of the names, as `order_of` has it. Names of one form
    (`trial_000001`) need no second look.
    """
    forms = {*"\0".join(names).translate(_DIGITS).split("\0")}
    if len(forms) == 1 and "0e" not in forms.pop().casefold():  # 1e-05 is less than 1e-03
        order = sorted(range(len(names)), key=names.__getitem__)
    else:
        order = sorted(range(len(names)), key=lambda place: (order_of(names[place]), names[place]))
    is_so = all(map(int.__eq__, order, range(len(order))))
    return range(len(names)) if is_so else order


class Made:
    """Experiments that were made one by one."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._found = found
        self._names = [each.name for each in found]

    def names(self) -> Sequence[str]:
        return self._names

    def only(self, chosen: Sequence[bool]) -> Made:
        return Made([*compress(self._found, chosen)])

    def found(self, row: int) -> Found:
        return self._found[row]

    def all(self) -> Iterable[Found]:
        return self._found

    def told(self, field: str) -> Sequence[Any]:
        return [*map(attrgetter(field), self._found)]

    def status(self, field: str) -> Sequence[Any]:
        return [getattr(each.status, field) for each in self._found]

    def are_read(self) -> Sequence[bool]:
        return [each.hyperparameters is not None for each in self._found]

    def named(self, what: str, ranks: Sequence[int]) -> Named:
        if what == "used":
            return _transposed([each.used() or {} for each in self._found], ranks)
        return _transposed([getattr(each.scores, what) for each in self._found], ranks)


def _transposed(rows: Sequence[Mapping[str, Any]], ranks: Sequence[int]) -> Named:
    firsts: dict[str, tuple[int, int]] = {}
    for rank, row in sorted(zip(ranks, rows, strict=True), key=itemgetter(0)):
        if not row.keys() <= firsts.keys():
            for place, name in enumerate(row):
                firsts.setdefault(name, (rank, place))
    return firsts, {name: [row.get(name) for row in rows] for name in firsts}


class Read:
    """A sheet, and where its folders lie: below `top`. The names begin with a `prefix`.
    `conditional` are, by the folder of a search, the hyperparameters that count under a condition.
    """

    def __init__(
        self, sheet: Sheet, top: str, prefix: str, conditional: Mapping[str, frozenset[str]]
    ) -> None:
        self._sheet = sheet
        self._top, self._prefix = top, prefix
        self._base = os.path.join(top, "")
        self._conditional = conditional
        names = sheet.names
        if os.sep != "/":
            names = [name.replace(os.sep, "/") for name in names]
        self._names = [f"{prefix}/{name}" for name in names] if prefix else names
        self._status = experiment.Status(sheet.kind.state) if sheet.kind.state else None

    def names(self) -> Sequence[str]:
        return self._names

    def only(self, chosen: Sequence[bool]) -> Read:
        return Read(self._sheet.only(chosen), self._top, self._prefix, self._conditional)

    def found(self, row: int) -> Found:
        return self._found(self._sheet.names[row], self._names[row], self._sheet.facts(row))

    def all(self) -> Iterable[Found]:
        return map(self._found, self._sheet.names, self._names, self._sheet.all_facts())

    def _found(self, below: str, name: str, facts: Facts) -> Found:
        return found_of(self._base + below, name, facts, self._conditional, self._status)

    def told(self, field: str) -> Sequence[Any]:
        return [()] * len(self._sheet) if field == "members" else self._sheet.told(field)

    def status(self, field: str) -> Sequence[Any]:
        return self._sheet.status(field)

    def are_read(self) -> Sequence[bool]:
        return [self._sheet.kind.hyperparameters is not None] * len(self._sheet)

    def named(self, what: str, ranks: Sequence[int]) -> Named:
        columns: Mapping[str, Sequence[Any]]
        if what == "used":
            kinds = {
                name: {*map(type, column)} for name, column in self._sheet.hyperparameters().items()
            }
            if not self._are_plain(kinds.values()):
                return _transposed([each.used() or {} for each in self.all()], ranks)
            columns = {
                name: [*map(value_cell, column)] if type(None) in kinds[name] else column
                for name, column in self._sheet.hyperparameters().items()
            }
        else:
            split = ("best" if self._sheet.kind.best else "last") if what == "development" else what
            columns = self._sheet.metrics(split)
        first = min(ranks)
        return {name: (first, place) for place, name in enumerate(columns)}, columns

    def _are_plain(self, kinds: Iterable[set[type]]) -> bool:
        """Whether the hyperparameters are used as they stand in the files, and none has parts."""
        sheet = self._sheet
        if self._conditional and any(active is not None for active in sheet.told("active")):
            return False
        return all(each <= _LEAVES for each in kinds) and not any(sheet.status("given"))


def found_of(
    path: str,
    name: str,
    facts: Facts,
    conditional: Mapping[str, frozenset[str]],
    status: experiment.Status | None = None,
) -> Found:
    """An experiment of which the files say no more than these facts; `status`, if it is made."""
    return Found(
        path,
        name,
        facts.hyperparameters,
        experiment.Scores(facts.best, facts.last, facts.test, facts.train),
        status or experiment.Status(*facts.state),
        facts.number,
        facts.repeat,
        (),
        inactive(conditional and conditional.get(os.path.dirname(path)), facts.active),
        facts.note,
        facts.looks,
    )
