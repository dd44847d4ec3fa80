"""The messages that a worker prints, one function or constant each.

`worker.py` and its neighbors send them through `worker_log.py`. The lines about the end of a trial:
`monitor/snapshots.py`; the summary of a search: `monitor/summary.py`.
"""

from __future__ import annotations

from modeldir._system.durations import duration_text

TIME_LIMIT_REACHED = "the time limit is over: no more trials are started"
JOB_TIME_IS_UP = "the time of this job is nearly over"
NOTHING_RECORDED = "nothing was recorded: its folder was removed, or cannot be written"
FIX_FIRST = "\n  fix it, then run the command again; to continue without a fix, just run it again"


def still_running(count: int) -> str:
    """Return the line after a reason to start no more; the start of one may be printed later."""
    trials = "1 trial is" if count == 1 else f"{count} trials are"
    return f"\n  {trials} still running and will finish"


def cannot_write(search: object, why: str | None) -> str:
    return (
        f"{search}: {why}: no more trials are made\n"
        "  finished trials are kept; once the folder can be written, run the command again"
    )


def target_reached(metric: str, value: float, target: float | None) -> str:
    return f"{metric} {value:.6g} has reached {target:g}: no more trials are started"


def too_many_failures(count: int) -> str:
    trials = "1 trial has" if count == 1 else f"{count} trials have"
    return f"{trials} failed: no more are started"


def same_error(count: int, line: str) -> str:
    return f"stopped: the first {count} trials failed with the same error: {line}"


def not_recorded(name: str, why: str) -> str:
    return f"{name} was not started: it could not be recorded: {why}"


def stuck(name: str, why: str) -> str:
    return (
        f"warning: {name} has ended, but its end cannot be recorded: {why}\n"
        "  modeldir tries again each second, for an hour"
    )


def left_stuck(name: str, pid: int) -> str:
    return (
        f"{name} has ended, but its end is not recorded yet: process {pid} keeps trying.\n"
        "  Once its disk can be written, run the command again."
    )


def long_trial(name: str, seconds: float) -> str:
    return (
        f"note: {name} took {duration_text(seconds)}; an interrupted trial would start from its "
        "beginning\n"
        "  if the script can resume from its weights, add: --resume '--restore_file last'"
    )


def taking_over(name: str, where: str) -> str:
    return f"taking over {name}: nothing was heard of {where}"


def taken_over(name: str) -> str:
    return f"{name}: another worker has taken it over; ended here"


def weights_are_gone(name: str, parent: object) -> str:
    return f"note: {name} begins afresh: the last weights of {parent} are gone"


def found_running(name: str) -> str:
    return f"found {name} running: waiting for it"


def run_by_earlier_copy(name: str) -> str:
    return f"{name} is run by an earlier copy of this job: waiting"


def in_doubt(name: str, why: str | None) -> str:
    return f"{name} is {why}: waiting to see if it still runs"


def ranking_by(metric: str, direction: str) -> str:
    return f"ranking by {metric} ({direction})"


def asked_to_stop(by: str) -> str:
    return f"asked to stop by `modeldir stop` ({by})"


def waiting_for_running(names: str) -> str:
    return (
        f"no new trials; waiting for {names}\n"
        "  Ctrl-C ends them (they run again next time), another kills them"
    )


def ending(names: str) -> str:
    return f"ending {names}; the same command will run them again"


def killing(names: str) -> str:
    return f"killing {names}"
