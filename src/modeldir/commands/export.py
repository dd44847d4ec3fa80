"""`modeldir export`: experiments for other tools to look at."""

from __future__ import annotations

import argparse

from modeldir.commands.messages import print_stderr
from modeldir.exchange import exporting
from modeldir.metrics.objective import Objectives

HELP = "Copy experiments to where another tool opens them: said again, what has changed."
EXAMPLE = "modeldir export experiments/learning_rate --to tensorboard -o tensorboard"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "modeldir export DIR --to TOOL -o OUT [--maximize METRIC | --minimize METRIC]"
    parser.add_argument("dir", metavar="DIR", help="a search, or any tree of experiments")
    parser.add_argument(
        "--to", choices=exporting.TOOLS, required=True, help="who is to open it; tables too"
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        required=True,
        help="a folder; for Optuna a journal file, e.g. study.log; for MLflow a .db file or a "
        "server's address",
    )
    ranked = parser.add_mutually_exclusive_group()
    ranked.add_argument(
        "--maximize", metavar="METRIC", help="what a study ranks by (default: as the plan)"
    )
    ranked.add_argument("--minimize", metavar="METRIC", help="as --maximize: low is good")


def run(arguments: argparse.Namespace) -> int:
    """Export, and say how to open it; what could not be read goes to standard error."""
    done = exporting.export(arguments.dir, arguments.to, arguments.out, _asked(arguments))
    print(done, flush=True)
    for warning in done.warnings:
        print_stderr(warning)
    return 0


def _asked(arguments: argparse.Namespace) -> Objectives:
    if arguments.maximize:
        return ((arguments.maximize, "maximize"),)
    return ((arguments.minimize, "minimize"),) if arguments.minimize else ()
