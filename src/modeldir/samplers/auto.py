"""Which sampler suits a search, where nobody has said: one small rule.

It knows the space, how many trials there are to be, how many metrics count, and what is installed.
It refuses to look at scores: a choice once made stays (it is written into `search.json`), and only
another plan is chosen for again. By what measurement it chooses is in docs/search_quality.md.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from modeldir.samplers.sobol import max_dims

if TYPE_CHECKING:
    from collections.abc import Collection

    from modeldir.samplers import Objectives
    from modeldir.space import Space

MIN_TO_LEARN = 11
"""With fewer trials than this a model has not begun when they are over: even spread is as good."""

MAX_FOR_GP = 40
"""Up to so many trials a Gaussian process is worth what it costs: some tenths of a second for each,
more with every one that has ended. Measured with 30.
"""


def choose(  # noqa: PLR0913 - what the rule looks at
    space: Space,
    trials: int | None,
    objectives: Objectives,
    installed: Collection[str],
    *,
    prunes: bool = False,
    taught: bool = False,
) -> tuple[str, str]:
    """The name of a sampler, and why it was chosen.

    Args:
        space: what is searched.
        trials: how many trials there are to be; None for no end.
        objectives: the metrics that count.
        installed: of `optuna`, `torch`, `cmaes` and `scipy`, those that can be imported.
        prunes: whether trials are stopped early: `gp` learns of whole trainings alone, and `tpe`
            also of those.
        taught: whether other folders teach: then there is something to learn from at once.
    """
    even = "sobol" if len(space.dims) <= max_dims() else "random"
    if trials is not None and trials < MIN_TO_LEARN and not taught:
        return even, f"{trials} trials are too few to learn from: spread evenly"
    if "optuna" not in installed:
        return even, "Optuna is not installed (pip install 'modeldir[optuna]'): spread evenly"
    if len(objectives) > 1:
        return "tpe", f"{len(objectives)} metrics"
    if taught:
        return "tpe", "it learns from the first trial on, by what other folders teach"
    if prunes:
        return "tpe", "it learns from trials that are stopped early, too"
    if any(dim.when for dim in space.dims):
        return "tpe", "it knows which hyperparameters are there only under a condition"
    if trials is not None and trials <= MAX_FOR_GP and {"torch", "scipy"} <= {*installed}:
        return "gp", f"with {trials} trials, it learns most from each"
    return "tpe", "it learns from each trial, whatever the kinds of hyperparameters"


def installed() -> frozenset[str]:
    """What can be imported here of the packages that samplers need."""
    names = ("optuna", "torch", "cmaes", "scipy")
    return frozenset(name for name in names if importlib.util.find_spec(name) is not None)
