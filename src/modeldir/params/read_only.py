"""Dicts and lists that can only be read: what a locked `Params` hands out.

Code that reads them sees ordinary dicts and lists. Every method that changes them raises; copies
and pickles are plain and can be changed.
"""

from __future__ import annotations

from typing import Any, NoReturn

from modeldir.errors import ParamsError


def _refuse(*_: object, **__: object) -> NoReturn:
    raise ParamsError(
        "these hyperparameters are locked\n"
        "  to change them:  with modeldir.unlocked(params): ...\n"
        "  to get a copy that you can change:  copy.deepcopy"
    )


class ReadOnlyDict(dict[str, Any]):
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class ReadOnlyList(list[Any]):
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def readonly(value: Any) -> Any:
    """Return plain dicts and lists, at every depth, as those that cannot be changed."""
    if type(value) is dict:
        return ReadOnlyDict((name, readonly(inner)) for name, inner in value.items())
    if type(value) is list:
        return ReadOnlyList(map(readonly, value))
    return value
