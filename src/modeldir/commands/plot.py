"""`modeldir plot DIR --kind slice -o figure.pdf`: draw figures for papers (`results/plots/`)."""

from __future__ import annotations

import argparse

from modeldir.commands.messages import print_stderr

HELP = (
    "Draw figures for papers as PDF, SVG or PNG.\n"
    "It needs matplotlib: pip install 'modeldir[plots]'"
)
EXAMPLE = "modeldir plot experiments/learning_rate --kind slice,history -o figure.pdf"
FOLDERS = "dir"

_KINDS = """\
  curves  learning curves, the best in color; several seeds as their mean with a band
  slice  the metric over each hyperparameter
  pair  two hyperparameters, with the metric as color
  parallel  one line per trial across all hyperparameters
  importance  how much of the metric each hyperparameter explains
  history  the best value so far, over trials or time
  all  all of these that can be drawn
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir plot [DIR] [--kind KIND] [-o FILE] [options]"
    parser.add_argument(
        "dir",
        nargs="?",
        metavar="DIR",
        help="a search, or a folder with experiments (default: experiments)",
    )
    parser.add_argument_group("kinds of figures", _KINDS)
    parser.add_argument(
        "--kind",
        default="slice",
        metavar="KIND",
        help="the kind, or several: slice,history; several are a file each (default: slice)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .pdf, .svg or .png file (default: DIR_KIND.pdf, here)",
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="the metric to draw (default: what the search ranks by)"
    )
    parser.add_argument(
        "--x",
        metavar="NAME,...",
        help="the hyperparameters to draw; with history: trials or time (default: those that vary)",
    )
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="draw only these experiments, e.g. 'dropout < 0.5' (default: all)",
    )
    parser.add_argument(
        "--width",
        default="3.3in",
        metavar="W",
        help="the width, e.g. 7in or 85mm (default: 3.3in, one column of a paper)",
    )


def run(arguments: argparse.Namespace) -> int:
    from modeldir.results import plots  # noqa: PLC0415 - not for help

    is_all = arguments.kind == "all"
    skipped: list[str] | None = [] if is_all else None
    kinds = list(plots.KINDS) if is_all else arguments.kind.split(",")
    written = plots.save(
        arguments.dir,
        kinds,
        arguments.output,
        metric=arguments.metric,
        x=arguments.x.split(",") if arguments.x else (),
        where=arguments.where,
        width=arguments.width,
        skipped=skipped,
    )
    for reason in skipped or ():
        print_stderr(f"warning: {reason}")
    for path in written:
        print(path)
    return 0 if written else 1
