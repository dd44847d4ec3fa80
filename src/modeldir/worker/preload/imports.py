"""The list of a script's imports, and a process that does these imports ahead.

`recording.py` reads a list, `import_cache.py` keeps it, and the import process (`spawner.py`) does
it. The script's own modules are never on it, and a module that is now found in another place is not
imported. How the script gets them: `deferred_modules.py`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from modeldir._system import reading
from modeldir.worker.preload.deferred_modules import Changes, DeferredModules, changed_environment


@dataclass(frozen=True)
class ListedModule:
    """A module, the file it came from, and how environment variables had changed by then."""

    name: str
    origin: str
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True)
class ImportList:
    """The imports of one run of a script, in their order.

    `own` are the names of the script's own modules, `loaded` those that the interpreter had loaded
    before, `folders` where libraries lie, with their times (ns). `has_ended`: the list is complete.
    """

    modules: tuple[ListedModule, ...]
    own: tuple[str, ...]
    executable: str
    version: str
    flags: str
    prefix: str
    path: tuple[str, ...]
    loaded: tuple[str, ...]
    folders: Mapping[str, int]
    has_ended: bool
    words: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(module.name for module in self.modules)

    def is_third_party(self, module: ListedModule) -> bool:
        """Whether a module lies outside the folders of the interpreter's own."""
        standard = [os.path.join(folder, "") for folder in list(self.folders)[1:]]
        if module.origin in _WITHOUT_A_FILE or not standard:
            return False
        return not module.origin.startswith(standard[0]) or any(
            module.origin.startswith(folder) for folder in standard[1:]
        )

    def is_current(self) -> bool:
        """Whether the environment is as it was: nothing installed, removed or upgraded."""
        return self.folders == _times([self.executable, *self.folders])

    def stamp(self) -> int:
        """Return a number that changes when the file of any module is written."""
        return hash(tuple(_times(module.origin for module in self.modules).values()))

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Whether it was recorded in the interpreter with these `import_recorder.facts`.

        Another environment may have been activated since, or another PYTHONPATH set. A list that
        came with a search from another machine names other folders or times.
        """
        same = ("executable", "version", "flags", "prefix")
        return (
            all(getattr(self, name) == facts[name] for name in same)
            and self.path == tuple(facts["path"])
            and self.folders == {**_times([self.executable]), **facts["folders"]}
        )

    def to_json(self) -> dict[str, Any]:
        modules = [
            [module.name, module.origin, *([dict(module.changes)] if module.changes else [])]
            for module in self.modules
        ]
        return {**vars(self), "modules": modules, "folders": dict(self.folders)}

    @classmethod
    def from_json(cls, value: object) -> ImportList | None:
        """Return the list that `to_json` wrote; None for anything else."""
        try:
            given = dict(value)  # type: ignore[call-overload]
            given["modules"] = tuple(ListedModule(*each) for each in given["modules"])
            for name in ("own", "path", "loaded", "words"):
                given[name] = _strings(given[name])
            learned = cls(**given)
            _strings([learned.executable, learned.version, learned.flags, learned.prefix])
            _strings([text for each in learned.modules for text in (each.name, each.origin)])
            changes = [each.changes for each in learned.modules]
            _strings([text for each in changes for item in each.items() for text in item if text])
            _strings(dict(learned.folders))
        except (TypeError, ValueError, KeyError, AttributeError):
            return None
        return learned


class ImportReport:
    """The report that `import_recorder.py` writes, read while it grows: each line once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._read = 0
        self._facts: dict[str, Any] = {}
        self._modules: list[ListedModule] = []
        self._own: list[str] = []
        self._has_ended = False

    def import_list(self) -> ImportList | None:
        """Return the list so far; None if nothing is new, or the report cannot be read."""
        try:
            lines = self._new_lines()
            if not lines:
                return None
            from ast import literal_eval  # noqa: PLC0415 - slow, and often not needed

            new = [literal_eval(line.decode()) for line in lines]
        except (OSError, ValueError, SyntaxError):
            return None
        self._facts = self._facts or new.pop(0)
        # The disk was full when it began, or the report was removed since.
        if "folders" not in self._facts:
            return None
        for noted in new:
            self._add(noted)
        return self._as_learned(self._facts)

    def _new_lines(self) -> list[bytes]:
        with reading.open_stream(self.path) as file:
            file.seek(self._read)
            whole, end, _ = file.read().rpartition(b"\n")  # the last one may be half written
        self._read += len(whole) + len(end)
        return whole.split(b"\n") if end else []

    def _add(self, noted: Mapping[str, Any]) -> None:
        folders = self._facts["folders"]
        if "end" in noted:
            self._has_ended = True
        elif _is_of_a_library(noted, folders):
            module = ListedModule(noted["name"], noted["origin"], noted.get("changes", {}))
            self._modules.append(module)
        elif _is_the_scripts(noted, folders):
            self._own.append(noted["name"])

    def _as_learned(self, facts: Mapping[str, Any]) -> ImportList:
        return ImportList(
            modules=tuple(self._modules),
            own=tuple(self._own),
            executable=facts["executable"],
            version=facts["version"],
            flags=facts["flags"],
            prefix=facts["prefix"],
            path=tuple(facts["path"]),
            loaded=tuple(facts["loaded"]),
            folders={**_times([facts["executable"]]), **facts["folders"]},
            has_ended=self._has_ended,
            words=tuple(facts["words"]),
        )


_WITHOUT_A_FILE = ("built-in", "frozen")


def _strings(values: Iterable[object]) -> tuple[str, ...]:
    """Return the values, which must be strings: anybody may have written the file."""
    strings = tuple(values)
    if not all(isinstance(each, str) for each in strings):
        raise TypeError(strings)
    return strings  # type: ignore[return-value]


def _is_of_a_library(noted: Mapping[str, Any], folders: Iterable[str]) -> bool:
    """Whether a recorded module is a library's. modeldir counts as one wherever it lies."""
    origin = noted["origin"]
    if _is_ours(noted["name"]):
        return origin is not None
    return origin is not None and (origin in _WITHOUT_A_FILE or _is_below(origin, folders))


def _is_the_scripts(noted: Mapping[str, Any], folders: Iterable[str]) -> bool:
    """Whether a recorded module is the script's: a file, or a folder without `__init__.py`.

    A module without a file that a library has made is neither.
    """
    places = [noted["origin"]] if noted["origin"] else noted.get("places", [])
    return any(not _is_below(place, folders) for place in places)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _times(paths: Iterable[str]) -> dict[str, int]:
    """Return when each was last changed; 0 for one that does not exist."""
    times = {}
    for path in paths:
        times[path] = 0
        with contextlib.suppress(OSError):
            times[path] = os.stat(path).st_mtime_ns
    return times


# -- In the process that imports ahead -------------------------------------------------------------


class PreloadedModules:
    """The modules that this process has imported ahead.

    `left_out` could not be imported, each with the reason. `objection` is why this process must not
    be forked.
    """

    def __init__(self) -> None:
        self.imports: ImportList | None = None
        self.left_out: dict[str, str] = {}
        self.objection: str | None = None
        self.deferred = DeferredModules()
        self._done: set[str] = set()
        self._fresh: dict[str, ModuleType] = {}

    def add(self, learned: ImportList) -> None:
        """Import the modules of a (perhaps longer) list that are not imported yet."""
        import gc  # noqa: PLC0415 - only in a process for preloaded trials
        import importlib.util  # noqa: PLC0415 - before any module is hidden
        import random  # noqa: F401, PLC0415 - its state is looked at

        self.imports = learned
        handlers = _signal_handlers()
        gc.disable()
        try:
            for name in learned.loaded:
                with contextlib.suppress(Exception):  # modules of the interpreter's start-up
                    importlib.import_module(name)
            # The standard library first. Otherwise a library would be taken for the one that
            # imports a standard module, although the script imports that itself.
            for module in sorted(learned.modules, key=learned.is_third_party):
                if module.name not in self._done:
                    self._done.add(module.name)
                    self._preload(module)
        finally:
            gc.enable()
        if _signal_handlers() != handlers:
            self.objection = "an import changed how signals are handled"
        self._check_own_modules(learned)
        _disable_finalizers()
        gc.collect()
        gc.freeze()  # children's collectors must not touch it: a touched page is copied

    def _preload(self, module: ListedModule) -> None:
        if module.name in sys.modules and not _is_ours(module.name):
            return
        assert self.imports is not None
        under = module.changes if self.imports.is_third_party(module) else None
        with (
            changed_environment(module.changes),
            self._without_us(module.name),
            self.deferred.filling(module.name, under),
        ):
            self._import(module)

    def _import(self, module: ListedModule) -> None:
        import importlib.util  # noqa: PLC0415 - only in a process for preloaded trials

        if module.name in sys.modules:
            return
        try:
            spec = importlib.util.find_spec(module.name)
            if spec is None or spec.origin != module.origin:
                self.left_out[module.name] = "it is found elsewhere"
                return
            importlib.import_module(module.name)
        except BaseException as error:  # noqa: BLE001 - some do not even raise an Exception
            self.left_out[module.name] = f"{type(error).__name__}: {error}"

    @contextlib.contextmanager
    def _without_us(self, name: str) -> Iterator[None]:
        """Hide our own modules while modeldir is imported again, for the script."""
        if not _is_ours(name):
            yield
            return
        ours = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)}
        sys.modules.update(self._fresh)
        try:
            yield
        finally:
            self._fresh = {
                name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)
            }
            sys.modules.update(ours)

    def _check_own_modules(self, learned: ImportList) -> None:
        hidden = sorted(set(learned.own).intersection(sys.modules))
        if hidden:
            self.objection = f"the script's own {hidden[0]} has the name of a library's module"


def _disable_finalizers() -> None:
    """Keep children from destroying at their end what an import has made here, which all share.

    PyTorch would unload its 170 operator libraries, which copies 30 MB in each trial. And the first
    child would remove a temporary folder of a library that the other children still need.
    """
    weakref: Any = sys.modules.get("weakref")
    for finalizer in [] if weakref is None else list(weakref.finalize._registry):  # noqa: SLF001
        finalizer.atexit = False


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == "modeldir"


def _signal_handlers() -> list[Any]:
    import signal  # noqa: PLC0415 - only in a process for preloaded trials

    return [signal.getsignal(number) for number in sorted(signal.valid_signals())]
