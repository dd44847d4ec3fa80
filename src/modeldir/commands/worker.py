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

HELP = "One more worker on a search: takes the next trial, runs it, repeats, until none is left."
EXAMPLE = "modeldir worker experiments/learning_rate -j 2"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir worker DIR [options]"
    parser.add_argument("dir", metavar="DIR", help="the search's folder, with search.json")
    options.add_slot_options(parser.add_argument_group("where to run"))
    parser.add_argument(
        "--no-check", action="store_true", help="do not let the first trial go alone"
    )
    parser.add_argument("--time-limit", metavar="TIME", help="start no more trials after it: 8h")
    parser.add_argument("--max-failures", type=int, metavar="N", help="or after N failed trials")
    parser.add_argument("--trials", type=int, metavar="N", help="start at most N trials")
    parser.add_argument(
        "--keep-trials",
        action="store_true",
        help="trials may outlive this worker (inside a job they must not: the default)",
    )
    job = parser.add_argument_group("inside a job")
    job.add_argument(
        "--job", metavar="TOKEN", help="the job that this worker is; its GPUs are its own"
    )
    job.add_argument(
        "--requeue",
        metavar="LINE",
        help="run it on SIGUSR1, when the trials have been interrupted and work is left",
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
            raise options.refused("--requeue: only a job is started again: --job TOKEN")
        return None
    from modeldir.search import worker_registry  # noqa: PLC0415 - see `run`

    if worker_registry.JOB.fullmatch(token) is None:
        raise options.refused(f"--job {token!r}: a token has letters, digits, _, - and . alone")
    try:
        return Job(token, tuple(shlex.split(line or "")))
    except ValueError as error:
        raise options.refused(f"--requeue {line!r}: {error}") from None
