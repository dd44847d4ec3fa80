"""`modeldir show --json`: experiments and searches as JSON, and how a search ended for others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir.commands import json_output, json_payloads
from modeldir.commands.folders import experiments_among, read_tree
from modeldir.commands.show_search import MOST, plan_of, standing, what_follows
from modeldir.errors import FolderError
from modeldir.experiment import attempts, experiment
from modeldir.search.trial_counts import Inventory

if TYPE_CHECKING:
    from modeldir.commands import json_types


def run(arguments: argparse.Namespace) -> int:
    """Print all folders in one document; those that cannot be shown are its error."""
    if arguments.code:
        raise FolderError("--code cannot be combined with --json")
    document: json_types.Show = {"experiments": [], "searches": [], "warnings": []}
    problems: list[str] = []
    for folder in experiments_among([*map(Path, arguments.dirs)]):
        if not folder.is_dir():
            problems.append(experiment.no_folder_message(folder))
        elif experiment.is_search(folder) or (folder / "search.json").is_file():
            document["searches"].append(search_of(folder))
        else:
            row, warnings = json_payloads.read_row(folder)
            if row.hyperparameters is None and row.status.state == attempts.PENDING:
                problems.append(f"{folder} is not an experiment or a search: it has no params.json")
            else:
                document["experiments"].append(json_payloads.experiment_of(row))
                document["warnings"] += warnings
    if not problems:
        json_output.print_json(document)
        return 0
    error = json_output.error_of(FolderError("\n".join(problems)), 2)
    json_output.print_json({**document, "error": error})
    return 2


def search_of(folder: Path) -> json_types.Search:
    """Return how a search stands."""
    tree, inventory = read_tree(folder), Inventory(folder)
    inventory.refresh()
    plan, snapshot, best = plan_of(folder), standing(tree, inventory), tree.best()
    failed = [each for each in tree.experiments if each.status.state == attempts.FAILED]
    front = tree.front()
    return {
        "path": str(folder),
        "plan": plan,
        "objectives": json_payloads.objectives_of(tree.objectives),
        "states": {state: count for state, count in snapshot.states.items() if count},
        "remaining": snapshot.remaining,
        "best": None if best is None else json_payloads.experiment_of(best),
        "front": [str(row.path) for row in tree.rows() if row.name in front],
        "failed": [json_payloads.experiment_of(each) for each in failed[:MOST]],
        "warnings": [*tree.warnings, *inventory.problems()],
        "next": what_follows(tree, plan, snapshot),
    }
