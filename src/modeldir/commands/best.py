"""`modeldir best`: print the path of the best experiment, for other commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

from modeldir._system.shell import quoted
from modeldir.commands import json_output, json_payloads
from modeldir.commands.messages import NothingFound
from modeldir.commands.options import add_ranking_options, ranking_of
from modeldir.errors import MetricsError
from modeldir.metrics import objective
from modeldir.metrics.metric_names import Direction, did_you_mean, direction
from modeldir.results.synthesize import Tree, nothing_in, read_tree

if TYPE_CHECKING:
    from modeldir.commands import json_types
    from modeldir.results.experiments import ExperimentRow

HELP = "Print the path of the best experiment, by the validation metric at its best weights."
EXAMPLE = "python evaluate.py --model_dir $(modeldir best experiments/learning_rate)"
FOLDERS = "dir"
JSON = True


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "modeldir best DIR [--metric METRIC | --maximize METRIC | --minimize METRIC] [--json]"
    )
    parser.add_argument("dir", metavar="DIR", help="a search, or a folder with experiments")
    add_ranking_options(parser, "rank by", by_name=True)


def run(arguments: argparse.Namespace) -> int:
    tree = read_tree(arguments.dir)
    if tree.experiments and arguments.metric and arguments.metric not in _known(tree):
        # First, because a misspelled name has no direction.
        raise NothingFound(_nothing(tree, (arguments.metric, "maximize")))
    asked = _asked_for(arguments, tree)
    metric = asked or tree.metric
    best = tree.best(asked)
    if best is None and asked is None and len(tree.objectives) > 1:
        raise NothingFound(_several(tree))
    if best is None or metric is None:
        raise NothingFound(_nothing(tree, metric))
    if arguments.json:
        json_output.print_json(_payload(best, metric))
        return 0
    # As bytes: the shell needs the exact path, even if the terminal's encoding cannot show it.
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(best.path) + b"\n")
    return 0


def _payload(best: ExperimentRow, metric: tuple[str, Direction]) -> json_types.Best:
    name, better = metric
    experiment = json_payloads.experiment_of(best)
    return {
        "experiment": experiment,
        "metric": name,
        "direction": better,
        "value": best.value(name),
    }


def _asked_for(arguments: argparse.Namespace, tree: Tree) -> tuple[str, Direction] | None:
    if name := arguments.metric:
        better = dict(tree.objectives).get(name) or direction(name)
        if better is None:
            folder = quoted(tree.folder)
            raise MetricsError(
                f"{name}: its name does not say whether high or low is good\n"
                f"  modeldir best {folder} --maximize {name}   or --minimize {name}"
            )
        return name, better
    return ranking_of(arguments)


def _several(tree: Tree) -> str:
    front, folder = len(tree.front()), quoted(tree.folder)
    ranked = objective.describe(tree.objectives)
    lines = [
        f"{tree.folder} is ranked by {ranked}: none is best by all of them",
        *(f"  modeldir best {folder} --{better} {name}" for name, better in tree.objectives),
        f"  modeldir results {folder}   ({front} on the Pareto front)",
    ]
    return "\n".join(lines)


def _known(tree: Tree) -> list[str]:
    return sorted({name for each in tree.experiments for name in each.scores.validation})


def _nothing(tree: Tree, metric: tuple[str, Direction] | None) -> str:
    if not tree.experiments:
        return nothing_in(tree.folder)
    states = Counter(each.status.state for each in tree.experiments)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    known = _known(tree)
    if metric is None and known:
        return (
            f"{tree.folder} has no best experiment: {objective.question(known)}\n"
            f"  modeldir best {quoted(tree.folder)} {objective.answers(known[0])}"
        )
    wanted = f"the metric {metric[0]!r}" if metric else "a metric to rank by"
    hint = None
    if metric and known and metric[0] not in known:
        hint = did_you_mean(metric[0], known) or f"there are: {', '.join(known)}"
    return (
        f"{tree.folder} has no best experiment yet: no completed experiment has {wanted}\n"
        f"  {hint or f'there are: {counts}'}\n"
        f"  modeldir results {quoted(tree.folder)}"
    )
