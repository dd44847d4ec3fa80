"""The plan of a search: the keys of `search.json`, and what a checked plan holds.

Start reading at `Plan`. `read_plan` reads the file; `plan_check.py` checks it; `plan_updates.py`
joins it with what a user adds; `plan_file.py` keeps the plan of a running search up to date. A
value may also come from the project's `modeldir.toml`, which `search.json` and the command line
override.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from modeldir import pruners, samplers, space
from modeldir._system import files, plugins, reading
from modeldir._system.shell import quoted
from modeldir.errors import SpaceError
from modeldir.metrics import objective
from modeldir.params import plain_values
from modeldir.search.base_config import load_if_needed
from modeldir.space.configurations_csv import MARK, exact_plan, read_points

FILE = "search.json"

KEYS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "space": (dict, 'an object: {"learning_rate": [0.1, 0.01]}'),
    "zip": (list, 'lists of names: [["batch_size", "learning_rate"]]'),
    "try": (list, 'a list of configurations: [{"learning_rate": 0.01}]'),
    "constraints": (list, 'a list of strings: ["batch_size * accumulate <= 512"]'),
    "maximize": ((str, list), "a metric's name, or a list of names"),
    "minimize": ((str, list), "a metric's name, or a list of names"),
    "rank_by": (str, '"best" or "last"'),
    "sampler": ((str, dict), "one of " + ", ".join(samplers.NAMES)),
    "auto": (dict, "the choice of auto, which modeldir writes"),
    "trials": (int, "an integer above 0"),
    "pruner": ((str, dict), "one of " + ", ".join(pruners.NAMES)),
    "seed": (int, "an integer"),
    "repeats": (int, "an integer above 0"),
    "warm_start_from": (list, 'folders: ["../first_try"]'),
    "reuse": (list, 'folders: ["../first_try"]'),
    "command": (str, 'a command line: "python train.py"'),
    "cwd": (str, "a folder, relative to the search's"),
    "run_in_trial": (bool, "true or false"),
    "metrics": ((str, list), 'a printed line "val acc {accuracy}", a file "log.csv", or a list'),
    "metrics_from": (str, "the file with metrics that was found, which modeldir writes"),
    "resume": (str, 'arguments: "--restore_file last"; or "itself"'),
    "trial_time_limit": ((str, int, float), 'a time: "30m"'),
    "max_retries": (int, "an integer, 0 or more"),
    "target": ((int, float), "a value of the metric: 0.97"),
    "note": (str, 'a string: "with the new augmentation"'),
}

LIMITS = ("trial_time_limit", "max_retries", "target", "pruner")
"""The options that say when to stop, and that a plan keeps."""

PARTS = {"zip": "--zip", "try": "--try", "constraints": "--constraint"}
"""The lists that a plan collects beside its search space, and the option for each."""

FOLDERS = {"warm_start_from": "--warm-start-from", "reuse": "--reuse"}
"""The lists of other folders, and the option for each."""

ITSELF = "itself"
"""The word in place of `resume`'s arguments for a script that looks for its own checkpoints."""

NONE = "none"
"""The word that removes one of these from the plan."""


@dataclass(frozen=True)
class Plan:
    """A checked plan. `written` is what `search.json` should say of it.

    `pruner` ends trials early; `trial_time_limit` is in seconds; `max_retries` is how often a trial
    that failed is run again; the search stops at the value `target` of the metric. `objectives`
    are the metrics to rank by, of which `metric` is the first: `rank_by` their best values over the
    steps of a trial, or their last ones. `sampler` is the one that proposes,
    with its `options`; `auto` says why, where it was chosen for the plan. `trials` is how many
    configurations are tried, each `repeats` times, with one of the `seeds` each. `warm_start_from`
    and `reuse` are folders, relative to the search's. `note` is what the user wants to remember;
    each trial keeps the one of its time.
    """

    space: space.Space
    sampler: str
    options: Mapping[str, Any]
    auto: str | None
    trials: int | None
    repeats: int
    seeds: tuple[int, ...]
    warm_start_from: tuple[str, ...]
    reuse: tuple[str, ...]
    seed: int
    objectives: objective.Objectives
    rank_by: str
    command: str | None
    cwd: str | None
    run_in_trial: bool
    metrics: tuple[str, ...]
    metrics_from: str
    resume: tuple[str, ...]
    resumes_itself: bool
    pruner: pruners.Setting | None
    trial_time_limit: float | None
    max_retries: int
    target: float | None
    note: str | None
    written: Mapping[str, Any]

    @property
    def metric(self) -> tuple[str, objective.Direction] | None:
        """The first metric to rank by; None where the plan names none."""
        return self.objectives[0] if self.objectives else None


def read_plan(folder: Path) -> dict[str, Any]:
    """Read the unchecked plan in a search's folder.

    It is empty where there is none, or where a power cut left a file without content. The user then
    runs the first command again.

    Raises:
        ParamsError: when `search.json` is not JSON; with line and column.
        SearchError: when it holds no object.
        SpaceError: when it names a CSV file that cannot be read as configurations.
    """
    path = folder / FILE
    data = reading.read_bytes(path)
    is_empty = data is not None and not data.strip(b"\0 \t\r\n")  # some file systems leave zeros
    raw = plain_values.load_file(path) if path.exists() and not is_empty else {}
    points = raw.get("try")
    if not is_file(points):
        return raw
    if not files.is_name(points.removeprefix(MARK)):
        raise SpaceError(
            f"{path}: try: {points!r} is no file in this folder\n"
            f"  copy it there, or type it: modeldir search {quoted(folder)} @POINTS.csv"
        )
    return with_points(raw, {}, load_if_needed(folder, raw), folder)


def is_file(points: object) -> TypeGuard[str]:
    """Whether `points` is the name of a CSV file that holds them."""
    return isinstance(points, str) and points not in {"", NONE}


def with_points(
    given: Mapping[str, Any], there: Mapping[str, Any], base: Mapping[str, Any] | None, start: Path
) -> dict[str, Any]:
    """Replace the name of a CSV file in `points` by its rows.

    Where none of its columns has values in the search space, these rows are the whole space. This
    is also so where the plan that is `there` has zipped the same columns before. `start` is the
    folder from which the file's name counts. Without a `base`, any column may be a hyperparameter.

    Raises:
        SpaceError: when the file cannot be read as configurations.
    """
    flat = None if base is None else plain_values.flatten(base)
    points = read_points(start / str(given["try"]).removeprefix(MARK), flat)
    columns = {name for point in points for name in point}
    domains, known = given.get("space") or {}, there.get("space") or {}
    zips = there.get("zip") or []
    added = given.get("zip") or []
    if not isinstance(domains, dict) or not isinstance(added, list):
        return {**given, "try": points}  # the check of the plan says what is wrong
    alone = [{name} for name in known if isinstance(known[name], list)]
    same = columns in [*map(set, zips), *alone] and isinstance(known, dict)
    if columns.isdisjoint(domains) and (same or columns.isdisjoint(known)):
        whole = exact_plan(points, flat or {})
        space, zipped = {**domains, **whole["space"]}, [*added, *whole["zip"]]
        return {**given, "space": space, "zip": zipped or None, "try": None}
    return {**given, "try": points}


def total(plan: Plan) -> int | None:
    """Return how many trials a plan has in all; None where it has no known end."""
    limits = [each for each in (plan.trials, space.size(plan.space)) if each is not None]
    return plan.repeats * min(limits) if limits else None


def is_over(plan: Plan, made: int, *, to_run: bool = True) -> bool:
    """Whether no other trial can come although `total` is not reached.

    That is so for a population that was complete once, when none of its `made` trials runs or
    waits: none is left to copy. Without `to_run`, no class that the plan names is imported.
    """
    if plan.pruner is None or (plugins.is_own_class(plan.pruner.kind) and not to_run):
        return False
    if not pruners.replaces(plan.pruner):
        return False
    from modeldir.samplers.pbt import POPULATION  # noqa: PLC0415 - only for a population

    return made >= int(plan.options.get("population", POPULATION))
