"""Write collected steps to `metrics.jsonl`, and the last and the best metrics to their files.

`collector` and its sources call `StepWriter.add` for each step and `write` after each look.
`Recorder` writes the same files for `run.log`. The rule: what a script logs itself wins, so nothing
more is written into a file that something else has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from modeldir._system import files, reading, timestamps
from modeldir._system.file_stamps import Stamp, size_of, stamp
from modeldir.errors import MetricsError
from modeldir.metrics import metric_files, metric_names, objective
from modeldir.metrics.objective import Ranked


class StepWriter:
    """Writes steps as `Recorder` does, but many at once and without a thread.

    Args:
        folder: the experiment's folder.
        ranked: the metric that decides what is best; by default the names seen so far do.
        resumes: whether the best and the last metrics of earlier attempts still count.
        chosen: whether a user has named the metrics. If not, learning rates, times and metrics of
            the training set stay out of the files of the last and the best metrics.
    """

    def __init__(
        self, folder: Path, ranked: Ranked | None, *, resumes: bool = False, chosen: bool = True
    ) -> None:
        self._lines = folder / metric_files.METRICS_LINES
        self._since = self._size = size_of(self._lines)
        self.is_alone = True
        self.is_full = False  # more lines would make a file that nobody reads
        self._summaries = (
            _Summary(folder / metric_files.EVAL_LAST),
            _Summary(folder / metric_files.EVAL_BEST),
        )
        self._requested, self._resumes, self._is_chosen = ranked, resumes, chosen
        self._begin()

    def _begin(self) -> None:
        self.ranked = self._requested
        self.steps = 0
        self._due: list[dict[str, Any]] = []
        self._step: float | None = None
        self._now: dict[str, float] = {}  # the metrics of the latest step
        self._names: dict[str, None] = {}
        self._likely: frozenset[str] = frozenset()
        self._last: dict[str, float] = {}
        self._best: dict[str, float] = {}
        self._best_step: float | None = None
        if self._resumes:
            with contextlib.suppress(MetricsError):
                paths = [each.path for each in self._summaries]
                self._last, self._best = map(metric_files.read_metrics, paths)
        if self._last and not self._is_chosen:
            known = self._best
            self._learn_names({**self._last, **known})
            self._best = self._only_likely(known)  # it was the best by the same rule

    def start_over(self) -> None:
        """Forget all steps that were added; lines of earlier attempts stay."""
        if self.is_alone and size_of(self._lines) == self._size > self._since:
            os.truncate(self._lines, self._since)
            self._size, self.is_full = self._since, False
        self._begin()

    def add(self, step: float, values: Mapping[str, float], now: float | None) -> None:
        """Note the values of a step, which `write` writes."""
        number = int(step) if step == int(step) else step
        stamped = {} if now is None else {"time": timestamps.utc_text(now)}
        self._due.append({"step": number, **stamped, **metric_files.as_json(values)})
        if step != self._step:
            self._step, self._now = step, {}
            self.steps += 1
        self._now.update(values)
        validation = metric_files.validation_metrics(self._now)
        if not self._is_chosen:
            if not self._names.keys() >= validation.keys():
                self._learn_names(validation)
            validation = self._only_likely(validation)
        if not validation:
            return
        self._last = {**self._last, **validation}
        if self._is_best(step, validation):
            self._best, self._best_step = validation, step
        for summary, of in zip(self._summaries, (self._last, self._best), strict=True):
            summary.due = of

    def write(self) -> None:
        """Write what was noted.

        Raises:
            OSError: the disk failed. The next call writes what is missing.
        """
        self.is_alone = self.is_alone and size_of(self._lines) <= self._size
        if self._due and self.is_alone:
            text = "".join(f"{json.dumps(line)}\n" for line in self._due).encode()
            self.is_full = self.is_full or self._size + len(text) >= reading.LINES.limit
            if not self.is_full:
                files.append_whole(self._lines, text)
                self._size = size_of(self._lines)
            self._due = []
        if self.is_alone:
            for summary in self._summaries:
                summary.write()

    def _is_best(self, step: float, validation: Mapping[str, float]) -> bool:
        if self.ranked is None and self._is_chosen:
            self.ranked = objective.choose(list(validation))
        if self.ranked is None:
            return True  # no metric has a direction, so the last weights count as the best
        name, direction = metric_files.without_split(self.ranked[0]), self.ranked[1]
        value = validation.get(name)
        if value is None:
            return not self._best
        if step == self._best_step and self._best.get(name) == value:
            return True  # another metric of the same step
        return objective.better(value, self._best.get(name), direction)

    def _learn_names(self, validation: Mapping[str, float]) -> None:
        """Decide again which names are metrics, and which of them decides what is best."""
        self._names.update(dict.fromkeys(validation))
        self._likely = likely_metrics(self._names, self._requested)
        self._last, self._best = self._only_likely(self._last), self._only_likely(self._best)
        if self._requested is None:
            chosen = objective.choose([name for name in self._names if name in self._likely])
            if chosen != self.ranked:
                self.ranked, self._best = chosen, {}

    def _only_likely(self, values: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in values.items() if name in self._likely}


_NO_METRICS = frozenset({
    "epoch", "epochs", "step", "steps", "iteration", "iterations", "second", "seconds", "sec",
    "time", "runtime", "elapsed", "duration", "timestamp", "walltime", "flos", "samples", "lr",
    "norm",
})  # fmt: skip
"""Last words of names that tell how a training run went, not how good its model is."""


def likely_metrics(names: Collection[str], ranked: Ranked | None) -> frozenset[str]:
    """Return those names of validation metrics that nobody has chosen, but that are metrics.

    Learning rates and times are none. Beside `val_loss`, `loss` and `train_loss` belong to the
    training set.
    """
    wanted = metric_files.without_split(ranked[0]) if ranked else None
    of_validation = [name for name in names if metric_names.is_of_validation(name)]
    bare = {" ".join(metric_names.words(name)[1:]) for name in of_validation}
    return frozenset(
        name
        for name in names
        if name == wanted or _is_likely(name, bare, has_validation=bool(of_validation))
    )


def _is_likely(name: str, validation: Collection[str], *, has_validation: bool) -> bool:
    words = metric_names.words(name)
    if not words or words[-1] in _NO_METRICS or words[0] == "lr" or metric_names.is_of_test(name):
        return False
    if words[-2:] == ["learning", "rate"] or (has_validation and metric_names.is_of_training(name)):
        return False
    return " ".join(words) not in validation


class _Summary:
    """The file of the last or of the best metrics."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.due: Mapping[str, float] = {}
        self._written: Mapping[str, float] = self.due
        self._stamp: Stamp = stamp(path)

    def write(self) -> None:
        """Write what is due, unless something else has written the file meanwhile."""
        if self.due is self._written:
            return
        if stamp(self.path) != self._stamp and self.path.is_file():
            return  # the script's own
        due = self.due
        try:
            metric_files.save_metrics(due, self.path)
        except MetricsError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
        self._written, self._stamp = due, stamp(self.path)


def last_step(folder: Path) -> float:
    """Return the last step in `metrics.jsonl`, 0 if there is none."""
    for line in reversed(reading.objects(reading.tail(folder / metric_files.METRICS_LINES, 8192))):
        step = line.get("step")
        if isinstance(step, (int, float)) and not isinstance(step, bool):
            return step
    return 0
