"""Launchers start workers on machines: here (`local`), on Slurm, on Ray, or by any command.

A launcher runs a worker's command once for each *token*, our name for that start (`--job TOKEN`).
It knows nothing of trials, and nothing of it needs to stay alive. Start at `Launcher`; contract
tests: `modeldir.testing`; entry points: `modeldir.launchers`; the jobs: `launched_jobs`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modeldir._system import plugins
from modeldir.errors import NOTHING_STARTED, CommandError
from modeldir.errors import Problem as Problem

GROUP = "modeldir.launchers"
"""The group of entry points in which other packages offer launchers."""

_BUILT_IN = {
    "local": "modeldir.launchers.local:LocalLauncher",
    "slurm": "modeldir.launchers.slurm:SlurmLauncher",
    "ray": "modeldir.launchers.ray:RayLauncher",
    "command": "modeldir.launchers.command:CommandLauncher",
}
NAMES = (*_BUILT_IN,)
_KIND = plugins.PluginKind(GROUP, _BUILT_IN, NAMES, takes_class=False)


@dataclass(frozen=True)
class JobRef:
    """One worker that was started.

    `launcher` is its launcher's name, `job` its id there (a pid, a job id; empty if unknown), and
    `token` distinguishes it from every other start.
    """

    launcher: str
    job: str
    token: str

    def to_json(self) -> dict[str, Any]:
        """Return its form in a file; `from_json` reads it back."""
        return dict(vars(self))


@dataclass(frozen=True)
class JobState:
    """The state of a job.

    `alive`: it waits or runs; None if unknown, and unknown never counts as dead. `words` are the
    engine's own, for people: `PENDING (Resources)`. `runs`: whether a job that is alive has begun;
    None if the engine does not say. `to_allow`: the engine was not asked, and this command of the
    user would allow it.
    """

    alive: bool | None
    words: str = ""
    runs: bool | None = None
    to_allow: str = ""


class OptionsError(CommandError):
    """A launcher's options are wrong; `problems` lists everything."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"--on {name} cannot be used:", problems)


class LauncherBusy(CommandError):
    """A launcher cannot start a worker now, but later it can: e.g. the queue is full."""


class Launcher(Protocol):
    """Starts workers on machines. `name` is its name for `--on`.

    A launcher may have five more attributes. `lines`, called with jobs: the command lines and
    addresses from the folder that `states` and `stop` would use for them. They are used only if the
    user has allowed them (see `trusted_commands`). Without it, this is one line with all options.
    `ask_every`: the least seconds between two questions (60). `throttles`: whether it supports the
    option `at_once`, the number of jobs of one `start` that may run at the same time (False).
    `revives`: whether a job that has ended may start again under its id (False). `preview`, called
    like `start`: the lines of the script or command that would submit the jobs, for `--dry-run`; it
    starts nothing.
    """

    name: str

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Start the worker's command once for each token: `with_token(worker, token)`.

        Each job is yielded when it has been started, before the next one is started. The tokens of
        one call are `BASE_0`, `BASE_1`, and so on without gaps.

        Raises:
            CommandError: with the engine's message; that job was not started.
            LauncherBusy: the same, if trying again later may help.
        """

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """Return the state of each job, by one question for all.

        A job with an empty id is looked for by its token. If the engine does not answer, `alive` is
        None; that is no error.
        """

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Ask the jobs to end. Jobs that have ended are ignored.

        Raises:
            CommandError: if that is not possible.
        """


Factory = Callable[[Path, Mapping[str, Any]], Launcher]


def from_json(value: object) -> JobRef | None:
    """Return a recorded job; None if the record is missing or broken.

    The id becomes an argument of commands. One that could be anything else counts as unknown.
    """
    if not isinstance(value, dict):
        return None
    launcher, job, token = (value.get(key) for key in ("launcher", "job", "token"))
    if not (isinstance(launcher, str) and isinstance(job, str) and isinstance(token, str)):
        return None
    if not TOKEN.fullmatch(token):
        return None
    return JobRef(launcher, job if is_job_id(job) else "", token)


def is_job_id(text: str) -> bool:
    """Whether a string can be a job's id: one word, and no option.

    >>> is_job_id("4711_3"), is_job_id("12[].head"), is_job_id("-u me"), is_job_id("$(reboot)")
    (True, True, False, False)
    """
    return bool(_JOB_ID.fullmatch(text))


def with_token(worker: Sequence[str], token: str) -> list[str]:
    """Return a worker's command line with the token of its job.

    >>> with_token(["modeldir", "worker", "DIR"], "6f1e_0")
    ['modeldir', 'worker', 'DIR', '--job', '6f1e_0']
    """
    return [*worker, "--job", token]


TOKEN = re.compile(r"[0-9a-f]{16}_[0-9]{1,9}")
"""The form of a job's token. It is safe in file names, job names and command lines."""

_JOB_ID = re.compile(r"\w[\w.:@/+\[\]-]{0,254}")


def new_tokens(count: int) -> list[str]:
    """Return new unique tokens for `count` jobs."""
    base = os.urandom(8).hex()
    return [f"{base}_{index}" for index in range(count)]


def jobs_folder(search: Path) -> Path:
    """Return the folder with a search's job records and the output of starting them."""
    return search / ".modeldir" / "jobs"


def output_of(search: Path, token: str) -> Path:
    """Return the file for a job's output, if its launcher can direct it there."""
    return jobs_folder(search) / f"{token}.out"


def make(name: str, search: Path, options: Mapping[str, Any] | None = None) -> Launcher:
    """Make the launcher of `--on NAME`, for workers of the search in a folder.

    Raises:
        CommandError: for an unknown name, or with everything that is wrong with the options.
    """
    return factory(name)(search, options or {})


def factory(name: str) -> Factory:
    """Return the class of the launcher with this name.

    Raises:
        CommandError: for an unknown name, or if its package cannot be imported.
    """
    try:
        made: Factory = _KIND.load(name)
    except plugins.UnknownPlugin as error:
        what = f"--on {name}: no such launcher\n  {error.problem.hint}"
        raise CommandError(what, state=NOTHING_STARTED) from error
    except plugins.PluginError as error:
        what, hint = error.problem
        raise CommandError(f"--on {name}: {what}\n  {hint}", state=NOTHING_STARTED) from error
    return made


def unknown_options(options: Mapping[str, Any], known: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each option that this launcher does not have."""
    for name, hint in plugins.unknown_options(options, known):
        yield Problem(f"{name}: no such option", hint)


def refuse(name: str, problems: Sequence[Problem]) -> None:
    """Raise an `OptionsError` with all problems of a launcher's options, if there are any."""
    if problems:
        raise OptionsError(name, problems)
