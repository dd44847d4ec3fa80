"""Trials of the same search that run on other hosts, as far as their heartbeats show.

A worker with a free slot looks here, since a host that died leaves its trials to the others, and a
trial whose heartbeat is late is in doubt until it is late enough (`_system/heartbeat.py`). Only
looks: who may take a trial over is decided when its next attempt begins (`supervisor.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from modeldir._system import heartbeat
from modeldir.experiment import attempts
from modeldir.worker import worker_messages
from modeldir.worker.cluster_job import JobSession

if TYPE_CHECKING:
    from modeldir.search.search import Search
    from modeldir.worker.worker_log import WorkerLog


class OtherHosts:
    """The trials that run elsewhere, as one worker knows them."""

    def __init__(self, search: Search, job: JobSession, log: WorkerLog) -> None:
        self._search, self._job, self._log = search, job, log
        self._running: set[str] = set()
        self._doubted: set[str] = set()
        self._of_this_job: set[str] = set()
        self._next_look = 0.0

    @property
    def seconds_to_next_look(self) -> float:
        return max(0.0, self._next_look - time.monotonic())

    @property
    def must_be_waited_for(self) -> bool:
        """Whether it is open if a trial is dead, or an earlier copy of this job still runs one.

        That copy may be on a node that the job manager has lost sight of: once it sees that node
        again it ends the copy, and asks nobody.
        """
        return bool(self._doubted or self._of_this_job)

    def look(self, ours: set[int]) -> bool:
        """Look at all unfinished trials but `ours`; whether one may have become free to take."""
        is_free, doubted = False, set()
        running_before, self._running = self._running, set()
        of_this_job_before, self._of_this_job = self._of_this_job, set()
        for record in self._search.trials.statuses.unfinished():
            if record.number in ours:
                continue
            status = self._search.trials.status(record)
            if status.state == attempts.RUNNING:
                self._running.add(record.name)
                if self._job.started(self._search.trials.path(record)):
                    self._of_this_job.add(record.name)
                    if record.name not in of_this_job_before:
                        self._log.message(worker_messages.run_by_earlier_copy(record.title))
            elif status.state == attempts.INTERRUPTED and record.name in running_before:
                is_free = True
            if status.in_doubt:
                doubted.add(record.name)
                if record.name not in self._doubted:
                    self._log.message(worker_messages.in_doubt(record.title, status.reason))
        self._doubted = doubted
        self._next_look = time.monotonic() + heartbeat.interval() / 2
        return is_free
