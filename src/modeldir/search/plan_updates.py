"""How a plan grows: what is said again, and what is said on top of what was said before.

Lists of values are joined, other domains replaced, points and constraints added. It knows the raw
plan, as `search.json` has it, and tells each change in words. It refuses to know whether the
outcome makes sense: `plan.check` says that.

Start at `joined`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modeldir import space
from modeldir.metrics import objective
from modeldir.params import equality
from modeldir.search import sampler_choice
from modeldir.search.plan import FOLDERS, KEYS, LIMITS, NONE, PARTS

_CHOSEN_FOR = ("space", "when", *PARTS, "trials", "sampler", "pruner")
"""What a choice of `auto` was made for, with the number of metrics: if one of these changes, it is
made again.
"""


def joined(old: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A plan with what was given on top: `(plan, what changed in words)`.

    Lists of values are joined, other domains replaced; points, constraints and what goes together
    are added; naming a metric to minimize takes the place of one to maximize; what is "none" is
    taken out.
    """
    plan = dict(old)
    changes = []
    for key, value in given.items():
        if value is None or key in {"space", "when"}:
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
            told = sampler_choice.in_words if key == "sampler" else _named
            changes.append(f"{key}: {told(old[key])} -> {told(value)}")
        plan[key] = value
    before = old.get("space") or {}
    if isinstance(before, dict):  # else `check` says what is wrong with it
        space, grown = _joined_spaces(before, given.get("space") or {}, _zips_of(plan))
        plan.update({"space": space} if space else {})
        changes += [*grown, *_joined_conditions(plan, given.get("when") or {}, before)]
    counts = [len(objective.objectives(each)) > 1 for each in (old, plan)]
    if counts[0] != counts[1] or any(plan.get(key) != old.get(key) for key in _CHOSEN_FOR):
        plan.pop("auto", None)
    ordered = {key: plan[key] for key in KEYS if key in plan}
    return {**ordered, **plan}, changes


def _named(value: Any) -> Any:
    """Metrics' names in words."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _joined_limit(plan: dict[str, Any], key: str, value: object) -> list[str]:
    """Put a limit into a plan, or take it out; what changed, if anything did."""
    before = plan.pop(key, None)
    if value != NONE:
        plan[key] = value
    if value == (NONE if before is None else before):
        return []
    out = f"--{key.replace('_', '-')} {NONE} takes it out"
    told = sampler_choice.in_words if key == "pruner" else str
    old = "" if before is None else f"{told(before)} -> "
    return [f"{key}: {old}{told(value)}" + ("" if value == NONE else f" (kept; {out})")]


def _joined_part(plan: dict[str, Any], key: str, value: Any) -> list[str]:
    """Add points, constraints or what goes together to a plan's, or take all out."""
    before = plan.pop(key, None)
    if value == NONE:
        return [f"{key}: {_said(before)} taken out"] if before else []
    if not isinstance(value, (list, tuple)) or not isinstance(before or [], list):
        plan[key] = before or value  # `check` says what is wrong with it
        return []
    known = {equality.key(each) for each in before or []}
    added = [_plain(each) for each in value if equality.key(_plain(each)) not in known]
    if before or added:
        plan[key] = [*(before or []), *added]
    if not added or not plan.get("space"):
        return []  # a plan that begins has not changed
    told = ", ".join(each if isinstance(each, str) else _said(each) for each in added)
    return [f"{key}: {told} added ({(PARTS | FOLDERS)[key]} {NONE} takes all out)"]


def _plain(value: Any) -> Any:
    """What Python gave, as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list, range)):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _zips_of(plan: Mapping[str, Any]) -> list[list[str]]:
    """The names that go together, as far as they are said in the way they should be."""
    zips = plan.get("zip")
    good = [names for names in zips if isinstance(names, list)] if isinstance(zips, list) else []
    return [names for names in good if all(isinstance(name, str) for name in names)]


def _joined_spaces(
    old: Mapping[str, Any], given: Mapping[str, Any], zips: Sequence[Sequence[str]]
) -> tuple[dict[str, Any], list[str]]:
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
                changes.append(f"{name}: {_values(added)} added to {_values(there)}")
        else:
            space[name] = _like(before, domain, None)
            if before is not None and before != space[name]:
                changes.append(f"{name}: {_said(before)} -> {_said(space[name])}")
            elif before is None and old:
                changes.append(f"{name}: {_said(domain)} added")
    return space, changes


def _rows_of(domains: Mapping[str, Any], names: Sequence[str]) -> list[list[Any]]:
    """The values of names that go together, row by row; none where they do not."""
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
    known = {equality.key(row) for row in rows}
    added = [row for row in given if equality.key(row) not in known]
    if not added:
        return []
    for place, name in enumerate(names):
        space[name] = _like(space[name], None, [row[place] for row in [*rows, *added]])
    return [f"{', '.join(names)}: {', '.join(map(_said, added))} added"]


def _values_of(domain: object) -> list[Any] | None:
    """The values of a list, also of one that has a condition or stands alone; None of a range."""
    if isinstance(domain, Mapping):
        values = _as_list(domain.get("values"))
        return values if isinstance(values, list) else None
    if isinstance(domain, list):
        return domain
    return [domain] if space.is_alone(domain) else None


def _like(before: object, domain: Any, values: list[Any] | None) -> Any:
    """A domain that takes the place of another: values joined, and the condition kept that it does
    not say anew.
    """
    when = before.get("when") if isinstance(before, Mapping) else None
    if isinstance(domain, Mapping) and "when" in domain:
        when = domain["when"]
    if values is None:
        if when is None or (isinstance(domain, Mapping) and "when" in domain):
            return domain
        known = _values_of(domain)
        if isinstance(domain, Mapping):
            return {**domain, "when": when}
        return domain if known is None else {"values": known, "when": when}
    return values if when is None else {"values": values, "when": when}


def _joined_conditions(
    plan: dict[str, Any], given: Mapping[str, Any], old: Mapping[str, Any]
) -> list[str]:
    """Give the plan's domains the conditions that were typed; what changed, where there was a plan.
    What has no domain is left for `check` to refuse.
    """
    changes = []
    domains = dict(plan.get("space") or {})
    unknown = {name: condition for name, condition in given.items() if name not in domains}
    if unknown:
        plan["when"] = unknown
    for name, condition in given.items():
        if name in unknown:
            continue
        domain = domains[name]
        whole = dict(domain) if isinstance(domain, Mapping) else {"values": _values_of(domain)}
        before = whole.pop("when", None)
        if isinstance(condition, Mapping):
            kept = before if isinstance(before, Mapping) else {}
            whole["when"] = {**kept, **{p: _alone(values) for p, values in condition.items()}}
        elif condition is not None:
            whole["when"] = condition  # `check` says what is wrong with it
        if whole.get("when") == before:
            continue
        domains[name] = whole if "when" in whole or "values" not in whole else whole["values"]
        if old.get(name) is not None:
            out = "" if condition is None else f" (--when {name}:{NONE} takes it out)"
            told = "always" if condition is None else f"when {_said(whole['when'])}"
            then = f"when {_said(before)} -> " if before else ""
            changes.append(f"{name}: {then}{told}{out}")
    if given:
        plan["space"] = domains
    return changes


def _alone(values: Any) -> Any:
    """A single value as it stands in a file, but a list, which would be read as several."""
    single = isinstance(values, list) and len(values) == 1 and not isinstance(values[0], list)
    return values[0] if single else values


def _said(domain: object) -> str:
    """A domain as `search.json` has it."""
    return json.dumps(domain, ensure_ascii=False, default=str)


def _as_list(domain: Any) -> Any:
    """Values given as a tuple, a range or an array, as the list that they mean."""
    if isinstance(domain, (tuple, range)):
        return list(domain)
    return domain.tolist() if hasattr(domain, "tolist") else domain


def _values(values: Sequence[object]) -> str:
    return ", ".join(value if isinstance(value, str) else _said(value) for value in values)
