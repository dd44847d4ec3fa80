"""`modeldir show`: how one experiment, or one search, stands."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir import attempts, experiment, files, params, roster, table, trials
from modeldir.commands.log import log_of
from modeldir.commands.synthesize import quoted, with_best
from modeldir.errors import FolderError, ParamsError
from modeldir.frames import to_come_text
from modeldir.overview import Overview
from modeldir.plan import LIMITS
from modeldir.sampling import in_words
from modeldir.standing import Standing
from modeldir.synthesize import Found, Tree, decimals_here, read_experiment, read_tree
from modeldir.table import Column, Table

HELP = "How one experiment or search stands: status, metrics, hyperparameters."
EXAMPLE = "modeldir show experiments/base_model"

MOST = 10
"""How many trials of one status are named; the table has them all."""

Entry = tuple[str, object]


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "modeldir show DIR"
    parser.add_argument("dir", metavar="DIR", help="an experiment or a search")


def run(arguments: argparse.Namespace) -> int:
    """Print what is known of a folder; what could not be read is told at the end."""
    print(shown(Path(arguments.dir)))
    return 0


def shown(folder: Path) -> str:
    """What `modeldir show` prints.

    Raises:
        FolderError: when the folder is not there, or is neither an experiment nor a search.
    """
    names = _files_in(folder)
    has_params = experiment.params_file(folder) is not None
    if "search.json" in names or (has_params and experiment.is_search(folder)):
        return search_text(read_tree(folder))
    if not has_params and not experiment.is_touched(names):
        raise FolderError(
            f"{folder} is no experiment and no search: it holds no params.json\n"
            f"  what lies below it: modeldir synthesize {quoted(folder)}"
        )
    warnings: list[str] = []
    return experiment_text(read_experiment(folder, names, folder.name, warnings), warnings)


def _files_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FolderError(experiment.no_folder(folder))
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())


# -- An experiment ---------------------------------------------------------------------------------


def experiment_text(found: Found, warnings: Sequence[str] = ()) -> str:
    """One experiment: how it stands, its metrics, its hyperparameters, and what to type next."""
    blocks = [
        f"{table.visible(str(found.path))}\n\n{_entries(_facts(found))}",
        _metrics(found.scores),
        _hyperparameters(found.hyperparameters, found.status.given),
        _against(found),
        "\n".join(warnings),
        f"next: {_next(found)}",
    ]
    return "\n\n".join(block for block in blocks if block)


def _facts(found: Found) -> Iterator[Entry]:
    status, folder = found.status, found.path
    yield "status", status.state + (f" ({status.failure})" if status.failure else "")
    yield "", status.last_line or status.reason
    yield "", _to_run_again(found)
    yield "note", status.note
    yield "attempts", status.attempt
    yield "started", when(status.started)
    yield "duration", None if status.duration is None else table.duration_text(status.duration)
    yield from _where_from(folder)
    yield "command", _command(folder)
    yield "", _warm(folder)
    log = log_of(folder)
    yield "log", log
    console = folder / "console.log"
    yield "", console if log != console and console.is_file() else None


def _to_run_again(found: Found) -> str | None:
    """Of a trial that has ended, and that `modeldir retry` has asked for once more: as what."""
    wanted = trials.asked_again(found.path.parent).get(-1 if found.number is None else found.number)
    if wanted is None or wanted <= found.status.attempt:
        return None
    return f"to run again as attempt {wanted}: {roster.again(found.path.parent)}"


def _where_from(folder: Path) -> Iterator[Entry]:
    """The trial that it is, or the experiment that it was derived from, and why."""
    trial = files.read_object(folder / "trial.json")
    if isinstance(trial.get("number"), int) and isinstance(trial.get("point"), dict):
        yield "trial", f"{trial['number']}: {_assignments(trial['point'])}"
    origin = files.read_object(folder / "origin.json")
    if isinstance(origin.get("from"), str):
        source = os.path.normpath(files.absolute(folder) / origin["from"])
        yield "from", typed(Path(source))
    changes = origin.get("changes")
    yield from (("", change) for change in _changes(changes if isinstance(changes, dict) else {}))
    yield "why", origin.get("message")


def _changes(changes: Mapping[str, Any]) -> Iterator[str]:
    for name, change in changes.items():
        if isinstance(change, list) and len(change) == 2:  # noqa: PLR2004 - the old, the new
            old, new = change
            before = "" if old is None else f"{_value(old)} -> "
            yield f"{name}: {before}{_value(new)}"


def _assignments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _command(folder: Path) -> str | None:
    attempt = attempts.latest(folder)
    words = attempt.record.get("command") if attempt else None
    return shlex.join(map(str, words)) if isinstance(words, list) else None


def _warm(folder: Path) -> str | None:
    attempt = attempts.latest(folder)
    warm = attempt.record.get("warm") if attempt else None
    count = warm.get("modules") if isinstance(warm, dict) else None
    return f"(warm: with {count} modules that were imported once for all)" if count else None


def _metrics(scores: experiment.Scores) -> str:
    """Each metric at the best and the last weights, on the test and the training set."""
    kinds = (("best", scores.best), ("last", scores.last), ("test", scores.test),
             ("train", scores.train))  # fmt: skip
    there = [(name, values) for name, values in kinds if values]
    names = dict.fromkeys(name for _, values in there for name in values)
    columns = (Column("metric", "name"), *(Column(name, "metric") for name, _ in there))
    rows = tuple((name, *(values.get(name) for _, values in there)) for name in names)
    text = table.to_text(Table(columns, rows), digits=decimals_here())
    return text.rstrip("\n") if rows else ""


def _hyperparameters(values: Mapping[str, Any] | None, given: Mapping[str, Any]) -> str:
    """Each with its value; where the latest attempt was given another: `0.1 -> 0.5`."""
    columns = (Column("hyperparameter", "name"), Column("value"))
    flat = params.flatten(values or {})
    rows = tuple(
        (name, f"{_value(value)} -> {_value(given[name])}")
        if name in given
        else (name, table.value_cell(value))
        for name, value in flat.items()
    )
    return table.to_text(Table(columns, rows)).rstrip("\n") if rows else ""


def _against(found: Found) -> str:
    """Of a trial: what is not as in the best trial of its search, and how far its metric is."""
    search = found.path.parent
    if found.number is None or not (search / "search.json").is_file():
        return ""
    tree = read_tree(search)
    best = tree.best()
    if best is None or tree.metric is None:
        return ""
    if files.absolute(best.path) == files.absolute(found.path):
        return "it is the best of its search"
    name, _ = tree.metric
    mine, theirs = found.used() or {}, best.used() or {}
    names = dict.fromkeys([*mine, *theirs])
    differing = [
        each for each in names if table.key_of(mine.get(each)) != table.key_of(theirs.get(each))
    ]
    rows: list[tuple[object, ...]] = [
        (name, found.scores.development.get(name), best.scores.development.get(name))
    ]
    rows += [(each, mine.get(each), theirs.get(each)) for each in differing]
    columns = (Column("against the best", "name"), Column("here"), Column(best.name))
    return table.to_text(Table(columns, tuple(rows)), width=None).rstrip("\n")


def _value(value: object) -> str:
    return table.cell_text(table.value_cell(value))


def _next(found: Found) -> str:
    folder = quoted(found.path)
    if found.status.state in {attempts.COMPLETED, attempts.UNRECORDED, attempts.PRUNED}:
        return with_best(found.path) if os.path.isfile("evaluate.py") else f"modeldir log {folder}"
    if found.status.state == attempts.WAITING:
        return f"modeldir run {folder} -- python train.py"
    return f"modeldir log {folder} --tail 20"


# -- A search --------------------------------------------------------------------------------------


def search_text(tree: Tree) -> str:
    """One search: its plan, its trials by status, the best, those that failed and why."""
    warnings = list(tree.warnings)
    plan, standing = _plan(tree.folder), Overview(tree.folder).look()
    best = tree.best()
    failed = [each for each in tree.found if each.status.state == attempts.FAILED]
    pruned = [each for each in tree.found if each.status.state == attempts.PRUNED]
    asked = [each for each in tree.found if _to_run_again(each)]
    running = [each for each in tree.found if each.status.state == attempts.RUNNING]
    entries = [
        *_planned(plan),
        ("metric", _ranked(tree)),
        ("trials", _counts(standing)),
        ("best", _score(best, tree) if best else None),
        ("front", ", ".join(sorted(tree.front(), key=table.order_of)) or None),
        *_named("running", [(each, _progress(each)) for each in running]),
        *_named("failed", [(each, each.status.last_line or each.status.reason) for each in failed]),
        *_named("pruned", [(each, each.status.reason) for each in pruned]),
        *_named("to run again", [(each, f"was {each.status.state}") for each in asked]),
    ]
    follow = roster.again(tree.folder) if asked else _after(tree, plan, standing)
    head = f"{table.visible(str(tree.folder))}: a search\n\n{_entries(entries)}"
    return "\n\n".join(block for block in (head, "\n".join(warnings), f"next: {follow}") if block)


def _plan(folder: Path) -> dict[str, Any]:
    """What `search.json` says, unchecked; that it cannot be read is among the tree's warnings."""
    path = folder / "search.json"
    if not path.exists():
        return {}
    try:
        return params.load_file(path)
    except ParamsError:
        return {}


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
        yield label, ", ".join(map(_value, folders)) if isinstance(folders, list) else None
    limits = (f"{name} {_limit(plan[name])}" for name in LIMITS if name in plan)
    yield "limits", ", ".join(limits)
    yield "command", plan.get("command")


def _limit(value: object) -> str:
    """A limit as it is typed; a pruner may have options."""
    return in_words(value) if isinstance(value, dict) else str(value)


def _sampler(plan: Mapping[str, Any]) -> str | None:
    """The sampler as it is typed; where `auto` chose it, that it did, and why."""
    chosen = plan.get("auto")
    if isinstance(chosen, dict):
        return f"{_value(chosen.get('sampler'))}, by auto: {_value(chosen.get('why'))}"
    return None if plan.get("sampler") is None else in_words(plan["sampler"])


def _domain(domain: object) -> str:
    """A domain as a person says it: `0.1, 0.01` or `log_uniform from 1e-05 to 0.1`."""
    if isinstance(domain, list):
        return ", ".join(map(_value, domain))
    if isinstance(domain, dict):
        whole = dict(domain)
        step, when = whole.pop("step", None), whole.pop("when", None)
        words = _range(whole) if len(whole) == 1 else None
        if words is not None:
            by = "" if step is None else f" by {table.cell_text(step)}"
            return f"{words}{by}{_when(when)}"
    return table.cell_text(domain)


def _range(domain: Mapping[str, Any]) -> str | None:
    ((word, values),) = domain.items()
    if not isinstance(values, list):
        return None
    if word == "values":
        return ", ".join(map(_value, values))
    if len(values) != 2:  # noqa: PLR2004 - low and high
        return None
    return f"{word} from {' to '.join(map(table.cell_text, values))}"


def _when(when: object) -> str:
    if not isinstance(when, dict):
        return ""
    told = (
        f"{name} is {' or '.join(map(_value, values if isinstance(values, list) else [values]))}"
        for name, values in when.items()
    )
    return f", when {' and '.join(told)}"


def _gathered(plan: Mapping[str, Any]) -> Iterator[Entry]:
    """What goes together, what must hold, and what is tried first."""
    zips, constraints, points = (plan.get(key) for key in ("zip", "constraints", "points"))
    for index, names in enumerate(zips if isinstance(zips, list) else ()):
        told = ", ".join(map(_value, names)) if isinstance(names, list) else _value(names)
        yield "" if index else "together", told
    for index, text in enumerate(constraints if isinstance(constraints, list) else ()):
        yield "" if index else "constraints", _value(text)
    several = points if isinstance(points, list) else []
    for index, point in enumerate(several[:MOST]):
        told = (
            ", ".join(f"{name} {_value(value)}" for name, value in point.items())
            if isinstance(point, dict)
            else _value(point)
        )
        yield "" if index else "first", told
    if len(several) > MOST:
        yield "", f"and {len(several) - MOST} more"


def _ranked(tree: Tree) -> str | None:
    words = {"maximize": "highest", "minimize": "lowest"}
    told = [f"{name}, {words[direction]} first" for name, direction in tree.objectives]
    return "; ".join(told) or None


def _counts(standing: Standing) -> str:
    order = [*attempts.ENDS, attempts.RUNNING, attempts.WAITING, attempts.UNRECORDED]
    states = standing.states
    counts = [f"{states[state]} {state}" for state in order if states.get(state)]
    left = [to_come_text(standing)] if standing.to_come else []
    return ", ".join([*(counts or ["none yet"]), *left])


def _score(found: Found, tree: Tree) -> str:
    name, _ = tree.metric or ("", None)
    # Of a point with repeats the mean counts, as in the table.
    row = next((row for row in tree.rows() if found in row.members), found)
    value = row.value(name)
    told = "" if value is None else table.metric_text(value, decimals_here())
    return f"{found.name}  {name} {told}{' (the mean of its repeats)' if row.members else ''}"


def _progress(found: Found) -> str:
    from modeldir.progress import how_far  # noqa: PLC0415 - only while trials run

    return how_far(found.path)


def _named(label: str, told: Sequence[tuple[Found, str | None]]) -> Iterator[Entry]:
    """The trials of one status, each with a few words; not all of very many."""
    for index, (found, words) in enumerate(told[:MOST]):
        yield "" if index else label, f"{found.name}  {words or ''}".rstrip()
    if len(told) > MOST:
        yield "", f"and {len(told) - MOST} more"


def _after(tree: Tree, plan: Mapping[str, Any], standing: Standing) -> str:
    """What to type next: the search itself while trials are left, else what tells of them."""
    folder = quoted(tree.folder)
    states = {each.status.state: each for each in reversed(tree.found)}
    left = not states or not states.keys().isdisjoint({attempts.WAITING, attempts.INTERRUPTED})
    if (left or (standing.to_come and not standing.goal)) and attempts.RUNNING not in states:
        domain = "" if plan.get("space") else " learning_rate=0.1,0.01,0.001"
        command = "" if plan.get("command") else " -- python train.py"
        return f"{roster.again(tree.folder)}{domain}{command}"
    if attempts.FAILED in states and tree.best() is None:
        return f"modeldir log {quoted(states[attempts.FAILED].path)} --tail 20"
    return f"modeldir synthesize {folder}"


# -- Both ------------------------------------------------------------------------------------------


def _entries(entries: Iterator[Entry] | Sequence[Entry]) -> str:
    """Labels and what they say, aligned; what says nothing is left out."""
    told = [(label, str(value)) for label, value in entries if value not in (None, "", 0)]
    width = max((len(label) for label, _ in told), default=0)
    return "\n".join(f"{label:<{width}}  {table.visible(value)}" for label, value in told)


def when(stamp: object) -> str | None:
    """A recorded time as people write it, in UTC.

    >>> when("2026-11-23T10:00:00.123+00:00")
    '2026-11-23 10:00:00 UTC'
    """
    from datetime import datetime, timezone  # noqa: PLC0415 - only where a time is shown

    try:
        moment = datetime.fromisoformat(str(stamp)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def typed(path: Path) -> str:
    """A path as it is typed from here: relative where it lies below."""
    try:
        return str(files.absolute(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
