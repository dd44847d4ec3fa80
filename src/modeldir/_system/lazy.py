"""Attributes of a package that are imported when they are first used.

A package's `__init__` names its public objects this way, so that importing the package costs next
to nothing and a forked process holds only what it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False  # like typing's, without importing typing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def attributes(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Return a package's `__getattr__`, given the names that each of its modules provides."""
    home_of = {name: module for module, names in homes.items() for name in names}

    def __getattr__(name: str) -> object:  # noqa: N807 - becomes the package's
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(home_of[name]), name)

    return __getattr__
