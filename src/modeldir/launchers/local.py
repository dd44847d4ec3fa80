"""Start workers in the background of this machine: `--workers N`.

Nothing ties a worker to the process that started it, no terminal, descriptor or parent, so that it
survives it. The worker itself: `worker.worker`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import files, processes, reading
from modeldir.errors import CommandError
from modeldir.launchers import (
    JobRef,
    JobState,
    jobs_folder,
    output_of,
    refuse,
    unknown_options,
    with_token,
)

# A new interpreter runs this and exits at once, so that the worker is not our child: it leaves no
# zombie in a long-lived caller, and no fork happens among a caller's threads.
_DETACH = """\
import subprocess, sys
with open(sys.argv[1], "ab") as output:
    print(subprocess.Popen(
        sys.argv[2:], stdout=output, stderr=output, start_new_session=True
    ).pid)
"""


class LocalLauncher:
    """Starts workers of the search in a folder, in the background of this machine.

    A worker's output goes to `.modeldir/jobs/TOKEN.out` there. `TOKEN.process.json` identifies its
    process, because a pid alone does not.
    """

    name = "local"
    ask_every = 0.0
    """Seconds between two questions. Looking at a process costs nothing."""

    def __init__(self, search: Path, options: Mapping[str, Any] | None = None) -> None:
        refuse(self.name, [*unknown_options(options or {}, ())])
        self._search = search

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Start the worker's command once for each token, away from the terminal."""
        jobs_folder(self._search).mkdir(parents=True, exist_ok=True)
        for token in tokens:
            self._note(token, by=processes.process())
            pid = _detached(with_token(worker, token), output_of(self._search, token))
            self._note(token, process=processes.process(pid))
            yield JobRef(self.name, str(pid), token)

    def lines(self, _: Sequence[JobRef]) -> list[str]:
        """Return no line: nothing of a record is run."""
        return []

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """Return whether each worker is alive; unknown for workers of another machine."""
        return {job: self._state(job) for job in jobs}

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Send TERM to the workers that are alive here. They end their trials and record that."""
        for job in jobs:
            known = self._process(job.token)
            path = self._file(job.token)
            if known is None or not processes.belongs_to_owner_of(path, known.pid):
                continue
            if processes.alive(known):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(known.pid, signal.SIGTERM)

    def _state(self, job: JobRef) -> JobState:
        known = self._process(job.token)
        if known is not None:
            alive = processes.alive(known)
            unseen = (
                "" if alive is not None else f" on {known.host}, which cannot be seen from here"
            )
            return JobState(alive, f"process {known.pid}{unseen}", runs=alive)
        # Its start was cut short before its process was recorded. It would have been found by now.
        starter = processes.from_json(self._noted(job.token).get("by"))
        if starter is None:
            return JobState(False, "it ended at once" if job.job else "it was not started")
        there = processes.alive(starter)
        if there is False and processes.is_of_this_boot(starter):
            return JobState(False, "it was not started")
        return JobState(None, f"started on {starter.host}")

    def _process(self, token: str) -> processes.Process | None:
        noted = self._noted(token)
        known = processes.from_json(noted.get("process"))
        starter = processes.from_json(noted.get("by"))
        if known is None and starter is not None and processes.is_of_this_boot(starter):
            return processes.leader_with_word(token)
        return known

    def _noted(self, token: str) -> dict[str, Any]:
        return reading.read_object(self._file(token))

    def _note(self, token: str, **who: processes.Process | None) -> None:
        facts = {name: each.to_json() if each else None for name, each in who.items()}
        files.write_json(self._file(token), facts)

    def _file(self, token: str) -> Path:
        return jobs_folder(self._search) / f"{token}.process.json"


def _detached(words: Sequence[str], output: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _DETACH, str(output), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise CommandError(f"The worker cannot be started:\n  {said}")
    return int(done.stdout)
