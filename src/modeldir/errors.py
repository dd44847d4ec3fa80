"""All errors of modeldir, and the form of their messages.

Every package raises these; `commands` prints them. Start at `ModeldirError`. The rule: an error
carries its problems as data (`problems`, `state`), and nobody takes its text apart. Text of other
programs is made harmless for a terminal in `_system/escaping.py`.

    ModeldirError
     ├── ParamsError            a params file, or a value in it, cannot be used  (also a ValueError)
     ├── MetricsError           a metric or a metrics file cannot be used        (also a ValueError)
     ├── SpaceError             a search space makes no sense                    (also a ValueError)
     ├── FolderError            a folder is not what the command needs
     │    └── FolderBusy        another live run holds the folder
     ├── SearchError            a search cannot start, or must stop
     ├── CommandError           a command cannot be started as a trial
     └── CheckpointError        weights are missing, or cannot be read or written

    MissingParam                no such hyperparameter          (an AttributeError and a KeyError)
    TrialPruned                 not an error: ends a trial early

A message says what happened, where, what was expected and what to type. If you can fix the cause,
the command line prints the message without a traceback and exits with 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTHING_STARTED = "Nothing was started."


class Problem(NamedTuple):
    """One thing that is wrong, and a hint: what to type instead."""

    what: str
    hint: str | None = None


class ModeldirError(Exception):
    """Base of all errors that modeldir raises on purpose. `str(error)` is fit to print.

    Args:
        message: what happened, or the line above a list of problems.
        problems: everything that is wrong, at once.
        state: the last line: what was done in spite of the error. Below a list of problems it is
            "Nothing was started.", unless given.

    >>> print(SearchError("search.json cannot be searched:", [("lr: no domain", "use [0.1]")]))
    search.json cannot be searched:
      lr: no domain
        use [0.1]
    Nothing was started.
    """

    problems: tuple[Problem, ...] = ()
    state = ""

    def __init__(
        self,
        message: str = "",
        problems: Iterable[tuple[str, str | None]] = (),
        state: str | None = None,
    ) -> None:
        self.problems = tuple(Problem(*problem) for problem in problems)
        self.state = (NOTHING_STARTED if self.problems else "") if state is None else state
        super().__init__(_rendered(message, self.problems, self.state))

    @property
    def summary(self) -> str:
        """The first line of the message."""
        return str(self).partition("\n")[0]

    @property
    def causes(self) -> tuple[Problem, ...]:
        """The listed problems. Without a list, the message itself is the only one."""
        if self.problems:
            return self.problems
        what, _, hint = str(self).removesuffix(self.state).partition("\n")
        return (Problem(what, hint.strip() or None),)

    def without_state(self) -> str:
        """Return the message for a caller that continues: without "Nothing was started."."""
        return str(self).removesuffix(self.state.rpartition("\n")[2]).rstrip()


class ParamsError(ModeldirError, ValueError):
    """A params file cannot be read or written, or holds a value that is not allowed.

    `path`, `line`, `column` (both from 1) and `key` are set where they are known.
    """

    def __init__(  # noqa: PLR0913 - a message and its place
        self,
        message: str = "",
        problems: Iterable[tuple[str, str | None]] = (),
        state: str | None = None,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(message, problems, state)
        self.path, self.line, self.column, self.key = path, line, column, key


class MissingParam(ModeldirError, AttributeError, KeyError):
    """There is no hyperparameter of this name. The message names the closest one."""

    def __init__(self, message: object, *, obj: object = None) -> None:
        AttributeError.__init__(self, message, obj=obj)

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the repr


class MetricsError(ModeldirError, ValueError):
    """A metric has no number, or a metrics file cannot be read."""


class SpaceError(ModeldirError, ValueError):
    """A search space, or the range of one hyperparameter, makes no sense."""


class FolderError(ModeldirError):
    """A folder does not exist, or is not what the command needs."""


class FolderBusy(FolderError):
    """Another live run holds this folder."""


class SearchError(ModeldirError):
    """A search cannot start, or must not continue as it is."""


class CommandError(ModeldirError):
    """A command cannot be started as a trial."""


class CheckpointError(ModeldirError):
    """Weights do not exist, or cannot be read or written."""


class TrialPruned(Exception):
    """Raised by `run.log` when a trial should stop early; `with modeldir.start(...)` records it."""


def _rendered(head: str, problems: Iterable[Problem], state: str) -> str:
    """Render a list of problems: a first line, each problem with its hint, and the state."""
    lines = [head]
    for what, hint in problems:
        lines.append(f"  {what}")
        if hint:
            lines.append(f"    {hint}")
    return "\n".join([*lines, state] if state else lines)


def first_of(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are.

    >>> first_of(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """Return a hint with the known name that is closest to `name`, or None.

    >>> did_you_mean("batchsize", ["learning_rate", "batch_size"])
    "did you mean 'batch_size'?"
    """
    close = closest(name, known)
    return f"did you mean {close!r}?" if close is not None else None


def closest(name: str, known: Sequence[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is closest to `name`, or None.

    `cutoff` is the least similarity, from 0 to 1, as `difflib` measures it.
    """
    for other in known:  # for difflib, LR and lr have nothing in common
        if other.casefold() == name.casefold() and other != name:
            return other
    from difflib import get_close_matches  # noqa: PLC0415 - only on the way to an error

    return next(iter(get_close_matches(name, known, n=1, cutoff=cutoff)), None)
