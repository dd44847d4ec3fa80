"""Group the failed experiments by error, with the last lines that they printed.

`page_data` calls `failed` and `reasons`, and `modeldir show` calls `last_lines`. The class of an
error was recorded when the run ended: `experiment.failure_classes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import reading
from modeldir.experiment import attempts, failure_classes
from modeldir.logs.screen import rendered
from modeldir.results.report import encoding

if TYPE_CHECKING:
    from modeldir.results.experiments import ExperimentRow
    from modeldir.results.report.encoding import Json

LOGS_OF_GROUP, LOGS_OF_PAGE = 3, 60
"""How many logs are shown."""
_LINES, _BYTES, _LONGEST_LINE = 20, 6000, 240
_LOGS = ("console.log", "train.log")


def failed(found: Sequence[ExperimentRow]) -> list[Json]:
    """Return the groups of experiments that failed with the same error, the largest first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, each in enumerate(found):
        if each.status.state == attempts.FAILED:
            groups.setdefault(_error(each), []).append(index)
    logs_left, encoded = LOGS_OF_PAGE, []
    for (kind, _), indices in sorted(groups.items(), key=lambda item: -len(item[1])):
        shown = indices[: min(LOGS_OF_GROUP, logs_left)]
        tails = {str(index): tail for index in shown if (tail := last_lines(found[index].path))}
        logs_left -= len(tails)
        first = found[indices[0]].status
        words = first.last_line or first.reason or "it printed nothing"
        encoded.append(
            {"class": kind, "words": encoding.short(words), "of": indices, "tails": tails}
        )
    return encoded


def _error(found: ExperimentRow) -> tuple[str, str]:
    status = found.status
    words = status.last_line or status.reason or ""
    masked = failure_classes.masked(words[:2000], found.path.name)
    return status.failure or failure_classes.ERROR, masked


def last_lines(folder: Path) -> list[str]:
    """Return the last lines of an experiment's log as a terminal would show them."""
    for name in _LOGS:
        data = reading.tail(folder / name, _BYTES)
        if data.strip():
            lines = rendered(data.decode("utf-8", "replace").rstrip())
            if len(data) == _BYTES:  # the first line is incomplete
                lines = lines[1:] or lines
            return [encoding.short(line, _LONGEST_LINE) for line in lines[-_LINES:]]
    return []


def reasons(found: Sequence[ExperimentRow]) -> Mapping[str, Json]:
    no_reason = {attempts.COMPLETED, attempts.UNTRACKED, attempts.PENDING}
    return encoding.categories([
        None if each.status.state in no_reason else each.status.last_line or each.status.reason
        for each in found
    ])  # fmt: skip
