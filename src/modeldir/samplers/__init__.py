"""Samplers propose the next hyperparameters of a search.

Start at `Sampler`, the protocol, and `make`. The rule: a sampler has no state that could be lost. A
new one with the same seed and observations proposes the same; what else it must remember goes into
a proposal's notes, which come back with the trial's observation.

A custom sampler is a class with the signature `Class(space, seed, objectives, **options)`. Users
name it "package.module:Class", or by an entry point in the group `modeldir.samplers`.
`modeldir.testing` has the tests that it should pass.
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
from modeldir.metrics.objective import Objectives as Objectives

if TYPE_CHECKING:
    from modeldir.space import Space

GROUP = "modeldir.samplers"
"""Other packages offer samplers as entry points in this group."""

AUTO = "auto"
"""Not a sampler: `samplers.auto` then chooses one."""

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
    """The configuration of a new trial, and the sampler's notes on it.

    `trial.json` keeps the notes, so JSON must be able to represent them.
    """

    configuration: dict[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)


INFEASIBLE = frozenset({"out-of-memory", "nan", "time-limit"})
"""The classes of failures that depend on the configuration. Nearby configurations may fail too."""


@dataclass(frozen=True)
class Observation:
    """A trial as a sampler sees it: its configuration, its status and its values so far.

    `status` is one of pending, running, completed, pruned and failed. An interrupted trial will run
    again, so it is pending. `values` are the search's metrics with their original sign. They never
    contain NaN, and they lack the metrics that the trial does not have. A pruned trial has the
    values at which it was pruned, and `notes["step"]` if the step is known.

    `failure` is the class of a failed trial: `error`, `out-of-memory`, `nan`, `time-limit`, ...

    `number` is None for a trial of another folder. The sampler learns from it, and may propose its
    configuration here, unless its notes contain `reused`: then it replaces a trial of this search.
    """

    number: int | None
    configuration: Mapping[str, Any]
    status: str
    values: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def is_infeasible(self) -> bool:
        """Whether its configuration itself failed: too large, too slow, or diverging.

        An error in the script or a kill from outside says nothing about the configuration.
        """
        return self.status == "failed" and self.failure in INFEASIBLE

    @property
    def takes_its_configuration(self) -> bool:
        """Whether this search must not run the configuration again."""
        return self.number is not None or "reused" in self.notes


class Sampler(Protocol):
    """The protocol: propose configurations, and learn from their results."""

    def ask(self, number: int) -> Proposal | None:
        """Propose the trial with this number, or return None if nothing is left to propose.

        It changes nothing: another call with no `tell` in between returns the same proposal.
        """

    def tell(self, observation: Observation) -> None:
        """Learn about a new trial, also one that has not started, or about a change of one."""


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
    """Make the sampler with this name.

    Args:
        name: one of `NAMES`, the name of an entry point, or "package.module:Class".
        space: the search space: `Search.plan.space`, or a mapping as `Search` takes it,
            `{"learning_rate": {"log_uniform": [1e-5, 1e-1]}}`.
        seed: the random seed. It and a trial's number decide every random choice for that trial.
        objectives: the metrics to rank by, each with its direction.
        trials: the number of trials in the search, if known. Only `auto` uses it.
        options: the sampler's own options.

    Raises:
        SpaceError: if no sampler has this name, or it cannot sample this space. The error lists all
            problems.
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
        from modeldir.samplers import auto  # noqa: PLC0415 - only for `auto`

        name, _ = auto.choose(space, trials, objectives, auto.installed())
    problems = [*find_problems(name, space, objectives, options)]
    if problems:
        raise SpaceError("The space cannot be sampled:", problems)
    sampler = _factory(name)(space, seed, objectives, **options)
    if name in _BUILT_IN:
        return sampler
    from modeldir.samplers.custom import CheckedSampler  # noqa: PLC0415 - only for a custom one

    return CheckedSampler(sampler, space, seed, name)


def name_problems(name: str) -> list[Problem]:
    try:
        _ = name if name == AUTO else _factory(name)
    except plugins.PluginError as error:
        return [Problem(f"sampler: {error.problem.what}", error.problem.hint)]
    return []


def find_problems(
    name: str, space: Space, objectives: Objectives = (), options: Mapping[str, Any] | None = None
) -> Iterator[Problem]:
    """Yield each reason why a sampler cannot search this space, with a hint.

    A sampler's class may have a static method `find_problems(space, objectives)` for its own
    reasons, and `minimums`, the smallest allowed value of each integer option.
    """
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
    """Return whether a sampler uses the trials' values.

    With the class attribute `learns = False`, the search does not read the metrics for it.
    """
    return bool(getattr(sampler, "learns", True))


def is_adaptive(name: str) -> bool:
    """Return whether the sampler of this name uses the trials' values; a custom one may."""
    return name not in _BUILT_IN or bool(getattr(_factory(name), "learns", True))


def follows(sampler: Sampler) -> bool:
    """Return whether a sampler uses the values of running trials.

    With the class attribute `follows = True`, it gets their latest values and steps.
    """
    return bool(getattr(sampler, "follows", False))


class MissingPackage(Problem):
    """A package is not installed. Commands that only show a search ignore this problem."""


def why_exhausted(name: str) -> str:
    """Return why a sampler proposes nothing more: its `exhausted_reason`, or a general text."""
    return str(
        getattr(
            _factory(name),
            "exhausted_reason",
            "the sampler has no more configurations in this space",
        )
    )


def missing_packages(name: str, *packages: str) -> Iterator[Problem]:
    from importlib.util import find_spec  # noqa: PLC0415 - only for samplers that need one

    missing = [each for each in packages if find_spec(each) is None]
    if missing:
        extra = "gp" if "torch" in missing else "optuna"
        yield MissingPackage(
            f"sampler: {name} needs {' and '.join(missing)}, which is not installed",
            f"pip install 'modeldir[{extra}]'",
        )


_METHODS = ("ask", "tell")


def _factory(name: str) -> Factory:
    factory: Factory = _KIND.load(name)
    if isinstance(factory, type):
        lacks = [each for each in _METHODS if not callable(getattr(factory, each, None))]
        if lacks:
            hint = "a sampler must have ask(number) and tell(observation): see modeldir.samplers"
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
    except (TypeError, ValueError):  # also if it is written in C and has no signature
        hint = "its constructor must take (space, seed, objectives), and options by keyword"
        yield Problem(f"sampler: {name} cannot be made with a space, a seed and objectives", hint)
        return
    parameters = [*signature.parameters.values()]
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return
    # The first three are the space, the seed and the objectives, under any names.
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [each.name for each in parameters[:3] if each.kind is inspect.Parameter.KEYWORD_ONLY]
    known += [each.name for each in parameters[3:] if each.kind in named]
    for option, hint in plugins.unknown_options(options, known):
        yield Problem(f"sampler: {name} has no option {option!r}", hint)


def objective_values(observation: Observation, objectives: Objectives) -> tuple[float, ...] | None:
    """Return the objectives' values in order, or None if one is missing or not finite."""
    values = [observation.values.get(name, math.nan) for name, _ in objectives]
    return tuple(values) if values and all(map(math.isfinite, values)) else None
