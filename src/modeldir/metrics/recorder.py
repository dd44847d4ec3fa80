"""A training's metrics, as they are recorded step by step: for `run.log` and `trial.report`.

It knows `metrics.jsonl`, the files of the last and the best metrics, and which value is the best so
far. It refuses to know processes, attempts and pruners.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from modeldir.errors import MetricsError, did_you_mean
from modeldir.metrics import metrics
from modeldir.metrics.printed_lines import MetricLines
from modeldir.metrics.summary_files import ScoreFiles

Ranked: TypeAlias = "tuple[str, metrics.Direction] | None"
"""The metric by which weights are the best, and its direction; None until one is chosen."""


class Recorder:
    """Writes the metrics of one attempt in a folder.

    `ranked` is the metric that was asked for, if one was; else it is chosen by what is recorded
    first. `resumes`: the best so far is what lies there.
    """

    def __init__(self, folder: Path, ranked: Ranked, *, resumes: bool = False) -> None:
        self.has_begun = False  # whether anything was recorded
        self.new_best = False  # of the latest development metrics
        self._folder, self._ranked, self._resumes = folder, ranked, resumes
        self._asked = ranked is not None
        self._lines = MetricLines(folder / metrics.METRICS_LINES)
        self.add_floats = self._lines.add_floats
        self._files = ScoreFiles(folder)
        self._best = self._known_best()

    def record(self, step: int, values: Mapping[str, Any]) -> dict[str, float]:
        """Record one step; `values` as they were logged. Returns the development metrics.

        Raises:
            MetricsError: when a value is not a number, the metric that was asked for is not among
                them, or they cannot be written.
            OSError: when the line cannot be written.
        """
        return self.count(step, values, self.add_floats(step, values))

    def count(
        self, step: int, values: Mapping[str, Any], meant: Sequence[tuple[str, str]] | None
    ) -> dict[str, float]:
        """The second half of `record`; `meant` is what the first one, `add_floats`, has returned.
        Where that is empty there is nothing to count: who logs very often may leave this out.
        """
        if meant is None:
            plain = metrics.plain(values)
            self._lines.add(step, plain)
            self.has_begun = True
            development = metrics.development(dict(metrics.numbers_in(plain)))
        else:
            development = {name: values[given] for name, given in meant}
        if development:
            self.new_best = self._is_best(development)
            self._files.put(development, best=self.new_best)
        return development

    def flush(self) -> None:
        """Let the files of the last and the best metrics hold what was recorded.

        Raises:
            MetricsError: when they cannot be written.
        """
        self._files.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()
        self._files.flush()

    def _known_best(self) -> float | None:
        if not (self._resumes and self._ranked):
            return None
        with contextlib.suppress(MetricsError):
            return metrics.read_metrics(self._folder / metrics.EVAL_BEST).get(self._ranked[0])
        return None

    def _is_best(self, development: Mapping[str, float]) -> bool:
        if self._ranked is None:
            self._ranked = metrics.choose(list(development))
            self._best = self._known_best()
        if self._ranked is None:
            return True  # no metric has a direction: the last weights are the best there are
        name, direction = self._ranked
        value = development.get(name)
        if value is None and self._asked:
            known = ", ".join(sorted(development))
            meant = did_you_mean(name, sorted(development))
            raise MetricsError(
                f"the metric to {direction} is {name!r}, but only {known} was logged"
                + (f": {meant}" if meant else "")
            )
        if value is None or not metrics.better(value, self._best, direction):
            return False
        self._best = value
        return True
