"""Launchers get workers onto machines, and know no scores.

A launcher starts the words of a worker's command somewhere, once for each *token* that it is given:
our name for that start, which the worker is told (`--job TOKEN`) and by which the job is found
again. Which trials there are and how they do is nothing to it: a worker that came up finds out by
itself, and after that nothing of the launcher has to stay alive. What was placed is written down
by `launched_jobs`.

Start at `Launcher`. `make` finds one by its name: ours, or a package's own, by an entry point of
the group `modeldir.launchers`.
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

    `launcher` is its launcher's name, `job` its name there (a pid, a job id; empty where none is
    known), `token` tells it from every other start.
    """

    launcher: str
    job: str
    token: str

    def to_json(self) -> dict[str, Any]:
        """Its form in a file; `from_json` reads it back."""
        return dict(vars(self))


@dataclass(frozen=True)
class JobState:
    """How a job is. `alive`: it waits or runs; None where that cannot be told: unknown is never
    taken for dead.

    `words` are the engine's own, for people: `PENDING (Resources)`. `runs`: of one that is alive,
    whether it has begun; None where the engine does not say.
    """

    alive: bool | None
    words: str = ""
    runs: bool | None = None


class OptionsError(CommandError):
    """A launcher's options make no sense; `problems` are all of them."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"--on {name} cannot be used:", problems)


class LauncherBusy(CommandError):
    """A launcher cannot start a worker now, and what hinders it passes by itself: a full queue, a
    controller that is away.
    """


class Launcher(Protocol):
    """A way to get workers onto machines. `name` is what `--on` calls it.

    A launcher may have four attributes more. `ask_every`: the least seconds between two questions
    (60). `throttles`: whether it takes the option `at_once`, how many of the jobs of one `start`
    may run side by side, and holds to it (False). `revives`: whether a job that has ended may start
    again under its id (False). `preview`, called as `start` is: the lines of the script or of the
    command by which it would submit those, for `--dry-run`; nothing is started, nobody is asked.
    """

    name: str

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Start the worker's command once for each token: `with_token(worker, token)` are the words
        of one. Each job is yielded when it has been started, before the next one is.

        The tokens of one call are `BASE_0`, `BASE_1`, and so on without gaps.

        Raises:
            CommandError: with what the other side said; of that job nothing was started then.
            LauncherBusy: likewise, for what passes by itself.
        """

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """How each is, all asked for at once. A job with an empty id is looked for by its token.
        An engine that does not answer knows nothing (`alive` is None); that is no error.
        """

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Have them end. Those that have ended are let be, so it may be said again.

        Raises:
            CommandError: where there is no way.
        """


Factory = Callable[[Path, Mapping[str, Any]], Launcher]


def from_json(value: object) -> JobRef | None:
    """A recorded job, or None where the record is missing or broken."""
    if not isinstance(value, dict):
        return None
    try:
        return JobRef(str(value["launcher"]), str(value["job"]), str(value["token"]))
    except KeyError:
        return None


def with_token(worker: Sequence[str], token: str) -> list[str]:
    """The words of one worker, who is told the token of its job.

    >>> with_token(["modeldir", "work", "DIR"], "6f1e_0")
    ['modeldir', 'work', 'DIR', '--job', '6f1e_0']
    """
    return [*worker, "--job", token]


TOKEN = re.compile(r"[0-9a-f]{16}_\d+")
"""What a job's token looks like: safe in file names, job names and command lines."""


def new_tokens(count: int) -> list[str]:
    """The tokens of so many starts, which nobody else has."""
    base = os.urandom(8).hex()
    return [f"{base}_{index}" for index in range(count)]


def jobs_folder(search: Path) -> Path:
    """Where a search's jobs are recorded, and what starting them printed."""
    return search / ".modeldir" / "jobs"


def output_of(search: Path, token: str) -> Path:
    """Where a job's output goes, if its launcher can say where."""
    return jobs_folder(search) / f"{token}.out"


# -- By name ---------------------------------------------------------------------------------------


def make(name: str, search: Path, options: Mapping[str, Any] | None = None) -> Launcher:
    """The launcher that `--on NAME` asks for, for workers of the search in a folder.

    Raises:
        CommandError: for an unknown name, or options that make no sense: all of them at once.
    """
    return factory(name)(search, options or {})


def factory(name: str) -> Factory:
    """What makes the launcher of a name.

    Raises:
        CommandError: for an unknown name, or one whose package cannot be imported.
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


# -- Options ---------------------------------------------------------------------------------------


def unknown_options(options: Mapping[str, Any], known: Sequence[str]) -> Iterator[Problem]:
    """A problem for each option that this launcher has not."""
    for name, hint in plugins.unknown_options(options, known):
        yield Problem(f"{name}: no such option", hint)


def refuse(name: str, problems: Sequence[Problem]) -> None:
    """Say all that is wrong with a launcher's options at once; nothing if nothing is.

    Raises:
        OptionsError: naming each.
    """
    if problems:
        raise OptionsError(name, problems)
