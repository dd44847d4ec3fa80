"""The experiments of a table: each as a row, and what all of them have in one column.

`experiment_tree` makes them, `table_columns` and the plots use them; start at `Experiments`. The
rule: each column is in the order of the rows, with None where a row has no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, NamedTuple, overload

from modeldir._system.text import Marked, order_of, value_cell
from modeldir.experiment.attempts import RANKED
from modeldir.experiment.experiment import Scores, Status
from modeldir.experiment.reader import ExperimentRecord
from modeldir.metrics import objective
from modeldir.params import plain_values

_LEAVES = frozenset({float, int, str, bool, type(None)})
_NONE: frozenset[str] = frozenset()


class ExperimentRow(NamedTuple):
    """One experiment, or several of them in one row.

    `name` is the path below the table's folder, with "/" on every system. `members` are repeats
    that share the row: its scores are their means. `inactive` are hyperparameters whose condition
    in the search space does not hold. See `reader.ExperimentRecord` for the other fields.
    """

    folder: str
    name: str
    hyperparameters: Mapping[str, Any] | None
    scores: Scores
    status: Status
    number: int | None = None
    repeat: int | None = None
    members: tuple[ExperimentRow, ...] = ()
    inactive: frozenset[str] = _NONE
    note: str | None = None
    looks: int = 0

    @classmethod
    def of(
        cls, record: ExperimentRecord, name: str, conditional: frozenset[str] = _NONE
    ) -> ExperimentRow:
        """Make the row of an experiment; `conditional` are the names that have a condition."""
        inactive = _NONE
        if conditional and record.active is not None:
            inactive = conditional - record.active
        return cls(
            record.folder,
            name,
            record.hyperparameters,
            record.scores,
            record.status,
            record.number,
            record.repeat,
            (),
            inactive,
            record.note,
            record.looks,
        )

    @property
    def path(self) -> Path:
        return Path(self.folder)

    def used(self) -> Mapping[str, object] | None:
        """Return the hyperparameters by dotted name, as the last attempt used them.

        A value that differs from the one in `params.json` is marked. Inactive ones are left out.
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
        """Return a validation metric, if this experiment ended well and may be ranked by it."""
        value = self.scores.validation.get(metric)
        is_ranked = self.status.state in RANKED and value == value  # noqa: PLR0124 - NaN is no rank
        return value if is_ranked else None

    def counted(self) -> tuple[ExperimentRow, ...]:
        """Return the members that the means are over."""
        return tuple(each for each in self.members if each.status.state in RANKED)


class Experiments(Sequence[ExperimentRow]):
    """Rows in an order. Columns are made on demand, those by name only once."""

    def __init__(self, rows: Iterable[ExperimentRow]) -> None:
        self._rows = tuple(rows)
        self._by_name: dict[str, dict[str, list[Any]]] = {}

    @classmethod
    def by_name(cls, rows: Sequence[ExperimentRow]) -> Experiments:
        return cls(map(rows.__getitem__, _order_by_name([row.name for row in rows])))

    def only(self, chosen: Iterable[bool]) -> Experiments:
        return Experiments(compress(self._rows, chosen))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ExperimentRow]:
        return iter(self._rows)

    @overload
    def __getitem__(self, at: int) -> ExperimentRow: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[ExperimentRow, ...]: ...
    def __getitem__(self, at: int | slice) -> ExperimentRow | tuple[ExperimentRow, ...]:
        return self._rows[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiments) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment] # rows contain dicts

    def column(self, field: str) -> list[Any]:
        """Return one field of each `ExperimentRow`."""
        return [*map(attrgetter(field), self._rows)]

    def status_column(self, field: str) -> list[Any]:
        return [*map(attrgetter(field), self.column("status"))]

    def used(self) -> Mapping[str, list[Any]]:
        """Return a column for each hyperparameter, in the order in which the rows have them."""
        return self._columns("used", lambda row: row.used() or {})

    def scores(self, kind: str) -> Mapping[str, list[Any]]:
        """Do the same for metrics: `validation`, `best`, `last`, `test` or `train`."""
        get = attrgetter(kind)
        return self._columns(kind, lambda row: get(row.scores))

    def _columns(
        self, key: str, values_of: Callable[[ExperimentRow], Mapping[str, Any]]
    ) -> dict[str, list[Any]]:
        known = self._by_name.get(key)
        if known is None:
            known = self._by_name[key] = _transposed([*map(values_of, self._rows)])
        return known

    def ranked(self, metric: str) -> list[float | None]:
        values = self.scores("validation").get(metric, [None] * len(self))
        return [
            value if state in RANKED and value == value else None  # noqa: PLR0124 - NaN is no rank
            for value, state in zip(values, self.status_column("state"), strict=True)
        ]

    def best(self, metric: str, direction: objective.Direction) -> ExperimentRow | None:
        """Return the best row that ended well: see `objective.best_of`."""
        ranked = self.ranked(metric)
        known = [value for value in ranked if value is not None]
        if not known:
            return None
        best = max(known) if direction == "maximize" else min(known)
        equals = [row for row, value in zip(self._rows, ranked, strict=True) if value == best]
        return objective.best_of([(best, row.number, row) for row in equals], direction)


def _transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names: dict[str, None] = {}
    for row in filter(None, rows):
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
    columns = {}
    for name in names:
        try:
            columns[name] = [*map(itemgetter(name), rows)]
        except KeyError:
            columns[name] = [row.get(name) for row in rows]
    return columns


_DIGITS = str.maketrans("123456789", "000000000")


def _order_by_name(names: Sequence[str]) -> list[int]:
    """Return the indices that sort the names as `order_of` does, ten times as fast if alike."""
    forms = {*"\0".join(names).translate(_DIGITS).split("\0")}
    if len(forms) == 1 and "0e" not in forms.pop().casefold():  # 1e-05 is less than 1e-03
        return sorted(range(len(names)), key=names.__getitem__)
    return sorted(range(len(names)), key=lambda place: (order_of(names[place]), names[place]))
