"""Early stopping of commands that do not do it themselves, from the metrics that they write.

`supervisor.py` calls an `EarlyStopping` from its loop. Which trials are stopped is decided in
`pruners/pruning_decision.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from modeldir._system import files, reading
from modeldir._system.file_stamps import Seen, Stamp, stamp
from modeldir.errors import MetricsError
from modeldir.experiment import attempts
from modeldir.metrics import file_patterns, metric_files
from modeldir.pruners.pruning_decision import Judge, Orders, Step, step_of
from modeldir.worker.start_order import Start, console_path

_ONE_WRITE = 50_000_000
"""Nanoseconds within which the same content counts as the same write, seen twice."""
_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 0.5
_LOOKS_PER_STEP = 8


class EarlyStopping:
    """Judges the steps of one command, and returns why it should end.

    With several ranks none may leave alone, so the command is stopped from outside, too.
    """

    def __init__(self, start: Start, pruner: str, stale: Mapping[str, Stamp]) -> None:
        self._start, self._pruner = start, pruner
        self._folder = Path(start.folder)
        metric = Orders.from_text(pruner).metric
        self._steps = Steps(self._folder, stale, metric and metric[0])
        self._before = (
            reading.read_lines(self._folder / metric_files.METRICS_LINES) if start.resumes else []
        )
        # A step that was only counted may be the result of the whole training run. It is judged
        # when another one follows.
        self._waits_for_second = bool(start.metrics) and not file_patterns.have_step(start.metrics)
        self._held: list[Step] = []
        self._judge: Judge | None = None
        self._heard = 0
        self.steps = 0  # how many it has seen

    def look(self, now: float) -> tuple[float | None, str | None]:
        """Return the seconds until the next look (None: never), and why the command should end."""
        steps, wait = self._steps.look(now)
        self.steps += len(steps)
        if not steps:
            return wait, None
        if self._script_judges():
            return None, None
        if self._waits_for_second:
            self._held += steps
            if len({step for step, _ in self._held}) == 1:
                return wait, None
            steps, self._waits_for_second = self._held, False
        try:
            for step, development in steps:
                reason = self._make_judge().hear(step, development)
                if reason is not None:
                    return None, reason
        except Exception as error:  # noqa: BLE001 - nothing here may end a trial
            self._complain(f"this trial is not stopped early: {type(error).__name__}: {error}")
            return None, None
        return (None if self._make_judge().is_broken else wait), None

    def _complain(self, words: str) -> None:
        line = f"modeldir: {words}\n".encode(errors="replace")
        with contextlib.suppress(OSError):
            files.append_whole(console_path(self._start), line)

    def _script_judges(self) -> bool:
        size = _size(os.path.join(self._folder, attempts.EVENTS))
        if size == self._heard:
            return False
        self._heard = size
        events = attempts.events(self._folder, self._start.number)
        return any(event.get("event") == attempts.PRUNES_ITSELF for event in events)

    def _make_judge(self) -> Judge:
        """Return the judge. It is made with the first step: it may never be needed."""
        if self._judge is None:
            orders = Orders.from_text(self._pruner)
            self._judge = Judge(
                orders,
                self._start.number,
                resumes=self._start.resumes,
                complain=self._complain,
            )
            self._judge.hear_again(self._before)
        return self._judge


class _Source(Protocol):
    def look(self) -> list[Step]: ...


class Steps:
    """The steps that a command writes. A look costs a `stat` of each file that may have changed.

    Metrics are looked for in `metrics.jsonl`, where `metrics/collector.py` puts printed ones, and
    in metric files that are rewritten. The first of these that has the validation metric is read
    from then on. A step has the number that it is written with (`step`, `epoch`). Otherwise the
    steps seen are counted, which is a lower bound: a file that is rewritten twice between two looks
    is seen once.
    """

    def __init__(
        self,
        folder: Path,
        stale: Mapping[str, Stamp],
        metric: str | None = None,
    ) -> None:
        self._metric = metric and metric_files.without_split(metric)
        self._sources: list[_Source] = [
            _Lines(folder / metric_files.METRICS_LINES),
            _Files(folder, stale),
        ]
        self._wait = _SHORTEST_WAIT
        self._came = 0.0

    def look(self, now: float) -> tuple[list[Step], float]:
        """Return the steps since the last look, and the seconds until the next look.

        That is less than a step takes, so that few are missed, however long a step takes.
        """
        found: list[Step] = []
        for place in self._sources:
            found = [step for step in place.look() if self._matters(step)]
            if found:
                self._sources = [place]
                break
        if found:
            a_step = (now - self._came) / len(found)
            self._came = now
            self._wait = min(_LONGEST_WAIT, max(_SHORTEST_WAIT, a_step / _LOOKS_PER_STEP))
        elif now - self._came > _LOOKS_PER_STEP * self._wait:
            self._wait = min(_LONGEST_WAIT, self._wait * 1.5)
        return found, self._wait

    def _matters(self, step: Step) -> bool:
        return self._metric is None or self._metric in step[1]


class _Lines:
    def __init__(self, path: Path) -> None:
        self._path, self._size = path, _size(path)
        self._offset = self._size
        self._count = 0

    def look(self) -> list[Step]:
        size = _size(self._path)
        if size == self._size:
            return []
        if size < self._offset:  # archived, or a new file
            self._offset = self._count = 0
        self._size = size
        lines, self._offset = reading.lines_from(self._path, self._offset)
        found = []
        for line in lines:
            step = step_of(line, self._count + 1)
            if step is not None:
                self._count += 1
                found.append(step)
        return found


class _Files:
    """Metric files that are rewritten at each step."""

    def __init__(self, folder: Path, stale: Mapping[str, Stamp]) -> None:
        self._folder = folder
        self._seen: dict[str, Stamp] = dict(stale)
        self._listed = Seen()
        self._names: list[str] = []
        self._count = 0
        self._last: Step | None = None
        self._written = 0

    def look(self) -> list[Step]:
        self._list()
        for name in self._names:
            now = stamp(self._folder / name)
            if now is not None and now != self._seen.get(name):
                step = self._read(name, now)
                if step is not None:
                    return [step]
        return []

    def _list(self) -> None:
        """List the metric files. A folder's time may lag: list once more after it has changed."""
        if self._listed.changed(stamp(self._folder)):
            with contextlib.suppress(OSError):
                self._names = [name for name in os.listdir(self._folder) if _is_of_the_last(name)]

    def _read(self, name: str, now: tuple[int, int, int]) -> Step | None:
        """Return a file's step if it is a new one. A half-written file is read again later."""
        try:
            found = step_of(metric_files.read_metrics(self._folder / name), self._count + 1)
        except MetricsError:
            return None
        if found is None:
            return None
        self._seen[name] = now
        same = self._last is not None and found[1] == self._last[1]
        if same and now[0] - self._written < _ONE_WRITE:
            return None
        self._count, self._last, self._written = self._count + 1, found, now[0]
        return found


def _is_of_the_last(name: str) -> bool:
    """Whether a file has the validation metrics of each step, not only of the best one."""
    kind = metric_files.classify(name)
    return kind is not None and kind.split == "eval" and kind.which != "best"


def _size(path: Path | str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
