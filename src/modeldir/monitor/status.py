"""How a search or an experiment stands, as values; and the words and the estimate for it.

It knows what is worth telling of a search that runs. It refuses to read files (overview.py and
solo.py do) and to draw (frames.py does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system.durations import DAY, HOUR, MINUTE, duration_text
from modeldir.experiment import attempts, experiment
from modeldir.metrics import metrics
from modeldir.metrics.objective import Ranked

if TYPE_CHECKING:
    from modeldir.launchers.worker_counts import WorkerCounts

ENDED = frozenset({*attempts.FINAL, attempts.UNRECORDED})


@dataclass(frozen=True)
class RunningTrial:
    """A running trial as it is shown; `values` are the hyperparameters that vary.

    `age` is in seconds. `curve` are the metric's values so far; `says` is the last line that it
    printed, where it has told no metric.
    """

    name: str
    number: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    step: object = None
    value: float | None = None
    curve: tuple[float, ...] = ()
    age: float | None = None
    says: str = ""


@dataclass(frozen=True)
class TimeLeft:
    """What is left to wait, in seconds. Not `sure`: it will be longer."""

    seconds: float
    sure: bool


@dataclass(frozen=True)
class SearchSnapshot:
    """How a search stands. `states` counts its trials by status.

    `best` is the name of the best completed trial and its value; `to_come` how many trials the plan
    lacks, None where it has no end; `again` how many that have ended `retry` asks for once more;
    `goal` is the plan's `stop_at`, once it is reached: then what it lacks is not started; `elapsed`
    the seconds since its workers came; `worker` whether one is alive: None if that cannot be seen;
    `workers` are those that were placed as jobs, if any were.
    """

    folder: Path
    running: tuple[RunningTrial, ...] = ()
    varied: tuple[str, ...] = ()
    metric: Ranked | None = None
    best: tuple[str, float] | None = None
    states: Mapping[str, int] = field(default_factory=dict)
    to_come: int | None = None
    again: int = 0
    goal: float | None = None
    left: TimeLeft | None = None
    elapsed: float | None = None
    worker: bool | None = False
    workers: WorkerCounts | None = None
    problem: str | None = None

    @property
    def ended(self) -> int:
        """How many trials have come to their end, well or not."""
        return sum(self.states.get(state, 0) for state in ENDED)

    @property
    def total(self) -> int | None:
        """How many trials there will be; None where the plan has no end."""
        return None if self.to_come is None else sum(self.states.values()) + self.to_come

    @property
    def to_run(self) -> int:
        """How many trials its next worker would still run."""
        left = self.states.get(attempts.INTERRUPTED, 0) + self.states.get(attempts.WAITING, 0)
        new = 0 if self.goal is not None else self.to_come or 0
        return left + new + self.again

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing to run any more: neither now, nor by a next worker."""
        has_end = self.to_come is not None
        return has_end and self.to_run == 0 and not self.states.get(attempts.RUNNING)

    @property
    def is_idle(self) -> bool:
        """Whether no trial runs, and no worker is known that might start one."""
        return not self.states.get(attempts.RUNNING) and self.worker is False

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen unless somebody starts a worker: trials were there, none
        runs, and no worker lives that could start one.
        """
        began = any(count for state, count in self.states.items() if state != attempts.WAITING)
        if self.workers is not None:  # of those it is known, unlike of one that is yet to come
            began = began or not self.workers.are_there
        if not began or self.states.get(attempts.RUNNING):
            return False
        if self.worker is None:  # on a host that cannot be seen: over if there is nothing to do
            return self.to_come == 0 and self.ended == sum(self.states.values())
        return not self.worker


@dataclass(frozen=True)
class ExperimentSnapshot:
    """How one experiment stands: its metrics, each with its curve, and what it printed last.
    `values` are its hyperparameters.
    """

    folder: Path
    status: experiment.Status
    step: object = None
    age: float | None = None
    metrics: tuple[tuple[str, float, tuple[float, ...]], ...] = ()
    lines: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        """Whether it does not run."""
        return self.status.state != attempts.RUNNING

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.is_idle and self.status.state != attempts.WAITING


@dataclass(frozen=True)
class Event:
    """A trial has started (`running`) or has ended otherwise; `words` say how it went."""

    name: str
    state: str
    words: str = ""


def result_text(
    status: experiment.Status,
    development: Mapping[str, float],
    metric: Ranked | None,
    why: str | None = None,
) -> str:
    """How a trial ended, in a few words: why it failed, or its metric; and how long it took. `why`
    is said in the place of the metric.
    """
    words: list[str] = []
    if status.state == attempts.FAILED:
        words.append(f"{status.failure}: {status.last_line or status.reason or 'no output'}")
    elif status.state == attempts.INTERRUPTED:
        words.append(status.reason or "")
    elif why:
        words.append(why)
    else:
        chosen = metric or metrics.choose(list(development))
        value = development.get(chosen[0]) if chosen else None
        words += [f"{chosen[0]} {value:.6g}"] if chosen and value is not None else []
    if status.duration is not None:
        words.append(duration_text(status.duration))
    return "  ".join(word for word in words if word)


def remaining_text(standing: SearchSnapshot) -> str:
    """How many trials the plan lacks, and whether they will come.

    >>> from pathlib import Path
    >>> to_come_text(Standing(Path("s"), to_come=2)), to_come_text(Standing(Path("s"), goal=0.5))
    ('2 to come', '0 not started: stop_at 0.5 is reached')
    """
    if standing.goal is None:
        return f"{standing.to_come or 0} to come"
    return f"{standing.to_come or 0} not started: stop_at {standing.goal:g} is reached"


def estimate(
    finished: Sequence[float], ages: Sequence[float], to_come: int, slots: int
) -> TimeLeft | None:
    """What is left to wait: the slots take the trials to come one after another.

    Args:
        finished: seconds that the latest trials took.
        ages: seconds since each of those that run began.
        to_come: how many have not begun.
        slots: how many run side by side.

    Returns None before a trial has finished: nobody can know. One that runs longer than all that
    have finished makes it a lower bound; so it is at the start of a search of several slots, when
    the shortest trials are the first to finish.

    >>> estimate([60.0, 80.0], [10.0, 35.0], 2, 2)
    Left(seconds=130.0, sure=True)
    """
    import heapq  # noqa: PLC0415 - where something is left alone

    if not finished:
        return None
    each = sum(finished) / len(finished)
    longest = max(finished)
    free = [max(0.0, each - age) for age in ages]
    free += [0.0] * max(0, slots - len(free))
    heapq.heapify(free)
    end = max(free, default=0.0)
    for _ in range(to_come if free else 0):
        ready = heapq.heappop(free) + each
        heapq.heappush(free, ready)
        end = max(end, ready)
    return TimeLeft(end, sure=all(age <= longest for age in ages))


_FEW_MINUTES = 10


_SOON = 45


def best_text(standing: SearchSnapshot) -> str:
    """The best trial so far, or nothing."""
    if standing.best is None or standing.metric is None:
        return ""
    name, value = standing.best
    return f"best: {name}  {standing.metric[0]} {value:.6g}"


def progress_text(standing: SearchSnapshot, elsewhere: int = 0) -> str:
    """How far a search is, and how long it will take if that can be told.

    >>> from pathlib import Path
    >>> states = {"completed": 11, "failed": 1, "running": 2}
    >>> progress_text(Standing(Path("s"), states=states, to_come=46, left=Left(4100, sure=True)))
    '12 of 60 (1 failed), 2 running, about 1 h 10 min left'
    """
    ended, running = standing.ended, standing.states.get(attempts.RUNNING, 0)
    if not sum(standing.states.values()):
        words = "" if standing.to_come is None else f" of {standing.to_come}"
        return f"nothing{words} has started yet"
    failed = standing.states.get(attempts.FAILED, 0)
    count = f"{ended}" if standing.total is None else f"{ended} of {standing.total}"
    parts = [f"{count} ended" if standing.total is None else count]
    if failed:
        parts[0] += f" ({failed} failed)"
    if running:
        parts.append(f"{running} running" + (f" ({elsewhere} elsewhere)" if elsewhere else ""))
    # While somebody works on it, one that waits was made ahead: it comes as do all that lack.
    left = (attempts.INTERRUPTED, *((attempts.WAITING,) if standing.is_idle else ()))
    parts += [f"{standing.states[each]} {each}" for each in left if standing.states.get(each)]
    return ", ".join([*parts, *filter(None, [left_text(standing.left)])])


def left_text(left: TimeLeft | None) -> str:
    """What is left to wait, no more exact than it is known; nothing where it is not."""
    if left is None or (left.seconds < MINUTE and not left.sure):
        return ""
    if left.seconds < _SOON:
        return "less than a minute left"
    return f"{'about' if left.sure else 'at least'} {rough_text(left.seconds)} left"


def rough_text(seconds: float) -> str:
    """A time that is not known well.

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
