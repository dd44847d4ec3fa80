"""`modeldir digest`: the experiments below a folder, the best and the failures, in 40 lines.

It is for a reader with little time or little memory, e.g. a coding agent between two ideas. All
rows: `commands/synthesize.py`; how a search stands now: `commands/show_search.py`. The rule: each
part has its share of the lines, so that no part can push another one out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from modeldir._system import escaping
from modeldir._system.shell import quoted
from modeldir._system.text import order_of
from modeldir.commands.folders import read_tree
from modeldir.commands.messages import NothingFound, value_text
from modeldir.experiment import attempts, repeats, trial_labels
from modeldir.experiment.discovery import CONFIRM
from modeldir.metrics import objective
from modeldir.params.equality import all_same
from modeldir.params.plain_values import SEED
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow

HELP = "Print what was tried, what held and what failed, in at most 40 lines."
EXAMPLE = "modeldir digest experiments/learning_rate"

_TRIED, _BEST, _FAILED, _CONFIRMED = 8, 8, 5, 5
"""Lines of each part. With their heads and the counts of the rest they are at most 40."""
_LONGEST = 150
_FEW = 5
_SEVERAL = 3
"""Rows whose differing values are named in full."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir digest DIR"
    parser.add_argument("dir", metavar="DIR", help="a search, or a folder with experiments")


def run(arguments: argparse.Namespace) -> int:
    tree = read_tree(Path(arguments.dir))
    if not tree.experiments:
        from modeldir.results.synthesize import nothing_in  # noqa: PLC0415 - only for an error

        raise NothingFound(nothing_in(tree.folder))
    for line in digest(tree):
        print(_short(escaping.visible(line)))
    return 0


def digest(tree: Tree) -> list[str]:
    """Return the lines of the digest, at most 40."""
    rows = list(tree.rows())
    varied = _varied(rows)
    return [
        _head(tree),
        *_part("tried:", [_tried(name, rows) for name in varied], _TRIED, "hyperparameters"),
        *_held(tree, rows, varied),
        *_failed(tree),
        *_other(tree),
        *_confirmed(tree),
        f"all of it: modeldir results {quoted(tree.folder)}",
    ]


def _part(head: str, lines: Sequence[str], most: int, what: str) -> Iterator[str]:
    if lines:
        yield head
        yield from (f"  {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"  and {len(lines) - most} more {what}"


def _head(tree: Tree) -> str:
    counts = Counter(each.status.state for each in tree.experiments)
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    ranked = f", ranked by {objective.describe(tree.objectives)}" if tree.objectives else ""
    return f"{tree.folder}: {states}{ranked}"


# -- Tried -----------------------------------------------------------------------------------------


def _varied(rows: Sequence[ExperimentRow]) -> list[str]:
    """Return the hyperparameters in which rows differ. The seed is none of them with repeats."""
    used = [row.used() or {} for row in rows]
    names = dict.fromkeys(name for each in used for name in each)
    if any(row.members for row in rows):
        names.pop(SEED, None)
    return [name for name in names if not all_same([each.get(name) for each in used])]


def _tried(name: str, rows: Sequence[ExperimentRow]) -> str:
    values = [used[name] for row in rows if name in (used := row.used() or {})]
    known = {value_text(value): value for value in values}
    shown = sorted(known, key=lambda each: order_of(known[each]))
    if len(shown) <= _FEW:
        return f"{name}: {', '.join(shown)}"
    return f"{name}: {len(shown)} values, {shown[0]} to {shown[-1]}"


# -- Best ------------------------------------------------------------------------------------------


def _held(tree: Tree, rows: Sequence[ExperimentRow], varied: Sequence[str]) -> Iterator[str]:
    """Yield the best rows. With several metrics these are the Pareto front."""
    metric = tree.metric
    if metric is None:
        return
    name, direction = metric
    front = tree.front()
    scored = [
        (value, row)
        for row in rows
        if (value := row.value(name)) is not None and (not front or row.name in front)
    ]
    sign = -1.0 if direction == "maximize" else 1.0
    scored.sort(key=lambda each: (sign * each[0], objective.trial_order(each[1].number)))
    lines = [_row(tree, row, varied) for _, row in scored]
    head = "Pareto front:" if front else "best first:"
    yield from _part(head, lines, _BEST, "experiments")


def _row(tree: Tree, row: ExperimentRow, varied: Sequence[str]) -> str:
    title = trial_labels.title(row.number, row.name)
    scores = [
        f"{name} {value:.6g}{_spread(row, name)}"
        for name, _ in tree.objectives
        if (value := row.value(name)) is not None
    ]
    used = row.used() or {}
    values = [f"{name} {value_text(used[name])}" for name in varied if name in used]
    told = [", ".join(values)] if values and row.number is not None else []
    return "; ".join([f"{title}: {', '.join(scores)}", *told, *([row.note] if row.note else [])])


def _spread(row: ExperimentRow, name: str) -> str:
    """Return how many repeats a mean is over, and how much they differ."""
    values = [value for each in row.counted() if (value := each.value(name)) is not None]
    deviation = repeats.standard_deviation(values)
    return "" if deviation is None else f" (mean of {len(values)}, std {deviation:.2g})"


# -- Failed, and not known yet ---------------------------------------------------------------------


def _failed(tree: Tree) -> Iterator[str]:
    from modeldir.results.report import failures  # noqa: PLC0415 - only where a trial failed

    rows = tree.experiments
    if not any(row.status.state == attempts.FAILED for row in rows):
        return
    lines = []
    for group in failures.failed(rows):
        titles = [trial_labels.title(rows[at].number, rows[at].name) for at in group["of"]]
        more = len(titles) - _SEVERAL
        named = ", ".join(titles[:_SEVERAL]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"{len(titles)} x {group['class']}: {group['words']} ({named})")
    yield from _part("failed:", lines, _FAILED, "errors")


def _other(tree: Tree) -> Iterator[str]:
    unfinished = [row for row in tree.experiments if row.status.state in attempts.UNFINISHED]
    if unfinished:
        yield f"not ended yet: {len(unfinished)}"
    pruned = sum(row.status.state == attempts.PRUNED for row in tree.experiments)
    if pruned:
        yield f"stopped early: {pruned}"


def _confirmed(tree: Tree) -> Iterator[str]:
    from modeldir.results import confirmation, finalists  # noqa: PLC0415 - rarely needed

    if (tree.folder / finalists.FOLDER / CONFIRM).is_file():
        answer = confirmation.answer(confirmation.of(tree.folder))
        yield from _part("confirmed with new seeds:", answer, _CONFIRMED, "lines")


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
