"""`modeldir import`: turn the runs of another tool into experiment folders (`exchange/`)."""

from __future__ import annotations

import argparse

from modeldir.commands.messages import print_stderr
from modeldir.exchange import importing

HELP = (
    "Make experiment folders from the runs of another tool. Run it again to add new runs.\n"
    "The source is only read; existing folders are kept."
)
EXAMPLE = "modeldir import multirun/2026-11-25 -o experiments/from_hydra"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir import FOLDER -o DIR [--from TOOL]"
    parser.add_argument(
        "source", metavar="FOLDER", help="the folder or the file in which the tool keeps its runs"
    )
    parser.add_argument(
        "--from",
        dest="tool",
        choices=importing.TOOLS,
        metavar="TOOL",
        help=f"the tool that wrote the runs: {', '.join(importing.TOOLS)} (default: detected)",
    )
    parser.add_argument(
        "-o", "--out", metavar="DIR", required=True, help="the folder for the experiments"
    )


def run(arguments: argparse.Namespace) -> int:
    done = importing.import_runs(arguments.source, arguments.out, arguments.tool)
    print(done, flush=True)
    for problem in done.problems:
        print_stderr(f"warning: {problem}")
    return 0 if done.new + done.updated + done.same else 1
