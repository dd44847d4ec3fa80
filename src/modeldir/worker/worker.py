"""A worker: takes the next trial of a search, runs it, repeats. All there is; there is no master.

It knows slots and the loop: fill free slots, wait for something to happen. It refuses to know how a
trial's process is kept (supervisor.py) and what is shown (progress.py). More workers may join on
the same search at any time, and any of them may die: the trials go on, and the next finds them.

Start at `Worker._work`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import files, heartbeat, processes, timestamps
from modeldir._system.durations import duration_text
from modeldir._system.version import __version__
from modeldir.errors import ModeldirError
from modeldir.experiment import attempts, experiment, failures
from modeldir.experiment.attempts import HOME
from modeldir.metrics import metrics
from modeldir.monitor import progress
from modeldir.monitor.status import result_text
from modeldir.monitor.summary import WorkerOutcome, summary
from modeldir.pruners import judge
from modeldir.search import inheritance, trial_command, worker_registry
from modeldir.search.trial_record import TrialRecord, Turn
from modeldir.worker.job import Job, Tenure
from modeldir.worker.messages import Start
from modeldir.worker.pilot import Pilot
from modeldir.worker.preload.policy import Warmth
from modeldir.worker.slots import ASK_AGAIN, Seat, Slots
from modeldir.worker.spawner import Spawner

if TYPE_CHECKING:
    from modeldir.search.search import Search

_ENOUGH_FAILURES = 3
_LONG = 600.0
"""Seconds of a trial after which it matters whether it can go on where it was interrupted."""
_REQUESTS_EVERY = 1.0
_STARTS_PER_TRIAL = 2
"""One worker starts a trial that keeps being interrupted no more often; the next command may."""


@dataclass(frozen=True)
class _Running:
    """An attempt of a trial in one of our slots. `pid` is its supervisor's; if it is ours, its
    `spawner` tells when it dies, of others `descriptor` does, or their files.
    """

    record: TrialRecord
    attempt: int
    pid: int
    shown: progress.ShownTrial
    spawner: Spawner | None = None
    descriptor: int | None = None

    @property
    def ours(self) -> bool:
        return self.spawner is not None


@dataclass(frozen=True)
class Limits:
    """When a worker starts no more trials: after `time` seconds, or so many `failures`, or starts
    of `trials`.
    """

    time: float | None = None
    failures: int | None = None
    trials: int | None = None


class Worker:
    """Runs the trials of one search on this machine, `jobs` at a time, or as many as there are
    places for.

    `bound` ties the trials to this process: inside a cluster's job nothing may outlive it.
    `pilot` has the first trial run alone until it shows that it reads what the search varies.
    `job` is the job that this worker is. `warm` lets trials begin with their imports (warmth.py).
    """

    def __init__(  # noqa: PLR0913 - what a user may say of a worker
        self,
        search: Search,
        jobs: int | Slots,
        show: progress.Progress,
        *,
        bound: bool = False,
        pilot: bool = True,
        limits: Limits | None = None,
        job: Job | None = None,
        warm: bool = True,
    ) -> None:
        self.search = search
        self.slots = jobs if isinstance(jobs, Slots) else Slots(jobs)
        self.jobs = self.slots.count
        self.show = show
        self.bound = bound
        self._wants_pilot = pilot
        self._pilot = Pilot(search, wanted=False)
        self._running: dict[int, _Running] = {}
        self._starts: dict[int, int] = {}
        self._begun = 0
        self._is_ahead = False  # whether the next trial was made already, if it can be
        self._warned = self._explained = False
        self._waits_for_place, self._told_to_wait = False, ""
        self._insists = False
        self._spawner_is_gone = False
        self._warmth = Warmth(
            search.path,
            self._tell,
            left=search.scheduler.left,
            code=search.code,
            variables=self.slots.variables,
            wanted=warm,
        )
        self._waits_for_imports = False
        self._ended: dict[str, str] = {}  # by name: one that ran twice counts once
        self._interrupts = 0
        self._tenure = Tenure(search, job, self._tell)
        self._elsewhere: set[str] = set()  # the trials that run on other hosts, by name
        self._doubted: set[str] = set()  # those of them of which it is not known whether they do
        self._own: set[str] = set()  # those of them that an earlier copy of this job runs
        self._look_at = 0.0
        self._problem: str | None = None
        self._exhausted = False
        self._wishes: object = None  # that were there when we last looked for more to do
        self._limits = limits or Limits()
        self._began = time.monotonic()
        self._enough: str | None = None  # why no more are started, though all is well
        self._limited = False  # the next command starts more all the same
        self._membership: worker_registry.Membership
        me = processes.process()
        self._me = me.to_json() if me else None
        self._log: int | None = None

    def run(
        self, command: str | None, spawner: Spawner | None = None, *, typed: bool = True
    ) -> WorkerOutcome:
        """Run trials until none is left to start and all of ours have ended.

        `spawner` is one that was made while this process was still small; by default one is made.
        A command that was `typed` just now runs from here, one that the plan had where it ran.

        Raises:
            SearchError, CommandError, SpaceError: before anything is started.
        """
        lent = spawner and contextlib.nullcontext(spawner)  # who made it closes it
        with lent or Spawner() as spawns:
            for news in self.search.prepare(command, typed=typed):
                self.show.message(news)
            self._open_log()
            for note in self.slots.notes:
                self._tell(note)
            options = (*self.slots.options, *self._warmth.options)
            self._membership = worker_registry.join(
                self.search.path, self.jobs, options, job=self._tenure.token
            )
            with self._signals() as wake:
                try:
                    outcome = self._work(spawns, wake)
                    self._tenure.end(self._why_left())
                finally:
                    self._warmth.close()
                    self.slots.close()
                    self._membership.leave()
                    self.show.close()
                    if self._log is not None:
                        os.close(self._log)
            return outcome

    def _work(self, spawner: Spawner, wake: int) -> WorkerOutcome:
        self._heed_requests()  # a job that was asked to stop while it waited does not begin
        killed = self._tell_of_the_unseen()
        self._find_running()
        self._pilot = Pilot(self.search, wanted=self._wants_pilot)
        self._notice_goal()
        # Stopped by the first failures before, and said again: so they are wanted all the same.
        self._insists = len(self.search.scheduler.retries.failed_unchanged()) >= _ENOUGH_FAILURES
        words = trial_command.words_of(self.search.plan.command or "-")
        self._warmth.begin(tuple(words), str(self.search.working_folder()))
        while True:
            self._fill(spawner)
            self._make_ahead()
            if not (self._running or self._waits_to_begin()) and not self._waits_to_know():
                break
            self._wait(spawner, wake)
        worker_registry.tidy(self.search.path, self.search.observer, killed)
        return self._outcome()

    # -- Filling slots -----------------------------------------------------------------------------

    def _fill(self, spawner: Spawner) -> None:
        """Start trials while there are places for them: first the place, then the trial."""
        self._waits_for_place = self._waits_for_imports = False
        while self._may_start():
            if self._warmth.holds_back() and self.search.scheduler.may_have_more(self._busy()):
                self._waits_for_imports = True
                return
            try:
                seat = self.slots.take(trial_command.words_of(self.search.plan.command or "-"))
            except ModeldirError as error:  # somebody else's folder lies where leases are kept
                self._stop_for(error)
                return
            if seat is None:
                self._wait_for_place()
                return
            with seat:
                turn = self._next()
                if turn is None:
                    return
                self._start(spawner, turn, seat)

    def _make_ahead(self) -> None:
        """While all slots are taken, have the next trial made: the next one that becomes free does
        not stand empty meanwhile. Not before a trial went well: who mends his script, or wants
        other values after all, should find no trial that he has not seen begin. Nor with a limit,
        at which one would be left behind.
        """
        if self._is_ahead or not self._is_full() or self._stops() or self._limits != Limits():
            return
        if attempts.COMPLETED in self._ended.values():
            self._is_ahead = True
            with contextlib.suppress(ModeldirError, OSError):  # told when there is a place for it
                self.search.scheduler.make_ahead(self._busy())

    def _waits_to_begin(self) -> bool:
        return self._waits_for_place or self._waits_for_imports

    def _wait_for_place(self) -> None:
        """GPUs are all in use, by us or by others: say so once, and ask again."""
        if not self.search.scheduler.may_have_more(self._busy()):
            self._exhausted = True
            return
        self._waits_for_place = True
        if self.slots.why != self._told_to_wait and not self._running:
            self._told_to_wait = self.slots.why
            self._tell(self.slots.why)

    def _next(self) -> Turn | None:
        """Whose turn it is; None when there is nothing left to start, or something is wrong."""
        try:
            self._notice_goal()  # a trial of another worker may have it
            turn = None if self._enough else self.search.scheduler.next_trial(self._busy())
        except (
            ModeldirError,
            OSError,
        ) as error:  # the plan or the base was changed, a disk is full
            self._stop_for(error)
            return None
        self._exhausted = turn is None
        return turn

    def _may_start(self) -> bool:
        if self._stops():
            return False
        if self._limits.time is not None and self._left() <= 0:
            self._stop_starting("the time limit is over: no more trials are started")
            return False
        return not self._is_full()

    def _stops(self) -> bool:
        """Whether nothing more is to be started, as far as is known."""
        stops = self._interrupts or self._problem or self._exhausted or self._enough
        return bool(stops) or self._has_started_enough()

    def _is_full(self) -> bool:
        pilot_flies = self._pilot.flies and bool(self._running)  # it flies alone
        return pilot_flies or len(self._running) >= self.jobs

    def _has_started_enough(self) -> bool:
        return self._limits.trials is not None and self._begun >= self._limits.trials

    def _explain_the_pilot(self) -> None:
        """Once: why there are free slots, and trials, and none is started."""
        if self._explained or self.jobs == 1 or not self._pilot.flies:
            return
        self._explained = True
        if self.search.scheduler.may_have_more(self._busy()):
            self._tell(self._pilot.why)

    def _busy(self) -> frozenset[int]:
        tired = {number for number, count in self._starts.items() if count >= _STARTS_PER_TRIAL}
        return frozenset(tired | {running.record.number for running in self._running.values()})

    def _left(self) -> float:
        """Seconds until the time limit of this worker."""
        limit = self._limits.time
        return float("inf") if limit is None else self._began + limit - time.monotonic()

    def _stop_starting(self, why: str, *, limited: bool = True) -> None:
        """Start no more. Not `limited`: the next command would not either."""
        if self._enough is None and self._problem is None:
            self._enough, self._limited = why, limited
            if count := len(self._running):  # the start of one may be told after this
                that = "1 that runs already goes" if count == 1 else f"{count} that run already go"
                why += f"\n  {that} on to {'its' if count == 1 else 'their'} end"
            self._tell(why)

    def _stop_for(self, error: ModeldirError | OSError) -> None:
        """No new trials: something is wrong that the user should mend. Running ones go on."""
        if isinstance(error, OSError):
            self._problem = (
                f"{self.search.path}: {error.strerror}: no more trials are made\n"
                "  nothing that has ended is lost; once it can be written, say the same again"
            )
        else:
            self._problem = error.without_state()

    def _heed(self, problem: str | None) -> None:
        """The pilot has found that the search makes no sense: end what runs."""
        if problem is not None and self._problem is None:
            self._problem = problem
            self._signal_all(signal.SIGTERM)

    def _start(self, spawner: Spawner, turn: Turn, seat: Seat) -> None:
        record = turn.record
        folder = self.search.trials.path(record)
        last = attempts.read(folder, turn.attempt - 1) if turn.attempt > 1 else None
        doubt = self._doubt_of(last)
        if last is not None and last.end is None and doubt is None:
            attempts.kill_leftover_processes(last)
        start = self._start_of(turn, folder, last, seat, doubt)
        keeper, pid = self._begin(spawner, start, seat)
        watched = _watch(pid) if keeper is None else None
        self._starts[record.number] = self._starts.get(record.number, 0) + 1
        self._begun += 1
        self._is_ahead = False
        shown = progress.ShownTrial(record.name, folder, time.monotonic())
        self._running[pid] = _Running(record, turn.attempt, pid, shown, keeper, descriptor=watched)
        self._tenure.begin(folder)
        self._pilot.take(record)

    def _begin(self, spawner: Spawner, start: Start, seat: Seat) -> tuple[Spawner | None, int]:
        """Have a supervisor run it: its pid, and the spawner that tells of it."""
        warm, way = self._warmth.way(start)
        if warm is not None:
            try:
                pid = warm.start(way, seat.leases)
            except (ModeldirError, OSError):
                self._warmth.lose()
                way = start
            else:
                self._warmth.started(pid, way)
                return warm, pid
        pid = spawner.start(way, seat.leases)
        self._warmth.started(pid, way)
        return None if self._spawner_is_gone else spawner, pid

    def _doubt_of(self, last: attempts.Attempt | None) -> str | None:
        """What was last seen of an attempt's heart, where only that tells that it is dead."""
        if last is None or last.end is not None or attempts.is_alive(last) is False:
            return None
        self._tell(f"taking over {last.folder.name}: nothing was heard of {attempts.host_of(last)}")
        return self.search.observer.sight(last.path)

    def _start_of(
        self,
        turn: Turn,
        folder: Path,
        last: attempts.Attempt | None,
        seat: Seat,
        doubt: str | None,
    ) -> Start:
        command = self.search.command_for(turn.record)
        extra = self._how_to_resume(turn.record, folder, last)
        inherits = self._inherited(turn.record) if extra is None and turn.record.parent else ()
        if inherits:
            extra = self.search.plan.resume
        here = self.search.working_folder()
        metric = self.search.plan.metric
        ranked = {metrics.RANKED_VARIABLE: f"{metric[1]}:{metric[0]}"} if metric else {}
        orders = self.search.judged_by(turn.record)
        if orders is not None and extra is None:  # the weights of its parent are gone
            orders = replace(orders, begun=0)
        judged = {judge.VARIABLE: orders.to_text()} if orders else {}
        return Start(
            folder=os.path.abspath(folder),
            number=turn.attempt,
            command=(*command, *(extra or ())),
            cwd=str(here),
            resumes=extra is not None,
            inherits=inherits,
            variables={**ranked, **judged, **self._pilot.variables(turn.record), **seat.variables},
            facts={
                "worker": self._me,
                **self.search.setting(),
                "commit": self.search.commit(),
                "modeldir": __version__,
                **inheritance.lineage(self.search.trials, turn.record),
                **seat.facts,
                **self._tenure.facts(),
            },
            metric=metric,
            read=self.search.plan.read,
            pruner=orders.to_text() if orders else None,
            time_limit=self.search.plan.trial_time_limit,
            bound=self.bound,
            doubt=doubt,
        )

    def _how_to_resume(
        self, record: TrialRecord, folder: Path, last: attempts.Attempt | None
    ) -> tuple[str, ...] | None:
        """The arguments with which an attempt goes on from what lies there; None where it begins
        afresh.

        It goes on only after an interruption, or where one that was pruned should go on after all:
        a failed trial that runs again starts afresh.
        """
        last = attempts.last_started(last)
        if last is None:
            return None
        spared = last.end == attempts.PRUNED and self.search.trials.claims.is_spared(record)
        if last.end not in (None, attempts.INTERRUPTED) and not spared:
            return None
        if spared:
            return inheritance.continue_arguments(self.search.plan, folder)
        return inheritance.resume_arguments(self.search.plan, folder)

    def _inherited(self, record: TrialRecord) -> tuple[str, ...]:
        """The weights with which a trial begins where it is another's child: that one's last."""
        parent = inheritance.parent_of(self.search.trials, record)
        found = attempts.last_weights(parent) if parent is not None else []
        if record.parent is not None and not found:
            name = record.parent.get("name")
            self._tell(f"note: {record.name} begins afresh: the last weights of {name} are gone")
        return tuple(map(os.path.abspath, found))

    def _find_running(self) -> None:
        """Trials of a worker that is gone: they are left be, take a slot, and are waited for."""
        for record in self.search.trials.statuses.unfinished():
            folder = self.search.trials.path(record)
            last = attempts.latest(folder)
            if last is None or last.end is not None:
                continue
            life = attempts.is_alive(last)
            if life is False:
                attempts.kill_leftover_processes(last)  # what it left may hold a GPU
            if life is not True:  # what runs on another host, or may, takes no slot here
                continue
            worker = _worker_of(last)
            keeper = processes.from_json(last.record.get("supervisor"))
            if keeper is None or (worker is not None and processes.alive(worker) is not False):
                continue
            shown = progress.ShownTrial(record.name, folder, time.monotonic())
            self._running[keeper.pid] = _Running(
                record, last.number, keeper.pid, shown, descriptor=_watch(keeper.pid)
            )
            self._tell(f"found {record.name} running: waiting for it")

    def _waits_to_know(self) -> bool:
        """Whether a trial of another host may be dead, which only its heart can tell: this worker
        stays until it knows, for then the trial is its own to run.

        It stays too while an earlier copy of its own job runs one, on a node that the job manager
        has lost sight of: once it sees that node again it ends that copy, and asks nobody.
        """
        if self._interrupts or self._problem or self._enough or self._has_started_enough():
            return False
        self._look_elsewhere()
        return bool(self._doubted or self._own) or not self._exhausted

    def _look_elsewhere(self) -> None:
        """See which trials of other hosts live, while there is nothing else to start."""
        ours = {running.record.number for running in self._running.values()}
        before, doubted = (self._elsewhere, self._doubted), set()
        self._elsewhere, before_own, self._own = set(), self._own, set()
        for record in self.search.trials.statuses.unfinished():
            if record.number in ours:
                continue
            status = self.search.trials.status(record)
            if status.state == attempts.RUNNING:
                self._elsewhere.add(record.name)
                if self._tenure.is_of_this_job(self.search.trials.path(record)):
                    self._own.add(record.name)
                    if record.name not in before_own:
                        self._tell(f"{record.name} is run by an earlier copy of this job: waiting")
            elif status.state == attempts.INTERRUPTED and record.name in before[0]:
                self._exhausted = False  # its turn to be taken
            if status.in_doubt:
                doubted.add(record.name)
                if record.name not in before[1]:
                    self._tell(f"{record.name} is {status.reason}: waiting to see if it still runs")
        self._doubted = doubted
        self._look_at = time.monotonic() + heartbeat.every() / 2

    # -- Waiting -----------------------------------------------------------------------------------

    def _wait(self, spawner: Spawner, wake: int) -> None:
        """Sleep until something happens, then deal with all that did."""
        found = {r.descriptor: r for r in self._running.values() if r.descriptor is not None}
        heard = [] if spawner.is_over else [spawner.reports]
        heard += [] if self._spawner_is_gone else [spawner.line]
        heard += self._warmth.lines
        ready, _, _ = select.select([*heard, wake, *found], [], [], self._patience())
        if wake in ready:
            for number in os.read(wake, 512):
                self._interrupted(number)
        for each in (spawner, *self._warmth.spawners):
            if each.reports in ready:
                self._listen(each)
        for descriptor in ready:
            known = found.get(descriptor)
            if known is not None and self._running.get(known.pid) is known:
                self._gone(known)
        if spawner.line in ready:
            self._miss(spawner)
            self._spawner_is_gone = True
        for lost in self._warmth.look(len(self._running)):
            self._miss(lost)
        self._look_again()
        self._heed_requests()
        self._heed_wishes()
        self._heed(self._pilot.look())
        if self.show.interval is not None and self._running:
            self.show.tick([running.shown for running in self._running.values()])

    def _listen(self, spawner: Spawner) -> None:
        for report in spawner.read():
            self._heard(report.what, report.pid)
        for running in [r for r in self._running.values() if r.spawner is spawner]:
            if spawner.is_over:
                self._gone(running)

    def _miss(self, spawner: Spawner) -> None:
        """It told of supervisors that die: from now on they are watched as those of others are."""
        for pid, running in self._running.items():
            if running.spawner is spawner:
                self._running[pid] = replace(running, spawner=None, descriptor=_watch(pid))

    def _patience(self) -> float:
        waits = [self.show.interval, _REQUESTS_EVERY, self._warmth.patience]
        waits.append(0.1 if self._pilot.flies else None)
        waits.append(ASK_AGAIN if self._waits_for_place else None)
        waits.append(max(0.0, self._look_at - time.monotonic()) if self._has_room() else None)
        # Where the kernel cannot wake us for a process that is not our child, look.
        unwatched = any(not r.ours and r.descriptor is None for r in self._running.values())
        waits.append(0.5 if unwatched else None)
        return min(wait for wait in waits if wait is not None)

    def _has_room(self) -> bool:
        """Whether a slot is free and there is nothing to start, unless another host has died."""
        return self._exhausted and len(self._running) < self.jobs and not self._interrupts

    def _look_again(self) -> None:
        for running in list(self._running.values()):
            if not running.ours and running.descriptor is None:
                last = attempts.latest(running.shown.folder)
                if last is None or attempts.is_alive(last) is not True:
                    self._gone(running)
        if self._has_room() and time.monotonic() >= self._look_at:
            self._look_elsewhere()

    def _heard(self, what: str, pid: int) -> None:
        running = self._running.get(pid)
        if running is None:
            return
        if what == "started":
            self.show.started(running.shown)
            self._note(f"started {running.record.name}")
            self._explain_the_pilot()
        elif what == "taken":
            del self._running[pid]  # another worker was faster
            self._warmth.landed(running.shown.folder, experiment.Status(attempts.WAITING))
            self._begun -= 1
            self._exhausted = False
        elif what == "lost":
            self._tell(f"{running.record.name}: another worker has taken it over; ended here")
            self._gone(running)
        elif what in {"ended", "gone"}:
            self._gone(running)

    def _gone(self, running: _Running) -> None:
        """A trial has ended, or its supervisor has."""
        del self._running[running.pid]
        if running.descriptor is not None:
            os.close(running.descriptor)
        record = running.record
        status = self.search.trials.status(record)
        has_ended = status.state in attempts.FINAL and status.attempt == running.attempt
        if not has_ended and self._has_to_wait_for_command(running):
            return
        self._exhausted = False  # it may be its turn again, or the plan may have grown
        self._heed(self._pilot.landed(record))
        if status.attempt < running.attempt:  # it could not begin: what is recorded is another's
            self.search.trials.statuses.recall(record)
            status = experiment.Status(attempts.WAITING)
        if status.state == attempts.RUNNING:  # another worker has it
            attempts.kill_leftover_processes(attempts.read(running.shown.folder, running.attempt))
            return
        self._ended[record.name] = status.state
        self._warmth.landed(running.shown.folder, status)
        self._tenure.notice(running.shown.folder, status.state)
        if status.state in attempts.FINAL:
            self._starts.pop(record.number, None)  # it was not cut off: it may be wished for again
        else:
            attempts.kill_leftover_processes(attempts.read(running.shown.folder, running.attempt))
        self._tell_end(record, status, running.shown)
        self._notice_failures(status)
        if status.state in attempts.WITH_METRICS and self.search.plan.metric is None:
            self._settle_metric(record)
        if status.state == attempts.COMPLETED:
            self._notice_goal()
            self._warn_of_long_trials(record, status)

    def _notice_goal(self) -> None:
        """Start no more once a trial has what the search looks for, also one of another worker."""
        reached, plan = self.search.scheduler.reached(), self.search.plan
        if reached is not None and plan.metric is not None:
            self._stop_starting(
                f"{plan.metric[0]} {reached:.6g} has reached {plan.stop_at:g}: "
                "no more trials are started",
                limited=False,
            )

    def _warn_of_long_trials(self, record: TrialRecord, status: experiment.Status) -> None:
        """Once: a trial that takes long and cannot go on after an interruption may cost a night."""
        if self._warned or (status.duration or 0) < _LONG:
            return
        self._warned = True
        told = attempts.read_events(self.search.trials.path(record))
        if self.search.plan.resume or any(event.get("event") == "can_resume" for event in told):
            return
        self._tell(
            f"note: {record.name} took {duration_text(status.duration or 0)}; a trial that is "
            "interrupted begins afresh, as far as is known.\n"
            "  if the script can go on from its weights, say how: --resume '--restore_file last'"
        )

    def _notice_failures(self, status: experiment.Status) -> None:
        """Stop a search whose first trials all fail alike: the others would burn the same way."""
        if status.state != attempts.FAILED:
            return
        count = Counter(self._ended.values())[attempts.FAILED]
        if self._limits.failures is not None and count >= self._limits.failures:
            trials = "1 trial has" if count == 1 else f"{count} trials have"
            self._stop_starting(f"{trials} failed: no more are started")
        elif count == _ENOUGH_FAILURES and not self._insists and self._all_fail_alike():
            self._stop_starting(
                f"{count} of {count} failed alike, the last with: "
                f"{status.last_line or status.reason or 'no output'}\n"
                "  no more are started; the same command again goes on all the same"
            )

    def _all_fail_alike(self) -> bool:
        """Whether all that has ended here failed in the same way, and nothing ever went well."""
        found = {r.name: self.search.trials.status(r) for r in self.search.trials}
        alike = {
            failures.error_key(found[name].failure, found[name].last_line)
            for name, state in self._ended.items()
            if state == attempts.FAILED and name in found
        }
        is_well = any(status.state in attempts.WITH_METRICS for status in found.values())
        return len(alike) == 1 and not is_well

    def _has_to_wait_for_command(self, running: _Running) -> bool:
        """Whether only the supervisor is dead: somebody killed it, and its command dies with it,
        by the kernel or by us, but not at once. Then the command takes the slot until it is gone.
        """
        last = attempts.latest(running.shown.folder)
        if last is None or last.end is not None:
            return False
        keeper = processes.from_json(last.record.get("supervisor"))
        command = attempts.command_process(last)
        ours = keeper is not None and keeper.pid == running.pid
        if not ours or command is None or processes.alive(command) is not True:
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(command.pid, signal.SIGKILL)
        self._running[command.pid] = replace(
            running, pid=command.pid, spawner=None, descriptor=_watch(command.pid)
        )
        return True

    def _words(self, record: TrialRecord, status: experiment.Status) -> str:
        why = status.reason if status.state == attempts.PRUNED else None
        if status.state == attempts.WAITING:
            why = "nothing was recorded: its folder was removed, or cannot be written"
        scores = experiment.scores(self.search.trials.path(record)).development
        return result_text(status, scores, self.search.plan.metric, why)

    def _settle_metric(self, record: TrialRecord) -> None:
        try:
            chosen = self.search.scheduler.settle_metric(record)
        except (ModeldirError, OSError) as error:
            self._stop_for(error)
            return
        if chosen is not None:
            self._tell(f"ranking by {chosen[0]} ({chosen[1]})")

    # -- Stopping ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Turn SIGINT and SIGTERM into bytes on a pipe, while this worker works."""
        wake, wake_end = os.pipe()
        for descriptor in (wake, wake_end):
            os.set_blocking(descriptor, False)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        try:
            before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        except ValueError:  # not the main thread: the user's program keeps its signals
            before = {}
        old = signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False) if before else -1
        try:
            yield wake
        finally:
            if before:
                signal.set_wakeup_fd(old)
                for number, handler in before.items():
                    signal.signal(number, handler)
            os.close(wake)
            os.close(wake_end)

    def _heed_requests(self) -> None:
        """Do what `modeldir stop` asks for, as if Ctrl-C were pressed here; but say who asked. Let
        others know that this worker lives.
        """
        self._membership.beat(self.search.observer)
        urgency = self._membership.asked_to_stop()
        steps = {None: 0, "wait": 1, "now": 2}[urgency]
        if self._interrupts < steps:
            self._tell(f"asked to stop by `modeldir stop` ({self._membership.asked_by})")
            self._interrupted(signal.SIGINT if urgency == "wait" else signal.SIGTERM)

    def _heed_wishes(self) -> None:
        """Look for a trial once more where somebody has wished for one since: a slot is free."""
        if self._exhausted and (wishes := self.search.scheduler.wishes()) != self._wishes:
            self._wishes = wishes
            self._exhausted = False

    def _interrupted(self, number: int) -> None:
        """Ctrl-C: once waits for the running trials, twice ends them, three times kills them."""
        if number == signal.SIGUSR1 and not self._tenure.is_over:
            self._tenure.is_over = True
            self._tell("the time of this job is nearly over")
            number = signal.SIGTERM
        if number not in (signal.SIGINT, signal.SIGTERM):
            return
        self._interrupts = max(self._interrupts + 1, 2 if number == signal.SIGTERM else 1)
        names = ", ".join(running.record.name for running in self._running.values())
        if not names:
            return
        if self._interrupts == 1:
            self._tell(
                f"no new trials; waiting for {names}\n"
                "  Ctrl-C ends them (they run again next time), another kills them"
            )
        elif self._interrupts == 2:  # noqa: PLR2004 - the second of three steps
            self._tell(f"ending {names}; the same command will run them again")
            self._signal_all(signal.SIGTERM)
        else:
            self._tell(f"killing {names}")
            self._signal_all(signal.SIGQUIT)

    def _signal_all(self, number: int) -> None:
        """Ask the supervisors, never the trials: they write down why before they signal."""
        for running in self._running.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(running.pid, number)

    # -- Telling -----------------------------------------------------------------------------------

    def _tell_of_the_unseen(self) -> set[processes.Process]:
        """Trials that have ended since their worker was killed: nobody has told how, once. Returns
        the workers that were killed.
        """
        killed = worker_registry.killed(self.search.path)
        told = _ends_told(self.search.path) if killed else {}
        for record in self.search.trials if killed else ():
            status = self.search.trials.status(record)
            folder = self.search.trials.path(record)
            last = attempts.read(folder, status.attempt) if status.attempt else None
            if last is None or last.end is None or _worker_of(last) not in killed:
                continue
            if told.get(record.name, "") < str(last.record.get("ended")):
                self._tell_end(record, status, progress.ShownTrial(record.name, folder, 0.0))
                if status.state == attempts.COMPLETED and self.search.plan.metric is None:
                    self._settle_metric(record)
        return killed

    def _tell_end(
        self, record: TrialRecord, status: experiment.Status, shown: progress.ShownTrial
    ) -> None:
        words = self._words(record, status)
        self.show.ended(shown, status.state, words)
        self._note(f"{status.state} {record.name}  {words}")

    def _outcome(self) -> WorkerOutcome:
        self._tenure.was_asked = self._membership.asked_to_stop() is not None
        outcome = WorkerOutcome(
            Counter(self._ended.values()),
            tuple(name for name, state in self._ended.items() if state == attempts.FAILED),
            self._problem,
            stopped=self._interrupts > 0,
            limited=self._limited,
            elsewhere=self._count(attempts.RUNNING, self.search.trials.statuses.unfinished()),
            failed_in_all=self._count(attempts.FAILED, self.search.trials),
            comes_again=self._tenure.comes_again(),
            as_asked=self._tenure.token is not None and self._tenure.was_asked,
        )
        for line in summary(self.search, outcome):
            self._tell(line)
        return outcome

    def _why_left(self) -> str:
        """Why this worker leaves, in a few words."""
        if self._problem is not None:
            return self._problem.partition("\n")[0]
        if self._interrupts:
            by = self._membership.asked_by
            return f"asked to stop by {by}" if by else "asked to stop by a signal"
        if self._enough is not None:
            return self._enough.partition("\n")[0]
        return "nothing was left to start" if self._exhausted else "it has started its share"

    def _count(self, state: str, records: Iterable[TrialRecord]) -> int:
        return sum(self.search.trials.status(record).state == state for record in records)

    def _open_log(self) -> None:
        """Our own log of what happened: `search.log`, or one by our name while another has that."""
        host, pid = processes.host(), os.getpid()
        for name in ("search.log", f"{HOME}/search.{host}.{pid}.log"):
            with contextlib.suppress(OSError):
                log = files.open_append(self.search.path / name)
                if files.hold(log):
                    self._log = log
                    self._note(f"worker {pid} on {host}, -j {self.jobs}")
                    return
                os.close(log)

    def _tell(self, text: str) -> None:
        self.show.message(text)
        self._note(text)

    def _note(self, text: str) -> None:
        if self._log is not None:
            with contextlib.suppress(OSError):  # a full disk must not end a search
                os.write(self._log, f"{timestamps.utc_now()} {text}\n".encode(errors="replace"))


def _worker_of(attempt: attempts.Attempt) -> processes.Process | None:
    return processes.from_json(attempt.record.get("worker"))


def _ends_told(search: Path) -> dict[str, str]:
    """When the end of each trial was last told in a search's logs, by the trial's name."""
    told: dict[str, str] = {}
    for path in (search / "search.log", *(search / HOME).glob("search.*.log")):
        for line in (files.read_bytes(path) or b"").decode(errors="replace").splitlines():
            time_, _, rest = line.partition(" ")
            state, _, words = rest.partition(" ")
            if state in attempts.ENDS:
                name = words.partition("  ")[0]
                told[name] = max(time_, told.get(name, ""))
    return told


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when a process ends; None where there is no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
