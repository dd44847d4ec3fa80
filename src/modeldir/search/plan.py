"""The plan of a search: what `search.json` says, checked as a whole.

It knows each key, where a value may come from (the command line, `search.json`, the project's
`modeldir.toml`, in this order), how a plan grows, and how a command becomes a trial's command. It
refuses to touch trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir import pruners, samplers, space
from modeldir._system import files
from modeldir.metrics import metrics, objective
from modeldir.params import plain_values
from modeldir.search.base_config import load_base
from modeldir.space.points_csv import MARK, exactly, read_points

FILE = "search.json"

KEYS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
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

LIMITS = ("trial_time_limit", "retries", "stop_at", "pruner")
"""What a plan keeps of the options that say when to stop."""

PARTS = {"zip": "--zip", "points": "--point", "constraints": "--constraint"}
"""What a plan gathers beside its domains, and by which option it is typed."""

FOLDERS = {"learn_from": "--learn-from", "reuse": "--reuse"}
"""The same for other folders."""

NONE = "none"
"""What is typed to take one of these out again."""


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
    return with_points(raw, {}, load_base(folder), folder) if is_file(raw.get("points")) else raw


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


# -- Commands --------------------------------------------------------------------------------------
