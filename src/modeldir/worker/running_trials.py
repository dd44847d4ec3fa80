"""The trials that run in a worker's slots, and how the worker notices that one of them ends.

`worker.py` keeps a `RunningTrial` for each. A spawner reports the end of each supervisor that it
made. A supervisor that another worker started, or whose spawner was killed, is watched through a
descriptor that the kernel makes readable when the process exits (`watch`). Trials that run on other
hosts take no slot here: `trials_elsewhere.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modeldir._system import processes
from modeldir.experiment import attempts, liveness
from modeldir.monitor import progress
from modeldir.search.trial_record import TrialRecord
from modeldir.worker.spawner import Spawner

if TYPE_CHECKING:
    from modeldir.search.search import Search


@dataclass(frozen=True)
class RunningTrial:
    """An attempt of a trial in one of our slots.

    `pid` is the supervisor's process id. `spawner` reports the supervisor's end if this worker
    started it; otherwise `descriptor` does, and where the kernel offers none, the trial's files.
    """

    record: TrialRecord
    attempt: int
    pid: int
    shown: progress.ShownTrial
    spawner: Spawner | None = None
    descriptor: int | None = None

    @property
    def must_be_polled(self) -> bool:
        """Whether nothing wakes this worker when the trial ends."""
        return self.spawner is None and self.descriptor is None

    def without_spawner(self) -> RunningTrial:
        """Return the same trial, watched by its process: its spawner is gone."""
        return replace(self, spawner=None, descriptor=watch(self.pid))

    def command_to_wait_for(self) -> RunningTrial | None:
        """Return the trial's command as what to wait for, if only its supervisor is dead.

        Somebody killed the supervisor. Its command dies with it, by the kernel or by us, but not at
        once: it keeps the slot until it is gone.
        """
        last = attempts.latest(self.shown.folder)
        if last is None or last.end is not None:
            return None
        supervisor = processes.from_json(last.record.get("supervisor"))
        if supervisor is None or supervisor.pid != self.pid:
            return None
        command = liveness.command_process(last)
        if command is None or processes.alive(command) is not True:
            liveness.kill_leftover_processes(last)  # its children may run on
            return None
        if liveness.may_kill(last, command.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(command.pid, signal.SIGKILL)
        return replace(self, pid=command.pid, spawner=None, descriptor=watch(command.pid))


def left_by_others(search: Search) -> Iterator[RunningTrial]:
    """Yield the trials that run on this host while the worker that started them is gone.

    They are left alone, take a slot, and are waited for.
    """
    for record in search.trials.statuses.unfinished():
        folder = search.trials.path(record)
        last = attempts.latest(folder)
        if last is None or last.end is not None:
            continue
        if liveness.kill_orphans(last):  # they may still hold a GPU
            continue
        life = liveness.is_alive(last)
        if life is False:
            liveness.kill_leftover_processes(last)
        if life is not True:  # a trial that runs on another host, or may, takes no slot here
            continue
        worker = worker_of(last)
        supervisor = processes.from_json(last.record.get("supervisor"))
        if supervisor is None or (worker is not None and processes.alive(worker) is not False):
            continue
        shown = progress.ShownTrial(record.name, folder, time.monotonic(), record.number)
        yield RunningTrial(
            record, last.number, supervisor.pid, shown, descriptor=watch(supervisor.pid)
        )


def worker_of(attempt: attempts.Attempt) -> processes.Process | None:
    """Return the worker that started an attempt, as its run file names it."""
    return processes.from_json(attempt.record.get("worker"))


def watch(pid: int) -> int | None:
    """Return a descriptor that becomes readable when a process exits; None where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
