"""A search, looked at again and again, from its files alone, and cheaply.

It knows what became of each trial (which there are, census.py knows), which files can tell
something new, and reads those; a finished trial is read once. It refuses to lock, to write and to
draw: any number of readers may look, from any machine that sees the folder.

Start at `Overview.look`. It gives a `Standing`, a value; `take_news` says what happened between two
looks.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import heartbeat, processes
from modeldir._system.stamps import Seen, stamp
from modeldir._system.timestamps import unix_time
from modeldir.experiment import attempts, experiment
from modeldir.experiment.attempts import HOME
from modeldir.launchers import launched_jobs, worker_counts
from modeldir.metrics import metrics
from modeldir.metrics.objective import Ranked
from modeldir.monitor.experiment import LiveTraining, MetricFiles
from modeldir.monitor.status import (
    ENDED,
    Event,
    RunningTrial,
    SearchSnapshot,
    TimeLeft,
    estimate,
    result_text,
)
from modeldir.search import worker_registry
from modeldir.search.inventory import Census, Counted

_AT_A_TURN = 50
"""Finished trials that are looked at again at one look: somebody may have run one once more."""

_ASKED_EVERY = 5
"""Looks at a running trial of which one asks whether its processes still live."""

_RECENT = 20
"""Finished trials that say how long the next ones will take."""


class _Watched:
    """One trial: what was read of it, and whether it has to be read again."""

    def __init__(self, counted: Counted, observer: heartbeat.Observer) -> None:
        self.record, self.folder, self.flat = counted.record, counted.folder, counted.flat
        self._observer = observer
        self.status = experiment.Status(attempts.WAITING)
        self.development: Mapping[str, float] = {}
        self.loop: processes.Process | None = None
        self.training: LiveTraining | None = None
        self._seen, self._files = Seen(), MetricFiles(self.folder)
        self._attempt: attempts.Attempt | None = None
        self._run_file = Seen()
        self._looks = 0

    @property
    def has_ended(self) -> bool:
        return self.status.state in ENDED

    def look(self) -> bool:
        """Read it if it may have changed; whether its status is another now."""
        if self._goes_on():
            return False
        changed = self._seen.changed(stamp(self.folder))
        if self.status.state == attempts.UNRECORDED:  # it may run: nobody says so
            changed = self._files.changed() or changed
        if not changed and self._attempt is None:
            return False
        before, names = self.status, _listed(self.folder)
        self.status = experiment.status(self.folder, names=names, observer=self._observer)
        if self.status.state == attempts.RUNNING:
            if self.training is None or self.status.attempt != before.attempt:
                self.training = LiveTraining(self.folder)
            self.training.look()
            self._attempt = attempts.latest(self.folder)
        else:
            self.training = self._attempt = None
            if self.has_ended:
                self.development = experiment.scores(self.folder, names).development
        if (self.status.attempt, self.status.state) == (before.attempt, before.state):
            return False
        self.loop = _loop_of(self.folder, names)
        return True

    def _goes_on(self) -> bool:
        """Whether it was running and still is, for all that one file tells: an end is written into
        the attempt's own. That a process died without one no file tells: that is asked more seldom.
        """
        if self._attempt is None or self.training is None or self.status.in_doubt:
            return False
        self._looks += 1
        if self._run_file.changed(stamp(self._attempt.path)) or self._looks % _ASKED_EVERY == 0:
            return False
        self.training.look()
        return True


def _listed(folder: Path) -> list[str] | None:
    """The names in a folder; None where it cannot be listed."""
    try:
        return os.listdir(folder)
    except OSError:
        return None


def _loop_of(folder: Path, names: list[str] | None) -> processes.Process | None:
    """The process that may start another trial after this one: a loop in Python, or a script that
    calls its training again and again. A worker is in the roster.
    """
    last = attempts.latest(folder, names=names)
    if last is None or last.record.get("supervisor"):
        return None
    return processes.from_json(last.record.get("process"))


class SearchMonitor:
    """A search, looked at again and again; `now` gives the time as seconds since 1970.

    A folder of trials without a plan, as CS230's own script leaves it, is looked at likewise.
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
        self._census = Census(self.folder, self._observer)
        self._watched: dict[int, _Watched] = {}
        self._counted: tuple[Ranked | None, tuple[str, float] | None, list[float]] | None = None
        self._varied: tuple[str, ...] = ()
        self._workers = Seen()
        self._members: list[worker_registry.Member] = []
        self._job_watcher = launched_jobs.JobWatcher(self.folder, self._observer)
        self._jobs: list[launched_jobs.LaunchedJob] = []
        self._turn = 0
        self._news: list[Event] = []
        self._first = True

    def look(self) -> SearchSnapshot:
        """Read what has changed since the last look."""
        if self._census.look():
            self._know()
        for each in [*self._due()]:
            self._look_at(each)
        self._first = False
        if self._workers.changed(stamp(self.folder / HOME / "workers")) or not self._runs():
            # No folder tells whether they live.
            self._members = worker_registry.members(self.folder, self._observer)
        self._jobs = self._job_watcher.read()
        return self._standing()

    def _runs(self) -> bool:
        return any(each.training is not None for each in self._watched.values())

    def take_events(self) -> list[Event]:
        """What happened since this was last asked; nothing at first: that is how it stood."""
        news, self._news = self._news, []
        return news

    def _know(self) -> None:
        found = {}
        for number, counted in self._census.there.items():
            each = self._watched.get(number)
            same = each is not None and each.record == counted.record
            found[number] = each if each and same else _Watched(counted, self._observer)
        self._watched = found
        self._counted = None
        self._varied = self._find_varied()

    def made(self, name: str) -> RunningTrial | None:
        """The row of a trial that has just been started: nothing but its values is known yet."""
        for each in self._watched.values():
            if each.record.name == name:
                return RunningTrial(name, each.record.number, self._that_count(each.flat))
        return None

    # -- What became of them -----------------------------------------------------------------------

    def _due(self) -> Iterator[_Watched]:
        """Those that have not ended; of those that have, a few at each look, in turn."""
        ended = [each for each in self._watched.values() if each.has_ended]
        yield from (each for each in self._watched.values() if not each.has_ended)
        for _ in range(min(_AT_A_TURN, len(ended))):
            self._turn = (self._turn + 1) % len(ended)
            yield ended[self._turn]

    def _look_at(self, each: _Watched) -> None:
        before, scores = each.status, each.development
        changed = each.look()
        self._counted = None if changed or each.development is not scores else self._counted
        if not changed or self._first:
            return
        now = each.status
        name = each.record.name
        if now.state == attempts.WAITING:
            return
        if now.attempt != before.attempt and now.state != attempts.UNRECORDED:
            self._news.append(Event(name, attempts.RUNNING))  # also one that was over in between
        if now.state != attempts.RUNNING:
            words = result_text(now, each.development, self.metric())
            self._news.append(Event(name, now.state, words))

    def metric(self) -> Ranked | None:
        """The metric to rank by: the plan's, else what the first trial with metrics suggests."""
        if self._census.plan.metric is not None:
            return self._census.plan.metric
        for each in self._watched.values():
            if each.development:
                return metrics.choose(list(each.development))
        for each in self._watched.values():
            if each.training is not None and (names := each.training.names()):
                chosen = metrics.choose(names)
                return (metrics.without_split(chosen[0]), chosen[1]) if chosen else None
        return None

    def _standing(self) -> SearchSnapshot:
        metric = self.metric()
        watched = self._watched.values()
        running = [each for each in watched if each.training is not None]
        rows = tuple(self._row(each, metric) for each in running)
        states = Counter(each.status.state for each in watched)
        to_come = self._census.to_come(states)
        best, took = self._count(metric)
        return SearchSnapshot(
            folder=self.folder,
            running=rows,
            varied=self._varied,
            metric=metric,
            best=best,
            states=states,
            to_come=to_come,
            again=self._census.wanted_again(),
            goal=self._census.plan.goal(best),
            left=self._left(rows, states, to_come, took),
            elapsed=self._elapsed(),
            worker=None if running else self._worker(),
            workers=worker_counts.count_workers(self.folder, self._jobs) if self._jobs else None,
            problem=self._census.plan.problem,
        )

    def _row(self, each: _Watched, metric: Ranked | None) -> RunningTrial:
        training = each.training
        assert training is not None
        began = unix_time(each.status.started)
        return RunningTrial(
            name=each.record.name,
            number=each.record.number,
            values=self._that_count(each.flat),
            step=training.step,
            value=training.value(metric[0]) if metric else None,
            curve=training.curve(metric[0]) if metric else (),
            age=None if began is None else each.status.before + max(0.0, self._now() - began),
            says=training.says,
        )

    def _that_count(self, flat: Mapping[str, Any]) -> Mapping[str, Any]:
        """A trial's values, without those that do not count at its point."""
        if not self._census.plan.space.conditions:
            return flat
        active = self._census.plan.space.active_names(flat)
        left_out = self._census.plan.space.domains.keys() - {*active}
        return {name: value for name, value in flat.items() if name not in left_out}

    def _find_varied(self) -> tuple[str, ...]:
        """The names of the plan; without one, those that differ among the trials."""
        if self._census.plan.space.domains:
            return tuple(self._census.plan.space.domains)
        found: dict[str, set[str]] = {}
        for each in self._watched.values():
            for name, value in each.flat.items():
                found.setdefault(name, set()).add(repr(value))
        return tuple(name for name, values in found.items() if len(values) > 1)

    def _count(self, metric: Ranked | None) -> tuple[tuple[str, float] | None, list[float]]:
        """The best trial, and how long the latest took: counted again when one has changed."""
        if self._counted is None or self._counted[0] != metric:
            watched = self._watched.values()
            trials = ((each.record, each.status.state, each.development) for each in watched)
            best = self._census.plan.best(trials, metric)
            self._counted = (metric, best, self._took())
        return self._counted[1:]

    def _took(self) -> list[float]:
        statuses = (each.status for each in reversed(self._watched.values()))
        latest = (status for status in statuses if status.state in attempts.WITH_METRICS)
        return [each.duration for each in latest if each.duration is not None][:_RECENT]

    def _left(
        self,
        rows: Sequence[RunningTrial],
        states: Mapping[str, int],
        to_come: int | None,
        took: Sequence[float],
    ) -> TimeLeft | None:
        waiting = states.get(attempts.WAITING, 0) + states.get(attempts.INTERRUPTED, 0)
        if to_come is None or not rows:
            return None
        ages = [row.age or 0.0 for row in rows]
        slots = sum(each.jobs for each in self._members)
        return estimate(took, ages, to_come + waiting, max(slots, len(rows)))

    def _elapsed(self) -> float | None:
        """Seconds since the first of the workers came that are there."""
        began = [unix_time(each.started) for each in self._members]
        since = min((moment for moment in began if moment is not None), default=None)
        return None if since is None else max(0.0, self._now() - since)

    def _worker(self) -> bool | None:
        """Whether a worker lives; None if one may, where it cannot be seen."""
        loops = dict.fromkeys(each.loop for each in self._watched.values() if each.loop)
        answers = {*map(processes.alive, loops), *(each.alive for each in self._members)}
        answers |= {each.state.alive for each in self._jobs if not each.is_leaving}
        if True in answers:
            return True
        return None if None in answers else False
