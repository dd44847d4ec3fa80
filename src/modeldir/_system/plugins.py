"""Plugins: find a sampler, a pruner or a launcher by its name.

A name is one of modeldir's own, one that an installed package offers by an entry point, or
"package.module:Class". `samplers`, `pruners` and `launchers` each define one `PluginKind` and call
`load`. The rule: whatever is wrong with a plugin's module becomes a `PluginError` that says what to
do, and never a traceback of modeldir's.

How a plugin is called once it is found: `modeldir.testing` has the tests for each kind.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from modeldir.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType


class PluginError(Exception):
    """A plugin cannot be loaded. `problem` says why, and what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.problem = Problem(what, hint)


class UnknownPlugin(PluginError):
    """There is no plugin of this name."""


@dataclass(frozen=True)
class PluginKind:
    """One extension point.

    `group` is the group of its entry points. `built_in` says where modeldir's own are, as
    "module:Class". `names` are the names to suggest for a wrong one, and `synonyms` maps other
    words for them. `takes_class`: whether a name may be "package.module:Class".
    """

    group: str
    built_in: Mapping[str, str]
    names: Sequence[str]
    synonyms: Mapping[str, str] = field(default_factory=dict)
    takes_class: bool = True

    def load(self, name: str) -> Any:
        """Return the class, or another callable, that makes the plugin of this name.

        Raises:
            PluginError: if there is none, or its module cannot be imported.
        """
        place = self.built_in.get(name)
        if place is None:
            place = name if self.takes_class and is_own_class(name) else self._offered(name)
        module_name, _, attribute = place.partition(":")
        try:
            module = _import(module_name, from_here=place == name)
        except Exception as error:
            kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
            hint = "is it installed, or its folder on PYTHONPATH?"
            raise PluginError(f"{place} cannot be imported: {kind}{error}", hint) from error
        try:
            found = attrgetter(attribute)(module)
        except AttributeError:
            found = None
        if callable(found):
            return found
        public = [name for name, value in vars(module).items() if isinstance(value, type)]
        hint = did_you_mean(attribute, public) or "write package.module:Class"
        raise PluginError(f"{module_name} has no class {attribute!r}", hint)

    def _offered(self, name: str) -> str:
        """Return "module:Class" of the plugin that an installed package offers by this name."""
        others = offered(self.group)
        if name in others:
            return others[name].partition("[")[0].strip()
        known = [*self.names, *sorted(others)]
        ending = ", or package.module:Class" if self.takes_class else ""
        synonym = self.synonyms.get(name.lower())
        hint = f"did you mean {synonym!r}?" if synonym else did_you_mean(name, known)
        hint = hint or f"known: {', '.join(known)}{ending}"
        raise UnknownPlugin(f"no {name!r}", hint)


def offered(group: str) -> dict[str, str]:
    """Return "module:Class" by name for a group of installed entry points."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - reads all packages' metadata

    return {each.name: each.value for each in entry_points(group=group)}


def unknown_options(options: Mapping[str, Any], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each option that a plugin does not take, with a hint."""
    for name in options:
        if name not in known:
            yield name, did_you_mean(name, known) or "known: " + (", ".join(known) or "none")


def is_own_class(name: str) -> bool:
    """Whether a plugin's name is "package.module:Class".

    To load it is to run code that a plan names. So only commands that run trials do.
    """
    return ":" in name


def _import(name: str, *, from_here: bool) -> ModuleType:
    """Import a module; one of the user's project is found in the current folder."""
    added = from_here and "" not in sys.path
    if added:
        sys.path.insert(0, "")
    try:
        return import_module(name)
    finally:
        if added:
            sys.path.remove("")
