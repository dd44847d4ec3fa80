"""Launchers get workers onto machines, and know no scores.

A launcher starts the words of a worker's command somewhere, any number of times. Which trials there
are and how they do is nothing to it: a worker that came up finds out by itself, and after that
nothing of the launcher has to stay alive.

Start at `Launcher`. What was started is recorded, one file a job, in the search's
`.modeldir/jobs/`, so that any later process can ask after it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from modeldir import files
from modeldir.errors import CommandError, did_you_mean

NAMES = ("local", "command")
_FORMAT = 1


@dataclass(frozen=True)
class JobRef:
    """One worker that was started.

    `launcher` is its launcher's name, `job` its name there (a pid, a job id; empty if the job
    manager named none), `token` tells it from every other start.
    """

    launcher: str
    job: str
    token: str

    def to_json(self) -> dict[str, Any]:
        """Its form in a file; `from_json` reads it back."""
        return asdict(self)


class Launcher(Protocol):
    """A way to get workers onto machines. `name` is what `--on` calls it."""

    name: str

    def start(self, worker: Sequence[str], count: int) -> list[JobRef]:
        """Start a worker's command `count` times; each start is recorded before the next one.

        Raises:
            CommandError: with what the other side said, and what was started so far.
        """

    def alive(self, refs: Sequence[JobRef]) -> dict[JobRef, bool | None]:
        """Whether each still waits or runs, all asked for at once; None where nobody can tell."""

    def stop(self, refs: Sequence[JobRef]) -> None:
        """Have them end. Those that have ended are let be, so it may be said again.

        Raises:
            CommandError: where this launcher has no way to do that.
        """


def from_json(value: object) -> JobRef | None:
    """A recorded job, or None where the record is missing or broken."""
    if not isinstance(value, dict):
        return None
    try:
        return JobRef(str(value["launcher"]), str(value["job"]), str(value["token"]))
    except KeyError:
        return None


def make(
    name: str, search: Path, *, submit: str | None = None, job_id: str | None = None
) -> Launcher:
    """The launcher that `--on NAME` asks for, for workers of the search in a folder.

    Raises:
        CommandError: for an unknown name, or a `submit` that cannot start a worker.
    """
    if name == "local":
        from modeldir.launchers.local import LocalLauncher  # noqa: PLC0415 - only the one wanted

        return LocalLauncher(search)
    if name == "command":
        from modeldir.launchers.command import CommandLauncher  # noqa: PLC0415

        return CommandLauncher(submit, search, job_id)
    hint = did_you_mean(name, NAMES) or "known: " + ", ".join(NAMES)
    raise CommandError(f"--on {name}: no such launcher\n  {hint}\nNothing was started.")


def so_far(refs: Sequence[JobRef]) -> str:
    """The last line of an error: the jobs that were started before it."""
    return f"Started before that: {ids(refs)}" if refs else "Nothing was started."


def ids(refs: Sequence[JobRef]) -> str:
    """Jobs by the names that their launcher knows."""
    return ", ".join(ref.job or "one without an id" for ref in refs)


# -- Records ---------------------------------------------------------------------------------------


def jobs_folder(search: Path) -> Path:
    """Where a search's jobs are recorded, and what starting them printed."""
    return search / ".modeldir" / "jobs"


def new_token() -> str:
    """What tells one start from every other."""
    return os.urandom(8).hex()


def record(search: Path, ref: JobRef, facts: Mapping[str, Any]) -> JobRef:
    """Write down a job that was started, with what its launcher knows of it; returns it.

    Raises:
        OSError: when the search's folder cannot be written.
    """
    data = files.to_json({"format": _FORMAT, **ref.to_json(), **facts}).encode()
    files.publish(jobs_folder(search) / f"{ref.token}.json", data)
    return ref


def facts_of(search: Path, ref: JobRef) -> dict[str, Any]:
    """What was written down of a job; empty if nothing was."""
    return files.read_object(jobs_folder(search) / f"{ref.token}.json")


def recorded(search: Path) -> list[JobRef]:
    """The jobs that were ever started for a search, in the order of their start."""
    found = []
    for path in jobs_folder(search).glob("*.json"):
        facts = files.read_object(path)
        ref = from_json(facts)
        if ref is not None:
            found.append((str(facts.get("started", "")), ref.token, ref))
    return [ref for *_, ref in sorted(found, key=lambda known: known[:2])]
