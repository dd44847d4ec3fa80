"""Options that commands share: where on a machine trials run, and when a worker stops."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Literal, TypeVar

from modeldir.errors import SearchError

if TYPE_CHECKING:
    from modeldir.worker.slots import Slots
    from modeldir.worker.worker import Limits

_N = TypeVar("_N", int, float)

OF_LAUNCHERS = {
    "sbatch": "slurm",
    "address": "ray",
    "cpus": "ray",
    "gpus": "ray",
    "submit": "command",
    "status": "command",
    "cancel": "command",
    "job_id": "command",
}
"""Options of the command line, and the launcher that each goes with."""


def add_places(group: argparse._ArgumentGroup) -> None:
    """The options that say where on a machine trials run."""
    many = "trials at a time, or auto (--cold: imports by each)"
    group.add_argument("-j", "--jobs", default="1", metavar="N", help=many)
    group.add_argument("--gpus-per-trial", metavar="X", help="0.25: four share one; 4: four each")
    group.add_argument("--threads", metavar="N", help="for each trial, or auto (may change bits)")
    group.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)  # told above
    group.add_argument("--warm", choices=("auto",), help=argparse.SUPPRESS)


def is_warm(arguments: argparse.Namespace) -> bool:
    """Whether trials may begin with their imports.

    Raises:
        SearchError: when both are said.
    """
    if arguments.cold and arguments.warm:
        raise SearchError("--warm --cold: say one of them", state="Nothing was started.")
    return not arguments.cold


def are_placed(arguments: argparse.Namespace) -> bool:
    """Whether workers are to be placed, and not to run here before the user's eyes."""
    asked = (arguments.on, arguments.workers, arguments.wait, arguments.one_job_per_trial)
    given = (getattr(arguments, option, None) for option in OF_LAUNCHERS)
    return arguments.detach or any(asked) or any(given)


def slots_of(arguments: argparse.Namespace, *, own: str | None = None) -> Slots:
    """The places for trials, as the command line says; `own` is the token of the job whose GPUs
    they are.

    Raises:
        SearchError: for what is no number, or more than there is.
    """
    from modeldir.worker.slots import Slots  # noqa: PLC0415 - it may ask for the GPUs

    jobs = number_of("-j", arguments.jobs, int)
    threads = number_of("--threads", arguments.threads, int)
    gpus = number_of("--gpus-per-trial", arguments.gpus_per_trial, float)
    share = None if gpus == "auto" else gpus
    return Slots("auto" if jobs is None else jobs, share, threads, own=own)


def number_of(option: str, text: str | None, kind: type[_N]) -> _N | Literal["auto"] | None:
    """A number of the command line, or `auto`.

    Raises:
        SearchError: for what is neither.
    """
    if text is None or text == "auto":
        return None if text is None else "auto"
    try:
        return kind(text)
    except ValueError:
        raise SearchError(
            f"{option} {text}: expected a number, or auto", state="Nothing was started."
        ) from None


def limits_of(arguments: argparse.Namespace) -> Limits:
    """When this worker stops, as the command line says.

    Raises:
        SearchError: for a time that is none, or a number below 1.
    """
    from modeldir._system.durations import parse_duration  # noqa: PLC0415
    from modeldir.worker.worker import Limits  # noqa: PLC0415

    given, failures = arguments.time_limit, arguments.max_failures
    if failures is not None and failures < 1:
        raise SearchError(
            f"--max-failures {failures}: expected 1 or more", state="Nothing was started."
        )
    try:
        return Limits(None if given is None else parse_duration(given), failures)
    except ValueError as error:
        raise SearchError(f"--time-limit {error}", state="Nothing was started.") from None
