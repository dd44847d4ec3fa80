"""`modeldir show` of a search: its plan, its trials by status, the best, what failed and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import text
from modeldir._system.shell import quoted
from modeldir._system.terminal import decimals_here
from modeldir.commands.messages import Entry, entries_text, origin_entries, retry_text, value_text
from modeldir.errors import ParamsError
from modeldir.experiment import attempts, experiment
from modeldir.monitor.status import SearchSnapshot, remaining_text
from modeldir.params import plain_values
from modeldir.results import table
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow
from modeldir.search import claims, worker_registry
from modeldir.search.inventory import Census
from modeldir.search.plan import LIMITS
from modeldir.search.sampler_choice import as_typed

MOST = 10
"""How many trials of one status are named; the table has them all."""


def search_text(tree: Tree) -> str:
    """One search: its plan, its trials by status, the best, those that failed and why."""
    warnings = list(tree.warnings)
    plan, search = _plan(tree.folder), _standing(tree)
    best = tree.best()
    failed = [each for each in tree.experiments if each.status.state == attempts.FAILED]
    pruned = [each for each in tree.experiments if each.status.state == attempts.PRUNED]
    wanted = claims.asked_again(tree.folder)
    asked = [each for each in tree.experiments if retry_text(each, wanted)]
    running = [each for each in tree.experiments if each.status.state == attempts.RUNNING]
    told = [
        *origin_entries(tree.folder),
        *_planned(plan),
        ("metric", _ranked(tree)),
        ("trials", _counts(search)),
        ("best", _score(best, tree) if best else None),
        ("front", ", ".join(sorted(tree.front(), key=text.order_of)) or None),
        *_named("running", [(each, _progress(each)) for each in running]),
        *_named("failed", [(each, each.status.last_line or each.status.reason) for each in failed]),
        *_named("pruned", [(each, each.status.reason) for each in pruned]),
        *_named("to run again", [(each, f"was {each.status.state}") for each in asked]),
    ]
    follow = worker_registry.again(tree.folder) if asked else _after(tree, plan, search)
    head = f"{text.visible(str(tree.folder))}: a search\n\n{entries_text(told)}"
    return "\n\n".join(block for block in (head, "\n".join(warnings), f"next: {follow}") if block)


def _plan(folder: Path) -> dict[str, Any]:
    """What `search.json` says, unchecked; that it cannot be read is among the tree's warnings."""
    path = folder / "search.json"
    if not path.exists():
        return {}
    try:
        return plain_values.load_file(path)
    except ParamsError:
        return {}


def _standing(tree: Tree) -> SearchSnapshot:
    """How many of its trials stand how, and what its plan lacks, by what was read of them already;
    nobody is asked for who works on it.
    """
    census = Census(tree.folder)
    census.look()
    read = {each.path: each for each in tree.experiments}
    how, told = Counter[str](), []
    for each in census.there.values():
        found = read.get(each.folder)
        state = (found.status if found else experiment.status(each.folder)).state
        how[state] += 1
        told.append((each.record, state, found.scores.validation if found else {}))
    planned = census.plan
    best = planned.best(told, planned.metric) if planned.stop_at is not None else None
    remaining, goal = census.to_come(how), planned.goal(best)
    return SearchSnapshot(tree.folder, states=how, remaining=remaining, goal=goal)


def _planned(plan: Mapping[str, Any]) -> Iterator[Entry]:
    space = plan.get("space")
    for index, (name, domain) in enumerate(space.items() if isinstance(space, dict) else ()):
        yield "" if index else "space", f"{name}: {_domain(domain)}"
    yield from _gathered(plan)
    yield "sampler", _sampler(plan)
    yield "seed", plan.get("seed")
    yield "repeats", plan.get("repeats")
    for key, label in (("learn_from", "learns from"), ("reuse", "reuses")):
        folders = plan.get(key)
        yield label, ", ".join(map(value_text, folders)) if isinstance(folders, list) else None
    limits = (f"{name} {_limit(plan[name])}" for name in LIMITS if name in plan)
    yield "limits", ", ".join(limits)
    yield "note", plan.get("note")
    yield "command", plan.get("command")


def _limit(value: object) -> str:
    """A limit as it is typed; a pruner may have options."""
    return as_typed(value) if isinstance(value, dict) else str(value)


def _sampler(plan: Mapping[str, Any]) -> str | None:
    """The sampler as it is typed; where `auto` chose it, that it did, and why."""
    chosen = plan.get("auto")
    if isinstance(chosen, dict):
        return f"{value_text(chosen.get('sampler'))}, by auto: {value_text(chosen.get('why'))}"
    return None if plan.get("sampler") is None else as_typed(plan["sampler"])


def _domain(domain: object) -> str:
    """A domain as a person says it: `0.1, 0.01` or `log_uniform from 1e-05 to 0.1`."""
    if isinstance(domain, list):
        return ", ".join(map(value_text, domain))
    if isinstance(domain, dict):
        whole = dict(domain)
        step, condition = whole.pop("step", None), whole.pop("when", None)
        words = _range(whole) if len(whole) == 1 else None
        if words is not None:
            by = "" if step is None else f" by {text.cell_text(step)}"
            return f"{words}{by}{_when(condition)}"
    return text.cell_text(domain)


def _range(domain: Mapping[str, Any]) -> str | None:
    ((word, values),) = domain.items()
    if not isinstance(values, list):
        return None
    if word == "values":
        return ", ".join(map(value_text, values))
    if len(values) != 2:  # noqa: PLR2004 - low and high
        return None
    return f"{word} from {' to '.join(map(text.cell_text, values))}"


def _when(condition: object) -> str:
    if not isinstance(condition, dict):
        return ""
    told = (
        f"{name} is {' or '.join(map(value_text, several))}"
        for name, values in condition.items()
        for several in [values if isinstance(values, list) else [values]]
    )
    return f", when {' and '.join(told)}"


def _gathered(plan: Mapping[str, Any]) -> Iterator[Entry]:
    """What goes together, what must hold, and what is tried first."""
    zips, constraints, points = (plan.get(key) for key in ("zip", "constraints", "points"))
    for index, names in enumerate(zips if isinstance(zips, list) else ()):
        told = ", ".join(map(value_text, names)) if isinstance(names, list) else value_text(names)
        yield "" if index else "together", told
    for index, each in enumerate(constraints if isinstance(constraints, list) else ()):
        yield "" if index else "constraints", value_text(each)
    several = points if isinstance(points, list) else []
    for index, point in enumerate(several[:MOST]):
        told = (
            ", ".join(f"{name} {value_text(value)}" for name, value in point.items())
            if isinstance(point, dict)
            else value_text(point)
        )
        yield "" if index else "first", told
    if len(several) > MOST:
        yield "", f"and {len(several) - MOST} more"


def _ranked(tree: Tree) -> str | None:
    words = {"maximize": "highest", "minimize": "lowest"}
    told = [f"{name}, {words[direction]} first" for name, direction in tree.objectives]
    return "; ".join(told) or None


def _counts(search: SearchSnapshot) -> str:
    order = [*attempts.ENDS, attempts.RUNNING, attempts.WAITING, attempts.UNRECORDED]
    states = search.states
    counts = [f"{states[state]} {state}" for state in order if states.get(state)]
    left = [remaining_text(search)] if search.remaining else []
    return ", ".join([*(counts or ["none yet"]), *left])


def _score(found: ExperimentRow, tree: Tree) -> str:
    name, _ = tree.metric or ("", None)
    # Of a point with repeats the mean counts, as in the table.
    row = next((row for row in tree.rows() if found in row.members), found)
    value = row.value(name)
    told = "" if value is None else table.metric_text(value, decimals_here())
    return f"{found.name}  {name} {told}{' (the mean of its repeats)' if row.members else ''}"


def _progress(found: ExperimentRow) -> str:
    from modeldir.monitor.experiment import progress_of  # noqa: PLC0415 - only while trials run

    return progress_of(found.path)


def _named(label: str, told: Sequence[tuple[ExperimentRow, str | None]]) -> Iterator[Entry]:
    """The trials of one status, each with a few words; not all of very many."""
    for index, (found, words) in enumerate(told[:MOST]):
        yield "" if index else label, f"{found.name}  {words or ''}".rstrip()
    if len(told) > MOST:
        yield "", f"and {len(told) - MOST} more"


def _after(tree: Tree, plan: Mapping[str, Any], search: SearchSnapshot) -> str:
    """What to type next: the search itself while trials are left, else what tells of them."""
    folder = quoted(tree.folder)
    states = {each.status.state: each for each in reversed(tree.experiments)}
    left = not states or not states.keys().isdisjoint({attempts.WAITING, attempts.INTERRUPTED})
    if (left or (search.remaining and not search.goal)) and attempts.RUNNING not in states:
        domain = "" if plan.get("space") else " learning_rate=0.1,0.01,0.001"
        command = "" if plan.get("command") else " -- python train.py"
        return f"{worker_registry.again(tree.folder)}{domain}{command}"
    if attempts.FAILED in states and tree.best() is None:
        return f"modeldir log {quoted(states[attempts.FAILED].path)} --tail 20"
    return f"modeldir synthesize {folder}"
