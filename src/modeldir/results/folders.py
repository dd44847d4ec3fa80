"""One experiment's folder, read by whoever reads very many: a few system calls and no more.

It knows what the names in a folder say, and how to read a folder that is as nearly all are: whole
files of plain JSON, no attempt or one whose end is recorded. It refuses all else: `read` then
answers None, and `careful.read_experiment` reads that folder with care and says what is wrong with
it. The two never differ in what they tell of a folder that both can read.

Start at `Contents.of` and `read`; `batches` does the same for some hundred folders at a time.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn

from modeldir.experiment import attempts, experiment
from modeldir.metrics import metrics
from modeldir.params.json_errors import MAX_DEPTH

_USUAL = 4096
_LARGEST = 1 << 20
"""Bytes of a file that is read here; larger ones are read with care."""

stamp: Callable[[os.stat_result], tuple[int, int, int]] = attrgetter(
    "st_ctime_ns", "st_size", "st_ino"
)
"""By what a file or a folder is known again: when its inode last changed (ns), which no program can
set back; its size, its inode.
"""

_JSON = experiment.PARAMS_NAMES[0]
TOLD = "trial.json"
"""What a search says of its trial."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
PLAIN = frozenset({float, int, str, bool, type(None)})
INFINITE = frozenset({math.inf, -math.inf})
"""What a number too large becomes."""
EXACT = 2**53


def _no_number(_: str) -> NoReturn:
    raise ValueError


# What `raw_decode` calls: the value that begins at a place, and where it ends.
parse = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
parse_strictly = json.JSONDecoder(parse_constant=_no_number).scan_once  # type: ignore[attr-defined]


class Contents(NamedTuple):
    """What the names of the files in a folder say; one for all folders with the same names.

    `scores` are the metric files, each with its place in `experiment.Scores`; `run` is the run file
    of the highest attempt, and its number. `is_ordinary`: nothing lies there that only a careful
    reader can read. `files` are those that are read, in this order; `trusted` are those of them
    that modeldir alone writes, by rename, so that a new one changes the folder's time, too;
    `others` are the others.
    """

    names: tuple[str, ...]
    params: str | None
    scores: tuple[tuple[str, str], ...]
    run: tuple[str, int] | None
    is_touched: bool
    is_development: bool
    is_tested: bool
    is_ordinary: bool
    files: tuple[str, ...]
    trusted: frozenset[str]
    others: tuple[str, ...]

    @property
    def state(self) -> str:
        """The state of an experiment without an attempt."""
        return attempts.UNRECORDED if self.is_touched else attempts.WAITING

    @classmethod
    def of(cls, names: Sequence[str]) -> Contents:
        params = next((name for name in experiment.PARAMS_NAMES if name in names), None)
        kinds = [kind for name in names if (kind := metrics.classify(name)) is not None]
        scores = tuple(
            (kind.name, (kind.which or "best") if kind.split == "eval" else kind.split)
            for kind in sorted(kinds, key=lambda kind: kind.name)
        )
        numbers = attempts.numbers([*names])
        run = (attempts.run_file(numbers[-1]), numbers[-1]) if numbers else None
        named = {kind.split for kind in kinds if kind.name.startswith("metrics_")}
        evaluated = "test" in named and attempts.scripts(names)
        told = [name for name in (TOLD, "origin.json") if name in names]
        read = (*filter(None, [params]), *dict(scores), *(run or ())[:1], *told)
        trusted = _arrive_by_rename(names, run[0]) if run else frozenset[str]()
        return cls(
            names=tuple(names),
            params=params,
            scores=scores,
            run=run,
            is_touched=experiment.has_output([*names]),
            is_development="eval" in named,
            is_tested="test" in named,
            is_ordinary=params in {None, _JSON} and not evaluated and "origin.json" not in names,
            files=read,
            trusted=trusted,
            others=tuple(name for name in read if name not in trusted),
        )


def _arrive_by_rename(names: Sequence[str], run: str) -> frozenset[str]:
    """Of a folder with an attempt: what a search puts into a trial; beside `metrics.jsonl`, which
    `Run` keeps, the two files of metrics that it writes, under their names alone: `results.json` is
    a script's own. Who overwrites a file in its place leaves the folder's time alone.
    """
    ours = {"trial.json", "origin.json", run}
    if "trial.json" in names:
        ours.add(_JSON)
    if metrics.METRICS_LINES in names:
        ours.update((metrics.EVAL_BEST, metrics.EVAL_LAST))
    return frozenset(ours)


class Facts(NamedTuple):
    """What the files of a folder say, in plain values. `state` is what `experiment.Status` is made
    of; `active` are the hyperparameters of a trial's point.
    """

    hyperparameters: dict[str, Any] | None
    best: Mapping[str, float]
    last: Mapping[str, float]
    test: Mapping[str, float]
    train: Mapping[str, float]
    state: tuple[Any, ...]
    number: int | None = None
    repeat: int | None = None
    active: tuple[str, ...] | None = None
    note: str | None = None
    looks: int = 0


_NO_NUMBERS: Mapping[str, float] = {}


def read(path: str, contents: Contents) -> Facts | None:
    """A folder's facts; None where it has to be read with care."""
    data = bytes_in(path, contents)
    return None if data is None else facts_in(contents, data)


def facts_in(contents: Contents, data: Sequence[bytes]) -> Facts | None:
    """The same by the bytes of its files: see `bytes_in`."""
    files = dict(zip(contents.files, data, strict=True))
    hyperparameters = None
    if contents.params:
        hyperparameters = hyperparameters_in(files[contents.params])
        if hyperparameters is None:
            return None
    found = {"best": _NO_NUMBERS, "last": _NO_NUMBERS, "test": _NO_NUMBERS, "train": _NO_NUMBERS}
    for name, place in contents.scores:
        values = numbers_in(files[name])
        if values is None:
            return None
        found[place] = {**values, **found[place]} if found[place] else values
    state: tuple[Any, ...] = (contents.state,)
    if contents.run:
        record = _plain_object(files[contents.run[0]])
        status = None if record is None else experiment.ended_status(record, contents.run[1])
        if status is None or (record and record.get("resumes") is True):
            return None  # its duration counts what earlier run files say, too
        state = status
    told = _plain_object(files[TOLD]) if TOLD in files else _NO_NUMBERS
    if told is None:
        return None
    return Facts(
        hyperparameters,
        found["best"],
        found["last"],
        found["test"],
        found["train"],
        state,
        integer(told, "number"),
        integer(told, "repeat"),
        active_of(told),
        note=(state[-1] if contents.run else None) or note_of(told),
        looks=int(contents.is_tested and bool(found["test"])),
    )


def integer(told: Mapping[str, Any], name: str) -> int | None:
    """A number that stands in a `trial.json`."""
    value = told.get(name)
    return value if isinstance(value, int) else None


def active_of(told: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The hyperparameters of a trial's point."""
    point = told.get("point")
    return tuple(point) if isinstance(point, dict) else None


def note_of(told: Mapping[str, Any]) -> str | None:
    """Why a trial was made."""
    note = told.get("note")
    return note if isinstance(note, str) and note else None


def bytes_in(path: str, contents: Contents, stamps: list[int] | None = None) -> list[bytes] | None:
    """The bytes of `contents.files`, if all can be read. Of a file that was cut off as it was read
    no whole object comes out. `stamps`, if given, is filled with three numbers for each file, as it
    was read: see `stamp`.
    """
    found = []
    for name in contents.files:
        try:
            descriptor = os.open(f"{path}/{name}", _FLAGS)
        except OSError:
            return None
        try:
            if stamps is not None:
                stamps += stamp(os.fstat(descriptor))
            data = os.read(descriptor, _USUAL)
            while len(data) >= _USUAL and (more := os.read(descriptor, _LARGEST)):
                data += more
                if len(data) > _LARGEST:
                    return None
        except OSError:
            return None
        finally:
            os.close(descriptor)
        found.append(data)
    return found


def stamps_of(folder: str, contents: Contents) -> list[int] | None:
    """The files that somebody will read with care, as they are before that."""
    try:
        stamps = [stamp(os.stat(f"{folder}/{name}")) for name in contents.files]
    except OSError:
        return None
    return [*chain.from_iterable(stamps)]


def _plain_object(data: bytes, scan: Callable[..., Any] = parse) -> dict[str, Any] | None:
    """The object in a file of UTF-8 that holds one, and nothing before it; else None."""
    try:
        text = data.decode()
        value, end = scan(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    is_whole = end == len(text) or text[end:] == "\n"
    return value if is_whole and type(value) is dict else None


def numbers_in(data: bytes) -> dict[str, float] | None:
    """As `metrics.read_metrics`, of a flat object that holds numbers alone; else None."""
    values = _plain_object(data)
    if values is None:
        return None
    for value in values.values():
        kind = type(value)
        if kind is not float and (kind is not int or not -EXACT <= value <= EXACT):
            return None
    return values


def hyperparameters_in(data: bytes) -> dict[str, Any] | None:
    """As `params.load_file` of a file of JSON that it finds nothing wrong with; else None.

    Each name has a colon behind it. So with as many names as colons none was given twice, which the
    standard parser would let pass.
    """
    values = _plain_object(data, parse_strictly)
    if values is None or b"\\" in data:
        return None
    inner = values.values()
    if not PLAIN.issuperset(map(type, inner)):  # parts or lists
        return values if is_plain(values, data) else None
    is_whole = data.count(b":") == len(values) and INFINITE.isdisjoint(inner)
    return values if is_whole else None


def is_plain(values: dict[str, Any], data: bytes) -> bool:
    """The same of an object with parts and lists."""
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        return False
    names = 0
    waiting: list[Any] = [values]
    for each in waiting:
        inner = [*each.values()] if type(each) is dict else each
        names += len(each) if type(each) is dict else 0
        if not INFINITE.isdisjoint(leaf for leaf in inner if type(leaf) in PLAIN):
            return False
        waiting += [part for part in inner if type(part) in {dict, list}]
    return names == data.count(b":")
