"""A training's metrics, as they are recorded step by step: for `run.log` and `trial.report`.

It knows `metrics.jsonl`, the files of the last and the best metrics, and which value is the best so
far. It refuses to know processes, attempts and pruners.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from modeldir import files, metrics, provenance
from modeldir.errors import MetricsError, did_you_mean

Ranked: TypeAlias = "tuple[str, metrics.Direction] | None"
"""The metric by which weights are the best, and its direction; None until one is chosen."""


class Recorder:
    """Writes the metrics of one attempt in a folder.

    `ranked` is the metric that was asked for, if one was; else it is chosen by what is recorded
    first. `resumes`: the best so far is what lies there.
    """

    def __init__(self, folder: Path, ranked: Ranked, *, resumes: bool = False) -> None:
        self.new_best = False  # of the latest development metrics
        self._folder, self._ranked, self._resumes = folder, ranked, resumes
        self._asked = ranked is not None
        self._lines: int | None = None
        self._best = self._known_best()

    @property
    def has_begun(self) -> bool:
        """Whether anything was recorded."""
        return self._lines is not None

    def record(self, step: int, values: Mapping[str, Any]) -> dict[str, float]:
        """Record one step; `values` as `metrics.plain` makes them. Returns the development metrics.

        Raises:
            MetricsError: when the metric that was asked for is not among them, or they cannot be
                written.
            OSError: when the line cannot be written.
        """
        self._write_line({"step": step, "time": provenance.utc_now(), **values})
        development = metrics.development(dict(metrics.numbers_in(values)))
        if development:
            self.new_best = self._is_best(development)
            metrics.save_metrics(development, self._folder / metrics.EVAL_LAST)
            if self.new_best:
                metrics.save_metrics(development, self._folder / metrics.EVAL_BEST)
        return development

    def close(self) -> None:
        """Let go of the file."""
        if self._lines is not None:
            os.close(self._lines)
            self._lines = None

    def _write_line(self, line: Mapping[str, Any]) -> None:
        """One write in append mode; the first closes what an earlier attempt may have left torn."""
        path = self._folder / metrics.METRICS_LINES
        if self._lines is None:
            files.append_line(path, line)
            self._lines = files.open_append(path)
            return
        os.write(self._lines, json.dumps(line).encode() + b"\n")

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
