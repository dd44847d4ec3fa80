"""`modeldir worker DIR`: one more worker on a search, as a job manager starts it.

The spawner must be forked before anything heavy is imported. The loop: `worker/worker.py`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from modeldir.commands import options
from modeldir.worker.spawner import Spawner

if TYPE_CHECKING:
    from modeldir.worker.cluster_job import Job
    from modeldir.worker.worker_limits import Limits

HELP = (
    "Add one more worker to a search. It takes the next trial, runs it, and repeats until none is "
    "left. Job managers start this command."
)
EXAMPLE = "modeldir worker experiments/learning_rate -j 2"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir worker DIR [options]"
    parser.add_argument("dir", metavar="DIR", help="the search's folder, with search.json")
    options.add_slot_options(parser.add_argument_group("in parallel"))
    stopping = parser.add_argument_group("stopping")
    stopping.add_argument(
        "--trials", type=int, metavar="N", help="start at most N trials (default: no limit)"
    )
    options.add_limit_options(stopping)
    stopping.add_argument(
        "--keep-trials",
        action="store_true",
        help="let running trials continue if this worker is killed (default: end them)",
    )
    job = parser.add_argument_group("in a job of a job manager")
    job.add_argument(
        "--job", metavar="TOKEN", help="the job that this worker is; it owns the job's GPUs"
    )
    job.add_argument(
        "--requeue",
        metavar="COMMAND",
        help="on SIGUSR1, interrupt the trials, then run COMMAND if trials are left",
    )
    options.add_verbose(parser)
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="do not wait until the first trial has read every hyperparameter that varies",
    )


def run(arguments: argparse.Namespace) -> int:
    # The spawner comes first, while this process is small: see commands/search.py.
    with Spawner(options.live_terminal()) as spawner:
        from modeldir.monitor.progress import shown_on  # noqa: PLC0415
        from modeldir.search.search import Search  # noqa: PLC0415
        from modeldir.worker.worker import Worker  # noqa: PLC0415

        search = Search(arguments.dir)
        worker = Worker(
            search,
            options.slots_of(arguments, own=arguments.job),
            shown_on(sys.stdout),
            bound=not arguments.keep_trials,
            check_first=not arguments.no_check,
            limits=_limits(arguments),
            job=_job(arguments),
            preload=options.has_preload(arguments),
            verbose=arguments.verbose,
        )
        return worker.run(search.plan.command, spawner, typed=False).exit_code


def _limits(arguments: argparse.Namespace) -> Limits:
    trials = arguments.trials
    if trials is not None and trials < 1:
        raise options.refused(f"--trials {trials}: expected 1 or more")
    return replace(options.limits_of(arguments), trials=trials)


def _job(arguments: argparse.Namespace) -> Job | None:
    from modeldir.worker.cluster_job import Job  # noqa: PLC0415 - see `run`

    token, line = arguments.job, arguments.requeue
    if token is None:
        if line is not None:
            raise options.refused("--requeue needs a job: --job TOKEN")
        return None
    from modeldir.search import worker_registry  # noqa: PLC0415 - see `run`

    if worker_registry.JOB.fullmatch(token) is None:
        raise options.refused(f"--job {token!r}: a token has only letters, digits, _, - and .")
    try:
        return Job(token, tuple(shlex.split(line or "")))
    except ValueError as error:
        raise options.refused(f"--requeue {line!r}: {error}") from None
