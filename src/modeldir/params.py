"""Hyperparameters: a params file as an object, and which of its names a script has read.

    params = Params("experiments/base_model/params.json")
    params.learning_rate, params.model.num_layers, params["model.num_layers"]

It knows names, nested parts and who read what. It refuses to know how files are written down (that
is `paramsfiles`) and what a value means.

Start at `Params.__getattr__`. It is called only for a name that is not yet in the instance: it
notes that the name was read and puts the value there, so that every later read is an ordinary
attribute. What lies in the instance is only this cache; the data are one nested plain dict, which
nested parts share as views. Who has the live `dict` may change it unseen, so from then on nothing
is cached.
"""

from __future__ import annotations

import atexit
import copy
import hashlib
import json
import math
import os
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from modeldir import files
from modeldir.errors import MissingParam, ParamsError, did_you_mean
from modeldir.paramsfiles import Loaded, Plain, held, is_part, load_file, read, write

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

__all__ = [
    "Params",
    "canonical_hash",
    "flatten",
    "load_file",
    "names_read",
    "parse_value",
    "report_reads",
    "source",
]


_Memo = dict[int, Any]  # inside the class `dict` is a property


class _WithCache:
    """Gives `Params` the instance dict that holds its cache; see `_cache`."""


_CACHE = _WithCache.__dict__["__dict__"]


def _cache(params: Params) -> Plain:
    """The real instance dict, which `Params.__dict__` hides: it shows users the data instead."""
    found: Plain = _CACHE.__get__(params)
    return found


@dataclass
class _Reads:
    """The names that were read, and where to report them."""

    names: set[str] = field(default_factory=set)
    folder: str | None = None  # of the run that wants to know
    pid: int = field(default_factory=os.getpid)
    reported: int = -1  # how many names the last report had


@dataclass
class _Tree:
    """What all views of one `Params` share."""

    reads: _Reads
    shown: str = ""  # the file, as the user named it
    path: Path | None = None  # the same, absolute
    forms: dict[str, str] = field(default_factory=dict)  # how the file wrote its numbers
    added: set[str] = field(default_factory=set)  # dotted names that the running script added
    live: bool = False  # the plain dict is in someone's hands


class _View(NamedTuple):
    data: Plain
    prefix: str  # "" or "model."
    tree: _Tree
    names: set[str]  # where what is read is noted
    parts: dict[str, Params]  # views of nested parts; each counts while its dict is in place


class Params(_WithCache, Mapping[str, Any]):
    """Hyperparameters by attribute, by item and by dotted name.

    Args:
        source: a .json, .yaml, .yml or .toml file, or a mapping (its nested dicts are copied).

    Raises:
        ParamsError: if the file is not there or broken: with path, line and column.

    >>> params = Params({"learning_rate": 0.001, "model": {"num_layers": 2}})
    >>> params.learning_rate, params.model.num_layers, params["model.num_layers"]
    (0.001, 2, 2)
    >>> params.update({"model.num_layers": 3}, learning_rate=0.01)
    >>> params
    Params({'learning_rate': 0.01, 'model': {'num_layers': 3}})

    A name that is also a method (`save`, `items`) is read by item: `params["save"]`.
    """

    __modeldir__: _View

    def __init__(self, source: str | os.PathLike[str] | Mapping[str, Any], /) -> None:
        if isinstance(source, Mapping):
            data, tree = _copied_mapping(_checked(source)), _Tree(_Reads())
        else:
            loaded = read(source)
            path = files.absolute(os.fsdecode(source))
            data = loaded.values
            tree = _Tree(_reads_of(path), os.fsdecode(source), path, loaded.forms)
        _set_view(self, _View(data, "", tree, tree.reads.names, {}))

    # -- reading

    def __getattr__(self, name: str) -> Any:
        if name == "__modeldir__":  # not there yet: a half-made object is being looked at
            raise AttributeError(name)
        value = self[name]
        view = self.__modeldir__
        if not view.tree.live and name in view.data:
            object.__setattr__(self, name, value)
        return value

    def __getitem__(self, name: str) -> Any:
        view = self.__modeldir__
        if name in view.data:
            return _read(self, name)
        head, _, rest = str(name).partition(".")
        if rest and is_part(view.data.get(head)):
            return _read(self, head)[rest]
        if not str(name).startswith("_"):  # not Python's or a notebook's own question
            view.names.add(f"{view.prefix}{name}")
        raise _missing(self, name)

    def __contains__(self, name: object) -> bool:
        try:
            _place(self.__modeldir__.data, name)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        _note_all(self)
        return iter(self.__modeldir__.data)

    def __len__(self) -> int:
        return len(self.__modeldir__.data)

    @property
    def dict(self) -> Plain:
        """The values as a plain nested dict. It is live: what is changed there is changed here."""
        _note_all(self)
        self.__modeldir__.tree.live = True
        _forget(self)
        return self.__modeldir__.data

    __dict__ = dict  # noqa: A003 - vars(params) shows the values, never the cache

    # -- changing

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__modeldir__" or hasattr(type(self), name):
            raise ParamsError(
                f"{name!r} is a part of Params itself: use params[{name!r}] = ...", key=name
            )
        view = self.__modeldir__
        if name not in self:
            view.tree.added.add(view.prefix + name)
        self[name] = value
        if not view.tree.live and name in view.data and not is_part(view.data[name]):
            object.__setattr__(self, name, value)  # the script's own: to read it reads no file

    def __setitem__(self, name: str, value: Any) -> None:
        place, key = _place_for(self.__modeldir__.data, name)
        place[key] = _copied(value)
        _forget(self, key if place is self.__modeldir__.data else None)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __delitem__(self, name: str) -> None:
        try:
            place, key = _place(self.__modeldir__.data, name)
        except KeyError:
            raise _missing(self, name) from None
        del place[key]
        self.__modeldir__.tree.added.discard(f"{self.__modeldir__.prefix}{name}")
        _forget(self)

    def update(
        self, other: str | os.PathLike[str] | Mapping[str, Any] | None = None, /, **names: Any
    ) -> None:
        """Take over the values of a file or a mapping, then those given by name.

        Nested parts are merged, dotted names reach into them, everything else is replaced. All of
        it happens or, after an error, nothing.

        Raises:
            ParamsError: if the file is not there or broken, or a dotted name leads into a value
                that is not a nested part.
        """
        if isinstance(other, Mapping):
            loaded = Loaded(_copied_mapping(_checked(other)))
        else:
            loaded = Loaded({}) if other is None else read(other)
        view = self.__modeldir__
        rehearsal = _copied_mapping(view.data)  # what fails, fails here
        for data in rehearsal, view.data:
            _merge(data, loaded.values)
            _merge(data, names)
        view.tree.forms.update(loaded.forms)
        _forget(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all values to a file, in the notation of its ending; the folder is made.

        The file is replaced as a whole and is on the disk when this returns. Scalars of NumPy and
        PyTorch, paths, tuples and enums are converted. Names that the running script has added
        (`params.device = ...`) are left out, with a warning, where JSON has no form for them.

        Raises:
            ParamsError: for NaN and whatever else JSON has no form for, all of them at once; the
                file is then untouched. Also if the file cannot be written.
        """
        view = self.__modeldir__
        kept = held(view.data, view.prefix, frozenset(view.tree.added))
        write(path, kept, view.tree.forms)
        if kept.skipped:
            names = ", ".join(kept.skipped)
            text = f"{os.fspath(path)} was saved without {names}: JSON has no form for it"
            warnings.warn(text, stacklevel=2)

    # -- as a value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        _note_all(self)
        return self.__modeldir__.data == _copied_mapping(other)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__modeldir__.data!r})"

    def __dir__(self) -> list[str]:
        return [*dir(type(self)), *self.__modeldir__.data]

    def __copy__(self) -> Params:
        return _twin(self, _copied_mapping(self.__modeldir__.data))

    def __deepcopy__(self, memo: _Memo) -> Params:
        return _twin(self, copy.deepcopy(self.__modeldir__.data, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        _note_all(self)  # whoever gets it, reads it where nobody sees
        view = self.__modeldir__
        tree = replace(view.tree, reads=_Reads(), live=False)
        return _revived, (type(self), view.data, view.prefix, tree)


# -- Views -----------------------------------------------------------------------------------------


def _set_view(params: Params, view: _View) -> None:
    object.__setattr__(params, "__modeldir__", view)


def _revived(kind: type[Params], data: Plain, prefix: str, tree: _Tree) -> Params:
    params = kind.__new__(kind)
    _set_view(params, _View(data, prefix, tree, tree.reads.names, {}))
    return params


def _twin(params: Params, data: Plain) -> Params:
    """A `Params` of its own with these data; what is read there was read from the same file."""
    view = params.__modeldir__
    tree = replace(view.tree, forms=dict(view.tree.forms), added=set(view.tree.added), live=False)
    return _revived(type(params), data, view.prefix, tree)


def _read(params: Params, name: str) -> Any:
    """A value, noted as read; a nested part as its view."""
    view = params.__modeldir__
    key = f"{view.prefix}{name}"
    if key not in view.tree.added:
        view.names.add(key)
    value = view.data[name]
    return _part(view, name, key) if is_part(value) else value


def _part(view: _View, name: str, key: str) -> Params:
    """The one view of a nested part: one, so that there is one cache to forget."""
    part, data = view.parts.get(name), view.data[name]
    if part is None or part.__modeldir__.data is not data:
        names = set() if key in view.tree.added else view.names  # a vocabulary is nobody's param
        part = view.parts[name] = Params.__new__(Params)
        _set_view(part, _View(data, f"{key}.", view.tree, names, {}))
    return part


def _forget(params: Params, name: str | None = None) -> None:
    """Empty the cache of one name, or of all here and below."""
    cache, view = _cache(params), params.__modeldir__
    for cached in list(cache) if name is None else [name]:
        if cached != "__modeldir__":
            cache.pop(cached, None)
    if name is None:
        for part in view.parts.values():
            _forget(part)


def _note_all(params: Params) -> None:
    view = params.__modeldir__
    view.names.update(_dotted(view.data, view.prefix, view.tree.added))


def _dotted(data: Plain, prefix: str = "", without: Container[str] = ()) -> Iterator[str]:
    for name, value in data.items():
        key = f"{prefix}{name}"
        if key not in without:
            yield key
            if is_part(value):
                yield from _dotted(value, f"{key}.", without)


def _missing(params: Params, name: object) -> MissingParam:
    view = params.__modeldir__
    known = list(_dotted(view.data))
    hint = did_you_mean(str(name), known)
    where = f" in {view.tree.shown}" if view.tree.shown else ""
    message = f"no hyperparameter '{view.prefix}{name}'{where}" + (f"; {hint}" if hint else "")
    # An `obj` keeps Python from setting one and adding a suggestion of its own to the traceback.
    return MissingParam(message, obj=None)


# -- Plain data ------------------------------------------------------------------------------------


def _checked(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in mapping:
        if not isinstance(name, str):
            raise ParamsError(f"expected a text as the name, found {name!r}", key=str(name))
    return mapping


def _copied_mapping(mapping: Mapping[str, Any]) -> Plain:
    if isinstance(mapping, Params):
        _note_all(mapping)
    return {name: _copied(value) for name, value in _plain(mapping).items()}


def _copied(value: Any) -> Any:
    """Nested parts copied, everything else itself: it may be a tensor."""
    if type(value) is OrderedDict:
        value = dict(value)
    return _copied_mapping(value) if is_part(value) or isinstance(value, Params) else value


def _plain(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping.__modeldir__.data if isinstance(mapping, Params) else mapping


def _place(data: Plain, name: object) -> tuple[Plain, str]:
    """The dict that holds a dotted name, and its key there; KeyError if there is none."""
    if name in data:
        return data, str(name)
    head, _, rest = str(name).partition(".")
    if rest and is_part(data.get(head)):
        return _place(data[head], rest)
    raise KeyError(name)


def _place_for(data: Plain, name: str) -> tuple[Plain, str]:
    """The same for a name that need not be there; the parts on the way to it are made."""
    head, _, rest = name.partition(".")
    if name in data or not rest or not all(name.split(".")):
        return data, name
    part = data.setdefault(head, {})
    if not is_part(part):
        raise ParamsError(f"{head!r} is {part!r}: it cannot hold {rest!r}", key=name)
    return _place_for(part, rest)


def _merge(data: Plain, new: Mapping[str, Any]) -> None:
    for name, value in new.items():
        place, key = _place_for(data, name)
        if is_part(value) and is_part(place.get(key)):
            _merge(place[key], value)
        else:
            place[key] = _copied(value)


# -- What others ask -------------------------------------------------------------------------------

_WATCHED: dict[str, _Reads] = {}
"""What this process has read of its run's own files: a fact of the process, not of one object."""


def names_read(params: Params) -> frozenset[str]:
    """The dotted names that were read, also those that were asked for and are not there.

    A nested name counts with the parts it lies in. Iterating, `**params`, `items()`, `values()`,
    `dict`, `==` and pickling read all names; `in`, `len`, `repr` and `save` read none. What the
    script itself has assigned is not read from the file.
    """
    return frozenset(params.__modeldir__.tree.reads.names)


def source(params: Params) -> Path | None:
    """The absolute path of the file that the values came from, None for a mapping's."""
    return params.__modeldir__.tree.path


def report_reads(params: Params) -> None:
    """Tell the run, as a line of its `events.jsonl`, which names were read up to now.

    Only for a file that lies in the folder of the run, and only in the process that opened it; a
    report that has nothing new is left out. At the end of the process it is made by itself.
    """
    _report(params.__modeldir__.tree.reads)


def _reads_of(path: Path) -> _Reads:
    """Where to note what is read of a file. In a run: one place, whoever opens the file."""
    _, _, folder = os.environ.get("MODELDIR_RUN", "").partition(":")
    if not folder or not files.same_file(path.parent, folder):
        return _Reads()
    reads = _WATCHED.get(str(path))
    if reads is None or reads.pid != os.getpid():
        reads = _WATCHED[str(path)] = _Reads(folder=folder)
        atexit.register(_report, reads)
    return reads


def _report(reads: _Reads) -> None:
    names = sorted(reads.names)
    if reads.folder is None or reads.pid != os.getpid() or reads.reported == len(names):
        return
    reads.reported = len(names)
    event = {
        "attempt": int(os.environ.get("MODELDIR_ATTEMPT") or 1),
        "event": "params_read",
        "names": names,
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
    }
    with suppress(OSError):  # a full disk must not end a training
        files.append_line(os.path.join(reads.folder, "events.jsonl"), event)


def flatten(mapping: Mapping[str, Any]) -> Plain:
    """Nested parts as dotted names; lists, and parts that are empty, are values.

    >>> flatten({"lr": 0.1, "model": {"depth": 2, "widths": [8, 16]}})
    {'lr': 0.1, 'model.depth': 2, 'model.widths': [8, 16]}
    """
    flat: Plain = {}
    for name, value in _plain(mapping).items():
        if is_part(value) and value:
            flat.update({f"{name}.{inner}": leaf for inner, leaf in flatten(value).items()})
        else:
            flat[name] = value
    return flat


def canonical_hash(mapping: Mapping[str, Any]) -> str:
    """16 hex digits that are equal for equal hyperparameters: in any order, 1 and 1.0 alike.

    Raises:
        ParamsError: for NaN, or what JSON has no form for.
    """
    kept = held(_copied_mapping(_plain(mapping)))
    for key, problem, _ in kept.problems:
        raise ParamsError(f"{key}: {problem}", key=key)
    text = json.dumps(_canonical(kept.values), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WORDS = {"None": None, "True": True, "False": False}
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")


def parse_value(text: str) -> Any:
    """A value as typed on a command line: JSON, a number as Python writes it, or the bare text.

    >>> [parse_value(text) for text in ("1e-3", ".5", "true", "None", "[1, 2]", '"3"', "adam")]
    [0.001, 0.5, True, None, [1, 2], '3', 'adam']
    """
    bare = text.strip()
    if bare in _WORDS:
        return _WORDS[bare]
    if _FLOAT.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare)
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(text: str) -> NoReturn:
    """NaN, Infinity and 1e400 are no JSON."""
    raise ValueError(text)
