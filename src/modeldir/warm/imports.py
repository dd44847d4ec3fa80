"""What a script was seen to import, and a process that imports it ahead.

It knows the report that learning.py writes, and makes of it a list that can be kept: modules of the
interpreter and of its environment, in order, with what the script had changed in the environment
before each. The script's own modules are never on it. It refuses to import what it does not find
where the script found it.
"""

from __future__ import annotations

import ast
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Changes = Mapping[str, "str | None"]
"""Variables that a script has set in its environment; None for one that it has removed."""


@dataclass(frozen=True)
class Module:
    """A module, the file it came from, and how the environment had been changed by then."""

    name: str
    origin: str
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """What one run of a script imported. `folders` are those where libraries lie, with their times
    (ns); `own` are the names of the script's own modules; `has_ended`: the list is complete.
    """

    modules: tuple[Module, ...]
    own: tuple[str, ...]
    executable: str
    version: str
    flags: str
    prefix: str
    path: tuple[str, ...]
    loaded: tuple[str, ...]
    folders: Mapping[str, int]
    has_ended: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(module.name for module in self.modules)

    def is_current(self) -> bool:
        """Whether the environment is as it was: nothing installed, removed or upgraded."""
        return self.folders == _times([self.executable, *self.folders])

    def to_json(self) -> dict[str, Any]:
        modules = [
            [module.name, module.origin, *([dict(module.changes)] if module.changes else [])]
            for module in self.modules
        ]
        return {**vars(self), "modules": modules, "folders": dict(self.folders)}

    @classmethod
    def from_json(cls, value: object) -> Learned | None:
        """What `to_json` gave; None for anything else."""
        try:
            given = dict(value)  # type: ignore[call-overload]
            given["modules"] = tuple(Module(*each) for each in given["modules"])
            for name in ("own", "path", "loaded"):
                given[name] = tuple(given[name])
            return cls(**given)
        except (TypeError, ValueError, KeyError):
            return None


def read(report: str) -> Learned | None:
    """What a report tells so far; None where there is none yet."""
    try:
        with open(report, encoding="utf-8") as file:
            lines = file.read().split("\n")[:-1]  # the last one may be half written
        facts, *noted = (ast.literal_eval(line) for line in lines)
    except (OSError, ValueError, SyntaxError):
        return None
    has_ended = bool(noted) and "end" in noted[-1]
    noted = [each for each in noted if "end" not in each]
    libraries = [each for each in noted if _is_of_a_library(each, facts["folders"])]
    own = [each["name"] for each in noted if not _is_of_a_library(each, facts["folders"])]
    return Learned(
        modules=tuple(
            Module(each["name"], each["origin"], each.get("changes", {})) for each in libraries
        ),
        own=tuple(own),
        executable=facts["executable"],
        version=facts["version"],
        flags=facts["flags"],
        prefix=facts["prefix"],
        path=tuple(facts["path"]),
        loaded=tuple(facts["loaded"]),
        folders=_times([facts["executable"], *facts["folders"]]),
        has_ended=has_ended,
    )


_WITHOUT_A_FILE = ("built-in", "frozen")


def _is_of_a_library(noted: Mapping[str, Any], folders: Iterable[str]) -> bool:
    """Ours counts as one wherever it lies: a project does not change it between two trials."""
    origin = noted["origin"]
    if noted["name"].partition(".")[0] == "modeldir":
        return origin is not None
    return origin is not None and (
        origin in _WITHOUT_A_FILE
        or any(origin.startswith(folder.rstrip("/") + "/") for folder in folders)
    )


def _times(paths: Iterable[str]) -> dict[str, int]:
    """When each was last changed; 0 for one that is not there."""
    times = {}
    for path in paths:
        times[path] = 0
        with contextlib.suppress(OSError):
            times[path] = os.stat(path).st_mtime_ns
    return times


# -- In the process that imports ahead -------------------------------------------------------------


class Ahead:
    """What this process has imported ahead. `add` may be called again with a longer list."""

    def __init__(self) -> None:
        self.learned: Learned | None = None
        self.left_out: dict[str, str] = {}
        self._done: set[str] = set()

    def add(self, learned: Learned) -> None:
        """Import what is on the list and not yet here. What fails to be imported is left out."""
        import gc  # noqa: PLC0415 - only in a process for warm trials

        self.learned = learned
        gc.disable()
        try:
            for module in learned.modules:
                if module.name not in self._done:
                    self._done.add(module.name)
                    with _changed_environment(module.changes):
                        self._import(module)
        finally:
            gc.enable()
        gc.collect()
        gc.freeze()  # children look at none of it: a page that is looked at is copied

    def _import(self, module: Module) -> None:
        import importlib.util  # noqa: PLC0415 - as above

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
def _changed_environment(changes: Changes) -> Iterator[None]:
    """The environment as a script had made it, for as long as a module is imported."""
    if not changes:
        yield
        return
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(changes: Changes) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
