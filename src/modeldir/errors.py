"""Every way modeldir can say no.

All of modeldir's own errors are one tree, so that a caller can catch as much or as little as it
wants:

    ModeldirError
     ├── ParamsError            a params file, or a value in it, cannot be used  (also a ValueError)
     ├── MetricsError           a metric or a metrics file cannot be used        (also a ValueError)
     ├── SpaceError             a domain or a whole search space makes no sense  (also a ValueError)
     ├── FolderError            a folder is not what the command needs
     │    └── FolderBusy        another live run holds the folder
     ├── SearchError            a plan cannot be searched, or must not go on
     ├── CommandError           a command line cannot be started as a trial
     └── CheckpointError        weights are missing or cannot be read or written

    MissingParam                no such hyperparameter          (an AttributeError and a KeyError)
    TrialPruned                 not an error: the signal by which a trial ends early

A message says where, what was found, what was expected and what to type. A user never sees our
traceback for a mistake of theirs: the command line prints the message alone and exits with 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ModeldirError(Exception):
    """Base of all errors that modeldir raises on purpose. `str(error)` is fit to print."""


class ParamsError(ModeldirError, ValueError):
    """A params file cannot be read or written, or holds a value that it must not.

    `path`, `line`, `column` (both from 1) and `key` are set where they are known.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.path, self.line, self.column, self.key = path, line, column, key


class MissingParam(ModeldirError, AttributeError, KeyError):
    """A hyperparameter was asked for that is not there; the message names the nearest one."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the repr


class MetricsError(ModeldirError, ValueError):
    """A metric has no number, or a metrics file cannot be read."""


class SpaceError(ModeldirError, ValueError):
    """A domain or a search space makes no sense."""


class FolderError(ModeldirError):
    """A folder is not there, or is not what the command needs."""


class FolderBusy(FolderError):
    """Another live run holds this folder."""


class SearchError(ModeldirError):
    """A search cannot start, or must not go on as it is."""


class CommandError(ModeldirError):
    """A command cannot be started as a trial."""


class CheckpointError(ModeldirError):
    """Weights are not there, or cannot be read or written."""


class TrialPruned(Exception):
    """Raised by `run.log` when a trial should stop early; `with modeldir.start(...)` records it."""


def listed(
    head: str, problems: Iterable[tuple[str, str | None]], state: str = "Nothing was started."
) -> str:
    """One message for many problems: a head line, each problem with its hint, how things stand.

    >>> print(listed("search.json cannot be searched:", [("lr: no domain", "use [0.1, 0.01]")]))
    search.json cannot be searched:
      lr: no domain
        use [0.1, 0.01]
    Nothing was started.
    """
    lines = [head]
    for problem, hint in problems:
        lines.append(f"  {problem}")
        if hint:
            lines.append(f"    {hint}")
    return "\n".join([*lines, state] if state else lines)


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """A hint that names what `name` was probably meant to be, or None.

    >>> did_you_mean("batchsize", ["learning_rate", "batch_size"])
    "did you mean 'batch_size'?"
    """
    close = closest(name, known)
    return f"did you mean {close!r}?" if close is not None else None


def closest(name: str, known: Sequence[str], cutoff: float = 0.6) -> str | None:
    """What `name` was probably meant to be, or None: so much of both, of 1, has to be the same."""
    for other in known:  # to difflib LR and lr have nothing in common
        if other.casefold() == name.casefold() and other != name:
            return other
    from difflib import get_close_matches  # noqa: PLC0415 - only on the way to an error

    return next(iter(get_close_matches(name, known, n=1, cutoff=cutoff)), None)
