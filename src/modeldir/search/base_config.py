"""The base config of a search: the hyperparameters in the `params.json` of its folder.

The plan says which of them vary (`plan.py`). A command with placeholders needs no base config: then
the searched hyperparameters are all that there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir._system.shell import quoted
from modeldir.errors import NOTHING_STARTED, SearchError
from modeldir.experiment.experiment import first_experiment_in, params_file
from modeldir.params import nested, plain_values
from modeldir.params.plain_values import SEED
from modeldir.search import placeholders

_FIRST_SEED = 0


def load_base(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base config of the search with this unchecked plan.

    Without `params.json`, each searched hyperparameter is null: the script's own default.

    Raises:
        SearchError: when there is no `params.json`, and the command has no placeholders.
    """
    found = params_file(folder)
    if folder.exists() and not folder.is_dir():
        hint = "name a folder for the search, for example: experiments/learning_rate"
        raise SearchError(f"{folder} is a file, not a folder\n  {hint}", state=NOTHING_STARTED)
    if found is not None:
        return plain_values.load_file(found)
    if not is_optional(plan):
        raise SearchError(
            f"{folder}: {_what_is_there(folder)}; a search needs a base config.\n"
            f"{_how_to_begin(folder, plan.get('command'))}",
            state=NOTHING_STARTED,
        )
    domains, repeats = plan.get("space"), plan.get("repeats")
    names = list(domains) if isinstance(domains, dict) else []
    _refuse_sections(folder, names)
    base = with_values({}, dict.fromkeys(names))
    if isinstance(repeats, int) and repeats > 1 and SEED not in names:
        base[SEED] = _FIRST_SEED
    return base


def load_if_needed(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the base config; None without `params.json`, where any name may be searched."""
    return None if is_free(folder, plan) else load_base(folder, plan)


def is_free(folder: Path, plan: Mapping[str, Any]) -> bool:
    """Whether there is no `params.json`, and none is needed."""
    return params_file(folder) is None and is_optional(plan)


def without_default(folder: Path, plan: Mapping[str, Any]) -> frozenset[str]:
    """Return the searched hyperparameters that must have a value: there is no default for them.

    These are the ones that the command passes as `{lr}`, where no `params.json` has a default.
    """
    command, domains = plan.get("command"), plan.get("space")
    if params_file(folder) is not None or not isinstance(command, str):
        return frozenset()
    names = frozenset(domains if isinstance(domains, dict) else ()) - {SEED}
    return names if placeholders.passes_null(command) else placeholders.bare(command, names)


def is_optional(plan: Mapping[str, Any]) -> bool:
    """Whether a plan's command passes hyperparameters itself, so that it needs no `params.json`."""
    command = plan.get("command")
    return isinstance(command, str) and placeholders.are_in(command)


def with_values(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy hyperparameters with some values set; a dotted name reaches into a section."""
    merged: dict[str, Any] = nested.deep_copy(plain_values.peek(base))
    for name, value in values.items():
        section = merged
        *outer, last = [name] if name in merged else name.split(".")
        for key in outer:
            section = section.setdefault(key, {})
        section[last] = value
    return merged


def _refuse_sections(folder: Path, names: list[str]) -> None:
    """Refuse a hyperparameter that is also a section of others: `optimizer` and `optimizer.lr`."""
    problems: list[tuple[str, str | None]] = [
        (f"{name}: {inner} is a key in it, so it cannot have a value of its own", None)
        for name in names
        for inner in names
        if inner.startswith(f"{name}.")
    ]
    if problems:
        raise SearchError(f"{folder} cannot be searched:", problems)


def _how_to_begin(folder: Path, command: object) -> str:
    """Return commands that make a base config, or need none, or copy it from an imported trial."""
    there, trial = quoted(folder), first_experiment_in(folder)
    if trial is not None:
        new = f"modeldir new {there} --from {quoted(trial)}"
        return f"  {new}   (then add the other hyperparameters of the script)"
    return (
        f"  modeldir new {there} --from experiments/base_model   (from an experiment)\n"
        f"  modeldir new {there} learning_rate=0.1               (or from values)\n"
        f"  modeldir adopt -- {command or 'python train.py'}   (or learn the script's options)\n"
        f"  modeldir search {there} ... -- {command or 'python train.py'} {{flags}}   "
        "(or pass the values as flags)"
    )


def _what_is_there(folder: Path) -> str:
    return "holds no params.json" if folder.is_dir() else "no such folder"
