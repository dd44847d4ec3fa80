"""An attempt's keeper: starts the command, keeps its output, records how it ended.

It knows one folder and one command at a time; when that has ended, its worker may give it
another. It outlives the worker that asked for it, so it refuses to depend on it: output goes by
descriptor to `console.log`, the end goes to the run file, and a vanished worker changes nothing
(unless the start is `bound` to it, as inside a cluster's job).

The order of events in `supervise` is what makes it safe to kill anything at any moment:

    1. publish the run file                  the right to run; lost: nothing is touched
    2. set aside what earlier attempts left  only now may the folder be touched
    3. start the command                     it dies if we do
    4. record who it is
    5. wait, and beat the heart; write the intent before any signal
    6. end what descends from it, let go of its GPUs, then write the end

A supervisor that was stopped, or cut off from the folder, for so long that another host has taken
its trial over finds a later attempt than its own: then it kills its command and writes nothing
more. Nobody takes over within a beat of the last look, so one is needed only after that long.

It is forked from the spawner, single-threaded, without exec: see spawner.py.
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
from modeldir._system.programs import executed
from modeldir.experiment import attempts
from modeldir.logs.logfile import CONSOLE_VARIABLE, ended
from modeldir.logs.supervised import SupervisedLogs
from modeldir.worker import leases, outcome
from modeldir.worker.messages import Order, Start, console_path, receive_order

if TYPE_CHECKING:
    from modeldir.worker.early_stopping import EarlyStopping


REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)
"""What may be sent to a supervisor. Blocked until it listens: see spawner.py. By USR1 a job manager
says that the time is nearly over, to some to all processes of a job: that is the worker's to hear.
"""
_PATIENCE_WITH_A_FULL_DISK = 3600.0
_GRACE_OF_DESCENDANTS = 2.0
_LATE = 5.0
"""Seconds by which a busy machine may wake us late; what is longer, we slept through."""
_FRESHEN_EVERY = 3600.0
_BRIEF = 0.05
"""Seconds in which nothing is done for a command that has just begun, not even told: many have
ended by then.
"""
_SOON = 0.01
"""Seconds within which a worker that has a next trial asks for it: then the disk can wait."""
_SLOW_DISK = 0.05
"""Seconds to put an end on a disk, above which no command should run meanwhile."""


class Preloaded(Protocol):
    """What a process has imported ahead for commands that start as forks of it (`preload`)."""

    def fork(
        self,
        command: tuple[str, ...],
        cwd: str,
        environment: Mapping[str, str],
        output: int,
        kept: tuple[int, ...],
    ) -> int:
        """Start a command as a fork of this process. Returns its pid once it leads a session.

        Raises:
            OSError: no process can be made, or `cwd` is gone.
        """


def rehearse() -> None:
    """Do once what every supervisor does, before any is forked: imports, caches, loaded libraries.

    Without it each fork does it again, and copies the pages that it touches.
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
    """Run one attempt to its end, in a process of its own, then others that are asked for.

    One at a time: forking a process costs more than all that it does. It leaves when nobody can ask
    any more, and at once if anything went wrong: while it lives, its attempt does.

    `reports` is a pipe to the worker; `lifeline` reads end-of-file when the worker is gone; `more`
    brings further starts from the spawner; `preloaded` is what this process has imported for them.
    """
    code = 1
    ends = _Ends()
    try:
        os.setsid()
        processes.adopt_orphans()
        processes.close_others((reports, lifeline, more.fileno(), *order.leases))
        post = _Post(reports, lifeline, _listen(), ends, preloaded)
        asked = b""
        wanted: Order | None = order
        while wanted is not None:
            order = wanted
            if not _Attempt(order, post, asked).run():
                break  # what is open still was the attempt's
            wanted, asked = _next_order(more, post)
        code = 0
    except BaseException:  # noqa: BLE001 - the last frame of this process: all there is to do is tell
        import traceback  # noqa: PLC0415 - slow to import

        # Not made for this: a log without a run file says that somebody else trained here.
        with contextlib.suppress(OSError), open(_own_console(order.start), "r+") as file:
            file.seek(0, os.SEEK_END)
            file.write("modeldir: the supervisor failed:\n")
            traceback.print_exc(file=file)
    finally:
        ends.settle()
        os._exit(code)


def _listen() -> int:
    """A descriptor that becomes readable, with their numbers, when signals come."""
    wake, wake_end = os.pipe()
    for descriptor in (wake, wake_end):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    # All is done in the loop, woken by the pipe. None is ignored: the command would ignore it too.
    for number in (signal.SIGCHLD, *REQUESTS):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
    return wake


class _Ends:
    """Ends that are recorded and told, and are still to be put on the disk, which takes its time:
    while the next command runs, or nothing does. Who does that hears nothing meanwhile, not even
    that the next command has ended: where the last time took long, nothing is to run.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.take_long = False
        self._clock = clock
        self._waiting: list[str] = []

    def add(self, path: str) -> None:
        self._waiting.append(path)

    def settle(self) -> None:
        if not self._waiting:
            return
        began = self._clock()
        while self._waiting:
            files.make_durable(self._waiting.pop())
        self.take_long = self._clock() - began > _SLOW_DISK


class _Post:
    """What a supervisor has for all its attempts."""

    def __init__(
        self, reports: int, lifeline: int, wake: int, ends: _Ends, preloaded: Preloaded | None
    ) -> None:
        self.reports, self.lifeline, self.wake = reports, lifeline, wake
        self.ends, self.preloaded = ends, preloaded
        self.me = processes.process()


def _next_order(more: socket.socket, post: _Post) -> tuple[Order | None, bytes]:
    """Wait for the next start; None when there can be none, or when asked to leave.

    A request to stop that came with the start is for it, and is handed on.
    """
    asked, wake = b"", post.wake
    if not select.select([more.fileno(), wake], [], [], _SOON)[0]:
        post.ends.settle()
    while True:
        ready, _, _ = select.select([more.fileno(), wake], [], [])
        if wake in ready:
            asked += _heard(wake)
            ready, _, _ = select.select([more.fileno()], [], [], 0)
        if more.fileno() in ready:
            return receive_order(more), asked
        if not {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT}.isdisjoint(asked):
            return None, b""
        asked = b""


def _heard(wake: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(wake, 512)
    return b""


class _Awake:
    """A clock that stands still while this process cannot run: the machine sleeps, or the whole
    job was stopped (a scheduler's suspend, a paused container). The kernel's own monotonic clock
    stands still only for the first of these (clock_gettime(2)).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = 0.0
        self._clock = clock
        self._last = clock()

    def advance(self, expected: float) -> None:
        """Note that time has passed, at most about as much as was to be expected."""
        now = self._clock()
        self.now += min(now - self._last, expected + _LATE)
        self._last = now


class _Attempt:
    """The state of one supervision."""

    def __init__(self, order: Order, post: _Post, asked: bytes = b"") -> None:
        self.start, self.leases = order.start, order.leases
        self.folder = Path(self.start.folder)
        self.console = console_path(self.start)
        self.post, self.wake = post, post.wake
        self.asked = asked  # signals that came before it began
        self.token = os.urandom(8).hex()
        self.record: attempts.Attempt
        self.intent: dict[str, Any] | None = None
        self.began = time.monotonic()
        self.awake = _Awake()
        self.freshened = 0.0
        self.kill_at: float | None = None
        self.watch: EarlyStopping | None = None
        self.child = 0
        self.who: dict[str, Any] | None = None  # the child, as far as that was needed
        self.heart: heartbeat.Heart
        self.is_outdone = False
        self.is_fork = self.start.forked and post.preloaded is not None
        self.untold: tuple[str, ...] = ()  # to be told with what comes next

    def run(self) -> bool:
        """Run it; whether this process may run another one."""
        record = self._claim()
        if record is None or not self._prepare():
            leases.let_go(self.leases)
            became = "taken"
        else:
            self._run_to_the_end()
            became = "ended"
        if self.is_outdone:
            self._report("lost")
            return False
        if self.post.ends.take_long:  # the worker has others begin the next one meanwhile
            self._report(became)
            self.post.ends.settle()
            self._report("free")
        else:
            self._report(became, "free")
        return True

    def _run_to_the_end(self) -> None:
        self.stale = outcome.metric_files(self.folder)
        self.printed_before = _size(self.console)
        events = os.path.join(self.start.folder, attempts.EVENTS)
        self.rendering = SupervisedLogs(events, self.token, self.console, self.printed_before)
        if self.start.pruner is not None and not self.start.script:
            from modeldir.worker.early_stopping import (  # noqa: PLC0415 - only where a trial is judged
                EarlyStopping,
            )

            self.watch = EarlyStopping(
                self.start, self.start.pruner, self.stale, self.printed_before
            )
        self.untold = ("started",)
        if self.start.is_shown:
            self._report()
        tether = processes.Tether()
        status, usage = self._run_command(tether)
        self._end_descendants()
        tether.close()
        leases.let_go(self.leases)  # before the worker hears of it: it gives them to the next
        if self._is_ours():
            self.rendering.finish(ended(status))
            self._finish(outcome.verdict(self._evidence(status)), usage)

    # -- Beginning ---------------------------------------------------------------------------------

    def _claim(self) -> attempts.Attempt | None:
        me = self.post.me
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
                # While it is null the attempt has not got as far as its command.
                "process": None if self.start.doubt or self.start.inherits else {},
                "resumes": self.start.resumes,
            },
            self.start.script,
        )
        if record is not None:
            self.record = record
            self.heart = heartbeat.Heart(record.file)
        return record

    def _prepare(self) -> bool:
        """Make the folder ready, which is ours from now on. False where nothing is to be run."""
        if self.start.doubt is not None and not self._see_the_last_one_off(self.start.doubt):
            return False
        if self.record.has_leftovers and (not self.start.resumes or self.start.inherits):
            attempts.archive(self.folder, self.start.number)
        for weights in self.start.inherits:  # only now: another may have been training here
            with contextlib.suppress(OSError):  # a training that finds none says so, or begins anew
                files.copy(weights, self.folder / os.path.basename(weights))
        return self._is_ours()

    def _see_the_last_one_off(self, sight: str) -> bool:
        """Wait for one who was taken for dead and was not: its heart has moved just in time. False
        if it has come to its end: then there is nothing to run.

        It beats before it looks whether it was outdone, and we have published before we look at its
        heart: so if it has missed us, we see it, and it sees us at its next beat.
        """
        last = attempts.read(self.folder, self.start.number - 1, self.start.script)
        if heartbeat.sight_of(last.path) not in (None, sight):
            pace = heartbeat.recorded(last.record) or heartbeat.EVERY
            deadline = heartbeat.now() + 2 * pace
            while (left := deadline - heartbeat.now()) > 0 and self._is_ours():
                time.sleep(min(left, self.heart.every))
            last = attempts.read(last.folder, last.number, last.script)
        if last.end not in (None, attempts.INTERRUPTED):
            attempts.withdraw(self.record)
            return False
        attempts.kill_leftover_processes(last)
        return self._is_ours()

    def _run_command(self, tether: processes.Tether) -> tuple[int, Any]:
        """Start the command and wait for it. Its wait status and usage; 127 if there is none."""
        try:
            kept = (*self.leases, tether.descriptor)
            self.child = _started(self.start, self.token, kept, self.post.preloaded)
        except (OSError, ValueError) as error:
            words = f"modeldir: cannot start {self.start.command[0]!r}: {error}\n"
            with contextlib.suppress(OSError), open(self.console, "ab") as console:
                console.write(words.encode(errors="replace"))
            return _NOT_STARTED, resource.struct_rusage([0] * 16)
        tether.fasten(self.child)
        if self.record.record["process"] is None or not processes.LINUX:
            try:
                self._tell_who_it_is()
            except OSError:
                _signal_group(self.child, signal.SIGKILL)
                raise
        self.post.ends.settle()
        return self._wait()

    def _tell_who_it_is(self) -> None:
        """In the run file, for who looks while it runs. Of a command that ends at once only the end
        tells: where this process dies before, the kernel ends the command, and others know it by
        its token.
        """
        who = self._who_it_is()
        self.record = attempts.rewrite(self.record, {"process": who})
        self.who = who  # not before it is written: on a full disk it is tried again

    def _who_it_is(self) -> dict[str, Any]:
        me = self.post.me
        child = processes.child(me, self.child) if me else None
        child = child or processes.process(self.child)
        return child.to_json() if child else {"pid": self.child}

    # -- Waiting -----------------------------------------------------------------------------------

    def _wait(self) -> tuple[int, Any]:
        """Wait for the command, passing on requests to stop. Returns its wait status and usage."""
        watched = [self.wake, *([self.post.lifeline] if self.start.bound else [])]
        patience = 0.0 if self.asked else _BRIEF
        while True:
            ready, _, _ = select.select(watched, [], [], patience)
            self.awake.advance(patience)
            self.is_fork = self.is_fork and not processes.has_executed(self.child)
            asked = self.asked + (_heard(self.wake) if self.wake in ready else b"")
            self.asked = b""
            who = self.who or self._who_it_is()  # while it can be told: it may be dead already
            pid, status, usage = os.wait4(self.child, os.WNOHANG)
            if pid:  # before any request is heard: what has ended was not stopped by us
                self.child, self.who = 0, who
                return status, usage
            if not self._is_ours():
                watched, patience = [self.wake], self._patience()
                continue
            self._tell_how_it_began()
            for number in asked:
                if number in (signal.SIGINT, signal.SIGTERM):  # passed on as they are
                    self._stop("interrupted", "asked to stop", number)
                elif number == signal.SIGQUIT:
                    self._stop("interrupted", "asked to stop at once", signal.SIGKILL)
            if self.post.lifeline in ready:
                watched.remove(self.post.lifeline)
                self._stop("interrupted", "the worker is gone")
            self._keep_time()
            if signal.SIGCHLD in asked:
                self._reap_adopted()
            patience = self._patience()

    def _tell_how_it_began(self) -> None:
        """What is told of a command that has not ended at once: that it runs, who it is; and a fork
        that has executed its command after all is not warm.
        """
        if self.untold:
            self._report()
        if self.who is None:
            with contextlib.suppress(OSError):  # a full disk: at the next look, or at the end
                self._tell_who_it_is()
        if self.start.forked and not self.is_fork and self.record.record.get("warm"):
            with contextlib.suppress(OSError):  # the record of its end says so again
                self.record = attempts.rewrite(self.record, {"warm": None})

    def _patience(self) -> float:
        """Seconds until the next thing to do by the clock."""
        if not self._is_ours():
            return 1.0
        waits = [self.rendering.poll(), *self._watched(), self.heart.wait()]
        waits += [] if self.kill_at is None else [self.kill_at - self.awake.now]
        if self.start.time_limit is not None and self.intent is None:
            waits.append(self.start.time_limit - self.awake.now)
        return max(0.0, min(waits))

    def _watched(self) -> list[float]:
        """End the command if its metrics say so. The seconds until they should be looked at again,
        where somebody has to.
        """
        if self.watch is None or self.intent is not None:
            return []
        wait, reason = self.watch.look(self.awake.now)
        if reason is not None and not _has_ended(self.child):  # else its own end counts
            self._stop(attempts.PRUNED, reason)
        if wait is None:
            self.watch = None
        return [] if wait is None else [wait]

    def _keep_time(self) -> None:
        now, limit = self.awake.now, self.start.time_limit
        if limit is not None and self.intent is None and now >= limit:
            self._stop("time-limit", f"ran longer than {limit:g} s")
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            _signal_group(self.child, signal.SIGKILL)
        if self.leases and now >= self.freshened + _FRESHEN_EVERY:
            self.freshened = now
            leases.freshen(self.leases)

    def _is_ours(self) -> bool:
        """Whether the folder is still ours, as far as can be known; beats when it is time to.

        To be asked before anything is written there: this process may have been stopped.
        """
        if self.is_outdone or self.heart.wait() > 0:
            return not self.is_outdone
        beaten = self.heart.beat()  # before we look: see `_see_the_last_one_off`
        outdone = attempts.is_superseded(self.record)
        if not beaten and outdone is False:
            beaten = self._beat_by_writing()
            outdone = attempts.is_superseded(self.record)
        if outdone:
            self.is_outdone = True
            if self.child:
                _signal_group(self.child, signal.SIGKILL)
        elif not beaten and self.heart.is_lost:
            self._give_up()
        return not self.is_outdone

    def _beat_by_writing(self) -> bool:
        """Write the run file anew, where files cannot be touched. One that is gone stays so."""
        if not self.record.path.exists():
            return False
        try:
            self.record = attempts.rewrite(self.record, {})
        except OSError:
            return False
        self.heart.note()
        return True

    def _give_up(self) -> None:
        """End the command: others see no heart here, and are about to take the trial over."""
        if not self.child or self.intent is not None or _has_ended(self.child):
            return
        silent = heartbeat.BEATS_TO_GIVE_UP * self.heart.every
        reason = f"its folder could not be written for {silent:g} s"
        words = f"modeldir: {reason}: the training is ended, others may take it for dead\n"
        with contextlib.suppress(OSError), open(self.console, "ab") as console:
            console.write(words.encode())
        self._stop(attempts.INTERRUPTED, reason)
        self.kill_at = self.awake.now + min(self.start.grace, self.heart.every)

    def _stop(self, intent: str, reason: str, number: int = signal.SIGTERM) -> None:
        """Write down why, then signal: whatever exit code follows, the intent decides."""
        if self.intent is None:
            self.intent = {"intent": intent, "reason": reason, "at": timestamps.utc_now()}
            with contextlib.suppress(OSError):  # a full disk must not keep a trial alive
                self.record = attempts.rewrite(self.record, {"intent": self.intent})
            self.kill_at = self.awake.now + self.start.grace
        _signal_group(self.child, number)

    def _reap_adopted(self) -> None:
        """Collect orphans that became ours, so that no zombie stays. Never the command itself."""
        for pid in processes.descendants(os.getpid()):
            if pid != self.child:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    # -- Ending ------------------------------------------------------------------------------------

    def _end_descendants(self) -> None:
        """Leave no process of the attempt behind: TERM, a moment, KILL. At once if the folder is
        another's.
        """
        deadline = time.monotonic() + _GRACE_OF_DESCENDANTS
        number = signal.SIGKILL if self.is_outdone else signal.SIGTERM
        while True:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return  # nobody is left, as nearly always
            reached = [_reached(pid, number) for pid in processes.descendants(os.getpid())]
            if time.monotonic() >= deadline:
                if reached and not any(reached):
                    return  # they run as another user (sudo): nothing of ours ends them
                number = signal.SIGKILL
            select.select([self.wake], [], [], 0.02)
            _heard(self.wake)

    def _evidence(self, status: int) -> outcome.Evidence:
        return outcome.Evidence(
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
            read=self.start.read,
            inherits=self.start.resumes and "parent" in self.start.facts,
            is_unproven=self.is_fork and self.start.is_unproven,
        )

    def _finish(self, end: dict[str, Any], usage: Any) -> None:
        """Record the end. Insists while the disk is full: nothing finished may be lost."""
        finished = {
            "process": self.who,
            **end,
            **({} if self.is_fork or not self.start.forked else {"warm": None}),
            "ended": timestamps.utc_now(),
            "duration": round(time.monotonic() - self.began, 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "max_rss_kib": usage.ru_maxrss // (1 if processes.LINUX else 1024),
        }
        deadline = time.monotonic() + _PATIENCE_WITH_A_FULL_DISK
        while self._is_ours():
            try:
                self.record = attempts.rewrite(self.record, finished)
            except OSError as error:
                lasting = error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)
                if lasting or time.monotonic() >= deadline:
                    raise
                time.sleep(1.0)
            else:
                self.post.ends.add(self.record.file)
                break

    def _report(self, *what: str) -> None:
        """Lines to the worker, if it still listens: as many as can be by one write, for it wakes at
        each. Shorter than PIPE_BUF: never torn.
        """
        lines = "".join([f"{each} {os.getpid()}\n" for each in (*self.untold, *what)])
        self.untold = ()
        with contextlib.suppress(OSError):
            os.write(self.post.reports, lines.encode())


def _has_ended(child: int) -> bool:
    """Whether a child is dead; it stays to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # it leads no group yet: it has only just been forked
            os.kill(pid, number)


def _reached(pid: int, number: int) -> bool:
    """Signal a process; false if it may not be signalled."""
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
    """The file that a command's output goes to; nowhere if a later attempt has the folder."""
    with contextlib.suppress(OSError):
        later = attempts.numbers(os.listdir(start.folder), start.script)
        if later and later[-1] > start.number:
            return os.devnull
    return console_path(start)


def _script(command: tuple[str, ...]) -> str | None:
    """The script's file name in a command line, if it has one."""
    for word in command:
        if word.endswith((".py", ".sh")):
            return os.path.basename(word)
    return None


# -- The command -----------------------------------------------------------------------------------

_NOT_STARTED = 127 << 8
"""As a shell says it, as `wait` tells it."""


def _started(
    start: Start, token: str, kept: tuple[int, ...], preloaded: Preloaded | None = None
) -> int:
    """Start an attempt's command: its pid. It leads a session and a group of its own.

    It inherits 0 to 2, and what is `kept`. A supervisor that is killed lets go of its files before
    the kernel kills its command; in that moment, and while a GPU's memory is given back, the
    command itself has to hold its leases.

    Raises:
        OSError: there is no such program, or it cannot be executed; no disk, no process is to be
            had.
        ValueError: a word holds a zero byte.
    """
    told = attempts.environment_variables(token, start.folder, start.number, resumes=start.resumes)
    console = console_path(start)
    variables = {
        **_environment(),
        "PYTHONUNBUFFERED": "1",
        **told,
        CONSOLE_VARIABLE: os.path.abspath(console),
        **start.variables,
    }
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    output = files.open_append(console)
    try:
        if start.forked and preloaded is not None:
            return preloaded.fork(start.command, start.cwd, variables, output, kept)
        # A fork in Python would copy pages: see docs/contributing/decisions/running.md.
        return executed(start.by or start.command, start.cwd, variables, output)
    finally:
        os.close(output)
        for descriptor in kept:
            os.set_inheritable(descriptor, False)


@functools.cache
def _environment() -> dict[str, str]:
    """Ours, which nothing changes any more."""
    return dict(os.environ)
