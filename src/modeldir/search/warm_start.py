"""Warm start: tell a sampler about the finished experiments of other folders.

The scheduler calls `tell_of_all` once, before its sampler proposes anything. Experiments of
`warm_start_from` only teach the sampler; those of `reuse` also count as done. Which experiments a
folder has: `finished_experiments.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from modeldir import samplers
from modeldir.errors import FolderError, Problem, SearchError
from modeldir.search import finished_experiments
from modeldir.search.observations import Observations
from modeldir.search.plan import Plan

_Problems = list[Problem]


def tell_of_all(plan: Plan, search: Path, observations: Observations) -> list[str]:
    problems: _Problems = []
    news = [
        *_warm_start(plan, search, observations, problems),
        *_reuse(plan, search, observations, problems),
    ]
    if problems:
        raise SearchError(f"{search} cannot be searched:", problems)
    return news


def _warm_start(
    plan: Plan, search: Path, observations: Observations, problems: _Problems
) -> Iterator[str]:
    ranked = plan.objectives
    if plan.warm_start_from and not ranked:
        hint = "say which metric: --maximize accuracy, or --minimize loss"
        problems.append(Problem("warm_start_from: no metric is named to learn from", hint))
        return
    for written in plan.warm_start_from:
        rows = _rows("warm_start_from", written, search, problems)
        wrong = finished_experiments.missing_metrics(rows, ranked)
        if wrong is not None:
            problems.append(
                Problem(f"warm_start_from {written}: {wrong}", "name a metric that it has")
            )
            continue
        used = sum(observations.warm_start(row) for row in rows)
        nothing = "" if samplers.learns(observations.sampler) else (
            f" (but {plan.sampler} does not learn: --sampler tpe)"
        )  # fmt: skip
        yield f"warm_start_from {written}: {_counted(used, len(rows), 'used')}{nothing}"


def _reuse(
    plan: Plan, search: Path, observations: Observations, problems: _Problems
) -> Iterator[str]:
    for written in plan.reuse:
        rows = _rows("reuse", written, search, problems)
        done = sum(observations.reuse(row) for row in rows)
        yield f"reuse {written}: {_counted(done, len(rows), 'not run again')}"


def _rows(
    key: str, written: str, search: Path, problems: _Problems
) -> Sequence[finished_experiments.FinishedExperiment]:
    try:
        return finished_experiments.read(finished_experiments.resolved(written, search), search)
    except FolderError as error:
        problems += [Problem(f"{key}: {what}", hint) for what, hint in error.causes]
        return []


def _counted(count: int, total: int, verb: str) -> str:
    others = total - count
    left = f"; {others} outside this space or with another base config" if others else ""
    return f"{count} experiment{'' if count == 1 else 's'} {verb}{left}"
