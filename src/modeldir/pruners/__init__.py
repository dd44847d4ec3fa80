"""Pruners: what says at a step whether a trial should stop early.

This room knows the Protocol that each pruner keeps, finds pruners by name, and reads what a plan
says of them; each has a file of its own. It refuses to know trials, processes and plans: a pruner
sees the values of one trial as they come, and those of its siblings at the same rung (a step at
which trials are compared). It starts nothing and ends nothing.

Start at `Pruner` and `Rungs`; `rungs.py` has the files in which siblings find each other's values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from modeldir._system import plugins
from modeldir.errors import Problem, SearchError

if TYPE_CHECKING:
    from modeldir.metrics.metrics import Direction

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
    """The rungs of one metric as one trial sees them: where it and its siblings leave values."""

    @property
    def number(self) -> int:
        """The number of the trial that looks."""

    def record(self, rung: int, value: float) -> Mapping[int, float]:
        """Leave this trial's value at a rung, in the place of one that it may have left before.

        Returns the values of all trials that have been there, this one's among them, by number.
        NaN is a value as any other: the worst.
        """

    def values(self, rung: int) -> Mapping[int, float]:
        """What was left at a rung, by number, leaving nothing."""

    def passed(self, rung: int) -> bool:
        """Whether this very training was at this rung before it was interrupted: it left its value
        then, and the one that it has now comes from a later step.
        """


class Pruner(Protocol):
    """Judges one trial. Made as `Kind(rungs, direction, **options)`, once for each attempt."""

    def should_prune(self, step: int, value: float) -> str | None:
        """Why the trial should stop at this step, or None if it should go on.

        Called with each value in the order of the steps, so that it may also keep count of them;
        steps may skip a rung: the first at or after it counts. The words complete "accuracy 0.71 at
        step 3: ".
        """


Maker = Callable[..., Pruner]


@dataclass(frozen=True)
class Setting:
    """Which pruner, with which options, as a plan has it."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str | dict[str, Any]:
        """The shortest form in `search.json`."""
        return {self.kind: dict(self.options)} if self.options else self.kind

    @property
    def key(self) -> str:
        """A name for the folder of its rungs: values that other rungs hold are not compared."""
        from modeldir.params.plain_values import canonical_hash  # noqa: PLC0415 - once a search

        known = _defaults(maker_of(self.kind))
        whole = {"kind": self.kind, "options": {**known, **self.options}}
        return f"{_safe(self.kind)}-{canonical_hash(whole)[:8]}"


def parse_text(text: str) -> str | dict[str, Any]:
    """A pruner as it is typed, as `search.json` has it.

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
            problems.append(Problem(f"{word!r} is no option=value", hint))
        elif name in found:
            problems.append(Problem(f"{name} is given twice"))
        else:
            found[name] = _value(value)
    if problems:
        raise SearchError(f"--pruner {text}:", problems)
    return {kind: found}


def _cut(text: str) -> tuple[str, str | None]:
    """A kind and its options, if it has any: they stand behind the last colon, but so does the
    class in `package.module:Class`.
    """
    head, colon, tail = text.rpartition(":")
    has_options = colon and (head in _BUILT_IN or not {"=", ","}.isdisjoint(tail))
    return (head, tail) if has_options else (text, None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def setting_of(raw: object) -> tuple[Setting | None, Problems]:
    """What a plan says of its pruner, and all that is wrong with it."""
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
    return setting, check(setting)


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
        maker(_Nowhere(), "maximize", **setting.options)
    except (TypeError, ValueError) as error:
        return [Problem(f"{key}: {setting.kind}: {line}") for line in str(error).splitlines()]
    return []


class _Nowhere:
    """Rungs for a pruner that is only made to see whether its options are right."""

    number = 1

    def record(self, rung: int, value: float) -> Mapping[int, float]:  # noqa: ARG002
        return {1: value}

    def values(self, rung: int) -> Mapping[int, float]:  # noqa: ARG002
        return {}

    def passed(self, rung: int) -> bool:  # noqa: ARG002
        return False


def make(setting: Setting, rungs: Rungs, direction: Direction) -> Pruner:
    """The pruner of this setting, for the trial that these rungs are of.

    Raises:
        SearchError: if there is none of this name, or it does not take these options.
    """
    problems = check(setting)
    if problems:
        raise SearchError("The trials cannot be pruned:", problems, state="")
    return maker_of(setting.kind)(rungs, direction, **setting.options)


def maker_of(kind: str) -> Maker:
    """What makes a pruner of this name: ours, one of an entry point, or `package.module:Class`.

    Raises:
        SearchError: if there is none.
    """
    try:
        maker: Maker = _KIND.load(kind)
    except plugins.PluginError as error:
        what, hint = error.problem
        raise SearchError(f"{what}\n{hint}") from error
    return maker


def replaces(setting: Setting) -> bool:
    """Whether another trial takes the place of who is stopped. Such a pruner says `replaces`: it
    compares those that are still there, and stops nobody at the end of a training.
    """
    return bool(getattr(maker_of(setting.kind), "replaces", False))


def _defaults(maker: Maker) -> dict[str, Any]:
    """The options that a kind of pruner takes, with what they are if nobody says."""
    import inspect  # noqa: PLC0415 - slow to import

    return {
        name: parameter.default
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def _safe(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)
