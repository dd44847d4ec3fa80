"""Choose a suitable sampler for a search whose user has named none.

`search.sampler_choice` calls `choose` and writes the choice into `search.json`. It must not depend
on results: a search keeps its sampler. The measurements behind it:
docs/contributing/search-quality.md.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection

from modeldir.samplers import Objectives
from modeldir.samplers.sobol import max_dims
from modeldir.space import Space

MIN_TO_LEARN = 11
"""With fewer trials, a search is over before a model begins to learn."""

MAX_FOR_GP = 40
"""Up to this number of trials, a Gaussian process is worth its time.

Each proposal takes some tenths of a second, and more with every trial that has ended. Measured with
30 trials.
"""


def choose(  # noqa: PLR0913 - all that the rule depends on
    space: Space,
    trials: int | None,
    objectives: Objectives,
    installed: Collection[str],
    *,
    prunes: bool = False,
    taught: bool = False,
) -> tuple[str, str]:
    """Return the name of a sampler, and the reason for the choice."""
    even = "sobol" if len(space.dims) <= max_dims() else "random"
    if trials is not None and trials < MIN_TO_LEARN and not taught:
        few = "1 trial is too few" if trials == 1 else f"{trials} trials are too few"
        return even, f"{few} to learn from: spread evenly"
    if "optuna" not in installed:
        return even, "Optuna is not installed (pip install 'modeldir[optuna]'): spread evenly"
    if len(objectives) > 1:
        return "tpe", f"{len(objectives)} metrics"
    if taught:
        return "tpe", "it learns from the first trial on, from earlier experiments"
    if prunes:
        return "tpe", "it learns from trials that are stopped early, too"
    if any(dim.condition for dim in space.dims):
        return "tpe", "it handles hyperparameters with a condition"
    if trials is not None and trials <= MAX_FOR_GP and {"torch", "scipy"} <= {*installed}:
        return "gp", f"with {trials} trials, it learns most from each"
    return "tpe", "it learns from each trial, whatever the kinds of hyperparameters"


def installed() -> frozenset[str]:
    names = ("optuna", "torch", "cmaes", "scipy")
    return frozenset(name for name in names if importlib.util.find_spec(name) is not None)
