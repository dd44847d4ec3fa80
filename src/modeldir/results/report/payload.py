"""All that the page shows, as one object that JSON can hold.

It knows what belongs into the page, and where each part comes from: `cells` makes values small and
harmless, `scales` decides which axes are logarithmic, `importance`, `curves`, `failed` and
`origins` say what their names say. It refuses to know HTML, and to sort: the page does that.

Columns, not rows: 10,000 trials of 8 hyperparameters are 1.2 MB so, and 0.5 MB packed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from modeldir._system import files, timestamps
from modeldir._system.text import Marked, visible
from modeldir._system.timestamps import unix_time
from modeldir.errors import ModeldirError
from modeldir.experiment import discovery, experiment
from modeldir.metrics import objective
from modeldir.params.plain_values import SEED
from modeldir.results import confirmation, finalists
from modeldir.results.report import cells, curves, failed, origins, scales
from modeldir.results.table_columns import advised, way_of
from modeldir.search import importance

if TYPE_CHECKING:
    from modeldir.results.report.cells import Json
    from modeldir.results.report.origins import Origin
    from modeldir.results.report.scales import Domain
    from modeldir.results.synthesize import Found, Tree

FORMAT = 1
_WARNINGS, _WIDEST = 50, 400
_EVEN = frozenset({"random", "grid", "sobol", "points"})
"""Samplers that look at no result. All others, one's own too, look for what was good."""
_WORDS = {"maximize": "max", "minimize": "min"}


@dataclass(frozen=True)
class _Read:
    """What was read once, for all parts."""

    tree: Tree
    found: tuple[Found, ...]
    rows: tuple[Found, ...]
    """The repeats of a point as one, or what else differs in some hyperparameters alone."""
    origins: tuple[Origin, ...]
    searches: tuple[Path, ...]
    plans: tuple[Mapping[str, Any], ...]
    domains: Mapping[str, Domain]
    used: tuple[Mapping[str, object], ...]


def payload(
    tree: Tree, target: Path, where: str | None = None, group: Sequence[str] = ()
) -> dict[str, Json]:
    """What a page about a tree shows. `target` is where it will lie: links are relative to that.
    `where` is the condition that has chosen the tree's experiments; those that differ in `group`
    alone are repeats of each other.
    """
    read = _read(tree, group)
    found = read.found
    columns, called = _columns(read)
    return {
        "format": FORMAT,
        "title": cells.short(tree.title + (f", where {where}" if where else "")),
        "made": timestamps.utc_now()[:16].replace("T", " ") + " UTC",
        "folder": _link(tree.folder, target),
        "n": len(found),
        "names": [cells.short(each.name) for each in found],
        "paths": _paths(tree, found),
        "numbers": [each.number for each in found],
        "status": cells.coded([each.status.state for each in found]),
        "why": failed.words(found),
        "started": [_whole(unix_time(each.status.started)) for each in found],
        "objectives": [
            [called["metric", name], _WORDS[way]]
            for name, way in tree.objectives
            if ("metric", name) in called
        ],
        "columns": columns,
        "groups": _groups(read),
        "importance": _importances(read, called, {SEED, *group}),
        "adaptive": adaptive(each.sampler for each in read.origins),
        "curves": _curves(read),
        "failed": failed.failed(found),
        "advice": [] if where else [cells.short(each, 400) for each in advised(tree)],
        "confirmed": [*_confirmed(read.searches)],
        "provenance": origins.provenance(found, read.origins, read.plans, read.searches),
        "warnings": _warnings(tree),
    }


def _read(tree: Tree, group: Sequence[str]) -> _Read:
    searches = tuple(_searches(tree))
    plans = tuple(scales.plans(searches))
    return _Read(
        tree,
        tuple(tree.found),
        tuple(tree.grouped(group) if group else tree.rows()),
        tuple(map(origins.origin, tree.found)),
        searches,
        plans,
        scales.declared(plans),
        tuple(each.used() or {} for each in tree.found),
    )


def _searches(tree: Tree) -> Iterator[Path]:
    parents = dict.fromkeys(each.path.parent for each in tree.found)
    yield from (folder for folder in parents if (folder / "search.json").is_file())


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _link(folder: Path, target: Path) -> str | None:
    """The way from the page to the experiments; None where there is none (another drive)."""
    try:
        return os.path.relpath(files.absolute(folder), files.absolute(target.parent)).replace(
            os.sep, "/"
        )
    except ValueError:
        return None


def _paths(tree: Tree, found: Sequence[Found]) -> dict[str, str]:
    """Where an experiment lies below the folder, where its name on the page does not say it."""
    base = os.path.join(tree.folder, "")
    told = {}
    for place, each in enumerate(found):
        if os.fspath(each.path) != base + each.name or len(each.name) > cells.LONGEST:
            way = os.path.relpath(each.path, tree.folder).replace(os.sep, "/")
            told[str(place)] = visible(way)
    return told


def _confirmed(searches: Iterable[Path]) -> Iterator[list[str]]:
    """What `modeldir confirm` says of each search of which something was run again, by lines."""
    for folder in searches:
        if not (folder / finalists.FOLDER / discovery.CONFIRM).is_file():
            continue
        try:
            told = confirmation.told(confirmation.of(folder))
        except ModeldirError as error:
            told = error.summary
        yield [cells.short(line, _WIDEST) for line in told.splitlines()]


def _warnings(tree: Tree) -> list[str]:
    told = [cells.short(each, _WIDEST) for each in tree.warnings[:_WARNINGS]]
    more = len(tree.warnings) - len(told)
    return [*told, f"and {more:,} more"] if more else told


def _groups(read: _Read) -> list[int] | None:
    """For each experiment the number of the point of which it is a repeat; None without repeats."""
    if len(read.rows) == len(read.found):
        return None
    number = {
        each.path: place for place, row in enumerate(read.rows) for each in (row.members or (row,))
    }
    return [number[each.path] for each in read.found]


# -- Columns ---------------------------------------------------------------------------------------


Labels: TypeAlias = Mapping[tuple[str, str], str]


def _columns(read: _Read) -> tuple[list[Json], Labels]:
    """Metrics, times, hyperparameters, and what else may differ; and what each is called, by kind
    and name: a hyperparameter may have a metric's name.
    """
    parts = list(_parts(read))
    called = cells.labels([name for _, name, _ in parts])
    told = [
        {"name": label, "kind": kind, **values, "varies": _varies(values)}
        for label, (kind, _, values) in zip(called, parts, strict=True)
    ]
    keys = [(kind, name) for kind, name, _ in parts]
    return told, dict(zip(keys, called, strict=True))


def _varies(told: Mapping[str, Json]) -> bool:
    """Whether a column tells experiments apart: two values, or one that some do not have."""
    if "dict" in told:
        return len(set(told["i"])) > 1
    first = told["v"][0] if told["v"] else None
    return any(each != first for each in told["v"])


def _parts(read: _Read) -> Iterator[tuple[str, str, dict[str, Json]]]:
    yield from _metrics(read, "metric", "", lambda scores: scores.development)
    yield from _metrics(read, "other", "test ", lambda scores: scores.test)
    yield from _metrics(read, "other", "train ", lambda scores: scores.train)
    durations = [each.status.duration for each in read.found]
    if any(each is not None for each in durations):
        yield "time", "duration", {"v": cells.numbers(durations), "log": _log(durations)}
    yield from _hyperparameters(read)
    yield from _facts(read)


def _metrics(
    read: _Read,
    kind: str,
    prefix: str,
    of: Callable[[experiment.Scores], Mapping[str, float]],
) -> Iterator[tuple[str, str, dict[str, Json]]]:
    values = [of(each.scores) for each in read.found]
    ranked = dict(read.tree.objectives)
    names = dict.fromkeys(name for each in values for name in each)
    for name in [*filter(names.__contains__, ranked), *(n for n in names if n not in ranked)]:
        column = [each.get(name) for each in values]
        way = way_of(read.tree, name)
        direction = _WORDS[way] if way else None
        told = {"v": cells.numbers(column), "log": _log(column), "dir": direction}
        yield kind, prefix + name, told


def _log(column: Sequence[float | None]) -> bool:
    return scales.looks_logarithmic([value for value in column if value is not None])


def _hyperparameters(read: _Read) -> Iterator[tuple[str, str, dict[str, Json]]]:
    for name in dict.fromkeys(name for values in read.used for name in values):
        values = [each.get(name) for each in read.used]
        domain = read.domains.get(name, scales.Domain())
        told = cells.column(values, domain.options)
        if "v" in told:
            known = [each for each in told["v"] if cells.is_number(each)]
            log = scales.looks_logarithmic(known) if domain.log is None else domain.log
            told |= {"log": log and min(known, default=1) > 0}
            if domain.low is not None and domain.high is not None:
                told |= {"low": cells.number(domain.low), "high": cells.number(domain.high)}
        if marked := [i for i, value in enumerate(values) if isinstance(value, Marked)]:
            told |= {"marked": marked}
        yield "hyper", name, told


def _facts(read: _Read) -> Iterator[tuple[str, str, dict[str, Json]]]:
    """What may tell experiments apart beside their hyperparameters."""
    failures = [each.status.failure for each in read.found]
    notes = [each.note for each in read.found]
    code = [each.text("code") for each in read.origins]
    hosts = [each.host for each in read.origins]
    made = [each.sampler for each in read.origins]
    for name, values, least in (
        ("failure", failures, 1), ("note", notes, 1), ("code", code, 2), ("machine", hosts, 2),
        ("sampler", made, 2),
    ):  # fmt: skip
        if len({value for value in values if value is not None}) >= least:
            yield "fact", name, cells.coded(values)


# -- What is computed ------------------------------------------------------------------------------


def _importances(read: _Read, called: Labels, passed_over: Collection[str]) -> dict[str, Json]:
    """By metric that is ranked by: each hyperparameter that varies. A repeat is no new evidence
    about the others, so the means of points are taken.
    """
    rows = read.rows
    alone = len(rows) == len(read.found)
    used = read.used if alone else tuple(each.used() or {} for each in rows)
    names = dict.fromkeys(name for values in used for name in values if name not in passed_over)
    columns = {name: [_hashable(cells.bare(values.get(name))) for values in used] for name in names}
    columns = {name: values for name, values in columns.items() if len(set(values)) > 1}
    told = {}
    for metric, _ in read.tree.objectives:
        if ("metric", metric) not in called:
            continue
        scores = [each.value(metric) for each in rows]
        found = importance.importances(columns, scores)
        told[called["metric", metric]] = [
            [
                called["hyper", each.name],
                *map(_share, (each.share, each.low, each.high)),
                each.count,
            ]
            for each in found
        ]
    return {"method": importance.METHOD, "fewest": importance.FEWEST, "of": told,
        "each": importance.PER_GROUP, "parts": importance.FEWEST_PARTS,
    }  # fmt: skip


def _hashable(value: object) -> object:
    return str(value) if isinstance(value, (list, dict, tuple)) else value


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def adaptive(samplers: Iterable[str | None]) -> list[str]:
    """The samplers among those that chose trials by the values of earlier ones."""
    made = dict.fromkeys(each for each in samplers if each)
    return [cells.short(name) for name in made if name.partition(":")[0] not in _EVEN]


def _curves(read: _Read) -> dict[str, Json]:
    order = ranked(read.tree)
    ended = set(order)
    others = [place for place in range(len(read.found)) if place not in ended]
    logged = {place for place, each in enumerate(read.found) if curves.has_curve(each.path)}
    places = curves.chosen([p for p in order if p in logged], [p for p in others if p in logged])
    first = [name for name, _ in read.tree.objectives]
    told = curves.curves({place: read.found[place].path for place in places}, first)
    return {**told, "all": len(places) == len(logged)}


def ranked(tree: Tree) -> list[int]:
    """The places of the experiments that have a value to rank by, the best first; with several
    metrics those first that no other beats.
    """
    if tree.metric is None:
        return []
    name, way = tree.metric
    sign = -1.0 if way == "maximize" else 1.0
    values = [(each.value(name), place) for place, each in enumerate(tree.found)]
    front = _front(tree)
    known = [
        (place not in front, sign * value, place) for value, place in values if value is not None
    ]
    return [place for _, _, place in sorted(known)]


def _front(tree: Tree) -> set[int]:
    if len(tree.objectives) < 2:  # noqa: PLR2004 - one has a best, and no front
        return set()
    scored = [
        ([each.value(name) for name, _ in tree.objectives], place)
        for place, each in enumerate(tree.found)
    ]
    return set(objective.front(scored, tree.objectives))
