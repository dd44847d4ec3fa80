"""Read metrics from trials that have ended, by patterns of `--metrics` that are new.

`Search.prepare` calls `collect_again` before it reads any status. No trial runs again for it:
`console.log` and the files of a trial are still there. The rules: metrics that a script logged
itself stay, and what an earlier pattern found stays if the new one finds nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modeldir.errors import MetricsError
from modeldir.experiment import attempts, experiment, failure_classes
from modeldir.metrics import metric_files, objective
from modeldir.metrics.collector import collector_for
from modeldir.metrics.objective import Ranked

_FILES = (metric_files.METRICS_LINES, metric_files.EVAL_LAST, metric_files.EVAL_BEST)
_TEMPORARY = ".tmp-metrics"


def collect_again(
    folder: Path, patterns: Sequence[str], ranked: Ranked | None, *, typed: bool
) -> list[str]:
    """Collect the metrics of all trials in a search's folder whose patterns were others.

    Patterns that were not `typed` come from `modeldir.toml` and are rarely new: if the first trial
    has them, the others are not looked at.

    Returns:
        Lines that say how many there were.
    """
    wanted = objective.to_json(patterns)
    found, without = 0, 0
    for trial in _trials(folder):
        last = attempts.latest(trial)
        is_known = last is None or last.record.get("metrics") == wanted
        if is_known and not typed:
            break
        if last is None or is_known or not _may_be_read(trial, last):
            continue
        with contextlib.suppress(OSError, MetricsError):
            if _collect(trial, last, patterns, ranked):
                found += 1
            else:
                without += 1
    news = []
    if found:
        trials = "1 trial" if found == 1 else f"{found} trials"
        news.append(f"metrics: read from {trials} that had ended")
    if without:
        trials = "1 trial" if without == 1 else f"{without} trials"
        news.append(f"note: {trials} that had ended printed or left nothing like --metrics")
    return news


def _trials(folder: Path) -> Iterator[Path]:
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = sorted(os.listdir(folder))
    for name in names:
        if (folder / name / "trial.json").exists():
            yield folder / name


def _may_be_read(trial: Path, last: attempts.Attempt) -> bool:
    """Whether an attempt has ended and has no metrics of its script's own."""
    is_over = last.end in attempts.WITH_METRICS or last.end == attempts.FAILED
    has_own = experiment.has_metrics(trial) and not last.record.get("metrics_from")
    return is_over and not has_own


def _collect(
    trial: Path, last: attempts.Attempt, patterns: Sequence[str], ranked: Ranked | None
) -> bool:
    """Collect one trial's metrics beside the old ones, then replace those; whether any are there.

    The run file's `metrics` are written last: if this is killed, the next command does it again.
    Its `metrics_from` is written first, or the next command would take new files for the script's.
    """
    beside = trial / _TEMPORARY
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        console = trial / attempts.console_file()
        collector = collector_for(trial, console, 0, patterns, ranked, is_live=False, into=beside)
        has_found = collector.finish()
        changes: dict[str, Any] = {"metrics": objective.to_json(patterns)}
        if has_found:
            last = attempts.rewrite(last, {"metrics_from": collector.origin}, durable=True)
            for name in _FILES:
                if (beside / name).exists():
                    os.replace(beside / name, trial / name)
                else:
                    (trial / name).unlink(missing_ok=True)
            changes |= _judged_again(trial, last, ranked)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    attempts.rewrite(last, changes, durable=True)
    return has_found


def _judged_again(trial: Path, last: attempts.Attempt, ranked: Ranked | None) -> dict[str, Any]:
    """Return what changes in the end of an attempt that failed only because it had no metrics."""
    is_lacking = last.record.get("failure") == failure_classes.MISSING_METRIC
    if last.end != attempts.FAILED or not is_lacking or last.record.get("exit_code") != 0:
        return {}
    values = experiment.scores(trial).validation
    failure = failure_classes.metric_failure(ranked[0], values) if ranked else None
    if failure is None:
        words = dict.fromkeys(("failure", "reason", "last_line"))
        return {"status": attempts.COMPLETED, **words}
    kind, reason = failure[0], failure[1]
    return {"failure": kind, "reason": reason, "last_line": reason}
