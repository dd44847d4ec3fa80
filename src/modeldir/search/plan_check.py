"""Check a plan: everything that is wrong with a `search.json` in one error.

`PlanFile` calls `check` whenever it has read or changed a plan. A checked plan is a `Plan` (see
`plan.py`); `sampler_check.py` checks or chooses its sampler. Nothing here writes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modeldir import pruners, space
from modeldir._system.durations import parse_duration
from modeldir._system.shell import quoted
from modeldir.errors import (
    MetricsError,
    Problem,
    SearchError,
    SpaceError,
    did_you_mean,
)
from modeldir.metrics import file_patterns, objective
from modeldir.params import plain_values
from modeldir.search import base_config, sampler_check
from modeldir.search.plan import FOLDERS, ITSELF, KEYS, PARTS, Plan
from modeldir.search.sampler_check import DEFAULT_TRIALS

_WITH_PATHS = frozenset({"command", "cwd", "resume", "warm_start_from", "reuse"})
"""Keys that may hold the name of a file, which need not be UTF-8."""


def check(  # noqa: PLR0913 - what a message has to name
    raw: Mapping[str, Any],
    base: Mapping[str, Any],
    where: str,
    project: Mapping[str, Any],
    head: str | None = None,
    *,
    to_run: bool = True,
) -> Plan:
    """Check a plan, together with the project's settings.

    Args:
        raw: what `search.json` and the command line say.
        base: the base config.
        where: the plan's file, as the user named it.
        project: the settings of `modeldir.toml`.
        head: the first line of a message, by default that the file cannot be searched.
        to_run: False to show the plan only: then a package that its sampler needs may be missing,
            and no class that the plan names is imported.

    Raises:
        SearchError: listing every problem at once.
    """
    whole = {**{k: v for k, v in project.items() if k in KEYS}, **raw}
    if "maximize" in raw or "minimize" in raw:  # the plan's metric, not the project's
        whole = {k: v for k, v in whole.items() if k in raw or k not in {"maximize", "minimize"}}
    typed = whole.pop("condition", None) if isinstance(whole.get("space"), dict) else None
    problems = [*_wrong_keys(whole), *_wrong_values(whole)]
    domains = whole.get("space", {})
    problems += _wrong_conditions(typed, domains, base)
    parsed = space.Space({})
    if isinstance(domains, dict):
        try:
            parts = {k: v if domains and isinstance(v := whole.get(k), list) else [] for k in PARTS}
            parsed = space.parse_space(
                domains,
                base,
                where,
                zips=parts["zip"],
                first=parts["try"],
                constraints=parts["constraints"],
            )
        except SpaceError as error:
            is_free = base_config.is_free(Path(where).parent, whole)
            problems += map(_without_params, error.causes) if is_free else error.causes
    if not domains:
        folder = quoted(Path(where).parent)
        hint = f"modeldir search {folder} learning_rate=0.1,0.01,0.001"
        problems.append(Problem("there is nothing to search: no hyperparameter varies", hint))
    choice = sampler_check.chosen(whole, parsed, problems, to_run=to_run)
    problems += [*sampler_check.repeat_problems(whole, parsed, base)]
    problems += [*sampler_check.folder_problems(whole)]
    pruner = _pruner(whole, choice, problems, to_run=to_run)
    if problems:
        raise SearchError(head or f"{where} cannot be searched:", problems)
    repeats = whole.get("repeats") or 1
    itself = whole.get("resume") == ITSELF
    return Plan(
        space=parsed,
        sampler=choice.name,
        options=choice.options,
        auto=choice.why,
        trials=whole.get("trials") or (None if choice.name == "grid" else DEFAULT_TRIALS),
        repeats=repeats,
        seeds=sampler_check.seeds(repeats, base),
        warm_start_from=tuple(whole.get("warm_start_from") or ()),
        reuse=tuple(whole.get("reuse") or ()),
        seed=whole.get("seed") or 0,
        objectives=objective.objectives(whole),
        rank_by=whole.get("rank_by") or "best",
        command=whole.get("command"),
        cwd=whole.get("cwd"),
        run_in_trial=bool(whole.get("run_in_trial")),
        metrics=objective.names(whole.get("metrics")),
        metrics_from=whole.get("metrics_from") or "",
        resume=() if itself else tuple(shlex.split(whole.get("resume") or "")),
        resumes_itself=itself,
        pruner=pruner,
        trial_time_limit=_seconds(whole.get("trial_time_limit")),
        max_retries=whole.get("max_retries") or 0,
        target=whole.get("target"),
        note=whole.get("note"),
        written=_written(raw, parsed, choice),
    )


def _without_params(problem: Problem) -> Problem:
    """Say of an unknown name what there is to do where no `params.json` could have it."""
    found = re.search(r"(\S+)(?:: | is )not in params\.json$", problem.what)
    if found is None:
        return problem
    what = f"{problem.what[: found.end(1)]} does not vary, and no params.json has its value"
    return Problem(what, f"give it values: {found[1]}=VALUE,VALUE")


def _written(
    raw: Mapping[str, Any], parsed: space.Space, choice: sampler_check.Choice
) -> dict[str, Any]:
    """Return a plan as the file has it, with plain numbers even where Python gave others.

    A single value stays a single value.
    """
    domains = parsed.to_json()
    domains |= {n: v for n, v in raw["space"].items() if n in domains and space.is_alone(v)}
    found = {**raw, "space": domains}
    for key in (*PARTS, *FOLDERS):
        if not found.get(key):
            found.pop(key, None)
    found.pop("auto", None)
    if choice.why is not None:
        found["auto"] = {"sampler": choice.name, "why": choice.why}
    return {key: found[key] for key in (*KEYS, *found) if key in found}


def _wrong_conditions(
    condition: object, domains: Mapping[str, Any], base: Mapping[str, Any]
) -> list[Problem]:
    """Find conditions of names that do not vary, and those that the file has in a wrong place."""
    if condition is None or condition == {}:
        return []
    if not isinstance(condition, Mapping):
        return [Problem(f"condition: got {condition!r}", "expected conditions by name")]
    problems: list[Problem] = []
    for name in map(str, condition):
        if name in domains:
            hint = f'"{name}": {{"values": [...], "condition": {{"optimizer": "sgd"}}}}'
            problems.append(
                Problem(f"condition: write the condition of {name} with its values", hint)
            )
        else:
            known = plain_values.flatten(base)
            near = None if name in known else did_you_mean(name, [*domains, *known])
            hint = near or f"give it values: {name}=VALUE,VALUE"
            problems.append(Problem(f"--condition {name}: {name} does not vary", hint))
    return problems


def _wrong_keys(raw: Mapping[str, Any]) -> list[Problem]:
    """Find keys that a plan does not have."""
    return [
        Problem(f"{key}: no such key", did_you_mean(key, list(KEYS)) or "known: " + ", ".join(KEYS))
        for key in raw
        if key not in KEYS
    ]


def _wrong_values(raw: Mapping[str, Any]) -> list[Problem]:
    """Find values of a wrong type or size."""
    problems: list[Problem] = []
    for key, (kind, expected) in KEYS.items():
        value = raw.get(key)
        if value is not None and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            problems.append(Problem(f"{key}: got {value!r}", f"expected {expected}"))
    problems += [*_not_utf8(raw), *objective.problems(raw)]
    trials = raw.get("trials")
    if isinstance(trials, int) and not isinstance(trials, bool) and trials < 1:
        problems.append(Problem(f"trials: got {trials}", "expected an integer above 0"))
    problems += _wrong_limits(raw)
    lines = raw.get("metrics")
    if isinstance(lines, list) and not all(isinstance(line, str) for line in lines):
        problems.append(Problem(f"metrics: got {lines!r}", f"expected {KEYS['metrics'][1]}"))
    elif lines is not None:
        try:
            file_patterns.check(objective.names(lines))
        except MetricsError as error:
            problems += [Problem(f"metrics: {words}", hint) for words, hint in error.causes]
    for key in ("command", "resume"):
        if isinstance(raw.get(key), str):
            try:
                shlex.split(raw[key])
            except ValueError as error:
                problems.append(
                    Problem(f"{key}: {raw[key]!r}: {error}", "add the closing quotation mark")
                )
    return problems


def _not_utf8(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Find values that are not UTF-8, as a path on the command line may be.

    A plan with such a value could be written, but not be read again. The space has checks of its
    own.
    """
    for key in (each for each in KEYS if each != "space" and each in raw):
        value = raw[key]
        try:
            json.dumps(value, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            hint = "search.json is saved in UTF-8"
            if key in _WITH_PATHS:
                hint = "rename the file, or put the command into a script"
            yield Problem(f"{key}: {value!r} is not UTF-8", hint)
        except (ValueError, TypeError, RecursionError):  # another check reports it
            continue


def _wrong_limits(raw: Mapping[str, Any]) -> list[Problem]:
    """Find what is wrong with the options that say when to stop."""
    problems: list[Problem] = []
    limit, retries, goal = (raw.get(key) for key in ("trial_time_limit", "max_retries", "target"))
    if limit is not None and not isinstance(limit, bool):
        try:
            parse_duration(limit)
        except ValueError as error:
            problems.append(Problem(f"trial_time_limit: {error}", None))
    if isinstance(raw.get("rank_by"), str) and raw["rank_by"] not in {"best", "last"}:
        problems.append(Problem(f"rank_by: got {raw['rank_by']!r}", "expected best or last"))
    if isinstance(retries, int) and retries < 0:
        problems.append(Problem(f"max_retries: got {retries}", "expected an integer, 0 or more"))
    ranked = objective.objectives(raw)
    if goal is not None and len(ranked) > 1:
        problems.append(
            Problem(f"target: there are several metrics: {objective.describe(ranked)}", "name one")
        )
    if goal is not None and not ranked:
        hint = "say which metric: --maximize accuracy, or --minimize loss"
        problems.append(Problem("target: no metric is named for it", hint))
    return problems


def _seconds(limit: str | float | None) -> float | None:
    return None if limit is None else parse_duration(limit)


def _pruner(
    raw: Mapping[str, Any],
    choice: sampler_check.Choice,
    problems: list[Problem],
    *,
    to_run: bool,
) -> pruners.Setting | None:
    """Return the pruner that the plan names, or that comes with the sampler `pbt`."""
    named = raw.get("pruner")
    is_named = isinstance(named, (str, dict))  # `_wrong_values` reports other types
    setting, wrong = pruners.setting_of(named, to_run=to_run) if is_named else (None, [])
    if choice.name == "pbt":
        if setting is not None or wrong:
            hint = "remove the other pruner: --pruner none"
            wrong = [Problem("pruner: pbt stops the worst itself", hint)]
        else:
            options = {k: v for k, v in choice.options.items() if k in {"interval", "quantile"}}
            setting = pruners.Setting("pbt", options)
            wrong = pruners.check(setting, "sampler")
    elif setting is not None and setting.kind == "pbt":
        hint = "to use both: --sampler pbt"
        wrong = [Problem("pruner: pbt works only with the sampler pbt", hint)]
    if setting is not None and len(objective.objectives(raw)) > 1:
        hint = "rank by one metric, or remove the pruner: --pruner none"
        wrong = [
            *wrong,
            Problem("pruner: it compares trials by one metric, but the search has several", hint),
        ]
    problems += wrong
    return setting
