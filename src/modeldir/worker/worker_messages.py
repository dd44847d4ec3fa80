"""The messages that a worker prints, one function or constant each.

`worker.py` and its neighbors send them through `worker_log.py`. The lines about the end of a trial:
`monitor/snapshots.py`; the summary of a search: `monitor/summary.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted
from modeldir.errors import first_of
from modeldir.metrics import objective

if TYPE_CHECKING:
    from modeldir.search.resuming import Resuming

_SHOWN = 4
"""Files that a message names."""

TIME_LIMIT_REACHED = "The time limit is reached: no more trials start."
JOB_TIME_IS_UP = "The time of this job is nearly over."
NOTHING_RECORDED = "nothing was recorded: its folder was removed, or cannot be written"
SAME_ERROR = "same error"
WAITS_FOR_IMPORTS = (
    "preloading the modules that the script imports: the trials start when it is done "
    "(skip: --no-preload)"
)


def still_running(count: int) -> str:
    """Return the line after a reason to start no more; the start of one may be printed later."""
    trials = "1 trial is" if count == 1 else f"{count} trials are"
    return f"\n  {trials} still running and will finish."


def cannot_write(search: object, why: str | None) -> str:
    return (
        f"{search}: {why}: no more trials can be made.\n"
        "  Finished trials are kept. Once the folder can be written, run the command again."
    )


def target_reached(metric: str, value: float, target: float | None) -> str:
    return f"Target reached: {metric} {value:.6g} (target {target:g}). No more trials start."


def too_many_failures(count: int) -> str:
    trials = "1 trial has" if count == 1 else f"{count} trials have"
    return f"{trials} failed (--max-failures): no more trials start."


def same_error(count: int, line: str) -> str:
    return f"Stopping: the first {count} trials failed with the same error: {line}"


def not_recorded(name: str, why: str) -> str:
    return f"{name} was not started, because it could not be recorded: {why}"


def stuck(name: str, why: str) -> str:
    return (
        f"warning: {name} has ended, but its end cannot be recorded: {why}\n"
        "  modeldir tries again each second, for one hour."
    )


def left_stuck(name: str, pid: int) -> str:
    return (
        f"{name} has ended, but its end is not recorded yet: process {pid} keeps trying.\n"
        "  Once its disk can be written, run the command again."
    )


def long_trial(name: str, seconds: float) -> str:
    return (
        f"advice: {name} took {duration_text(seconds)}, and an interrupted trial starts again from "
        "the beginning.\n"
        "  If your script can resume from its weights, add: --resume '--restore_file last'"
    )


def resumes(name: str, how: Resuming) -> str:
    """Return the line on a trial that runs again after an interruption."""
    if how.arguments is not None:
        return f"{name} resumes" + (f" from {how.found}" if how.found else "")
    why = f"{how.missing} is not there" if how.missing else "it has saved no checkpoint"
    other = f" (found: {how.found})" if how.missing and how.found else ""
    return f"{name} starts from the beginning: {why}{other}"


def checkpoint_unused(name: str, found: str) -> str:
    restore = "  If your script has run.save_checkpoint, call run.restore() before its loop.\n"
    return (
        f"note: {name} starts from the beginning, and its checkpoint {found} is not used.\n"
        f"{restore if found.endswith('.npz') else ''}"
        "  If your script has an option that loads it, add: --resume '--OPTION {checkpoint}'\n"
        "  If your script looks for it itself, add: --resumes-itself"
    )


def taking_over(name: str, where: str) -> str:
    return f"taking over {name}: nothing was heard from {where}"


def taken_over(name: str) -> str:
    return f"{name}: another worker has taken this trial over, so it was ended here"


def weights_are_gone(name: str, parent: object) -> str:
    return f"note: {name} starts from the beginning: the last weights of {parent} are gone"


def found_running(name: str) -> str:
    return f"{name} is still running, started by an earlier worker; waiting for it"


def run_by_earlier_copy(name: str) -> str:
    return f"{name} is run by an earlier copy of this job; waiting for it"


def in_doubt(name: str, why: str | None) -> str:
    return f"{name} is {why}; waiting to see if it still runs"


def ranking_by(metric: str, direction: str) -> str:
    return f"ranking by {metric} ({direction})"  # `search.json` keeps it


def not_ranked(names: Sequence[str], search: object) -> str:
    """Return the note on metrics whose names do not say which way they are better."""
    return (
        f"note: the trials are not ranked: {objective.question(names)}\n"
        f"  To rank: modeldir search {quoted(str(search))} {objective.answers(names[0])}"
    )


def metrics_from(origin: str, metric: str, steps: int) -> str:
    """Return the line that says which file metrics are taken from; `steps` may be 1 or more."""
    what = f"{metric} by step" if metric and steps > 1 else metric or "no metric to rank by"
    return f"metrics: {origin}, {what}"


def proposed_metrics(title: str, line: str, command: str) -> str:
    return (
        f"note: no metrics were found, but {title} has printed: {line}\n"
        f"  To read such lines, also those of trials that have ended: {command}"
    )


def no_steps(script: str, metric: str, pruner: str) -> str:
    return (
        f"warning: {pruner} cannot stop trials early, because {script} shows {metric} only at its "
        "end.\n"
        "  Early stopping compares trials at the same step. Write or print the metric at each "
        "epoch,\n"
        "  for example with --metrics 'epoch {step}: " + metric + "={" + metric + "}'"
    )


def asked_to_stop(by: str) -> str:
    return f"`modeldir stop` asked this worker to stop ({by})."


def waiting_for_running(names: Sequence[str]) -> str:
    them = "it" if len(names) == 1 else "them"
    return (
        f"Stopping: no new trials start; waiting for {', '.join(names)} to finish.\n"
        f"  Press Ctrl-C again to interrupt {them} now; the next search runs {them} again."
    )


def ending(names: Sequence[str]) -> str:
    them = "it" if len(names) == 1 else "them"
    return f"Interrupting {', '.join(names)}; the next search runs {them} again."


def killing(names: Sequence[str]) -> str:
    return f"Killing {', '.join(names)}."


def written_beside(names: Sequence[str], folder: object) -> str:
    """Return the note on files that the first trial wrote in the working folder."""
    return (
        f"note: the first trial wrote {first_of(names, _SHOWN)} in {folder}, where other trials "
        f"may overwrite {'it' if len(names) == 1 else 'them'}.\n"
        "  To keep each trial's own, write into the trial's folder, e.g. --out {model_dir}\n"
        "  Or let each trial run in its own folder: --run-in-trial"
    )


def overwritten(names: Sequence[str], folder: object) -> str:
    """Return the warning that two trials have written the same files."""
    shown = first_of(names, _SHOWN)
    return f"warning: two trials wrote {shown} in {folder}: results overwrite each other"
