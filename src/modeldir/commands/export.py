"""`modeldir export`: write experiments in the format of another tool.

Start with `run`. The formats are in `exchange/`, one module for each tool.
"""

from __future__ import annotations

import argparse

from modeldir.commands.messages import print_stderr
from modeldir.exchange import exporting
from modeldir.metrics.objective import Objectives

HELP = (
    "Export experiments to TensorBoard, Optuna, MLflow, Parquet or CSV.\n"
    "Run it again to update the export."
)
EXAMPLE = "modeldir export experiments/learning_rate --to tensorboard -o tensorboard"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.usage = "modeldir export DIR --to TOOL -o OUT [--maximize METRIC | --minimize METRIC]"
    parser.add_argument("dir", metavar="DIR", help="a search, or any tree of experiments")
    parser.add_argument(
        "--to", choices=exporting.TOOLS, required=True, help="the tool, or the form of a table"
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
        "--maximize",
        metavar="METRIC",
        help="what a study ranks by: high is better (default: as in search.json)",
    )
    ranked.add_argument("--minimize", metavar="METRIC", help="what a study ranks by: low is better")


def run(arguments: argparse.Namespace) -> int:
    """Export and print how to open it; warnings go to standard error."""
    done = exporting.export(arguments.dir, arguments.to, arguments.out, _asked(arguments))
    print(done, flush=True)
    for warning in done.warnings:
        print_stderr(warning)
    return 0


def _asked(arguments: argparse.Namespace) -> Objectives:
    if arguments.maximize:
        return ((arguments.maximize, "maximize"),)
    return ((arguments.minimize, "minimize"),) if arguments.minimize else ()
