"""Samplers: what proposes the next hyperparameters of a search.

This room knows the Protocol that each sampler keeps, and finds samplers by name; each has a file of
its own. It refuses to know trials, folders and processes: a sampler is told what there is, is asked
what comes next, and starts nothing.

A sampler keeps nothing of its own that could be lost: made again with the same seed and told the
same observations, it proposes the same. So any worker can make one, at any time, from the folders.
What the folders would not tell (the generation of an evolution) goes along in a proposal's notes,
which are kept in `trial.json` and told back.

A sampler of your own is a class that is made as `Class(space, seed, objectives, **options)`, named
as "package.module:Class" or by an entry point in the group `modeldir.samplers`. `modeldir.testing`
has the tests that it should pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from modeldir._system import plugins
from modeldir.errors import Problem as Problem
from modeldir.errors import SpaceError
from modeldir.metrics.objective import (
    Objectives as Objectives,  # part of what a sampler of one's own is given
)

if TYPE_CHECKING:
    from modeldir.space import Space

GROUP = "modeldir.samplers"
"""The group of entry points in which other packages offer samplers."""

AUTO = "auto"
"""Not a sampler, but the wish that one be chosen: see `samplers.auto`."""

_BUILT_IN = {
    "grid": "modeldir.samplers.grid:Grid",
    "random": "modeldir.samplers.random:Random",
    "sobol": "modeldir.samplers.sobol:Sobol",
    "tpe": "modeldir.samplers.tpe:TPE",
    "gp": "modeldir.samplers.gp:GP",
    "cmaes": "modeldir.samplers.cmaes:CMAES",
    "nsga2": "modeldir.samplers.nsga2:NSGA2",
    "pbt": "modeldir.samplers.pbt:PBT",
}
NAMES = (AUTO, *_BUILT_IN)

_SYNONYMS = {
    "bayes": "tpe", "bayesian": "tpe", "bo": "gp", "optuna": "tpe", "hyperopt": "tpe",
    "qmc": "sobol", "halton": "sobol", "quasirandom": "sobol", "nsga": "nsga2", "nsgaii": "nsga2",
}  # fmt: skip

_KIND = plugins.PluginKind(GROUP, _BUILT_IN, NAMES, _SYNONYMS)


@dataclass(frozen=True)
class Proposal:
    """What a new trial should be: its point, and what of the sampler's should be told back.

    `notes` are kept in the trial's `trial.json`, so they have to be what JSON can hold.
    """

    point: dict[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """A trial as a sampler sees it: where it lies, how it stands, what it has scored so far.

    `status` is one of waiting, running, completed, pruned and failed; an interrupted trial is going
    to run again, so it is waiting. `values` are the metrics of the plan, as they are (a loss is not
    turned round); without those that a trial does not have, and never NaN. A pruned trial has the
    values at which it was pruned, and `notes["step"]` where that is known.

    `number` is None for a row of another folder, which teaches and is no trial here. It leaves its
    point free, unless its notes say that it is `reused`: then it stands for a trial here.
    """

    number: int | None
    point: Mapping[str, Any]
    status: str
    values: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_its_point(self) -> bool:
        """Whether no trial is to be made at this point any more."""
        return self.number is not None or "reused" in self.notes


class Sampler(Protocol):
    """Proposes points of a space, and learns how they scored."""

    def ask(self, number: int) -> Proposal | None:
        """What the trial of this number should be, or None if there is nothing left to propose.

        Asking changes nothing: asked again before it was told anything, it says the same.
        """

    def tell(self, observation: Observation) -> None:
        """Learn of a trial, also one that is still to run, or what has changed about it."""


Factory: TypeAlias = Callable[..., Sampler]


def make(
    name: str,
    space: Space | Mapping[str, Any],
    seed: int = 0,
    objectives: Objectives = (),
    *,
    trials: int | None = None,
    **options: Any,
) -> Sampler:
    """The sampler of this name.

    Args:
        name: one of `NAMES`, that of an entry point, or "package.module:Class".
        space: what it proposes points of: `Search.plan.space`, or domains as `Search` takes them,
            `{"learning_rate": {"log_uniform": [1e-5, 1e-1]}}`.
        seed: of all its chance, with the number of the trial that it is asked for.
        objectives: the metrics to rank by, each with its direction.
        trials: how many trials the search is to have, where that is known: for `auto`.
        options: what else the sampler takes.

    Raises:
        SpaceError: if there is none, or it cannot sample this space; every problem at once.
    """
    if isinstance(space, Mapping):
        from modeldir.space import parse_space  # noqa: PLC0415 - only for a mapping

        return make(
            name,
            parse_space(space, dict.fromkeys(space), "space"),
            seed,
            objectives,
            trials=trials,
            **options,
        )
    if name == AUTO:
        from modeldir.samplers import auto  # noqa: PLC0415 - only if it is wanted

        name, _ = auto.choose(space, trials, objectives, auto.installed())
    problems = [*find_problems(name, space, objectives, options)]
    if problems:
        raise SpaceError("The space cannot be sampled:", problems)
    sampler = _factory(name)(space, seed, objectives, **options)
    if name in _BUILT_IN:
        return sampler
    from modeldir.samplers.custom import CheckedSampler  # noqa: PLC0415 - only for somebody's own

    return CheckedSampler(sampler, space, seed, name)


def name_problems(name: str) -> list[Problem]:
    """What is wrong with a sampler's name; nothing where there is one of that name."""
    try:
        _ = name if name == AUTO else _factory(name)
    except plugins.PluginError as error:
        return [Problem(f"sampler: {error.problem.what}", error.problem.hint)]
    return []


def find_problems(
    name: str, space: Space, objectives: Objectives = (), options: Mapping[str, Any] | None = None
) -> Iterator[Problem]:
    """What keeps a sampler from this space, each with what to do about it."""
    found = name_problems(name)
    if found or name == AUTO:
        yield from found
        return
    factory = _factory(name)
    yield from _option_problems(name, factory, options or {})
    finds_more = getattr(factory, "find_problems", None)
    if finds_more is not None:
        yield from finds_more(space, objectives)


def learns(sampler: Sampler) -> bool:
    """Whether values matter to a sampler. One for which they do not says `learns = False`, and the
    trials' metrics need not be read for it.
    """
    return bool(getattr(sampler, "learns", True))


def follows(sampler: Sampler) -> bool:
    """Whether a sampler wants to know how running trials stand. It then says `follows = True`, and
    is told their latest values, and the step at which they are.
    """
    return bool(getattr(sampler, "follows", False))


class MissingPackage(Problem):
    """A package is not installed. This is no problem for commands that only show a search."""


def why_exhausted(name: str) -> str:
    """Return why a sampler proposes nothing more: its `exhausted_reason`, or a general text."""
    return str(getattr(_factory(name), "exhausted_reason", "the sampler has no more in this space"))


def missing_packages(name: str, *packages: str) -> Iterator[Problem]:
    """The packages that a sampler lacks, as one problem."""
    from importlib.util import find_spec  # noqa: PLC0415 - of samplers that need a library

    missing = [each for each in packages if find_spec(each) is None]
    if missing:
        extra = "gp" if "torch" in missing else "optuna"
        yield MissingPackage(
            f"sampler: {name} needs {' and '.join(missing)}, not installed here",
            f"pip install 'modeldir[{extra}]'",
        )


# -- By name ---------------------------------------------------------------------------------------


_METHODS = ("ask", "tell")


def _factory(name: str) -> Factory:
    """What makes the sampler of this name.

    Raises:
        PluginError: if there is none, or it has not the methods that a search calls.
    """
    factory: Factory = _KIND.load(name)
    if isinstance(factory, type):
        lacks = [each for each in _METHODS if not callable(getattr(factory, each, None))]
        if lacks:
            hint = "a sampler has ask(number) and tell(observation): see modeldir.samplers"
            raise plugins.PluginError(f"{name} has no {' and no '.join(lacks)}", hint)
    return factory


def _option_problems(name: str, factory: Factory, options: Mapping[str, Any]) -> Iterator[Problem]:
    for option, least in getattr(factory, "minimums", {}).items():
        value = options.get(option, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            expected = f"expected an integer, {least} or more"
            yield Problem(
                f"sampler: {name}: {option}: got {json.dumps(value, default=str)}", expected
            )
    if not options and name in _BUILT_IN:
        return
    import inspect  # noqa: PLC0415 - slow to import

    try:
        signature = inspect.signature(factory)
        signature.bind("space", "seed", "objectives")
    except (TypeError, ValueError):  # of one of C's nothing is known
        hint = "let it be made as Class(space, seed, objectives), with options by keyword"
        yield Problem(f"sampler: {name} cannot be made with a space, a seed and objectives", hint)
        return
    parameters = [*signature.parameters.values()]
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return
    # The first three are the space, the seed and the objectives, whatever they are called.
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [each.name for each in parameters[:3] if each.kind is inspect.Parameter.KEYWORD_ONLY]
    known += [each.name for each in parameters[3:] if each.kind in named]
    for option, hint in plugins.unknown_options(options, known):
        yield Problem(f"sampler: {name} has no option {option!r}", hint)


def objective_values(observation: Observation, objectives: Objectives) -> tuple[float, ...] | None:
    """The values of the objectives in their order, or None where one is missing or no number."""
    values = [observation.values.get(name, math.nan) for name, _ in objectives]
    return tuple(values) if values and all(map(math.isfinite, values)) else None
