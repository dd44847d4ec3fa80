"""Which way a metric is better, which result is best, and the metrics that a search ranks by.

Nearly every package calls this; start at `choose` and `best_of`. The rule: only validation
metrics decide which experiment is best, never test metrics. `metric_files` reads them, and
`metric_names` knows which way each is better.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from modeldir._system.shell import quoted
from modeldir.errors import Problem
from modeldir.metrics import metric_names

_T = TypeVar("_T")

Direction: TypeAlias = metric_names.Direction

Objectives: TypeAlias = tuple[tuple[str, Direction], ...]
"""Metrics with their directions; those to maximize come first."""

Ranked: TypeAlias = tuple[str, Direction]
"""The metric that is ranked by, with its direction."""

_DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")

RANKED_VARIABLE = "MODELDIR_METRIC"
"""The variable by which a search tells a trial which metric it ranks by, e.g. `minimize:loss`."""


_DEFAULTS = (frozenset({"accuracy", "acc"}), frozenset({"f1"}), frozenset({"loss"}))
_PARTIAL = frozenset(
    {"precision", "prec", "recall", "sensitivity", "specificity", "kl", "kld", "kldiv", "kl_div"}
)
"""Metrics that alone do not say how good a model is: chosen only if there is no other."""


def choose(names: Iterable[str]) -> tuple[str, Direction] | None:
    """Return the metric to rank by if none was named; None if no name has a direction.

    Accuracy comes first, then f1, then loss, then any other, and such as precision and recall last,
    which a poor model can have, too. A test metric is never chosen, and one
    of the training set only if there is nothing else. Keras logs `accuracy` beside `val_accuracy`:
    then the bare name is the training set's.
    """
    ranked = [
        (_preference(name), position, name, better_if)
        for position, name in enumerate(names)
        if (better_if := metric_names.direction(name)) and not metric_names.is_of_test(name)
    ]
    if not ranked:
        return None
    _, _, name, better_if = min(ranked)
    return name, better_if


def better(a: float, b: float | None, direction: Direction) -> bool:
    """Return whether `a` is strictly better than `b`: NaN never is, and any number beats NaN."""
    if math.isnan(a):
        return False
    if b is None or math.isnan(b):
        return True
    return a > b if direction == "maximize" else a < b


def reaches(value: float | None, goal: float, direction: Direction) -> bool:
    """Return whether a value is as good as a goal, or better."""
    return value is not None and not math.isnan(value) and not better(goal, value, direction)


def best_of(
    candidates: Iterable[tuple[float | None, int | None, _T]], direction: Direction
) -> _T | None:
    """Return the best of (value, trial number, candidate): the one rule by which modeldir chooses.

    If values are equal, the lower trial number wins, then a candidate without a number.
    """
    best: tuple[float, int | None, _T] | None = None
    for value, number, what in sorted(candidates, key=lambda each: trial_order(each[1])):
        if value is not None and better(value, best[0] if best else None, direction):
            best = (value, number, what)
    return best[2] if best else None


def trial_order(number: int | None) -> tuple[bool, int]:
    """Return the sort key that orders trials by number and puts all without a number last."""
    return number is None, number or 0


def _preference(name: str) -> tuple[bool, int, int]:
    """Return the rank of a name in `choose`: is it the training set's, which default, its form."""
    words, word = metric_names.words(name), metric_names.deciding_word(name)
    kinds = (i for i, same in enumerate(_DEFAULTS) if word in same)
    kind = next(kinds, len(_DEFAULTS) + (word in _PARTIAL))
    validation = metric_names.is_of_validation(name)
    if validation and len(words) == 2:  # noqa: PLR2004 - the split and the metric
        form = 0
    elif len(words) == 1:
        form = 1
    else:
        form = 2 if validation else 3
    return metric_names.is_of_training(name), kind, form


def objectives(raw: Mapping[str, Any]) -> Objectives:
    """Return the metrics that `search.json` names, with directions, without invalid entries."""
    return tuple((name, key) for key in _DIRECTIONS for name in names(raw.get(key)))


def names(value: object) -> tuple[str, ...]:
    """Return the names in one of the two keys, which holds a string or a list of strings."""
    listed = value if isinstance(value, (list, tuple)) else [value]
    return tuple(dict.fromkeys(name for name in listed if isinstance(name, str) and name))


def to_json(given: Sequence[str] | str | None) -> str | list[str] | None:
    """Return names as `search.json` has them: a string for one, a list for several."""
    found = names(given)
    return None if not found else found[0] if len(found) == 1 else list(found)


def problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the two keys, each a string or a list, with a hint."""
    for key in _DIRECTIONS:
        value = raw.get(key)
        if isinstance(value, list) and not all(isinstance(name, str) and name for name in value):
            hint = f'expected metrics\' names: "{key}": ["accuracy", "f1"]'
            yield Problem(f"{key}: got {value!r}", hint)
    both = {*names(raw.get("maximize"))} & {*names(raw.get("minimize"))}
    for name in sorted(both):
        yield Problem(f"{name}: cannot be both maximized and minimized", "keep one of them")


_NAMED = 3
"""Metrics that a question names."""


def question(names: Sequence[str]) -> str:
    """Return the question that has to be answered before metrics without a direction rank.

    >>> question(["fitness", "speed"])
    'is higher or lower better for fitness or speed?'
    """
    shown = [*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])]
    listed = f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else shown[0]
    return f"is higher or lower better for {listed}?"


def answers(name: str) -> str:
    """Return the options that answer the question for one metric, to be typed."""
    quoted_name = quoted(name)
    return f"--maximize {quoted_name}   or --minimize {quoted_name}"


def candidates(names: Iterable[str]) -> list[str]:
    """Return the names that a question may ask about: not such as `epoch` and `seconds`."""
    return [name for name in names if not metric_names.is_of_progress(name)]


def how_to_rank(folder: Path, name: str) -> str:
    """Return what answers the question for the experiments in a folder: a command, or a line."""
    if (folder / "search.json").is_file():
        return f"modeldir search {quoted(folder)} {answers(name)}"
    return f'write maximize = "{name}" or minimize = "{name}" into modeldir.toml'


def describe(metrics: Objectives) -> str:
    """Return the metrics' names as text: "accuracy and loss"."""
    return " and ".join(name for name, _ in metrics)


def command_options(metrics: Objectives) -> str:
    """Return the options that choose one of several metrics on the command line."""
    return ", or ".join(f"--{direction} {name}" for name, direction in metrics)


def pareto_front(
    scored: Iterable[tuple[Sequence[float | None], _T]], metrics: Objectives
) -> list[_T]:
    """Return the results that no other result beats: as good in all metrics, and better in one."""
    signs = [-1.0 if direction == "maximize" else 1.0 for _, direction in metrics]
    complete: list[tuple[list[float], _T]] = []
    for values, each in scored:
        costs = [s * v for s, v in zip(signs, values, strict=False) if v is not None]
        if len(costs) == len(signs) and not any(map(math.isnan, costs)):
            complete.append((costs, each))
    chosen: list[_T] = []
    best: list[list[float]] = []
    # In this order only an earlier result can beat a result.
    for costs, each in sorted(complete, key=lambda pair: pair[0]):
        if not any(one != costs and all(map(operator.le, one, costs)) for one in best):
            chosen.append(each)
            if costs not in best[-1:]:
                best.append(costs)
    return chosen
