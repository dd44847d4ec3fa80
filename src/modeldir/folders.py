"""One experiment's folder, read by whoever reads very many: a few system calls and no more.

It knows what the names in a folder say, and how to read a folder that is as nearly all are: whole
files of plain JSON, no attempt or one whose end is recorded. It refuses all else: `read` then
answers None, and `trees.read_experiment` reads that folder with care and says what is wrong with
it. The two never differ in what they tell of a folder that both can read.

Start at `Contents.of` and `read`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn

from modeldir import attempts, experiment, metrics
from modeldir.jsonmistakes import MAX_DEPTH

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
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PLAIN = frozenset({float, int, str, bool, type(None)})
_INFINITE = frozenset({math.inf, -math.inf})
"""What a number too large becomes."""
_EXACT = 2**53


def _no_number(_: str) -> NoReturn:
    raise ValueError


# What `raw_decode` calls.
_parse = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_parse_strictly = json.JSONDecoder(parse_constant=_no_number).scan_once  # type: ignore[attr-defined]


class Contents(NamedTuple):
    """What the names of the files in a folder say; one for all folders with the same names.

    `scores` are the metric files, each with its place in `experiment.Scores`; `run` is the run file
    of the highest attempt, and its number. `is_ordinary`: nothing lies there that only a careful
    reader can read. `files` are those that are read, in this order; `trusted` are those of them
    that modeldir alone writes, by rename, so that a new one changes the folder's time, too.
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
        told = [name for name in ("trial.json", "origin.json") if name in names]
        return cls(
            names=tuple(names),
            params=params,
            scores=scores,
            run=run,
            is_touched=experiment.is_touched([*names]),
            is_development="eval" in named,
            is_tested="test" in named,
            is_ordinary=params in {None, _JSON} and not evaluated and "origin.json" not in names,
            files=(*filter(None, [params]), *dict(scores), *(run or ())[:1], *told),
            trusted=_arrive_by_rename(names, run[0]) if run else frozenset(),
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


def read(path: str, contents: Contents, stamps: list[int] | None = None) -> Facts | None:
    """A folder's facts; None where it has to be read with care. `stamps`, if given, is filled with
    three numbers for each file, as it was read: see `stamp`.
    """
    hyperparameters = None
    if contents.params:
        data = _bytes(path, contents.params, stamps)
        hyperparameters = None if data is None else hyperparameters_in(data)
        if hyperparameters is None:
            return None
    found = {"best": _NO_NUMBERS, "last": _NO_NUMBERS, "test": _NO_NUMBERS, "train": _NO_NUMBERS}
    for name, place in contents.scores:
        data = _bytes(path, name, stamps)
        values = None if data is None else numbers_in(data)
        if values is None:
            return None
        found[place] = {**values, **found[place]} if found[place] else values
    state: tuple[Any, ...] = ((attempts.UNRECORDED if contents.is_touched else attempts.WAITING),)
    if contents.run:
        record = _object(path, contents.run[0], stamps)
        status = None if record is None else experiment.ended(record, contents.run[1])
        if status is None or (record and record.get("resumes") is True):
            return None  # its duration counts what earlier run files say, too
        state = status
    told = _object(path, "trial.json", stamps) if "trial.json" in contents.names else _NO_NUMBERS
    if told is None:
        return None
    number, repeat, point = told.get("number"), told.get("repeat"), told.get("point")
    noted = note if isinstance(note := told.get("note"), str) and note else None
    return Facts(
        hyperparameters,
        found["best"],
        found["last"],
        found["test"],
        found["train"],
        state,
        number if isinstance(number, int) else None,
        repeat if isinstance(repeat, int) else None,
        tuple(point) if isinstance(point, dict) else None,
        note=(state[-1] if contents.run else None) or noted,
        looks=int(contents.is_tested and bool(found["test"])),
    )


def _bytes(folder: str, name: str, stamps: list[int] | None) -> bytes | None:
    """A file's bytes. Of a file that was cut off as it was read no whole object comes out."""
    try:
        descriptor = os.open(f"{folder}/{name}", _FLAGS)
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
    else:
        return data
    finally:
        os.close(descriptor)


def stamps_of(folder: str, contents: Contents) -> list[int] | None:
    """The files that somebody will read with care, as they are before that."""
    try:
        stamps = [stamp(os.stat(f"{folder}/{name}")) for name in contents.files]
    except OSError:
        return None
    return [*chain.from_iterable(stamps)]


def _object(folder: str, name: str, stamps: list[int] | None) -> dict[str, Any] | None:
    data = _bytes(folder, name, stamps)
    return None if data is None else _plain_object(data)


def _plain_object(data: bytes, parse: Callable[..., Any] = _parse) -> dict[str, Any] | None:
    """The object in a file of UTF-8 that holds one, and nothing before it; else None."""
    try:
        text = data.decode()
        value, end = parse(text, 0)
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
        if kind is not float and (kind is not int or not -_EXACT <= value <= _EXACT):
            return None
    return values


def hyperparameters_in(data: bytes) -> dict[str, Any] | None:
    """As `params.load_file` of a file of JSON that it finds nothing wrong with; else None.

    Each name has a colon behind it. So with as many names as colons none was given twice, which the
    standard parser would let pass.
    """
    values = _plain_object(data, _parse_strictly)
    if values is None or b"\\" in data:
        return None
    inner = values.values()
    if not _PLAIN.issuperset(map(type, inner)):  # parts or lists
        return values if _is_plain(values, data) else None
    is_plain = data.count(b":") == len(values) and _INFINITE.isdisjoint(inner)
    return values if is_plain else None


def _is_plain(values: dict[str, Any], data: bytes) -> bool:
    """The same of an object with parts and lists."""
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        return False
    names = 0
    waiting: list[Any] = [values]
    for each in waiting:
        inner = [*each.values()] if type(each) is dict else each
        names += len(each) if type(each) is dict else 0
        if not _INFINITE.isdisjoint(leaf for leaf in inner if type(leaf) in _PLAIN):
            return False
        waiting += [part for part in inner if type(part) in {dict, list}]
    return names == data.count(b":")
