"""Join a plan with what a user adds to it: by the command line, or in Python.

Start at `joined`: lists of values are joined, ranges replaced, configurations and constraints
added. Everything here works on the unchecked plan, as `search.json` has it; `plan_check.py` says
whether the result makes sense.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modeldir import space
from modeldir.metrics import objective
from modeldir.params import equality
from modeldir.search import sampler_check
from modeldir.search.plan import FOLDERS, KEYS, LIMITS, NONE, PARTS

_CHOSEN_FOR = ("space", "condition", *PARTS, "trials", "sampler", "pruner")
"""The keys that a choice of `auto` depends on, beside the number of metrics.

When one of them changes, `auto` chooses again.
"""


def joined(old: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Join a plan with what was given: `(plan, lines that say what changed)`.

    Lists of values are joined, and ranges replaced. Configurations, constraints and zipped names
    are added. A metric to minimize replaces one to maximize. The value "none" removes what is
    there. The keys are in the order in which the documentation explains them.
    """
    plan = dict(old)
    changes = []
    for key, value in given.items():
        if value is None or key in {"space", "condition"}:
            continue
        if key in LIMITS:
            changes += _joined_limit(plan, key, value)
            continue
        if key in PARTS or key in FOLDERS:
            changes += _joined_part(plan, key, value)
            continue
        other = {"maximize": "minimize", "minimize": "maximize"}.get(key, key)
        if other != key and given.get(other) is None and plan.pop(other, None):
            changes.append(f"{other} {_named(old[other])} -> {key} {_named(value)}")
        if key in old and old[key] != value:
            shown = sampler_check.as_typed if key == "sampler" else _named
            changes.append(f"{key}: {shown(old[key])} -> {shown(value)}")
        plan[key] = value
    before = old.get("space") or {}
    if isinstance(before, dict):  # else `check` says what is wrong with it
        space, grown = _joined_spaces(before, given.get("space") or {}, _zips_of(plan))
        plan.update({"space": space} if space else {})
        changes += [*grown, *_joined_conditions(plan, given.get("condition") or {}, before)]
    counts = [len(objective.objectives(each)) > 1 for each in (old, plan)]
    if counts[0] != counts[1] or any(plan.get(key) != old.get(key) for key in _CHOSEN_FOR):
        plan.pop("auto", None)
    ordered = {key: plan[key] for key in KEYS if key in plan}
    return {**ordered, **plan}, changes


def _named(value: Any) -> Any:
    """Return metrics' names as text."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _joined_limit(plan: dict[str, Any], key: str, value: object) -> list[str]:
    """Put a limit into a plan, or remove it; return what changed, if anything did."""
    before = plan.pop(key, None)
    if value != NONE:
        plan[key] = value
    if value == (NONE if before is None else before):
        return []
    out = f"--{key.replace('_', '-')} {NONE} removes it"
    shown = sampler_check.as_typed if key == "pruner" else str
    old = "" if before is None else f"{shown(before)} -> "
    return [f"{key}: {old}{shown(value)}" + ("" if value == NONE else f" (kept; {out})")]


def _joined_part(plan: dict[str, Any], key: str, value: Any) -> list[str]:
    """Add configurations, constraints or zipped names to a plan's, or remove all of them."""
    before = plan.pop(key, None)
    if value == NONE:
        return [f"{key}: {_as_json(before)} removed"] if before else []
    if not isinstance(value, (list, tuple)) or not isinstance(before or [], list):
        plan[key] = before or value  # `check` reports what is wrong with it
        return []
    known = {equality.key(each) for each in before or []}
    added = [_plain(each) for each in value if equality.key(_plain(each)) not in known]
    if before or added:
        plan[key] = [*(before or []), *added]
    if not added or not plan.get("space"):
        return []  # a plan that begins has not changed
    return [f"{key}: {_as_text(added)} added ({(PARTS | FOLDERS)[key]} {NONE} removes all)"]


def _plain(value: Any) -> Any:
    """Convert a Python value to what JSON has."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list, range)):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _zips_of(plan: Mapping[str, Any]) -> list[list[str]]:
    """Return the zipped names, as far as they are lists of strings."""
    zips = plan.get("zip")
    good = [names for names in zips if isinstance(names, list)] if isinstance(zips, list) else []
    return [names for names in good if all(isinstance(name, str) for name in names)]


def _joined_spaces(
    old: Mapping[str, Any], given: Mapping[str, Any], zips: Sequence[Sequence[str]]
) -> tuple[dict[str, Any], list[str]]:
    """Join two search spaces: the result, and what changed."""
    space, changes = dict(old), list[str]()
    together: set[str] = set()
    for names in zips:
        rows, added = _rows_of(old, names), _rows_of(given, names)
        if rows and added:
            together |= {*names}
            changes += _joined_rows(space, names, rows, added)
    for name, value in given.items():
        if name in together:
            continue
        domain, before = _as_list(value), old.get(name)
        there, values = _values_of(before), _values_of(domain)
        if there is not None and values is not None:
            known = {equality.key(value) for value in there}
            added = [value for value in values if equality.key(value) not in known]
            if added or not isinstance(before, list):
                space[name] = _like(before, domain, there + added)
            if added:
                changes.append(f"{name}: {_as_text(added)} added to {_as_text(there)}")
        else:
            space[name] = _like(before, domain, None)
            if before is not None and before != space[name]:
                changes.append(f"{name}: {_as_json(before)} -> {_as_json(space[name])}")
            elif before is None and old:
                changes.append(f"{name}: {_as_json(domain)} added")
    return space, changes


def _rows_of(domains: Mapping[str, Any], names: Sequence[str]) -> list[list[Any]]:
    """Return the values of zipped names, row by row; none where their lists do not match."""
    lists = [_values_of(_as_list(domains.get(name))) for name in names]
    known = [values for values in lists if values is not None]
    if not known or len(known) < len(lists) or len({*map(len, known)}) > 1:
        return []
    return [list(row) for row in zip(*known, strict=True)]


def _joined_rows(
    space: dict[str, Any],
    names: Sequence[str],
    rows: Sequence[list[Any]],
    given: Sequence[list[Any]],
) -> list[str]:
    """Add rows of zipped values to a search space; return what changed."""
    known = {equality.key(row) for row in rows}
    added = [row for row in given if equality.key(row) not in known]
    if not added:
        return []
    for place, name in enumerate(names):
        space[name] = _like(space[name], None, [row[place] for row in [*rows, *added]])
    return [f"{', '.join(names)}: {', '.join(map(_as_json, added))} added"]


def _values_of(domain: object) -> list[Any] | None:
    """Return a list's values, also of a single value or one with a condition; None of a range."""
    if isinstance(domain, Mapping):
        values = _as_list(domain.get("values"))
        return values if isinstance(values, list) else None
    if isinstance(domain, list):
        return domain
    return [domain] if space.is_alone(domain) else None


def _like(before: object, domain: Any, values: list[Any] | None) -> Any:
    """Return new values for a hyperparameter that keep its condition, unless they have one."""
    condition = before.get("condition") if isinstance(before, Mapping) else None
    if isinstance(domain, Mapping) and "condition" in domain:
        condition = domain["condition"]
    if values is None:
        if condition is None or (isinstance(domain, Mapping) and "condition" in domain):
            return domain
        known = _values_of(domain)
        if isinstance(domain, Mapping):
            return {**domain, "condition": condition}
        return domain if known is None else {"values": known, "condition": condition}
    return values if condition is None else {"values": values, "condition": condition}


def _joined_conditions(
    plan: dict[str, Any], given: Mapping[str, Any], old: Mapping[str, Any]
) -> list[str]:
    """Give a plan's search space the conditions that were typed; return what changed.

    A name that does not vary is left for `check` to report.
    """
    changes = []
    domains = dict(plan.get("space") or {})
    unknown = {name: condition for name, condition in given.items() if name not in domains}
    if unknown:
        plan["condition"] = unknown
    for name, condition in given.items():
        if name in unknown:
            continue
        domain = domains[name]
        whole = dict(domain) if isinstance(domain, Mapping) else {"values": _values_of(domain)}
        before = whole.pop("condition", None)
        if isinstance(condition, Mapping):
            kept = before if isinstance(before, Mapping) else {}
            whole["condition"] = {**kept, **{p: _alone(values) for p, values in condition.items()}}
        elif condition is not None:
            whole["condition"] = condition  # `check` reports what is wrong with it
        if whole.get("condition") == before:
            continue
        domains[name] = whole if "condition" in whole or "values" not in whole else whole["values"]
        if old.get(name) is not None:
            out = "" if condition is None else f" (--condition {name}:{NONE} removes it)"
            now = "always" if condition is None else f"when {_as_json(whole['condition'])}"
            then = f"when {_as_json(before)} -> " if before else ""
            changes.append(f"{name}: {then}{now}{out}")
    if given:
        plan["space"] = domains
    return changes


def _alone(values: Any) -> Any:
    """Unpack a list of one value, unless that value is a list, which would be read as several."""
    single = isinstance(values, list) and len(values) == 1 and not isinstance(values[0], list)
    return values[0] if single else values


def _as_json(domain: object) -> str:
    """Return values as `search.json` has them."""
    return json.dumps(domain, ensure_ascii=False, default=str)


def _as_list(domain: Any) -> Any:
    """Return the list that a tuple, a range or an array means."""
    if isinstance(domain, (tuple, range)):
        return list(domain)
    return domain.tolist() if hasattr(domain, "tolist") else domain


def _as_text(values: Sequence[object]) -> str:
    """Return values as text."""
    return ", ".join(value if isinstance(value, str) else _as_json(value) for value in values)
