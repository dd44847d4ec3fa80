"""Hyperparameters: a params file as an object that records which names a script reads.

Start at `Params.__getattr__`. Python calls it only for a name that is not yet in the instance: it
records the read and caches the value there. The data are one nested plain dict, shared by the views
of nested sections. The rule: once a script has the live `dict`, nothing is cached.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from modeldir._system import files
from modeldir._system.reading import MAX_DEPTH
from modeldir.errors import MissingParam, ParamsError, did_you_mean
from modeldir.params.json_values import to_json_values
from modeldir.params.nested import (
    SCALAR_TYPES,
    Plain,
    copy_sections,
    deep_copy,
    dotted,
    has,
    is_section,
    locate,
    path_to,
    too_deep,
)
from modeldir.params.params_files import Loaded, notation, read, write
from modeldir.params.read_only import ReadOnlyDict, ReadOnlyList, readonly
from modeldir.params.update_checks import Fit, ParamsWarning, nearest, warnings_of
from modeldir.params.usage import Opened, Reads, reads_of, report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import TypeVar, overload

    from typing_extensions import Self  # type checkers bring it; never imported when it runs

    _Schema = TypeVar("_Schema")
    _Source = str | os.PathLike[str] | Mapping[str, Any]

_MOST_KNOWN = 1000
"""Search only this many names for a suggestion: a file may hold a vocabulary."""

_Memo = dict[int, Any]  # inside the class `dict` is a property


class _WithCache:
    """Gives `Params` the instance dict that holds its cache. See `_cache`."""


_CACHE = _WithCache.__dict__["__dict__"]


def _cache(params: Params) -> Plain:
    """Return the real instance dict; `Params.__dict__` shows users the data instead."""
    found: Plain = _CACHE.__get__(params)
    return found


class _Tree:
    """State that all views of one `Params` share. Its attributes are part of every pickle."""

    def __init__(self, reads: Reads, shown: str = "", path: str | None = None) -> None:
        self.reads = reads
        self.shown = shown  # the file, as the user named it
        self.path = path  # the same, from the root
        self.text = ""  # the text of the file
        self.forms: dict[str, str] = {}  # how the file writes its numbers
        self.added: set[str] = set()  # dotted names that the running script added
        self.assigned: set[str] = set()  # dotted names of the file that it assigned
        self.given: Plain = {}  # values that replaced others before these were read
        self.live = False  # the script has the plain dict
        self.locked = False
        self.opened: Opened | None = None  # remembers the file's values until the run ends
        self.whole: ref[Params] | None = None  # the view of the whole file

    def twin(self) -> _Tree:
        """Return a copy for a copied `Params`: not live, not locked, but with the same reads."""
        tree = _Tree(self.reads, self.shown, self.path)
        tree.text, tree.forms, tree.added = self.text, {**self.forms}, {*self.added}
        tree.assigned, tree.given = {*self.assigned}, {**self.given}
        return tree

    def __getstate__(self) -> dict[str, Any]:
        here = {"reads": None, "live": False, "opened": None, "whole": None}
        return {**vars(self), **here}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.reads = Reads()  # what is read in another process is not recorded


class _View(NamedTuple):
    data: Plain
    prefix: str  # "" or "model."
    tree: _Tree
    names: set[str]  # where reads are recorded
    parts: dict[str, Params]  # views of nested sections; one is valid while its dict is in place


class Params(_WithCache, Mapping[str, Any]):
    """Hyperparameters by attribute, by item and by dotted name.

    Args:
        source: a .json, .jsonc, .yaml, .yml or .toml file, or a mapping (its nested dicts are
            copied).
        schema: a dataclass, a msgspec Struct or a pydantic model that defines the keys, their types
            and their defaults.

    Raises:
        ParamsError: if the file is missing or broken: with path, line and column. Also if it does
            not fit the schema: with all problems at once.

    >>> params = Params({"learning_rate": 0.001, "model": {"num_layers": 2}})
    >>> params.learning_rate, params.model.num_layers, params["model.num_layers"]
    (0.001, 2, 2)
    >>> params.update({"model.num_layers": 3}, learning_rate=0.01)
    >>> params
    Params({'learning_rate': 0.01, 'model': {'num_layers': 3}})

    Read a name that is also a method (`save`, `items`) by item: `params["save"]`.
    """

    __modeldir__: _View

    if TYPE_CHECKING:  # editors see an instance of the schema

        @overload
        def __new__(  # type: ignore[misc]
            cls, source: _Source, /, *, schema: type[_Schema]
        ) -> _Schema: ...
        @overload
        def __new__(cls, source: _Source, /, *, schema: None = None) -> Self: ...
        def __new__(cls, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    else:

        def __init__(self, source, /, *, schema=None) -> None:  # noqa: ANN001
            _open(self, source, schema)

    # -- reading

    def __getattr__(self, name: str) -> Any:
        if name == "__modeldir__":  # not set yet: something inspects an unfinished object
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
        if rest and is_section(view.data.get(head)):
            return _read(self, head)[rest]
        if not str(name).startswith("_"):  # Python and notebooks ask for such names themselves
            view.names.add(f"{view.prefix}{name}")
        raise _missing(self, name)

    def __contains__(self, name: object) -> bool:
        return has(self.__modeldir__.data, name)

    def __iter__(self) -> Iterator[str]:
        _note_all(self)
        return iter(self.__modeldir__.data)

    def __len__(self) -> int:
        return len(self.__modeldir__.data)

    @property
    def dict(self) -> Plain:
        """The values as a plain nested dict. It is live: changing it changes the `Params`.

        If the hyperparameters are locked, it is a copy that cannot be changed.
        """
        _note_all(self)
        tree = self.__modeldir__.tree
        if tree.locked:
            locked: Plain = readonly(self.__modeldir__.data)
            return locked
        tree.live = True
        _forget(self)
        return self.__modeldir__.data

    __dict__ = dict  # noqa: A003 - vars(params) shows the values, never the cache

    # -- changing

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__modeldir__" or any(name in vars(kind) for kind in type(self).__mro__):
            raise ParamsError(
                f"{name!r} is an attribute of Params itself: use params[{name!r}] = ...", key=name
            )
        view = self.__modeldir__
        is_new = name not in self
        _set(self, name, value)
        (view.tree.added if is_new else view.tree.assigned).add(view.prefix + name)
        if not view.tree.live and name in view.data and not is_section(view.data[name]):
            object.__setattr__(self, name, value)  # reading it later is no read of the file

    def __setitem__(self, name: str, value: Any) -> None:
        _set(self, name, value)

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __delitem__(self, name: str) -> None:
        refuse_if_locked(self, name)
        try:
            holder, key = locate(self.__modeldir__.data, name)
        except KeyError:
            raise _missing(self, name) from None
        del holder[key]
        self.__modeldir__.tree.added.discard(f"{self.__modeldir__.prefix}{name}")
        _forget(self)

    def update(
        self, other: str | os.PathLike[str] | Mapping[str, Any] | None = None, /, **names: Any
    ) -> None:
        """Take the values of a file or a mapping, then those given by name.

        Nested sections are merged, dotted names reach into them, and all other values are replaced.
        New names are added. A new value must have the type of the old one: a number for a number
        (an integer for an integer, except 0 and 1), a string for a string, a section for a section.
        null can replace any value and be replaced by any value. Scalars of NumPy and PyTorch,
        paths, tuples and members of an Enum are converted first. After an error, nothing has
        changed.

        An assignment (`params.learning_rate = ...`) is not checked.

        Raises:
            ParamsError: if the file is missing or broken, or if values do not fit: all of them.
        """
        refuse_if_locked(self)
        if isinstance(other, Mapping):
            origin, loaded = "", Loaded(_taken(other))
        else:
            origin = "" if other is None else _path(other)
            loaded = read(origin) if other is not None else Loaded({})
        view = self.__modeldir__
        fit = Fit(view.data, view.prefix, view.tree.added)
        fit.take(loaded.values)
        fit.take(_taken(names))
        if fit.problems:
            head = f"{view.tree.shown or 'these hyperparameters'} cannot be updated"
            head += f" from {origin}:" if origin else ":"
            raise ParamsError(head, fit.problems, "Nothing was changed.", key=fit.key)
        _warn(warnings_of(fit.similar, view.tree.shown), 3)
        replace_values(self, fit.data)
        view.tree.forms.update(loaded.forms)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all values to a file, in the notation of its ending. The folder is created.

        The file is replaced as a whole and is on the disk when this returns. Scalars of NumPy and
        PyTorch, paths, tuples and members of an Enum are converted. Names that the running script
        has added (`params.device = ...`) are left out, with a warning, if JSON cannot store them.

        Raises:
            ParamsError: for NaN and everything else that JSON cannot store, all at once; the file
                is then unchanged. Also if the file cannot be written.
        """
        path, view = _path(path, "the path of a file"), self.__modeldir__
        kept = to_json_values(view.data, view.prefix, frozenset(view.tree.added))
        is_whole = not view.prefix and notation(path) == notation(view.tree.shown)
        write(path, kept, view.tree.forms, view.tree.text if is_whole else "")
        if kept.skipped:
            names = ", ".join(kept.skipped)
            _warn([f"{path} was saved without {names}: JSON cannot store it"], 3)

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
        return _twin(self, copy_sections(_to_share(self)))

    def __deepcopy__(self, memo: _Memo) -> Params:
        from copy import deepcopy  # noqa: PLC0415 - slow to import, and few copy

        return _twin(self, deepcopy(self.__modeldir__.data, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        _note_all(self)  # the process that loads it may read everything
        view = self.__modeldir__
        kind = None if type(self) is Params else type(self)
        return _revived, (kind, view.data, view.prefix, view.tree)


# -- Views -----------------------------------------------------------------------------------------


def _open(params: Params, source: _Source, schema: type | None) -> None:
    if isinstance(source, Mapping):
        loaded, tree = Loaded(_taken(source)), _Tree(Reads())
    else:
        named = _path(source)
        loaded, path = read(named), os.path.abspath(named)
        tree = _Tree(reads_of(path), named, path)
        tree.text, tree.forms = loaded.text, {**loaded.forms}
    data = loaded.values
    if schema is not None:
        from modeldir.params.schema import checked  # noqa: PLC0415 - rarely needed

        data = checked(data, schema, tree.shown)
    if tree.path is not None:
        mine = (tree.added, tree.assigned, tree.given)
        tree.opened = Opened(tree.reads, tree.shown, data, loaded.values, *mine)
    _become(params, data, "", tree)


def _path(source: Any, expected: str = "the path of a file, or a mapping") -> str:
    if isinstance(source, str | bytes | os.PathLike):
        return os.fsdecode(source)
    problem = f"expected {expected}; found a {type(source).__name__}"
    has_values = "mapping" in expected and isinstance(getattr(source, "__dict__", None), dict)
    raise ParamsError(
        problem + ("\n  to use the attributes of an object: vars(object)" if has_values else "")
    )


def _revived(kind: type[Params] | None, data: Plain, prefix: str, tree: _Tree) -> Params:
    """Return a `Params` from the parts of one that was pickled or copied."""
    params: Params = object.__new__(kind or Params)
    _become(params, data, prefix, tree)
    return params


def _become(params: Params, data: Plain, prefix: str, tree: _Tree) -> None:
    object.__setattr__(params, "__modeldir__", _View(data, prefix, tree, tree.reads.names, {}))
    tree.whole = ref(params)


# Pickles refer to these two by the package, so that the modules in it can be renamed.
_Tree.__module__ = _revived.__module__ = "modeldir.params"


def _twin(params: Params, data: Plain) -> Params:
    """Return a separate `Params` with these data. Its reads count for the same file."""
    view = params.__modeldir__
    return _revived(type(params), data, view.prefix, view.tree.twin())


def _read(params: Params, name: str) -> Any:
    """Return a value, and record that it was read. A nested section is returned as its view."""
    data, prefix, tree, names, _ = params.__modeldir__
    key = f"{prefix}{name}"
    if key not in tree.added:
        names.add(key)
    value = data[name]
    kind = type(value)
    if kind is dict and is_section(value):
        return _part(params, name)
    return readonly(value) if tree.locked and kind is list else value


def _part(params: Params, name: str) -> Params:
    """Return the only view of a nested section: there must be one cache to empty."""
    data, prefix, tree, names, parts = params.__modeldir__
    part, key = parts.get(name), f"{prefix}{name}"
    if part is None or part.__modeldir__.data is not data[name]:
        names = set() if key in tree.added else names  # it may be a vocabulary
        part = parts[name] = object.__new__(Params)
        object.__setattr__(part, "__modeldir__", _View(data[name], f"{key}.", tree, names, {}))
    return part


def _forget(params: Params, name: str | None = None) -> None:
    """Empty the cache of one name, or of everything here and below."""
    cache, view = _cache(params), params.__modeldir__
    for cached in list(cache) if name is None else [name]:
        if cached != "__modeldir__":
            cache.pop(cached, None)
    if name is None:
        for part in view.parts.values():
            _forget(part)


def _set(params: Params, name: str, value: Any) -> None:
    refuse_if_locked(params, name)
    data, prefix, tree, names, _ = params.__modeldir__
    holder, key, missing = path_to(data, name)
    value = _own(value, prefix.count(".") + str(name).count("."))
    first = missing[0] if missing else key
    whole = f"{prefix}{name}"
    if key in holder and whole not in names and whole not in tree.assigned:
        tree.given.setdefault(whole, value)  # the old value was never read
    if first not in holder and (near := nearest(first, holder)):
        above = whole.removesuffix(".".join([*missing, key]))
        _warn(warnings_of([(above + first, above + near)], tree.shown), 4)
    for head in missing:
        holder = holder.setdefault(head, {})
    holder[key] = value
    _forget(params, key if holder is data else None)


def _put(data: Plain, new: Plain) -> None:
    """Make a dict and its sections equal to another one. It is changed in place: views share it."""
    for name in [name for name in data if name not in new]:
        del data[name]
    for name, value in new.items():
        if is_section(value) and is_section(data.get(name)):
            _put(data[name], value)
        else:
            data[name] = value


def _replaced(old: Plain, new: Plain, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in old.items():
        now: Any = new.get(name, value)
        if is_section(value) and is_section(now):
            yield from _replaced(value, now, f"{prefix}{name}.")
        elif now is not value:
            yield f"{prefix}{name}", now


def _warn(texts: Iterable[str], level: int) -> None:
    for text in texts:
        warnings.warn(text, ParamsWarning, stacklevel=level)


def _note_all(params: Params) -> None:
    view = params.__modeldir__
    view.names.update(dotted(view.data, view.prefix, view.tree.added))


def _missing(params: Params, name: object) -> MissingParam:
    data, prefix, tree, _, _ = params.__modeldir__
    where = f" in {tree.shown}" if tree.shown else ""
    near = (f"{prefix}{each}" for each in islice(data, _MOST_KNOWN))  # then all names below
    below = islice(dotted(data, prefix, tree.added), _MOST_KNOWN)
    known = tuple(dict.fromkeys(chain(tree.added, near, below)))
    message = _Missing(f"no hyperparameter '{prefix}{name}'{where}", f"{prefix}{name}", known)
    # An `obj` keeps Python from setting one and adding a suggestion of its own to the traceback.
    return MissingParam(message, obj=None)


class _Missing(NamedTuple):
    """A message that looks for a suggestion when it is shown: `getattr` with a default is cheap."""

    what: str
    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        hint = did_you_mean(self.name, self.known)
        return f"{self.what}; {hint}" if hint else self.what

    def __repr__(self) -> str:
        return repr(str(self))


# -- Mappings --------------------------------------------------------------------------------------


def _taken(mapping: Mapping[str, Any], depth: int = 0) -> Plain:
    """Copy a mapping's values, to own them. If it is a `Params`, all of it is read."""
    if isinstance(mapping, Params):
        _note_all(mapping)
        data = _to_share(mapping)
    else:
        data = {**mapping}
    for name in data:
        if not isinstance(name, str):
            raise ParamsError(f"expected a string as the key, found {name!r}", key=str(name))
    return {name: _own(value, depth + 1) for name, value in data.items()}


def _to_share(params: Params) -> Plain:
    """Return the values for another `Params`, copied if locked: their lists could be changed."""
    view = params.__modeldir__
    return deep_copy(view.data) if view.tree.locked else view.data


def _own(value: Any, depth: int = 0) -> Any:
    """Return a value as it is stored: sections of any mapping type become plain dicts."""
    if depth > MAX_DEPTH:
        raise ParamsError(too_deep())
    if isinstance(value, Params):
        return _taken(value, depth)
    if type(value) is OrderedDict:
        value = dict(value)
    elif type(value) in {ReadOnlyDict, ReadOnlyList}:
        value = deep_copy(value)
    if not is_section(value):
        return value
    deeper = depth + 1
    return {
        name: inner if type(inner) in SCALAR_TYPES else _own(inner, deeper)
        for name, inner in value.items()
    }


# -- Locks -----------------------------------------------------------------------------------------


def lock(params: Any) -> None:
    """Make hyperparameters read-only: attributes, items, sections, lists and `dict`.

    A dict taken from `params.dict` before the call can still change `params`. Copies are not
    locked. Use `unlocked` to allow changes temporarily.

    >>> params = Params({"learning_rate": 0.001})
    >>> lock(params)
    >>> params.learning_rate = 0.01
    Traceback (most recent call last):
        ...
    modeldir.errors.ParamsError: these hyperparameters are locked: learning_rate cannot be changed
      to change it:  with modeldir.unlocked(params): ...
    """
    _lock(params, locked=True)


@contextlib.contextmanager
def unlocked(params: Any) -> Iterator[None]:
    """Allow changes of locked hyperparameters in the body of a `with`."""
    before = params.__modeldir__.tree.locked
    _lock(params, locked=False)
    try:
        yield
    finally:
        _lock(params, locked=before)


def _lock(params: Params, *, locked: bool) -> None:
    tree = params.__modeldir__.tree
    tree.locked = locked
    whole = tree.whole and tree.whole()
    _forget(whole or params)  # the cache may hold a list that can be changed


def refuse_if_locked(params: Params, name: str = "") -> None:
    """Raise an error, with the line that unlocks them, if the hyperparameters are locked."""
    _, prefix, tree, _, _ = params.__modeldir__
    if tree.locked:
        what = f": {prefix}{name} cannot be changed" if name else ""
        whose = f"{tree.shown} is" if tree.shown else "these hyperparameters are"
        it = "it" if name else "them"
        raise ParamsError(
            f"{whose} locked{what}\n  to change {it}:  with modeldir.unlocked(params): ...",
            path=tree.shown or None,
            key=f"{prefix}{name}" or None,
        )


# -- For other modules -----------------------------------------------------------------------------


def replace_values(params: Params, data: Plain) -> None:
    view = params.__modeldir__
    view.tree.given.update(_replaced(view.data, data, view.prefix))
    _put(view.data, data)
    _forget(params)


def shown(params: Params) -> str:
    """Return the file as the user named it, or an empty string if there is none."""
    return params.__modeldir__.tree.shown


def source(params: Params) -> Path | None:
    """Return the absolute path of the file with the values, or None if they came from a mapping."""
    path = params.__modeldir__.tree.path
    return None if path is None else files.absolute(path)


def report_reads(params: Params) -> None:
    """Report the names read so far to the run, as a line in its `events.jsonl`.

    Only the process that opened the file reports, and only if the file is in the run's folder.
    Nothing is written if no name is new. At the end of the process, this happens automatically.
    """
    report(params.__modeldir__.tree.reads)
