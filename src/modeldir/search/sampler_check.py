"""Check what a plan says about its proposals: the sampler with options, repeats, other folders.

`plan_check.py` calls these. How `auto` decides: `modeldir.samplers.auto`. No sampler is asked here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldir import samplers, space
from modeldir._system.plugins import is_own_class
from modeldir.errors import Problem
from modeldir.metrics import objective
from modeldir.params.plain_values import SEED, parse_value


@dataclass(frozen=True)
class Choice:
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None


def chosen(
    raw: Mapping[str, Any], parsed: space.Space, problems: list[Problem], *, to_run: bool = True
) -> Choice:
    """Return the sampler that a plan names, else a grid if all is listed, else that of `auto`."""
    name, options, wrong = named(raw.get("sampler"))
    # A custom sampler may be importable only where the search runs.
    wrong += samplers.name_problems(name) if name and (to_run or not is_own_class(name)) else []
    problems += wrong
    if wrong or not parsed.domains:
        return Choice(name or "")
    found = objective.objectives(raw)
    trials = raw.get("trials")
    trials = trials if isinstance(trials, int) else None
    name = name or ("grid" if _is_grid(parsed, trials) else samplers.AUTO)
    if name != samplers.AUTO:
        problems += _refused(name, parsed, found, options, to_run=to_run)
        return Choice(name, options)
    if options:
        problems.append(
            Problem(
                "sampler: auto takes no options",
                "options belong to one sampler: name it instead of auto",
            )
        )
    before = raw.get("auto")
    if isinstance(before, dict) and isinstance(before.get("sampler"), str):
        name, why = before["sampler"], str(before.get("why", ""))
    else:
        from modeldir.samplers import auto  # noqa: PLC0415 - only where it has to choose

        name, why = auto.choose(
            parsed,
            trials or DEFAULT_TRIALS,
            found,
            auto.installed(),
            prunes=raw.get("pruner") is not None,
            taught=bool(raw.get("warm_start_from")),
        )
    problems += _refused(name, parsed, found, {}, to_run=to_run)
    return Choice(name, {}, why)


DEFAULT_TRIALS = 20
"""The number of trials for a sampler that could propose for ever."""


def _refused(
    name: str,
    parsed: space.Space,
    found: objective.Objectives,
    options: Mapping[str, Any],
    *,
    to_run: bool,
) -> Iterator[Problem]:
    """Find what keeps a sampler from a space; to show a plan, a missing package is no problem."""
    if not to_run and is_own_class(name):
        return
    for problem in samplers.find_problems(name, parsed, found, options):
        if to_run or not isinstance(problem, samplers.MissingPackage):
            yield problem


def _is_grid(parsed: space.Space, trials: int | None) -> bool:
    """Whether all combinations are wanted: a part of a grid would be one corner of it."""
    lists = all(isinstance(domain, space.Choice) for domain in parsed.domains.values())
    count = space.size(parsed) if lists else None
    return lists and (trials is None or count is None or count <= trials)


def named(written: object) -> tuple[str | None, dict[str, Any], list[Problem]]:
    """Return a sampler's name and its options: of "tpe", or of {"tpe": {"startup": 20}}."""
    if isinstance(written, str) or written is None:
        return written, {}, []
    if not isinstance(written, dict):
        return None, {}, []  # another type: `plan_check` reports it
    if len(written) == 1:
        ((name, options),) = written.items()
        if isinstance(options, dict):
            return name, options, []
    return (
        None,
        {},
        [Problem(f"sampler: got {_as_json(written)}", 'write "tpe" or {"tpe": {"startup": 20}}')],
    )


def parse_sampler(text: str) -> str | dict[str, Any]:
    """Read a sampler as it is typed: `tpe`, or `tpe:startup=20,candidates=48`.

    A dotted name has a colon too: `package.module:Class`, and with options a second one.

    >>> parse_sampler("tpe"), parse_sampler("tpe:startup=20"), parse_sampler("mine.samplers:Best")
    ('tpe', {'tpe': {'startup': 20}}, 'mine.samplers:Best')
    """
    name, colon, rest = text.rpartition(":")
    if not colon or "=" not in rest:
        return text
    pairs = (each.partition("=") for each in rest.split(","))
    return {name: {key.strip(): parse_value(value.strip()) for key, _, value in pairs}}


def as_typed(written: object) -> str:
    name, options, _ = named(written)
    typed = ",".join(f"{key}={_as_json(value)}" for key, value in options.items())
    return f"{name}:{typed}" if typed else str(name)


def repeat_problems(
    raw: Mapping[str, Any], parsed: space.Space, base: Mapping[str, Any]
) -> Iterator[Problem]:
    repeats = raw.get("repeats")
    if not isinstance(repeats, int) or isinstance(repeats, bool):
        return
    if repeats < 1:
        yield Problem(f"repeats: got {repeats}", "expected an integer above 0")
    if repeats <= 1:
        return
    if SEED in parsed.domains:
        hint = "remove it from the space, or leave out --repeats"
        yield Problem("repeats: seed differs between repeats, and this space varies it", hint)
    elif SEED not in base:
        hint = 'put "seed": 230 into params.json, and let the script use it'
        yield Problem("repeats: params.json has no seed to vary", hint)
    elif not isinstance(base[SEED], int) or isinstance(base[SEED], bool):
        yield Problem(
            f"repeats: seed is {_as_json(base[SEED])} in params.json", "expected an integer"
        )


def seeds(repeats: int, base: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the seeds of the repeats: the base config's, and those after it."""
    first = base.get(SEED)
    if repeats <= 1 or not isinstance(first, int):
        return ()
    return tuple(range(first, first + repeats))


def folder_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("warm_start_from", "reuse"):
        value = raw.get(key)
        if isinstance(value, list) and not all(isinstance(each, str) and each for each in value):
            yield Problem(
                f"{key}: got {_as_json(value)}", f'expected folders: "{key}": ["../first_try"]'
            )
        elif isinstance(value, list) and any(os.path.normpath(each) == "." for each in value):
            yield Problem(
                f"{key}: is the search's own folder", "its trials are used already: leave it out"
            )


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
