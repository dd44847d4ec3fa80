"""What the files of many folders say, by columns: ten thousand rows are not ten thousand objects.

It knows how the `Facts` of folders go into columns, and how those of one come out of them again. It
refuses to know where the folders lie, and what is shown of them.

Folders that tell the same names stand in one sheet; nearly every tree has one or two. Start at
`Sheet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

from modeldir.experiment.experiment import Status
from modeldir.results.folders import Facts

STATUS: tuple[str, ...] = tuple(Status.__annotations__)
SPLITS = ("best", "last", "test", "train")
_TOLD = ("number", "repeat", "active", "note", "looks")
_BLANK: Mapping[str, Any] = {"attempt": 0, "given": {}, "in_doubt": False, "before": 0.0}
"""What a status is without an attempt; None where nothing stands here."""
_NOTHING: Mapping[str, Any] = {}


class Kind(NamedTuple):
    """What the folders of a sheet have in common: which names they tell, and the `state` where no
    attempt is recorded. `looked_at` are the files by whose stamps they are known again, besides the
    folder's own; None where nothing is to be known again.
    """

    hyperparameters: tuple[str, ...] | None
    best: tuple[str, ...]
    last: tuple[str, ...]
    test: tuple[str, ...]
    train: tuple[str, ...]
    state: str | None
    looked_at: tuple[str, ...] | None = None


class Sheet:
    """The columns of some folders: their names below the top, what is told, their stamps."""

    def __init__(self, kind: Kind, columns: Sequence[Sequence[Any]]) -> None:
        self.kind, self.columns = kind, columns
        names = (kind.hyperparameters or (), kind.best, kind.last, kind.test, kind.train)
        self._named = tuple(names)
        self._status = 1 + sum(map(len, names))
        self._told = self._status + (0 if kind.state else len(STATUS))
        self._stamps = self._told + len(_TOLD)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> Sequence[str]:
        return self.columns[0]

    def only(self, chosen: Sequence[bool]) -> Sheet:
        """The sheet with some of its rows."""
        if all(chosen):
            return self
        return Sheet(self.kind, [[*compress(column, chosen)] for column in self.columns])

    def stamps(self) -> Iterator[tuple[str, Sequence[Sequence[int]]]]:
        """By what each folder is known again: "" for itself or a file in it; with three columns."""
        for place, file in enumerate(("", *(self.kind.looked_at or ()))):
            at = self._stamps + 3 * place
            yield file, self.columns[at : at + 3]

    def hyperparameters(self) -> dict[str, Sequence[Any]]:
        """A column for each name."""
        return self._group(0)

    def metrics(self, split: str) -> dict[str, Sequence[float]]:
        """The same of the metrics: see `SPLITS`."""
        return self._group(1 + SPLITS.index(split))

    def _group(self, place: int) -> dict[str, Sequence[Any]]:
        start = 1 + sum(map(len, self._named[:place]))
        names = self._named[place]
        return dict(zip(names, self.columns[start : start + len(names)], strict=True))

    def status(self, field: str) -> Sequence[Any]:
        """A column of what a `Status` is made of."""
        if self.kind.state:
            return [self.kind.state if field == "state" else _BLANK.get(field)] * len(self)
        return self.columns[self._status + STATUS.index(field)]

    def told(self, field: str) -> Sequence[Any]:
        """A column of what else stands in `Facts`."""
        return self.columns[self._told + _TOLD.index(field)]

    def facts(self, row: int) -> Facts:
        """All that is told of one folder."""
        return self._facts([column[row] for column in self.columns[: self._stamps]])

    def all_facts(self) -> Iterator[Facts]:
        """The same of each."""
        return map(self._facts, zip(*self.columns[: self._stamps], strict=True))

    def _facts(self, row: Sequence[Any]) -> Facts:
        named = []
        start = 1
        for names in self._named:
            end = start + len(names)
            named.append(dict(zip(names, row[start:end], strict=True)) if names else _NOTHING)
            start = end
        said, best, last, test, train = named
        state = (self.kind.state,) if self.kind.state else tuple(row[start : self._told])
        hyperparameters = None if self.kind.hyperparameters is None else dict(said)
        return Facts(hyperparameters, best, last, test, train, state, *row[self._told :])


class Gathering:
    """Folders on their way into sheets: told one by one, or many that are alike at once."""

    def __init__(self) -> None:
        self._rows: dict[Kind, list[tuple[Any, ...]]] = {}
        self._columns: dict[Kind, list[list[Any]]] = {}

    def add(
        self,
        name: str,
        facts: Facts,
        looked_at: tuple[str, ...] | None = None,
        stamps: Sequence[int] = (),
    ) -> None:
        """A folder by its name, with what it tells and by what it is known again."""
        said, best, last, test, train, status = facts[:6]
        state = None
        if len(status) == 1:
            state, status = status[0], ()
        elif len(status) < len(STATUS):
            status = (*status, 0.0)  # nothing before it
        names = None if said is None else (*said,)
        kind = Kind(names, (*best,), (*last,), (*test,), (*train,), state, looked_at)
        row = (
            name, *(said or _NOTHING).values(),
            *best.values(), *last.values(), *test.values(), *train.values(),
            *status, *facts[6:], *stamps,
        )  # fmt: skip
        self._rows.setdefault(kind, []).append(row)

    def add_all(self, kind: Kind, columns: Sequence[Sequence[Any]]) -> None:
        """Folders of one kind, by the columns of a sheet."""
        known = self._columns.get(kind)
        if known is None:
            self._columns[kind] = [*map(list, columns)]
        else:
            for mine, more in zip(known, columns, strict=True):
                mine.extend(more)

    def sheets(self) -> list[Sheet]:
        """All of them."""
        for kind, rows in self._rows.items():
            self.add_all(kind, [*zip(*rows, strict=True)])
        self._rows.clear()
        return [Sheet(kind, columns) for kind, columns in self._columns.items()]
