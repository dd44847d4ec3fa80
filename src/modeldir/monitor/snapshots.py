"""Snapshots of a search or an experiment, the time that is left, and the words for them.

`search.py` and `experiment.py` make them; `live_lines.py` and commands show them. Nothing here
reads files. The end of a search in words: `summary.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from modeldir._system.durations import DAY, HOUR, MINUTE, duration_text
from modeldir.experiment import attempts, experiment, failure_classes, trial_labels
from modeldir.metrics import objective
from modeldir.metrics.objective import Ranked

if TYPE_CHECKING:
    from modeldir.launchers.worker_counts import WorkerCounts

_T = TypeVar("_T")

ENDED = frozenset({*attempts.FINAL, attempts.UNTRACKED})

_FEW_MINUTES = 10
"""From this many minutes on, the time left is rounded to 5 or 10 minutes."""
_SOON = 45
"""Seconds below which the time left is "less than a minute"."""


@dataclass(frozen=True)
class RunningTrial:
    """A running trial: the `value` and `curve` are of the metric that the search ranks by."""

    name: str
    number: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    step: object = None
    value: float | None = None
    curve: tuple[float, ...] = ()
    age: float | None = None
    last_line: str = ""

    @property
    def name_beside(self) -> str:
        return trial_labels.name_beside(self.number, self.name)


@dataclass(frozen=True)
class TimeLeft:
    """An estimate of the seconds that a search still takes; not `sure`: a lower bound."""

    seconds: float
    sure: bool


@dataclass(frozen=True)
class SearchSnapshot:
    """How a search stands at one moment.

    `remaining` and `total` are None if it has no end. `to_retry` ended trials run again by
    `modeldir retry`. `goal` is `target` once it is reached: then remaining trials do not start.
    `unranked` are metrics of ended trials, if none has a direction to rank by.
    `elapsed` counts from its first present worker. `worker` is None if it cannot be known from here
    whether one lives.
    """

    folder: Path
    running: tuple[RunningTrial, ...] = ()
    varied: tuple[str, ...] = ()
    metric: Ranked | None = None
    unranked: tuple[str, ...] = ()
    best: tuple[str, float] | None = None
    states: Mapping[str, int] = field(default_factory=dict)
    remaining: int | None = None
    to_retry: int = 0
    goal: float | None = None
    time_left: TimeLeft | None = None
    elapsed: float | None = None
    worker: bool | None = False
    workers: WorkerCounts | None = None
    problem: str | None = None

    @property
    def ended(self) -> int:
        return sum(self.states.get(state, 0) for state in ENDED)

    @property
    def total(self) -> int | None:
        """How many trials there will be; None if the search has no end."""
        return None if self.remaining is None else sum(self.states.values()) + self.remaining

    @property
    def to_run(self) -> int:
        made = self.states.get(attempts.INTERRUPTED, 0) + self.states.get(attempts.PENDING, 0)
        new = 0 if self.goal is not None else self.remaining or 0
        return made + new + self.to_retry

    @property
    def is_complete(self) -> bool:
        """Whether no trial runs and a next worker would run none."""
        has_end = self.remaining is not None
        return has_end and self.to_run == 0 and not self.states.get(attempts.RUNNING)

    @property
    def is_idle(self) -> bool:
        """Whether no trial runs, and no known worker could start one."""
        return not self.states.get(attempts.RUNNING) and self.worker is False

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen until somebody starts a worker."""
        began = any(count for state, count in self.states.items() if state != attempts.PENDING)
        if self.workers is not None:  # they were launched: if none is there, none will come
            began = began or not self.workers.are_there
        if not began or self.states.get(attempts.RUNNING):
            return False
        if self.worker is None:  # a worker elsewhere may live: over if it has nothing to do
            return self.remaining == 0 and self.ended == sum(self.states.values())
        return not self.worker


@dataclass(frozen=True)
class ExperimentSnapshot:
    """How one experiment stands; `age` is the seconds since it began, or that it took.

    `problem` says why its end cannot be recorded.
    """

    folder: Path
    status: experiment.Status
    step: object = None
    age: float | None = None
    metrics: tuple[tuple[str, float, tuple[float, ...]], ...] = ()
    lines: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None

    @property
    def is_idle(self) -> bool:
        return self.status.state != attempts.RUNNING

    @property
    def is_over(self) -> bool:
        return self.is_idle and self.status.state != attempts.PENDING


Snapshot: TypeAlias = "SearchSnapshot | ExperimentSnapshot"


@dataclass(frozen=True)
class Event:
    """A trial has started (state `running`), reached a `step`, or ended; `words` say the result."""

    name: str
    state: str
    words: str = ""
    number: int | None = None


# -- How long it takes -----------------------------------------------------------------------------


def estimate(
    finished: Sequence[float], ages: Sequence[float], remaining: int, slots: int
) -> TimeLeft | None:
    """Return how long a search still takes, if its slots run the remaining trials in turn.

    Before a trial has finished, the result is None. If a running trial is older than all that have
    finished, the estimate is a lower bound: the shortest trials finish first.

    >>> estimate([60.0, 80.0], [10.0, 35.0], 2, 2)
    TimeLeft(seconds=130.0, sure=True)
    """
    import heapq  # noqa: PLC0415 - only while trials run

    if not finished:
        return None
    mean, longest = sum(finished) / len(finished), max(finished)
    free_at = [max(0.0, mean - age) for age in ages]
    free_at += [0.0] * max(0, slots - len(free_at))
    heapq.heapify(free_at)
    end = max(free_at, default=0.0)
    for _ in range(remaining if free_at else 0):
        ready = heapq.heappop(free_at) + mean
        heapq.heappush(free_at, ready)
        end = max(end, ready)
    return TimeLeft(end, sure=all(age <= longest for age in ages))


# -- In words --------------------------------------------------------------------------------------


def result_text(
    status: experiment.Status,
    scores: Mapping[str, float],
    metric: Ranked | None,
    why: str | None = None,
) -> str:
    """Return how a trial ended: `why`, or its error, or its metric, and how long it took."""
    words: list[str] = []
    if why:
        words.append(why)
    elif status.state == attempts.FAILED:
        error = status.last_line or status.reason or "no output"
        is_plain = status.failure == failure_classes.ERROR
        words.append(error if is_plain else f"{status.failure}: {error}")
    elif status.state == attempts.INTERRUPTED:
        words.append(status.reason or "")
    else:
        chosen = metric or objective.choose(list(scores))
        value = scores.get(chosen[0]) if chosen else None
        words += [f"{chosen[0]} {value:.6g}"] if chosen and value is not None else []
    if status.duration is not None:
        words.append(duration_text(status.duration))
    return "  ".join(word for word in words if word)


def remaining_text(search: SearchSnapshot) -> str:
    """Return how many trials remain, and whether they will start.

    >>> from pathlib import Path
    >>> remaining_text(SearchSnapshot(Path("s"), remaining=2))
    '2 remaining'
    >>> remaining_text(SearchSnapshot(Path("s"), goal=0.5))
    '0 not started: target 0.5 is reached'
    """
    if search.goal is None:
        return f"{search.remaining or 0} remaining"
    return f"{search.remaining or 0} not started: target {search.goal:g} is reached"


def best_text(search: SearchSnapshot) -> str:
    """Return the best trial so far, or why there is none; empty if no trial has a metric."""
    if search.unranked:
        return f"not ranked: {objective.question(search.unranked)}"
    if search.best is None or search.metric is None:
        return ""
    name, value = search.best
    return f"best: {name}  {search.metric[0]} {value:.6g}"


def progress_text(search: SearchSnapshot, elsewhere: int = 0) -> str:
    """Return how far a search is, and how long it still takes if that is known.

    >>> from pathlib import Path
    >>> states, left = {"completed": 11, "failed": 1, "running": 2}, TimeLeft(4100, sure=True)
    >>> progress_text(SearchSnapshot(Path("s"), states=states, remaining=46, time_left=left))
    '12 of 60 done (1 failed), 2 running, about 1 h 10 min left'
    """
    ended, running = search.ended, search.states.get(attempts.RUNNING, 0)
    if not sum(search.states.values()):
        words = "" if search.remaining is None else f" of {search.remaining}"
        return f"nothing{words} has started yet"
    failed = search.states.get(attempts.FAILED, 0)
    parts = [f"{ended} done" if search.total is None else f"{ended} of {search.total} done"]
    if failed:
        parts[0] += f" ({failed} failed)"
    if running:
        parts.append(f"{running} running" + (f" ({elsewhere} elsewhere)" if elsewhere else ""))
    # While a worker lives, a pending trial is like one of those that remain.
    others = (attempts.INTERRUPTED, *((attempts.PENDING,) if search.is_idle else ()))
    parts += [f"{search.states[each]} {each}" for each in others if search.states.get(each)]
    return ", ".join([*parts, *filter(None, [time_left_text(search.time_left)])])


def time_left_text(left: TimeLeft | None) -> str:
    """Return the time that is left, no more exact than it is known; empty if it is unknown."""
    if left is None or (left.seconds < MINUTE and not left.sure):
        return ""
    if left.seconds < _SOON:
        return "less than a minute left"
    return f"{'about' if left.sure else 'at least'} {rough_text(left.seconds)} left"


def rough_text(seconds: float) -> str:
    """Return a rounded time.

    >>> rough_text(50), rough_text(400), rough_text(2500), rough_text(4100), rough_text(200000)
    ('a minute', '7 min', '40 min', '1 h 10 min', '2 d 8 h')
    """
    minutes = max(1, round(seconds / MINUTE))
    if minutes >= _FEW_MINUTES:
        step = 5 if minutes < HOUR // MINUTE else 10
        minutes = round(minutes / step) * step
    if minutes == 1:
        return "a minute"
    if minutes < HOUR // MINUTE:
        return f"{minutes} min"
    if minutes * MINUTE < DAY:
        hours, rest = divmod(minutes, HOUR // MINUTE)
        return f"{hours} h" + (f" {rest} min" if rest else "")
    hours = round(seconds / HOUR)
    days, rest = divmod(hours, DAY // HOUR)
    return f"{days} d" + (f" {rest} h" if rest else "")


def spread(values: Sequence[_T], most: int) -> Sequence[_T]:
    """Return at most `most` values, evenly spread, with the first and the last."""
    if len(values) <= most:
        return values
    return [values[index * (len(values) - 1) // (most - 1)] for index in range(most)]
