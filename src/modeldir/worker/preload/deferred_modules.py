"""Modules that were imported ahead, hidden until the script itself imports them.

`imports.PreloadedModules` fills `DeferredModules`; `child.py` calls `hide` in each fork. A script
finds `sys.modules` as it would be without preloading, and an import has its effects (variables,
warning filters, output) when the script does it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

Changes = Mapping[str, "str | None"]
"""Variables that were set in the environment; None for one that was removed."""


_OURS = "MODELDIR_"
"""The prefix of variables that `modeldir.start` sets for a trial's child processes. One has the
trial's folder, so it differs in each, and no library but modeldir reads it when it is loaded.
"""

Output = tuple[int, bytes] | dict[str, Any]
"""Output on descriptor 1 or 2, or a warning with the arguments of `warnings.warn_explicit`."""


@dataclass(frozen=True)
class Batch:
    """The modules that one import brought, and its other effects.

    `under` is how the script had changed the environment before, if that can matter. A batch is not
    handed over if the script has changed something since that the import here lacked, such as a
    variable: libraries read thread counts and devices when they are loaded, and never again.
    """

    name: str
    modules: Mapping[str, ModuleType]
    under: Changes | None
    environment: Changes
    filters: tuple[Any, ...]
    output: tuple[Output, ...]
    draws: bool


class DeferredModules:
    """All batches of a process, in the order of their imports."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.filters = list(warnings.filters)

    @contextlib.contextmanager
    def filling(self, name: str, under: Changes | None) -> Iterator[None]:
        """Make a batch of what is imported within the block."""
        known, filters = set(sys.modules), list(warnings.filters)
        before, drawn = dict(os.environ), _random_states()
        with _recorded_output() as output:
            yield
        new = {name: module for name, module in sys.modules.items() if name not in known}
        if new:
            front = warnings.filters[: max(0, len(warnings.filters) - len(filters))]
            self.batches.append(
                Batch(
                    name,
                    new,
                    under,
                    changes(before, os.environ),
                    tuple(front),
                    tuple(output),
                    {**_random_states(), **drawn} != _random_states(),
                )
            )
        for variable, value in changes(os.environ, before).items():
            _set(variable, value)

    def modules(self) -> Iterator[ModuleType]:
        for batch in self.batches:
            yield from batch.modules.values()

    def hide(self, on_difference: Callable[[str, str], None]) -> None:
        """Remove all modules from `sys.modules` until the script imports them.

        `on_difference` is called with a module and what the script had changed before importing it
        that the import here lacked.
        """
        warnings.filters[:] = self.filters  # type: ignore[index]
        _reset_filter_caches()
        for batch in self.batches:
            for name in batch.modules:
                sys.modules.pop(name, None)
        if self.batches:
            sys.meta_path.insert(0, _DeferredFinder(self.batches, dict(os.environ), on_difference))


class _DeferredFinder:
    """A finder for `sys.meta_path` that hands over the hidden modules."""

    def __init__(
        self,
        batches: list[Batch],
        environment: Mapping[str, str],
        on_difference: Callable[[str, str], None],
    ) -> None:
        self._batches = {name: batch for batch in batches for name in batch.modules}
        self._environment = environment
        self._on_difference = on_difference
        self._handed: set[str] = set()
        self._random = _random_states()
        self._path = frozenset(sys.path)  # without what the script puts there
        self._main = sys.modules.get("__main__")
        self._by_libraries = {each for batch in batches for each in batch.environment.items()}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002 - the protocol's
        batch = self._batches.get(name)
        known = None if batch is None else getattr(batch.modules[name], "__spec__", None)
        if batch is None or known is None:
            return None
        spec = ModuleSpec(name, _Loader(self, batch, known), origin=known.origin)  # type: ignore[arg-type]
        spec.submodule_search_locations = known.submodule_search_locations
        spec.has_location = known.has_location
        spec.cached = known.cached
        return spec

    def hand_over(self, batch: Batch) -> None:
        """Put the modules of a batch into `sys.modules`, and repeat the effects of its import.

        Only once: a module that a script removes and imports again is imported anew.
        """
        if batch.name in self._handed:
            return
        self._handed.add(batch.name)
        what = self._difference(batch)
        if what:
            self._on_difference(batch.name, what)
        for name, module in batch.modules.items():
            self._batches.pop(name, None)
            # `multiprocessing` gives the main module a second name: that of the script, not ours.
            is_main = module is self._main
            sys.modules.setdefault(name, sys.modules["__main__"] if is_main else module)
        _repeat_effects(batch)

    def _difference(self, batch: Batch) -> str:
        """Return what the script has changed that it had not when the imports were recorded.

        Variables that a library sets at its import do not count; and modules of the standard
        library read no variables.
        """
        if hidden := self._hidden(batch):
            return f"another module {hidden} was on the path"
        if batch.draws and {**_random_states(), **self._random} != _random_states():
            return "random numbers were seeded"
        if batch.under is None:
            return ""
        then, now = batch.under.items(), changes(self._environment, os.environ).items()
        different = (set(then) ^ set(now)) - self._by_libraries
        names = (variable for variable, _ in different if not variable.startswith(_OURS))
        return min((f"{variable} was changed" for variable in names), default="")

    def _hidden(self, batch: Batch) -> str | None:
        """Return a module instead of which the script would find its own by now."""
        path = [each for each in sys.path if isinstance(each, str)]  # as an import has it
        for name, module in batch.modules.items():
            spec = getattr(module, "__spec__", None)
            if "." in name or not isinstance(spec, ModuleSpec) or not spec.has_location:
                continue  # a submodule, or one that is found without a path
            places = [at for at, each in enumerate(path) if _is_below(spec.origin or "", each)]
            own = [each for each in path[: min(places, default=0)] if each not in self._path]
            found = PathFinder.find_spec(name, own) if own else None
            if found is not None and found.loader is not None:
                return name
        return None


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder or os.getcwd(), ""))


class _Loader:
    def __init__(self, finder: _DeferredFinder, batch: Batch, known: ModuleSpec) -> None:
        self._finder, self._batch, self._known = finder, batch, known

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._finder.hand_over(self._batch)
        return self._batch.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._known
        module.__loader__ = self._known.loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._known.loader, name)


def _repeat_effects(batch: Batch) -> None:
    for variable, value in batch.environment.items():
        _set(variable, value)
    if batch.filters:
        warnings.filters[:0] = batch.filters  # type: ignore[index]
        _reset_filter_caches()
    for output in batch.output:
        if isinstance(output, dict):
            warnings.warn_explicit(**output)
        else:
            stream = (sys.stdout, sys.stderr)[output[0] - 1]
            if stream is not None:
                stream.write(output[1].decode(errors="replace"))


def _random_states() -> dict[str, Any]:
    """Return the state of each loaded global random generator, in a form that can be compared."""
    states: dict[str, Any] = {}
    if "random" in sys.modules:
        states["random"] = sys.modules["random"].getstate()
    if "numpy.random" in sys.modules:
        name, keys, *rest = sys.modules["numpy.random"].get_state()
        states["numpy"] = (name, keys.tobytes(), *rest)
    return states


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes that turn one environment into another.

    >>> changes({"A": "1", "B": "2"}, {"B": "3", "C": "4"})
    {'B': '3', 'C': '4', 'A': None}
    """
    changed: dict[str, str | None] = {
        name: value for name, value in after.items() if before.get(name) != value
    }
    changed.update((name, None) for name in before if name not in after)
    return changed


def _set(variable: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value


@contextlib.contextmanager
def changed_environment(under: Changes) -> Iterator[None]:
    """Have the environment as the script had it, for the time of an import."""
    before = dict(os.environ)
    for variable, value in under.items():
        _set(variable, value)
    try:
        yield
    finally:
        for variable, value in changes(os.environ, before).items():
            _set(variable, value)


def _reset_filter_caches() -> None:
    """Reset the caches of `warnings`, as its own functions do after a change of filters."""
    module: Any = warnings
    for name in ("_filters_mutated", "_filters_mutated_lock_held"):
        if hasattr(module, name):
            getattr(module, name)()
            return


@contextlib.contextmanager
def _recorded_output() -> Iterator[list[Output]]:
    """Collect what is written to 1 and 2 within the block, and the warnings shown, in order."""
    output: list[Output] = []

    def note(  # noqa: PLR0913, PLR0917 - the signature of warnings.showwarning
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,  # noqa: ARG001 - as above
        line: str | None = None,  # noqa: ARG001 - as above
    ) -> None:
        output.extend(written.take())
        place = {"filename": filename, "lineno": lineno, **_module_of(filename)}
        output.append({"message": message, "category": category, **place})

    shown = warnings.showwarning
    warnings.showwarning = note
    with _RedirectedOutput() as written:
        try:
            yield output
        finally:
            output.extend(written.take())
            if warnings.showwarning is note:
                warnings.showwarning = shown


def _module_of(filename: str) -> dict[str, Any]:
    """Return the module that a warning was given for, as filters compare it."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == filename:
            return {"module": name}
    return {}


class _RedirectedOutput:
    """Redirects 1 and 2 into unnamed files, for the time of a block."""

    def __enter__(self) -> _RedirectedOutput:  # noqa: PYI034 - Self needs Python 3.11
        _flush()
        self._files = [os.memfd_create("written") for _ in (1, 2)]
        self._before = [os.dup(descriptor) for descriptor in (1, 2)]
        self._taken = [0, 0]
        for descriptor, file in enumerate(self._files, start=1):
            os.dup2(file, descriptor)
        return self

    def take(self) -> Iterator[tuple[int, bytes]]:
        """Yield what has been written since the last call."""
        _flush()
        for place, file in enumerate(self._files):
            size = os.fstat(file).st_size
            if size > self._taken[place]:
                yield place + 1, os.pread(file, size - self._taken[place], self._taken[place])
                self._taken[place] = size

    def __exit__(self, *_: object) -> None:
        for place, (file, before) in enumerate(zip(self._files, self._before, strict=True)):
            os.dup2(before, place + 1)
            os.close(file)
            os.close(before)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
