"""Find printed lines that look like metrics, and the pattern of `--metrics` that reads them.

`worker/metric_reports.py` asks when a search's first trial has left no metrics, and
`monitor/summary.py` when a search ends without any. The rule: a pattern is proposed only if it
really reads the line. How patterns match: `printed_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from modeldir._system import reading
from modeldir._system.escape_sequences import without_escapes
from modeldir.errors import MetricsError
from modeldir.metrics import metric_names, printed_lines
from modeldir.metrics.metric_files import NUMBER

_LONGEST_LINE, _MOST_LINES = 500, 5000
_TAIL = 1 << 18
"""Bytes at the end of an output in which lines with metrics are looked for."""
_VALUE = re.compile(rf"(?<![\w.])(?:{NUMBER})(?![0-9_]|\.[0-9])")
_SECONDS = re.compile(r"m?s\b|sec")
_LABEL = re.compile(r"([A-Za-z][\w/@.-]*(?: [A-Za-z][\w/@.-]*)?)['\"]?[\s:=(]*[\[(]?\s*$")
_STEP = re.compile(r"(?i)\b(epochs?|steps?|iter(?:ation)?s?|ep|round)['\"]?[\s:=#]*[\[(]?\s*$")


class Proposal(NamedTuple):
    """A printed line, and the pattern that reads it."""

    line: str
    pattern: str


class _Number(NamedTuple):
    """A number in a line: where it is, and what stands for it in a pattern; empty for itself."""

    start: int
    end: int
    name: str
    is_metric: bool


def propose_for(output: Path) -> Proposal | None:
    """Return the pattern for a file with everything that a trial has printed."""
    return propose(reading.tail(output, _TAIL))


def propose(output: bytes) -> Proposal | None:
    r"""Return the pattern for the lines that most likely have the metrics of steps.

    >>> propose(b"begin\nepoch 1: loss=0.5\nepoch 2: loss=0.25\n")
    Proposal(line='epoch 2: loss=0.25', pattern='epoch {step}: loss={loss}')
    """
    groups: dict[str, list[str]] = {}
    for line in _lines(output):
        groups.setdefault(_VALUE.sub("#", line), []).append(line)
    found = [each for each in map(_of_group, groups.values()) if each is not None]
    return max(found, key=lambda each: each[0])[1] if found else None


def _lines(output: bytes) -> list[str]:
    text = without_escapes(output.decode("utf-8", "replace"))
    lines = [line.rpartition("\r")[2].strip() for line in text.split("\n")[-_MOST_LINES:]]
    return [line for line in lines if line and len(line) <= _LONGEST_LINE]


_UNKNOWN = "?"

_Worth = tuple[bool, bool, int]


def _of_group(lines: Sequence[str]) -> tuple[_Worth, Proposal] | None:
    """Return the proposal for lines that differ only in their numbers, with its worth."""
    line = lines[-1]
    columns = [[match[0] for match in _VALUE.finditer(each)] for each in lines]
    varies = [len(set(each)) > 1 or len(lines) == 1 for each in zip(*columns, strict=True)]
    numbers = _numbers(line, varies)
    wanted = [each for each in numbers if each.is_metric or each.name == "step"]
    if not any(each.is_metric for each in wanted):
        return None
    used = _between(numbers, wanted)
    if any(each.name == _UNKNOWN for each in used):  # then the step is too far from the metrics
        wanted = [each for each in wanted if each.is_metric]
        used = _between(numbers, wanted)
    pattern = _pattern(line, used)
    names = [each.name for each in used]
    if _UNKNOWN in names or len(set(names)) < len(names):
        return None
    try:
        read = printed_lines.parse_line(printed_lines.compile_patterns([pattern]), line)
    except MetricsError:
        return None
    if read.keys() != set(names):
        return None
    metrics = [each.name for each in wanted if each.is_metric]
    worth = ("step" in names, any(map(metric_names.is_of_validation, metrics)), len(lines))
    return worth, Proposal(line, pattern)


def _between(numbers: Sequence[_Number], wanted: Sequence[_Number]) -> list[_Number]:
    first, last = wanted[0].start, wanted[-1].start
    return [each for each in numbers if first <= each.start <= last and each.name]


def _numbers(line: str, varies: Sequence[bool]) -> list[_Number]:
    found: list[_Number] = []
    has_step = False
    for match, does_vary in zip(_VALUE.finditer(line), varies, strict=True):
        before = line[: match.start()]
        label = _LABEL.search(before)
        name = _name(label[1]) if label else ""
        if _STEP.search(before) and not has_step and match[0].replace(".", "", 1).isdigit():
            found.append(_Number(*match.span(), "step", is_metric=False))
            has_step = True
        elif name and metric_names.direction(name) and "best" not in name.lower():
            found.append(_Number(*match.span(), name, is_metric=True))
        elif does_vary and not before.rstrip().endswith("/"):  # "of 10" is the same in each line
            unit = "seconds" if _SECONDS.match(line, match.end()) else _UNKNOWN
            found.append(_Number(*match.span(), name or unit, is_metric=False))
        else:
            found.append(_Number(*match.span(), "", is_metric=False))
    return found


def _name(label: str) -> str:
    """Return the name of a metric for the words before its number: `val_loss` for `val loss`."""
    words = label.split()
    if len(words) > 1 and not metric_names.is_of_validation(words[0]):
        is_split = metric_names.is_of_training(words[0]) or metric_names.is_of_test(words[0])
        words = words if is_split else words[1:]
    return "_".join(words).strip(".-")


def _pattern(line: str, used: Sequence[_Number]) -> str:
    """Return the line from its first to its last used number, with names in their places."""
    begin = used[0].start
    label = re.search(r"[^\s,;|\[({]+[\s:=#'\"\[(]*$", line[:begin])
    start = label.start() if label else begin
    if re.match(r"[:=#]", line[start:begin]):  # the sign alone: take the word before it, too
        start = line.rfind(" ", 0, max(start - 1, 0)) + 1
    pieces = []
    for each in used:
        pieces += [line[start : each.start], f"{{{each.name}}}"]
        start = each.end
    return "".join(pieces)
