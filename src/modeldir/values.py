"""Frozen dataclasses that cost nothing until the first of them is made.

`dataclasses.dataclass` writes and compiles six functions for each class as it is defined, 1 ms:
with 60 classes that was more than half of what `modeldir search` took to import, and a command
makes instances of a third of those that it imports. Here a class is completed, by the standard
library, when its first instance is made. To type checkers it is the standard library's own.

It refuses to know any option but `frozen=True`.
"""

from __future__ import annotations

from _thread import RLock, _count  # what `threading` has, without its import
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - what others import here
else:

    def dataclass(*, frozen: bool) -> Any:
        """As `dataclasses.dataclass(frozen=True)`; of a class without instances nothing is known.

        >>> @dataclass(frozen=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(1), Point(1) == Point(1, 0)
        (Point(x=1, y=0), True)
        """
        assert frozen
        return _completed_later


_alone = RLock()


def _completed_later(made: type) -> type:
    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807 - it is one
        with _alone:  # several threads may make the first one
            _complete(made, __init__)
        self.__init__(*arguments, **named)

    def __setstate__(self: Any, state: dict[str, Any]) -> None:  # noqa: N807 - as above
        with _alone:  # the first one may come out of a pickle, which calls no `__init__`
            _complete(made, __init__)
        self.__dict__.update(state)

    made.__init__ = __init__  # type: ignore[misc] # until it is known what it takes
    made.__setstate__ = __setstate__  # type: ignore[attr-defined]
    made.__completed_later__ = __init__  # type: ignore[attr-defined]
    return made


def _complete(made: type, placeholder: object) -> None:
    if made.__dict__.get("__init__") is not placeholder:
        return
    for base in made.__mro__[1:]:  # what is inherited has to be known first
        if "__completed_later__" in base.__dict__:
            _complete(base, base.__dict__["__completed_later__"])
    from dataclasses import dataclass as complete  # noqa: PLC0415 - slow to import too

    del made.__setstate__  # type: ignore[attr-defined]
    if _count():
        init = _init_of(made)
        complete(frozen=True, init=False)(made)
        made.__init__ = init  # type: ignore[misc] # last: until then who comes waits for `_alone`
        return
    del made.__init__  # type: ignore[misc] # an own one would be kept
    complete(frozen=True)(made)


def _init_of(made: type) -> Any:
    """The `__init__` to come, by a class made for it. It takes nearly twice the time, so only where
    there are other threads: to them a class without any `__init__` would take no arguments.
    """
    from dataclasses import dataclass as complete  # noqa: PLC0415 - as above

    passed_over = {"__dict__", "__weakref__", "__init__", "__completed_later__"}
    body = {name: value for name, value in vars(made).items() if name not in passed_over}
    twin = type(made)(made.__name__, made.__bases__, body)
    return vars(complete(frozen=True, repr=False, eq=False)(twin))["__init__"]
