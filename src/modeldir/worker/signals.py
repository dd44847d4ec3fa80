"""How a worker is asked to stop: by Ctrl-C, by a signal, by `modeldir stop`, by its job manager.

`worker.py` waits on `wakeup_pipe` beside its other descriptors, and hands what arrives to
`StopRequests`. A request never kills a trial directly: it is passed to the trial's supervisor,
which writes down the reason before it signals the command. Limits, failures and a reached target:
`worker_limits.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from modeldir.worker import worker_messages
from modeldir.worker.cluster_job import JobSession

if TYPE_CHECKING:
    from modeldir.search.worker_registry import Registration
    from modeldir.worker.running_trials import RunningTrial
    from modeldir.worker.worker_log import WorkerLog

WAIT, END, KILL = 1, 2, 3
"""How urgent a request is: wait for the running trials, end them, or kill them."""


@contextlib.contextmanager
def wakeup_pipe() -> Iterator[int]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into bytes on a pipe, and yield its read end."""
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


class StopRequests:
    """The requests to stop that one worker has received, and how it passes them on.

    Args:
        running: the worker's trials by the process id of their supervisors, always up to date.
    """

    def __init__(
        self, log: WorkerLog, running: Mapping[int, RunningTrial], job: JobSession
    ) -> None:
        self._log, self._running, self._job = log, running, job
        self.urgency = 0
        """The most urgent request so far: 0 (none), `WAIT`, `END` or `KILL`."""

    def check(self, membership: Registration) -> None:
        """Obey `modeldir stop` as if the user had pressed Ctrl-C here, but print who asked."""
        asked = membership.asked_to_stop()
        if self.urgency < {None: 0, "wait": WAIT, "now": END}[asked]:
            self._log.message(worker_messages.asked_to_stop(membership.asked_by))
            self.receive(signal.SIGINT if asked == "wait" else signal.SIGTERM)

    def receive(self, number: int) -> None:
        """Obey a signal. Ctrl-C waits for the running trials, then ends, then kills them."""
        if number == signal.SIGUSR1 and not self._job.time_is_up:
            self._job.time_is_up = True
            self._log.message(worker_messages.JOB_TIME_IS_UP)
            number = signal.SIGTERM
        if number not in (signal.SIGINT, signal.SIGTERM):
            return
        self.urgency = max(self.urgency + 1, END if number == signal.SIGTERM else WAIT)
        names = [running.record.title for running in self._running.values()]
        if not names:
            return
        if self.urgency == WAIT:
            self._log.message(worker_messages.waiting_for_running(names))
        elif self.urgency == END:
            self._log.message(worker_messages.ending(names))
            self.signal_all(signal.SIGTERM)
        else:
            self._log.message(worker_messages.killing(names))
            self.signal_all(signal.SIGQUIT)

    def signal_all(self, number: int) -> None:
        """Signal the supervisors, never the trials: they write down why before they pass it on."""
        for running in self._running.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(running.pid, number)
