"""Decide how an attempt ended: completed, pruned, failed or interrupted.

`supervisor.py` calls `determine` once, when the command has ended, and writes the answer into the
run file. Evidence counts in this order: first the intent (modeldir itself stopped the command, and
recorded why), then what the script reported through `Run`, then how the command ended and what it
left. Nothing here stops or starts anything; the only file written holds metrics that a script has
printed or left in files. Which errors count as the same: `experiment/failure_classes.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import reading
from modeldir._system.file_stamps import Stamp, stamp
from modeldir.errors import MetricsError
from modeldir.experiment import attempts, error_lines, failure_classes
from modeldir.metrics import metric_files, objective

if TYPE_CHECKING:
    from modeldir.metrics.collector import Collector
    from modeldir.metrics.file_watch import FileWatch

_TAIL = 65536
_POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals by which somebody ends a process that did nothing wrong."""
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
"""Signals that a crash in a library causes, also in one that does not survive a fork."""
_REPORTED = ("status", "reason", "failure", "last_line")
"""The keys of a script's own report on its end that the run file takes over."""
_OF_PARAMS = ("never_read", "did_you_mean", "changed", "values", "left_out")
"""The keys of a script's report on its hyperparameters, in the order of the run file."""

PASSING = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EROFS,
})  # fmt: skip
"""Errors of a disk that may pass: it is full, has a fault, or is read-only for now."""

_Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Evidence:
    """The facts about an attempt whose command has ended.

    Attributes:
        token: the attempt's own.
        code: the exit code, or the negative number of the signal that killed it.
        script: empty for the training script.
        printed_before: the first bytes of `console`, printed by an earlier attempt that this one
            resumed.
        intent: why modeldir stopped the command, if it did.
        metric: (name, direction) if the attempt needs a metric to count as completed.
        stale: the metric files that were there before it began, by name.
        collector: collects metrics that the script does not log itself.
        inherits: it resumed from another trial's weights.
        is_unproven: it began as a fork, and no such trial had ended well before.
    """

    folder: Path
    number: int
    token: str
    console: str | os.PathLike[str]
    code: int
    script: str = ""
    printed_before: int = 0
    intent: Mapping[str, Any] | None = None
    metric: tuple[str, str] | None = None
    stale: Mapping[str, Stamp] | None = None
    collector: Collector | FileWatch | None = None
    inherits: bool = False
    is_unproven: bool = False


def determine(evidence: Evidence) -> dict[str, Any]:
    """Return the end as the run file records it: status, exit code, signal, failure and so on.

    Raises:
        OSError: the disk failed, so that nothing can be concluded yet.
    """
    if evidence.collector is not None:
        evidence.collector.finish()  # however it ended: a pruned trial keeps its metrics, too
    code = evidence.code
    events = attempts.events(evidence.folder, evidence.number)
    facts = {
        "exit_code": code if code >= 0 else None,
        "signal": _signal_name(-code) if code < 0 else None,
    }
    return {
        **facts,
        **_judged(evidence, events),
        **_hyperparameters(evidence, events),
        **_origin(evidence),
    }


def _origin(evidence: Evidence) -> dict[str, Any]:
    """Return where the metrics were collected from, for the run file."""
    collector = evidence.collector
    if collector is None or not collector.origin:
        return {}
    return {"metrics_from": collector.origin}


def _judged(evidence: Evidence, events: _Events) -> dict[str, Any]:
    if evidence.intent is not None:
        return _by_intent(evidence.intent)
    report = _own_report(evidence, events)
    if report.get("status") == attempts.PRUNED:  # however the code after the training run ended
        return {key: value for key, value in report.items() if key in _REPORTED}
    if evidence.code == 0:
        return _ended_well(evidence, report)
    if -evidence.code in _POLITE or report.get("status") == attempts.INTERRUPTED:
        return {"status": attempts.INTERRUPTED, "reason": _died(evidence.code)}
    return _ended_badly(evidence)


def _by_intent(intent: Mapping[str, Any]) -> dict[str, Any]:
    if intent["intent"] == failure_classes.TIME_LIMIT:
        return _failed(failure_classes.TIME_LIMIT, intent["reason"])
    status = attempts.PRUNED if intent["intent"] == attempts.PRUNED else attempts.INTERRUPTED
    return {"status": status, "reason": str(intent["reason"])}


def _own_report(evidence: Evidence, events: _Events) -> dict[str, Any]:
    """Return the training script's own report on its end, made through `Run`.

    Other scripts have none: the events of the folder belong to the training script's attempts.
    """
    if evidence.script:
        return {}
    return next((event for event in reversed(events) if event.get("event") == "end"), {})


def _hyperparameters(evidence: Evidence, all_events: _Events) -> dict[str, Any]:
    """Return the script's reports on its hyperparameters, for the run file.

    They are found by the attempt's token, since attempts of `evaluate.py` are counted separately. A
    name counts as read if any process of the script has read it.
    """
    events = [event for event in all_events if event.get("token") == evidence.token]
    reports = [event for event in events if event.get("event") == "params"]
    if not reports:
        return {}
    at_the_end = [event for event in reports if "never_read" in event]
    last = (at_the_end or reports)[-1]
    facts = {key: last[key] for key in _OF_PARAMS if key in last}
    read = {name for event in events for name in event.get("names", ())}
    if at_the_end:
        facts["never_read"] = [name for name in last["never_read"] if name not in read]
    if near := {name: to for name, to in facts.get("did_you_mean", {}).items() if name not in read}:
        facts["did_you_mean"] = near
    else:
        facts.pop("did_you_mean", None)
    return {"params": facts}


def _ended_badly(evidence: Evidence) -> dict[str, Any]:
    line = error_lines.error_line(_printed(evidence))
    if evidence.is_unproven and (-evidence.code in _CRASHES or failure_classes.is_fork_error(line)):
        reason = (
            f"{_died(evidence.code)} as the first that was forked: it runs again without preloading"
        )
        return {
            "status": attempts.INTERRUPTED,
            "reason": reason,
            "last_line": line or reason,
            failure_classes.FORK_FAILED: True,
        }
    killed = evidence.code == -signal.SIGKILL
    failure = failure_classes.KILLED if killed else failure_classes.failure_class(line)
    return _failed(failure, _died(evidence.code), line)


def _printed(evidence: Evidence) -> bytes:
    """Return the last output of this attempt itself."""
    with contextlib.suppress(OSError):
        size = os.path.getsize(evidence.console) - evidence.printed_before
        return reading.tail(evidence.console, min(_TAIL, max(size, 0)))
    return b""


def _ended_well(evidence: Evidence, report: Mapping[str, Any]) -> dict[str, Any]:
    """Judge exit code 0. A metric that is needed must be there, be fresh, and be a number.

    A script may have caught the exception that ended its `Run`: then the report of `Run` counts.
    """
    if report.get("status") in (attempts.FAILED, attempts.INTERRUPTED):
        return {key: value for key, value in report.items() if key in _REPORTED}
    if evidence.inherits and not _has_trained(evidence):
        return {"status": attempts.COMPLETED, "reason": "nothing was left to train"}
    needs_metric = evidence.metric is not None or (evidence.folder / "trial.json").exists()
    collector = evidence.collector
    if collector is not None and collector.missing and needs_metric and not collector.has_found:
        return _failed(failure_classes.MISSING_METRIC, collector.missing)
    fresh = _fresh_metrics(evidence.folder, evidence.stale or {})
    name = evidence.metric[0] if evidence.metric else _likely_to_rank(evidence, fresh)
    if name is None:
        return {"status": attempts.COMPLETED}
    failure = failure_classes.metric_failure(name, fresh)
    return {"status": attempts.COMPLETED} if failure is None else _failed(*failure)


def _has_trained(evidence: Evidence) -> bool:
    """Whether a trial that began with another's weights trained at all: it may have been done."""
    if evidence.collector is not None and evidence.collector.has_found:
        return True
    return bool(_fresh_metrics(evidence.folder, evidence.stale or {}))


def _likely_to_rank(evidence: Evidence, found: Mapping[str, float]) -> str | None:
    """Return the metric that a search without a metric will choose from this trial's.

    If that metric is NaN, the first trials fail too.
    """
    if not found or evidence.script or not (evidence.folder / "trial.json").exists():
        return None
    chosen = objective.choose(list(found))
    return chosen[0] if chosen else None


def _failed(failure: str, reason: str, line: str | None = None) -> dict[str, Any]:
    return {
        "status": attempts.FAILED,
        "failure": failure,
        "reason": reason,
        "last_line": line or reason,
    }


def _died(code: int) -> str:
    return f"died by {_signal_name(-code)}" if code < 0 else f"exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        return f"signal {number}"


@contextlib.contextmanager
def _only_passing_errors() -> Iterator[None]:
    """Raise the error of a disk that may pass. A file that cannot be used counts as missing."""
    try:
        yield
    except MetricsError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in PASSING:
            raise error.__cause__ from None


def metric_file_stamps(folder: Path) -> dict[str, Stamp]:
    """Return the metric files in a folder, each with a stamp that changes when it is written."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder) if metric_files.classify(name) is not None]
    stamps = {name: stamp(os.path.join(folder, name)) for name in names}
    return {name: found for name, found in stamps.items() if found is not None}  # no broken links


def _fresh_metrics(folder: Path, stale: Mapping[str, Stamp]) -> dict[str, float]:
    """Return the validation metrics in files that are new or changed since the attempt began."""
    found: dict[str, float] = {}
    for name, state in metric_file_stamps(folder).items():
        kind = metric_files.classify(name)
        if kind is not None and kind.split == "eval" and stale.get(name) != state:
            with _only_passing_errors():
                values = metric_files.read_metrics(os.path.join(folder, name))
                found = {**found, **values} if kind.which == "best" else {**values, **found}
    return found
