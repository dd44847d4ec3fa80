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

import copy
import hashlib
import json
import os
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from modeldir import files, nested
from modeldir.errors import MissingParam, ParamsError, did_you_mean
from modeldir.nested import Plain, copied, dotted, is_part, merge, place, place_for
from modeldir.paramsfiles import Loaded, held, load_file, read, write
from modeldir.reads import Reads, reads_of, report
from modeldir.strictjson import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterator
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
class _Tree:
    """What all views of one `Params` share."""

    reads: Reads
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
            data, tree = _taken(source), _Tree(Reads())
        else:
            loaded = read(source)
            path = files.absolute(os.fsdecode(source))
            data = loaded.values
            tree = _Tree(reads_of(path), os.fsdecode(source), path, loaded.forms)
        _set_view(self, _View(data, "", tree, tree.reads.names, {}))

    # -- reading

    def __getattr__(self, name: str) -> Any:
        if name == "__modeldir__":  # not there yet: a half-made object is being looked at
            raise AttributeError(name)
        data, _, tree, _, _ = self.__modeldir__
        if name not in data:
            return self[name]  # dotted, or missing
        value = _read(self, name)
        if not tree.live:
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
            place(self.__modeldir__.data, name)
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
        if name == "__modeldir__" or any(name in vars(kind) for kind in type(self).__mro__):
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
        data = self.__modeldir__.data
        holder, key = place_for(data, name)
        holder[key] = _own(value)
        _forget(self, key if holder is data else None)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __delitem__(self, name: str) -> None:
        try:
            holder, key = place(self.__modeldir__.data, name)
        except KeyError:
            raise _missing(self, name) from None
        del holder[key]
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
            loaded = Loaded(_taken(other))
        else:
            loaded = Loaded({}) if other is None else read(other)
        given = _taken(names)
        view = self.__modeldir__
        rehearsal = copied(view.data)  # what fails, fails here
        for data in rehearsal, view.data:
            merge(data, loaded.values)
            merge(data, given)
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
        return self.__modeldir__.data == {name: _own(value) for name, value in other.items()}

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__modeldir__.data!r})"

    def __dir__(self) -> list[str]:
        return [*dir(type(self)), *self.__modeldir__.data]

    def __copy__(self) -> Params:
        return _twin(self, copied(self.__modeldir__.data))

    def __deepcopy__(self, memo: _Memo) -> Params:
        return _twin(self, copy.deepcopy(self.__modeldir__.data, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        _note_all(self)  # whoever gets it, reads it where nobody sees
        view = self.__modeldir__
        tree = replace(view.tree, reads=Reads(), live=False)
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
    data, prefix, tree, names, _ = params.__modeldir__
    key = f"{prefix}{name}"
    if key not in tree.added:
        names.add(key)
    value = data[name]
    return _part(params, name) if type(value) is dict and is_part(value) else value


def _part(params: Params, name: str) -> Params:
    """The one view of a nested part: one, so that there is one cache to forget."""
    data, prefix, tree, names, parts = params.__modeldir__
    part, key = parts.get(name), f"{prefix}{name}"
    if part is None or part.__modeldir__.data is not data[name]:
        names = set() if key in tree.added else names  # a vocabulary is no hyperparameter
        part = parts[name] = Params.__new__(Params)
        _set_view(part, _View(data[name], f"{key}.", tree, names, {}))
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
    view.names.update(dotted(view.data, view.prefix, view.tree.added))


def _missing(params: Params, name: object) -> MissingParam:
    data, prefix, tree, _, _ = params.__modeldir__
    where = f" in {tree.shown}" if tree.shown else ""
    known = (*tree.added, *dotted(data, prefix, tree.added))
    message = _Missing(f"no hyperparameter '{prefix}{name}'{where}", f"{prefix}{name}", known)
    # An `obj` keeps Python from setting one and adding a suggestion of its own to the traceback.
    return MissingParam(message, obj=None)


@dataclass(frozen=True)
class _Missing:
    """A message that looks for its suggestion when it is shown: `getattr` with a default is not."""

    what: str
    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        hint = did_you_mean(self.name, self.known)
        return f"{self.what}; {hint}" if hint else self.what

    def __repr__(self) -> str:
        return repr(str(self))


# -- Mappings --------------------------------------------------------------------------------------


def _plain(mapping: Mapping[str, Any]) -> Plain:
    """A mapping's values as they lie there. To look at a `Params` in this way is not to read it."""
    return mapping.__modeldir__.data if isinstance(mapping, Params) else {**mapping}


def _taken(mapping: Mapping[str, Any]) -> Plain:
    """A copy of a mapping's values, to make our own; a `Params` is thereby read."""
    if isinstance(mapping, Params):
        _note_all(mapping)
    data = _plain(mapping)
    for name in data:
        if not isinstance(name, str):
            raise ParamsError(f"expected a text as the name, found {name!r}", key=str(name))
    return {name: _own(value) for name, value in data.items()}


def _own(value: Any) -> Any:
    """A value as it is kept: parts copied, whatever kind of mapping they were given as."""
    if isinstance(value, Params):
        return _taken(value)
    part = dict(value) if type(value) is OrderedDict else value
    return {name: _own(inner) for name, inner in part.items()} if is_part(part) else value


# -- What others ask -------------------------------------------------------------------------------


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
    report(params.__modeldir__.tree.reads)


def flatten(mapping: Mapping[str, Any]) -> Plain:
    """The values by their dotted names; lists, and parts that are empty, are values.

    >>> flatten({"lr": 0.1, "model": {"depth": 2, "widths": [8, 16]}})
    {'lr': 0.1, 'model.depth': 2, 'model.widths': [8, 16]}
    """
    return nested.flatten(_plain(mapping))


def canonical_hash(mapping: Mapping[str, Any]) -> str:
    """16 hex digits that are equal for equal hyperparameters: in any order, 1 and 1.0 alike.

    Raises:
        ParamsError: for NaN, or what JSON has no form for.
    """
    kept = held(_plain(mapping))
    for key, problem, hint in kept.problems:
        raise ParamsError(f"{key}: {problem}" + (f"\n  {hint}" if hint else ""), key=key)
    text = json.dumps(_canonical(kept.values), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
