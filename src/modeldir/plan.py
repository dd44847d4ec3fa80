"""The plan of a search: what `search.json` says, checked as a whole.

It knows each key, where a value may come from (the command line, `search.json`, the project's
`modeldir.toml`, in this order), how a plan grows, and how a command becomes a trial's command. It
refuses to touch trials.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir import files, metrics, params, pruners, samplers, space
from modeldir import project as projects
from modeldir.durations import parse_duration
from modeldir.errors import (
    CommandError,
    MetricsError,
    ParamsError,
    SearchError,
    SpaceError,
    did_you_mean,
    listed,
)
from modeldir.experiment import params_file

FILE = "search.json"
PROJECT_FILE = projects.FILE
DEFAULT_TRIALS = 20
"""For a sampler that could go on for ever."""

_KEYS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "space": (dict, 'an object: {"learning_rate": [0.1, 0.01]}'),
    "maximize": (str, "a metric's name"),
    "minimize": (str, "a metric's name"),
    "sampler": (str, "one of " + ", ".join(samplers.NAMES)),
    "trials": (int, "a whole number above 0"),
    "pruner": ((str, dict), "one of " + ", ".join(pruners.NAMES)),
    "seed": (int, "a whole number"),
    "command": (str, 'a command line: "python train.py"'),
    "cwd": (str, "a folder, relative to the search's"),
    "read": (str, 'a printed line: "val acc: {accuracy}"'),
    "resume": (str, 'arguments: "--restore_file last"'),
    "trial_time_limit": ((str, int, float), 'a time: "30m"'),
    "retries": (int, "a whole number, 0 or more"),
    "stop_at": ((int, float), "a value of the metric: 0.97"),
}
LIMITS = ("trial_time_limit", "retries", "stop_at", "pruner")
"""What a plan keeps of the options that say when to stop."""

NONE = "none"
"""What is typed to take one of them out again."""

_SUBMITTERS = frozenset({"sbatch", "qsub", "bsub", "msub", "condor_submit", "oarsub", "ccc_msub"})
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][\w.]*)\}")  # ${NAME} is the shell's


@dataclass(frozen=True)
class Plan:
    """A checked plan. `written` is what `search.json` should say of it.

    `pruner` ends trials early; `trial_time_limit` is in seconds; `retries` is how often a trial
    that failed is run again; `stop_at` is the value of the metric at which the search has what it
    looked for.
    """

    space: space.Space
    sampler: str
    trials: int | None
    seed: int
    metric: tuple[str, metrics.Direction] | None
    command: str | None
    cwd: str | None
    read: str | None
    resume: tuple[str, ...]
    pruner: pruners.Setting | None
    trial_time_limit: float | None
    retries: int
    stop_at: float | None
    written: Mapping[str, Any]


def read_plan(folder: Path) -> dict[str, Any]:
    """The raw plan in a search's folder; empty where there is none, or where a power cut left a
    file without content: then the first command is said again.

    Raises:
        ParamsError: when `search.json` is not JSON; with line and column.
        SearchError: when it holds no object.
    """
    path = folder / FILE
    data = files.read_bytes(path)
    is_empty = data is not None and not data.strip(b"\0 \t\r\n")  # some file systems leave zeros
    return params.load_file(path) if path.exists() and not is_empty else {}


def read_project(start: Path) -> dict[str, Any]:
    """The settings of the nearest `modeldir.toml` at or above a folder; empty where there is none.

    Raises:
        ParamsError: when the file is not TOML, or has settings that there are not.
    """
    return projects.settings(start)


def joined(old: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A plan with what was given on top: `(plan, what changed in words)`.

    Lists of values are joined, other domains replaced; naming a metric to minimize takes the place
    of one to maximize; a limit that is "none" is taken out.
    """
    plan = dict(old)
    changes = []
    for key, value in given.items():
        if value is None or key == "space":
            continue
        if key in LIMITS:
            changes += _joined_limit(plan, key, value)
            continue
        other = {"maximize": "minimize", "minimize": "maximize"}.get(key, key)
        if other != key and given.get(other) is None and plan.pop(other, None):
            changes.append(f"{other} {old[other]} -> {key} {value}")
        if key in old and old[key] != value:
            changes.append(f"{key}: {old[key]} -> {value}")
        plan[key] = value
    before = old.get("space") or {}
    if isinstance(before, dict):  # else `check` says what is wrong with it
        space, grown = _joined_spaces(before, given.get("space") or {})
        plan.update({"space": space} if space else {})
        changes += grown
    ordered = {key: plan[key] for key in _KEYS if key in plan}
    return {**ordered, **plan}, changes


def _joined_limit(plan: dict[str, Any], key: str, value: object) -> list[str]:
    """Put a limit into a plan, or take it out; what changed, if anything did."""
    before = plan.pop(key, None)
    if value != NONE:
        plan[key] = value
    if value == (NONE if before is None else before):
        return []
    out = f"--{key.replace('_', '-')} {NONE} takes it out"
    old = "" if before is None else f"{_limit_text(before)} -> "
    return [f"{key}: {old}{_limit_text(value)}" + ("" if value == NONE else f" (kept; {out})")]


def _limit_text(value: object) -> str:
    return _said(value) if isinstance(value, Mapping) else str(value)


def _joined_spaces(
    old: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    space = dict(old)
    changes = []
    for name, value in given.items():
        domain, before = _as_list(value), old.get(name)
        if isinstance(before, list) and isinstance(domain, list):
            known = {_key(value) for value in before}
            added = [value for value in domain if _key(value) not in known]
            space[name] = before + added
            if added:
                changes.append(f"{name}: {_values(added)} added to {_values(before)}")
        else:
            space[name] = domain
            if before is not None and before != domain:
                changes.append(f"{name}: {_said(before)} -> {_said(domain)}")
            elif before is None and old:
                changes.append(f"{name}: {_said(domain)} added")
    return space, changes


def _key(value: object) -> str:
    """Equal for values that mean the same: 1 and 1.0 are one value, 1 and true are two."""
    try:
        return params.canonical_hash({"value": value})
    except ParamsError:  # NaN: `check` says so
        return repr(value)


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


def check(
    raw: Mapping[str, Any],
    base: Mapping[str, Any],
    where: str,
    project: Mapping[str, Any],
    head: str | None = None,
) -> Plan:
    """A raw plan as a Plan, with what the project's settings add.

    Args:
        raw: what `search.json` and the command line say.
        base: the base hyperparameters.
        where: the plan's file, as the user named it.
        project: the settings of `modeldir.toml`.
        head: the first line of a message, by default that the file cannot be searched.

    Raises:
        SearchError: listing every problem at once.
    """
    whole = {**{k: v for k, v in project.items() if k in _KEYS}, **raw}
    if "maximize" in raw or "minimize" in raw:  # the plan's metric, not the project's
        whole = {k: v for k, v in whole.items() if k in raw or k not in {"maximize", "minimize"}}
    problems = [*_wrong_keys(whole), *_wrong_values(whole)]
    domains = whole.get("space", {})
    parsed = space.Space({})
    if isinstance(domains, dict):
        try:
            parsed = space.parse_space(domains, base, where)
        except SpaceError as error:
            problems += _problems_of(error)
    if not domains:
        hint = f"modeldir search {os.path.dirname(where) or '.'} learning_rate=0.1,0.01,0.001"
        problems.append(("there is nothing to search: no hyperparameter varies", hint))
    sampler = _sampler(whole, parsed, problems)
    pruner = _pruner(whole, problems)
    if problems:
        raise SearchError(listed(head or f"{where} cannot be searched:", problems))
    return Plan(
        space=parsed,
        sampler=sampler,
        trials=whole.get("trials") or (None if sampler == "grid" else DEFAULT_TRIALS),
        seed=whole.get("seed") or 0,
        metric=_metric(whole),
        command=whole.get("command"),
        cwd=whole.get("cwd"),
        read=whole.get("read"),
        resume=tuple(shlex.split(whole.get("resume") or "")),
        pruner=pruner,
        trial_time_limit=_seconds(whole.get("trial_time_limit")),
        retries=whole.get("retries") or 0,
        stop_at=whole.get("stop_at"),
        written={**raw, "space": parsed.to_json()},  # plain numbers, whatever Python was given
    )


def _problems_of(error: SpaceError | MetricsError) -> list[tuple[str, str | None]]:
    """The problems that an error lists, without its head and its last line."""
    lines = str(error).splitlines()
    inner = [line for line in lines[1:] if line.startswith("  ")] or lines
    found: list[tuple[str, str | None]] = []
    for line in inner:
        if line.startswith("    ") and found and found[-1][1] is None:
            found[-1] = (found[-1][0], line.strip())
        else:
            found.append((line.strip(), None))
    return found


def _wrong_keys(raw: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    return [
        (f"{key}: no such key", did_you_mean(key, list(_KEYS)) or "known: " + ", ".join(_KEYS))
        for key in raw
        if key not in _KEYS
    ]


def _wrong_values(raw: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    problems: list[tuple[str, str | None]] = []
    for key, (kind, expected) in _KEYS.items():
        value = raw.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            problems.append((f"{key}: got {value!r}", f"expected {expected}"))
    if "maximize" in raw and "minimize" in raw:
        problems.append(("maximize and minimize: only one metric is ranked by", "keep one of them"))
    trials = raw.get("trials")
    if isinstance(trials, int) and not isinstance(trials, bool) and trials < 1:
        problems.append((f"trials: got {trials}", "expected a whole number above 0"))
    problems += _wrong_limits(raw)
    if isinstance(raw.get("read"), str):
        try:
            metrics.compile_read(raw["read"])
        except MetricsError as error:
            problems += [(f"read: {words}", hint) for words, hint in _problems_of(error)]
    for key in ("command", "resume"):
        if isinstance(raw.get(key), str):
            try:
                shlex.split(raw[key])
            except ValueError as error:
                problems.append((f"{key}: {raw[key]!r}: {error}", "close the quotation"))
    return problems


def _wrong_limits(raw: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    problems: list[tuple[str, str | None]] = []
    limit, retries, goal = (raw.get(key) for key in ("trial_time_limit", "retries", "stop_at"))
    if limit is not None and not isinstance(limit, bool):
        try:
            parse_duration(limit)
        except ValueError as error:
            problems.append((f"trial_time_limit: {error}", None))
    if isinstance(retries, int) and retries < 0:
        problems.append((f"retries: got {retries}", "expected a whole number, 0 or more"))
    if goal is not None and "maximize" not in raw and "minimize" not in raw:
        hint = "say which metric: --maximize accuracy, or --minimize loss"
        problems.append(("stop_at: no metric is named that could reach it", hint))
    return problems


def _seconds(limit: str | float | None) -> float | None:
    return None if limit is None else parse_duration(limit)


def _sampler(
    raw: Mapping[str, Any], parsed: space.Space, problems: list[tuple[str, str | None]]
) -> str:
    """The sampler's name: the one given, else a grid where every domain is a list, else random."""
    endless = [name for name, domain in parsed.domains.items() if domain.values() is None]
    lists = [name for name, domain in parsed.domains.items() if isinstance(domain, space.Choice)]
    name = raw.get("sampler") or ("grid" if len(lists) == len(parsed.domains) else "random")
    if not isinstance(name, str):
        return ""
    if name not in samplers.NAMES:
        known = "known: " + ", ".join(samplers.NAMES)
        problems.append(
            (f"sampler: no {name!r}", did_you_mean(name, list(samplers.NAMES)) or known)
        )
    if name == "grid":
        problems += [
            (f"{name}: a grid needs a list of values", "give values, or use --sampler random")
            for name in endless
        ]
    return name


def _pruner(
    raw: Mapping[str, Any], problems: list[tuple[str, str | None]]
) -> pruners.Setting | None:
    told = raw.get("pruner")
    if not isinstance(told, (str, dict)):  # of others `_wrong_values` says so
        return None
    setting, wrong = pruners.setting_of(told)
    problems += wrong
    return setting


def _metric(raw: Mapping[str, Any]) -> tuple[str, metrics.Direction] | None:
    if raw.get("maximize"):
        return raw["maximize"], "maximize"
    return (raw["minimize"], "minimize") if raw.get("minimize") else None


# -- Commands --------------------------------------------------------------------------------------


def check_command(command: str, hyperparameters: Mapping[str, Any], cwd: Path) -> None:
    """Refuse a command that cannot run a trial, before anything is started.

    Raises:
        CommandError: for an unknown program or placeholder, a missing script, or a command that
            only submits a job and returns.
    """
    words = words_of(command)
    program = os.path.basename(words[0])
    if program in _SUBMITTERS:
        raise CommandError(_only_submits(program))
    problems = [*_wrong_program(words, cwd), *_wrong_script(words, cwd)]
    problems += _wrong_placeholders(words, hyperparameters)
    if problems:
        raise CommandError(listed("The command cannot start:", problems))


def words_of(command: str) -> list[str]:
    """A command line's words, as a shell would split them.

    Raises:
        CommandError: for an empty command, or a quotation that is not closed.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(
            listed(f"The command {command!r} cannot be read:", [(str(error).lower(), None)])
        ) from error
    if not words:
        raise CommandError("The command is empty\n  modeldir search DIR -- python train.py")
    return words


def _wrong_program(words: Sequence[str], cwd: Path) -> list[tuple[str, str | None]]:
    program = words[0]
    if os.path.dirname(program):  # a path, seen from where it will run
        if os.access(cwd / program, os.X_OK):
            return []
        there = (cwd / program).exists()
        hint = f"chmod +x {program}" if there else f"there is none, seen from {cwd}"
        return [(f"{program} cannot be executed", hint)]
    if shutil.which(program) is not None:
        return []
    hint = "is it installed, and is the environment active?"
    if (cwd / program).exists():
        hint = f"a script in this folder is started as ./{program}"
    elif program == "python" and shutil.which("python3"):
        hint = f"use python3: {shlex.join(['python3', *words[1:]])}"
    return [(f"no program {program!r}", hint)]


def _wrong_script(words: Sequence[str], cwd: Path) -> list[tuple[str, str | None]]:
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    is_python = os.path.basename(words[0]).startswith("python")
    if script is None or not is_python or _PLACEHOLDER.search(script) or (cwd / script).exists():
        return []
    return [(f"{script} is not in {cwd}", _scripts_hint(cwd))]


def _wrong_placeholders(
    words: Sequence[str], hyperparameters: Mapping[str, Any]
) -> list[tuple[str, str | None]]:
    known = {*params.flatten(hyperparameters), *hyperparameters, "model_dir"}
    return [
        (f"{{{name}}}: no such hyperparameter", did_you_mean(name, sorted(known)))
        for word in words
        for name in _PLACEHOLDER.findall(word)
        if name not in known
    ]


def program_of(command: str) -> str | None:
    """The program that a command starts, found on PATH: with it the environment may change."""
    return shutil.which(words_of(command)[0])


def other_python(command: str, cwd: Path) -> str | None:
    """A word of warning where `python` is not the environment that modeldir is installed in.

    Only for a script that speaks of modeldir: others need not find it.
    """
    words, program = words_of(command), program_of(command)
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    if script is None or program is None or not os.path.basename(program).startswith("python"):
        return None
    # By folder, not through links: an environment's python is a link to the system's.
    if os.path.dirname(program) == os.path.dirname(sys.executable):
        return None
    if b"modeldir" not in (files.read_bytes(cwd / script) or b""):
        return None
    return (
        f"note: {words[0]} is {program}, and modeldir runs on {sys.executable}\n"
        "  if the script does not find what it imports: activate the environment first"
    )


def _scripts_hint(cwd: Path) -> str | None:
    scripts = sorted(path.name for path in cwd.glob("*.py"))
    return f"scripts there: {', '.join(scripts)}" if scripts else "go to the project's folder first"


def _only_submits(program: str) -> str:
    return (
        f"{program} only submits a job and returns: each trial would look completed at once.\n"
        "Let the jobs be workers, which run trials one after another:\n"
        f"  modeldir search DIR --on command --submit '{_submit_line(program)}' "
        "-- python train.py\n"
        "Nothing was started."
    )


def _submit_line(program: str) -> str:
    return 'sbatch --wrap "{worker}"' if program == "sbatch" else f"{program} ... {{worker}}"


@functools.lru_cache(maxsize=8)
def _split(command: str) -> tuple[str, ...]:
    """As `words_of`: a search asks for the same one at each trial."""
    return tuple(words_of(command))


def trial_command(
    command: str, hyperparameters: Mapping[str, Any], model_dir: str
) -> tuple[str, ...]:
    """The words of a trial's command: placeholders filled, or `--model_dir DIR` added.

    >>> trial_command("python train.py", {"lr": 0.1}, "experiments/a b")
    ('python', 'train.py', '--model_dir', 'experiments/a b')
    >>> trial_command("python train.py --lr={lr}", {"lr": 0.1}, "experiments/a")
    ('python', 'train.py', '--lr=0.1')
    """
    words = _split(command)
    if "{" not in command:
        return (*words, "--model_dir", model_dir)
    values = {**hyperparameters, **params.flatten(hyperparameters), "model_dir": model_dir}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return _as_argument(values[name]) if name in values else match[0]

    filled = [_PLACEHOLDER.sub(fill, word) for word in words]
    has_place = any(name in values for word in words for name in _PLACEHOLDER.findall(word))
    return (*filled, *(() if has_place else ("--model_dir", model_dir)))


def _as_argument(value: object) -> str:
    return space.value_text(value) if isinstance(value, (str, list, dict)) else str(value)


def placeholders(command: str) -> frozenset[str]:
    """The names that a command takes as arguments."""
    return frozenset(_PLACEHOLDER.findall(command))


def base_of(folder: Path) -> dict[str, Any]:
    """The base hyperparameters of a search.

    Raises:
        SearchError: when the folder or its `params.json` is missing.
        ParamsError: when they cannot be read.
    """
    found = params_file(folder)
    if found is None:
        raise SearchError(
            f"{folder}: {_what_is_there(folder)}; a search needs base hyperparameters.\n"
            f"  modeldir new {folder} --from experiments/base_model   (copied from an experiment)\n"
            f"  modeldir new {folder} learning_rate=0.1               (or written down here)\n"
            "Nothing was started."
        )
    return params.load_file(found)


def _what_is_there(folder: Path) -> str:
    if folder.is_dir():
        return "holds no params.json"
    return "is a file; the folder is asked for" if folder.exists() else "no such folder"
