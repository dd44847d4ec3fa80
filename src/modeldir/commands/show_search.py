"""Text of `modeldir show` for a search: its search space, its trials by status, the best, failures.

It only reads the trials: no worker is looked for. The live view: `commands/watch.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import disks, escaping, text
from modeldir._system.shell import quoted
from modeldir.commands.messages import (
    Entry,
    assignments_text,
    entries_text,
    origin_entries,
    retry_text,
    value_text,
)
from modeldir.errors import ParamsError
from modeldir.experiment import attempts, experiment, trial_labels
from modeldir.metrics import objective
from modeldir.monitor.snapshots import SearchSnapshot, remaining_text
from modeldir.params import plain_values
from modeldir.results import table_cells
from modeldir.results.experiment_tree import Tree
from modeldir.results.experiments import ExperimentRow
from modeldir.search import claims, worker_registry
from modeldir.search.plan import LIMITS
from modeldir.search.sampler_check import as_typed
from modeldir.search.trial_counts import Inventory

MOST = 10
"""How many trials of one status are named; `modeldir results` lists them all."""


def search_text(tree: Tree) -> str:
    warnings = list(tree.warnings)
    inventory = Inventory(tree.folder)
    inventory.refresh()
    warnings += inventory.problems()
    plan, search = plan_of(tree.folder), standing(tree, inventory)
    best = tree.best()
    failed = [each for each in tree.experiments if each.status.state == attempts.FAILED]
    pruned = [each for each in tree.experiments if each.status.state == attempts.PRUNED]
    wanted = claims.asked_again(tree.folder)
    asked = [each for each in tree.experiments if retry_text(each, wanted)]
    running = [each for each in tree.experiments if each.status.state == attempts.RUNNING]
    if running and (trouble := disks.trouble(tree.folder)):
        warnings.append(f"warning: {disks.unrecorded(tree.folder, trouble)}")
    facts = [
        *origin_entries(tree.folder),
        *_planned(plan),
        ("metric", _ranked(tree)),
        ("trials", _counts(search)),
        ("best", _score(best, tree) if best else None),
        ("front", _front(tree)),
        *_named("running", [(each, _progress(each)) for each in running]),
        *_named("failed", [(each, each.status.last_line or each.status.reason) for each in failed]),
        *_named("pruned", [(each, each.status.reason) for each in pruned]),
        *_named("to run again", [(each, f"was {each.status.state}") for each in asked]),
    ]
    follow = (
        worker_registry.resume_command(tree.folder) if asked else what_follows(tree, plan, search)
    )
    head = f"{escaping.visible(str(tree.folder))}: a search\n\n{entries_text(facts)}"
    problems = "\n".join(dict.fromkeys(warnings))
    return "\n\n".join(block for block in (head, problems, f"next: {follow}") if block)


def plan_of(folder: Path) -> dict[str, Any]:
    path = folder / "search.json"
    if not path.exists():
        return {}
    try:
        return plain_values.load_file(path)
    except ParamsError:
        return {}


def standing(tree: Tree, inventory: Inventory) -> SearchSnapshot:
    """Return how many trials have each status, and how many remain.

    Trials that the tree has read are not read again, and no worker is looked for.
    """
    rows = {each.path: each for each in tree.experiments}
    states, trials_read = Counter[str](), []
    for each in inventory.there.values():
        row = rows.get(each.folder)
        state = (row.status if row else experiment.status(each.folder)).state
        states[state] += 1
        trials_read.append((each.record, state, row.scores.validation if row else {}))
    plan = inventory.plan
    best = plan.best(trials_read, plan.metric) if plan.target is not None else None
    remaining, goal = inventory.remaining(states), plan.goal(best)
    return SearchSnapshot(tree.folder, states=states, remaining=remaining, goal=goal)


def _planned(plan: Mapping[str, Any]) -> Iterator[Entry]:
    space = plan.get("space")
    for index, (name, domain) in enumerate(space.items() if isinstance(space, dict) else ()):
        yield "" if index else "space", f"{name}: {_domain(domain)}"
    yield from _gathered(plan)
    yield "sampler", _sampler(plan)
    yield "seed", plan.get("seed")
    yield "repeats", plan.get("repeats")
    for key, label in (("warm_start_from", "learns from"), ("reuse", "reuses")):
        folders = plan.get(key)
        yield label, ", ".join(map(value_text, folders)) if isinstance(folders, list) else None
    limits = {name: plan[name] for name in LIMITS if name in plan}  # a pruner may have options
    typed = (f"{k} {as_typed(v) if isinstance(v, dict) else v}" for k, v in limits.items())
    yield "limits", ", ".join(typed)
    yield "note", plan.get("note")
    given = objective.names(plan.get("metrics")) or objective.names(plan.get("metrics_from"))
    yield "metrics", " ".join(map(quoted, given))
    yield "command", plan.get("command")


def _sampler(plan: Mapping[str, Any]) -> str | None:
    chosen = plan.get("auto")
    if isinstance(chosen, dict):
        return f"{value_text(chosen.get('sampler'))}, by auto: {value_text(chosen.get('why'))}"
    return None if plan.get("sampler") is None else as_typed(plan["sampler"])


def _domain(domain: object) -> str:
    """Return a domain for people: `0.1, 0.01` or `log_uniform from 1e-05 to 0.1`."""
    if isinstance(domain, list):
        return ", ".join(map(value_text, domain))
    if isinstance(domain, dict):
        rest = dict(domain)
        step, condition = rest.pop("step", None), rest.pop("condition", None)
        words = _range(rest) if len(rest) == 1 else None
        if words is not None:
            by = "" if step is None else f" by {text.cell_text(step)}"
            return f"{words}{by}{_condition(condition)}"
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


def _condition(condition: object) -> str:
    if not isinstance(condition, dict):
        return ""
    words = (
        f"{name} is {' or '.join(map(value_text, several))}"
        for name, values in condition.items()
        for several in [values if isinstance(values, list) else [values]]
    )
    return f", when {' and '.join(words)}"


def _gathered(plan: Mapping[str, Any]) -> Iterator[Entry]:
    zips, constraints, points = (plan.get(key) for key in ("zip", "constraints", "try"))
    for index, names in enumerate(zips if isinstance(zips, list) else ()):
        words = ", ".join(map(value_text, names)) if isinstance(names, list) else value_text(names)
        yield "" if index else "together", words
    for index, each in enumerate(constraints if isinstance(constraints, list) else ()):
        yield "" if index else "constraints", value_text(each)
    several = points if isinstance(points, list) else []
    for index, point in enumerate(several[:MOST]):
        words = assignments_text(point) if isinstance(point, dict) else value_text(point)
        yield "" if index else "first", words
    if len(several) > MOST:
        yield "", f"and {len(several) - MOST} more"


def _ranked(tree: Tree) -> str | None:
    first = {"maximize": "highest", "minimize": "lowest"}
    last = "last " if all(each.scores.ranks_by_last for each in tree.experiments) else ""
    ranked = [f"{last}{name}, {first[direction]} first" for name, direction in tree.objectives]
    return "; ".join(ranked) or None


def _counts(search: SearchSnapshot) -> str:
    order = [*attempts.ENDS, attempts.RUNNING, attempts.PENDING, attempts.UNTRACKED]
    states = search.states
    counts = [f"{states[state]} {state}" for state in order if states.get(state)]
    left = [remaining_text(search)] if search.remaining else []
    return ", ".join([*(counts or ["none yet"]), *left])


def _score(best: ExperimentRow, tree: Tree) -> str:
    name, _ = tree.metric or ("", None)
    # For a configuration with repeats, the mean is shown, as in the table.
    row = next((row for row in tree.rows() if best in row.members), best)
    value = row.value(name)
    words = "" if value is None else table_cells.metric_text(value, table_cells.SIX)
    return f"{_title(best)}  {name} {words}{' (the mean of its repeats)' if row.members else ''}"


def _progress(row: ExperimentRow) -> str:
    from modeldir.monitor.experiment import progress_of  # noqa: PLC0415 - only while trials run

    return progress_of(row.path)


def _front(tree: Tree) -> str | None:
    names = tree.front()
    rows = [row for row in tree.rows() if row.name in names]
    rows.sort(key=lambda row: objective.trial_order(row.number))
    return ", ".join(map(_title, rows)) or None


def _title(row: ExperimentRow) -> str:
    return trial_labels.title(row.number, row.name)


def _named(label: str, trials: Sequence[tuple[ExperimentRow, str | None]]) -> Iterator[Entry]:
    for index, (row, words) in enumerate(trials[:MOST]):
        yield "" if index else label, f"{_title(row)}  {words or ''}".rstrip()
    if len(trials) > MOST:
        yield "", f"and {len(trials) - MOST} more"


def what_follows(tree: Tree, plan: Mapping[str, Any], search: SearchSnapshot) -> str:
    folder = quoted(tree.folder)
    states = {each.status.state: each for each in reversed(tree.experiments)}
    left = not states or not states.keys().isdisjoint({attempts.PENDING, attempts.INTERRUPTED})
    if (left or (search.remaining and not search.goal)) and attempts.RUNNING not in states:
        domain = "" if plan.get("space") else " learning_rate=0.1,0.01,0.001"
        command = "" if plan.get("command") else " -- python train.py"
        return f"{worker_registry.resume_command(tree.folder)}{domain}{command}"
    if attempts.FAILED in states and tree.best() is None:
        return f"modeldir log {quoted(states[attempts.FAILED].path)} --tail 20"
    return f"modeldir results {folder}"
