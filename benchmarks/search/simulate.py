"""One run: a contender searches a task with several workers until its budget of epochs is spent.

Time is counted in epochs of equal length, and every worker trains one trial: when a trial ends or
is stopped, its worker asks for the next. At any moment a run has found the epoch of a trial with
the smallest observed value so far. Its worth is what the task says of that epoch, so a trial that
was stopped early counts with the weights it had.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from contenders import Contender
from tasks import Task


@dataclass
class Found:
    """Result of a run: `[epochs spent, its worth]` at each new best; and its cost."""

    curve: list[list[float]] = field(default_factory=list)
    trials: int = 0
    stopped: int = 0
    cpu: float = 0.0


@dataclass
class _Trial:
    number: int
    configuration: dict[str, Any]
    values: list[float]
    step: int = 0


def run(task: Task, contender: Contender, seed: int, *, budget: int, workers: int) -> Found:
    """Spend `budget` epochs. CPU seconds are those of the contender alone."""
    found, best, order = Found(), float("inf"), itertools.count()
    running: list[tuple[int, int, _Trial]] = []

    def start(now: int) -> None:
        point = _timed(found, contender.ask, found.trials)
        trial = _Trial(found.trials, point, task.observed(point, seed))
        heapq.heappush(running, (now + 1, next(order), trial))
        found.trials += 1

    for _ in range(min(workers, budget)):
        start(0)
    for spent in range(1, budget + 1):
        now, _, trial = heapq.heappop(running)
        trial.step += 1
        value = trial.values[trial.step - 1]
        if value < best:
            best = value
            found.curve.append(
                [spent, float(f"{task.worth(trial.configuration, trial.step, seed):.6g}")]
            )
        last = trial.step == len(trial.values)
        stops = not last and _timed(found, contender.stop, trial.number, trial.step, value)
        if not last and not stops:
            heapq.heappush(running, (now + 1, next(order), trial))
            continue
        found.stopped += stops
        _timed(found, contender.tell, trial.number, trial.step, value, stopped=stops)
        if spent + len(running) < budget:
            start(now)
    found.cpu = round(found.cpu, 3)
    return found


def _timed(found: Found, call: Any, *arguments: Any, **options: Any) -> Any:
    began = time.process_time()
    try:
        return call(*arguments, **options)
    finally:
        found.cpu += time.process_time() - began
