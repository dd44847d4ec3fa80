"""Preload: import the modules of a script once, and fork a process for each trial.

A worker makes a `Preloading` and asks it how each attempt starts; a dry run calls `preview`. Nobody
else imports this package, and nobody imports its modules (an import contract checks that). Start
reading at `policy.py`:

    policy.py            which trials are preloaded, and when to give up
    recording.py         the first trial records what the script imports
    import_recorder.py   runs in that trial, and writes the report
    imports.py           the list of imports, and a process that has done them
    import_cache.py      the list is kept for the next search of the same script
    process.py           the import process, as a worker has it
    spawner.py           the import process itself: a spawner of supervisors
    guards.py            commands and processes that must not be forked
    probation.py         the first forks are watched: one may hang
    child.py             from a forked child to what a new interpreter would be
    deferred_modules.py  imported modules, hidden until the script imports them
    run_script.py        runs a script as `__main__`, to its very end
    command_line.py      takes `python script.py ...` apart

The rule that must not break: a preloaded trial behaves as the plain command does. If that cannot be
made so, the trial runs as the plain command, and the reason is printed.
"""

from __future__ import annotations

from modeldir._system import lazy

TYPE_CHECKING = False  # like typing's, without importing typing

if TYPE_CHECKING:
    from modeldir.worker.preload.policy import Preloading, preview

__all__ = ["Preloading", "preview"]

__getattr__ = lazy.attributes(
    __name__, {"modeldir.worker.preload.policy": ("Preloading", "preview")}
)
