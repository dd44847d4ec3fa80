"""Pruners stop unpromising trials early. Each has a module of its own: `asha`, `median`, ...

Start at the Protocols `Pruner` and `Rungs`; `make` makes a pruner by its name, and
`pruning_decision` calls it. The rule: a pruner only answers. It starts and ends no process.

A custom pruner is a class `Class(rungs, direction, **options)`, named as "package.module:Class" or
by an entry point in the group `modeldir.pruners`. `modeldir.testing` has its contract tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from modeldir._system import plugins
from modeldir.errors import Problem, SearchError
from modeldir.metrics.objective import Direction
from modeldir.pruners._common import WrongOptionsError

GROUP = "modeldir.pruners"
"""The group of entry points in which other packages offer pruners."""

NAMES = ("asha", "hyperband", "median")

_BUILT_IN = {
    "asha": "modeldir.pruners.asha:Asha",
    "hyperband": "modeldir.pruners.hyperband:Hyperband",
    "median": "modeldir.pruners.median:Median",
    "pbt": "modeldir.pruners.pbt:BottomQuantile",  # comes with the sampler of this name
}
_KIND = plugins.PluginKind(GROUP, _BUILT_IN, NAMES)

Problems = list[Problem]


class Rungs(Protocol):
    """The rungs of one metric, as one trial sees them: it records values and reads the others'."""

    @property
    def number(self) -> int:
        """The number of this trial."""

    def record(self, rung: int, value: float) -> Mapping[int, float]:
        """Record this trial's value at a rung. It replaces an earlier one.

        Returns the values of all trials that have reached the rung, including this one, by number.
        NaN counts as the worst value.
        """

    def values(self, rung: int) -> Mapping[int, float]:
        """Return the values recorded at a rung, by number, without recording one."""

    def passed(self, rung: int) -> bool:
        """Whether this training run recorded a value at this rung before it was interrupted.

        Its present value comes from a later step.
        """


class Pruner(Protocol):
    """Decides for one trial. Made as `Class(rungs, direction, **options)` for each attempt."""

    def should_prune(self, step: int, value: float) -> str | None:
        """Return why the trial should stop at this step, or None if it should continue.

        It is called with each value in the order of the steps, so it may keep state. Steps may skip
        a rung. Then the first step after it counts. The reason completes "accuracy 0.71 at step
        3: ".
        """


Maker = Callable[..., Pruner]


@dataclass(frozen=True)
class Setting:
    """A pruner's name and options, as `search.json` has them."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str | dict[str, Any]:
        return {self.kind: dict(self.options)} if self.options else self.kind

    @property
    def key(self) -> str:
        """The name of the folder of its rungs. Settings with other rungs are never compared."""
        from modeldir.params.plain_values import canonical_hash  # noqa: PLC0415 - once a search

        known = _defaults(maker_of(self.kind))
        whole = {"kind": self.kind, "options": {**known, **self.options}}
        safe = "".join(letter if letter.isalnum() else "_" for letter in self.kind)
        return f"{safe}-{canonical_hash(whole)[:8]}"


def parse_text(text: str) -> str | dict[str, Any]:
    """Return a pruner in the form of `search.json`, from the form of the command line.

    >>> parse_text("asha"), parse_text("asha:min_step=2,reduction_factor=4")
    ('asha', {'asha': {'min_step': 2, 'reduction_factor': 4}})

    Raises:
        SearchError: for an option without a value.
    """
    kind, options = _cut(text)
    if options is None:
        return kind
    found: dict[str, Any] = {}
    problems: Problems = []
    for word in options.split(","):
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            hint = f"{kind}:min_step=1,reduction_factor=3"
            problems.append(Problem(f"{word!r} is not option=value", hint))
        elif name in found:
            problems.append(Problem(f"{name} is given twice"))
        else:
            found[name] = _value(value)
    if problems:
        raise SearchError(f"--pruner {text}:", problems)
    return {kind: found}


def _cut(text: str) -> tuple[str, str | None]:
    """Return a pruner's name and its options: those after the last colon, unless it is a class."""
    head, colon, tail = text.rpartition(":")
    has_options = colon and (head in _BUILT_IN or not {"=", ","}.isdisjoint(tail))
    return (head, tail) if has_options else (text, None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def setting_of(raw: object, *, to_run: bool = True) -> tuple[Setting | None, Problems]:
    """Return the pruner of a `search.json`, and everything that is wrong with it."""
    if isinstance(raw, str):
        raw = {raw: {}}
    if not isinstance(raw, Mapping) or len(raw) != 1:
        hint = 'expected "asha", or {"asha": {"min_step": 1}}'
        return None, [Problem(f"pruner: got {raw!r}", hint)]
    ((kind, options),) = raw.items()
    if not isinstance(options, Mapping):
        hint = f'{{"{kind}": {{"min_step": 1}}}}'
        return None, [Problem(f"pruner: {kind}: got {options!r}, expected options", hint)]
    setting = Setting(str(kind), dict(options))
    is_checked = to_run or not plugins.is_own_class(setting.kind)
    return setting, check(setting) if is_checked else []


def check(setting: Setting, key: str = "pruner") -> Problems:
    """List what is wrong with a pruner and its options. `key` is what the user wrote them under."""
    try:
        maker: Maker = _KIND.load(setting.kind)
    except plugins.PluginError as error:
        return [Problem(f"{key}: {error.problem.what}", error.problem.hint)]
    problems = [
        Problem(f"{key}: {setting.kind} has no option {name!r}", hint)
        for name, hint in plugins.unknown_options(setting.options, [*_defaults(maker)])
    ]
    if problems:
        return problems
    try:
        maker(_NoRungs(), "maximize", **setting.options)
    except (TypeError, ValueError) as error:
        lines = error.problems if isinstance(error, WrongOptionsError) else [str(error)]
        return [Problem(f"{key}: {setting.kind}: {line}") for line in lines]
    return []


class _NoRungs:
    """Rungs for a pruner that is only made to check its options."""

    number = 1

    def record(self, rung: int, value: float) -> Mapping[int, float]:  # noqa: ARG002
        return {1: value}

    def values(self, rung: int) -> Mapping[int, float]:  # noqa: ARG002
        return {}

    def passed(self, rung: int) -> bool:  # noqa: ARG002
        return False


def make(setting: Setting, rungs: Rungs, direction: Direction) -> Pruner:
    """Make the pruner of a setting, for the trial whose rungs are given.

    Raises:
        SearchError: if there is no such pruner, or it does not accept these options.
    """
    problems = check(setting)
    if problems:
        raise SearchError("The trials cannot be pruned:", problems, state="")
    return maker_of(setting.kind)(rungs, direction, **setting.options)


def maker_of(kind: str) -> Maker:
    try:
        maker: Maker = _KIND.load(kind)
    except plugins.PluginError as error:
        what, hint = error.problem
        raise SearchError(f"{what}\n{hint}") from error
    return maker


def replaces(setting: Setting) -> bool:
    """Whether a new trial replaces each one that this pruner stops, as in `pbt`.

    Such a class has `replaces = True`. It compares only the trials that are left, and stops none at
    the end of its training run.
    """
    return bool(getattr(maker_of(setting.kind), "replaces", False))


def _defaults(maker: Maker) -> dict[str, Any]:
    import inspect  # noqa: PLC0415 - slow to import

    return {
        name: parameter.default
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
