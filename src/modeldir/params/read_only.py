"""Dicts and lists that can only be read: what a locked `Params` hands out.

They are dicts and lists to whoever reads them (`json.dumps`, `**values`, `torch.tensor(values)`);
copies and pickles of them are plain ones, the reader's own. They refuse to know who locked them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modeldir.errors import ParamsError

if TYPE_CHECKING:
    from typing import NoReturn


def _refuse(*_: object, **__: object) -> NoReturn:
    raise ParamsError(
        "these hyperparameters are locked\n"
        "  to change them:  with modeldir.unlocked(params): ...\n"
        "  for a copy of your own:  copy.deepcopy"
    )


class ReadOnlyDict(dict[str, Any]):
    """A dict that cannot be changed."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return plain, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        from copy import deepcopy  # noqa: PLC0415 - slow to import, and few copy

        return deepcopy(dict(self), memo)


class ReadOnlyList(list[Any]):
    """A list that cannot be changed."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return plain, (list(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        from copy import deepcopy  # noqa: PLC0415 - as above

        return deepcopy(list(self), memo)


def readonly(value: Any) -> Any:
    """Plain dicts and lists, at every depth, as those that cannot be changed."""
    if type(value) is dict:
        return ReadOnlyDict((name, readonly(inner)) for name, inner in value.items())
    if type(value) is list:
        return ReadOnlyList(map(readonly, value))
    return value


def plain(value: Any) -> Any:
    """The way back: dicts and lists that can be changed, at every depth."""
    if type(value) is dict or type(value) is ReadOnlyDict:
        return {name: plain(inner) for name, inner in value.items()}
    if type(value) is list or type(value) is ReadOnlyList:
        return [plain(inner) for inner in value]
    return value
