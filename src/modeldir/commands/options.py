"""Options that several commands share: where trials run, and when a worker stops.

This module is imported before the spawner is forked, so it imports nothing heavy at the top. The
options of launchers: `search_submit.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Literal, TypeVar

from modeldir.errors import NOTHING_STARTED, FolderError, SearchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modeldir.metrics.objective import Ranked
    from modeldir.worker.slots import Slots
    from modeldir.worker.worker_limits import Limits

_N = TypeVar("_N", int, float)

LAUNCHER_OPTIONS = {
    "sbatch": "slurm",
    "address": "ray",
    "cpus": "ray",
    "gpus": "ray",
    "submit": "command",
    "status": "command",
    "cancel": "command",
    "job_id": "command",
}
"""Each option of a launcher, and the launcher that it belongs to."""


def refused(message: str) -> SearchError:
    """Return the error of a command line that makes no sense."""
    return SearchError(message, state=NOTHING_STARTED)


class NamesIn:
    """The `NAMES` of a package, looked up only when a help page is printed.

    The package is slow to import, and the spawner has to be forked before it is imported.
    """

    def __init__(self, package: str, *, without: str = "") -> None:
        self._package, self._without = package, without

    def __str__(self) -> str:
        from importlib import import_module  # noqa: PLC0415 - see above

        names = import_module(self._package).NAMES
        return ", ".join(name for name in names if name != self._without)

    def fill(self, action: argparse.Action) -> None:
        """Print the names where the option's help has `%(names)s`."""
        vars(action)["names"] = self


def add_ranking_options(
    parser: argparse._ActionsContainer, purpose: str, *, by_name: bool = False
) -> None:
    """Add `--maximize` and `--minimize`; with `by_name` also `--metric`, its direction inferred."""
    ranked = parser.add_mutually_exclusive_group()
    if by_name:
        inferred = f"{purpose} METRIC; modeldir infers whether higher or lower is better"
        ranked.add_argument("--metric", metavar="METRIC", help=inferred)
    default = "(default: the metric in search.json)"
    high = f"{purpose} METRIC, higher is better {default}"
    ranked.add_argument("--maximize", metavar="METRIC", help=high)
    low = f"{purpose} METRIC, lower is better {default}"
    ranked.add_argument("--minimize", metavar="METRIC", help=low)


def ranking_of(arguments: argparse.Namespace) -> Ranked | None:
    if arguments.maximize:
        return arguments.maximize, "maximize"
    return (arguments.minimize, "minimize") if arguments.minimize else None


def add_slot_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-j",
        "--jobs",
        default="1",
        metavar="N",
        help="run N trials in parallel; auto: one per GPU, or one per CPU core (default: 1)",
    )
    group.add_argument(
        "--gpus-per-trial",
        metavar="X",
        help="give each trial X GPUs; 0.25: four trials share one, 0: none "
        "(default: one each, if several trials run in parallel)",
    )
    group.add_argument(
        "--threads-per-trial",
        metavar="N",
        help="let each trial use N threads; auto: divide the cores (default: the libraries decide)",
    )
    group.add_argument(
        "--preload",
        choices=("auto",),
        metavar="auto",
        help="import modules once for all trials, if that saves time (default: auto)",
    )
    group.add_argument(
        "--no-preload", action="store_true", help="let each trial import its modules itself"
    )


def add_verbose(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="also print what modeldir does itself, e.g. preloading (default: only in search.log)",
    )


def add_limit_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--time-limit",
        metavar="TIME",
        help="stop starting trials after TIME, e.g. 8h (default: no limit)",
    )
    group.add_argument(
        "--max-failures",
        type=int,
        metavar="N",
        help="stop starting trials after N have failed (default: no limit)",
    )


def has_preload(arguments: argparse.Namespace) -> bool:
    if arguments.no_preload and arguments.preload:
        raise refused("--preload --no-preload: give one of them")
    return not arguments.no_preload


def is_submitted(arguments: argparse.Namespace) -> bool:
    """Return whether a launcher starts the workers, instead of one worker in this terminal."""
    asked = (arguments.on, arguments.workers, arguments.wait, arguments.one_job_per_trial)
    given = (getattr(arguments, option, None) for option in LAUNCHER_OPTIONS)
    return arguments.detach or any(asked) or any(given)


def live_terminal() -> str | None:
    """Return the device of the terminal that shows the live view; None if there is no terminal."""
    if sys.stdout is None or os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        return os.ttyname(sys.stdout.fileno())
    except OSError:  # a pipe, a file
        return None


def slots_of(arguments: argparse.Namespace, *, own: str | None = None) -> Slots:
    """Return the slots that the command line asks for; a job `own` (its token) owns the GPUs."""
    from modeldir.worker.slots import Slots  # noqa: PLC0415 - it may look for GPUs

    jobs = number_of("-j", arguments.jobs, int)
    threads = number_of("--threads-per-trial", arguments.threads_per_trial, int)
    gpus = number_of("--gpus-per-trial", arguments.gpus_per_trial, float)
    share = None if gpus == "auto" else gpus
    return Slots("auto" if jobs is None else jobs, share, threads, own=own)


def number_of(option: str, word: str | None, kind: type[_N]) -> _N | Literal["auto"] | None:
    if word is None or word == "auto":
        return None if word is None else "auto"
    try:
        return kind(word)
    except ValueError:
        raise refused(f"{option} {word}: expected a number, or auto") from None


def limits_of(arguments: argparse.Namespace) -> Limits:
    from modeldir._system.durations import parse_duration  # noqa: PLC0415
    from modeldir.worker.worker_limits import Limits  # noqa: PLC0415

    given, failures = arguments.time_limit, arguments.max_failures
    if failures is not None and failures < 1:
        raise refused(f"--max-failures {failures}: expected 1 or more")
    try:
        return Limits(None if given is None else parse_duration(given), failures)
    except ValueError as error:
        raise refused(f"--time-limit {error}") from None


def add_allow(parser: argparse.ArgumentParser) -> None:
    """Add `--allow`."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="LINE",
        help="trust this command line or address in DIR's records of jobs, now and later; "
        "repeat for several",
    )


def allow_typed(search: Path, lines: Sequence[str]) -> None:
    """Remember what the user has typed after `--allow`.

    Raises:
        FolderError: if it cannot be remembered.
    """
    from modeldir.launchers import trusted_commands  # noqa: PLC0415 - most command lines allow nothing

    if lines and not trusted_commands.allow(search, lines):
        raise FolderError("--allow: cannot be remembered: your home folder cannot be written")
