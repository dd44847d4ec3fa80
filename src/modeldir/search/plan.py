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
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir import pruners, samplers, space
from modeldir._system import files, programs
from modeldir._system.durations import parse_duration
from modeldir._system.shell import quoted, quoted_line
from modeldir.errors import (
    CommandError,
    MetricsError,
    Problem,
    SearchError,
    SpaceError,
    did_you_mean,
)
from modeldir.experiment import project as projects
from modeldir.experiment.experiment import first_below, params_file
from modeldir.metrics import metrics, objective, printed_lines
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.search import plan_updates, sampler_choice
from modeldir.search.sampler_choice import DEFAULT_TRIALS
from modeldir.space.points_csv import MARK, exactly, read_points

FILE = "search.json"
PROJECT_FILE = projects.FILE
__all__ = ["DEFAULT_TRIALS", "SEED"]  # of `sampling` and `params`, where they belong

_KEYS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "space": (dict, 'an object: {"learning_rate": [0.1, 0.01]}'),
    "zip": (list, 'lists of names: [["batch_size", "learning_rate"]]'),
    "points": (list, 'a list of points: [{"learning_rate": 0.01}]'),
    "constraints": (list, 'a list of texts: ["batch_size * accumulate <= 512"]'),
    "maximize": ((str, list), "a metric's name, or a list of names"),
    "minimize": ((str, list), "a metric's name, or a list of names"),
    "sampler": ((str, dict), "one of " + ", ".join(samplers.NAMES)),
    "auto": (dict, "what auto chose: it writes that itself"),
    "trials": (int, "a whole number above 0"),
    "pruner": ((str, dict), "one of " + ", ".join(pruners.NAMES)),
    "seed": (int, "a whole number"),
    "repeats": (int, "a whole number above 0"),
    "learn_from": (list, 'folders: ["../first_try"]'),
    "reuse": (list, 'folders: ["../first_try"]'),
    "command": (str, 'a command line: "python train.py"'),
    "cwd": (str, "a folder, relative to the search's"),
    "read": (str, 'a printed line: "val acc: {accuracy}"'),
    "resume": (str, 'arguments: "--restore_file last"'),
    "trial_time_limit": ((str, int, float), 'a time: "30m"'),
    "retries": (int, "a whole number, 0 or more"),
    "stop_at": ((int, float), "a value of the metric: 0.97"),
    "note": (str, 'a text: "with the new augmentation"'),
}
LIMITS, NONE = plan_updates.LIMITS, plan_updates.NONE
"""What a plan keeps of the options that say when to stop, and what takes one of them out."""

_WITH_PATHS = frozenset({"command", "cwd", "resume", "learn_from", "reuse"})
"""Keys that may hold the name of a file, which need not be UTF-8."""
_SUBMITTERS = frozenset({"sbatch", "qsub", "bsub", "msub", "condor_submit", "oarsub", "ccc_msub"})
_PLACEHOLDER = r"(?<!\$)\{([A-Za-z_][\w.]*)\}"  # ${NAME} is the shell's


@dataclass(frozen=True)
class Plan:
    """A checked plan. `written` is what `search.json` should say of it.

    `pruner` ends trials early; `trial_time_limit` is in seconds; `retries` is how often a trial
    that failed is run again; `stop_at` is the value of the metric at which the search has what it
    looked for. `objectives` are the metrics to rank by, of which `metric` is the first. `sampler`
    is the one that proposes, with its `options`; `auto` says why, where it was chosen for the plan.
    `trials` is how many points are tried, each `repeats` times, with one of the `seeds` each.
    `learn_from` and `reuse` are folders, relative to the search's. `note` is what somebody wants to
    remember; each trial keeps the one of its time.
    """

    space: space.Space
    sampler: str
    options: Mapping[str, Any]
    auto: str | None
    trials: int | None
    repeats: int
    seeds: tuple[int, ...]
    learn_from: tuple[str, ...]
    reuse: tuple[str, ...]
    seed: int
    objectives: objective.Objectives
    command: str | None
    cwd: str | None
    read: str | None
    resume: tuple[str, ...]
    pruner: pruners.Setting | None
    trial_time_limit: float | None
    retries: int
    stop_at: float | None
    note: str | None
    written: Mapping[str, Any]

    @property
    def metric(self) -> tuple[str, metrics.Direction] | None:
        return self.objectives[0] if self.objectives else None


def read_plan(folder: Path) -> dict[str, Any]:
    """The raw plan in a search's folder; empty where there is none, or where a power cut left a
    file without content: then the first command is said again.

    Raises:
        ParamsError: when `search.json` is not JSON; with line and column.
        SearchError: when it holds no object.
        SpaceError: when it names a CSV file that cannot be read as points.
    """
    path = folder / FILE
    data = files.read_bytes(path)
    is_empty = data is not None and not data.strip(b"\0 \t\r\n")  # some file systems leave zeros
    raw = plain_values.load_file(path) if path.exists() and not is_empty else {}
    return with_points(raw, {}, base_of(folder), folder) if is_file(raw.get("points")) else raw


def is_file(points: object) -> bool:
    """Whether points are named by a CSV file that holds them."""
    return isinstance(points, str) and points not in {"", NONE}


def with_points(
    given: Mapping[str, Any], there: Mapping[str, Any], base: Mapping[str, Any], start: Path
) -> dict[str, Any]:
    """What was given, with the rows of the CSV file that its points name.

    Where none of its columns has a domain, these rows are the whole space; so they are where that
    was said before, and the plan that is `there` has the columns together. `start` is the folder
    from which the file's name counts.

    Raises:
        SpaceError: when the file cannot be read as points.
    """
    flat = plain_values.flatten(base)
    points = read_points(start / str(given["points"]).removeprefix(MARK), flat)
    columns = {name for point in points for name in point}
    domains, known = given.get("space") or {}, there.get("space") or {}
    zips = there.get("zip") or []
    alone = [{name} for name in known if isinstance(known[name], list)]
    same = columns in [*map(set, zips), *alone] and isinstance(known, dict)
    if columns.isdisjoint(domains) and (same or columns.isdisjoint(known)):
        whole = exactly(points, flat)
        added = [*(given.get("zip") or []), *whole["zip"]]
        space = {**domains, **whole["space"]}
        return {**given, "space": space, "zip": added or None, "points": None}
    return {**given, "points": points}


def read_project(start: Path) -> dict[str, Any]:
    """The settings of the nearest `modeldir.toml` at or above a folder; empty where there is none.

    Raises:
        ParamsError: when the file is not TOML, or has settings that there are not.
    """
    return projects.settings(start)


def joined(old: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A plan with what was given on top, its keys in the order in which they are explained:
    `(plan, what changed in words)`; see `growth`.
    """
    plan, changes = plan_updates.joined(old, given)
    ordered = {key: plan[key] for key in _KEYS if key in plan}
    return {**ordered, **plan}, changes


def check(  # noqa: PLR0913 - what a message has to name
    raw: Mapping[str, Any],
    base: Mapping[str, Any],
    where: str,
    project: Mapping[str, Any],
    head: str | None = None,
    *,
    to_run: bool = True,
) -> Plan:
    """A raw plan as a Plan, with what the project's settings add.

    Args:
        raw: what `search.json` and the command line say.
        base: the base hyperparameters.
        where: the plan's file, as the user named it.
        project: the settings of `modeldir.toml`.
        head: the first line of a message, by default that the file cannot be searched.
        to_run: false for who only looks, and needs no package that its sampler needs.

    Raises:
        SearchError: listing every problem at once.
    """
    whole = {**{k: v for k, v in project.items() if k in _KEYS}, **raw}
    if "maximize" in raw or "minimize" in raw:  # the plan's metric, not the project's
        whole = {k: v for k, v in whole.items() if k in raw or k not in {"maximize", "minimize"}}
    typed = whole.pop("when", None) if isinstance(whole.get("space"), dict) else None
    problems = [*_wrong_keys(whole), *_wrong_values(whole)]
    domains = whole.get("space", {})
    problems += _wrong_conditions(typed, domains, base)
    parsed = space.Space({})
    if isinstance(domains, dict):
        try:
            parts = {
                k: v if domains and isinstance(v := whole.get(k), list) else []
                for k in plan_updates.PARTS
            }
            parsed = space.parse_space(
                domains,
                base,
                where,
                zips=parts["zip"],
                points=parts["points"],
                constraints=parts["constraints"],
            )
        except SpaceError as error:
            problems += error.causes
    if not domains:
        folder = quoted(os.path.dirname(where) or ".")
        hint = f"modeldir search {folder} learning_rate=0.1,0.01,0.001"
        problems.append(("there is nothing to search: no hyperparameter varies", hint))
    choice = sampler_choice.chosen(whole, parsed, problems, to_run=to_run)
    problems += [*sampler_choice.repeat_problems(whole, parsed, base)]
    problems += [*sampler_choice.elsewhere_problems(whole)]
    pruner = _pruner(whole, choice, problems)
    if problems:
        raise SearchError(head or f"{where} cannot be searched:", problems)
    repeats = whole.get("repeats") or 1
    return Plan(
        space=parsed,
        sampler=choice.name,
        options=choice.options,
        auto=choice.why,
        trials=whole.get("trials") or (None if choice.name == "grid" else DEFAULT_TRIALS),
        repeats=repeats,
        seeds=sampler_choice.seeds(repeats, base),
        learn_from=tuple(whole.get("learn_from") or ()),
        reuse=tuple(whole.get("reuse") or ()),
        seed=whole.get("seed") or 0,
        objectives=objective.objectives(whole),
        command=whole.get("command"),
        cwd=whole.get("cwd"),
        read=whole.get("read"),
        resume=tuple(shlex.split(whole.get("resume") or "")),
        pruner=pruner,
        trial_time_limit=_seconds(whole.get("trial_time_limit")),
        retries=whole.get("retries") or 0,
        stop_at=whole.get("stop_at"),
        note=whole.get("note"),
        written=_written(raw, parsed, choice),
    )


def _written(
    raw: Mapping[str, Any], parsed: space.Space, choice: sampler_choice.Choice
) -> dict[str, Any]:
    """A plan as the file has it: plain numbers, whatever Python was given; what stands alone stays
    so.
    """
    domains = parsed.to_json()
    domains |= {n: v for n, v in raw["space"].items() if n in domains and space.is_alone(v)}
    found = {**raw, "space": domains}
    for key in (*plan_updates.PARTS, *plan_updates.FOLDERS):
        if not found.get(key):
            found.pop(key, None)
    found.pop("auto", None)
    if choice.why is not None:
        found["auto"] = {"sampler": choice.name, "why": choice.why}
    return {key: found[key] for key in (*_KEYS, *found) if key in found}


def _wrong_conditions(
    when: object, domains: Mapping[str, Any], base: Mapping[str, Any]
) -> list[tuple[str, str | None]]:
    """What was typed of names that do not vary, or stands in the file where it says nothing."""
    if when is None or when == {}:
        return []
    if not isinstance(when, Mapping):
        return [(f"when: got {when!r}", "expected conditions by name")]
    problems: list[tuple[str, str | None]] = []
    for name in map(str, when):
        if name in domains:
            hint = f'"{name}": {{"values": [...], "when": {{"optimizer": "sgd"}}}}'
            problems.append((f"when: the condition of {name} stands in its domain", hint))
        else:
            known = plain_values.flatten(base)
            near = None if name in known else did_you_mean(name, [*domains, *known])
            hint = near or f"give it a domain: {name}=VALUE,VALUE"
            problems.append((f"--when {name}: {name} does not vary", hint))
    return problems


def total(plan: Plan) -> int | None:
    """How many trials a plan has in all; None where it has no end that is known."""
    limits = [each for each in (plan.trials, space.size(plan.space)) if each is not None]
    return plan.repeats * min(limits) if limits else None


def is_over(plan: Plan, made: int) -> bool:
    """Whether, once none of the `made` trials runs or waits, no other can come though `total` is
    not reached: a population that has been whole has nobody left to copy.
    """
    if plan.pruner is None or not pruners.replaces(plan.pruner):
        return False
    from modeldir.samplers.pbt import POPULATION  # noqa: PLC0415 - only for a population

    return made >= int(plan.options.get("population", POPULATION))


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
    problems += [*_no_texts(raw), *objective.problems(raw)]
    trials = raw.get("trials")
    if isinstance(trials, int) and not isinstance(trials, bool) and trials < 1:
        problems.append((f"trials: got {trials}", "expected a whole number above 0"))
    problems += _wrong_limits(raw)
    if isinstance(raw.get("read"), str):
        try:
            printed_lines.compile_pattern(raw["read"])
        except MetricsError as error:
            problems += [(f"read: {words}", hint) for words, hint in error.causes]
    for key in ("command", "resume"):
        if isinstance(raw.get(key), str):
            try:
                shlex.split(raw[key])
            except ValueError as error:
                problems.append((f"{key}: {raw[key]!r}: {error}", "close the quotation"))
    return problems


def _no_texts(raw: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """What is not UTF-8, as a path on the command line may be: a plan that had it could be written,
    and not be read again. Of the space its own checks say so.
    """
    for key in (each for each in _KEYS if each != "space" and each in raw):
        value = raw[key]
        try:
            json.dumps(value, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            hint = "a plan is text in UTF-8"
            if key in _WITH_PATHS:
                hint = "rename the file, or put the command into a script of its own"
            yield f"{key}: {value!r} is not UTF-8", hint
        except (ValueError, TypeError, RecursionError):  # others say what is wrong with it
            continue


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
    ranked = objective.objectives(raw)
    if goal is not None and len(ranked) > 1:
        problems.append(
            (f"stop_at: there are several metrics: {objective.describe(ranked)}", "name one")
        )
    if goal is not None and not ranked:
        hint = "say which metric: --maximize accuracy, or --minimize loss"
        problems.append(("stop_at: no metric is named that could reach it", hint))
    return problems


def _seconds(limit: str | float | None) -> float | None:
    return None if limit is None else parse_duration(limit)


def _pruner(
    raw: Mapping[str, Any], choice: sampler_choice.Choice, problems: list[tuple[str, str | None]]
) -> pruners.Setting | None:
    """What ends trials early: what the plan names, or what comes with the sampler `pbt`."""
    told = raw.get("pruner")
    is_told = isinstance(told, (str, dict))  # of others `_wrong_values` says so
    setting, wrong = pruners.setting_of(told) if is_told else (None, [])
    if choice.name == "pbt":
        if setting is not None or wrong:
            hint = "take the other out: --pruner none"
            wrong = [Problem("pruner: pbt stops the worst itself", hint)]
        else:
            options = {k: v for k, v in choice.options.items() if k in {"interval", "quantile"}}
            setting = pruners.Setting("pbt", options)
            wrong = pruners.check(setting, "sampler")
    elif setting is not None and setting.kind == "pbt":
        hint = "it replaces those that it stops: --sampler pbt"
        wrong = [Problem("pruner: pbt comes with the sampler of this name", hint)]
    if setting is not None and len(objective.objectives(raw)) > 1:
        hint = "rank by one metric, or take the pruner out: --pruner none"
        wrong = [*wrong, Problem("pruner: of several metrics none says which trial is worse", hint)]
    problems += wrong
    return setting


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
        raise CommandError("The command cannot start:", problems)


@functools.lru_cache(maxsize=8)  # a search asks for the same one at each trial
def words_of(command: str) -> tuple[str, ...]:
    """A command line's words, as a shell would split them.

    Raises:
        CommandError: for an empty command, or a quotation that is not closed.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(
            f"The command {command!r} cannot be read:", [(str(error).lower(), None)]
        ) from error
    if not words:
        raise CommandError("The command is empty\n  modeldir search DIR -- python train.py")
    return tuple(words)


def _wrong_program(words: Sequence[str], cwd: Path) -> list[tuple[str, str | None]]:
    program = words[0]
    by_python = None
    if program.endswith(".py") and (cwd / program).is_file():
        line = quoted_line(["python", *words])
        by_python = f"a Python script is started by python: {line}"
    if os.path.dirname(program):  # a path, seen from where it will run
        if os.access(cwd / program, os.X_OK):
            return []
        there = (cwd / program).exists()
        hint = f"chmod +x {quoted(program)}" if there else f"there is none, seen from {cwd}"
        return [(f"{program} cannot be executed", by_python or hint)]
    if programs.found(program) is not None:
        return []
    hint = "is it installed, and is the environment active?"
    if (cwd / program).exists():
        hint = by_python or f"a script in this folder is started as ./{program}"
    elif program == "python" and programs.found("python3"):
        hint = f"use python3: {quoted_line(['python3', *words[1:]])}"
    return [(f"no program {program!r}", hint)]


def _wrong_script(words: Sequence[str], cwd: Path) -> list[tuple[str, str | None]]:
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    is_python = os.path.basename(words[0]).startswith("python")
    if (
        script is None
        or not is_python
        or re.search(_PLACEHOLDER, script)
        or (cwd / script).exists()
    ):
        return []
    return [(f"{script} is not in {cwd}", _scripts_hint(cwd))]


def _wrong_placeholders(
    words: Sequence[str], hyperparameters: Mapping[str, Any]
) -> list[tuple[str, str | None]]:
    known = {*plain_values.flatten(hyperparameters), *hyperparameters, "model_dir"}
    return [
        (f"{{{name}}}: no such hyperparameter", did_you_mean(name, sorted(known)))
        for word in words
        for name in re.findall(_PLACEHOLDER, word)
        if name not in known
    ]


def program_of(command: str) -> str | None:
    """The program that a command starts, found on PATH: with it the environment may change."""
    return programs.found(words_of(command)[0])


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
    where = "--on slurm --workers 8"
    if program != "sbatch":
        where = f"--on command --submit '{program} ... {{worker}}' --workers 8"
    return (
        f"{program} only submits a job and returns: each trial would look completed at once.\n"
        "Let the jobs be workers, which run trials one after another:\n"
        f"  modeldir search DIR {where} -- python train.py\n"
        "Nothing was started."
    )


def trial_command(
    command: str, hyperparameters: Mapping[str, Any], model_dir: str
) -> tuple[str, ...]:
    """The words of a trial's command: placeholders filled, or `--model_dir DIR` added.

    >>> trial_command("python train.py", {"lr": 0.1}, "experiments/a b")
    ('python', 'train.py', '--model_dir', 'experiments/a b')
    >>> trial_command("python train.py --lr={lr}", {"lr": 0.1}, "experiments/a")
    ('python', 'train.py', '--lr=0.1')
    """
    words = words_of(command)
    if "{" not in command:
        return (*words, "--model_dir", model_dir)
    values = {**hyperparameters, **plain_values.flatten(hyperparameters), "model_dir": model_dir}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return _as_argument(values[name]) if name in values else match[0]

    filled = [re.sub(_PLACEHOLDER, fill, word) for word in words]
    has_place = any(name in values for word in words for name in re.findall(_PLACEHOLDER, word))
    return (*filled, *(() if has_place else ("--model_dir", model_dir)))


def _as_argument(value: object) -> str:
    return space.value_text(value) if isinstance(value, (str, list, dict)) else str(value)


def placeholders(command: str) -> frozenset[str]:
    """The names that a command takes as arguments."""
    return frozenset(re.findall(_PLACEHOLDER, command))


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
            f"{_how_to_begin(folder)}",
            state="Nothing was started.",
        )
    return plain_values.load_file(found)


def _how_to_begin(folder: Path) -> str:
    """Where base hyperparameters come from; what was imported has none, but trials that have."""
    there, trial = quoted(folder), first_below(folder)
    if trial is not None:
        new = f"modeldir new {there} --from {quoted(trial)}"
        return f"  {new}   (then add what else the script reads)"
    return (
        f"  modeldir new {there} --from experiments/base_model   (copied from an experiment)\n"
        f"  modeldir new {there} learning_rate=0.1               (or written down here)"
    )


def _what_is_there(folder: Path) -> str:
    if folder.is_dir():
        return "holds no params.json"
    return "is a file; the folder is asked for" if folder.exists() else "no such folder"
