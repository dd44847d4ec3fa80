"""Collect everything that the page shows, as one object that JSON can hold.

`report_file` calls `page_data`. Each part has a module. The page itself sorts, filters and draws
(`assets/*.js`), so no order here matters but that of the experiments.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modeldir._system import files
from modeldir._system.escaping import visible
from modeldir._system.timestamps import unix_time, utc_now
from modeldir.errors import ModeldirError
from modeldir.experiment import discovery
from modeldir.metrics import objective
from modeldir.params.equality import all_same
from modeldir.params.plain_values import SEED
from modeldir.results import confirmation, finalists
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow
from modeldir.results.report import axis_scales, columns, curves, encoding, failures, provenance
from modeldir.results.report.columns import Labels
from modeldir.results.report.encoding import Json
from modeldir.results.table_columns import advised, unranked
from modeldir.search import importance

FORMAT = 1
_MOST_WARNINGS, _LONGEST_LINE = 50, 400


def page_data(
    tree: Tree, target: Path, where: str | None = None, group: Sequence[str] = ()
) -> dict[str, Json]:
    """Return the data of the page at `target` about a tree that `where` selected."""
    found = tree.experiments
    rows = tree.grouped(group) if group else tree.rows()
    origins = [provenance.origin(each) for each in found]
    parents = dict.fromkeys(each.path.parent for each in found)
    searches = [folder for folder in parents if (folder / "search.json").is_file()]
    plans = axis_scales.read_plans(searches)
    ranges = axis_scales.declared_ranges(plans)
    used = [each.used() or {} for each in found]
    encoded, labels = columns.columns(tree, origins, ranges, used)
    row_values = used if len(rows) == len(found) else [each.used() or {} for each in rows]
    return {
        "format": FORMAT,
        "title": encoding.short(tree.title + (f", where {where}" if where else "")),
        "made": utc_now()[:16].replace("T", " ") + " UTC",
        "folder": _link(tree.folder, target),
        "n": len(found),
        "names": [encoding.short(each.name) for each in found],
        "paths": _paths(tree),
        "numbers": [each.number for each in found],
        "status": encoding.categories([each.status.state for each in found]),
        "why": failures.reasons(found),
        "started": [_seconds(each.status.started) for each in found],
        "objectives": [
            [labels["metric", name], columns.DIRECTIONS[direction]]
            for name, direction in tree.objectives
            if ("metric", name) in labels
        ],
        "columns": encoded,
        "groups": _groups(found, rows),
        "importance": _importances(tree, rows, row_values, labels, {SEED, *group}),
        "adaptive": provenance.adaptive_samplers(each.sampler for each in origins),
        "curves": _curves(tree),
        "failed": failures.failed(found),
        "advice": [encoding.short(each, _LONGEST_LINE) for each in _advice(tree, where)],
        "confirmed": [*_confirmations(searches)],
        "provenance": provenance.provenance(found, origins, plans, searches),
        "warnings": _warnings(tree),
    }


def _advice(tree: Tree, where: str | None) -> Iterator[str]:
    """Yield the lines at the top of the page: why nothing is ranked, or advice about a search."""
    if names := unranked(tree):
        how = objective.how_to_rank(tree.folder, names[0])
        yield f"Not ranked: {objective.question(names)} To rank: {how}"
    if not where:
        yield from advised(tree)


def _seconds(started: str | None) -> int | None:
    time = unix_time(started)
    return None if time is None else round(time)


def _link(folder: Path, target: Path) -> str | None:
    """Return the relative path from the page to the experiments, None on another drive."""
    try:
        path = os.path.relpath(files.absolute(folder), files.absolute(target.parent))
    except ValueError:
        return None
    return path.replace(os.sep, "/")


def _paths(tree: Tree) -> dict[str, str]:
    """Return the path of each experiment whose name on the page is not its path."""
    base = os.path.join(tree.folder, "")
    paths = {}
    for index, each in enumerate(tree.experiments):
        if os.fspath(each.path) != base + each.name or len(each.name) > encoding.LONGEST:
            path = os.path.relpath(each.path, tree.folder).replace(os.sep, "/")
            paths[str(index)] = visible(path)
    return paths


def _confirmations(searches: Iterable[Path]) -> Iterator[list[str]]:
    for folder in searches:
        if not (folder / finalists.FOLDER / discovery.CONFIRM).is_file():
            continue
        try:
            text = confirmation.to_words(confirmation.of(folder))
        except ModeldirError as error:
            text = error.summary
        yield [encoding.short(line, _LONGEST_LINE) for line in text.splitlines()]


def _warnings(tree: Tree) -> list[str]:
    shown = [encoding.short(each, _LONGEST_LINE) for each in tree.warnings[:_MOST_WARNINGS]]
    more = len(tree.warnings) - len(shown)
    return [*shown, f"and {more:,} more"] if more else shown


def _groups(found: Sequence[ExperimentRow], rows: Sequence[ExperimentRow]) -> list[int] | None:
    if len(rows) == len(found):
        return None
    index = {member.path: i for i, row in enumerate(rows) for member in (row.members or (row,))}
    return [index[each.path] for each in found]


def _importances(
    tree: Tree,
    rows: Sequence[ExperimentRow],
    used: Sequence[Mapping[str, object]],
    labels: Labels,
    ignored: Collection[str],
) -> dict[str, Json]:
    """Return the importance of each varying hyperparameter for each ranked metric.

    Repeats are no independent evidence about other hyperparameters, so `rows` holds their means.
    """
    names = dict.fromkeys(name for values in used for name in values if name not in ignored)
    values_of = {name: [encoding.unmarked(each.get(name)) for each in used] for name in names}
    varying = {name: values for name, values in values_of.items() if not all_same(values)}
    by_metric = {}
    for metric, _ in tree.objectives:
        if ("metric", metric) not in labels:
            continue
        scores = [each.value(metric) for each in rows]
        by_metric[labels["metric", metric]] = [
            [labels["hyper", each.name],
             *map(_rounded, (each.share, each.low, each.high)), each.count]
            for each in importance.importances(varying, scores)
        ]  # fmt: skip
    return {
        "method": importance.METHOD,
        "fewest": importance.FEWEST,
        "of": by_metric,
        "each": importance.PER_GROUP,
        "parts": importance.FEWEST_PARTS,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _curves(tree: Tree) -> dict[str, Json]:
    ranked = ranked_indices(tree)
    ended = set(ranked)
    others = [index for index in range(len(tree.experiments)) if index not in ended]
    logged = {index for index, each in enumerate(tree.experiments) if curves.has_curve(each.path)}
    chosen = curves.chosen([i for i in ranked if i in logged], [i for i in others if i in logged])
    objectives = [name for name, _ in tree.objectives]
    content = curves.curves({index: tree.experiments[index].path for index in chosen}, objectives)
    return {**content, "all": len(chosen) == len(logged)}


def ranked_indices(tree: Tree) -> list[int]:
    """Return the indices of the experiments with a value: the Pareto front, then the best."""
    if tree.metric is None:
        return []
    name, direction = tree.metric
    sign = -1.0 if direction == "maximize" else 1.0
    values = [(each.value(name), index) for index, each in enumerate(tree.experiments)]
    front = set()
    if len(tree.objectives) > 1:  # with one metric there is a best experiment and no front
        each_value = [[row.value(name) for name, _ in tree.objectives] for row in tree.experiments]
        scored = [(values, index) for index, values in enumerate(each_value)]
        front = set(objective.pareto_front(scored, tree.objectives))
    keys = [
        (index not in front, sign * value, index) for value, index in values if value is not None
    ]
    return [index for _, _, index in sorted(keys)]
