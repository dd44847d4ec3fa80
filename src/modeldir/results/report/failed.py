"""What failed, by what it has in common, with the last lines that it printed.

Trials that failed alike are one line with a count; a few of them show their last lines. It refuses
to judge: the class of a failure is what its record says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import files
from modeldir.experiment import attempts, failures
from modeldir.logs.screen import rendered
from modeldir.results.report import cells

if TYPE_CHECKING:
    from modeldir.results.report.cells import Json
    from modeldir.results.synthesize import Found

SHOWN = 3
"""Of those that failed alike, so many show their last lines."""
MOST = 60
"""Logs that go into one page."""
LINES, BYTES, WIDEST = 20, 6000, 240
_LOGS = ("console.log", "train.log")


def failed(found: Sequence[Found]) -> list[Json]:
    """Groups of what failed alike, the largest first: class, words, and the places of its trials;
    `tails` are last lines by place.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, each in enumerate(found):
        if each.status.state == attempts.FAILED:
            groups.setdefault(_alike(each), []).append(place)
    left, told = MOST, []
    for (kind, _), places in sorted(groups.items(), key=lambda item: -len(item[1])):
        shown = places[: min(SHOWN, left)]
        tails = {str(place): tail for place in shown if (tail := last_lines(found[place].path))}
        left -= len(tails)
        first = found[places[0]].status
        words = first.last_line or first.reason or "it left no words"
        told.append({"class": kind, "words": cells.short(words), "of": places, "tails": tails})
    return told


def _alike(found: Found) -> tuple[str, str]:
    status = found.status
    words = status.last_line or status.reason or ""
    return status.failure or failures.ERROR, failures.masked(words[:2000], found.path.name)


def last_lines(folder: Path) -> list[str]:
    """The last lines of a log, as a terminal would have left them."""
    for name in _LOGS:
        data = files.tail(folder / name, BYTES)
        if data.strip():
            lines = rendered(data.decode("utf-8", "replace").rstrip())
            if len(data) == BYTES:  # the first is a part of one
                lines = lines[1:] or lines
            return [cells.short(line, WIDEST) for line in lines[-LINES:]]
    return []


def words(found: Sequence[Found]) -> Mapping[str, Json]:
    """Why each ended otherwise than well, a text once."""
    told = [
        None if each.status.state in {attempts.COMPLETED, attempts.UNRECORDED, attempts.WAITING}
        else each.status.last_line or each.status.reason
        for each in found
    ]  # fmt: skip
    return cells.coded(told)
