"""The worker: takes the next trial of a search, runs it, and repeats until none is left.

`modeldir search` and `modeldir worker` make one; start reading at `Worker._work`. There is no
master: more workers may join the same search at any time, and any of them may die. The trials
continue, and the next worker finds them. A supervisor keeps the process of one trial
(`supervisor.py`), slots say where it may run (`slots.py`), `signals.py` and `worker_limits.py` when
no more are started, and `monitor/progress.py` what is shown.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from modeldir.errors import ModeldirError, SearchError
from modeldir.experiment import attempts, experiment, liveness
from modeldir.monitor import progress
from modeldir.monitor.summary import WorkerOutcome, opening
from modeldir.search import trial_command, worker_registry
from modeldir.search.trial_record import Turn
from modeldir.space.space import longest_name
from modeldir.worker import running_trials, worker_messages
from modeldir.worker.cluster_job import Job, JobSession
from modeldir.worker.end_reports import EndReports
from modeldir.worker.first_trial_check import FirstTrialCheck
from modeldir.worker.preload import Preloading
from modeldir.worker.running_trials import RunningTrial
from modeldir.worker.signals import StopRequests, wakeup_pipe
from modeldir.worker.slots import ASK_AGAIN, Seat, Slots
from modeldir.worker.spawner import Report, Spawner
from modeldir.worker.start_builder import StartBuilder
from modeldir.worker.start_order import Start
from modeldir.worker.trials_elsewhere import OtherHosts
from modeldir.worker.worker_limits import Limits, StopRules
from modeldir.worker.worker_log import WorkerLog

if TYPE_CHECKING:
    from modeldir.search.search import Search

_REQUESTS_EVERY = 1.0
_STARTS_PER_TRIAL = 2
"""A worker starts a trial that keeps being interrupted only this often; the next command may."""


class Worker:
    """Runs the trials of one search on this machine.

    Args:
        jobs: how many trials run in parallel, or the slots for them.
        bound: end the trials with this process: nothing may outlive a cluster's job.
        check_first: run the first trial alone until it has read the searched hyperparameters.
        job: the job that this worker is.
        preload: let trials start with their imports done (`preload/`).
        verbose: show what the machinery does, which is else only in `search.log`.

    The class is long because all that can happen to a trial meets in its loop. Whatever can be
    decided apart from the loop has a module of its own.
    """

    def __init__(  # noqa: PLR0913 - the options of a worker
        self,
        search: Search,
        jobs: int | Slots,
        show: progress.Progress,
        *,
        bound: bool = False,
        check_first: bool = True,
        limits: Limits | None = None,
        job: Job | None = None,
        preload: bool = True,
        verbose: bool = False,
    ) -> None:
        self.search = search
        self.slots = jobs if isinstance(jobs, Slots) else Slots(jobs)
        self.show = show
        self._log = WorkerLog(search.path, show, verbose=verbose)
        self._running: dict[int, RunningTrial] = {}
        self._job = JobSession(search, job, self._log.message)
        self._requests = StopRequests(self._log, self._running, self._job)
        self._rules = StopRules(search, limits or Limits(), self._log, self._running)
        self._ends = EndReports(search, self._log, self._rules)
        self._elsewhere = OtherHosts(search, self._job, self._log)
        self._builder = StartBuilder(search, self._log, self._job, bound=bound)
        self._wants_check = check_first
        self._check = FirstTrialCheck(search, wanted=False)
        self._preload = Preloading(
            search.path,
            self._log.detail,
            left=search.scheduler.left,
            code=search.code,
            variables=self.slots.variables,
            wanted=preload,
            warn=self._log.message,
        )
        self._registration: worker_registry.Registration
        self._starts: dict[int, int] = {}
        self._is_exhausted = False  # the search had no trial to start when it was asked last
        self._is_ahead = False  # the next trial was made already, if one can be made
        self._waits_for_slot = self._waits_for_imports = False
        self._why_slot = ""
        self._spawner_is_gone = False
        self._stuck: set[int] = set()  # supervisors that cannot record the end of their trial
        self._wishes: object = None  # what other commands had asked the search to run

    def run(
        self, command: str | None, spawner: Spawner | None = None, *, typed: bool = True
    ) -> WorkerOutcome:
        """Run trials until none is left to start and all trials of this worker have ended.

        Args:
            command: the training command; None for the one in the search's plan.
            spawner: one that was made while this process was still small; by default one is made.
            typed: the command was typed just now and runs from here; otherwise it comes from the
                search's plan and runs where it ran before.

        Raises:
            SearchError, CommandError, SpaceError: before anything is started.
        """
        lent = spawner and contextlib.nullcontext(spawner)  # the caller closes it
        with lent or Spawner() as spawns:
            news = self.search.prepare(command, typed=typed)
            self._log.open(self.slots.count)
            for text in news:
                self._log.message(text)
            for note in self.slots.notes:
                self._log.detail(note)
            self.show.widest = longest_name(self.search.plan.space)
            if (plan := opening(self.search, self.slots.count)) is not None:
                self._log.message(plan)
            options = (*self.slots.options, *self._preload.options)
            self._registration = worker_registry.register(
                self.search.path, self.slots.count, options, job=self._job.token
            )
            with wakeup_pipe() as wake:
                try:
                    outcome = self._work(spawns, wake)
                    self._job.end(self._ends.why_left(self._registration, self._requests.urgency))
                finally:
                    self._preload.close()
                    self.slots.close()
                    self._registration.leave()
                    self._log.close()
            return outcome

    def _work(self, spawner: Spawner, wake: int) -> WorkerOutcome:
        self._check_requests()  # a job that was asked to stop while it waited does not begin
        killed = self._ends.report_unseen()
        for found in running_trials.left_by_others(self.search):
            self._running[found.pid] = found
            self._log.message(worker_messages.found_running(found.record.title))
        self._check = FirstTrialCheck(self.search, wanted=self._wants_check)
        self._rules.begin()
        words, folder = self.search.first_words(), self.search.working_folder()
        self._preload.begin(words, str(folder), self._builder.variables)
        while True:
            self._fill(spawner)
            self._make_ahead()
            waits = self._running or self._waits_for_slot or self._waits_for_imports
            if not waits and not self._waits_for_other_hosts():
                break
            self._wait(spawner, wake)
        worker_registry.remove_dead(self.search.path, self.search.observer, killed)
        self._job.stop_requested = self._registration.asked_to_stop() is not None
        return self._ends.summarize(self._job, stopped=bool(self._requests.urgency))

    # -- Filling slots -----------------------------------------------------------------------------

    def _fill(self, spawner: Spawner) -> None:
        """Start trials while there are slots: first take the slot, then ask for the trial."""
        self._waits_for_slot = self._waits_for_imports = False
        while not self._stops() and self._rules.check_time() and not self._is_full():
            if self._preload.must_wait() and self.search.scheduler.may_have_more(self._busy()):
                self._waits_for_imports = True
                self._log.waiting("imports", worker_messages.WAITS_FOR_IMPORTS)
                return
            self._log.waited("imports")
            try:
                seat = self.slots.take(trial_command.words_of(self.search.plan.command or "-"))
            except ModeldirError as error:  # another user's folder lies where leases are kept
                self._rules.stop_for(error)
                return
            if seat is None:
                self._wait_for_slot()
                return
            self._log.waited(self._why_slot)
            with seat:
                turn = self._next()
                if turn is None:
                    return
                self._start(spawner, turn, seat)

    def _make_ahead(self) -> None:
        """Make the next trial while all slots are taken, so that a slot that becomes free is used
        at once.

        Not before a trial went well: a user who fixes the script, or wants other values after all,
        should find no trial that never began. Not with a limit, which would leave one behind.
        """
        if self._is_ahead or not self._is_full() or self._stops() or self._rules.are_limited:
            return
        if attempts.COMPLETED in self._rules.ended.values():
            self._is_ahead = True
            with contextlib.suppress(ModeldirError, OSError):  # reported once there is a slot
                self.search.scheduler.make_ahead(self._busy())

    def _wait_for_slot(self) -> None:
        """Ask again later: all GPUs are in use, by us or by others."""
        if not self.search.scheduler.may_have_more(self._busy()):
            self._is_exhausted = True
            return
        self._waits_for_slot = True
        if not self._running:
            if self.slots.why != self._why_slot:
                self._log.waited(self._why_slot)
                self._why_slot = self.slots.why
            self._log.waiting(self._why_slot, self._why_slot)

    def _next(self) -> Turn | None:
        """Return the trial to start; None if there is none left, or something is wrong."""
        try:
            self._rules.check_target()  # a trial of another worker may have reached it
            turn = None if self._rules.reason else self.search.scheduler.next_trial(self._busy())
        except (ModeldirError, OSError) as error:  # the plan or base was changed, a disk is full
            self._rules.stop_for(error)
            return None
        self._is_exhausted = turn is None
        return turn

    def _stops(self) -> bool:
        """Whether nothing more is to be started, as far as is known."""
        return bool(self._requests.urgency) or self._rules.stopped or self._is_exhausted

    def _is_full(self) -> bool:
        runs_alone = self._check.is_pending and bool(self._running)
        return runs_alone or len(self._running) >= self.slots.count

    def _busy(self) -> frozenset[int]:
        """Return the numbers of the trials that the search must not hand out now."""
        tired = {number for number, count in self._starts.items() if count >= _STARTS_PER_TRIAL}
        return frozenset(tired | {trial.record.number for trial in self._running.values()})

    def _start(self, spawner: Spawner, turn: Turn, seat: Seat) -> None:
        record = turn.record
        folder = self.search.trials.path(record)
        last = attempts.read(folder, turn.attempt - 1) if turn.attempt > 1 else None
        doubt = self._builder.is_in_doubt(record, last)
        if last is not None and last.end is None and not doubt:
            liveness.kill_leftover_processes(last)
        start = self._builder.build(turn, last, seat, self._check.variables(record), doubt=doubt)
        used, pid = self._begin(spawner, start, seat)
        watched = running_trials.watch(pid) if used is None else None
        self._starts[record.number] = self._starts.get(record.number, 0) + 1
        self._rules.started += 1
        self._is_ahead = False
        shown = progress.ShownTrial(record.name, folder, time.monotonic(), record.number)
        self._running[pid] = RunningTrial(record, turn.attempt, pid, shown, used, watched)
        self._job.trial_started(folder)
        self._check.trial_started(record)

    def _begin(self, spawner: Spawner, start: Start, seat: Seat) -> tuple[Spawner | None, int]:
        """Have a supervisor run it. Returns the spawner that reports its end, and its pid."""
        preloaded, way = self._preload.choose(start)
        if preloaded is not None:
            try:
                pid = preloaded.start(way, seat.leases)
            except (ModeldirError, OSError):
                self._preload.lose()
                way = start
            else:
                self._preload.started(pid, way)
                return preloaded, pid
        pid = spawner.start(way, seat.leases)
        self._preload.started(pid, way)
        return None if self._spawner_is_gone else spawner, pid

    # -- Waiting -----------------------------------------------------------------------------------

    def _wait(self, spawner: Spawner, wake: int) -> None:
        """Sleep until something happens, then deal with all that did."""
        watched = {r.descriptor: r for r in self._running.values() if r.descriptor is not None}
        heard = [] if spawner.is_over else [spawner.reports]
        heard += [] if self._spawner_is_gone else [spawner.line]
        heard += self._preload.descriptors
        ready, _, _ = select.select([*heard, wake, *watched], [], [], self._patience())
        if wake in ready:
            self._read_signals(wake)
        for each in (spawner, *self._preload.spawners):
            if each.reports in ready:
                self._read_reports(each)
        for descriptor in ready:
            trial = watched.get(descriptor)
            if trial is not None and self._running.get(trial.pid) is trial:
                self._ended(trial)
        if spawner.line in ready:
            self._watch_without(spawner)
            self._spawner_is_gone = True
        for lost in self._preload.check(len(self._running)):
            self._watch_without(lost)
        self._poll()
        self._check_requests()
        if self._requests.urgency:
            self._leave_stuck()
        self._check_wishes()
        self._check_first_trial()
        self._log.show_long_waits()
        if self.show.interval is not None and self._running:
            self.show.tick([trial.shown for trial in self._running.values()])

    def _read_signals(self, wake: int) -> None:
        self._leave_stuck()  # first: a trial that has ended must not be printed as ending
        for number in os.read(wake, 512):
            self._requests.receive(number)

    def _patience(self) -> float:
        """Return the seconds until something has to be looked at, although nothing wakes us."""
        waits = [self.show.interval, _REQUESTS_EVERY, self._preload.patience]
        waits.append(0.1 if self._check.is_pending else None)
        waits.append(ASK_AGAIN if self._waits_for_slot else None)
        waits.append(self._elsewhere.seconds_to_next_look if self._has_room() else None)
        waits.append(0.5 if any(t.must_be_polled for t in self._running.values()) else None)
        return min(wait for wait in waits if wait is not None)

    def _has_room(self) -> bool:
        """Whether a slot is free and there is nothing to start, unless another host has died."""
        has_slot = len(self._running) < self.slots.count
        return self._is_exhausted and has_slot and not self._requests.urgency

    def _waits_for_other_hosts(self) -> bool:
        """Whether this worker stays, though it runs nothing: a trial of another host may be dead,
        and then it is this worker's to run.
        """
        if self._requests.urgency or self._rules.stopped:
            return False
        self._look_elsewhere()
        return self._elsewhere.must_be_waited_for or not self._is_exhausted

    def _look_elsewhere(self) -> None:
        if self._elsewhere.look({trial.record.number for trial in self._running.values()}):
            self._is_exhausted = False

    def _poll(self) -> None:
        """Look at the trials whose end nothing reports, and at other hosts."""
        for trial in list(self._running.values()):
            if trial.must_be_polled:
                last = attempts.latest(trial.shown.folder)
                if last is None or liveness.is_alive(last) is not True:
                    self._ended(trial)
        if self._has_room() and not self._elsewhere.seconds_to_next_look:
            self._look_elsewhere()

    def _check_requests(self) -> None:
        """Obey `modeldir stop`, and let others know that this worker lives."""
        self._registration.beat(self.search.observer)
        self._requests.check(self._registration)

    def _leave_stuck(self) -> None:
        """Leave the trials whose end cannot be recorded: this worker is asked to stop.

        Their supervisors keep trying without it.
        """
        for pid in self._stuck.intersection(self._running):
            self._log.message(worker_messages.left_stuck(self._running.pop(pid).record.title, pid))

    def _check_wishes(self) -> None:
        """Ask the search again if another command has asked it for a trial since."""
        if self._is_exhausted and (wishes := self.search.scheduler.wishes()) != self._wishes:
            self._wishes = wishes
            self._is_exhausted = False

    # -- What spawners report ----------------------------------------------------------------------

    def _read_reports(self, spawner: Spawner) -> None:
        for report in spawner.read():
            trial = self._running.get(report.pid)
            if trial is not None:
                self._report(trial, report)
        for trial in [t for t in self._running.values() if t.spawner is spawner]:
            if spawner.is_over:
                self._ended(trial)

    def _watch_without(self, spawner: Spawner) -> None:
        """Watch the processes of a spawner's supervisors: it is gone, and reports no ends."""
        for pid, trial in self._running.items():
            if trial.spawner is spawner:
                self._running[pid] = trial.without_spawner()

    def _report(self, trial: RunningTrial, report: Report) -> None:
        what, name = report.what, trial.record.title
        if what == "refused":
            self._log.message(worker_messages.not_recorded(name, report.why))
        elif what == "stuck":
            self._stuck.add(trial.pid)
            self._log.message(worker_messages.stuck(name, report.why))
        elif what == "started":
            self._log.started(trial.shown)
            self._explain_check()
        elif what == "taken":
            del self._running[trial.pid]  # another worker was faster
            self._preload.trial_ended(trial.shown.folder, experiment.Status(attempts.PENDING))
            self._rules.started -= 1
            self._is_exhausted = False
        elif what == "lost":
            self._log.message(worker_messages.taken_over(name))
            self._ended(trial)
        elif what in {"ended", "gone"}:
            self._ended(trial)

    def _explain_check(self) -> None:
        """Explain why free slots stay empty while the first trial runs."""
        if self.slots.count == 1 or not self._check.is_pending:
            return
        if self.search.scheduler.may_have_more(self._busy()):
            self._log.waiting("check", self._check.explanation)

    def _check_first_trial(self) -> None:
        self._stop_if_misused(self._check.judge_running())
        if not self._check.is_pending:
            self._log.waited("check")

    def _stop_if_misused(self, problem: str | None) -> None:
        """End what runs if the first trial shows that the search makes no sense."""
        if problem is not None and self._rules.problem is None:
            self._rules.problem = SearchError(problem)
            self._requests.signal_all(signal.SIGTERM)

    # -- Ends --------------------------------------------------------------------------------------

    def _ended(self, trial: RunningTrial) -> None:
        """Deal with a trial that has ended, or whose supervisor has."""
        del self._running[trial.pid]
        self._stuck.discard(trial.pid)
        if not self._running:
            self._log.waited("check")
        if trial.descriptor is not None:
            os.close(trial.descriptor)
        record, folder = trial.record, trial.shown.folder
        status = self.search.trials.status(record)
        has_ended = status.state in attempts.FINAL and status.attempt == trial.attempt
        if not has_ended:
            if (command := trial.command_to_wait_for()) is not None:
                self._running[command.pid] = command
                return
            status = self.search.trials.status(record)  # its processes may have died since
        self._is_exhausted = False  # it may be its turn again, or the plan may have grown
        self._stop_if_misused(self._check.trial_ended(record))
        if status.attempt < trial.attempt:  # it could not begin: the record is an earlier one's
            self.search.trials.statuses.recall(record)
            status = experiment.Status(attempts.PENDING)
        if status.state == attempts.RUNNING:  # another worker has it
            liveness.kill_leftover_processes(attempts.read(folder, trial.attempt))
            return
        self._rules.ended[record.name] = status.state
        self._preload.trial_ended(folder, status)
        self._job.trial_ended(folder, status.state)
        if status.state in attempts.FINAL:
            self._starts.pop(record.number, None)  # not interrupted: it may be asked for again
        else:
            liveness.kill_leftover_processes(attempts.read(folder, trial.attempt))
        self._ends.trial_ended(record, status, trial.shown)
