"""Read one search again and again: its trials, its workers, what happened in between.

`commands/watch.py` and a worker's live view call `SearchMonitor.update`. Read only what may have
changed, take no lock and write nothing, so that any number of monitors may run on any machine.
Which trials there are: `search/trial_counts.py`; what a running trial reports: `experiment.py`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import disks, heartbeat, processes
from modeldir._system.file_stamps import Seen, stamp
from modeldir._system.timestamps import unix_time
from modeldir.experiment import attempts, experiment
from modeldir.experiment.attempts import HOME
from modeldir.launchers import launched_jobs, worker_counts
from modeldir.metrics import metric_files, objective
from modeldir.metrics.objective import Ranked
from modeldir.monitor.experiment import LiveTraining, MetricFiles
from modeldir.monitor.snapshots import (
    ENDED,
    Event,
    RunningTrial,
    SearchSnapshot,
    TimeLeft,
    estimate,
    result_text,
)
from modeldir.search import worker_registry
from modeldir.search.trial_counts import Inventory, PresentTrial

_ENDED_PER_UPDATE = 50
"""How many ended trials one update checks again: somebody may have run one once more."""

_CHECK_PROCESS_EVERY = 5
"""One of this many updates of a running trial asks whether its processes are alive."""

_RECENT = 20
"""How many ended trials the estimate of the time left uses."""


class _WatchedTrial:
    def __init__(self, counted: PresentTrial, observer: heartbeat.Observer) -> None:
        self.record, self.folder, self.flat = counted.record, counted.folder, counted.flat
        self._observer = observer
        self.status = experiment.Status(attempts.PENDING)
        self.scores: Mapping[str, float] = {}
        self.loop: processes.Process | None = None
        self.training: LiveTraining | None = None
        self._seen, self._files = Seen(), MetricFiles(self.folder)
        self._attempt: attempts.Attempt | None = None
        self._run_file = Seen()
        self._updates = 0

    @property
    def has_ended(self) -> bool:
        return self.status.state in ENDED

    def update(self) -> bool:
        if self._still_runs():
            return False
        changed = self._seen.changed(stamp(self.folder))
        if self.status.state == attempts.UNTRACKED:  # it may run without being recorded
            changed = self._files.changed() or changed
        if not changed and self._attempt is None:
            return False
        before, names = self.status, _listed(self.folder)
        self.status = experiment.status(self.folder, names=names, observer=self._observer)
        if self.status.state == attempts.RUNNING:
            if self.training is None or self.status.attempt != before.attempt:
                self.training = LiveTraining(self.folder)
            self.training.update()
            self._attempt = attempts.latest(self.folder)
        else:
            self.training = self._attempt = None
            if self.has_ended:
                self.scores = experiment.scores(self.folder).validation
        if (self.status.attempt, self.status.state) == (before.attempt, before.state):
            return False
        self.loop = _loop_of(self.folder, names)
        return True

    def _still_runs(self) -> bool:
        """Return whether a running trial still runs, according to its run file.

        No file shows that a process was killed: this is checked less often.
        """
        if self._attempt is None or self.training is None or self.status.in_doubt:
            return False
        self._updates += 1
        is_due = self._updates % _CHECK_PROCESS_EVERY == 0
        if self._run_file.changed(stamp(self._attempt.path)) or is_due:
            return False
        self.training.update()
        return True


def _listed(folder: Path) -> list[str] | None:
    try:
        return os.listdir(folder)
    except OSError:
        return None


def _loop_of(folder: Path, names: list[str] | None) -> processes.Process | None:
    """Return the process of a Python loop (no worker) that may start a trial after this one."""
    last = attempts.latest(folder, names=names)
    if last is None or last.record.get("supervisor"):
        return None
    return processes.from_json(last.record.get("process"))


class SearchMonitor:
    """One search; each call of `update` returns how it stands now.

    A folder of trials without `search.json`, as CS230's own script leaves it, is read likewise.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(folder)
        self._now = now
        self._observer = heartbeat.Observer()
        self._inventory = Inventory(self.folder, self._observer)
        self._trials: dict[int, _WatchedTrial] = {}
        self._best_and_times: tuple[Ranked | None, tuple[str, float] | None, list[float]] | None = (
            None
        )
        self._varied: tuple[str, ...] = ()
        self._workers = Seen()
        self._members: list[worker_registry.RegisteredWorker] = []
        self._job_watcher = launched_jobs.JobWatcher(self.folder, self._observer)
        self._jobs: list[launched_jobs.LaunchedJob] = []
        self._turn = 0
        self._events: list[Event] = []
        self._first = True

    def update(self) -> SearchSnapshot:
        if self._inventory.refresh():
            self._take_inventory()
        for each in [*self._due()]:
            self._update_trial(each)
        self._first = False
        runs = any(each.training is not None for each in self._trials.values())
        if self._workers.changed(stamp(self.folder / HOME / "workers")) or not runs:
            # No file shows whether a worker is alive.
            self._members = worker_registry.workers(self.folder, self._observer)
        self._jobs = self._job_watcher.read()
        return self._snapshot()

    def take_events(self) -> list[Event]:
        """Return what happened since the last call; nothing before the first update."""
        events, self._events = self._events, []
        return events

    def _take_inventory(self) -> None:
        trials = {}
        for number, counted in self._inventory.there.items():
            each = self._trials.get(number)
            same = each is not None and each.record == counted.record
            trials[number] = each if each and same else _WatchedTrial(counted, self._observer)
        self._trials = trials
        self._best_and_times = None
        self._varied = self._find_varied()

    def started_trial(self, name: str) -> RunningTrial | None:
        """Return a trial that was started just now, of which only the values are known yet."""
        for each in self._trials.values():
            if each.record.name == name:
                return RunningTrial(name, each.record.number, self._active_values(each.flat))
        return None

    # -- The trials --------------------------------------------------------------------------------

    def _due(self) -> Iterator[_WatchedTrial]:
        """Yield the trials that have not ended, and a few of the others in turn."""
        ended = [each for each in self._trials.values() if each.has_ended]
        yield from (each for each in self._trials.values() if not each.has_ended)
        for _ in range(min(_ENDED_PER_UPDATE, len(ended))):
            self._turn = (self._turn + 1) % len(ended)
            yield ended[self._turn]

    def _update_trial(self, each: _WatchedTrial) -> None:
        before, scores = each.status, each.scores
        changed = each.update()
        if changed or each.scores != scores:
            self._best_and_times = None
        if not changed or self._first:
            return
        now = each.status
        name, number = each.record.name, each.record.number
        if now.state == attempts.PENDING:
            return
        if now.attempt != before.attempt and now.state != attempts.UNTRACKED:
            self._events.append(
                Event(name, attempts.RUNNING, number=number)
            )  # it may have ended, too
        if now.state != attempts.RUNNING:
            words = result_text(now, each.scores, self.metric())
            self._events.append(Event(name, now.state, words, number))

    def metric(self) -> Ranked | None:
        """Return the metric to rank by: the search's, else one that the trials' metrics suggest."""
        if self._inventory.plan.metric is not None:
            return self._inventory.plan.metric
        for each in self._trials.values():
            if each.scores:
                return objective.choose(list(each.scores))
        for each in self._trials.values():
            if each.training is not None and (names := each.training.names()):
                chosen = objective.choose(names)
                return (metric_files.without_split(chosen[0]), chosen[1]) if chosen else None
        return None

    def _candidates(self) -> tuple[str, ...]:
        """Return the metrics of the first trial that has some."""
        scores = next((each.scores for each in self._trials.values() if each.scores), {})
        return tuple(objective.candidates(scores))

    def _snapshot(self) -> SearchSnapshot:
        metric = self.metric()
        running = [each for each in self._trials.values() if each.training is not None]
        rows = tuple(self._running_trial(each, metric) for each in running)
        states = Counter(each.status.state for each in self._trials.values())
        remaining = self._inventory.remaining(states)
        best, seconds = self._best_and_recent(metric)
        to_retry = self._inventory.wanted_again()
        return SearchSnapshot(
            folder=self.folder,
            running=rows,
            varied=self._varied,
            metric=metric,
            unranked=() if metric else self._candidates(),
            best=best,
            states=states,
            remaining=remaining,
            to_retry=to_retry,
            goal=self._inventory.plan.goal(best),
            time_left=self._time_left(rows, states, remaining, seconds, to_retry),
            elapsed=self._elapsed(),
            worker=None if running else self._worker(),
            workers=worker_counts.count_workers(self.folder, self._jobs) if self._jobs else None,
            problem=self._inventory.plan.problem or (self._disk_trouble() if running else None),
        )

    def _disk_trouble(self) -> str | None:
        trouble = disks.trouble(self.folder)
        return trouble and disks.unrecorded(self.folder, trouble)

    def _running_trial(self, each: _WatchedTrial, metric: Ranked | None) -> RunningTrial:
        training = each.training
        assert training is not None
        began = unix_time(each.status.started)
        return RunningTrial(
            name=each.record.name,
            number=each.record.number,
            values=self._active_values(each.flat),
            step=training.step,
            value=training.value(metric[0]) if metric else None,
            curve=training.curve(metric[0]) if metric else (),
            age=None if began is None else each.status.before + max(0.0, self._now() - began),
            last_line=training.last_line,
        )

    def _active_values(self, flat: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._inventory.plan.space.conditions:
            return flat
        active = self._inventory.plan.space.active_names(flat)
        inactive = self._inventory.plan.space.domains.keys() - {*active}
        return {name: value for name, value in flat.items() if name not in inactive}

    def _find_varied(self) -> tuple[str, ...]:
        if self._inventory.plan.space.domains:
            return tuple(self._inventory.plan.space.domains)
        values_of: dict[str, set[str]] = {}
        for each in self._trials.values():
            for name, value in each.flat.items():
                values_of.setdefault(name, set()).add(repr(value))
        return tuple(name for name, values in values_of.items() if len(values) > 1)

    def _best_and_recent(
        self, metric: Ranked | None
    ) -> tuple[tuple[str, float] | None, list[float]]:
        if self._best_and_times is None or self._best_and_times[0] != metric:
            known = self._trials.values()
            trials = ((each.record, each.status.state, each.scores) for each in known)
            best = self._inventory.plan.best(trials, metric)
            self._best_and_times = (metric, best, self._recent_seconds())
        return self._best_and_times[1:]

    def _recent_seconds(self) -> list[float]:
        statuses = (each.status for each in reversed(self._trials.values()))
        latest = (status for status in statuses if status.state in attempts.WITH_METRICS)
        return [each.duration for each in latest if each.duration is not None][:_RECENT]

    def _time_left(
        self,
        rows: Sequence[RunningTrial],
        states: Mapping[str, int],
        remaining: int | None,
        seconds: Sequence[float],
        to_retry: int,
    ) -> TimeLeft | None:
        waiting = states.get(attempts.PENDING, 0) + states.get(attempts.INTERRUPTED, 0)
        if remaining is None or not rows:
            return None
        ages = [row.age or 0.0 for row in rows]
        slots = sum(each.jobs for each in self._members)
        return estimate(seconds, ages, remaining + waiting + to_retry, max(slots, len(rows)))

    def _elapsed(self) -> float | None:
        began = [unix_time(each.started) for each in self._members]
        since = min((moment for moment in began if moment is not None), default=None)
        return None if since is None else max(0.0, self._now() - since)

    def _worker(self) -> bool | None:
        """Return whether a worker is alive; None if one may be, on a host that cannot be seen."""
        loops = dict.fromkeys(each.loop for each in self._trials.values() if each.loop)
        answers = {*map(processes.alive, loops), *(each.alive for each in self._members)}
        answers |= {each.state.alive for each in self._jobs if not each.is_leaving}
        if True in answers:
            return True
        return None if None in answers else False
