"""How a plan says what proposes its trials: the sampler with its options, repeats, other folders.

It knows these keys of `search.json` and everything that can be wrong with them. It refuses to ask a
sampler, and to read other folders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldir import samplers, space
from modeldir.metrics import objective
from modeldir.params.plain_values import SEED, parse_value

Problem = tuple[str, "str | None"]


@dataclass(frozen=True)
class Choice:
    """A sampler's name with its options; `why` where it was chosen by `auto`."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None


def chosen(
    raw: Mapping[str, Any], parsed: space.Space, problems: list[Problem], *, to_run: bool = True
) -> Choice:
    """The sampler that a plan names, or what suits it: a grid where every domain is a list and all
    of it is wanted, else `auto`. What is wrong is added to the problems.
    """
    name, options, wrong = named(raw.get("sampler"))
    # A sampler of somebody's own may be importable only where the search runs.
    wrong += samplers.unknown(name) if name and (to_run or ":" not in name) else []
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
        problems.append(("sampler: auto takes no options", "name the sampler that has them"))
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
            taught=bool(raw.get("learn_from")),
        )
    problems += _refused(name, parsed, found, {}, to_run=to_run)
    return Choice(name, {}, why)


DEFAULT_TRIALS = 20
"""For a sampler that could go on for ever."""


def _refused(
    name: str,
    parsed: space.Space,
    found: objective.Objectives,
    options: Mapping[str, Any],
    *,
    to_run: bool,
) -> Iterator[Problem]:
    """What keeps a sampler from a space; for who only looks not that a package is missing."""
    if not to_run and ":" in name:
        return
    for problem in samplers.refusals(name, parsed, found, options):
        if to_run or not isinstance(problem, samplers.Missing):
            yield problem


def _is_grid(parsed: space.Space, trials: int | None) -> bool:
    """Whether the whole of a space is to be tried: a part of a grid would be one corner of it."""
    lists = all(isinstance(domain, space.Choice) for domain in parsed.domains.values())
    count = space.size(parsed) if lists else None
    return lists and (trials is None or count is None or count <= trials)


def named(written: object) -> tuple[str | None, dict[str, Any], list[Problem]]:
    """A sampler's name and its options, as a plan has them: "tpe", or {"tpe": {"startup": 20}}."""
    if isinstance(written, str) or written is None:
        return written, {}, []
    if not isinstance(written, dict):
        return None, {}, []  # of another kind: `plan.check` says so
    if len(written) == 1:
        ((name, options),) = written.items()
        if isinstance(options, dict):
            return name, options, []
    return None, {}, [(f"sampler: got {_said(written)}", 'write "tpe" or {"tpe": {"startup": 20}}')]


def from_text(text: str) -> str | dict[str, Any]:
    """The same as it is typed: `tpe`, or `tpe:startup=20,candidates=48`.

    A dotted name has a colon too: `package.module:Class`, and with options a second one.

    >>> from_text("tpe"), from_text("tpe:startup=20"), from_text("mine.samplers:Best")
    ('tpe', {'tpe': {'startup': 20}}, 'mine.samplers:Best')
    """
    name, colon, rest = text.rpartition(":")
    if not colon or "=" not in rest:
        return text
    pairs = (each.partition("=") for each in rest.split(","))
    return {name: {key.strip(): parse_value(value.strip()) for key, _, value in pairs}}


def in_words(written: object) -> str:
    """A sampler as it is typed."""
    name, options, _ = named(written)
    told = ",".join(f"{key}={_said(value)}" for key, value in options.items())
    return f"{name}:{told}" if told else str(name)


def repeat_problems(
    raw: Mapping[str, Any], parsed: space.Space, base: Mapping[str, Any]
) -> Iterator[Problem]:
    """What keeps a plan from running each point with several seeds."""
    repeats = raw.get("repeats")
    if not isinstance(repeats, int) or isinstance(repeats, bool):
        return
    if repeats < 1:
        yield f"repeats: got {repeats}", "expected a whole number above 0"
    if repeats <= 1:
        return
    if SEED in parsed.domains:
        hint = "take it out of the space, or leave --repeats out"
        yield "repeats: seed differs between repeats, and this space varies it", hint
    elif SEED not in base:
        hint = 'put "seed": 230 into params.json, and let the script use it'
        yield "repeats: params.json has no seed that could differ", hint
    elif not isinstance(base[SEED], int) or isinstance(base[SEED], bool):
        yield f"repeats: seed is {_said(base[SEED])} in params.json", "expected a whole number"


def seeds(repeats: int, base: Mapping[str, Any]) -> tuple[int, ...]:
    """The seeds of a point's repeats: the base's own, and those after it."""
    first = base.get(SEED)
    if repeats <= 1 or not isinstance(first, int):
        return ()
    return tuple(range(first, first + repeats))


def elsewhere_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the lists of other folders."""
    for key in ("learn_from", "reuse"):
        value = raw.get(key)
        if isinstance(value, list) and not all(isinstance(each, str) and each for each in value):
            yield f"{key}: got {_said(value)}", f'expected folders: "{key}": ["../first_try"]'
        elif isinstance(value, list) and any(os.path.normpath(each) == "." for each in value):
            yield f"{key}: is the search's own folder", "its trials count already: leave it out"


def _said(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
