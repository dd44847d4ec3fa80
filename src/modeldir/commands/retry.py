"""`modeldir retry`: run ended trials again, as they are or with other values.

Trials are only marked here (`search/trials.py`), or new ones made; the next worker runs them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modeldir._system.shell import quoted
from modeldir.commands.messages import assignments_text
from modeldir.errors import FolderError, SearchError, did_you_mean
from modeldir.experiment import attempts, failure_classes, saved_weights
from modeldir.experiment.experiment import no_folder_message
from modeldir.metrics import objective
from modeldir.params import plain_values
from modeldir.search import inherited_weights, worker_registry
from modeldir.search.search import Search
from modeldir.search.trial_record import TrialRecord

HELP = (
    "Run failed trials again. Running workers start them; if there are none, run modeldir search "
    "DIR next."
)
EXAMPLE = "modeldir retry experiments/learning_rate --only out-of-memory --set batch_size=16"
EXAMPLES = ("modeldir retry experiments/learning_rate --pruned --top 3",)
FOLDERS = "dir"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "modeldir retry DIR ... [--only CLASS | --pruned [--top K]] [--set name=value ...]"
    )
    parser.add_argument(
        "dir",
        nargs="+",
        metavar="DIR",
        help="a search, or trials of one (DIR 3 12), also completed ones",
    )
    parser.add_argument(
        "--only",
        metavar="CLASS",
        help="retry only trials that failed with one of: " + ", ".join(failure_classes.CLASSES),
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="name=value",
        help="make new trials with this value instead, e.g. batch_size=16; repeat for several",
    )
    parser.add_argument(
        "--pruned",
        action="store_true",
        help="continue trials that were stopped early, from their last weights to their end",
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="with --pruned: only the best K of them (default: all)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Mark the trials, or make new ones, and print what to type next."""
    known = failure_classes.CLASSES
    if arguments.only is not None and arguments.only not in known:
        hint = did_you_mean(arguments.only, known) or "known: " + ", ".join(known)
        raise SearchError(f"--only {arguments.only}: no such class of failure\n  {hint}")
    _check_pruned(arguments)
    search, wanted = _wanted(
        [Path(each) for each in arguments.dir], arguments.only, pruned=arguments.pruned
    )
    if arguments.pruned:
        return _continue(search, _best(search, wanted, arguments.top), _values(arguments.set))
    if not wanted:
        which = f" with {arguments.only}" if arguments.only else ""
        print(f"No trial failed{which}.")
        return 0
    values = _values(arguments.set)
    for record in wanted:
        if values:
            made, is_new = search.make_retry(record, values)
            after = f"{record.title} with {assignments_text(values)}"
            print(f"{made.title} {'will run:' if is_new else 'is already'} {after}")
        else:
            search.trials.want_again(record)
            print(f"{record.title} will run again")
    print(f"next: {worker_registry.resume_command(search.path)}")
    return 0


def _check_pruned(arguments: argparse.Namespace) -> None:
    if arguments.pruned and arguments.only is not None:
        raise SearchError("--only cannot be combined with --pruned", state="Nothing was marked.")
    if arguments.top is not None and not arguments.pruned:
        raise SearchError("--top needs --pruned\n  modeldir retry DIR --pruned --top 3")
    if arguments.top is not None and arguments.top < 1:
        raise SearchError(f"--top {arguments.top}: expected 1 or more", state="Nothing was marked.")


def _best(search: Search, records: list[TrialRecord], count: int | None) -> list[TrialRecord]:
    if count is None:
        return records
    metric = search.metric()
    if metric is None:
        raise SearchError(
            f"{search.path}: --top needs a metric, and no trial has one",
            state="Nothing was marked.",
        )
    name, direction = metric
    others, chosen = list(records), set[int]()
    while others and len(chosen) < count:
        values = [search.trials.validation(record).get(name) for record in others]
        best = objective.best_of(
            [(v, r.number, r) for v, r in zip(values, others, strict=True)], direction
        )
        if best is None:
            break
        chosen.add(best.number)
        others.remove(best)
    return [record for record in records if record.number in chosen]


def _continue(search: Search, records: list[TrialRecord], values: dict[str, Any]) -> int:
    """Continue pruned trials; with other values, make new trials that start from their weights."""
    if not records:
        print("No trial was pruned.")
        return 0
    for record in records:
        folder = search.trials.path(record)
        can_continue = inherited_weights.can_continue(search.plan, folder)
        if not values:
            search.trials.claims.spare(record.number)
            search.trials.want_again(record)
            how = (
                "continue from its last weights"
                if can_continue
                else f"start again: {_why_afresh(folder)}"
            )
            print(f"{record.title} will {how}")
            continue
        inherits = can_continue and bool(attempts.last_weights(folder))
        made, is_new = search.make_retry(record, values, continues=inherits)
        if is_new:
            search.trials.claims.spare(made.number)
        after = f"{record.title} with {assignments_text(values)}"
        how = "from its last weights" if inherits else f"from the beginning: {_why_afresh(folder)}"
        ending = f"will run: {after}, {how}" if is_new else f"is already {after}"
        print(f"{made.title} {ending}")
    print(f"next: {worker_registry.resume_command(search.path)}")
    return 0


def _why_afresh(folder: Path) -> str:
    if saved_weights.newest_checkpoint(folder) is None:
        return "it left no weights"
    if not attempts.last_weights(folder):
        return "it left no weights named last"
    return "its script does not call run.restore(), and the plan has no --resume"


def _wanted(
    folders: list[Path], only: str | None, *, pruned: bool
) -> tuple[Search, list[TrialRecord]]:
    for folder in folders:
        if not folder.is_dir():
            raise FolderError(no_folder_message(folder))
    trials = [folder for folder in folders if (folder / "trial.json").exists()]
    searches = {folder.parent if folder in trials else folder for folder in folders}
    if len(searches) > 1:
        named = [(f"{folder}", None) for folder in sorted(searches)]
        raise SearchError(
            "retry takes one search, but these are several:", named, "Nothing was marked."
        )
    folder = searches.pop()
    if not (folder / "search.json").exists() and (folder / "params.json").exists():
        raise SearchError(
            f"{folder} is an experiment, not a search\n"
            f"  to run it again: modeldir run {quoted(folder)} -- python train.py",
            state="Nothing was marked.",
        )
    search = Search(folder)
    search.trials.refresh(make=False)
    records = list(search.trials)
    if trials:
        names = {folder.resolve().name for folder in trials}
        records = [record for record in records if record.name in names]
    if pruned:
        return search, [r for r in records if _was_pruned(search, r, named=bool(trials))]
    return search, [record for record in records if _is_meant(search, record, only, named=trials)]


def _was_pruned(search: Search, record: TrialRecord, *, named: bool) -> bool:
    state = search.trials.status(record).state
    if named and state != attempts.PRUNED:
        raise SearchError(
            f"{record.title} was not pruned: it is {state}", state="Nothing was marked."
        )
    return state == attempts.PRUNED


def _is_meant(search: Search, record: TrialRecord, only: str | None, *, named: list[Path]) -> bool:
    status = search.trials.status(record)
    if status.state == attempts.RUNNING:
        if named:
            stop = f"modeldir stop {quoted(search.path)} --now"
            raise SearchError(f"{record.title} is running; stop it first: {stop}")
        return False
    if only is not None:
        return status.state == attempts.FAILED and status.failure == only
    ended = (attempts.COMPLETED, attempts.PRUNED, attempts.FAILED)
    return status.state in ended if named else status.state == attempts.FAILED


def _values(words: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise SearchError(f"--set {word}: expected name=value\n  --set batch_size=16")
        values[name] = plain_values.parse_value(text)
    return values
