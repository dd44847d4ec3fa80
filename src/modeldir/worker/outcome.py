"""How an attempt ended, by all that is known of it.

It knows the order in which evidence counts: first the intent (why we stopped it ourselves), then
what the script told through `Run`, then how the command died and what it left. It refuses to stop,
start or write anything but the metrics that a script only printed.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.errors import MetricsError, did_you_mean
from modeldir.experiment import attempts, failures
from modeldir.metrics import metrics, printed_lines

_TAIL = 65536
_POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals by which somebody ends a process that did nothing wrong."""
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
"""Signals that a library gets from its own doing: also from what it makes of a fork."""
_SAID = ("status", "reason", "failure", "last_line")
"""What a script's own word on its end may say in the run file."""
_OF_PARAMS = ("never_read", "did_you_mean", "changed", "values", "left_out")
"""What a script tells of its hyperparameters, in the order of the run file."""

FileState = tuple[int, int, int]
_Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt whose command has ended.

    `token` is the attempt's. `code` is the exit code, negative for a signal. `script` is empty for
    the training. `metric` is (name, direction) where the attempt needs one to count as completed;
    `stale` are the metric files that lay there before it began, by name; `read` is a pattern that
    finds metrics in printed lines. The first `printed_before` bytes of `console` are an earlier
    attempt's, which this one goes on from. `is_unproven`: it began as a fork, and no such trial had
    ended well before.
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
    stale: Mapping[str, FileState] | None = None
    read: str | None = None
    inherits: bool = False
    is_unproven: bool = False


def verdict(evidence: Evidence) -> dict[str, Any]:
    """The end as the run file records it: status, exit code, signal, failure, reason, last line."""
    code = evidence.code
    events = attempts.events(evidence.folder, evidence.number)
    facts = {
        "exit_code": code if code >= 0 else None,
        "signal": _signal_name(-code) if code < 0 else None,
    }
    return {**facts, **_judged(evidence, events), **_hyperparameters(evidence, events)}


def _judged(evidence: Evidence, events: _Events) -> dict[str, Any]:
    if evidence.intent is not None:
        return _by_intent(evidence.intent)
    told = _told(evidence, events)
    if told.get("status") == attempts.PRUNED:  # whatever came of what stands behind the training
        return {key: value for key, value in told.items() if key in _SAID}
    if evidence.code == 0:
        return _ended_well(evidence, told)
    if -evidence.code in _POLITE or told.get("status") == attempts.INTERRUPTED:
        return {"status": attempts.INTERRUPTED, "reason": _died(evidence.code)}
    return _ended_badly(evidence)


def _by_intent(intent: Mapping[str, Any]) -> dict[str, Any]:
    if intent["intent"] == failures.TIME_LIMIT:
        return _failed(failures.TIME_LIMIT, intent["reason"])
    status = attempts.PRUNED if intent["intent"] == attempts.PRUNED else attempts.INTERRUPTED
    return {"status": status, "reason": str(intent["reason"])}


def _told(evidence: Evidence, events: _Events) -> dict[str, Any]:
    """What the training itself said of its end, through `Run`. Other scripts are not asked: the
    attempts of which the events speak are the training's.
    """
    if evidence.script:
        return {}
    return next((event for event in reversed(events) if event.get("event") == "end"), {})


def _hyperparameters(evidence: Evidence, all_events: _Events) -> dict[str, Any]:
    """What the script told of its hyperparameters, for the run file. Known by the attempt's token:
    an attempt of `evaluate.py` has numbers of its own. What any of its processes has read was read.
    """
    events = [event for event in all_events if event.get("token") == evidence.token]
    told = [event for event in events if event.get("event") == "params"]
    if not told:
        return {}
    at_the_end = [event for event in told if "never_read" in event]
    last = (at_the_end or told)[-1]
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
    line = failures.last_line(_printed(evidence))
    if evidence.is_unproven and (-evidence.code in _CRASHES or failures.is_fork_error(line)):
        reason = f"{_died(evidence.code)} as the first that was forked: it runs again, cold"
        return {
            "status": attempts.INTERRUPTED,
            "reason": reason,
            "last_line": line or reason,
            failures.FORK_FAILED: True,
        }
    killed = evidence.code == -signal.SIGKILL
    failure = failures.KILLED if killed else failures.failure_class(line)
    return _failed(failure, _died(evidence.code), line)


def _printed(evidence: Evidence) -> bytes:
    """The last of what the attempt itself printed."""
    with contextlib.suppress(OSError):
        size = os.path.getsize(evidence.console) - evidence.printed_before
        return files.tail(evidence.console, min(_TAIL, max(size, 0)))
    return b""


def _ended_well(evidence: Evidence, told: Mapping[str, Any]) -> dict[str, Any]:
    """Exit 0; where a metric is needed it must be there, be fresh, and be a number.

    A script may have caught what ended its `Run`: then that counts, as it does without us.
    """
    if told.get("status") in (attempts.FAILED, attempts.INTERRUPTED):
        return {key: value for key, value in told.items() if key in _SAID}
    if evidence.inherits and not _has_trained(evidence):
        return {"status": attempts.COMPLETED, "reason": "nothing was left to train"}
    if evidence.read is not None and not _keep_printed(evidence, evidence.read):
        reason = f"it ended well but printed no line like {evidence.read!r}"
        return _failed(failures.NO_METRIC, reason)
    fresh = _fresh_metrics(evidence.folder, evidence.stale or {})
    name = evidence.metric[0] if evidence.metric else _likely_to_rank(evidence, fresh)
    if name is None:
        return {"status": attempts.COMPLETED}
    value = fresh.get(name)
    if value is None:
        found = ", ".join(sorted(fresh)) or "none"
        reason = f"it ended well but wrote no {name!r}; metrics found: {found}"
        meant = did_you_mean(name, sorted(fresh))
        reason += f"; {meant}" if meant else ""
        return _failed(failures.NO_METRIC, reason)
    if math.isnan(value):
        return _failed(failures.NAN, f"{name} is NaN")
    return {"status": attempts.COMPLETED}


def _has_trained(evidence: Evidence) -> bool:
    """Whether who began with another's weights added anything: there may be nothing left."""
    if evidence.read is not None and _keep_printed(evidence, evidence.read):
        return True
    return bool(_fresh_metrics(evidence.folder, evidence.stale or {}))


def _likely_to_rank(evidence: Evidence, found: Mapping[str, float]) -> str | None:
    """What a search that has not chosen yet will choose, of a trial's metrics: that it is no number
    is a failure of the first trials too.
    """
    if not found or evidence.script or not (evidence.folder / "trial.json").exists():
        return None
    chosen = metrics.choose(list(found))
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


def _keep_printed(evidence: Evidence, read: str) -> bool:
    """Take metrics from printed lines, for scripts that only print: the last of each counts.

    False if no line shows any.
    """
    pattern = printed_lines.compile_pattern(read)
    found: dict[str, float] = {}
    for piece in files.printed_pieces(evidence.console):
        for line in piece.decode("utf-8", "replace").splitlines():
            found.update(printed_lines.parse_line(pattern, line))
    if found:
        with contextlib.suppress(MetricsError):  # a full disk: then it is a metric that is missing
            metrics.save_metrics(found, evidence.folder / metrics.EVAL_LAST)
    return bool(found)


def metric_files(folder: Path) -> dict[str, FileState]:
    """The metric files in a folder, each with what changes when it is written."""
    noted = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if metrics.classify(entry.name) is not None:
                with contextlib.suppress(OSError):  # a link to nowhere holds no metrics
                    status = entry.stat()
                    noted[entry.name] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return noted


def _fresh_metrics(folder: Path, stale: Mapping[str, FileState]) -> dict[str, float]:
    """The development metrics in files that are new or changed since the attempt began."""
    found: dict[str, float] = {}
    for name, state in metric_files(folder).items():
        kind = metrics.classify(name)
        if kind is not None and kind.split == "eval" and stale.get(name) != state:
            with contextlib.suppress(MetricsError):
                values = metrics.read_metrics(os.path.join(folder, name))
                found = {**found, **values} if kind.which == "best" else {**values, **found}
    return found
