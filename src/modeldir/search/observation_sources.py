"""What other folders teach a search: its `learn_from` and its `reuse`, told once to its sampler.

It knows which of their experiments lie in the space, and how to say what came of it. It refuses to
read folders (elsewhere.py does) and to ask for trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from modeldir import samplers
from modeldir.errors import FolderError, SearchError
from modeldir.search import other_folders
from modeldir.search.observations import Telling
from modeldir.search.plan import Plan

_Problems = list[tuple[str, "str | None"]]


def teach(plan: Plan, search: Path, telling: Telling) -> list[str]:
    """Tell a sampler of the folders that its plan names. Returns what came of it, in words.

    Raises:
        SearchError: for folders that are not there, or have other metrics; all of them.
    """
    problems: _Problems = []
    news = [*_taught(plan, search, telling, problems), *_done(plan, search, telling, problems)]
    if problems:
        raise SearchError(f"{search} cannot be searched:", problems)
    return news


def _taught(plan: Plan, search: Path, telling: Telling, problems: _Problems) -> Iterator[str]:
    ranked = plan.objectives
    if plan.learn_from and not ranked:
        hint = "say which metric: --maximize accuracy, or --minimize loss"
        problems.append(("learn_from: no metric is named that could be learned", hint))
        return
    for written in plan.learn_from:
        found = _rows("learn_from", written, search, problems)
        wrong = other_folders.missing(found, ranked)
        if wrong is not None:
            problems.append((f"learn_from {written}: {wrong}", "name a metric that it has"))
            continue
        taught = sum(telling.teach(row) for row in found)
        nothing = "" if samplers.learns(telling.sampler) else (
            f" (but {plan.sampler} learns nothing: --sampler tpe)"
        )  # fmt: skip
        yield f"learn_from {written}: {_counted(taught, len(found), 'teach')}{nothing}"


def _done(plan: Plan, search: Path, telling: Telling, problems: _Problems) -> Iterator[str]:
    for written in plan.reuse:
        found = _rows("reuse", written, search, problems)
        done = sum(telling.reuse(row) for row in found)
        yield f"reuse {written}: {_counted(done, len(found), 'count as done')}"


def _rows(key: str, written: str, search: Path, problems: _Problems) -> Sequence[other_folders.Row]:
    try:
        return other_folders.rows(other_folders.found(written, search), search)
    except FolderError as error:
        problems += [(f"{key}: {what}", hint) for what, hint in error.causes]
        return []


def _counted(some: int, whole: int, verb: str) -> str:
    """How many of some experiments count, in words."""
    others = whole - some
    left = f"; {others} outside this space or of another base" if others else ""
    return f"{some} experiment{'' if some == 1 else 's'} {verb}{left}"
