"""The process that keeps one attempt: it starts the command, waits, and records how it ended.

The spawner forks a supervisor (`spawner.py`), which calls `supervise`; start reading there, then at
`_Attempt`. A supervisor runs one command at a time; when that has ended, its worker may send it
another. It outlives its worker and does not depend on it: the command's output goes by descriptor
to `console.log`, its end to the run file, and a worker that is gone changes nothing, unless the
start is `bound` to it, as inside a cluster's job. How an end is judged: `end_status.py`.

The order of these steps makes it safe to kill any process at any moment:

    1. publish the run file                  the right to run; without it nothing is touched
    2. set aside what earlier attempts left  only now may the folder be changed
    3. start the command, in our session     by that it is found, whatever is killed
    4. tether it, and record which process   it dies if its supervisor does
    5. wait, and send the heartbeat; write the intent before any signal
    6. end its descendants, release its GPUs, then write the end

A supervisor may be stopped, or cut off from the folder, for so long that another host takes its
trial over. Then it finds a later attempt than its own, kills its command and writes nothing more.
Nobody takes a trial over within one heartbeat, so the folder needs to be looked at only after
a longer pause.

It is forked from the spawner, single-threaded, without exec: see `spawner.py`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from modeldir._system import files, heartbeat, processes, timestamps
from modeldir._system.programs import start_program
from modeldir.errors import MetricsError
from modeldir.experiment import attempts, failure_classes, liveness
from modeldir.logs.logfile import CONSOLE_VARIABLE, exit_text
from modeldir.logs.supervised import SupervisedLogs
from modeldir.metrics.file_watch import FileWatch
from modeldir.worker import end_status, leases
from modeldir.worker.start_order import Order, Start, console_path, receive_order

if TYPE_CHECKING:
    from modeldir.metrics.collector import Collector
    from modeldir.worker.early_stopping import EarlyStopping


REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)
"""The signals that a supervisor may be sent, blocked until it listens: see `spawner.py`.

With USR1 a job manager announces that the time is nearly over, some of them to all processes of a
job. Only the worker acts on it.
"""
_PATIENCE_WITH_A_FULL_DISK = 3600.0
_SHORTAGES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO})
"""Errors of a start for which the machine is to blame, and not the command."""
_MOST_WORDS = 500
"""Characters of an error in a report: all lines of a report fit into PIPE_BUF."""
_GRACE_OF_DESCENDANTS = 2.0
_LATE = 5.0
"""Seconds by which a busy machine may wake us late. After a longer pause we were not running."""
_FRESHEN_EVERY = 3600.0
_BRIEF = 0.05
"""Seconds in which nothing is done for a command that has just begun, not even a report: many have
ended by then.
"""
_SOON = 0.01
"""Seconds within which a worker that has a next trial sends it: then the disk can wait."""
_SLOW_DISK = 0.05
"""Seconds to put an end on a disk, above which no command should run meanwhile."""


class Preloaded(Protocol):
    """The imports that a process has done ahead, for commands that start as its forks."""

    def fork(  # noqa: PLR0913 - all that makes a command
        self,
        command: tuple[str, ...],
        cwd: str,
        environment: Mapping[str, str],
        output: int,
        kept: tuple[int, ...],
        *,
        fasten: Callable[[int], None],
    ) -> int:
        """Start a command as a fork of this process, in a group of its own. Returns its pid.

        It runs nothing before `fasten` has been called with its pid.

        Raises:
            OSError: no process can be made, or `cwd` is gone.
        """


def rehearse() -> None:
    """Do once what every supervisor does before any is forked: imports, caches, loaded libraries.

    Without it each fork would do it again, and copy the pages that it touches.
    """
    processes.prepare()
    processes.process()
    timestamps.utc_now()
    files.to_json({"rehearsed": True})


def supervise(
    order: Order,
    reports: int,
    lifeline: int,
    more: socket.socket,
    preloaded: Preloaded | None = None,
) -> NoReturn:
    """Run one attempt to its end in this process, then others that the worker sends. Never returns.

    It is used again since forking a process costs more than all that it does. It exits when no
    order can come any more, and at once if anything went wrong: while it lives, its attempt counts
    as alive.

    Args:
        order: the first attempt.
        reports: a pipe to the worker.
        lifeline: reads end-of-file when the worker is gone.
        more: brings further orders from the worker.
        preloaded: what this process has imported for them.
    """
    code = 1
    ends = _UnsyncedEnds()
    try:
        os.setsid()
        processes.adopt_orphans()
        processes.close_others((reports, lifeline, more.fileno(), *order.leases))
        shared = _Shared(reports, lifeline, _listen(), ends, preloaded)
        asked = b""
        wanted: Order | None = order
        while wanted is not None:
            order = wanted
            if not _Attempt(order, shared, asked).run():
                break  # what is open still was the attempt's
            wanted, asked = _next_order(more, shared)
        code = 0
    except BaseException:  # noqa: BLE001 - the last frame of this process can only report it
        import traceback  # noqa: PLC0415 - slow to import

        # Not created for this: a log without a run file would look like an untracked training run.
        with contextlib.suppress(OSError), open(_own_console(order.start), "r+") as file:
            file.seek(0, os.SEEK_END)
            file.write("modeldir: the supervisor failed:\n")
            traceback.print_exc(file=file)
    finally:
        ends.sync()
        os._exit(code)


def _listen() -> int:
    """Return a descriptor from which the numbers of signals can be read as they come."""
    wake, wake_end = os.pipe()
    for descriptor in (wake, wake_end):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    # The loop does everything, woken by the pipe. None is ignored: the command would inherit that.
    for number in (signal.SIGCHLD, *REQUESTS):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
    return wake


class _UnsyncedEnds:
    """Recorded and reported ends that are not on the disk yet, since that takes time.

    They are synced while the next command runs, or while nothing does. A supervisor that syncs
    notices nothing meanwhile, not even that the next command has ended. So if the last sync was
    slow, nothing runs during the next one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.are_slow = False
        self._clock = clock
        self._waiting: list[str] = []

    def add(self, path: str) -> None:
        self._waiting.append(path)

    def sync(self) -> None:
        if not self._waiting:
            return
        began = self._clock()
        while self._waiting:
            files.make_durable(self._waiting.pop())
        self.are_slow = self._clock() - began > _SLOW_DISK


class _Shared:
    """A supervisor's own state, shared by all its attempts."""

    def __init__(
        self,
        reports: int,
        lifeline: int,
        wake: int,
        ends: _UnsyncedEnds,
        preloaded: Preloaded | None,
    ) -> None:
        self.reports, self.lifeline, self.wake = reports, lifeline, wake
        self.ends, self.preloaded = ends, preloaded
        self.me = processes.process()


def _next_order(more: socket.socket, shared: _Shared) -> tuple[Order | None, bytes]:
    """Wait for the next order; None when none can come, or when a signal asks us to leave.

    A request to stop that arrives together with the order is meant for it, and is returned too.
    """
    asked, wake = b"", shared.wake
    if not select.select([more.fileno(), wake], [], [], _SOON)[0]:
        shared.ends.sync()
    while True:
        ready, _, _ = select.select([more.fileno(), wake], [], [])
        if wake in ready:
            asked += _read_signals(wake)
            ready, _, _ = select.select([more.fileno()], [], [], 0)
        if more.fileno() in ready:
            return receive_order(more), asked
        if not {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT}.isdisjoint(asked):
            return None, b""
        asked = b""


def _read_signals(wake: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(wake, 512)
    return b""


class _AwakeClock:
    """A clock that stands still while this process cannot run.

    That is so while the machine sleeps, and while the whole job is stopped (a scheduler's suspend,
    a paused container). The kernel's monotonic clock stands still only while the machine sleeps
    (clock_gettime(2)).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = 0.0
        self._clock = clock
        self._last = clock()

    def advance(self, expected: float) -> None:
        """Note that time has passed, but not much more than was `expected`."""
        now = self._clock()
        self.now += min(now - self._last, expected + _LATE)
        self._last = now


class _Attempt:
    """One attempt, from its claim to its recorded end.

    The class is long because its six steps (see the module) share one state, and their order is
    what makes it safe to kill anything: apart, that argument could not be read in one place.
    """

    def __init__(self, order: Order, shared: _Shared, asked: bytes = b"") -> None:
        self.start, self.leases = order.start, order.leases
        self.folder = Path(self.start.folder)
        self.console = console_path(self.start)
        self.shared, self.wake = shared, shared.wake
        self.asked = asked  # signals that came before it began
        self.token = os.urandom(8).hex()
        self.record: attempts.Attempt
        self.intent: dict[str, Any] | None = None
        self.began = time.monotonic()
        self.awake = _AwakeClock()
        self.freshened = 0.0
        self.kill_at: float | None = None
        self.watch: EarlyStopping | None = None
        self.steps: int | None = None  # that early stopping has seen
        self.collector: Collector | FileWatch | None = None
        self.child = 0
        self.who: dict[str, Any] | None = None  # the child's process, once it was needed
        self.heartbeat: heartbeat.Heartbeat
        self.is_superseded = False
        self.is_fork = self.start.forked and shared.preloaded is not None
        self.unreported: tuple[str, ...] = ()  # to be reported together with what comes next

    def run(self) -> bool:
        """Run the attempt. Returns whether this process may run another one."""
        try:
            has_begun = self._claim() is not None
        except OSError as error:
            leases.let_go(self.leases)
            self._report("refused", why=error)
            return False
        try:
            is_ready = has_begun and self._prepare()
        except OSError as error:
            self._note_trouble("its folder could not be prepared", error)
            is_ready = True
        if is_ready:
            self._run_to_the_end()
            became = "ended"
        else:
            leases.let_go(self.leases)
            became = "taken"
        if self.is_superseded:
            self._report("lost")
            return False
        if (
            self.shared.ends.are_slow
        ):  # meanwhile the worker gives the next one to another supervisor
            self._report(became)
            self.shared.ends.sync()
            self._report("free")
        else:
            self._report(became, "free")
        return True

    def _run_to_the_end(self) -> None:
        self.stale = end_status.metric_file_stamps(self.folder)
        self.printed_before = _size(self.console)
        events = os.path.join(self.start.folder, attempts.EVENTS)
        self.rendering = SupervisedLogs(events, self.token, self.console, self.printed_before)
        if self.start.pruner is not None and not self.start.script:
            from modeldir.worker.early_stopping import (  # noqa: PLC0415 - only where a trial is judged
                EarlyStopping,
            )

            self.watch = EarlyStopping(self.start, self.start.pruner, self.stale)
        if not self.start.script:
            self.collector = self._make_collector()
        if self.intent is None:
            self.unreported = ("started",)
        if self.start.is_shown:
            self._report()
        tether = processes.Tether()
        status, usage = self._run_command(tether)
        self._end_descendants()
        tether.close()
        leases.let_go(self.leases)  # before the report: the worker gives them to the next trial
        if self._owns_folder():
            self.rendering.finish(exit_text(status))
            self._collect_rest()
            self._finish(status, usage)

    def _make_collector(self) -> Collector | FileWatch:
        metric: Any = self.start.metric
        resumes = self.start.resumes
        if not self.start.metrics:
            preferred = self.start.metrics_from
            return FileWatch(
                self.folder, self.console, metric, resumes=resumes, preferred=preferred
            )
        from modeldir.metrics.collector import collector_for  # noqa: PLC0415 - only for --metrics

        patterns, since = self.start.metrics, self.printed_before
        return collector_for(self.folder, self.console, since, patterns, metric, resumes=resumes)

    # -- Beginning ---------------------------------------------------------------------------------

    def _claim(self) -> attempts.Attempt | None:
        me = self.shared.me
        record = attempts.begin(
            self.folder,
            self.start.number,
            {
                "token": self.token,
                **self.start.facts,
                "script": _script(self.start.command),
                "command": list(self.start.command),
                "cwd": self.start.cwd,
                "supervisor": me.to_json() if me else None,
                # While it is null the attempt has not come to its command.
                "process": None if self.start.doubt or self.start.inherits else {},
                **({attempts.DOUBT: True} if self.start.doubt else {}),
                "resumes": self.start.resumes,
            },
            self.start.script,
        )
        if record is not None:
            self.record = record
            self.heartbeat = heartbeat.Heartbeat(record.file)
        return record

    def _prepare(self) -> bool:
        """Make the folder ready, which is ours from now on. False if nothing is to be run."""
        if self.start.doubt and not self._take_over():
            return False
        if self.record.has_leftovers and (not self.start.resumes or self.start.inherits):
            attempts.archive(self.folder, self.start.number)
        for weights in (
            self.start.inherits
        ):  # only now: an earlier attempt may have written here until this moment
            with contextlib.suppress(
                OSError
            ):  # a script that finds no weights says so, or begins afresh
                files.copy(weights, self.folder / os.path.basename(weights))
        if self.start.makes:
            (self.folder / self.start.makes).mkdir(exist_ok=True)
        return self._owns_folder()

    def _take_over(self) -> bool:
        """Make sure that the attempt before this one is over. False if it has ended by itself.

        Its heartbeat was late, so it was taken for dead. If its owner lives after all, it has two
        beats' time to find our attempt, which is published. We do not look at its heartbeat:
        through a cache we may miss it.
        """
        last = attempts.read(self.folder, self.start.number - 1, self.start.script)
        pace = heartbeat.recorded_interval(last.record) or heartbeat.interval()
        deadline = heartbeat.now() + 2 * pace
        while (left := deadline - heartbeat.now()) > 0 and self._owns_folder():
            time.sleep(min(left, self.heartbeat.interval))
        last = attempts.last_certain(attempts.read(self.folder, last.number, self.start.script))
        if last.end not in (None, attempts.INTERRUPTED):
            attempts.withdraw(self.record)
            return False
        liveness.kill_leftover_processes(last)
        return self._owns_folder()

    def _run_command(self, tether: processes.Tether) -> tuple[int, Any]:
        """Start the command and wait for it. Returns its wait status and resource usage."""
        if self.intent is not None:  # its folder could not be prepared
            return _nothing_ran()
        try:
            output = files.open_append(self.console)
        except OSError as error:
            self._note_trouble("the file for its output could not be opened", error)
            return _nothing_ran()
        try:
            if not self._owns_folder():  # a slow disk may have held us up since we published
                return _nothing_ran()
            self.child = _started(self, output, tether)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _SHORTAGES:
                self._note_trouble("its process could not be started", error)
            else:
                words = f"modeldir: cannot start {self.start.command[0]!r}: {error}\n"
                with contextlib.suppress(OSError):
                    files.append_whole(self.console, words.encode(errors="replace"))
            return _nothing_ran()
        finally:
            os.close(output)
        if self.record.record["process"] is None or not processes.LINUX:
            try:
                self._record_process()
            except OSError:
                _signal_group(self.child, signal.SIGKILL)
                raise
        self.shared.ends.sync()
        return self._wait()

    def _note_trouble(self, what: str, error: OSError) -> None:
        """Let the attempt end as interrupted: the machine failed, and not the command."""
        reason = f"{what}: {error}"
        self.intent = {
            "intent": attempts.INTERRUPTED,
            "reason": reason,
            "at": timestamps.utc_now(),
        }

    def _record_process(self) -> None:
        """Record the command's process in the run file, for those that look while it runs.

        A command that ends at once is recorded only with its end. If this process dies before, the
        kernel ends the command, and others know it by its token.
        """
        who = self._process_facts()
        self.record = attempts.rewrite(self.record, {"process": who})
        self.who = who  # only once it is written: on a full disk this is tried again

    def _process_facts(self) -> dict[str, Any]:
        me = self.shared.me
        child = processes.child(me, self.child) if me else None
        child = child or processes.process(self.child)
        return child.to_json() if child else {"pid": self.child}

    # -- Waiting -----------------------------------------------------------------------------------

    def _wait(self) -> tuple[int, Any]:
        """Wait for the command, and pass on requests to stop. Returns its wait status and usage."""
        watched = [self.wake, *([self.shared.lifeline] if self.start.bound else [])]
        patience = 0.0 if self.asked else _BRIEF
        while True:
            ready, _, _ = select.select(watched, [], [], patience)
            self.awake.advance(patience)
            self.is_fork = self.is_fork and not processes.has_executed(self.child)
            asked = self.asked + (_read_signals(self.wake) if self.wake in ready else b"")
            self.asked = b""
            who = (
                self.who or self._process_facts()
            )  # while it can be read: the child may be dead already
            pid, status, usage = os.wait4(self.child, os.WNOHANG)
            if pid:  # before any request is obeyed: what has ended was not stopped by us
                self.child, self.who = 0, who
                return status, usage
            if not self._owns_folder():
                watched, patience = [self.wake], self._patience()
                continue
            self._report_beginning()
            for number in asked:
                if number in (signal.SIGINT, signal.SIGTERM):  # passed on as they are
                    self._stop("interrupted", "asked to stop", number)
                elif number == signal.SIGQUIT:
                    self._stop("interrupted", "asked to stop at once", signal.SIGKILL)
            if self.shared.lifeline in ready:
                watched.remove(self.shared.lifeline)
                self._stop("interrupted", "the worker is gone")
            self._keep_time()
            if signal.SIGCHLD in asked:
                self._reap_adopted()
            patience = self._patience()

    def _report_beginning(self) -> None:
        """Report and record a command that has not ended at once.

        A fork that has executed its command after all is not preloaded.
        """
        if self.unreported:
            self._report()
        if self.who is None:
            with contextlib.suppress(
                OSError
            ):  # a full disk: tried again at the next look, or at the end
                self._record_process()
        if self.start.forked and not self.is_fork and self.record.record.get("preloaded"):
            with contextlib.suppress(OSError):  # the record of its end repeats it
                self.record = attempts.rewrite(self.record, {"preloaded": None})

    def _patience(self) -> float:
        """Return the seconds until something is due by the clock."""
        if not self._owns_folder():
            return 1.0
        waits = [self.rendering.poll(), self.heartbeat.wait()]
        waits += [] if self.collector is None else [self.collector.look()]
        waits += self._stop_early()  # it reads what the collector has written
        waits += [] if self.kill_at is None else [self.kill_at - self.awake.now]
        if self.start.time_limit is not None and self.intent is None:
            waits.append(self.start.time_limit - self.awake.now)
        return max(0.0, min(waits))

    def _stop_early(self) -> list[float]:
        """End the command if the pruner says so. Returns when to look again, if that is needed."""
        if self.watch is None or self.intent is not None:
            return []
        wait, reason = self.watch.look(self.awake.now)
        self.steps = self.watch.steps
        if reason is not None and not _has_ended(self.child):  # otherwise its own end counts
            self._stop(attempts.PRUNED, reason)
        if wait is None:
            self.watch = None
        return [] if wait is None else [wait]

    def _keep_time(self) -> None:
        now, limit = self.awake.now, self.start.time_limit
        if limit is not None and self.intent is None and now >= limit:
            self._stop(failure_classes.TIME_LIMIT, f"ran longer than {limit:g} s")
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            _signal_group(self.child, signal.SIGKILL)
        if self.leases and now >= self.freshened + _FRESHEN_EVERY:
            self.freshened = now
            leases.freshen(self.leases)

    def _owns_folder(self) -> bool:
        """Whether the folder is still ours, as far as can be known.

        It sends the heartbeat when it is due. Call this before anything is written there: this
        process may have been stopped meanwhile.
        """
        if self.is_superseded or self.heartbeat.wait() > 0:
            return not self.is_superseded
        beaten = self.heartbeat.beat()  # before we look: see `_take_over`
        outdone = attempts.is_superseded(self.record)
        if not beaten and outdone is False:
            beaten = self._beat_by_writing()
            outdone = attempts.is_superseded(self.record)
        if outdone:
            self.is_superseded = True
            if self.child:
                _signal_group(self.child, signal.SIGKILL)
        elif not beaten and self.heartbeat.is_lost:
            self._give_up()
        return not self.is_superseded

    def _beat_by_writing(self) -> bool:
        """Beat by writing the run file anew, if it cannot be touched. A removed one stays so."""
        if not self.record.path.exists():
            return False
        try:
            self.record = attempts.rewrite(self.record, {})
        except OSError:
            return False
        self.heartbeat.note_write()
        return True

    def _give_up(self) -> None:
        """End the command: others see no heartbeat, and are about to take the trial over."""
        if not self.child or self.intent is not None or _has_ended(self.child):
            return
        silent = heartbeat.BEATS_TO_GIVE_UP * self.heartbeat.interval
        reason = f"its folder could not be written for {silent:g} s"
        words = f"modeldir: this run is stopped: {reason}, so others may start it again\n"
        with contextlib.suppress(OSError):
            files.append_whole(self.console, words.encode())
        self._stop(attempts.INTERRUPTED, reason)
        self.kill_at = self.awake.now + min(self.start.grace, self.heartbeat.interval)

    def _stop(self, intent: str, reason: str, number: int = signal.SIGTERM) -> None:
        """Record why, then signal: whatever exit code follows, the recorded intent decides."""
        if self.intent is None:
            self.intent = {"intent": intent, "reason": reason, "at": timestamps.utc_now()}
            with contextlib.suppress(OSError):  # a full disk must not keep a trial alive
                self.record = attempts.rewrite(self.record, {"intent": self.intent})
            self.kill_at = self.awake.now + self.start.grace
        _signal_group(self.child, number)

    def _reap_adopted(self) -> None:
        """Collect orphans that became our children, so that no zombie stays; never the command."""
        for pid in processes.descendants(os.getpid()):
            if pid != self.child:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    # -- Ending ------------------------------------------------------------------------------------

    def _end_descendants(self) -> None:
        """Leave no process of the attempt behind: TERM, a moment, KILL.

        If the folder belongs to a later attempt, KILL at once.
        """
        deadline = time.monotonic() + _GRACE_OF_DESCENDANTS
        number = signal.SIGKILL if self.is_superseded else signal.SIGTERM
        while True:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return  # none is left, which is nearly always so
            reached = [_signal_one(pid, number) for pid in processes.descendants(os.getpid())]
            if time.monotonic() >= deadline:
                if reached and not any(reached):
                    return  # they run as another user (sudo): we cannot end them
                number = signal.SIGKILL
            select.select([self.wake], [], [], 0.02)
            _read_signals(self.wake)

    def _collect_rest(self) -> None:
        """Collect the metrics that came after the last look, and compare later trials with them.

        A long file must not cost a heartbeat, so it is read in parts.
        """
        collector = self.collector
        while collector is not None and collector.catch_up() and self._owns_folder():
            pass
        if collector is not None and self.watch is not None and self._owns_folder():
            with contextlib.suppress(OSError, MetricsError):  # `_finish` tries again
                collector.finish()
            self.watch.look(self.awake.now)
            self.steps = self.watch.steps

    def _evidence(self, status: int) -> end_status.Evidence:
        return end_status.Evidence(
            folder=self.folder,
            number=self.start.number,
            token=self.token,
            console=self.console,
            code=os.waitstatus_to_exitcode(status),
            script=self.start.script,
            printed_before=self.printed_before,
            intent=self.intent,
            metric=None if self.start.script else self.start.metric,
            stale={} if self.start.resumes else self.stale,
            collector=self.collector,
            inherits=self.start.resumes and "parent" in self.start.facts,
            is_unproven=self.is_fork and self.start.is_unproven,
        )

    def _finish(self, status: int, usage: Any) -> None:
        """Record the end. Tries again while the disk is full: no finished trial may be lost.

        Requests to stop change nothing here: the command has ended, and its worker may leave.
        """
        finished = {
            "process": self.who,
            "intent": self.intent,  # it may have found no room before, or it needed no signal
            **({} if self.is_fork or not self.start.forked else {"preloaded": None}),
            "ended": timestamps.utc_now(),
            "duration": round(time.monotonic() - self.began, 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "max_rss_kib": usage.ru_maxrss // (1 if processes.LINUX else 1024),
            **({} if self.steps is None else {"steps": self.steps}),
        }
        deadline = time.monotonic() + _PATIENCE_WITH_A_FULL_DISK
        is_reported = False
        while self._owns_folder():
            try:
                self.record = attempts.rewrite(self.record, {**self._judged(status), **finished})
            except OSError as error:
                if error.errno not in end_status.PASSING or time.monotonic() >= deadline:
                    raise
                if not is_reported:
                    self._report("stuck", why=error)
                    is_reported = True
                select.select([self.wake], [], [], 1.0)
                _read_signals(self.wake)
            else:
                self.shared.ends.add(self.record.file)
                break

    def _judged(self, status: int) -> dict[str, Any]:
        """Return how the attempt ended. A failure of our own files is none of the command's."""
        try:
            return end_status.determine(self._evidence(status))
        except OSError as error:
            if error.errno in end_status.PASSING:
                raise
            reason = f"its metrics could not be kept: {error}"
            return {"status": attempts.INTERRUPTED, "reason": reason}

    def _report(self, *what: str, why: OSError | None = None) -> None:
        """Send lines to the worker, if it still listens, in one write: it wakes up at each.

        They are shorter than PIPE_BUF, so they are never torn.
        """
        words = ""
        if why is not None:
            where = f": {self.start.folder}" if why.filename is None else ""
            words = f" {' '.join(f'{why}{where}'.split())}"[:_MOST_WORDS]
        lines = "".join([f"{each} {os.getpid()}{words}\n" for each in (*self.unreported, *what)])
        self.unreported = ()
        with contextlib.suppress(OSError):
            os.write(self.shared.reports, lines.encode(errors="replace"))


def _has_ended(child: int) -> bool:
    """Whether a child is dead; it stays to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # it leads no group yet: it was forked a moment ago
            os.kill(pid, number)


def _signal_one(pid: int, number: int) -> bool:
    """Signal a process. Returns false if we are not allowed to."""
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(pid, number)
        except PermissionError:
            return False
    return True


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _own_console(start: Start) -> str:
    """Return the file for a command's output; the null device if a later attempt has the folder."""
    with contextlib.suppress(OSError):
        later = attempts.numbers(os.listdir(start.folder), start.script)
        if later and later[-1] > start.number:
            return os.devnull
    return console_path(start)


def _script(command: tuple[str, ...]) -> str | None:
    """Return the script's file name in a command line, if there is one."""
    for word in command:
        if word.endswith((".py", ".sh")):
            return os.path.basename(word)
    return None


# -- The command -----------------------------------------------------------------------------------

_NOT_STARTED = 127 << 8
"""A shell's exit code for a command that it cannot start, as a wait status."""


def _nothing_ran() -> tuple[int, Any]:
    """Return the wait status and the usage of a command that could not be started."""
    return _NOT_STARTED, resource.struct_rusage([0] * 16)


def _started(attempt: _Attempt, output: int, tether: processes.Tether) -> int:
    """Start an attempt's command in a group of its own, tethered. Returns its pid.

    It inherits 0 to 2, the tether and the leases. A supervisor that is killed closes its files
    before the kernel kills its command. In that moment, and while a GPU's memory is freed, the
    command itself has to hold the leases.

    Raises:
        OSError: there is no such program, it cannot be executed, or the system has no room left.
        ValueError: a word contains a zero byte.
    """
    start, leases, preloaded = attempt.start, attempt.leases, attempt.shared.preloaded
    variables = {
        **_environment(),
        "PYTHONUNBUFFERED": "1",
        **attempts.environment_variables(
            attempt.token, start.folder, start.number, resumes=start.resumes
        ),
        CONSOLE_VARIABLE: os.path.abspath(attempt.console),
        **start.variables,
    }
    for descriptor in leases:
        os.set_inheritable(descriptor, True)
    try:
        if start.forked and preloaded is not None:
            words, fasten = start.by or start.command, tether.fasten
            kept = (*leases, tether.descriptor)
            return preloaded.fork(words, start.cwd, variables, output, kept, fasten=fasten)
        # A fork in Python would copy pages: see docs/contributing/decisions/running.md.
        child = start_program(start.by or start.command, start.cwd, variables, output)
        tether.fasten(child)  # at once: see "A trial's start" in docs/contributing/architecture.md
        return child
    finally:
        for descriptor in leases:
            os.set_inheritable(descriptor, False)


@functools.cache
def _environment() -> dict[str, str]:
    """Return our environment, which nothing changes any more."""
    return dict(os.environ)
