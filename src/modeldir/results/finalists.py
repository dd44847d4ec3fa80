"""Choose the configurations that `modeldir confirm` trains again, and make their search.

They are the best few of a search and its base config, with new seeds. `prepare` makes an ordinary
search of them in `DIR/confirm`. The rule: `confirm.json` records the choice before any of the new
runs begins, and everything that walks a tree skips a folder that contains it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, reading, recorded_numbers, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import SearchError, did_you_mean
from modeldir.experiment import trial_labels
from modeldir.experiment.discovery import CONFIRM
from modeldir.experiment.experiment import is_search, params_file
from modeldir.metrics import objective
from modeldir.params import plain_values
from modeldir.params.equality import all_same
from modeldir.params.plain_values import SEED
from modeldir.results.experiment_tree import Tree, read_tree
from modeldir.results.experiments import ExperimentRow
from modeldir.search import base_config, plan
from modeldir.space.configurations_csv import exact_plan

FOLDER = "confirm"
TOP, REPEATS = 3, 5
BASE = "base"
_FORMAT = 1
_APART = 1000
"""The distance of the new seeds from those of the search, which may still add more seeds."""
_SEEDS = 2**31
_KEPT = (
    "command", "metrics", "metrics_from", "rank_by", "resume", "trial_time_limit", "max_retries",
)  # fmt: skip
"""Keys of the search config that are copied. The pruner is not: every run trains to its end."""


@dataclass(frozen=True)
class Finalist:
    """A configuration that is compared; a base config that was never tried has no value."""

    name: str
    flat: Mapping[str, Any]
    value: float | None = None
    number: int | None = None
    is_base: bool = False

    @property
    def key(self) -> str:
        return key_of(self.flat)

    @property
    def label(self) -> str:
        """The name to print beside the number."""
        beside = trial_labels.name_beside(self.number, self.name)
        is_marked = self.is_base and beside != BASE
        return " ".join([*([beside] if beside else []), *([f"({BASE})"] if is_marked else [])])

    @property
    def title(self) -> str:
        """The name in a sentence."""
        title = trial_labels.title(self.number, self.name)
        return f"{title}, the base" if self.is_base and self.number is not None else title


@dataclass(frozen=True)
class Finalists:
    """The chosen configurations in the order of the search; a base that was never tried is last."""

    search: Path
    metric: tuple[str, objective.Direction]
    members: tuple[Finalist, ...]
    seeds: tuple[int, ...]

    @property
    def folder(self) -> Path:
        return self.search / FOLDER

    @property
    def repeats(self) -> int:
        return len(self.seeds)


def key_of(flat: Mapping[str, Any]) -> str:
    return plain_values.canonical_hash(
        {name: value for name, value in flat.items() if name != SEED}
    )


def choose(
    search: Path,
    *,
    top: int | None = None,
    repeats: int | None = None,
    metric: tuple[str, objective.Direction] | None = None,
) -> Finalists:
    """Choose the best configurations of a search, its base config, and new seeds; write nothing.

    The default of `top` is that of the last time, else 3. `repeats` is never less than the last
    time.
    """
    _refuse_numbers(search, top, repeats)
    tree = read_tree(search)
    _refuse_trees(tree)
    raw = plan.read_plan(search)
    base = base_config.load_base(search, raw)
    needed = base_config.without_default(search, raw)
    before = reading.read_object(search / FOLDER / CONFIRM)
    chosen = _metric(tree, metric, before)
    top = top or _number(before, "top") or TOP
    members = _members(tree, plain_values.flatten(base), chosen, top, needed)
    seeds = _seeds(tree, base, repeats)
    _refuse_heirs(tree, members)
    return Finalists(search, chosen, members, seeds)


def _refuse_numbers(search: Path, top: int | None, repeats: int | None) -> None:
    problems: list[tuple[str, str | None]] = []
    if top is not None and top < 1:
        problems.append((f"--top {top}", "expected 1 or more"))
    if repeats is not None and repeats < 2:  # noqa: PLR2004 - one value has no deviation
        problems.append(
            (f"--repeats {repeats}", "expected 2 or more: one seed does not show the noise")
        )
    if problems:
        raise SearchError(f"{search} cannot be confirmed:", problems)


def _refuse_trees(tree: Tree) -> None:
    if params_file(tree.folder) is not None:
        return
    below = sorted({each.path.parent for each in tree.experiments} - {tree.folder})
    searches = [each for each in below if is_search(each)]
    if searches:
        hint = "\n    ".join(f"modeldir confirm {quoted(each)}" for each in searches[:3])
        problem = "it is not a search, but has searches below it"
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])


def _number(before: Mapping[str, Any], key: str) -> int | None:
    value = before.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _metric(
    tree: Tree, asked: tuple[str, objective.Direction] | None, before: Mapping[str, Any]
) -> tuple[str, objective.Direction]:
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
        problem, hint = "there is no metric to rank by", f"modeldir results {folder}"
    raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])


def _members(
    tree: Tree,
    base: Mapping[str, Any],
    metric: tuple[str, objective.Direction],
    top: int,
    needed: frozenset[str],
) -> tuple[Finalist, ...]:
    """Return the best configurations, each once, and the base config if it can be run.

    It cannot if it lacks values that are `needed`.
    """
    name, direction = metric
    sign = -1.0 if direction == "maximize" else 1.0
    own = (each for each in tree.rows() if os.path.samefile(each.path.parent, tree.folder))
    scored = [(value, each) for each in own if (value := each.value(name)) is not None]
    scored.sort(key=lambda each: (sign * each[0], objective.trial_order(each[1].number)))
    best: dict[str, Finalist] = {}
    for value, found in scored:
        finalist = _finalist(found, value, base)
        if finalist is not None and all(finalist.flat[name] is not None for name in needed):
            best.setdefault(finalist.key, finalist)
    if not best:
        folder = quoted(tree.folder)
        problem = f"no completed trial has the metric {name!r}"
        hint = f"modeldir search {folder}"
        if not is_search(tree.folder):
            problem = "it is not a search: it has no trials"
            hint = f"modeldir search {folder} learning_rate=0.1,0.01,0.001 -- python train.py"
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    first = list(best.values())[:top]
    if not needed and not any(finalist.is_base for finalist in first):
        first.append(
            next((p for p in best.values() if p.is_base), Finalist(BASE, base, is_base=True))
        )
    if len(first) == 1:
        problem = "the best is the base itself: there is nothing to compare it with"
        hint = "--top 3 compares it with those that come next"
        if needed:
            problem, hint = (
                "only one configuration is completed",
                f"modeldir search {quoted(tree.folder)}",
            )
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    return tuple(first)


def _finalist(found: ExperimentRow, value: float, base: Mapping[str, Any]) -> Finalist | None:
    """Return the configuration of a row. The base config fills the gaps."""
    if found.hyperparameters is None:
        return None
    flat = plain_values.flatten(found.hyperparameters)
    unknown = [name for name in flat if name not in base]
    if unknown:  # made from another base config, so this one cannot make it again
        return None
    whole = {**base, **flat, SEED: base.get(SEED)}
    return Finalist(found.name, whole, value, found.number, key_of(whole) == key_of(base))


def _refuse_heirs(tree: Tree, members: Sequence[Finalist]) -> None:
    """Raise an error for trials that began with another trial's weights: they differ by more."""
    numbers = {finalist.number for finalist in members} - {None}
    problems: list[tuple[str, str | None]] = []
    for each in tree.experiments:
        trial = reading.read_object(each.path / "trial.json") if each.number in numbers else {}
        if trial.get("parent"):
            hint = "its hyperparameters alone do not reproduce its training run"
            problems.append((f"{each.name} began with the weights of another trial", hint))
    if problems:
        raise SearchError(f"{tree.folder} cannot be confirmed:", problems)


def _seeds(tree: Tree, base: Mapping[str, Any], repeats: int | None) -> tuple[int, ...]:
    """Return seeds that the search has not used. The seeds of an earlier confirmation stay."""
    own = base.get(SEED)
    if own is None and params_file(tree.folder) is None:
        own = 0
    if not isinstance(own, int) or isinstance(own, bool):
        problem = f"{SEED} is {json.dumps(own)} in params.json" if SEED in base else (
            "params.json has no seed that could differ between runs"
        )  # fmt: skip
        hint = 'put "seed": 230 into params.json, and let the script use it'
        raise SearchError(f"{tree.folder} cannot be confirmed:", [(problem, hint)])
    folder = tree.folder / FOLDER
    if (folder / CONFIRM).exists():
        there = base_config.load_base(folder, {}).get(SEED)
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


def prepare(found: Finalists) -> Path:
    """Make the search that runs the finalists, or extend the existing one. Return its folder."""
    whole = plan.read_plan(found.search)
    raw = {**{key: whole[key] for key in _KEPT if key in whole}, **_space(found)}
    name, direction = found.metric
    raw |= {direction: name, "sampler": "grid", "repeats": found.repeats}
    if "command" in raw:
        there = whole.get("cwd")
        start = found.search / there if isinstance(there, str) else Path.cwd()
        raw["cwd"] = os.path.relpath(start, found.folder)
    record = {
        "format": _FORMAT,
        direction: name,
        "top": sum(not each.is_base or each.name != BASE for each in found.members),
        "named": [_written(finalist) for finalist in found.members],
        "created": timestamps.utc_now(),
    }
    base = {**base_config.load_base(found.search, whole), SEED: found.seeds[0]}
    if not (found.folder / CONFIRM).exists() and _made(found.folder, base, raw, record):
        return found.folder
    _refuse_other_base(found, base)
    _write(found.folder / plan.FILE, _kept(plan.read_plan(found.folder), raw))
    _write(found.folder / CONFIRM, record)
    return found.folder


def _space(found: Finalists) -> dict[str, Any]:
    """Return the space of the finalists: names that differ, or all if no base has the others."""
    first, has_base = found.members[0].flat, any(each.is_base for each in found.members)
    names = [
        name
        for name in first
        if name != SEED
        and not (has_base and all_same([finalist.flat[name] for finalist in found.members]))
    ]
    rows = [{name: finalist.flat[name] for name in names} for finalist in found.members]
    return {key: value for key, value in exact_plan(rows, {}).items() if value}


def _written(finalist: Finalist) -> dict[str, Any]:
    result = {
        "name": finalist.name,
        "value": finalist.value,
        "number": finalist.number,
    }
    return {**result, "base": finalist.is_base, "hyperparameters": dict(finalist.flat)}


def _kept(there: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the existing plan with the new configurations. How they are run stays the same."""
    gone = {"space", "zip", "maximize", "minimize"}
    kept = {key: value for key, value in there.items() if key not in gone}
    how = {*_KEPT, "cwd"} & {*there}
    return {**kept, **{key: value for key, value in raw.items() if key not in how}}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file if its content changes. Workers read a plan again when its file changes."""
    there = {key: value for key, value in reading.read_object(path).items() if key != "created"}
    if there != {key: each for key, each in value.items() if key != "created"}:
        files.write_json(path, dict(value), durable=True)


def _made(
    folder: Path, base: Mapping[str, Any], raw: Mapping[str, Any], record: Mapping[str, Any]
) -> bool:
    """Create the folder by one rename (half made it looks like a trial); False if it was there."""
    staged = folder.parent / f".tmp-{os.getpid()}-{os.urandom(6).hex()}"
    staged.mkdir()
    try:
        for name, value in (("params.json", base), (plan.FILE, raw), (CONFIRM, record)):
            files.write_json(staged / name, dict(value))
        os.rename(staged, folder)
    except OSError:
        for name in ("params.json", plan.FILE, CONFIRM):
            (staged / name).unlink(missing_ok=True)
        staged.rmdir()
        if not (folder / CONFIRM).exists():  # it is not a confirmation of another process
            raise SearchError(
                f"{folder} exists, and `modeldir confirm` did not make it\n"
                f"  rename it: mv {quoted(folder)} "
                f"{quoted(folder)}_of_mine",
                state="Nothing was started.",
            ) from None
        return False
    return True


def _refuse_other_base(found: Finalists, base: Mapping[str, Any]) -> None:
    there = plain_values.flatten(base_config.load_base(found.folder, {}))
    now = plain_values.flatten(base)
    changed: list[tuple[str, str | None]] = [
        (f"{name}: {there.get(name, 'none')} -> {now.get(name, 'none')}", None)
        for name in {**there, **now}
        if name != SEED and there.get(name) != now.get(name)
    ]
    if changed:
        folder = quoted(found.folder)
        head = f"{found.search}: params.json changed since {found.folder} was made:"
        state = f"To start over with the new base config:\n  mv {folder} {folder}_before\n"
        raise SearchError(head, changed, f"{state}Nothing was started.")


def read(search: Path) -> Finalists:
    """Read the finalists that were chosen for a confirmation."""
    folder = search / FOLDER
    record = reading.read_object(folder / CONFIRM)
    if not record:
        raise SearchError(
            f"{search}: it has no confirmation yet\n  modeldir confirm {quoted(search)}"
        )
    entries, ranked = record.get("named"), objective.objectives(record)
    members = [finalist for each in entries or () if (finalist := _read(each))] if ranked else []
    repeats, first = (
        _number(plan.read_plan(folder), "repeats"),
        base_config.load_base(folder, {}).get(SEED),
    )
    if not members or repeats is None or not isinstance(first, int):
        raise SearchError(f"{search}: the configurations in {folder} cannot be read")
    return Finalists(search, ranked[0], tuple(members), tuple(range(first, first + repeats)))


def _read(entry: object) -> Finalist | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("hyperparameters"), dict):
        return None
    name, flat = str(entry.get("name")), entry["hyperparameters"]
    number = recorded_numbers.integer(entry.get("number"))
    return Finalist(name, flat, entry.get("value"), number, bool(entry.get("base")))
