"""A metric at one moment of a run: `accuracy@best`, `loss@last`, `accuracy@epoch=10`.

`synthesize` calls `parse` for such columns. The rule: a value comes from the metric file of the
best or the last weights, or else from the recorded steps. It is never interpolated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldir._system import reading
from modeldir.errors import ModeldirError
from modeldir.experiment.experiment import Scores
from modeldir.metrics import metric_files, objective

_MOMENT = re.compile(r"(?P<metric>.+)@(?P<word>[A-Za-z_]+)(?:=(?P<number>-?[0-9]+))?")
_AT = ("epoch", "step")


@dataclass(frozen=True)
class Moment:
    metric: str
    word: str
    number: int | None = None

    @property
    def header(self) -> str:
        return f"{self.metric}@{self.word}" + ("" if self.number is None else f"={self.number}")

    def value(
        self, folder: Path, scores: Scores, direction: objective.Direction | None
    ) -> float | None:
        """Return the metric at the moment, None if no file contains it."""
        if self.word == "best" and self.metric in scores.best:
            return scores.best[self.metric]
        if self.word == "last" and self.metric in scores.last:
            return scores.last[self.metric]
        steps = [*_values(folder, self.metric)]
        if self.word in _AT:
            # A training run that was resumed records a step again. The last record counts.
            recorded = [value for at, value in steps if at.get(self.word) == self.number]
            return recorded[-1] if recorded else None
        values = [value for _, value in steps]
        if self.word == "last" or not values:
            return values[-1] if values else None
        known = [value for value in values if not math.isnan(value)]
        if direction is None or not known:
            return None
        return max(known) if direction == "maximize" else min(known)


def _values(folder: Path, metric: str) -> Iterator[tuple[Mapping[str, object], float]]:
    for line in reading.lines(folder / metric_files.METRICS_LINES):
        value = metric_files.validation_value(dict(metric_files.numbers_in(line)), metric)
        if value is not None:
            yield line, value


def step_of(folder: Path, metrics: Mapping[str, float], *, last: bool = False) -> int | None:
    """Return the first (or last) step at which a run had these validation metrics.

    None if no such step is recorded.
    """
    found: int | None = None
    for line in reading.lines(folder / metric_files.METRICS_LINES):
        step = line.get("step")
        values = metric_files.validation_metrics(dict(metric_files.numbers_in(line)))
        if not isinstance(step, int) or isinstance(step, bool):
            continue
        if metrics and all(values.get(name) == value for name, value in metrics.items()):
            found = step if found is None else max(found, step) if last else min(found, step)
    return found


def parse(text: str) -> Moment | None:
    """Return the moment that a column's name means; None for other names."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    word, number = found["word"], found["number"]
    if word in {"best", "last"} and number is None:
        return Moment(found["metric"], word)
    if word in _AT and number is not None:
        return Moment(found["metric"], word, int(number))
    hint = f"there are: {found['metric']}@best, @last, @epoch=10, @step=500"
    raise ModeldirError("The table cannot be made:", [(f"no moment {text!r}", hint)], "")
