"""End the runs that are in no `with` block when their process ends.

`run.py` adds each run and removes it at its end. Runs that are left end with the process: by the
exception that nothing has caught, by the code given to `sys.exit`, or well. A process that is
killed runs none of this; then the run file has no end, and the status is `interrupted`.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import get_ident
from types import TracebackType
from typing import NoReturn, Protocol

from modeldir.errors import TrialPruned


class Run(Protocol):
    """The part of `run.Run` that this module needs."""

    def close(self, error: BaseException | None = None) -> None:
        """End the run."""


_runs: list[tuple[int, Run]] = []
"""The open runs, each with the process that started it: a forked child must not end them."""
_exit: SystemExit | None = None
"""The last call of `sys.exit` in the main thread: at exit, Python tells its code to nobody."""
_earlier: BaseException | None = None
"""An exception that had been shown before the first run began, as in a notebook."""
_is_watching = False


def add(run: Run) -> None:
    """Let a run end with this process, unless it ends before."""
    _watch()
    _runs.append((os.getpid(), run))


def remove(run: Run) -> None:
    """Forget a run, which ends now."""
    _runs[:] = [one for one in _runs if one[1] is not run]


def of_this_process() -> list[Run]:
    """Return the runs that this process has started and not ended."""
    return [run for pid, run in _runs if pid == os.getpid()]


def _watch() -> None:
    global _is_watching, _earlier
    if _is_watching:
        return
    _is_watching, _earlier = True, _shown()
    show, leave, main = sys.excepthook, sys.exit, get_ident()

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        """Record an exception that nothing has caught, and show it, unless the run was pruned."""
        was_open = _end_runs(error)
        if not (was_open and isinstance(error, TrialPruned)):
            show(kind, error, traceback)

    def exit_noting(code: str | int | None = None, /) -> NoReturn:
        global _exit  # noqa: PLW0603 - there is one end of a process
        if get_ident() == main:  # in another thread it ends only that
            _exit = SystemExit(code)
        leave(code)

    sys.excepthook, sys.exit = hook, exit_noting
    atexit.register(_at_exit)


def _at_exit() -> None:
    """End what is open, by the exception that Python has shown: the script may have replaced our
    hook.
    """
    shown = _shown()
    _end_runs(shown if shown is not _earlier else _exit)


def _shown() -> BaseException | None:
    """Return the exception that the interpreter has shown last as one that nothing caught."""
    return getattr(sys, "last_value", None)


def _end_runs(error: BaseException | None) -> bool:
    """End the runs of this process; return whether there were any."""
    mine = of_this_process()
    for run in mine:
        run.close(error)
    return bool(mine)
