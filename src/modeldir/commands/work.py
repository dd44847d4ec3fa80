"""`modeldir work DIR`: one more worker on a search, as a job manager starts it."""

from __future__ import annotations

import argparse
import sys

from modeldir.commands.search import live_terminal
from modeldir.commands.settings import add_places, limits_of, slots_of
from modeldir.spawner import Spawner

HELP = "One more worker on a search: takes the next trial, runs it, repeats, until none is left."
EXAMPLE = "modeldir work experiments/learning_rate -j 2"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir work DIR [options]"
    parser.add_argument("dir", metavar="DIR", help="the search's folder, with search.json")
    add_places(parser.add_argument_group("where to run"))
    parser.add_argument(
        "--no-pilot", action="store_true", help="do not let the first trial go alone"
    )
    parser.add_argument("--time-limit", metavar="TIME", help="start no more trials after it: 8h")
    parser.add_argument("--max-failures", type=int, metavar="N", help="or after so many failures")
    parser.add_argument(
        "--detached",
        action="store_true",
        help="trials may outlive this worker (inside a job they must not: the default)",
    )
    parser.add_argument("--job", metavar="TOKEN", help="the job that it was placed as")


def run(arguments: argparse.Namespace) -> int:
    with Spawner(
        live_terminal()
    ) as spawner:  # before what is imported below: see commands/search.py
        from modeldir.progress import shown_on  # noqa: PLC0415
        from modeldir.search import Search  # noqa: PLC0415
        from modeldir.worker import Worker  # noqa: PLC0415

        search = Search(arguments.dir)
        worker = Worker(
            search,
            slots_of(arguments),
            shown_on(sys.stdout),
            bound=not arguments.detached,
            pilot=not arguments.no_pilot,
            limits=limits_of(arguments),
        )
        return worker.run(search.plan.command, spawner, typed=False).exit_code
