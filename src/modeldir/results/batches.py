"""Folders with the same files, some hundred at a time: what they say goes into columns at once.

It knows how to parse and to check one file of each of them by columns, in half the time that it
takes one by one. It refuses what is not as nearly all are: such folders go the way of one folder
(`folders.facts_in`), to the same end.

Start at `gather`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, compress, repeat
from typing import Any, NamedTuple

from modeldir.experiment import experiment
from modeldir.results import folders
from modeldir.results.discovery import Folder
from modeldir.results.folders import Contents
from modeldir.results.recall import looked_at, marks
from modeldir.results.sheets import SPLITS, Gathering, Kind

_MOST_KINDS = 8
"""Among the folders; where there are more, each is taken by itself."""


class Read(NamedTuple):
    """A folder, the bytes of its `contents.files`, and their stamps if they were taken."""

    folder: Folder
    data: Sequence[bytes]
    stamps: Sequence[int]


def gather(contents: Contents, read: Sequence[Read], gathering: Gathering) -> list[Folder]:
    """Gather what folders say; those are left that have to be read with care."""
    kinds: Sequence[tuple[Any, ...]] = ()
    parsed = [
        _objects([each.data[place] for each in read], strict=name == contents.params)
        for place, name in enumerate(contents.files)
    ]
    objects = [each for each in parsed if each is not None]
    if len(objects) == len(parsed):
        telling = objects[: bool(contents.params) + len(contents.scores)]
        looked = (
            looked_at(folder.status, contents, stamps) if folder.status and stamps else None
            for folder, _, stamps in read
        )
        kinds = [*zip(looked, *(map(tuple, each) for each in telling), strict=True)]
    if not 0 < len(different := dict.fromkeys(kinds)) <= _MOST_KINDS:
        return _one_by_one(contents, read, gathering)
    left: list[Folder] = []
    for kind in different:
        chosen = [each == kind for each in kinds]
        theirs = [*compress(read, chosen)]
        alike = _Alike(contents, kind, theirs, [[*compress(each, chosen)] for each in objects])
        if (columns := alike.columns()) is not None:
            gathering.add_all(alike.kind(), columns)
        else:
            left += _one_by_one(contents, theirs, gathering)
    return left


def _one_by_one(contents: Contents, read: Sequence[Read], gathering: Gathering) -> list[Folder]:
    left = []
    for folder, data, stamps in read:
        facts = folders.facts_in(contents, data)
        if facts is None:
            left.append(folder)
        else:
            known = marks(folder.status, contents, stamps) if folder.status and stamps else ()
            gathering.add(folder.name, facts, *known)
    return left


def _objects(column: Sequence[bytes], *, strict: bool) -> list[dict[str, Any]] | None:
    """The objects in some files, if each is as `folders.plain_object` has it."""
    scan = folders.parse_strictly if strict else folders.parse
    try:
        texts = [*map(bytes.decode, column)]
        parsed = [*map(scan, texts, repeat(0))]
    except (ValueError, RecursionError):
        return None
    if len(parsed) < len(texts):  # StopIteration, where the text is none of JSON, ends the list
        return None
    rest = {text[end:] for text, (_, end) in zip(texts, parsed, strict=True)}
    objects = [value for value, _ in parsed]
    return objects if rest <= {"", "\n"} and {*map(type, objects)} == {dict} else None


class _Alike:
    """Folders that tell the same names, and the objects in each of their files.

    `names` begin with the files that they are known again by; then come those in each file.
    """

    def __init__(
        self,
        contents: Contents,
        names: Sequence[Any],
        read: Sequence[Read],
        objects: Sequence[list[dict[str, Any]]],
    ) -> None:
        self._contents, self._read = contents, read
        self._looked_at: tuple[str, ...] | None = names[0]
        self._objects = dict(zip(contents.files, objects, strict=True))
        self._names = dict(zip(contents.files, names[1:], strict=False))
        self._places = {place: name for name, place in contents.scores}

    def kind(self) -> Kind:
        contents = self._contents
        best, last, test, train = (
            self._names.get(self._places.get(split, ""), ()) for split in SPLITS
        )
        return Kind(
            self._names[contents.params] if contents.params else None,
            best,
            last,
            test,
            train,
            None if contents.run else contents.state,
            self._looked_at,
        )

    def columns(self) -> list[Sequence[Any]] | None:
        """Those of a sheet; None where something is not plain."""
        count = len(self._read)
        said, state, told = self._hyperparameters(), self._state(), self._told()
        files = [self._places[split] for split in SPLITS if split in self._places]
        scores = [*chain.from_iterable(self._columns(name) for name in files)]
        if said is None or state is None or len(files) < len(self._contents.scores):
            return None
        if not all(map(_are_numbers, scores)):
            return None
        number, repeats, active, notes = told
        if state:
            notes = [own or note for own, note in zip(state[-2], notes, strict=True)]
        tested = self._contents.is_tested and self._names.get(self._places.get("test", ""))
        looks = [int(bool(tested))] * count
        names = [each.folder.name for each in self._read]
        return [
            names, *said, *scores, *state, number, repeats, active, notes, looks, *self._stamps()
        ]  # fmt: skip

    def _columns(self, name: str) -> list[Sequence[Any]]:
        return [*zip(*map(dict.values, self._objects[name]), strict=True)]

    def _hyperparameters(self) -> list[Sequence[Any]] | None:
        """As `folders.hyperparameters_in` of each."""
        name = self._contents.params
        if name is None:
            return []
        columns = self._columns(name)
        data = [each.data[0] for each in self._read]
        if b"\\" in b"".join(data):
            return None
        if not folders.PLAIN.issuperset(chain.from_iterable(map(type, each) for each in columns)):
            are_plain = map(folders.is_plain, self._objects[name], data)
            return columns if all(are_plain) else None
        colons = {*map(bytes.count, data, repeat(b":"))}
        is_plain = colons <= {len(columns)} and all(map(folders.INFINITE.isdisjoint, columns))
        return columns if is_plain else None

    def _state(self) -> list[Sequence[Any]] | None:
        """What statuses are made of, where attempts are recorded."""
        if not self._contents.run:
            return []
        run, number = self._contents.run
        records = self._objects[run]
        ends = [experiment.ended_status(record, number) for record in records]
        if None in ends or any(record.get("resumes") is True for record in records):
            return None
        return [*zip(*filter(None, ends), strict=True), [0.0] * len(ends)]

    def _told(self) -> tuple[Sequence[Any], ...]:
        told = self._objects.get(folders.TOLD)
        if told is None:
            return ([None] * len(self._read),) * 4
        return (
            [folders.integer(each, "number") for each in told],
            [folders.integer(each, "repeat") for each in told],
            [*map(folders.active_of, told)],
            [*map(folders.note_of, told)],
        )

    def _stamps(self) -> list[Sequence[int]]:
        if self._looked_at is None:
            return []
        known = filter(None, (each.folder.status for each in self._read))
        own = zip(*map(folders.stamp, known), strict=True)
        theirs = [*zip(*(each.stamps for each in self._read), strict=True)]
        places = map(self._contents.files.index, self._looked_at)
        return [*own, *chain.from_iterable(theirs[3 * at : 3 * at + 3] for at in places)]


def _are_numbers(column: Sequence[Any]) -> bool:
    """As `folders.numbers_in` of each file."""
    kinds = {*map(type, column)}
    if kinds == {float}:
        return True
    whole = [value for value in column if type(value) is int]
    exact = folders.EXACT
    return kinds <= {float, int} and -exact <= min(whole) and max(whole) <= exact
