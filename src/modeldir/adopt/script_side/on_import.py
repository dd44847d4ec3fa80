"""Change a module right after the script has imported it.

The rule: nothing is imported for that alone, so a script imports what it does without us.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Patch = Callable[[ModuleType], None]


def watch(patches: Mapping[str, Patch]) -> None:
    """Call each function with its module, now or when the module is imported."""
    later = dict(patches)
    for name in [name for name in later if name in sys.modules]:
        later.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _Finder(later))


class _Finder:
    """Finds what the other finders find, with a loader that patches."""

    def __init__(self, patches: dict[str, Patch]) -> None:
        self._patches = patches

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._patches:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, self._patches.pop(name))  # type: ignore[assignment] # only what an import calls
                return spec
        return None


class _Loader:
    def __init__(self, loader: Any, patch: Patch) -> None:
        self._loader, self._patch = loader, patch

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._patch(module)
