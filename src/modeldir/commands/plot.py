"""`modeldir plot DIR --kind slice -o figure.pdf`: draw figures for papers (`results/plots/`)."""

from __future__ import annotations

import argparse

from modeldir.commands.messages import print_stderr

HELP = "Figures for papers: PDF, SVG or PNG, by the ending; drawn by matplotlib (an extra)."
EXAMPLE = "modeldir plot experiments/learning_rate --kind slice,history -o figure.pdf"
FOLDERS = "dir"

_KINDS = """\
kinds:  curves      learning curves, the best in color; repeats: their mean with a band
        slice       the metric over each hyperparameter (default)
        pair        two hyperparameters, the metric as the shade
        parallel    each trial a line across all hyperparameters
        importance  how much of the metric each explains by itself, with its uncertainty
        history     the best so far, over trials or time (--x time)

Several at once: --kind slice,history, or all; then -o figure.pdf is figure_slice.pdf and so on.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir plot [DIR] [--kind KIND] [-o FILE] [options]"
    parser.description = f"{HELP}\n\n{_KINDS}"
    parser.add_argument(
        "dir", nargs="?", metavar="DIR", help="a search, or any tree of experiments"
    )
    parser.add_argument("--kind", default="slice", metavar="KIND", help=argparse.SUPPRESS)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".pdf, .svg or .png (default: DIR_KIND.pdf, here)"
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="the metric (default: what the search ranks by)"
    )
    parser.add_argument("--x", metavar="NAME,...", help="which hyperparameters; of history: time")
    parser.add_argument("--where", metavar="CONDITION", help="'dropout < 0.5', as of synthesize")
    parser.add_argument(
        "--width", default="3.3in", metavar="W", help="7in, 85mm (default: 3.3in, one column)"
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
