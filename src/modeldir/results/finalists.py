"""Chooses the configurations that `modeldir confirm` trains again, and makes their search.

They are the best few configurations of a search and its base config, with new seeds. `prepare`
makes an ordinary search of them in `DIR/confirm`, so it can be continued and watched. Start reading
at `named`, then `prepare`. Rule that must not break: `confirm.json` records the choice before any
of the new runs begins, and everything that walks a tree skips a folder that contains it. Whether
the best one really wins: `confirmation`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import SearchError, did_you_mean
from modeldir.experiment.discovery import CONFIRM
from modeldir.experiment.experiment import is_search, params_file
from modeldir.metrics import metrics, objective
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.results.experiment_tree import Tree, read_tree
from modeldir.results.experiments import ExperimentRow
from modeldir.search import base_config, plan
from modeldir.space.points_csv import exact_plan

FOLDER = "confirm"
TOP, REPEATS = 3, 5
BASE = "base"
_FORMAT = 1
_APART = 1000
"""Between the seeds of a search and those that confirm it: it may still repeat more of its own."""
_SEEDS = 2**31
_KEPT = ("command", "read", "resume", "trial_time_limit", "retries")
"""What of the search's plan holds here too. No pruner: each training goes to its end."""


@dataclass(frozen=True)
class Point:
    """One of those that are compared. `flat` are its hyperparameters but for the seed; `value` is
    what it scored in the search, None for a base that was never tried; `number` its trial.
    """

    name: str
    flat: Mapping[str, Any]
    value: float | None = None
    number: int | None = None
    is_base: bool = False

    @property
    def key(self) -> str:
        return key_of(self.flat)

    @property
    def title(self) -> str:
        """What it is called in a table."""
        return f"{self.name} ({BASE})" if self.is_base and self.name != BASE else self.name


@dataclass(frozen=True)
class Finalists:
    """The points in the order of the search, the base among them or last; and what ranks them."""

    search: Path
    metric: tuple[str, metrics.Direction]
    points: tuple[Point, ...]
    seeds: tuple[int, ...]

    @property
    def folder(self) -> Path:
        return self.search / FOLDER

    @property
    def repeats(self) -> int:
        return len(self.seeds)


def key_of(flat: Mapping[str, Any]) -> str:
    """Equal for hyperparameters that differ in nothing but the seed."""
    return plain_values.canonical_hash(
        {name: value for name, value in flat.items() if name != SEED}
    )


def named(
    search: Path,
    *,
    top: int | None = None,
    repeats: int | None = None,
    metric: tuple[str, metrics.Direction] | None = None,
) -> Finalists:
    """The best points of a search and its base, and the seeds for them. Nothing is written.

    Args:
        search: its folder.
        top: how many of the best; by default as it was asked for before, else 3.
        repeats: how many seeds each, never fewer than there were before; by default 5.
        metric: by which, where the plan has several.

    Raises:
        SearchError: when there is nothing to compare, or no seed that could differ.
        FolderError: when the folder is not there.
        ParamsError: when its base cannot be read.
    """
    _refuse_numbers(search, top, repeats)
    tree = read_tree(search)
    _refuse_trees(tree)
    base = base_config.load_base(search)
    before = files.read_object(search / FOLDER / CONFIRM)
    chosen = _metric(tree, metric, before)
    points = _points(tree, plain_values.flatten(base), chosen, top or _number(before, "top") or TOP)
    seeds = _seeds(tree, base, repeats)
    _refuse_heirs(tree, points)
    return Finalists(search, chosen, points, seeds)


def _refuse_numbers(search: Path, top: int | None, repeats: int | None) -> None:
    problems: list[tuple[str, str | None]] = []
    if top is not None and top < 1:
        problems.append((f"--top {top}", "expected 1 or more"))
    if repeats is not None and repeats < 2:  # noqa: PLR2004 - of one nothing scatters
        problems.append((f"--repeats {repeats}", "the noise shows between two seeds or more"))
    if problems:
        raise SearchError(f"{search} cannot be confirmed:", problems)


def _refuse_trees(tree: Tree) -> None:
    """A folder of searches is none: which of them is meant?"""
    if params_file(tree.folder) is not None:
        return
    below = sorted({each.path.parent for each in tree.experiments} - {tree.folder})
    searches = [each for each in below if is_search(each)]
    if searches:
        hint = "\n    ".join(f"modeldir confirm {quoted(each)}" for each in searches[:3])
        problem = "it is no search, but has searches below it"
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])


def _number(before: Mapping[str, Any], key: str) -> int | None:
    value = before.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _metric(
    tree: Tree, asked: tuple[str, metrics.Direction] | None, before: Mapping[str, Any]
) -> tuple[str, metrics.Direction]:
    known = sorted({name for each in tree.experiments for name in each.scores.validation})
    if asked is not None and asked[0] not in known:
        hint = did_you_mean(asked[0], known) or f"there are {', '.join(known) or 'none'}"
        problem = f"no experiment has the metric {asked[0]!r}"
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    if asked is not None:
        return asked
    kept = objective.objectives(before)
    if len(tree.objectives) > 1 and len(kept) == 1:
        return kept[0]
    if len(tree.objectives) == 1:
        return tree.objectives[0]
    folder = quoted(tree.folder)
    if not tree.experiments:
        problem, hint = "it has no trial", f"modeldir search {folder}"
    elif tree.objectives:
        ranked_by = objective.describe(tree.objectives)
        problem = f"it is ranked by {ranked_by}: none is best by all of them"
        ways = [f"modeldir confirm {folder} --{way} {name}" for name, way in tree.objectives]
        hint = "\n    ".join(ways)
    else:
        problem, hint = "there is no metric to rank by", f"modeldir synthesize {folder}"
    raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])


def _points(
    tree: Tree, base: Mapping[str, Any], metric: tuple[str, metrics.Direction], top: int
) -> tuple[Point, ...]:
    """The best points, each once, and the base; of equals the lower number first."""
    name, way = metric
    sign = -1.0 if way == "maximize" else 1.0
    own = (each for each in tree.rows() if os.path.samefile(each.path.parent, tree.folder))
    scored = [(value, each) for each in own if (value := each.value(name)) is not None]
    scored.sort(key=lambda each: (sign * each[0], metrics.trial_order(each[1].number)))
    best: dict[str, Point] = {}
    for value, found in scored:
        point = _point(found, value, base)
        if point is not None:
            best.setdefault(point.key, point)
    if not best:
        folder = quoted(tree.folder)
        problem = f"none that is completed has the metric {name!r}"
        hint = f"modeldir search {folder}"
        if not is_search(tree.folder):
            problem = "it is no search: it has no trials"
            hint = f"modeldir search {folder} learning_rate=0.1,0.01,0.001 -- python train.py"
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    first = list(best.values())[:top]
    if not any(point.is_base for point in first):
        first.append(next((p for p in best.values() if p.is_base), Point(BASE, base, is_base=True)))
    if len(first) == 1:
        problem = "the best is the base itself: there is nothing to compare it with"
        hint = "--top 3 compares it with those that come next"
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    return tuple(first)


def _point(found: ExperimentRow, value: float, base: Mapping[str, Any]) -> Point | None:
    """A row as a point: what it does not say it has from the base."""
    if found.hyperparameters is None:
        return None
    flat = plain_values.flatten(found.hyperparameters)
    unknown = [name for name in flat if name not in base]
    if unknown:  # of another base: it cannot be made from this one
        return None
    whole = {**base, **flat, SEED: base.get(SEED)}
    return Point(found.name, whole, value, found.number, key_of(whole) == key_of(base))


def _refuse_heirs(tree: Tree, points: Sequence[Point]) -> None:
    """What began with another's weights is more than its hyperparameters."""
    numbers = {point.number for point in points} - {None}
    problems: list[tuple[str, str | None]] = []
    for each in tree.experiments:
        told = files.read_object(each.path / "trial.json") if each.number in numbers else {}
        if told.get("parent"):
            hint = "such a training cannot be had again by its hyperparameters alone"
            problems.append((f"{each.name} began with the weights of another trial", hint))
    if problems:
        raise SearchError(f"{tree.folder} cannot be confirmed:", problems)


def _seeds(tree: Tree, base: Mapping[str, Any], repeats: int | None) -> tuple[int, ...]:
    """As many seeds as are wanted, that nothing in the search has used; those of before stay."""
    own = base.get(SEED)
    if not isinstance(own, int) or isinstance(own, bool):
        problem = f"{SEED} is {json.dumps(own)} in params.json" if SEED in base else (
            "params.json has no seed that could differ between runs"
        )  # fmt: skip
        hint = 'put "seed": 230 into params.json, and let the script use it'
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    folder = tree.folder / FOLDER
    if (folder / CONFIRM).exists():
        there = base_config.load_base(folder).get(SEED)
        before = _number(plan.read_plan(folder), "repeats") or REPEATS
        if isinstance(there, int):
            return tuple(range(there, there + max(repeats or 0, before)))
    repeats = repeats or REPEATS
    used = {(each.hyperparameters or {}).get(SEED) for each in tree.experiments} | {own}
    taken = {value for value in used if isinstance(value, int)}
    first = max(taken)
    while not taken.isdisjoint(range(first, first + repeats)) or first == max(taken):
        first = (first + _APART) % (_SEEDS - repeats)
    return tuple(range(first, first + repeats))


# -- The folder ------------------------------------------------------------------------------------


def prepare(found: Finalists, cwd: Path | None = None) -> Path:
    """Make the search that runs the finalists, or have the one that is there grow; its folder.

    Args:
        found: who is compared.
        cwd: where the plan's command runs, if it has no place of its own.

    Raises:
        SearchError: when the base is not as it was when the folder was made.
        FolderError: when something else has its name.
    """
    whole = plan.read_plan(found.search)
    raw = {**{key: whole[key] for key in _KEPT if key in whole}, **_space(found)}
    name, way = found.metric
    raw |= {way: name, "sampler": "grid", "repeats": found.repeats}
    if "command" in raw:
        there = whole.get("cwd")
        start = found.search / there if isinstance(there, str) else cwd or Path.cwd()
        raw["cwd"] = os.path.relpath(start, found.folder)
    told = {
        "format": _FORMAT,
        way: name,
        "top": sum(not each.is_base or each.name != BASE for each in found.points),
        "named": [_told(point) for point in found.points],
        "created": timestamps.utc_now(),
    }
    base = {**base_config.load_base(found.search), SEED: found.seeds[0]}
    if not (found.folder / CONFIRM).exists() and _made(found.folder, base, raw, told):
        return found.folder
    _refuse_other_base(found, base)
    _write(found.folder / plan.FILE, _kept(plan.read_plan(found.folder), raw))
    _write(found.folder / CONFIRM, told)
    return found.folder


def _space(found: Finalists) -> dict[str, Any]:
    """The points, and no other, as a plan has them."""
    first = found.points[0].flat
    names = [
        name
        for name in first
        if name != SEED and len({_as_text(point.flat[name]) for point in found.points}) > 1
    ]
    rows = [{name: point.flat[name] for name in names} for point in found.points]
    return {key: value for key, value in exact_plan(rows, {}).items() if value}


def _as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _told(point: Point) -> dict[str, Any]:
    told = {"name": point.name, "value": point.value, "number": point.number}
    return {**told, "base": point.is_base, "hyperparameters": dict(point.flat)}


def _kept(there: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The plan that is there with the points of now; how they are run stays as it was."""
    gone = {"space", "zip", "maximize", "minimize"}
    kept = {key: value for key, value in there.items() if key not in gone}
    how = {*_KEPT, "cwd"} & {*there}
    return {**kept, **{key: value for key, value in raw.items() if key not in how}}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """A file is left alone where it says the same: workers read a plan again when it changes."""
    there = {key: value for key, value in files.read_object(path).items() if key != "created"}
    if there != {key: each for key, each in value.items() if key != "created"}:
        files.write_json(path, dict(value), durable=True)


def _made(
    folder: Path, base: Mapping[str, Any], raw: Mapping[str, Any], told: Mapping[str, Any]
) -> bool:
    """Put the new folder there by one rename: half made it would be a trial of the search."""
    staged = folder.parent / f".tmp-{os.getpid()}-{os.urandom(6).hex()}"
    staged.mkdir()
    try:
        for name, value in (("params.json", base), (plan.FILE, raw), (CONFIRM, told)):
            files.write_json(staged / name, dict(value))
        os.rename(staged, folder)
    except OSError:
        for name in ("params.json", plan.FILE, CONFIRM):
            (staged / name).unlink(missing_ok=True)
        staged.rmdir()
        if not (folder / CONFIRM).exists():  # else somebody was faster
            raise SearchError(
                f"{folder} is there, and is none that `modeldir confirm` made\n"
                f"  give it another name: mv {quoted(folder)} "
                f"{quoted(folder)}_of_mine",
                state="Nothing was started.",
            ) from None
        return False
    return True


def _refuse_other_base(found: Finalists, base: Mapping[str, Any]) -> None:
    there = plain_values.flatten(base_config.load_base(found.folder))
    now = plain_values.flatten(base)
    changed: list[tuple[str, str | None]] = [
        (f"{name}: {there.get(name, 'not there')} -> {now.get(name, 'not there')}", None)
        for name in {**there, **now}
        if name != SEED and there.get(name) != now.get(name)
    ]
    if changed:
        folder = quoted(found.folder)
        head = f"{found.search}: params.json changed since {found.folder} was made:"
        state = f"To begin anew with the new base:\n  mv {folder} {folder}_before\n"
        raise SearchError(head, changed, f"{state}Nothing was started.")


def read(search: Path) -> Finalists:
    """The finalists that are being compared, as they were named.

    Raises:
        SearchError: when nobody was.
    """
    folder = search / FOLDER
    told = files.read_object(folder / CONFIRM)
    if not told:
        raise SearchError(
            f"{search}: nothing of it was confirmed\n  modeldir confirm {quoted(search)}"
        )
    named, ranked = told.get("named"), objective.objectives(told)
    points = [point for each in named or () if (point := _read(each))] if ranked else []
    repeats, first = (
        _number(plan.read_plan(folder), "repeats"),
        base_config.load_base(folder).get(SEED),
    )
    if not points or repeats is None or not isinstance(first, int):
        raise SearchError(f"{search}: what {folder} says of its points cannot be read")
    return Finalists(search, ranked[0], tuple(points), tuple(range(first, first + repeats)))


def _read(told: object) -> Point | None:
    if not isinstance(told, dict) or not isinstance(told.get("hyperparameters"), dict):
        return None
    name, flat = str(told.get("name")), told["hyperparameters"]
    return Point(name, flat, told.get("value"), told.get("number"), bool(told.get("base")))
