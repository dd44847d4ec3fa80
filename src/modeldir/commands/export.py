"""`modeldir export`: write experiments in the format of another tool (`exchange/`)."""

from __future__ import annotations

import argparse

from modeldir.commands.messages import print_stderr
from modeldir.commands.options import add_ranking_options, ranking_of
from modeldir.exchange import exporting

HELP = (
    "Export experiments to TensorBoard, Optuna, MLflow, Parquet or CSV.\n"
    "Run it again to update the export."
)
EXAMPLE = "modeldir export experiments/learning_rate --to tensorboard -o tensorboard"
EXAMPLES = ("modeldir export experiments/learning_rate --to optuna -o study.log",)
FOLDERS = "dir"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir export DIR --to TOOL -o OUT [--maximize METRIC | --minimize METRIC]"
    parser.add_argument("dir", metavar="DIR", help="a search, or a folder with experiments")
    parser.add_argument(
        "--to",
        choices=exporting.TOOLS,
        metavar="TOOL",
        required=True,
        help=f"one of {', '.join(exporting.TOOLS)}",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        required=True,
        help="the folder to write; for Optuna a journal file, e.g. study.log; for MLflow a .db "
        "file or the address of a server",
    )
    add_ranking_options(parser, "rank a study by")


def run(arguments: argparse.Namespace) -> int:
    ranking = ranking_of(arguments)
    objectives = () if ranking is None else (ranking,)
    done = exporting.export(arguments.dir, arguments.to, arguments.out, objectives)
    print(done, flush=True)
    for warning in done.warnings:
        print_stderr(f"warning: {warning}")
    return 0
