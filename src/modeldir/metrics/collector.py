"""Collect the metrics that a script only prints, while it runs, into the files of `run.log`.

The supervisor calls `Collector.look` from its loop and `finish` at the end. A script that logs its
metrics itself is left alone. The rule: a look reads a limited number of bytes, and an error of the
disk loses nothing: what could not be written is written at the next look.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import files, reading, timestamps
from modeldir.errors import MetricsError
from modeldir.metrics import metric_files, objective, printed_lines
from modeldir.metrics.objective import Ranked

_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 0.5
_AT_ONCE = 4 << 20
"""Bytes that one look reads. A supervisor must not miss its heartbeat."""


class StepWriter:
    """Writes steps as `Recorder` does, but many at once and without a thread.

    It writes nothing more once another process has written `metrics.jsonl`: see `is_alone`.
    """

    def __init__(self, folder: Path, ranked: Ranked | None, *, resumes: bool = False) -> None:
        self._lines = folder / metric_files.METRICS_LINES
        self._size = _size(self._lines)
        self.is_alone = True
        self._files = (folder / metric_files.EVAL_LAST, folder / metric_files.EVAL_BEST)
        self._ranked = ranked
        self._due: list[dict[str, Any]] = []
        self._summaries_due = False
        self._step: float | None = None
        self._now: dict[str, float] = {}  # the metrics of the latest step
        self._last: dict[str, float] = {}
        self._best: dict[str, float] = {}
        self._best_step: float | None = None
        if resumes:
            with contextlib.suppress(MetricsError):
                self._last, self._best = map(metric_files.read_metrics, self._files)

    def add(self, step: float, values: Mapping[str, float], now: float | None) -> None:
        """Note the values of a step, which `write` writes."""
        number = int(step) if step == int(step) else step
        stamp = {} if now is None else {"time": timestamps.utc_text(now)}
        self._due.append({"step": number, **stamp, **metric_files.as_json(values)})
        if step != self._step:
            self._step, self._now = step, {}
        self._now.update(values)
        validation = metric_files.validation_metrics(self._now)
        self._last.update(validation)
        if validation and self._is_best(step, validation):
            self._best, self._best_step = validation, step
        self._summaries_due = True

    def write(self) -> None:
        """Write what was noted.

        Raises:
            OSError: the disk failed. The next call writes what is missing.
        """
        self.is_alone = self.is_alone and _size(self._lines) <= self._size
        if self._due and self.is_alone:
            text = "".join(f"{json.dumps(line)}\n" for line in self._due).encode()
            files.append_whole(self._lines, text)
            self._size = _size(self._lines)
            self._due = []
        if self._summaries_due and self.is_alone:
            for values, path in zip((self._last, self._best), self._files, strict=True):
                if values:
                    _save(values, path)
            self._summaries_due = False

    def _is_best(self, step: float, validation: Mapping[str, float]) -> bool:
        if self._ranked is None:
            self._ranked = objective.choose(list(validation))
        if self._ranked is None:
            return True  # no metric has a direction, so the last weights count as the best
        name, direction = metric_files.without_split(self._ranked[0]), self._ranked[1]
        value = validation.get(name)
        if value is None:
            return False
        if step == self._best_step and self._best.get(name) == value:
            return True  # another metric of the same step
        return objective.better(value, self._best.get(name), direction)


def _save(values: Mapping[str, float], path: Path) -> None:
    try:
        metric_files.save_metrics(values, path)
    except MetricsError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise


class PrintedSteps:
    """The steps in printed lines, in order.

    A line without a step belongs to the step before it. If no pattern has a step, a line whose
    metric the step already has begins the next one. If a pattern has, such a line repeats or sums
    up, and does not count.
    """

    def __init__(self, patterns: Sequence[str], step: float = 0) -> None:
        self._patterns = printed_lines.compile_patterns(patterns)
        self._has_steps = any(each.has_step for each in self._patterns)
        self._keys = tuple({each.key for each in self._patterns})
        self._step, self._seen = step, set[str]()
        self._has_begun = False

    def read(self, data: bytes) -> Iterator[tuple[float, dict[str, float]]]:
        r"""Yield (step, metrics) of each matching line. Lines end at `\n` alone."""
        for raw in data.split(b"\n"):
            if b"\x1b" not in raw and not any(key in raw for key in self._keys):
                continue  # a color may split a key
            values = printed_lines.parse_line(self._patterns, raw.decode("utf-8", "replace"))
            if values and (metrics := self._of_step(values)):
                yield self._step, metrics

    def _of_step(self, values: dict[str, float]) -> dict[str, float]:
        step = metric_files.take_step(values)
        if step is not None:
            if step != self._step or not self._has_begun:
                self._step, self._seen = step, set()
        elif not self._has_steps and (not self._has_begun or not self._seen.isdisjoint(values)):
            self._step, self._seen = self._step + 1, set()
        elif self._has_steps:
            values = {name: each for name, each in values.items() if name not in self._seen}
        self._has_begun = True
        self._seen.update(values)
        return values


class Collector:
    """Collects the metrics of one attempt from what it prints.

    Args:
        folder: the experiment's folder.
        console: the file with its output, of which the first `since` bytes are of earlier attempts.
        patterns: those of `--metrics`.
        ranked: the metric that decides what is best; by default the first ones do.
        resumes: whether the attempt continues the earlier ones.
    """

    def __init__(  # noqa: PLR0913 - an attempt's facts
        self,
        folder: Path,
        console: str | os.PathLike[str],
        since: int,
        patterns: Sequence[str],
        ranked: Ranked | None,
        *,
        resumes: bool = False,
    ) -> None:
        self._console, self._offset, self._size = console, since, since
        self.patterns = " or ".join(map(repr, patterns))
        self._steps = PrintedSteps(patterns, _last_step(folder) if resumes else 0)
        self._writer = StepWriter(folder, ranked, resumes=resumes)
        self._is_long = False  # whether the line at the offset has lost its beginning
        self._wait = _SHORTEST_WAIT
        self._has_found = False

    @property
    def has_found(self) -> bool:
        """Whether there was any metric: printed, or logged by the script itself."""
        return self._has_found or not self._writer.is_alone

    def look(self) -> float:
        """Write the metrics that were printed since the last look; return the seconds until next.

        No error ends the attempt. At the end, `finish` tries again and raises the error.
        """
        is_more = False
        with contextlib.suppress(OSError, MetricsError):
            is_more = self._read(is_over=False)
            self._write()
        self._wait = _SHORTEST_WAIT if is_more else min(_LONGEST_WAIT, self._wait * 1.5)
        return self._wait

    def finish(self) -> bool:
        """Write the rest, also of a line without an end. Return whether there was any metric.

        Raises:
            OSError: the disk failed. It can be called again.
        """
        while self._read(is_over=True):
            pass
        self._write()
        return self.has_found

    def _write(self) -> None:
        was_alone = self._writer.is_alone
        self._writer.write()
        if was_alone and not self._writer.is_alone:
            line = b"modeldir: the script logs its metrics itself, so --metrics is not used\n"
            with contextlib.suppress(OSError):
                files.append_whole(self._console, line)

    def _read(self, *, is_over: bool) -> bool:
        """Read some new lines. Return whether there was anything new."""
        if not self._writer.is_alone:
            return False
        try:
            size = os.stat(self._console).st_size
            if size <= self._offset or (size == self._size and not is_over):
                return False
            with reading.open_stream(self._console) as file:
                file.seek(self._offset)
                data = file.read(_AT_ONCE)
        except FileNotFoundError:
            return False
        self._size = min(size, self._offset + len(data))
        end = data.rfind(b"\n") + 1
        is_last = is_over and self._offset + len(data) >= size
        if not end and len(data) > reading.LONGEST_LINE and not is_last:
            end = max(data.rfind(b"\r"), len(data) - reading.LONGEST_LINE)
            self._offset, self._is_long = self._offset + end, True
            return True
        if is_last:
            end = len(data)
        lines = data[:end]
        if self._is_long and end:  # of a line that is cut, what follows a carriage return is whole
            first, line_end, rest = lines.partition(b"\n")
            kept = first[first.find(b"\r") + 1 :] if b"\r" in first else b""
            lines, self._is_long = kept + line_end + rest, False
        now = time.time()
        for step, metrics in self._steps.read(lines):
            self._has_found = True
            self._writer.add(step, metrics, now)
        self._offset += end
        return end > 0


def _size(path: Path) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _last_step(folder: Path) -> float:
    """Return the last step in `metrics.jsonl`, 0 if there is none."""
    for line in reversed(reading.objects(reading.tail(folder / metric_files.METRICS_LINES, 8192))):
        step = line.get("step")
        if isinstance(step, (int, float)) and not isinstance(step, bool):
            return step
    return 0
