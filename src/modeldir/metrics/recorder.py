"""Record the metrics of a training run, step by step, for `run.log` and `trial.report`.

`Recorder.record` writes `metrics.jsonl` (`jsonl_writer`) and the files of the last and the best
metrics (`summary_writer`). Only validation metrics count for the best.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir.errors import MetricsError
from modeldir.metrics import metric_files, objective
from modeldir.metrics.jsonl_writer import MetricsWriter
from modeldir.metrics.metric_names import did_you_mean
from modeldir.metrics.objective import Ranked
from modeldir.metrics.summary_writer import SummaryFiles


class Recorder:
    """Writes the metrics of one attempt; by default the first ones decide what is best."""

    def __init__(self, folder: Path, ranked: Ranked | None, *, resumes: bool = False) -> None:
        self.has_begun = False  # whether anything was recorded
        self.new_best = False  # whether the latest validation metrics are
        self._folder, self._ranked, self._resumes = folder, ranked, resumes
        self._is_requested = ranked is not None
        self._lines = MetricsWriter(folder / metric_files.METRICS_LINES)
        self.add_floats = self._lines.add_floats
        self._files = SummaryFiles(folder)
        self._best = self._known_best()

    def record(self, step: int, values: Mapping[str, Any]) -> dict[str, float]:
        """Record one step and return the validation metrics; `values` are as they were logged."""
        return self.update_summary(step, values, self.add_floats(step, values))

    def update_summary(
        self, step: int, values: Mapping[str, Any], names: Sequence[tuple[str, str]] | None
    ) -> dict[str, float]:
        """Do the second half of `record`; not needed if the first returned no `names`."""
        if names is None:
            json_values = metric_files.as_json(values)
            self._lines.add(step, json_values)
            self.has_begun = True
            validation = metric_files.validation_metrics(dict(metric_files.numbers_in(json_values)))
        else:
            validation = {name: values[logged] for name, logged in names}
        if validation:
            self.new_best = self._is_best(validation)
            self._files.update(validation, best=self.new_best)
        return validation

    def flush(self) -> None:
        """Write what was recorded into the files of the last and the best metrics."""
        self._files.flush()

    def close(self) -> None:
        """Close the files."""
        self._lines.close()
        self._files.flush()

    def _known_best(self) -> float | None:
        if not (self._resumes and self._ranked):
            return None
        with contextlib.suppress(MetricsError):
            return metric_files.read_metrics(self._folder / metric_files.EVAL_BEST).get(
                self._ranked[0]
            )
        return None

    def _is_best(self, validation: Mapping[str, float]) -> bool:
        if self._ranked is None:
            self._ranked = objective.choose(list(validation))
            self._best = self._known_best()
        if self._ranked is None:
            return True  # no metric has a direction, so the last weights count as the best
        name, direction = self._ranked
        value = validation.get(name)
        if value is None and self._is_requested:
            known = ", ".join(sorted(validation))
            hint = did_you_mean(name, sorted(validation))
            raise MetricsError(
                f"the metric to {direction} is {name!r}, but only {known} was logged"
                + (f": {hint}" if hint else "")
            )
        if value is None or not objective.better(value, self._best, direction):
            return False
        self._best = value
        return True
