"""Workers in the background of this machine.

It knows how to start a worker so that nothing ties it to us: not the terminal, not our descriptors,
not our life. It refuses to know what a worker does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from modeldir import processes, provenance
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, facts_of, jobs_folder, new_token, record, so_far

# Run by an interpreter of its own that ends at once, so that the worker is nobody's child: it
# leaves no zombie in a long-lived caller, and nobody forks among a caller's threads.
_DETACH = """\
import subprocess, sys
with open(sys.argv[1], "ab") as output:
    print(subprocess.Popen(
        sys.argv[2:], stdout=output, stderr=output, start_new_session=True
    ).pid)
"""


class LocalLauncher:
    """Starts workers of the search in a folder, here and in the background.

    What a worker prints goes to `.modeldir/jobs/TOKEN.out` in that folder.
    """

    name = "local"

    def __init__(self, search: Path) -> None:
        self._search = search

    def start(self, worker: Sequence[str], count: int) -> list[JobRef]:
        """Start the worker's command `count` times, away from the terminal.

        Raises:
            CommandError: when it cannot be started.
            OSError: when the search's folder cannot be written.
        """
        jobs_folder(self._search).mkdir(parents=True, exist_ok=True)
        refs: list[JobRef] = []
        for _ in range(count):
            try:
                refs.append(self._start_one(worker))
            except CommandError as error:
                raise CommandError(f"{error}\n{so_far(refs)}") from error
        return refs

    def _start_one(self, worker: Sequence[str]) -> JobRef:
        token = new_token()
        pid = _detached(worker, jobs_folder(self._search) / f"{token}.out")
        found = processes.process(pid)
        facts = {
            "process": found.to_json() if found else None,
            "command": list(worker),
            "started": provenance.utc_now(),
        }
        return record(self._search, JobRef(self.name, str(pid), token), facts)

    def alive(self, refs: Sequence[JobRef]) -> dict[JobRef, bool | None]:
        """Whether each worker lives; None for those of a machine that cannot be seen from here."""
        return {ref: self._lives(self._process(ref)) for ref in refs}

    def stop(self, refs: Sequence[JobRef]) -> None:
        """Send TERM to the workers that live here; they end their trials and write that down."""
        for ref in refs:
            known = self._process(ref)
            if known is not None and self._lives(known):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(known.pid, signal.SIGTERM)

    def _process(self, ref: JobRef) -> processes.Process | None:
        return processes.from_json(facts_of(self._search, ref).get("process"))

    def _lives(self, known: processes.Process | None) -> bool | None:
        # Without an identity it was over before it could be looked at.
        return False if known is None else processes.alive(known)


def _detached(words: Sequence[str], output: Path) -> int:
    """Start a command in a session of its own; returns its pid."""
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
